//! How fast an HPA may go up: `behavior.scaleUp`.
//!
//! Kubernetes `pkg/controller/podautoscaler/horizontal.go`: a longer stabilization window
//! and a higher tolerance only ever ask for less. `Max` takes the policy that allows most,
//! so each new policy must be within an old one; `Min` takes the one that allows least, so
//! each old policy must hold one that is new.

use super::Faster;
use crate::objects::behavior::{Behavior, ScalingPolicy};

/// Policies beyond which only the same list is compared.
const MOST_POLICIES: usize = 16;

/// Quantities are read as floats.
const ROUNDING: f64 = 1e-9;

/// `most` is the maximum that holds; `path` that of the behaviour.
pub fn faster(path: &str, old: Behavior, new: Behavior, most: i64) -> Option<Faster> {
    if new.scale_up_disabled() {
        return None;
    }
    let at = |key: &str| format!("{path}.scaleUp.{key}");
    if new.scale_up_window() < old.scale_up_window() {
        let note = format!("{} -> {} s", old.scale_up_window(), new.scale_up_window());
        return Some(Faster::new(at("stabilizationWindowSeconds"), note));
    }
    if new.tolerance() < old.tolerance() - ROUNDING {
        let note = format!("{} -> {}", old.written_tolerance(), new.written_tolerance());
        return Some(Faster::new(at("tolerance"), note));
    }
    let (mine, theirs) = (new.scale_up_policies(), old.scale_up_policies());
    if mine == theirs && new.select() == old.select() {
        return None;
    }
    if mine.len().max(theirs.len()) > MOST_POLICIES {
        return Some(Faster::incomparable(at("policies"), "too many of them"));
    }
    let within = |a: &ScalingPolicy, b: &ScalingPolicy| is_within(*a, *b, most);
    let is_slower = match (old.select(), new.select()) {
        ("Max", "Max") => mine.iter().all(|a| theirs.iter().any(|b| within(a, b))),
        ("Min", "Min") => theirs.iter().all(|b| mine.iter().any(|a| within(a, b))),
        ("Max", "Min") => mine.iter().any(|a| theirs.iter().any(|b| within(a, b))),
        ("Min", "Max") => mine.iter().all(|a| theirs.iter().all(|b| within(a, b))),
        // What was held is judged as a hold; nothing is known of what it was held at.
        _ => false,
    };
    let field = if new.select() == old.select() { "policies" } else { "selectPolicy" };
    (!is_slower).then(|| Faster::new(at(field), "may add more pods at some moment"))
}

