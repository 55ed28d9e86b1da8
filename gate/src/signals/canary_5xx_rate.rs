//! `canary_5xx_rate`: is the canary's share of 5xx answers above the limit?
//!
//! Two judges. `two-windows` is the published starter rule word for word: two
//! consecutive five-minute windows above the limit, end to end from the start. A plain rate trips on
//! chance at low traffic and waits ten minutes for a fire, so the default,
//! `multi-horizon`, asks over five horizons how likely the errors are if the
//! canary were just at the limit (exact binomial tail), and believes none that
//! one burst explains: each must stay high without its two worst buckets.
//! A moving average with a confidence band was the alternative; it forgets at
//! a fixed speed and cannot say which ten minutes it means.

use super::{Horizons, PollReading};
use crate::binomial;
use crate::slice::Slice;
use crate::threshold as t;
use crate::threshold::Thresholds;
use crate::window::Window;

crate::named_enum! {
    /// Which judge decides about failing.
    #[derive(Default)]
    pub enum Judge {
        #[default]
        MultiHorizon = "multi-horizon",
        TwoWindows = "two-windows",
    }
}

/// Judges the buckets before `end`.
pub fn evaluate(
    window: &Window,
    end: u64,
    horizons: &Horizons,
    judge: Judge,
    limits: &Thresholds,
) -> PollReading {
    let limit = limits.canary_5xx_rate;
    let starter = starter_rule(window, end, horizons.fail_start(), limits);
    let fails = match (judge, starter) {
        (Judge::TwoWindows, Some(_)) if ends_a_window(end, horizons.fail_start()) => Some(format!(
            "over {limit} in two consecutive windows of {} buckets",
            t::WINDOW_BUCKETS
        )),
        (Judge::TwoWindows, _) => None,
        (Judge::MultiHorizon, Some(Starter { certain: true })) => Some(format!(
            "over {limit} in two consecutive windows of at least {} requests",
            t::STARTER_CERTAIN_REQUESTS
        )),
        (Judge::MultiHorizon, _) => multi_horizon(window, end, horizons.fail_start(), limit),
    };

    // A poll that fails starts the look-back anew: nothing passes at it.
    let pass_start = if fails.is_some() { end } else { horizons.pass_start() };
    let passes_from = look_backs(end, pass_start).find(|&from| {
        let (n, k) = window.requests_and_errors(Slice::Canary, from, end);
        passes(n, k, limits)
    });
    let needed =
        passes_from.is_none().then(|| requests_needed(window, end, pass_start, limits)).flatten();
    let (n, k) = window.requests_and_errors(
        Slice::Canary,
        end.saturating_sub(t::WINDOW_BUCKETS).max(horizons.begin),
        end,
    );
    let complete = end.saturating_sub(pass_start);
    let waiting = match needed {
        Some(0) | None if complete < t::WINDOW_BUCKETS => {
            format!("{complete} of {} complete buckets since the last start", t::WINDOW_BUCKETS)
        }
        Some(needed) => format!("{needed} more requests without an error are needed to pass"),
        None => "no look-back is at or below the limit".to_owned(),
    };
    PollReading {
        fails,
        passes_from,
        broken_thinly: starter.is_some_and(|s| !s.certain),
        requests_needed: needed,
        value: (n > 0).then(|| k as f64 / n as f64),
        limit,
        waiting,
    }
}

/// Whether a window of the published rule ends here: its windows follow one
/// another from the start and do not slide.
fn ends_a_window(end: u64, start: u64) -> bool {
    end.saturating_sub(start).is_multiple_of(t::WINDOW_BUCKETS)
}

/// The published rule broken; `certain` where chance alone does not do that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Starter {
    certain: bool,
}

