//! What an edit of a ScaledJob lifts (kedacore/keda
//! `apis/keda/v1alpha1/scaledjob_types.go`): the Jobs that may run at once, or
//! the pods of each.

use super::{faster, of_numbers, unbounded, Lift, Names};
use crate::objects::scaled_job::{ScaledJob, JOB_LABEL};
use crate::objects::{alike, Object};

const NAMES: Names =
    Names { max: "spec.maxReplicaCount", min: "spec.minReplicaCount", scale_up: "" };

pub fn lifts(old: Option<ScaledJob>, new: ScaledJob) -> Vec<Lift> {
    let mut lifts = of_numbers(old.map(|o| o.replicas()).as_ref(), &new.replicas(), &NAMES);
    lifts.extend(parallelism(
        "spec.jobTargetRef.parallelism",
        old.map_or(1, |old| old.parallelism()),
        new.parallelism(),
    ));
    let Some(old) = old else { return lifts };
    for key in ["triggers", "scalingStrategy"] {
        if !alike(old.0.at(&["spec", key]), new.0.at(&["spec", key])) {
            lifts.push(faster(&format!("spec.{key}"), "changed"));
        }
    }
    lifts
}

fn parallelism(field: &str, old: i64, new: i64) -> Option<Lift> {
    (new > old).then(|| unbounded(field, &format!("{old} -> {new}: more pods in each Job")))
}

/// An edit of a Job that KEDA made for the ScaledJob: it counts its Jobs by
/// their label, and makes more where it finds fewer
/// (`pkg/scaling/executor/scale_jobs.go`).
pub fn job(old: Object, new: Object) -> Vec<Lift> {
    let count = |o: Object| o.number(&["spec", "parallelism"]).unwrap_or(1);
    let mut lifts = Vec::from_iter(parallelism("spec.parallelism", count(old), count(new)));
    let label = |o: Object| o.at(&["metadata", "labels", JOB_LABEL]).as_str().map(str::to_owned);
    if label(old) != label(new) {
        lifts.push(unbounded(
            &format!("metadata.labels[{JOB_LABEL}]"),
            "changed: KEDA would make another Job",
        ));
    }
    lifts
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{json, Value};

    #[rstest]
    #[case::max(json!({"maxReplicaCount": 7}), &["spec.maxReplicaCount"])]
    #[case::removed(json!({"maxReplicaCount": null}), &["spec.maxReplicaCount"])]
    #[case::lower(json!({"maxReplicaCount": 5}), &[])]
    #[case::min(json!({"minReplicaCount": 2}), &["spec.minReplicaCount", "spec.idleReplicaCount"])]
    #[case::parallelism(json!({"jobTargetRef": {"parallelism": 2}}), &["spec.jobTargetRef.parallelism"])]
    #[case::one_is_the_default(json!({"jobTargetRef": {"parallelism": 1}}), &[])]
    #[case::triggers(json!({"triggers": [{"type": "redis"}]}), &["spec.triggers"])]
    #[case::strategy(json!({"scalingStrategy": {"strategy": "eager"}}), &["spec.scalingStrategy"])]
    fn an_update(#[case] change: Value, #[case] expected: &[&str]) {
        let old = json!({"spec": {"maxReplicaCount": 6}});
        let mut new = old.clone();
        new["spec"].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let got = lifts(Some(ScaledJob(Object::of(&old))), ScaledJob(Object::of(&new)));
        assert_eq!(got.iter().map(|l| l.field.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_pause_that_goes_away_is_a_release() {
        let new = json!({"spec": {"maxReplicaCount": 6}});
        let mut old = new.clone();
        old["metadata"] = json!({"annotations": {"autoscaling.keda.sh/paused": "true"}});
        let of = |old: &Value, new: &Value| {
            lifts(Some(ScaledJob(Object::of(old))), ScaledJob(Object::of(new))).len()
        };
        assert_eq!((of(&old, &new), of(&new, &old)), (1, 0));
    }

    #[rstest]
    #[case::suspended(json!({"spec": {"suspend": true, "parallelism": 2}}), &[])]
    #[case::more_pods(json!({"spec": {"parallelism": 3}}), &["spec.parallelism"])]
    #[case::fewer_pods(json!({"spec": {"parallelism": 1}}), &[])]
    #[case::hidden(json!({"spec": {"parallelism": 2}, "metadata": {"labels": null}}), &["metadata.labels[scaledjob.keda.sh/name]"])]
    fn of_its_job(#[case] change: Value, #[case] expected: &[&str]) {
        let old =
            json!({"metadata": {"labels": {JOB_LABEL: "builder"}}, "spec": {"parallelism": 2}});
        let mut new = old.clone();
        new.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let got = job(Object::of(&old), Object::of(&new));
        assert_eq!(got.iter().map(|l| l.field.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_new_one_with_more_pods_a_job_is_unbounded() {
        let v = json!({"spec": {"maxReplicaCount": 6, "jobTargetRef": {"parallelism": 100}}});
        let got = lifts(None, ScaledJob(Object::of(&v)));
        assert_eq!(got.iter().map(|l| l.new).collect::<Vec<_>>(), [6, i64::MAX]);
    }

    #[test]
    fn a_new_one_may_reach_its_maximum() {
        let v = json!({"spec": {}});
        let got = lifts(None, ScaledJob(Object::of(&v)));
        assert_eq!(got.iter().map(|l| (l.old, l.new)).collect::<Vec<_>>(), [(None, 100)]);
    }
}
