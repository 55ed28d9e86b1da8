//! What an edit of a ScaledJob lifts (kedacore/keda
//! `apis/keda/v1alpha1/scaledjob_types.go`): the Jobs that may run at once, or
//! the pods of each.

use super::{faster, of_numbers, unbounded, Lift, Names};
use crate::objects::alike;
use crate::objects::scaled_job::ScaledJob;

const NAMES: Names =
    Names { max: "spec.maxReplicaCount", min: "spec.minReplicaCount", scale_up: "" };

pub fn lifts(old: Option<ScaledJob>, new: ScaledJob) -> Vec<Lift> {
    let mut lifts = of_numbers(old.map(|o| o.replicas()).as_ref(), &new.replicas(), &NAMES);
    let Some(old) = old else { return lifts };
    if new.parallelism() > old.parallelism() {
        lifts.push(unbounded(
            "spec.jobTargetRef.parallelism",
            &format!("{} -> {}: more pods in each Job", old.parallelism(), new.parallelism()),
        ));
    }
    for key in ["triggers", "scalingStrategy"] {
        if !alike(old.0.at(&["spec", key]), new.0.at(&["spec", key])) {
            lifts.push(faster(&format!("spec.{key}"), "changed"));
        }
    }
    lifts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Object;
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
    fn a_new_one_may_reach_its_maximum() {
        let v = json!({"spec": {}});
        let got = lifts(None, ScaledJob(Object::of(&v)));
        assert_eq!(got.iter().map(|l| (l.old, l.new)).collect::<Vec<_>>(), [(None, 100)]);
    }
}
