//! The text that users read: the only author of it.
//!
//! A rejection says which rule and lane, what from and to, why the state says
//! no and how old it is, and what to do; and that a GitOps apply of several
//! objects is held as a whole, since that is what puzzles people most.

use crate::decision::Decision;
use crate::lifts::{Lift, LiftKind};
use crate::rules::Fault;
use crate::settings::BreakGlass;
use gate::break_glass;
use gate::lane::{Finding, Row};
use gate::rule::Rule;

/// One rule's no.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    pub rule: Rule,
    pub ground: Ground,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Ground {
    Lift {
        lift: Lift,
        /// The most that the field may be now.
        allowed: i64,
        finding: Finding,
    },
    Fault {
        fault: Fault,
        /// Where the lane's state is what makes it one.
        finding: Option<Finding>,
    },
}

impl Rejection {
    /// The whole message. `object` is `ScaledObject builds/openclaw-worker`;
    /// `is_scale` says that it is a Scale, which autoscalers write.
    pub fn message(
        &self,
        d: &Decision,
        object: &str,
        is_scale: bool,
        glass: Option<&BreakGlass>,
    ) -> String {
        let mut text =
            format!("{}: {object} in lane {}: {}.", self.rule.name(), d.lane.name, self.edit());
        let finding = match &self.ground {
            Ground::Lift { finding, .. } => Some(finding),
            Ground::Fault { finding, .. } => finding.as_ref(),
        };
        if let Some(finding) = finding {
            text.push_str(&why(finding));
        }
        text.push(' ');
        match &self.ground {
            Ground::Lift { lift, allowed, finding } => {
                text.push_str(remedy_of_row(finding.row));
                text.push_str(" Lowering always passes.");
                if let Some(glass) = glass.filter(|_| lift.reach() != i64::MAX) {
                    text.push_str(&emergency(d, lift, glass));
                }
                text.push_str(&gitops(is_scale, &keep(lift, *allowed)));
            }
            Ground::Fault { fault, .. } => {
                text.push_str(remedy_of_rule(self.rule));
                text.push_str(&gitops(is_scale, &format!("leave {} as it is", fault.field)));
            }
        }
        text
    }

    /// Rule and lane in one short line, which an operator's own rejection text cannot hide.
    pub fn short(&self, d: &Decision) -> String {
        format!("canary-gate {}: lane {}: {}", self.rule.name(), d.lane.name, self.edit())
    }

    fn edit(&self) -> String {
        match &self.ground {
            Ground::Lift { lift, allowed, .. } => edit(lift, *allowed),
            Ground::Fault { fault, .. } => format!("{} {}", fault.field, fault.what),
        }
    }
}

fn edit(lift: &Lift, allowed: i64) -> String {
    let Lift { field, old, new, note, kind, is_number, .. } = lift;
    let numbers = match (old, *new) {
        // A pause or a reference has a height, and no number in its field.
        _ if !is_number => field.clone(),
        (Some(old), new) if new != i64::MAX => format!("{field} {old} -> {new}"),
        (None, new) if new != i64::MAX => format!("{field} {new} on a new object"),
        (Some(old), _) => format!("{field} {old} -> unbounded"),
        (None, _) => field.clone(),
    };
    let note = note.as_ref().map(|n| format!(" {n}")).unwrap_or_default();
    if matches!(kind, LiftKind::Faster { .. }) {
        format!("{numbers}{note} while frozen")
    } else if *is_number {
        format!("{numbers}{note} (allowed now: {allowed})")
    } else if old.is_some() {
        format!("{numbers}{note} (allowed now: its old value)")
    } else {
        format!("{numbers}: {}", note.trim_start())
    }
}

fn keep(lift: &Lift, allowed: i64) -> String {
    if lift.is_number {
        format!("keep {} at {allowed}", lift.field)
    } else {
        format!("leave {} as it is", lift.field)
    }
}

fn why(finding: &Finding) -> String {
    let Finding { row, gateway, others, age_s, reason } = finding;
    let state = match row {
        Row::Red => "has a red disk",
        Row::Unknown => "is not known",
        Row::Frozen | Row::FrozenByYellow2tb => "holds scale-up",
        Row::Aborted => "aborted its canary",
        Row::CanaryActive => "has a canary active",
    };
    let mut text = format!(" Gateway {gateway} {state}");
    if *others > 0 {
        text.push_str(&format!(", and {others} more say the same"));
    }
    if let Some(s) = age_s {
        text.push_str(&format!(" (state {s} s old)"));
    }
    if !reason.is_empty() {
        text.push_str(&format!(": {reason}"));
    }
    text.push('.');
    text
}

fn remedy_of_row(row: Row) -> &'static str {
    match row {
        Row::Red => "Free disk space on that gateway; the raise passes once the disk does.",
        Row::Unknown => "Check that gateway's filter and the policy server's access to its ConfigMap; until its state is fresh nothing rises.",
        Row::Frozen => "It thaws after consecutive clean polling windows in which what failed passes; `end` ends an unknown state, `abort` or `end` a canary's own (`PUT /keda/canary`).",
        Row::FrozenByYellow2tb => "Free disk space on that gateway; stable may rise to its own value meanwhile.",
        Row::Aborted => "Bring the lane back to stable and send `end`; stable may rise to its own value meanwhile.",
        Row::CanaryActive => "Finish the rollout first: the cap holds until `end` (`PUT /keda/canary`).",
    }
}

fn remedy_of_rule(rule: Rule) -> &'static str {
    match rule {
        Rule::ScaleTarget => "Point scaleTargetRef at the worker workload, or change the lane's targets in the policy's settings first.",
        Rule::QueueTrigger => "docs/rules.md#queue-trigger shows triggers that pass, and where else a canary's rate can be read.",
        Rule::Cooldown => "Use a longer time, or change `limits` in the policy's settings.",
        Rule::ReplicaFloor => "Keep the minimum as `minReplicas` in the policy's settings has it; a canary is woken in the AZ under test alone.",
        Rule::SkillLock => "Send `end` or `abort` first (`PUT /keda/canary`), or use a hash that `begin` named for this slice.",
        Rule::PromotionFreeze => "Promote after `end` (`PUT /keda/canary`), or use --dry-run.",
        Rule::StateOwner => "To lift a freeze send `end` to the gateway (`PUT /keda/canary`); to get past it write a break-glass override.",
        Rule::RedGate | Rule::CapFrozen | Rule::CanaryCap | Rule::CeilingBypass => "",
    }
}

/// The line to paste, with what the native hold needs beside it.
fn emergency(d: &Decision, lift: &Lift, glass: &BreakGlass) -> String {
    format!(
        " Emergency: a member of {} writes ConfigMap {}/{} (label {}: {}) with data.{} \
         {{\"until\":\"…\",\"reason\":\"…\",\"by\":\"USER\",\"ceiling\":{}}}, then sets \
         maxReplicaCount to that ceiling, and minReplicaCount where KEDA's own hold keeps \
         stable down.",
        glass.groups.join(" or "),
        d.lane.namespace,
        break_glass::config_map_name(&d.lane.name),
        gate::verdict::LANE_LABEL,
        d.lane.name,
        break_glass::OVERRIDE_KEY,
        lift.reach(),
    )
}

fn gitops(is_scale: bool, keep: &str) -> String {
    if is_scale {
        // Written by the HPA controller and KEDA, which ask again.
        return " An autoscaler asks again by itself.".to_owned();
    }
    format!(
        " A GitOps apply of several objects is held as a whole: {keep} in Git, or apply this \
         object on its own."
    )
}
