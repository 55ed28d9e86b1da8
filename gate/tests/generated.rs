//! Both judges on generated traffic: how often they freeze a healthy rollout,
//! and how fast they see a failing one. `make verdicts` prints the large table,
//! beside other controllers' rules; this keeps it from drifting. The bounds are
//! looser than what was measured, by what chance does to runs of this size.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_macros,
    reason = "a test may panic, and prints its table"
)]

mod support;
#[path = "support/traffic.rs"]
mod traffic;

use gate::signals::canary_5xx_rate::Judge::{self, MultiHorizon, TwoWindows};
use support::config;
use traffic::{index, minute, random, Gateway, Rates};

const RUNS: u64 = 150;

fn rates(canary: f64, stable: f64) -> Rates {
    Rates { canary_per_minute: 60, stable_per_minute: 540, canary, stable }
}

/// Freezes per 1,000 windows of five minutes, over four healthy hours a run.
fn false_freezes(judge: Judge, base: f64) -> f64 {
    let freezes: usize = (0..RUNS)
        .map(|seed| {
            let mut random = random(seed);
            let mut gateway = Gateway::begin(config(judge));
            let mut before = false;
            (0..240)
                .filter(|m| {
                    let frozen = gateway.step(&minute(&mut random, &rates(base, base), index(*m)));
                    !std::mem::replace(&mut before, frozen) && frozen
                })
                .count()
        })
        .sum();
    freezes as f64 * 1000.0 / (RUNS * 48) as f64
}

/// Share of faults that hold ten minutes after they began, anywhere in a window.
fn caught(judge: Judge, base: f64, fault: f64) -> f64 {
    let caught = (0..RUNS).filter(|seed| {
        let mut random = random(10_000 + seed);
        let mut gateway = Gateway::begin(config(judge));
        let fault_at = 30 + seed % 5;
        (0..fault_at + 10).fold(false, |_, m| {
            let rate = if m >= fault_at { fault } else { base };
            gateway.step(&minute(&mut random, &rates(rate, base), index(m)))
        })
    });
    caught.count() as f64 / RUNS as f64
}

#[test]
fn both_judges_on_generated_traffic() {
    let row = |judge: Judge, base, fault| {
        let (healthy, faults) = (false_freezes(judge, base), caught(judge, base, fault));
        println!("{:13} base {base} fault {fault}: {healthy:.1} false freezes per 1,000 windows, caught {faults:.2}", judge.name());
        (healthy, faults)
    };
    let (two_low, two_caught) = row(TwoWindows, 0.001, 0.02);
    let (two_high, _) = row(TwoWindows, 0.003, 0.02);
    let (_, two_fire) = row(TwoWindows, 0.001, 0.2);
    let (multi_low, multi_caught) = row(MultiHorizon, 0.001, 0.02);
    let (multi_high, _) = row(MultiHorizon, 0.003, 0.02);
    let (_, multi_fire) = row(MultiHorizon, 0.001, 0.2);
    assert!(multi_low < 0.5 && multi_high < 3.0);
    assert!(multi_low <= two_low && multi_high < two_high);
    assert!(multi_caught > 0.85 && multi_caught > two_caught);
    assert!(multi_fire > 0.99 && two_fire > 0.9);
}
