//! What the gateway's node reports of itself: the body of `PUT /keda/facts`.
//!
//! A launchd job on the Mac sends it; its own `at` decides its age, so facts
//! that were kept over a restart are as old as they were.

use crate::parse::{self, MAX_TEXT};
use crate::threshold::MAX_FUTURE_S;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

crate::named_enum! {
    /// Size class of a gateway's disk; each has its own yellow watermark.
    #[derive(Default)]
    pub enum DiskTier {
        #[default]
        Tb1 = "1TB",
        Tb2 = "2TB",
    }
}

/// Node facts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// When the node read them.
    pub at: Timestamp,
    /// Percent of the disk in use, 0–100.
    pub disk_used_pct: f64,
    /// Overrides the tier of the plugin configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_tier: Option<DiskTier>,
    pub doctor_ok: bool,
    /// Names of the deep checks that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doctor_failures: Vec<String>,
    /// Hash of the skill pack the node runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill_hash: Option<String>,
    /// Pending build jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_depth: Option<u64>,
    /// The node's own verdict on itself.
    #[serde(default)]
    pub degraded: bool,
}

const MAX_FAILURES: usize = 32;

impl Facts {
    /// Reads and checks a body. `now` bounds how far in the future `at` may be.
    ///
    /// # Errors
    /// The JSON path that is wrong, and how.
    pub fn parse(body: &[u8], now: Timestamp) -> Result<Self, String> {
        let facts: Facts = parse::json(body)?;
        if facts.at.since(now) > MAX_FUTURE_S {
            return Err(format!(
                "at: `{}` is {} s in the future, check the node's clock",
                facts.at,
                facts.at.since(now)
            ));
        }
        if !(0.0..=100.0).contains(&facts.disk_used_pct) {
            return Err(format!("disk_used_pct: {} is outside 0 to 100", facts.disk_used_pct));
        }
        if facts.doctor_failures.len() > MAX_FAILURES {
            return Err(format!("doctor_failures: more than {MAX_FAILURES} names"));
        }
        let texts = facts.doctor_failures.iter().map(|t| ("doctor_failures", t));
        for (key, text) in texts.chain(facts.skill_hash.iter().map(|t| ("skill_hash", t))) {
            if text.len() > MAX_TEXT {
                return Err(format!("{key}: longer than {MAX_TEXT} bytes"));
            }
        }
        Ok(facts)
    }

    /// What to say of facts that are stale as they arrive.
    pub fn too_old(&self, now: Timestamp, max_age_s: u64) -> Option<String> {
        (self.age_s(now) > max_age_s).then(|| {
            format!(
                "at: `{}` is {} s ago, and {max_age_s} s is the most; check the node's clock",
                self.at,
                self.age_s(now)
            )
        })
    }

    /// Age in seconds; 0 for facts from the near future.
    pub fn age_s(&self, now: Timestamp) -> u64 {
        u64::try_from(now.since(self.at)).unwrap_or(0)
    }

    /// Dated further ahead than clocks differ: it was put before the clock was corrected.
    pub fn is_future(&self, now: Timestamp) -> bool {
        self.at.since(now) > MAX_FUTURE_S
    }

    pub fn is_fresh(&self, now: Timestamp, max_age_s: u64) -> bool {
        !self.is_future(now) && self.age_s(now) <= max_age_s
    }

    /// Whether `other` replaces these facts: it is as new, or these are from the future.
    pub fn yields_to(&self, other: &Facts, now: Timestamp) -> bool {
        other.at >= self.at || self.is_future(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const NOW: Timestamp = Timestamp::from_secs(1_795_510_800); // 2026-11-24T09:00:00Z

    #[rstest]
    #[case(r#"{"at":"2026-11-24T09:00:00Z","disk_used_pct":71.2,"doctor_ok":true}"#)]
    #[case(r#"{"at":"2026-11-24T08:00:00Z","disk_used_pct":0,"disk_tier":"2TB","doctor_ok":false,"doctor_failures":["x"],"skill_hash":"c4e1","queue_depth":5,"degraded":true}"#)]
    fn accepts(#[case] body: &str) {
        Facts::parse(body.as_bytes(), NOW).unwrap();
    }

    #[rstest]
    #[case("", "EOF")]
    #[case("[]", "facts")]
    #[case(r#"{"at":"soon","disk_used_pct":1,"doctor_ok":true}"#, "at: `soon`")]
    #[case(r#"{"at":"2026-11-24T09:01:00Z","disk_used_pct":1,"doctor_ok":true}"#, "at: ")]
    #[case(
        r#"{"at":"2026-11-24T09:00:00Z","disk_used_pct":"71","doctor_ok":true}"#,
        "disk_used_pct: "
    )]
    #[case(
        r#"{"at":"2026-11-24T09:00:00Z","disk_used_pct":101,"doctor_ok":true}"#,
        "disk_used_pct: 101"
    )]
    #[case(
        r#"{"at":"2026-11-24T09:00:00Z","disk_used_pct":1,"doctor_ok":true,"queue_depth":-1}"#,
        "queue_depth: "
    )]
    #[case(
        r#"{"at":"2026-11-24T09:00:00Z","disk_used_pct":1,"doctor_ok":true,"disk":1}"#,
        "unknown field `disk`"
    )]
    #[case(r#"{"at":"2026-11-24T09:00:00Z","disk_used_pct":1}"#, "missing field `doctor_ok`")]
    fn names_what_is_wrong(#[case] body: &str, #[case] expected: &str) {
        let e = Facts::parse(body.as_bytes(), NOW).unwrap_err();
        assert!(e.to_lowercase().contains(&expected.to_lowercase()), "{e}");
    }

    #[test]
    fn bytes_that_are_no_utf8_are_an_error() {
        Facts::parse(&[0x80, 0xff], NOW).unwrap_err();
    }
}
