//! KEDA's own pause of scale-out, kept on the targets while a gateway is frozen.
//!
//! A second hold beside the policy's and the native one of `hold_replicas`, for
//! lanes that want KEDA itself to say that it is paused; off unless asked for,
//! since KEDA then reports `Paused` and GitOps tools `Suspended`. Several
//! gateways may hold one ScaledObject, and people pause too. So each gateway
//! leaves a mark of its own beside KEDA's annotation: it takes away nothing
//! that it did not put, and the last mark takes the pause with it. The marks
//! are on the object, so a gateway that forgot everything still finds its own.

use crate::ceiling::{is_set, PAUSED_SCALE_OUT};
use crate::due::Due;
use crate::target::Target;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a gateway's mark ends in; before it stands the gateway's id.
const MARK: &str = ".canary-gate.dev/paused-scale-out";

/// Seconds between looks for what may be left while nothing is paused: longer than
/// a process that was replaced goes on.
const AGAIN_S: i64 = 900;

/// Annotations of an object.
pub type Annotations = BTreeMap<String, String>;

/// Annotations to write; `None` takes one away.
pub type Change = BTreeMap<String, Option<String>>;

/// Which ScaledObjects are still to be looked at, and which carry our mark.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pauses {
    #[serde(default)]
    pub due: Due,
    /// Kept so that one that is no target any more is released too.
    #[serde(default)]
    ours: BTreeSet<String>,
    /// When all were made due last.
    #[serde(default)]
    looked_at: Option<Timestamp>,
}

impl Pauses {
    /// Every target is looked at once more, and what is ours, target or not.
    pub fn look_again(&mut self, targets: &[Target], now: Timestamp) {
        self.looked_at = Some(now);
        self.due.look_again(targets);
        for name in &self.ours {
            self.due.add(name);
        }
    }

    /// Whether the last look is so old that what landed after it is there by now.
    pub fn is_long_ago(&self, now: Timestamp) -> bool {
        self.looked_at.is_some_and(|at| now.since(at).abs() >= AGAIN_S)
    }

    /// The object was looked at, and is as it must be. Whether its mark is new, or newly gone.
    pub fn done(&mut self, scaled_object: &str, is_marked: bool) -> bool {
        self.due.done(scaled_object);
        if is_marked {
            self.ours.insert(scaled_object.to_owned())
        } else {
            self.ours.remove(scaled_object)
        }
    }

    /// Something of ours may still be on an object.
    pub fn is_left(&self) -> bool {
        self.due.next().is_some() || !self.ours.is_empty()
    }
}

/// This gateway's mark.
pub fn mark(gateway: &str) -> String {
    format!("{gateway}{MARK}")
}

