//! A KEDA ScaledJob: its own target; the maximum counts Jobs
//! (`scaledjob_types.go`: default 100, whatever the minimum).

use super::object::Object;
use gate::ceiling::{ReplicaSpec, PAUSED};

/// What KEDA counts a ScaledJob's Jobs by; its value is the ScaledJob's name
/// (`pkg/scaling/executor/scale_jobs.go`).
pub const JOB_LABEL: &str = "scaledjob.keda.sh/name";
/// Labels of the ScaledJob that its Jobs do not get, separated by commas
/// (`scaledjob_types.go`, `ScaledJobExcludedLabelsAnnotation`).
pub const EXCLUDED_LABELS: &str = "scaledjob.keda.sh/job-excluded-labels";

#[derive(Clone, Copy, Debug)]
pub struct ScaledJob<'a>(pub Object<'a>);

impl ScaledJob<'_> {
    pub fn replicas(self) -> ReplicaSpec {
        ReplicaSpec {
            max: self.0.number(&["spec", "maxReplicaCount"]),
            min: self.0.number(&["spec", "minReplicaCount"]),
            paused: self.0.flag(PAUSED),
            ..ReplicaSpec::default()
        }
    }
}
