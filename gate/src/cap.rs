//! Lowering `maxReplicaCount` where a rollout or a disk says so.
//!
//! On begin, abort and red each target's ScaledObject is looked at once, and
//! its maximum lowered to what the lane may have then, never raised and never
//! under its own `minReplicaCount` (which the CRD refuses) or under 1 (which
//! the HPA refuses). The value that was there first is remembered until `end`,
//! so that people know what to put back.

use crate::canary::Canary;
use crate::ceiling::DEFAULT_MAX_REPLICAS;
use crate::due::Due;
use crate::scaling::{share, LaneSize};
use crate::signals::disk::DiskLevel;
use crate::slice::Slice;
use crate::target::Target;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which ScaledObjects are still to be looked at, and what they were.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caps {
    #[serde(default)]
    pub due: Due,
    /// `maxReplicaCount` before the first lowering, by ScaledObject.
    #[serde(default)]
    pub originals: BTreeMap<String, u32>,
}

impl Caps {
    /// Remembers what was there before the first lowering.
    pub fn remember(&mut self, scaled_object: &str, max: Option<i64>) {
        let max = max.unwrap_or(DEFAULT_MAX_REPLICAS);
        self.originals
            .entry(scaled_object.to_owned())
            .or_insert_with(|| u32::try_from(max).unwrap_or(u32::MAX));
    }

    /// What the rollout lowered; nothing is due any more.
    pub fn end(&mut self) -> BTreeMap<String, u32> {
        self.due.clear();
        std::mem::take(&mut self.originals)
    }

    /// The original of the first target that has one.
    pub fn original(&self, targets: &[Target]) -> Option<u32> {
        let mut named = targets.iter().filter_map(|t| t.scaled_object.as_ref());
        named.find_map(|name| self.originals.get(name).copied())
    }
}

/// The maximum to write, given what the ScaledObject says; `None` where it is
/// low enough.
pub fn lowered(max: Option<i64>, min: Option<i64>, limit: u32) -> Option<u32> {
    let max = max.unwrap_or(DEFAULT_MAX_REPLICAS);
    let limit = i64::from(limit).max(min.unwrap_or(0)).max(1);
    (max > limit).then(|| u32::try_from(limit).unwrap_or(u32::MAX))
}

/// What a target's ScaledObject may declare now; `None` while nothing limits it.
pub fn limit(
    size: LaneSize,
    target: &Target,
    targets: &[Target],
    canary: &Canary,
    disk: DiskLevel,
) -> Option<u32> {
    let (stable, headroom) = target.part(size.stable(canary), size.headroom);
    let has_canary_target = targets.iter().any(|t| t.slice == Slice::Canary);
    match target.slice {
        Slice::Stable if disk == DiskLevel::Red => Some(size.min_replicas),
        Slice::Canary if disk == DiskLevel::Red => Some(0),
        Slice::Stable if canary.aborted => Some(stable),
        // A canary keeps its own after an abort.
        slice if canary.active || canary.aborted => {
            Some(share(slice, stable, headroom, has_canary_target))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const SIZE: LaneSize = LaneSize { stable_replicas: 6, headroom: 1, min_replicas: 2 };

    fn target(slice: &str) -> Target {
        serde_json::from_value(serde_json::json!({
            "kind": "Deployment", "name": slice, "slice": slice, "scaledObject": slice
        }))
        .unwrap()
    }

    fn canary(active: bool, aborted: bool) -> Canary {
        Canary { active, aborted, ..Canary::default() }
    }

    #[rstest]
    #[case::idle(canary(false, false), DiskLevel::Yellow, [None, None, None])]
    #[case::active(canary(true, false), DiskLevel::Ok, [Some(7), Some(6), Some(1)])]
    #[case::aborted(canary(false, true), DiskLevel::Ok, [Some(6), Some(6), Some(1)])]
    #[case::red(canary(true, false), DiskLevel::Red, [Some(2), Some(2), Some(0)])]
    #[case::red_while_idle(canary(false, false), DiskLevel::Red, [Some(2), Some(2), Some(0)])]
    fn limits(#[case] canary: Canary, #[case] disk: DiskLevel, #[case] expected: [Option<u32>; 3]) {
        let alone = [target("stable")];
        let both = [target("stable"), target("canary")];
        let got = [
            limit(SIZE, &alone[0], &alone, &canary, disk),
            limit(SIZE, &both[0], &both, &canary, disk),
            limit(SIZE, &both[1], &both, &canary, disk),
        ];
        assert_eq!(got, expected);
    }

    #[rstest]
    #[case::higher(Some(20), Some(1), 7, Some(7))]
    #[case::absent_is_kedas_default(None, None, 7, Some(7))]
    #[case::equal(Some(7), Some(1), 7, None)]
    #[case::never_raised(Some(3), Some(1), 7, None)]
    #[case::never_under_the_minimum(Some(20), Some(9), 7, Some(9))]
    #[case::already_at_the_minimum(Some(9), Some(9), 7, None)]
    #[case::never_zero(Some(20), Some(0), 0, Some(1))]
    fn lowering(
        #[case] max: Option<i64>,
        #[case] min: Option<i64>,
        #[case] limit: u32,
        #[case] expected: Option<u32>,
    ) {
        assert_eq!(lowered(max, min, limit), expected);
    }

    #[test]
    fn the_first_value_is_kept_until_the_end() {
        let targets = [target("stable"), target("canary")];
        let mut caps = Caps::default();
        caps.due.look_again(&targets);
        caps.remember("stable", Some(20));
        caps.remember("stable", Some(7));
        assert_eq!(caps.original(&targets), Some(20));
        assert_eq!(caps.end(), BTreeMap::from([("stable".to_owned(), 20)]));
        assert_eq!((caps.original(&targets), caps.due.next()), (None, None));
    }
}
