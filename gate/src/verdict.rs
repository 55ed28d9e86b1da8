//! `verdict.v1`: what a gateway publishes and the policy reads.
//!
//! One ConfigMap a gateway, `canary-gate.GATEWAY`, so that a gateway's
//! credential can change no verdict but its own. The key holds compact JSON
//! and has no dot in its name, so that a field mask can name it.

use crate::document::Status;
use crate::facts::DiskTier;
use crate::hold::Cause;
use crate::parse;
use crate::signals::disk::DiskLevel;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Value of `schema`.
pub const SCHEMA: &str = "verdict.v1";
/// Label on every state ConfigMap; its value is the lane.
pub const LANE_LABEL: &str = "canary-gate.dev/lane";
/// Keys of the ConfigMap's `data`.
pub const VERDICT_KEY: &str = "verdict";
pub const MERGED_KEY: &str = "merged";
pub const STATE_KEY: &str = "state";

/// Name of a gateway's state ConfigMap.
pub fn config_map_name(gateway: &str) -> String {
    format!("canary-gate.{gateway}")
}

/// One gateway's verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verdict {
    pub schema: String,
    pub gateway: String,
    pub az: String,
    pub observed_at: Timestamp,
    pub status: Status,
    pub canary_active: bool,
    pub degraded: bool,
    pub frozen: bool,
    pub frozen_by: Vec<Cause>,
    pub aborted: bool,
    pub asleep: bool,
    pub disk: DiskLevel,
    pub disk_tier: DiskTier,
    /// Start of the process that judges, seconds since the epoch; a higher one wins.
    pub epoch: u64,
    pub promotion_frozen: bool,
    pub maintenance: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub az_under_test: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_replicas: Option<u32>,
    pub headroom: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill_hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_skill_hash: Option<String>,
    pub reason: String,
}

impl Verdict {
    /// Reads the value of `data.verdict`.
    ///
    /// # Errors
    /// The JSON path that is wrong, or a schema of another version.
    pub fn parse(text: &str) -> Result<Self, String> {
        let verdict: Verdict = parse::json(text.as_bytes())?;
        if verdict.schema != SCHEMA {
            return Err(format!(
                "schema: `{}` is not `{SCHEMA}`, update the policy or the filter",
                verdict.schema
            ));
        }
        Ok(verdict)
    }

    /// Whether `self` must be published at once although `last` is out there:
    /// anything but the time and the wording changed.
    pub fn differs(&self, last: &Verdict) -> bool {
        let mut same = last.clone();
        same.observed_at = self.observed_at;
        same.reason.clone_from(&self.reason);
        *self != same
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rstest::rstest;

    /// A healthy, idle gateway in AZ a.
    pub(crate) fn idle(gateway: &str, at: Timestamp) -> Verdict {
        Verdict {
            schema: SCHEMA.into(),
            gateway: gateway.into(),
            az: "a".into(),
            observed_at: at,
            status: Status::Healthy,
            canary_active: false,
            degraded: false,
            frozen: false,
            frozen_by: vec![],
            aborted: false,
            asleep: false,
            disk: DiskLevel::Ok,
            disk_tier: DiskTier::Tb1,
            epoch: 1,
            promotion_frozen: false,
            maintenance: false,
            az_under_test: None,
            stable_replicas: Some(6),
            headroom: 1,
            skill_hash: None,
            stable_skill_hash: None,
            reason: String::new(),
        }
    }

    const AT: Timestamp = Timestamp::from_secs(1_795_510_800);

    #[test]
    fn reads_what_it_writes() {
        let v = idle("gw-a1", AT);
        assert_eq!(Verdict::parse(&serde_json::to_string(&v).unwrap()).unwrap(), v);
    }

    #[rstest]
    #[case("", "EOF")]
    #[case("{}", "missing field")]
    #[case("null", "invalid type")]
    fn malformed_is_an_error(#[case] text: &str, #[case] expected: &str) {
        assert!(Verdict::parse(text).unwrap_err().contains(expected));
    }

    #[test]
    fn another_schema_version_is_named() {
        let v = Verdict { schema: "verdict.v2".into(), ..idle("g", AT) };
        let e = Verdict::parse(&serde_json::to_string(&v).unwrap()).unwrap_err();
        assert!(e.contains("`verdict.v2`"));
    }

    #[test]
    fn time_and_wording_alone_do_not_differ() {
        let a = idle("g", AT);
        let b = Verdict { observed_at: AT.plus_secs(5), reason: "x".into(), ..a.clone() };
        assert!(!b.differs(&a));
        assert!(Verdict { frozen: true, ..a.clone() }.differs(&a));
    }
}
