//! What operators are told of: edges between one step and the next, as events
//! of a digest.
//!
//! What was told last is part of the state, so a restart tells nothing twice.

use super::{Config, Judge};
use crate::digest::{self, Digest, Event, Kind};
use crate::signals::disk::DiskLevel;
use crate::signals::{Outcome, Reading, Signal};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Where the gateway stood when operators were told last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    frozen: bool,
    active: bool,
    aborted: bool,
    drains: bool,
    /// Not known after a restart: what was written before is looked at anew.
    #[serde(default)]
    pub(super) pauses: Option<bool>,
}

impl Judge {
    /// Notes since when each signal says what it says, and tells of those that
    /// begin or cease to fail.
    pub(super) fn tell_signals(&mut self, readings: &[(Signal, Reading)], now: Timestamp) {
        // A signal that is judged no more may fail anew later.
        self.since.retain(|signal, _| readings.iter().any(|(s, _)| s == signal));
        for (signal, reading) in readings {
            let before = self.since.get(signal).map(|(outcome, _)| *outcome);
            if before == Some(reading.outcome) {
                continue;
            }
            self.since.insert(*signal, (reading.outcome, now));
            let kind = match (before, reading.outcome) {
                (_, Outcome::Fail) => Kind::SignalFailed,
                (Some(Outcome::Fail), Outcome::Pass) => Kind::SignalPassed,
                _ => continue,
            };
            self.outbox.note(Event::new(kind, now, signal.name(), &reading.reason));
        }
    }

    /// Tells of what changed in the gateway's standing, and has the targets'
    /// ScaledObjects looked at on the edges that write to them.
    pub(super) fn tell(&mut self, config: &Config, now: Timestamp) {
        let before = self.standing;
        let after = Standing {
            frozen: self.hold.frozen(),
            active: self.canary.active,
            aborted: self.canary.aborted,
            drains: self.disk(config).0 == DiskLevel::Red,
            pauses: Some(self.pauses_scale_out(config)),
        };
        self.standing = after;
        // While nothing limits the lane there is nothing to remember.
        if !(after.active || after.aborted || after.drains) {
            for (scaled_object, original) in self.caps.end() {
                let text = format!(
                    "maxReplicaCount was {original} before it was lowered; nothing here raises it"
                );
                self.outbox.note(Event::new(Kind::CapToRestore, now, scaled_object, text));
            }
        }
        // Where nothing asks for a pause, what may be left of one is looked for
        // now and then: a write of another process may land after its edge.
        let is_edge = before.pauses != after.pauses;
        if is_edge || (after.pauses == Some(false) && self.pauses.is_long_ago(now)) {
            let asked = if config.pauses_scale_out { config.targets.as_slice() } else { &[] };
            self.pauses.look_again(asked, now);
        }
        if before == after {
            return;
        }
        let mut note = |kind, text: String| self.outbox.note(Event::new(kind, now, "", text));
        match (before.frozen, after.frozen) {
            (false, true) => {
                note(Kind::Frozen, format!("scale-up is held by {}", self.hold.names().join(", ")));
            }
            (true, false) => note(Kind::Thawed, "scale-up is free again".to_owned()),
            _ => {}
        }
        if after.aborted && !before.aborted {
            let pack = self.canary.stable_skill_hash.as_ref();
            let pack = pack.map(|p| format!("; the skill pack to run is {p}")).unwrap_or_default();
            note(
                Kind::Aborted,
                format!(
                    "the canary was aborted here{pack}. Abort the lane's other gateways too: \
                     harness canary abort --gateway URL…"
                ),
            );
        }
        match (before.drains, after.drains) {
            (false, true) => note(
                Kind::Drain,
                "red disk: the canary VIP drains (/keda/ready answers 503) and replicas go to \
                 the minimum"
                    .to_owned(),
            ),
            (true, false) => note(Kind::DrainEnded, "the disk is no longer red".to_owned()),
            _ => {}
        }
        let begins = |was: bool, is: bool| is && !was;
        let lowers = begins(before.active, after.active)
            || begins(before.aborted, after.aborted)
            || begins(before.drains, after.drains);
        if lowers && config.lowers_caps {
            self.caps.due.look_again(&config.targets);
        }
    }

    /// A ScaledObject was looked at and is as it must be: it carries KEDA's pause
    /// for this gateway, or not. Told where that is new.
    pub fn pause_is_right(&mut self, scaled_object: &str, paused: bool, now: Timestamp) {
        if !self.pauses.done(scaled_object, paused) {
            return;
        }
        let (kind, text) = if paused {
            (Kind::ScaleOutPaused, "KEDA is told to pause scale-out while this gateway is frozen")
        } else {
            (Kind::ScaleOutResumed, "this gateway's pause of scale-out is taken away")
        };
        self.outbox.note(Event::new(kind, now, scaled_object, text));
    }

    /// A ScaledObject's maximum was lowered.
    pub fn cap_lowered(&mut self, scaled_object: &str, from: Option<i64>, to: u32, now: Timestamp) {
        let from = from.map_or_else(|| "absent".to_owned(), |n| n.to_string());
        self.outbox.note(Event::new(
            Kind::CapLowered,
            now,
            scaled_object,
            format!("maxReplicaCount {from} -> {to}"),
        ));
    }

    /// The previous digest of a token will soon be refused; told once a rotation.
    pub fn token_expires(&mut self, token: &str, ends: Timestamp, now: Timestamp) {
        if self.warned_tokens.insert(token.to_owned(), ends) != Some(ends) {
            let text = format!(
                "its previous digest is refused from {ends} on: see that every caller has the new \
                 token (observer.previous_token_last_used)"
            );
            self.outbox.note(Event::new(Kind::TokenExpires, now, token, text));
        }
    }

    /// A measure token asked for a measurement that is `owner`'s.
    pub fn measured_by_another(&mut self, token: &str, times: u32, owner: &str, now: Timestamp) {
        let text = format!(
            "asked {times} times for the measurement of `{owner}` and was refused: one caller a \
             measurement, others use a token of role read"
        );
        self.outbox.note(Event::new(Kind::MeasureIntruder, now, token, text));
    }

    /// The API server refused several times in a row.
    pub fn publish_failed(&mut self, why: &str, now: Timestamp) {
        self.outbox.note(Event::new(Kind::PublishFailed, now, "", why));
    }

    /// At the end of a polling window: one digest of what happened in it.
    pub(super) fn close_digest(
        &mut self,
        readings: &[(Signal, Reading)],
        config: &Config,
        now: Timestamp,
    ) {
        if !self.outbox.has_news() {
            return;
        }
        let header = Digest {
            schema: digest::SCHEMA.to_owned(),
            id: format!("{}/{}", config.gateway, self.epoch),
            number: 0,
            lane: config.lane.clone(),
            gateway: config.gateway.clone(),
            az: config.az.clone(),
            closed_at: now,
            status: self.status(readings),
            degraded: self.degraded(readings),
            frozen: self.hold.frozen(),
            frozen_by: self.hold.names(),
            canary_active: self.canary_active(),
            aborted: self.canary.aborted,
            events: vec![],
            more_events: 0,
        };
        self.outbox.close(header, config.has_notifier);
    }
}
