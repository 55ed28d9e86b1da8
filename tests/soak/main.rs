//! `make soak`: millions of requests, and the memory they do not take.
//!
//! First through the module in the harness, where its linear memory can be
//! read: ten million requests over a thousand label values. Then through a
//! real Envoy, where the process's resident set is all there is to see.

use gate::time::Timestamp;
use harness::clock::Clock;
use harness::module::CompiledModule;
use harness::proxy_host::http::{Request, Response};
use harness::proxy_host::Proxy;
use harness::scenario::format::{Probe, Scenario};
use harness::scenario::setup::plugins;
use serde_json::json;
use std::time::{Duration, Instant};
use tests::client::{pour, Asked};
use tests::envoy::{alone, Envoy, Setup};
use tests::root;
use tests::servers::{ApiServer, Notifier, Upstream};

/// Requests through the module; `SOAK_HARNESS` in the environment sets another number.
const HARNESS: u64 = 10_000_000;
/// Requests through Envoy; `SOAK_ENVOY` sets another number.
const ENVOY: u64 = 3_000_000;
/// Growth of the resident set that is noise of the allocator, KiB, after the first part.
const NOISE_KIB: u64 = 8 * 1024;

fn count(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

fn in_the_harness() {
    let mut scenario = Scenario::load(&root("scenarios/rollout.yaml")).expect("the scenario");
    scenario.gateway.probe = Probe::HttpFilter;
    let clock = Clock::at(Timestamp::from_secs(1_795_510_800));
    let module = CompiledModule::load(&root("dist/proxy-filter.wasm")).expect("make wasm");
    let clusters = ["kube-apiserver", "notifier"];
    let mut proxy =
        Proxy::start(&module, clock.clone(), 1, plugins(&scenario), &clusters).expect("a start");
    let total = count("SOAK_HARNESS", HARNESS);
    println!("{total} requests over 1,000 label values, through the module in the harness");
    let mut first = None;
    for i in 0..total {
        let request = Request::new("GET", "/v1/build")
            .header("x-openclaw-slice", format!("label-{}", i % 1_000));
        let response = Response::upstream(if i % 100 == 0 { 503 } else { 200 }, i * 37 % 60_000);
        proxy.request(0, 0, &request, Some(&response)).expect("no trap");
        // Its time is virtual; so that ticks come about every 50,000 requests.
        if i % 50_000 == 0 {
            clock.advance(Duration::from_secs(5));
            proxy.tick();
            proxy.take_calls();
        }
        if (i + 1) % (total / 10) == 0 {
            let sizes = (proxy.memory(0, 0), proxy.memory(0, 1), proxy.shared_keys());
            println!(
                "{:>9} requests: probe {} KiB, endpoint {} KiB, {} keys",
                i + 1,
                sizes.0 / 1024,
                sizes.1 / 1024,
                sizes.2
            );
            assert_eq!(*first.get_or_insert(sizes), sizes, "memory grew");
        }
    }
}

fn in_envoy(configuration: &'static str) {
    let _alone = alone();
    let (canary, stable) = (Upstream::start(), Upstream::start());
    let envoy = Envoy::start(&Setup {
        configuration,
        workers: 2,
        canary_port: canary.port,
        stable_port: stable.port,
        api_port: ApiServer::start().port,
        notifier_port: Notifier::start().port,
        windows: json!({ "length_s": 3600, "poll_s": 60, "tick_s": 1 }),
        ..Setup::default()
    });
    envoy.wait_for(15, "a document", |_| true);
    let total = count("SOAK_ENVOY", ENVOY);
    let part: Vec<Asked> = (0..total / 10)
        .map(|i| (i % 3 == 0, format!("/{}/0", if i % 100 == 0 { 503 } else { 200 })))
        .collect();
    println!("{total} requests through a real Envoy, {configuration}");
    let mut first = None;
    for n in 1..=10 {
        let begun = Instant::now();
        pour(envoy.vip, &part, 16);
        let per_second = part.len() as f64 / begun.elapsed().as_secs_f64();
        let resident = envoy.resident_kib();
        println!(
            "{:>9} requests: {resident} KiB resident, {per_second:.0} requests/s",
            n * part.len()
        );
        // What the first part allocates is what serving needs.
        let first = *first.get_or_insert(resident);
        assert!(resident <= first + NOISE_KIB, "memory grew from {first} to {resident} KiB");
        // The upstreams keep what each answer took; that is not Envoy's.
        [&canary, &stable].iter().for_each(|u| u.took_ms.lock().expect("times").clear());
    }
    let sent = (part.len() * 10) as u64;
    let d = envoy.wait_for(20, "all counts", |d| {
        d["canary"]["requests"].as_u64().zip(d["stable"]["requests"].as_u64()).map(|(a, b)| a + b)
            == Some(sent)
    });
    println!("all {sent} counted: {} and {}", d["canary"]["requests"], d["stable"]["requests"]);
}

fn main() {
    in_the_harness();
    in_envoy("access-logger.yaml");
    in_envoy("http-filter.yaml");
}
