//! What a worker keeps in its slot of shared data.
//!
//! Shared data cannot be deleted, so there is a fixed table of slots. A slot
//! holds counts by bucket and nothing of its owner's memory: a worker adds what
//! it saw since its last tick to what the slot holds, in one compare-and-swap.
//! A new worker that takes over an expired slot therefore takes over its
//! counts, and a worker that loses a slot loses nothing. The first byte is the
//! format's version; a reader skips and counts versions it does not know.

use crate::document::Latency;
use crate::window::Window;
use serde::{Deserialize, Serialize};

const VERSION: u8 = 1;

/// One slot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The VM that writes here.
    pub owner: u64,
    /// When it last did, milliseconds since the epoch.
    pub seen_at_ms: i64,
    /// How many owners came before it, each a VM that ended or was lost.
    pub takeovers: u32,
    /// Length of the window's buckets, seconds: indices of another length mean nothing.
    pub bucket_s: u64,
    /// How this worker measures latency.
    pub latency: Option<Latency>,
    pub window: Window,
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
    use crate::slice::Slice;
    use crate::window::Recorder;
    use proptest::prelude::*;

    #[test]
    fn reads_what_it_writes() {
        let mut r = Recorder::default();
        r.record(Slice::Canary, Sample::Error, Some(1_234));
        let mut slot = Slot { owner: 7, seen_at_ms: 99, takeovers: 1, ..Slot::default() };
        slot.window.add(&r.drain(3));
        assert_eq!(Slot::decode(&slot.encode().unwrap()).unwrap(), slot);
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
