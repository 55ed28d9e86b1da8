//! Generated traffic, seeded, so that every run is the same.

use gate::judge::{Config, Judge};
use gate::window::{Bucket, Window};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution};

use crate::support::{active, facts, START};

/// A generator for one run.
pub fn random(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Failures among `requests` that fail at `rate` each.
pub fn errors(random: &mut ChaCha8Rng, requests: u64, rate: f64) -> u64 {
    Binomial::new(requests, rate).unwrap().sample(random)
}

/// What both slices do in one minute.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    pub canary_per_minute: u64,
    pub stable_per_minute: u64,
    pub canary: f64,
    pub stable: f64,
}

/// Bucket of a run's minute.
pub fn index(minute: u64) -> u64 {
    START.secs() / 60 + minute
}

/// One minute of counts, without latencies.
pub fn minute(random: &mut ChaCha8Rng, rates: &Rates, index: u64) -> Bucket {
    let mut b = Bucket { index, ..Bucket::default() };
    b.canary.requests = rates.canary_per_minute;
    b.canary.errors = errors(random, rates.canary_per_minute, rates.canary);
    b.stable.requests = rates.stable_per_minute;
    b.stable.errors = errors(random, rates.stable_per_minute, rates.stable);
    b
}

/// A gateway's judge that is given a minute at a time.
pub struct Gateway {
    config: Config,
    judge: Judge,
    window: Window,
    minutes: u64,
}

impl Gateway {
    /// A canary has just begun.
    pub fn begin(config: Config) -> Self {
        let mut judge = active(&config, START);
        let window = Window::default();
        judge.step(&window, &config, START);
        Self { config, judge, window, minutes: 0 }
    }

    /// Whether scale-up is frozen after the poll behind this minute.
    pub fn step(&mut self, bucket: &Bucket) -> bool {
        self.window.add(bucket);
        self.minutes += 1;
        let now = START.plus_secs(60 * self.minutes + 6);
        self.judge.put_facts(facts(now), now);
        self.judge.step(&self.window, &self.config, now);
        self.window.trim(bucket.index);
        self.judge.hold.frozen()
    }
}
