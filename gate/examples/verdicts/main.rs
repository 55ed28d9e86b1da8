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
mod rollouts;
mod rules;
#[path = "../../tests/support/mod.rs"]
mod support;
#[path = "../../tests/support/traffic.rs"]
mod traffic;

use rollouts::{caught, false_holds, Make};
use rules::{Argo, Flagger};
use traffic::{minute, Gateway, Rates};

/// Rollouts a cell, and the seed of the first.
const HEALTHY: (u64, u64) = (4_000, 1);
const FAULTS: (u64, u64) = (1_500, 1_000_000);

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
                let rates = rates(canary, stable);
                false_holds(&make, HEALTHY, |r, i| minute(r, &rates, i)).per_thousand()
            });
            let faults = [0.02, 0.2].map(|fault| {
                let (good, bad) = (rates(0.001, 0.001), rates(fault, 0.001));
                let of = |is_bad| if is_bad { &bad } else { &good };
                let held = caught(&make, FAULTS, (30, 10), |r, i, bad| minute(r, of(bad), i));
                format!("{} | {}", held.within(10).percent(), held.median())
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
