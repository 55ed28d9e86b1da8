//! The break-glass override: an object, so that it covers every path.
//!
//! An annotation would cover the object that carries it; an emergency raise
//! also has to pass `*/scale`, where the HPA controller writes. Who may write
//! the object is checked when it is written; while it is valid every raise up
//! to its ceiling passes with a warning that names who, why and until when.

use crate::fields::{Faults, Fields, Path};
use crate::parse;
use crate::time::Timestamp;

/// Key of the ConfigMap's `data`.
pub const OVERRIDE_KEY: &str = "override";
/// Between the prefix of state names and the lane; no gateway id may begin so.
pub const BREAK_GLASS: &str = "break-glass.";

/// Name of a lane's override ConfigMap.
pub fn config_map_name(lane: &str) -> String {
    crate::verdict::config_map_name(&format!("{BREAK_GLASS}{lane}"))
}

/// The value of `data.override`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    pub until: Timestamp,
    pub reason: String,
    /// User that wrote it.
    pub by: String,
    /// Replicas that every number may rise to.
    pub ceiling: u32,
    /// When its object was made, by the API server.
    pub created: Timestamp,
}

impl Override {
    /// Reads the JSON of the key, in an object that was made at `created`.
    ///
    /// # Errors
    /// Every fault with its key, one text.
    pub fn parse(text: &str, created: Timestamp) -> Result<Self, String> {
        let value = parse::tree(text.as_bytes())?;
        let mut faults = Faults::default();
        let mut f = Fields::of(&value, Path::Top, &mut faults);
        let until = f.parsed("until", Timestamp::parse);
        let (reason, by) = (f.required("reason"), f.required("by"));
        let ceiling = f.number("ceiling");
        for (key, missing) in [("until", until.is_none()), ("ceiling", ceiling.is_none())] {
            if missing && value.get(key).is_null() {
                f.fault(key, "is missing");
            }
        }
        f.finish();
        let (until, ceiling) = (until.unwrap_or_default(), ceiling.unwrap_or_default());
        faults.or(Self { until, reason, by, ceiling, created }).map_err(|faults| faults.join("; "))
    }

    /// When it ends: as it says, and no later than an override of its age may last. Nothing
    /// that is read shows that it was checked when it was written, but for when that was.
    pub fn ends(&self, max_duration_s: u64) -> Timestamp {
        self.until.min(self.created.plus_secs(max_duration_s))
    }

    /// Whether it excuses anything now.
    pub fn is_valid(&self, now: Timestamp, max_duration_s: u64) -> bool {
        now < self.ends(max_duration_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const NOW: Timestamp = Timestamp::from_secs(1_795_510_800);

    fn text(until: Timestamp) -> String {
        format!(r#"{{"until":"{until}","reason":"incident 7","by":"alice","ceiling":8}}"#)
    }

    /// Seconds from being made: now, and `until`.
    #[rstest]
    #[case::just_ended(60, 60, false)]
    #[case::a_second(60, 61, true)]
    #[case::the_last_second(14_399, 14_400, true)]
    #[case::as_old_as_one_may_be(14_400, 20_000, false)]
    #[case::planted_long_ago(900_000, 900_060, false)]
    fn validity(#[case] now: u64, #[case] until: u64, #[case] expected: bool) {
        let o = Override::parse(&text(NOW.plus_secs(until)), NOW).unwrap();
        assert_eq!(o.ceiling, 8);
        assert_eq!(o.is_valid(NOW.plus_secs(now), 14_400), expected);
    }

    #[rstest]
    #[case("", "EOF")]
    #[case("{}", "reason: is missing or empty; by: is missing or empty; until: is missing; ceiling: is missing")]
    #[case(
        r#"{"until":"soon","reason":"x","by":"y","ceiling":8}"#,
        "until: `soon` is not an RFC 3339 time"
    )]
    #[case(
        r#"{"until":"2026-11-24T09:00:00Z","reason":"x","by":"y","ceiling":-8}"#,
        "ceiling: `-8`"
    )]
    #[case(
        r#"{"until":"2026-11-24T09:00:00Z","reason":"x","by":"y","ceiling":8,"max":9}"#,
        "unknown field `max`"
    )]
    fn malformed_is_an_error(#[case] text: &str, #[case] expected: &str) {
        let e = Override::parse(text, NOW).unwrap_err();
        assert!(e.contains(expected), "{e}");
    }
}
