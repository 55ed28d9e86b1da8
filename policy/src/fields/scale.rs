//! A Scale, of whatever has replicas: Kubernetes 1.36.

use super::Effect::{Nothing, Pods};
use super::{Absent, Row};
use crate::cite;
use crate::objects::workload::DEFAULT_SCALE_REPLICAS;

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row::new("spec.replicas", Pods, cite!("kubernetes pkg/apis/autoscaling/types.go: ScaleSpec")).absent(Absent::Number(DEFAULT_SCALE_REPLICAS)),
    Row::new("status.**", Nothing, cite!("written by its controller; the API server drops it from a write of the object itself")),
];
