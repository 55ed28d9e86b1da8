//! What an edit of a HorizontalPodAutoscaler lifts.
//!
//! KEDA takes edits of its own HPA back, but not the removal of `behavior`
//! (kedacore/keda `controllers/keda/util/predicate.go`), and a plain HPA that
//! is made after the ScaledObject is checked by nobody else.

use super::autoscaler::{most, of_numbers, Names};
use super::{annotation, faster, unknown};
use crate::change::Lift;
use crate::fields::{Changes, Effect};
use crate::objects::hpa::{default_name, is_kedas, Hpa};
use crate::objects::scaled_object::{ScaledObject, HPA_OWNERSHIP};
use crate::speed::{behavior, metrics};
use gate::target::Target;

const NAMES: Names = Names {
    max: "spec.maxReplicas",
    min: "spec.minReplicas",
    scale_up: "spec.behavior.scaleUp.selectPolicy",
};

/// An update of an HPA on the same target.
pub fn update(name: &str, target: &Target, old: Hpa, new: Hpa, changes: &Changes) -> Vec<Lift> {
    let mut lifts = Vec::new();
    let numbers = new.replicas();
    if changes.any(&[Effect::Pods, Effect::Hold]) {
        lifts.extend(of_numbers(Some(&old.replicas()), &numbers, &NAMES));
        lifts.extend(unchecked(Some(old), new));
        let group = |hpa: Hpa<'_>| hpa.0.reference(&["spec", "scaleTargetRef"]).group.to_owned();
        if group(new) != group(old) {
            let note = "names another kind of workload";
            lifts.push(Lift::unbounded("spec.scaleTargetRef.apiVersion", note));
        }
    }
    if changes.any(&[Effect::Speed, Effect::Hold]) {
        let most = most(&numbers);
        let found = behavior::faster("spec.behavior", old.behavior(), new.behavior(), most);
        lifts.extend(faster(found, most));
        // Those of KEDA's own follow the ScaledObject's triggers, which are judged there.
        if !is_kedas(name, target) {
            lifts.extend(faster(metrics::faster(old.0, new.0), most));
        }
    }
    lifts.extend(unknown(changes));
    lifts
}

/// An HPA on a target that it did not scale before.
pub fn create(
    name: &str,
    target: &Target,
    new: Hpa,
    retargeted: bool,
    changes: &Changes,
) -> Vec<Lift> {
    let mut spec = new.replicas();
    // An HPA has a minimum of 1 at least, also where the ScaledObject may idle
    // at 0; its maximum says enough.
    spec.min = spec.min.filter(|min| *min > 1 || *min > new.replicas().ceiling());
    let mut lifts = of_numbers(None, &spec, &NAMES);
    if retargeted {
        lifts.push(Lift::unbounded("spec.scaleTargetRef", "moves onto a target of the lane"));
    }
    if !is_kedas(name, target) {
        lifts.push(Lift::unbounded(
            "metadata.name",
            "an HPA on the target besides the one that KEDA owns",
        ));
    }
    lifts.extend(unchecked(None, new));
    lifts.extend(unknown(changes));
    lifts
}

/// Whether an HPA is what KEDA makes of a ScaledObject (kedacore/keda `controllers/keda/hpa.go`,
/// `newHPAForScaledObject`), or less: its name, target, numbers and behaviour. Of its metrics
/// nothing says what they were made of; KEDA writes them back.
pub fn follows(name: &str, hpa: Hpa, so: ScaledObject, uid: &str) -> bool {
    let (numbers, said) = (hpa.replicas(), so.replicas());
    let own_name = match so.hpa_name() {
        "" => default_name(so.0.text(&["metadata", "name"])),
        custom => custom.to_owned(),
    };
    let is_held = said.paused || said.paused_replicas.is_some();
    let path = ["spec", "scaleTargetRef"];
    let most = most(&numbers);
    so.0.text(&["metadata", "uid"]) == uid
        && so.0.at(&["metadata", "deletionTimestamp"]).is_null()
        && name == own_name
        && !is_held
        && hpa.0.reference(&path) == so.target()
        && numbers.ceiling() <= said.ceiling()
        && numbers.floor() <= said.floor().max(1)
        && (numbers.scale_up_disabled || !(said.paused_scale_out || said.scale_up_disabled))
        && behavior::faster("spec.behavior", so.behavior(), hpa.behavior(), most).is_none()
        && unchecked(None, hpa).is_none()
}

/// An HPA that comes onto a ReplicaSet of a target, past the target's own autoscaler.
pub fn on_a_replica_set() -> Lift {
    Lift::unbounded("spec.scaleTargetRef", "is a ReplicaSet of a target: scale the target")
}

