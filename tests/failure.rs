//! What still works when something breaks: a trap in each callback of each
//! role, configuration pushes, workers that come, shared data that goes,
//! clocks that jump, ticks that come late, labels without end.

use harness::module::CompiledModule;
use harness::proxy_host::http::{Request, Response};
use harness::scenario::format::Probe;
use harness::scenario::run::{Modules, Simulation};
use serde_json::{json, Value};
use std::sync::OnceLock;
use std::time::Duration;
use tests::root;
use tests::simulation::*;

/// The filter that traps on demand, and the shipped policy.
fn instrumented() -> &'static Modules {
    static MODULES: OnceLock<Modules> = OnceLock::new();
    MODULES.get_or_init(|| Modules {
        filter: CompiledModule::load(&root("target/instrumented/proxy-filter.wasm")).unwrap(),
        policy: modules().policy.clone(),
    })
}

/// Requests a minute of each slice, over two workers.
const PER_MINUTE: u32 = 600;
/// What one worker counts of both slices within a tick of five seconds.
const ONE_TICK: u64 = 2 * PER_MINUTE as u64 / 60 * 5 / 2;

fn busy(probe: Probe) -> Simulation {
    let mut scenario = scenario();
    scenario.gateway.probe = probe;
    let mut s = Simulation::start(instrumented(), &scenario).unwrap();
    s.set_facts(Some(facts("")));
    s.run_to(5).unwrap();
    assert_eq!(command(&mut s, &json!({ "action": "end" })).status, 204);
    s.tolerate_traps();
    s.run_to(300).unwrap();
    s.set_traffic(CANARY, traffic(PER_MINUTE, 0));
    s.set_traffic(STABLE, traffic(PER_MINUTE, 0));
    s.run_to(330).unwrap();
    s
}

fn counted(d: &Value) -> u64 {
    ["canary", "stable"].map(|slice| d[slice]["requests"].as_u64().unwrap_or(0)).iter().sum()
}

/// A request that arms a worker's VM of a plugin.
fn arm(s: &mut Simulation, worker: usize, plugin: usize, as_filter: bool, callback: &str) {
    let request = Request::new("PUT", "/keda/facts")
        .bearer(&token("facts"))
        .header("x-trap", callback)
        .body("{}");
    let request = if callback.ends_with("trailers") {
        Request { trailers: Some(vec![]), ..request }
    } else {
        request
    };
    // Its own trap is an error here, and a 503 in a proxy.
    let _ = if as_filter {
        s.proxy().request(worker, plugin, &request, Some(&Response::upstream(200, 1))).map(|_| ())
    } else {
        s.proxy().log(worker, plugin, &request, None)
    };
}

/// Arms, pushes where only that reaches the callback, and lets two minutes pass.
fn survives(probe: Probe, plugin: usize, as_filter: bool, callback: &str) {
    let mut s = busy(probe);
    let endpoint = plugin + 1 == if probe == Probe::HttpFilter { 2 } else { 3 };
    arm(&mut s, 0, plugin, as_filter, callback);
    if callback == "call_response" {
        // Only the one that judges calls out.
        arm(&mut s, 1, plugin, as_filter, callback);
    }
    if ["configure", "context_create", "delete"].contains(&callback) && s.proxy().traps().is_empty()
    {
        let _ = s.proxy().begin_push(|c| c["gateway"]["version"] = "2".into());
        let _ = s.proxy().end_push();
    }
    s.run_to(340).unwrap();
    let name = format!("{probe:?}, {}, {callback}", if endpoint { "endpoint" } else { "probe" });
    s.run_to(420).unwrap();
    let traps = s.proxy().all_traps();
    assert!(traps.iter().any(|t| t.contains(callback)), "{name}: nothing trapped: {traps:?}");
    // Whoever asks reloads the VM; it answers from the next tick on.
    for _ in 0..2 {
        let _ = s.manage(&get("/keda/ready", "bastion"));
    }
    s.run_to(440).unwrap();
    s.set_traffic(CANARY, traffic(0, 0));
    s.set_traffic(STABLE, traffic(0, 0));
    s.run_to(450).unwrap();
    let d = document(&mut s);
    let sent = 2 * u64::from(PER_MINUTE) / 60 * (440 - 300);
    let lost = sent - counted(&d);
    println!("{name}: {lost} of {sent} lost, restarts {}", d["observer"]["restarts"]);
    if endpoint {
        assert_eq!(lost, 0, "{name}: a probe lost something");
    } else {
        // The requests since the worker's last tick, and those that the dead VM
        // was not there for until one reloaded it.
        assert!(lost <= 2 * ONE_TICK, "{name}: {lost} lost");
        assert!(d["observer"]["restarts"].as_u64() > Some(0), "{name}: {}", d["observer"]);
    }
    let at = gate::time::Timestamp::parse(d["observed_at"].as_str().unwrap()).unwrap();
    assert!(s.clock().now().since(at) <= 10, "{name}: nobody judges any more");
    assert_eq!(d["status"], "healthy", "{name}: {d}");
}

