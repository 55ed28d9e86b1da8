//! A KEDA ScaledObject: which workload, and how high it may go.
//!
//! Absent numbers have KEDA's defaults, not Kubernetes' (`gate::ceiling`).

use super::behavior::Behavior;
use super::object::{Object, TargetRef};
use super::trigger::Trigger;
use gate::ceiling::{
    PausedReplicas, ReplicaSpec, FORCE_ACTIVATION, PAUSED, PAUSED_REPLICAS, PAUSED_SCALE_OUT,
};
use gate::parse::Json;

/// On where it is `true`, in these letters (`scaledobject_webhook.go`).
pub const TRANSFER_OWNERSHIP: &str = "scaledobject.keda.sh/transfer-hpa-ownership";
/// Read on the HPA, to which KEDA copies the ScaledObject's annotations
/// (`scaledobject_webhook.go`, `controllers/keda/hpa.go`).
pub const HPA_OWNERSHIP: &str = "validations.keda.sh/hpa-ownership";

/// KEDA's defaults, seconds (`scaledobject_types.go`, `withtriggers_types.go`).
const DEFAULT_COOLDOWN_S: i64 = 300;
pub const DEFAULT_POLLING_S: i64 = 30;
/// How often the HPA controller asks (`--horizontal-pod-autoscaler-sync-period`).
const HPA_SYNC_S: i64 = 15;

const HPA_CONFIG: [&str; 3] = ["spec", "advanced", "horizontalPodAutoscalerConfig"];

/// A ScaledObject, seen through the fields that can lift its target.
#[derive(Clone, Copy, Debug)]
pub struct ScaledObject<'a>(pub Object<'a>);

