//! `GET /keda/ready`: for the canary VIP's health checker.
//!
//! 503 while the gateway drains, and for nothing else: an observer that is
//! late, or dead, must not take traffic away. Who holds a token of role `read`
//! is also told which workers are late.

use super::{answer, Next};
use crate::config::Config;
use crate::{host, shared};
use gate::document::Merged;
use gate::time::Timestamp;

/// Ticks after which a worker that wrote nothing is late.
const LATE_TICKS: u64 = 2;
/// Polling windows after which it is late no more, but gone.
const GONE_POLLS: u64 = 10;

pub fn serve(config: &Config, may_read: bool, now: Timestamp) -> Next {
    let document = shared::document().and_then(|(_, json)| serde_json::from_slice(&json).ok());
    let drains = document.is_some_and(|d: Merged| d.gateway.drain);
    let status = if drains { 503 } else { 200 };
    if !may_read {
        return answer(status, if drains { "draining" } else { "ready" });
    }
    let seconds = |s: u64| i64::try_from(s).unwrap_or(i64::MAX);
    let (late, gone) = (LATE_TICKS * config.windows.tick_s, GONE_POLLS * config.windows.poll_s);
    let late = shared::late_workers(now, seconds(late) + 1..seconds(late + gone));
    let workers: Vec<_> = late
        .iter()
        .map(|(worker, age_s)| serde_json::json!({ "worker": worker, "silent_s": age_s }))
        .collect();
    let body = serde_json::json!({ "drain": drains, "late_workers": workers });
    host::respond(status, "application/json", body.to_string().as_bytes());
    Next::Hold
}
