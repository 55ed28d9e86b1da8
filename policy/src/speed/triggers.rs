//! Whether new triggers ask for more pods than old ones.
//!
//! The HPA takes the highest number that its metrics ask for (Kubernetes `horizontal.go`,
//! `computeReplicasForMetrics`), and KEDA makes one metric of each trigger. So triggers are
//! no faster than before when each is the same as an old one but for a higher target, a
//! higher activation, or values that are kept for longer; one that goes away asks for less.
//! Under a `scalingModifiers` formula each trigger is a term of it, and any change counts.
//!
//! A ScaledJob takes one of its triggers, or their sum or average (`pkg/scaling/scaledjob/
//! metrics.go`). Which one it takes is decided by what waits, so there one that goes away,
//! or that is active less often, may leave the field to one that asks for more.

use super::Faster;
use crate::fields::scaled_job::DEFAULT_CALCULATION;
use crate::fields::trigger::{DEFAULT_METRIC_TYPE, DEFAULT_REFERENCE_KIND};
use crate::objects::object::{alike, Object};
use crate::objects::quantity::{decimal, quantity, written};
use crate::objects::scalers::{Scaler, Unit};
use crate::objects::trigger::{Threshold, Trigger};
use gate::parse::{get, Json};

const MODIFIERS: [&str; 3] = ["spec", "advanced", "scalingModifiers"];
/// Triggers beyond which only the same list is compared.
const MOST: usize = 64;

/// How several triggers become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Several {
    /// The highest number that one asks for.
    Highest,
    /// What was a sum, which is no less than any of its parts.
    Sum,
    /// The number of one that something else chose, or a mean of those that are active.
    Chosen,
}

const CALCULATION: [&str; 3] = ["spec", "scalingStrategy", "multipleScalersCalculation"];

impl Several {
    /// Those of a ScaledJob.
    fn of_scaled_job(old: Object, new: Object) -> Self {
        if list(old).len() <= 1 && list(new).len() <= 1 {
            Several::Highest
        } else if calculation(old) == "sum" {
            Several::Sum
        } else {
            Several::Chosen
        }
    }
}

/// KEDA takes what it does not know for the default.
fn calculation<'a>(object: Object<'a>) -> &'a str {
    match object.text(&CALCULATION) {
        known @ ("min" | "avg" | "sum") => known,
        _ => DEFAULT_CALCULATION,
    }
}

/// The same as [`faster`] for a ScaledJob.
pub fn faster_of_scaled_job(old: Object, new: Object) -> Vec<Faster> {
    let several = Several::of_scaled_job(old, new);
    let mut found = faster(old, new, several);
    if several == Several::Chosen && calculation(old) != calculation(new) {
        let why = "another trigger may count, or several together";
        found.push(Faster::incomparable(CALCULATION.join("."), why));
    }
    found
}

/// Fields by which the triggers of `new`, or its formula, may ask for more.
pub fn faster(old: Object, new: Object, several: Several) -> Vec<Faster> {
    let mut found = Vec::from_iter(modifiers(old, new));
    let (was, is) = (list(old), list(new));
    if was.len().max(is.len()) > MOST {
        if !alike(old.at(&["spec", "triggers"]), new.at(&["spec", "triggers"])) {
            found.push(Faster::incomparable("spec.triggers", "too many of them"));
        }
        return found;
    }
    let formula = |o: Object| !o.text(&[MODIFIERS.as_slice(), &["formula"]].concat()).is_empty();
    if formula(old) || formula(new) {
        found.extend(another_term(&was, &is));
    } else {
        found.extend(each_asks_for_more(&was, &is));
        if found.is_empty() && several != Several::Highest {
            found.extend(others_count_more(&was, &is, several));
        }
    }
    if found.is_empty() {
        found.extend(stopped_all(&was, &is));
    }
    found
}

