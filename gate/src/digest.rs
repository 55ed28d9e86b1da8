//! Failure digests: operators are told once a polling window, not once a
//! failure.
//!
//! What happens between two polls is gathered; the poll closes it into one
//! numbered digest. Digests wait in an outbox that is part of the judge's
//! state, so a restart loses none: it may send one twice, under the same `id`.
//! The outbox is bounded, and what falls out of it unsent is counted.

use crate::document::Status;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Value of `schema`.
pub const SCHEMA: &str = "digest.v1";
/// Digests kept, sent or not.
const KEPT: usize = 16;
/// Events of one digest; more are counted.
const MAX_EVENTS: usize = 24;
/// Longest text of an event, characters.
const MAX_CHARS: usize = 400;
/// Attempts in a row; after these the next comes a polling window later.
const ATTEMPTS: u32 = 3;

crate::named_enum! {
    pub enum Kind {
        /// A signal fails that did not.
        SignalFailed = "signal_failed",
        /// A signal that failed passes.
        SignalPassed = "signal_passed",
        /// Scale-up is held.
        Frozen = "frozen",
        /// It is free again, by clean polls.
        Thawed = "thawed",
        Aborted = "aborted",
        /// Red disk: the canary VIP drains.
        Drain = "drain",
        DrainEnded = "drain_ended",
        /// A ScaledObject's `maxReplicaCount` was lowered.
        CapLowered = "cap_lowered",
        /// A rollout ended whose caps are still as low as they were put.
        CapToRestore = "cap_to_restore",
        /// KEDA's pause of scale-out was put on a ScaledObject.
        ScaleOutPaused = "scale_out_paused",
        /// It was taken away.
        ScaleOutResumed = "scale_out_resumed",
        /// A measure token that does not own the measurement asked for it.
        MeasureIntruder = "measure_intruder",
        /// The previous digest of a token is about to be refused.
        TokenExpires = "token_expires",
        /// The verdict could not be published several times in a row.
        PublishFailed = "publish_failed",
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Event {
    pub kind: Kind,
    pub at: Timestamp,
    /// The signal, ScaledObject or token that it is about; empty for the gateway.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    pub text: String,
}

impl Event {
    pub fn new(
        kind: Kind,
        at: Timestamp,
        subject: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        let text: String = text.into().chars().take(MAX_CHARS).collect();
        Self { kind, at, subject: subject.into(), text }
    }
}

/// One digest, as it is posted to the notifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Digest {
    pub schema: String,
    /// `GATEWAY/EPOCH/NUMBER`: the same digest sent twice has the same.
    pub id: String,
    pub number: u64,
    pub lane: String,
    pub gateway: String,
    pub az: String,
    pub closed_at: Timestamp,
    /// What the gateway said when it was closed.
    pub status: Status,
    pub degraded: bool,
    pub frozen: bool,
    pub frozen_by: Vec<String>,
    pub canary_active: bool,
    pub aborted: bool,
    pub events: Vec<Event>,
    /// Events beyond those that a digest holds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_events: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    digest: Digest,
    /// Sent, or there is nobody to send it to.
    done: bool,
}

/// What waits to be sent, and the last that were.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outbox {
    #[serde(default)]
    gathered: Vec<Event>,
    #[serde(default)]
    more_events: u32,
    #[serde(default)]
    entries: VecDeque<Entry>,
    /// Number of the last digest.
    #[serde(default)]
    pub number: u64,
    #[serde(default)]
    pub sent: u64,
    /// Digests that fell out of the outbox unsent.
    #[serde(default)]
    pub dropped: u64,
    /// Attempts at the first one that waits.
    #[serde(default)]
    attempts: u32,
    /// From when until when the next attempt waits.
    #[serde(default)]
    waits: Option<(Timestamp, Timestamp)>,
}

impl Outbox {
    pub fn note(&mut self, event: Event) {
        if self.gathered.len() < MAX_EVENTS {
            self.gathered.push(event);
        } else {
            self.more_events = self.more_events.saturating_add(1);
        }
    }

    pub fn has_news(&self) -> bool {
        !self.gathered.is_empty()
    }

