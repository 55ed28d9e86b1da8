//! What the policy answers, as data.
//!
//! Tools read the parts; the words are for people.

use crate::change::PodsInAll;
use crate::decision::Decision;
use crate::rejection::{Ground, Rejection, Subject};
use crate::request::Request;
use crate::settings::{Mode, Settings};
use gate::parse::Json;
use gate::rule::Rule;
use serde_json::{Map, Value};

/// Kubernetes may cut warnings above this.
const WARNING_BYTES: usize = 256;

#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub verdict: Verdict,
    /// Each at most 256 bytes.
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Accepted,
    /// Accepted as this object, in which `maxReplicaCount` is lowered.
    Clamped {
        object: Value,
        because: Refusal,
    },
    Refused(Refusal),
}

/// Why an edit is refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    pub rule: Rule,
    /// Name of the lane.
    pub lane: String,
    /// JSON path of the offending field, as in the object.
    pub field: String,
    /// The most pods in all before and after, where the edit is of something that runs pods.
    pub pods: Option<PodsInAll>,
    /// The whole text for people.
    pub message: String,
}

impl Answer {
    pub fn of(settings: &Settings, request: &Request, decisions: &[Decision]) -> Self {
        let mut warnings = Vec::new();
        for d in decisions {
            for r in &d.warnings {
                warnings.push(warning(&format!("{} (would reject)", r.short(d.lane))));
            }
            if let (Some(first), Some(o)) = (d.excused.first(), &d.override_) {
                warnings.push(warning(&format!(
                    "break-glass until {} by {}: {}; else: {}",
                    o.until,
                    o.by,
                    o.reason,
                    first.short(d.lane)
                )));
            }
        }
        let refusals = decisions.iter().flat_map(|d| d.rejections.iter().map(move |r| (d, r)));
        let Some((decision, rejection)) = refusals.min_by_key(|(_, r)| r.rule) else {
            return Self { verdict: Verdict::Accepted, warnings };
        };
        let because = refusal(settings, request, decision, rejection);
        let short = rejection.short(decision.lane);
        let clamped = if settings.mode == Mode::Clamp { clamped(request, decisions) } else { None };
        match clamped {
            Some(object) => {
                warnings.push(warning(&format!("{short} (clamped)")));
                Self { verdict: Verdict::Clamped { object, because }, warnings }
            }
            None => {
                warnings.push(warning(&short));
                Self { verdict: Verdict::Refused(because), warnings }
            }
        }
    }
}

fn refusal(
    settings: &Settings,
    request: &Request,
    decision: &Decision,
    rejection: &Rejection,
) -> Refusal {
    let object = format!("{} {}", request.kind_in_words(), request.full_name());
    // A rejection may name a part of what changed, or a whole of which that is a part.
    let is_part = |a: &str, b: &str| a.starts_with(b) || b.starts_with(a);
    let is_opposed = |field: &str| decision.rejections.iter().any(|r| is_part(r.field(), field));
    let unopposed: Vec<String> =
        decision.edited.iter().filter(|field| !is_opposed(field)).cloned().collect();
    let subject = Subject {
        lane: decision.lane,
        object: &object,
        is_scale: request.sub_resource == "scale",
        unopposed: &unopposed,
        break_glass: settings.break_glass.as_ref(),
    };
    Refusal {
        rule: rejection.rule,
        lane: decision.lane.name.clone(),
        field: rejection.field().to_owned(),
        pods: decision.pods,
        message: rejection.message(&subject),
    }
}

/// The object with `maxReplicaCount` lowered to what is allowed, where that
/// alone makes it acceptable: also to KEDA, which wants a minimum below it, and 1 at least
/// (the CRD of KEDA 2.20).
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
    let mut object = owned(&request.object);
    let spec = object.get_mut("spec")?.as_object_mut()?;
    let min = spec.get("minReplicaCount").and_then(Value::as_i64).unwrap_or(0);
    if least < min.max(1) {
        return None;
    }
    spec.insert(MAX.to_owned(), least.into());
    Some(object)
}

/// A copy that outlives the request. The borrowed values' own conversion sorts the entries of
/// each map, by sorts that are ten kilobytes of the module.
fn owned(value: &Json) -> Value {
    match value {
        Json::Object(map) => {
            let mut entries = Map::new();
            for (key, value) in map.iter() {
                entries.insert(key.to_owned(), owned(value));
            }
            Value::Object(entries)
        }
        Json::Array(items) => Value::Array(items.iter().map(owned).collect()),
        Json::Str(text) => Value::String(text.to_string()),
        Json::Bool(is) => Value::Bool(*is),
        Json::Number(number) => Value::Number((*number).into()),
        Json::Null => Value::Null,
    }
}

fn warning(text: &str) -> String {
    let mut end = text.len().min(WARNING_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
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
