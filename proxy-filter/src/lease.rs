//! The judge's lease: one endpoint VM at a time steps it.
//!
//! A lease expires, so it moves when its holder's VM died, also one that
//! trapped in a tick and that Envoy will not reload before a request comes.

use gate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Ticks without renewal after which the lease is anybody's.
const TICKS: u64 = 3;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub holder: u64,
    pub until_ms: i64,
    /// How often the lease moved to another VM.
    pub moves: u64,
}

/// The lease that `vm` may write at `now`, or `None` while another holds it.
pub fn claim(current: Option<Lease>, vm: u64, now: Timestamp, tick_s: u64) -> Option<Lease> {
    let until_ms = now.plus_secs(TICKS * tick_s).millis();
    let lease = match current {
        None => Lease { holder: vm, until_ms, moves: 0 },
        Some(l) if l.holder == vm => Lease { until_ms, ..l },
        // A lease from far in the future is from before a clock jump.
        Some(l)
            if l.until_ms <= now.millis()
                || l.until_ms > now.plus_secs(2 * TICKS * tick_s).millis() =>
        {
            Lease { holder: vm, until_ms, moves: l.moves + 1 }
        }
        Some(_) => return None,
    };
    Some(lease)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    #[rstest]
    #[case::free(None, Some(0))]
    #[case::mine(Some(Lease { holder: 7, until_ms: 1, moves: 2 }), Some(2))]
    #[case::held(Some(Lease { holder: 8, until_ms: 1_000_001, moves: 2 }), None)]
    #[case::expired(Some(Lease { holder: 8, until_ms: 1_000_000, moves: 2 }), Some(3))]
    #[case::from_before_a_clock_jump(Some(Lease { holder: 8, until_ms: 9_000_000, moves: 2 }), Some(3))]
    fn claims(#[case] current: Option<Lease>, #[case] moves: Option<u64>) {
        let got = claim(current, 7, NOW, 5);
        assert_eq!(got.map(|l| l.moves), moves);
        assert!(got.is_none_or(|l| l.holder == 7 && l.until_ms == 1_015_000));
    }
}
