//! How high an autoscaler lets its target go.
//!
//! A cap is not the number in `maxReplicaCount`: absent it is KEDA's 100, the
//! HPA jumps to `minReplicaCount` ignoring its behaviour, an idle count that
//! goes away lifts to the minimum, and `paused-replicas` is written past every
//! maximum (KEDA `apis/keda/v1alpha1/scaledobject_types.go`,
//! `controllers/keda/scaledobject_controller.go`). So an object has several
//! levels, and an edit raises when it raises any of them.

/// KEDA's annotations that move a target past its numbers.
pub const PAUSED_REPLICAS: &str = "autoscaling.keda.sh/paused-replicas";
pub const PAUSED: &str = "autoscaling.keda.sh/paused";
pub const PAUSED_SCALE_OUT: &str = "autoscaling.keda.sh/paused-scale-out";
pub const FORCE_ACTIVATION: &str = "autoscaling.keda.sh/force-activation";

/// A switch of KEDA's as it reads one: what it cannot parse is on
/// (`getBoolAnnotation`); the words are those of Go's `strconv.ParseBool`.
pub fn is_set(annotation: Option<&str>) -> bool {
    annotation.is_some_and(|v| !matches!(v, "0" | "f" | "F" | "false" | "FALSE" | "False"))
}

/// KEDA's default for an absent `maxReplicaCount` (`scaledobject_types.go`,
/// `defaultHPAMaxReplicas`).
pub const DEFAULT_MAX_REPLICAS: i64 = 100;
/// KEDA's default for an absent `minReplicaCount`.
pub const DEFAULT_MIN_REPLICAS: i64 = 0;

/// The replica numbers of one ScaledObject, ScaledJob or HPA; absent numbers as the object has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicaSpec {
    pub max: Option<i64>,
    pub min: Option<i64>,
    pub idle: Option<i64>,
    /// `autoscaling.keda.sh/paused-replicas`.
    pub paused_replicas: Option<PausedReplicas>,
    /// `autoscaling.keda.sh/paused`: no HPA, replicas stay.
    pub paused: bool,
    /// `autoscaling.keda.sh/paused-scale-out`.
    pub paused_scale_out: bool,
    /// `autoscaling.keda.sh/force-activation`.
    pub force_activation: bool,
    /// HPA behaviour `scaleUp.selectPolicy: Disabled`.
    pub scale_up_disabled: bool,
}

/// The value of the annotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PausedReplicas {
    At(i64),
    /// KEDA deletes the HPA first and then fails on the value, so nothing clamps the target.
    Unparseable,
}

impl ReplicaSpec {
    /// The declared maximum.
    pub fn ceiling(&self) -> i64 {
        self.max.unwrap_or(DEFAULT_MAX_REPLICAS)
    }

    pub fn floor(&self) -> i64 {
        self.min.unwrap_or(DEFAULT_MIN_REPLICAS)
    }

    /// Where an inactive target rests.
    pub fn rest(&self) -> i64 {
        self.idle.unwrap_or_else(|| self.floor())
    }

    /// What holds the target most.
    fn hold(&self) -> Option<Hold> {
        if self.paused {
            Some(Hold::Paused)
        } else if self.paused_replicas.is_some() {
            Some(Hold::PausedReplicas)
        } else if self.paused_scale_out {
            Some(Hold::PausedScaleOut)
        } else {
            self.scale_up_disabled.then_some(Hold::ScaleUpDisabled)
        }
    }
}

/// What keeps a target from rising.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// There is no HPA at all.
    Paused,
    PausedReplicas,
    /// No scale-out and no activation.
    PausedScaleOut,
    /// The HPA's own scale-up alone.
    ScaleUpDisabled,
}

impl Hold {
    /// How much it holds.
    fn width(self) -> u8 {
        match self {
            Hold::Paused | Hold::PausedReplicas => 3,
            Hold::PausedScaleOut => 2,
            Hold::ScaleUpDisabled => 1,
        }
    }
}

/// One level that an edit lifts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raise {
    pub level: Level,
    pub old: i64,
    /// `i64::MAX` where nothing bounds it.
    pub new: i64,
}

/// Which number rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The declared maximum: judged by `cap-frozen`, `canary-cap` and `red-gate`.
    Ceiling,
    /// All others reach a height another way: `ceiling-bypass`.
    Floor,
    Rest,
    PausedReplicas,
    /// What held the target goes away.
    Release(Hold),
    ForceActivation,
}

