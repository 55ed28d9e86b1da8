//! One trigger of a ScaledObject: what it measures, at which threshold, and
//! whether it says who it is.

use super::object::Object;
use super::quantity::decimal;
use super::scalers::{Scaler, Target, Unit};
use gate::parse::Json;
use gate::scaling::HOLD_LOCATIONS;

#[derive(Clone, Copy, Debug)]
pub struct Trigger<'a>(pub Object<'a>);

/// What a trigger's threshold is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    At(f64),
    NotANumber,
    /// A scaler whose key is not known here, or one that KEDA will refuse.
    Unknown,
}

impl<'a> Trigger<'a> {
    pub fn kind(self) -> &'a str {
        self.0.text(&["type"])
    }

    pub fn metadata(self, key: &str) -> &'a str {
        self.0.text(&["metadata", key])
    }

    pub fn is_metrics_api(self) -> bool {
        self.kind() == "metrics-api"
    }

    /// The number that KEDA divides the metric by, of the scalers that are known.
    fn target(self) -> Option<&'static Target> {
        let applies = |t: &&Target| t.when.holds(|key| self.metadata(key));
        Scaler::of(self.kind())?.targets.iter().find(applies)
    }

    /// What its target counts. A source that is not known may be anything.
    pub fn unit(self) -> Unit {
        let holds =
            self.is_metrics_api() && HOLD_LOCATIONS.contains(&self.metadata("valueLocation"));
        match self.target() {
            _ if holds || self.kind().is_empty() => Unit::Hold,
            Some(target) => target.unit,
            None => Unit::Query,
        }
    }

    /// The key that holds the target.
    pub fn target_key(self) -> &'static str {
        self.target().map_or("threshold", |target| target.key)
    }

    /// An empty string is an absent one (kedacore/keda
    /// `pkg/scalers/scalersconfig/typed_config.go`).
    pub fn threshold(self) -> Threshold {
        let Some(target) = self.target() else { return Threshold::Unknown };
        match (self.0.at(&["metadata", target.key]), target.default) {
            (value, default)
                if value.is_null() || value.as_str().is_some_and(|t| t.trim().is_empty()) =>
            {
                default.map_or(Threshold::Unknown, Threshold::At)
            }
            (value, _) => of_text(value.as_str().unwrap_or("not a string")),
        }
    }

    /// Whether KEDA refuses it, so that its object scales on nothing: a type that it does not
    /// have, or a target that is not above 0.
    pub fn is_refused(self) -> bool {
        match self.threshold() {
            Threshold::At(target) => target <= 0.0,
            Threshold::NotANumber => true,
            Threshold::Unknown => Scaler::of(self.kind()).is_none(),
        }
    }

    pub fn is_cached(self) -> bool {
        self.0.at(&["useCachedMetrics"]) == &Json::Bool(true)
    }

    /// Whether KEDA asks something for it; these three cannot be cached
    /// (`scaledobject_webhook.go`).
    pub fn asks_a_source(self) -> bool {
        !matches!(self.kind(), "cpu" | "memory" | "cron")
    }

    /// Whether a metrics-api trigger sends who it is: modes that KEDA knows, and a reference
    /// to where the secret is. KEDA 2.21 refuses a trigger with any other mode
    /// (`metrics_api_scaler.go`).
    pub fn authenticates(self) -> bool {
        let modes = [self.metadata("authMode"), self.metadata("authModes")];
        let mut modes = modes.iter().flat_map(|m| m.split(',')).map(str::trim);
        let is_known = |m: &str| matches!(m, "" | "apiKey" | "basic" | "bearer" | "tls");
        let sends = modes.clone().any(|m| !m.is_empty()) && modes.all(is_known);
        sends && !self.0.text(&["authenticationRef", "name"]).is_empty()
    }
}

