//! `canary-cap`: while a canary is active, a ceiling above what the table
//! allows, and any raise where no stable value is declared.

use crate::change::Change;
use crate::rejection::Rejection;
use gate::lane::LaneState;
use gate::rule::Rule;

pub fn check(change: &Change, lane: &LaneState, enforced: &dyn Fn(Rule) -> bool) -> Vec<Rejection> {
    super::ceiling(change, lane, enforced, Rule::CanaryCap)
}
