//! A hundred thousand requests through four workers of a real Envoy, beside
//! Envoy's own access log as the perfect observer: counts, p99, and when the
//! rules fire.

use gate::judge::Config;
use gate::sample::Sample;
use gate::slice::Slice;
use gate::time::Timestamp;
use gate::window::{Bucket, Periods, Window};
use serde_json::{json, Value};
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};
use tests::client::{pour, Asked};
use tests::envoy::{alone, Envoy, Setup};
use tests::servers::{ApiServer, Notifier, Upstream};
use tests::{now, root};

#[allow(dead_code, reason = "a support of several tests")]
#[path = "../gate/tests/support/mod.rs"]
mod support;
use support::{active, config, facts};

const LOG: &str = "target/envoy/observer.log";

/// Envoy's own log of the VIP: end, status, authority, duration in all and to
/// the first byte of the upstream, microseconds.
fn observe(config: &mut Value) {
    let hcm = &mut config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]
        ["typed_config"];
    let format = "%START_TIME(%s.%6f)% %RESPONSE_CODE% %REQ(:AUTHORITY)% \
                  %COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)% %COMMON_DURATION(DS_RX_BEG:US_RX_BEG:us)%\n";
    let log = json!({
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": observer_log().display().to_string(),
            "log_format": { "text_format_source": { "inline_string": format } },
        }
    });
    let logs = hcm.as_object_mut().unwrap().entry("access_log").or_insert_with(|| json!([]));
    logs.as_array_mut().unwrap().push(log);
}

fn observer_log() -> PathBuf {
    root(LOG)
}

#[derive(Clone, Copy)]
struct Seen {
    end: Timestamp,
    status: u16,
    slice: Slice,
    total_us: u64,
    first_byte_us: u64,
}

