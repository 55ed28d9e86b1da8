//! An Argo Rollout's pods, over all steps of one update.
//!
//! argo-rollouts 1.10 `utils/replicaset/canary.go`:
//!
//! - A canary without `trafficRouting` stays within replicas and surge
//!   (`CalculateReplicaCountsForBasicCanary`); `setCanaryScale` is ignored there
//!   (`UseSetCanaryScale`).
//! - With `trafficRouting` the canary runs beside all of the replicas, and at the end of
//!   its steps it is as large as they are (`CalculateReplicaCountsForTrafficRoutedCanary`).
//!   `maxSurge` has no effect there. With `dynamicStableScale` the stable pods go as the
//!   traffic goes, one step behind.
//! - Blue-green runs the preview beside the active pods. It is as large as they are before
//!   it is promoted, whatever a lower `previewReplicaCount` says. One that another image
//!   took the place of stays while the Rollout is paused, which it may be at any time. With
//!   a `postPromotionAnalysis` the pods from before stay beside all while it runs
//!   (`rollout/bluegreen.go`, `utils/replicaset/replicaset.go`, `NewRSNewReplicas`).
//! - Pods of experiments run beside all these, and those of one that ended stay for a while
//!   (`rollout/experiment.go`, `experiments/replicaset.go`).
//!
//! How long old ReplicaSets are kept is a time and no number: [`keeps_longer`]. An
//! operator's `promote --full` skips steps; it is a command and no step, so it is not
//! measured.

use super::surge::{self, share};
use super::{Formula, Pods};
use crate::fields::rollout::{DEFAULT_DELAY_S, DEFAULT_MAX_WEIGHT, DEFAULT_TEMPLATE_REPLICAS};
use crate::objects::{number, Object};
use gate::parse::Json;

pub const FORMULA: Formula<8> = Formula {
    fields: [
        &["spec", "strategy", "blueGreen"],
        &["spec", "strategy", "blueGreen", "previewReplicaCount"],
        &["spec", "strategy", "blueGreen", "postPromotionAnalysis"],
        &["spec", "strategy", "canary", "trafficRouting"],
        &["spec", "strategy", "canary", "dynamicStableScale"],
        &["spec", "strategy", "canary", "minPodsPerReplicaSet"],
        &["spec", "strategy", "canary", "maxSurge"],
        &["spec", "strategy", "canary", "steps"],
    ],
    most,
};

fn most(values: &[&Json; 8], replicas: i64) -> Pods {
    let [blue_green, preview, analysis, routing, dynamic, min_pods, max_surge, steps] = *values;
    let stable = Pods::up_to(replicas);
    let steps = || steps.as_array().unwrap_or_default().iter().map(Object);
    if blue_green.is_object() {
        let preview = number(preview).map_or(stable, |n| stable.max(Pods::up_to(n)));
        let before = if analysis.is_object() { stable } else { Pods::NONE };
        return stable.plus(preview).plus(preview).plus(before);
    }
    let experiments = steps().map(experiment).fold(Pods::NONE, Pods::plus);
    if !routing.is_object() {
        let pods = if replicas > 0 { surge::with_argo(max_surge, replicas) } else { Pods::NONE };
        return pods.plus(experiments);
    }
    let routed = Routed {
        replicas,
        max_weight: Object(routing).number(&["maxTrafficWeight"]).unwrap_or(DEFAULT_MAX_WEIGHT),
        min_pods: number(min_pods).unwrap_or(0).min(replicas),
        is_dynamic: dynamic.as_bool() == Some(true),
    };
    routed.most(steps()).plus(experiments)
}

/// A canary that a traffic router feeds.
struct Routed {
    replicas: i64,
    max_weight: i64,
    min_pods: i64,
    is_dynamic: bool,
}

/// What a step says of the canary's size; it holds until another says something.
#[derive(Clone, Copy)]
enum CanaryScale {
    AsTraffic,
    Replicas(i64),
    Weight(i64),
}

