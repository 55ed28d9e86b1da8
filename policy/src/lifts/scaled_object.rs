//! What an edit of a ScaledObject lifts (kedacore/keda
//! `apis/keda/v1alpha1/scaledobject_types.go`,
//! `controllers/keda/scaledobject_controller.go`, `pkg/fallback/fallback.go`).

use super::autoscaler::{most, of_numbers, Names};
use super::{annotation, faster, unknown};
use crate::change::Lift;
use crate::fields::{Changes, Effect};
use crate::objects::hpa;
use crate::objects::scaled_object::{ScaledObject, HPA_OWNERSHIP, TRANSFER_OWNERSHIP};
use crate::speed::triggers::{self, Several};
use crate::speed::{behavior, strategy, Faster};
use gate::ceiling::{ReplicaSpec, PAUSED};
use gate::target::Target;

const NAMES: Names = Names {
    max: "spec.maxReplicaCount",
    min: "spec.minReplicaCount",
    scale_up: "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.selectPolicy",
};
const HPA_CONFIG: &str = "spec.advanced.horizontalPodAutoscalerConfig";

/// An update of a ScaledObject on the same target.
pub fn update(old: ScaledObject, new: ScaledObject, changes: &Changes) -> Vec<Lift> {
    let mut lifts = Vec::new();
    let (had, numbers) = (old.replicas(), new.replicas());
    if changes.any(&[Effect::Pods, Effect::Hold, Effect::Speed]) {
        lifts.extend(fallback(Some(old), new, &numbers));
    }
    if changes.any(&[Effect::Pods, Effect::Hold]) {
        lifts.extend(of_numbers(Some(&had), &numbers, &NAMES));
        if new.target().group != old.target().group {
            lifts.push(Lift::unbounded(
                "spec.scaleTargetRef.apiVersion",
                "names another kind, so the target loses its HPA",
            ));
        }
        lifts.extend(handovers(Some(old), new));
    }
    let paused = |numbers: &ReplicaSpec| numbers.paused || numbers.paused_replicas.is_some();
    // A paused target scales on nothing (Flagger's typed client drops fields
    // that it does not know when it pauses), so while frozen it stays paused:
    // what was changed meanwhile may drive it faster.
    if !paused(&numbers) {
        if paused(&had) && changes.any(&[Effect::Pods, Effect::Hold]) {
            lifts.push(Lift::faster(&annotation(PAUSED), "goes away", most(&numbers)));
        }
        if !changes.is_empty() {
            let most = most(&numbers);
            lifts.extend(faster(sooner(old, new, most, changes), most));
        }
        lifts.extend(unknown(changes));
    }
    lifts
}

/// Fields by which the target rises sooner to the same `most`.
fn sooner(old: ScaledObject, new: ScaledObject, most: i64, changes: &Changes) -> Vec<Faster> {
    let mut found = Vec::new();
    if changes.any(&[Effect::Pods, Effect::Speed]) {
        let threshold = |so: ScaledObject| so.failure_threshold();
        let had = old.fallback_behavior().is_some();
        if had && new.fallback_height() > 0 && threshold(new) < threshold(old) {
            let note = "is lower: the fallback acts after fewer failures";
            found.push(Faster::new("spec.fallback.failureThreshold", note));
        }
        let leaves = new.fallback_height() > 0 && by_formula(old);
        if (by_formula(new) && !by_formula(old)) || leaves {
            let why = "the formula says what failing triggers count";
            found.push(Faster::incomparable("spec.fallback.behavior", why));
        }
    }
    if changes.any(&[Effect::Speed, Effect::Source]) {
        let environment = ["spec", "scaleTargetRef", "envSourceContainerName"];
        found.extend(triggers::faster(old.0, new.0, Several::Highest));
        found.extend(strategy::other_environment(&environment, old.0, new.0));
        found.extend(strategy::polls_sooner(old.0, new.0));
        // KEDA's own name written out is no other.
        let hpa_name = |so: ScaledObject| match so.hpa_name() {
            "" => hpa::default_name(so.0.text(&["metadata", "name"])),
            custom => custom.to_owned(),
        };
        if hpa_name(new) != hpa_name(old) {
            let note =
                "changed: KEDA makes a new HPA, which knows nothing of the last recommendations";
            found.push(Faster::new(format!("{HPA_CONFIG}.name"), note));
        }
    }
    if changes.any(&[Effect::Speed, Effect::Hold]) {
        let path = format!("{HPA_CONFIG}.behavior");
        found.extend(behavior::faster(&path, old.behavior(), new.behavior(), most));
    }
    found
}

