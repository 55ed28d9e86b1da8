//! The judge's state as documents: merged for KEDA and people, verdict for the policy.

use super::{Config, Judge};
use crate::document::{
    self, rounded, CanaryBlock, GatewayBlock, Merged, Observer, SignalBlock, StableBlock,
};
use crate::hold::Cause;
use crate::scaling::{self, Scaling};
use crate::signals::disk::DiskLevel;
use crate::signals::{Outcome, Reading, Signal};
use crate::slice::Slice;
use crate::threshold::{P99, WINDOW_BUCKETS};
use crate::time::Timestamp;
use crate::verdict::{self, Verdict};
use crate::window::{Counts, Window};

impl Judge {
    /// The merged document at `now`. `observer` is what the shell counts.
    pub fn document(
        &self,
        window: &Window,
        config: &Config,
        observer: Observer,
        now: Timestamp,
    ) -> Merged {
        let readings = self.readings(config, now);
        let running = config.periods.bucket_at(now);
        // The running bucket and four full ones: never more than one window of time.
        let from = (running + 1).saturating_sub(WINDOW_BUCKETS);
        let canary = window.sum(Slice::Canary, from, running + 1);
        let stable = window.sum(Slice::Stable, from, running + 1);
        let facts = self.fresh_facts(config, now);
        let (disk, disk_tier) = self.disk(config);
        let p99 = |c: &Counts| c.latencies.quantile(P99).map(rounded);
        Merged {
            status: self.status(&readings),
            keda: config.lane.clone(),
            canary: CanaryBlock {
                rate_5xx: canary.rate().map(rounded),
                p99_ms: p99(&canary),
                ppm_5xx: canary.rate().map(|r| libm::round(r * 1e6) as u64),
                requests: canary.requests,
                errors: canary.errors,
                local_errors: canary.local_errors,
                aborted: canary.aborted,
                weight: self.canary.weight,
                gateway_version: self.canary.gateway_version.clone(),
                skill_hash: self.canary.skill_hash.clone(),
            },
            gateway: GatewayBlock {
                disk_ok: facts.is_some() && disk == DiskLevel::Ok,
                queue_depth: self.queue_depth(config, now),
                skill_hash: facts.and_then(|f| f.skill_hash.clone()),
                id: config.gateway.clone(),
                az: config.az.clone(),
                gateway_version: config.gateway_version.clone(),
                disk_tier,
                disk_used_pct: facts.map(|f| f.disk_used_pct),
                doctor_ok: facts.map(|f| f.doctor_ok),
                drain: disk == DiskLevel::Red,
            },
            degraded: self.degraded(&readings),
            schema: document::SCHEMA.to_owned(),
            observed_at: now,
            canary_active: self.canary_active(),
            maintenance: self.canary.maintenance,
            aborted: self.canary.aborted,
            asleep: self.canary.asleep,
            stable: StableBlock {
                rate_5xx: stable.rate().map(rounded),
                p99_ms: p99(&stable),
                requests: stable.requests,
                errors: stable.errors,
                local_errors: stable.local_errors,
                aborted: stable.aborted,
            },
            signals: readings
                .into_iter()
                .map(|(name, r)| SignalBlock {
                    name,
                    value: r.value,
                    limit: r.limit,
                    verdict: r.outcome,
                    reason: r.reason,
                    requests_needed: r.requests_needed,
                    since: self.since.get(&name).map_or(now, |s| s.1),
                })
                .collect(),
            scaling: Scaling {
                frozen: u32::from(self.hold.frozen()),
                frozen_by: self.hold.names(),
                hold_replicas: scaling::held_at_least(
                    self.hold_replicas,
                    &self.hold,
                    &self.canary,
                    config.size,
                    (disk, disk_tier),
                ),
                max_replicas: scaling::max_replicas(
                    config.size,
                    &self.canary,
                    self.canary_active(),
                    disk,
                ),
                original_max_replicas: self.caps.original(&config.targets),
                pending_jobs: self.queue_depth(config, now),
            },
            promotion_frozen: self.canary_active(),
            observer: Observer {
                unclassified: window.unclassified(from, running + 1),
                digests_sent: self.outbox.sent,
                digests_dropped: self.outbox.dropped,
                ..observer
            },
        }
    }

    /// The verdict at `now`: the same judgement in the policy's format.
    pub fn verdict(&self, config: &Config, now: Timestamp) -> Verdict {
        let readings = self.readings(config, now);
        let (disk, disk_tier) = self.disk(config);
        Verdict {
            schema: verdict::SCHEMA.to_owned(),
            gateway: config.gateway.clone(),
            az: config.az.clone(),
            observed_at: now,
            status: self.status(&readings),
            canary_active: self.canary_active(),
            degraded: self.degraded(&readings),
            frozen: self.hold.frozen(),
            frozen_by: self.hold.causes.iter().copied().collect(),
            aborted: self.canary.aborted,
            asleep: self.canary.asleep,
            disk,
            disk_tier,
            epoch: self.epoch,
            promotion_frozen: self.canary_active(),
            maintenance: self.canary.maintenance,
            az_under_test: self.canary.az.clone(),
            stable_replicas: Some(config.size.stable(&self.canary)),
            headroom: config.size.headroom,
            skill_hash: self.canary.skill_hash.clone(),
            stable_skill_hash: self.canary.stable_skill_hash.clone(),
            reason: self.reason(&readings),
        }
    }

    /// One sentence for people: what fails, or what is awaited.
    fn reason(&self, readings: &[(Signal, Reading)]) -> String {
        let named = |outcome: Outcome| {
            let parts: Vec<String> = readings
                .iter()
                .filter(|(_, r)| r.outcome == outcome)
                .map(|(s, r)| match (outcome, r.value, r.limit) {
                    (Outcome::Fail, Some(value), Some(limit)) => {
                        format!("{} {value} (limit {limit}): {}", s.name(), r.reason)
                    }
                    _ => format!("{}: {}", s.name(), r.reason),
                })
                .collect();
            parts.join("; ")
        };
        if self.hold.causes.contains(&Cause::StateUnknown) {
            return "state_unknown: the gateway found no usable state of its own; send `end` once the lane is known to be idle".to_owned();
        }
        let failing = named(Outcome::Fail);
        if !failing.is_empty() {
            return failing;
        }
        if self.hold.frozen() {
            return format!("thawing: {} of {} clean polls", self.hold.clean, self.hold.required);
        }
        if self.canary.aborted {
            return "the canary was aborted; send `end` when the lane is back on stable".to_owned();
        }
        named(Outcome::Insufficient)
    }
}
