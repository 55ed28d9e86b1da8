//! The p99 rule on three shapes of latency, beside the plain rule of comparing
//! points: two windows in a row whose p99 is 15 % over stable's.

use crate::rollouts::{caught, false_holds, Make};
use crate::rules::Rule;
use crate::support::config;
use crate::traffic::Gateway;
use gate::sample::Sample;
use gate::slice::Slice;
use gate::window::{Bucket, Recorder, Window};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal, Pareto, StandardUniform};

/// Rollouts a cell, and the seed of the first.
const HEALTHY: (u64, u64) = (400, 2_000_000);
const FAULTS: (u64, u64) = (300, 3_000_000);
/// Requests a window on the canary; nine times as many on stable.
const PER_WINDOW: u64 = 600;

#[derive(Clone, Copy)]
enum Shape {
    /// Median 60 ms, p99 about 150 ms.
    LogNormal,
    /// One in twenty takes 140 ms, the others 40.
    Bimodal,
    /// From 20 ms on; the variance is infinite.
    HeavyTailed,
}

impl Shape {
    const ALL: [(&'static str, Shape); 3] = [
        ("lognormal", Shape::LogNormal),
        ("bimodal", Shape::Bimodal),
        ("heavy-tailed", Shape::HeavyTailed),
    ];

    fn sample_ms(self, random: &mut ChaCha8Rng) -> f64 {
        let spread = |random: &mut ChaCha8Rng, ms: f64| {
            LogNormal::new(ms.ln(), 0.08).unwrap().sample(random)
        };
        match self {
            Shape::LogNormal => LogNormal::new(60f64.ln(), 0.4).unwrap().sample(random),
            Shape::Bimodal => {
                let slow: f64 = StandardUniform.sample(random);
                spread(random, if slow < 0.05 { 140.0 } else { 40.0 })
            }
            Shape::HeavyTailed => Pareto::new(20.0, 1.95).unwrap().sample(random),
        }
    }
}

/// Two non-overlapping windows in a row whose point p99 is 15 % over stable's.
struct Points {
    window: Window,
    bad: u64,
    aborted: bool,
}

impl Rule for Points {
    fn step(&mut self, minute: &Bucket) -> bool {
        self.window.add(minute);
        if minute.index % 5 == 4 && !self.aborted {
            let p99 = |slice| {
                let sum = self.window.sum(slice, minute.index - 4, minute.index + 1);
                sum.latencies.quantile(0.99).unwrap_or(0.0)
            };
            let bad = p99(Slice::Canary) > 1.15 * p99(Slice::Stable);
            self.bad = if bad { self.bad + 1 } else { 0 };
            self.aborted = self.bad >= 2;
        }
        self.aborted
    }
}

fn minute(random: &mut ChaCha8Rng, shape: Shape, slower: f64, index: u64) -> Bucket {
    let mut recorder = Recorder::default();
    let per_minute = PER_WINDOW / 5;
    for (slice, n, factor) in
        [(Slice::Canary, per_minute, slower), (Slice::Stable, 9 * per_minute, 1.0)]
    {
        for _ in 0..n {
            let us = (shape.sample_ms(random) * factor * 1000.0) as u64;
            recorder.record(slice, Sample::Success, Some(us));
        }
    }
    recorder.drain(index)
}

fn contenders() -> [(&'static str, Make); 2] {
    let judge = gate::signals::canary_5xx_rate::Judge::default();
    [
        ("rank bounds", Box::new(move || Box::new(Gateway::begin(config(judge))))),
        (
            "points",
            Box::new(|| Box::new(Points { window: Window::default(), bad: 0, aborted: false })),
        ),
    ]
}

pub fn print() {
    println!("\n{PER_WINDOW} requests a window on the canary, nine times as many on stable.\n");
    println!("| shape | rule | holds per 1,000 healthy windows | 30 % slower: within 10 min | within 30 min | 60 % slower: within 10 min | within 30 min |");
    println!("|---|---|---|---|---|---|---|");
    for (name, shape) in Shape::ALL {
        for (rule, make) in contenders() {
            let holds = false_holds(&make, HEALTHY, |r, i| minute(r, shape, 1.0, i));
            let faults = [1.3, 1.6].map(|slower| {
                let factor = |is_bad| if is_bad { slower } else { 1.0 };
                let held =
                    caught(&make, FAULTS, (20, 30), |r, i, bad| minute(r, shape, factor(bad), i));
                format!("{} | {}", held.within(10).percent(), held.within(30).percent())
            });
            println!("| {name} | {rule} | {} | {} |", holds.per_thousand(), faults.join(" | "));
        }
    }
}
