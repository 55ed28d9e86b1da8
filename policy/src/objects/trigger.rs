//! One trigger of a ScaledObject: what it measures, at which threshold, and
//! whether it says who it is.

use super::Object;
use gate::parse::{tree, Json};
use gate::scaling::HOLD_LOCATIONS;

/// The metadata key of a scaler's threshold, and its default where KEDA has one
/// (kedacore/keda `pkg/scalers/*_scaler.go`).
const THRESHOLDS: [(&str, &str, Option<f64>); 10] = [
    ("redis-streams", "pendingEntriesCount", Some(5.0)),
    ("redis", "listLength", Some(5.0)),
    ("nats-jetstream", "lagThreshold", Some(10.0)),
    ("stan", "lagThreshold", Some(10.0)),
    ("kafka", "lagThreshold", Some(10.0)),
    ("prometheus", "threshold", None),
    ("metrics-api", "targetValue", None),
    ("rabbitmq", "value", None),
    ("aws-sqs-queue", "queueLength", Some(5.0)),
    ("azure-queue", "queueLength", Some(5.0)),
];

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
    fn kind(self) -> &'a str {
        self.0.text(&["type"])
    }

    pub fn metadata(self, key: &str) -> &'a str {
        self.0.text(&["metadata", key])
    }

    pub fn is_metrics_api(self) -> bool {
        self.kind() == "metrics-api"
    }

    /// Whether it measures how much work waits. Load, a calendar, pods and the
    /// gateway's hold do not; a source that is not known counts as a queue.
    pub fn is_queue_depth(self) -> bool {
        let hold =
            self.is_metrics_api() && HOLD_LOCATIONS.contains(&self.metadata("valueLocation"));
        !hold && !matches!(self.kind(), "" | "cpu" | "memory" | "cron" | "kubernetes-workload")
    }

    /// The row of [`THRESHOLDS`]; `redis-cluster`, `redis-sentinel-streams` … are their family's.
    fn row(self) -> Option<&'static (&'static str, &'static str, Option<f64>)> {
        let kind = self.kind();
        THRESHOLDS.iter().find(|(family, _, _)| match family.split_once('-') {
            Some((start, end)) if end == "streams" => {
                kind.starts_with(start) && kind.ends_with(end)
            }
            _ => kind == *family || (*family == "redis" && kind.starts_with("redis-")),
        })
    }

    /// The key that holds the threshold. A stream is measured by its group's
    /// lag or pending entries, without a group by its length
    /// (`redis_streams_scaler.go`).
    pub fn threshold_key(self) -> &'static str {
        match self.row() {
            None => "threshold",
            Some(("redis-streams", ..)) if self.metadata("consumerGroup").is_empty() => {
                "streamLength"
            }
            Some(("redis-streams", ..)) if !self.metadata("lagCount").is_empty() => "lagCount",
            Some((_, key, _)) => key,
        }
    }

    pub fn threshold(self) -> Threshold {
        let Some((_, _, default)) = self.row() else { return Threshold::Unknown };
        match (self.0.at(&["metadata", self.threshold_key()]), default) {
            (Json::Null, Some(default)) => Threshold::At(*default),
            (Json::Null, None) => Threshold::Unknown,
            (value, _) => of_text(value.as_str().unwrap_or("not a string")),
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

    /// Whether a metrics-api trigger sends who it is: a mode that sends
    /// something, and a reference to where the secret is. `oauth` and `custom`
    /// parse and send nothing (`metrics_api_scaler.go`).
    pub fn authenticates(self) -> bool {
        let modes = [self.metadata("authMode"), self.metadata("authModes")];
        let sends = modes
            .iter()
            .flat_map(|modes| modes.split(','))
            .any(|mode| matches!(mode.trim(), "apiKey" | "basic" | "bearer" | "tls"));
        sends && !self.0.text(&["authenticationRef", "name"]).is_empty()
    }
}

/// A threshold that stands in a string. Read as JSON: `f64::from_str` would be
/// a second parser of numbers in the module, ten kilobytes of it.
pub fn of_text(text: &str) -> Threshold {
    let number = tree(text.trim().as_bytes()).ok().and_then(|n| n.as_f64());
    number.map_or(Threshold::NotANumber, Threshold::At)
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
    #[case(json!({"type": "azure-servicebus-queue", "metadata": {"queueLength": "9"}}), "threshold", Threshold::Unknown)]
    fn thresholds(#[case] v: Value, #[case] key: &str, #[case] expected: Threshold) {
        let t = Trigger(Object::of(&v));
        assert_eq!((t.threshold_key(), t.threshold()), (key, expected));
    }

    #[rstest]
    #[case(json!({"type": "redis"}), true)]
    #[case(json!({"type": "some-broker"}), true)]
    #[case(json!({"type": "cpu"}), false)]
    #[case(json!({"type": "cron"}), false)]
    #[case(json!({"type": "kubernetes-workload"}), false)]
    #[case(json!({}), false)]
    #[case(json!({"type": "metrics-api", "metadata": {"valueLocation": "scaling.pending_jobs"}}), true)]
    #[case(json!({"type": "metrics-api", "metadata": {"valueLocation": "scaling.frozen"}}), false)]
    #[case(json!({"type": "metrics-api", "metadata": {"valueLocation": "scaling.hold_replicas"}}), false)]
    fn queues(#[case] v: Value, #[case] expected: bool) {
        assert_eq!(Trigger(Object::of(&v)).is_queue_depth(), expected);
    }

    #[rstest]
    #[case(json!({"metadata": {"authMode": "bearer"}, "authenticationRef": {"name": "x"}}), true)]
    #[case(json!({"metadata": {"authModes": "tls, basic"}, "authenticationRef": {"name": "x"}}), true)]
    #[case(json!({"metadata": {"authMode": "bearer"}}), false)]
    #[case(json!({"metadata": {}, "authenticationRef": {"name": "x"}}), false)]
    #[case(json!({"metadata": {"authMode": "oauth"}, "authenticationRef": {"name": "x"}}), false)]
    #[case(json!({"metadata": {"authMode": "custom"}, "authenticationRef": {"name": "x"}}), false)]
    fn authentication(#[case] v: Value, #[case] expected: bool) {
        assert_eq!(Trigger(Object::of(&v)).authenticates(), expected);
    }
}
