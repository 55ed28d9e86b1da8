//! The policy's settings: parsed strictly, all faults reported at once.
//!
//! A key that is not known is an error that names it and lists the valid ones:
//! a misspelt `stableReplicas` that is silently ignored would be a cap that
//! does not exist.

use gate::lane::{Declared, Target};
use gate::rule::Rule;
use gate::slice::Slice;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use std::fmt;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Settings {
    pub lanes: Vec<Lane>,
    /// Annotation on the pod template that holds the skill hash.
    #[serde(default)]
    pub skill_hash_annotation: Option<String>,
    #[serde(default)]
    pub mode: Mode,
    #[serde(default, deserialize_with = "pairs")]
    rules: Vec<(Rule, Enforcement)>,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub break_glass: Option<BreakGlass>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Lane {
    pub name: String,
    pub namespace: String,
    pub targets: Vec<Target>,
    /// Reviewed in Git; where a verdict states one too, the lower wins. Absent
    /// means that nothing may rise while a canary is active.
    #[serde(default)]
    pub stable_replicas: Option<u32>,
    #[serde(default)]
    pub headroom: u32,
    #[serde(default)]
    pub min_replicas: MinReplicas,
    /// Each must be present and fresh.
    pub gateways: Vec<Gateway>,
    #[serde(default = "default_max_state_age")]
    pub max_state_age: Seconds,
    #[serde(default)]
    pub when_stale: WhenStale,
    #[serde(default, rename = "measurementURLs")]
    pub measurement_urls: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MinReplicas {
    pub stable: u32,
    pub canary: u32,
}

impl Default for MinReplicas {
    fn default() -> Self {
        Self { stable: 1, canary: 0 }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    pub id: String,
    pub az: String,
    /// The only user that may write this gateway's state.
    #[serde(default)]
    pub writer: Option<String>,
}

gate::named_enum! {
    #[derive(Default)]
    pub enum Mode {
        #[default]
        Reject = "reject",
        Clamp = "clamp",
    }
}

gate::named_enum! {
    #[derive(Default)]
    pub enum WhenStale {
        #[default]
        Freeze = "freeze",
        Cap = "cap",
    }
}

gate::named_enum! {
    #[derive(Default)]
    pub enum Enforcement {
        #[default]
        Enforce = "enforce",
        Warn = "warn",
        Off = "off",
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Limits {
    pub queue_threshold: u64,
    /// Seconds.
    pub cooldown_period: u64,
    /// Seconds.
    pub maintenance_polling_interval: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { queue_threshold: 8, cooldown_period: 120, maintenance_polling_interval: 60 }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BreakGlass {
    pub groups: Vec<String>,
    pub max_duration: Seconds,
}

/// A duration written `180s`, `3m` or `4h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub u64);

/// A map as pairs, in the order written.
fn pairs<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<(Rule, Enforcement)>, D::Error> {
    struct Pairs;
    impl<'de> Visitor<'de> for Pairs {
        type Value = Vec<(Rule, Enforcement)>;
        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a map of rules to enforce, warn or off")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some(pair) = map.next_entry()? {
                pairs.push(pair);
            }
            Ok(pairs)
        }
    }
    d.deserialize_map(Pairs)
}

fn default_max_state_age() -> Seconds {
    Seconds(180)
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        gate::parse::text(d, Self::parse)
    }
}

impl Seconds {
    fn parse(text: &str) -> Result<Self, String> {
        let parsed = text.split_at_checked(text.len().saturating_sub(1)).and_then(|(n, unit)| {
            let factor = match unit {
                "s" => 1,
                "m" => 60,
                "h" => 3600,
                _ => return None,
            };
            n.parse::<u64>().ok()?.checked_mul(factor)
        });
        parsed
            .map(Seconds)
            .ok_or_else(|| format!("`{text}` is not a duration such as `180s`, `3m` or `4h`"))
    }
}

/// Why settings are not usable; the text lists every fault.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("settings: {}", .0.join("; "))]
pub struct SettingsError(Vec<String>);

impl Settings {
    /// Reads and checks settings.
    ///
    /// # Errors
    /// Every fault, each with its path.
    pub fn parse(bytes: &[u8]) -> Result<Self, SettingsError> {
        let settings: Settings = gate::parse::json(bytes).map_err(|e| {
            let hint = if e.contains("lanes: invalid type: map") {
                ": `lanes` is a list; a generated form may have turned it into a map, write it as YAML"
            } else {
                ""
            };
            SettingsError(vec![format!("{e}{hint}")])
        })?;
        settings.checked()
    }

    /// # Errors
    /// Every fault that the types cannot express.
    pub fn checked(self) -> Result<Self, SettingsError> {
        let faults = self.faults();
        if faults.is_empty() {
            Ok(self)
        } else {
            Err(SettingsError(faults))
        }
    }

    pub fn enforcement(&self, rule: Rule) -> Enforcement {
        self.rules.iter().find(|r| r.0 == rule).map(|r| r.1).unwrap_or_default()
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.lanes.is_empty() {
            faults.push("lanes: at least one lane is needed".to_owned());
        }
        for (i, lane) in self.lanes.iter().enumerate() {
            lane.faults(&format!("lanes[{i}]"), &mut faults);
            if self
                .lanes
                .iter()
                .take(i)
                .any(|l| l.name == lane.name && l.namespace == lane.namespace)
            {
                faults.push(format!("lanes[{i}].name: `{}` is there twice", lane.name));
            }
        }
        let targets =
            || self.lanes.iter().flat_map(|l| l.targets.iter().map(move |t| (&l.namespace, t)));
        for (i, (namespace, target)) in targets().enumerate() {
            let same = |(n, t): (&String, &Target)| {
                n == namespace && t.kind == target.kind && t.name == target.name
            };
            if targets().take(i).any(same) {
                faults.push(format!(
                    "lanes: target {} {namespace}/{} is there twice",
                    target.kind.name(),
                    target.name
                ));
            }
        }
        if let Some(b) = &self.break_glass {
            if b.groups.is_empty() {
                faults.push("breakGlass.groups: at least one group is needed".to_owned());
            }
            if b.max_duration.0 == 0 {
                faults.push("breakGlass.maxDuration: must be longer than 0s".to_owned());
            }
        }
        faults
    }
}

impl Lane {
    fn faults(&self, path: &str, faults: &mut Vec<String>) {
        for (key, value) in [("name", &self.name), ("namespace", &self.namespace)] {
            if value.is_empty() {
                faults.push(format!("{path}.{key}: is empty"));
            }
        }
        if self.targets.is_empty() {
            faults.push(format!("{path}.targets: at least one target is needed"));
        }
        if self.gateways.is_empty() {
            faults.push(format!("{path}.gateways: at least one gateway is needed"));
        }
        if self.max_state_age.0 == 0 {
            faults.push(format!("{path}.maxStateAge: must be longer than 0s"));
        }
        for (i, target) in self.targets.iter().enumerate() {
            if target.name.is_empty() {
                faults.push(format!("{path}.targets[{i}].name: is empty"));
            }
            if let Some(az) = &target.az {
                if !self.gateways.iter().any(|g| g.az == *az) {
                    faults.push(format!("{path}.targets[{i}].az: no gateway is in az `{az}`"));
                }
            }
        }
        // There may be a thousand.
        let mut seen = Map::new();
        for (i, gateway) in self.gateways.iter().enumerate() {
            if gateway.id.is_empty() {
                faults.push(format!("{path}.gateways[{i}].id: is empty"));
            }
            if seen.insert(gateway.id.clone(), Value::Null).is_some() {
                faults.push(format!("{path}.gateways[{i}].id: `{}` is there twice", gateway.id));
            }
        }
    }

    /// What `gate` needs to know of the lane.
    pub fn declared(&self) -> Declared {
        Declared {
            stable_replicas: self.stable_replicas,
            headroom: self.headroom,
            min_stable: self.min_replicas.stable,
            has_canary_target: self.targets.iter().any(|t| t.slice == Slice::Canary),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rstest::rstest;

    pub(crate) const SAMPLE: &str = r#"{
        "lanes": [{
            "name": "openclaw-build-lane", "namespace": "builds",
            "targets": [
                {"kind": "Deployment", "name": "openclaw-worker", "slice": "stable", "scaledObject": "openclaw-worker"},
                {"kind": "Deployment", "name": "openclaw-worker-canary", "slice": "canary", "scaledObject": "openclaw-worker-canary"}
            ],
            "stableReplicas": 6, "headroom": 1, "minReplicas": {"stable": 1, "canary": 0},
            "gateways": [{"id": "gw-a1", "az": "a", "writer": "system:serviceaccount:builds:canary-gate-gw-a1"}],
            "maxStateAge": "180s", "whenStale": "freeze",
            "measurementURLs": ["https://canary.gw.example.com/keda/metrics"]
        }],
        "skillHashAnnotation": "canary-gate.dev/skill-hash",
        "mode": "reject",
        "rules": {"canary-cap": "warn"},
        "limits": {"queueThreshold": 8, "cooldownPeriod": 120, "maintenancePollingInterval": 60},
        "breakGlass": {"groups": ["sre"], "maxDuration": "4h"}
    }"#;

    pub(crate) fn sample() -> Settings {
        Settings::parse(SAMPLE.as_bytes()).unwrap()
    }

    #[test]
    fn reads_the_documented_form() {
        let s = sample();
        assert_eq!(s.lanes[0].max_state_age, Seconds(180));
        assert_eq!(s.break_glass.as_ref().unwrap().max_duration, Seconds(14_400));
        assert_eq!(s.enforcement(Rule::CanaryCap), Enforcement::Warn);
        assert_eq!(s.enforcement(Rule::CapFrozen), Enforcement::Enforce);
        assert!(s.lanes[0].declared().has_canary_target);
    }

    #[rstest]
    #[case("", "EOF")]
    #[case("[1]", "settings")]
    #[case("{}", "missing field `lanes`")]
    #[case(r#"{"lanes":[]}"#, "lanes: at least one lane")]
    #[case(r#"{"lanes":{"0":{}}}"#, "a generated form")]
    #[case(r#"{"lanes":[{"name":"a","namespace":"b","targets":[],"gateways":[],"maxStateAge":"soon"}]}"#, "lanes[0].maxStateAge: `soon` is not a duration")]
    #[case(
        r#"{"lanes":[{"name":"","namespace":"b","targets":[],"gateways":[]}]}"#,
        "lanes[0].name: is empty; lanes[0].targets"
    )]
    #[case(
        r#"{"lanes":[{"name":"a","namespace":"b","targets":[],"gateways":[],"stable":6}]}"#,
        "unknown field `stable`, expected one of"
    )]
    #[case(r#"{"lanes":[{"name":"a","namespace":"b","targets":[{"kind":"DaemonSet","name":"x","slice":"stable"}],"gateways":[]}]}"#, "lanes[0].targets[0].kind: unknown variant `DaemonSet`")]
    #[case(r#"{"lanes":[{"name":"a","namespace":"b","targets":[],"gateways":[],"stableReplicas":-1}]}"#, "lanes[0].stableReplicas")]
    #[case(r#"{"lanes":[],"rules":{"cap-frozn":"off"}}"#, "unknown variant `cap-frozn`")]
    #[case(r#"{"lanes":[],"rules":{"cap-frozen":"on"}}"#, "unknown variant `on`")]
    fn names_every_fault(#[case] text: &str, #[case] expected: &str) {
        let e = Settings::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(e.contains(expected), "{e}");
    }

    #[test]
    fn duplicates_are_faults() {
        let twice = SAMPLE.replace("openclaw-worker-canary", "openclaw-worker");
        let e = Settings::parse(twice.as_bytes()).unwrap_err().to_string();
        assert!(e.contains("target Deployment builds/openclaw-worker is there twice"), "{e}");
    }
}
