//! What the fields of each kind mean, kind by kind.

pub mod scaled_object;
