//! The numbers and pauses that ScaledObjects, ScaledJobs and HPAs have in common.

use crate::change::{Lift, LiftKind};
use gate::ceiling::{self, Hold, Level, ReplicaSpec};

/// Names of the numbers in an object.
pub struct Names {
    pub max: &'static str,
    pub min: &'static str,
    pub scale_up: &'static str,
}

/// The most that the numbers let the target go to.
pub fn most(numbers: &ReplicaSpec) -> i64 {
    numbers.ceiling().max(numbers.floor())
}

pub fn of_numbers(old: Option<&ReplicaSpec>, new: &ReplicaSpec, names: &Names) -> Vec<Lift> {
    let mut lifts = Vec::new();
    if old.is_none() {
        let lift = Lift::number(names.max, None, new.ceiling());
        lifts.push(Lift { kind: LiftKind::Ceiling, ..lift });
    }
    let nothing = ReplicaSpec::default();
    for raise in ceiling::raises(old.unwrap_or(&nothing), new) {
        if old.is_none() && raise.level == Level::Ceiling {
            continue;
        }
        let field = match raise.level {
            Level::Ceiling => names.max.to_owned(),
            Level::Floor => names.min.to_owned(),
            Level::Release(Hold::ScaleUpDisabled) => names.scale_up.to_owned(),
            level => level.field(),
        };
        lifts.push(Lift {
            kind: if raise.level == Level::Ceiling { LiftKind::Ceiling } else { LiftKind::Bypass },
            is_number: !matches!(raise.level, Level::Release(_) | Level::ForceActivation),
            wakes: !matches!(raise.level, Level::Ceiling | Level::Release(_)),
            note: match raise.level {
                Level::Ceiling if new.max.is_none() => Some(format!(
                    "was removed, and absent means KEDA's default of {}",
                    ceiling::DEFAULT_MAX_REPLICAS
                )),
                Level::PausedReplicas if raise.new == i64::MAX => {
                    Some("is no number: KEDA deletes the HPA and then fails on it".to_owned())
                }
                Level::Release(_) => {
                    Some("goes away and frees the target up to its maximum".to_owned())
                }
                _ => None,
            },
            ..Lift::number(&field, old.map(|_| raise.old), raise.new)
        });
    }
    lifts
}

#[cfg(test)]
mod tests {
    use super::*;
    use gate::ceiling::PausedReplicas;
    use rstest::rstest;

    const NAMES: Names = Names { max: "max", min: "min", scale_up: "scaleUp" };

    fn spec() -> ReplicaSpec {
        ReplicaSpec { max: Some(6), min: Some(0), ..ReplicaSpec::default() }
    }

    /// What is lifted, whether it is a number, and whether it wakes.
    #[rstest]
    #[case::maximum(spec(), ReplicaSpec { max: Some(7), ..spec() }, &[("max", true, false)])]
    #[case::minimum(spec(), ReplicaSpec { min: Some(1), ..spec() }, &[("min", true, true), ("spec.idleReplicaCount", true, true)])]
    #[case::paused_at(spec(), ReplicaSpec { paused_replicas: Some(PausedReplicas::At(2)), ..spec() }, &[("metadata.annotations[autoscaling.keda.sh/paused-replicas]", true, true)])]
    #[case::forced(spec(), ReplicaSpec { force_activation: true, ..spec() }, &[("metadata.annotations[autoscaling.keda.sh/force-activation]", false, true)])]
    #[case::released(ReplicaSpec { paused: true, ..spec() }, spec(), &[("metadata.annotations[autoscaling.keda.sh/paused]", false, false)])]
    #[case::scale_up_alone_was_held(ReplicaSpec { scale_up_disabled: true, ..spec() }, spec(), &[("scaleUp", false, false)])]
    #[case::a_pause_and_scale_up(ReplicaSpec { paused: true, scale_up_disabled: true, ..spec() }, spec(), &[("metadata.annotations[autoscaling.keda.sh/paused]", false, false)])]
    #[case::a_scale_out_pause_and_scale_up(ReplicaSpec { paused_scale_out: true, scale_up_disabled: true, ..spec() }, spec(), &[("metadata.annotations[autoscaling.keda.sh/paused-scale-out]", false, false)])]
    #[case::a_number_and_scale_up(ReplicaSpec { paused_replicas: Some(PausedReplicas::At(0)), scale_up_disabled: true, ..spec() }, spec(), &[("metadata.annotations[autoscaling.keda.sh/paused-replicas]", false, false)])]
    fn numbers(
        #[case] old: ReplicaSpec,
        #[case] new: ReplicaSpec,
        #[case] expected: &[(&str, bool, bool)],
    ) {
        let got = of_numbers(Some(&old), &new, &NAMES);
        let got: Vec<_> = got.iter().map(|l| (l.field.as_str(), l.is_number, l.wakes)).collect();
        assert_eq!(got, expected);
    }
}
