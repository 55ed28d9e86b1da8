//! Plain re-statements of how two controllers count, for the same minutes.
//!
//! A measurement is bad where more than 0.5 % of its requests failed, or there
//! were none: 199 of 200 is good in both (Flagger fails below
//! `thresholdRange.min`, a successCondition `>= 0.995` holds at it). What
//! Prometheus adds (extrapolation, two samples of `irate`) is left out, which is
//! kind to both.

use crate::traffic::Gateway;
use gate::window::Bucket;

/// Something that decides at the end of each minute.
pub trait Rule {
    /// Whether it holds, or has ended, the rollout.
    fn step(&mut self, minute: &Bucket) -> bool;

    /// Once it holds it never goes on: the rollout is aborted.
    fn is_final(&self) -> bool {
        true
    }
}

impl Rule for Gateway {
    fn step(&mut self, minute: &Bucket) -> bool {
        Gateway::step(self, minute)
    }

    fn is_final(&self) -> bool {
        false
    }
}

fn is_bad(errors: u64, requests: u64) -> bool {
    requests == 0 || 200 * errors > requests
}

/// Flagger with `interval: 1m`, `metrics[].interval: 1m`: each failed check adds
/// one, no good check takes one away, and the rollout is rolled back at
/// `threshold` (fluxcd/flagger `pkg/controller/scheduler.go` `advanceCanary`, commit
/// 0016895489a8; `scheduler_metrics.go` `runBuiltinMetricChecks`, 06d32049c843;
/// <https://docs.flagger.app/usage/how-it-works>). Its `maxWeight / stepWeight`
/// is taken large enough that nothing is promoted within the hour. Held is the
/// minute of the decisive check; the rollback follows a minute later.
pub struct Flagger {
    threshold: u64,
    failed: u64,
}

impl Flagger {
    pub fn new(threshold: u64) -> Self {
        Self { threshold, failed: 0 }
    }
}

impl Rule for Flagger {
    fn step(&mut self, minute: &Bucket) -> bool {
        self.failed += u64::from(is_bad(minute.canary.errors, minute.canary.requests));
        self.failed >= self.threshold
    }
}

/// Argo Rollouts: measurements that failed are counted in all, and more than
/// `failureLimit` of them fail the AnalysisRun (argoproj/argo-rollouts
/// `analysis/analysis.go` `assessMetricFailureInconclusiveOrError`, commit
/// c9dd7ea02f9d; settings of <https://argoproj.github.io/argo-rollouts/features/analysis>).
/// With `count` a run succeeds after so many, and the next step's begins anew.
pub struct Argo {
    /// A measurement each so many minutes, over so many.
    every: u64,
    over: usize,
    limit: u64,
    count: Option<u64>,
    minutes: Vec<(u64, u64)>,
    failed: u64,
    measured: u64,
    aborted: bool,
}

impl Argo {
    pub fn new(every: u64, over: usize, limit: u64, count: Option<u64>) -> Self {
        Self { every, over, limit, count, minutes: vec![], failed: 0, measured: 0, aborted: false }
    }
}

impl Rule for Argo {
    fn step(&mut self, minute: &Bucket) -> bool {
        self.minutes.push((minute.canary.errors, minute.canary.requests));
        let now = self.minutes.len();
        if self.aborted || now < self.over || !(now as u64).is_multiple_of(self.every) {
            return self.aborted;
        }
        let recent = self.minutes.iter().rev().take(self.over);
        let (errors, requests) = recent.fold((0, 0), |(k, n), m| (k + m.0, n + m.1));
        self.failed += u64::from(is_bad(errors, requests));
        self.measured += 1;
        self.aborted = self.failed > self.limit;
        if self.count.is_some_and(|count| self.measured >= count) {
            (self.failed, self.measured) = (0, 0);
        }
        self.aborted
    }
}
