//! The Kubewarden policy: registers, fetches and answers, and decides nothing.
//!
//! Path of an edit: [`request`] → [`scope`] (which lanes; [`fields`] that differ, what they
//! lift by [`lifts`] with [`pods`] and [`speed`], faults of [`rules`]) → depends on no state?
//! then [`answer`] → [`evaluation`], by look-ups of the lane's state → `gate::lane` →
//! [`rules`] → [`decision`] → [`answer`].
//!
//! All that decides is free of a host and of a clock: the time is an argument of
//! [`evaluation::answer`], and look-ups are a trait. The feature `kubewarden` adds what runs
//! in a policy server.

pub mod settings;
pub mod objects;
pub mod request;
pub mod fields;
pub mod pods;
pub mod speed;
pub mod change;
pub mod lifts;
pub mod look_up;
pub mod rejection;
pub mod rules;
pub mod scope;
pub mod decision;
pub mod answer;
pub mod evaluation;
#[cfg(feature = "kubewarden")]
pub mod cluster;
#[cfg(feature = "kubewarden")]
pub mod response;

#[cfg(feature = "kubewarden")]
mod kubewarden;
