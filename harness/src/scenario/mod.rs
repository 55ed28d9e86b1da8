//! Scenarios: a rollout written down, run through both wasm modules.
//!
//! [`format`] is what people write, [`run`] drives it, [`expect`] compares,
//! [`report`] prints. A scenario is the user's way to rehearse a rollout with
//! their own settings, and ours to prove one.

pub mod expect;
pub mod format;
pub mod neighbours;
pub mod report;
pub mod setup;
pub mod run;
