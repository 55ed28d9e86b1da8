//! Every threshold and every constant of the judges, defined once.
//!
//! Other crates take these by name and repeat no number. What a team may tune
//! is a field of [`Thresholds`], with the published default; what belongs to
//! the statistics is a constant below, with the reason it has that value in
//! `docs/signals.md`.

use serde::{Deserialize, Serialize};

/// The tunable limits of the signals, as written under `thresholds:` in the
/// plugin configuration. Absent keys have the published defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// Highest acceptable share of 5xx answers on the canary slice, 0–1.
    pub canary_5xx_rate: f64,
    /// Highest acceptable p99 of the canary slice, milliseconds.
    pub canary_p99_ms: f64,
    /// Highest acceptable p99 of the canary over stable's, as a fraction (0.15 is 15 %).
    pub p99_regression: f64,
    /// Queue depth above which a canary gets no more weight, pending jobs.
    pub queue_depth: u64,
    /// Yellow watermark of a 1 TB disk, percent used.
    pub disk_yellow_1tb_pct: f64,
    /// Yellow watermark of a 2 TB disk, percent used.
    pub disk_yellow_2tb_pct: f64,
    /// Red watermark of any disk, percent used.
    pub disk_red_pct: f64,
    /// Age beyond which node facts no longer count, seconds.
    pub facts_max_age_s: u64,
    /// Fewest requests a starter-rule window must hold to be judged.
    pub min_requests: u64,
    /// One-sided confidence with which a passing look-back must be good, 0–1.
    pub pass_level: f64,
    /// How far above `canary_5xx_rate` the upper bound of a passing look-back may lie.
    pub pass_factor: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            canary_5xx_rate: 0.005,
            canary_p99_ms: 220.0,
            p99_regression: 0.15,
            queue_depth: 12,
            disk_yellow_1tb_pct: 82.0,
            disk_yellow_2tb_pct: 78.0,
            disk_red_pct: 90.0,
            facts_max_age_s: 90,
            min_requests: 100,
            pass_level: 0.99,
            pass_factor: 2.0,
        }
    }
}

impl Thresholds {
    /// # Errors
    /// The key that is out of range, its value and the range.
    pub fn validate(&self) -> Result<(), String> {
        let ranges = [
            ("canary_5xx_rate", self.canary_5xx_rate, 1e-6, 0.4),
            ("canary_p99_ms", self.canary_p99_ms, 1.0, 60_000.0),
            ("p99_regression", self.p99_regression, 0.0, 10.0),
            ("disk_yellow_1tb_pct", self.disk_yellow_1tb_pct, 1.0, 100.0),
            ("disk_yellow_2tb_pct", self.disk_yellow_2tb_pct, 1.0, 100.0),
            ("disk_red_pct", self.disk_red_pct, 1.0, 100.0),
            ("pass_level", self.pass_level, 0.5, 0.999_999),
            ("pass_factor", self.pass_factor, 1.0, 2.5),
        ];
        for (key, value, low, high) in ranges {
            // NaN is in no range.
            if !(low..=high).contains(&value) {
                return Err(format!("thresholds.{key}: {value} is outside {low} to {high}"));
            }
        }
        for (key, yellow) in [
            ("disk_yellow_1tb_pct", self.disk_yellow_1tb_pct),
            ("disk_yellow_2tb_pct", self.disk_yellow_2tb_pct),
        ] {
            if yellow >= self.disk_red_pct {
                return Err(format!(
                    "thresholds.{key}: {yellow} is not below disk_red_pct, {}: yellow would never be",
                    self.disk_red_pct
                ));
            }
        }
        for (key, value) in
            [("facts_max_age_s", self.facts_max_age_s), ("min_requests", self.min_requests)]
        {
            if value == 0 {
                return Err(format!("thresholds.{key}: 0 is not allowed, use 1 or more"));
            }
        }
        Ok(())
    }
}

/// Buckets of one window of the published rule: five minutes of one-minute buckets.
pub const WINDOW_BUCKETS: u64 = 5;
/// Buckets kept; the longest horizon and look-back.
pub const KEPT_BUCKETS: u64 = 60;
/// Fewest buckets a horizon that reaches before its start may use.
pub const MIN_HORIZON_BUCKETS: u64 = 3;

