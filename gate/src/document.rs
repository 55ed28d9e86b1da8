//! The merged document, version 1: what `GET /keda/metrics` serves.
//!
//! `status`, `keda`, `canary`, `gateway` and `degraded` are the published
//! contract and never change their names. `schema/merged.v1.schema.json` is
//! generated from these types; a test fails when they differ.

use crate::facts::DiskTier;
use crate::scaling::Scaling;
use crate::signals::{Outcome, Signal};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Value of `schema`.
pub const SCHEMA: &str = "merged.v1";

crate::named_enum! {
    /// What the document and the verdict call the gateway as a whole.
    pub enum Status {
        Healthy = "healthy",
        Warming = "warming",
        Degraded = "degraded",
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Merged {
    pub status: Status,
    /// Name of the lane.
    pub keda: String,
    pub canary: CanaryBlock,
    pub gateway: GatewayBlock,
    /// A signal is in `fail`; always an explicit boolean.
    pub degraded: bool,
    pub schema: String,
    pub observed_at: Timestamp,
    pub canary_active: bool,
    pub maintenance: bool,
    pub aborted: bool,
    /// The last verdict stands and never goes stale, until `wake`.
    #[serde(default)]
    pub asleep: bool,
    pub stable: StableBlock,
    pub signals: Vec<SignalBlock>,
    pub scaling: Scaling,
    /// Skill packs are locked and promotions paused.
    pub promotion_frozen: bool,
    pub observer: Observer,
}

impl Merged {
    /// The document of a process that has not read its own state yet: frozen,
    /// and what it does not know yet, facts above all, is no failure.
    pub fn before_recovery(self) -> Self {
        Self { status: Status::Warming, degraded: false, ..self }
    }
}

/// The canary slice over the last five minutes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CanaryBlock {
    /// Errors over requests, 0–1; absent without a request.
    #[serde(rename = "5xx_rate", default, skip_serializing_if = "Option::is_none")]
    pub rate_5xx: Option<f64>,
    /// Absent without a sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<f64>,
    /// The rate in errors per million, since KEDA rounds to three decimals.
    #[serde(rename = "5xx_ppm", default, skip_serializing_if = "Option::is_none")]
    pub ppm_5xx: Option<u64>,
    pub requests: u64,
    pub errors: u64,
    pub local_errors: u64,
    pub aborted: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill_hash: Option<String>,
}

/// The stable slice over the last five minutes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StableBlock {
    #[serde(rename = "5xx_rate", default, skip_serializing_if = "Option::is_none")]
    pub rate_5xx: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<f64>,
    pub requests: u64,
    pub errors: u64,
    pub local_errors: u64,
    pub aborted: u64,
}

/// The node; fields without fresh facts are absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GatewayBlock {
    /// Below the yellow watermark; false while not known.
    pub disk_ok: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_depth: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill_hash: Option<String>,
    pub id: String,
    pub az: String,
    pub gateway_version: String,
    pub disk_tier: DiskTier,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_used_pct: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doctor_ok: Option<bool>,
    /// The canary VIP must not be sent traffic.
    pub drain: bool,
}

/// One signal as people and scripts read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SignalBlock {
    pub name: Signal,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    pub verdict: Outcome,
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_needed: Option<u64>,
    /// Since when the verdict is what it is.
    pub since: Timestamp,
}

/// The observer about itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Observer {
    /// Workers that measure and wrote within three ticks.
    pub workers: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers_expected: Option<u32>,
    /// What a latency is: `total` (request start to end of response) or `headers`.
    pub latency: Option<Latency>,
    /// Requests that named no slice and counted as stable, last five minutes.
    pub unclassified: u64,
    pub digests_sent: u64,
    /// Digests that fell out of the outbox unsent.
    pub digests_dropped: u64,
    pub publish_failures: u64,
    /// Judging or measuring VMs that ended, were lost or restarted.
    pub restarts: u64,
    /// Slots of shared data that this module could not read.
    pub unreadable_slots: u64,
    /// When a token was last used whose digest was rotated away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_token_last_used: Option<Timestamp>,
}

crate::named_enum! {
    /// How latency is measured.
    pub enum Latency {
        /// Access logger: request start to end of response.
        Total = "total",
        /// HTTP filter: request headers to response headers.
        Headers = "headers",
    }
}

/// Rounds to six decimals, so that documents read well and differ only where it matters.
pub fn rounded(value: f64) -> f64 {
    libm::round(value * 1e6) / 1e6
}
