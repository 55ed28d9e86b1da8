//! The judge: state that steps through time.
//!
//! One endpoint VM at a time holds it. It keeps no counters: those are in the
//! workers' slots, so that polls missed by a late tick can be made up for from
//! the buckets they would have seen. Everything that must survive a restart is
//! a field of [`Judge`], and the whole is written to the gateway's ConfigMap.

use crate::canary::{Action, Canary, Circumstances, Command, Conflict};
use crate::cap::Caps;
use crate::digest::Outbox;
use crate::document::{rounded, Status};
use crate::facts::{DiskTier, Facts};
use crate::hold::{Cause, Hold};
use crate::pause::Pauses;
use crate::scaling::LaneSize;
use crate::signals::disk::DiskLevel;
use crate::signals::{
    canary_5xx_rate, canary_p99, disk, doctor, facts_age, node_degraded, queue_depth, skill_hash,
    Horizons, Outcome, PollReading, Reading, Signal,
};
use crate::snapshot::SeenHash;
use crate::target::Target;
use crate::threshold::{Thresholds, ABORT_POLLS, KEPT_BUCKETS};
use crate::time::Timestamp;
use crate::window::{Periods, Window};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod inputs;
mod news;
mod report;

/// What the judge is configured with.
#[derive(Clone, Debug)]
pub struct Config {
    pub gateway: String,
    pub az: String,
    pub gateway_version: String,
    pub disk_tier: DiskTier,
    pub lane: String,
    pub size: LaneSize,
    pub judge: canary_5xx_rate::Judge,
    pub periods: Periods,
    pub thresholds: Thresholds,
    pub abort_on_fail: bool,
    pub targets: Vec<Target>,
    /// The filter lowers `maxReplicaCount` of the targets' ScaledObjects.
    pub lowers_caps: bool,
    /// The filter keeps KEDA's pause of scale-out on them while frozen.
    pub pauses_scale_out: bool,
    /// The queue depth is pulled, and the facts' number is not looked at.
    pub pulls_queue: bool,
    /// Digests are sent somewhere.
    pub has_notifier: bool,
}

/// A canary signal between polls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Track {
    horizons: Horizons,
    /// Failed and has not passed since.
    failed: bool,
    /// Start of the look-back that passed at the last poll.
    #[serde(default)]
    passed_from: Option<u64>,
    reading: Reading,
}

impl Track {
    fn new(begin: u64) -> Self {
        Self {
            horizons: Horizons::new(begin),
            failed: false,
            passed_from: None,
            reading: Reading::new(Outcome::Insufficient, "not polled yet"),
        }
    }

    /// Old errors are judged once; what failed stays failed until it passes.
    fn poll(&mut self, poll: PollReading, end: u64) {
        let passes = poll.passes_from.is_some() && !poll.broken_thinly;
        let (outcome, reason) = match poll.fails {
            Some(reason) => {
                self.horizons.failed_at = Some(end);
                self.failed = true;
                (Outcome::Fail, reason)
            }
            None if passes => {
                self.failed = false;
                (Outcome::Pass, "within limits".to_owned())
            }
            None if self.failed => {
                (Outcome::Fail, format!("failed and has not passed since: {}", poll.waiting))
            }
            None if poll.broken_thinly => (
                Outcome::Insufficient,
                "over the limit in two consecutive windows, on too few requests to rule out chance"
                    .to_owned(),
            ),
            None => (Outcome::Insufficient, poll.waiting),
        };
        self.passed_from = poll.passes_from.filter(|_| passes);
        self.reading = Reading {
            outcome,
            value: poll.value.map(rounded),
            limit: Some(poll.limit),
            reason,
            requests_needed: poll.requests_needed,
        };
    }
}

/// Version of the persisted state.
const VERSION: u32 = 1;

