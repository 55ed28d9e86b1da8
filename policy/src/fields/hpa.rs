//! A HorizontalPodAutoscaler, KEDA's own or another: Kubernetes 1.36.

use super::Effect::{Hold, Nothing, Pods, Speed};
use super::{Absent, Row};
use crate::cite;
use crate::objects::behavior::DEFAULT_SCALE_UP_WINDOW_S;
use crate::objects::object::{DEFAULT_TARGET_API_VERSION, DEFAULT_TARGET_KIND};

const UP: &str = cite!(
    "kubernetes pkg/controller/podautoscaler/horizontal.go: calculateScaleUpLimitWithScalingRules"
);
const DOWN: &str = cite!("kubernetes pkg/controller/podautoscaler/horizontal.go: the way down; the rule `cooldown` looks at it");
const COPY: &str =
    cite!("kedacore/keda controllers/keda/hpa.go: a copy of its ScaledObject's, which is judged");

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row::new("metadata.annotations[autoscaling.keda.sh/force-activation]", Nothing, COPY),
    Row::new("metadata.annotations[autoscaling.keda.sh/paused-replicas]", Nothing, COPY),
    Row::new("metadata.annotations[autoscaling.keda.sh/paused-scale-in]", Nothing, COPY),
    Row::new("metadata.annotations[autoscaling.keda.sh/paused-scale-out]", Nothing, COPY),
    Row::new("metadata.annotations[autoscaling.keda.sh/paused]", Nothing, COPY),
    Row::new("metadata.annotations[scaledobject.keda.sh/hpa-excluded-labels]", Nothing, COPY),
    Row::new("metadata.annotations[scaledobject.keda.sh/name]", Nothing, COPY),
    Row::new("metadata.annotations[scaledobject.keda.sh/transfer-hpa-ownership]", Nothing, COPY),
    Row::new("metadata.annotations[validations.keda.sh/hpa-ownership]", Pods, cite!("kedacore/keda scaledobject_webhook.go: lets a second autoscaler onto the target")),
    Row::new("spec.behavior.scaleDown.policies[].periodSeconds", Nothing, DOWN),
    Row::new("spec.behavior.scaleDown.policies[].type", Nothing, DOWN),
    Row::new("spec.behavior.scaleDown.policies[].value", Nothing, DOWN),
    Row::new("spec.behavior.scaleDown.selectPolicy", Nothing, DOWN),
    Row::new("spec.behavior.scaleDown.stabilizationWindowSeconds", Nothing, DOWN),
    Row::new("spec.behavior.scaleDown.tolerance", Nothing, DOWN),
    Row::new("spec.behavior.scaleUp.policies[].periodSeconds", Speed, UP),
    Row::new("spec.behavior.scaleUp.policies[].type", Speed, UP),
    Row::new("spec.behavior.scaleUp.policies[].value", Speed, UP),
    Row::new("spec.behavior.scaleUp.selectPolicy", Hold, UP).absent(Absent::Text("Max")),
    Row::new("spec.behavior.scaleUp.stabilizationWindowSeconds", Speed, UP).absent(Absent::Number(DEFAULT_SCALE_UP_WINDOW_S)),
    Row::new("spec.behavior.scaleUp.tolerance", Speed, UP),
    Row::new("spec.maxReplicas", Pods, cite!("kubernetes horizontal.go: normalizeDesiredReplicas")),
    Row::new("spec.metrics.**", Speed, cite!("kubernetes replica_calculator.go")),
    Row::new("spec.minReplicas", Pods, cite!("kubernetes horizontal.go: below it to it at once")).absent(Absent::Number(1)),
    Row::new("spec.scaleTargetRef.apiVersion", Pods, cite!("kubernetes horizontal.go: what is scaled")).absent(Absent::Text(DEFAULT_TARGET_API_VERSION)),
    Row::new("spec.scaleTargetRef.kind", Pods, cite!("kubernetes horizontal.go: what is scaled")).absent(Absent::Text(DEFAULT_TARGET_KIND)),
    Row::new("spec.scaleTargetRef.name", Pods, cite!("kubernetes horizontal.go: what is scaled")),
    Row::new("status.**", Nothing, cite!("written by its controller; the API server drops it from a write of the object itself")),
];
