//! The start-up that the end-to-end topics share.

pub mod admission;
pub mod client;
pub mod edits;
pub mod envoy;
pub mod http2;
pub mod schemas;
pub mod servers;
pub mod simulation;

use gate::time::Timestamp;
use serde_json::{json, Value};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// A path below the repository's root.
pub fn root(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)
}

/// The machine's wall clock.
///
/// # Panics
/// Where it reads earlier than 1970.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Facts of a node that is well, as of now.
pub fn well() -> Value {
    json!({ "at": now().to_string(), "disk_used_pct": 50, "doctor_ok": true, "queue_depth": 3 })
}
