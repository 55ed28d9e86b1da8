//! What an edit of a workload or of its `scale` lifts: the pods that run.
//!
//! Every path ends here (kedacore/keda `pkg/scaling/executor`, the HPA controller,
//! `kubectl scale`), so here the freeze is complete. The replicas are held against the
//! table. Pods beside them are held against what the old object had at as many replicas:
//! a share of more replicas is no rise of its own.

use super::{faster, unknown};
use crate::change::{Lift, LiftKind};
use crate::fields::{Changes, Effect};
use crate::objects::{alike, workload, Object};
use crate::pods::{deployment, rollout, stateful_set, Pods, Raise};
use crate::speed::steps;
use gate::parse::Json;
use gate::target::{Target, TargetKind};

const REPLICAS: &str = "spec.replicas";

/// A write of `*/scale`.
pub fn scale(old: Option<Object>, new: Object, changes: &Changes) -> Vec<Lift> {
    if !changes.any(&[Effect::Pods]) {
        return vec![];
    }
    Vec::from_iter(of_replicas(old.map(workload::scale_replicas), workload::scale_replicas(new)))
}

/// A write of `rollouts/status`. The stable ReplicaSet is what the steps go beside: Argo
/// Rollouts names the first there is, and at the end of a rollout the new one. Any other
/// name is that of none, and the new pods come at once (argo-rollouts
/// `utils/replicaset/replicaset.go`, `CheckStableRSExists`).
pub fn rollout_status(old: Object, new: Object, changes: &Changes) -> Option<Lift> {
    let of = |object: Object<'_>, key: &str| object.text(&["status", key]).to_owned();
    let (was, is) = (of(old, "stableRS"), of(new, "stableRS"));
    // The hash that was there before: one of the same write says nothing.
    let is_its_own = was.is_empty() || (!is.is_empty() && is == of(old, "currentPodHash"));
    let note = "names no ReplicaSet that there is, so the new pods come at once beside all others";
    (changes.any(&[Effect::Pods]) && was != is && !is_its_own)
        .then(|| Lift::unbounded("status.stableRS", note))
}

/// The most pods of a workload at so many replicas.
pub fn most(kind: TargetKind, object: Object, replicas: i64) -> Pods {
    match kind {
        TargetKind::Deployment => deployment::FORMULA.of(object, replicas),
        TargetKind::Rollout => rollout::FORMULA.of(object, replicas),
        TargetKind::StatefulSet | TargetKind::ScaledJob => Pods::up_to(replicas),
    }
}

/// A workload, or a Rollout that runs its template. `declared` is the limit of
/// its slice, to which it may be scaled later: shares of replicas are compared
/// there, and at the replicas that it has.
pub fn workload(
    kind: TargetKind,
    old: Option<Object>,
    new: Object,
    declared: i64,
    changes: &Changes,
) -> Vec<Lift> {
    let mut lifts = Vec::new();
    if changes.any(&[Effect::Pods]) {
        let replicas = workload::replicas(new);
        lifts.extend(of_replicas(old.map(workload::replicas), replicas));
        let at_each = [declared, 0].into_iter().find_map(|least| beside(kind, old, new, least));
        lifts.extend(at_each);
        lifts.extend(old.and_then(|old| let_go(old, new)));
        if kind == TargetKind::Rollout {
            lifts.extend(old.and_then(|old| kept(old, new)));
        }
    }
    if kind == TargetKind::Rollout && changes.any(&[Effect::Pods, Effect::Speed]) {
        let height = most(kind, new, workload::replicas(new).max(declared)).number();
        lifts.extend(old.into_iter().flat_map(|old| faster(steps::faster(old, new), height)));
    }
    lifts.extend(unknown(changes));
    lifts
}

