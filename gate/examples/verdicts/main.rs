//! `make verdicts`: what the judges cost and catch, beside the counting rules
//! of two progressive-delivery controllers, on the same generated traffic.
//!
//! Seeded, so it prints the same every time; `docs/decisions.md` has the
//! result. A rollout lasts an hour. Healthy ones say how often a rule holds
//! for nothing; in the others the canary turns bad at minute 30 to 34, anywhere
//! in a window, and is caught where the rule holds within ten minutes. Rules
//! that held before that are left out. Intervals are Wilson's, 95 %.

#![allow(clippy::unwrap_used, clippy::disallowed_macros, reason = "a program that prints tables")]

mod latencies;
mod rules;
#[path = "../../tests/support/mod.rs"]
mod support;
#[path = "../../tests/support/traffic.rs"]
mod traffic;

use rules::{Argo, Flagger, Rule};
use traffic::{index, minute, random, Gateway, Rates};

const MINUTES: u64 = 60;
const HEALTHY: u64 = 4_000;
const FAULTS: u64 = 1_500;

type Make = Box<dyn Fn() -> Box<dyn Rule>>;

fn contenders() -> Vec<(&'static str, Make)> {
    use gate::signals::canary_5xx_rate::Judge::{MultiHorizon, TwoWindows};
    let ours =
        |judge| -> Make { Box::new(move || Box::new(Gateway::begin(support::config(judge)))) };
    let flagger = |threshold| -> Make { Box::new(move || Box::new(Flagger::new(threshold))) };
    let argo = |every, over, limit, count| -> Make {
        Box::new(move || Box::new(Argo::new(every, over, limit, count)))
    };
    vec![
        ("multi-horizon", ours(MultiHorizon)),
        ("two-windows", ours(TwoWindows)),
        ("Flagger, threshold 5", flagger(5)),
        ("Flagger, threshold 10", flagger(10)),
        ("Argo background, 5 m, failureLimit 3", argo(5, 5, 3, None)),
        ("Argo, 1 m over 5 m, failureLimit 3", argo(1, 5, 3, None)),
        ("Argo step, 60 s × 5, failureLimit 0", argo(1, 1, 0, Some(5))),
    ]
}

/// `k` of `n` with its interval.
pub struct Share {
    pub k: u64,
    pub n: u64,
}

impl Share {
    pub fn interval(&self) -> [f64; 3] {
        let (k, n, z) = (self.k as f64, (self.n as f64).max(1.0), 1.96f64);
        let p = k / n;
        let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
        let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        [(middle - half).max(0.0), p, (middle + half).min(1.0)]
    }

    pub fn per_thousand(&self) -> String {
        let [low, p, high] = self.interval().map(|x| x * 1000.0);
        format!("{p:.1} ({low:.1}–{high:.1})")
    }

    pub fn percent(&self) -> String {
        let [low, p, high] = self.interval().map(|x| x * 100.0);
        format!("{p:.0} % ({low:.0}–{high:.0})")
    }
}

/// How often a rule begins to hold a healthy rollout, of five-minute windows.
fn false_holds(make: &Make, rates: &Rates, seed: u64) -> Share {
    let mut share = Share { k: 0, n: 0 };
    for run in 0..HEALTHY {
        let mut random = random(seed + run);
        let mut rule = make();
        let mut held = false;
        for m in 0..MINUTES {
            let holds = rule.step(&minute(&mut random, rates, index(m)));
            share.k += u64::from(holds && !held);
            share.n += u64::from(m % 5 == 0);
            held = holds;
            if held && rule.is_final() {
                break;
            }
        }
    }
    share
}

/// Of rollouts that turn bad, those held within ten minutes, and the median minute.
fn caught(make: &Make, rates: &Rates, fault: f64, seed: u64) -> (Share, Option<u64>) {
    let mut share = Share { k: 0, n: 0 };
    let mut minutes = vec![];
    for run in 0..FAULTS {
        let mut random = random(seed + run);
        let mut rule = make();
        let fault_at = 30 + run % 5;
        let mut held_before = false;
        let held_at = (0..fault_at + 10).find(|&m| {
            let now = if m < fault_at { *rates } else { Rates { canary: fault, ..*rates } };
            let holds = rule.step(&minute(&mut random, &now, index(m)));
            held_before |= holds && m < fault_at;
            holds && m >= fault_at
        });
        if !held_before {
            share.n += 1;
            share.k += u64::from(held_at.is_some());
            minutes.push(held_at.map_or(u64::MAX, |m| m - fault_at + 1));
        }
    }
    minutes.sort_unstable();
    let median = minutes.get(minutes.len() / 2).copied().filter(|m| *m != u64::MAX);
    (share, median)
}

fn errors() {
    for per_window in [20, 100, 300, 1_500] {
        println!(
            "\n**{per_window} requests a window on the canary, nine times as many on stable.**\n"
        );
        println!("| rule | holds per 1,000 healthy windows at 0.1 % | at 0.3 % | at 0.3 % beside a stable 0.1 % | 2 % caught within ten minutes | median | 20 % caught | median |");
        println!("|---|---|---|---|---|---|---|---|");
        let rates = |canary, stable| Rates {
            canary_per_minute: per_window / 5,
            stable_per_minute: 9 * per_window / 5,
            canary,
            stable,
        };
        for (name, make) in contenders() {
            let holds = [(0.001, 0.001), (0.003, 0.003), (0.003, 0.001)].map(|(canary, stable)| {
                false_holds(&make, &rates(canary, stable), 1).per_thousand()
            });
            let faults = [0.02, 0.2].map(|fault| {
                let (share, median) = caught(&make, &rates(0.001, 0.001), fault, 1_000_000);
                let median = median.map_or("later".to_owned(), |m| format!("{m} min"));
                format!("{} | {median}", share.percent())
            });
            println!("| {name} | {} | {} |", holds.join(" | "), faults.join(" | "));
        }
    }
}

fn main() {
    println!("## canary_5xx_rate");
    errors();
    println!("\n## canary_p99");
    latencies::print();
}