/// Whether the formula says what failing triggers count, which may be anything.
fn by_formula(so: ScaledObject) -> bool {
    so.fallback_behavior() == Some("scalingModifiers")
}

/// Replicas that failing triggers lift the target to.
fn fallback(old: Option<ScaledObject>, new: ScaledObject, numbers: &ReplicaSpec) -> Option<Lift> {
    let before = old.map(|old| old.fallback_height());
    let after = new.fallback_height();
    // Where the target rests it is anyway.
    let rests = after <= numbers.rest();
    if after <= before.unwrap_or(0) || rests || old.is_some_and(by_formula) {
        return None;
    }
    let same = old.is_some_and(|old| old.fallback_replicas() >= after);
    if same {
        // The number stood there, and nothing acted on it.
        let note = format!("lets failing triggers lift the target to {after}");
        let is_other = old.is_some_and(|old| old.fallback_behavior() != new.fallback_behavior());
        let field = if is_other { "spec.fallback.behavior" } else { "spec.fallback" };
        let lift = Lift::number(field, before, after);
        return Some(Lift { is_number: false, note: Some(note), ..lift });
    }
    Some(Lift::number("spec.fallback.replicas", before, after))
}

/// A ScaledObject on a target that it did not scale before: its own heights
/// against the declared limit. `retargeted` when it existed before.
pub fn create(
    name: &str,
    target: &Target,
    new: ScaledObject,
    retargeted: bool,
    changes: &Changes,
) -> Vec<Lift> {
    let numbers = new.replicas();
    let mut lifts = of_numbers(None, &numbers, &NAMES);
    lifts.extend(fallback(None, new, &numbers));
    lifts.extend(handovers(None, new));
    if retargeted {
        lifts.push(Lift::unbounded("spec.scaleTargetRef", "moves onto a target of the lane"));
    }
    if target.scaled_object.as_deref().is_some_and(|expected| expected != name) {
        lifts.push(Lift::unbounded(
            "metadata.name",
            "a second ScaledObject on the target, besides the one in the settings",
        ));
    }
    lifts.extend(unknown(changes));
    lifts
}

/// An edit that takes the autoscaler off a target of the lane: the target
/// loses its HPA, and with it its maximum.
pub fn retarget_away(target: &Target, to: crate::objects::TargetRef) -> Lift {
    Lift::unbounded(
        "spec.scaleTargetRef",
        &format!("moves from {} {} to {} {}", target.kind.name(), target.name, to.kind, to.name),
    )
}

/// Ways to hand the target to something that no maximum holds.
fn handovers(old: Option<ScaledObject>, new: ScaledObject) -> Vec<Lift> {
    let mut lifts = Vec::new();
    let set = |is_set: fn(ScaledObject) -> bool| is_set(new) && !old.is_some_and(is_set);
    if set(|so| so.restores_original()) {
        lifts.push(Lift::unbounded(
            "spec.advanced.restoreToOriginalReplicaCount",
            "on deletion it writes status.originalReplicaCount past every maximum",
        ));
    }
    if set(|so| so.0.annotation(TRANSFER_OWNERSHIP) == Some("true")) {
        lifts.push(Lift::unbounded(&annotation(TRANSFER_OWNERSHIP), "it adopts another HPA"));
    }
    if set(|so| so.0.annotation(HPA_OWNERSHIP) == Some("false")) {
        lifts.push(Lift::unbounded(
            &annotation(HPA_OWNERSHIP),
            "it lets a second autoscaler onto the target",
        ));
    }
    lifts
}

