//! The virtual clock.

use gate::time::Timestamp;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// Wall and monotonic time of everything in one simulation; clones share it.
#[derive(Clone, Debug)]
pub struct Clock {
    wall_ns: Arc<AtomicI64>,
    monotonic_ns: Arc<AtomicI64>,
}

impl Clock {
    pub fn at(start: Timestamp) -> Self {
        Self {
            wall_ns: Arc::new(AtomicI64::new(start.millis().saturating_mul(1_000_000))),
            monotonic_ns: Arc::new(AtomicI64::new(1_000_000_000)),
        }
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.wall_ns().div_euclid(1_000_000))
    }

    pub fn wall_ns(&self) -> i64 {
        self.wall_ns.load(Ordering::Relaxed)
    }

    pub fn monotonic_ns(&self) -> i64 {
        self.monotonic_ns.load(Ordering::Relaxed)
    }

    /// Time passes.
    pub fn advance(&self, by: Duration) {
        let ns = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        self.wall_ns.fetch_add(ns, Ordering::Relaxed);
        self.monotonic_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// The wall clock is set; the monotonic one does not notice.
    pub fn jump(&self, seconds: i64) {
        self.wall_ns.fetch_add(seconds.saturating_mul(1_000_000_000), Ordering::Relaxed);
    }
}
