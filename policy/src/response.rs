//! Decisions to answers in Kubewarden's format.

use crate::decision::Decision;
use crate::rejection::Ground;
use crate::request::Request;
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
    respond(ValidationResponse { message: Some(message), code: Some(BAD_REQUEST), ..refused() })
}

pub fn answer(settings: &Settings, request: &Request, decisions: &[Decision]) -> CallResult {
    let mut warnings = Vec::new();
    for d in decisions {
        for r in &d.warnings {
            warnings.push(warning(&format!("{} (would reject)", r.short(d))));
        }
        if let (Some(first), Some(o)) = (d.excused.first(), &d.override_) {
            warnings.push(warning(&format!(
                "break-glass until {} by {}: {}; else: {}",
                o.until,
                o.by,
                o.reason,
                first.short(d)
            )));
        }
    }
    let Some((first, rejection)) = decisions
        .iter()
        .flat_map(|d| d.rejections.iter().map(move |r| (d, r)))
        .min_by_key(|(_, r)| r.rule)
    else {
        let warnings = (!warnings.is_empty()).then_some(warnings);
        return respond(ValidationResponse { accepted: true, warnings, ..refused() });
    };
    if settings.mode == Mode::Clamp {
        if let Some(object) = clamped(request, decisions) {
            warnings.push(warning(&format!("{} (clamped)", rejection.short(first))));
            return respond(ValidationResponse {
                accepted: true,
                mutated_object: Some(object),
                warnings: Some(warnings),
                ..refused()
            });
        }
    }
    warnings.push(warning(&rejection.short(first)));
    let object = format!("{} {}", request.kind_in_words(), request.full_name());
    respond(ValidationResponse {
        message: Some(rejection.message(
            first,
            &object,
            request.sub_resource == "scale",
            settings.break_glass.as_ref(),
        )),
        code: Some(FORBIDDEN),
        warnings: Some(warnings),
        ..refused()
    })
}

/// The object with `maxReplicaCount` lowered to what is allowed, where that
/// alone makes it acceptable: also to KEDA, which wants a minimum below it.
fn clamped(request: &Request, decisions: &[Decision]) -> Option<Value> {
    const MAX: &str = "maxReplicaCount";
    let mut least = i64::MAX;
    for rejection in decisions.iter().flat_map(|d| &d.rejections) {
        let Ground::Lift { lift, allowed, .. } = &rejection.ground else { return None };
        if lift.field.strip_prefix("spec.") != Some(MAX) {
            return None;
        }
        least = least.min(*allowed);
    }
    let mut object = Value::from(&request.object);
    let spec = object.get_mut("spec")?.as_object_mut()?;
    let min = spec.get("minReplicaCount").and_then(Value::as_i64).unwrap_or(0);
    if least < min.max(0) {
        return None;
    }
    spec.insert(MAX.to_owned(), least.into());
    Some(object)
}

fn warning(text: &str) -> String {
    let mut end = text.len().min(WARNING_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
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

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::short("as it is", "as it is")]
    #[case::cut(&"x".repeat(300), &"x".repeat(WARNING_BYTES))]
    #[case::between_characters(&"ä".repeat(200), &"ä".repeat(WARNING_BYTES / 2))]
    #[case::not_within_one(&format!("x{}", "ä".repeat(200)), &format!("x{}", "ä".repeat(127)))]
    fn warnings_are_cut(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(warning(text), expected);
    }
}
