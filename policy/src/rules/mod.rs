//! The rules: one file each, named as in the message that users see.
//!
//! A rule finds what it objects to in the old and the new object (a [`Fault`]),
//! and says whether the lane's state bears it out. What an edit lifts is found
//! once for four rules (`crate::lifts`); the numbers come from the one table
//! in `gate::lane`, and a rule adds which lifts and which rows are its own.

pub mod canary_cap;
pub mod cap_frozen;
pub mod ceiling_bypass;
pub mod cooldown;
pub mod promotion_freeze;
pub mod queue_trigger;
pub mod red_gate;
pub mod replica_floor;
pub mod scale_target;
pub mod skill_lock;
pub mod state_owner;

use crate::change::{Change, Lift, LiftKind, When};
use crate::rejection::{Ground, Rejection};
use gate::lane::{Finding, LaneState};
use gate::rule::Rule;

/// Every rejection of a change, in the order of [`Rule::ALL`]. Rows of the
/// table whose rule is not `enforced` do not count in what is allowed.
pub fn check(change: &Change, lane: &LaneState, enforced: &dyn Fn(Rule) -> bool) -> Vec<Rejection> {
    let mut found = Vec::new();
    for rule in Rule::ALL.iter().copied() {
        match rule {
            Rule::RedGate => found.extend(red_gate::check(change, lane, enforced)),
            Rule::CapFrozen => found.extend(cap_frozen::check(change, lane, enforced)),
            Rule::CanaryCap => found.extend(canary_cap::check(change, lane, enforced)),
            Rule::CeilingBypass => found.extend(ceiling_bypass::check(change, lane, enforced)),
            _ => {}
        }
        for fault in change.faults.iter().filter(|f| f.rule == rule) {
            let finding = match &fault.when {
                When::Always => None,
                When::Maintenance if lane.maintenance.is_some() => None,
                When::Locked => match lane.lock() {
                    Some(finding) => Some(finding.clone()),
                    None => continue,
                },
                When::OtherHash(hash) => match skill_lock::holds(change, lane, hash.as_deref()) {
                    Some(finding) => Some(finding.clone()),
                    None => continue,
                },
                When::OtherAz(az) => match replica_floor::holds(lane, az) {
                    Some(finding) => Some(finding.clone()),
                    None => continue,
                },
                When::Maintenance => continue,
            };
            found.push(Rejection { rule, ground: Ground::Fault { fault: fault.clone(), finding } });
        }
    }
    found
}

/// Rises of the declared maximum that `rule`'s rows of the table refuse.
fn ceiling(
    change: &Change,
    lane: &LaneState,
    enforced: &dyn Fn(Rule) -> bool,
    rule: Rule,
) -> Vec<Rejection> {
    let is_ceiling = |lift: &Lift| lift.kind == LiftKind::Ceiling;
    refused(change, lane, rule, &is_ceiling, &|row_rule| row_rule == rule, enforced)
}

fn refused(
    change: &Change,
    lane: &LaneState,
    rule: Rule,
    lifts: &dyn Fn(&Lift) -> bool,
    rows: &dyn Fn(Rule) -> bool,
    enforced: &dyn Fn(Rule) -> bool,
) -> Vec<Rejection> {
    let mut found = Vec::new();
    let Some(target) = change.target else { return found };
    for lift in change.lifts.iter().filter(|l| lifts(l)) {
        if let Some((allowed, finding)) =
            lane.refusal(target.slice, change.column, lift.old, lift.new, rows, enforced)
        {
            let (lift, finding): (Lift, Finding) = (lift.clone(), finding.clone());
            found.push(Rejection { rule, ground: Ground::Lift { lift, allowed, finding } });
        }
    }
    found
}
