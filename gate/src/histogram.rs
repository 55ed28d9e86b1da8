//! Latency counts with a bounded relative error.
//!
//! Bins are log-linear: 64 to each power of two of microseconds, so a bin is at
//! most 1/64 of its lower edge wide and its middle is within 0.8 % of anything
//! in it, from 64 µs to 67 s. Integers only: native and wasm builds give the
//! same bin for the same sample, and recording one costs no call and no
//! allocation. A sketch with float logarithms (DDSketch) was the alternative;
//! it needs a logarithm a sample and two builds may round differently.
//! Below 64 µs a bin is one microsecond; above the last edge samples count in
//! the last bin.

use crate::binomial;
use serde::{Deserialize, Serialize};

const SUB_BITS: u32 = 6;
const SUB: u64 = 1 << SUB_BITS;
/// Highest power of two that has bins of its own: 2^25 µs to 2^26 µs is 33 s to 67 s.
const TOP_POWER: u32 = 25;
/// Number of bins.
pub const BINS: usize = ((TOP_POWER - SUB_BITS + 2) as usize) << SUB_BITS;

/// Bin of a latency in microseconds.
pub fn bin(us: u64) -> usize {
    if us < SUB {
        return us as usize;
    }
    let power = us.ilog2().min(TOP_POWER);
    let us = us.min((1 << (TOP_POWER + 1)) - 1);
    let sub = (us >> (power - SUB_BITS)) - SUB;
    (((power - SUB_BITS + 1) as usize) << SUB_BITS) + sub as usize
}

/// Middle of a bin, milliseconds: the value reported for every sample in it.
pub fn middle_ms(bin: usize) -> f64 {
    let (octave, sub) = ((bin >> SUB_BITS) as u32, bin as u64 % SUB);
    if octave == 0 {
        return sub as f64 / 1000.0;
    }
    let width = 1u64 << (octave - 1);
    let low = (SUB + sub) * width;
    (low as f64 + width as f64 / 2.0) / 1000.0
}

/// Sample counts by bin, only bins that have any, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram(Vec<(u16, u32)>);

impl Histogram {
    /// Takes the counts of a dense array of [`BINS`] and leaves it zeroed.
    pub fn drain_dense(dense: &mut [u32]) -> Self {
        let mut bins = Vec::new();
        for (i, count) in dense.iter_mut().enumerate() {
            if *count > 0 {
                bins.push((u16::try_from(i).unwrap_or(u16::MAX), *count));
                *count = 0;
            }
        }
        Self(bins)
    }

    pub fn record(&mut self, us: u64) {
        let b = u16::try_from(bin(us)).unwrap_or(u16::MAX);
        match self.0.binary_search_by_key(&b, |e| e.0) {
            Ok(i) => {
                if let Some(e) = self.0.get_mut(i) {
                    e.1 = e.1.saturating_add(1);
                }
            }
            Err(i) => self.0.insert(i, (b, 1)),
        }
    }

    pub fn count(&self) -> u64 {
        self.0.iter().map(|e| u64::from(e.1)).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the counts of `other`; the order of merging changes nothing.
    pub fn merge(&mut self, other: &Histogram) {
        if other.0.is_empty() {
            return;
        }
        let mut merged = Vec::with_capacity(self.0.len() + other.0.len());
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some(x), Some(y)) = (a.peek().copied(), b.peek().copied()) {
            match x.0.cmp(&y.0) {
                std::cmp::Ordering::Less => merged.extend(a.next()),
                std::cmp::Ordering::Greater => merged.extend(b.next()),
                std::cmp::Ordering::Equal => {
                    merged.push((x.0, x.1.saturating_add(y.1)));
                    a.next();
                    b.next();
                }
            }
        }
        merged.extend(a);
        merged.extend(b);
        self.0 = merged;
    }

    /// The value of the sample at `rank` (1 is the smallest), milliseconds.
    pub fn at_rank(&self, rank: u64) -> Option<f64> {
        let mut seen = 0;
        self.0.iter().find_map(|&(b, count)| {
            seen += u64::from(count);
            (rank >= 1 && seen >= rank).then(|| middle_ms(usize::from(b)))
        })
    }

