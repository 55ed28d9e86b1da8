//! The workloads that a lane scales.

use crate::fields::{Faults, Fields, Path};
use crate::parse::Json;
use crate::slice::Slice;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

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

    /// API version of the kind that the filter reads.
    pub fn version(self) -> &'static str {
        match self {
            TargetKind::Deployment | TargetKind::StatefulSet => "v1",
            TargetKind::Rollout | TargetKind::ScaledJob => "v1alpha1",
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
    /// Its part of what its slice may have, where several targets share that.
    pub replicas: Option<u32>,
    /// Its part of the headroom beside, where it is stable and there is no canary target.
    pub headroom: Option<u32>,
}

impl Target {
    /// What the target may have of its slice's stable replicas and headroom: its part, where
    /// it has one.
    pub fn part(&self, stable: u32, headroom: u32) -> (u32, u32) {
        match (self.replicas, self.slice) {
            (None, _) => (stable, headroom),
            (Some(part), Slice::Stable) => {
                (stable.min(part), headroom.min(self.headroom.unwrap_or(0)))
            }
            (Some(part), Slice::Canary) => (stable, headroom.min(part)),
        }
    }

    /// Reads one item of `targets`.
    pub fn read<'a>(value: &'a Json<'a>, path: Path, faults: &mut Faults) -> Option<Self> {
        let mut f = Fields::of(value, path, faults);
        let kind = f.parsed("kind", TargetKind::parse);
        let name = f.required("name");
        let slice = f.parsed("slice", Slice::parse);
        for key in ["kind", "slice"] {
            if value.is_object() && value.get(key).is_null() {
                f.fault(key, "is missing");
            }
        }
        let (scaled_object, az, hpa) = (f.text("scaledObject"), f.text("az"), f.text("hpa"));
        let (replicas, headroom) = (f.number("replicas"), f.number("headroom"));
        if headroom.is_some() && (replicas.is_none() || slice != Some(Slice::Stable)) {
            f.fault("headroom", "is of a stable target that has `replicas`");
        }
        f.finish();
        Some(Self { kind: kind?, name, slice: slice?, scaled_object, az, hpa, replicas, headroom })
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let value = Json::deserialize(d)?;
        let mut faults = Faults::default();
        let target = Self::read(&value, Path::Key(&Path::Top, "target"), &mut faults);
        match faults.or(target) {
            Ok(Some(target)) => Ok(target),
            Ok(None) => Err(D::Error::custom("target: cannot be read")),
            Err(faults) => Err(D::Error::custom(faults.join("; "))),
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
    #[case(
        r#"{"kind":"Deployment","name":"x","slice":"stable","headroom":1}"#,
        "target.headroom: is of a stable target"
    )]
    #[case(
        r#"{"kind":"Deployment","name":"x","slice":"canary","replicas":1,"headroom":1}"#,
        "target.headroom: is of a stable target"
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
