//! `queue-trigger`: a lane scales on how much work waits, and only KEDA polls
//! the gateway's measurement.
//!
//! Without a queue trigger, or with one that asks for a worker a job, the lane
//! runs at its maximum whatever the canary does; `fallback` under a formula
//! multiplies by the number of triggers (kedacore/keda#5371); a second poller
//! of the measurement URL is refused by the gateway, or makes it refuse KEDA.

use crate::change::Fault;
use crate::objects::measurement::mentions;
use crate::objects::scaled_object::ScaledObject;
use crate::objects::scalers::{Unit, FIXED};
use crate::objects::trigger::{of_text, Threshold, Trigger};
use crate::objects::Object;
use crate::request::Kind;
use crate::settings::{Lane, Limits};
use gate::rule::Rule;

/// All that [`find`] looks at.
pub const LOOKED_AT: [&str; 3] =
    ["spec.triggers", "spec.advanced.scalingModifiers", "spec.fallback"];

/// What is wrong with the triggers and was not before. `old` is absent where
/// the ScaledObject is new on the target.
pub fn find(limits: &Limits, old: Option<ScaledObject>, new: ScaledObject) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault = |field: &str, what: String| {
        faults.push(Fault::always(Rule::QueueTrigger, field, what));
    };
    let has_queue = |so: ScaledObject| queues(so).next().is_some();
    if !has_queue(new) && old.is_none_or(has_queue) {
        fault("spec.triggers", "has no trigger on queue depth".to_owned());
    }
    if let Some(new) = lowest_threshold(new, false) {
        // A query that counts only now was no lower before.
        let was = old.and_then(|old| lowest_threshold(old, true));
        let was = was.map_or(f64::INFINITY, |old| old.number);
        let least = limits.queue_threshold;
        if new.number < f64::from(least) && new.number < was {
            let what =
                format!("is {}, and {least} waiting jobs a replica is the least", new.written);
            fault(&new.field, what);
        }
    }
    let anonymous = |so: ScaledObject| {
        so.triggers().filter(|t| t.is_metrics_api() && !t.authenticates()).count()
    };
    if anonymous(new) > old.map_or(0, anonymous) {
        fault(
            "spec.triggers",
            "has a metrics-api trigger that sends no credentials: authMode `bearer`, `basic`, \
             `apiKey` or `tls` and an authenticationRef are both needed"
                .to_owned(),
        );
    }
    let multiplies = |so: ScaledObject| {
        so.formula_target().is_some()
            && so.fallback_behavior().is_some_and(|b| b != "scalingModifiers")
    };
    if multiplies(new) && !old.is_some_and(multiplies) {
        fault(
            "spec.fallback",
            "with a scalingModifiers formula needs `behavior: scalingModifiers`, else failing \
             triggers multiply it"
                .to_owned(),
        );
    }
    faults
}

/// A threshold, and where and how it is written.
struct Lowest {
    field: String,
    written: String,
    /// What is no number is lower than all.
    number: f64,
}

impl Lowest {
    fn of(field: String, written: &str, threshold: Threshold) -> Option<Self> {
        let number = match threshold {
            Threshold::At(n) => n,
            Threshold::NotANumber => f64::NEG_INFINITY,
            Threshold::Unknown => return None,
        };
        let written = if written.is_empty() { "absent" } else { written };
        Some(Self { field, written: written.to_owned(), number })
    }
}

/// The triggers that say how much work waits, with their places. A query may say anything,
/// so it counts only where nothing else says it.
fn queues<'a>(so: ScaledObject<'a>) -> impl Iterator<Item = (usize, Trigger<'a>)> {
    let of = |unit: Unit| so.triggers().enumerate().filter(move |(_, t)| t.unit() == unit);
    let by_query = of(Unit::Items).next().is_none();
    of(Unit::Items).chain(of(Unit::Query).filter(move |_| by_query))
}

/// The lowest threshold of a queue trigger, or the formula's target where one
/// makes a single metric of them. `with_queries` counts every query, too.
fn lowest_threshold(so: ScaledObject, with_queries: bool) -> Option<Lowest> {
    if let Some(target) = so.formula_target() {
        let field = "spec.advanced.scalingModifiers.target".to_owned();
        return Lowest::of(field, target, of_text(target));
    }
    let mut lowest: Option<Lowest> = None;
    let of_a_query =
        so.triggers().enumerate().filter(|(_, t)| with_queries && t.unit() == Unit::Query);
    for (i, trigger) in queues(so).chain(of_a_query) {
        let key = trigger.target_key();
        let (field, written) = match key {
            FIXED => (format!("spec.triggers[{i}].type"), "fixed at 1 by KEDA"),
            key => (format!("spec.triggers[{i}].metadata.{key}"), trigger.metadata(key)),
        };
        let Some(found) = Lowest::of(field, written, trigger.threshold()) else {
            continue;
        };
        if lowest.as_ref().is_none_or(|low| found.number < low.number) {
            lowest = Some(found);
        }
    }
    lowest
}

