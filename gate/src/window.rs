//! Counters by slice and time bucket.
//!
//! Exact buckets and no moving average: a tight burst hides in an average, and
//! buckets of several workers add up to what one observer would have counted.
//! A bucket is a fifth of the window, a minute by default, and is named by its
//! index on the wall clock, so windows of workers and of processes that never
//! met merge without agreement.

use crate::histogram::{self, Histogram};
use crate::sample::Sample;
use crate::slice::Slice;
use crate::threshold::{KEPT_BUCKETS, WINDOW_BUCKETS};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Periods of the judge, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Periods {
    /// One window of the published rule, five buckets.
    pub length_s: u64,
    /// One polling window: how often the signals are judged.
    pub poll_s: u64,
    /// How often workers write and the document is renewed.
    pub tick_s: u64,
}

impl Default for Periods {
    fn default() -> Self {
        Self { length_s: 300, poll_s: 60, tick_s: 5 }
    }
}

impl Periods {
    /// # Errors
    /// The key that is out of range and what it may be.
    pub fn validate(&self) -> Result<(), String> {
        if self.length_s == 0
            || !self.length_s.is_multiple_of(WINDOW_BUCKETS)
            || self.length_s > 86_400
        {
            return Err(format!(
                "windows.length_s: {} is not a multiple of {WINDOW_BUCKETS} from {WINDOW_BUCKETS} to 86400",
                self.length_s
            ));
        }
        if self.poll_s == 0 || self.poll_s > self.bucket_s() {
            return Err(format!(
                "windows.poll_s: {} is outside 1 to a fifth of length_s ({}), every bucket is polled",
                self.poll_s,
                self.bucket_s()
            ));
        }
        if self.tick_s == 0 || self.tick_s > self.poll_s {
            return Err(format!(
                "windows.tick_s: {} is outside 1 to poll_s ({})",
                self.tick_s, self.poll_s
            ));
        }
        Ok(())
    }

    /// Length of one bucket, seconds.
    pub fn bucket_s(&self) -> u64 {
        (self.length_s / WINDOW_BUCKETS).max(1)
    }

    /// The bucket that is running at `now`.
    pub fn bucket_at(&self, now: Timestamp) -> u64 {
        now.secs() / self.bucket_s()
    }

    /// The first bucket that begins at or after `at`.
    pub fn first_bucket_from(&self, at: Timestamp) -> u64 {
        let ms = u64::try_from(at.millis()).unwrap_or(0);
        ms.div_ceil(self.bucket_s() * 1000)
    }

    /// The last poll whose buckets every ticking worker has written by `now`:
    /// a worker writes what it saw of a bucket at its first tick after the
    /// bucket's end, so a poll waits for one tick and a second of jitter.
    pub fn poll_due(&self, now: Timestamp) -> u64 {
        now.secs().saturating_sub(self.tick_s + 1) / self.poll_s
    }

    /// The first bucket that poll `poll` does not see.
    pub fn poll_end(&self, poll: u64) -> u64 {
        poll.saturating_mul(self.poll_s) / self.bucket_s()
    }
}

/// What one slice did in one bucket, or in several added up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Answers that say something about the slice, errors among them.
    pub requests: u64,
    pub errors: u64,
    /// Errors made before the upstream was asked.
    pub local_errors: u64,
    /// Requests without any status.
    pub aborted: u64,
    pub latencies: Histogram,
}

impl Counts {
    pub fn add(&mut self, sample: Sample) {
        match sample {
            Sample::Success => self.requests += 1,
            Sample::Error => {
                self.requests += 1;
                self.errors += 1;
            }
            Sample::LocalError => self.local_errors += 1,
            Sample::Aborted => self.aborted += 1,
        }
    }

    pub fn merge(&mut self, other: &Counts) {
        self.requests = self.requests.saturating_add(other.requests);
        self.errors = self.errors.saturating_add(other.errors);
        self.local_errors = self.local_errors.saturating_add(other.local_errors);
        self.aborted = self.aborted.saturating_add(other.aborted);
        self.latencies.merge(&other.latencies);
    }

