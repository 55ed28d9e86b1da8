//! Hosts for both wasm modules, and the scenarios that drive them together.
//!
//! [`proxy_host`] stands in for Envoy, [`policy_host`] for Kubewarden's policy
//! server, [`cluster`] for the API server behind both. Time is virtual: one
//! [`clock::Clock`] that only the driver moves, so that an hour of a rollout
//! takes seconds and every run is the same.

pub mod clock;
pub mod wasi;
pub mod module;
pub mod cluster;
pub mod proxy_host;
pub mod policy_host;
pub mod scenario;
pub mod settings;
pub mod doctor;
#[cfg(feature = "serve")]
pub mod serve;
