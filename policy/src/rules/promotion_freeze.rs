//! `promotion-freeze`: no rsync that deletes, while a canary is active or
//! whether one is, is not known.
//!
//! A promotion copies the canary's pack over the stable one; with a deleting
//! option what the canary would be rolled back to is gone.

use crate::change::{Fault, When};
use crate::objects::job::Job;
use gate::rule::Rule;

/// `old` is absent on CREATE. What was there before passes, unless the edit is
/// what starts it.
pub fn find(old: Option<Job>, new: Job) -> Option<Fault> {
    let runs = |job: Job| job.deletes_by_rsync() && !job.is_suspended();
    // Suspended, a new one may wait: what starts it is judged again.
    if !runs(new) || old.is_some_and(runs) {
        return None;
    }
    Some(Fault {
        when: When::Locked,
        ..Fault::always(
            Rule::PromotionFreeze,
            "containers[].command",
            "runs rsync with an option that deletes",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Object;
    use rstest::rstest;
    use serde_json::{json, Value};

    fn job(suspend: bool, option: &str) -> Value {
        json!({"spec": {"suspend": suspend, "template": {"spec": {"containers": [{"command": ["rsync", option, "a", "b"]}]}}}})
    }

    #[rstest]
    #[case::new(None, job(false, "--delete"), true)]
    #[case::new_and_harmless(None, job(false, "-a"), false)]
    #[case::new_and_waiting(None, job(true, "--delete"), false)]
    #[case::started(Some(job(true, "--delete")), job(false, "--delete"), true)]
    #[case::as_before(Some(job(false, "--delete")), job(false, "--delete"), false)]
    #[case::suspended(Some(job(false, "--delete")), job(true, "--delete"), false)]
    #[case::worse(Some(job(false, "-a")), job(false, "--del"), true)]
    fn jobs(#[case] old: Option<Value>, #[case] new: Value, #[case] expected: bool) {
        let old = old.as_ref().map(|o| Job(Object::of(o)));
        assert_eq!(find(old, Job(Object::of(&new))).is_some(), expected);
    }
}