#[test]
fn a_trap_in_each_callback_of_a_probe_that_logs() {
    for callback in ["log", "tick", "configure", "context_create", "delete"] {
        survives(Probe::AccessLogger, 0, false, callback);
    }
}

#[test]
fn a_trap_in_each_callback_of_a_probe_that_filters() {
    for callback in [
        "context_create",
        "request_headers",
        "response_headers",
        "log",
        "delete",
        "tick",
        "configure",
    ] {
        survives(Probe::HttpFilter, 0, true, callback);
    }
}

#[test]
fn a_trap_in_each_callback_of_an_endpoint() {
    for callback in [
        "context_create",
        "request_headers",
        "request_body",
        "request_trailers",
        "response_headers",
        "log",
        "delete",
        "tick",
        "call_response",
        "configure",
    ] {
        survives(Probe::AccessLogger, 2, true, callback);
    }
}

#[test]
fn a_thousand_configuration_pushes_take_no_memory_and_no_keys() {
    let mut s = idle();
    s.set_traffic(CANARY, traffic(PER_MINUTE, 0));
    let sizes = |s: &mut Simulation, pushes: u64| {
        for i in 0..pushes {
            s.proxy().begin_push(|c| c["gateway"]["version"] = i.to_string().into()).unwrap();
            s.proxy().end_push().unwrap();
            let next = s.elapsed_s() + 1;
            s.run_to(next).unwrap();
        }
        let memory: Vec<usize> = (0..3).map(|plugin| s.proxy().memory(0, plugin)).collect();
        (memory, s.proxy().shared_keys())
    };
    let before = sizes(&mut s, 100);
    let after = sizes(&mut s, 1_000);
    println!("after 100 pushes {before:?}, after 1,100 {after:?}");
    assert_eq!(before, after);
    // And what was counted over a push is there.
    s.set_traffic(CANARY, traffic(0, 0));
    let end = s.elapsed_s();
    s.run_to(end + 10).unwrap();
    let d = document(&mut s);
    let minute = u64::from(PER_MINUTE);
    assert!((4 * minute..=5 * minute).contains(&counted(&d)), "{}", d["canary"]);
}

#[test]
fn a_worker_that_is_added_is_counted_and_shown() {
    let mut s = idle();
    s.proxy().add_worker().unwrap();
    s.set_traffic(CANARY, traffic(PER_MINUTE, 0));
    s.run_to(300).unwrap();
    s.set_traffic(CANARY, traffic(0, 0));
    s.run_to(310).unwrap();
    let d = document(&mut s);
    assert_eq!(counted(&d), u64::from(PER_MINUTE));
    assert_eq!(
        (&d["observer"]["workers"], &d["observer"]["workers_expected"]),
        (&json!(3), &json!(2))
    );
}

