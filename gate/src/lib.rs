//! The judgement of canary-gate, and nothing else.
//!
//! Thresholds, windows, states and documents are defined here once; the filter
//! and the policy call in and repeat none of it. No I/O, no clock (time is a
//! parameter), no log. Values go down the list below, nothing calls back up:
//!
//! ```text
//! request ─► sample ─► window::Recorder ─► snapshot (a worker's slot)
//!                                             │ merged over workers
//!      facts, canary commands ─► judge ◄──────┘
//!                                 │  signals/* ─► hold ─► scaling
//!                     document ◄──┴──► verdict ─► lane ─► (the policy's rules)
//! ```

pub mod binomial;
pub mod canary;
pub mod ceiling;
pub mod document;
pub mod facts;
pub mod histogram;
pub mod hold;
pub mod judge;
pub mod lane;
pub mod names;
pub mod parse;
pub mod rule;
pub mod sample;
pub mod scaling;
pub mod signals;
pub mod slice;
pub mod snapshot;
pub mod threshold;
pub mod time;
pub mod verdict;
pub mod window;
