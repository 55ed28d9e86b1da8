//! `skill_hash`: does the node run the skill pack that the rollout froze?

use super::{Outcome, Reading};
use crate::snapshot::SeenHash;

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

/// An answer came from another skill pack than its slice must run.
pub fn drift(seen: &SeenHash, expected: &str) -> Reading {
    Reading::new(
        Outcome::Fail,
        format!(
            "an answer of the {} slice came from skill pack {}, frozen is {expected}: stop promotions to what serves it",
            seen.slice.name(),
            seen.hash
        ),
    )
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