#[test]
fn shared_data_that_is_lost_in_mid_canary_opens_nothing() {
    let mut s = idle();
    let begin = json!({ "action": "begin", "weight": 0.1, "skill_hash": "c4e1" });
    assert_eq!(command(&mut s, &begin).status, 204);
    s.set_traffic(CANARY, traffic(PER_MINUTE, 200));
    s.run_to(500).unwrap();
    let before = document(&mut s);
    assert_eq!((&before["degraded"], &before["canary_active"]), (&json!(true), &json!(true)));
    s.proxy().lose_shared_data();
    for second in 501..560 {
        s.run_to(second).unwrap();
        let cluster = s.cluster();
        let object = cluster.get("ConfigMap", "builds", "canary-gate.gw-a1").unwrap();
        let verdict: Value =
            serde_json::from_str(object["data"]["verdict"].as_str().unwrap()).unwrap();
        assert_eq!((&verdict["frozen"], &verdict["canary_active"]), (&json!(true), &json!(true)));
    }
    let after = document(&mut s);
    assert_eq!(after["scaling"]["frozen"], 1);
    assert_eq!(after["scaling"]["frozen_by"], before["scaling"]["frozen_by"]);
    assert_eq!(after["canary"]["skill_hash"], "c4e1");
    // The counters go on, and facts come with the next PUT.
    assert!(counted(&after) > 0);
}

#[test]
fn a_tick_that_is_late_by_minutes_loses_nothing() {
    let mut s = idle();
    let request = Request::new("GET", "/");
    for i in 0..600u64 {
        s.clock().advance(Duration::from_secs(1));
        let response = Response::upstream(if i % 10 == 0 { 500 } else { 200 }, 1_000);
        s.proxy().log(0, 0, &request, Some(&response)).unwrap();
    }
    s.run_to(s.elapsed_s() + 10).unwrap();
    let d = document(&mut s);
    assert_eq!((&d["canary"]["requests"], &d["canary"]["errors"]), (&json!(600), &json!(60)));
}

#[test]
fn a_clock_that_jumps_loses_no_request() {
    for jump in [300, -300, 45, -45, 3_000, -3_000] {
        let mut s = idle();
        s.set_traffic(CANARY, traffic(PER_MINUTE, 100));
        s.run_to(270).unwrap();
        s.clock().jump(jump);
        s.run_to(300).unwrap();
        s.set_traffic(CANARY, traffic(0, 0));
        // A clock that was set back: until then the counts lie in the future.
        let back = u64::try_from(-jump).unwrap_or(0);
        let mut most = 0;
        while s.elapsed_s() < 310 + back + 300 {
            s.run_to(s.elapsed_s() + 10).unwrap();
            most = most.max(document(&mut s)["canary"]["requests"].as_u64().unwrap());
            assert!(most <= u64::from(PER_MINUTE), "jump {jump}: {most} counted twice");
        }
        // What was counted before a jump of more than a window is in another one.
        let expected = if jump.abs() >= 300 { 300 } else { u64::from(PER_MINUTE) };
        assert_eq!(most, expected, "jump {jump}");
    }
}

#[test]
fn a_hundred_thousand_label_values_take_no_memory() {
    let mut scenario = scenario();
    scenario.gateway.probe = Probe::HttpFilter;
    let mut s = Simulation::start(modules(), &scenario).unwrap();
    let send = |s: &mut Simulation, n: u64| {
        for i in 0..n {
            let value = format!("label-{i}-{}", "x".repeat((i % 200) as usize));
            let request = Request::new("GET", "/").header("x-openclaw-slice", value);
            s.proxy().request(0, 0, &request, Some(&Response::upstream(200, 1))).unwrap();
        }
        s.run_to(s.elapsed_s() + 10).unwrap();
        (s.proxy().memory(0, 0), s.proxy().memory(0, 1), s.proxy().shared_keys())
    };
    let before = send(&mut s, 1_000);
    assert_eq!(send(&mut s, 100_000), before);
    let d = document(&mut s);
    assert_eq!(
        (&d["stable"]["requests"], &d["observer"]["unclassified"]),
        (&json!(101_000), &json!(101_000))
    );
}

