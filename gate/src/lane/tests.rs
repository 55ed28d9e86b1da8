use super::*;
use crate::verdict::tests::idle;
use proptest::prelude::*;
use rstest::rstest;

const NOW: Timestamp = Timestamp::from_secs(1_795_510_800);
const DECLARED: Declared = Declared {
    stable_replicas: Some(6),
    headroom: 1,
    min_stable: 1,
    has_canary_target: true,
    when_stale: WhenStale::Freeze,
};
const NO_CANARY_TARGET: Declared = Declared { has_canary_target: false, ..DECLARED };

fn verdict(change: impl FnOnce(&mut Verdict)) -> Result<Verdict, Unknown> {
    let mut v = idle("gw-a1", NOW);
    change(&mut v);
    Ok(v)
}

fn state(v: Result<Verdict, Unknown>, declared: Declared) -> LaneState {
    let g = GatewayState::of("gw-a1", "a", v, 180, NOW);
    LaneState::of(&[g], None, declared, NOW)
}

fn active() -> Result<Verdict, Unknown> {
    verdict(|v| v.canary_active = true)
}
fn frozen() -> Result<Verdict, Unknown> {
    verdict(|v| {
        v.canary_active = true;
        v.frozen = true;
        v.frozen_by = vec![Cause::Signal(Signal::Canary5xxRate)];
    })
}
fn aborted() -> Result<Verdict, Unknown> {
    verdict(|v| v.aborted = true)
}
fn yellow(tier: DiskTier) -> Result<Verdict, Unknown> {
    verdict(|v| {
        v.frozen = true;
        v.frozen_by = vec![Cause::Signal(Signal::Disk)];
        v.disk = DiskLevel::Yellow;
        v.disk_tier = tier;
    })
}
fn red() -> Result<Verdict, Unknown> {
    verdict(|v| {
        v.frozen = true;
        v.frozen_by = vec![Cause::Signal(Signal::Disk)];
        v.disk = DiskLevel::Red;
    })
}
fn missing() -> Result<Verdict, Unknown> {
    Err(Unknown::Missing("not found".into()))
}
fn aged(s: i64) -> Result<Verdict, Unknown> {
    verdict(|v| v.observed_at = Timestamp::from_secs(1_795_510_800 - s))
}

/// The design's table: what an object at 4 may become, as stable and as
/// canary of a lane with both targets, and as stable of a lane without a
/// canary target. `None` is free.
#[rstest]
#[case::idle(verdict(|_| {}), None, None, None)]
#[case::asleep_and_old(verdict(|v| { v.asleep = true; v.observed_at = Timestamp::from_secs(1); }), None, None, None)]
#[case::active(active(), Some(6), Some(4), Some(7))]
#[case::aborted(aborted(), Some(6), Some(4), Some(6))]
#[case::frozen(frozen(), Some(4), Some(4), Some(4))]
#[case::degraded(verdict(|v| v.degraded = true), Some(4), Some(4), Some(4))]
#[case::frozen_by_the_node(verdict(|v| { v.frozen = true; v.frozen_by = vec![Cause::Signal(Signal::Doctor)]; }), Some(4), Some(4), Some(4))]
#[case::yellow_2tb_not_frozen_yet(yellow(DiskTier::Tb2).map(|v| Verdict { frozen: false, degraded: false, ..v }), Some(6), Some(4), Some(6))]
#[case::yellow_1tb(yellow(DiskTier::Tb1), Some(4), Some(4), Some(4))]
#[case::yellow_2tb(yellow(DiskTier::Tb2), Some(6), Some(4), Some(6))]
#[case::red(red(), Some(4), Some(4), Some(4))]
#[case::missing(missing(), Some(4), Some(4), Some(4))]
#[case::malformed(Err(Unknown::Malformed("x".into())), Some(4), Some(4), Some(4))]
#[case::just_fresh(aged(180), None, None, None)]
#[case::stale(aged(181), Some(4), Some(4), Some(4))]
#[case::just_in_time(aged(-30), None, None, None)]
#[case::future(aged(-31), Some(4), Some(4), Some(4))]
#[case::of_another_gateway(verdict(|v| v.gateway = "gw-x".into()), Some(4), Some(4), Some(4))]
fn rows(
    #[case] v: Result<Verdict, Unknown>,
    #[case] stable: Option<i64>,
    #[case] canary: Option<i64>,
    #[case] alone: Option<i64>,
) {
    let both = state(v.clone(), DECLARED);
    let number = |s: &LaneState, slice| s.allowed(slice, Column::Ceiling, Some(4));
    assert_eq!(number(&both, Slice::Stable), stable);
    assert_eq!(number(&both, Slice::Canary), canary);
    assert_eq!(number(&state(v, NO_CANARY_TARGET), Slice::Stable), alone);
}

