//! `skill-lock`: no other skill pack on a lane's workload while a canary is
//! active, or while whether one is, is not known.
//!
//! A comparison of two slices means nothing when one of them changes what it
//! runs. The hashes of the verdict are the exception: they are what `begin`
//! froze.

use crate::change::Change;
use crate::change::{Fault, When};
use gate::lane::{Finding, LaneState};
use gate::rule::Rule;
use gate::slice::Slice;

/// Hash on the pod template before and after; `old` is absent on CREATE.
pub fn find(annotation: &str, old: Option<Option<&str>>, new: Option<&str>) -> Option<Fault> {
    if old == Some(new) {
        return None;
    }
    let text = |hash: Option<&str>| hash.unwrap_or("none").to_owned();
    let what = match old {
        Some(old) => format!("changes from {} to {}", text(old), text(new)),
        None => format!("is {} on a new workload", text(new)),
    };
    Some(Fault {
        when: When::OtherHash(new.map(str::to_owned)),
        ..Fault::always(
            Rule::SkillLock,
            format!("spec.template.metadata.annotations[{annotation}]"),
            what,
        )
    })
}

/// Whether the lane is locked and `hash` is not one to run.
pub fn holds<'a>(change: &Change, lane: &'a LaneState, hash: Option<&str>) -> Option<&'a Finding> {
    let finding = lane.lock()?;
    let under_test = &lane.under_test;
    let is_stable = |h: &str| under_test.stable_skill_hash.as_deref() == Some(h);
    let is_canary = |h: &str| under_test.skill_hash.as_deref() == Some(h);
    let canary_target = change.target.is_some_and(|t| t.slice == Slice::Canary);
    let may_run = match hash {
        Some(hash) => is_stable(hash) || (canary_target && is_canary(hash)),
        // A new workload of a lane that names no packs.
        None => {
            change.is_create
                && under_test.skill_hash.is_none()
                && under_test.stable_skill_hash.is_none()
        }
    };
    (!may_run).then_some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::same(Some(Some("x")), Some("x"), false)]
    #[case::none_before_and_after(Some(None), None, false)]
    #[case::changed(Some(Some("x")), Some("y"), true)]
    #[case::removed(Some(Some("x")), None, true)]
    #[case::added(Some(None), Some("x"), true)]
    #[case::created(None, Some("x"), true)]
    #[case::created_without(None, None, true)]
    fn changes(
        #[case] old: Option<Option<&str>>,
        #[case] new: Option<&str>,
        #[case] expected: bool,
    ) {
        assert_eq!(find("h", old, new).is_some(), expected);
    }
}
