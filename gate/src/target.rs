//! The workloads that a lane scales.

use crate::fields::Fields;
use crate::slice::Slice;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

crate::named_enum! {
    /// Kinds that a lane can scale.
    pub enum TargetKind {
        Deployment = "Deployment",
        StatefulSet = "StatefulSet",
        Rollout = "Rollout",
        ScaledJob = "ScaledJob",
    }
}

impl TargetKind {
    /// API group of the kind, without version.
    pub fn group(self) -> &'static str {
        match self {
            TargetKind::Deployment | TargetKind::StatefulSet => "apps",
            TargetKind::Rollout => "argoproj.io",
            TargetKind::ScaledJob => "keda.sh",
        }
    }

    /// The resource in the path of the API, as an admission request names it.
    pub fn resource(self) -> &'static str {
        match self {
            TargetKind::Deployment => "deployments",
            TargetKind::StatefulSet => "statefulsets",
            TargetKind::Rollout => "rollouts",
            TargetKind::ScaledJob => "scaledjobs",
        }
    }
}

/// One scale target of a lane, as written in the policy's settings and in the
/// plugin configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub kind: TargetKind,
    pub name: String,
    pub slice: Slice,
    pub scaled_object: Option<String>,
    /// Only where a target serves one AZ slice.
    pub az: Option<String>,
    /// A custom HPA name.
    pub hpa: Option<String>,
}

impl Target {
    /// Reads one item of `targets`.
    pub fn read(value: &Value, path: &str, faults: &mut Vec<String>) -> Option<Self> {
        let before = faults.len();
        let mut f = Fields::of(value, path, faults);
        let kind = f.parsed("kind", TargetKind::parse);
        let name = f.required("name");
        let slice = f.parsed("slice", Slice::parse);
        let (scaled_object, az, hpa) = (f.text("scaledObject"), f.text("az"), f.text("hpa"));
        f.finish();
        if faults.len() == before {
            for (key, missing) in [("kind", kind.is_none()), ("slice", slice.is_none())] {
                if missing {
                    faults.push(format!("{path}.{key}: is missing"));
                }
            }
        }
        Some(Self { kind: kind?, name, slice: slice?, scaled_object, az, hpa })
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let mut faults = Vec::new();
        let target = Self::read(&Value::deserialize(d)?, "target", &mut faults);
        match target {
            Some(target) if faults.is_empty() => Ok(target),
            _ => Err(D::Error::custom(faults.join("; "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(
        r#"{"kind":"DaemonSet","name":"x","slice":"stable"}"#,
        "target.kind: unknown variant `DaemonSet`, expected one of `Deployment`"
    )]
    #[case(r#"{"name":"x"}"#, "target.kind: is missing; target.slice: is missing")]
    #[case(r#"{"kind":"Rollout","name":"","slice":"stable"}"#, "target.name: is missing or empty")]
    #[case(
        r#"{"kind":"Rollout","name":"x","slice":"stable","hap":"y"}"#,
        "target.hap: unknown field `hap`"
    )]
    fn faults(#[case] text: &str, #[case] expected: &str) {
        let e = serde_json::from_str::<Target>(text).unwrap_err().to_string();
        assert!(e.contains(expected), "{e}");
    }

    #[test]
    fn reads_a_whole_target() {
        let text = r#"{"kind":"Rollout","name":"x","slice":"canary","az":"a","hpa":"h","scaledObject":"s"}"#;
        let t: Target = serde_json::from_str(text).unwrap();
        assert_eq!((t.kind, t.slice), (TargetKind::Rollout, Slice::Canary));
        assert_eq!((t.az.as_deref(), t.hpa.as_deref()), (Some("a"), Some("h")));
    }
}
