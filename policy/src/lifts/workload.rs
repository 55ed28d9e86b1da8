//! What an edit of a workload or of its `scale` lifts: the replicas that run.
//!
//! Every path ends here (kedacore/keda `pkg/scaling/executor`, the HPA
//! controller, `kubectl scale`), so here the freeze is complete.

use super::{bypass, unbounded, Lift, LiftKind};
use crate::objects::{workload, Object};
use gate::target::Target;

const REPLICAS: &str = "spec.replicas";

/// A write of `*/scale`.
pub fn scale(old: Option<Object>, new: Object) -> Vec<Lift> {
    of_replicas(old.map(workload::scale_replicas), workload::scale_replicas(new))
}

/// A workload, or a Rollout that runs its template. `declared` is the limit of
/// its slice, to which it may be scaled later: shares of replicas are compared
/// at no less.
pub fn workload(old: Option<Object>, new: Object, declared: i64) -> Vec<Lift> {
    let replicas = workload::replicas(new);
    let mut lifts = of_replicas(old.map(workload::replicas), replicas);
    let sum = |extras: [i64; 4]| extras.into_iter().fold(0, i64::saturating_add);
    let most = replicas.max(declared);
    // Both for as many replicas: a share of more of them is no rise of its own.
    let before = match old {
        Some(old) => workload::extras(old, most),
        None => workload::usual_extras(most),
    };
    let after = workload::extras(new, most);
    let height = most.saturating_add(sum(after));
    let old_height = old.map(|old| {
        let most = workload::replicas(old).max(declared);
        most.saturating_add(sum(workload::extras(old, most)))
    });
    let risen = workload::EXTRAS.iter().zip(before.iter().zip(after)).find(|(_, (b, a))| a > *b);
    let Some((field, _)) = risen else { return lifts };
    // A new workload is compared field by field: it has one strategy.
    let rises = old_height.is_none_or(|old| sum(after) > sum(before) && height > old);
    if rises {
        let note = format!("lets up to {height} pods run at {most} replicas");
        let lift = bypass(field, old_height, height);
        // A surge starts nothing where nothing runs.
        let wakes = after.iter().zip(before).skip(1).any(|(a, b)| *a > b);
        lifts.push(Lift { wakes, is_number: false, note: Some(note), ..lift });
    }
    lifts
}

/// A Rollout, not among the lane's targets, that comes to run the template of
/// one: its `scale` carries another name, so nothing would judge what it runs.
pub fn unlisted_rollout(target: &Target) -> Lift {
    unbounded(
        "spec.workloadRef",
        &format!("runs the pods of {} {} beside it", target.kind.name(), target.name),
    )
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
    #[case::canary_scale(json!({}), json!({"strategy": {"canary": {"steps": [{"setCanaryScale": {"replicas": 9}}]}}}), &[(Some(2), 11)])]
    #[case::surge(json!({"replicas": 6}), json!({"replicas": 6, "strategy": {"rollingUpdate": {"maxSurge": 500}}}), &[(Some(8), 506)])]
    #[case::surge_lowered(json!({"replicas": 6}), json!({"replicas": 6, "strategy": {"rollingUpdate": {"maxSurge": 0}}}), &[])]
    #[case::same_share_of_more(json!({"replicas": 4}), json!({"replicas": 8}), &[(Some(4), 8)])]
    #[case::more_surge_of_fewer(json!({"replicas": 6}), json!({"replicas": 4, "strategy": {"rollingUpdate": {"maxSurge": 2}}}), &[])]
    #[case::as_many_in_all(json!({"replicas": 6}), json!({"replicas": 5, "strategy": {"rollingUpdate": {"maxSurge": 3}}}), &[])]
    #[case::preview_removed(json!({"replicas": 6, "strategy": {"blueGreen": {"previewReplicaCount": 1}}}), json!({"replicas": 6, "strategy": {"blueGreen": {}}}), &[(Some(7), 12)])]
    #[case::preview_set(json!({"replicas": 6, "strategy": {"blueGreen": {}}}), json!({"replicas": 6, "strategy": {"blueGreen": {"previewReplicaCount": 1}}}), &[])]
    fn of_a_workload(
        #[case] old: Value,
        #[case] new: Value,
        #[case] expected: &[(Option<i64>, i64)],
    ) {
        let (old, new) = (json!({ "spec": old }), json!({ "spec": new }));
        let got = workload(Some(Object::of(&old)), Object::of(&new), 0);
        assert_eq!(got.iter().map(|l| (l.old, l.new)).collect::<Vec<_>>(), expected);
    }

    #[rstest]
    #[case::a_share_of_nothing_yet(json!({"replicas": 0}), json!({"replicas": 0, "strategy": {"rollingUpdate": {"maxSurge": "100%"}}}), 6, &[(Some(8), 12, false)])]
    #[case::the_default_of_one(json!({"replicas": 0}), json!({"replicas": 0, "strategy": {"rollingUpdate": {"maxSurge": 1}}}), 1, &[])]
    #[case::together_more(json!({"replicas": 10, "strategy": {"canary": {}}}), json!({"replicas": 2, "strategy": {"canary": {"steps": [{"setCanaryScale": {"replicas": 8}}, {"experiment": {"templates": [{"replicas": 8}]}}]}}}), 0, &[(Some(13), 19, true)])]
    #[case::another_strategy_with_fewer(json!({"replicas": 6, "strategy": {"blueGreen": {}}}), json!({"replicas": 6, "strategy": {"canary": {}}}), 0, &[])]
    #[case::more_surge_of_far_fewer(json!({"replicas": 10, "strategy": {"rollingUpdate": {"maxSurge": "100%"}}}), json!({"replicas": 2, "strategy": {"rollingUpdate": {"maxSurge": 15}}}), 0, &[])]
    fn pods_in_all(
        #[case] old: Value,
        #[case] new: Value,
        #[case] declared: i64,
        #[case] expected: &[(Option<i64>, i64, bool)],
    ) {
        let (old, new) = (json!({ "spec": old }), json!({ "spec": new }));
        let got = workload(Some(Object::of(&old)), Object::of(&new), declared);
        assert_eq!(got.iter().map(|l| (l.old, l.new, l.wakes)).collect::<Vec<_>>(), expected);
    }

    #[rstest]
    #[case::usual(json!({"replicas": 6}), &[(None, 6)])]
    #[case::usual_preview(json!({"replicas": 6, "strategy": {"blueGreen": {}}}), &[(None, 6)])]
    #[case::surge(json!({"replicas": 6, "strategy": {"rollingUpdate": {"maxSurge": 3}}}), &[(None, 6), (None, 9)])]
    #[case::experiment(json!({"replicas": 6, "strategy": {"canary": {"steps": [{"experiment": {"templates": [{}]}}]}}}), &[(None, 6), (None, 9)])]
    fn of_a_new_workload(#[case] spec: Value, #[case] expected: &[(Option<i64>, i64)]) {
        let v = json!({ "spec": spec });
        let got = workload(None, Object::of(&v), 0);
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
