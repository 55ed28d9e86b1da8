//! The built filter in the harness: counts, costs, leases, restarts.

use gate::slice::Slice;
use harness::clock::Clock;
use harness::module::CompiledModule;
use harness::proxy_host::http::{Request, Response};
use harness::proxy_host::{Outcome, Plugin, Proxy};
use harness::scenario::format::Probe;
use harness::scenario::run::Simulation;
use serde_json::{json, Value};
use std::time::Duration;
use tests::root;
use tests::simulation::*;

#[test]
fn counts_are_exact_over_workers_and_slices() {
    for probe in [Probe::AccessLogger, Probe::HttpFilter] {
        let mut scenario = scenario();
        scenario.gateway.probe = probe;
        scenario.gateway.workers = 4;
        let mut s = Simulation::start(modules(), &scenario).unwrap();
        s.set_traffic(CANARY, traffic(600, 20));
        s.set_traffic(STABLE, traffic(1200, 10));
        s.run_to(60).unwrap();
        s.set_traffic(CANARY, traffic(0, 0));
        s.set_traffic(STABLE, traffic(0, 0));
        s.run_to(70).unwrap();
        let d = document(&mut s);
        assert_eq!(
            (&d["canary"]["requests"], &d["canary"]["errors"]),
            (&json!(600), &json!(12)),
            "{probe:?}"
        );
        assert_eq!(
            (&d["stable"]["requests"], &d["stable"]["errors"]),
            (&json!(1200), &json!(12)),
            "{probe:?}"
        );
        assert_eq!(d["observer"]["workers"], 4);
    }
}

/// Host calls of 100 requests through a probe of its own, by function.
fn calls(plugin: &Value, as_filter: bool, status: u16) -> u64 {
    let clock = Clock::at(scenario().start);
    let plugin = Plugin {
        name: "probe".into(),
        vm_id: "canary-gate".into(),
        vm_configuration: "probe".into(),
        configuration: plugin.clone(),
    };
    let mut proxy = Proxy::start(&modules().filter, clock, 1, vec![plugin], &[]).unwrap();
    let request = Request::new("POST", "/v1/build").header("x-openclaw-slice", "canary");
    let response = Response::upstream(status, 1_000);
    // The first after a tick is looked at once more: which skill pack answered.
    for i in 0..=100 {
        if as_filter {
            proxy.request(0, 0, &request, Some(&response)).unwrap();
        } else {
            proxy.log(0, 0, &request, Some(&response)).unwrap();
        }
        if i == 0 {
            proxy.reset_calls();
        }
    }
    println!("filter {as_filter}, {status}: {:?}", proxy.calls(0, 0));
    proxy.calls(0, 0).values().sum()
}

/// What the module itself allocates for 1,000 requests, the host's values aside.
#[test]
fn a_request_allocates_nothing() {
    let module = CompiledModule::load(&root("target/instrumented/proxy-filter.wasm")).unwrap();
    for (as_filter, slice) in [
        (false, json!({ "fixed": "canary" })),
        (true, json!({ "fixed": "canary" })),
        (true, json!({ "header": "x-openclaw-slice" })),
        (true, json!({ "authority": ["gateway.example.com"], "grpc": true })),
    ] {
        let plugin = Plugin {
            name: "probe".into(),
            vm_id: "canary-gate".into(),
            vm_configuration: "probe".into(),
            configuration: json!({
                "role": "probe", "slice": slice, "gateway": { "id": "gw-a1", "az": "a" },
                "lane": { "name": "l", "namespace": "n", "stable_replicas": 1 }
            }),
        };
        let clock = Clock::at(scenario().start);
        let mut proxy = Proxy::start(&module, clock.clone(), 1, vec![plugin], &[]).unwrap();
        let request = Request::new("POST", "/v1/build").header("x-openclaw-slice", "canary");
        let mut send = |n: u64| {
            for i in 0..n {
                let response = Response::upstream(if i % 9 == 0 { 503 } else { 200 }, i * 7_919);
                if as_filter {
                    proxy.request(0, 0, &request, Some(&response)).unwrap();
                } else {
                    proxy.log(0, 0, &request, Some(&response)).unwrap();
                }
            }
            proxy.allocations(0, 0).unwrap()
        };
        let before = send(10);
        let added = send(1_000) - before;
        println!("as filter {as_filter}, slice by {slice}: {added} allocations in 1,000 requests");
        assert_eq!(added, 0);
        // A tick does allocate: what is asserted above can fail.
        let before = proxy.allocations(0, 0);
        clock.advance(Duration::from_secs(5));
        proxy.tick();
        assert!(proxy.allocations(0, 0) > before);
    }
}

