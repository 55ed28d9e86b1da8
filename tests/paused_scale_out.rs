//! KEDA's own pause of scale-out, kept by the built filter and admitted by the
//! built policy.

use harness::scenario::run::Simulation;
use harness::scenario::setup::admission_request;
use serde_json::{json, Value};
use tests::simulation::*;

const KEDAS: &str = "autoscaling.keda.sh/paused-scale-out";
const OURS: &str = "gw-a1.canary-gate.dev/paused-scale-out";
const ANOTHERS: &str = "gw-b1.canary-gate.dev/paused-scale-out";

fn started(pauses: bool) -> Simulation {
    let mut scenario = scenario();
    scenario.gateway.configuration["publish"]["paused_scale_out"] = json!(pauses);
    let mut s = Simulation::start(modules(), &scenario).unwrap();
    s.set_facts(Some(facts("")));
    s.run_to(5).unwrap();
    assert_eq!(command(&mut s, &json!({ "action": "end" })).status, 204);
    s.run_to(240).unwrap();
    s
}

fn sick(is_sick: bool) -> Option<Value> {
    let mut facts = facts("");
    facts["doctor_ok"] = json!(!is_sick);
    Some(facts)
}

fn scaled_object(s: &Simulation) -> Value {
    s.cluster().get("ScaledObject", "builds", "openclaw-worker").unwrap().clone()
}

fn annotations(s: &Simulation) -> Value {
    let all = scaled_object(s)["metadata"]["annotations"].clone();
    let ours = |k: &String| k.ends_with("paused-scale-out");
    let kept = all.as_object().into_iter().flatten().filter(|(k, _)| ours(k));
    kept.map(|(k, v)| (k.clone(), v.clone())).collect::<serde_json::Map<_, _>>().into()
}

fn annotate(s: &Simulation, pairs: &Value) {
    let mut object = scaled_object(s);
    harness::cluster::merge(&mut object, &json!({ "metadata": { "annotations": pairs } }));
    s.cluster().put(object);
}

fn both() -> Value {
    json!({ KEDAS: "true", OURS: "true" })
}

#[test]
fn it_stands_while_frozen_and_goes_after_the_thaw() {
    let mut s = started(true);
    assert_eq!(annotations(&s), json!({}));
    s.set_facts(sick(true));
    s.run_to(330).unwrap();
    assert_eq!(annotations(&s), both());
    let before = scaled_object(&s);
    s.set_facts(sick(false));
    s.run_to(600).unwrap();
    assert_eq!(document(&mut s)["scaling"]["frozen"], 0);
    assert_eq!(annotations(&s), json!({}));
    let after = scaled_object(&s);
    let edit = |old: &Value, new: &Value| {
        admission_request("UPDATE", ("ScaledObject", "builds", "openclaw-worker"), Some(old), new)
    };
    assert!(s.admit(&edit(&before, &after)).unwrap().accepted, "the policy lets the thaw through");
    let kinds: Vec<String> = s
        .around
        .digests
        .iter()
        .flat_map(|d| d["events"].as_array().unwrap())
        .map(|e| e["kind"].as_str().unwrap().to_owned())
        .collect();
    let of = |kind: &str| kinds.iter().filter(|k| *k == kind).count();
    assert_eq!((of("scale_out_paused"), of("scale_out_resumed")), (1, 1), "{kinds:?}");
}

#[test]
fn nothing_is_written_unless_asked_for() {
    let mut s = started(false);
    s.set_facts(sick(true));
    s.run_to(330).unwrap();
    assert_eq!(document(&mut s)["scaling"]["frozen"], 1);
    assert_eq!(annotations(&s), json!({}));
}

#[test]
fn what_people_and_other_gateways_paused_stays_theirs() {
    for others in [json!({ KEDAS: "true" }), json!({ KEDAS: "true", ANOTHERS: "true" })] {
        let mut s = started(true);
        annotate(&s, &others);
        s.set_facts(sick(true));
        s.run_to(330).unwrap();
        assert_eq!(annotations(&s)[KEDAS], "true");
        s.set_facts(sick(false));
        s.run_to(600).unwrap();
        assert_eq!(annotations(&s), others);
    }
}

#[test]
fn an_api_server_that_refuses_delays_both_edges() {
    let mut s = started(true);
    let failures =
        |s: &mut Simulation| document(s)["observer"]["publish_failures"].as_u64().unwrap();
    let before = failures(&mut s);
    s.cluster().fault_writes = Some(409);
    s.set_facts(sick(true));
    s.run_to(330).unwrap();
    assert_eq!(annotations(&s), json!({}));
    s.cluster().fault_writes = None;
    s.run_to(420).unwrap();
    assert_eq!(annotations(&s), both());
    s.cluster().fault_http = Some(503);
    s.set_facts(sick(false));
    s.run_to(700).unwrap();
    assert_eq!(annotations(&s), both());
    s.cluster().fault_http = None;
    s.run_to(800).unwrap();
    assert_eq!(annotations(&s), json!({}));
    assert!(failures(&mut s) > before);
}

#[test]
fn a_gateway_that_restarts_in_between_finds_its_mark() {
    let mut s = started(true);
    s.set_facts(sick(true));
    s.run_to(330).unwrap();
    s.proxy().restart().unwrap();
    s.set_facts(sick(false));
    s.run_to(360).unwrap();
    assert_eq!(annotations(&s), both());
    s.run_to(700).unwrap();
    assert_eq!(annotations(&s), json!({}));
    // All that it knew is gone too.
    s.set_facts(sick(true));
    s.run_to(760).unwrap();
    assert_eq!(annotations(&s), both());
    let mut state = s.cluster().get("ConfigMap", "builds", "canary-gate.gw-a1").unwrap().clone();
    state["data"]["state"] = json!("?");
    s.cluster().put(state);
    s.proxy().restart().unwrap();
    s.set_facts(sick(false));
    s.run_to(800).unwrap();
    assert_eq!(annotations(&s), both(), "an unknown state is frozen");
    assert_eq!(command(&mut s, &json!({ "action": "end" })).status, 204);
    s.run_to(1_000).unwrap();
    assert_eq!(annotations(&s), json!({}));
}
