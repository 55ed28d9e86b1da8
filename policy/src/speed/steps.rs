//! How fast a Rollout goes through its steps.
//!
//! The steps of two objects can be compared when each does the same: at every step the new
//! canary is no larger, and no pause is shorter. Argo Rollouts begins anew when steps change
//! (`utils/replicaset`, `checkStepHashChange`), so steps of another number or kind say
//! nothing about what comes sooner.

use super::Faster;
use crate::fields::rollout::DEFAULT_TEMPLATE_REPLICAS;
use crate::objects::object::{alike, number, Object};
use crate::objects::quantity::decimal;
use gate::parse::{get, Json};
use std::cmp::Ordering;

const STEPS: &str = "spec.strategy.canary.steps";

/// Fields of blue-green and of a rollback that make pods come sooner, and the steps.
pub fn faster(old: Object, new: Object) -> Vec<Faster> {
    let mut found = Vec::new();
    found.extend(steps(old, new));
    let blue_green = |o: Object, key| o.number(&["spec", "strategy", "blueGreen", key]);
    let is_blue_green = |o: Object| o.at(&["spec", "strategy", "blueGreen"]).is_object();
    if is_blue_green(old) && is_blue_green(new) {
        // Absent is all of them.
        let preview = |o| blue_green(o, "previewReplicaCount").unwrap_or(i64::MAX);
        if preview(new) > preview(old) {
            let note = "more pods before the preview is promoted";
            found.push(Faster::new("spec.strategy.blueGreen.previewReplicaCount", note));
        }
        // Whether it waits to be told, then for how long.
        let waits = |o: Object| {
            let enabled = o.at(&["spec", "strategy", "blueGreen", "autoPromotionEnabled"]);
            enabled.as_bool() == Some(false)
        };
        let seconds = |o| blue_green(o, "autoPromotionSeconds");
        let delay = |o| match (waits(o), seconds(o)) {
            (true, None) => i64::MAX,
            (_, s) => s.unwrap_or(0),
        };
        if delay(new) < delay(old) {
            let key = if waits(new) == waits(old) {
                "autoPromotionSeconds"
            } else {
                "autoPromotionEnabled"
            };
            let note = "the preview is promoted sooner";
            found.push(Faster::new(format!("spec.strategy.blueGreen.{key}"), note));
        }
    }
    let window = |o: Object| o.number(&["spec", "rollbackWindow", "revisions"]).unwrap_or(0);
    if window(new) > window(old) {
        let note = "a rollback to more revisions skips the steps";
        found.push(Faster::new("spec.rollbackWindow.revisions", note));
    }
    let threshold = ["spec", "strategy", "canary", "replicaProgressThreshold"];
    if !alike(old.at(&threshold), new.at(&threshold)) && !new.at(&threshold).is_null() {
        let field = "spec.strategy.canary.replicaProgressThreshold";
        found.push(Faster::incomparable(field, "a step ends at another number of pods"));
    }
    found
}

fn list<'a>(object: Object<'a>) -> &'a [Json<'a>] {
    object.at(&["spec", "strategy", "canary", "steps"]).as_array().unwrap_or_default()
}

fn steps(old: Object, new: Object) -> Option<Faster> {
    let (old, new) = (list(old), list(new));
    // Without steps the canary is as large as it gets at once.
    if old.is_empty() {
        return None;
    }
    // A pause more holds longer: Argo begins anew, and waits there.
    let mut rest = old.iter().peekable();
    let mut first = None;
    for (i, new) in new.iter().enumerate() {
        let found = match rest.peek() {
            Some(old) if *old == new => None,
            Some(old) => step(i, Object(old), Object(new)),
            None => Some(Faster::incomparable(STEPS, "another number of steps")),
        };
        match found {
            None => {
                rest.next();
            }
            Some(_) if is_pause(new) => first = first.or(found),
            found => return found,
        }
    }
    let is_left = rest.next().is_some();
    let why = "another number of steps";
    is_left.then(|| first.unwrap_or_else(|| Faster::incomparable(STEPS, why)))
}

/// A step that does nothing else.
fn is_pause(step: &Json) -> bool {
    get(step, "pause").is_object() && step.as_object().is_some_and(|s| s.iter().count() == 1)
}