fn starter_rule(window: &Window, end: u64, start: u64, limits: &Thresholds) -> Option<Starter> {
    let middle = end.checked_sub(t::WINDOW_BUCKETS)?;
    let first = middle.checked_sub(t::WINDOW_BUCKETS)?;
    if first < start {
        return None;
    }
    let mut certain = true;
    for (from, to) in [(first, middle), (middle, end)] {
        let (n, k) = window.requests_and_errors(Slice::Canary, from, to);
        if n < limits.min_requests || k as f64 <= limits.canary_5xx_rate * n as f64 {
            return None;
        }
        certain &= n >= t::STARTER_CERTAIN_REQUESTS;
    }
    Some(Starter { certain })
}

fn multi_horizon(window: &Window, end: u64, start: u64, limit: f64) -> Option<String> {
    t::HORIZONS.iter().find_map(|h| {
        let from = end.saturating_sub(h.buckets).max(start);
        if end.saturating_sub(from) < t::MIN_HORIZON_BUCKETS {
            return None;
        }
        let (n, k) = window.requests_and_errors(Slice::Canary, from, end);
        let tail = binomial::tail(k, n, limit);
        let by_itself = n > 0 && tail <= h.tail;
        let by_comparison = || {
            h.buckets == t::COMPARED_BUCKETS
                && n > 0
                && tail <= t::COMPARED_TAIL
                && worse_than_stable(window, from, end, n, k)
        };
        if (by_itself || by_comparison()) && outlasts_bursts(window, from, end, h.buckets, n, limit)
        {
            Some(format!(
                "{k} errors in {n} requests over {} buckets; at {limit} that has a chance of {tail:.1e}",
                end - from
            ))
        } else {
            None
        }
    })
}

/// Conditional exact test: given all errors of both slices, would the canary's
/// share of requests put so many of them on the canary?
fn worse_than_stable(window: &Window, from: u64, end: u64, n: u64, k: u64) -> bool {
    let (stable_n, stable_k) = window.requests_and_errors(Slice::Stable, from, end);
    if stable_n == 0 || k == 0 {
        return false;
    }
    let share = n as f64 / (n + stable_n) as f64;
    binomial::tail(k, k + stable_k, share) <= t::COMPARED_STABLE_TAIL
}

/// Whether the horizon stays high without its worst buckets.
fn outlasts_bursts(
    window: &Window,
    from: u64,
    end: u64,
    nominal: u64,
    requests: u64,
    limit: f64,
) -> bool {
    let mut buckets: Vec<(u64, u64)> =
        window.range(from, end).map(|b| (b.canary.requests, b.canary.errors)).collect();
    buckets.sort_by(|a, b| {
        let excess = |&(n, k): &(u64, u64)| k as f64 - limit * n as f64;
        excess(b).total_cmp(&excess(a))
    });
    let (n, k) = buckets.iter().skip(t::BURST_BUCKETS).fold((0, 0), |(n, k), b| (n + b.0, k + b.1));
    if nominal <= t::BURST_SHORT_BUCKETS || requests < t::BURST_THIN_REQUESTS {
        binomial::tail(k, n, limit) <= t::BURST_TAIL
    } else {
        k as f64 > limit * n as f64
    }
}

/// Starts of the look-backs that end at `end`, shortest first.
pub(super) fn look_backs(end: u64, start: u64) -> impl Iterator<Item = u64> {
    (t::WINDOW_BUCKETS..=t::KEPT_BUCKETS)
        .map_while(move |length| end.checked_sub(length))
        .take_while(move |from| *from >= start)
}

/// Rate at most the limit, and its exact upper bound at most `pass_factor` times that.
fn passes(n: u64, k: u64, limits: &Thresholds) -> bool {
    let bad = (limits.canary_5xx_rate * limits.pass_factor).min(0.999);
    n > 0
        && k as f64 <= limits.canary_5xx_rate * n as f64
        && binomial::cdf(k, n, bad) <= 1.0 - limits.pass_level
}

