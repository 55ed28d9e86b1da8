//! A KEDA ScaledObject: which workload, and how high it may go.
//!
//! Absent numbers have KEDA's defaults, not Kubernetes' (`gate::ceiling`).
//! The fields are read from plain JSON and never fail: what is there and is no
//! number counts as the highest number, so that it cannot pass as a lowering.

use gate::ceiling::{
    PausedReplicas, ReplicaSpec, FORCE_ACTIVATION, PAUSED, PAUSED_REPLICAS, PAUSED_SCALE_OUT,
};
use serde_json::Value;

pub const KIND: &str = "ScaledObject";
pub const GROUP: &str = "keda.sh";

/// `scaleTargetRef.kind` where it is absent (KEDA `scaledobject_types.go`).
const DEFAULT_TARGET_KIND: &str = "Deployment";
const DEFAULT_TARGET_API_VERSION: &str = "apps/v1";

pub const TRANSFER_OWNERSHIP: &str = "scaledobject.keda.sh/transfer-hpa-ownership";

/// A ScaledObject, seen through the fields that can lift its target.
#[derive(Clone, Copy, Debug)]
pub struct ScaledObject<'a>(&'a Value);

/// The workload that is scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetRef<'a> {
    /// API group, without version.
    pub group: &'a str,
    pub kind: &'a str,
    pub name: &'a str,
}

impl<'a> ScaledObject<'a> {
    /// # Errors
    /// The value is no object; `path` names it.
    pub fn new(value: &'a Value, path: &str) -> Result<Self, String> {
        if value.is_object() {
            Ok(Self(value))
        } else {
            Err(format!("{path}: is not a ScaledObject"))
        }
    }

    fn field(self, path: &[&str]) -> &'a Value {
        path.iter().fold(self.0, |value, key| value.get(key).unwrap_or(&Value::Null))
    }

    pub fn name(self) -> &'a str {
        self.field(&["metadata", "name"]).as_str().unwrap_or_default()
    }

    pub fn target(self) -> TargetRef<'a> {
        let kind = self.field(&["spec", "scaleTargetRef", "kind"]).as_str();
        let api_version = self.field(&["spec", "scaleTargetRef", "apiVersion"]).as_str();
        let api_version =
            api_version.filter(|v| !v.is_empty()).unwrap_or(DEFAULT_TARGET_API_VERSION);
        TargetRef {
            group: api_version.split_once('/').map_or("", |v| v.0),
            kind: kind.filter(|k| !k.is_empty()).unwrap_or(DEFAULT_TARGET_KIND),
            name: self.field(&["spec", "scaleTargetRef", "name"]).as_str().unwrap_or_default(),
        }
    }

    pub fn replicas(self) -> ReplicaSpec {
        ReplicaSpec {
            max: number(self.field(&["spec", "maxReplicaCount"])),
            min: number(self.field(&["spec", "minReplicaCount"])),
            idle: number(self.field(&["spec", "idleReplicaCount"])),
            paused_replicas: self.annotation(PAUSED_REPLICAS).map(|text| {
                // KEDA deletes the HPA before a negative number fails at the target.
                text.parse::<u32>()
                    .ok()
                    .filter(|n| i32::try_from(*n).is_ok())
                    .map_or(PausedReplicas::Unparseable, |n| PausedReplicas::At(n.into()))
            }),
            paused: self.flag(PAUSED),
            paused_scale_out: self.flag(PAUSED_SCALE_OUT),
            force_activation: self.flag(FORCE_ACTIVATION),
        }
    }

    /// `spec.fallback.replicas`.
    pub fn fallback_replicas(self) -> i64 {
        number(self.field(&["spec", "fallback", "replicas"])).unwrap_or(0)
    }

    /// Failures before the fallback acts; KEDA demands the number, so absent is the most patient.
    pub fn failure_threshold(self) -> i64 {
        number(self.field(&["spec", "fallback", "failureThreshold"])).unwrap_or(i64::MAX)
    }

    /// `spec.fallback.behavior`, where there is a fallback; absent is `static`
    /// (KEDA `scaledobject_types.go`).
    pub fn fallback_behavior(self) -> Option<&'a str> {
        let fallback = self.field(&["spec", "fallback"]);
        fallback.is_object().then(|| {
            fallback
                .get("behavior")
                .and_then(Value::as_str)
                .filter(|b| !b.is_empty())
                .unwrap_or("static")
        })
    }

    pub fn restores_original(self) -> bool {
        self.field(&["spec", "advanced", "restoreToOriginalReplicaCount"]) == &Value::Bool(true)
    }

    pub fn transfers_ownership(self) -> bool {
        self.flag(TRANSFER_OWNERSHIP)
    }

    /// What decides how fast and on what the lane scales below its ceiling,
    /// without the empty values that a client that writes whole objects adds.
    pub fn driving_fields(self) -> [(&'static str, Value); 3] {
        [
            ("spec.triggers", self.field(&["spec", "triggers"])),
            (
                "spec.advanced.scalingModifiers",
                self.field(&["spec", "advanced", "scalingModifiers"]),
            ),
            (
                "spec.advanced.horizontalPodAutoscalerConfig",
                self.field(&["spec", "advanced", "horizontalPodAutoscalerConfig"]),
            ),
        ]
        .map(|(field, value)| (field, pruned(value)))
    }

    fn annotation(self, key: &str) -> Option<&'a str> {
        match self.field(&["metadata", "annotations", key]) {
            Value::Null => None,
            value => Some(value.as_str().unwrap_or("not a string")),
        }
    }

    /// KEDA reads an annotation it cannot parse as true (`getBoolAnnotation`);
    /// the words are those of Go's `strconv.ParseBool`.
    fn flag(self, key: &str) -> bool {
        self.annotation(key)
            .is_some_and(|v| !matches!(v, "0" | "f" | "F" | "false" | "FALSE" | "False"))
    }
}

