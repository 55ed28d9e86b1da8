//! What a worker keeps in its slot of shared data.
//!
//! Shared data cannot be deleted, so there is a fixed table of slots. A slot
//! holds counts by bucket and nothing of its owner's memory: a worker adds what
//! it saw since its last tick to what the slot holds, in one compare-and-swap.
//! A new worker that takes over an expired slot therefore takes over its
//! counts, and a worker that loses a slot loses nothing. The first byte is the
//! format's version; a reader skips and counts versions it does not know.

use crate::document::Latency;
use crate::slice::Slice;
use crate::window::Window;
use serde::{Deserialize, Serialize};

const VERSION: u8 = 3;
/// Distinct hashes kept a slice: a drift shows in the second.
const HASHES_A_SLICE: usize = 4;
/// Longest hash that is kept, bytes.
pub const MAX_HASH: usize = 128;

/// A skill hash that an answer carried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenHash {
    pub slice: Slice,
    pub hash: String,
    /// When it was last seen, milliseconds since the epoch.
    pub at_ms: i64,
}

/// Adds what was seen; the hash that was not seen for longest makes room.
pub fn see(hashes: &mut Vec<SeenHash>, seen: SeenHash) {
    if let Some(known) = hashes.iter_mut().find(|h| h.slice == seen.slice && h.hash == seen.hash) {
        known.at_ms = known.at_ms.max(seen.at_ms);
        return;
    }
    let of_slice = || hashes.iter().enumerate().filter(|(_, h)| h.slice == seen.slice);
    if of_slice().count() >= HASHES_A_SLICE {
        if let Some((oldest, _)) = of_slice().min_by_key(|(_, h)| h.at_ms) {
            hashes.remove(oldest);
        }
    }
    hashes.push(seen);
}

/// One slot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The VM that writes here.
    pub owner: u64,
    /// When it last did, milliseconds since the epoch.
    pub seen_at_ms: i64,
    /// Length of the window's buckets, seconds: indices of another length mean nothing.
    pub bucket_s: u64,
    /// How this worker measures latency.
    pub latency: Option<Latency>,
    pub window: Window,
    pub hashes: Vec<SeenHash>,
}

/// Why a slot's bytes say nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlotError {
    #[error("slot has unknown version {0}, this module reads {VERSION}")]
    Version(u8),
    #[error("slot is not readable: {0}")]
    Malformed(String),
}

impl Slot {
    /// # Errors
    /// Never for a value of this type; the codec's word if it does.
    pub fn encode(&self) -> Result<Vec<u8>, SlotError> {
        let mut bytes = vec![VERSION];
        bytes.extend(postcard::to_allocvec(self).map_err(|e| SlotError::Malformed(e.to_string()))?);
        Ok(bytes)
    }

    /// # Errors
    /// An unknown version, or bytes that are no slot.
    pub fn decode(bytes: &[u8]) -> Result<Self, SlotError> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => {
                postcard::from_bytes(rest).map_err(|e| SlotError::Malformed(e.to_string()))
            }
            Some((&other, _)) => Err(SlotError::Version(other)),
            None => Err(SlotError::Malformed("no bytes".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;
    use crate::window::Recorder;
    use proptest::prelude::*;

    #[test]
    fn reads_what_it_writes() {
        let mut r = Recorder::default();
        r.record(Slice::Canary, Sample::Error, Some(1_234));
        let mut slot = Slot { owner: 7, seen_at_ms: 99, ..Slot::default() };
        slot.window.add(&r.drain(3));
        assert_eq!(Slot::decode(&slot.encode().unwrap()).unwrap(), slot);
    }

    #[test]
    fn hashes_are_bounded_and_the_oldest_goes() {
        let mut hashes = Vec::new();
        let seen = |slice, n: i64| SeenHash { slice, hash: format!("h{n}"), at_ms: n };
        see(&mut hashes, seen(Slice::Stable, 0));
        (0..100).for_each(|n| see(&mut hashes, seen(Slice::Canary, n)));
        see(&mut hashes, SeenHash { at_ms: 200, ..seen(Slice::Canary, 97) });
        see(&mut hashes, seen(Slice::Canary, 150));
        let canary: Vec<i64> =
            hashes.iter().filter(|h| h.slice == Slice::Canary).map(|h| h.at_ms).collect();
        assert_eq!((hashes.len(), canary), (5, vec![200, 98, 99, 150]));
    }

    #[test]
    fn an_unknown_version_is_named() {
        assert_eq!(Slot::decode(&[9, 1, 2]), Err(SlotError::Version(9)));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Slot::decode(&bytes);
            let _ = Slot::decode(&[&[VERSION], bytes.as_slice()].concat());
        }
    }
}
