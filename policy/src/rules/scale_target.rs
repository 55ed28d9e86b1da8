//! `scale-target`: a ScaledObject on something that is not the worker
//! workload, a gateway DaemonSet above all, or the ReplicaSet behind one.
//!
//! KEDA would drive it, and an autoscaled gateway measures itself.

use crate::change::Fault;
use crate::objects::scaled_object::ScaledObject;
use crate::objects::workload;
use crate::settings::Lane;
use gate::rule::Rule;
use gate::target::{Target, TargetKind};

const FIELD: &str = "spec.scaleTargetRef";

/// `name` is the ScaledObject's; `old` is absent on CREATE.
pub fn find(
    lane: &Lane,
    name: &str,
    old: Option<ScaledObject>,
    new: ScaledObject,
) -> Option<Fault> {
    let target = new.target();
    if old.is_some_and(|old| old.target() == target) {
        return None;
    }
    if target.kind == "DaemonSet" {
        return Some(Fault::always(
            Rule::ScaleTarget,
            FIELD,
            format!("is the DaemonSet {}: a gateway is not a worker", target.name),
        ));
    }
    // The ReplicaSet of a target's Deployment or Rollout, which scales it back.
    let is_of = |t: &Target| {
        let kinds = [TargetKind::Deployment, TargetKind::Rollout];
        kinds.contains(&t.kind) && workload::is_replica_set_name(&t.name, target.name)
    };
    if target.kind == "ReplicaSet" && lane.targets.iter().any(is_of) {
        return Some(Fault::always(
            Rule::ScaleTarget,
            FIELD,
            format!("is the ReplicaSet {}: scale its workload", target.name),
        ));
    }
    // The settings name this ScaledObject for a target of the lane.
    let named = || lane.targets.iter().filter(|t| t.scaled_object.as_deref() == Some(name));
    let is_target = named().any(|t| {
        t.kind.name() == target.kind && t.kind.group() == target.group && t.name == target.name
    });
    let expected = named().next().filter(|_| !is_target)?;
    Some(Fault::always(
        Rule::ScaleTarget,
        FIELD,
        format!(
            "is {} {}, and the lane's workload is {} {}",
            target.kind,
            target.name,
            expected.kind.name(),
            expected.name
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Object;
    use crate::settings::tests::sample;
    use rstest::rstest;
    use serde_json::{json, Value};

    #[rstest]
    #[case::its_target("openclaw-worker", json!(null), json!({"name": "openclaw-worker"}), false)]
    #[case::gateway("gateway", json!(null), json!({"kind": "DaemonSet", "name": "gateway"}), true)]
    #[case::gateway_as_before("gateway", json!({"kind": "DaemonSet", "name": "gateway"}), json!({"kind": "DaemonSet", "name": "gateway"}), false)]
    #[case::another_workload("openclaw-worker", json!(null), json!({"name": "web"}), true)]
    #[case::another_kind("openclaw-worker", json!(null), json!({"kind": "StatefulSet", "name": "openclaw-worker"}), true)]
    #[case::another_group("openclaw-worker", json!({"name": "openclaw-worker"}), json!({"apiVersion": "x.io/v1", "name": "openclaw-worker"}), true)]
    #[case::wrong_as_before("openclaw-worker", json!({"name": "web"}), json!({"name": "web"}), false)]
    #[case::put_right("openclaw-worker", json!({"name": "web"}), json!({"name": "openclaw-worker"}), false)]
    #[case::replica_set("x", json!(null), json!({"kind": "ReplicaSet", "name": "openclaw-worker-7d9c"}), true)]
    #[case::replica_set_of_one_named_alike("x", json!(null), json!({"kind": "ReplicaSet", "name": "openclaw-worker-web-7d9c"}), false)]
    #[case::replica_set_of_another("x", json!(null), json!({"kind": "ReplicaSet", "name": "web-7d9c"}), false)]
    #[case::of_no_lane("web", json!(null), json!({"name": "web"}), false)]
    fn targets(#[case] name: &str, #[case] old: Value, #[case] new: Value, #[case] expected: bool) {
        let settings = sample();
        let of = |reference: &Value| json!({"spec": {"scaleTargetRef": reference}});
        let (before, after) = (of(&old), of(&new));
        let before = (!old.is_null()).then_some(ScaledObject(Object::of(&before)));
        let found = find(&settings.lanes[0], name, before, ScaledObject(Object::of(&after)));
        assert_eq!(found.is_some(), expected, "{found:?}");
    }
}