/// The budgets of the hot path, counted: 2 as access logger, 3 as HTTP filter, one more on a 5xx.
#[test]
fn host_calls_per_request_are_within_budget() {
    let probe = |slice: Value| {
        json!({
            "role": "probe", "slice": slice, "gateway": { "id": "gw-a1", "az": "a" },
            "lane": { "name": "l", "namespace": "n", "stable_replicas": 1 }
        })
    };
    let fixed = probe(json!({ "fixed": "canary" }));
    assert_eq!(calls(&fixed, false, 200), 200);
    assert_eq!(calls(&fixed, false, 503), 300);
    assert_eq!(calls(&fixed, true, 200), 300);
    assert_eq!(calls(&fixed, true, 503), 400);
    // A slice that the request names costs one call more; docs/architecture.md says so.
    for named in
        [json!({ "header": "x-openclaw-slice" }), json!({ "authority": ["gateway.example.com"] })]
    {
        assert_eq!(calls(&probe(named), true, 200), 400);
    }
}

#[test]
fn counting_two_hundred_thousand_requests_takes_no_more_memory() {
    let mut s = Simulation::start(modules(), &scenario()).unwrap();
    let proxy = s.proxy();
    let request = Request::new("GET", "/");
    let mut send = |n: u64| {
        for i in 0..n {
            let response =
                Response::upstream(if i % 100 == 0 { 500 } else { 200 }, i * 37 % 60_000_000);
            proxy.log(0, 0, &request, Some(&response)).unwrap();
        }
        proxy.memory(0, 0)
    };
    let before = send(1_000);
    assert_eq!(send(200_000), before);
}

#[test]
fn an_upgrade_counts_for_errors_and_not_for_latency() {
    let mut s = idle();
    for _ in 0..10 {
        let upgrade = Response::upstream(101, 40_000_000);
        s.proxy().log(0, 0, &Request::new("GET", "/ws"), Some(&upgrade)).unwrap();
    }
    s.proxy().log(0, 0, &Request::new("GET", "/gone"), None).unwrap();
    let local = Response { details: "wasm_fail_stream".into(), ..Response::upstream(503, 1) };
    s.proxy().log(0, 0, &Request::new("GET", "/"), Some(&local)).unwrap();
    s.run_to(250).unwrap();
    let c = document(&mut s)["canary"].clone();
    assert_eq!((&c["requests"], &c["p99_ms"]), (&json!(10), &json!(null)));
    assert_eq!(
        (&c["aborted"], &c["local_errors"], &c["errors"]),
        (&json!(1), &json!(1), &json!(0))
    );
}

#[test]
fn what_names_no_slice_counts_as_stable_and_is_counted() {
    let mut scenario = scenario();
    scenario.gateway.probe = Probe::HttpFilter;
    let mut s = Simulation::start(modules(), &scenario).unwrap();
    for value in [&b"purple"[..], &[0x80, 0xff], b""] {
        let request = Request::new("GET", "/").header("x-openclaw-slice", value);
        s.proxy().request(0, 0, &request, Some(&Response::upstream(200, 1))).unwrap();
    }
    s.run_to(10).unwrap();
    let d = document(&mut s);
    assert_eq!((&d["stable"]["requests"], &d["observer"]["unclassified"]), (&json!(3), &json!(3)));
}

#[test]
fn a_new_gateway_is_frozen_until_end() {
    let mut s = Simulation::start(modules(), &scenario()).unwrap();
    s.set_facts(Some(facts("")));
    s.run_to(200).unwrap();
    let d = document(&mut s);
    assert_eq!(d["scaling"]["frozen_by"], json!(["state_unknown"]));
    assert_eq!(
        (&d["canary_active"], &d["promotion_frozen"], &d["status"]),
        (&json!(true), &json!(true), &json!("warming"))
    );
    assert_eq!(command(&mut s, &json!({ "action": "end" })).status, 204);
    s.run_to(360).unwrap();
    assert_eq!(document(&mut s)["status"], "healthy");
}

