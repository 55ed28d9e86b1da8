//! An HPA's `behavior`: how fast it goes up and down under the same maximum.
//!
//! Absent fields have the API's defaults: a `scaleUp` window of 0 s,
//! `selectPolicy: Max` and two policies, a `scaleDown` window of 300 s
//! (Kubernetes `pkg/apis/autoscaling/v2/defaults.go`). The API server fills them
//! in as soon as an HPA has any `behavior`, so a written default is no change.

use super::{alike, Object};
use gate::parse::Json;

const DEFAULT_SCALE_DOWN_WINDOW_S: i64 = 300;
const DEFAULT_SCALE_UP_WINDOW_S: i64 = 0;
/// Policies that are compared in any order.
const MOST_POLICIES: usize = 16;
/// Type, value, seconds.
const DEFAULT_SCALE_UP_POLICIES: [(&str, i64, i64); 2] = [("Percent", 100, 15), ("Pods", 4, 15)];

#[derive(Clone, Copy, Debug)]
pub struct Behavior<'a>(pub &'a Json<'a>);

impl<'a> Behavior<'a> {
    fn scale_up(self) -> Object<'a> {
        Object(Object(self.0).at(&["scaleUp"]))
    }

    /// `Max`, `Min` or `Disabled`.
    fn select(self) -> &'a str {
        let select = self.scale_up().text(&["selectPolicy"]);
        if select.is_empty() {
            "Max"
        } else {
            select
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

    /// The policies of `scaleUp`: type, value and seconds.
    fn scale_up_policies(self) -> Vec<(&'a str, i64, i64)> {
        let policies = self.scale_up().at(&["policies"]).as_array().unwrap_or_default();
        let number = |p: Object, key| p.number(&[key]).unwrap_or(0);
        let read =
            |p: Object<'a>| (p.text(&["type"]), number(p, "value"), number(p, "periodSeconds"));
        if policies.is_empty() {
            return DEFAULT_SCALE_UP_POLICIES.to_vec();
        }
        policies.iter().map(|p| read(Object(p))).collect()
    }

    /// Whether both have the same policies, in whatever order.
    fn has_policies_of(self, old: Behavior<'a>) -> bool {
        let (new, old) = (self.scale_up_policies(), old.scale_up_policies());
        let all_of = |a: &[_], b: &[_]| a.iter().all(|p| b.contains(p));
        new == old
            || (new.len().max(old.len()) <= MOST_POLICIES
                && all_of(&new, &old)
                && all_of(&old, &new))
    }

    /// Whether `self` may go up sooner or by more at once than `old`. What
    /// cannot be compared (other policies, another tolerance) counts as faster.
    pub fn scales_up_faster_than(self, old: Behavior<'a>) -> bool {
        if self.scale_up_disabled() {
            return false;
        }
        let window = |b: Behavior| {
            b.scale_up()
                .number(&["stabilizationWindowSeconds"])
                .unwrap_or(DEFAULT_SCALE_UP_WINDOW_S)
        };
        let tolerance = |b: Behavior<'a>| b.scale_up().at(&["tolerance"]);
        let select_as_slow =
            self.select() == old.select() || (old.select() == "Max" && self.select() == "Min");
        !(window(self) >= window(old)
            && select_as_slow
            && self.has_policies_of(old)
            && alike(tolerance(self), tolerance(old)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{json, Value};

    #[rstest]
    #[case::same(json!({"scaleUp": {"stabilizationWindowSeconds": 60}}), json!({"scaleUp": {"stabilizationWindowSeconds": 60}}), false)]
    #[case::absent_is_the_default(json!(null), json!({"scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max"}}), false)]
    #[case::defaults_written_out(json!(null), json!({"scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}]}}), false)]
    #[case::longer_window(json!(null), json!({"scaleUp": {"stabilizationWindowSeconds": 60}}), false)]
    #[case::shorter_window(json!({"scaleUp": {"stabilizationWindowSeconds": 60}}), json!({"scaleUp": {"stabilizationWindowSeconds": 59}}), true)]
    #[case::removed_window(json!({"scaleUp": {"stabilizationWindowSeconds": 60}}), json!(null), true)]
    #[case::disabled(json!(null), json!({"scaleUp": {"selectPolicy": "Disabled", "policies": [{"value": 9}]}}), false)]
    #[case::enabled(json!({"scaleUp": {"selectPolicy": "Disabled"}}), json!({"scaleUp": {"selectPolicy": "Min"}}), true)]
    #[case::max_to_min(json!(null), json!({"scaleUp": {"selectPolicy": "Min"}}), false)]
    #[case::min_to_max(json!({"scaleUp": {"selectPolicy": "Min"}}), json!(null), true)]
    #[case::other_policies(json!(null), json!({"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}}), true)]
    #[case::a_limiting_policy_removed(json!({"scaleUp": {"selectPolicy": "Min", "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}, {"type": "Percent", "value": 100, "periodSeconds": 15}]}}), json!({"scaleUp": {"selectPolicy": "Min", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}}), true)]
    #[case::a_policy_added(json!({"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}}), json!({"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}, {"type": "Percent", "value": 100, "periodSeconds": 15}]}}), true)]
    #[case::tolerance(json!(null), json!({"scaleUp": {"tolerance": "0.01"}}), true)]
    #[case::scale_down_only(json!(null), json!({"scaleDown": {"stabilizationWindowSeconds": 600}}), false)]
    fn faster(#[case] old: Value, #[case] new: Value, #[case] expected: bool) {
        assert_eq!(
            Behavior(Object::of(&new).0).scales_up_faster_than(Behavior(Object::of(&old).0)),
            expected
        );
    }

    #[rstest]
    #[case(json!(null), 300)]
    #[case(json!({"scaleDown": {"stabilizationWindowSeconds": 0}}), 0)]
    fn scale_down_window(#[case] behavior: Value, #[case] expected: i64) {
        assert_eq!(Behavior(Object::of(&behavior).0).scale_down_window(), expected);
    }
}
