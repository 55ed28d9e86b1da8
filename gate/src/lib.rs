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
//!                                 │  signals/* ─► hold ─► scaling, cap, pause
//!             document, digest ◄──┴──► verdict ─► lane ─► (the policy's rules)
//! ```

pub mod parse;
pub mod names;
pub mod fields;
pub mod time;
pub mod threshold;
pub mod rotation;
pub mod slice;
pub mod binomial;
pub mod histogram;
pub mod sample;
pub mod window;
pub mod snapshot;
pub mod facts;
pub mod canary;
pub mod signals;
pub mod hold;
pub mod scaling;
pub mod ceiling;
pub mod target;
pub mod due;
pub mod cap;
pub mod pause;
pub mod document;
pub mod prometheus;
pub mod digest;
pub mod verdict;
pub mod judge;
pub mod rule;
pub mod lane;
pub mod break_glass;
