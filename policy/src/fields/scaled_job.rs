//! A ScaledJob: kedacore/keda 2.21.

use super::job::{DEFAULT_PARALLELISM, JOB_CONTROLLER};
use super::Effect::{Hold, Nothing, Pods, Source, Speed};
use super::{Absent, Row};
use crate::cite;
use crate::objects::scaled_object::DEFAULT_POLLING_S;
use gate::ceiling::{DEFAULT_MAX_REPLICAS, DEFAULT_MIN_REPLICAS};

/// What several triggers come to (kedacore/keda `pkg/scaling/scaledjob/metrics.go`).
pub const DEFAULT_CALCULATION: &str = "max";

const JOB: &str = cite!(
    "kubernetes job_controller.go: how often and how long it tries, and not how many at once"
);
const TEMPLATE: &str = cite!("what a pod is, and not how many there are");

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row::new("metadata.annotations[autoscaling.keda.sh/paused]", Hold, cite!("scaledjob_types.go: NeedToBePausedByAnnotation")),
    Row::new("metadata.annotations[scaledjob.keda.sh/generation]", Nothing, cite!("scale_jobs.go: which version of the ScaledJob made a Job")),
    Row::new("metadata.annotations[scaledjob.keda.sh/job-excluded-labels]", Pods, cite!("scale_jobs.go: generateJobs; labels that are not copied")),
    Row::new("metadata.labels[scaledjob.keda.sh/name]", Pods, cite!("scale_jobs.go: generateJobs copies it over the label by which Jobs are counted")),
    Row::new("spec.envSourceContainerName", Source, cite!("pkg/scaling/resolver: where every *FromEnv value comes from")),
    Row::new("spec.failedJobsHistoryLimit", Nothing, cite!("scale_jobs.go: cleanUp of Jobs that ended")),
    Row::new("spec.jobTargetRef.activeDeadlineSeconds", Nothing, JOB),
    Row::new("spec.jobTargetRef.backoffLimit", Nothing, JOB).absent(Absent::Number(6)),
    Row::new("spec.jobTargetRef.backoffLimitPerIndex", Nothing, JOB),
    Row::new("spec.jobTargetRef.completionMode", Nothing, JOB).absent(Absent::Text("NonIndexed")),
    Row::new("spec.jobTargetRef.completions", Pods, cite!("kubernetes job_controller.go: manageJob")),
    Row::new("spec.jobTargetRef.managedBy", Pods, cite!("kubernetes pkg/apis/batch/types.go: another controller makes the pods")).absent(Absent::Text(JOB_CONTROLLER)),
    Row::new("spec.jobTargetRef.manualSelector", Nothing, cite!("kubernetes pkg/registry/batch/job/strategy.go: which pods are whose; it makes none")),
    Row::new("spec.jobTargetRef.maxFailedIndexes", Nothing, JOB),
    Row::new("spec.jobTargetRef.parallelism", Pods, cite!("kubernetes job_controller.go: manageJob")).absent(Absent::Number(DEFAULT_PARALLELISM)),
    Row::new("spec.jobTargetRef.podFailurePolicy.**", Nothing, JOB),
    Row::new("spec.jobTargetRef.podReplacementPolicy", Nothing, JOB),
    Row::new("spec.jobTargetRef.selector.**", Nothing, cite!("kubernetes pkg/registry/batch/job/strategy.go: which pods are whose; it makes none")),
    Row::new("spec.jobTargetRef.successPolicy.**", Nothing, JOB),
    Row::new("spec.jobTargetRef.suspend", Pods, cite!("kubernetes job_controller.go: manageJob")),
    Row::new("spec.jobTargetRef.template.metadata.annotations.*", Nothing, TEMPLATE),
    Row::new("spec.jobTargetRef.template.metadata.finalizers[]", Nothing, TEMPLATE),
    Row::new("spec.jobTargetRef.template.metadata.labels.*", Nothing, TEMPLATE),
    Row::new("spec.jobTargetRef.template.metadata.name", Nothing, TEMPLATE),
    Row::new("spec.jobTargetRef.template.metadata.namespace", Nothing, TEMPLATE),
    Row::new("spec.jobTargetRef.template.spec.**", Nothing, TEMPLATE),
    Row::new("spec.jobTargetRef.ttlSecondsAfterFinished", Nothing, JOB),
    Row::new("spec.maxReplicaCount", Pods, cite!("scaledjob_types.go: MaxReplicaCount")).absent(Absent::Number(DEFAULT_MAX_REPLICAS)),
    Row::new("spec.minReplicaCount", Pods, cite!("scaledjob_types.go: MinReplicaCount")).absent(Absent::Number(DEFAULT_MIN_REPLICAS)),
    Row::new("spec.pollingInterval", Speed, cite!("pkg/scaling/scale_handler.go: Jobs are made once a poll")).absent(Absent::Number(DEFAULT_POLLING_S)),
    Row::new("spec.rollout.propagationPolicy", Nothing, cite!("scaledjob_controller.go: how Jobs of an earlier version are deleted")),
    Row::new("spec.rollout.strategy", Nothing, cite!("scaledjob_controller.go: whether they are; those that stay are counted")).absent(Absent::Text("immediate")),
    Row::new("spec.rolloutStrategy", Nothing, cite!("scaledjob_controller.go: the same, as it was called")),
    Row::new("spec.scalingStrategy.customScalingQueueLengthDeduction", Pods, cite!("scale_jobs.go: customScalingStrategy")),
    Row::new("spec.scalingStrategy.customScalingRunningJobPercentage", Pods, cite!("scale_jobs.go: customScalingStrategy")),
    Row::new("spec.scalingStrategy.multipleScalersCalculation", Speed, cite!("pkg/scaling/scaledjob/metrics.go")).absent(Absent::Text(DEFAULT_CALCULATION)),
    Row::new("spec.scalingStrategy.pendingPodConditions[]", Speed, cite!("scale_jobs.go: getPendingJobCount")),
    Row::new("spec.scalingStrategy.strategy", Pods, cite!("scale_jobs.go: NewScalingStrategy")).absent(Absent::Text("default")),
    Row::new("spec.successfulJobsHistoryLimit", Nothing, cite!("scale_jobs.go: cleanUp of Jobs that ended")),
    Row::new("spec.triggers[].name", Nothing, cite!("pkg/scaling/modifiers: a ScaledJob has no formula that would call it")),
    Row::new("status.**", Nothing, cite!("written by its controller; the API server drops it from a write of the object itself")),
];
