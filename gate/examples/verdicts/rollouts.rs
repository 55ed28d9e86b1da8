//! Rollouts through a rule, and what is counted of them.

use crate::rules::Rule;
use crate::traffic::{index, random};
use gate::window::Bucket;
use rand_chacha::ChaCha8Rng;

/// Minutes of a healthy rollout.
const MINUTES: u64 = 60;

/// A rule as it is when a rollout begins.
pub type Make = Box<dyn Fn() -> Box<dyn Rule>>;

/// `k` of `n` with its interval.
pub struct Share {
    k: u64,
    n: u64,
}

impl Share {
    fn interval(&self) -> [f64; 3] {
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

/// How often a rule begins to hold `runs` healthy rollouts, of five-minute windows.
pub fn false_holds(
    make: &Make,
    (runs, seed): (u64, u64),
    minute: impl Fn(&mut ChaCha8Rng, u64) -> Bucket,
) -> Share {
    let mut share = Share { k: 0, n: 0 };
    for run in 0..runs {
        let mut random = random(seed + run);
        let mut rule = make();
        let mut held = false;
        for m in 0..MINUTES {
            let holds = rule.step(&minute(&mut random, index(m)));
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

/// After how many minutes rollouts that turn bad were held, `None` for those
/// that were not while one looked.
pub struct Caught(Vec<Option<u64>>);

impl Caught {
    pub fn within(&self, minutes: u64) -> Share {
        let k = self.0.iter().flatten().filter(|m| **m <= minutes).count();
        Share { k: k as u64, n: self.0.len() as u64 }
    }

    pub fn median(&self) -> String {
        let mut minutes: Vec<u64> = self.0.iter().map(|m| m.unwrap_or(u64::MAX)).collect();
        minutes.sort_unstable();
        match minutes.get(minutes.len() / 2) {
            Some(m) if *m != u64::MAX => format!("{m} min"),
            _ => "later".to_owned(),
        }
    }
}

/// Of `runs` rollouts that turn bad within a window from minute `from` on, when
/// they are held, up to `most` minutes later. `minute` is told whether it is bad.
pub fn caught(
    make: &Make,
    (runs, seed): (u64, u64),
    (from, most): (u64, u64),
    minute: impl Fn(&mut ChaCha8Rng, u64, bool) -> Bucket,
) -> Caught {
    let held = (0..runs).filter_map(|run| {
        let mut random = random(seed + run);
        let mut rule = make();
        let fault_at = from + run % 5;
        let mut held_before = false;
        let held_at = (0..fault_at + most).find(|&m| {
            let holds = rule.step(&minute(&mut random, index(m), m >= fault_at));
            held_before |= holds && m < fault_at;
            holds && m >= fault_at
        });
        (!held_before).then(|| held_at.map(|m| m - fault_at + 1))
    });
    Caught(held.collect())
}