/// State of one gateway's judge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judge {
    version: u32,
    /// Start of the process, seconds since the epoch, above any earlier one.
    pub epoch: u64,
    pub canary: Canary,
    pub hold: Hold,
    #[serde(default)]
    pub facts: Option<Facts>,
    #[serde(default)]
    rate: Option<Track>,
    #[serde(default)]
    p99: Option<Track>,
    /// Since when each signal says what it says.
    #[serde(default)]
    since: BTreeMap<Signal, (Outcome, Timestamp)>,
    /// Length of the buckets that the tracks count in, seconds.
    #[serde(default)]
    bucket_s: u64,
    #[serde(default)]
    last_poll: Option<u64>,
    /// Polls in a row with a canary signal in fail.
    #[serde(default)]
    failing_polls: u32,
    #[serde(default)]
    queue: Option<inputs::PulledQueue>,
    /// Replicas to hold, as the API server said.
    #[serde(default)]
    hold_replicas: Option<u32>,
    #[serde(default)]
    pub caps: Caps,
    #[serde(default)]
    pub pauses: Pauses,
    #[serde(default)]
    pub outbox: Outbox,
    /// What operators were told of last.
    #[serde(default)]
    standing: news::Standing,
    /// Tokens whose end was told, and when that is.
    #[serde(default)]
    warned_tokens: BTreeMap<String, Timestamp>,
    /// Skill hashes in answers lately; told anew before each step.
    #[serde(skip)]
    seen_hashes: Vec<SeenHash>,
}

impl Judge {
    /// A judge that knows nothing of the past: frozen, and as if a canary were
    /// active, until an operator's `end`.
    pub fn unknown(now: Timestamp) -> Self {
        let mut hold = Hold::default();
        hold.freeze(Cause::StateUnknown, now);
        Self {
            version: VERSION,
            epoch: now.secs(),
            canary: Canary::default(),
            hold,
            facts: None,
            rate: None,
            p99: None,
            since: BTreeMap::new(),
            bucket_s: 0,
            last_poll: None,
            failing_polls: 0,
            queue: None,
            hold_replicas: None,
            caps: Caps::default(),
            pauses: Pauses::default(),
            outbox: Outbox::default(),
            standing: news::Standing::default(),
            warned_tokens: BTreeMap::new(),
            seen_hashes: Vec::new(),
        }
    }

    /// The judge after a restart, from what the last process published.
    ///
    /// # Errors
    /// Why the state says nothing; the caller stays with [`Judge::unknown`].
    pub fn recover(state: &str, now: Timestamp) -> Result<Self, String> {
        let mut judge: Judge = crate::parse::json(state.as_bytes())?;
        if judge.version != VERSION {
            return Err(format!("version: {} is not {VERSION}", judge.version));
        }
        judge.epoch = now.secs().max(judge.epoch.saturating_add(1));
        judge.last_poll = None;
        judge.standing.pauses = None;
        judge.hold.recover();
        if !judge.hold.frozen() {
            // As old as the last process: it is read anew before it holds anything.
            judge.hold_replicas = None;
        }
        Ok(judge)
    }

    /// # Errors
    /// Never for a value of this type; the codec's word if it does.
    pub fn to_json(&self) -> Result<String, String> {
        serde_json::to_string(self).map_err(|e| e.to_string())
    }

    /// A canary is active, or it is not known that none is.
    pub fn canary_active(&self) -> bool {
        self.canary.active || self.hold.causes.contains(&Cause::StateUnknown)
    }

    /// Newer facts replace older ones, whatever order they arrive in.
    /// Facts from the future (the clock was wrong) are replaced by any others.
    pub fn put_facts(&mut self, facts: Facts, now: Timestamp) {
        if self.facts.as_ref().is_none_or(|f| f.yields_to(&facts, now)) {
            self.facts = Some(facts);
        }
    }

    /// Applies an operator's command.
    ///
    /// # Errors
    /// The conflict with the state as it is.
    pub fn command(
        &mut self,
        command: &Command,
        config: &Config,
        now: Timestamp,
    ) -> Result<(), Conflict> {
        let readings = self.node_readings(config, now);
        let around = Circumstances {
            frozen: self.hold.frozen(),
            degraded: self.degraded(&readings),
            queue_grows: readings
                .iter()
                .any(|(s, r)| *s == Signal::QueueDepth && r.outcome == Outcome::Fail),
            queue_depth: self.queue_depth(config, now),
            pause_is_left: self.pauses.is_left(),
        };
        let was_active = self.canary.active;
        self.canary.apply(command, around, now)?;
        match command.action {
            Action::Begin if !was_active => {
                self.bucket_s = config.periods.bucket_s();
                let begin = config.periods.first_bucket_from(now);
                self.rate = Some(Track::new(begin));
                self.p99 = Some(Track::new(begin));
                self.failing_polls = 0;
            }
            Action::Abort => self.leave_canary(|c| matches!(c, Cause::Signal(s) if s.is_canary())),
            Action::End => self.leave_canary(|c| match c {
                Cause::Signal(s) => s.is_canary(),
                Cause::StateUnknown => true,
            }),
            _ => {}
        }
        self.tell(config, now);
        Ok(())
    }

