//! What an edit of a ScaledObject lifts (kedacore/keda
//! `apis/keda/v1alpha1/scaledobject_types.go`,
//! `controllers/keda/scaledobject_controller.go`, `pkg/fallback/fallback.go`).

use super::{
    annotation, bypass, faster, faster_under, of_numbers, unbounded, Lift, LiftKind, Names,
};
use crate::objects::hpa;
use crate::objects::scaled_object::{ScaledObject, HPA_OWNERSHIP, TRANSFER_OWNERSHIP};
use gate::ceiling::PAUSED;
use gate::target::Target;

const NAMES: Names = Names {
    max: "spec.maxReplicaCount",
    min: "spec.minReplicaCount",
    scale_up: "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.selectPolicy",
};
const HPA_CONFIG: &str = "spec.advanced.horizontalPodAutoscalerConfig";

/// An update of a ScaledObject on the same target.
pub fn update(old: ScaledObject, new: ScaledObject) -> Vec<Lift> {
    let mut lifts = of_numbers(Some(&old.replicas()), &new.replicas(), &NAMES);
    if new.fallback_replicas() > old.fallback_replicas() {
        lifts.push(bypass(
            "spec.fallback.replicas",
            Some(old.fallback_replicas()),
            new.fallback_replicas(),
        ));
    }
    if let Some(behavior) = new.fallback_behavior() {
        // These lift when a trigger fails; the others hold or lower.
        let lifts_on_failure =
            matches!(behavior, "static" | "currentReplicasIfHigher" | "scalingModifiers");
        if lifts_on_failure
            && (old.fallback_behavior() != Some(behavior)
                || new.failure_threshold() < old.failure_threshold())
        {
            lifts.push(faster("spec.fallback", "acts on failing triggers, or sooner than before"));
        }
    }
    if new.target().group != old.target().group {
        lifts.push(unbounded(
            "spec.scaleTargetRef.apiVersion",
            "names another kind, so the target loses its HPA",
        ));
    }
    lifts.extend(handovers(Some(old), new));
    if let Some(field) = new.drives_differently(old) {
        lifts.push(faster(field, "changed"));
    }
    if new.behavior().scales_up_faster_than(old.behavior()) {
        let field = format!("{HPA_CONFIG}.behavior.scaleUp");
        lifts.push(faster_under(&new.replicas(), &field, "is faster than before"));
    }
    if new.hpa_name() != old.hpa_name() {
        lifts.push(faster(
            &format!("{HPA_CONFIG}.name"),
            "changed: KEDA makes a new HPA, which knows nothing of the last recommendations",
        ));
    }
    // A paused target scales on nothing (Flagger's typed client drops fields
    // that it does not know when it pauses), so while frozen it stays paused:
    // what was changed meanwhile may drive it faster.
    let paused = |so: ScaledObject| {
        let replicas = so.replicas();
        replicas.paused || replicas.paused_replicas.is_some()
    };
    if paused(new) {
        lifts.retain(|lift| !matches!(lift.kind, LiftKind::Faster { .. }));
    } else if paused(old) {
        lifts.push(faster_under(&new.replicas(), &annotation(PAUSED), "goes away"));
    }
    lifts
}

/// A ScaledObject on a target that it did not scale before: its own heights
/// against the declared limit. `retargeted` when it existed before.
pub fn create(name: &str, target: &Target, new: ScaledObject, retargeted: bool) -> Vec<Lift> {
    let mut lifts = of_numbers(None, &new.replicas(), &NAMES);
    if new.fallback_replicas() > 0 {
        lifts.push(bypass("spec.fallback.replicas", None, new.fallback_replicas()));
    }
    lifts.extend(handovers(None, new));
    if retargeted {
        lifts.push(unbounded("spec.scaleTargetRef", "moves onto a target of the lane"));
    }
    if target.scaled_object.as_deref().is_some_and(|expected| expected != name) {
        lifts.push(unbounded(
            "metadata.name",
            "a second ScaledObject on the target, besides the one in the settings",
        ));
    }
    lifts
}

/// An edit that takes the autoscaler off a target of the lane: the target
/// loses its HPA, and with it its maximum.
pub fn retarget_away(target: &Target, to: crate::objects::TargetRef) -> Lift {
    unbounded(
        "spec.scaleTargetRef",
        &format!("moves from {} {} to {} {}", target.kind.name(), target.name, to.kind, to.name),
    )
}

/// Ways to hand the target to something that no maximum holds.
fn handovers(old: Option<ScaledObject>, new: ScaledObject) -> Vec<Lift> {
    let mut lifts = Vec::new();
    let set = |is_set: fn(ScaledObject) -> bool| is_set(new) && !old.is_some_and(is_set);
    if set(|so| so.restores_original()) {
        lifts.push(unbounded(
            "spec.advanced.restoreToOriginalReplicaCount",
            "on deletion it writes status.originalReplicaCount past every maximum",
        ));
    }
    if set(|so| so.0.flag(TRANSFER_OWNERSHIP)) {
        lifts.push(unbounded(&annotation(TRANSFER_OWNERSHIP), "it adopts another HPA"));
    }
    if set(|so| so.0.annotation(HPA_OWNERSHIP) == Some("false")) {
        lifts.push(unbounded(
            &annotation(HPA_OWNERSHIP),
            "it lets a second autoscaler onto the target",
        ));
    }
    lifts
}

