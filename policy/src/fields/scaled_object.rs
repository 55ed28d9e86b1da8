//! A ScaledObject: kedacore/keda 2.21.

use super::trigger::DEFAULT_METRIC_TYPE;
use super::Effect::{Hold, Nothing, Pods, Source, Speed};
use super::{Absent, Row};
use crate::cite;
use crate::objects::behavior::DEFAULT_SCALE_UP_WINDOW_S;
use crate::objects::object::{DEFAULT_TARGET_API_VERSION, DEFAULT_TARGET_KIND};
use crate::objects::scaled_object::DEFAULT_POLLING_S;
use gate::ceiling::{DEFAULT_MAX_REPLICAS, DEFAULT_MIN_REPLICAS};

const UP: &str = cite!(
    "kubernetes pkg/controller/podautoscaler/horizontal.go: calculateScaleUpLimitWithScalingRules"
);
const DOWN: &str = cite!("kubernetes pkg/controller/podautoscaler/horizontal.go: the way down; the rule `cooldown` looks at it");
const SHOWN: &str = cite!("scaledobject_types.go: ScaledObjectStatus; written at each poll");

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row::new("metadata.annotations[autoscaling.keda.sh/force-activation]", Pods, cite!("scale_scaledobjects.go: from zero to the minimum, one at least")),
    Row::new("metadata.annotations[autoscaling.keda.sh/paused-replicas]", Pods, cite!("scaledobject_controller.go: the number is written past every maximum")),
    Row::new("metadata.annotations[autoscaling.keda.sh/paused-scale-in]", Nothing, cite!("scaledobject_types.go: NeedToPauseScaleIn; it only keeps the target from shrinking")),
    Row::new("metadata.annotations[autoscaling.keda.sh/paused-scale-out]", Hold, cite!("controllers/keda/hpa.go: selectPolicy Disabled")),
    Row::new("metadata.annotations[autoscaling.keda.sh/paused]", Hold, cite!("scaledobject_types.go: NeedToBePausedByAnnotation")),
    Row::new("metadata.annotations[scaledobject.keda.sh/hpa-excluded-labels]", Nothing, cite!("controllers/keda/hpa.go: labels of the HPA, by which nothing counts")),
    Row::new("metadata.annotations[scaledobject.keda.sh/name]", Nothing, cite!("scaledobject_types.go: ScaledObjectOwnerAnnotation, a label of the HPA")),
    Row::new("metadata.annotations[scaledobject.keda.sh/transfer-hpa-ownership]", Pods, cite!("scaledobject_webhook.go: adopts the HPA that is named")),
    Row::new("metadata.annotations[validations.keda.sh/hpa-ownership]", Pods, cite!("scaledobject_webhook.go: lets a second autoscaler onto the target")),
    Row::new("spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.policies[].periodSeconds", Nothing, DOWN),
    Row::new("spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.policies[].type", Nothing, DOWN),
    Row::new("spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.policies[].value", Nothing, DOWN),
    Row::new("spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.selectPolicy", Nothing, DOWN),
    Row::new("spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.stabilizationWindowSeconds", Nothing, DOWN),
    Row::new("spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.tolerance", Nothing, DOWN),
    Row::new("spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.policies[].periodSeconds", Speed, UP),
    Row::new("spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.policies[].type", Speed, UP),
    Row::new("spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.policies[].value", Speed, UP),
    Row::new("spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.selectPolicy", Hold, UP).absent(Absent::Text("Max")),
    Row::new("spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.stabilizationWindowSeconds", Speed, UP).absent(Absent::Number(DEFAULT_SCALE_UP_WINDOW_S)),
    Row::new("spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.tolerance", Speed, UP),
    Row::new("spec.advanced.horizontalPodAutoscalerConfig.name", Speed, cite!("scaledobject_controller.go: another HPA is made, which knows nothing of the last recommendations")),
    Row::new("spec.advanced.restoreToOriginalReplicaCount", Pods, cite!("scaledobject_finalizer.go: on deletion the original count is written past every maximum")),
    Row::new("spec.advanced.scalingModifiers.activationTarget", Speed, cite!("pkg/scaling/modifiers: above it the target is active")).absent(Absent::Text("0")),
    Row::new("spec.advanced.scalingModifiers.formula", Source, cite!("pkg/scaling/modifiers: one metric of all triggers")),
    Row::new("spec.advanced.scalingModifiers.metricType", Speed, cite!("controllers/keda/hpa.go")).absent(Absent::Text(DEFAULT_METRIC_TYPE)),
    Row::new("spec.advanced.scalingModifiers.target", Speed, cite!("controllers/keda/hpa.go")),
    Row::new("spec.cooldownPeriod", Nothing, cite!("scale_scaledobjects.go: the way to zero; the rule `cooldown` looks at it")),
    Row::new("spec.fallback.behavior", Pods, cite!("pkg/fallback/fallback.go")).absent(Absent::Text("static")),
    Row::new("spec.fallback.failureThreshold", Speed, cite!("pkg/fallback/fallback.go: failures before it acts")),
    Row::new("spec.fallback.replicas", Pods, cite!("pkg/fallback/fallback.go")),
    Row::new("spec.idleReplicaCount", Pods, cite!("scale_scaledobjects.go: where an inactive target rests")),
    Row::new("spec.initialCooldownPeriod", Nothing, cite!("scale_scaledobjects.go: the way to zero after the creation")),
    Row::new("spec.maxReplicaCount", Pods, cite!("scaledobject_types.go: GetHPAMaxReplicas")).absent(Absent::Number(DEFAULT_MAX_REPLICAS)),
    Row::new("spec.minReplicaCount", Pods, cite!("scaledobject_types.go: GetHPAMinReplicas")).absent(Absent::Number(DEFAULT_MIN_REPLICAS)),
    Row::new("spec.pollingInterval", Speed, cite!("pkg/scaling/scale_handler.go")).absent(Absent::Number(DEFAULT_POLLING_S)),
    Row::new("spec.scaleTargetRef.apiVersion", Pods, cite!("scaledobject_types.go: another workload, and the target loses its HPA")).absent(Absent::Text(DEFAULT_TARGET_API_VERSION)),
    Row::new("spec.scaleTargetRef.envSourceContainerName", Source, cite!("pkg/scaling/resolver: where every *FromEnv value comes from")),
    Row::new("spec.scaleTargetRef.kind", Pods, cite!("scaledobject_types.go: another workload, and the target loses its HPA")).absent(Absent::Text(DEFAULT_TARGET_KIND)),
    Row::new("spec.scaleTargetRef.name", Pods, cite!("scaledobject_types.go: another workload, and the target loses its HPA")),
    Row::new("status.authenticationsTypes", Nothing, SHOWN),
    Row::new("status.compositeScalerName", Nothing, SHOWN),
    Row::new("status.conditions.**", Nothing, SHOWN),
    Row::new("status.externalMetricNames.**", Nothing, SHOWN),
    Row::new("status.health.**", Nothing, SHOWN),
    Row::new("status.hpaName", Speed, cite!("scaledobject_controller.go: KEDA deletes the HPA of this name")),
    Row::new("status.lastActiveTime", Nothing, SHOWN),
    Row::new("status.originalReplicaCount", Pods, cite!("scaledobject_finalizer.go: what a deletion writes")),
    Row::new("status.pausedReplicaCount", Nothing, SHOWN),
    Row::new("status.resourceMetricNames.**", Nothing, SHOWN),
    Row::new("status.scaleTargetGVKR.**", Nothing, SHOWN),
    Row::new("status.scaleTargetKind", Nothing, SHOWN),
    Row::new("status.triggersActivity.**", Nothing, SHOWN),
    Row::new("status.triggersTypes", Nothing, SHOWN),
];
