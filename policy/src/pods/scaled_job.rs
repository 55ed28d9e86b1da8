//! A ScaledJob's pods: the Jobs that KEDA may have unfinished at once, by the pods of each.
//!
//! kedacore/keda 2.21 `apis/keda/v1alpha1/scaledjob_types.go` (`MaxReplicaCount`,
//! `MinReplicaCount`) and `pkg/scaling/executor/scale_jobs.go` (`getScalingDecision`,
//! `GetEffectiveMaxScale`, `generateJobs`, `getRunningJobCount`):
//!
//! - Minimum and maximum add up. Within each other they come to `maxReplicaCount`; a
//!   minimum above the maximum makes both the maximum, so twice as many run; without a
//!   maximum 100 run beside the minimum.
//! - The strategies `default`, `accurate` and `eager` stay within that sum. `custom`
//!   counts each running Job as `customScalingRunningJobPercentage` of one, and takes
//!   `customScalingQueueLengthDeduction` off: at a percentage of 0 no Job counts. Where
//!   the percentage is no number KEDA falls back to `default`.
//! - KEDA counts Jobs by their label `scaledjob.keda.sh/name`. The ScaledJob's own labels
//!   are copied over KEDA's on each Job, so another value there hides every Job.

use super::{job, Formula, Pods};
use crate::objects::quantity::{go_float, GoFloat};
use crate::objects::scaled_job::{EXCLUDED_LABELS, JOB_LABEL};
use crate::objects::{number, Object};
use gate::ceiling::DEFAULT_MAX_REPLICAS;
use gate::parse::Json;

pub const FORMULA: Formula<12> = Formula {
    fields: [
        &["spec", "maxReplicaCount"],
        &["spec", "minReplicaCount"],
        &["spec", "scalingStrategy", "strategy"],
        &["spec", "scalingStrategy", "customScalingRunningJobPercentage"],
        &["spec", "scalingStrategy", "customScalingQueueLengthDeduction"],
        &["metadata", "labels", JOB_LABEL],
        &["metadata", "annotations", EXCLUDED_LABELS],
        &["spec", "jobTargetRef", "parallelism"],
        &["spec", "jobTargetRef", "completions"],
        &["spec", "jobTargetRef", "suspend"],
        &["metadata", "name"],
        &["spec"],
    ],
    most: |values, _| most(values),
};

/// The same as [`FORMULA`] for Jobs that KEDA counts and takes off: what is compared where
/// nothing bounds the Jobs before and after.
pub const COUNTED: Formula<12> = Formula {
    fields: FORMULA.fields,
    most: |values, _| {
        let [max, min, _, _, _, _, _, parallelism, completions, suspend, _, spec] = *values;
        let (minimum, beside) = counts(max, min);
        let pods = of_each(spec, &[parallelism, completions, suspend]);
        Pods::up_to(minimum).plus(Pods::up_to(beside)).times(pods)
    },
};

fn most(values: &[&Json; 12]) -> Pods {
    let (jobs, pods) = jobs_and_pods(values);
    jobs.times(pods)
}

/// The Jobs, and the pods of each.
fn jobs_and_pods(values: &[&Json; 12]) -> (Pods, Pods) {
    let [max, min, strategy, percentage, deduction, label, excluded, parallelism, completions, suspend, name, spec] =
        *values;
    let pods = of_each(spec, &[parallelism, completions, suspend]);
    let (minimum, beside) = counts(max, min);
    let jobs = if hides_its_jobs(label, excluded, name) {
        Pods::NO_BOUND
    } else if strategy.as_str() == Some("custom") {
        custom(minimum, beside, percentage, deduction)
    } else {
        Pods::up_to(minimum).plus(Pods::up_to(beside))
    };
    (jobs, pods)
}

/// Pods that run side by side while `old` becomes `new`. With the rollout strategy `gradual`
/// the Jobs of before go on with as many pods as they have (`scaledjob_controller.go`), and
/// are counted as Jobs, so more Jobs of fewer pods each run beside them.
pub fn side_by_side(old: Object, new: Object) -> Pods {
    let of = |object| jobs_and_pods(&FORMULA.values(object));
    let ((old_jobs, old_pods), (new_jobs, new_pods)) = (of(old), of(new));
    let strategy = match new.text(&["spec", "rolloutStrategy"]) {
        "" => new.text(&["spec", "rollout", "strategy"]),
        deprecated => deprecated,
    };
    let after = new_jobs.times(new_pods);
    if strategy != "gradual" || new_jobs <= old_jobs {
        return after;
    }
    let more = if new_jobs == Pods::NO_BOUND {
        Pods::NO_BOUND
    } else {
        Pods::up_to(new_jobs.number() - old_jobs.number())
    };
    after.max(old_jobs.times(old_pods).plus(more.times(new_pods)))
}

