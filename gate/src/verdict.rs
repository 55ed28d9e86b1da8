//! `verdict.v1`: what a gateway publishes and the policy reads.
//!
//! One ConfigMap a gateway, `canary-gate.GATEWAY`, so that a gateway's
//! credential can change no verdict but its own. The key holds compact JSON
//! and has no dot in its name, so that a field mask can name it.

use crate::document::Status;
use crate::facts::DiskTier;
use crate::hold::Cause;
use crate::parse::{self, Json};
use crate::signals::disk::DiskLevel;
use crate::time::Timestamp;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

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
        let keys: Keys = parse::json(text.as_bytes())?;
        let schema = keys.text(const { at("schema") })?;
        if schema != SCHEMA {
            return Err(format!(
                "schema: `{schema}` is not `{SCHEMA}`, update the policy or the filter"
            ));
        }
        let mut frozen_by = Vec::new();
        for cause in keys
            .get(const { at("frozen_by") })
            .and_then(Json::as_array)
            .ok_or_else(|| wrong(const { at("frozen_by") }))?
        {
            frozen_by.push(
                cause
                    .as_str()
                    .and_then(Cause::parse)
                    .ok_or_else(|| wrong(const { at("frozen_by") }))?,
            );
        }
        Ok(Self {
            schema: schema.to_owned(),
            gateway: keys.text(const { at("gateway") })?.to_owned(),
            az: keys.text(const { at("az") })?.to_owned(),
            observed_at: keys.named(const { at("observed_at") }, Timestamp::parse)?,
            status: keys.named(const { at("status") }, Status::parse)?,
            canary_active: keys.flag(const { at("canary_active") })?,
            degraded: keys.flag(const { at("degraded") })?,
            frozen: keys.flag(const { at("frozen") })?,
            frozen_by,
            aborted: keys.flag(const { at("aborted") })?,
            asleep: keys.flag(const { at("asleep") })?,
            disk: keys.named(const { at("disk") }, DiskLevel::parse)?,
            disk_tier: keys.named(const { at("disk_tier") }, DiskTier::parse)?,
            epoch: keys
                .number(const { at("epoch") })?
                .ok_or_else(|| wrong(const { at("epoch") }))?,
            promotion_frozen: keys.flag(const { at("promotion_frozen") })?,
            maintenance: keys.flag(const { at("maintenance") })?,
            az_under_test: keys.optional_text(const { at("az_under_test") })?,
            stable_replicas: keys.replicas(const { at("stable_replicas") })?,
            headroom: keys
                .replicas(const { at("headroom") })?
                .ok_or_else(|| wrong(const { at("headroom") }))?,
            skill_hash: keys.optional_text(const { at("skill_hash") })?,
            stable_skill_hash: keys.optional_text(const { at("stable_skill_hash") })?,
            reason: keys.text(const { at("reason") })?.to_owned(),
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

/// The keys, in the order in which they are written.
const KEYS: [&str; 22] = [
    "schema",
    "gateway",
    "az",
    "observed_at",
    "status",
    "canary_active",
    "degraded",
    "frozen",
    "frozen_by",
    "aborted",
    "asleep",
    "disk",
    "disk_tier",
    "epoch",
    "promotion_frozen",
    "maintenance",
    "az_under_test",
    "stable_replicas",
    "headroom",
    "skill_hash",
    "stable_skill_hash",
    "reason",
];

/// Place of a key; one that is not there does not compile.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler alone")]
const fn at(key: &str) -> usize {
    let mut i = 0;
    loop {
        let (mut j, known) = (0, KEYS[i].as_bytes());
        while j < known.len() && j < key.len() && known[j] == key.as_bytes()[j] {
            j += 1;
        }
        if j == known.len() && j == key.len() {
            return i;
        }
        i += 1;
    }
}

/// The values of a verdict, each in its place and without copies: the policy
/// reads a thousand of them in one answer, and the derived reader (which the
/// filter uses for what it keeps itself) is a tenth of the module. A test holds
/// the two in step. Keys that are not known are a later version's.
struct Keys<'a>([Json<'a>; KEYS.len()]);

impl<'de> Deserialize<'de> for Keys<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        const NO_MAP: &str = "is not a map";
        struct Places;
        impl<'de> Visitor<'de> for Places {
            type Value = Keys<'de>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a verdict")
            }
            // Serde's own answers to these print floats, seventeen kilobytes of it.
            fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
                Err(E::custom(NO_MAP))
            }
            fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
                Err(E::custom(NO_MAP))
            }
            fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
                Err(E::custom(NO_MAP))
            }
            fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
                Err(E::custom(NO_MAP))
            }
            fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
                Err(E::custom(NO_MAP))
            }
            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Err(E::custom(NO_MAP))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
                Err(A::Error::custom(NO_MAP))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut values = Keys(Default::default());
                let mut next = 0;
                while let Some(key) = map.next_key::<Json>()? {
                    let key = key.as_str().unwrap_or_default();
                    let is_next = KEYS.get(next) == Some(&key);
                    let place =
                        if is_next { Some(next) } else { KEYS.iter().position(|k| *k == key) };
                    let value = map.next_value()?;
                    if let Some(place) = place {
                        next = place + 1;
                        if let Some(slot) = values.0.get_mut(place) {
                            *slot = value;
                        }
                    }
                }
                Ok(values)
            }
        }
        d.deserialize_any(Places)
    }
}

fn wrong(place: usize) -> String {
    format!("{}: is missing or of another type", KEYS.get(place).unwrap_or(&""))
}

impl<'a> Keys<'a> {
    /// Null is as good as absent.
    fn get(&self, place: usize) -> Option<&Json<'a>> {
        self.0.get(place).filter(|v| !v.is_null())
    }

    fn text(&self, place: usize) -> Result<&str, String> {
        self.get(place).and_then(Json::as_str).ok_or_else(|| wrong(place))
    }

    fn optional_text(&self, place: usize) -> Result<Option<String>, String> {
        self.get(place).map(|_| self.text(place).map(str::to_owned)).transpose()
    }

    fn named<T>(&self, place: usize, parse: fn(&str) -> Result<T, String>) -> Result<T, String> {
        parse(self.text(place)?).map_err(|e| format!("{}: {e}", KEYS.get(place).unwrap_or(&"")))
    }

    fn flag(&self, place: usize) -> Result<bool, String> {
        self.get(place).and_then(Json::as_bool).ok_or_else(|| wrong(place))
    }

    fn number(&self, place: usize) -> Result<Option<u64>, String> {
        self.get(place).map(|v| v.as_u64().ok_or_else(|| wrong(place))).transpose()
    }

    fn replicas(&self, place: usize) -> Result<Option<u32>, String> {
        self.number(place)?.map(|n| u32::try_from(n).map_err(|_| wrong(place))).transpose()
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
    #[case("null", "is not a map")]
    #[case("[]", "is not a map")]
    #[case("true", "is not a map")]
    #[case("-7", "is not a map")]
    #[case("7.5", "is not a map")]
    #[case("\"text\"", "is not a map")]
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
