//! Points in time as values.
//!
//! Every function of this crate takes time as a parameter, on reads too: a
//! window that is only advanced by writes serves old numbers when traffic
//! stops. The type is milliseconds since the Unix epoch on the wall clock, in
//! documents written as RFC 3339.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since the Unix epoch, wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    pub const fn from_secs(s: i64) -> Self {
        Self(s.saturating_mul(1000))
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch; 0 before it.
    pub fn secs(self) -> u64 {
        u64::try_from(self.0.div_euclid(1000)).unwrap_or(0)
    }

    /// Seconds from `earlier` to `self`; negative when `earlier` is later.
    pub fn since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0).div_euclid(1000)
    }

    pub fn plus_secs(self, s: u64) -> Self {
        Self(self.0.saturating_add(i64::try_from(s).unwrap_or(i64::MAX).saturating_mul(1000)))
    }

    /// Reads RFC 3339 with any offset, as Kubernetes and people write it.
    ///
    /// # Errors
    /// A sentence that quotes the input.
    pub fn parse(text: &str) -> Result<Self, String> {
        DateTime::parse_from_rfc3339(text)
            .map(|t| Self(t.timestamp_millis()))
            .map_err(|_| format!("`{text}` is not an RFC 3339 time such as `2026-11-24T09:00:00Z`"))
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match DateTime::<Utc>::from_timestamp_millis(self.0) {
            Some(t) => f.write_str(&t.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            None => write!(f, "{}ms", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        crate::parse::text(d, Self::parse)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("2026-11-24T09:00:00Z", 1_795_510_800_000)]
    #[case("2026-11-24T10:00:00.250+01:00", 1_795_510_800_250)]
    #[case("1970-01-01T00:00:00Z", 0)]
    fn reads_rfc3339(#[case] text: &str, #[case] ms: i64) {
        assert_eq!(Timestamp::parse(text).unwrap().millis(), ms);
    }

    #[rstest]
    #[case("yesterday")]
    #[case("1764000000")]
    #[case("")]
    fn quotes_what_it_cannot_read(#[case] text: &str) {
        assert!(Timestamp::parse(text).unwrap_err().contains(&format!("`{text}`")));
    }

    #[test]
    fn writes_what_it_reads() {
        let t = Timestamp::from_millis(1_795_510_800_250);
        assert_eq!(Timestamp::parse(&t.to_string()).unwrap(), t);
    }
}
