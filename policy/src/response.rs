//! Answers in Kubewarden's format.

use crate::answer::{Answer, Refusal, Verdict};
use crate::settings::{Settings, SettingsError};
use kubewarden_policy_sdk::response::ValidationResponse;
use kubewarden_policy_sdk::settings::SettingsValidationResponse;
use kubewarden_policy_sdk::wapc_guest::CallResult;
use std::collections::HashMap;

const FORBIDDEN: u16 = 403;
const BAD_REQUEST: u16 = 400;

pub fn settings(result: Result<Settings, SettingsError>) -> CallResult {
    let message = result.err().map(|e| e.to_string());
    Ok(serde_json::to_vec(&SettingsValidationResponse { valid: message.is_none(), message })?)
}

/// A request that cannot be read fails closed.
pub fn malformed(error: &str) -> CallResult {
    let message = format!("canary-gate cannot judge this request: {error}");
    respond(ValidationResponse { message: Some(message), code: Some(BAD_REQUEST), ..refused() })
}

pub fn answer(answer: Answer) -> CallResult {
    let warnings = (!answer.warnings.is_empty()).then_some(answer.warnings);
    respond(match answer.verdict {
        Verdict::Accepted => ValidationResponse { accepted: true, warnings, ..refused() },
        Verdict::Clamped { object, because } => ValidationResponse {
            accepted: true,
            mutated_object: Some(object),
            audit_annotations: Some(annotations(&because)),
            warnings,
            ..refused()
        },
        Verdict::Refused(refusal) => ValidationResponse {
            audit_annotations: Some(annotations(&refusal)),
            message: Some(refusal.message),
            code: Some(FORBIDDEN),
            warnings,
            ..refused()
        },
    })
}

/// The parts of a refusal for tools. The API server puts the webhook's name before each key
/// in its audit log.
fn annotations(refusal: &Refusal) -> HashMap<String, String> {
    let mut parts = HashMap::from([
        ("rule".to_owned(), refusal.rule.name().to_owned()),
        ("lane".to_owned(), refusal.lane.clone()),
        ("field".to_owned(), refusal.field.clone()),
    ]);
    if let Some(pods) = refusal.pods {
        parts.insert("pods-after".to_owned(), pods.after.to_string());
        if let Some(before) = pods.before {
            parts.insert("pods-before".to_owned(), before.to_string());
        }
    }
    parts
}

/// A no that says nothing yet.
fn refused() -> ValidationResponse {
    ValidationResponse {
        accepted: false,
        message: None,
        code: None,
        mutated_object: None,
        audit_annotations: None,
        warnings: None,
    }
}

fn respond(response: ValidationResponse) -> CallResult {
    Ok(serde_json::to_vec(&response)?)
}