#[test]
fn a_restart_in_mid_canary_does_not_open_the_gate() {
    let mut s = idle();
    assert_eq!(
        command(&mut s, &json!({ "action": "begin", "weight": 0.1, "skill_hash": "c4e1" })).status,
        204
    );
    s.set_traffic(CANARY, traffic(600, 200));
    s.run_to(500).unwrap();
    let before = document(&mut s);
    assert_eq!((&before["degraded"], &before["canary_active"]), (&json!(true), &json!(true)));
    s.set_traffic(CANARY, traffic(0, 0));
    s.proxy().restart().unwrap();
    s.run_to(520).unwrap();
    let after = document(&mut s);
    assert_eq!((&after["canary_active"], &after["scaling"]["frozen"]), (&json!(true), &json!(1)));
    assert_eq!(after["scaling"]["frozen_by"], before["scaling"]["frozen_by"]);
    assert_eq!(after["canary"]["skill_hash"], "c4e1");
    // And long without traffic: no data never clears a hold.
    s.run_to(4_000).unwrap();
    assert_eq!(document(&mut s)["scaling"]["frozen"], 1);
}

#[test]
fn a_deleted_or_broken_state_opens_nothing() {
    for broken in [None, Some("{"), Some("{}")] {
        let mut s = idle();
        match broken {
            None => {
                s.cluster().delete("ConfigMap", "builds", "canary-gate.gw-a1");
            }
            Some(text) => {
                let mut object =
                    s.cluster().get("ConfigMap", "builds", "canary-gate.gw-a1").unwrap().clone();
                object["data"]["state"] = text.into();
                s.cluster().put(object);
            }
        }
        s.proxy().restart().unwrap();
        s.run_to(300).unwrap();
        let d = document(&mut s);
        assert_eq!(
            (&d["canary_active"], &d["scaling"]["frozen"]),
            (&json!(true), &json!(1)),
            "{broken:?}"
        );
        // Recovered from nothing, and said so where the policy reads it.
        let v = published(&s);
        assert_eq!(v["canary_active"], true);
        let causes = v["frozen_by"].as_array().unwrap();
        assert!(causes.contains(&json!("state_unknown")), "{causes:?}");
    }
}

#[test]
fn the_lease_moves_when_its_holder_dies_and_nothing_counted_is_lost() {
    let mut s = idle();
    s.set_traffic(CANARY, traffic(600, 0));
    s.run_to(270).unwrap();
    s.set_traffic(CANARY, traffic(0, 0));
    s.run_to(280).unwrap();
    let before = document(&mut s);
    assert_eq!(before["canary"]["requests"], 300);
    // Both endpoints and one probe VM go; only a request brings them back.
    for worker in 0..2 {
        s.proxy().kill(worker, 2);
    }
    s.proxy().kill(0, 0);
    s.run_to(281).unwrap();
    let answer = s.manage(&get("/keda/metrics", "bastion")).unwrap();
    assert_eq!(answer.status, 200, "another worker serves what is there");
    s.run_to(310).unwrap();
    let after = document(&mut s);
    assert_eq!(after["canary"]["requests"], 300);
    assert!(after["observer"]["restarts"].as_u64() > before["observer"]["restarts"].as_u64());
}