    /// Closes what was gathered into a digest; nothing where nothing was.
    /// `header` has everything but number and events. Without a notifier it is
    /// kept for `GET /keda/digest` alone.
    pub fn close(&mut self, header: Digest, has_notifier: bool) {
        if self.gathered.is_empty() {
            return;
        }
        self.number += 1;
        let digest = Digest {
            id: format!("{}/{}", header.id, self.number),
            number: self.number,
            events: std::mem::take(&mut self.gathered),
            more_events: std::mem::take(&mut self.more_events),
            ..header
        };
        self.entries.push_back(Entry { digest, done: !has_notifier });
        self.bound();
    }

    /// The digest to send at `now`: the oldest that waits.
    pub fn next(&self, now: Timestamp) -> Option<&Digest> {
        // Before it began to wait is after the clock was set back.
        let waits = self.waits.is_some_and(|(from, until)| (from..until).contains(&now));
        self.entries.iter().find(|e| !e.done).filter(|_| !waits).map(|e| &e.digest)
    }

    pub fn delivered(&mut self, id: &str) {
        if let Some(entry) = self.entries.iter_mut().find(|e| e.digest.id == id && !e.done) {
            entry.done = true;
            self.sent += 1;
            self.attempts = 0;
            self.waits = None;
        }
    }

    /// An attempt failed. `backoff_ms` gives the delay after the n-th attempt
    /// in a row; after the last of them it is a polling window, and another
    /// digest goes first: one that is never taken keeps none waiting.
    pub fn failed(
        &mut self,
        id: &str,
        now: Timestamp,
        poll_s: u64,
        backoff_ms: impl Fn(u32) -> u64,
    ) {
        let Some(at) = self.entries.iter().position(|e| e.digest.id == id && !e.done) else {
            return;
        };
        self.attempts += 1;
        let delay_ms = if self.attempts >= ATTEMPTS {
            self.attempts = 0;
            if let Some(entry) = self.entries.remove(at) {
                self.entries.push_back(entry);
            }
            poll_s.saturating_mul(1000)
        } else {
            backoff_ms(self.attempts)
        };
        let until = now.millis().saturating_add(i64::try_from(delay_ms).unwrap_or(i64::MAX));
        self.waits = Some((now, Timestamp::from_millis(until)));
    }

    /// Takes over from another process' outbox what it had not sent; no number
    /// is given twice.
    pub fn take_over(&mut self, other: Outbox) {
        self.number = self.number.max(other.number);
        self.entries.extend(other.entries.into_iter().filter(|e| !e.done));
        self.bound();
    }

    /// The oldest that is done goes first; an unsent one only where none is.
    fn bound(&mut self) {
        while self.entries.len() > KEPT {
            let at = self.entries.iter().position(|e| e.done).unwrap_or(0);
            if self.entries.remove(at).is_some_and(|e| !e.done) {
                self.dropped += 1;
                self.attempts = 0;
                self.waits = None;
            }
        }
    }

    /// Digests that wait to be sent.
    pub fn waiting(&self) -> usize {
        self.entries.iter().filter(|e| !e.done).count()
    }

