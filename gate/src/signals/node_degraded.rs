//! `node_degraded`: does the node call itself degraded?

use super::{Outcome, Reading};
use crate::facts::Facts;

pub fn evaluate(facts: &Facts) -> Reading {
    if facts.degraded {
        Reading::new(Outcome::Fail, "the node reports degraded")
    } else {
        Reading::new(Outcome::Pass, "the node reports no trouble")
    }
}