/// A write of `scaledobjects/status`. KEDA sets the original count once, to
/// what the target has; it counts only where a deletion writes it back.
pub fn status(name: &str, old: ScaledObject, new: ScaledObject, changes: &Changes) -> Vec<Lift> {
    let mut lifts = Vec::new();
    if changes.is_empty() {
        return lifts;
    }
    if let Some(original) = new.original_replicas().filter(|_| new.restores_original()) {
        if old.original_replicas().is_none_or(|old| original > old) {
            let before = old.original_replicas();
            lifts.push(Lift::number("status.originalReplicaCount", before, original));
        }
    }
    // KEDA deletes the HPA of this name when it is not the one it wants.
    let hpa = |so: ScaledObject| so.0.text(&["status", "hpaName"]).to_owned();
    let wanted = match new.hpa_name() {
        "" => hpa::default_name(name),
        custom => custom.to_owned(),
    };
    if !hpa(new).is_empty() && hpa(new) != hpa(old) && hpa(new) != wanted {
        let note = "names an HPA that KEDA will delete";
        lifts.push(Lift::faster("status.hpaName", note, i64::MAX));
    }
    lifts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::table;
    use crate::objects::Object;
    use crate::request::Kind;
    use rstest::rstest;
    use serde_json::{json, Value};

    fn base() -> Value {
        json!({
            "metadata": {"name": "w", "annotations": {}},
            "spec": {"scaleTargetRef": {"name": "w"}, "maxReplicaCount": 6, "minReplicaCount": 1,
                     "fallback": {"replicas": 2, "failureThreshold": 3}, "triggers": [{"type": "redis"}]}
        })
    }

    fn between(old: &Value, new: &Value) -> Changes {
        let table = table(Kind::ScaledObject).unwrap();
        Changes::between(&table, Some(Object::of(old).0), Object::of(new).0)
    }

    fn updated(old: &Value, new: &Value) -> Vec<Lift> {
        let of = |v| ScaledObject(Object::of(v));
        update(of(old), of(new), &between(old, new))
    }

    fn fields(lifts: &[Lift]) -> Vec<&str> {
        lifts.iter().map(|l| l.field.as_str()).collect()
    }

    #[rstest]
    #[case::of_a_later_keda("/spec/x", json!(1), &["spec.x"])]
    #[case::label("/metadata/labels", json!({"a": "b"}), &[])]
    #[case::max("/spec/maxReplicaCount", json!(7), &["spec.maxReplicaCount"])]
    #[case::max_null("/spec/maxReplicaCount", json!(null), &["spec.maxReplicaCount"])]
    #[case::max_text("/spec/maxReplicaCount", json!("5"), &["spec.maxReplicaCount"])]
    #[case::max_lower("/spec/maxReplicaCount", json!(5), &[])]
    #[case::min("/spec/minReplicaCount", json!(2), &["spec.minReplicaCount", "spec.idleReplicaCount"])]
    #[case::fallback("/spec/fallback/replicas", json!(3), &["spec.fallback.replicas"])]
    #[case::fallback_lower("/spec/fallback/replicas", json!(1), &[])]
    #[case::fallback_sooner("/spec/fallback/failureThreshold", json!(1), &["spec.fallback.failureThreshold"])]
    #[case::fallback_later("/spec/fallback/failureThreshold", json!(9), &[])]
    #[case::fallback_holds("/spec/fallback/behavior", json!("currentReplicas"), &[])]
    #[case::fallback_lowers("/spec/fallback/behavior", json!("currentReplicasIfLower"), &[])]
    #[case::api_version("/spec/scaleTargetRef/apiVersion", json!("x.io/v1"), &["spec.scaleTargetRef.apiVersion"])]
    #[case::same_api_version("/spec/scaleTargetRef/apiVersion", json!("apps/v1"), &[])]
    #[case::empty_values_of_a_typed_client("/spec/advanced", json!({"scalingModifiers": {}}), &[])]
    #[case::fallback_no_lower("/spec/fallback/behavior", json!("currentReplicasIfHigher"), &[])]
    #[case::fallback_formula("/spec/fallback/behavior", json!("scalingModifiers"), &["spec.fallback.behavior"])]
    #[case::fallback_removed("/spec/fallback", json!(null), &[])]
    #[case::restore("/spec/advanced", json!({"restoreToOriginalReplicaCount": true}), &["spec.advanced.restoreToOriginalReplicaCount"])]
    #[case::triggers("/spec/triggers", json!([]), &[])]
    #[case::one_more_trigger("/spec/triggers", json!([{"type": "redis"}, {"type": "cpu"}]), &["spec.triggers[1]"])]
    #[case::environment("/spec/scaleTargetRef/envSourceContainerName", json!("x"), &["spec.scaleTargetRef.envSourceContainerName"])]
    #[case::polling("/spec/pollingInterval", json!(5), &["spec.pollingInterval"])]
    #[case::modifiers("/spec/advanced", json!({"scalingModifiers": {"formula": "x"}}), &["spec.advanced.scalingModifiers.formula"])]
    #[case::faster_policies("/spec/advanced", json!({"horizontalPodAutoscalerConfig": {"behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 9, "periodSeconds": 15}]}}}}), &["spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.policies"])]
    #[case::hold_added("/spec/advanced", json!({"horizontalPodAutoscalerConfig": {"behavior": {"scaleUp": {"selectPolicy": "Disabled"}}}}), &[])]
    #[case::hpa_name("/spec/advanced", json!({"horizontalPodAutoscalerConfig": {"name": "x"}}), &["spec.advanced.horizontalPodAutoscalerConfig.name"])]
    #[case::transfer("/metadata/annotations", json!({"scaledobject.keda.sh/transfer-hpa-ownership": "true"}), &["metadata.annotations[scaledobject.keda.sh/transfer-hpa-ownership]"])]
    #[case::transfer_in_other_words("/metadata/annotations", json!({"scaledobject.keda.sh/transfer-hpa-ownership": "1"}), &[])]
    #[case::ownership_unchecked("/metadata/annotations", json!({"validations.keda.sh/hpa-ownership": "false"}), &["metadata.annotations[validations.keda.sh/hpa-ownership]"])]
    #[case::ownership_checked("/metadata/annotations", json!({"validations.keda.sh/hpa-ownership": "true"}), &[])]
    #[case::paused_not_a_number("/metadata/annotations", json!({"autoscaling.keda.sh/paused-replicas": "many"}), &["metadata.annotations[autoscaling.keda.sh/paused-replicas]"])]
    fn lifts_of_an_update(#[case] pointer: &str, #[case] value: Value, #[case] expected: &[&str]) {
        let old = base();
        let mut new = base();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        new.pointer_mut(parent).unwrap()[key] = value;
        let got = updated(&old, &new);
        assert_eq!(fields(&got), expected);
    }

    #[test]
    fn a_pause_by_a_client_that_drops_fields_lifts_nothing() {
        let mut old = base();
        old["spec"]["triggers"][0]["useCachedMetrics"] = json!(true);
        let mut new = base();
        new["metadata"]["annotations"] = json!({"autoscaling.keda.sh/paused-replicas": "0"});
        let of = |new: &Value| updated(&old, new);
        assert_eq!(fields(&of(&new)), [""; 0]);
        assert_eq!(fields(&of(&base())), ["spec.triggers[0].useCachedMetrics"]);
    }

    #[test]
    fn a_hold_of_the_hpa_that_goes_away_is_a_release() {
        let mut old = base();
        old["spec"]["advanced"] = json!({"horizontalPodAutoscalerConfig": {"behavior": {"scaleUp": {"selectPolicy": "Disabled"}}}});
        let new = base();
        let got = updated(&old, &new);
        assert_eq!(fields(&got), [NAMES.scale_up, NAMES.scale_up]);
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
            create(name, &target, ScaledObject(Object::of(&v)), false, &Changes::default())
                .iter()
                .map(|l| l.new)
                .max()
        };
        assert_eq!(
            create("w", &target, ScaledObject(Object::of(&v)), false, &Changes::default()).len(),
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
            fields(&status(
                "w",
                ScaledObject(Object::of(&old)),
                ScaledObject(Object::of(&new)),
                &between(&old, &new)
            )),
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
        let got = status(
            "w",
            ScaledObject(Object::of(&old)),
            ScaledObject(Object::of(&new)),
            &between(&old, &new),
        );
        assert_eq!(!got.is_empty(), lifts);
    }
}
