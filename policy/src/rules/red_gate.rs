//! `red-gate`: a higher effective ceiling while a gateway's disk is red.

use crate::change::Change;
use crate::rejection::Rejection;
use gate::lane::LaneState;
use gate::rule::Rule;

pub fn check(change: &Change, lane: &LaneState, enforced: &dyn Fn(Rule) -> bool) -> Vec<Rejection> {
    super::ceiling(change, lane, enforced, Rule::RedGate)
}
