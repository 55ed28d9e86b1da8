//! What the lease holder does beside judging, through the built filter: digests,
//! caps, the hold's number, the pulled queue, tokens.

use gate::time::Timestamp;
use harness::proxy_host::http::{Request, Response};
use harness::scenario::run::Simulation;
use harness::scenario::setup::digest;
use serde_json::{json, Value};
use tests::simulation::*;

/// Kinds of the events of each digest that the notifier took.
fn told(s: &Simulation) -> Vec<Vec<String>> {
    let kinds = |d: &Value| {
        let events = d["events"].as_array().unwrap();
        events.iter().map(|e| e["kind"].as_str().unwrap().to_owned()).collect()
    };
    s.around.digests.iter().map(kinds).collect()
}

fn get_as(s: &mut Simulation, path: &str, token: Option<&str>, accept: Option<&str>) -> Response {
    let mut request = Request::new("GET", path);
    if let Some(name) = token {
        request = request.bearer(&tests::simulation::token(name));
    }
    if let Some(accept) = accept {
        request = request.header("accept", accept);
    }
    s.manage(&request).unwrap()
}

fn begin(s: &mut Simulation) {
    let body = json!({ "action": "begin", "weight": 0.1, "skill_hash": "c4e1", "stable_skill_hash": "9a70" });
    assert_eq!(command(s, &body).status, 204);
}

/// A lane whose canary fails from minute five on.
fn failing() -> Simulation {
    let mut s = idle();
    begin(&mut s);
    s.around.digests.clear();
    s.set_traffic(STABLE, traffic(600, 0));
    s.set_traffic(CANARY, traffic(300, 100));
    s
}

#[test]
fn a_storm_of_failures_is_one_digest() {
    let mut s = failing();
    s.run_to(20 * 60).unwrap();
    assert_eq!(told(&s), [["signal_failed", "frozen"]]);
    let d = s.around.digests[0].clone();
    assert_eq!((&d["gateway"], &d["degraded"]), (&json!("gw-a1"), &json!(true)));
    assert!(d["id"].as_str().unwrap().starts_with("gw-a1/"), "{d}");
    assert_eq!(document(&mut s)["observer"]["digests_sent"], json!(d["number"]));
    let kept: Value =
        serde_json::from_slice(&get_as(&mut s, "/keda/digest", Some("bastion"), None).body)
            .unwrap();
    assert_eq!((&kept["waiting"], &kept["digests"][0]["id"]), (&json!(0), &d["id"]));
    assert_eq!(get_as(&mut s, "/keda/digest", None, None).status, 401);
    assert_eq!(get_as(&mut s, "/keda/digest", Some("keda"), None).status, 403);
}

#[test]
fn a_notifier_that_is_down_loses_no_digest_and_a_restart_loses_none_either() {
    let mut s = failing();
    s.around.notifier_status = 503;
    s.run_to(20 * 60).unwrap();
    let attempts = s.around.asked.len();
    // Three in a row, then three in each polling window.
    assert!((9..=50).contains(&attempts), "{attempts}");
    assert_eq!(
        (s.around.digests.len(), document(&mut s)["observer"]["digests_dropped"].clone()),
        (0, json!(0))
    );
    s.proxy().restart().unwrap();
    s.run_to(20 * 60 + 30).unwrap();
    s.around.notifier_status = 200;
    s.run_to(23 * 60).unwrap();
    assert_eq!(told(&s).first().unwrap(), &["signal_failed", "frozen"]);
    let ids: Vec<_> = s.around.digests.iter().map(|d| d["id"].clone()).collect();
    let distinct: std::collections::BTreeSet<_> = ids.iter().map(Value::to_string).collect();
    assert_eq!(ids.len(), distinct.len(), "{ids:?}");
}

