//! `canary_p99`: is the canary slower than the limit, or than stable?
//!
//! A point p99 of a few hundred requests is the third-largest sample and
//! jumps, so the rule compares rank bounds: what the samples prove about the
//! true quantile. Averages of p99s over workers or minutes mean nothing;
//! histograms are merged first.

use super::canary_5xx_rate::look_backs;
use super::{Horizons, PollReading};
use crate::slice::Slice;
use crate::threshold as t;
use crate::threshold::Thresholds;
use crate::window::{Counts, Window};

/// Judges the buckets before `end`.
pub fn evaluate(
    window: &Window,
    end: u64,
    horizons: &Horizons,
    limits: &Thresholds,
) -> PollReading {
    let start = horizons.fail_start();
    let fails = regression(
        window,
        (end.saturating_sub(t::P99_LONG_BUCKETS).max(start), end),
        t::P99_LONG_CANARY_LEVEL,
        |low, high, ratio| low > high && ratio > 1.0 + limits.p99_regression,
    )
    .or_else(|| {
        regression(
            window,
            (end.saturating_sub(t::P99_SHORT_BUCKETS).max(start), end),
            t::P99_SHORT_CANARY_LEVEL,
            |low, high, _| low > high * (1.0 + limits.p99_regression),
        )
    })
    .or_else(|| over_limit(window, end, start, limits));

    let pass_start = if fails.is_some() { end } else { horizons.pass_start() };
    let longest = end.saturating_sub(t::KEPT_BUCKETS).max(pass_start);
    // What failed is not cleared by a baseline that went away.
    let comparable =
        horizons.failed_at.is_some() || enough(&window.sum(Slice::Stable, longest, end));
    let passes_from = look_backs(end, pass_start).find(|&from| {
        let canary = window.sum(Slice::Canary, from, end);
        let stable = window.sum(Slice::Stable, from, end);
        passes(&canary, comparable.then_some(&stable), limits)
    });
    let recent =
        window.sum(Slice::Canary, end.saturating_sub(t::WINDOW_BUCKETS).max(horizons.begin), end);
    let samples = window.sum(Slice::Canary, longest, end).latencies.count();
    let missing = t::P99_MIN_SAMPLES.saturating_sub(samples);
    PollReading {
        waiting: if missing > 0 {
            format!("{missing} more samples are needed to judge p99")
        } else if end.saturating_sub(pass_start) < t::WINDOW_BUCKETS {
            format!("fewer than {} complete buckets since the last start", t::WINDOW_BUCKETS)
        } else {
            format!(
                "no look-back has p99 at or below {} ms and within {} of stable",
                limits.canary_p99_ms, limits.p99_regression
            )
        },
        fails,
        passes_from,
        broken_thinly: false,
        requests_needed: (passes_from.is_none() && missing > 0).then_some(missing),
        value: recent.latencies.quantile(t::P99),
        limit: limits.canary_p99_ms,
    }
}

fn enough(counts: &Counts) -> bool {
    counts.latencies.count() >= t::P99_MIN_SAMPLES
}

/// Compares with stable over the buckets `from..end`; `worse` gets the canary's
/// lower bound, stable's upper bound and the ratio of the points.
fn regression(
    window: &Window,
    (from, end): (u64, u64),
    level: f64,
    worse: impl Fn(f64, f64, f64) -> bool,
) -> Option<String> {
    let canary = window.sum(Slice::Canary, from, end);
    let stable = window.sum(Slice::Stable, from, end);
    if !enough(&canary) || !enough(&stable) {
        return None;
    }
    let low = canary.latencies.lower_bound(t::P99, level)?;
    let high = stable.latencies.upper_bound(t::P99, t::P99_STABLE_LEVEL)?;
    let point = canary.latencies.quantile(t::P99)?;
    let stable_point = stable.latencies.quantile(t::P99)?;
    worse(low, high, point / stable_point.max(f64::MIN_POSITIVE)).then(|| {
        format!(
            "p99 {point:.0} ms (at least {low:.0}) over stable's {stable_point:.0} ms (at most {high:.0}) in {} buckets",
            end - from
        )
    })
}

