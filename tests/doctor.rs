//! What the doctor says of a gateway's document, and, by the built policy's own
//! word, of a lane whose gateways are not known.

use gate::document::Merged;
use gate::time::Timestamp;
use harness::doctor::{gateway, lanes, state};
use harness::scenario::run::Simulation;
use serde_json::{json, Value};
use tests::root;
use tests::simulation::*;

/// A document in which nothing is wrong, and the time at which it was judged.
fn well() -> (Value, Timestamp) {
    let mut s = idle();
    s.set_traffic(STABLE, traffic(600, 0));
    s.set_traffic(CANARY, traffic(300, 0));
    s.run_to(300).unwrap();
    let mut merged = document(&mut s);
    merged["observer"]["publish_failures"] = json!(0);
    let at = Timestamp::parse(merged["observed_at"].as_str().unwrap()).unwrap();
    (merged, at)
}

fn faults(merged: &Value, now: Timestamp) -> Vec<String> {
    let merged: Merged = serde_json::from_value(merged.clone()).unwrap();
    gateway::check(&merged, now).into_iter().map(|f| f.to_string()).collect()
}

#[test]
fn each_fault_of_a_gateway() {
    let (merged, at) = well();
    assert_eq!(faults(&merged, at), [] as [String; 0]);
    let old = faults(&merged, at.plus_secs(61));
    assert!(old.len() == 1 && old[0].contains("61 s old"), "{old:?}");
    let workers = merged["observer"]["workers"].as_u64().unwrap();
    for (key, value, expected) in [
        ("workers_expected", json!(workers + 1), "workers measure"),
        ("unreadable_slots", json!(1), "of another version"),
        (
            "previous_token_last_used",
            merged["observed_at"].clone(),
            "a token that was rotated away",
        ),
        ("publish_failures", json!(3), "3 calls to the API server failed"),
    ] {
        let mut changed = merged.clone();
        changed["observer"][key] = value;
        let found = faults(&changed, at);
        assert!(found.len() == 1 && found[0].contains(expected), "{key}: {found:?}");
    }
}

fn shipped_settings() -> Value {
    let text = std::fs::read_to_string(root("deploy/kubewarden/guard.yaml")).unwrap();
    let policy: Value = serde_yaml_ng::from_str(&text).unwrap();
    policy["spec"]["settings"].clone()
}

/// Of the shipped policy's lane, by what the API server lists.
fn known(s: &Simulation, config_maps: &[Value]) -> Option<String> {
    known_in(&shipped_settings(), s, config_maps)
}

fn known_in(settings: &Value, s: &Simulation, config_maps: &[Value]) -> Option<String> {
    let lane = lanes(settings).remove(0);
    let now = s.clock().now();
    let fault = state::known(&modules().policy, settings, &lane, config_maps, now).unwrap();
    fault.map(|f| f.to_string())
}

#[test]
fn a_gateway_that_is_not_known() {
    let mut s = idle();
    let mut object = s.cluster().get("ConfigMap", "builds", "canary-gate.gw-a1").unwrap().clone();
    assert_eq!(known(&s, &[object.clone()]), None);
    let absent = known(&s, &[]).unwrap();
    assert!(absent.contains("gateway gw-a1 is not known"), "{absent}");
    object["data"]["verdict"] = json!("{}");
    assert!(known(&s, &[object.clone()]).unwrap().contains("is not known"));
    // Whatever the lane's first target is.
    for (kind, name, scaled_object) in [
        ("Deployment", "z", Some("so-a")),
        ("StatefulSet", "z", None),
        ("Rollout", "z", None),
        ("ScaledJob", "z", None),
    ] {
        let mut settings = shipped_settings();
        let mut target = json!({ "kind": kind, "name": name, "slice": "stable" });
        if let Some(scaled_object) = scaled_object {
            target["scaledObject"] = scaled_object.into();
        }
        settings["lanes"][0]["targets"] = json!([target]);
        let fault = known_in(&settings, &s, &[]).unwrap_or_default();
        assert!(fault.contains("gateway gw-a1 is not known"), "{kind}: {fault}");
    }
    // A canary that holds the lane is no fault.
    assert_eq!(command(&mut s, &json!({ "action": "begin", "weight": 0.1 })).status, 204);
    s.run_to(260).unwrap();
    let object = s.cluster().get("ConfigMap", "builds", "canary-gate.gw-a1").unwrap().clone();
    assert_eq!(known(&s, &[object]), None);
}