/// A write of `scaledobjects/status`. KEDA sets the original count once, to
/// what the target has; it counts only where a deletion writes it back.
pub fn status(name: &str, old: ScaledObject, new: ScaledObject) -> Vec<Lift> {
    let mut lifts = Vec::new();
    if let Some(original) = new.original_replicas().filter(|_| new.restores_original()) {
        if old.original_replicas().is_none_or(|old| original > old) {
            lifts.push(bypass("status.originalReplicaCount", old.original_replicas(), original));
        }
    }
    // KEDA deletes the HPA of this name when it is not the one it wants.
    let hpa = |so: ScaledObject| so.0.text(&["status", "hpaName"]).to_owned();
    let wanted = match new.hpa_name() {
        "" => hpa::default_name(name),
        custom => custom.to_owned(),
    };
    if !hpa(new).is_empty() && hpa(new) != hpa(old) && hpa(new) != wanted {
        lifts.push(faster("status.hpaName", "names an HPA that KEDA will delete"));
    }
    lifts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Object;
    use rstest::rstest;
    use serde_json::{json, Value};

    fn base() -> Value {
        json!({
            "metadata": {"name": "w", "annotations": {}},
            "spec": {"scaleTargetRef": {"name": "w"}, "maxReplicaCount": 6, "minReplicaCount": 1,
                     "fallback": {"replicas": 2, "failureThreshold": 3}, "triggers": [{"type": "redis"}]}
        })
    }

    fn fields(lifts: &[Lift]) -> Vec<&str> {
        lifts.iter().map(|l| l.field.as_str()).collect()
    }

    #[rstest]
    #[case::nothing("/spec/x", json!(1), &[])]
    #[case::label("/metadata/labels", json!({"a": "b"}), &[])]
    #[case::max("/spec/maxReplicaCount", json!(7), &["spec.maxReplicaCount"])]
    #[case::max_null("/spec/maxReplicaCount", json!(null), &["spec.maxReplicaCount"])]
    #[case::max_text("/spec/maxReplicaCount", json!("5"), &["spec.maxReplicaCount"])]
    #[case::max_lower("/spec/maxReplicaCount", json!(5), &[])]
    #[case::min("/spec/minReplicaCount", json!(2), &["spec.minReplicaCount", "spec.idleReplicaCount"])]
    #[case::fallback("/spec/fallback/replicas", json!(3), &["spec.fallback.replicas"])]
    #[case::fallback_lower("/spec/fallback/replicas", json!(1), &[])]
    #[case::fallback_sooner("/spec/fallback/failureThreshold", json!(1), &["spec.fallback"])]
    #[case::fallback_later("/spec/fallback/failureThreshold", json!(9), &[])]
    #[case::fallback_holds("/spec/fallback/behavior", json!("currentReplicas"), &[])]
    #[case::fallback_lowers("/spec/fallback/behavior", json!("currentReplicasIfLower"), &[])]
    #[case::api_version("/spec/scaleTargetRef/apiVersion", json!("x.io/v1"), &["spec.scaleTargetRef.apiVersion"])]
    #[case::same_api_version("/spec/scaleTargetRef/apiVersion", json!("apps/v1"), &[])]
    #[case::empty_values_of_a_typed_client("/spec/advanced", json!({"scalingModifiers": {}}), &[])]
    #[case::fallback_behavior("/spec/fallback/behavior", json!("currentReplicasIfHigher"), &["spec.fallback"])]
    #[case::fallback_formula("/spec/fallback/behavior", json!("scalingModifiers"), &["spec.fallback"])]
    #[case::fallback_removed("/spec/fallback", json!(null), &[])]
    #[case::restore("/spec/advanced", json!({"restoreToOriginalReplicaCount": true}), &["spec.advanced.restoreToOriginalReplicaCount"])]
    #[case::triggers("/spec/triggers", json!([]), &["spec.triggers"])]
    #[case::modifiers("/spec/advanced", json!({"scalingModifiers": {"formula": "x"}}), &["spec.advanced.scalingModifiers"])]
    #[case::faster_policies("/spec/advanced", json!({"horizontalPodAutoscalerConfig": {"behavior": {"scaleUp": {"policies": [1]}}}}), &["spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp"])]
    #[case::hold_added("/spec/advanced", json!({"horizontalPodAutoscalerConfig": {"behavior": {"scaleUp": {"selectPolicy": "Disabled"}}}}), &[])]
    #[case::hpa_name("/spec/advanced", json!({"horizontalPodAutoscalerConfig": {"name": "x"}}), &["spec.advanced.horizontalPodAutoscalerConfig.name"])]
    #[case::transfer("/metadata/annotations", json!({"scaledobject.keda.sh/transfer-hpa-ownership": "true"}), &["metadata.annotations[scaledobject.keda.sh/transfer-hpa-ownership]"])]
    #[case::ownership_unchecked("/metadata/annotations", json!({"validations.keda.sh/hpa-ownership": "false"}), &["metadata.annotations[validations.keda.sh/hpa-ownership]"])]
    #[case::ownership_checked("/metadata/annotations", json!({"validations.keda.sh/hpa-ownership": "true"}), &[])]
    #[case::paused_not_a_number("/metadata/annotations", json!({"autoscaling.keda.sh/paused-replicas": "many"}), &["metadata.annotations[autoscaling.keda.sh/paused-replicas]"])]
    fn lifts_of_an_update(#[case] pointer: &str, #[case] value: Value, #[case] expected: &[&str]) {
        let old = base();
        let mut new = base();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        new.pointer_mut(parent).unwrap()[key] = value;
        let got = update(ScaledObject(Object::of(&old)), ScaledObject(Object::of(&new)));
        assert_eq!(fields(&got), expected);
    }

    #[test]
    fn a_pause_by_a_client_that_drops_fields_lifts_nothing() {
        let mut old = base();
        old["spec"]["triggers"][0]["useCachedMetrics"] = json!(true);
        let mut new = base();
        new["metadata"]["annotations"] = json!({"autoscaling.keda.sh/paused-replicas": "0"});
        let of =
            |new: &Value| update(ScaledObject(Object::of(&old)), ScaledObject(Object::of(new)));
        assert_eq!(fields(&of(&new)), [""; 0]);
        assert_eq!(fields(&of(&base())), ["spec.triggers"]);
    }

    #[test]
    fn a_hold_of_the_hpa_that_goes_away_is_a_release() {
        let mut old = base();
        old["spec"]["advanced"] = json!({"horizontalPodAutoscalerConfig": {"behavior": {"scaleUp": {"selectPolicy": "Disabled"}}}});
        let new = base();
        let got = update(ScaledObject(Object::of(&old)), ScaledObject(Object::of(&new)));
        assert_eq!(
            fields(&got),
            [NAMES.scale_up, "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp"]
        );
        assert_eq!((got[0].old, got[0].new), (Some(1), 6));
    }

    #[test]
    fn a_second_scaled_object_on_the_target_is_unbounded() {
        let target: Target = serde_json::from_value(
            json!({"kind": "Deployment", "name": "w", "slice": "stable", "scaledObject": "w"}),
        )
        .unwrap();
        let v = base();
        let heights = |name| {
            create(name, &target, ScaledObject(Object::of(&v)), false).iter().map(|l| l.new).max()
        };
        assert_eq!(
            create("w", &target, ScaledObject(Object::of(&v)), false).len(),
            4,
            "its maximum, minimum, rest and fallback"
        );
        assert_eq!(heights("w"), Some(6));
        assert_eq!(heights("x"), Some(i64::MAX));
    }

    #[rstest]
    #[case::kedas_first_write(json!(null), json!(6), false, &[])]
    #[case::first_write_that_counts(json!(null), json!(6), true, &["status.originalReplicaCount"])]
    #[case::raised(json!(6), json!(50), true, &["status.originalReplicaCount"])]
    #[case::raised_without_restore(json!(6), json!(50), false, &[])]
    #[case::same(json!(6), json!(6), true, &[])]
    #[case::lowered(json!(6), json!(5), true, &[])]
    #[case::removed(json!(6), json!(null), true, &[])]
    fn status_writes(
        #[case] before: Value,
        #[case] after: Value,
        #[case] restores: bool,
        #[case] expected: &[&str],
    ) {
        let of = |count: Value| {
            let mut v = base();
            v["spec"]["advanced"] = json!({"restoreToOriginalReplicaCount": restores});
            v["status"] = json!({"originalReplicaCount": count});
            v
        };
        let (old, new) = (of(before), of(after));
        assert_eq!(
            fields(&status("w", ScaledObject(Object::of(&old)), ScaledObject(Object::of(&new)))),
            expected
        );
    }

    #[rstest]
    #[case("", "keda-hpa-w", false)]
    #[case("keda-hpa-w", "keda-hpa-w", false)]
    #[case("keda-hpa-w", "keda-hpa-other", true)]
    #[case("keda-hpa-w", "", false)]
    fn the_hpa_in_the_status(#[case] before: &str, #[case] after: &str, #[case] lifts: bool) {
        let of = |name: &str| {
            let mut v = base();
            v["status"] = json!({"hpaName": name});
            v
        };
        let (old, new) = (of(before), of(after));
        let got = status("w", ScaledObject(Object::of(&old)), ScaledObject(Object::of(&new)));
        assert_eq!(!got.is_empty(), lifts);
    }
}