/// Pods besides the replicas, of which there are at `least` so many.
fn beside(kind: TargetKind, old: Option<Object>, new: Object, least: i64) -> Option<Lift> {
    let at = workload::replicas(new).max(least);
    let after = most(kind, new, at);
    let lift = |raise: Raise, wakes: bool| {
        let Raise { field, before, after } = raise;
        let note = format!("lets {} pods run at {at} replicas, {before} before", after.at_most());
        let lift = Lift::number(&field, old.map(|_| before.number()), after.number());
        Lift { is_number: false, wakes, note: Some(note), ..lift }
    };
    let Some(old) = old else {
        let before = usual(kind, new, at);
        let field = format!(
            "spec.{}",
            if kind == TargetKind::StatefulSet { "ordinals" } else { "strategy" }
        );
        return (after > before).then(|| lift(Raise { field, before, after }, false));
    };
    let (before, raise) = match kind {
        TargetKind::Deployment => {
            let at_old = workload::replicas(old).max(least);
            (deployment::FORMULA.of(old, at_old), deployment::FORMULA.raise(old, new, at))
        }
        TargetKind::Rollout => {
            let at_old = workload::replicas(old).max(least);
            (rollout::FORMULA.of(old, at_old), rollout::FORMULA.raise(old, new, at))
        }
        TargetKind::StatefulSet => return moved(old, new),
        TargetKind::ScaledJob => return None,
    };
    // Fewer replicas may have more beside them, as long as they are no more in all.
    let raise = raise.filter(|raise| raise.after > before)?;
    // A surge starts nothing where nothing runs; a canary of a fixed size does.
    let wakes = most(kind, new, 0) > most(kind, old, 0);
    Some(lift(Raise { before, ..raise }, wakes))
}

/// What a new workload may have where it says nothing: a surge, or sets of pods beside it.
fn usual(kind: TargetKind, new: Object, replicas: i64) -> Pods {
    let set = Pods::up_to(replicas);
    match kind {
        TargetKind::Rollout if new.at(&["spec", "strategy", "blueGreen"]).is_object() => {
            set.plus(set).plus(set)
        }
        TargetKind::Rollout => set.plus(set),
        _ => most(kind, Object(&Json::Null), replicas),
    }
}

/// Ordinals that move run beside those that were, replicas or not.
fn moved(old: Object, new: Object) -> Option<Lift> {
    let before = Pods::up_to(workload::replicas(old));
    let after = stateful_set::side_by_side(old, new);
    let start = |o: Object| o.number(&["spec", "ordinals", "start"]).unwrap_or(0);
    if after <= before || start(new) == start(old) || workload::replicas(new) <= 0 {
        return None;
    }
    let note = format!("lets {after} pods run side by side, {before} before");
    let lift = Lift::number("spec.ordinals.start", Some(before.number()), after.number());
    Some(Lift { is_number: false, note: Some(note), ..lift })
}

/// Pods that the controller no longer finds run on, and it makes others.
fn let_go(old: Object, new: Object) -> Option<Lift> {
    let path = ["spec", "selector"];
    let note = "changed: the pods that it selected run on, and others are made";
    let changed = !old.at(&path).is_null() && !alike(old.at(&path), new.at(&path));
    changed.then(|| Lift::unbounded("spec.selector", note))
}

/// Pods of an old image that stay for longer, and a referenced Deployment that does.
fn kept(old: Object, new: Object) -> Option<Lift> {
    if let Some(field) = rollout::keeps_longer(old, new) {
        return Some(Lift::unbounded(
            &field,
            "keeps the pods of old images for longer, or more of them",
        ));
    }
    // `onsuccess` takes the Deployment down, `never` leaves it, `progressively` also scales it up.
    let rank = |o: Object| match o.text(&["spec", "workloadRef", "scaleDown"]) {
        "onsuccess" => 0,
        "progressively" => 2,
        _ => 1,
    };
    let has = |o: Object| workload::workload_ref(o).is_some();
    if has(new) && workload::workload_ref(old) != workload::workload_ref(new) {
        let note = "runs another workload's template beside that workload's own pods";
        let height = most(TargetKind::Rollout, new, workload::replicas(new)).number();
        return Some(Lift::faster("spec.workloadRef", note, height));
    }
    let note = "leaves more pods of the referenced workload beside the Rollout's";
    (has(old) && has(new) && rank(new) > rank(old))
        .then(|| Lift::unbounded("spec.workloadRef.scaleDown", note))
}

