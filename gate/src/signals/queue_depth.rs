//! `queue_depth`: may the canary get more weight while jobs pile up?
//!
//! Judged only while a canary is active, against the depth at the last weight
//! increase. A failure keeps the document from passing and refuses a higher
//! weight; it never freezes.

use super::{Outcome, Reading};
use crate::threshold::Thresholds;

/// `depth` now, `at_weight` when the weight last rose, both pending jobs.
pub fn evaluate(depth: Option<u64>, at_weight: Option<u64>, limits: &Thresholds) -> Reading {
    let limit = limits.queue_depth;
    match depth {
        None => Reading::new(Outcome::Insufficient, "the queue depth is not known"),
        Some(d) if d > limit && d > at_weight.unwrap_or(0) => Reading::new(
            Outcome::Fail,
            format!(
                "{d} jobs pending, over {limit} and more than the {} at the last weight increase",
                at_weight.unwrap_or(0)
            ),
        )
        .with(d as f64, limit as f64),
        Some(d) => {
            Reading::new(Outcome::Pass, format!("{d} jobs pending")).with(d as f64, limit as f64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(None, None, Outcome::Insufficient)]
    #[case(Some(12), Some(0), Outcome::Pass)]
    #[case(Some(13), Some(13), Outcome::Pass)]
    #[case(Some(13), Some(12), Outcome::Fail)]
    #[case(Some(13), None, Outcome::Fail)]
    fn table(
        #[case] depth: Option<u64>,
        #[case] at_weight: Option<u64>,
        #[case] expected: Outcome,
    ) {
        assert_eq!(evaluate(depth, at_weight, &Thresholds::default()).outcome, expected);
    }
}