    /// Errors over requests; none without requests.
    pub fn rate(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.errors as f64 / self.requests as f64)
    }

    fn is_empty(&self) -> bool {
        *self == Counts::default()
    }
}

/// Both slices in one bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    pub index: u64,
    pub canary: Counts,
    pub stable: Counts,
    /// Requests that named no slice; they are in `stable` too.
    pub unclassified: u64,
}

impl Bucket {
    pub fn slice(&self, slice: Slice) -> &Counts {
        match slice {
            Slice::Canary => &self.canary,
            Slice::Stable => &self.stable,
        }
    }

    pub fn slice_mut(&mut self, slice: Slice) -> &mut Counts {
        match slice {
            Slice::Canary => &mut self.canary,
            Slice::Stable => &mut self.stable,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.canary.is_empty() && self.stable.is_empty() && self.unclassified == 0
    }
}

/// Buckets in order of time; the last [`KEPT_BUCKETS`] before a given one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    buckets: Vec<Bucket>,
}

impl Window {
    /// Adds a bucket's counts to those that are there under its index.
    pub fn add(&mut self, bucket: &Bucket) {
        match self.buckets.binary_search_by_key(&bucket.index, |b| b.index) {
            Ok(i) => {
                if let Some(b) = self.buckets.get_mut(i) {
                    b.canary.merge(&bucket.canary);
                    b.stable.merge(&bucket.stable);
                    b.unclassified += bucket.unclassified;
                }
            }
            Err(i) => self.buckets.insert(i, bucket.clone()),
        }
    }

    pub fn merge(&mut self, other: &Window) {
        other.buckets.iter().for_each(|b| self.add(b));
    }

    /// Drops what no horizon reaches when `running` is the running bucket.
    /// Buckets from the future (the clock stepped back) stay until their time
    /// comes, twice the kept number at most in all.
    pub fn trim(&mut self, running: u64) {
        self.buckets.retain(|b| b.index + KEPT_BUCKETS >= running);
        let limit = 2 * KEPT_BUCKETS as usize;
        // The farthest future goes first: the running bucket must stay.
        self.buckets.truncate(limit);
    }

    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// The buckets `from..to` that hold anything, in order.
    pub fn range(&self, from: u64, to: u64) -> impl Iterator<Item = &Bucket> {
        let start = self.buckets.partition_point(|b| b.index < from);
        self.buckets.iter().skip(start).take_while(move |b| b.index < to)
    }

    /// Everything one slice did in the buckets `from..to`.
    pub fn sum(&self, slice: Slice, from: u64, to: u64) -> Counts {
        let mut sum = Counts::default();
        self.range(from, to).for_each(|b| sum.merge(b.slice(slice)));
        sum
    }

    /// Requests and errors of one slice in the buckets `from..to`, without latencies.
    pub fn requests_and_errors(&self, slice: Slice, from: u64, to: u64) -> (u64, u64) {
        self.range(from, to).fold((0, 0), |(n, k), b| {
            let c = b.slice(slice);
            (n + c.requests, k + c.errors)
        })
    }

    pub fn unclassified(&self, from: u64, to: u64) -> u64 {
        self.range(from, to).map(|b| b.unclassified).sum()
    }
}

/// One worker's counters since its last tick: fixed arrays, so that recording
/// a request allocates nothing.
pub struct Recorder {
    bucket: Bucket,
    canary: Vec<u32>,
    stable: Vec<u32>,
    touched: bool,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            bucket: Bucket::default(),
            canary: vec![0; histogram::BINS],
            stable: vec![0; histogram::BINS],
            touched: false,
        }
    }
}

impl Recorder {
    /// Counts one request; `latency_us` is `None` where latency is not measured
    /// or means nothing (an upgrade, a stream, no answer).
    pub fn record(&mut self, slice: Slice, sample: Sample, latency_us: Option<u64>) {
        self.touched = true;
        self.bucket.slice_mut(slice).add(sample);
        if matches!(sample, Sample::Success | Sample::Error) {
            let dense = match slice {
                Slice::Canary => &mut self.canary,
                Slice::Stable => &mut self.stable,
            };
            if let Some(count) = latency_us.and_then(|us| dense.get_mut(histogram::bin(us))) {
                *count = count.saturating_add(1);
            }
        }
    }