/// A value without its nulls, empty objects, empty strings and falses: what
/// Go's `omitempty` drops and typed clients put back.
fn pruned(value: &Value) -> Value {
    let is_empty = |v: &Value| match v {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    match value {
        Value::Array(items) => Value::Array(items.iter().map(pruned).collect()),
        Value::Object(map) => {
            let mut kept = serde_json::Map::new();
            for (key, value) in map {
                let value = pruned(value);
                if !is_empty(&value) {
                    kept.insert(key.clone(), value);
                }
            }
            if kept.is_empty() {
                Value::Null
            } else {
                Value::Object(kept)
            }
        }
        other => other.clone(),
    }
}

/// A replica number: absent or null is `None`, anything that is no integer the highest.
fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Null => None,
        Value::Number(n) => Some(
            n.as_i64()
                .or_else(|| {
                    n.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 1e15).map(|f| f as i64)
                })
                .unwrap_or(i64::MAX),
        ),
        _ => Some(i64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case(json!(6), Some(6))]
    #[case(json!(6.0), Some(6))]
    #[case(json!(6.5), Some(i64::MAX))]
    #[case(json!("6"), Some(i64::MAX))]
    #[case(json!(-3), Some(-3))]
    #[case(json!(1e300), Some(i64::MAX))]
    #[case(json!(u64::MAX), Some(i64::MAX))]
    #[case(json!(null), None)]
    #[case(json!([]), Some(i64::MAX))]
    fn numbers(#[case] value: Value, #[case] expected: Option<i64>) {
        assert_eq!(number(&value), expected);
    }

    #[rstest]
    #[case("true", true)]
    #[case("", true)]
    #[case("no", true)]
    #[case("false", false)]
    #[case("0", false)]
    fn flags_as_keda_reads_them(#[case] text: &str, #[case] expected: bool) {
        let v = json!({"metadata": {"annotations": {PAUSED: text}}});
        assert_eq!(ScaledObject(&v).replicas().paused, expected);
    }

    #[test]
    fn target_defaults_to_a_deployment() {
        let v = json!({"spec": {"scaleTargetRef": {"name": "w"}}});
        assert_eq!(
            ScaledObject(&v).target(),
            TargetRef { group: "apps", kind: "Deployment", name: "w" }
        );
    }

    #[test]
    fn hostile_shapes_read_as_something() {
        for v in [json!({"spec": 7, "metadata": []}), json!({"spec": {"scaleTargetRef": "x"}})] {
            let so = ScaledObject(&v);
            assert_eq!((so.target().name, so.replicas().max), ("", None));
        }
    }
}
