//! Deployments, StatefulSets and Argo Rollouts, and the Scale of each.

use super::object::{Object, TargetRef};
use gate::parse::Json;
use gate::target::TargetKind;

/// `spec.replicas` where it is absent: the API's default for a workload, and
/// what an absent number means in a Scale.
pub const DEFAULT_REPLICAS: i64 = 1;
pub const DEFAULT_SCALE_REPLICAS: i64 = 0;

pub fn replicas(object: Object) -> i64 {
    object.number(&["spec", "replicas"]).unwrap_or(DEFAULT_REPLICAS)
}

pub fn scale_replicas(object: Object) -> i64 {
    object.number(&["spec", "replicas"]).unwrap_or(DEFAULT_SCALE_REPLICAS)
}

/// The workload whose pod template a Rollout runs instead of its own.
pub fn workload_ref(object: Object) -> Option<TargetRef> {
    let path = ["spec", "workloadRef"];
    object.at(&path).is_object().then(|| object.reference(&path))
}

/// Whether a ReplicaSet has the name that the workload gives its own: its name, and a hash
/// without a dash.
pub fn is_replica_set_name(workload: &str, name: &str) -> bool {
    let hash = name.strip_prefix(workload).and_then(|rest| rest.strip_prefix('-'));
    hash.is_some_and(|hash| !hash.contains('-'))
}

/// Whether a Scale is of a ReplicaSet that a Deployment or Rollout made: both select by a
/// hash of their own (Kubernetes `deployment_util.go`, argo-rollouts
/// `pkg/apis/rollouts/v1alpha1`, `DefaultRolloutUniqueLabelKey`).
pub fn is_of_a_controller(scale: Object) -> bool {
    scale.text(&["status", "selector"]).contains("pod-template-hash")
}

/// The skill hash on the pod template.
pub fn skill_hash<'a>(object: Object<'a>, kind: TargetKind, annotation: &str) -> Option<&'a str> {
    let template = match kind {
        TargetKind::ScaledJob => object.at(&["spec", "jobTargetRef", "template"]),
        _ => object.at(&["spec", "template"]),
    };
    match Object(template).at(&["metadata", "annotations", annotation]) {
        Json::Null => None,
        value => Some(value.as_str().unwrap_or("not a string")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn absent_replicas_differ_by_kind() {
        let v = json!({"spec": {}});
        assert_eq!((replicas(Object::of(&v)), scale_replicas(Object::of(&v))), (1, 0));
    }

    #[test]
    fn the_hash_is_on_the_pod_template() {
        let template = json!({"metadata": {"annotations": {"h": "c4e1"}}});
        let v = json!({"spec": {"template": template}});
        assert_eq!(skill_hash(Object::of(&v), TargetKind::Deployment, "h"), Some("c4e1"));
        assert_eq!(skill_hash(Object::of(&v), TargetKind::ScaledJob, "h"), None);
        let v = json!({"spec": {"jobTargetRef": {"template": template}}});
        assert_eq!(skill_hash(Object::of(&v), TargetKind::ScaledJob, "h"), Some("c4e1"));
    }
}
