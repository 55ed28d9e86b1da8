//! A KEDA ScaledJob: its own target; the maximum counts Jobs
//! (`scaledjob_types.go`: default 100, whatever the minimum).

use super::Object;
use gate::ceiling::{ReplicaSpec, PAUSED};

/// What KEDA counts a ScaledJob's Jobs by; its value is the ScaledJob's name
/// (`pkg/scaling/executor/scale_jobs.go`).
pub const JOB_LABEL: &str = "scaledjob.keda.sh/name";

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

    /// Pods of each Job at a time.
    pub fn parallelism(self) -> i64 {
        self.0.number(&["spec", "jobTargetRef", "parallelism"]).unwrap_or(1)
    }
}
