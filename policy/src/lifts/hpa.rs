//! What an edit of a HorizontalPodAutoscaler lifts.
//!
//! KEDA takes edits of its own HPA back, but not the removal of `behavior`
//! (kedacore/keda `controllers/keda/util/predicate.go`), and a plain HPA that
//! is made after the ScaledObject is checked by nobody else.

use super::{annotation, faster, faster_under, of_numbers, unbounded, Lift, Names};
use crate::objects::alike;
use crate::objects::hpa::{is_kedas, Hpa};
use crate::objects::scaled_object::HPA_OWNERSHIP;
use gate::target::Target;

const NAMES: Names = Names {
    max: "spec.maxReplicas",
    min: "spec.minReplicas",
    scale_up: "spec.behavior.scaleUp.selectPolicy",
};

/// An update of an HPA on the same target.
pub fn update(name: &str, target: &Target, old: Hpa, new: Hpa) -> Vec<Lift> {
    let mut lifts = of_numbers(Some(&old.replicas()), &new.replicas(), &NAMES);
    if new.behavior().scales_up_faster_than(old.behavior()) {
        let field = "spec.behavior.scaleUp";
        lifts.push(faster_under(&new.replicas(), field, "is faster than before"));
    }
    // Those of KEDA's own follow the ScaledObject's triggers, which are judged there.
    let metrics = ["spec", "metrics"];
    if !is_kedas(name, target) && !alike(old.0.at(&metrics), new.0.at(&metrics)) {
        lifts.push(faster("spec.metrics", "changed"));
    }
    lifts.extend(unchecked(Some(old), new));
    lifts
}

/// An HPA on a target that it did not scale before.
pub fn create(name: &str, target: &Target, new: Hpa, retargeted: bool) -> Vec<Lift> {
    let mut spec = new.replicas();
    // An HPA has a minimum of 1 at least, also where the ScaledObject may idle
    // at 0; its maximum says enough.
    spec.min = spec.min.filter(|min| *min > 1 || *min > new.replicas().ceiling());
    let mut lifts = of_numbers(None, &spec, &NAMES);
    if retargeted {
        lifts.push(unbounded("spec.scaleTargetRef", "moves onto a target of the lane"));
    }
    if !is_kedas(name, target) {
        lifts.push(unbounded(
            "metadata.name",
            "an HPA on the target besides the one that KEDA owns",
        ));
    }
    lifts.extend(unchecked(None, new));
    lifts
}

fn unchecked(old: Option<Hpa>, new: Hpa) -> Option<Lift> {
    let set = |hpa: Hpa| hpa.0.annotation(HPA_OWNERSHIP) == Some("false");
    (set(new) && !old.is_some_and(set)).then(|| {
        unbounded(&annotation(HPA_OWNERSHIP), "it lets a second autoscaler onto the target")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Object;
    use rstest::rstest;
    use serde_json::{json, Value};

    fn target() -> Target {
        serde_json::from_value(
            json!({"kind": "Deployment", "name": "w", "slice": "stable", "scaledObject": "w"}),
        )
        .unwrap()
    }

    fn fields(lifts: &[Lift]) -> Vec<&str> {
        lifts.iter().map(|l| l.field.as_str()).collect()
    }

    #[rstest]
    #[case::max("keda-hpa-w", json!({"maxReplicas": 7}), &["spec.maxReplicas"])]
    #[case::lower("keda-hpa-w", json!({"maxReplicas": 5}), &[])]
    #[case::min("keda-hpa-w", json!({"minReplicas": 2}), &["spec.minReplicas", "spec.idleReplicaCount"])]
    #[case::min_absent_is_one("keda-hpa-w", json!({"minReplicas": null}), &[])]
    #[case::metrics_of_kedas("keda-hpa-w", json!({"metrics": [1]}), &[])]
    #[case::metrics_of_another("other", json!({"metrics": [1]}), &["spec.metrics"])]
    #[case::behavior_removed("keda-hpa-w", json!({"behavior": null}), &["spec.behavior.scaleUp"])]
    fn an_update(#[case] name: &str, #[case] change: Value, #[case] expected: &[&str]) {
        let old = json!({"spec": {"maxReplicas": 6, "minReplicas": 1, "behavior": {"scaleUp": {"stabilizationWindowSeconds": 60}}}});
        let mut new = old.clone();
        new["spec"].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let got = update(name, &target(), Hpa(Object::of(&old)), Hpa(Object::of(&new)));
        assert_eq!(fields(&got), expected);
    }

    #[test]
    fn a_hold_that_is_taken_away_is_a_release() {
        let old = json!({"spec": {"maxReplicas": 6, "behavior": {"scaleUp": {"selectPolicy": "Disabled"}}}});
        let new = json!({"spec": {"maxReplicas": 6}});
        let got = update("keda-hpa-w", &target(), Hpa(Object::of(&old)), Hpa(Object::of(&new)));
        assert_eq!(fields(&got), ["spec.behavior.scaleUp.selectPolicy", "spec.behavior.scaleUp"]);
    }

    #[rstest]
    #[case::its_usual_minimum(json!({"maxReplicas": 6, "minReplicas": 1}), &["spec.maxReplicas"])]
    #[case::a_higher_minimum(json!({"maxReplicas": 6, "minReplicas": 2}), &["spec.maxReplicas", "spec.minReplicas", "spec.idleReplicaCount"])]
    #[case::a_maximum_of_one(json!({"maxReplicas": 1, "minReplicas": 1}), &["spec.maxReplicas"])]
    #[case::no_maximum(json!({"maxReplicas": 0, "minReplicas": 1}), &["spec.maxReplicas", "spec.minReplicas", "spec.idleReplicaCount"])]
    fn heights_of_a_new_one(#[case] spec: Value, #[case] expected: &[&str]) {
        let v = json!({ "spec": spec });
        let got = create("keda-hpa-w", &target(), Hpa(Object::of(&v)), false);
        assert_eq!(fields(&got), expected);
    }

    #[test]
    fn ownership_that_is_no_longer_checked_lets_another_in() {
        let plain = json!({"spec": {"maxReplicas": 6}});
        let mut unchecked = plain.clone();
        unchecked["metadata"] = json!({"annotations": {HPA_OWNERSHIP: "false"}});
        let of = |old: &Value, new: &Value| {
            update("keda-hpa-w", &target(), Hpa(Object::of(old)), Hpa(Object::of(new))).len()
        };
        assert_eq!(
            (of(&plain, &unchecked), of(&unchecked, &unchecked), of(&unchecked, &plain)),
            (1, 0, 0)
        );
        assert_eq!(create("keda-hpa-w", &target(), Hpa(Object::of(&unchecked)), false).len(), 2);
    }

    #[rstest]
    #[case("keda-hpa-w", 6)]
    #[case("web", i64::MAX)]
    fn a_new_one(#[case] name: &str, #[case] height: i64) {
        let v = json!({"spec": {"maxReplicas": 6, "minReplicas": 1}});
        let got = create(name, &target(), Hpa(Object::of(&v)), false);
        assert_eq!(got.iter().map(|l| l.new).max(), Some(height));
        assert_eq!(got[0].new, 6);
    }
}
