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
    let changes = changes(&settings, r, NOW, &crate::fields::table).unwrap();
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
#[case::target(json!({"kind": "Deployment", "name": WORKER}), &[2])]
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
    let e = changes(&settings, &request("builds", op, old, new), NOW, &crate::fields::table)
        .unwrap_err();
    assert!(e.contains(expected), "{e}");
}

#[test]
fn state_is_asked_for_only_where_an_answer_depends_on_it() {
    let settings = sample();
    let asks = |r: &Request| {
        changes(&settings, r, NOW, &crate::fields::table)
            .unwrap()
            .iter()
            .any(|c| c.asks_for_state(&settings))
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

fn hpa(name: &str, target: &str, min: i64) -> Value {
    json!({"metadata": {"name": name}, "spec": {
        "scaleTargetRef": {"kind": "Deployment", "name": target}, "maxReplicas": 6, "minReplicas": min
    }})
}

/// Lifts and faults of an edit of an HPA, by target.
fn of_hpa(name: &str, old: Value, new: Value) -> Vec<(usize, usize)> {
    let r = Request {
        group: "autoscaling".into(),
        kind: "HorizontalPodAutoscaler".into(),
        name: name.into(),
        ..request("builds", "UPDATE", old, new)
    };
    let settings = sample();
    let changes = changes(&settings, &r, NOW, &crate::fields::table).unwrap();
    changes.iter().map(|c| (c.lifts.len(), c.faults.len())).collect()
}

#[test]
fn another_hpa_than_kedas_held_nothing_when_it_goes_elsewhere() {
    assert_eq!(of_hpa("web", hpa("web", WORKER, 1), hpa("web", "web", 1)), []);
    let kedas = format!("keda-hpa-{WORKER}");
    assert_eq!(of_hpa(&kedas, hpa(&kedas, WORKER, 1), hpa(&kedas, "web", 1)), [(1, 0)]);
}

#[test]
fn the_minimum_of_an_hpa_is_the_stable_ones_alone() {
    let canary = format!("{WORKER}-canary");
    let of = |target: &str, min| of_hpa("x", hpa("x", target, 2), hpa("x", target, min))[0].1;
    assert_eq!((of(WORKER, 0), of(WORKER, 1), of(&canary, 3)), (1, 0, 0));
}

/// Who may poll the lane's measurement: its own ScaledObjects and ScaledJobs,
/// whether the settings name them or they are known by their target.
#[rstest]
#[case::its_own("ScaledObject", "named", WORKER, true)]
#[case::another_on_its_target("ScaledObject", "second", WORKER, false)]
#[case::known_by_its_target("ScaledObject", "any", "unnamed", true)]
#[case::of_another_target("ScaledObject", "any", "web", false)]
#[case::its_scaled_job("ScaledJob", "builder", "", true)]
#[case::another_scaled_job("ScaledJob", "other", "", false)]
#[case::a_scaled_job_named_as_a_deployment("ScaledJob", "unnamed", "", false)]
fn callers_of_the_measurement(
    #[case] kind: &str,
    #[case] name: &str,
    #[case] target: &str,
    #[case] may: bool,
) {
    let mut settings = sample();
    let read = |v: Value| serde_json::from_value::<Target>(v).unwrap();
    settings.lanes[0].targets = vec![
        read(
            json!({"kind": "Deployment", "name": WORKER, "slice": "stable", "scaledObject": "named"}),
        ),
        read(json!({"kind": "Deployment", "name": "unnamed", "slice": "stable"})),
        read(json!({"kind": "ScaledJob", "name": "builder", "slice": "stable"})),
    ];
    let url = settings.lanes[0].measurement_urls[0].clone();
    let spec = json!({
        "scaleTargetRef": {"kind": "Deployment", "name": target},
        "triggers": [{"type": "metrics-api", "metadata": {"url": url}}]
    });
    let r = Request {
        kind: kind.into(),
        name: name.into(),
        ..request("builds", "CREATE", Value::Null, json!({ "spec": spec }))
    };
    let changes = changes(&settings, &r, NOW, &crate::fields::table).unwrap();
    let is_foreign = |c: &Change| c.target.is_none() && !c.faults.is_empty();
    assert_eq!(!changes.iter().any(is_foreign), may, "{changes:?}");
}

#[rstest]
#[case::of_the_scaled_job("builder", &[1])]
#[case::of_another("other", &[])]
#[case::named_as_a_deployment(WORKER, &[])]
fn a_job_belongs_to_the_scaled_job_of_its_label(#[case] label: &str, #[case] expected: &[usize]) {
    let mut settings = sample();
    let target = json!({"kind": "ScaledJob", "name": "builder", "slice": "stable"});
    settings.lanes[0].targets.push(serde_json::from_value(target).unwrap());
    let job = |n| json!({"metadata": {"labels": {"scaledjob.keda.sh/name": label}}, "spec": {"parallelism": n}});
    let r = Request {
        group: "batch".into(),
        kind: "Job".into(),
        ..request("builds", "UPDATE", job(1), job(2))
    };
    let changes = changes(&settings, &r, NOW, &crate::fields::table).unwrap();
    assert_eq!(changes.iter().map(|c| c.lifts.len()).collect::<Vec<_>>(), expected);
}