/// Each trigger that asks for more than all of before.
fn each_asks_for_more(was: &[Trigger], is: &[Trigger]) -> Vec<Faster> {
    let mut found = Vec::new();
    for (i, trigger) in is.iter().enumerate() {
        if was.iter().any(|old| difference(*old, *trigger).is_none()) {
            continue;
        }
        // The one in its place says best what is wrong.
        let twin = was.get(i).filter(|old| old.kind() == trigger.kind());
        let twin = twin.or_else(|| was.iter().find(|old| old.kind() == trigger.kind()));
        found.push(match twin.and_then(|old| difference(*old, *trigger)) {
            Some(difference) => {
                let field = format!("spec.triggers[{i}].{}", difference.field);
                Faster { field, ..difference }
            }
            None => Faster::new(format!("spec.triggers[{i}]"), "is one more to ask for pods"),
        });
    }
    found
}

/// One that KEDA refuses stops all of its object (`scalers_builder.go`), so one that goes,
/// or is put right, starts them.
fn stopped_all(was: &[Trigger], is: &[Trigger]) -> Option<Faster> {
    let has_gone = |old: &&Trigger| !is.iter().any(|new| alike(old.0 .0, new.0 .0));
    let mut refused = was.iter().filter(|old| old.is_refused());
    refused.any(|old| has_gone(&old)).then(|| {
        let why = "KEDA 2.21 refuses an old trigger, which stops all";
        Faster::incomparable("spec.triggers", why)
    })
}

/// Another set of the terms of a formula. CPU and memory stay outside it
/// (`controllers/keda/hpa.go`).
fn another_term(was: &[Trigger], is: &[Trigger]) -> Option<Faster> {
    let outside = |t: &Trigger| matches!(t.kind(), "cpu" | "memory");
    let terms = |list: &[Trigger<'_>]| list.iter().filter(|t| !outside(t)).count();
    let has_term = |new: &Trigger| was.iter().any(|old| is_same_term(*old, *new));
    let has_twin = |new: &Trigger| was.iter().any(|old| difference(*old, *new).is_none());
    let why = if terms(was) != terms(is) {
        "each is a term of the formula"
    } else if !is.iter().all(|t| if outside(t) { has_twin(t) } else { has_term(t) }) {
        "one is another term of the formula"
    } else {
        return None;
    };
    Some(Faster::incomparable("spec.triggers", why))
}

/// What lets other triggers count for more, where each one by itself asks for no more.
fn others_count_more(was: &[Trigger], is: &[Trigger], several: Several) -> Option<Faster> {
    let why = "another one may count instead";
    let mut free: Vec<&Trigger> = was.iter().collect();
    for (i, new) in is.iter().enumerate() {
        let is_twin = |old: &&Trigger| {
            difference(**old, *new).is_none()
                && (several == Several::Sum || is_as_active(**old, *new))
        };
        let Some(twin) = free.iter().position(is_twin) else {
            return Some(Faster::incomparable(format!("spec.triggers[{i}]"), why));
        };
        free.swap_remove(twin);
    }
    (several == Several::Chosen && !free.is_empty())
        .then(|| Faster::incomparable("spec.triggers", why))
}

/// Whether both are active at the same moments.
fn is_as_active(old: Trigger, new: Trigger) -> bool {
    let mut both = metadata_keys(old).into_iter().chain(metadata_keys(new));
    both.all(|key| !key.starts_with("activation") || is_same_value(old, new, &key))
}

fn list<'a>(object: Object<'a>) -> Vec<Trigger<'a>> {
    let items = object.at(&["spec", "triggers"]).as_array().unwrap_or_default();
    items.iter().map(|t| Trigger(Object(t))).collect()
}

/// Scalers that give no more than the partitions at their target can take: there the target
/// is a part of the value.
const CAPPED: [&str; 5] = ["apache-kafka", "azure-cosmosdb", "azure-eventhub", "kafka", "liiklus"];

/// The same value for a formula, asked for no more often. Targets and activations of its
/// triggers say nothing there, since the formula has its own, but where they make the value.
fn is_same_term(old: Trigger, new: Trigger) -> bool {
    let same = |key| alike(get(old.0 .0, key), get(new.0 .0, key));
    let is_said_by_the_formula = |key: &str| {
        let makes_the_value = new.unit() == Unit::Calendar || CAPPED.contains(&new.kind());
        let scaler = Scaler::of(new.kind());
        let is_target = scaler.is_some_and(|s| s.targets.iter().any(|t| t.key == key));
        (is_target && !makes_the_value) || key.starts_with("activation")
    };
    let mut both = metadata_keys(old).into_iter().chain(metadata_keys(new));
    same("type")
        && same("name")
        && both.all(|key| is_said_by_the_formula(&key) || is_same_value(old, new, &key))
        && difference_of_caller(old, new).is_none()
}

