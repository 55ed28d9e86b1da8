//! `facts_age`: are the node facts fresh? What is not known fails closed.

use super::{Outcome, Reading};
use crate::facts::Facts;
use crate::threshold::Thresholds;
use crate::time::Timestamp;

pub fn evaluate(facts: Option<&Facts>, limits: &Thresholds, now: Timestamp) -> Reading {
    let limit = limits.facts_max_age_s;
    match facts {
        None => Reading::new(
            Outcome::Fail,
            "no node facts were ever put: is the launchd job on the gateway running?",
        ),
        Some(f) if f.is_future(now) => Reading::new(
            Outcome::Fail,
            format!("node facts are dated {}, in the future: check the clocks", f.at),
        ),
        Some(f) if !f.is_fresh(now, limit) => Reading::new(
            Outcome::Fail,
            format!(
                "node facts are {} s old, {limit} s allowed: is the launchd job on the gateway running?",
                f.age_s(now)
            ),
        )
        .with(f.age_s(now) as f64, limit as f64),
        Some(f) => Reading::new(Outcome::Pass, format!("node facts are {} s old", f.age_s(now)))
            .with(f.age_s(now) as f64, limit as f64),
    }
}
