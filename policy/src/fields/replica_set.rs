//! A ReplicaSet of a Deployment or Rollout: Kubernetes 1.36, argo-rollouts 1.10.

use super::Effect::{Nothing, Pods};
use super::{Absent, Row};
use crate::cite;
use crate::objects::workload::DEFAULT_REPLICAS;

const TEMPLATE: &str = cite!("what a pod is, and not how many there are");

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row::new("metadata.annotations.scale-down-deadline", Pods, cite!("argo-rollouts rollout/replicaset.go: until when an old one is kept")),
    Row::new("metadata.annotations[rollout.argoproj.io/desired-replicas]", Nothing, cite!("argo-rollouts utils/annotations: the Rollout's replicas when it was scaled")),
    Row::new("metadata.annotations[rollout.argoproj.io/ephemeral-metadata]", Nothing, cite!("argo-rollouts utils/replicaset: labels of its pods")),
    Row::new("metadata.annotations[rollout.argoproj.io/revision-history]", Nothing, cite!("argo-rollouts utils/annotations: its places in the history")),
    Row::new("metadata.annotations[rollout.argoproj.io/revision]", Nothing, cite!("argo-rollouts utils/annotations: its place in the history")),
    Row::new("metadata.annotations[rollout.argoproj.io/workload-generation]", Nothing, cite!("argo-rollouts utils/annotations: a copy of its Rollout's")),
    Row::new("metadata.labels.*", Pods, cite!("kubernetes controller_ref_manager.go: its owner lets it go where its selector no longer matches, and makes another")),
    Row::new("metadata.ownerReferences.**", Pods, cite!("a ReplicaSet that is let go runs on beside what its owner makes anew")),
    Row::new("spec.minReadySeconds", Nothing, cite!("kubernetes replica_set_utils.go: when a pod counts as available")),
    Row::new("spec.replicas", Pods, cite!("kubernetes replica_set.go: manageReplicas")).absent(Absent::Number(DEFAULT_REPLICAS)),
    Row::new("spec.selector.**", Nothing, cite!("kubernetes pkg/apis/apps/validation: immutable")),
    Row::new("spec.template.metadata.**", Nothing, TEMPLATE),
    Row::new("spec.template.spec.**", Nothing, TEMPLATE),
    Row::new("status.**", Nothing, cite!("written by its controller; the API server drops it from a write of the object itself")),
];