    /// The canary's signals and causes go with it; node signals clear only by passing.
    fn leave_canary(&mut self, dropped: impl Fn(Cause) -> bool) {
        self.rate = None;
        self.p99 = None;
        self.failing_polls = 0;
        self.since.retain(|s, _| !s.is_canary());
        self.hold.drop_causes(dropped);
    }

    /// Judges everything that is due at `now`.
    pub fn step(&mut self, window: &Window, config: &Config, now: Timestamp) {
        self.rebase(config, now);
        self.freeze_on_node_signals(config, now);
        let due = config.periods.poll_due(now);
        let next = match self.last_poll {
            // The first poll of a process, or the clock stepped back: nothing is made up for.
            None => due,
            Some(last) if last >= due => {
                if last > due + 1 {
                    self.last_poll = Some(due);
                }
                due + 1
            }
            // Longer than any horizon: the older polls would see nothing.
            Some(last) => (last + 1).max(due.saturating_sub(KEPT_BUCKETS)),
        };
        let polls = next <= due;
        for poll in next..=due {
            // Node facts of the polls that are made up for are not known: those
            // may freeze, and only the last may count towards a thaw.
            self.poll(poll, poll == due, window, config, now);
            self.last_poll = Some(poll);
        }
        let readings = self.readings(config, now);
        self.tell_signals(&readings, now);
        self.tell(config, now);
        if polls {
            self.close_digest(&readings, config, now);
        }
    }

    /// Bucket indices mean nothing after a change of `windows.length_s`: the
    /// tracks begin anew, and what failed stays failed.
    fn rebase(&mut self, config: &Config, now: Timestamp) {
        let bucket_s = config.periods.bucket_s();
        if self.bucket_s == bucket_s {
            return;
        }
        self.bucket_s = bucket_s;
        self.last_poll = None;
        let begin = config.periods.first_bucket_from(now);
        for track in [&mut self.rate, &mut self.p99].into_iter().flatten() {
            *track =
                Track { failed: track.failed, reading: track.reading.clone(), ..Track::new(begin) };
        }
    }

    fn freeze_on_node_signals(&mut self, config: &Config, now: Timestamp) {
        for (signal, reading) in self.node_readings(config, now) {
            if reading.outcome == Outcome::Fail && signal.freezes() {
                self.hold.freeze(Cause::Signal(signal), now);
            }
        }
    }

    fn poll(
        &mut self,
        poll: u64,
        may_thaw: bool,
        window: &Window,
        config: &Config,
        now: Timestamp,
    ) {
        let end = config.periods.poll_end(poll);
        if self.canary.judges(&config.az) {
            if let Some(track) = &mut self.rate {
                let reading = canary_5xx_rate::evaluate(
                    window,
                    end,
                    &track.horizons,
                    config.judge,
                    &config.thresholds,
                );
                track.poll(reading, end);
            }
            if let Some(track) = &mut self.p99 {
                let reading =
                    canary_p99::evaluate(window, end, &track.horizons, &config.thresholds);
                track.poll(reading, end);
            }
        }
        let readings = self.readings(config, now);
        let mut canary_fails = false;
        for (signal, reading) in &readings {
            if reading.outcome == Outcome::Fail && signal.freezes() {
                self.hold.freeze(Cause::Signal(*signal), now);
                canary_fails |= signal.is_canary();
            }
        }
        let clean = may_thaw
            && !self.degraded(&readings)
            && self.hold.causes.iter().all(|cause| {
                readings
                    .iter()
                    .any(|(s, r)| Cause::Signal(*s) == *cause && r.outcome == Outcome::Pass)
            });
        if self.hold.poll(clean, now) {
            for track in [&mut self.rate, &mut self.p99].into_iter().flatten() {
                track.horizons.passed_from = track.passed_from.or(track.horizons.passed_from);
            }
        }
        self.failing_polls = if canary_fails { self.failing_polls + 1 } else { 0 };
        if config.abort_on_fail && self.failing_polls >= ABORT_POLLS {
            self.canary.abort();
            self.leave_canary(|c| matches!(c, Cause::Signal(s) if s.is_canary()));
        }
    }

