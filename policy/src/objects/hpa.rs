//! A HorizontalPodAutoscaler, KEDA's own or another.

use super::behavior::Behavior;
use super::object::Object;
use gate::ceiling::ReplicaSpec;
use gate::target::Target;

/// Prefix of the HPA that KEDA makes (`controllers/keda/hpa.go`, `getDefaultHpaName`).
const KEDA_PREFIX: &str = "keda-hpa-";

#[derive(Clone, Copy, Debug)]
pub struct Hpa<'a>(pub Object<'a>);

impl<'a> Hpa<'a> {
    pub fn replicas(self) -> ReplicaSpec {
        ReplicaSpec {
            max: Some(self.0.number(&["spec", "maxReplicas"]).unwrap_or(i64::MAX)),
            min: Some(self.0.number(&["spec", "minReplicas"]).unwrap_or(1)),
            scale_up_disabled: self.behavior().scale_up_disabled(),
            ..ReplicaSpec::default()
        }
    }

    pub fn behavior(self) -> Behavior<'a> {
        Behavior(self.0.at(&["spec", "behavior"]))
    }
}

/// The name of KEDA's HPA of a ScaledObject.
pub fn default_name(scaled_object: &str) -> String {
    format!("{KEDA_PREFIX}{scaled_object}")
}

/// Whether an HPA of this name is the one that KEDA owns on the target.
pub fn is_kedas(name: &str, target: &Target) -> bool {
    match (&target.hpa, &target.scaled_object) {
        (Some(hpa), _) => name == hpa,
        (None, Some(so)) => name.strip_prefix(KEDA_PREFIX) == Some(so),
        (None, None) => name.starts_with(KEDA_PREFIX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case(json!({"scaledObject": "w"}), "keda-hpa-w", true)]
    #[case(json!({"scaledObject": "w"}), "keda-hpa-x", false)]
    #[case(json!({"scaledObject": "w"}), "w", false)]
    #[case(json!({}), "keda-hpa-any", true)]
    #[case(json!({}), "mine", false)]
    #[case(json!({"scaledObject": "w", "hpa": "mine"}), "mine", true)]
    #[case(json!({"scaledObject": "w", "hpa": "mine"}), "keda-hpa-w", false)]
    fn kedas_own(#[case] keys: serde_json::Value, #[case] name: &str, #[case] expected: bool) {
        let mut target = json!({"kind": "Deployment", "name": "w", "slice": "stable"});
        target.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        assert_eq!(is_kedas(name, &serde_json::from_value(target).unwrap()), expected);
    }
}
