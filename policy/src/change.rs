//! What an edit does to a lane, as data: what it lifts, and what rules object to.

use crate::pods::Pods;
use crate::settings::{Enforcement, Lane, Settings};
use gate::lane::Column;
use gate::rule::Rule;
use gate::target::Target;

/// One thing that an edit lifts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lift {
    /// Path of the field, as in the object.
    pub field: String,
    /// Height before; `None` where there was no object.
    pub old: Option<i64>,
    /// Height after; `i64::MAX` where nothing bounds it.
    pub new: i64,
    pub kind: LiftKind,
    /// The field holds the height as a number, which can be lowered to what is allowed. A
    /// flag, a reference or a share does not.
    pub is_number: bool,
    /// Starts pods by itself where there are none; a maximum does not.
    pub wakes: bool,
    /// What the message says of it, to be read after the field.
    pub note: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiftKind {
    /// The declared maximum itself, or the replicas themselves.
    Ceiling,
    /// Another way to a height.
    Bypass,
    /// A way to rise faster: refused only while frozen. `under` is the maximum that still
    /// holds, `i64::MAX` where none does.
    Faster { under: i64 },
}

impl Lift {
    /// A number of pods or replicas that rises.
    pub fn number(field: &str, old: Option<i64>, new: i64) -> Self {
        Self {
            field: field.to_owned(),
            old,
            new,
            kind: LiftKind::Bypass,
            is_number: true,
            wakes: false,
            note: None,
        }
    }

    /// Nothing bounds what comes of it.
    pub fn unbounded(field: &str, note: &str) -> Self {
        let lift = Self::number(field, None, i64::MAX);
        Self { is_number: false, note: Some(note.to_owned()), ..lift }
    }

    /// Faster under the maximum `under`.
    pub fn faster(field: &str, note: &str, under: i64) -> Self {
        Self { kind: LiftKind::Faster { under }, ..Self::unbounded(field, note) }
    }

    /// The most that comes of it: what an override's ceiling is held against.
    pub fn reach(&self) -> i64 {
        match self.kind {
            LiftKind::Faster { under } => under,
            LiftKind::Ceiling | LiftKind::Bypass => self.new,
        }
    }

    pub fn is_faster(&self) -> bool {
        matches!(self.kind, LiftKind::Faster { .. })
    }
}

impl Change<'_> {
    /// The same, with what the rules of its kind object to first, and its pods in all.
    pub fn with(mut self, mut faults: Vec<Fault>, pods: Option<PodsInAll>) -> Self {
        faults.append(&mut self.faults);
        Self { faults, pods, ..self }
    }
}

/// Something that one rule objects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub rule: Rule,
    /// Path of the field, as in the object.
    pub field: String,
    /// What is wrong with it, to be read after the field.
    pub what: String,
    pub when: When,
}

impl Fault {
    pub fn always(rule: Rule, field: impl Into<String>, what: impl Into<String>) -> Self {
        Self { rule, field: field.into(), what: what.into(), when: When::Always }
    }
}

/// In which state of the lane a fault is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// In every state; none is looked up.
    Always,
    /// While a gateway is in maintenance.
    Maintenance,
    /// While a canary is active, or whether one is, is not known.
    Locked,
    /// The same, unless this is the hash to run; `None` where none is named.
    OtherHash(Option<String>),
    /// While a canary is active in another AZ than this.
    OtherAz(String),
}

/// The most pods that may run, before and after an edit. `before` is `None` where there
/// was no object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodsInAll {
    pub before: Option<Pods>,
    pub after: Pods,
}

/// An edit, seen by one target of one lane, or by the lane as a whole.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    pub lane: &'a Lane,
    pub target: Option<&'a Target>,
    pub column: Column,
    pub is_create: bool,
    /// Everything that the edit lifts.
    pub lifts: Vec<Lift>,
    /// What rules of their own object to.
    pub faults: Vec<Fault>,
    /// Where the edit is of something that runs pods.
    pub pods: Option<PodsInAll>,
    /// Paths of the fields with an effect that the edit changes.
    pub edited: Vec<String>,
    /// What is looked up before a rejection stands.
    pub look_up: Option<LookUp>,
}

impl Change<'_> {
    /// Whether the answer depends on the lane's state: if not, none is read.
    pub fn asks_for_state(&self, settings: &Settings) -> bool {
        let on = |rule: &Rule| settings.enforcement(*rule) != Enforcement::Off;
        let table = [Rule::RedGate, Rule::CapFrozen, Rule::CanaryCap, Rule::CeilingBypass];
        (!self.lifts.is_empty() && table.iter().any(on))
            || self.faults.iter().any(|f| f.when != When::Always && on(&f.rule))
    }
}

/// What is looked up for a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookUp {
    /// The ScaledObject that an HPA says it is made for. What KEDA makes of it was judged
    /// there, so the HPA of a lane that is held can be made again, and let it shrink.
    ScaledObject { name: String, uid: String },
    /// A Rollout that may run the pods of the change's target: its `scale` does not say.
    Rollout { name: String },
}

/// Kinds that are looked up besides ConfigMaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookedUp {
    ScaledObject,
    Rollout,
}

impl LookedUp {
    pub const fn api_version(self) -> &'static str {
        match self {
            LookedUp::ScaledObject => "keda.sh/v1alpha1",
            LookedUp::Rollout => "argoproj.io/v1alpha1",
        }
    }

    pub const fn kind(self) -> &'static str {
        match self {
            LookedUp::ScaledObject => "ScaledObject",
            LookedUp::Rollout => "Rollout",
        }
    }
}

impl LookUp {
    pub fn object(&self) -> (LookedUp, &str) {
        match self {
            LookUp::ScaledObject { name, .. } => (LookedUp::ScaledObject, name),
            LookUp::Rollout { name } => (LookedUp::Rollout, name),
        }
    }
}
