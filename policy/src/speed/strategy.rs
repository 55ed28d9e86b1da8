//! How soon a ScaledJob makes its Jobs: `scalingStrategy` and `pollingInterval`.
//!
//! kedacore/keda `pkg/scaling/executor/scale_jobs.go`. For the same queue and the same Jobs,
//! `custom` that counts each running Job in full and takes nothing back makes no more than
//! `default`, and `default` no more than `accurate`, which takes running Jobs to have left
//! the queue. `eager` fills up to the maximum whatever waits; it compares with none.

use super::Faster;
use crate::objects::object::{alike, number, Object};
use crate::objects::quantity::{go_float, GoFloat};
use crate::objects::scaled_object::DEFAULT_POLLING_S;
use gate::parse::Json;

const STRATEGY: &str = "spec.scalingStrategy";

/// What a strategy makes of running Jobs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Counts each running Job as a share of one, after so many are taken off the queue.
    /// `default` counts them in full and takes none off.
    Share {
        of_one: f64,
        deduction: i64,
    },
    Accurate,
    Eager,
}

fn kind(object: Object) -> Kind {
    let at = |key| object.at(&["spec", "scalingStrategy", key]);
    match at("strategy").as_str() {
        Some("accurate") => Kind::Accurate,
        Some("eager") => Kind::Eager,
        Some("custom") => {
            let text = at("customScalingRunningJobPercentage").as_str().unwrap_or_default();
            match go_float(text) {
                GoFloat::Number(of_one) => {
                    let deduction = number(at("customScalingQueueLengthDeduction")).unwrap_or(0);
                    Kind::Share { of_one, deduction }
                }
                // Of what the CPU decides nothing is counted.
                GoFloat::Wild => Kind::Share { of_one: f64::NEG_INFINITY, deduction: 0 },
                GoFloat::None => Kind::Share { of_one: 1.0, deduction: 0 },
            }
        }
        _ => Kind::Share { of_one: 1.0, deduction: 0 },
    }
}

/// Fields by which `new` may make Jobs sooner than `old`.
pub fn faster(old: Object, new: Object) -> Vec<Faster> {
    let mut found = Vec::new();
    let (was, is) = (kind(old), kind(new));
    let is_slower = match (was, is) {
        _ if was == is => true,
        (Kind::Share { of_one: a, deduction: c }, Kind::Share { of_one: b, deduction: d }) => {
            b >= a && d >= c
        }
        (Kind::Accurate, Kind::Share { of_one, deduction }) => of_one >= 1.0 && deduction >= 0,
        _ => false,
    };
    if !is_slower {
        found.push(match (was, is) {
            (Kind::Eager, _) | (_, Kind::Eager) => {
                let why = "`eager` looks at the maximum, the others at the queue";
                Faster::incomparable(format!("{STRATEGY}.strategy"), why)
            }
            _ => {
                Faster::new(format!("{STRATEGY}.strategy"), "makes Jobs sooner for the same queue")
            }
        });
    }
    let conditions = |o: Object<'_>| -> Vec<String> {
        let list = o.at(&["spec", "scalingStrategy", "pendingPodConditions"]);
        let items = list.as_array().unwrap_or_default().iter();
        items.filter_map(Json::as_str).map(str::to_owned).collect()
    };
    let (had, has) = (conditions(old), conditions(new));
    let looks = |kind| matches!(kind, Kind::Accurate | Kind::Eager);
    // A Job of which more is asked counts as pending for longer.
    let is_more = !had.is_empty() && had.iter().all(|c| has.contains(c));
    if looks(is) && had != has && !is_more {
        let why = "other Jobs count as pending";
        found.push(Faster::incomparable(format!("{STRATEGY}.pendingPodConditions"), why));
    }
    found
}

/// Whether the sources are asked more often than before.
pub fn polls_sooner(old: Object, new: Object) -> Option<Faster> {
    let interval = |o: Object| o.number(&["spec", "pollingInterval"]).unwrap_or(DEFAULT_POLLING_S);
    let (was, is) = (interval(old), interval(new));
    (is < was).then(|| Faster::new("spec.pollingInterval", format!("{was} -> {is} s")))
}

/// Whether a source is read through another container's environment.
pub fn other_environment(path: &[&str], old: Object, new: Object) -> Option<Faster> {
    let field = crate::pods::written(path);
    let why = "every value that is read from the environment may be another";
    (!alike(old.at(path), new.at(path))).then(|| Faster::incomparable(field, why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{json, Value};

    fn custom(percentage: &str, deduction: i64) -> Value {
        json!({"strategy": "custom", "customScalingRunningJobPercentage": percentage, "customScalingQueueLengthDeduction": deduction})
    }

    #[rstest]
    #[case::default_written_out(json!({}), json!({"strategy": "default"}), None)]
    #[case::default_as_custom(json!({}), custom("1.0", 0), None)]
    #[case::custom_that_takes_more_off(custom("1", 2), custom("1.5", 3), None)]
    #[case::custom_that_counts_less(custom("1", 2), custom("0.5", 2), Some("strategy"))]
    #[case::default_to_accurate(json!({}), json!({"strategy": "accurate"}), Some("strategy"))]
    #[case::accurate_to_default(json!({"strategy": "accurate"}), json!({}), None)]
    #[case::accurate_to_a_slow_custom(json!({"strategy": "accurate"}), custom("1", 2), None)]
    #[case::accurate_to_a_fast_custom(json!({"strategy": "accurate"}), custom("0.5", 0), Some("strategy"))]
    #[case::eager(json!({}), json!({"strategy": "eager"}), Some("strategy"))]
    #[case::eager_to_default(json!({"strategy": "eager"}), json!({}), Some("strategy"))]
    #[case::conditions_of_the_default(json!({}), json!({"pendingPodConditions": ["Ready"]}), None)]
    #[case::other_conditions(json!({"strategy": "accurate"}), json!({"strategy": "accurate", "pendingPodConditions": ["Ready"]}), Some("pendingPodConditions"))]
    #[case::more_conditions(json!({"strategy": "accurate", "pendingPodConditions": ["Ready"]}), json!({"strategy": "accurate", "pendingPodConditions": ["Ready", "X"]}), None)]
    #[case::fewer_conditions(json!({"strategy": "accurate", "pendingPodConditions": ["Ready", "X"]}), json!({"strategy": "accurate", "pendingPodConditions": ["Ready"]}), Some("pendingPodConditions"))]
    fn strategies(#[case] old: Value, #[case] new: Value, #[case] expected: Option<&str>) {
        let of = |strategy: &Value| json!({"spec": {"scalingStrategy": strategy}});
        let (old, new) = (of(&old), of(&new));
        let got = faster(Object::of(&old), Object::of(&new));
        let field = expected.map(|key| format!("spec.scalingStrategy.{key}"));
        assert_eq!(got.first().map(|f| f.field.clone()), field);
    }
}