/// Envoy keeps the old plugin, with its timer, until its listener has drained.
#[test]
fn beside_a_push_only_the_new_configuration_speaks() {
    let mut s = idle();
    s.set_traffic(CANARY, traffic(PER_MINUTE, 0));
    s.run_to(300).unwrap();
    let begin = json!({ "action": "begin", "weight": 0.1 });
    assert_eq!(command(&mut s, &begin).status, 204);
    s.around.digests.clear();
    s.proxy()
        .begin_push(|c| {
            c["lane"]["stable_replicas"] = json!(4);
            c["windows"] = json!({ "length_s": 100, "poll_s": 20, "tick_s": 5 });
        })
        .unwrap();
    let mut facts_of_the_push = vec![];
    for second in 306..420 {
        s.run_to(second).unwrap();
        let d = document(&mut s);
        facts_of_the_push.push(d["scaling"]["max_replicas"].as_u64().unwrap());
    }
    // Stable 4 and headroom 1, from the first tick on.
    assert!(facts_of_the_push.iter().all(|max| *max == 5), "{facts_of_the_push:?}");
    let ids: Vec<String> = s.around.digests.iter().map(|d| d["id"].to_string()).collect();
    let distinct: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!(ids.len(), distinct.len(), "a digest was sent twice: {ids:?}");
    s.proxy().end_push().unwrap();
    s.set_traffic(CANARY, traffic(0, 0));
    s.run_to(430).unwrap();
    let d = document(&mut s);
    // The last hundred seconds and the running bucket's, at ten a second.
    let counted = d["canary"]["requests"].as_u64().unwrap();
    assert!((700..=1_000).contains(&counted), "{counted}");
    assert_eq!(d["observer"]["restarts"], 0, "{}", d["observer"]);
}

#[test]
fn writes_that_somebody_else_comes_before_are_counted_and_told() {
    let mut s = idle();
    let before = document(&mut s)["observer"]["publish_failures"].as_u64().unwrap();
    s.around.digests.clear();
    s.cluster().fault_writes = Some(409);
    s.run_to(480).unwrap();
    let failures = document(&mut s)["observer"]["publish_failures"].as_u64().unwrap() - before;
    assert!((3..=40).contains(&failures), "{failures}: counted, and not at each tick");
    s.cluster().fault_writes = None;
    s.run_to(600).unwrap();
    let told = s.around.digests.iter().any(|d| d.to_string().contains("somebody else writes it"));
    assert!(told, "{:?}", s.around.digests);
}

/// Whether a ConfigMap is there is asked before it is made; another process may
/// make it in between.
#[test]
fn of_two_creations_one_is_made() {
    let mut s = Simulation::start(modules(), &scenario()).unwrap();
    s.set_facts(Some(facts("")));
    s.run_until_read().unwrap();
    let theirs = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "canary-gate.gw-a1", "namespace": "builds" },
        "data": { "verdict": json!({ "schema": "verdict.v1", "epoch": 4_000_000_000u64 }).to_string() },
    });
    s.cluster().put(theirs);
    s.run_to(s.elapsed_s() + 30).unwrap();
    let cluster = s.cluster();
    let object = cluster.get("ConfigMap", "builds", "canary-gate.gw-a1").unwrap();
    // The newer process's word stands, and this one is silent.
    assert!(object["data"]["verdict"].as_str().unwrap().contains("4000000000"), "{object}");
}

#[test]
fn a_deleted_state_is_made_again() {
    let mut s = idle();
    s.cluster().delete("ConfigMap", "builds", "canary-gate.gw-a1");
    s.run_to(s.elapsed_s() + 120).unwrap();
    let cluster = s.cluster();
    let object = cluster.get("ConfigMap", "builds", "canary-gate.gw-a1").expect("made again");
    assert!(object["data"]["verdict"].as_str().unwrap().contains("\"healthy\""), "{object}");
}