/// Fewest further requests, none of them an error, after which some look-back
/// that exists today would pass. 0 where only time is missing.
fn requests_needed(window: &Window, end: u64, start: u64, limits: &Thresholds) -> Option<u64> {
    let longest = end.saturating_sub(t::KEPT_BUCKETS).max(start);
    let starts = look_backs(end, start).chain(std::iter::once(longest));
    starts
        .filter_map(|from| {
            let (n, k) = window.requests_and_errors(Slice::Canary, from, end);
            let most = 100_000_000;
            let (mut low, mut high) = (n.max(1), most);
            if !passes(high, k, limits) {
                return None;
            }
            while low < high {
                let middle = low + (high - low) / 2;
                if passes(middle, k, limits) {
                    high = middle;
                } else {
                    low = middle + 1;
                }
            }
            Some(low.saturating_sub(n))
        })
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Bucket;
    use rstest::rstest;

    fn window(canary: &[(u64, u64)]) -> Window {
        let mut w = Window::default();
        for (i, &(requests, errors)) in canary.iter().enumerate() {
            let mut b = Bucket { index: i as u64, ..Bucket::default() };
            b.canary.requests = requests;
            b.canary.errors = errors;
            w.add(&b);
        }
        w
    }

    fn judge(w: &Window, end: u64, judge: Judge) -> PollReading {
        evaluate(w, end, &Horizons::new(0), judge, &Thresholds::default())
    }

    #[rstest]
    #[case::two_bad_windows([(20, 1); 10].to_vec(), true)]
    #[case::at_the_limit([(200, 1); 10].to_vec(), false)]
    #[case::second_window_too_thin([[(20, 1); 5].to_vec(), [(19, 1); 5].to_vec()].concat(), false)]
    #[case::only_one_window([[(20, 0); 5].to_vec(), [(20, 1); 5].to_vec()].concat(), false)]
    #[case::nine_buckets([(20, 1); 9].to_vec(), false)]
    #[case::windows_do_not_slide([[(20, 0); 1].to_vec(), [(20, 1); 10].to_vec()].concat(), false)]
    fn two_windows(#[case] buckets: Vec<(u64, u64)>, #[case] fails: bool) {
        let w = window(&buckets);
        let reading = judge(&w, buckets.len() as u64, Judge::TwoWindows);
        assert_eq!(reading.fails.is_some(), fails);
    }

    #[test]
    fn four_hundred_and_fifty_nine_clean_requests_pass() {
        for (n, passes) in [(458, false), (459, true)] {
            let w = window(&[(n - 4, 0), (1, 0), (1, 0), (1, 0), (1, 0)]);
            assert_eq!(judge(&w, 5, Judge::MultiHorizon).passes_from.is_some(), passes, "{n}");
        }
    }

    #[test]
    fn says_how_many_requests_are_missing() {
        let w = window(&[(40, 0); 5]);
        assert_eq!(judge(&w, 5, Judge::MultiHorizon).requests_needed, Some(259));
        let w = window(&[(100, 0), (0, 0), (0, 0)]);
        assert_eq!(judge(&w, 3, Judge::MultiHorizon).requests_needed, Some(359));
    }

    #[test]
    fn one_burst_of_two_buckets_does_not_fail() {
        let mut buckets = [(900, 0); 30].to_vec();
        buckets[20] = (900, 400);
        buckets[21] = (900, 400);
        let w = window(&buckets);
        for end in 22..30 {
            assert_eq!(judge(&w, end, Judge::MultiHorizon).fails, None);
        }
    }

    #[test]
    fn a_fifth_of_answers_fails_after_three_buckets() {
        let w = window(&[(60, 12); 3]);
        assert!(judge(&w, 3, Judge::MultiHorizon).fails.is_some());
    }

    #[test]
    fn the_starter_rule_broken_thinly_is_reported() {
        let w = window(&[(100, 1); 10]);
        assert!(judge(&w, 10, Judge::MultiHorizon).broken_thinly);
    }

    #[test]
    fn nothing_passes_at_a_poll_that_fails() {
        let w = window(&[(60, 12); 10]);
        assert_eq!(judge(&w, 10, Judge::MultiHorizon).passes_from, None);
    }
}