    fn fresh_facts(&self, config: &Config, now: Timestamp) -> Option<&Facts> {
        self.facts.as_ref().filter(|f| f.is_fresh(now, config.thresholds.facts_max_age_s))
    }

    fn node_readings(&self, config: &Config, now: Timestamp) -> Vec<(Signal, Reading)> {
        let limits = &config.thresholds;
        let facts = self.fresh_facts(config, now);
        let of_facts = |signal: Signal, evaluate: &dyn Fn(&Facts) -> Reading| {
            let stale =
                || Reading::new(Outcome::Stale, "the node facts are not fresh, see facts_age");
            (signal, facts.map_or_else(stale, evaluate))
        };
        let mut readings = Vec::with_capacity(Signal::ALL.len());
        if self.canary.asleep && facts.is_none() {
            // A gateway that sleeps sends no facts; its last verdict stands.
            return readings;
        }
        if self.canary.active {
            readings.push((
                Signal::QueueDepth,
                queue_depth::evaluate(
                    self.queue_depth(config, now),
                    self.canary.queue_at_weight,
                    limits,
                ),
            ));
        }
        readings.push(of_facts(Signal::NodeDegraded, &node_degraded::evaluate));
        readings.push(of_facts(Signal::Disk, &|f| {
            disk::evaluate(f, f.disk_tier.unwrap_or(config.disk_tier), limits)
        }));
        let expected = self.canary.expected_hash(&config.az);
        let drifted = self.drifted_hash(config, now);
        readings.push(match drifted {
            Some((seen, expected)) => (Signal::SkillHash, skill_hash::drift(seen, expected)),
            None => of_facts(Signal::SkillHash, &|f| {
                skill_hash::evaluate(expected, f.skill_hash.as_deref())
            }),
        });
        readings.push(of_facts(Signal::Doctor, &doctor::evaluate));
        readings.push((Signal::FactsAge, facts_age::evaluate(self.facts.as_ref(), limits, now)));
        readings
    }

    /// Every signal that is judged now, in the order of [`Signal::ALL`].
    fn readings(&self, config: &Config, now: Timestamp) -> Vec<(Signal, Reading)> {
        let mut readings = Vec::with_capacity(Signal::ALL.len());
        if self.canary.judges(&config.az) {
            let tracks = [(Signal::Canary5xxRate, &self.rate), (Signal::CanaryP99, &self.p99)];
            for (signal, track) in tracks {
                readings.extend(track.as_ref().map(|t| (signal, t.reading.clone())));
            }
        }
        readings.extend(self.node_readings(config, now));
        readings
    }

    fn degraded(&self, readings: &[(Signal, Reading)]) -> bool {
        readings.iter().any(|(s, r)| s.freezes() && r.outcome == Outcome::Fail)
    }

    fn status(&self, readings: &[(Signal, Reading)]) -> Status {
        let waits = |(s, r): &(Signal, Reading)| match s {
            s if s.is_canary() => r.outcome != Outcome::Pass,
            Signal::QueueDepth => r.outcome == Outcome::Fail,
            _ => false,
        };
        if self.degraded(readings) {
            Status::Degraded
        } else if self.hold.frozen() || readings.iter().any(waits) {
            Status::Warming
        } else {
            Status::Healthy
        }
    }

    fn disk(&self, config: &Config) -> (DiskLevel, DiskTier) {
        // The last known level, whatever its age: a disk does not empty itself.
        let tier = self.facts.as_ref().and_then(|f| f.disk_tier).unwrap_or(config.disk_tier);
        let level = self
            .facts
            .as_ref()
            .map(|f| disk::level(f.disk_used_pct, tier, &config.thresholds))
            .unwrap_or_default();
        (level, tier)
    }
}

#[cfg(test)]
mod tests;
