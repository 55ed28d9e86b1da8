//! Decisions to answers in Kubewarden's format.

use crate::decision::Decision;
use crate::request::Request;
use crate::rules::LiftKind;
use crate::settings::{Mode, Settings, SettingsError};
use kubewarden_policy_sdk::response::ValidationResponse;
use kubewarden_policy_sdk::settings::SettingsValidationResponse;
use kubewarden_policy_sdk::wapc_guest::CallResult;
use serde_json::Value;

const FORBIDDEN: u16 = 403;
const BAD_REQUEST: u16 = 400;
/// Kubernetes may cut warnings above this.
const WARNING_BYTES: usize = 256;

pub fn settings(result: Result<Settings, SettingsError>) -> CallResult {
    let message = result.err().map(|e| e.to_string());
    Ok(serde_json::to_vec(&SettingsValidationResponse { valid: message.is_none(), message })?)
}

/// A request that cannot be read fails closed.
pub fn malformed(error: &str) -> CallResult {
    let message = format!("canary-gate cannot judge this request: {error}");
    respond(ValidationResponse {
        accepted: false,
        message: Some(message),
        code: Some(BAD_REQUEST),
        ..empty()
    })
}

pub fn answer(settings: &Settings, request: &Request, decisions: &[Decision]) -> CallResult {
    let mut warnings: Vec<String> = decisions
        .iter()
        .flat_map(|d| d.warnings.iter().map(|r| warning(&format!("{} (would reject)", r.short(d)))))
        .collect();
    let Some((first, rejection)) = decisions
        .iter()
        .flat_map(|d| d.rejections.iter().map(move |r| (d, r)))
        .min_by_key(|(_, r)| r.rule)
    else {
        let warnings = (!warnings.is_empty()).then_some(warnings);
        return respond(ValidationResponse { accepted: true, warnings, ..empty() });
    };
    if settings.mode == Mode::Clamp {
        if let Some(object) = clamped(request, decisions) {
            warnings.push(warning(&format!("{} (clamped)", rejection.short(first))));
            return respond(ValidationResponse {
                accepted: true,
                mutated_object: Some(object),
                warnings: Some(warnings),
                ..empty()
            });
        }
    }
    warnings.push(warning(&rejection.short(first)));
    respond(ValidationResponse {
        accepted: false,
        message: Some(rejection.message(first)),
        code: Some(FORBIDDEN),
        warnings: Some(warnings),
        ..empty()
    })
}

/// The object with its maximum lowered to what is allowed, where that alone
/// makes it acceptable.
fn clamped(request: &Request, decisions: &[Decision]) -> Option<Value> {
    let mut rejections = decisions.iter().flat_map(|d| &d.rejections);
    let allowed = rejections.clone().map(|r| r.allowed).min()?;
    if !rejections.all(|r| r.lift.kind == LiftKind::Ceiling) || allowed < 0 {
        return None;
    }
    let mut object = request.object.clone();
    let spec = object.get_mut("spec")?.as_object_mut()?;
    spec.insert("maxReplicaCount".to_owned(), allowed.into());
    Some(object)
}

fn warning(text: &str) -> String {
    let mut end = text.len().min(WARNING_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

fn empty() -> ValidationResponse {
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
