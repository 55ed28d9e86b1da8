//! Shared data with compare-and-swap, by the rules of Envoy's host
//! (proxy-wasm-cpp-host `src/shared_data.cc`): numbers start at 1, a write
//! with 0 is unconditional, a write to a key that is absent always succeeds,
//! and keys are never deleted.

use std::collections::HashMap;

#[derive(Debug, Default)]
pub struct SharedData {
    values: HashMap<Vec<u8>, (Vec<u8>, u32)>,
    last: u32,
}

impl SharedData {
    pub fn get(&self, key: &[u8]) -> Option<(Vec<u8>, u32)> {
        self.values.get(key).cloned()
    }

    /// Whether the value was written; if not, somebody wrote since `cas` was read.
    pub fn set(&mut self, key: &[u8], value: &[u8], cas: u32) -> bool {
        if cas != 0 && self.values.get(key).is_some_and(|(_, current)| *current != cas) {
            return false;
        }
        self.last += 1;
        self.values.insert(key.to_vec(), (value.to_vec(), self.last));
        true
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub fn clear(&mut self) {
        self.values.clear();
    }
}
