//! `cap-frozen`: a higher effective ceiling while the lane is degraded,
//! frozen, aborted or yellow, or while its state is missing or stale.

use crate::change::Change;
use crate::rejection::Rejection;
use gate::lane::LaneState;
use gate::rule::Rule;

pub fn check(change: &Change, lane: &LaneState, enforced: &dyn Fn(Rule) -> bool) -> Vec<Rejection> {
    super::ceiling(change, lane, enforced, Rule::CapFrozen)
}
