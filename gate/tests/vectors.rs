//! The judge against the published vectors: every tail and every trace.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use gate::binomial;
use gate::signals::canary_5xx_rate;
use gate::threshold::Thresholds;
use gate::window::{Bucket, Window};
use serde::Deserialize;
use support::{active, config, facts, START};

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
    let config = config(canary_5xx_rate::Judge::MultiHorizon);
    let mut judge = active(&config, START);
    let mut window = Window::default();
    judge.step(&window, &config, START);
    let mut events = vec![];
    for m in 0..trace.canary_requests.len() {
        let mut b = Bucket { index: START.secs() / 60 + m as u64, ..Bucket::default() };
        b.canary.requests = trace.canary_requests[m];
        b.canary.errors = trace.canary_errors[m];
        b.stable.requests = trace.stable_requests[m];
        b.stable.errors = trace.stable_errors[m];
        window.add(&b);
        let minute = m as u64 + 1;
        let now = START.plus_secs(60 * minute + 6);
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

#[test]
fn every_trace_agrees() {
    let traces = vectors().traces;
    assert_eq!(traces.len(), 38);
    for trace in traces {
        assert_eq!(events(&trace), trace.events, "{}", trace.name);
    }
}