/// Whether `a` never allows more pods than `b`, from one replica up to `most`.
fn is_within(a: ScalingPolicy, b: ScalingPolicy, most: i64) -> bool {
    let by_share = |replicas: i64, percent: i64| {
        replicas.saturating_mul(percent).saturating_add(99).checked_div(100).unwrap_or(i64::MAX)
    };
    a.period_s >= b.period_s
        && match (a.kind, b.kind) {
            (a_kind, b_kind) if a_kind == b_kind => a.value <= b.value,
            // A share adds least where there is one replica.
            ("Pods", "Percent") => a.value <= by_share(1, b.value),
            ("Percent", "Pods") => by_share(most, a.value) <= b.value,
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Object;
    use rstest::rstest;
    use serde_json::{json, Value};

    fn up(scale_up: Value) -> Value {
        json!({ "scaleUp": scale_up })
    }
    fn pods(value: i64, period: i64) -> Value {
        json!({"type": "Pods", "value": value, "periodSeconds": period})
    }
    fn percent(value: i64, period: i64) -> Value {
        json!({"type": "Percent", "value": value, "periodSeconds": period})
    }
    fn max(policies: Value) -> Value {
        up(json!({ "policies": policies }))
    }
    fn min(policies: Value) -> Value {
        up(json!({"selectPolicy": "Min", "policies": policies}))
    }

    #[rstest]
    #[case::same(max(json!([pods(4, 60)])), max(json!([pods(4, 60)])), None)]
    #[case::absent_is_the_default(json!(null), up(json!({"stabilizationWindowSeconds": 0, "selectPolicy": "Max"})), None)]
    #[case::defaults_written_out(json!(null), max(json!([percent(100, 15), pods(4, 15)])), None)]
    #[case::longer_window(json!(null), up(json!({"stabilizationWindowSeconds": 60})), None)]
    #[case::shorter_window(up(json!({"stabilizationWindowSeconds": 60})), json!(null), Some("stabilizationWindowSeconds"))]
    #[case::tolerance_raised(json!(null), up(json!({"tolerance": "200m"})), None)]
    #[case::tolerance_written_out(up(json!({"stabilizationWindowSeconds": 60})), up(json!({"stabilizationWindowSeconds": 60, "tolerance": "100m"})), None)]
    #[case::tolerance_lowered(json!(null), up(json!({"tolerance": "0.01"})), Some("tolerance"))]
    #[case::tolerance_removed(up(json!({"tolerance": "0.2"})), json!(null), Some("tolerance"))]
    #[case::tolerance_of_no_number(json!(null), up(json!({"tolerance": "x"})), Some("tolerance"))]
    #[case::fewer_pods(max(json!([pods(4, 60)])), max(json!([pods(2, 60)])), None)]
    #[case::more_pods(max(json!([pods(2, 60)])), max(json!([pods(4, 60)])), Some("policies"))]
    #[case::longer_period(max(json!([pods(4, 60)])), max(json!([pods(4, 120)])), None)]
    #[case::shorter_period(max(json!([pods(4, 60)])), max(json!([pods(4, 30)])), Some("policies"))]
    #[case::slower_than_the_default(json!(null), max(json!([pods(1, 60)])), None)]
    #[case::slower_by_share_than_the_default(json!(null), max(json!([percent(10, 60)])), None)]
    #[case::faster_than_the_default(json!(null), max(json!([pods(5, 15)])), Some("policies"))]
    #[case::one_fewer_under_max(max(json!([pods(4, 60), percent(50, 60)])), max(json!([percent(50, 60)])), None)]
    #[case::one_more_under_max(max(json!([percent(50, 60)])), max(json!([pods(4, 60), percent(50, 60)])), Some("policies"))]
    #[case::one_more_under_min(min(json!([percent(50, 60)])), min(json!([pods(4, 60), percent(50, 60)])), None)]
    #[case::one_fewer_under_min(min(json!([pods(1, 60), percent(50, 60)])), min(json!([percent(50, 60)])), Some("policies"))]
    #[case::one_fewer_under_min_that_never_decided(min(json!([pods(4, 60), percent(50, 60)])), min(json!([percent(50, 60)])), None)]
    #[case::max_to_min(json!(null), up(json!({"selectPolicy": "Min"})), None)]
    #[case::min_to_max(up(json!({"selectPolicy": "Min"})), json!(null), Some("selectPolicy"))]
    #[case::min_of_one_to_max_of_it(min(json!([pods(4, 60)])), max(json!([pods(4, 60)])), None)]
    #[case::one_pod_is_within_any_share(max(json!([percent(10, 60)])), max(json!([pods(1, 60)])), None)]
    #[case::two_pods_are_not(max(json!([percent(10, 60)])), max(json!([pods(2, 60)])), Some("policies"))]
    #[case::a_share_of_the_maximum(max(json!([pods(3, 60)])), max(json!([percent(50, 60)])), None)]
    #[case::a_larger_share_of_the_maximum(max(json!([pods(3, 60)])), max(json!([percent(51, 60)])), Some("policies"))]
    #[case::of_a_kind_that_is_not_known(json!(null), max(json!([{"type": "Nodes", "value": 1, "periodSeconds": 60}])), Some("policies"))]
    #[case::disabled(json!(null), up(json!({"selectPolicy": "Disabled", "policies": [{"value": 9}]})), None)]
    #[case::enabled(up(json!({"selectPolicy": "Disabled"})), up(json!({"selectPolicy": "Min"})), Some("selectPolicy"))]
    #[case::scale_down_only(json!(null), json!({"scaleDown": {"stabilizationWindowSeconds": 600}}), None)]
    fn up_to_six(#[case] old: Value, #[case] new: Value, #[case] expected: Option<&str>) {
        let of = |v: &Value| Behavior(Object::of(v).0);
        let got = faster("b", of(&old), of(&new), 6).map(|f| f.field);
        assert_eq!(got, expected.map(|key| format!("b.scaleUp.{key}")));
    }
}
