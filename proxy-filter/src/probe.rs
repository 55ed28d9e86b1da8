//! The hot path: what one proxied request costs.
//!
//! | loaded as | host calls | |
//! |---|---|---|
//! | access logger | 2 | `request.duration`, `:status` |
//! | HTTP filter | 3 | the monotonic clock twice, `:status` once |
//! | either, on a 5xx | 1 more | `response.code_details` |
//!
//! A slice by header or authority costs one call more than a fixed one, and
//! `grpc: true` up to three. Once a tick and slice one call more reads which skill
//! pack the answer came from. Counting itself allocates nothing; the tick does.
//!
//! The wall clock is not read here: a request counts in the bucket that was
//! running at its worker's last tick, so it may lie one tick too early.
//! Configuring a plugin ticks too, so that pushes starve no tick.

use crate::config::{Config, SliceBy};
use crate::host::{self, MapType};
use crate::shared::{SlotHandle, Writer};
use gate::document::Latency;
use gate::sample::{classify, classify_grpc, parse_status, Sample};
use gate::slice::Slice;
use gate::snapshot::{self, SeenHash, MAX_HASH};
use gate::time::Timestamp;
use gate::window::{Bucket, Periods, Recorder};
use std::cell::RefCell;
use std::time::Instant;

/// An upgrade: its end says nothing about latency.
const SWITCHING_PROTOCOLS: u16 = 101;

/// Counters of this VM, shared by every root context in it.
#[derive(Default)]
struct Worker {
    recorder: Recorder,
    slot: SlotHandle,
    vm: u64,
    /// Bucket of what is being counted now.
    bucket: Option<u64>,
    /// Those of the plugin that was configured last: a push leaves the old one
    /// in this VM until its listener has drained.
    periods: Periods,
    /// Drained but not yet written.
    kept: Vec<Bucket>,
    written_at: Option<Timestamp>,
    /// Counted anything yet: the proxy's main thread never does and takes no slot.
    measures: bool,
    latency: Option<Latency>,
    /// Skill hashes of answers, one a slice and tick, not yet written.
    hashes: Vec<SeenHash>,
    /// Slices whose answers were looked at since the last tick.
    looked: [bool; Slice::ALL.len()],
}

thread_local! {
    static WORKER: RefCell<Worker> = RefCell::default();
}

fn record(slice: (Slice, bool), sample: Sample, latency_us: Option<u64>, latency: Latency) {
    WORKER.with_borrow_mut(|w| {
        w.latency = Some(latency);
        w.recorder.record(slice.0, sample, latency_us);
        if !slice.1 {
            w.recorder.unclassified();
        }
    });
}

/// Header of an answer that says which skill pack it came from.
const SKILL_HASH: &[u8] = b"x-openclaw-skill-hash";

/// Looks at the first answer of a slice after each tick: a drift shows within a
/// tick, and costs one call a tick and not one a request.
fn look_at_hash(slice: Slice) {
    WORKER.with_borrow_mut(|w| {
        let Some(looked) = w.looked.get_mut(slice as usize) else { return };
        if std::mem::replace(looked, true) {
            return;
        }
        let hash = host::header(MapType::HttpResponseHeaders, SKILL_HASH)
            .filter(|h| !h.is_empty() && h.len() <= MAX_HASH)
            .and_then(|h| String::from_utf8(h).ok());
        if let Some(hash) = hash {
            // When it was is written at the tick, which reads the clock.
            snapshot::see(&mut w.hashes, SeenHash { slice, hash, at_ms: 0 });
        }
    });
}

/// Counts a finished request that an access logger was told of.
pub fn log_request(by: &SliceBy) {
    let status = status();
    let sample = classify(status, host::response_code_details);
    let latency = (by.latency && status.is_some_and(|s| s != SWITCHING_PROTOCOLS))
        .then(host::request_duration_us)
        .flatten();
    let slice = slice(by);
    record(slice, with_grpc(by, sample), latency, Latency::Total);
    look_at_hash(slice.0);
}

fn status() -> Option<u16> {
    host::header(MapType::HttpResponseHeaders, b":status").and_then(|s| parse_status(&s))
}

/// The slice, and whether the request named one.
fn slice(by: &SliceBy) -> (Slice, bool) {
    if let Some(fixed) = by.fixed {
        return (fixed, true);
    }
    if let Some(name) = &by.header {
        let value = host::header(MapType::HttpRequestHeaders, name.as_bytes());
        return match value.and_then(|v| Slice::from_bytes(&v)) {
            Some(slice) => (slice, true),
            None => (Slice::Stable, false),
        };
    }
    let authority = host::header(MapType::HttpRequestHeaders, b":authority");
    let canary = by.authority.iter().flatten();
    match authority {
        Some(a) if canary.into_iter().any(|c| a.eq_ignore_ascii_case(c.as_bytes())) => {
            (Slice::Canary, true)
        }
        Some(_) => (Slice::Stable, true),
        None => (Slice::Stable, false),
    }
}