    /// Nearest-rank quantile, milliseconds; `None` without samples.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let n = self.count();
        let rank = libm::ceil(q * n as f64) as u64;
        self.at_rank(rank.clamp(1, n.max(1)))
    }

    /// The largest sample that lies below the true `q`-quantile with
    /// confidence `1 - level`: a lower bound of it by rank, milliseconds.
    pub fn lower_bound(&self, q: f64, level: f64) -> Option<f64> {
        let n = self.count();
        // P(Bin(n, q) <= r - 1) is the chance that X(r) lies above the quantile.
        let r = partition(n, |r| binomial::cdf(r - 1, n, q) <= level);
        self.at_rank(r)
    }

    /// The smallest sample that lies above the true `q`-quantile with
    /// confidence `1 - level`; `None` where there are too few samples for any
    /// (299 for p99 at 5 %).
    pub fn upper_bound(&self, q: f64, level: f64) -> Option<f64> {
        let n = self.count();
        let r = partition(n, |r| binomial::cdf(r - 1, n, q) < 1.0 - level) + 1;
        self.at_rank(r)
    }
}

/// How many of the ranks 1..=n satisfy a predicate that holds up to some rank and not after.
fn partition(n: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, n);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if holds(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case(0, 0)]
    #[case(63, 63)]
    #[case(64, 64)]
    #[case(127, 127)]
    #[case(128, 128)]
    #[case((1 << 26) - 1, BINS - 1)]
    #[case(u64::MAX, BINS - 1)]
    fn bins_at_the_edges(#[case] us: u64, #[case] expected: usize) {
        assert_eq!(bin(us), expected);
    }

    #[test]
    fn rank_bounds_need_the_sample_sizes_of_the_literature() {
        let of = |n: u64| {
            let mut h = Histogram::default();
            (1..=n).for_each(|i| h.record(i * 1000));
            h
        };
        assert_eq!(of(298).upper_bound(0.99, 0.05), None);
        assert!(of(299).upper_bound(0.99, 0.05).is_some());
        // n = 1000: the two-sided 95 % interval of p99 spans ranks 98.3-99.7 %.
        let h = of(1000);
        let (low, high) =
            (h.lower_bound(0.99, 0.025).unwrap(), h.upper_bound(0.99, 0.025).unwrap());
        assert!((975.0..=990.0).contains(&low), "{low}");
        assert!((990.0..=1001.0).contains(&high), "{high}");
    }

    proptest! {
        #[test]
        fn quantile_is_within_one_percent_of_the_exact_order_statistic(
            mut samples in prop::collection::vec(1_000u64..60_000_000, 1..2_000),
            q in 0.01f64..1.0,
        ) {
            let mut h = Histogram::default();
            samples.iter().for_each(|s| h.record(*s));
            samples.sort_unstable();
            let rank = ((q * samples.len() as f64).ceil() as usize).clamp(1, samples.len());
            let exact = samples[rank - 1] as f64 / 1000.0;
            let got = h.quantile(q).unwrap();
            prop_assert!((got - exact).abs() / exact <= 0.01, "{got} for {exact}");
        }

        #[test]
        fn merging_parts_equals_recording_all(
            samples in prop::collection::vec((0u64..70_000_000, 0usize..4), 0..500),
        ) {
            let mut all = Histogram::default();
            let mut parts = vec![Histogram::default(); 4];
            for (us, part) in samples {
                all.record(us);
                parts[part].record(us);
            }
            let mut merged = Histogram::default();
            parts.iter().rev().for_each(|p| merged.merge(p));
            prop_assert_eq!(merged, all);
        }

        #[test]
        fn lower_bound_point_and_upper_bound_are_in_order(
            samples in prop::collection::vec(1_000u64..1_000_000, 300..1_500),
        ) {
            let mut h = Histogram::default();
            samples.iter().for_each(|s| h.record(*s));
            let low = h.lower_bound(0.99, 0.05).unwrap();
            let point = h.quantile(0.99).unwrap();
            let high = h.upper_bound(0.99, 0.05).unwrap();
            prop_assert!(low <= point && point <= high);
        }
    }
}