/// A measurement URL of the lane in an object that is not the lane's own. KEDA asks for it
/// by triggers of the type `metrics-api` alone; Argo's and Flagger's objects have many
/// places for one.
pub fn foreign_caller(kind: Kind, lane: &Lane, old: Option<Object>, new: Object) -> Option<Fault> {
    let url = lane.measurement_urls.iter().find(|url| {
        let names = |object: Object| match kind {
            Kind::ScaledObject | Kind::ScaledJob => ScaledObject(object)
                .triggers()
                .any(|trigger| trigger.is_metrics_api() && mentions(trigger.0 .0, url)),
            _ => mentions(object.at(&["spec"]), url),
        };
        names(new) && !old.is_some_and(names)
    })?;
    Some(Fault::always(
        Rule::QueueTrigger,
        "spec",
        format!("polls {url}, which has one caller, the lane's ScaledObject"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::sample;
    use rstest::rstest;
    use serde_json::{json, Value};

    fn redis(length: &str) -> Value {
        json!({"triggers": [{"type": "redis", "metadata": {"listLength": length}}]})
    }
    fn two(a: &str, b: &str) -> Value {
        let of = |n| json!({"type": "redis", "metadata": {"listLength": n}});
        json!({"triggers": [of(a), of(b)]})
    }
    fn api(mode: &str) -> Value {
        json!({"triggers": [{"type": "metrics-api", "metadata": {"targetValue": "8", "authMode": mode, "valueLocation": "scaling.pending_jobs"}, "authenticationRef": {"name": "x"}}]})
    }
    fn formula(target: &str, behavior: &str) -> Value {
        json!({
            "triggers": [{"type": "redis", "metadata": {"listLength": "1"}}],
            "advanced": {"scalingModifiers": {"formula": "x", "target": target}},
            "fallback": {"replicas": 2, "behavior": behavior}
        })
    }

    #[rstest]
    #[case::enough(json!(null), redis("8"), &[])]
    #[case::too_low(json!(null), redis("7.9"), &["spec.triggers[0].metadata.listLength"])]
    #[case::kedas_default_of_five(json!(null), json!({"triggers": [{"type": "redis", "metadata": {}}]}), &["spec.triggers[0].metadata.listLength"])]
    #[case::the_second_is_lower(json!(null), two("6", "5"), &["spec.triggers[1].metadata.listLength"])]
    #[case::the_first_is_lower(json!(null), two("5", "6"), &["spec.triggers[0].metadata.listLength"])]
    #[case::the_first_of_equals(json!(null), two("5", "5"), &["spec.triggers[0].metadata.listLength"])]
    #[case::no_number(json!(null), redis("many"), &["spec.triggers[0].metadata.listLength"])]
    #[case::no_worse(redis("5"), redis("5"), &[])]
    #[case::better(redis("5"), redis("6"), &[])]
    #[case::worse(redis("5"), redis("4"), &["spec.triggers[0].metadata.listLength"])]
    #[case::the_queue_beside_a_query_goes(json!({"triggers": [{"type": "redis", "metadata": {"listLength": "8"}}, {"type": "prometheus", "metadata": {"threshold": "0.5"}}]}), json!({"triggers": [{"type": "prometheus", "metadata": {"threshold": "0.5"}}]}), &[])]
    #[case::no_trigger(json!(null), json!({}), &["spec.triggers"])]
    #[case::cpu_alone(json!(null), json!({"triggers": [{"type": "cpu"}]}), &["spec.triggers"])]
    #[case::hold_alone(json!(null), json!({"triggers": [{"type": "metrics-api", "metadata": {"valueLocation": "scaling.frozen", "targetValue": "1", "authMode": "bearer"}, "authenticationRef": {"name": "x"}}]}), &["spec.triggers"])]
    #[case::none_before_either(json!({}), json!({}), &[])]
    #[case::bearer(json!(null), api("bearer"), &[])]
    #[case::anonymous(json!(null), api(""), &["spec.triggers"])]
    #[case::oauth_sends_nothing(json!(null), api("oauth"), &["spec.triggers"])]
    #[case::anonymous_before(api(""), api("custom"), &[])]
    #[case::formula(json!(null), formula("8", "scalingModifiers"), &[])]
    #[case::formula_too_low(json!(null), formula("7", "scalingModifiers"), &["spec.advanced.scalingModifiers.target"])]
    #[case::formula_with_fallback(json!(null), formula("8", "static"), &["spec.fallback"])]
    #[case::formula_with_fallback_before(formula("8", "static"), formula("8", "static"), &[])]
    fn triggers(#[case] old: Value, #[case] new: Value, #[case] expected: &[&str]) {
        let limits = sample().limits;
        let (before, after) = (json!({ "spec": old }), json!({ "spec": new }));
        let before = (!old.is_null()).then_some(ScaledObject(Object::of(&before)));
        let found = find(&limits, before, ScaledObject(Object::of(&after)));
        assert_eq!(found.iter().map(|f| f.field.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_second_caller_is_found_once() {
        let settings = sample();
        let v = json!({"spec": {"metrics": [{"provider": {"web": {"url": "https://canary.gw.example.com/keda/metrics"}}}]}});
        assert!(
            foreign_caller(Kind::Measurement, &settings.lanes[0], None, Object::of(&v)).is_some()
        );
        assert!(foreign_caller(
            Kind::Measurement,
            &settings.lanes[0],
            Some(Object::of(&v)),
            Object::of(&v)
        )
        .is_none());
    }
}
