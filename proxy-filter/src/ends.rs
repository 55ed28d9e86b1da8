//! Workers' VMs that ended, each counted once.
//!
//! A VM ends without a word. It shows in its slot, which another takes or
//! nobody writes to any more. A clock that is set makes every slot look old
//! for a moment, so one counts as silent only after a second look.

use gate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A slot as one look finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    pub slot: u64,
    pub owner: u64,
    pub alive: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    owner: u64,
    silent_since: Option<Timestamp>,
    counted: bool,
}

/// What earlier looks found; a part of the state that the lease holder hands on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ends {
    /// Ended so far; it never falls.
    pub count: u64,
    slots: BTreeMap<u64, Seen>,
}

impl Ends {
    pub fn look(&mut self, looks: &[Look], now: Timestamp, tick_s: u64) {
        for look in looks {
            let new = Seen { owner: look.owner, silent_since: None, counted: false };
            let seen = self.slots.entry(look.slot).or_insert_with(|| new.clone());
            if seen.owner != look.owner {
                self.count += u64::from(!seen.counted);
                *seen = new;
            }
            if look.alive {
                (seen.silent_since, seen.counted) = (None, false);
                continue;
            }
            let since = *seen.silent_since.get_or_insert(now);
            let silent_s = u64::try_from(now.since(since)).unwrap_or(0);
            if silent_s >= 2 * tick_s && !seen.counted {
                self.count += 1;
                seen.counted = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks a tick apart, of one slot: its owner, and whether it is alive.
    fn count(looks: &[(u64, bool)]) -> u64 {
        let mut ends = Ends::default();
        for (i, (owner, alive)) in looks.iter().enumerate() {
            let now = Timestamp::from_secs(1_000 + 5 * i as i64);
            ends.look(&[Look { slot: 3, owner: *owner, alive: *alive }], now, 5);
        }
        ends.count
    }

    #[test]
    fn each_end_counts_once() {
        assert_eq!(count(&[(1, true), (1, true)]), 0);
        // Silent for good.
        assert_eq!(count(&[(1, true), (1, false), (1, false), (1, false), (1, false)]), 1);
        // Taken over, before and after it was counted.
        assert_eq!(count(&[(1, true), (2, true), (2, true)]), 1);
        assert_eq!(count(&[(1, false), (1, false), (1, false), (2, true)]), 1);
        // A clock that was set, or a stall: all silent at one look.
        assert_eq!(count(&[(1, true), (1, false), (1, true)]), 0);
        // It ends, comes back, and ends.
        let again =
            [(1, false), (1, false), (1, false), (1, true), (1, false), (1, false), (1, false)];
        assert_eq!(count(&again), 2);
    }
}
