//! The integers that KEDA reads.
//!
//! KEDA's metrics-api scaler errors on booleans and turns NaN, infinity and
//! negative numbers into 0, so whatever it acts on is a non-negative integer,
//! and what is not known is absent (`pkg/scalers/metrics_api_scaler.go`,
//! `pkg/scalers/scaler.go`).

use crate::canary::Canary;
use crate::facts::DiskTier;
use crate::hold::{Cause, Hold};
use crate::signals::disk::DiskLevel;
use crate::signals::Signal;
use crate::slice::Slice;
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

impl LaneSize {
    /// The stable value: the lower of what is configured and what `begin` said.
    pub fn stable(self, canary: &Canary) -> u32 {
        canary.stable_replicas.map_or(self.stable_replicas, |s| s.min(self.stable_replicas))
    }
}

/// What a slice may have while a canary is active: stable its value, with the
/// headroom where no target is the canary's own; the canary the headroom.
#[inline(never)]
pub fn share(slice: Slice, stable: u32, headroom: u32, has_canary_target: bool) -> u32 {
    match slice {
        Slice::Canary => headroom,
        Slice::Stable if has_canary_target => stable,
        Slice::Stable => stable.saturating_add(headroom),
    }
}

/// The lane's cap: the minimum at red, the stable value while aborted, stable
/// plus headroom while a canary is active.
pub fn max_replicas(size: LaneSize, canary: &Canary, active: bool, disk: DiskLevel) -> Option<u32> {
    let stable = size.stable(canary);
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

/// The hold's number after the API server said that `read` replicas run: it
/// follows them, and only falls from the moment a hold begins.
pub fn hold_replicas(before: Option<u32>, read: u32, frozen: bool) -> u32 {
    before.filter(|_| frozen).map_or(read, |before| before.min(read))
}

/// Frozen by a yellow 2TB disk and nothing else: stable keeps its own cap.
pub fn by_yellow_2tb_alone(hold: &Hold, disk: (DiskLevel, DiskTier)) -> bool {
    hold.causes.iter().eq([&Cause::Signal(Signal::Disk)])
        && disk == (DiskLevel::Yellow, DiskTier::Tb2)
}

/// What KEDA is told to hold: never under the stable value where the stable
/// lane keeps its own cap, which is while aborted and nothing freezes, and
/// while frozen by a 2TB yellow disk alone.
pub fn held_at_least(
    held: Option<u32>,
    hold: &Hold,
    canary: &Canary,
    size: LaneSize,
    disk: (DiskLevel, DiskTier),
) -> Option<u32> {
    let keeps = (canary.aborted && hold.causes.is_empty()) || by_yellow_2tb_alone(hold, disk);
    let floor = if keeps { size.stable(canary) } else { 0 };
    held.map(|n| n.max(floor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const SIZE: LaneSize = LaneSize { stable_replicas: 6, headroom: 1, min_replicas: 1 };

    #[test]
    fn the_hold_is_where_keda_is_told_to_look() {
        let scaling = Scaling {
            frozen: 1,
            frozen_by: vec![],
            hold_replicas: Some(6),
            max_replicas: None,
            original_max_replicas: None,
            pending_jobs: None,
        };
        let block = serde_json::json!({ "scaling": scaling });
        for location in HOLD_LOCATIONS {
            assert!(block.pointer(&format!("/{}", location.replace('.', "/"))).unwrap().is_u64());
        }
    }

    #[rstest]
    #[case::first(None, 5, true, 5)]
    #[case::free(Some(5), 8, false, 8)]
    #[case::falls(Some(5), 3, true, 3)]
    #[case::never_rises_while_held(Some(5), 8, true, 5)]
    fn the_hold_follows_and_then_only_falls(
        #[case] before: Option<u32>,
        #[case] read: u32,
        #[case] frozen: bool,
        #[case] expected: u32,
    ) {
        assert_eq!(hold_replicas(before, read, frozen), expected);
    }

    #[rstest]
    #[case::unread(None, "disk", false, DiskTier::Tb2, None)]
    #[case::two_tb_disk_alone(Some(2), "disk", false, DiskTier::Tb2, Some(6))]
    #[case::one_tb_disk(Some(2), "disk", false, DiskTier::Tb1, Some(2))]
    #[case::another_cause(Some(2), "doctor", false, DiskTier::Tb2, Some(2))]
    #[case::aborted(Some(2), "", true, DiskTier::Tb1, Some(6))]
    #[case::aborted_and_a_node_signal(Some(2), "doctor", true, DiskTier::Tb1, Some(2))]
    #[case::more_run(Some(9), "disk", false, DiskTier::Tb2, Some(9))]
    fn stable_keeps_its_own_cap(
        #[case] held: Option<u32>,
        #[case] cause: &str,
        #[case] aborted: bool,
        #[case] tier: DiskTier,
        #[case] expected: Option<u32>,
    ) {
        let mut hold = Hold::default();
        if let Some(cause) = Cause::parse(cause) {
            hold.freeze(cause, crate::time::Timestamp::from_secs(0));
        }
        let canary = Canary { aborted, ..Canary::default() };
        let got = held_at_least(held, &hold, &canary, SIZE, (DiskLevel::Yellow, tier));
        assert_eq!(got, expected);
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
