//! Hostile input through the built policy: nothing traps it, and nothing that
//! raises is accepted while the lane is frozen.
//!
//! A short run here; `make fuzz` runs a thousand times as long
//! (`FUZZ_CASES`). A failure prints the input that proptest shrank it to.

use harness::clock::Clock;
use harness::cluster::Cluster;
use harness::policy_host::PolicyHost;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{json, Value};
use std::sync::{Arc, Mutex};
use tests::simulation::{modules, scenario};

fn runner() -> TestRunner {
    let cases = std::env::var("FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000);
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

/// A lane that is degraded; the state is where the policy reads it.
fn host() -> PolicyHost {
    let now = scenario().start;
    let verdict = json!({
        "schema": "verdict.v1", "gateway": "gw-a1", "az": "a", "observed_at": now.to_string(),
        "status": "degraded", "canary_active": true, "degraded": true, "frozen": true,
        "frozen_by": ["canary_5xx_rate"], "aborted": false, "asleep": false, "disk": "ok", "disk_tier": "1TB",
        "epoch": 1, "promotion_frozen": true, "maintenance": false, "headroom": 1, "reason": ""
    });
    let mut cluster = Cluster::default();
    cluster.put(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "canary-gate.gw-a1", "namespace": "builds", "labels": { "canary-gate.dev/lane": "openclaw-build-lane" } },
        "data": { "verdict": verdict.to_string() }
    }));
    PolicyHost::start(&modules().policy, Clock::at(now), Arc::new(Mutex::new(cluster))).unwrap()
}

fn answer(host: &PolicyHost, operation: &str, bytes: &[u8]) -> Value {
    let answer = host.call(operation, bytes).unwrap_or_else(|e| panic!("{e:#}"));
    serde_json::from_slice(&answer).unwrap()
}

#[test]
fn arbitrary_bytes() {
    let host = host();
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        // Near misses: a good payload with a byte changed.
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| {
            let request = edit("ScaledObject", HEIGHTS[0].1, json!(6), json!(7));
            let mut text = payload(&request).to_string().into_bytes();
            let at = at.index(text.len());
            text[at] = byte;
            text
        }),
    ];
    runner()
        .run(&bytes, |bytes| {
            prop_assert!(answer(&host, "validate", &bytes)["accepted"].is_boolean());
            prop_assert!(answer(&host, "validate_settings", &bytes)["valid"].is_boolean());
            Ok(())
        })
        .unwrap();
}

/// The scenario's lane, with a target of every kind.
fn payload(request: &Value) -> Value {
    let mut settings = scenario().policy.settings;
    let targets = settings["lanes"][0]["targets"].as_array_mut().unwrap();
    for kind in ["StatefulSet", "Rollout", "ScaledJob"] {
        targets.push(json!({ "kind": kind, "name": "openclaw-worker", "slice": "stable" }));
    }
    json!({ "settings": settings, "request": request })
}

/// Kinds and the field that says how high they go.
const HEIGHTS: [(&str, &str); 10] = [
    ("ScaledObject", "/spec/maxReplicaCount"),
    ("ScaledObject", "/spec/minReplicaCount"),
    ("ScaledObject", "/spec/fallback/replicas"),
    ("ScaledJob", "/spec/maxReplicaCount"),
    ("HorizontalPodAutoscaler", "/spec/maxReplicas"),
    ("Scale", "/spec/replicas"),
    ("Deployment", "/spec/replicas"),
    ("StatefulSet", "/spec/replicas"),
    ("Rollout", "/spec/replicas"),
    ("Rollout", "/spec/strategy/canary/steps/0/setCanaryScale/replicas"),
];

fn edit(kind: &str, path: &str, old: Value, new: Value) -> Value {
    let (group, resource, sub) = match kind {
        "ScaledObject" => ("keda.sh", "scaledobjects", ""),
        "ScaledJob" => ("keda.sh", "scaledjobs", ""),
        "HorizontalPodAutoscaler" => ("autoscaling", "horizontalpodautoscalers", ""),
        "Scale" => ("autoscaling", "deployments", "scale"),
        "StatefulSet" => ("apps", "statefulsets", ""),
        "Rollout" => ("argoproj.io", "rollouts", ""),
        _ => ("apps", "deployments", ""),
    };
    let object = |n: Value| {
        let mut object = json!({
            "metadata": { "name": "openclaw-worker" },
            "spec": {
                "scaleTargetRef": { "name": "openclaw-worker" },
                "fallback": { "failureThreshold": 3, "behavior": "static" },
                "minReplicas": 1, "minReplicaCount": 1,
                "strategy": { "canary": { "trafficRouting": {}, "steps": [{ "setCanaryScale": {} }] } },
            }
        });
        let (parent, key) = path.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[key] = n;
        object
    };
    json!({
        "uid": "1", "operation": "UPDATE", "namespace": "builds", "name": "openclaw-worker", "subResource": sub,
        "kind": { "group": group, "version": "v1", "kind": kind },
        "resource": { "group": group, "version": "v1", "resource": resource },
        "userInfo": { "username": "x" }, "object": object(new), "oldObject": object(old),
    })
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(|b| json!(b)),
        any::<i64>().prop_map(|n| json!(n)),
        any::<f64>().prop_map(|n| json!(n)),
        ".{0,12}".prop_map(|s| json!(s)),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        let key = prop::sample::select(vec![
            "spec",
            "metadata",
            "annotations",
            "labels",
            "name",
            "scaleTargetRef",
            "kind",
            "triggers",
            "type",
            "advanced",
            "template",
            "containers",
            "command",
            "data",
            "verdict",
            "override",
            "status",
            "replicas",
            "maxReplicaCount",
            "minReplicaCount",
            "idleReplicaCount",
            "fallback",
            "behavior",
            "strategy",
            "steps",
            "maxSurge",
            "workloadRef",
            "jobTemplate",
            "args",
            "parallelism",
            "autoscaling.keda.sh/paused-replicas",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((key, inner), 0..5).prop_map(|pairs| {
                Value::Object(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
            }),
        ]
    })
}

