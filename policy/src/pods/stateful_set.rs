//! A StatefulSet: its ordinals, old and new together.
//!
//! No update strategy surges, so the replicas are the most pods of one object. But the
//! controller makes the pods of new ordinals before it deletes those outside
//! (Kubernetes `pkg/controller/statefulset/stateful_set_control.go`,
//! `updateStatefulSet`: condemned pods go last). So moving `spec.ordinals.start` runs
//! old and new pods side by side, and an edit is measured by both.

use super::Pods;
use crate::fields::stateful_set::DEFAULT_START;
use crate::objects::{workload, Object};

/// Ordinals from the first up to, and without, the last.
fn ordinals(object: Object) -> (i64, i64) {
    let start = object.number(&["spec", "ordinals", "start"]).unwrap_or(DEFAULT_START);
    (start, start.saturating_add(workload::replicas(object).max(0)))
}

/// Pods that run side by side while `old` becomes `new`.
pub fn side_by_side(old: Object, new: Object) -> Pods {
    let ((a, b), (c, d)) = (ordinals(old), ordinals(new));
    let shared = b.min(d).saturating_sub(a.max(c)).max(0);
    let sum = b.saturating_sub(a).saturating_add(d.saturating_sub(c));
    Pods::up_to(if sum == i64::MAX { sum } else { sum.saturating_sub(shared) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{json, Value};

    #[rstest]
    #[case::nothing_changed(json!({"replicas": 6}), json!({"replicas": 6}), 6)]
    #[case::moved_away(json!({"replicas": 6}), json!({"replicas": 6, "ordinals": {"start": 6}}), 12)]
    #[case::moved_by_one(json!({"replicas": 6}), json!({"replicas": 6, "ordinals": {"start": 1}}), 7)]
    #[case::the_upper_half(json!({"replicas": 6}), json!({"replicas": 3, "ordinals": {"start": 3}}), 6)]
    #[case::fewer_elsewhere(json!({"replicas": 6}), json!({"replicas": 2, "ordinals": {"start": 9}}), 8)]
    #[case::the_default_written_out(json!({"replicas": 6, "ordinals": {"start": 0}}), json!({"replicas": 6}), 6)]
    #[case::absent_is_one(json!({}), json!({"ordinals": {"start": 1}}), 2)]
    #[case::no_number(json!({"replicas": 6}), json!({"replicas": "x"}), i64::MAX)]
    #[case::to_nothing(json!({"replicas": 6}), json!({"replicas": 0, "ordinals": {"start": 40}}), 6)]
    fn pods(#[case] old: Value, #[case] new: Value, #[case] expected: i64) {
        let (old, new) = (json!({ "spec": old }), json!({ "spec": new }));
        assert_eq!(side_by_side(Object::of(&old), Object::of(&new)).number(), expected);
    }
}
