//! Both judges on generated traffic: how often they freeze a healthy rollout,
//! and how fast they see a failing one. The table that this prints stands in
//! `docs/decisions.md`; the bounds asserted are looser than what was measured,
//! by what chance does to runs of this size.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_macros,
    reason = "a test may panic, and prints its table"
)]

mod support;

use gate::signals::canary_5xx_rate;
use gate::window::{Bucket, Window};
use support::{active, config, facts, START};

/// A generator of its own, so that every run is the same (xorshift64*).
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn errors(&mut self, requests: u64, rate: f64) -> u64 {
        (0..requests).filter(|_| self.unit() < rate).count() as u64
    }
}

#[derive(Clone, Copy)]
struct Traffic {
    canary_per_minute: u64,
    stable_per_minute: u64,
    base: f64,
    /// The canary's rate from minute `fault_at` on.
    fault: f64,
    fault_at: u64,
    minutes: u64,
}

/// Number of freezes over one trace, and whether it ends frozen.
fn run(judge: canary_5xx_rate::Judge, traffic: &Traffic, seed: u64) -> (usize, bool) {
    let config = config(judge);
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut state = active(&config);
    let mut window = Window::default();
    state.step(&window, &config, START);
    let mut freezes = 0;
    for minute in 0..traffic.minutes {
        let rate = if minute >= traffic.fault_at { traffic.fault } else { traffic.base };
        let mut b = Bucket { index: START.secs() / 60 + minute, ..Bucket::default() };
        b.canary.requests = traffic.canary_per_minute;
        b.canary.errors = random.errors(traffic.canary_per_minute, rate);
        b.stable.requests = traffic.stable_per_minute;
        b.stable.errors = random.errors(traffic.stable_per_minute, traffic.base);
        window.add(&b);
        let now = START.plus_secs(60 * (minute + 1) + 6);
        state.put_facts(facts(now), now);
        let before = state.hold.frozen();
        state.step(&window, &config, now);
        window.trim(b.index);
        if !before && state.hold.frozen() {
            freezes += 1;
        }
    }
    (freezes, state.hold.frozen())
}

struct Row {
    /// Freezes per 1,000 windows of five minutes while healthy.
    false_per_1000: f64,
    /// Share of faults seen within ten minutes.
    caught: f64,
}

fn row(judge: canary_5xx_rate::Judge, base: f64, fault: f64, runs: u64) -> Row {
    let healthy = Traffic {
        canary_per_minute: 60,
        stable_per_minute: 540,
        base,
        fault: base,
        fault_at: 0,
        minutes: 240,
    };
    let false_freezes: usize = (0..runs).map(|s| run(judge, &healthy, s + 1).0).sum();
    let caught = (0..runs)
        .filter(|s| {
            // The fault begins anywhere in a window.
            let fault_at = 30 + s % 5;
            run(judge, &Traffic { fault, fault_at, minutes: fault_at + 10, ..healthy }, s + 10_001)
                .1
        })
        .count();
    Row {
        false_per_1000: false_freezes as f64 * 1000.0 / (runs * 48) as f64,
        caught: caught as f64 / runs as f64,
    }
}

#[test]
fn both_judges_on_generated_traffic() {
    use canary_5xx_rate::Judge::{MultiHorizon, TwoWindows};
    let runs = 150;
    let mut rows = vec![];
    for judge in [TwoWindows, MultiHorizon] {
        for (base, fault) in [(0.001, 0.02), (0.003, 0.02), (0.001, 0.2)] {
            let r = row(judge, base, fault, runs);
            println!(
                "{:13} base {:.1} % fault {:>2.0} %: false freezes per 1,000 healthy windows {:5.1}, caught within ten minutes {:.0} %",
                judge.name(), base * 100.0, fault * 100.0, r.false_per_1000, r.caught * 100.0
            );
            rows.push(r);
        }
    }
    let [two_low, two_high, two_fire, multi_low, multi_high, multi_fire] = rows.as_slice() else {
        unreachable!()
    };
    assert!(multi_low.false_per_1000 < 0.5 && multi_high.false_per_1000 < 3.0);
    assert!(multi_low.false_per_1000 <= two_low.false_per_1000);
    assert!(multi_high.false_per_1000 < two_high.false_per_1000);
    assert!(multi_low.caught > 0.85 && multi_low.caught > two_low.caught);
    assert!(multi_fire.caught > 0.99 && two_fire.caught > 0.9);
}
