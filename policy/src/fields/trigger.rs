//! The triggers of a ScaledObject and a ScaledJob: kedacore/keda 2.21.

use super::Effect::{Source, Speed};
use super::{Absent, Row};
use crate::cite;

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row::new("spec.triggers[].authenticationRef.kind", Source, cite!("pkg/scaling/resolver")).absent(Absent::Text("TriggerAuthentication")),
    Row::new("spec.triggers[].authenticationRef.name", Source, cite!("pkg/scaling/resolver: whom it asks as")),
    Row::new("spec.triggers[].metadata.*", Source, cite!("pkg/scalers: where it asks and for what; thresholds are in scalers.rs")),
    Row::new("spec.triggers[].metricType", Speed, cite!("pkg/scalers/scaler.go: GetMetricTargetType")).absent(Absent::Text("AverageValue")),
    Row::new("spec.triggers[].name", Source, cite!("pkg/scaling/modifiers: what a formula calls it")),
    Row::new("spec.triggers[].type", Source, cite!("pkg/scaling/scalers_builder.go")),
    Row::new("spec.triggers[].useCachedMetrics", Speed, cite!("pkg/scaling/scale_handler.go: without it the HPA asks each 15 s")),
];
