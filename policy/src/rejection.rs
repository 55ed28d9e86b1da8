//! The text that users read: the only author of it.
//!
//! A rejection says which rule and lane and which edit, why the state says no, and what to
//! do, each on a line of its own. kubectl shows the lines as they are. An autoscaler's event
//! is a cell of a table, so a Scale's message is one line. What comes after the advice is
//! for those whom the advice does not help: GitOps, an emergency, a page to read.

use crate::change::{Fault, Lift, LiftKind};
use crate::settings::{BreakGlass, Lane};
use gate::break_glass;
use gate::lane::{Finding, Row};
use gate::rule::Rule;

/// Where each rule is explained; the headings are the rules' names.
const RULES_PAGE: &str = concat!(
    "https://github.com/canary-gate/canary-gate/blob/v",
    env!("CARGO_PKG_VERSION"),
    "/docs/rules.md"
);

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

/// What a message is about, besides the rejection itself.
pub struct Subject<'a> {
    pub lane: &'a Lane,
    /// `ScaledObject builds/openclaw-worker`.
    pub object: &'a str,
    /// A Scale, which autoscalers write.
    pub is_scale: bool,
    /// Fields of the same edit that nobody objects to.
    pub unopposed: &'a [String],
    pub break_glass: Option<&'a BreakGlass>,
}

/// Fields that a message names.
const MOST_NAMED: usize = 2;

impl Rejection {
    /// Path of the offending field, as in the object.
    pub fn field(&self) -> &str {
        match &self.ground {
            Ground::Lift { lift, .. } => &lift.field,
            Ground::Fault { fault, .. } => &fault.field,
        }
    }

    pub fn message(&self, subject: &Subject) -> String {
        let mut lines = vec![format!("{}: {}: {}.", self.rule.name(), subject.object, self.edit())];
        let finding = match &self.ground {
            Ground::Lift { finding, .. } => Some(finding),
            Ground::Fault { finding, .. } => finding.as_ref(),
        };
        let lane = &subject.lane.name;
        lines.push(match finding {
            Some(finding) => format!("Why: lane {lane}: {}.", why(finding)),
            None => format!("Why: lane {lane} forbids it in every state."),
        });
        let remedy = match &self.ground {
            Ground::Lift { finding, .. } => remedy_of_row(finding.row),
            Ground::Fault { .. } => remedy_of_rule(self.rule),
        };
        let alone = match subject.unopposed {
            [] => String::new(),
            fields => {
                let named: Vec<&str> = fields.iter().take(MOST_NAMED).map(String::as_str).collect();
                format!(" Passes alone: {}.", named.join(", "))
            }
        };
        lines.push(format!("Do: {remedy}{alone}"));
        if subject.is_scale {
            lines.push("An autoscaler asks again by itself.".to_owned());
        } else {
            lines.push(format!(
                "GitOps: an apply of several objects is held as a whole: {} in Git, or apply \
                 this object on its own.",
                self.keep()
            ));
        }
        if let Ground::Lift { lift, .. } = &self.ground {
            let glass = subject.break_glass.filter(|_| lift.reach() != i64::MAX);
            lines.extend(glass.map(|glass| emergency(subject.lane, lift, glass)));
        }
        lines.push(format!("See: {RULES_PAGE}#{}", self.rule.name()));
        lines.join(if subject.is_scale { " " } else { "\n" })
    }

    /// Rule and lane in one short line, which an operator's own rejection text cannot hide.
    pub fn short(&self, lane: &Lane) -> String {
        format!("canary-gate {}: lane {}: {}", self.rule.name(), lane.name, self.edit())
    }

    fn edit(&self) -> String {
        match &self.ground {
            Ground::Lift { lift, allowed, .. } => edit(lift, *allowed),
            Ground::Fault { fault, .. } => format!("{} {}", fault.field, fault.what),
        }
    }

    fn keep(&self) -> String {
        match &self.ground {
            Ground::Lift { lift, allowed, .. } if lift.is_number => {
                format!("keep {} at {allowed}", lift.field)
            }
            _ => format!("leave {} as it is", self.field()),
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
        // The note says what became of it.
        (Some(_), _) if note.is_some() => field.clone(),
        (Some(old), _) => format!("{field} {old} -> no bound"),
        (None, _) => field.clone(),
    };
    let note = note.as_ref().map(|n| format!(" {n}")).unwrap_or_default();
    if matches!(kind, LiftKind::Faster { .. }) {
        format!("{numbers}{note}, while frozen")
    } else if *is_number {
        format!("{numbers}{note} (allowed now: {allowed})")
    } else if old.is_some() {
        format!("{numbers}{note} (allowed now: its old value)")
    } else {
        format!("{numbers}: {}", note.trim_start())
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
    let mut text = format!("gateway {gateway} {state}");
    if *others > 0 {
        text.push_str(&format!(", and {others} more say the same"));
    }
    // Of a state that is not known the reason says how old it is.
    if let Some(s) = age_s.filter(|_| *row != Row::Unknown) {
        text.push_str(&format!(" (state {s} s old)"));
    }
    if !reason.is_empty() {
        text.push_str(&format!(": {reason}"));
    }
    text
}

fn remedy_of_row(row: Row) -> &'static str {
    match row {
        Row::Red => "free disk space on that gateway. Lowering always passes.",
        Row::Unknown => "check that gateway's filter and the policy server's access to its ConfigMap. Lowering always passes.",
        Row::Frozen => "wait until what failed passes, or send `abort` or `end` (PUT /keda/canary). Lowering always passes.",
        Row::FrozenByYellow2tb => "free disk space on that gateway; meanwhile stable may rise to its own value. Lowering always passes.",
        Row::Aborted => "bring the lane back to stable and send `end` (PUT /keda/canary); stable may rise to its own value. Lowering always passes.",
        Row::CanaryActive => "finish the rollout; the cap holds until `end` (PUT /keda/canary). Lowering always passes.",
    }
}

fn remedy_of_rule(rule: Rule) -> &'static str {
    match rule {
        Rule::ScaleTarget => "point scaleTargetRef at the worker workload, or change the lane's targets in the policy's settings first.",
        Rule::QueueTrigger => "use a trigger that passes; the page below shows some, and where else a canary's rate can be read.",
        Rule::Cooldown => "use a longer time, or change `limits` in the policy's settings.",
        Rule::ReplicaFloor => "keep the minimum as `minReplicas` in the policy's settings has it; a canary is woken in the AZ under test alone.",
        Rule::SkillLock => "send `end` or `abort` first (PUT /keda/canary), or use a hash that `begin` named for this slice.",
        Rule::PromotionFreeze => "promote after `end` (PUT /keda/canary), or use --dry-run.",
        Rule::StateOwner => "to lift a freeze send `end` to the gateway (PUT /keda/canary); to get past it write a break-glass override.",
        Rule::RedGate | Rule::CapFrozen | Rule::CanaryCap | Rule::CeilingBypass => "",
    }
}

/// Who may get past it, with what, and where the rest is written.
fn emergency(lane: &Lane, lift: &Lift, glass: &BreakGlass) -> String {
    format!(
        "Emergency: a member of {} may write ConfigMap {}/{} with ceiling {}: \
         {RULES_PAGE}#breaking-the-glass",
        glass.groups.join(" or "),
        lane.namespace,
        break_glass::config_map_name(&lane.name),
        lift.reach(),
    )
}
