//! `ceiling-bypass`: the same height reached another way.
//!
//! Every way that a ScaledObject itself offers, with KEDA's meaning of the
//! field (kedacore/keda `apis/keda/v1alpha1/scaledobject_types.go`,
//! `controllers/keda/scaledobject_controller.go`, `pkg/fallback/fallback.go`).

use super::{Lift, LiftKind};
use crate::objects::scaled_object::{ScaledObject, TRANSFER_OWNERSHIP};
use crate::rejection::Rejection;
use crate::scope::Change;
use gate::ceiling::{self, Level, ReplicaSpec};
use gate::lane::{LaneState, Row, Target};
use gate::rule::Rule;

pub fn check(change: &Change, lane: &LaneState) -> Vec<Rejection> {
    let mut found = super::refused(change, lane, Rule::CeilingBypass, LiftKind::Bypass, |_| true);
    found.extend(
        super::refused(change, lane, Rule::CeilingBypass, LiftKind::Faster, |_| true)
            .into_iter()
            .filter(|r| {
                matches!(
                    r.finding.row,
                    Row::Red | Row::Unknown | Row::Frozen | Row::FrozenByYellow2tb
                )
            }),
    );
    found
}

/// What an update of a ScaledObject on the same target lifts.
pub fn update(old: ScaledObject, new: ScaledObject) -> Vec<Lift> {
    let mut lifts = of_numbers(&old.replicas(), &new.replicas());
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
    if new.restores_original() && !old.restores_original() {
        lifts.push(unbounded(
            "spec.advanced.restoreToOriginalReplicaCount",
            "on deletion it writes status.originalReplicaCount past every maximum",
        ));
    }
    if new.transfers_ownership() && !old.transfers_ownership() {
        lifts.push(unbounded(
            &format!("metadata.annotations[{TRANSFER_OWNERSHIP}]"),
            "it adopts another HPA",
        ));
    }
    for ((field, before), (_, after)) in old.driving_fields().into_iter().zip(new.driving_fields())
    {
        if before != after {
            lifts.push(faster(field, "changed"));
        }
    }
    lifts
}

