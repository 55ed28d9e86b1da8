//! What rises sooner under the same maximum: a partial order.
//!
//! Of two objects one is slower when at every moment, whatever the metrics say, it asks
//! for no more than the other. Slower, or the same written out, passes in every state of a
//! lane. Some pairs cannot be ordered: another formula, another source, steps of another
//! number. Those count as faster, and the message says that they cannot be compared.

pub mod behavior;
pub mod metrics;
pub mod steps;
pub mod strategy;
pub mod triggers;

/// A field by which the new object may rise sooner than the old.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faster {
    /// Path of the field, as in the object.
    pub field: String,
    /// Read after the field.
    pub note: String,
}

impl Faster {
    pub fn new(field: impl Into<String>, note: impl Into<String>) -> Self {
        Self { field: field.into(), note: note.into() }
    }

    /// Neither is slower at every moment.
    pub fn incomparable(field: impl Into<String>, why: &str) -> Self {
        Self::new(field, format!("cannot be compared: {why}"))
    }
}
