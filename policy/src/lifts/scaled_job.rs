//! What an edit of a ScaledJob lifts, and of a Job that KEDA made for it.

use super::{annotation, faster, unknown};
use crate::change::{Lift, LiftKind};
use crate::fields::job::JOB_CONTROLLER;
use crate::fields::{Changes, Effect};
use crate::lifts::replica_set::owner;
use crate::objects::scaled_job::JOB_LABEL;
use crate::objects::Object;
use crate::pods::{self, Pods};
use crate::speed::{strategy, triggers};
use gate::ceiling::PAUSED;

const MAX: &str = "spec.maxReplicaCount";
const MIN: &str = "spec.minReplicaCount";

/// The most pods of a ScaledJob.
pub fn most(object: Object) -> Pods {
    pods::scaled_job::FORMULA.of(object, 0)
}

pub fn lifts(old: Option<Object>, new: Object, changes: &Changes) -> Vec<Lift> {
    let mut lifts = Vec::new();
    let Some(old) = old else {
        let all = most(new);
        let max = new.number(&["spec", "maxReplicaCount"]);
        let is_number = max.is_none_or(|max| max == all.number());
        let lift = Lift::number(MAX, None, all.number());
        let note = format!("lets {} pods run in all", all.at_most());
        let note = (!is_number).then_some(note);
        lifts.push(Lift { kind: LiftKind::Ceiling, is_number, note, ..lift });
        lifts.extend(minimum(Pods::NONE, new));
        lifts.extend(unknown(changes));
        return lifts;
    };
    if changes.any(&[Effect::Pods]) {
        let unbounded = most(old) == Pods::NO_BOUND && most(new) == Pods::NO_BOUND;
        let formula =
            if unbounded { &pods::scaled_job::COUNTED } else { &pods::scaled_job::FORMULA };
        if let Some(raise) = formula.raise(old, new, 0) {
            let number = |o: Object| o.number(&["spec", "maxReplicaCount"]);
            // Where the maximum is all that counts, its number says it best.
            let is_number = raise.field == MAX
                && number(old).is_none_or(|n| n == raise.before.number())
                && number(new).is_none_or(|n| n == raise.after.number());
            let note = format!("lets {} pods run, {} before", raise.after.at_most(), raise.before);
            let kind = if raise.field == MAX { LiftKind::Ceiling } else { LiftKind::Bypass };
            let lift =
                Lift::number(&raise.field, Some(raise.before.number()), raise.after.number());
            lifts.push(Lift { kind, is_number, note: (!is_number).then_some(note), ..lift });
        }
        if managed_by(&["spec", "jobTargetRef"], old) != managed_by(&["spec", "jobTargetRef"], new)
        {
            let field = "spec.jobTargetRef.managedBy";
            lifts.push(Lift::unbounded(field, "another controller makes the pods"));
        }
        let (before, beside) = (most(old), pods::scaled_job::side_by_side(old, new));
        if lifts.is_empty() && beside > before {
            let note = format!(
                "lets {} pods run while Jobs of before go on, {before} before",
                beside.at_most()
            );
            let lift = Lift::number(MAX, Some(before.number()), beside.number());
            lifts.push(Lift { is_number: false, note: Some(note), ..lift });
        }
        lifts.extend(minimum(pods::scaled_job::minimum(old), new));
    }
    if changes.any(&[Effect::Hold]) && old.flag(PAUSED) && !new.flag(PAUSED) {
        let note = "goes away, and Jobs are made again";
        let lift = Lift::number(&annotation(PAUSED), Some(0), most(new).number());
        lifts.push(Lift { is_number: false, note: Some(note.to_owned()), ..lift });
    }
    if changes.any(&[Effect::Pods, Effect::Speed, Effect::Source]) && !new.flag(PAUSED) {
        let environment = ["spec", "envSourceContainerName"];
        let found = triggers::faster_of_scaled_job(old, new)
            .into_iter()
            .chain(strategy::faster(old, new))
            .chain(strategy::polls_sooner(old, new))
            .chain(strategy::other_environment(&environment, old, new));
        lifts.extend(faster(found, most(new).number()));
    }
    lifts.extend(unknown(changes));
    lifts
}

/// Who makes the pods of a Job; the Job controller where nobody is named.
fn managed_by<'a>(path: &[&str], object: Object<'a>) -> &'a str {
    match Object(object.at(path)).text(&["managedBy"]) {
        "" => JOB_CONTROLLER,
        by => by,
    }
}

/// Jobs that are made whatever waits.
fn minimum(before: Pods, new: Object) -> Option<Lift> {
    let after = pods::scaled_job::minimum(new);
    (after > before)
        .then(|| Lift { wakes: true, ..Lift::number(MIN, Some(before.number()), after.number()) })
}