/// What a ScaledObject on a target that it did not scale before lifts: its
/// creation, or `retargeted` an edit of `scaleTargetRef`.
pub fn create(name: &str, target: &Target, new: ScaledObject, retargeted: bool) -> Vec<Lift> {
    let replicas = new.replicas();
    let mut lifts = vec![Lift {
        field: Level::Ceiling.field(),
        old: None,
        new: replicas.ceiling(),
        kind: LiftKind::Ceiling,
        is_number: true,
        note: None,
    }];
    let others = of_numbers(&ReplicaSpec::default(), &replicas);
    lifts.extend(
        others.into_iter().filter(|l| l.kind == LiftKind::Bypass).map(|l| Lift { old: None, ..l }),
    );
    if new.fallback_replicas() > 0 {
        lifts.push(bypass("spec.fallback.replicas", None, new.fallback_replicas()));
    }
    if new.restores_original() {
        lifts.push(unbounded(
            "spec.advanced.restoreToOriginalReplicaCount",
            "on deletion it writes status.originalReplicaCount past every maximum",
        ));
    }
    if new.transfers_ownership() {
        lifts.push(unbounded(
            &format!("metadata.annotations[{TRANSFER_OWNERSHIP}]"),
            "it adopts another HPA",
        ));
    }
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

/// An edit that takes the ScaledObject off a target of the lane: the target
/// loses its HPA, and with it its maximum.
pub fn retarget_away(target: &Target, new: ScaledObject) -> Lift {
    unbounded(
        "spec.scaleTargetRef",
        &format!(
            "moves from {} {} to {} {}",
            target.kind.name(),
            target.name,
            new.target().kind,
            new.target().name
        ),
    )
}

fn of_numbers(old: &ReplicaSpec, new: &ReplicaSpec) -> Vec<Lift> {
    ceiling::raises(old, new)
        .into_iter()
        .map(|r| Lift {
            field: r.level.field(),
            old: Some(r.old),
            new: r.new,
            kind: if r.level == Level::Ceiling { LiftKind::Ceiling } else { LiftKind::Bypass },
            is_number: !matches!(r.level, Level::Release | Level::ForceActivation),
            note: match r.level {
                Level::Ceiling if new.max.is_none() => Some(format!(
                    "was removed, and absent means KEDA's default of {}",
                    ceiling::DEFAULT_MAX_REPLICAS
                )),
                Level::PausedReplicas if r.new == i64::MAX => {
                    Some("is no number: KEDA deletes the HPA and then fails on it".to_owned())
                }
                Level::Release => {
                    Some("goes away and frees the target up to its maximum".to_owned())
                }
                _ => None,
            },
        })
        .collect()
}

fn bypass(field: &str, old: Option<i64>, new: i64) -> Lift {
    Lift { field: field.to_owned(), old, new, kind: LiftKind::Bypass, is_number: true, note: None }
}

fn unbounded(field: &str, note: &str) -> Lift {
    Lift { is_number: false, note: Some(note.to_owned()), ..bypass(field, None, i64::MAX) }
}

fn faster(field: &str, note: &str) -> Lift {
    Lift { kind: LiftKind::Faster, ..unbounded(field, note) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{json, Value};

    fn base() -> Value {
        json!({
            "metadata": {"name": "w", "annotations": {}},
            "spec": {"scaleTargetRef": {"name": "w"}, "maxReplicaCount": 6, "minReplicaCount": 1,
                     "fallback": {"replicas": 2, "failureThreshold": 3}, "triggers": [{"type": "redis"}]}
        })
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
    #[case::api_version("/spec/scaleTargetRef/apiVersion", json!("x.io/v1"), &["spec.scaleTargetRef.apiVersion"])]
    #[case::same_api_version("/spec/scaleTargetRef/apiVersion", json!("apps/v1"), &[])]
    #[case::empty_values_of_a_typed_client("/spec/advanced", json!({"scalingModifiers": {}}), &[])]
    #[case::fallback_behavior("/spec/fallback/behavior", json!("currentReplicasIfHigher"), &["spec.fallback"])]
    #[case::fallback_removed("/spec/fallback", json!(null), &[])]
    #[case::restore("/spec/advanced", json!({"restoreToOriginalReplicaCount": true}), &["spec.advanced.restoreToOriginalReplicaCount"])]
    #[case::triggers("/spec/triggers", json!([]), &["spec.triggers"])]
    #[case::modifiers("/spec/advanced", json!({"scalingModifiers": {"formula": "x"}}), &["spec.advanced.scalingModifiers"])]
    #[case::transfer("/metadata/annotations", json!({"scaledobject.keda.sh/transfer-hpa-ownership": "true"}), &["metadata.annotations[scaledobject.keda.sh/transfer-hpa-ownership]"])]
    #[case::paused_not_a_number("/metadata/annotations", json!({"autoscaling.keda.sh/paused-replicas": "many"}), &["metadata.annotations[autoscaling.keda.sh/paused-replicas]"])]
    fn lifts_of_an_update(#[case] pointer: &str, #[case] value: Value, #[case] fields: &[&str]) {
        let old = base();
        let mut new = base();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        new.pointer_mut(parent).unwrap()[key] = value;
        let got =
            update(ScaledObject::new(&old, "").unwrap(), ScaledObject::new(&new, "").unwrap());
        let got: Vec<_> = got.iter().map(|l| l.field.as_str()).collect();
        assert_eq!(got, fields);
    }

    #[test]
    fn a_second_scaled_object_on_the_target_is_unbounded() {
        let target: Target = serde_json::from_value(
            json!({"kind": "Deployment", "name": "w", "slice": "stable", "scaledObject": "w"}),
        )
        .unwrap();
        let v = base();
        let so = ScaledObject::new(&v, "").unwrap();
        let heights = |name| create(name, &target, so, false).iter().map(|l| l.new).max();
        assert_eq!(heights("w"), Some(6));
        assert_eq!(heights("x"), Some(i64::MAX));
    }
}
