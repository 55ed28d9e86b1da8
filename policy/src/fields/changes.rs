//! What an edit changes: the rows of the fields that differ between two objects.
//!
//! Absent, null, empty and the row's default are the same, so that a typed client that
//! writes defaults out changes nothing. An empty annotation or label is there, though. Of an object that is new every effect is looked for,
//! since the defaults run pods too.

use super::{Absent, Effect, Row, Table};
use crate::objects::object::{is_empty, same};
use gate::parse::{get, Json};

/// Prefixes of the annotations by which KEDA and Argo Rollouts are told what to do
/// (kedacore/keda `apis/keda/v1alpha1`, argo-rollouts `pkg/apis/rollouts/v1alpha1`).
/// `argocd.argoproj.io` is another program's.
const PREFIXES: [&str; 6] = [
    "autoscaling.keda.sh/",
    "scaledobject.keda.sh/",
    "scaledjob.keda.sh/",
    "validations.keda.sh/",
    "rollout.argoproj.io/",
    "rollouts.argoproj.io/",
];
/// Changes that are kept apart. What differs in more places than anybody edits is still
/// judged by every effect that there is.
const MOST: usize = 256;

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Path in the object, with the numbers of list items.
    pub path: String,
    /// `None` where the field has no row.
    pub effect: Option<Effect>,
}

/// What an edit changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    is_new: bool,
    /// The fields that differ and have an effect, or no row.
    pub fields: Vec<Changed>,
}

impl Changes {
    pub fn between(table: &Table, old: Option<&Json>, new: &Json) -> Self {
        let mut walk = Walk { table, path: String::new(), shown: String::new(), found: vec![] };
        walk.node(old.unwrap_or(&Json::Null), new);
        Self { is_new: old.is_none(), fields: walk.found }
    }

    /// Whether nothing differs that has an effect.
    pub fn is_empty(&self) -> bool {
        !self.is_new && self.fields.is_empty()
    }

    /// Whether a field with one of these effects differs.
    pub fn any(&self, effects: &[Effect]) -> bool {
        self.is_new || self.fields.iter().any(|c| c.effect.is_some_and(|e| effects.contains(&e)))
    }

    /// Whether something differs at or below one of these paths.
    pub fn below(&self, paths: &[&str]) -> bool {
        self.is_new || self.fields.iter().any(|c| paths.iter().any(|path| c.path.starts_with(path)))
    }

    /// Fields of which the table has no row.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(|c| c.effect.is_none()).map(|c| c.path.as_str())
    }
}

struct Walk<'t> {
    table: &'t Table,
    /// As the rows have it.
    path: String,
    /// As in the object.
    shown: String,
    found: Vec<Changed>,
}