/// An edit of a Job that KEDA made for the ScaledJob. KEDA counts its Jobs by their label,
/// and makes more where it finds fewer (`pkg/scaling/executor/scale_jobs.go`).
pub fn job(old: Object, new: Object, changes: &Changes) -> Vec<Lift> {
    let mut lifts = Vec::new();
    if !changes.any(&[Effect::Pods]) {
        return lifts;
    }
    if let Some(raise) = pods::job::FORMULA.raise(old, new, 0) {
        let note =
            format!("lets {} pods run in this Job, {} before", raise.after.at_most(), raise.before);
        lifts.push(Lift::unbounded(&raise.field, &note));
    }
    if managed_by(&["spec"], old) != managed_by(&["spec"], new) {
        lifts.push(Lift::unbounded("spec.managedBy", "another controller makes the pods"));
    }
    let label = |o: Object| o.at(&["metadata", "labels", JOB_LABEL]).as_str().map(str::to_owned);
    if label(old) != label(new) {
        let note = "changed: KEDA would make another Job";
        lifts.push(Lift::unbounded(&format!("metadata.labels[{JOB_LABEL}]"), note));
    }
    if owner(old) != owner(new) {
        let note = "changed: the Job runs on beside what its owner makes";
        lifts.push(Lift::unbounded("metadata.ownerReferences", note));
    }
    lifts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::table;
    use crate::request::Kind;
    use rstest::rstest;
    use serde_json::{json, Value};

    fn update(kind: Kind, old: &Value, new: &Value) -> Vec<Lift> {
        let table = table(kind).unwrap();
        let (old, new) = (Object::of(old), Object::of(new));
        let changes = Changes::between(&table, Some(old.0), new.0);
        if kind == Kind::Job {
            job(old, new, &changes)
        } else {
            lifts(Some(old), new, &changes)
        }
    }

    #[rstest]
    #[case::max(json!({"maxReplicaCount": 7}), &["spec.maxReplicaCount"])]
    #[case::removed(json!({"maxReplicaCount": null}), &["spec.maxReplicaCount"])]
    #[case::lower(json!({"maxReplicaCount": 5}), &[])]
    #[case::min(json!({"minReplicaCount": 2}), &["spec.minReplicaCount"])]
    #[case::min_above_max(json!({"minReplicaCount": 7}), &["spec.minReplicaCount", "spec.minReplicaCount"])]
    #[case::parallelism(json!({"jobTargetRef": {"parallelism": 2}}), &["spec.jobTargetRef.parallelism"])]
    #[case::one_is_the_default(json!({"jobTargetRef": {"parallelism": 1}}), &[])]
    #[case::fewer_jobs_of_more_pods(json!({"maxReplicaCount": 3, "jobTargetRef": {"parallelism": 2}}), &[])]
    #[case::triggers(json!({"triggers": [{"type": "redis"}]}), &["spec.triggers[0]"])]
    #[case::strategy(json!({"scalingStrategy": {"strategy": "eager"}}), &["spec.scalingStrategy.strategy"])]
    #[case::default_strategy(json!({"scalingStrategy": {"strategy": "default"}}), &[])]
    #[case::polling(json!({"pollingInterval": 5}), &["spec.pollingInterval"])]
    #[case::slower_polling(json!({"pollingInterval": 60}), &[])]
    #[case::environment(json!({"envSourceContainerName": "x"}), &["spec.envSourceContainerName"])]
    #[case::of_a_later_keda(json!({"burst": 1}), &["spec.burst"])]
    fn an_update(#[case] change: Value, #[case] expected: &[&str]) {
        let old = json!({"spec": {"maxReplicaCount": 6}});
        let mut new = old.clone();
        new["spec"].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let got = update(Kind::ScaledJob, &old, &new);
        assert_eq!(got.iter().map(|l| l.field.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_pause_that_goes_away_is_a_release() {
        let new = json!({"spec": {"maxReplicaCount": 6}});
        let mut old = new.clone();
        old["metadata"] = json!({"annotations": {"autoscaling.keda.sh/paused": "true"}});
        let of = |old: &Value, new: &Value| update(Kind::ScaledJob, old, new).len();
        assert_eq!((of(&old, &new), of(&new, &old)), (1, 0));
    }

    #[rstest]
    #[case::suspended(json!({"spec": {"suspend": true, "parallelism": 2}}), &[])]
    #[case::more_pods(json!({"spec": {"parallelism": 3}}), &["spec.parallelism"])]
    #[case::fewer_pods(json!({"spec": {"parallelism": 1}}), &[])]
    #[case::hidden(json!({"spec": {"parallelism": 2}, "metadata": {"labels": null, "ownerReferences": [{"kind": "ScaledJob", "name": "builder", "controller": true}]}}), &["metadata.labels[scaledjob.keda.sh/name]"])]
    #[case::let_go(json!({"spec": {"parallelism": 2}, "metadata": {"labels": {JOB_LABEL: "builder"}, "ownerReferences": []}}), &["metadata.ownerReferences"])]
    #[case::owned_besides(json!({"spec": {"parallelism": 2}, "metadata": {"labels": {JOB_LABEL: "builder"}, "ownerReferences": [{"kind": "ScaledJob", "name": "builder", "controller": true, "blockOwnerDeletion": true}, {"kind": "X", "name": "y"}]}}), &[])]
    #[case::another_label(json!({"spec": {"parallelism": 2}, "metadata": {"labels": {JOB_LABEL: "builder", "team": "a"}, "ownerReferences": [{"kind": "ScaledJob", "name": "builder", "controller": true}]}}), &[])]
    fn of_its_job(#[case] change: Value, #[case] expected: &[&str]) {
        let old = json!({"metadata": {"labels": {JOB_LABEL: "builder"}, "ownerReferences": [{"kind": "ScaledJob", "name": "builder", "controller": true}]}, "spec": {"parallelism": 2}});
        let mut new = old.clone();
        new.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let got = update(Kind::Job, &old, &new);
        assert_eq!(got.iter().map(|l| l.field.as_str()).collect::<Vec<_>>(), expected);
    }

    #[rstest]
    #[case::its_maximum(json!({"maxReplicaCount": 6}), 6, true)]
    #[case::the_default(json!({}), 100, true)]
    #[case::many_pods_a_job(json!({"maxReplicaCount": 6, "jobTargetRef": {"parallelism": 100}}), 600, false)]
    fn a_new_one(#[case] spec: Value, #[case] most: i64, #[case] is_number: bool) {
        let v = json!({ "spec": spec });
        let got = lifts(None, Object::of(&v), &Changes::default());
        assert_eq!((got[0].old, got[0].new, got[0].is_number), (None, most, is_number));
    }
}
