//! The triggers of a ScaledObject and a ScaledJob: kedacore/keda 2.21.

use super::Effect::{Source, Speed};
use super::{Absent, Row};
use crate::cite;

/// How a trigger's number is counted (kedacore/keda `pkg/scalers/scaler.go`).
pub const DEFAULT_METRIC_TYPE: &str = "AverageValue";
/// kedacore/keda `apis/keda/v1alpha1/withtriggers_types.go`.
pub const DEFAULT_REFERENCE_KIND: &str = "TriggerAuthentication";

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row::new("spec.triggers[].authenticationRef.kind", Source, cite!("pkg/scaling/resolver")).absent(Absent::Text(DEFAULT_REFERENCE_KIND)),
    Row::new("spec.triggers[].authenticationRef.name", Source, cite!("pkg/scaling/resolver: whom it asks as")),
    Row::new("spec.triggers[].metadata.*", Source, cite!("pkg/scalers: where it asks and for what; thresholds are in scalers.rs")),
    Row::new("spec.triggers[].metricType", Speed, cite!("pkg/scalers/scaler.go: GetMetricTargetType")).absent(Absent::Text(DEFAULT_METRIC_TYPE)),
    Row::new("spec.triggers[].name", Source, cite!("pkg/scaling/modifiers: what a formula calls it")),
    Row::new("spec.triggers[].type", Source, cite!("pkg/scaling/scalers_builder.go")),
    Row::new("spec.triggers[].useCachedMetrics", Speed, cite!("pkg/scaling/scale_handler.go: without it the HPA asks each 15 s")),
];