#[rstest]
#[case::idle(verdict(|_| {}), None, None)]
#[case::active(active(), Some(6), Some(1))]
#[case::aborted(aborted(), Some(6), Some(0))]
#[case::frozen(frozen(), Some(6), Some(0))]
#[case::red(red(), Some(6), Some(0))]
#[case::missing(missing(), Some(6), Some(0))]
fn create_is_compared_with_the_declared_limit(
    #[case] v: Result<Verdict, Unknown>,
    #[case] stable: Option<i64>,
    #[case] canary: Option<i64>,
) {
    let s = state(v, DECLARED);
    assert_eq!(s.allowed(Slice::Stable, Column::Ceiling, None), stable);
    assert_eq!(s.allowed(Slice::Canary, Column::Ceiling, None), canary);
}

#[rstest]
#[case::active(active(), Rule::CanaryCap)]
#[case::aborted(aborted(), Rule::CapFrozen)]
#[case::frozen_and_active(frozen(), Rule::CapFrozen)]
#[case::red(red(), Rule::RedGate)]
#[case::missing(missing(), Rule::CapFrozen)]
fn the_first_rule_names_the_refusal(#[case] v: Result<Verdict, Unknown>, #[case] rule: Rule) {
    let s = state(v, DECLARED);
    let (_, finding) =
        s.refusal(Slice::Stable, Column::Ceiling, Some(6), 8, &|_| true, &|_| true).unwrap();
    assert_eq!(finding.row.rule(), rule);
}

/// `whenStale: cap` is the `*/scale` column's: up to the declared limit of the slice.
#[rstest]
#[case::missing_freeze(missing(), WhenStale::Freeze, Some(2), Some(2), Some(0))]
#[case::missing_cap(missing(), WhenStale::Cap, Some(2), Some(6), Some(0))]
#[case::stale_cap(aged(181), WhenStale::Cap, Some(2), Some(6), Some(0))]
#[case::frozen_is_known(frozen(), WhenStale::Cap, Some(2), Some(2), Some(0))]
#[case::red_is_known(red(), WhenStale::Cap, Some(2), Some(2), Some(0))]
fn while_the_state_is_not_known(
    #[case] v: Result<Verdict, Unknown>,
    #[case] stale: WhenStale,
    #[case] ceiling: Option<i64>,
    #[case] scale: Option<i64>,
    #[case] canary_scale: Option<i64>,
) {
    let s = state(v, Declared { when_stale: stale, ..DECLARED });
    assert_eq!(s.allowed(Slice::Stable, Column::Ceiling, Some(2)), ceiling);
    assert_eq!(s.allowed(Slice::Stable, Column::Scale, Some(2)), scale);
    assert_eq!(s.allowed(Slice::Canary, Column::Scale, Some(0)), canary_scale);
}

#[rstest]
#[case::idle(verdict(|_| {}), None)]
#[case::active(active(), Some(Row::CanaryActive))]
#[case::aborted(aborted(), None)]
#[case::missing(missing(), Some(Row::Unknown))]
#[case::stale(aged(181), Some(Row::Unknown))]
#[case::red(red(), None)]
fn skill_packs_and_promotions_are_locked(
    #[case] v: Result<Verdict, Unknown>,
    #[case] row: Option<Row>,
) {
    assert_eq!(state(v, DECLARED).lock().map(|f| f.row), row);
}

#[test]
fn one_gateway_is_named_and_the_others_are_counted() {
    let of = |id: &str| {
        let v = Verdict { canary_active: true, az_under_test: Some("a".into()), ..idle(id, NOW) };
        GatewayState::of(id, "a", Ok(v), 180, NOW)
    };
    let s = LaneState::of(&[of("gw-a1"), of("gw-a2"), of("gw-a3")], None, DECLARED, NOW);
    let finding = s.canary_active().unwrap();
    assert_eq!((finding.gateway.as_str(), finding.others), ("gw-a1", 2));
    assert_eq!(s.under_test.az.as_deref(), Some("a"));
}

