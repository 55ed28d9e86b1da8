//! The signals: one file each, named as in the document.
//!
//! A signal looks at values and says pass, fail, insufficient or stale, with a
//! reason. What a failure means for the lane is not decided here but in
//! [`crate::hold`].

pub mod canary_5xx_rate;
pub mod canary_p99;
pub mod disk;
pub mod doctor;
pub mod facts_age;
pub mod node_degraded;
pub mod queue_depth;
pub mod skill_hash;

use serde::{Deserialize, Serialize};

crate::named_enum! {
    /// Every signal, by the name used in documents, digests and docs.
    pub enum Signal {
        Canary5xxRate = "canary_5xx_rate",
        CanaryP99 = "canary_p99",
        QueueDepth = "queue_depth",
        NodeDegraded = "node_degraded",
        Disk = "disk",
        SkillHash = "skill_hash",
        Doctor = "doctor",
        FactsAge = "facts_age",
    }
}

impl Signal {
    /// Measured on the canary's traffic: judged once a poll, and only while a canary is active.
    pub fn is_canary(self) -> bool {
        matches!(self, Signal::Canary5xxRate | Signal::CanaryP99)
    }

    /// Whether a failure degrades and freezes. A deep queue does not: a burst
    /// must not hold the lane that drains it.
    pub fn freezes(self) -> bool {
        self != Signal::QueueDepth
    }
}

crate::named_enum! {
    /// What a signal says; the document's key for it is `verdict`.
    pub enum Outcome {
        Pass = "pass",
        Fail = "fail",
        Insufficient = "insufficient",
        Stale = "stale",
    }
}

/// One evaluation of one signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    pub outcome: Outcome,
    /// Absent where nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    pub reason: String,
    /// Requests without an error still missing for a pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_needed: Option<u64>,
}

impl Reading {
    pub fn new(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self { outcome, value: None, limit: None, reason: reason.into(), requests_needed: None }
    }

    pub fn with(mut self, value: f64, limit: f64) -> Self {
        self.value = Some(value);
        self.limit = Some(limit);
        self
    }
}

/// Which buckets a canary signal may look at. Indexes are of complete buckets;
/// ranges are half open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Horizons {
    /// First bucket of the canary.
    pub begin: u64,
    /// End of the last poll that failed: old errors are judged once.
    #[serde(default)]
    pub failed_at: Option<u64>,
    /// Where the look-back started that passed before the last thaw.
    #[serde(default)]
    pub passed_from: Option<u64>,
}

impl Horizons {
    pub fn new(begin: u64) -> Self {
        Self { begin, ..Self::default() }
    }

    /// First bucket that a failing horizon may reach.
    pub fn fail_start(&self) -> u64 {
        self.begin.max(self.failed_at.unwrap_or(0)).max(self.passed_from.unwrap_or(0))
    }

    /// First bucket that a passing look-back may reach.
    pub fn pass_start(&self) -> u64 {
        self.begin.max(self.failed_at.unwrap_or(0))
    }
}

/// What a canary signal saw at one poll.
#[derive(Clone, Debug, PartialEq)]
pub struct PollReading {
    /// A horizon fails at this poll.
    pub fails: Option<String>,
    /// Start of the shortest look-back that passes.
    pub passes_from: Option<u64>,
    /// The published rule is broken on too few requests to fail: not healthy either.
    pub broken_thinly: bool,
    pub requests_needed: Option<u64>,
    pub value: Option<f64>,
    pub limit: f64,
    /// What is missing, where it neither fails nor passes.
    pub waiting: String,
}
