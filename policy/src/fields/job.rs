//! A Job that KEDA made for a ScaledJob: Kubernetes 1.36.

use super::Effect::{Nothing, Pods};
use super::{Absent, Row};
use crate::cite;

/// Who makes a Job's pods where nobody is named (kubernetes `pkg/apis/batch/types.go`).
pub const JOB_CONTROLLER: &str = "kubernetes.io/job-controller";
/// kubernetes `pkg/apis/batch/v1/defaults.go`.
pub const DEFAULT_PARALLELISM: i64 = 1;

const JOB: &str = cite!(
    "kubernetes job_controller.go: how often and how long it tries, and not how many at once"
);
const TEMPLATE: &str = cite!("what a pod is, and not how many there are");

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row::new("metadata.annotations[autoscaling.keda.sh/paused]", Nothing, cite!("kedacore/keda scale_jobs.go: a copy of its ScaledJob's")),
    Row::new("metadata.annotations[scaledjob.keda.sh/generation]", Nothing, cite!("kedacore/keda scaledjob_controller.go: Jobs of an earlier version")),
    Row::new("metadata.annotations[scaledjob.keda.sh/job-excluded-labels]", Nothing, cite!("kedacore/keda scale_jobs.go: a copy of its ScaledJob's")),
    Row::new("metadata.labels[scaledjob.keda.sh/name]", Pods, cite!("kedacore/keda scale_jobs.go: getRunningJobCount counts Jobs by it")),
    Row::new("metadata.ownerReferences.**", Pods, cite!("a Job that is let go runs on beside what its owner makes anew")),
    Row::new("spec.activeDeadlineSeconds", Nothing, JOB),
    Row::new("spec.backoffLimit", Nothing, JOB).absent(Absent::Number(6)),
    Row::new("spec.backoffLimitPerIndex", Nothing, JOB),
    Row::new("spec.completionMode", Nothing, JOB).absent(Absent::Text("NonIndexed")),
    Row::new("spec.completions", Pods, cite!("kubernetes job_controller.go: manageJob")),
    Row::new("spec.managedBy", Pods, cite!("kubernetes pkg/apis/batch/types.go: another controller makes the pods")).absent(Absent::Text(JOB_CONTROLLER)),
    Row::new("spec.manualSelector", Nothing, cite!("kubernetes pkg/registry/batch/job/strategy.go: which pods are whose; it makes none")),
    Row::new("spec.maxFailedIndexes", Nothing, JOB),
    Row::new("spec.parallelism", Pods, cite!("kubernetes job_controller.go: manageJob")).absent(Absent::Number(DEFAULT_PARALLELISM)),
    Row::new("spec.podFailurePolicy.**", Nothing, JOB),
    Row::new("spec.podReplacementPolicy", Nothing, JOB),
    Row::new("spec.selector.**", Nothing, cite!("kubernetes pkg/registry/batch/job/strategy.go: which pods are whose; it makes none")),
    Row::new("spec.successPolicy.**", Nothing, JOB),
    Row::new("spec.suspend", Pods, cite!("kubernetes job_controller.go: manageJob")),
    Row::new("spec.template.metadata.**", Nothing, TEMPLATE),
    Row::new("spec.template.spec.**", Nothing, TEMPLATE),
    Row::new("spec.ttlSecondsAfterFinished", Nothing, JOB),
    Row::new("status.**", Nothing, cite!("written by its controller; the API server drops it from a write of the object itself")),
];
