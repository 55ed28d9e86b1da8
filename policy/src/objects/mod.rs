//! The objects that the policy judges, each by the fields that matter of it.

pub mod object;
pub mod quantity;
pub mod behavior;
pub mod config_map;
pub mod hpa;
pub mod job;
pub mod measurement;
pub mod scaled_job;
pub mod scalers;
pub mod trigger;
pub mod scaled_object;
pub mod workload;

pub use object::{alike, number, Object, TargetRef};