#[test]
fn maintenance_is_any_gateways() {
    let of = |id: &str, maintenance| {
        GatewayState::of(id, "a", Ok(Verdict { maintenance, ..idle(id, NOW) }), 180, NOW)
    };
    let lane = |gateways: &[GatewayState]| LaneState::of(gateways, None, DECLARED, NOW).maintenance;
    assert_eq!(lane(&[of("gw-a1", false), of("gw-a2", true)]).as_deref(), Some("gw-a2"));
    assert_eq!(lane(&[of("gw-a1", false)]), None);
}

#[test]
fn without_a_stable_value_nothing_rises() {
    let undeclared = Declared { stable_replicas: None, ..DECLARED };
    let v = verdict(|v| {
        v.canary_active = true;
        v.stable_replicas = None;
    });
    assert_eq!(state(v, undeclared).allowed(Slice::Stable, Column::Ceiling, Some(4)).unwrap(), 4);
}

#[test]
fn the_lower_of_reviewed_and_published_wins() {
    let v = verdict(|v| {
        v.canary_active = true;
        v.stable_replicas = Some(3);
        v.headroom = 0;
    });
    assert_eq!(
        state(v, NO_CANARY_TARGET).allowed(Slice::Stable, Column::Ceiling, Some(1)).unwrap(),
        3
    );
    let v = verdict(|v| {
        v.canary_active = true;
        v.stable_replicas = Some(50);
        v.headroom = 50;
    });
    assert_eq!(
        state(v, NO_CANARY_TARGET).allowed(Slice::Stable, Column::Ceiling, Some(1)).unwrap(),
        7
    );
}

#[test]
fn stable_may_always_rise_to_its_minimum() {
    let s = state(red(), Declared { min_stable: 2, ..DECLARED });
    assert_eq!(s.allowed(Slice::Stable, Column::Ceiling, Some(0)).unwrap(), 2);
    assert_eq!(s.allowed(Slice::Canary, Column::Ceiling, Some(0)).unwrap(), 0);
}

#[test]
fn a_gateway_of_another_az_speaks_for_the_canary_only() {
    let of = |id: &str, az: &str, v| GatewayState::of(id, az, v, 180, NOW);
    let named =
        |id: &str, v: Result<Verdict, Unknown>| v.map(|v| Verdict { gateway: id.into(), ..v });
    let a = of("gw-a1", "a", verdict(|_| {}));
    let cases = [
        // Its clock is wrong, and still it said that a canary is active.
        (
            named("gw-b1", active().map(|v| Verdict { observed_at: NOW.plus_secs(31), ..v })),
            Some(6),
        ),
        (named("gw-b1", red()), None),
        (missing(), Some(4)),
        (named("gw-b1", aged(900)), None),
        (
            named("gw-b1", frozen().map(|v| Verdict { observed_at: Timestamp::from_secs(0), ..v })),
            Some(4),
        ),
        (named("gw-b1", yellow(DiskTier::Tb2)), None),
        (named("gw-b1", frozen()), Some(4)),
        (named("gw-b1", active()), Some(6)),
    ];
    for (b, expected) in cases {
        let s = LaneState::of(&[a.clone(), of("gw-b1", "b", b)], Some("a"), DECLARED, NOW);
        assert_eq!(s.allowed(Slice::Stable, Column::Ceiling, Some(4)), expected);
    }
}

#[test]
fn gateways_that_disagree_freeze() {
    let of = |id: &str, hash: &str| {
        let v = Verdict { canary_active: true, skill_hash: Some(hash.into()), ..idle(id, NOW) };
        GatewayState::of(id, "a", Ok(v), 180, NOW)
    };
    let s = LaneState::of(&[of("gw-a1", "x"), of("gw-a2", "y")], None, DECLARED, NOW);
    let (_, f) =
        s.refusal(Slice::Stable, Column::Ceiling, Some(4), 5, &|_| true, &|_| true).unwrap();
    assert_eq!(f.row, Row::Frozen);
    assert!(f.reason.contains("skill_hash"));
    // No pack is the one to run.
    assert_eq!(s.under_test, UnderTest::default());
}

