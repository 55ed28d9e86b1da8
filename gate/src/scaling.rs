//! The integers that KEDA reads.
//!
//! KEDA's metrics-api scaler errors on booleans and turns NaN, infinity and
//! negative numbers into 0, so whatever it acts on is a non-negative integer,
//! and what is not known is absent (`pkg/scalers/metrics_api_scaler.go`,
//! `pkg/scalers/scaler.go`).

use crate::canary::Canary;
use crate::hold::Hold;
use crate::signals::disk::DiskLevel;
use serde::{Deserialize, Serialize};

/// `scaling` of the merged document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Scaling {
    /// 1 while scale-up is held, else 0.
    pub frozen: u32,
    pub frozen_by: Vec<String>,
    /// Replicas of the worker workload as the API server last said; absent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_replicas: Option<u32>,
    /// What the lane may have in all; absent while nothing limits it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_replicas: Option<u32>,
    /// `maxReplicaCount` before this gateway lowered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_max_replicas: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_jobs: Option<u64>,
}

/// Replica numbers of the lane as the plugin configuration declares them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneSize {
    pub stable_replicas: u32,
    pub headroom: u32,
    pub min_replicas: u32,
}

/// The lane's cap: the minimum at red, the stable value while aborted, stable
/// plus headroom while a canary is active.
pub fn max_replicas(size: LaneSize, canary: &Canary, active: bool, disk: DiskLevel) -> Option<u32> {
    let stable =
        canary.stable_replicas.map_or(size.stable_replicas, |s| s.min(size.stable_replicas));
    if disk == DiskLevel::Red {
        Some(size.min_replicas)
    } else if canary.aborted {
        Some(stable)
    } else if active {
        Some(stable.saturating_add(size.headroom))
    } else {
        None
    }
}

/// Where KEDA's metrics-api finds the hold in the merged document: triggers on
/// these do not measure how much work waits.
pub const HOLD_LOCATIONS: [&str; 2] = ["scaling.frozen", "scaling.hold_replicas"];

pub fn scaling(hold: &Hold, max_replicas: Option<u32>, pending_jobs: Option<u64>) -> Scaling {
    Scaling {
        frozen: u32::from(hold.frozen()),
        frozen_by: hold.causes.iter().map(|c| c.name().to_owned()).collect(),
        hold_replicas: None,
        max_replicas,
        original_max_replicas: None,
        pending_jobs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const SIZE: LaneSize = LaneSize { stable_replicas: 6, headroom: 1, min_replicas: 1 };

    #[test]
    fn the_hold_is_where_keda_is_told_to_look() {
        let hold = Scaling { hold_replicas: Some(6), ..scaling(&Hold::default(), None, None) };
        let block = serde_json::json!({ "scaling": hold });
        for location in HOLD_LOCATIONS {
            assert!(block.pointer(&format!("/{}", location.replace('.', "/"))).unwrap().is_u64());
        }
    }

    #[rstest]
    #[case::idle(Canary::default(), false, DiskLevel::Ok, None)]
    #[case::active(Canary { active: true, ..Canary::default() }, true, DiskLevel::Ok, Some(7))]
    #[case::active_with_a_lower_stable(Canary { active: true, stable_replicas: Some(3), ..Canary::default() }, true, DiskLevel::Yellow, Some(4))]
    #[case::active_with_a_higher_stable(Canary { active: true, stable_replicas: Some(30), ..Canary::default() }, true, DiskLevel::Ok, Some(7))]
    #[case::aborted(Canary { aborted: true, ..Canary::default() }, false, DiskLevel::Ok, Some(6))]
    #[case::red(Canary { active: true, ..Canary::default() }, true, DiskLevel::Red, Some(1))]
    fn caps(
        #[case] canary: Canary,
        #[case] active: bool,
        #[case] disk: DiskLevel,
        #[case] expected: Option<u32>,
    ) {
        assert_eq!(max_replicas(SIZE, &canary, active, disk), expected);
    }
}