fn unchecked(old: Option<Hpa>, new: Hpa) -> Option<Lift> {
    let set = |hpa: Hpa| hpa.0.annotation(HPA_OWNERSHIP) == Some("false");
    (set(new) && !old.is_some_and(set)).then(|| {
        let note = "it lets a second autoscaler onto the target";
        Lift::unbounded(&annotation(HPA_OWNERSHIP), note)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::table;
    use crate::objects::Object;
    use crate::request::Kind;
    use rstest::rstest;
    use serde_json::{json, Value};

    fn target() -> Target {
        serde_json::from_value(
            json!({"kind": "Deployment", "name": "w", "slice": "stable", "scaledObject": "w"}),
        )
        .unwrap()
    }

    fn updated(name: &str, old: &Value, new: &Value) -> Vec<Lift> {
        let table = table(Kind::HorizontalPodAutoscaler).unwrap();
        let (old, new) = (Object::of(old), Object::of(new));
        let changes = Changes::between(&table, Some(old.0), new.0);
        update(name, &target(), Hpa(old), Hpa(new), &changes)
    }

    fn fields(lifts: &[Lift]) -> Vec<&str> {
        lifts.iter().map(|l| l.field.as_str()).collect()
    }

    #[rstest]
    #[case::max("keda-hpa-w", json!({"maxReplicas": 7}), &["spec.maxReplicas"])]
    #[case::lower("keda-hpa-w", json!({"maxReplicas": 5}), &[])]
    #[case::min("keda-hpa-w", json!({"minReplicas": 2}), &["spec.minReplicas", "spec.idleReplicaCount"])]
    #[case::min_absent_is_one("keda-hpa-w", json!({"minReplicas": null}), &[])]
    #[case::metrics_of_kedas("keda-hpa-w", json!({"metrics": [{"type": "External"}]}), &[])]
    #[case::metrics_of_another("other", json!({"metrics": [{"type": "External"}]}), &["spec.metrics[0]"])]
    #[case::behavior_removed("keda-hpa-w", json!({"behavior": null}), &["spec.behavior.scaleUp.stabilizationWindowSeconds"])]
    fn an_update(#[case] name: &str, #[case] change: Value, #[case] expected: &[&str]) {
        let old = json!({"spec": {"maxReplicas": 6, "minReplicas": 1, "behavior": {"scaleUp": {"stabilizationWindowSeconds": 60}}}});
        let mut new = old.clone();
        new["spec"].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let got = updated(name, &old, &new);
        assert_eq!(fields(&got), expected);
    }

    #[test]
    fn a_hold_that_is_taken_away_is_a_release() {
        let old = json!({"spec": {"maxReplicas": 6, "behavior": {"scaleUp": {"selectPolicy": "Disabled"}}}});
        let new = json!({"spec": {"maxReplicas": 6}});
        let got = updated("keda-hpa-w", &old, &new);
        assert_eq!(
            fields(&got),
            ["spec.behavior.scaleUp.selectPolicy", "spec.behavior.scaleUp.selectPolicy"]
        );
    }

    #[rstest]
    #[case::its_usual_minimum(json!({"maxReplicas": 6, "minReplicas": 1}), &["spec.maxReplicas"])]
    #[case::a_higher_minimum(json!({"maxReplicas": 6, "minReplicas": 2}), &["spec.maxReplicas", "spec.minReplicas", "spec.idleReplicaCount"])]
    #[case::a_maximum_of_one(json!({"maxReplicas": 1, "minReplicas": 1}), &["spec.maxReplicas"])]
    #[case::no_maximum(json!({"maxReplicas": 0, "minReplicas": 1}), &["spec.maxReplicas", "spec.minReplicas", "spec.idleReplicaCount"])]
    fn heights_of_a_new_one(#[case] spec: Value, #[case] expected: &[&str]) {
        let v = json!({ "spec": spec });
        let got = create("keda-hpa-w", &target(), Hpa(Object::of(&v)), false, &Changes::default());
        assert_eq!(fields(&got), expected);
    }

    #[test]
    fn ownership_that_is_no_longer_checked_lets_another_in() {
        let plain = json!({"spec": {"maxReplicas": 6}});
        let mut unchecked = plain.clone();
        unchecked["metadata"] = json!({"annotations": {HPA_OWNERSHIP: "false"}});
        let of = |old: &Value, new: &Value| updated("keda-hpa-w", old, new).len();
        assert_eq!(
            (of(&plain, &unchecked), of(&unchecked, &unchecked), of(&unchecked, &plain)),
            (1, 0, 0)
        );
        assert_eq!(
            create(
                "keda-hpa-w",
                &target(),
                Hpa(Object::of(&unchecked)),
                false,
                &Changes::default()
            )
            .len(),
            2
        );
    }

    #[rstest]
    #[case("keda-hpa-w", 6)]
    #[case("web", i64::MAX)]
    fn a_new_one(#[case] name: &str, #[case] height: i64) {
        let v = json!({"spec": {"maxReplicas": 6, "minReplicas": 1}});
        let got = create(name, &target(), Hpa(Object::of(&v)), false, &Changes::default());
        assert_eq!(got.iter().map(|l| l.new).max(), Some(height));
        assert_eq!(got[0].new, 6);
    }
}
