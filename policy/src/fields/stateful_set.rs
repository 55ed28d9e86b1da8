//! A StatefulSet: Kubernetes 1.36.

use super::Effect::{Nothing, Pods};
use super::{Absent, Row};
use crate::cite;
use crate::objects::workload::DEFAULT_REPLICAS;

const TEMPLATE: &str = cite!("what a pod is, and not how many there are");

/// The first ordinal (kubernetes `pkg/apis/apps/types.go`).
pub const DEFAULT_START: i64 = 0;

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row::new("spec.minReadySeconds", Nothing, cite!("kubernetes stateful_set_control.go: when a pod counts as available")),
    Row::new("spec.ordinals.start", Pods, cite!("kubernetes stateful_set_control.go: pods of new ordinals come before old ones go")).absent(Absent::Number(DEFAULT_START)),
    Row::new("spec.persistentVolumeClaimRetentionPolicy.**", Nothing, cite!("kubernetes stateful_set_utils.go: volumes")),
    Row::new("spec.podManagementPolicy", Nothing, cite!("kubernetes pkg/apis/apps/validation: immutable")),
    Row::new("spec.replicas", Pods, cite!("kubernetes stateful_set_control.go: updateStatefulSet")).absent(Absent::Number(DEFAULT_REPLICAS)),
    Row::new("spec.revisionHistoryLimit", Nothing, cite!("kubernetes stateful_set_control.go: truncateHistory")),
    Row::new("spec.selector.**", Pods, cite!("pods and ReplicaSets that it selects no more run on, and it makes others")),
    Row::new("spec.serviceName", Nothing, cite!("kubernetes pkg/apis/apps/validation: immutable")),
    Row::new("spec.template.metadata.**", Nothing, TEMPLATE),
    Row::new("spec.template.spec.**", Nothing, TEMPLATE),
    Row::new("spec.updateStrategy.**", Nothing, cite!("kubernetes stateful_set_control.go: no update surges")),
    Row::new("spec.volumeClaimTemplates.**", Nothing, cite!("kubernetes stateful_set_utils.go: volumes")),
    Row::new("status.**", Nothing, cite!("written by its controller; the API server drops it from a write of the object itself")),
];