    /// Counts that the request just recorded named no slice.
    pub fn unclassified(&mut self) {
        self.bucket.unclassified += 1;
    }

    pub fn is_empty(&self) -> bool {
        !self.touched
    }

    /// Takes what was counted as a bucket with this index and starts over.
    pub fn drain(&mut self, index: u64) -> Bucket {
        let mut bucket = std::mem::take(&mut self.bucket);
        bucket.index = index;
        bucket.canary.latencies = Histogram::drain_dense(&mut self.canary);
        bucket.stable.latencies = Histogram::drain_dense(&mut self.stable);
        self.touched = false;
        bucket
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case(Periods { length_s: 0, ..Periods::default() }, "windows.length_s")]
    #[case(Periods { length_s: 301, ..Periods::default() }, "windows.length_s")]
    #[case(Periods { poll_s: 0, ..Periods::default() }, "windows.poll_s")]
    #[case(Periods { tick_s: 61, ..Periods::default() }, "windows.tick_s")]
    fn names_the_period_that_is_wrong(#[case] p: Periods, #[case] key: &str) {
        assert!(p.validate().unwrap_err().starts_with(key));
    }

    #[rstest]
    #[case(60_000, 1)]
    #[case(60_001, 2)]
    #[case(119_999, 2)]
    fn begin_in_mid_bucket_starts_at_the_next(#[case] ms: i64, #[case] bucket: u64) {
        assert_eq!(Periods::default().first_bucket_from(Timestamp::from_millis(ms)), bucket);
    }

    #[test]
    fn a_poll_waits_for_the_workers_ticks() {
        let p = Periods::default();
        assert_eq!(p.poll_due(Timestamp::from_secs(65)), 0);
        assert_eq!(p.poll_due(Timestamp::from_secs(66)), 1);
        assert_eq!(p.poll_end(1), 1);
    }

    #[test]
    fn trims_what_no_horizon_reaches_and_bounds_the_future() {
        let mut w = Window::default();
        for index in 0..500 {
            w.add(&Bucket { index, ..Bucket::default() });
        }
        let mut later = w.clone();
        w.trim(100);
        assert_eq!(w.range(0, 1_000).count(), 120);
        assert!(w.range(100, 101).next().is_some(), "the running bucket stays");
        later.trim(490);
        assert_eq!(later.range(0, 1_000).next().unwrap().index, 430);
    }

    proptest! {
        #[test]
        fn any_split_over_workers_and_ticks_merges_to_one_observer(
            requests in prop::collection::vec((0usize..5, 0u64..70, any::<bool>(), 0u8..4, 0u64..2_000_000), 0..400),
        ) {
            let mut one = Window::default();
            let mut recorders: Vec<_> = (0..5).map(|_| Recorder::default()).collect();
            let mut windows = vec![Window::default(); 5];
            let mut requests = requests;
            requests.sort_by_key(|r| r.1);
            let mut tick = 0;
            for (worker, bucket, canary, class, us) in requests {
                if bucket != tick {
                    for (r, w) in recorders.iter_mut().zip(&mut windows) {
                        w.add(&r.drain(tick));
                    }
                    tick = bucket;
                }
                let slice = if canary { Slice::Canary } else { Slice::Stable };
                let sample = [Sample::Success, Sample::Error, Sample::LocalError, Sample::Aborted][usize::from(class)];
                recorders[worker].record(slice, sample, Some(us));
                let mut single = Recorder::default();
                single.record(slice, sample, Some(us));
                one.add(&single.drain(bucket));
            }
            let mut merged = Window::default();
            for (r, w) in recorders.iter_mut().zip(&mut windows).rev() {
                w.add(&r.drain(tick));
                merged.merge(w);
            }
            for &slice in Slice::ALL {
                prop_assert_eq!(merged.sum(slice, 0, 100), one.sum(slice, 0, 100));
            }
        }
    }
}
