//! The rules: one file each, named as in the message that users see.
//!
//! A rule looks at what an edit lifts and at the lane, both values, and
//! returns a rejection or nothing. The numbers come from the one table in
//! `gate::lane`; a rule adds which lifts and which rows are its own.

pub mod canary_cap;
pub mod cap_frozen;
pub mod ceiling_bypass;
pub mod red_gate;

use crate::rejection::Rejection;
use crate::scope::Change;
use gate::lane::LaneState;
use gate::rule::Rule;

/// One thing that an edit lifts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lift {
    /// Path of the field, as in the object.
    pub field: String,
    /// Height before; `None` where there was no object.
    pub old: Option<i64>,
    /// Height after; `i64::MAX` where nothing bounds it.
    pub new: i64,
    /// The declared maximum itself, or another way to a height.
    pub kind: LiftKind,
    /// A replica number, which can be lowered to what is allowed; not a flag or a reference.
    pub is_number: bool,
    /// What the message says instead of numbers.
    pub note: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiftKind {
    Ceiling,
    Bypass,
    /// A way to rise faster under the same cap: refused only while frozen.
    Faster,
}

/// Every rejection of a change, in the order of [`Rule::ALL`].
pub fn check(change: &Change, lane: &LaneState) -> Vec<Rejection> {
    Rule::ALL
        .iter()
        .copied()
        .flat_map(|rule| match rule {
            Rule::RedGate => red_gate::check(change, lane),
            Rule::CapFrozen => cap_frozen::check(change, lane),
            Rule::CanaryCap => canary_cap::check(change, lane),
            Rule::CeilingBypass => ceiling_bypass::check(change, lane),
        })
        .collect()
}

/// Rises of the declared maximum that `rule`'s rows of the table refuse.
fn ceiling(change: &Change, lane: &LaneState, rule: Rule) -> Vec<Rejection> {
    refused(change, lane, rule, LiftKind::Ceiling, |finding| finding == rule)
}

fn refused(
    change: &Change,
    lane: &LaneState,
    rule: Rule,
    kind: LiftKind,
    rows: impl Fn(Rule) -> bool,
) -> Vec<Rejection> {
    change
        .lifts
        .iter()
        .filter(|lift| lift.kind == kind)
        .filter_map(|lift| {
            let (allowed, finding) =
                lane.refusal(change.target.slice, lift.old, lift.new, &rows)?;
            Some(Rejection { rule, lift: lift.clone(), allowed, finding: finding.clone() })
        })
        .collect()
}
