//! Bad input: each a clear error that names the field, nothing traps, and
//! what cannot be judged fails closed.

use harness::cluster::Cluster;
use harness::policy_host::PolicyHost;
use harness::proxy_host::http::Request;
use harness::proxy_host::{Plugin, Proxy};
use harness::scenario::run::Simulation;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{json, Value};
use std::sync::{Arc, Mutex};
use tests::simulation::*;

fn policy() -> PolicyHost {
    let clock = harness::clock::Clock::at(scenario().start);
    PolicyHost::start(&modules().policy, clock, Arc::new(Mutex::new(Cluster::default()))).unwrap()
}

fn scaled_object(max: i64) -> Value {
    json!({ "metadata": { "name": "openclaw-worker" }, "spec": { "scaleTargetRef": { "name": "openclaw-worker" }, "maxReplicaCount": max } })
}

fn payload(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut payload = json!({
        "settings": scenario().policy.settings,
        "request": {
            "operation": "UPDATE", "namespace": "builds", "name": "openclaw-worker",
            "kind": { "group": "keda.sh", "version": "v1alpha1", "kind": "ScaledObject" },
            "object": scaled_object(7), "oldObject": scaled_object(6),
        }
    });
    change(&mut payload);
    payload.to_string().into_bytes()
}

#[test]
fn admission_requests() {
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"".to_vec(), "EOF"),
        (b"{".to_vec(), "EOF"),
        (vec![0x80, 0xff, 0x00], "admission request"),
        (b"[]".to_vec(), "settings: .: is null, not a map"),
        (payload(|p| p["request"] = json!(7)), "request: is not an object"),
        (
            payload(|p| p["request"]["kind"] = json!({ "kind": 7 })),
            "request.kind.kind: is not a string",
        ),
        (payload(|p| p["request"]["operation"] = json!("UPSERT")), "request.operation: `UPSERT`"),
        (payload(|p| p["request"]["oldObject"] = Value::Null), "request.oldObject"),
        (payload(|p| p["request"]["object"] = json!("x")), "request.object"),
        (payload(|p| p["settings"]["lanes"] = json!({})), "lanes: is a map, not a list"),
    ];
    let host = policy();
    for (bytes, expected) in cases {
        let verdict = host.validate_bytes(&bytes).unwrap();
        let message = verdict.message.unwrap_or_default();
        assert!(!verdict.accepted && message.contains(expected), "{message}, expected {expected}");
    }
}

#[test]
fn settings() {
    let host = policy();
    assert_eq!(
        host.validate_settings(scenario().policy.settings.to_string().as_bytes()).unwrap(),
        Ok(())
    );
    for (text, expected) in [
        ("", "EOF"),
        ("{\"lanes\":{}}", "generated form"),
        ("{\"lanes\":[],\"mode\":\"strict\"}", "mode: unknown variant `strict`"),
        ("{\"lane\":[]}", "unknown field `lane`"),
    ] {
        let e = host.validate_settings(text.as_bytes()).unwrap().unwrap_err();
        assert!(e.contains(expected), "{e}");
    }
}

#[test]
fn plugin_configurations() {
    let good = json!({
        "role": "probe", "gateway": { "id": "gw-a1", "az": "a" },
        "lane": { "name": "l", "namespace": "n", "stable_replicas": 1 }, "slice": { "fixed": "canary" }
    });
    let start = |configuration: Value| {
        let plugin = Plugin {
            name: "p".into(),
            vm_id: "v".into(),
            vm_configuration: "c".into(),
            configuration,
        };
        let clock = harness::clock::Clock::at(scenario().start);
        Proxy::start(&modules().filter, clock, 1, vec![plugin], &[]).err().map(|e| e.to_string())
    };
    assert_eq!(start(good.clone()), None);
    for (key, value, expected) in [
        ("role", json!("both"), "tokens: an endpoint needs"),
        ("slice", json!({ "fixed": "blue" }), "slice.fixed: unknown variant `blue`"),
        ("windows", json!({ "tick_s": 0 }), "windows.tick_s"),
        ("thresholds", json!({ "p99": 1 }), "unknown field `p99`"),
        ("colour", json!(1), "unknown field `colour`"),
    ] {
        let mut configuration = good.clone();
        configuration[key] = value;
        let e = start(configuration).unwrap();
        assert!(e.contains(expected), "{e}, expected {expected}");
    }
}