/// Requests of every kind with parts of them replaced by anything.
#[test]
fn hostile_requests() {
    let host = host();
    let kinds = [
        ("keda.sh", "ScaledObject"),
        ("keda.sh", "ScaledJob"),
        ("autoscaling", "HorizontalPodAutoscaler"),
        ("autoscaling", "Scale"),
        ("apps", "Deployment"),
        ("argoproj.io", "Rollout"),
        ("batch", "Job"),
        ("batch", "CronJob"),
        ("", "ConfigMap"),
        ("argoproj.io", "AnalysisTemplate"),
        ("flagger.app", "Canary"),
    ];
    let pointers = vec![
        "/object",
        "/oldObject",
        "/object/spec",
        "/oldObject/spec",
        "/object/metadata",
        "/userInfo",
        "/resource",
        "/object/spec/scaleTargetRef",
        "/name",
        "/subResource",
    ];
    let input = (
        prop::sample::select(kinds.to_vec()),
        prop::collection::vec((prop::sample::select(pointers), any_json()), 0..4),
        prop::sample::select(vec!["CREATE", "UPDATE", "DELETE", "CONNECT", "", "PATCH"]),
    );
    runner()
        .run(&input, |((group, kind), parts, operation)| {
            let mut request = edit("ScaledObject", HEIGHTS[0].1, json!(6), json!(7));
            request["kind"] = json!({ "group": group, "version": "v1", "kind": kind });
            request["operation"] = json!(operation);
            for (pointer, value) in parts {
                if let Some(part) = request.pointer_mut(pointer) {
                    *part = value;
                }
            }
            let said = answer(&host, "validate", payload(&request).to_string().as_bytes());
            prop_assert!(said["accepted"].is_boolean());
            if operation == "DELETE" && said["code"] != 400 {
                prop_assert_eq!(&said["accepted"], true, "a DELETE is refused: {}", said);
            }
            Ok(())
        })
        .unwrap();
}

fn is_accepted(host: &PolicyHost, request: &Value) -> bool {
    answer(host, "validate", payload(request).to_string().as_bytes())["accepted"] == true
}

#[test]
fn no_raise_is_accepted_while_frozen_and_no_lowering_refused() {
    let host = host();
    let height = prop_oneof![4 => 1i64..30, 1 => 1..i64::MAX];
    let input = (prop::sample::select(HEIGHTS.to_vec()), height.clone(), height, any_json());
    runner()
        .run(&input, |((kind, path), old, new, noise)| {
            let mut request = edit(kind, path, json!(old), json!(new));
            // What nobody reads turns nothing.
            request["object"]["metadata"]["managedFields"] = noise.clone();
            request["object"]["status"] = noise;
            let accepted = is_accepted(&host, &request);
            prop_assert_eq!(accepted, new <= old, "{} {} {} -> {}", kind, path, old, new);
            Ok(())
        })
        .unwrap();
}

/// Whatever stands in place of the number, nothing that is not known to be low
/// is let in.
#[test]
fn no_other_shape_of_a_number_is_a_way_up() {
    let host = host();
    let input = (prop::sample::select(HEIGHTS.to_vec()), 1i64..30, any_json());
    runner()
        .run(&input, |((kind, path), old, new)| {
            let low = new.as_f64().is_some_and(|n| n <= old as f64);
            let absent = new.is_null() && !path.ends_with("maxReplicaCount");
            let request = edit(kind, path, json!(old), new.clone());
            let accepted = is_accepted(&host, &request);
            prop_assert!(low || absent || !accepted, "{} {} {} -> {}", kind, path, old, new);
            Ok(())
        })
        .unwrap();
}
