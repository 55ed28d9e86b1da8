//! `skill_hash`: does the node run the skill pack that the rollout froze?

use super::{Outcome, Reading};

/// `expected` is the hash this gateway must run now, `actual` what its node reports.
pub fn evaluate(expected: Option<&str>, actual: Option<&str>) -> Reading {
    match (expected, actual) {
        (None, _) => Reading::new(Outcome::Pass, "no skill hash is frozen"),
        (Some(e), Some(a)) if e == a => Reading::new(Outcome::Pass, format!("runs {e}")),
        (Some(e), Some(a)) => Reading::new(
            Outcome::Fail,
            format!("runs skill pack {a}, frozen is {e}: stop promotions to this gateway"),
        ),
        (Some(e), None) => {
            Reading::new(Outcome::Fail, format!("the node reports no skill hash, frozen is {e}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(None, None, Outcome::Pass)]
    #[case(None, Some("a"), Outcome::Pass)]
    #[case(Some("a"), Some("a"), Outcome::Pass)]
    #[case(Some("a"), Some("b"), Outcome::Fail)]
    #[case(Some("a"), None, Outcome::Fail)]
    fn table(
        #[case] expected: Option<&str>,
        #[case] actual: Option<&str>,
        #[case] outcome: Outcome,
    ) {
        assert_eq!(evaluate(expected, actual).outcome, outcome);
    }
}