fn step(i: usize, old: Object, new: Object) -> Option<Faster> {
    let at = |key: &str| format!("{STEPS}[{i}].{key}");
    let higher = |key: &str, old: i64, new: i64| {
        (new > old).then(|| Faster::new(at(key), format!("{old} -> {new}")))
    };
    for key in ["setWeight", "pause", "setCanaryScale", "experiment", "analysis", "plugin"] {
        let (was, is) = (get(old.0, key), get(new.0, key));
        if was.is_null() != is.is_null() {
            return Some(Faster::incomparable(at(key), "a step of another kind"));
        }
    }
    for key in ["analysis", "plugin"] {
        if !alike(get(old.0, key), get(new.0, key)) {
            return Some(Faster::incomparable(at(key), "the next step waits for something else"));
        }
    }
    let weight = |o: Object| o.number(&["setWeight"]).unwrap_or(0);
    if let Some(found) = higher("setWeight", weight(old), weight(new)) {
        return Some(found);
    }
    if shorter_pause(old.at(&["pause", "duration"]), new.at(&["pause", "duration"])) {
        return Some(Faster::new(at("pause.duration"), "holds for less long"));
    }
    canary_scale(&at, old, new).or_else(|| experiment(&at, old, new))
}

/// Absent waits for an operator. What neither this nor Argo reads as a time is no pause.
fn shorter_pause(old: &Json, new: &Json) -> bool {
    let seconds = |duration: &Json| match duration {
        Json::Null => f64::INFINITY,
        Json::Str(text) => duration_s(text).unwrap_or(f64::NAN),
        value => value.as_f64().unwrap_or(f64::NAN),
    };
    let is_as_long = matches!(
        seconds(new).partial_cmp(&seconds(old)),
        Some(Ordering::Greater | Ordering::Equal)
    );
    old != new && !is_as_long
}

/// A number of seconds, or Go's `1h30m`.
fn duration_s(text: &str) -> Option<f64> {
    if let Some(seconds) = decimal(text) {
        return Some(seconds);
    }
    let (mut total, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit) = rest.split_at(digits);
        let end = unit.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(unit.len());
        let (unit, after) = unit.split_at(end);
        let factor = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            _ => return None,
        };
        total += decimal(number)? * factor;
        rest = after;
    }
    Some(total)
}

fn canary_scale(at: &dyn Fn(&str) -> String, old: Object, new: Object) -> Option<Faster> {
    let of = |o: Object, key| number(o.at(&["setCanaryScale", key]));
    let matches = |o: Object| o.at(&["setCanaryScale", "matchTrafficWeight"]).as_bool();
    if matches(old).unwrap_or(false) != matches(new).unwrap_or(false) {
        let why = "one follows the traffic, the other does not";
        return Some(Faster::incomparable(at("setCanaryScale.matchTrafficWeight"), why));
    }
    for key in ["replicas", "weight"] {
        match (of(old, key), of(new, key)) {
            (None, None) => {}
            (Some(old), Some(new)) if new <= old => {}
            (Some(old), Some(new)) => {
                let field = at(&format!("setCanaryScale.{key}"));
                return Some(Faster::new(field, format!("{old} -> {new}")));
            }
            _ => {
                let field = at(&format!("setCanaryScale.{key}"));
                return Some(Faster::incomparable(field, "a number of another kind"));
            }
        }
    }
    None
}