impl<'a> ScaledObject<'a> {
    pub fn target(self) -> TargetRef<'a> {
        self.0.reference(&["spec", "scaleTargetRef"])
    }

    pub fn replicas(self) -> ReplicaSpec {
        let spec = Object(self.0.at(&["spec"]));
        ReplicaSpec {
            max: spec.number(&["maxReplicaCount"]),
            min: spec.number(&["minReplicaCount"]),
            idle: spec.number(&["idleReplicaCount"]),
            paused_replicas: self.0.annotation(PAUSED_REPLICAS).map(|text| {
                // KEDA deletes the HPA before a negative number fails at the target.
                text.parse::<u32>()
                    .ok()
                    .filter(|n| i32::try_from(*n).is_ok())
                    .map_or(PausedReplicas::Unparseable, |n| PausedReplicas::At(n.into()))
            }),
            paused: self.0.flag(PAUSED),
            paused_scale_out: self.0.flag(PAUSED_SCALE_OUT),
            force_activation: self.0.flag(FORCE_ACTIVATION),
            scale_up_disabled: self.behavior().scale_up_disabled(),
        }
    }

    /// `spec.fallback.replicas`.
    pub fn fallback_replicas(self) -> i64 {
        self.0.number(&["spec", "fallback", "replicas"]).unwrap_or(0)
    }

    /// Failures before the fallback acts; KEDA demands the number, so absent is the most patient.
    pub fn failure_threshold(self) -> i64 {
        self.0.number(&["spec", "fallback", "failureThreshold"]).unwrap_or(i64::MAX)
    }

    /// `spec.fallback.behavior`, where there is a fallback; absent is `static`
    /// (KEDA `scaledobject_types.go`).
    pub fn fallback_behavior(self) -> Option<&'a str> {
        self.0.at(&["spec", "fallback"]).is_object().then(|| {
            let behavior = self.0.text(&["spec", "fallback", "behavior"]);
            if behavior.is_empty() {
                "static"
            } else {
                behavior
            }
        })
    }

    /// The replicas that failing triggers may lift the target to (kedacore/keda
    /// `pkg/fallback/fallback.go`). `currentReplicas` and `currentReplicasIfLower` keep what
    /// runs or take off it; what a formula makes of a failure is the formula's.
    pub fn fallback_height(self) -> i64 {
        match self.fallback_behavior().filter(|_| self.fallback_is_valid()) {
            None | Some("currentReplicas" | "currentReplicasIfLower" | "scalingModifiers") => 0,
            Some(_) => self.fallback_replicas(),
        }
    }

    /// Whether KEDA acts on the fallback at all (`HasValidFallback`): under a formula only
    /// where the target is a whole number above 0.
    fn fallback_is_valid(self) -> bool {
        let is_whole = |text: &str| text.parse::<i64>().is_ok_and(|target| target > 0);
        self.failure_threshold() >= 0 && self.formula_target().is_none_or(is_whole)
    }

    pub fn restores_original(self) -> bool {
        self.0.at(&["spec", "advanced", "restoreToOriginalReplicaCount"]) == &Json::Bool(true)
    }

    /// What it writes then; KEDA sets it once, when it first sees the target.
    pub fn original_replicas(self) -> Option<i64> {
        self.0.number(&["status", "originalReplicaCount"])
    }

    pub fn behavior(self) -> Behavior<'a> {
        Behavior(Object(self.0.at(&HPA_CONFIG)).at(&["behavior"]))
    }

    /// The custom name of its HPA; empty for KEDA's own.
    pub fn hpa_name(self) -> &'a str {
        Object(self.0.at(&HPA_CONFIG)).text(&["name"])
    }

    pub fn triggers(self) -> impl Iterator<Item = Trigger<'a>> {
        self.0
            .at(&["spec", "triggers"])
            .as_array()
            .into_iter()
            .flatten()
            .map(|t| Trigger(Object(t)))
    }

    /// `scalingModifiers.target`, where a formula makes one metric of the triggers.
    pub fn formula_target(self) -> Option<&'a str> {
        let modifiers = Object(self.0.at(&["spec", "advanced", "scalingModifiers"]));
        (!modifiers.text(&["formula"]).is_empty()).then(|| modifiers.text(&["target"]))
    }

    /// Seconds before an inactive target goes to zero or idle.
    pub fn cooldown(self) -> i64 {
        self.0.number(&["spec", "cooldownPeriod"]).unwrap_or(DEFAULT_COOLDOWN_S)
    }

    /// Seconds between two looks at the sources: `pollingInterval` only where
    /// every trigger serves the HPA from its cache, else the HPA asks each time
    /// (kedacore/keda#7999, `pkg/scaling/scale_handler.go`).
    pub fn effective_polling(self) -> i64 {
        let polling = self.0.number(&["spec", "pollingInterval"]).unwrap_or(DEFAULT_POLLING_S);
        let every_time = self.triggers().any(|t| t.asks_a_source() && !t.is_cached());
        if every_time {
            polling.min(HPA_SYNC_S)
        } else {
            polling
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{json, Value};

    #[rstest]
    #[case::default(json!({}), 30)]
    #[case::cpu_has_no_source(json!({"triggers": [{"type": "cpu"}], "pollingInterval": 90}), 90)]
    #[case::uncached(json!({"triggers": [{"type": "redis"}], "pollingInterval": 90}), 15)]
    #[case::cached(json!({"triggers": [{"type": "redis", "useCachedMetrics": true}], "pollingInterval": 90}), 90)]
    #[case::one_of_two(json!({"triggers": [{"type": "redis", "useCachedMetrics": true}, {"type": "kafka"}], "pollingInterval": 90}), 15)]
    #[case::faster_than_the_hpa(json!({"triggers": [{"type": "redis"}], "pollingInterval": 5}), 5)]
    fn effective_polling(#[case] spec: Value, #[case] expected: i64) {
        let v = json!({ "spec": spec });
        assert_eq!(ScaledObject(Object::of(&v)).effective_polling(), expected);
    }

    #[rstest]
    #[case("7", PausedReplicas::At(7))]
    #[case("-1", PausedReplicas::Unparseable)]
    #[case("2147483648", PausedReplicas::Unparseable)]
    #[case("", PausedReplicas::Unparseable)]
    fn paused_replicas(#[case] text: &str, #[case] expected: PausedReplicas) {
        let v = json!({"metadata": {"annotations": {PAUSED_REPLICAS: text}}});
        assert_eq!(ScaledObject(Object::of(&v)).replicas().paused_replicas, Some(expected));
    }
}