fn any_verdict() -> impl Strategy<Value = Result<Verdict, Unknown>> {
    (any::<[bool; 5]>(), 0u8..3, any::<bool>(), 0u32..12, 0u32..4, -100i64..400, 0u8..6).prop_map(
        |(
            [active, frozen, degraded, aborted, by_disk],
            disk,
            tb2,
            stable,
            headroom,
            age,
            broken,
        )| {
            if broken == 0 {
                return Err(Unknown::Missing("x".into()));
            }
            verdict(|v| {
                v.canary_active = active;
                v.frozen = frozen;
                v.degraded = degraded;
                v.aborted = aborted;
                v.frozen_by =
                    vec![Cause::Signal(if by_disk { Signal::Disk } else { Signal::Canary5xxRate })];
                v.disk = [DiskLevel::Ok, DiskLevel::Yellow, DiskLevel::Red][usize::from(disk)];
                v.disk_tier = if tb2 { DiskTier::Tb2 } else { DiskTier::Tb1 };
                v.stable_replicas = Some(stable);
                v.headroom = headroom;
                v.observed_at = Timestamp::from_secs(1_795_510_800 - age);
            })
        },
    )
}

proptest! {
    #[test]
    fn nothing_rises_while_degraded_but_to_the_stable_minimum(
        v in any_verdict(), others in prop::collection::vec(any_verdict(), 0..3),
        old in 0i64..20, new in 0i64..40, canary in any::<bool>(), scale in any::<bool>(),
    ) {
        let degraded = v.clone().map(|v| Verdict { degraded: true, frozen_by: vec![Cause::Signal(Signal::CanaryP99)], ..v });
        let slice = if canary { Slice::Canary } else { Slice::Stable };
        let column = if scale { Column::Scale } else { Column::Ceiling };
        let gateways: Vec<_> = std::iter::once(degraded).chain(others)
            .map(|v| GatewayState::of("gw-a1", "a", v, 180, NOW)).collect();
        let s = LaneState::of(&gateways, None, DECLARED, NOW);
        let floor = if canary { 0 } else { i64::from(DECLARED.min_stable) };
        if new > old.max(floor) {
            prop_assert!(s.refusal(slice, column, Some(old), new, &|_| true, &|_| true).is_some());
        }
    }

    #[test]
    fn lowering_is_never_refused(
        vs in prop::collection::vec(any_verdict(), 0..4), old in 0i64..40, less in 0i64..40, canary in any::<bool>(), scale in any::<bool>(),
    ) {
        let slice = if canary { Slice::Canary } else { Slice::Stable };
        let column = if scale { Column::Scale } else { Column::Ceiling };
        let gateways: Vec<_> = vs.into_iter().map(|v| GatewayState::of("gw-a1", "a", v, 180, NOW)).collect();
        let s = LaneState::of(&gateways, None, DECLARED, NOW);
        prop_assert!(s.refusal(slice, column, Some(old), old - less, &|_| true, &|_| true).is_none());
    }
}

#[rstest]
#[case::all("stable", None, (Some(6), 2))]
#[case::a_part("stable", Some(4), (Some(4), 0))]
#[case::and_of_the_headroom("stable beside", Some(4), (Some(4), 2))]
#[case::no_more_than_all("stable", Some(9), (Some(6), 0))]
#[case::of_the_headroom("canary", Some(1), (Some(6), 1))]
#[case::no_more_than_the_headroom("canary", Some(9), (Some(6), 2))]
fn a_target_has_its_part(
    #[case] slice: &str,
    #[case] replicas: Option<u32>,
    #[case] expected: (Option<u32>, u32),
) {
    let (slice, beside) = slice.split_once(' ').map_or((slice, None), |(s, _)| (s, Some(9)));
    let target = serde_json::json!({"kind": "Deployment", "name": "w", "slice": slice, "replicas": replicas, "headroom": beside});
    let target: Target = serde_json::from_value(target).unwrap();
    let declared = Declared {
        stable_replicas: Some(6),
        headroom: 2,
        min_stable: 1,
        has_canary_target: false,
        when_stale: WhenStale::Freeze,
    };
    let d = declared.of(Some(&target));
    assert_eq!((d.stable_replicas, d.headroom), expected);
}