/// A failing horizon of the multi-horizon judge: length in buckets, and the
/// exact binomial tail at or below which it fails.
pub struct Horizon {
    pub buckets: u64,
    pub tail: f64,
}

/// The horizons of `multi-horizon`, shortest first.
pub const HORIZONS: [Horizon; 5] = [
    Horizon { buckets: 3, tail: 1e-5 },
    Horizon { buckets: 5, tail: 1e-4 },
    Horizon { buckets: 10, tail: 0.012 },
    Horizon { buckets: 30, tail: 1e-3 },
    Horizon { buckets: 60, tail: 1e-3 },
];

/// The horizon that may also fail by comparison with stable …
pub const COMPARED_BUCKETS: u64 = 10;
/// … when its own tail is at most this …
pub const COMPARED_TAIL: f64 = 0.05;
/// … and the conditional exact test against stable at most this.
pub const COMPARED_STABLE_TAIL: f64 = 1e-4;

/// Worst buckets removed before a horizon may count: one 30-second burst lies in at most two.
pub const BURST_BUCKETS: usize = 2;
/// What the remaining tail may be where a horizon is short or thin.
pub const BURST_TAIL: f64 = 0.25;
/// Up to this nominal length a horizon is short.
pub const BURST_SHORT_BUCKETS: u64 = 5;
/// Below this many requests a horizon is thin.
pub const BURST_THIN_REQUESTS: u64 = 500;

/// Requests in each window from which a broken starter rule fails at once.
pub const STARTER_CERTAIN_REQUESTS: u64 = 5_000;

/// Fewest latency samples for any judgement on p99.
pub const P99_MIN_SAMPLES: u64 = 300;
/// The quantile.
pub const P99: f64 = 0.99;
/// Buckets of the long comparison of p99 with stable, and its two levels.
pub const P99_LONG_BUCKETS: u64 = 30;
pub const P99_LONG_CANARY_LEVEL: f64 = 1e-4;
/// Level of stable's upper bound, on both comparisons.
pub const P99_STABLE_LEVEL: f64 = 0.05;
/// Buckets of the short comparison, and the level of the canary's lower bound there and against the limit.
pub const P99_SHORT_BUCKETS: u64 = 10;
pub const P99_SHORT_CANARY_LEVEL: f64 = 0.01;

/// Clean polls in a row that thaw a first freeze.
pub const CLEAN_POLLS: u32 = 2;
/// The most that re-freezing can double them to.
pub const CLEAN_POLLS_MAX: u32 = 32;
/// A freeze within this many seconds of a thaw is a re-freeze.
pub const REFREEZE_S: i64 = 3_600;
/// Polls in a row with a canary signal in `fail` that abort, where `abort_on_fail` is set.
pub const ABORT_POLLS: u32 = 2;

/// How far in the future a reading may be dated before it is no reading, seconds.
pub const MAX_FUTURE_S: i64 = 30;

/// How long the previous digest of a token counts after a rotation, seconds.
/// KEDA keeps an old token until it fails, so this is long.
pub const TOKEN_OVERLAP_S: u64 = 7 * 24 * 3_600;

/// How long before that ends it is told, seconds.
pub const TOKEN_WARN_BEFORE_S: i64 = 24 * 3_600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        Thresholds::default().validate().unwrap();
    }

    #[test]
    fn names_the_key_that_is_out_of_range() {
        let t = Thresholds { canary_5xx_rate: f64::NAN, ..Thresholds::default() };
        assert!(t.validate().unwrap_err().contains("thresholds.canary_5xx_rate"));
        let t = Thresholds { min_requests: 0, ..Thresholds::default() };
        assert!(t.validate().unwrap_err().contains("thresholds.min_requests"));
    }

    #[test]
    fn unknown_key_is_named_with_the_valid_ones() {
        let e = serde_json::from_str::<Thresholds>(r#"{"p99":1}"#).unwrap_err().to_string();
        assert!(e.contains("`p99`") && e.contains("`canary_p99_ms`"), "{e}");
    }
}