impl Routed {
    /// Of a weight, rounded up, and never less than `minPodsPerReplicaSet` but for none.
    fn pods(&self, weight: i64) -> Pods {
        let pods = share(self.replicas, weight.max(0), self.max_weight);
        if pods == Pods::NONE {
            pods
        } else {
            pods.max(Pods::up_to(self.min_pods))
        }
    }

    fn most<'a>(&self, steps: impl Iterator<Item = Object<'a>>) -> Pods {
        let mut scale = CanaryScale::AsTraffic;
        let (mut weight, mut canary) = (0, Pods::NONE);
        let mut most = Pods::up_to(self.replicas);
        let at_steps = steps.map(|step| {
            scale = scale_of(step).unwrap_or(scale);
            (step.number(&["setWeight"]), scale)
        });
        let at_the_end = (Some(self.max_weight), CanaryScale::AsTraffic);
        for (new_weight, scale) in at_steps.chain([at_the_end]) {
            // The stable pods follow the traffic when it has moved.
            let before = weight;
            weight = new_weight.unwrap_or(weight);
            let (new_canary, wanted) = match scale {
                CanaryScale::AsTraffic => (self.pods(weight), weight),
                CanaryScale::Weight(w) => (self.pods(w), w),
                CanaryScale::Replicas(n) => (Pods::up_to(n), 0),
            };
            let (stable, largest) = if self.is_dynamic {
                let lowest = before.min(weight).min(wanted);
                // A canary that shrinks does so when the stable pods are there again.
                (self.pods(self.max_weight.saturating_sub(lowest)), canary.max(new_canary))
            } else {
                (Pods::up_to(self.replicas), new_canary)
            };
            canary = new_canary;
            most = most.max(stable.plus(largest));
        }
        most
    }
}

/// `None` where the step says nothing of the canary's size.
fn scale_of(step: Object) -> Option<CanaryScale> {
    let scale = Object(step.at(&["setCanaryScale"]));
    if !scale.0.is_object() {
        return None;
    }
    let matches_traffic = scale.at(&["matchTrafficWeight"]).as_bool() == Some(true);
    let replicas = scale.number(&["replicas"]).map(CanaryScale::Replicas);
    let weight = || scale.number(&["weight"]).map(CanaryScale::Weight);
    Some(replicas.or_else(weight).filter(|_| !matches_traffic).unwrap_or(CanaryScale::AsTraffic))
}

fn experiment(step: Object) -> Pods {
    let templates = step.at(&["experiment", "templates"]).as_array().unwrap_or_default();
    let replicas = |t: &Json| Object(t).number(&["replicas"]).unwrap_or(DEFAULT_TEMPLATE_REPLICAS);
    templates.iter().map(replicas).map(Pods::up_to).fold(Pods::NONE, Pods::plus)
}