impl Walk<'_> {
    fn node(&mut self, old: &Json, new: &Json) {
        if let Some(row) = self.subtree() {
            self.presence(old, new);
            if !alike(old, new) {
                self.push(Some(row));
            }
            return;
        }
        match (old, new) {
            (Json::Object(_), Json::Object(_) | Json::Null) | (Json::Null, Json::Object(_)) => {
                self.presence(old, new);
                self.fields(old, new);
            }
            (Json::Array(_), Json::Array(_) | Json::Null) | (Json::Null, Json::Array(_)) => {
                self.presence(old, new);
                self.items(old, new);
            }
            _ => self.value(old, new),
        }
    }

    /// An object that comes or goes as a whole may be a row of its own.
    fn presence(&mut self, old: &Json, new: &Json) {
        if old.is_null() != new.is_null() {
            if let Some(row) = self.table.find(&self.path) {
                self.push(Some(row));
            }
        }
    }

    fn fields(&mut self, old: &Json, new: &Json) {
        let keys = |value: &Json| value.as_object().map(|map| map.iter().count()).unwrap_or(0);
        let both = || {
            let (old, new) = (old.as_object(), new.as_object());
            old.into_iter().flat_map(|m| m.iter()).zip(new.into_iter().flat_map(|m| m.iter()))
        };
        // The API server writes both in one order; looking keys up takes time by the
        // square of their number.
        if keys(old) == keys(new) && both().all(|(a, b)| a.0 == b.0) {
            for ((key, old), (_, new)) in both() {
                self.key(key, old, new);
            }
            return;
        }
        if keys(old).max(keys(new)) > MOST_LOOKED_UP {
            self.push(self.table.find(&self.path));
            return;
        }
        for (key, value) in new.as_object().into_iter().flat_map(|map| map.iter()) {
            self.key(key, get(old, key), value);
        }
        for (key, value) in old.as_object().into_iter().flat_map(|map| map.iter()) {
            if !new.as_object().is_some_and(|map| map.iter().any(|(k, _)| k == key)) {
                self.key(key, value, &Json::Null);
            }
        }
    }

    fn key(&mut self, key: &str, old: &Json, new: &Json) {
        if same(old, new) {
            return;
        }
        let (path, shown) = (self.path.len(), self.shown.len());
        for text in [&mut self.path, &mut self.shown] {
            if key.contains(['.', '/', '[']) {
                text.extend(["[", key, "]"]);
            } else {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(key);
            }
        }
        self.node(old, new);
        self.path.truncate(path);
        self.shown.truncate(shown);
    }

    fn items(&mut self, old: &Json, new: &Json) {
        let items = |value: &'_ Json| value.as_array().map_or(0, <[Json]>::len);
        let (path, shown) = (self.path.len(), self.shown.len());
        self.path.push_str("[]");
        for i in 0..items(old).max(items(new)) {
            let item = |value| Json::as_array(value).and_then(|items| items.get(i));
            let (old, new) = (item(old).unwrap_or(&Json::Null), item(new).unwrap_or(&Json::Null));
            if same(old, new) {
                continue;
            }
            self.shown.push_str(&format!("[{i}]"));
            self.node(old, new);
            self.shown.truncate(shown);
        }
        self.path.truncate(path);
    }

    fn value(&mut self, old: &Json, new: &Json) {
        let row = self.table.find(&self.path).or_else(|| self.free_key());
        let absent = row.map_or(Absent::Unset, |row| row.absent);
        let is_absent = |value: &Json| is_absent(value, absent) && !self.is_entry(value);
        let same = match (is_absent(old), is_absent(new)) {
            (true, true) => true,
            (false, false) => same(old, new),
            _ => false,
        };
        if !same {
            self.push(row);
        }
    }

    /// Whether the value is an entry of a map of its own keys: an annotation or label of no
    /// text is there, and KEDA reads it.
    fn is_entry(&self, value: &Json) -> bool {
        let maps = ["metadata.annotations", "metadata.labels"];
        !value.is_null() && maps.iter().any(|map| self.path.starts_with(map))
    }

    /// The row of a subtree that begins here, unless a part of it has a row of its own.
    fn subtree(&mut self) -> Option<Row> {
        let len = self.path.len();
        self.path.push_str(".**");
        let row = self.table.find(&self.path);
        self.path.truncate(len);
        row.filter(|row| !self.table.has_part(row))
    }

    /// The row of the map that has this key.
    fn free_key(&self) -> Option<Row> {
        let map = match self.path.strip_suffix(']').and_then(|p| p.rsplit_once('[')) {
            Some((map, key)) if !key.is_empty() => {
                if PREFIXES.iter().any(|prefix| key.starts_with(prefix)) {
                    return None;
                }
                map
            }
            _ => self.path.rsplit_once('.')?.0,
        };
        self.table.find(&format!("{map}.*"))
    }

    fn push(&mut self, row: Option<Row>) {
        let effect = row.map(|row| row.effect);
        let is_inert = effect == Some(Effect::Nothing);
        // Of what has no row only what a controller may be told by is in question.
        let is_foreign = effect.is_none()
            && !self.path.starts_with("spec")
            && !self.path.starts_with("metadata.annotations[");
        let is_known = self.found.len() >= MOST && self.found.iter().any(|c| c.effect == effect);
        if !is_inert && !is_foreign && !is_known {
            self.found.push(Changed { path: self.shown.clone(), effect });
        }
    }
}

/// Entries of a map beyond which keys are not looked up.
const MOST_LOOKED_UP: usize = 512;

use crate::objects::alike;