#[test]
fn facts_commands_and_tokens() {
    let mut s = idle();
    let now = s.clock().now().to_string();
    for (path, as_, body, expected) in [
        (
            "/keda/facts",
            "facts",
            json!({ "at": now, "doctor_ok": true }),
            "missing field `disk_used_pct`",
        ),
        (
            "/keda/facts",
            "facts",
            json!({ "at": now, "disk_used_pct": -1, "doctor_ok": true }),
            "disk_used_pct: -1",
        ),
        (
            "/keda/canary",
            "ops",
            json!({ "action": "explode" }),
            "action: unknown variant `explode`",
        ),
        (
            "/keda/canary",
            "ops",
            json!({ "action": "begin", "weight": "much" }),
            "weight: invalid type",
        ),
    ] {
        let answer = s.manage(&put(path, as_, &body)).unwrap();
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains(expected), "{}", answer.text());
    }
    for header in [&b"Bearer "[..], b"Basic eA==", b"Bearer \x80\xff", b"\xff\xfe", b""] {
        let request = Request::new("GET", "/keda/metrics").header("authorization", header);
        assert_eq!(s.manage(&request).unwrap().status, 401);
    }
}

/// Every byte in every header that is read, through the built module.
#[test]
fn header_bytes() {
    let mut scenario = scenario();
    scenario.gateway.probe = harness::scenario::format::Probe::HttpFilter;
    let mut s = Simulation::start(modules(), &scenario).unwrap();
    s.run_to(10).unwrap();
    for name in
        ["authorization", "x-openclaw-slice", ":path", ":method", ":authority", "content-type"]
    {
        for byte in 0x80..=0xffu8 {
            let mut request = Request::new("GET", "/keda/metrics");
            request.headers.retain(|(n, _)| n != name.as_bytes());
            let request = request.header(name, [b'B', b'e', byte, 0, byte]);
            let answer = Some(harness::proxy_host::http::Response::upstream(200, 1));
            s.proxy().request(0, 1, &request, answer.as_ref()).unwrap();
            s.proxy().request(0, 0, &request, answer.as_ref()).unwrap();
        }
    }
    assert_eq!(s.proxy().traps(), Vec::<String>::new());
}