/// What a 200 counts as where the slice speaks gRPC.
fn with_grpc(by: &SliceBy, sample: Sample) -> Sample {
    if !by.grpc || sample != Sample::Success {
        return sample;
    }
    let status = host::header(MapType::HttpResponseTrailers, b"grpc-status")
        .or_else(|| host::header(MapType::HttpResponseHeaders, b"grpc-status"));
    classify_grpc(status.as_deref(), host::response_code_details)
}

/// A request that an HTTP filter sees from its headers to its log.
#[derive(Default)]
pub struct Stream {
    begun: Option<Instant>,
    latency_us: Option<u64>,
    status: Option<u16>,
    slice: Option<(Slice, bool)>,
}

impl Stream {
    pub fn request_headers(&mut self, by: &SliceBy) {
        self.slice = Some(slice(by));
        self.begun = by.latency.then(host::instant);
    }

    pub fn response_headers(&mut self) {
        self.status = status();
        if self.status != Some(SWITCHING_PROTOCOLS) {
            self.latency_us = self.begun.map(|begun| {
                u64::try_from(host::instant().saturating_duration_since(begun).as_micros())
                    .unwrap_or(u64::MAX)
            });
        }
    }

    pub fn log(&mut self, by: &SliceBy) {
        let slice = self.slice.unwrap_or((Slice::Stable, false));
        let sample = classify(self.status, host::response_code_details);
        record(slice, with_grpc(by, sample), self.latency_us, Latency::Headers);
        look_at_hash(slice.0);
    }
}

/// Notes this VM's number and the bucket that runs at its start.
pub fn start(vm: u64, config: &Config, now: Timestamp) {
    WORKER.with_borrow_mut(|w| {
        w.vm = vm;
        let running = config.windows.bucket_at(now);
        let before = std::mem::replace(&mut w.periods, config.windows);
        if before.bucket_s() != config.windows.bucket_s() || w.bucket.is_none() {
            // Indices of another length mean nothing; the counts are of about now.
            w.bucket = Some(running);
            w.kept.iter_mut().for_each(|b| b.index = running);
        }
    });
}

/// At each tick: adds what was counted to the worker's slot. What cannot be
/// written is kept for the next tick.
pub fn tick(now: Timestamp) {
    WORKER.with_borrow_mut(|w| {
        let periods = w.periods;
        let running = periods.bucket_at(now);
        let since_ms = w.written_at.map(|at| now.millis() - at.millis());
        let due = since_ms.is_none_or(|ms| ms < 0 || ms + 250 >= tick_ms(periods));
        if !due && w.bucket == Some(running) {
            return;
        }
        w.measures |= !w.recorder.is_empty();
        if !w.measures {
            w.bucket = Some(running);
            return;
        }
        let counted = w.recorder.drain(bucket_of(w.bucket, running));
        let nothing_kept = w.kept.is_empty();
        match w.kept.last_mut().filter(|last| last.index == counted.index) {
            // Not written for a while: buckets add up, so memory stays bounded by time.
            Some(last) => {
                last.canary.merge(&counted.canary);
                last.stable.merge(&counted.stable);
                last.unclassified += counted.unclassified;
            }
            // An empty one renews the slot.
            None if nothing_kept || !counted.is_empty() => w.kept.push(counted),
            None => {}
        }
        w.bucket = Some(running);
        w.looked = Default::default();
        // Seen since the last tick, that is now.
        w.hashes.iter_mut().for_each(|h| h.at_ms = now.millis());
        while let Some(bucket) = w.kept.first() {
            let writer =
                Writer { vm: w.vm, latency: w.latency, windows: periods, hashes: &w.hashes };
            if !w.slot.add(&writer, bucket, now) {
                host::log(
                    host::Level::Warn,
                    "a worker's slot could not be written; its counts are kept",
                );
                return;
            }
            w.kept.remove(0);
        }
        w.hashes.clear();
        w.written_at = Some(now);
    });
}

/// The bucket of what was counted since the last tick, when bucket `last` ran.
/// Where that is not this one or the one before, the clock was set, or no tick
/// came for long: what was counted is of about now.
fn bucket_of(last: Option<u64>, running: u64) -> u64 {
    last.filter(|last| *last == running || *last + 1 == running).unwrap_or(running)
}

fn tick_ms(periods: Periods) -> i64 {
    i64::try_from(periods.tick_s * 1000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::bucket_of;
    use rstest::rstest;

    #[rstest]
    #[case::the_same(Some(7), 7)]
    #[case::the_one_before(Some(6), 6)]
    #[case::a_late_tick(Some(5), 7)]
    #[case::a_clock_set_back(Some(8), 7)]
    #[case::the_first(None, 7)]
    fn buckets(#[case] last: Option<u64>, #[case] expected: u64) {
        assert_eq!(bucket_of(last, 7), expected);
    }
}