/// Whether a value says what an absent one does.
fn is_absent(value: &Json, absent: Absent) -> bool {
    match (value, absent) {
        (Json::Number(n), Absent::Number(default)) => n.as_i64() == Some(default),
        // What is no number is none of its defaults.
        (value, Absent::Number(_)) => value.is_null(),
        (Json::Str(text), Absent::Text(default)) => text.is_empty() || text == default,
        (Json::Bool(on), Absent::True) => *on,
        _ => is_empty(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::table;
    use crate::objects::Object;
    use crate::request::Kind;
    use rstest::rstest;
    use serde_json::{json, Value};

    fn changed(old: Value, new: Value) -> Vec<(String, Option<Effect>)> {
        let table = table(Kind::ScaledObject).unwrap();
        let changes = Changes::between(&table, Some(Object::of(&old).0), Object::of(&new).0);
        changes.fields.into_iter().map(|c| (c.path, c.effect)).collect()
    }

    #[rstest]
    #[case::nothing(json!({"spec": {"maxReplicaCount": 6}}), json!({"spec": {"maxReplicaCount": 6}}), &[])]
    #[case::default_written_out(json!({"spec": {}}), json!({"spec": {"triggers": [{"metricType": "AverageValue"}]}}), &[])]
    #[case::empty_values(json!({"spec": {}}), json!({"spec": {"advanced": {"scalingModifiers": {}}, "fallback": null}}), &[])]
    #[case::maximum(json!({"spec": {"maxReplicaCount": 6}}), json!({"spec": {"maxReplicaCount": 7}}), &[("spec.maxReplicaCount", Some(Effect::Pods))])]
    #[case::maximum_of_another_order(json!({"spec": {"maxReplicaCount": 6, "minReplicaCount": 1}}), json!({"spec": {"minReplicaCount": 1, "maxReplicaCount": 7}}), &[("spec.maxReplicaCount", Some(Effect::Pods))])]
    #[case::label(json!({"metadata": {"labels": {"a.b/c": "d"}}}), json!({"metadata": {}}), &[])]
    #[case::annotation(json!({"metadata": {"annotations": {"a.b/c": "d"}}}), json!({"metadata": {}}), &[])]
    #[case::argo_cds_annotation(json!({}), json!({"metadata": {"annotations": {"argocd.argoproj.io/sync-wave": "1"}}}), &[])]
    #[case::pause(json!({}), json!({"metadata": {"annotations": {"autoscaling.keda.sh/paused": "true"}}}), &[("metadata.annotations[autoscaling.keda.sh/paused]", Some(Effect::Hold))])]
    #[case::annotation_of_a_later_keda(json!({}), json!({"metadata": {"annotations": {"autoscaling.keda.sh/turbo": "1"}}}), &[("metadata.annotations[autoscaling.keda.sh/turbo]", None)])]
    #[case::field_of_a_later_keda(json!({"spec": {}}), json!({"spec": {"burst": 1}}), &[("spec.burst", None)])]
    #[case::field_of_a_later_keda_that_is_empty(json!({"spec": {}}), json!({"spec": {"burst": {"a": false}}}), &[])]
    #[case::a_key_of_a_trigger(json!({"spec": {"triggers": [{}, {"metadata": {"x": "1"}}]}}), json!({"spec": {"triggers": [{}, {"metadata": {"x": "2"}}]}}), &[("spec.triggers[1].metadata.x", Some(Effect::Source))])]
    #[case::no_object(json!({"spec": {"fallback": {"replicas": 1}}}), json!({"spec": {"fallback": 7}}), &[("spec.fallback", None)])]
    #[case::what_nobody_reads(json!({}), json!({"foo": 1, "status": {"x": 1}, "metadata": {"foo": 1}}), &[])]
    fn fields_that_differ(
        #[case] old: Value,
        #[case] new: Value,
        #[case] expected: &[(&str, Option<Effect>)],
    ) {
        let got = changed(old, new);
        assert_eq!(got.iter().map(|c| (c.0.as_str(), c.1)).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn an_object_that_is_there_at_all_is_a_change() {
        let table = table(Kind::Workload(gate::target::TargetKind::Rollout)).unwrap();
        let of = |canary: Value| json!({"spec": {"strategy": {"canary": canary}}});
        let (old, new) = (of(json!({})), of(json!({"trafficRouting": {}})));
        let changes = Changes::between(&table, Some(Object::of(&old).0), Object::of(&new).0);
        assert_eq!(changes.fields[0].path, "spec.strategy.canary.trafficRouting");
    }
}