/// Arbitrary bytes and arbitrary numbers: no trap, no raise while the state is missing.
#[test]
fn fuzzed_requests_neither_trap_nor_raise() {
    let host = policy();
    let mut runner = TestRunner::new(Config { cases: 400, ..Config::default() });
    runner
        .run(&prop::collection::vec(any::<u8>(), 0..200), |bytes| {
            let verdict =
                host.validate_bytes(&bytes).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert!(!verdict.accepted);
            host.validate_settings(&bytes)
                .map_err(|e| TestCaseError::fail(e.to_string()))?
                .unwrap_err();
            Ok(())
        })
        .unwrap();
    let number = prop_oneof![
        any::<i64>().prop_map(|n| json!(n)),
        (-5i64..120).prop_map(|n| json!(n)),
        any::<f64>().prop_map(|n| json!(n)),
        "[a-z0-9]{0,3}".prop_map(|t| json!(t)),
        Just(Value::Null),
        Just(json!([1])),
    ];
    let mut runner = TestRunner::new(Config { cases: 400, ..Config::default() });
    runner
        .run(&(0i64..50, number), |(old, new)| {
            let bytes = payload(|p| {
                p["request"]["oldObject"] = scaled_object(old);
                p["request"]["object"]["spec"]["maxReplicaCount"] = new.clone();
            });
            let verdict =
                host.validate_bytes(&bytes).map_err(|e| TestCaseError::fail(e.to_string()))?;
            // Stable may rise to its minimum of 1 in every state.
            let lowers = new.as_f64().is_some_and(|n| n.fract() == 0.0 && n <= old.max(1) as f64);
            if verdict.accepted {
                prop_assert!(
                    lowers || (new.is_null() && old >= 100),
                    "{old} -> {new} was accepted"
                );
            }
            if new.as_i64().is_some_and(|n| n <= old) {
                prop_assert!(verdict.accepted, "{old} -> {new} was refused");
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn the_policys_metadata_is_embedded() {
    let bytes = std::fs::read(tests::root("dist/policy.wasm")).unwrap();
    let metadata = custom_section(&bytes, "io.kubewarden.metadata").expect("the section");
    let metadata: Value = serde_json::from_slice(&metadata).unwrap();
    assert_eq!(metadata["protocolVersion"], "v1");
    assert_eq!(metadata["backgroundAudit"], false);
    assert_eq!(
        metadata["contextAwareResources"],
        json!([
            { "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout" },
            { "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject" },
            { "apiVersion": "v1", "kind": "ConfigMap" },
        ])
    );
    let answer = policy().call("protocol_version", b"").unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), "\"v1\"");
}

/// A custom section of a module, found by walking the sections.
fn custom_section(bytes: &[u8], wanted: &str) -> Option<Vec<u8>> {
    fn number(bytes: &[u8], at: &mut usize) -> Option<usize> {
        let (mut value, mut shift) = (0usize, 0);
        loop {
            let byte = *bytes.get(*at)?;
            *at += 1;
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
            shift += 7;
        }
    }
    let mut at = 8;
    while at < bytes.len() {
        let id = bytes[at];
        at += 1;
        let size = number(bytes, &mut at)?;
        let end = at + size;
        if id == 0 {
            let mut inner = at;
            let len = number(bytes, &mut inner)?;
            if bytes.get(inner..inner + len)? == wanted.as_bytes() {
                return Some(bytes.get(inner + len..end)?.to_vec());
            }
        }
        at = end;
    }
    None
}

#[test]
fn lookups_are_made_only_where_the_answer_depends_on_them() {
    let lookups = |old: i64, new: i64| {
        let cluster = Arc::new(Mutex::new(Cluster::default()));
        let clock = harness::clock::Clock::at(scenario().start);
        let host = PolicyHost::start(&modules().policy, clock, Arc::clone(&cluster)).unwrap();
        let bytes = payload(|p| {
            p["request"]["oldObject"] = scaled_object(old);
            p["request"]["object"] = scaled_object(new);
        });
        host.validate_bytes(&bytes).unwrap();
        let lookups = cluster.lock().unwrap().lookups.clone();
        lookups
    };
    assert_eq!(lookups(6, 5), Vec::<String>::new());
    assert_eq!(lookups(6, 6), Vec::<String>::new());
    assert_eq!(
        lookups(6, 7),
        [
            "list_resources_by_namespace ConfigMap builds",
            "get_resource ConfigMap builds canary-gate.gw-a1"
        ]
    );
}

/// A watch that died still lists what was; the second look sees what is.
#[test]
fn a_dead_watch_neither_lets_a_raise_through_nor_blocks_one() {
    let mut s = idle();
    s.cluster().freeze_lists();
    assert_eq!(command(&mut s, &json!({ "action": "begin" })).status, 204);
    let request: Value = serde_json::from_slice::<Value>(&payload(|p| {
        p["request"]["oldObject"] = scaled_object(7);
        p["request"]["object"] = scaled_object(8);
    }))
    .unwrap()["request"]
        .clone();
    let verdict = s.admit(&request).unwrap();
    assert_eq!((verdict.accepted, verdict.rule()), (false, "canary-cap"), "{verdict:?}");
    // Minutes later the list is stale; the get is not.
    assert_eq!(command(&mut s, &json!({ "action": "end" })).status, 204);
    s.run_to(s.elapsed_s() + 400).unwrap();
    assert!(s.admit(&request).unwrap().accepted);
}