/// Whether a key says the same in both: an empty or absent one has the scaler's default.
fn is_same_value(old: Trigger, new: Trigger, key: &str) -> bool {
    let default = Scaler::of(new.kind()).map_or("", |s| s.default_of(key));
    let value = |t: Trigger<'_>| match t.metadata(key) {
        "" => default.to_owned(),
        text => text.to_owned(),
    };
    let at = |t: Trigger<'_>| matches!(t.0.at(&["metadata", key]), Json::Str(_) | Json::Null);
    // What is no text is compared as it is.
    if at(old) && at(new) {
        value(old) == value(new)
    } else {
        alike(old.0.at(&["metadata", key]), new.0.at(&["metadata", key]))
    }
}

fn metadata_keys(trigger: Trigger) -> Vec<String> {
    let map = get(trigger.0 .0, "metadata").as_object();
    map.into_iter().flat_map(|m| m.iter()).map(|(key, _)| key.to_owned()).collect()
}

/// What keeps `new` from being no faster than `old`, with its path in the trigger.
fn difference(old: Trigger, new: Trigger) -> Option<Faster> {
    if old.kind() != new.kind() {
        return Some(Faster::incomparable("type", "another source"));
    }
    difference_of_caller(old, new).or_else(|| {
        let target = new.target_key();
        if asks_for_more(old, new) {
            let written = |t: Trigger| match t.metadata(t.target_key()) {
                "" => "the default".to_owned(),
                text => text.to_owned(),
            };
            let field = format!("metadata.{target}");
            return Some(Faster::new(field, format!("{} -> {}", written(old), written(new))));
        }
        difference_of_metadata(old, new)
    })
}

fn is_lower(was: Threshold, is: Threshold) -> bool {
    match (was, is) {
        (Threshold::At(was), Threshold::At(is)) => is < was,
        // What is not read as a number is compared as text, below.
        _ => false,
    }
}

/// Whether `new` asks for more by its target. At an hour of the day it is the replicas
/// themselves, everywhere else what a replica takes on.
fn asks_for_more(old: Trigger, new: Trigger) -> bool {
    if new.unit() == Unit::Calendar {
        is_lower(new.threshold(), old.threshold())
    } else {
        is_lower(old.threshold(), new.threshold())
    }
}

fn difference_of_metadata(old: Trigger, new: Trigger) -> Option<Faster> {
    let is_target =
        |t: Trigger, key: &str| matches!(t.threshold(), Threshold::At(_)) && t.target_key() == key;
    let scaler = Scaler::of(new.kind());
    let both = metadata_keys(old).into_iter().chain(metadata_keys(new));
    for key in both.filter(|key| !scaler.is_some_and(|s| s.ignores.contains(&key.as_str()))) {
        let at = |t: Trigger<'_>| -> String { t.metadata(&key).to_owned() };
        let same = is_same_value(old, new, &key);
        if same || (is_target(old, &key) && is_target(new, &key)) {
            continue;
        }
        let field = format!("metadata.{key}");
        // Of a scaler with several metrics each has a target of its own.
        let is_one_of_several = scaler
            .is_some_and(|s| s.targets.iter().any(|t| t.key == key && t.unit != Unit::Calendar));
        if is_one_of_several {
            match (decimal(&at(old)), decimal(&at(new))) {
                (Some(was), Some(is)) if is >= was => continue,
                (Some(_), Some(_)) => {
                    return Some(Faster::new(field, format!("{} -> {}", at(old), at(new))));
                }
                _ => {}
            }
        }
        if key.starts_with("activation") {
            let idle = scaler.map_or(0.0, |s| s.idle_up_to);
            let number = |text: &str| if text.is_empty() { Some(idle) } else { decimal(text) };
            match (number(&at(old)), number(&at(new))) {
                (Some(was), Some(is)) if is >= was => continue,
                (Some(_), Some(_)) => return Some(Faster::new(field, "wakes the target sooner")),
                _ => {}
            }
        }
        return Some(Faster::incomparable(field, "it may measure something else"));
    }
    None
}