/// A threshold that stands in a string.
pub fn of_text(text: &str) -> Threshold {
    decimal(text).map_or(Threshold::NotANumber, Threshold::At)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{json, Value};

    #[rstest]
    #[case(json!({"type": "redis", "metadata": {"listLength": "8"}}), "listLength", Threshold::At(8.0))]
    #[case(json!({"type": "redis-cluster", "metadata": {"listLength": "3"}}), "listLength", Threshold::At(3.0))]
    #[case(json!({"type": "redis", "metadata": {}}), "listLength", Threshold::At(5.0))]
    #[case(json!({"type": "redis-sentinel-streams", "metadata": {"consumerGroup": "g", "pendingEntriesCount": "9"}}), "pendingEntriesCount", Threshold::At(9.0))]
    #[case(json!({"type": "redis-streams", "metadata": {"consumerGroup": "g"}}), "pendingEntriesCount", Threshold::At(5.0))]
    #[case(json!({"type": "redis-streams", "metadata": {"consumerGroup": "g", "lagCount": "20"}}), "lagCount", Threshold::At(20.0))]
    #[case(json!({"type": "redis-streams", "metadata": {"streamLength": "50"}}), "streamLength", Threshold::At(50.0))]
    #[case(json!({"type": "redis-streams", "metadata": {}}), "streamLength", Threshold::At(5.0))]
    #[case(json!({"type": "prometheus", "metadata": {"threshold": "x"}}), "threshold", Threshold::NotANumber)]
    #[case(json!({"type": "prometheus", "metadata": {"threshold": "NaN"}}), "threshold", Threshold::NotANumber)]
    #[case(json!({"type": "prometheus", "metadata": {"threshold": 9}}), "threshold", Threshold::NotANumber)]
    #[case(json!({"type": "prometheus"}), "threshold", Threshold::Unknown)]
    #[case(json!({"type": "my-queue", "metadata": {}}), "threshold", Threshold::Unknown)]
    #[case(json!({"type": "azure-servicebus", "metadata": {"messageCount": "1"}}), "messageCount", Threshold::At(1.0))]
    #[case(json!({"type": "rabbitmq", "metadata": {"queueLength": "1"}}), "queueLength", Threshold::At(1.0))]
    #[case(json!({"type": "rabbitmq", "metadata": {"mode": "QueueLength", "value": "9", "queueLength": "1"}}), "value", Threshold::At(9.0))]
    #[case(json!({"type": "github-runner", "metadata": {}}), "targetWorkflowQueueLength", Threshold::At(1.0))]
    #[case(json!({"type": "kafka", "metadata": {"lagThreshold": ""}}), "lagThreshold", Threshold::At(10.0))]
    #[case(json!({"type": "selenium-grid", "metadata": {}}), "", Threshold::At(1.0))]
    #[case(json!({"type": "external", "metadata": {"threshold": "1"}}), "threshold", Threshold::Unknown)]
    fn thresholds(#[case] v: Value, #[case] key: &str, #[case] expected: Threshold) {
        let t = Trigger(Object::of(&v));
        assert_eq!((t.target_key(), t.threshold()), (key, expected));
    }

    #[rstest]
    #[case(json!({"type": "redis"}), Unit::Items)]
    #[case(json!({"type": "some-broker"}), Unit::Query)]
    #[case(json!({"type": "rabbitmq", "metadata": {"mode": "PublishedToDeliveredRatio"}}), Unit::Load)]
    #[case(json!({"type": "gcp-pubsub", "metadata": {"mode": "OldestUnackedMessageAge"}}), Unit::Load)]
    #[case(json!({"type": "gcp-pubsub"}), Unit::Items)]
    #[case(json!({"type": "cpu"}), Unit::Load)]
    #[case(json!({"type": "cron"}), Unit::Calendar)]
    #[case(json!({"type": "kubernetes-workload"}), Unit::Pods)]
    #[case(json!({}), Unit::Hold)]
    #[case(json!({"type": "metrics-api", "metadata": {"valueLocation": "scaling.pending_jobs"}}), Unit::Query)]
    #[case(json!({"type": "metrics-api", "metadata": {"valueLocation": "scaling.frozen"}}), Unit::Hold)]
    #[case(json!({"type": "metrics-api", "metadata": {"valueLocation": "scaling.hold_replicas"}}), Unit::Hold)]
    fn units(#[case] v: Value, #[case] expected: Unit) {
        assert_eq!(Trigger(Object::of(&v)).unit(), expected);
    }

    #[rstest]
    #[case(json!({"metadata": {"authMode": "bearer"}, "authenticationRef": {"name": "x"}}), true)]
    #[case(json!({"metadata": {"authModes": "tls, basic"}, "authenticationRef": {"name": "x"}}), true)]
    #[case(json!({"metadata": {"authMode": "bearer"}}), false)]
    #[case(json!({"metadata": {}, "authenticationRef": {"name": "x"}}), false)]
    #[case(json!({"metadata": {"authMode": "oauth"}, "authenticationRef": {"name": "x"}}), false)]
    #[case(json!({"metadata": {"authMode": "custom"}, "authenticationRef": {"name": "x"}}), false)]
    #[case(json!({"metadata": {"authModes": "bearer,oauth"}, "authenticationRef": {"name": "x"}}), false)]
    fn authentication(#[case] v: Value, #[case] expected: bool) {
        assert_eq!(Trigger(Object::of(&v)).authenticates(), expected);
    }
}
