//! Rotation of a caller's token: for how long its previous digest counts beside
//! the new one, and from when on that end is told.

use crate::threshold::{TOKEN_OVERLAP_S, TOKEN_WARN_BEFORE_S};
use crate::time::Timestamp;

/// When the previous digest stops to count: never before everybody has polled once.
pub fn ends(rotated_at: Timestamp, poll_s: u64) -> Timestamp {
    rotated_at.plus_secs(TOKEN_OVERLAP_S.max(poll_s))
}

/// Whether that end is near, and not over.
pub fn ends_soon(ends: Timestamp, now: Timestamp) -> bool {
    (0..=TOKEN_WARN_BEFORE_S).contains(&ends.since(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const ROTATED: i64 = 1_795_500_000;
    const POLL_S: u64 = 60;

    #[rstest]
    #[case(0, false)]
    #[case(6 * 86_400 - 1, false)]
    #[case(6 * 86_400, true)]
    #[case(7 * 86_400, true)]
    #[case(7 * 86_400 + 1, false)]
    fn the_last_day_of_seven(#[case] after_s: i64, #[case] soon: bool) {
        let ends = ends(Timestamp::from_secs(ROTATED), POLL_S);
        assert_eq!(ends_soon(ends, Timestamp::from_secs(ROTATED + after_s)), soon);
    }

    #[test]
    fn who_polls_more_seldom_has_longer() {
        let rotated_at = Timestamp::from_secs(ROTATED);
        assert_eq!(ends(rotated_at, 8 * 86_400).since(rotated_at), 8 * 86_400);
    }
}