    /// The last digests, newest first: `GET /keda/digest`.
    pub fn last(&self) -> impl Iterator<Item = &Digest> {
        self.entries.iter().rev().map(|e| &e.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_510_800);

    fn header() -> Digest {
        Digest {
            schema: SCHEMA.to_owned(),
            id: "gw/1".to_owned(),
            number: 0,
            lane: "l".to_owned(),
            gateway: "gw".to_owned(),
            az: "a".to_owned(),
            closed_at: NOW,
            status: Status::Degraded,
            degraded: true,
            frozen: true,
            frozen_by: vec![],
            canary_active: true,
            aborted: false,
            events: vec![],
            more_events: 0,
        }
    }

    fn event(text: &str) -> Event {
        Event::new(Kind::SignalFailed, NOW, "disk", text)
    }

    fn closed(n: usize) -> Outbox {
        let mut outbox = Outbox::default();
        for i in 0..n {
            outbox.note(event(&i.to_string()));
            outbox.close(header(), true);
        }
        outbox
    }

    #[test]
    fn what_happens_in_one_window_is_one_digest() {
        let mut outbox = Outbox::default();
        outbox.close(header(), true);
        assert_eq!(outbox.next(NOW), None, "nothing happened");
        outbox.note(event("a"));
        outbox.note(event("b"));
        assert_eq!(outbox.next(NOW), None, "the window is not over");
        outbox.close(header(), true);
        let digest = outbox.next(NOW).unwrap();
        assert_eq!((digest.id.as_str(), digest.events.len()), ("gw/1/1", 2));
        outbox.delivered("gw/1/1");
        assert_eq!((outbox.next(NOW), outbox.sent), (None, 1));
        outbox.delivered("gw/1/1");
        assert_eq!(outbox.sent, 1, "an answer that comes twice counts once");
    }

    #[test]
    fn three_attempts_and_then_again_a_window_later() {
        let mut outbox = closed(1);
        let mut now = NOW;
        for (attempt, delay_s) in [(1, 1), (2, 2), (3, 60), (1, 1)] {
            assert!(outbox.next(now).is_some(), "attempt {attempt}");
            outbox.failed("gw/1/1", now, 60, |n| u64::from(n) * 1000);
            assert_eq!(outbox.next(now.plus_secs(delay_s - 1)), None);
            now = now.plus_secs(delay_s);
        }
        assert_eq!((outbox.dropped, outbox.waiting()), (0, 1));
    }

    #[test]
    fn sent_ones_make_room_first_and_unsent_ones_are_counted() {
        let mut outbox = closed(KEPT);
        outbox.delivered("gw/1/3");
        outbox.note(event("more"));
        outbox.close(header(), true);
        assert_eq!((outbox.dropped, outbox.waiting()), (0, KEPT));
        outbox.note(event("still more"));
        outbox.close(header(), true);
        assert_eq!((outbox.dropped, outbox.next(NOW).unwrap().number), (1, 2));
    }

    #[test]
    fn one_that_is_never_taken_keeps_no_other_waiting() {
        let mut outbox = closed(2);
        let mut now = NOW;
        for _ in 0..3 {
            outbox.failed("gw/1/1", now, 60, |_| 1000);
            now = now.plus_secs(60);
        }
        assert_eq!(outbox.next(now).unwrap().number, 2);
        // And none waits for an hour that a clock was set back by.
        outbox.failed("gw/1/2", now, 60, |_| 1000);
        assert!(outbox.next(Timestamp::from_secs(0)).is_some());
    }

    #[test]
    fn two_processes_give_no_number_twice_and_lose_nothing() {
        let mut old = closed(3);
        old.delivered("gw/1/1");
        let mut new = Outbox::default();
        new.note(event("new"));
        new.close(Digest { id: "gw/2".to_owned(), ..header() }, true);
        old.take_over(new);
        assert_eq!((old.number, old.waiting()), (3, 3));
        old.delivered("gw/2/1");
        assert_eq!(old.waiting(), 2, "those of the other process wait still");
    }

    #[test]
    fn without_a_notifier_digests_are_kept_to_be_read() {
        let mut outbox = Outbox::default();
        outbox.note(event("a"));
        outbox.close(header(), false);
        assert_eq!((outbox.next(NOW), outbox.last().count(), outbox.dropped), (None, 1, 0));
    }

    #[test]
    fn a_storm_is_bounded_and_counted() {
        let mut outbox = Outbox::default();
        (0..1000).for_each(|_| outbox.note(event(&"x".repeat(5000))));
        outbox.close(header(), true);
        let digest = outbox.next(NOW).unwrap();
        assert_eq!((digest.events.len(), digest.more_events), (MAX_EVENTS, 976));
        assert!(serde_json::to_string(digest).unwrap().len() < 16_000);
    }

    proptest! {
        /// Every digest is sent, waits, or is counted as dropped.
        #[test]
        fn none_is_lost_silently(steps in prop::collection::vec(0u8..4, 0..200)) {
            let mut outbox = Outbox::default();
            let mut now = NOW;
            for step in steps {
                match step {
                    0 | 1 => {
                        outbox.note(event("x"));
                        outbox.close(header(), true);
                    }
                    2 => {
                        if let Some(id) = outbox.next(now).map(|d| d.id.clone()) {
                            outbox.delivered(&id);
                        }
                    }
                    _ => {
                        if let Some(id) = outbox.next(now).map(|d| d.id.clone()) {
                            outbox.failed(&id, now, 60, |_| 1000);
                        }
                        now = now.plus_secs(30);
                    }
                }
                prop_assert_eq!(outbox.number, outbox.sent + outbox.dropped + outbox.waiting() as u64);
                prop_assert!(outbox.entries.len() <= KEPT);
            }
        }
    }
}