/// The field by which `new` keeps old ReplicaSets, or an aborted canary, for longer or
/// more of them than `old`. Each new image within the time adds another, so the time is
/// what bounds their number.
pub fn keeps_longer(old: Object, new: Object) -> Option<String> {
    let routed = |o: Object| o.at(&["spec", "strategy", "canary", "trafficRouting"]).is_object();
    let is_dynamic = |o: Object| {
        o.at(&["spec", "strategy", "canary", "dynamicStableScale"]).as_bool() == Some(true)
    };
    let of = |strategy: &'static str| {
        let at = |o: Object, key| o.number(&["spec", "strategy", strategy, key]);
        // Without traffic routing a canary's old pods go at once, and so they do where the
        // stable pods follow the traffic (`rollout/canary.go`).
        let counts = |o: Object| strategy == "blueGreen" || (routed(o) && !is_dynamic(o));
        // Zero sets no end at all (`scaleDownDelayHelper`).
        let delay = |o: Object| match at(o, "scaleDownDelaySeconds") {
            _ if !counts(o) => 0,
            None => DEFAULT_DELAY_S,
            Some(0) => i64::MAX,
            Some(s) => s,
        };
        // No limit is the highest.
        let limit = |o: Object| at(o, "scaleDownDelayRevisionLimit").unwrap_or(i64::MAX);
        // Zero keeps an aborted preview for ever. An aborted canary goes as its weight goes,
        // which may be at once or never.
        let abort = |o: Object, zero: i64| match at(o, "abortScaleDownDelaySeconds") {
            _ if strategy == "canary" && !routed(o) => 0,
            None if strategy == "canary" && is_dynamic(o) => 0,
            None => DEFAULT_DELAY_S,
            Some(0) => zero,
            Some(s) => s,
        };
        let same_abort = abort(new, i64::MAX) == abort(old, i64::MAX);
        let at_once = if strategy == "canary" { 0 } else { i64::MAX };
        let is_used = new.at(&["spec", "strategy", strategy]).is_object();
        let longer = [
            ("scaleDownDelaySeconds", delay(new) > delay(old)),
            ("scaleDownDelayRevisionLimit", delay(new) > 0 && limit(new) > limit(old)),
            (
                "abortScaleDownDelaySeconds",
                !same_abort && abort(new, i64::MAX) > abort(old, at_once),
            ),
        ];
        let found = longer.into_iter().find(|(_, is_longer)| *is_longer).filter(|_| is_used);
        found.map(|(key, _)| format!("spec.strategy.{strategy}.{key}"))
    };
    of("blueGreen").or_else(|| of("canary"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{json, Value};

    fn routed(steps: Value) -> Value {
        json!({"canary": {"trafficRouting": {}, "steps": steps}})
    }

    fn dynamic(steps: Value) -> Value {
        json!({"canary": {"trafficRouting": {}, "dynamicStableScale": true, "steps": steps}})
    }

    #[rstest]
    #[case::basic(json!({"canary": {}}), 13)]
    #[case::basic_surge(json!({"canary": {"maxSurge": 0}}), 10)]
    #[case::basic_ignores_the_scale(json!({"canary": {"maxSurge": 0, "steps": [{"setCanaryScale": {"replicas": 50}}]}}), 10)]
    #[case::basic_with_an_experiment(json!({"canary": {"maxSurge": 0, "steps": [{"experiment": {"templates": [{"replicas": 5}, {}]}}]}}), 16)]
    #[case::routed_ends_with_all(routed(json!([{"setWeight": 10}])), 20)]
    #[case::routed_without_steps(routed(json!(null)), 20)]
    #[case::routed_ignores_the_surge(json!({"canary": {"maxSurge": 50, "trafficRouting": {}}}), 20)]
    #[case::scaled_past_all(routed(json!([{"setCanaryScale": {"replicas": 50}}])), 60)]
    #[case::scaled_past_all_by_weight(routed(json!([{"setCanaryScale": {"weight": 200}}])), 30)]
    #[case::weights_of_ten(json!({"canary": {"trafficRouting": {"maxTrafficWeight": 10}, "steps": [{"setCanaryScale": {"weight": 50}}]}}), 60)]
    #[case::weights_of_none(json!({"canary": {"trafficRouting": {"maxTrafficWeight": 0}}}), i64::MAX)]
    #[case::an_experiment_at_the_end(routed(json!([{"setWeight": 100}, {"experiment": {"templates": [{"replicas": 5}]}}])), 25)]
    #[case::dynamic_at_once(dynamic(json!(null)), 20)]
    #[case::dynamic_in_steps(dynamic(json!([{"setWeight": 20}, {"setWeight": 50}, {"setWeight": 80}])), 13)]
    #[case::dynamic_scaled(dynamic(json!([{"setWeight": 50}, {"setCanaryScale": {"replicas": 8}}])), 18)]
    #[case::dynamic_at_least(json!({"canary": {"trafficRouting": {}, "dynamicStableScale": true, "minPodsPerReplicaSet": 4, "steps": [{"setWeight": 10}, {"setWeight": 50}, {"setWeight": 90}]}}), 14)]
    #[case::preview(json!({"blueGreen": {"previewReplicaCount": 1}}), 30)]
    #[case::a_larger_preview(json!({"blueGreen": {"previewReplicaCount": 30}}), 70)]
    #[case::analysed_after_the_promotion(json!({"blueGreen": {"postPromotionAnalysis": {}}}), 40)]
    #[case::two_experiments(json!({"canary": {"maxSurge": 0, "steps": [{"experiment": {"templates": [{}]}}, {"experiment": {"templates": [{}]}}]}}), 12)]
    fn of_ten_replicas(#[case] strategy: Value, #[case] expected: i64) {
        let v = json!({"spec": {"strategy": strategy}});
        assert_eq!(FORMULA.of(Object::of(&v), 10).number(), expected);
    }

    #[rstest]
    #[case::default_written_out(json!({"blueGreen": {}}), json!({"blueGreen": {"scaleDownDelaySeconds": 30}}), None)]
    #[case::longer(json!({"blueGreen": {}}), json!({"blueGreen": {"scaleDownDelaySeconds": 31}}), Some("spec.strategy.blueGreen.scaleDownDelaySeconds"))]
    #[case::shorter(json!({"blueGreen": {}}), json!({"blueGreen": {"scaleDownDelaySeconds": 29}}), None)]
    #[case::without_an_end(json!({"blueGreen": {}}), json!({"blueGreen": {"scaleDownDelaySeconds": 0}}), Some("spec.strategy.blueGreen.scaleDownDelaySeconds"))]
    #[case::more_revisions(json!({"blueGreen": {"scaleDownDelayRevisionLimit": 1}}), json!({"blueGreen": {}}), Some("spec.strategy.blueGreen.scaleDownDelayRevisionLimit"))]
    #[case::for_ever(json!({"blueGreen": {}}), json!({"blueGreen": {"abortScaleDownDelaySeconds": 0}}), Some("spec.strategy.blueGreen.abortScaleDownDelaySeconds"))]
    #[case::an_aborted_canary_of_zero(json!({"canary": {"trafficRouting": {}, "abortScaleDownDelaySeconds": 0}}), json!({"canary": {"trafficRouting": {}, "abortScaleDownDelaySeconds": 1}}), Some("spec.strategy.canary.abortScaleDownDelaySeconds"))]
    #[case::an_aborted_canary_to_zero(routed(json!([])), json!({"canary": {"trafficRouting": {}, "abortScaleDownDelaySeconds": 0}}), Some("spec.strategy.canary.abortScaleDownDelaySeconds"))]
    #[case::an_aborted_canary_of_zero_stays(json!({"canary": {"trafficRouting": {}, "abortScaleDownDelaySeconds": 0}}), json!({"canary": {"trafficRouting": {}, "abortScaleDownDelaySeconds": 0, "steps": []}}), None)]
    #[case::no_longer_dynamic(dynamic(json!([])), routed(json!([])), Some("spec.strategy.canary.scaleDownDelaySeconds"))]
    #[case::dynamic_keeps_none(routed(json!([])), dynamic(json!([])), None)]
    #[case::basic_canary_keeps_none(json!({"canary": {}}), json!({"canary": {"scaleDownDelaySeconds": 1_000_000}}), None)]
    #[case::routed(routed(json!([])), json!({"canary": {"trafficRouting": {}, "scaleDownDelaySeconds": 1_000_000}}), Some("spec.strategy.canary.scaleDownDelaySeconds"))]
    fn old_pods_that_stay(#[case] old: Value, #[case] new: Value, #[case] expected: Option<&str>) {
        let of = |strategy| json!({"spec": {"strategy": strategy}});
        let (old, new) = (of(old), of(new));
        assert_eq!(keeps_longer(Object::of(&old), Object::of(&new)).as_deref(), expected);
    }
}
