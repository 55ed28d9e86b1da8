//! What an edit lifts, kind by kind: more pods in all, a hold that goes away, a faster way.
//!
//! Pure reading of two objects; whether a lift is allowed is the table's to
//! say (`gate::lane`), in the name of a rule (`crate::rules`).
//! The rows of the fields that differ say which of them are looked for (`crate::fields`).

pub mod autoscaler;
pub mod hpa;
pub mod replica_set;
pub mod scaled_job;
pub mod scaled_object;
pub mod workload;

use crate::change::Lift;
use crate::fields::Changes;
use crate::speed::Faster;

/// Fields that this version does not know. What they do is not known either, so while the
/// lane is frozen they count as faster.
fn unknown(changes: &Changes) -> impl Iterator<Item = Lift> + '_ {
    let note = "is not known to this version of canary-gate";
    changes.unknown().map(move |field| Lift::faster(field, note, i64::MAX))
}

fn faster(found: impl IntoIterator<Item = Faster>, under: i64) -> impl Iterator<Item = Lift> {
    found.into_iter().map(move |f| Lift::faster(&f.field, &f.note, under))
}

fn annotation(key: &str) -> String {
    format!("metadata.annotations[{key}]")
}