/// KEDA's minimum, and the most Jobs beside it.
fn counts(max: &Json, min: &Json) -> (i64, i64) {
    let min = number(min).unwrap_or(0).max(0);
    match number(max).map(|max| max.max(0)) {
        None => (min, DEFAULT_MAX_REPLICAS),
        Some(max) if min > max => (max, max),
        // No number of either is read as the highest, and stays it.
        Some(i64::MAX) => (min, i64::MAX),
        Some(max) => (min, max - min),
    }
}

/// The Jobs that always run, whatever waits.
pub fn minimum(object: Object) -> Pods {
    let at = |key| object.at(&["spec", key]);
    let pods = ["parallelism", "completions", "suspend"]
        .map(|key| object.at(&["spec", "jobTargetRef", key]));
    let pods = of_each(object.at(&["spec"]), &pods);
    Pods::up_to(counts(at("maxReplicaCount"), at("minReplicaCount")).0).times(pods)
}

/// The pods of each Job. Without a `spec` there is no `jobTargetRef`, and KEDA makes none
/// (`scaledjob_controller.go`, `reconcileScaledJob`).
fn of_each(spec: &Json, values: &[&Json; 3]) -> Pods {
    if spec.is_null() {
        Pods::NONE
    } else {
        job::most(values)
    }
}

fn custom(minimum: i64, beside: i64, percentage: &Json, deduction: &Json) -> Pods {
    let plain = Pods::up_to(minimum).plus(Pods::up_to(beside));
    let share = match go_float(percentage.as_str().unwrap_or_default()) {
        GoFloat::Number(share) => share,
        // The CPU decides what becomes of these.
        GoFloat::Wild => return Pods::NO_BOUND,
        GoFloat::None => return plain,
    };
    let deduction = number(deduction).unwrap_or(0).clamp(-MOST_DEDUCTED, MOST_DEDUCTED);
    // Jobs are made while the share of those that run is below this.
    let room = beside.saturating_sub(deduction);
    if room <= 0 && share >= 0.0 {
        return Pods::up_to(minimum);
    }
    if share >= 1.0 && deduction >= 0 {
        return Pods::up_to(minimum).plus(Pods::up_to(room));
    }
    let most = if share > 1.0 {
        // At most the maximum at once, the last time when the share is just below.
        beside as f64 + ((1 - deduction) as f64 / share).ceil() - 1.0
    } else {
        (room as f64 / share).ceil()
    };
    if share > 0.0 && most < MOST_COUNTED {
        Pods::up_to(minimum).plus(Pods::up_to(most as i64))
    } else {
        Pods::NO_BOUND
    }
}

/// `customScalingQueueLengthDeduction` has 32 bits.
const MOST_DEDUCTED: i64 = 1 << 31;
/// No cluster runs as many pods as this; above it numbers are no longer exact.
const MOST_COUNTED: f64 = 1e15;