fn over_limit(window: &Window, end: u64, start: u64, limits: &Thresholds) -> Option<String> {
    let middle = end.checked_sub(t::WINDOW_BUCKETS)?;
    let first = middle.checked_sub(t::WINDOW_BUCKETS)?;
    if first < start {
        return None;
    }
    let mut lows = [0.0; 2];
    for (low, (from, to)) in lows.iter_mut().zip([(first, middle), (middle, end)]) {
        let canary = window.sum(Slice::Canary, from, to);
        if !enough(&canary) {
            return None;
        }
        *low = canary.latencies.lower_bound(t::P99, t::P99_SHORT_CANARY_LEVEL)?;
        if *low <= limits.canary_p99_ms {
            return None;
        }
    }
    let [a, b] = lows;
    Some(format!(
        "p99 at least {a:.0} ms and then {b:.0} ms in two consecutive windows, over {} ms",
        limits.canary_p99_ms
    ))
}

/// `stable` is `None` where no look-back has samples enough to compare with and
/// nothing failed yet; the limit alone decides then.
fn passes(canary: &Counts, stable: Option<&Counts>, limits: &Thresholds) -> bool {
    let Some(point) = canary.latencies.quantile(t::P99) else {
        return false;
    };
    let near_stable = stable.is_none_or(|stable| {
        let stable_point = stable.latencies.quantile(t::P99);
        enough(stable) && stable_point.is_some_and(|s| point <= s * (1.0 + limits.p99_regression))
    });
    enough(canary) && point <= limits.canary_p99_ms && near_stable
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Bucket;
    use rstest::rstest;

    /// `buckets` buckets of `n` requests a slice; one in fifty takes the given time, the rest 50 ms.
    fn window(buckets: u64, n: u64, canary_ms: u64, stable_ms: u64) -> Window {
        let mut w = Window::default();
        for index in 0..buckets {
            let mut b = Bucket { index, ..Bucket::default() };
            for i in 0..n {
                let slow = i % 50 == 0;
                b.canary.latencies.record(1000 * if slow { canary_ms } else { 50 });
                b.stable.latencies.record(1000 * if slow { stable_ms } else { 50 });
            }
            w.add(&b);
        }
        w
    }

    fn judge(w: &Window, end: u64) -> PollReading {
        evaluate(w, end, &Horizons::new(0), &Thresholds::default())
    }

    #[rstest]
    #[case::equal(10, 300, 150, 150, false, true)]
    #[case::well_over_stable(10, 300, 200, 100, true, false)]
    #[case::slightly_over_stable(10, 300, 110, 100, false, true)]
    #[case::over_the_limit_with_stable(10, 300, 300, 300, true, false)]
    #[case::over_the_limit_in_one_window_only(5, 300, 300, 300, false, false)]
    #[case::too_few_samples(5, 50, 400, 100, false, false)]
    fn p99(
        #[case] buckets: u64,
        #[case] n: u64,
        #[case] canary: u64,
        #[case] stable: u64,
        #[case] fails: bool,
        #[case] passes: bool,
    ) {
        let reading = judge(&window(buckets, n, canary, stable), buckets);
        assert_eq!(reading.fails.is_some(), fails, "{reading:?}");
        assert_eq!(reading.passes_from.is_some(), passes, "{reading:?}");
    }

    #[test]
    fn a_baseline_that_went_away_clears_no_failure() {
        let w = window(10, 300, 150, 100);
        let mut later = w.clone();
        for index in 10..16 {
            let mut b = Bucket { index, ..Bucket::default() };
            (0..300).for_each(|_| b.canary.latencies.record(150_000));
            later.add(&b);
        }
        let failed = Horizons { failed_at: Some(10), ..Horizons::new(0) };
        assert_eq!(evaluate(&later, 16, &failed, &Thresholds::default()).passes_from, None);
        // Without a failure the limit decides where there is nothing to compare with.
        let fresh = Horizons::new(10);
        assert_eq!(evaluate(&later, 16, &fresh, &Thresholds::default()).passes_from, Some(11));
    }

    #[test]
    fn says_how_many_samples_are_missing() {
        assert_eq!(judge(&window(2, 50, 100, 100), 2).requests_needed, Some(200));
    }

    #[test]
    fn a_small_regression_held_for_half_an_hour_fails() {
        let w = window(30, 1000, 120, 100);
        assert_eq!(judge(&w, 10).fails.is_some(), judge(&w, 30).fails.is_some());
        assert!(judge(&w, 30).fails.is_some());
    }
}
