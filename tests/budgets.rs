//! Sizes and times that users feel. Counts are asserted at the budget; times
//! are printed, and asserted with room for a busy machine.

use harness::clock::Clock;
use harness::cluster::Cluster;
use serde_json::{json, Value};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tests::root;
use tests::simulation::{modules, scenario};

#[test]
fn policy_module_size() {
    let bytes = std::fs::metadata(root("dist/policy.wasm")).unwrap().len();
    println!("policy.wasm: {bytes} bytes");
    assert!(bytes <= 512 * 1024, "{bytes} bytes");
}

/// Median time of an admission with `gateways` gateways in the state.
fn median_admission(gateways: usize) -> Duration {
    let now = scenario().start;
    let mut cluster = Cluster::default();
    let mut listed = Vec::new();
    for i in 0..gateways {
        let id = format!("gw-{i}");
        let verdict = json!({
            "schema": "verdict.v1", "gateway": id, "az": "a", "observed_at": now.to_string(),
            "status": "healthy", "canary_active": true, "degraded": false, "frozen": false,
            "frozen_by": [], "aborted": false, "asleep": false, "disk": "ok", "disk_tier": "1TB",
            "epoch": 1, "promotion_frozen": true, "maintenance": false, "headroom": 1, "reason": ""
        });
        cluster.put(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": format!("canary-gate.{id}"), "namespace": "builds", "labels": { "canary-gate.dev/lane": "openclaw-build-lane" } },
            "data": { "verdict": verdict.to_string() }
        }));
        listed.push(json!({ "id": id, "az": "a", "writer": format!("system:serviceaccount:builds:canary-gate-{id}") }));
    }
    let mut settings = scenario().policy.settings;
    settings["lanes"][0]["gateways"] = Value::Array(listed);
    let object = |max: i64| {
        json!({
            "metadata": { "name": "openclaw-worker", "annotations": { "padding": "x".repeat(3_800) } },
            "spec": { "scaleTargetRef": { "name": "openclaw-worker" }, "maxReplicaCount": max }
        })
    };
    let payload = json!({
        "settings": settings,
        "request": {
            "operation": "UPDATE", "namespace": "builds", "name": "openclaw-worker",
            "kind": { "group": "keda.sh", "version": "v1alpha1", "kind": "ScaledObject" },
            "object": object(8), "oldObject": object(7),
        }
    })
    .to_string();
    let host = harness::policy_host::PolicyHost::start(
        &modules().policy,
        Clock::at(now),
        Arc::new(Mutex::new(cluster)),
    )
    .unwrap();
    let rounds = if gateways > 100 { 15 } else { 301 };
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let begun = Instant::now();
            let verdict = host.validate_bytes(payload.as_bytes()).unwrap();
            assert_eq!((verdict.accepted, verdict.rule()), (false, "canary-cap"));
            begun.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

#[test]
fn admission_time() {
    let (one, thousand) = (median_admission(1), median_admission(1_000));
    println!(
        "one admission, warm, with one gateway: {one:?}; with 1,000: {thousand:?} (host included)"
    );
    assert!(one < Duration::from_millis(3), "{one:?}");
    assert!(thousand < Duration::from_millis(400), "{thousand:?}");
}
