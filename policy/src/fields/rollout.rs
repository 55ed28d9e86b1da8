//! An Argo Rollout: argo-rollouts 1.10.

use super::Effect::{Nothing, Pods, Speed};
use super::{Absent, Row};
use crate::cite;
use crate::objects::workload::DEFAULT_REPLICAS;

/// All of the traffic (argo-rollouts `utils/weightutil`).
pub const DEFAULT_MAX_WEIGHT: i64 = 100;
/// Replicas of an experiment's template (argo-rollouts `rollout/experiment.go`).
pub const DEFAULT_TEMPLATE_REPLICAS: i64 = 1;
/// How long old pods stay, seconds (argo-rollouts `utils/defaults/defaults.go`).
pub const DEFAULT_DELAY_S: i64 = 30;

const TEMPLATE: &str = cite!("what a pod is, and not how many there are");
const WORKLOAD: &str =
    cite!("argo-rollouts rollout/templateref.go: whose template it runs, beside its own pods");
const DELAY: &str =
    cite!("argo-rollouts rollout/replicaset.go: how long pods of an old image stay");
const ANALYSIS: &str = cite!("argo-rollouts rollout/analysis.go: a failed run aborts");
const POD: &str = cite!("argo-rollouts utils/replicaset: labels and places of pods");
const SERVICE: &str = cite!("argo-rollouts rollout/service.go: which pods a service finds");
const ROUTER: &str = cite!("argo-rollouts rollout/trafficrouting: where requests go");
const COUNTS: &str =
    cite!("argo-rollouts utils/replicaset/canary.go: CalculateReplicaCountsForTrafficRoutedCanary");

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row::new("metadata.annotations[rollout.argoproj.io/desired-replicas]", Nothing, cite!("argo-rollouts utils/annotations: written by the controller")),
    Row::new("metadata.annotations[rollout.argoproj.io/ephemeral-metadata]", Nothing, cite!("argo-rollouts utils/annotations: written by the controller")),
    Row::new("metadata.annotations[rollout.argoproj.io/revision-history]", Nothing, cite!("argo-rollouts utils/annotations: written by the controller")),
    Row::new("metadata.annotations[rollout.argoproj.io/revision]", Nothing, cite!("argo-rollouts utils/annotations: written by the controller")),
    Row::new("metadata.annotations[rollout.argoproj.io/workload-generation]", Nothing, cite!("argo-rollouts utils/annotations: written by the controller")),
    Row::new("metadata.annotations[rollouts.argoproj.io/managed-alb-actions]", Nothing, cite!("argo-rollouts utils/ingress: written by the controller")),
    Row::new("metadata.annotations[rollouts.argoproj.io/managed-alb-annotations]", Nothing, cite!("argo-rollouts utils/ingress: written by the controller")),
    Row::new("spec.analysis.**", Nothing, cite!("argo-rollouts rollout/analysis.go: how many finished runs are kept")),
    Row::new("spec.minReadySeconds", Nothing, cite!("argo-rollouts utils/replicaset: when a pod counts as available")),
    Row::new("spec.paused", Nothing, cite!("argo-rollouts rollout/pause.go: a paused Rollout keeps the pods that it has, which the formula counts")),
    Row::new("spec.progressDeadlineAbort", Nothing, cite!("argo-rollouts rollout/sync.go: an abort goes back to the stable pods")),
    Row::new("spec.progressDeadlineSeconds", Nothing, cite!("argo-rollouts rollout/sync.go")),
    Row::new("spec.replicas", Pods, cite!("argo-rollouts utils/defaults: GetReplicasOrDefault")).absent(Absent::Number(DEFAULT_REPLICAS)),
    Row::new("spec.restartAt", Nothing, cite!("argo-rollouts rollout/restart.go: pods are evicted one by one")),
    Row::new("spec.revisionHistoryLimit", Nothing, cite!("argo-rollouts rollout/sync.go: ReplicaSets without pods")),
    Row::new("spec.rollbackWindow.revisions", Speed, cite!("argo-rollouts rollout/canary.go: a rollback within it skips all steps")),
    Row::new("spec.selector.**", Pods, cite!("pods and ReplicaSets that it selects no more run on, and it makes others")),
    Row::new("spec.strategy.blueGreen", Pods, cite!("argo-rollouts rollout/bluegreen.go: the preview beside the active pods")),
    Row::new("spec.strategy.blueGreen.abortScaleDownDelaySeconds", Pods, DELAY),
    Row::new("spec.strategy.blueGreen.activeMetadata.**", Nothing, POD),
    Row::new("spec.strategy.blueGreen.activeService", Nothing, SERVICE),
    Row::new("spec.strategy.blueGreen.antiAffinity.**", Nothing, POD),
    Row::new("spec.strategy.blueGreen.autoPromotionEnabled", Speed, cite!("argo-rollouts rollout/bluegreen.go")).absent(Absent::True),
    Row::new("spec.strategy.blueGreen.autoPromotionSeconds", Speed, cite!("argo-rollouts rollout/bluegreen.go")),
    Row::new("spec.strategy.blueGreen.maxUnavailable", Nothing, cite!("argo-rollouts utils/replicaset: how many may be missing")),
    Row::new("spec.strategy.blueGreen.postPromotionAnalysis", Pods, cite!("argo-rollouts rollout/bluegreen.go: the pods from before stay while it runs")),
    Row::new("spec.strategy.blueGreen.postPromotionAnalysis.**", Nothing, ANALYSIS),
    Row::new("spec.strategy.blueGreen.prePromotionAnalysis.**", Nothing, ANALYSIS),
    Row::new("spec.strategy.blueGreen.previewMetadata.**", Nothing, POD),
    Row::new("spec.strategy.blueGreen.previewReplicaCount", Pods, cite!("argo-rollouts rollout/bluegreen.go: the preview before it is promoted; then it has all")),
    Row::new("spec.strategy.blueGreen.previewService", Nothing, SERVICE),
    Row::new("spec.strategy.blueGreen.scaleDownDelayRevisionLimit", Pods, DELAY),
    Row::new("spec.strategy.blueGreen.scaleDownDelaySeconds", Pods, DELAY).absent(Absent::Number(DEFAULT_DELAY_S)),
    Row::new("spec.strategy.canary.abortScaleDownDelaySeconds", Pods, DELAY),
    Row::new("spec.strategy.canary.analysis.**", Nothing, ANALYSIS),
    Row::new("spec.strategy.canary.antiAffinity.**", Nothing, POD),
    Row::new("spec.strategy.canary.canaryMetadata.**", Nothing, POD),
    Row::new("spec.strategy.canary.canaryService", Nothing, SERVICE),
    Row::new("spec.strategy.canary.dynamicStableScale", Pods, COUNTS),
    Row::new("spec.strategy.canary.maxSurge", Pods, cite!("argo-rollouts utils/replicaset/replicaset.go: MaxSurge")),
    Row::new("spec.strategy.canary.maxUnavailable", Nothing, cite!("argo-rollouts utils/replicaset: how many may be missing")),
    Row::new("spec.strategy.canary.minPodsPerReplicaSet", Pods, cite!("argo-rollouts utils/replicaset/canary.go: CheckMinPodsPerReplicaSet")),
    Row::new("spec.strategy.canary.pingPong.**", Nothing, SERVICE),
    Row::new("spec.strategy.canary.replicaProgressThreshold.**", Speed, cite!("argo-rollouts utils/replicaset/canary.go: when the next step begins")),
    Row::new("spec.strategy.canary.scaleDownDelayRevisionLimit", Pods, DELAY),
    Row::new("spec.strategy.canary.scaleDownDelaySeconds", Pods, DELAY),
    Row::new("spec.strategy.canary.stableMetadata.**", Nothing, POD),
    Row::new("spec.strategy.canary.stableService", Nothing, SERVICE),
    Row::new("spec.strategy.canary.steps[].analysis.**", Speed, cite!("argo-rollouts rollout/analysis.go: the next step waits for it")),
    Row::new("spec.strategy.canary.steps[].experiment.analyses.**", Speed, cite!("argo-rollouts experiments/experiment.go: the next step waits for it")),
    Row::new("spec.strategy.canary.steps[].experiment.analysisRunMetadata.**", Nothing, POD),
    Row::new("spec.strategy.canary.steps[].experiment.dryRun.**", Nothing, ANALYSIS),
    Row::new("spec.strategy.canary.steps[].experiment.duration", Speed, cite!("argo-rollouts experiments/experiment.go: how long its pods run")),
    Row::new("spec.strategy.canary.steps[].experiment.scaleDownDelaySeconds", Speed, cite!("argo-rollouts experiments/replicaset.go: how long its pods stay")),
    Row::new("spec.strategy.canary.steps[].experiment.templates[].metadata.**", Nothing, POD),
    Row::new("spec.strategy.canary.steps[].experiment.templates[].name", Pods, cite!("argo-rollouts rollout/experiment.go: a template more")),
    Row::new("spec.strategy.canary.steps[].experiment.templates[].replicas", Pods, cite!("argo-rollouts rollout/experiment.go")).absent(Absent::Number(DEFAULT_TEMPLATE_REPLICAS)),
    Row::new("spec.strategy.canary.steps[].experiment.templates[].selector.**", Nothing, cite!("argo-rollouts experiments/replicaset.go: each experiment makes its own, and lets none go")),
    Row::new("spec.strategy.canary.steps[].experiment.templates[].service.**", Nothing, SERVICE),
    Row::new("spec.strategy.canary.steps[].experiment.templates[].specRef", Nothing, POD),
    Row::new("spec.strategy.canary.steps[].experiment.templates[].weight", Nothing, ROUTER),
    Row::new("spec.strategy.canary.steps[].pause", Speed, cite!("argo-rollouts rollout/pause.go")),
    Row::new("spec.strategy.canary.steps[].pause.duration", Speed, cite!("argo-rollouts rollout/pause.go: how long a step holds")),
    Row::new("spec.strategy.canary.steps[].plugin.**", Speed, cite!("argo-rollouts rollout/steps: the next step waits for it")),
    Row::new("spec.strategy.canary.steps[].setCanaryScale", Pods, cite!("argo-rollouts utils/replicaset/canary.go: UseSetCanaryScale")),
    Row::new("spec.strategy.canary.steps[].setCanaryScale.matchTrafficWeight", Pods, cite!("argo-rollouts utils/replicaset/canary.go: UseSetCanaryScale")),
    Row::new("spec.strategy.canary.steps[].setCanaryScale.replicas", Pods, cite!("argo-rollouts utils/replicaset/canary.go: UseSetCanaryScale")),
    Row::new("spec.strategy.canary.steps[].setCanaryScale.weight", Pods, cite!("argo-rollouts utils/replicaset/canary.go: UseSetCanaryScale")),
    Row::new("spec.strategy.canary.steps[].setHeaderRoute.**", Nothing, ROUTER),
    Row::new("spec.strategy.canary.steps[].setMirrorRoute.**", Nothing, ROUTER),
    Row::new("spec.strategy.canary.steps[].setWeight", Pods, cite!("argo-rollouts utils/replicaset/canary.go: GetCurrentSetWeight")),
    Row::new("spec.strategy.canary.trafficRouting", Pods, COUNTS),
    Row::new("spec.strategy.canary.trafficRouting.alb.**", Nothing, ROUTER),
    Row::new("spec.strategy.canary.trafficRouting.ambassador.**", Nothing, ROUTER),
    Row::new("spec.strategy.canary.trafficRouting.apisix.**", Nothing, ROUTER),
    Row::new("spec.strategy.canary.trafficRouting.appMesh.**", Nothing, ROUTER),
    Row::new("spec.strategy.canary.trafficRouting.istio.**", Nothing, ROUTER),
    Row::new("spec.strategy.canary.trafficRouting.managedRoutes.**", Nothing, ROUTER),
    Row::new("spec.strategy.canary.trafficRouting.maxTrafficWeight", Pods, cite!("argo-rollouts utils/weightutil")).absent(Absent::Number(DEFAULT_MAX_WEIGHT)),
    Row::new("spec.strategy.canary.trafficRouting.nginx.**", Nothing, ROUTER),
    Row::new("spec.strategy.canary.trafficRouting.plugins.**", Nothing, ROUTER),
    Row::new("spec.strategy.canary.trafficRouting.smi.**", Nothing, ROUTER),
    Row::new("spec.strategy.canary.trafficRouting.traefik.**", Nothing, ROUTER),
    Row::new("spec.template.metadata.**", Nothing, TEMPLATE),
    Row::new("spec.template.spec.**", Nothing, TEMPLATE),
    Row::new("spec.workloadRef.apiVersion", Pods, WORKLOAD).absent(Absent::Text("apps/v1")),
    Row::new("spec.workloadRef.kind", Pods, WORKLOAD).absent(Absent::Text("Deployment")),
    Row::new("spec.workloadRef.name", Pods, WORKLOAD),
    Row::new("spec.workloadRef.scaleDown", Pods, cite!("argo-rollouts rollout/sync.go: whether the Deployment's own pods go")).absent(Absent::Text("never")),
    Row::new("status.**", Nothing, cite!("written by its controller; no number of it passes what the steps come to")),
    Row::new("status.stableRS", Pods, cite!("argo-rollouts utils/replicaset: CheckStableRSExists; without one the new pods come at once beside those of before")),
];