/// A Rollout, not among the lane's targets, that comes to run the template of
/// one: its `scale` carries another name, so nothing would judge what it runs.
pub fn unlisted_rollout(target: &Target) -> Lift {
    Lift::unbounded(
        "spec.workloadRef",
        &format!("runs the pods of {} {} beside it", target.kind.name(), target.name),
    )
}

fn of_replicas(old: Option<i64>, new: i64) -> Option<Lift> {
    let rises = old.is_none_or(|old| new > old);
    rises.then(|| Lift { kind: LiftKind::Ceiling, wakes: true, ..Lift::number(REPLICAS, old, new) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::table;
    use crate::request::Kind;
    use rstest::rstest;
    use serde_json::{json, Value};

    fn lifts(kind: TargetKind, old: Option<&Value>, new: &Value, declared: i64) -> Vec<Lift> {
        let table = table(Kind::Workload(kind)).unwrap();
        let changes = Changes::between(&table, old.map(|old| Object::of(old).0), Object::of(new).0);
        workload(kind, old.map(Object::of), Object::of(new), declared, &changes)
    }

    fn heights(kind: TargetKind, old: Value, new: Value, declared: i64) -> Vec<(Option<i64>, i64)> {
        let (old, new) = (json!({ "spec": old }), json!({ "spec": new }));
        lifts(kind, Some(&old), &new, declared).iter().map(|l| (l.old, l.new)).collect()
    }

    #[rstest]
    #[case::raise(json!({"replicas": 6}), json!({"replicas": 7}), &[(Some(6), 7)])]
    #[case::lower(json!({"replicas": 6}), json!({"replicas": 5}), &[])]
    #[case::absent_is_one(json!({"replicas": 0}), json!({}), &[(Some(0), 1)])]
    #[case::removed(json!({"replicas": 6}), json!({}), &[])]
    #[case::no_number(json!({"replicas": 6}), json!({"replicas": "5"}), &[(Some(6), i64::MAX)])]
    #[case::surge(json!({"replicas": 6}), json!({"replicas": 6, "strategy": {"rollingUpdate": {"maxSurge": 500}}}), &[(Some(8), 506)])]
    #[case::surge_lowered(json!({"replicas": 6}), json!({"replicas": 6, "strategy": {"rollingUpdate": {"maxSurge": 0}}}), &[])]
    #[case::same_share_of_more(json!({"replicas": 4}), json!({"replicas": 8}), &[(Some(4), 8)])]
    #[case::more_surge_of_fewer(json!({"replicas": 6}), json!({"replicas": 4, "strategy": {"rollingUpdate": {"maxSurge": 2}}}), &[])]
    #[case::as_many_in_all(json!({"replicas": 6}), json!({"replicas": 5, "strategy": {"rollingUpdate": {"maxSurge": 3}}}), &[])]
    #[case::more_surge_of_far_fewer(json!({"replicas": 10, "strategy": {"rollingUpdate": {"maxSurge": "100%"}}}), json!({"replicas": 2, "strategy": {"rollingUpdate": {"maxSurge": 15}}}), &[])]
    #[case::recreate(json!({"replicas": 6}), json!({"replicas": 6, "strategy": {"type": "Recreate"}}), &[])]
    #[case::rolling_again(json!({"replicas": 6, "strategy": {"type": "Recreate"}}), json!({"replicas": 6}), &[(Some(6), 8)])]
    #[case::selector(json!({"replicas": 6, "selector": {"matchLabels": {"a": "b"}}}), json!({"replicas": 6, "selector": {"matchLabels": {"a": "c"}}}), &[(None, i64::MAX)])]
    fn of_a_deployment(
        #[case] old: Value,
        #[case] new: Value,
        #[case] expected: &[(Option<i64>, i64)],
    ) {
        assert_eq!(heights(TargetKind::Deployment, old, new, 0), expected);
    }

    #[rstest]
    #[case::same(json!({"replicas": 6, "strategy": {"canary": {}}}), json!({"replicas": 6, "strategy": {"canary": {}}}), &[])]
    #[case::traffic_routing(json!({"replicas": 6, "strategy": {"canary": {}}}), json!({"replicas": 6, "strategy": {"canary": {"trafficRouting": {}}}}), &[(Some(8), 12), (None, i64::MAX)])]
    #[case::surge_where_it_has_no_effect(json!({"replicas": 6, "strategy": {"canary": {"trafficRouting": {}}}}), json!({"replicas": 6, "strategy": {"canary": {"trafficRouting": {}, "maxSurge": 9}}}), &[])]
    #[case::preview_set(json!({"replicas": 6, "strategy": {"blueGreen": {}}}), json!({"replicas": 6, "strategy": {"blueGreen": {"previewReplicaCount": 1}}}), &[])]
    #[case::preview_removed(json!({"replicas": 6, "strategy": {"blueGreen": {"previewReplicaCount": 1}}}), json!({"replicas": 6, "strategy": {"blueGreen": {}}}), &[(None, i64::MAX)])]
    #[case::preview_above_all(json!({"replicas": 6, "strategy": {"blueGreen": {}}}), json!({"replicas": 6, "strategy": {"blueGreen": {"previewReplicaCount": 9}}}), &[(Some(18), 24)])]
    #[case::kept_for_longer(json!({"replicas": 6, "strategy": {"blueGreen": {}}}), json!({"replicas": 6, "strategy": {"blueGreen": {"scaleDownDelaySeconds": 1_000_000}}}), &[(None, i64::MAX)])]
    #[case::a_scale_out_of_range(json!({"replicas": 6, "strategy": {"canary": {"trafficRouting": {}, "steps": [{"setCanaryScale": {"replicas": 1}}]}}}), json!({"replicas": 6, "strategy": {"canary": {"trafficRouting": {}, "steps": [{"setCanaryScale": {"replicas": 9}}]}}}), &[(Some(12), 15), (None, i64::MAX)])]
    #[case::selector(json!({"replicas": 6, "selector": {"matchLabels": {"a": "b"}}, "strategy": {"canary": {}}}), json!({"replicas": 6, "selector": {"matchLabels": {"a": "c"}}, "strategy": {"canary": {}}}), &[(None, i64::MAX)])]
    #[case::workload_stays(json!({"replicas": 6, "workloadRef": {"name": "w", "scaleDown": "onsuccess"}, "strategy": {"canary": {}}}), json!({"replicas": 6, "workloadRef": {"name": "w"}, "strategy": {"canary": {}}}), &[(None, i64::MAX)])]
    #[case::workload_goes(json!({"replicas": 6, "workloadRef": {"name": "w"}, "strategy": {"canary": {}}}), json!({"replicas": 6, "workloadRef": {"name": "w", "scaleDown": "onsuccess"}, "strategy": {"canary": {}}}), &[])]
    fn of_a_rollout(
        #[case] old: Value,
        #[case] new: Value,
        #[case] expected: &[(Option<i64>, i64)],
    ) {
        assert_eq!(heights(TargetKind::Rollout, old, new, 0), expected);
    }

    #[rstest]
    #[case::moved(json!({"replicas": 6}), json!({"replicas": 6, "ordinals": {"start": 6}}), &[(Some(6), 12)])]
    #[case::upper_half(json!({"replicas": 6}), json!({"replicas": 3, "ordinals": {"start": 3}}), &[])]
    #[case::to_nothing(json!({"replicas": 6}), json!({"replicas": 0, "ordinals": {"start": 9}}), &[])]
    #[case::more(json!({"replicas": 6}), json!({"replicas": 7}), &[(Some(6), 7)])]
    fn of_a_stateful_set(
        #[case] old: Value,
        #[case] new: Value,
        #[case] expected: &[(Option<i64>, i64)],
    ) {
        assert_eq!(heights(TargetKind::StatefulSet, old, new, 0), expected);
    }

    /// It may be scaled to what is declared later, so that is where shares are compared.
    #[rstest]
    #[case::a_share_of_nothing_yet(TargetKind::Deployment, json!({"replicas": 0}), json!({"replicas": 0, "strategy": {"rollingUpdate": {"maxSurge": "100%"}}}), 6, &[(Some(8), 12)])]
    #[case::the_default_of_one(TargetKind::Deployment, json!({"replicas": 0}), json!({"replicas": 0, "strategy": {"rollingUpdate": {"maxSurge": 1}}}), 1, &[])]
    fn at_what_is_declared(
        #[case] kind: TargetKind,
        #[case] old: Value,
        #[case] new: Value,
        #[case] declared: i64,
        #[case] expected: &[(Option<i64>, i64)],
    ) {
        assert_eq!(heights(kind, old, new, declared), expected);
    }

    #[test]
    fn a_canary_of_a_fixed_size_wakes() {
        let of = |n: i64| json!({"spec": {"replicas": 0, "strategy": {"canary": {"trafficRouting": {}, "steps": [{"setCanaryScale": {"replicas": n}}]}}}});
        let got = lifts(TargetKind::Rollout, Some(&of(0)), &of(2), 0);
        assert!(got[0].wakes, "{got:?}");
        let surge = |n: i64| json!({"spec": {"replicas": 6, "strategy": {"rollingUpdate": {"maxSurge": n}}}});
        assert!(!lifts(TargetKind::Deployment, Some(&surge(0)), &surge(2), 0)[0].wakes);
    }

    #[rstest]
    #[case::usual(TargetKind::Deployment, json!({"replicas": 6}), &[(None, 6)])]
    #[case::surge(TargetKind::Deployment, json!({"replicas": 6, "strategy": {"rollingUpdate": {"maxSurge": 3}}}), &[(None, 6), (None, 9)])]
    #[case::usual_preview(TargetKind::Rollout, json!({"replicas": 6, "strategy": {"blueGreen": {}}}), &[(None, 6)])]
    #[case::experiment(TargetKind::Rollout, json!({"replicas": 6, "strategy": {"canary": {"trafficRouting": {}, "steps": [{"experiment": {"templates": [{}]}}]}}}), &[(None, 6), (None, 13)])]
    #[case::ordinals(TargetKind::StatefulSet, json!({"replicas": 6, "ordinals": {"start": 6}}), &[(None, 6)])]
    fn of_a_new_workload(
        #[case] kind: TargetKind,
        #[case] spec: Value,
        #[case] expected: &[(Option<i64>, i64)],
    ) {
        let v = json!({ "spec": spec });
        let got = lifts(kind, None, &v, 0);
        assert_eq!(got.iter().map(|l| (l.old, l.new)).collect::<Vec<_>>(), expected);
    }

    #[rstest]
    #[case::raise(json!({"replicas": 6}), json!({"replicas": 7}), &[(Some(6), 7)])]
    #[case::absent_is_none(json!({"replicas": 1}), json!({}), &[])]
    #[case::from_none(json!({}), json!({"replicas": 1}), &[(Some(0), 1)])]
    fn of_a_scale(#[case] old: Value, #[case] new: Value, #[case] expected: &[(Option<i64>, i64)]) {
        let (old, new) = (json!({ "spec": old }), json!({ "spec": new }));
        let changes = Changes::between(
            &table(Kind::Scale).unwrap(),
            Some(Object::of(&old).0),
            Object::of(&new).0,
        );
        let got = scale(Some(Object::of(&old)), Object::of(&new), &changes);
        assert_eq!(got.iter().map(|l| (l.old, l.new)).collect::<Vec<_>>(), expected);
    }
}