impl Level {
    /// The field of a ScaledObject that an operator has to look at.
    pub fn field(self) -> String {
        let annotation = |key: &str| format!("metadata.annotations[{key}]");
        match self {
            Level::Ceiling => "spec.maxReplicaCount".to_owned(),
            Level::Floor => "spec.minReplicaCount".to_owned(),
            Level::Rest => "spec.idleReplicaCount".to_owned(),
            Level::PausedReplicas => annotation(PAUSED_REPLICAS),
            Level::Release(Hold::Paused) => annotation(PAUSED),
            Level::Release(Hold::PausedReplicas) => annotation(PAUSED_REPLICAS),
            Level::Release(Hold::PausedScaleOut) => annotation(PAUSED_SCALE_OUT),
            Level::Release(Hold::ScaleUpDisabled) => {
                "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.selectPolicy"
                    .to_owned()
            }
            Level::ForceActivation => annotation(FORCE_ACTIVATION),
        }
    }
}

/// Every level that `new` lifts above `old`. Empty means that the edit lowers or changes nothing.
pub fn raises(old: &ReplicaSpec, new: &ReplicaSpec) -> Vec<Raise> {
    let mut found = Vec::new();
    let mut push = |level, old: i64, new: i64| {
        if new > old {
            found.push(Raise { level, old, new });
        }
    };
    push(Level::Ceiling, old.ceiling(), new.ceiling());
    push(Level::Floor, old.floor(), new.floor());
    push(Level::Rest, old.rest(), new.rest());
    if new.paused_replicas != old.paused_replicas {
        // The number is written whatever the maximum says, so it is measured
        // against what the target could not be kept from reaching before.
        // While it was paused without a number nothing took it to its minimum.
        let old_height = match old.paused_replicas {
            Some(PausedReplicas::At(n)) => n,
            None if old.paused => old.floor().min(0),
            Some(PausedReplicas::Unparseable) | None => old.floor(),
        };
        match new.paused_replicas {
            Some(PausedReplicas::At(n)) => push(Level::PausedReplicas, old_height, n),
            Some(PausedReplicas::Unparseable) => push(Level::PausedReplicas, old_height, i64::MAX),
            None => {}
        }
    }
    // A wider pause may replace a narrower one.
    if let Some(hold) = old.hold().filter(|hold| new.hold().map_or(0, Hold::width) < hold.width()) {
        let held_at = match old.paused_replicas {
            Some(PausedReplicas::At(n)) => n,
            _ => old.floor().min(new.ceiling().saturating_sub(1)),
        };
        push(Level::Release(hold), held_at, new.ceiling().max(new.floor()));
    }
    if new.force_activation && !old.force_activation {
        push(Level::ForceActivation, old.rest().min(0), new.floor().max(1));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn spec(max: i64) -> ReplicaSpec {
        ReplicaSpec { max: Some(max), min: Some(1), ..ReplicaSpec::default() }
    }

    #[rstest]
    #[case::equal(spec(6), spec(6), &[])]
    #[case::lower(spec(6), spec(5), &[])]
    #[case::higher(spec(6), spec(7), &[(Level::Ceiling, 6, 7)])]
    #[case::removed(spec(6), ReplicaSpec { max: None, ..spec(6) }, &[(Level::Ceiling, 6, 100)])]
    #[case::removed_from_above_the_default(spec(200), ReplicaSpec { max: None, ..spec(200) }, &[])]
    #[case::set_where_absent(ReplicaSpec { max: None, ..spec(6) }, spec(101), &[(Level::Ceiling, 100, 101)])]
    #[case::floor(spec(6), ReplicaSpec { min: Some(4), ..spec(6) }, &[(Level::Floor, 1, 4), (Level::Rest, 1, 4)])]
    #[case::floor_removed(spec(6), ReplicaSpec { min: None, ..spec(6) }, &[])]
    #[case::idle_removed(ReplicaSpec { idle: Some(0), min: Some(3), ..spec(6) }, ReplicaSpec { min: Some(3), ..spec(6) }, &[(Level::Rest, 0, 3)])]
    #[case::idle_added(spec(6), ReplicaSpec { idle: Some(0), ..spec(6) }, &[])]
    #[case::pause_high(spec(6), ReplicaSpec { paused_replicas: Some(PausedReplicas::At(50)), ..spec(6) }, &[(Level::PausedReplicas, 1, 50)])]
    #[case::pause_at_zero(spec(6), ReplicaSpec { paused_replicas: Some(PausedReplicas::At(0)), ..spec(6) }, &[])]
    #[case::pause_at_the_minimum_where_paused_held_less(ReplicaSpec { paused: true, min: Some(3), ..spec(6) }, ReplicaSpec { paused: true, min: Some(3), paused_replicas: Some(PausedReplicas::At(3)), ..spec(6) }, &[(Level::PausedReplicas, 0, 3)])]
    #[case::pause_unparseable(spec(6), ReplicaSpec { paused_replicas: Some(PausedReplicas::Unparseable), ..spec(6) }, &[(Level::PausedReplicas, 1, i64::MAX)])]
    #[case::unpause(ReplicaSpec { paused_replicas: Some(PausedReplicas::At(0)), ..spec(6) }, spec(6), &[(Level::Release(Hold::PausedReplicas), 0, 6)])]
    #[case::release_of_a_pause(ReplicaSpec { paused: true, ..spec(6) }, spec(6), &[(Level::Release(Hold::Paused), 1, 6)])]
    #[case::release_of_scale_out(ReplicaSpec { paused_scale_out: true, ..spec(6) }, spec(6), &[(Level::Release(Hold::PausedScaleOut), 1, 6)])]
    #[case::pause_instead_of_scale_out(ReplicaSpec { paused_scale_out: true, ..spec(6) }, ReplicaSpec { paused: true, ..spec(6) }, &[])]
    #[case::scale_out_instead_of_pause(ReplicaSpec { paused: true, ..spec(6) }, ReplicaSpec { paused_scale_out: true, ..spec(6) }, &[(Level::Release(Hold::Paused), 1, 6)])]
    #[case::release_of_the_hpa(ReplicaSpec { scale_up_disabled: true, ..spec(6) }, spec(6), &[(Level::Release(Hold::ScaleUpDisabled), 1, 6)])]
    #[case::disabled_instead_of_scale_out(ReplicaSpec { paused_scale_out: true, ..spec(6) }, ReplicaSpec { scale_up_disabled: true, ..spec(6) }, &[(Level::Release(Hold::PausedScaleOut), 1, 6)])]
    #[case::scale_out_instead_of_disabled(ReplicaSpec { scale_up_disabled: true, ..spec(6) }, ReplicaSpec { paused_scale_out: true, ..spec(6) }, &[])]
    #[case::disabled_added(spec(6), ReplicaSpec { scale_up_disabled: true, ..spec(6) }, &[])]
    #[case::pause_added(spec(6), ReplicaSpec { paused: true, ..spec(6) }, &[])]
    #[case::force_activation(spec(6), ReplicaSpec { force_activation: true, ..spec(6) }, &[(Level::ForceActivation, 0, 1)])]
    fn levels(
        #[case] old: ReplicaSpec,
        #[case] new: ReplicaSpec,
        #[case] expected: &[(Level, i64, i64)],
    ) {
        let got: Vec<_> = raises(&old, &new).into_iter().map(|r| (r.level, r.old, r.new)).collect();
        assert_eq!(got, expected);
    }

    pub(crate) fn any_spec() -> impl Strategy<Value = ReplicaSpec> {
        let n = || prop::option::of(-2i64..120);
        let paused = prop_oneof![
            3 => Just(None),
            1 => (-2i64..120).prop_map(|n| Some(PausedReplicas::At(n))),
            1 => Just(Some(PausedReplicas::Unparseable)),
        ];
        (n(), n(), n(), paused, any::<[bool; 4]>()).prop_map(
            |(max, min, idle, paused_replicas, flags)| {
                let [paused, paused_scale_out, force_activation, scale_up_disabled] = flags;
                ReplicaSpec {
                    max,
                    min,
                    idle,
                    paused_replicas,
                    paused,
                    paused_scale_out,
                    force_activation,
                    scale_up_disabled,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn no_edit_that_raises_nothing_lifts_the_ceiling(old in any_spec(), new in any_spec()) {
            if raises(&old, &new).is_empty() {
                prop_assert!(new.ceiling() <= old.ceiling());
                prop_assert!(new.floor() <= old.floor());
                prop_assert!(new.rest() <= old.rest());
            }
        }

        #[test]
        fn an_unchanged_object_raises_nothing(spec in any_spec()) {
            prop_assert!(raises(&spec, &spec).is_empty());
        }
    }
}
