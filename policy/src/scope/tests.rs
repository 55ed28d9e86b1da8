use super::*;
use crate::settings::tests::sample;
use rstest::rstest;
use serde_json::{json, Value};

const NOW: Timestamp = Timestamp::from_secs(1_795_510_800);
const WORKER: &str = "openclaw-worker";

fn so(kind: &str, target: &str, max: i64) -> Value {
    json!({
        "metadata": {"name": WORKER, "labels": {"a": "b"}},
        "spec": {"scaleTargetRef": {"kind": kind, "name": target}, "maxReplicaCount": max}
    })
}

fn request(namespace: &str, operation: &str, old: Value, new: Value) -> Request<'static> {
    Request {
        operation: operation.into(),
        namespace: namespace.into(),
        name: WORKER.into(),
        kind: "ScaledObject".into(),
        group: "keda.sh".into(),
        object: Object::of(&new).0.clone(),
        old_object: Object::of(&old).0.clone(),
        ..Request::default()
    }
}

/// Lifts on each target that the edit touches.
fn lifts(r: &Request) -> Vec<usize> {
    let settings = sample();
    let changes = changes(&settings, r, NOW).unwrap();
    changes.iter().filter(|c| c.target.is_some()).map(|c| c.lifts.len()).collect()
}

#[rstest]
#[case::raise(request("builds", "UPDATE", so("Deployment", WORKER, 6), so("Deployment", WORKER, 7)), &[1])]
#[case::lower(request("builds", "UPDATE", so("Deployment", WORKER, 6), so("Deployment", WORKER, 5)), &[0])]
#[case::other_namespace(request("web", "UPDATE", so("Deployment", WORKER, 6), so("Deployment", WORKER, 7)), &[])]
#[case::other_kind(request("builds", "UPDATE", so("StatefulSet", WORKER, 6), so("StatefulSet", WORKER, 7)), &[])]
#[case::other_name(request("builds", "UPDATE", so("Deployment", "web", 6), so("Deployment", "web", 7)), &[])]
#[case::retarget_away(request("builds", "UPDATE", so("Deployment", WORKER, 6), so("Deployment", "web", 6)), &[1])]
#[case::retarget_onto(request("builds", "UPDATE", so("Deployment", "web", 6), so("Deployment", WORKER, 6)), &[2])]
#[case::create(request("builds", "CREATE", Value::Null, so("Deployment", WORKER, 6)), &[1])]
#[case::delete(request("builds", "DELETE", so("Deployment", WORKER, 6), Value::Null), &[])]
fn lifts_in_scope(#[case] r: Request, #[case] expected: &[usize]) {
    assert_eq!(lifts(&r), expected);
}

#[test]
fn relabelling_is_no_way_out() {
    let mut new = so("Deployment", WORKER, 9);
    new["metadata"]["labels"] = Value::Null;
    assert_eq!(lifts(&request("builds", "UPDATE", so("Deployment", WORKER, 6), new)), [1]);
}

fn scale(resource: &str, name: &str, old: i64, new: i64) -> Request<'static> {
    Request {
        group: "autoscaling".into(),
        kind: "Scale".into(),
        resource: resource.into(),
        sub_resource: "scale".into(),
        name: name.into(),
        ..request(
            "builds",
            "UPDATE",
            json!({"spec": {"replicas": old}}),
            json!({"spec": {"replicas": new}}),
        )
    }
}

#[rstest]
#[case::raise(scale("deployments", WORKER, 6, 7), &[1])]
#[case::lower(scale("deployments", WORKER, 6, 5), &[0])]
#[case::of_another_kind(scale("statefulsets", WORKER, 6, 7), &[])]
#[case::of_a_replica_set(scale("replicasets", WORKER, 6, 7), &[])]
#[case::of_who_knows_what(scale("", WORKER, 6, 7), &[1])]
#[case::as_the_audit_scanner_says(scale("Deployment", WORKER, 6, 7), &[1])]
#[case::another(scale("deployments", "web", 6, 7), &[])]
fn a_scale_is_told_apart_by_its_resource(#[case] r: Request, #[case] expected: &[usize]) {
    assert_eq!(lifts(&r), expected);
}

#[rstest]
#[case::target(json!({"kind": "Deployment", "name": WORKER}), &[1])]
#[case::another(json!({"kind": "Deployment", "name": "web"}), &[])]
#[case::another_kind(json!({"kind": "StatefulSet", "name": WORKER}), &[])]
fn a_rollout_of_a_targets_template_is_more_of_its_pods(
    #[case] reference: Value,
    #[case] expected: &[usize],
) {
    let r = Request {
        group: "argoproj.io".into(),
        kind: "Rollout".into(),
        name: "canary".into(),
        ..request(
            "builds",
            "CREATE",
            Value::Null,
            json!({"spec": {"workloadRef": reference, "replicas": 3}}),
        )
    };
    assert_eq!(lifts(&r), expected);
}

#[rstest]
#[case("UPDATE", json!({}), Value::Null, "request.object: is null, not an object")]
#[case("UPDATE", Value::Null, json!({}), "request.oldObject")]
#[case("CREATE", Value::Null, json!("x"), "request.object: is a string")]
#[case("PATCH", json!({}), json!({}), "request.operation: `PATCH`")]
fn names_what_it_cannot_read(
    #[case] op: &str,
    #[case] old: Value,
    #[case] new: Value,
    #[case] expected: &str,
) {
    let settings = sample();
    let e = changes(&settings, &request("builds", op, old, new), NOW).unwrap_err();
    assert!(e.contains(expected), "{e}");
}

#[test]
fn state_is_asked_for_only_where_an_answer_depends_on_it() {
    let settings = sample();
    let asks = |r: &Request| {
        changes(&settings, r, NOW).unwrap().iter().any(|c| c.asks_for_state(&settings))
    };
    let update = |old, new| {
        request("builds", "UPDATE", so("Deployment", WORKER, old), so("Deployment", WORKER, new))
    };
    assert!(asks(&update(6, 7)));
    assert!(!asks(&update(6, 5)));
    assert!(!asks(&update(6, 6)));
    assert!(asks(&scale("deployments", WORKER, 6, 7)));
    assert!(!asks(&scale("deployments", WORKER, 6, 5)));
}
