//! A trap in each callback of each role, in a real Envoy: traffic goes on, the
//! other role counts on, and what trapped is back once somebody asks.

use serde_json::{json, Value};
use std::thread;
use std::time::{Duration, Instant};
use tests::envoy::{alone, Envoy, Setup};
use tests::root;
use tests::servers::{ApiServer, Notifier, Upstream};

fn start(configuration: &'static str) -> (Envoy, [Upstream; 2]) {
    let upstreams = [Upstream::start(), Upstream::start()];
    let envoy = Envoy::start(&Setup {
        configuration,
        workers: 1,
        canary_port: upstreams[0].port,
        stable_port: upstreams[1].port,
        api_port: ApiServer::start().port,
        notifier_port: Notifier::start().port,
        windows: json!({ "length_s": 3600, "poll_s": 60, "tick_s": 1 }),
        endpoint_wasm: root("target/instrumented/proxy-filter.wasm"),
        probe_wasm: root("target/instrumented/proxy-filter.wasm"),
        ..Setup::default()
    });
    envoy.wait_for(15, "a document", |_| true);
    (envoy, upstreams)
}

fn requests(d: &Value, slice: &str) -> u64 {
    d[slice]["requests"].as_u64().unwrap_or(0)
}

#[test]
fn in_the_endpoint() {
    let _alone = alone();
    let (envoy, _upstreams) = start("access-logger.yaml");
    let mut sent = 0;
    for callback in ["request_headers", "request_body", "response_headers", "log", "delete", "tick"]
    {
        let answer = envoy.trap(callback);
        // One that traps before its answer is Envoy's own.
        let expected: &[u16] = match callback {
            "request_headers" | "request_body" => &[503],
            _ => &[400, 503],
        };
        assert!(expected.contains(&answer.status), "{callback}: {answer:?}");
        sent += 20;
        for _ in 0..20 {
            assert_eq!(envoy.send(true, "/200/1"), 200, "{callback}");
        }
        let back = Instant::now();
        envoy.wait_for(40, &format!("the endpoint after a trap in {callback}"), |d| {
            requests(d, "canary") == sent
        });
        assert!(envoy.trapped_in(callback), "{callback}: no trap: {}", envoy.log());
        println!(
            "endpoint, {callback}: {}; all counted {:.1?} later",
            answer.status,
            back.elapsed()
        );
    }
}

fn in_a_probe(configuration: &'static str, callbacks: &[&str], comes_back: bool) {
    let _alone = alone();
    for callback in callbacks {
        let (envoy, _upstreams) = start(configuration);
        for _ in 0..20 {
            assert_eq!(envoy.send(true, "/200/1"), 200);
        }
        envoy.wait_for(10, "the first twenty", |d| requests(d, "canary") == 20);
        let answer = envoy.trap_probe(callback);
        // A filter that traps before the upstream answered is passed over, or
        // ends its own request; an access logger never does.
        let spared = configuration == "access-logger.yaml" || answer.status == 200;
        assert!(spared || answer.status == 503, "{callback}: {answer:?}");
        thread::sleep(Duration::from_secs(3));
        let begun = Instant::now();
        let mut sent = 0;
        let d = loop {
            assert_eq!(envoy.send(true, "/200/1"), 200, "{callback}: traffic goes on");
            sent += 1;
            let d = envoy.get("/keda/metrics", "bastion").json();
            let done = if comes_back {
                requests(&d, "canary") > 21 && d["observer"]["workers"] == 1
            } else {
                d["observer"]["workers"] == 0
            };
            if done {
                break d;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{callback}: {d}\n{}", envoy.log());
            thread::sleep(Duration::from_millis(200));
        };
        println!(
            "{configuration}, {callback}: {} for the request that trapped, then {sent} sent, {} counted, workers {}, restarts {}",
            answer.status,
            requests(&d, "canary") - 20,
            d["observer"]["workers"],
            d["observer"]["restarts"]
        );
        assert!(envoy.trapped_in(callback), "{callback}: no trap: {}", envoy.log());
    }
}

#[test]
fn in_a_probe_that_logs() {
    in_a_probe("access-logger.yaml", &["log", "tick"], true);
}

/// It must not break traffic, so it stays down until the next push, and shows
/// as a worker that is missing.
#[test]
fn in_a_probe_that_filters() {
    let callbacks = ["request_headers", "response_headers", "log", "delete", "tick"];
    in_a_probe("http-filter.yaml", &callbacks, false);
}
