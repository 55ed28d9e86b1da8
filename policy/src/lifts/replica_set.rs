//! What an edit of a ReplicaSet lifts that a target's controller made.
//!
//! Its owner scales it. What somebody else asks of it runs beside what the owner counts: a
//! paused or `Recreate` Deployment does not take it back (Kubernetes
//! `pkg/controller/deployment/sync.go`, `scale`), and one that its owner no longer finds
//! runs on while another is made (`controller_ref_manager.go`, `ClaimObject`). So nothing
//! bounds a raise here.

use super::unknown;
use crate::change::Lift;
use crate::fields::{Changes, Effect};
use crate::objects::{workload, Object};
use gate::parse::Json;
use gate::time::Timestamp;

/// Until when Argo Rollouts keeps an old one (argo-rollouts `pkg/apis/rollouts/v1alpha1`).
const DEADLINE: &str = "scale-down-deadline";

pub fn lifts(old: Option<Object>, new: Object, changes: &Changes) -> Vec<Lift> {
    let mut lifts = Vec::new();
    if changes.any(&[Effect::Pods]) {
        lifts.extend(more(old.map_or(0, workload::replicas), workload::replicas(new)));
        lifts.extend(old.and_then(|old| let_go(old, new)));
        let written = |o: Object<'_>| o.annotation(DEADLINE).unwrap_or_default().to_owned();
        // One of an old image is scaled down at once where it has no deadline, and where it
        // had one and it goes away the pods stay (`rollout/canary.go`,
        // `scaleDownOldReplicaSetsForCanary`; `rollout/replicaset.go`, `scaleDownDelayHelper`).
        if let Some(old) = old.filter(|old| written(*old) != written(new)) {
            let time = |o: Object| Timestamp::parse(&written(o)).ok();
            let is_sooner = time(old).zip(time(new)).is_some_and(|(was, is)| is <= was);
            if !is_sooner {
                let field = format!("metadata.annotations.{DEADLINE}");
                lifts.push(Lift::unbounded(&field, "keeps the pods of an old image for longer"));
            }
        }
    }
    lifts.extend(unknown(changes));
    lifts
}

/// A write of its `scale`.
pub fn scale(old: Option<Object>, new: Object, changes: &Changes) -> Vec<Lift> {
    if !changes.any(&[Effect::Pods]) {
        return vec![];
    }
    Vec::from_iter(more(old.map_or(0, workload::scale_replicas), workload::scale_replicas(new)))
}

fn more(before: i64, after: i64) -> Option<Lift> {
    let note = format!("{before} -> {after}: pods beside those that its owner counts");
    (after > before).then(|| Lift { wakes: true, ..Lift::unbounded("spec.replicas", &note) })
}

/// A label that its selector asks for, or its owner, that changes.
fn let_go(old: Object, new: Object) -> Option<Lift> {
    let selector = Object(old.at(&["spec", "selector"]));
    let labels = selector.at(&["matchLabels"]).as_object();
    let expressions = selector.at(&["matchExpressions"]).as_array().unwrap_or_default();
    let by_label = labels.into_iter().flat_map(|map| map.iter()).map(|(key, _)| key.to_owned());
    let by_expression = expressions.iter().map(|e| Object(e).text(&["key"]).to_owned());
    let label = |o: Object<'_>, key: &str| -> Json<'static> {
        match o.at(&["metadata", "labels", key]).as_str() {
            Some(text) => Json::Str(text.to_owned().into()),
            None => Json::Null,
        }
    };
    let note = "changed: its owner no longer finds it and makes another";
    for key in by_label.chain(by_expression) {
        if label(old, &key) != label(new, &key) {
            let field = crate::pods::written(&["metadata", "labels", &key]);
            return Some(Lift::unbounded(&field, note));
        }
    }
    (owner(old).is_some() && owner(old) != owner(new))
        .then(|| Lift::unbounded("metadata.ownerReferences", note))
}

/// The controller that owns an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    pub kind: &'a str,
    pub name: &'a str,
    /// By which the controller knows what is its own (`controller_ref_manager.go`).
    pub uid: &'a str,
}

pub fn owner<'a>(object: Object<'a>) -> Option<Owner<'a>> {
    let references = object.at(&["metadata", "ownerReferences"]).as_array()?;
    let owns = |r: &&Json| Object(r).at(&["controller"]).as_bool() == Some(true);
    let owner = Object(references.iter().find(owns)?);
    let text = |key| owner.text(&[key]);
    Some(Owner { kind: text("kind"), name: text("name"), uid: text("uid") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::table;
    use crate::request::Kind;
    use rstest::rstest;
    use serde_json::{json, Value};

    fn base() -> Value {
        json!({
            "metadata": {
                "labels": {"app": "w", "team": "a"},
                "ownerReferences": [{"kind": "Deployment", "name": "w", "controller": true}],
                "annotations": {DEADLINE: "2026-11-24T10:00:00Z"},
            },
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "w"}, "matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}},
        })
    }

    #[rstest]
    #[case::nothing("/spec/replicas", json!(3), &[])]
    #[case::fewer("/spec/replicas", json!(2), &[])]
    #[case::more("/spec/replicas", json!(4), &["spec.replicas"])]
    #[case::label_that_is_selected("/metadata/labels/app", json!("x"), &["metadata.labels.app"])]
    #[case::label_that_must_not_be("/metadata/labels/tier", json!("x"), &["metadata.labels.tier"])]
    #[case::another_label("/metadata/labels/team", json!("x"), &[])]
    #[case::owner("/metadata/ownerReferences", json!([]), &["metadata.ownerReferences"])]
    #[case::another_owner("/metadata/ownerReferences/0/name", json!("x"), &["metadata.ownerReferences"])]
    #[case::an_owner_of_before("/metadata/ownerReferences/0/uid", json!("x"), &["metadata.ownerReferences"])]
    #[case::owner_in_the_way("/metadata/ownerReferences/0/blockOwnerDeletion", json!(true), &[])]
    #[case::later("/metadata/annotations/scale-down-deadline", json!("2026-11-24T10:00:01Z"), &["metadata.annotations.scale-down-deadline"])]
    #[case::sooner("/metadata/annotations/scale-down-deadline", json!("2026-11-24T09:00:00Z"), &[])]
    #[case::no_deadline("/metadata/annotations/scale-down-deadline", json!(null), &["metadata.annotations.scale-down-deadline"])]
    #[case::no_time("/metadata/annotations/scale-down-deadline", json!("later"), &["metadata.annotations.scale-down-deadline"])]
    fn of_an_update(#[case] pointer: &str, #[case] value: Value, #[case] expected: &[&str]) {
        let (old, mut new) = (base(), base());
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match new.pointer_mut(parent).unwrap() {
            Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
            map => map[key] = value,
        }
        let (old, new) = (Object::of(&old), Object::of(&new));
        let changes = Changes::between(&table(Kind::ReplicaSet).unwrap(), Some(old.0), new.0);
        let got = lifts(Some(old), new, &changes);
        assert_eq!(got.iter().map(|l| l.field.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_new_one_with_pods_is_beside_all() {
        let v = json!({"spec": {"replicas": 2}});
        let changes = Changes::between(&table(Kind::ReplicaSet).unwrap(), None, Object::of(&v).0);
        assert_eq!(lifts(None, Object::of(&v), &changes)[0].new, i64::MAX);
    }
}