/// What Envoy logged, once it has logged `count` requests.
fn seen(count: usize) -> Vec<Seen> {
    let begun = Instant::now();
    loop {
        let text = fs::read_to_string(observer_log()).unwrap_or_default();
        let lines: Vec<&str> = text.split_inclusive('\n').filter(|l| l.ends_with('\n')).collect();
        if lines.len() >= count {
            return lines.iter().map(|line| parse(line)).collect();
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{} of {count} logged", lines.len());
        thread::sleep(Duration::from_millis(200));
    }
}

fn parse(line: &str) -> Seen {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [start, status, authority, total, first] = words[..] else { panic!("{line}") };
    let start: f64 = start.parse().unwrap();
    let total_us: u64 = total.parse().unwrap();
    Seen {
        end: Timestamp::from_millis((start * 1000.0) as i64 + (total_us / 1000) as i64),
        status: status.parse().unwrap(),
        slice: if authority.starts_with("canary") { Slice::Canary } else { Slice::Stable },
        total_us,
        first_byte_us: first.parse().unwrap_or(0),
    }
}

/// One request in ten is the canary's.
fn mix(count: usize) -> Vec<Asked> {
    let path = |i: usize| {
        let status = if i % 97 == 5 { 503 } else { 200 };
        // About 1.5 % take 60 ms and as many 25 ms: the 99th percentile lies in the first.
        let ms = match i % 137 {
            11 | 53 => 60,
            29 | 71 => 25,
            _ => 0,
        };
        format!("/{status}/{ms}")
    };
    // Not in step with the periods above.
    (0..count).map(|i| (i % 10 == 3, path(i / 3 * 7 + i))).collect()
}

fn load(configuration: &'static str, us: impl Fn(&Seen) -> u64) {
    let _alone = alone();
    let _ = fs::remove_file(observer_log());
    let (canary, stable, api, notifier) =
        (Upstream::start(), Upstream::start(), ApiServer::start(), Notifier::start());
    let envoy = Envoy::start(&Setup {
        configuration,
        workers: 4,
        canary_port: canary.port,
        stable_port: stable.port,
        api_port: api.port,
        notifier_port: notifier.port,
        windows: json!({ "length_s": 3600, "poll_s": 60, "tick_s": 1 }),
        change: observe,
        ..Setup::default()
    });
    envoy.wait_for(15, "a document", |_| true);
    let requests = mix(100_000);
    let begun = Instant::now();
    pour(envoy.vip, &requests, 32);
    println!("{configuration}: {} requests in {:.1?}", requests.len(), begun.elapsed());
    let truth = seen(requests.len());
    assert_eq!(truth.len(), requests.len());
    for (name, slice) in [("canary", Slice::Canary), ("stable", Slice::Stable)] {
        let mine = requests.iter().filter(|r| r.0 == (slice == Slice::Canary));
        let (count, errors) =
            mine.fold((0, 0), |(n, k), r| (n + 1, k + u64::from(r.1.starts_with("/5"))));
        let d = envoy.wait_for(20, "all counts", |d| d[name]["requests"] == count);
        assert_eq!(d[name]["errors"], errors, "{name}");
        assert_eq!((&d[name]["aborted"], &d[name]["local_errors"]), (&json!(0), &json!(0)));
        let mut us: Vec<u64> = truth.iter().filter(|s| s.slice == slice).map(&us).collect();
        us.sort_unstable();
        let exact = us[(us.len() * 99).div_ceil(100) - 1] as f64 / 1000.0;
        let measured = d[name]["p99_ms"].as_f64().unwrap();
        let off = (measured - exact) / exact * 100.0;
        println!("{configuration}: {name}: {count} requests, {errors} errors, p99 {measured:.2} ms, by Envoy's log {exact:.2} ms ({off:+.2} %)");
        assert!(off.abs() <= 1.0, "{name}: {measured} for {exact}");
        assert_eq!(d["observer"]["workers"], 4, "{d}");
    }
}

#[test]
fn as_access_logger() {
    load("access-logger.yaml", |s| s.total_us);
}

#[test]
fn as_http_filter() {
    load("http-filter.yaml", |s| s.first_byte_us);
}

const WINDOWS: Periods = Periods { length_s: 10, poll_s: 2, tick_s: 1 };

/// The poll at which a judge fed from Envoy's own log degrades.
fn predicted(log: &[Seen], begun: Timestamp, config: &Config) -> Option<u64> {
    let mut judge = active(config, begun);
    let mut log = log.to_vec();
    log.sort_by_key(|s| s.end);
    let mut log = log.into_iter().peekable();
    let mut window = Window::default();
    let mut steps = (1..600).map(|quarter| Timestamp::from_millis(begun.millis() + quarter * 250));
    steps.find_map(|now| {
        while let Some(s) = log.next_if(|s| s.end <= now) {
            let mut bucket = Bucket { index: WINDOWS.bucket_at(s.end), ..Bucket::default() };
            let sample = if s.status >= 500 { Sample::Error } else { Sample::Success };
            bucket.slice_mut(s.slice).add(sample);
            bucket.slice_mut(s.slice).latencies.record(s.total_us);
            window.add(&bucket);
        }
        judge.put_facts(facts(now), now);
        judge.step(&window, config, now);
        judge.hold.frozen().then(|| WINDOWS.poll_due(now))
    })
}

#[test]
fn rules_fire_when_a_perfect_observer_says() {
    let _alone = alone();
    let _ = fs::remove_file(observer_log());
    let (canary, stable, api, notifier) =
        (Upstream::start(), Upstream::start(), ApiServer::start(), Notifier::start());
    let envoy = Envoy::start(&Setup {
        workers: 4,
        canary_port: canary.port,
        stable_port: stable.port,
        api_port: api.port,
        notifier_port: notifier.port,
        windows: json!(WINDOWS),
        change: observe,
        ..Setup::default()
    });
    envoy.wait_for(15, "a document", |_| true);
    let chunk = |every: usize| {
        let path = |i: usize| if every > 0 && i % every == 7 { "/500/1" } else { "/200/1" };
        let requests: Vec<Asked> = (0..300)
            .map(|i| (i % 3 == 0, if i % 3 == 0 { path(i / 3) } else { "/200/1" }.into()))
            .collect();
        pour(envoy.vip, &requests, 8);
        envoy.put_facts();
        thread::sleep(Duration::from_millis(100));
    };
    envoy.put_facts();
    assert_eq!(envoy.put("/keda/canary", "ops", &json!({ "action": "end" })).status, 204);
    envoy.wait_for(20, "an idle lane", |d| d["status"] == "healthy");
    assert_eq!(
        envoy.put("/keda/canary", "ops", &json!({ "action": "begin", "weight": 0.3 })).status,
        204
    );
    let begun = now();
    // Ten seconds healthy, then one in twenty fails.
    while now().since(begun) < 10 {
        chunk(0);
    }
    assert_eq!(envoy.get("/keda/metrics", "bastion").json()["degraded"], false);
    let fault = now();
    let fired = loop {
        chunk(20);
        let d = envoy.get("/keda/metrics", "bastion").json();
        if d["degraded"] == true {
            let signal = d["signals"].as_array().unwrap().iter().find(|s| s["verdict"] == "fail");
            let signal = signal.unwrap_or_else(|| panic!("{d}")).clone();
            assert_eq!(signal["name"], "canary_5xx_rate", "{d}");
            break Timestamp::parse(signal["since"].as_str().unwrap()).unwrap();
        }
        assert!(now().since(fault) < 40, "never degraded: {d}");
    };
    thread::sleep(Duration::from_secs(1));
    let log = seen(1);
    let config = Config { periods: WINDOWS, ..config(Default::default()) };
    let expected = predicted(&log, begun, &config).expect("the perfect observer degrades");
    let got = WINDOWS.poll_due(fired);
    println!(
        "fault at {fault}, degraded since {fired}: poll {got}, by {} lines of Envoy's log poll {expected}",
        log.len()
    );
    // A request counts in the bucket that ran at its worker's last tick: one
    // bucket early at most.
    assert!(got.abs_diff(expected) <= 1, "poll {got}, expected {expected}");
}