#[test]
fn readiness_follows_the_disk_and_names_late_workers() {
    let mut s = idle();
    s.set_traffic(STABLE, traffic(60, 0));
    s.run_to(250).unwrap();
    assert_eq!(get_as(&mut s, "/keda/ready", None, None).text(), "ready\n");
    let ready = get_as(&mut s, "/keda/ready", Some("bastion"), None);
    assert_eq!(
        serde_json::from_slice::<Value>(&ready.body).unwrap(),
        json!({ "drain": false, "late_workers": [] })
    );
    // The VM of one probe dies; without traffic nothing reloads it.
    s.set_traffic(STABLE, traffic(0, 0));
    s.proxy().kill(1, 0);
    s.run_to(265).unwrap();
    let late: Value =
        serde_json::from_slice(&get_as(&mut s, "/keda/ready", Some("bastion"), None).body).unwrap();
    assert_eq!(late["late_workers"].as_array().unwrap().len(), 1, "{late}");
    let mut red = facts("");
    red["disk_used_pct"] = json!(93);
    s.set_facts(Some(red));
    s.run_to(275).unwrap();
    assert_eq!(get_as(&mut s, "/keda/ready", None, None).status, 503);
}

#[test]
fn prometheus_gets_text_and_envoy_gauges() {
    let mut s = failing();
    s.run_to(20 * 60).unwrap();
    let answer = get_as(&mut s, "/keda/metrics", Some("bastion"), Some("text/plain;version=0.0.4"));
    let text = answer.text();
    assert!(
        text.contains(
            r#"canary_gate_scaling_frozen{lane="openclaw-build-lane",gateway="gw-a1",az="a"} 1"#
        ),
        "{text}"
    );
    assert!(text.contains(r#"slice="canary"} 0.09"#), "{text}");
    assert_eq!(s.proxy().metric("canary_gate_scaling_frozen"), Some(1));
    assert_eq!(s.proxy().metric("canary_gate_degraded"), Some(1));
    assert!(s.proxy().metric("canary_gate_observed_at_seconds").unwrap() > 1_700_000_000);
}

fn scaled_object(s: &Simulation) -> Value {
    s.cluster().get("ScaledObject", "builds", "openclaw-worker").unwrap().clone()
}

#[test]
fn maxima_are_lowered_on_begin_and_abort_and_never_raised() {
    let mut s = idle();
    let mut so = scaled_object(&s);
    so["spec"]["maxReplicaCount"] = json!(20);
    s.cluster().put(so);
    begin(&mut s);
    s.run_to(260).unwrap();
    assert_eq!(scaled_object(&s)["spec"]["maxReplicaCount"], 7);
    let d = document(&mut s);
    assert_eq!(
        (&d["scaling"]["original_max_replicas"], &d["scaling"]["hold_replicas"]),
        (&json!(20), &json!(5))
    );
    // Somebody lowers it further: that stays.
    let mut so = scaled_object(&s);
    so["spec"]["maxReplicaCount"] = json!(3);
    s.cluster().put(so);
    assert_eq!(command(&mut s, &json!({ "action": "abort" })).status, 204);
    s.run_to(320).unwrap();
    assert_eq!(scaled_object(&s)["spec"]["maxReplicaCount"], 3);
    assert_eq!(command(&mut s, &json!({ "action": "end" })).status, 204);
    s.run_to(400).unwrap();
    assert_eq!(scaled_object(&s)["spec"]["maxReplicaCount"], 3);
    assert_eq!(document(&mut s)["scaling"]["original_max_replicas"], json!(null));
    let all: Vec<String> = told(&s).concat();
    for kind in ["cap_lowered", "aborted", "cap_to_restore"] {
        assert!(all.iter().any(|k| k == kind), "{kind}: {all:?}");
    }
}

#[test]
fn a_refused_patch_is_counted_and_tried_again() {
    let mut s = idle();
    let mut so = scaled_object(&s);
    so["spec"]["maxReplicaCount"] = json!(20);
    s.cluster().put(so);
    begin(&mut s);
    s.cluster().fault_http = Some(429);
    s.run_to(270).unwrap();
    assert_eq!(scaled_object(&s)["spec"]["maxReplicaCount"], 20);
    s.cluster().fault_http = None;
    s.run_to(330).unwrap();
    assert_eq!(scaled_object(&s)["spec"]["maxReplicaCount"], 7);
    assert!(document(&mut s)["observer"]["publish_failures"].as_u64().unwrap() > 0);
}

#[test]
fn the_queue_is_pulled_from_nats() {
    let mut scenario = scenario();
    scenario.gateway.configuration["queue"] =
        json!({ "source": "nats", "cluster": "nats", "stream": "builds", "consumer": "workers" });
    let mut s = Simulation::start(modules(), &scenario).unwrap();
    s.set_facts(Some(facts("")));
    s.run_to(5).unwrap();
    assert_eq!(command(&mut s, &json!({ "action": "end" })).status, 204);
    s.run_to(60).unwrap();
    assert_eq!(
        document(&mut s)["scaling"]["pending_jobs"],
        json!(null),
        "unknown is absent, and the facts' 3 is not looked at"
    );
    s.around.queue_body = Some(json!({ "account_details": [{ "stream_detail": [
        { "name": "builds", "consumer_detail": [{ "name": "workers", "num_pending": 11, "num_ack_pending": 2 }] }
    ] }] }));
    s.run_to(120).unwrap();
    assert_eq!(document(&mut s)["scaling"]["pending_jobs"], json!(13));
    assert!(
        s.around.asked.iter().any(|a| a == "GET /jsz?streams=true&consumers=true"),
        "{:?}",
        s.around.asked
    );
}

#[test]
fn an_answer_from_another_skill_pack_degrades() {
    let mut s = idle();
    begin(&mut s);
    let answer = |hash: &str| Response {
        headers: vec![(b"x-openclaw-skill-hash".to_vec(), hash.as_bytes().to_vec())],
        ..Response::upstream(200, 100_000)
    };
    let send = |s: &mut Simulation, hash: &str| {
        s.proxy().log(0, 0, &Request::new("GET", "/"), Some(&answer(hash))).unwrap();
    };
    send(&mut s, "c4e1");
    s.run_to(252).unwrap();
    assert_eq!(document(&mut s)["degraded"], false);
    send(&mut s, "d5f2");
    s.run_to(264).unwrap();
    let d = document(&mut s);
    assert_eq!(
        (&d["degraded"], &d["scaling"]["frozen_by"]),
        (&json!(true), &json!(["skill_hash"]))
    );
}

/// The rotated token of the scenario's KEDA: the old one is still accepted,
/// which shows, and a digest warns a day before it is not.
#[test]
fn a_rotation_is_observed() {
    let mut scenario = scenario();
    let old = "demo-keda-old-0a1b2c3d4e5f6071";
    let rotated = Timestamp::from_secs(scenario.start.millis() / 1000 - 6 * 86_400 - 3_600);
    let mut tokens: Vec<Value> = scenario
        .gateway
        .tokens
        .iter()
        .map(|t| json!({ "name": t.name, "role": t.role, "digest": digest(&t.token) }))
        .collect();
    tokens[0]["previous"] = json!(digest(old));
    tokens[0]["rotated_at"] = json!(rotated.to_string());
    tokens.push(
        json!({ "name": "intruder", "role": "measure", "digest": digest("demo-intruder-77aa") }),
    );
    scenario.gateway.configuration["tokens"] = Value::Array(tokens);
    let mut s = Simulation::start(modules(), &scenario).unwrap();
    s.set_facts(Some(facts("")));
    s.run_to(5).unwrap();
    assert_eq!(command(&mut s, &json!({ "action": "end" })).status, 204);
    s.run_to(60).unwrap();
    assert_eq!(document(&mut s)["observer"]["previous_token_last_used"], json!(null));
    // The intruder comes first in the minute, and KEDA is answered all the same.
    for (token, status) in [("demo-intruder-77aa", 409), (old, 200), ("demo-intruder-77aa", 409)] {
        let request = Request::new("GET", "/keda/metrics").bearer(token);
        assert_eq!(s.manage(&request).unwrap().status, status, "{token}");
    }
    s.run_to(200).unwrap();
    assert!(document(&mut s)["observer"]["previous_token_last_used"].is_string());
    let events: Vec<Value> =
        s.around.digests.iter().flat_map(|d| d["events"].as_array().unwrap().clone()).collect();
    let of = |kind: &str| events.iter().filter(|e| e["kind"] == kind).collect::<Vec<_>>();
    assert_eq!(of("token_expires").len(), 1, "once a rotation: {events:?}");
    assert_eq!(of("token_expires")[0]["subject"], "keda");
    assert_eq!(of("measure_intruder").len(), 1, "{events:?}");
    assert!(of("measure_intruder")[0]["text"].as_str().unwrap().contains("2 times"), "{events:?}");
}