fn experiment(at: &dyn Fn(&str) -> String, old: Object, new: Object) -> Option<Faster> {
    let templates = |o: Object<'_>| -> Vec<i64> {
        let list = o.at(&["experiment", "templates"]).as_array().unwrap_or_default();
        list.iter()
            .map(|t| Object(t).number(&["replicas"]).unwrap_or(DEFAULT_TEMPLATE_REPLICAS))
            .collect()
    };
    let (was, is) = (templates(old), templates(new));
    if is.len() > was.len() {
        return Some(Faster::new(at("experiment.templates"), "one more of them"));
    }
    if let Some(i) = is.iter().zip(&was).position(|(is, was)| is > was) {
        let field = at(&format!("experiment.templates[{i}].replicas"));
        return Some(Faster::new(field, "more pods in this step"));
    }
    for key in ["duration", "scaleDownDelaySeconds", "analyses"] {
        let path = ["experiment", key];
        if !alike(old.at(&path), new.at(&path)) {
            let field = at(&format!("experiment.{key}"));
            return Some(Faster::incomparable(field, "the next step waits for something else"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{json, Value};

    fn canary(steps: Value) -> Value {
        json!({"canary": {"steps": steps}})
    }

    #[rstest]
    #[case::same(canary(json!([{"setWeight": 10}])), canary(json!([{"setWeight": 10}])), None)]
    #[case::lower(canary(json!([{"setWeight": 10}])), canary(json!([{"setWeight": 5}])), None)]
    #[case::higher(canary(json!([{"setWeight": 10}])), canary(json!([{"setWeight": 11}])), Some("spec.strategy.canary.steps[0].setWeight"))]
    #[case::one_more(canary(json!([{"setWeight": 1}])), canary(json!([{"setWeight": 1}, {"setWeight": 1}])), Some("spec.strategy.canary.steps"))]
    #[case::a_pause_more(canary(json!([{"setWeight": 1}])), canary(json!([{"pause": {}}, {"setWeight": 1}, {"pause": {}}])), None)]
    #[case::one_fewer(canary(json!([{"setWeight": 1}, {"pause": {}}])), canary(json!([{"setWeight": 1}])), Some("spec.strategy.canary.steps"))]
    #[case::where_there_were_none(canary(json!([])), canary(json!([{"setWeight": 1}])), None)]
    #[case::another_kind(canary(json!([{"setWeight": 10}])), canary(json!([{"analysis": {"templates": [{"templateName": "a"}]}}])), Some("spec.strategy.canary.steps[0].setWeight"))]
    #[case::longer_pause(canary(json!([{"pause": {"duration": "10m"}}])), canary(json!([{"pause": {"duration": "1h"}}])), None)]
    #[case::pause_for_good(canary(json!([{"pause": {"duration": 60}}])), canary(json!([{"pause": {}}])), None)]
    #[case::shorter_pause(canary(json!([{"pause": {}}])), canary(json!([{"pause": {"duration": 60}}])), Some("spec.strategy.canary.steps[0].pause.duration"))]
    #[case::no_time(canary(json!([{"pause": {"duration": "10m"}}])), canary(json!([{"pause": {"duration": "soon"}}])), Some("spec.strategy.canary.steps[0].pause.duration"))]
    #[case::larger_canary(canary(json!([{"setCanaryScale": {"weight": 10}}])), canary(json!([{"setCanaryScale": {"weight": 100}}])), Some("spec.strategy.canary.steps[0].setCanaryScale.weight"))]
    #[case::smaller_canary(canary(json!([{"setCanaryScale": {"replicas": 3}}])), canary(json!([{"setCanaryScale": {"replicas": 2}}])), None)]
    #[case::other_kind_of_scale(canary(json!([{"setCanaryScale": {"replicas": 3}}])), canary(json!([{"setCanaryScale": {"weight": 2}}])), Some("spec.strategy.canary.steps[0].setCanaryScale.replicas"))]
    #[case::follows_traffic(canary(json!([{"setCanaryScale": {"weight": 10}}])), canary(json!([{"setCanaryScale": {"matchTrafficWeight": true}}])), Some("spec.strategy.canary.steps[0].setCanaryScale.matchTrafficWeight"))]
    #[case::analysis(canary(json!([{"analysis": {"templates": [{"templateName": "a"}]}}])), canary(json!([{"analysis": {"templates": [{"templateName": "b"}]}}])), Some("spec.strategy.canary.steps[0].analysis"))]
    #[case::more_in_an_experiment(canary(json!([{"experiment": {"templates": [{}]}}])), canary(json!([{"experiment": {"templates": [{"replicas": 2}]}}])), Some("spec.strategy.canary.steps[0].experiment.templates[0].replicas"))]
    #[case::a_template_more(canary(json!([{"experiment": {"templates": [{}]}}])), canary(json!([{"experiment": {"templates": [{}, {}]}}])), Some("spec.strategy.canary.steps[0].experiment.templates"))]
    #[case::preview(json!({"blueGreen": {"previewReplicaCount": 1}}), json!({"blueGreen": {}}), Some("spec.strategy.blueGreen.previewReplicaCount"))]
    #[case::smaller_preview(json!({"blueGreen": {}}), json!({"blueGreen": {"previewReplicaCount": 1}}), None)]
    #[case::waits_for_nobody(json!({"blueGreen": {"autoPromotionEnabled": false}}), json!({"blueGreen": {"autoPromotionEnabled": true}}), Some("spec.strategy.blueGreen.autoPromotionEnabled"))]
    #[case::waits_for_less_long(json!({"blueGreen": {"autoPromotionSeconds": 60}}), json!({"blueGreen": {"autoPromotionSeconds": 30}}), Some("spec.strategy.blueGreen.autoPromotionSeconds"))]
    #[case::waits_now(json!({"blueGreen": {}}), json!({"blueGreen": {"autoPromotionEnabled": false}}), None)]
    fn of_a_rollout(#[case] old: Value, #[case] new: Value, #[case] expected: Option<&str>) {
        let of = |strategy: &Value| json!({"spec": {"strategy": strategy}});
        let (old, new) = (of(&old), of(&new));
        let got = faster(Object::of(&old), Object::of(&new));
        assert_eq!(got.first().map(|f| f.field.as_str()), expected);
    }

    #[rstest]
    #[case("90", Some(90.0))]
    #[case("1h30m", Some(5400.0))]
    #[case("1.5m", Some(90.0))]
    #[case("500ms", Some(0.5))]
    #[case("10", Some(10.0))]
    #[case("m", None)]
    #[case("1d", None)]
    fn times(#[case] text: &str, #[case] expected: Option<f64>) {
        assert_eq!(duration_s(text), expected);
    }
}
