//! What an edit lifts: every height that the new object can reach and the old
//! one could not, by KEDA's and Kubernetes' meaning of the fields.
//!
//! Pure reading of two objects; whether a lift is allowed is the table's to
//! say (`gate::lane`), in the name of a rule (`crate::rules`).

pub mod hpa;
pub mod scaled_job;
pub mod scaled_object;
pub mod workload;

use gate::ceiling::{self, Level, ReplicaSpec};

/// One thing that an edit lifts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lift {
    /// Path of the field, as in the object.
    pub field: String,
    /// Height before; `None` where there was no object.
    pub old: Option<i64>,
    /// Height after; `i64::MAX` where nothing bounds it.
    pub new: i64,
    pub kind: LiftKind,
    /// A replica number, which can be lowered to what is allowed; not a flag or a reference.
    pub is_number: bool,
    /// Starts pods by itself where there are none; a maximum does not.
    pub wakes: bool,
    /// What the message says instead of numbers.
    pub note: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiftKind {
    /// The declared maximum itself, or the replicas themselves.
    Ceiling,
    /// Another way to a height.
    Bypass,
    /// A way to rise faster: refused only while frozen. `under` is the maximum
    /// that still holds, `i64::MAX` where none does.
    Faster { under: i64 },
}

impl Lift {
    /// The most that comes of it: what an override's ceiling is held against.
    pub fn reach(&self) -> i64 {
        match self.kind {
            LiftKind::Faster { under } => under,
            LiftKind::Ceiling | LiftKind::Bypass => self.new,
        }
    }
}

/// Names of the numbers in an object.
struct Names {
    max: &'static str,
    min: &'static str,
    scale_up: &'static str,
}

fn of_numbers(old: Option<&ReplicaSpec>, new: &ReplicaSpec, names: &Names) -> Vec<Lift> {
    let mut lifts = Vec::new();
    if old.is_none() {
        lifts.push(Lift { kind: LiftKind::Ceiling, ..bypass(names.max, None, new.ceiling()) });
    }
    let nothing = ReplicaSpec::default();
    for raise in ceiling::raises(old.unwrap_or(&nothing), new) {
        if old.is_none() && raise.level == Level::Ceiling {
            continue;
        }
        let field = match raise.level {
            Level::Ceiling => names.max.to_owned(),
            Level::Floor => names.min.to_owned(),
            Level::Release if old.is_some_and(only_the_hpa_held) => names.scale_up.to_owned(),
            level => level.field(),
        };
        lifts.push(Lift {
            field,
            old: old.map(|_| raise.old),
            new: raise.new,
            kind: if raise.level == Level::Ceiling { LiftKind::Ceiling } else { LiftKind::Bypass },
            is_number: !matches!(raise.level, Level::Release | Level::ForceActivation),
            wakes: !matches!(raise.level, Level::Ceiling | Level::Release),
            note: match raise.level {
                Level::Ceiling if new.max.is_none() => Some(format!(
                    "was removed, and absent means KEDA's default of {}",
                    ceiling::DEFAULT_MAX_REPLICAS
                )),
                Level::PausedReplicas if raise.new == i64::MAX => {
                    Some("is no number: KEDA deletes the HPA and then fails on it".to_owned())
                }
                Level::Release => {
                    Some("goes away and frees the target up to its maximum".to_owned())
                }
                _ => None,
            },
        });
    }
    lifts
}

fn only_the_hpa_held(spec: &ReplicaSpec) -> bool {
    spec.scale_up_disabled
        && !spec.paused
        && !spec.paused_scale_out
        && spec.paused_replicas.is_none()
}

fn bypass(field: &str, old: Option<i64>, new: i64) -> Lift {
    Lift {
        field: field.to_owned(),
        old,
        new,
        kind: LiftKind::Bypass,
        is_number: true,
        wakes: false,
        note: None,
    }
}

fn unbounded(field: &str, note: &str) -> Lift {
    Lift { is_number: false, note: Some(note.to_owned()), ..bypass(field, None, i64::MAX) }
}

fn faster(field: &str, note: &str) -> Lift {
    Lift { kind: LiftKind::Faster { under: i64::MAX }, ..unbounded(field, note) }
}

/// Faster, and held by the numbers of the autoscaler that it is in.
fn faster_under(numbers: &ReplicaSpec, field: &str, note: &str) -> Lift {
    let under = numbers.ceiling().max(numbers.floor());
    Lift { kind: LiftKind::Faster { under }, ..unbounded(field, note) }
}

fn annotation(key: &str) -> String {
    format!("metadata.annotations[{key}]")
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
    #[case::released(ReplicaSpec { paused: true, ..spec() }, spec(), &[("metadata.annotations[autoscaling.keda.sh/paused]*", false, false)])]
    #[case::scale_up_alone_was_held(ReplicaSpec { scale_up_disabled: true, ..spec() }, spec(), &[("scaleUp", false, false)])]
    #[case::a_pause_and_scale_up(ReplicaSpec { paused: true, scale_up_disabled: true, ..spec() }, spec(), &[("metadata.annotations[autoscaling.keda.sh/paused]*", false, false)])]
    #[case::a_scale_out_pause_and_scale_up(ReplicaSpec { paused_scale_out: true, scale_up_disabled: true, ..spec() }, spec(), &[("metadata.annotations[autoscaling.keda.sh/paused]*", false, false)])]
    #[case::a_number_and_scale_up(ReplicaSpec { paused_replicas: Some(PausedReplicas::At(0)), scale_up_disabled: true, ..spec() }, spec(), &[("metadata.annotations[autoscaling.keda.sh/paused]*", false, false)])]
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
