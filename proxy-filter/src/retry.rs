//! Exponential backoff with jitter, as a pure function.

use gate::time::Timestamp;

/// First delay, milliseconds.
const BASE_MS: u64 = 1_000;
/// Longest delay, milliseconds.
const MOST_MS: u64 = 30_000;
/// Failures in a row after which a digest says so.
pub const TOLD_AFTER: u32 = 3;

/// Delay before attempt number `failures` + 1: doubled for each failure, and
/// spread by ± 25 % with `seed`, so that gateways do not retry in step.
pub fn delay_ms(failures: u32, seed: u64) -> u64 {
    let plain = BASE_MS.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(MOST_MS);
    spread(plain, 25, seed)
}

/// `value` plus or minus up to `percent`, by `seed`.
pub fn spread(value: u64, percent: u64, seed: u64) -> u64 {
    // splitmix64: neighbouring seeds give unrelated spreads.
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    let width = value * percent / 100;
    value - width + z % (2 * width + 1)
}

/// When something is to be done next, and how often it failed in a row.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    failures: u32,
    /// From when until when it waits.
    waits: Option<(Timestamp, Timestamp)>,
}

impl Pace {
    /// Before it began to wait is after the clock was set back.
    pub fn is_due(&self, now: Timestamp) -> bool {
        !self.waits.is_some_and(|(from, until)| (from..until).contains(&now))
    }

    /// It was done, and is to be done again in `s` seconds.
    pub fn done(&mut self, now: Timestamp, s: u64) {
        self.failures = 0;
        self.waits = Some((now, now.plus_secs(s)));
    }

    /// The delay until the next attempt, milliseconds; at least what the server asked for.
    pub fn failed(&mut self, now: Timestamp, seed: u64, asked_ms: u64) -> u64 {
        self.failures = self.failures.saturating_add(1);
        let delay_ms = delay_ms(self.failures, seed).max(asked_ms);
        let at = now.millis().saturating_add(i64::try_from(delay_ms).unwrap_or(i64::MAX));
        self.waits = Some((now, Timestamp::from_millis(at)));
        delay_ms
    }

    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    pub fn attempts(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn a_pace_waits_doubles_and_starts_over() {
        let now = Timestamp::from_secs(1_000);
        let mut pace = Pace::default();
        assert!(pace.is_due(now));
        let first = pace.failed(now, 7, 0);
        assert!(!pace.is_due(now) && pace.is_due(now.plus_secs(2)));
        assert!(pace.failed(now, 7, 0) > first && pace.attempts() == 2);
        pace.done(now, 60);
        assert_eq!((pace.attempts(), pace.is_due(now.plus_secs(59))), (0, false));
        assert!(pace.is_due(now.plus_secs(60)));
        assert_eq!(pace.failed(now, 7, 20_000), 20_000);
        // The clock was set back by a minute.
        assert!(pace.is_due(Timestamp::from_secs(940)));
    }

    #[rstest]
    #[case(1, 1_000)]
    #[case(2, 2_000)]
    #[case(5, 16_000)]
    #[case(6, 30_000)]
    #[case(4_000_000_000, 30_000)]
    fn doubles_up_to_the_most(#[case] failures: u32, #[case] expected: u64) {
        for seed in 0..200 {
            let d = delay_ms(failures, seed);
            assert!((expected * 3 / 4..=expected * 5 / 4).contains(&d), "{d}");
        }
    }
}