/// How and as whom it asks.
fn difference_of_caller(old: Trigger, new: Trigger) -> Option<Faster> {
    let text = |t: Trigger<'_>, path: &[&str], default: &str| match t.0.text(path) {
        "" => default.to_owned(),
        text => text.to_owned(),
    };
    if text(old, &["metricType"], DEFAULT_METRIC_TYPE)
        != text(new, &["metricType"], DEFAULT_METRIC_TYPE)
    {
        return Some(Faster::incomparable("metricType", "another way to count"));
    }
    let name = ["authenticationRef", "name"];
    let kind = ["authenticationRef", "kind"];
    if text(old, &name, "") != text(new, &name, "")
        || text(old, &kind, DEFAULT_REFERENCE_KIND) != text(new, &kind, DEFAULT_REFERENCE_KIND)
    {
        return Some(Faster::incomparable(
            "authenticationRef",
            "another caller may see another source",
        ));
    }
    if old.is_cached() && !new.is_cached() {
        return Some(Faster::new("useCachedMetrics", "the source is asked each 15 s"));
    }
    None
}

fn modifiers(old: Object, new: Object) -> Option<Faster> {
    let at = |o: Object<'_>, key: &str| -> Json<'static> {
        match o.at(&[MODIFIERS.as_slice(), &[key]].concat()).as_str() {
            Some(text) if !text.is_empty() => Json::Str(text.to_owned().into()),
            _ => Json::Null,
        }
    };
    let field = |key: &str| format!("{}.{key}", MODIFIERS.join("."));
    if at(old, "formula") != at(new, "formula") {
        return Some(Faster::incomparable(field("formula"), "another metric"));
    }
    let kind = |o| match at(o, "metricType") {
        Json::Null => Json::Str(DEFAULT_METRIC_TYPE.into()),
        kind => kind,
    };
    if kind(old) != kind(new) {
        return Some(Faster::incomparable(field("metricType"), "another way to count"));
    }
    for (key, absent) in [("target", ""), ("activationTarget", "0")] {
        let number = |o| match at(o, key) {
            Json::Null => decimal(absent),
            text => quantity(&text),
        };
        match (number(old), number(new)) {
            _ if at(old, key) == at(new, key) => {}
            (Some(was), Some(is)) if is >= was => {}
            (Some(_), Some(_)) => {
                let shown = |o| written(&at(o, key), absent);
                let note = format!("{} -> {}", shown(old), shown(new));
                return Some(Faster::new(field(key), note));
            }
            _ => return Some(Faster::incomparable(field(key), "not a number")),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{json, Value};

    fn redis(metadata: Value) -> Value {
        json!({"type": "redis", "metadata": metadata})
    }

    #[rstest]
    #[case::same(json!([redis(json!({"listLength": "8"}))]), json!([redis(json!({"listLength": "8"}))]), None)]
    #[case::higher(json!([redis(json!({"listLength": "8"}))]), json!([redis(json!({"listLength": "16"}))]), None)]
    #[case::lower(json!([redis(json!({"listLength": "16"}))]), json!([redis(json!({"listLength": "8"}))]), Some("spec.triggers[0].metadata.listLength"))]
    #[case::default_written_out(json!([redis(json!({}))]), json!([redis(json!({"listLength": "5"}))]), None)]
    #[case::empty_is_the_default(json!([redis(json!({"listLength": ""}))]), json!([redis(json!({"listLength": "5"}))]), None)]
    #[case::below_the_default(json!([redis(json!({}))]), json!([redis(json!({"listLength": "4"}))]), Some("spec.triggers[0].metadata.listLength"))]
    #[case::removed_below(json!([redis(json!({"listLength": "8"}))]), json!([redis(json!({}))]), Some("spec.triggers[0].metadata.listLength"))]
    #[case::no_number(json!([redis(json!({"listLength": "8"}))]), json!([redis(json!({"listLength": "x"}))]), Some("spec.triggers[0].metadata.listLength"))]
    #[case::another_list(json!([redis(json!({"listName": "a"}))]), json!([redis(json!({"listName": "b"}))]), Some("spec.triggers[0].metadata.listName"))]
    #[case::activation_raised(json!([redis(json!({}))]), json!([redis(json!({"activationListLength": "5"}))]), None)]
    #[case::activation_lowered(json!([redis(json!({"activationListLength": "5"}))]), json!([redis(json!({}))]), Some("spec.triggers[0].metadata.activationListLength"))]
    #[case::one_fewer(json!([redis(json!({})), {"type": "cpu"}]), json!([redis(json!({}))]), None)]
    #[case::one_more(json!([redis(json!({}))]), json!([redis(json!({})), {"type": "cpu"}]), Some("spec.triggers[1]"))]
    #[case::another_order(json!([redis(json!({})), {"type": "cpu"}]), json!([{"type": "cpu"}, redis(json!({}))]), None)]
    #[case::metric_type_written_out(json!([{"type": "redis"}]), json!([{"type": "redis", "metricType": "AverageValue"}]), None)]
    #[case::another_metric_type(json!([{"type": "redis"}]), json!([{"type": "redis", "metricType": "Value"}]), Some("spec.triggers[0].metricType"))]
    #[case::reference_written_out(json!([{"type": "redis", "authenticationRef": {"name": "a"}}]), json!([{"type": "redis", "authenticationRef": {"name": "a", "kind": "TriggerAuthentication"}}]), None)]
    #[case::another_reference(json!([{"type": "redis", "authenticationRef": {"name": "a"}}]), json!([{"type": "redis", "authenticationRef": {"name": "b"}}]), Some("spec.triggers[0].authenticationRef"))]
    #[case::cached(json!([{"type": "redis"}]), json!([{"type": "redis", "useCachedMetrics": true}]), None)]
    #[case::no_longer_cached(json!([{"type": "redis", "useCachedMetrics": true}]), json!([{"type": "redis"}]), Some("spec.triggers[0].useCachedMetrics"))]
    #[case::named(json!([{"type": "redis"}]), json!([{"type": "redis", "name": "queue"}]), None)]
    #[case::one_of_several_raised(json!([{"type": "solace-event-queue", "metadata": {"messageCountTarget": "8", "messageReceiveRateTarget": "5"}}]), json!([{"type": "solace-event-queue", "metadata": {"messageCountTarget": "8", "messageReceiveRateTarget": "6"}}]), None)]
    #[case::one_of_several_lowered(json!([{"type": "solace-event-queue", "metadata": {"messageCountTarget": "8", "messageReceiveRateTarget": "5"}}]), json!([{"type": "solace-event-queue", "metadata": {"messageCountTarget": "8", "messageReceiveRateTarget": "4"}}]), Some("spec.triggers[0].metadata.messageReceiveRateTarget"))]
    #[case::one_of_several_added(json!([{"type": "solace-event-queue", "metadata": {"messageCountTarget": "8"}}]), json!([{"type": "solace-event-queue", "metadata": {"messageCountTarget": "8", "messageReceiveRateTarget": "4"}}]), Some("spec.triggers[0].metadata.messageReceiveRateTarget"))]
    #[case::a_default_of_the_scaler(json!([redis(json!({"listName": "a"}))]), json!([redis(json!({"listName": "a", "databaseIndex": "0"}))]), None)]
    #[case::more_at_an_hour(json!([{"type": "cron", "metadata": {"desiredReplicas": "3"}}]), json!([{"type": "cron", "metadata": {"desiredReplicas": "4"}}]), Some("spec.triggers[0].metadata.desiredReplicas"))]
    #[case::fewer_at_an_hour(json!([{"type": "cron", "metadata": {"desiredReplicas": "3"}}]), json!([{"type": "cron", "metadata": {"desiredReplicas": "2"}}]), None)]
    #[case::a_key_that_changes_nothing(json!([{"type": "mysql", "metadata": {"metricName": "a"}}]), json!([{"type": "mysql", "metadata": {"metricName": "b"}}]), None)]
    #[case::of_a_scaler_that_is_not_known(json!([{"type": "x", "metadata": {"threshold": "8"}}]), json!([{"type": "x", "metadata": {"threshold": "9"}}]), Some("spec.triggers[0].metadata.threshold"))]
    fn lists(#[case] old: Value, #[case] new: Value, #[case] expected: Option<&str>) {
        let of = |triggers: &Value| json!({"spec": {"triggers": triggers}});
        let (old, new) = (of(&old), of(&new));
        let got = faster(Object::of(&old), Object::of(&new), Several::Highest);
        assert_eq!(got.first().map(|f| f.field.as_str()), expected);
    }

    #[rstest]
    #[case::target_raised(json!({"formula": "a", "target": "8"}), json!({"formula": "a", "target": "9"}), None)]
    #[case::target_lowered(json!({"formula": "a", "target": "8"}), json!({"formula": "a", "target": "7"}), Some("target"))]
    #[case::activation_raised(json!({"formula": "a", "target": "8"}), json!({"formula": "a", "target": "8", "activationTarget": "1"}), None)]
    #[case::activation_lowered(json!({"formula": "a", "target": "8", "activationTarget": "1"}), json!({"formula": "a", "target": "8"}), Some("activationTarget"))]
    #[case::another_formula(json!({"formula": "a", "target": "8"}), json!({"formula": "b", "target": "8"}), Some("formula"))]
    #[case::metric_type_written_out(json!({"formula": "a", "target": "8"}), json!({"formula": "a", "target": "8", "metricType": "AverageValue"}), None)]
    #[case::another_metric_type(json!({"formula": "a", "target": "8"}), json!({"formula": "a", "target": "8", "metricType": "Value"}), Some("metricType"))]
    #[case::empty(json!(null), json!({"formula": ""}), None)]
    fn formulas(#[case] old: Value, #[case] new: Value, #[case] expected: Option<&str>) {
        let of = |m: &Value| json!({"spec": {"advanced": {"scalingModifiers": m}}});
        let (old, new) = (of(&old), of(&new));
        let got = faster(Object::of(&old), Object::of(&new), Several::Highest)
            .first()
            .map(|f| f.field.clone());
        assert_eq!(got, expected.map(|key| format!("spec.advanced.scalingModifiers.{key}")));
    }

    #[rstest]
    #[case::same("max", json!([redis(json!({"listLength": "8"})), {"type": "cpu"}]), true)]
    #[case::another_order("max", json!([{"type": "cpu"}, redis(json!({"listLength": "8"}))]), true)]
    #[case::higher_target("max", json!([redis(json!({"listLength": "9"})), {"type": "cpu"}]), true)]
    #[case::one_fewer_of_the_longest("max", json!([{"type": "cpu"}]), false)]
    #[case::one_fewer_of_the_shortest("min", json!([{"type": "cpu"}]), false)]
    #[case::one_fewer_on_average("avg", json!([{"type": "cpu"}]), false)]
    #[case::one_fewer_of_a_sum("sum", json!([{"type": "cpu"}]), true)]
    #[case::one_twice_in_a_sum("sum", json!([{"type": "cpu"}, {"type": "cpu"}]), false)]
    #[case::active_less_often("min", json!([redis(json!({"listLength": "8", "activationListLength": "5"})), {"type": "cpu"}]), false)]
    #[case::active_less_often_in_a_sum("sum", json!([redis(json!({"listLength": "8", "activationListLength": "5"})), {"type": "cpu"}]), true)]
    fn of_a_scaled_job(#[case] calculation: &str, #[case] new: Value, #[case] slower: bool) {
        let of = |triggers: &Value| json!({"spec": {"triggers": triggers, "scalingStrategy": {"multipleScalersCalculation": calculation}}});
        let (old, new) =
            (of(&json!([redis(json!({"listLength": "8"})), {"type": "cpu"}])), of(&new));
        let (old, new) = (Object::of(&old), Object::of(&new));
        let got = faster_of_scaled_job(old, new);
        assert_eq!(got.is_empty(), slower, "{got:?}");
    }

    /// The longest queue may have the highest target, so even `max` and `min` do not compare.
    #[rstest]
    #[case::of_a_sum("sum", "avg", 2, true)]
    #[case::to_a_sum("max", "sum", 2, false)]
    #[case::to_the_shortest("max", "min", 2, false)]
    #[case::to_the_longest("min", "max", 2, false)]
    #[case::written_out("", "max", 2, true)]
    #[case::not_known("x", "max", 2, true)]
    #[case::of_one("max", "sum", 1, true)]
    fn calculations(
        #[case] old: &str,
        #[case] new: &str,
        #[case] triggers: usize,
        #[case] slower: bool,
    ) {
        let list = [redis(json!({"listLength": "8"})), json!({"type": "cpu"})];
        let of = |calculation| json!({"spec": {"triggers": list[..triggers], "scalingStrategy": {"multipleScalersCalculation": calculation}}});
        let (old, new) = (of(old), of(new));
        let got = faster_of_scaled_job(Object::of(&old), Object::of(&new));
        assert_eq!(got.is_empty(), slower, "{got:?}");
    }

    #[rstest]
    #[case::of_no_type_that_is_known(json!({"type": "x"}))]
    #[case::of_a_target_of_zero(redis(json!({"listLength": "0"})))]
    #[case::of_a_target_of_no_number(redis(json!({"listLength": "x"})))]
    fn one_that_stopped_all_goes(#[case] refused: Value) {
        let of = |triggers: Value| json!({"spec": {"triggers": triggers}});
        let old = of(json!([redis(json!({"listLength": "8"})), refused]));
        let new = of(json!([redis(json!({"listLength": "8"}))]));
        let got = faster(Object::of(&old), Object::of(&new), Several::Highest);
        assert_eq!(got[0].field, "spec.triggers");
        assert!(faster(Object::of(&old), Object::of(&old), Several::Highest).is_empty());
    }

    #[test]
    fn one_that_stopped_all_is_put_right_under_a_formula() {
        let of = |length: &str| json!({"spec": {"triggers": [redis(json!({"listLength": length}))], "advanced": {"scalingModifiers": {"formula": "a", "target": "8"}}}});
        let (old, new) = (of("0"), of("9"));
        let got = faster(Object::of(&old), Object::of(&new), Several::Highest);
        assert_eq!(got[0].field, "spec.triggers");
    }

    #[test]
    fn under_a_formula_each_trigger_is_a_term() {
        let of = |triggers: Value| json!({"spec": {"triggers": triggers, "advanced": {"scalingModifiers": {"formula": "a", "target": "8"}}}});
        let old = of(json!([redis(json!({"listLength": "8"}))]));
        let new = of(json!([redis(json!({"listName": "x"}))]));
        let got = faster(Object::of(&old), Object::of(&new), Several::Highest);
        assert_eq!(got[0].field, "spec.triggers");
        // The formula has a target of its own.
        let lower = of(json!([redis(json!({"listLength": "1"}))]));
        assert!(faster(Object::of(&old), Object::of(&lower), Several::Highest).is_empty());
        let cron = |n: &str| of(json!([{"type": "cron", "metadata": {"desiredReplicas": n}}]));
        assert!(
            !faster(Object::of(&cron("4")), Object::of(&cron("9")), Several::Highest).is_empty()
        );
        let kafka = |n: &str| of(json!([{"type": "kafka", "metadata": {"lagThreshold": n}}]));
        assert!(!faster(Object::of(&kafka("10")), Object::of(&kafka("1000")), Several::Highest)
            .is_empty());
        let cpu = |n: &str| of(json!([{"type": "cpu", "metadata": {"value": n}}]));
        assert!(
            !faster(Object::of(&cpu("60")), Object::of(&cpu("50")), Several::Highest).is_empty()
        );
        assert!(faster(Object::of(&cpu("60")), Object::of(&cpu("80")), Several::Highest).is_empty());
    }
}
