//! The judge against the published vectors: every tail and every trace.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use gate::binomial;
use gate::canary::{Action, Command};
use gate::facts::{DiskTier, Facts};
use gate::judge::{Config, Judge};
use gate::scaling::LaneSize;
use gate::signals::canary_5xx_rate;
use gate::threshold::Thresholds;
use gate::time::Timestamp;
use gate::window::{Bucket, Periods, Window};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    tails: Vec<(u64, u64, f64)>,
    traces: Vec<Trace>,
}

#[derive(Deserialize)]
struct Trace {
    name: String,
    canary_requests: Vec<u64>,
    canary_errors: Vec<u64>,
    stable_requests: Vec<u64>,
    stable_errors: Vec<u64>,
    events: Vec<(String, u64)>,
}

fn vectors() -> Vectors {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/multi-horizon-vectors.json");
    #[allow(clippy::disallowed_methods, reason = "a test reads its fixture")]
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn every_tail_agrees() {
    let limit = Thresholds::default().canary_5xx_rate;
    let tails = vectors().tails;
    assert_eq!(tails.len(), 39);
    for (n, k, expected) in tails {
        let got = binomial::tail(k, n, limit);
        assert!(
            (got - expected).abs() <= 1e-6 * expected,
            "P(X >= {k}; {n}) is {got}, not {expected}"
        );
    }
}

/// Runs a trace through the whole judge: freezes and thaws with their minute.
fn events(trace: &Trace) -> Vec<(String, u64)> {
    let start = Timestamp::from_secs(1_795_510_800);
    let config = Config {
        gateway: "gw-a1".into(),
        az: "a".into(),
        gateway_version: "1".into(),
        disk_tier: DiskTier::Tb1,
        lane: "lane".into(),
        size: LaneSize { stable_replicas: 6, headroom: 1, min_replicas: 1 },
        judge: canary_5xx_rate::Judge::MultiHorizon,
        periods: Periods::default(),
        thresholds: Thresholds::default(),
        abort_on_fail: false,
    };
    let mut judge = Judge::unknown(start);
    judge.put_facts(facts(start), start);
    judge.command(&Command::new(Action::End), &config, start).unwrap();
    judge.command(&Command::new(Action::Begin), &config, start).unwrap();
    let mut window = Window::default();
    judge.step(&window, &config, start);
    let mut events = vec![];
    for m in 0..trace.canary_requests.len() {
        let mut b = Bucket { index: start.secs() / 60 + m as u64, ..Bucket::default() };
        b.canary.requests = trace.canary_requests[m];
        b.canary.errors = trace.canary_errors[m];
        b.stable.requests = trace.stable_requests[m];
        b.stable.errors = trace.stable_errors[m];
        window.add(&b);
        let minute = m as u64 + 1;
        let now = start.plus_secs(60 * minute + 6);
        judge.put_facts(facts(now), now);
        let before = judge.hold.frozen();
        judge.step(&window, &config, now);
        match (before, judge.hold.frozen()) {
            (false, true) => events.push(("freeze".to_owned(), minute)),
            (true, false) => events.push(("thaw".to_owned(), minute)),
            _ => {}
        }
    }
    events
}

fn facts(at: Timestamp) -> Facts {
    let body = format!(r#"{{"at":"{at}","disk_used_pct":50,"doctor_ok":true,"queue_depth":3}}"#);
    Facts::parse(body.as_bytes(), at).unwrap()
}

#[test]
fn every_trace_agrees() {
    let traces = vectors().traces;
    assert_eq!(traces.len(), 38);
    for trace in traces {
        assert_eq!(events(&trace), trace.events, "{}", trace.name);
    }
}
