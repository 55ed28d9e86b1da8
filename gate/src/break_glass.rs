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
}

impl Override {
    /// Reads the JSON of the key.
    ///
    /// # Errors
    /// Every fault with its key, one text.
    pub fn parse(text: &str) -> Result<Self, String> {
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
        faults.or(Self { until, reason, by, ceiling }).map_err(|faults| faults.join("; "))
    }

    /// Whether it excuses anything now. One that lasts longer than anybody may
    /// write it was not checked when it was written, so it excuses nothing.
    pub fn is_valid(&self, now: Timestamp, max_duration_s: u64) -> bool {
        now < self.until && self.until <= now.plus_secs(max_duration_s)
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

    #[rstest]
    #[case::just_ended(0, false)]
    #[case::a_second(1, true)]
    #[case::the_most(14_400, true)]
    #[case::longer_than_anybody_may(14_401, false)]
    fn validity(#[case] seconds: u64, #[case] expected: bool) {
        let o = Override::parse(&text(NOW.plus_secs(seconds))).unwrap();
        assert_eq!(o.ceiling, 8);
        assert_eq!(o.is_valid(NOW, 14_400), expected);
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
        let e = Override::parse(text).unwrap_err();
        assert!(e.contains(expected), "{e}");
    }
}
