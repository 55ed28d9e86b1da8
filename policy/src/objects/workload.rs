//! Deployments, StatefulSets and Argo Rollouts, and the Scale of each.

use super::{Object, TargetRef};
use gate::parse::Json;
use gate::target::TargetKind;

/// `spec.replicas` where it is absent: the API's default for a workload, and
/// what an absent number means in a Scale.
const DEFAULT_REPLICAS: i64 = 1;
const DEFAULT_SCALE_REPLICAS: i64 = 0;
/// `maxSurge` where it is absent, percent.
const DEFAULT_SURGE_PCT: i64 = 25;

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

/// Where pods besides `spec.replicas` are asked for.
pub const EXTRAS: [&str; 4] = [
    "spec.strategy maxSurge",
    "spec.strategy.canary.steps[].setCanaryScale.replicas",
    "spec.strategy.canary.steps[].experiment",
    "spec.strategy.blueGreen.previewReplicaCount",
];

/// Pods that may run besides `replicas`, in the order of [`EXTRAS`]: the surge
/// of an update, which stays where a Deployment is paused in the middle of it
/// (Kubernetes `pkg/controller/deployment/sync.go`), and what a Rollout runs for
/// a canary scale, an experiment and a preview (argo-rollouts `types.go`,
/// `rollout/experiment.go`, `utils/replicaset/replicaset.go`).
pub fn extras(object: Object, replicas: i64) -> [i64; 4] {
    let strategy = Object(object.at(&["spec", "strategy"]));
    let steps = || strategy.at(&["canary", "steps"]).as_array().unwrap_or_default().iter();
    let canary = steps().filter_map(|s| Object(s).number(&["setCanaryScale", "replicas"])).max();
    let of_template = |t: &Json| Object(t).number(&["replicas"]).unwrap_or(DEFAULT_REPLICAS);
    let experiment = steps()
        .filter_map(|s| Object(s).at(&["experiment", "templates"]).as_array())
        .map(|templates| templates.iter().map(of_template).fold(0, i64::saturating_add))
        .max();
    let has = |key| strategy.at(&[key]).is_object();
    let surge = if has("canary") {
        strategy.at(&["canary", "maxSurge"])
    } else {
        strategy.at(&["rollingUpdate", "maxSurge"])
    };
    let surges = !has("blueGreen") && strategy.text(&["type"]) != "Recreate";
    let preview = || strategy.number(&["blueGreen", "previewReplicaCount"]).unwrap_or(replicas);
    [
        if surges { of_surge(surge, replicas) } else { 0 },
        canary.unwrap_or(0),
        experiment.unwrap_or(0),
        if has("blueGreen") { preview() } else { 0 },
    ]
}

/// What a new workload has where it says nothing; more of any is asked for.
pub fn usual_extras(replicas: i64) -> [i64; 4] {
    [of_surge(&Json::Null, replicas), 0, 0, replicas]
}

/// A number of pods, or a share of `replicas` rounded up; absent is a quarter.
fn of_surge(surge: &Json, replicas: i64) -> i64 {
    let percent = match surge {
        Json::Null => Some(DEFAULT_SURGE_PCT),
        Json::Str(text) => {
            text.strip_suffix('%').and_then(|n| n.parse::<u32>().ok()).map(i64::from)
        }
        number => return super::number(number).unwrap_or(0),
    };
    percent.map_or(i64::MAX, |p| {
        replicas.saturating_mul(p).saturating_add(99).checked_div(100).unwrap_or(i64::MAX)
    })
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
    use rstest::rstest;
    use serde_json::{json, Value};

    #[test]
    fn absent_replicas_differ_by_kind() {
        let v = json!({"spec": {}});
        assert_eq!((replicas(Object::of(&v)), scale_replicas(Object::of(&v))), (1, 0));
    }

    #[rstest]
    #[case::nothing_said(json!({}), [2, 0, 0, 0])]
    #[case::percent_rounds_up(json!({"rollingUpdate": {"maxSurge": "10%"}}), [1, 0, 0, 0])]
    #[case::number(json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 500}}), [500, 0, 0, 0])]
    #[case::no_number(json!({"rollingUpdate": {"maxSurge": "many"}}), [i64::MAX, 0, 0, 0])]
    #[case::negative_percent(json!({"rollingUpdate": {"maxSurge": "-5%"}}), [i64::MAX, 0, 0, 0])]
    #[case::recreate(json!({"type": "Recreate"}), [0, 0, 0, 0])]
    #[case::canary_surge(json!({"canary": {"maxSurge": "100%"}}), [6, 0, 0, 0])]
    #[case::canary_steps(json!({"canary": {"maxSurge": 0, "steps": [
        {"setWeight": 10}, {"setCanaryScale": {"replicas": 3}}, {"setCanaryScale": {"replicas": 2}},
        {"experiment": {"templates": [{"replicas": 50}, {}]}}
    ]}}), [0, 3, 51, 0])]
    #[case::preview(json!({"blueGreen": {"previewReplicaCount": 4}}), [0, 0, 0, 4])]
    #[case::preview_of_all(json!({"blueGreen": {}}), [0, 0, 0, 6])]
    fn pods_besides_the_replicas(#[case] strategy: Value, #[case] expected: [i64; 4]) {
        let v = json!({"spec": {"replicas": 6, "strategy": strategy}});
        assert_eq!(extras(Object::of(&v), 6), expected);
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