/// Whether KEDA does not find the Jobs that it makes.
fn hides_its_jobs(label: &Json, excluded: &Json, name: &Json) -> bool {
    let is_excluded =
        excluded.as_str().is_some_and(|keys| keys.split(',').any(|key| key == JOB_LABEL));
    !label.is_null() && label != name && !is_excluded
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{json, Value};

    fn custom(percentage: &str, deduction: i64) -> Value {
        json!({"maxReplicaCount": 10, "scalingStrategy": {
            "strategy": "custom",
            "customScalingRunningJobPercentage": percentage,
            "customScalingQueueLengthDeduction": deduction,
        }})
    }

    #[rstest]
    #[case::nothing_said(json!({}), 100)]
    #[case::maximum(json!({"maxReplicaCount": 10}), 10)]
    #[case::minimum_within(json!({"maxReplicaCount": 10, "minReplicaCount": 4}), 10)]
    #[case::minimum_above(json!({"maxReplicaCount": 8, "minReplicaCount": 9}), 16)]
    #[case::minimum_alone(json!({"minReplicaCount": 9}), 109)]
    #[case::no_number(json!({"maxReplicaCount": "10"}), i64::MAX)]
    #[case::strategies_within(json!({"maxReplicaCount": 10, "scalingStrategy": {"strategy": "eager"}}), 10)]
    #[case::whole(custom("1.0", 0), 10)]
    #[case::half(custom("0.5", 0), 20)]
    #[case::a_third_up(custom("0.3", 0), 34)]
    #[case::more_than_whole(custom("2", 0), 10)]
    #[case::deducted(custom("1", 4), 6)]
    #[case::half_deducted(custom("0.5", 4), 12)]
    #[case::deducted_below(custom("1", -5), 15)]
    #[case::more_than_whole_deducted_below(custom("2", -5), 12)]
    #[case::all_deducted(custom("0", 10), 0)]
    #[case::none_counts(custom("0", 0), i64::MAX)]
    #[case::negative(custom("-1", 0), i64::MAX)]
    #[case::negative_all_deducted(custom("-1", 10), i64::MAX)]
    #[case::not_read(custom("0x1p-2", 0), i64::MAX)]
    #[case::no_number_as_a_share(custom("NaN", 0), i64::MAX)]
    #[case::empty_is_the_default_strategy(custom("", 4), 10)]
    #[case::no_number_is_the_default_strategy(custom("50%", 4), 10)]
    #[case::other_strategies_ignore_it(json!({"maxReplicaCount": 10, "scalingStrategy": {"customScalingRunningJobPercentage": "0"}}), 10)]
    #[case::pods_of_each(json!({"maxReplicaCount": 10, "jobTargetRef": {"parallelism": 3}}), 30)]
    #[case::suspended(json!({"jobTargetRef": {"suspend": true}}), 0)]
    fn pods(#[case] spec: Value, #[case] expected: i64) {
        let v = json!({"metadata": {"name": "builder"}, "spec": spec});
        assert_eq!(FORMULA.of(Object::of(&v), 0).number(), expected);
    }

    #[rstest]
    #[case::its_own_name(json!({"labels": {JOB_LABEL: "builder"}}), 10)]
    #[case::another(json!({"labels": {JOB_LABEL: "x"}}), i64::MAX)]
    #[case::empty(json!({"labels": {JOB_LABEL: ""}}), i64::MAX)]
    #[case::not_copied(json!({"labels": {JOB_LABEL: "x"}, "annotations": {EXCLUDED_LABELS: format!("a,{JOB_LABEL}")}}), 10)]
    #[case::blanks_are_kept(json!({"labels": {JOB_LABEL: "x"}, "annotations": {EXCLUDED_LABELS: format!("a, {JOB_LABEL}")}}), i64::MAX)]
    fn jobs_that_are_not_found(#[case] mut metadata: Value, #[case] expected: i64) {
        metadata["name"] = json!("builder");
        let v = json!({"metadata": metadata, "spec": {"maxReplicaCount": 10}});
        assert_eq!(FORMULA.of(Object::of(&v), 0).number(), expected);
    }

    #[rstest]
    #[case::all_at_once("immediate", 18, 1, 18)]
    #[case::beside_those_of_before("gradual", 18, 1, 30)]
    #[case::fewer_jobs_of_more_pods("gradual", 3, 6, 18)]
    #[case::of_more_pods("gradual", 6, 4, 24)]
    fn jobs_of_an_earlier_version(
        #[case] strategy: &str,
        #[case] max: i64,
        #[case] parallelism: i64,
        #[case] expected: i64,
    ) {
        let of = |max: i64, parallelism: i64| {
            json!({"metadata": {"name": "b"}, "spec": {"maxReplicaCount": max, "rollout": {"strategy": strategy},
                   "jobTargetRef": {"parallelism": parallelism}}})
        };
        let (old, new) = (of(6, 3), of(max, parallelism));
        assert_eq!(side_by_side(Object::of(&old), Object::of(&new)).number(), expected);
    }

    #[test]
    fn a_raise_names_the_field_that_makes_it() {
        let of = |spec: Value| json!({"metadata": {"name": "builder"}, "spec": spec});
        let raise = |old: Value, new: Value| {
            FORMULA.raise(Object::of(&of(old)), Object::of(&of(new)), 0).map(|r| r.field)
        };
        let min = json!({"maxReplicaCount": 10, "minReplicaCount": 9});
        let lower = json!({"maxReplicaCount": 8, "minReplicaCount": 9});
        assert_eq!(raise(min.clone(), lower).as_deref(), Some("spec.maxReplicaCount"));
        assert_eq!(raise(min, json!({"maxReplicaCount": 10})), None);
        let both = json!({"maxReplicaCount": 9, "jobTargetRef": {"parallelism": 2}});
        let got = raise(json!({"maxReplicaCount": 10}), both);
        assert_eq!(got.as_deref(), Some("spec.jobTargetRef.parallelism"));
    }
}
