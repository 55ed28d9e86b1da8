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
use serde_json_borrow::Value;

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
        let value: Value = parse::json(text.as_bytes())?;
        let keys = Keys(&value);
        let schema = keys.text("schema")?;
        if schema != SCHEMA {
            return Err(format!(
                "schema: `{schema}` is not `{SCHEMA}`, update the policy or the filter"
            ));
        }
        let mut frozen_by = Vec::new();
        for cause in
            keys.get("frozen_by").and_then(Value::as_array).ok_or_else(|| wrong("frozen_by"))?
        {
            frozen_by
                .push(cause.as_str().and_then(Cause::parse).ok_or_else(|| wrong("frozen_by"))?);
        }
        Ok(Self {
            schema: schema.to_owned(),
            gateway: keys.text("gateway")?.to_owned(),
            az: keys.text("az")?.to_owned(),
            observed_at: keys.named("observed_at", Timestamp::parse)?,
            status: keys.named("status", Status::parse)?,
            canary_active: keys.flag("canary_active")?,
            degraded: keys.flag("degraded")?,
            frozen: keys.flag("frozen")?,
            frozen_by,
            aborted: keys.flag("aborted")?,
            asleep: keys.flag("asleep")?,
            disk: keys.named("disk", DiskLevel::parse)?,
            disk_tier: keys.named("disk_tier", DiskTier::parse)?,
            epoch: keys.number("epoch")?.ok_or_else(|| wrong("epoch"))?,
            promotion_frozen: keys.flag("promotion_frozen")?,
            maintenance: keys.flag("maintenance")?,
            az_under_test: keys.optional_text("az_under_test")?,
            stable_replicas: keys.replicas("stable_replicas")?,
            headroom: keys.replicas("headroom")?.ok_or_else(|| wrong("headroom"))?,
            skill_hash: keys.optional_text("skill_hash")?,
            stable_skill_hash: keys.optional_text("stable_skill_hash")?,
            reason: keys.text("reason")?.to_owned(),
        })
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

/// The keys of a verdict, read without copies: the policy reads a thousand of
/// them in one answer, and the derived reader (which the filter uses for what it
/// keeps itself) is a tenth of the module. A test holds the two in step.
/// Keys that are not known are a later version's.
struct Keys<'a>(&'a Value<'a>);

fn wrong(key: &str) -> String {
    format!("{key}: is missing or of another type")
}

impl<'a> Keys<'a> {
    /// Null is as good as absent.
    fn get(&self, key: &str) -> Option<&'a Value<'a>> {
        self.0.as_object()?.get(key).filter(|v| !v.is_null())
    }

    fn text(&self, key: &str) -> Result<&'a str, String> {
        self.get(key).and_then(Value::as_str).ok_or_else(|| wrong(key))
    }

    fn optional_text(&self, key: &str) -> Result<Option<String>, String> {
        self.get(key).map(|_| self.text(key).map(str::to_owned)).transpose()
    }

    fn named<T>(&self, key: &str, parse: fn(&str) -> Result<T, String>) -> Result<T, String> {
        parse(self.text(key)?).map_err(|e| format!("{key}: {e}"))
    }

    fn flag(&self, key: &str) -> Result<bool, String> {
        self.get(key).and_then(Value::as_bool).ok_or_else(|| wrong(key))
    }

    fn number(&self, key: &str) -> Result<Option<u64>, String> {
        self.get(key).map(|v| v.as_u64().ok_or_else(|| wrong(key))).transpose()
    }

    fn replicas(&self, key: &str) -> Result<Option<u32>, String> {
        self.number(key)?.map(|n| u32::try_from(n).map_err(|_| wrong(key))).transpose()
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
    #[case("{}", "schema: is missing")]
    #[case("null", "schema: is missing")]
    #[case("[]", "schema: is missing")]
    fn malformed_is_an_error(#[case] text: &str, #[case] expected: &str) {
        assert!(Verdict::parse(text).unwrap_err().contains(expected));
    }

    /// Each key taken out, and each with a value of another type: nothing but
    /// the optional ones may be absent, and none may be wrong.
    #[test]
    fn every_key_is_read() {
        let whole = Verdict {
            az_under_test: Some("a".into()),
            skill_hash: Some("x".into()),
            stable_skill_hash: Some("y".into()),
            frozen_by: vec![Cause::StateUnknown],
            ..idle("g", AT)
        };
        let json = serde_json::to_value(&whole).unwrap();
        assert_eq!(Verdict::parse(&json.to_string()).unwrap(), whole);
        let optional = ["az_under_test", "stable_replicas", "skill_hash", "stable_skill_hash"];
        for key in json.as_object().unwrap().keys() {
            let mut without = json.clone();
            without.as_object_mut().unwrap().remove(key);
            let read = Verdict::parse(&without.to_string());
            assert_eq!(read.is_ok(), optional.contains(&key.as_str()), "{key}: {read:?}");
            for odd in [
                serde_json::json!({}),
                serde_json::json!(-1),
                serde_json::json!([7]),
                serde_json::json!("odd"),
            ] {
                let mut wrong = json.clone();
                wrong[key] = odd.clone();
                let read = Verdict::parse(&wrong.to_string());
                let any_text = odd.is_string() && json[key].is_string();
                match read {
                    Err(e) => assert!(e.starts_with(key.as_str()), "{key}: {e}"),
                    Ok(_) => assert!(any_text, "{key} = {odd}"),
                }
            }
        }
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
