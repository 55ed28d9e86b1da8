//! What an edit of a workload or of its `scale` lifts: the replicas that run.
//!
//! Every path ends here (kedacore/keda `pkg/scaling/executor`, the HPA
//! controller, `kubectl scale`), so here the freeze is complete.

use super::{bypass, Lift, LiftKind};
use crate::objects::{workload, Object};

const REPLICAS: &str = "spec.replicas";

/// A write of `*/scale`.
pub fn scale(old: Option<Object>, new: Object) -> Vec<Lift> {
    of_replicas(old.map(workload::scale_replicas), workload::scale_replicas(new))
}

/// A workload, or a Rollout that runs its template.
pub fn workload(old: Option<Object>, new: Object) -> Vec<Lift> {
    let mut lifts = of_replicas(old.map(workload::replicas), workload::replicas(new));
    let before = old.map(workload::extra_replicas);
    for (i, (field, after)) in workload::extra_replicas(new).into_iter().enumerate() {
        let before = before.as_ref().and_then(|b| b.get(i)).map(|b| b.1);
        if after > before.unwrap_or(0) {
            lifts.push(Lift { wakes: true, ..bypass(field, before, after) });
        }
    }
    lifts
}

fn of_replicas(old: Option<i64>, new: i64) -> Vec<Lift> {
    let mut lifts = Vec::new();
    if old.is_none_or(|old| new > old) {
        lifts.push(Lift { kind: LiftKind::Ceiling, wakes: true, ..bypass(REPLICAS, old, new) });
    }
    lifts
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{json, Value};

    #[rstest]
    #[case::raise(json!({"replicas": 6}), json!({"replicas": 7}), &[(Some(6), 7)])]
    #[case::lower(json!({"replicas": 6}), json!({"replicas": 5}), &[])]
    #[case::absent_is_one(json!({"replicas": 0}), json!({}), &[(Some(0), 1)])]
    #[case::removed(json!({"replicas": 6}), json!({}), &[])]
    #[case::no_number(json!({"replicas": 6}), json!({"replicas": "5"}), &[(Some(6), i64::MAX)])]
    #[case::canary_scale(json!({}), json!({"strategy": {"canary": {"steps": [{"setCanaryScale": {"replicas": 9}}]}}}), &[(Some(0), 9)])]
    fn of_a_workload(
        #[case] old: Value,
        #[case] new: Value,
        #[case] expected: &[(Option<i64>, i64)],
    ) {
        let (old, new) = (json!({ "spec": old }), json!({ "spec": new }));
        let got = workload(Some(Object::of(&old)), Object::of(&new));
        assert_eq!(got.iter().map(|l| (l.old, l.new)).collect::<Vec<_>>(), expected);
    }

    #[rstest]
    #[case::raise(json!({"replicas": 6}), json!({"replicas": 7}), &[(Some(6), 7)])]
    #[case::absent_is_none(json!({"replicas": 1}), json!({}), &[])]
    #[case::from_none(json!({}), json!({"replicas": 1}), &[(Some(0), 1)])]
    fn of_a_scale(#[case] old: Value, #[case] new: Value, #[case] expected: &[(Option<i64>, i64)]) {
        let (old, new) = (json!({ "spec": old }), json!({ "spec": new }));
        let got = scale(Some(Object::of(&old)), Object::of(&new));
        assert_eq!(got.iter().map(|l| (l.old, l.new)).collect::<Vec<_>>(), expected);
    }
}
