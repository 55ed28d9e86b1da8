//! A Deployment: Kubernetes 1.36.

use super::Effect::{Nothing, Pods};
use super::{Absent, Row};
use crate::cite;
use crate::objects::workload::DEFAULT_REPLICAS;

const TEMPLATE: &str = cite!("what a pod is, and not how many there are");

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row::new("spec.minReadySeconds", Nothing, cite!("kubernetes deployment_util.go: when a new pod counts as available")),
    Row::new("spec.paused", Nothing, cite!("kubernetes deployment/sync.go: a paused Deployment keeps the pods that it has, which the formula counts")),
    Row::new("spec.progressDeadlineSeconds", Nothing, cite!("kubernetes deployment/progress.go: a condition alone")),
    Row::new("spec.replicas", Pods, cite!("kubernetes deployment/sync.go: scale")).absent(Absent::Number(DEFAULT_REPLICAS)),
    Row::new("spec.revisionHistoryLimit", Nothing, cite!("kubernetes deployment/sync.go: cleanupDeployment of ReplicaSets without pods")),
    Row::new("spec.selector.**", Pods, cite!("pods and ReplicaSets that it selects no more run on, and it makes others")),
    Row::new("spec.strategy.rollingUpdate.maxSurge", Pods, cite!("kubernetes deployment_util.go: MaxSurge")),
    Row::new("spec.strategy.rollingUpdate.maxUnavailable", Nothing, cite!("kubernetes deployment_util.go: MaxUnavailable; how many may be missing")),
    Row::new("spec.strategy.type", Pods, cite!("kubernetes deployment/sync.go: only a rolling update surges")).absent(Absent::Text("RollingUpdate")),
    Row::new("spec.template.metadata.**", Nothing, TEMPLATE),
    Row::new("spec.template.spec.**", Nothing, TEMPLATE),
    Row::new("status.**", Nothing, cite!("written by its controller; the API server drops it from a write of the object itself")),
];
