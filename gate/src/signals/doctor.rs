//! `doctor`: did the node's deep checks pass?

use super::{Outcome, Reading};
use crate::facts::Facts;

pub fn evaluate(facts: &Facts) -> Reading {
    if facts.doctor_ok && facts.doctor_failures.is_empty() {
        Reading::new(Outcome::Pass, "all deep checks passed")
    } else if facts.doctor_failures.is_empty() {
        Reading::new(Outcome::Fail, "the doctor reports not ok and names no check")
    } else {
        Reading::new(
            Outcome::Fail,
            format!("failed deep checks: {}", facts.doctor_failures.join(", ")),
        )
    }
}