#[test]
fn a_stale_document_is_not_served() {
    let mut s = idle();
    // Time passes and no tick comes: nobody judges any more.
    s.clock().advance(std::time::Duration::from_secs(60));
    let answer = s.proxy().request(0, 2, &get("/keda/metrics", "keda"), None).unwrap();
    match answer {
        Outcome::Answered(r) => {
            assert_eq!(r.status, 503);
            assert!(r.text().contains("no worker judges any more"), "{}", r.text());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_thousand_restarts_of_vms_take_no_more_keys() {
    let mut s = idle();
    s.set_traffic(CANARY, traffic(600, 0));
    s.run_to(260).unwrap();
    let before = s.proxy().shared_keys();
    for i in 0..1_000 {
        s.proxy().kill(i % 2, i % 3);
        s.run_to(260 + (i as u64) / 4).unwrap();
    }
    s.run_to(600).unwrap();
    assert!(
        s.proxy().shared_keys() <= before + 2,
        "{} keys, then {}",
        before,
        s.proxy().shared_keys()
    );
}

#[test]
fn unknown_versions_in_shared_data_are_skipped_and_counted() {
    let mut s = idle();
    s.set_traffic(CANARY, traffic(600, 0));
    s.run_to(250).unwrap();
    s.proxy().put_shared("cg1/slot/02", &[99, 1, 2, 3]);
    s.run_to(260).unwrap();
    assert_eq!(document(&mut s)["observer"]["unreadable_slots"], 1);
}

fn published(s: &Simulation) -> Value {
    let cluster = s.cluster();
    let object = cluster.get("ConfigMap", "builds", "canary-gate.gw-a1").expect("a ConfigMap");
    serde_json::from_str(object["data"]["verdict"].as_str().unwrap()).unwrap()
}

#[test]
fn a_command_waits_for_its_publication() {
    let mut s = idle();
    s.cluster().fault_http = Some(500);
    let answer = command(&mut s, &json!({ "action": "begin" }));
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(published(&s)["canary_active"], false);
    // Kept, and published without being sent again when that works.
    s.cluster().fault_http = None;
    s.run_to(s.elapsed_s() + 60).unwrap();
    assert_eq!(published(&s)["canary_active"], true);
    assert!(document(&mut s)["observer"]["publish_failures"].as_u64() > Some(0));
    assert_eq!(command(&mut s, &json!({ "action": "begin" })).status, 204, "the same call twice");
}

/// Before a process has spoken, what somebody else wrote meanwhile is the later word.
#[test]
fn a_write_between_reading_and_the_first_publication_is_not_lost() {
    let mut s = idle();
    assert_eq!(command(&mut s, &json!({ "action": "begin", "skill_hash": "c4e1" })).status, 204);
    let active = s.cluster().get("ConfigMap", "builds", "canary-gate.gw-a1").unwrap().clone();
    assert_eq!(command(&mut s, &json!({ "action": "end" })).status, 204);
    // A new process reads the idle state …
    s.proxy().restart().unwrap();
    s.run_until_read().unwrap();
    // … and before it publishes, the old one acknowledges a begin.
    s.cluster().put(active);
    s.run_to(s.elapsed_s() + 60).unwrap();
    assert_eq!(published(&s)["canary_active"], true);
    assert_eq!(document(&mut s)["canary_active"], true);
}

/// Commands that were meant for one gateway are not replayed to another.
#[test]
fn a_push_that_renames_the_gateway_starts_frozen() {
    let mut s = idle();
    assert_eq!(document(&mut s)["scaling"]["frozen"], 0);
    s.proxy().push(|c| c["gateway"]["id"] = json!("gw-a2")).unwrap();
    s.run_to(s.elapsed_s() + 30).unwrap();
    let d = document(&mut s);
    assert_eq!(d["gateway"]["id"], "gw-a2");
    assert_eq!((&d["canary_active"], &d["scaling"]["frozen"]), (&json!(true), &json!(1)));
    assert_eq!(command(&mut s, &json!({ "action": "end" })).status, 204);
}

#[test]
fn a_push_of_another_window_length_keeps_the_canary_and_judges_it_anew() {
    let mut s = idle();
    assert_eq!(command(&mut s, &json!({ "action": "begin" })).status, 204);
    s.set_traffic(CANARY, traffic(600, 0));
    s.run_to(500).unwrap();
    s.proxy()
        .push(|c| c["windows"] = json!({ "length_s": 600, "poll_s": 60, "tick_s": 5 }))
        .unwrap();
    s.set_traffic(CANARY, traffic(600, 200));
    s.run_to(1_000).unwrap();
    let d = document(&mut s);
    assert_eq!((&d["canary_active"], &d["degraded"]), (&json!(true), &json!(true)), "{d}");
}

#[test]
fn too_many_commands_are_refused_and_none_is_lost() {
    let mut s = idle();
    let mut pending = Vec::new();
    let mut refused = 0;
    for _ in 0..40 {
        let maintenance =
            put("/keda/canary", "ops", &json!({ "action": "maintenance", "maintenance": true }));
        match s.proxy().request(0, 2, &maintenance, None).unwrap() {
            Outcome::Pending(p) => pending.push(p),
            Outcome::Answered(r) => refused += u32::from(r.status == 503),
        }
    }
    assert_eq!((pending.len(), refused), (32, 8));
    s.run_to(s.elapsed_s() + 8).unwrap();
    for p in pending {
        assert_eq!(s.proxy().answer(p).unwrap().map(|r| r.status), Some(204));
    }
}

#[test]
fn conflicts_are_409_and_say_what_to_do() {
    let mut s = idle();
    let answer = command(&mut s, &json!({ "action": "weight", "weight": 0.5 }));
    assert_eq!((answer.status, answer.text().contains("begin")), (409, true));
    assert_eq!(command(&mut s, &json!({ "action": "begin" })).status, 204);
    assert_eq!(command(&mut s, &json!({ "action": "begin", "az": "b" })).status, 409);
    assert_eq!(command(&mut s, &json!({ "action": "abort" })).status, 204);
    assert_eq!(command(&mut s, &json!({ "action": "begin" })).status, 409);
    assert_eq!(document(&mut s)["aborted"], true);
}

#[test]
fn a_newer_process_silences_an_older_one() {
    let mut s = idle();
    let mut object = s.cluster().get("ConfigMap", "builds", "canary-gate.gw-a1").unwrap().clone();
    let mut verdict: serde_json::Value =
        serde_json::from_str(object["data"]["verdict"].as_str().unwrap()).unwrap();
    verdict["epoch"] = json!(4_000_000_000u64);
    object["data"]["verdict"] = verdict.to_string().into();
    s.cluster().put(object);
    s.run_to(400).unwrap();
    let kept = s.cluster().get("ConfigMap", "builds", "canary-gate.gw-a1").unwrap().clone();
    assert!(
        kept["data"]["verdict"].as_str().unwrap().contains("4000000000"),
        "the older process overwrote it"
    );
    assert_eq!(command(&mut s, &json!({ "action": "begin" })).status, 503);
}

#[test]
fn another_measure_caller_gets_the_owners_name() {
    let mut scenario = scenario();
    scenario.gateway.tokens.push(harness::scenario::format::Token {
        name: "argo".into(),
        role: "measure".into(),
        token: "argo-token".into(),
    });
    let mut s = Simulation::start(modules(), &scenario).unwrap();
    s.run_to(10).unwrap();
    let intruder = s.manage(&Request::new("GET", "/keda/metrics").bearer("argo-token")).unwrap();
    assert_eq!((intruder.status, intruder.text().contains("`keda`")), (409, true));
    assert_eq!(s.manage(&get("/keda/metrics", "keda")).unwrap().status, 200);
}

#[test]
fn a_body_in_chunks_or_with_trailers_is_read_to_its_end() {
    let mut s = idle();
    let mut body = facts(&s.clock().now().to_string());
    body["doctor_failures"] = json!([]);
    let padded = format!("{}{}", body, " ".repeat(9_000));
    let chunked = Request::new("PUT", "/keda/facts").bearer(&token("facts")).body(&padded);
    assert_eq!(s.manage(&chunked).unwrap().status, 204);
    let trailers = Request {
        trailers: Some(vec![(b"x-checksum".to_vec(), b"1".to_vec())]),
        ..chunked.clone()
    };
    assert_eq!(s.manage(&trailers).unwrap().status, 204);
    let endless =
        Request::new("PUT", "/keda/facts").bearer(&token("facts")).body(" ".repeat(70_000));
    assert_eq!(s.manage(&endless).unwrap().status, 413);
    let empty = Request::new("PUT", "/keda/facts").bearer(&token("facts"));
    assert_eq!(s.manage(&empty).unwrap().status, 400);
}

#[test]
fn a_clock_jump_neither_loses_nor_doubles_what_follows() {
    for jump in [3_600, -1_800] {
        let mut s = idle();
        s.set_traffic(Slice::Canary, traffic(600, 0));
        s.run_to(300).unwrap();
        s.set_traffic(Slice::Canary, traffic(0, 0));
        s.run_to(310).unwrap();
        assert_eq!(document(&mut s)["canary"]["requests"], 600);
        s.clock().jump(jump);
        s.run_to(316).unwrap();
        s.set_traffic(Slice::Canary, traffic(600, 0));
        s.run_to(346).unwrap();
        s.set_traffic(Slice::Canary, traffic(0, 0));
        s.run_to(356).unwrap();
        // The window of now holds what was sent since, and nothing of then.
        assert_eq!(document(&mut s)["canary"]["requests"], 300, "jump {jump}");
    }
}