/// What to write, given what the object has; empty where it is as it must be.
pub fn change(annotations: &Annotations, gateway: &str, pauses: bool) -> Change {
    let mark = mark(gateway);
    let ours = annotations.contains_key(&mark);
    let others = annotations.keys().any(|k| k.ends_with(MARK) && *k != mark);
    let is_paused = is_set(annotations.get(PAUSED_SCALE_OUT).map(String::as_str));
    let yes = || Some("true".to_owned());
    let mut change = Change::new();
    if pauses {
        // Paused without a mark is somebody's own pause, and stays theirs.
        let theirs = is_paused && !ours && !others;
        if !is_paused {
            change.insert(PAUSED_SCALE_OUT.to_owned(), yes());
        }
        if !ours && !theirs {
            change.insert(mark, yes());
        }
    } else if ours {
        change.insert(mark, None);
        if !others && annotations.contains_key(PAUSED_SCALE_OUT) {
            change.insert(PAUSED_SCALE_OUT.to_owned(), None);
        }
    }
    change
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const OURS: &str = "gw-a1.canary-gate.dev/paused-scale-out";
    const OTHERS: &str = "gw-b1.canary-gate.dev/paused-scale-out";

    fn annotations(pairs: &[(&str, &str)]) -> Annotations {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[rstest]
    #[case::frozen(&[], true, &[(PAUSED_SCALE_OUT, Some("true")), (OURS, Some("true"))])]
    #[case::said_no(&[(PAUSED_SCALE_OUT, "false")], true, &[(PAUSED_SCALE_OUT, Some("true")), (OURS, Some("true"))])]
    #[case::somebodys_own(&[(PAUSED_SCALE_OUT, "true")], true, &[])]
    #[case::another_gateways(&[(PAUSED_SCALE_OUT, "true"), (OTHERS, "true")], true, &[(OURS, Some("true"))])]
    #[case::ours_already(&[(PAUSED_SCALE_OUT, "true"), (OURS, "true")], true, &[])]
    #[case::ours_taken_away(&[(OURS, "true")], true, &[(PAUSED_SCALE_OUT, Some("true"))])]
    #[case::thawed(&[(PAUSED_SCALE_OUT, "true"), (OURS, "true")], false, &[(PAUSED_SCALE_OUT, None), (OURS, None)])]
    #[case::the_other_still_frozen(&[(PAUSED_SCALE_OUT, "true"), (OURS, "true"), (OTHERS, "true")], false, &[(OURS, None)])]
    #[case::not_ours(&[(PAUSED_SCALE_OUT, "true")], false, &[])]
    #[case::not_ours_but_anothers(&[(PAUSED_SCALE_OUT, "true"), (OTHERS, "true")], false, &[])]
    #[case::taken_away_since(&[(OURS, "true")], false, &[(OURS, None)])]
    #[case::nothing(&[], false, &[])]
    fn changes(
        #[case] before: &[(&str, &str)],
        #[case] pauses: bool,
        #[case] expected: &[(&str, Option<&str>)],
    ) {
        let expected: Change =
            expected.iter().map(|(k, v)| ((*k).to_owned(), v.map(str::to_owned))).collect();
        assert_eq!(change(&annotations(before), "gw-a1", pauses), expected);
    }

    fn write(object: &mut Annotations, change: Change) {
        for (key, value) in change {
            match value {
                Some(value) => object.insert(key, value),
                None => object.remove(&key),
            };
        }
    }

    proptest! {
        /// Whatever gateways do in whatever order: it is paused while one of
        /// them holds it, and as it was before once none does.
        #[test]
        fn paused_as_long_as_one_holds(
            by_hand in any::<bool>(),
            steps in prop::collection::vec((0..3usize, any::<bool>()), 0..30),
        ) {
            let before = annotations(if by_hand { &[(PAUSED_SCALE_OUT, "true")] } else { &[] });
            let mut object = before.clone();
            let mut holds = [false; 3];
            let gateways = ["gw-a1", "gw-b1", "gw"];
            for (i, pauses) in steps {
                holds[i] = pauses;
                let wanted = change(&object, gateways[i], pauses);
                write(&mut object, wanted);
                prop_assert!(change(&object, gateways[i], pauses).is_empty(), "written once");
                let is_paused = is_set(object.get(PAUSED_SCALE_OUT).map(String::as_str));
                prop_assert_eq!(is_paused, by_hand || holds.contains(&true));
            }
            for gateway in gateways {
                let wanted = change(&object, gateway, false);
                write(&mut object, wanted);
            }
            prop_assert_eq!(object, before);
        }
    }

    #[test]
    fn what_is_ours_is_looked_at_when_it_is_no_target_any_more() {
        let now = Timestamp::from_secs(1_795_510_800);
        let mut pauses = Pauses::default();
        let news =
            [("gone", true), ("gone", true), ("free", false)].map(|(n, m)| pauses.done(n, m));
        assert_eq!(news, [true, false, false]);
        pauses.look_again(&[], now);
        assert_eq!(pauses.due.next(), Some("gone"));
        assert!(pauses.done("gone", false) && !pauses.is_left());
        pauses.look_again(&[], now);
        assert_eq!(pauses.due.next(), None);
        assert!(!pauses.is_long_ago(now.plus_secs(899)) && pauses.is_long_ago(now.plus_secs(900)));
    }
}
