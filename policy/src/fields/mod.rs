//! Every field of every judged kind, and what a change of it does.
//!
//! One row a field: its effect on the pods of a lane, and who says so. The rows decide
//! which measures an edit is held against, so that an edit of a field without effect is
//! none, and a field that has no row yet may not change while the lane is frozen: a new
//! version of KEDA cannot bring a way up that nobody looked at. `tests/fields.rs` holds
//! the rows against the schemas of the pinned versions, in both directions.
//!
//! Paths are written as users read them. `[]` is any item of a list, `.*` any key of a map
//! with free keys, `.**` a subtree of which no part has an effect of its own. A row whose
//! path ends at an object is about the object being there at all.

pub mod changes;
pub mod deployment;
pub mod hpa;
pub mod job;
pub mod metadata;
pub mod replica_set;
pub mod rollout;
pub mod scale;
pub mod scaled_job;
pub mod scaled_object;
pub mod stateful_set;
pub mod trigger;

pub use changes::Changes;

use crate::request::Kind;
use gate::target::TargetKind;

gate::named_enum! {
    /// What a change of a field can do.
    pub enum Effect {
        /// Changes how many pods may run (`crate::pods`).
        Pods = "pods",
        /// Changes how soon a height under the same maximum is reached (`crate::speed`).
        Speed = "speed",
        /// Holds the target where it is, or lets it go.
        Hold = "hold",
        /// Changes what is measured, so that nothing measured before says what comes.
        Source = "source of a trigger",
        /// Changes none of these.
        Nothing = "nothing",
    }
}

/// What an absent field means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Absent {
    /// Nothing, or what no value says: the measures know it.
    Unset,
    Number(i64),
    Text(&'static str),
    True,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    pub path: &'static str,
    pub effect: Effect,
    pub absent: Absent,
    /// Where the effect is to be read.
    pub source: &'static str,
}

impl Row {
    pub const fn new(path: &'static str, effect: Effect, source: &'static str) -> Self {
        Self { path, effect, absent: Absent::Unset, source }
    }

    /// What it means that the field is not there.
    pub const fn absent(self, absent: Absent) -> Self {
        Self { absent, ..self }
    }
}

/// The citation of a row. It is for readers of the table, and not in the module.
#[macro_export]
macro_rules! cite {
    ($text:expr) => {
        if cfg!(target_arch = "wasm32") {
            ""
        } else {
            $text
        }
    };
}

/// The rows of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Name of the kind, as in a schema.
    pub kind: &'static str,
    /// Each sorted by path.
    parts: [&'static [Row]; 3],
    /// A path whose row is taken to say nothing: a test asks with it what a row is worth.
    muted: Option<&'static str>,
}

impl Table {
    const fn new(kind: &'static str, spec: &'static [Row]) -> Self {
        Self { kind, parts: [spec, metadata::ROWS, &[]], muted: None }
    }

    const fn with_triggers(self) -> Self {
        let [spec, metadata, _] = self.parts;
        Self { parts: [spec, metadata, trigger::ROWS], ..self }
    }

    /// The table as it is, but for one row that is taken to say nothing.
    #[must_use]
    pub fn without(self, path: &'static str) -> Self {
        Self { muted: Some(path), ..self }
    }

    /// All rows but those that a row of the kind's own stands before.
    pub fn rows(&self) -> impl Iterator<Item = &'static Row> + '_ {
        let stands = |row: &&'static Row| self.find(row.path).is_some_and(|found| found == **row);
        self.parts.into_iter().flatten().filter(stands)
    }

    /// Whether a row is of a part of this row's subtree.
    fn has_part(&self, subtree: &Row) -> bool {
        let Some(above) = subtree.path.strip_suffix("**") else { return false };
        let is_part = |row: &Row| row.path.starts_with(above) && row.path != subtree.path;
        self.parts.into_iter().flatten().any(is_part)
    }

    /// The row of exactly this path. A kind's own row stands before one that all have.
    pub fn find(&self, path: &str) -> Option<Row> {
        let find = |rows: &'static [Row]| {
            rows.binary_search_by(|row| row.path.cmp(path)).ok().and_then(|i| rows.get(i))
        };
        let row = *self.parts.into_iter().find_map(find)?;
        let is_muted = self.muted == Some(row.path);
        Some(if is_muted { Row { effect: Effect::Nothing, ..row } } else { row })
    }
}

/// The tables of all judged kinds.
pub const TABLES: [Table; 9] = [
    Table::new("ScaledObject", scaled_object::ROWS).with_triggers(),
    Table::new("ScaledJob", scaled_job::ROWS).with_triggers(),
    Table::new("HorizontalPodAutoscaler", hpa::ROWS),
    Table::new("Deployment", deployment::ROWS),
    Table::new("StatefulSet", stateful_set::ROWS),
    Table::new("ReplicaSet", replica_set::ROWS),
    Table::new("Rollout", rollout::ROWS),
    Table::new("Job", job::ROWS),
    Table::new("Scale", scale::ROWS),
];

/// The table of a kind; none where only rules of their own look at it.
pub fn table(kind: Kind) -> Option<Table> {
    let name = match kind {
        Kind::ScaledObject | Kind::ScaledObjectStatus => "ScaledObject",
        Kind::ScaledJob => "ScaledJob",
        Kind::HorizontalPodAutoscaler => "HorizontalPodAutoscaler",
        Kind::Workload(TargetKind::Deployment) => "Deployment",
        Kind::Workload(TargetKind::StatefulSet) => "StatefulSet",
        Kind::Workload(TargetKind::Rollout) | Kind::RolloutStatus => "Rollout",
        Kind::Workload(TargetKind::ScaledJob) => "ScaledJob",
        Kind::ReplicaSet => "ReplicaSet",
        Kind::Job => "Job",
        Kind::Scale => "Scale",
        Kind::ConfigMap | Kind::Measurement => return None,
    };
    TABLES.into_iter().find(|table| table.kind == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_say_where_they_are_from() {
        for table in TABLES {
            for rows in table.parts {
                let sorted = rows.windows(2).all(|pair| pair[0].path < pair[1].path);
                let wrong = rows.windows(2).find(|pair| pair[0].path >= pair[1].path);
                assert!(sorted, "{}: {wrong:?}", table.kind);
            }
            for row in table.rows() {
                assert!(!row.source.is_empty(), "{}: {} has no source", table.kind, row.path);
            }
        }
    }

    #[test]
    fn a_muted_row_says_nothing() {
        let table = table(Kind::Scale).unwrap();
        let effect = |t: Table| t.find("spec.replicas").unwrap().effect;
        assert_eq!(effect(table), Effect::Pods);
        assert_eq!(effect(table.without("spec.replicas")), Effect::Nothing);
    }
}
