//! An HPA's `behavior`: how fast it goes up and down under the same maximum.
//!
//! Absent fields have the API's defaults: a `scaleUp` window of 0 s,
//! `selectPolicy: Max` and two policies, a `scaleDown` window of 300 s
//! (Kubernetes `pkg/apis/autoscaling/v2/defaults.go`). The API server fills them
//! in as soon as an HPA has any `behavior`, so a written default is no change.

use super::object::{number, Object};
use super::quantity::{decimal, quantity, written};
use gate::parse::Json;

const DEFAULT_SCALE_DOWN_WINDOW_S: i64 = 300;
pub const DEFAULT_SCALE_UP_WINDOW_S: i64 = 0;
/// `--horizontal-pod-autoscaler-tolerance`.
const DEFAULT_TOLERANCE: &str = "0.1";
const DEFAULT_SCALE_UP_POLICIES: [ScalingPolicy; 2] = [
    ScalingPolicy { kind: "Pods", value: 4, period_s: 15 },
    ScalingPolicy { kind: "Percent", value: 100, period_s: 15 },
];

/// How much may be added within a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScalingPolicy<'a> {
    /// `Pods` or `Percent`.
    pub kind: &'a str,
    pub value: i64,
    pub period_s: i64,
}

#[derive(Clone, Copy, Debug)]
pub struct Behavior<'a>(pub &'a Json<'a>);

impl<'a> Behavior<'a> {
    fn scale_up(self) -> Object<'a> {
        Object(Object(self.0).at(&["scaleUp"]))
    }

    /// `Max`, `Min` or `Disabled`.
    pub fn select(self) -> &'a str {
        match self.scale_up().text(&["selectPolicy"]) {
            "" => "Max",
            select => select,
        }
    }

    pub fn scale_up_disabled(self) -> bool {
        self.select() == "Disabled"
    }

    /// Seconds.
    pub fn scale_down_window(self) -> i64 {
        Object(self.0)
            .number(&["scaleDown", "stabilizationWindowSeconds"])
            .unwrap_or(DEFAULT_SCALE_DOWN_WINDOW_S)
    }

    /// Seconds.
    pub fn scale_up_window(self) -> i64 {
        let window = self.scale_up().number(&["stabilizationWindowSeconds"]);
        window.unwrap_or(DEFAULT_SCALE_UP_WINDOW_S)
    }

    /// The share by which a metric may be off before anything is done. What is no number
    /// reacts to everything.
    pub fn tolerance(self) -> f64 {
        match self.scale_up().at(&["tolerance"]) {
            Json::Null => decimal(DEFAULT_TOLERANCE).unwrap_or(0.0),
            value => quantity(value).unwrap_or(0.0),
        }
    }

    /// The same for a message.
    pub fn written_tolerance(self) -> String {
        written(self.scale_up().at(&["tolerance"]), DEFAULT_TOLERANCE)
    }

    pub fn scale_up_policies(self) -> Vec<ScalingPolicy<'a>> {
        let policies = self.scale_up().at(&["policies"]).as_array().unwrap_or_default();
        if policies.is_empty() {
            return DEFAULT_SCALE_UP_POLICIES.to_vec();
        }
        let read = |policy: &'a Json<'a>| ScalingPolicy {
            kind: Object(policy).text(&["type"]),
            value: number(Object(policy).at(&["value"])).unwrap_or(0),
            period_s: number(Object(policy).at(&["periodSeconds"])).unwrap_or(0),
        };
        policies.iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{json, Value};

    #[rstest]
    #[case(json!(null), 300)]
    #[case(json!({"scaleDown": {"stabilizationWindowSeconds": 0}}), 0)]
    fn scale_down_window(#[case] behavior: Value, #[case] expected: i64) {
        assert_eq!(Behavior(Object::of(&behavior).0).scale_down_window(), expected);
    }
}
