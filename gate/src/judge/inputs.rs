//! What the judge is told from outside beside counts and node facts: the queue,
//! the workload's replicas, skill hashes in answers.

use super::{Config, Judge};
use crate::cap;
use crate::scaling;
use crate::snapshot::SeenHash;
use crate::target::Target;
use crate::threshold::MAX_FUTURE_S;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Pending jobs, as pulled from the queue itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PulledQueue {
    depth: u64,
    at: Timestamp,
}

impl Judge {
    /// What was pulled from the queue.
    pub fn put_queue_depth(&mut self, depth: u64, now: Timestamp) {
        self.queue = Some(PulledQueue { depth, at: now });
    }

    /// Replicas of the worker workload, as the API server says.
    pub fn put_replicas(&mut self, replicas: u32) {
        self.hold_replicas =
            Some(scaling::hold_replicas(self.hold_replicas, replicas, self.hold.frozen()));
    }

    /// Skill hashes that the workers saw in answers.
    pub fn put_seen_hashes(&mut self, seen: Vec<SeenHash>) {
        self.seen_hashes = seen;
    }

    /// Whether the targets' ScaledObjects carry KEDA's pause now: while frozen,
    /// but where the stable lane keeps its own cap.
    pub fn pauses_scale_out(&self, config: &Config) -> bool {
        config.pauses_scale_out
            && self.hold.frozen()
            && !scaling::by_yellow_2tb_alone(&self.hold, self.disk(config))
    }

    /// What a target's ScaledObject may declare now; `None` where nothing limits it.
    pub fn cap_of(&self, scaled_object: &str, config: &Config) -> Option<u32> {
        let is_named = |t: &&Target| t.scaled_object.as_deref() == Some(scaled_object);
        let (disk, _) = self.disk(config);
        config
            .targets
            .iter()
            .find(is_named)
            .and_then(|target| cap::limit(config.size, target, &config.targets, &self.canary, disk))
    }

    pub(super) fn queue_depth(&self, config: &Config, now: Timestamp) -> Option<u64> {
        if !config.pulls_queue {
            return self.fresh_facts(config, now).and_then(|f| f.queue_depth);
        }
        let oldest = i64::try_from(config.thresholds.facts_max_age_s).unwrap_or(i64::MAX);
        let is_fresh = |q: &PulledQueue| (-MAX_FUTURE_S..=oldest).contains(&now.since(q.at));
        self.queue.filter(is_fresh).map(|q| q.depth)
    }

    /// An answer of the last two polls that carried another skill hash than its
    /// slice must run, while a canary is active.
    pub(super) fn drifted_hash(
        &self,
        config: &Config,
        now: Timestamp,
    ) -> Option<(&SeenHash, &str)> {
        let oldest_s = i64::try_from(2 * config.periods.poll_s).unwrap_or(i64::MAX);
        // A worker writes what it saw up to a tick later.
        let begun = self.canary.begun_at?.plus_secs(2 * config.periods.tick_s);
        self.seen_hashes.iter().find_map(|seen| {
            let expected = self.canary.hash_of(seen.slice)?;
            let at = Timestamp::from_millis(seen.at_ms);
            let lately = at >= begun && (-MAX_FUTURE_S..=oldest_s).contains(&now.since(at));
            (lately && seen.hash != expected).then_some((seen, expected))
        })
    }
}
