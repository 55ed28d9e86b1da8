//! The start-up that the end-to-end topics share.

pub mod client;
pub mod envoy;
pub mod http2;
pub mod servers;
pub mod simulation;

use std::path::PathBuf;

/// A path below the repository's root.
pub fn root(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)
}
