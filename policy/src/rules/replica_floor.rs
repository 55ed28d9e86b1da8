//! `replica-floor`: the stable lane never idles at zero, a canary never runs
//! by itself, and only the AZ slice under test wakes one.
//!
//! A stable lane at zero has no baseline to compare with; a canary with a
//! minimum runs when nobody watches. The one rule that may refuse a lowering,
//! and it looks at minimum, idle count and activation alone.

use crate::change::Lift;
use crate::change::{Fault, When};
use gate::ceiling::ReplicaSpec;
use gate::lane::{Finding, LaneState};
use gate::rule::Rule;
use gate::slice::Slice;
use gate::target::Target;

/// Of an autoscaler's minimum and idle count. `least` is the slice's
/// `minReplicas`; `old` is absent on CREATE.
pub fn find(
    target: &Target,
    least: i64,
    field: &str,
    old: Option<&ReplicaSpec>,
    new: &ReplicaSpec,
) -> Option<Fault> {
    let fault = |what| Some(Fault::always(Rule::ReplicaFloor, field, what));
    match target.slice {
        // Where an idle target rests: the idle count, or the minimum.
        Slice::Stable => {
            let (was, rest) = (old.map(ReplicaSpec::rest), new.rest());
            if rest < least && was.is_none_or(|was| rest < was) {
                return fault(format!(
                    "lets a stable target rest at {rest}, and {least} is the least"
                ));
            }
        }
        Slice::Canary => {
            let (was, floor) = (old.map(ReplicaSpec::floor), new.floor());
            if floor > least && was.is_none_or(|was| floor > was) {
                return fault(format!("keeps a canary target at {floor}, and {least} is the most"));
            }
        }
    }
    None
}

/// What wakes a canary target: a lift that starts at nothing.
pub fn activation(target: &Target, lifts: &[Lift]) -> Option<Fault> {
    let az = target.az.as_ref().filter(|_| target.slice == Slice::Canary)?;
    let wakes = |lift: &&Lift| lift.wakes && lift.old.unwrap_or(0) <= 0 && lift.new > 0;
    let lift = lifts.iter().find(wakes)?;
    Some(Fault {
        when: When::OtherAz(az.clone()),
        ..Fault::always(
            Rule::ReplicaFloor,
            lift.field.as_str(),
            format!("wakes a canary in AZ {az}"),
        )
    })
}

/// Whether a canary is under test in another AZ.
pub fn holds<'a>(lane: &'a LaneState, az: &str) -> Option<&'a Finding> {
    lane.canary_active()
        .filter(|_| lane.under_test.az.as_deref().is_some_and(|tested| tested != az))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::LiftKind;
    use rstest::rstest;
    use serde_json::json;

    fn target(slice: &str) -> Target {
        serde_json::from_value(
            json!({"kind": "Deployment", "name": "w", "slice": slice, "az": "b"}),
        )
        .unwrap()
    }

    fn spec(min: i64, idle: Option<i64>) -> ReplicaSpec {
        ReplicaSpec { min: Some(min), idle, ..ReplicaSpec::default() }
    }

    #[rstest]
    #[case::stable("stable", 1, None, spec(1, None), false)]
    #[case::stable_at_zero("stable", 1, None, spec(0, None), true)]
    #[case::stable_idle_zero("stable", 1, None, spec(1, Some(0)), true)]
    #[case::stable_idle_removed("stable", 1, Some(spec(1, Some(0))), spec(1, None), false)]
    #[case::stable_as_before("stable", 1, Some(spec(0, None)), spec(0, None), false)]
    #[case::stable_lower_but_enough("stable", 1, Some(spec(4, None)), spec(1, None), false)]
    #[case::stable_below_a_higher_floor("stable", 3, Some(spec(3, None)), spec(2, None), true)]
    #[case::canary("canary", 0, None, spec(0, None), false)]
    #[case::canary_with_a_minimum("canary", 0, None, spec(1, None), true)]
    #[case::canary_as_before("canary", 0, Some(spec(1, None)), spec(1, None), false)]
    #[case::canary_lower("canary", 0, Some(spec(2, None)), spec(1, None), false)]
    #[case::canary_allowed_one("canary", 1, None, spec(1, None), false)]
    fn floors(
        #[case] slice: &str,
        #[case] least: i64,
        #[case] old: Option<ReplicaSpec>,
        #[case] new: ReplicaSpec,
        #[case] expected: bool,
    ) {
        let found = find(&target(slice), least, "spec.minReplicaCount", old.as_ref(), &new);
        assert_eq!(found.is_some(), expected);
    }

    #[test]
    fn only_a_canary_of_an_az_is_woken() {
        let lift = |old, new| Lift {
            field: "spec.replicas".into(),
            old,
            new,
            kind: LiftKind::Ceiling,
            is_number: true,
            wakes: true,
            note: None,
        };
        let woken = |slice, old, new| activation(&target(slice), &[lift(old, new)]).is_some();
        assert!(woken("canary", Some(0), 1));
        assert!(woken("canary", None, 1));
        assert!(!woken("canary", Some(1), 2));
        assert!(!woken("canary", None, 0));
        assert!(!woken("stable", Some(0), 1));
        let anywhere = Target { az: None, ..target("canary") };
        assert!(activation(&anywhere, &[lift(Some(0), 1)]).is_none());
        // A maximum wakes nothing.
        let maximum = Lift { wakes: false, ..lift(Some(0), 1) };
        assert!(activation(&target("canary"), &[maximum]).is_none());
    }
}
