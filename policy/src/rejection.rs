//! The text that users read: the only author of it.
//!
//! A rejection says which rule and lane, what from and to, why the state says
//! no and how old it is, and what to do; and that a GitOps apply of several
//! objects is held as a whole, since that is what puzzles people most.

use crate::decision::Decision;
use crate::rules::{Lift, LiftKind};
use gate::lane::{Finding, Row};
use gate::rule::Rule;

/// One rule's no to one lift.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    pub rule: Rule,
    pub lift: Lift,
    /// The most that the field may be now.
    pub allowed: i64,
    pub finding: Finding,
}

impl Rejection {
    /// The whole message.
    pub fn message(&self, d: &Decision) -> String {
        format!(
            "{rule}: {object} in lane {lane}: {edit}. {why}. {remedy} Lowering always passes. \
             A GitOps apply of several objects is held as a whole: {keep} in Git, \
             or apply the ScaledObject on its own.",
            rule = self.rule.name(),
            object = d.object,
            lane = d.lane,
            edit = self.edit(),
            why = self.why(),
            remedy = remedy(self.finding.row),
            keep = self.keep(),
        )
    }

    /// Rule and lane in one short line, which an operator's own rejection text cannot hide.
    pub fn short(&self, d: &Decision) -> String {
        format!("canary-gate {}: lane {}: {}", self.rule.name(), d.lane, self.edit())
    }

    fn edit(&self) -> String {
        let Lift { field, old, new, note, kind, .. } = &self.lift;
        let numbers = match (old, *new) {
            (Some(old), new) if new != i64::MAX => format!("{field} {old} -> {new}"),
            (None, new) if new != i64::MAX => format!("{field} {new} on a new object"),
            (Some(old), _) => format!("{field} {old} -> unbounded"),
            (None, _) => field.clone(),
        };
        let note = note.as_ref().map(|n| format!(" {n}")).unwrap_or_default();
        match kind {
            LiftKind::Faster => format!("{numbers}{note} while frozen"),
            _ => format!("{numbers}{note} (allowed now: {})", self.allowed_text()),
        }
    }

    /// A number where the field is one; a pause or a flag has none to offer.
    fn allowed_text(&self) -> String {
        if self.lift.is_number {
            self.allowed.to_string()
        } else {
            "its old value".to_owned()
        }
    }

    fn keep(&self) -> String {
        if self.lift.is_number {
            format!("keep {} at {}", self.lift.field, self.allowed)
        } else {
            format!("leave {} as it is", self.lift.field)
        }
    }

    fn why(&self) -> String {
        let Finding { row, gateway, age_s, reason } = &self.finding;
        let state = match row {
            Row::Red => "has a red disk",
            Row::Unknown => "is not known",
            Row::Frozen | Row::FrozenByYellow2tb => "holds scale-up",
            Row::Aborted => "aborted its canary",
            Row::CanaryActive => "has a canary active",
        };
        let age = age_s.map(|s| format!(" (state {s} s old)")).unwrap_or_default();
        let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        format!("Gateway {gateway} {state}{age}{reason}")
    }
}

fn remedy(row: Row) -> &'static str {
    match row {
        Row::Red => "Free disk space on that gateway; the raise passes once the disk does.",
        Row::Unknown => "Check that gateway's filter and the policy server's access to its ConfigMap; until its state is fresh nothing rises.",
        Row::Frozen => "It thaws after consecutive clean polling windows in which what failed passes; `end` ends an unknown state, `abort` or `end` a canary's own (`PUT /keda/canary`).",
        Row::FrozenByYellow2tb => "Free disk space on that gateway; stable may rise to its own value meanwhile.",
        Row::Aborted => "Bring the lane back to stable and send `end`; stable may rise to its own value meanwhile.",
        Row::CanaryActive => "Finish the rollout first: the cap holds until `end` (`PUT /keda/canary`).",
    }
}
