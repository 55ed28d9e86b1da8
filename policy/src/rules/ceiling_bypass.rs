//! `ceiling-bypass`: the same height reached another way than by the declared
//! maximum, and, while frozen, a faster way under the same one.

use crate::change::Change;
use crate::change::LiftKind;
use crate::rejection::{Ground, Rejection};
use gate::lane::{LaneState, Row};
use gate::rule::Rule;

pub fn check(change: &Change, lane: &LaneState, enforced: &dyn Fn(Rule) -> bool) -> Vec<Rejection> {
    let mut found = super::refused(
        change,
        lane,
        Rule::CeilingBypass,
        &|lift| lift.kind != LiftKind::Ceiling,
        &|_| true,
        enforced,
    );
    found.retain(|rejection| match &rejection.ground {
        Ground::Lift { lift, finding, .. } => {
            !matches!(lift.kind, LiftKind::Faster { .. }) || is_frozen(finding.row)
        }
        Ground::Fault { .. } => true,
    });
    found
}

/// Rows in which the lane may not even rise faster under the same maximum.
fn is_frozen(row: Row) -> bool {
    match row {
        Row::Red | Row::Unknown | Row::Frozen | Row::FrozenByYellow2tb => true,
        Row::Aborted | Row::CanaryActive => false,
    }
}
