//! Which lanes an edit touches, and what it lifts there.
//!
//! A lane is its scale targets, by namespace, kind and name and nothing else:
//! no label is looked at, so relabelling is no way out. An edit touches a lane
//! when the old or the new object does, so neither is retargeting.

use crate::objects::scaled_object::{self, ScaledObject};
use crate::request::{Operation, Request};
use crate::rules::{ceiling_bypass, Lift};
use crate::settings::{Lane, Settings};
use gate::lane::Target;

/// An edit, seen by one target of one lane.
#[derive(Debug)]
pub struct Change<'a> {
    pub lane: &'a Lane,
    pub target: &'a Target,
    /// `ScaledObject builds/openclaw-worker`.
    pub object: String,
    /// Everything that the edit lifts; empty means that it passes without a look at any state.
    pub lifts: Vec<Lift>,
}

/// The changes of a request; empty when it is in no lane's scope.
///
/// # Errors
/// The part of the request that cannot be read.
pub fn changes<'a>(settings: &'a Settings, request: &Request) -> Result<Vec<Change<'a>>, String> {
    let is_scaled_object =
        request.kind == scaled_object::KIND && request.group == scaled_object::GROUP;
    // Status writes are KEDA's own; the numbers it acts on are in spec and metadata.
    if !is_scaled_object || !request.sub_resource.is_empty() {
        return Ok(vec![]);
    }
    let old = match request.operation()? {
        Operation::Other => return Ok(vec![]),
        Operation::Create => None,
        Operation::Update => Some(ScaledObject::new(&request.old_object, "request.oldObject")?),
    };
    let new = ScaledObject::new(&request.object, "request.object")?;
    if request.namespace.is_empty() {
        return Err("request.namespace: is missing".to_owned());
    }
    let name = if request.name.is_empty() { new.name() } else { &request.name };
    let mut changes = Vec::new();
    for lane in settings.lanes.iter().filter(|l| l.namespace == request.namespace) {
        for target in &lane.targets {
            let is_target = |so: ScaledObject| {
                so.target().kind == target.kind.name() && so.target().name == target.name
            };
            let old_here = old.filter(|so| is_target(*so));
            let lifts = match (old_here, is_target(new)) {
                (Some(old), true) => ceiling_bypass::update(old, new),
                (Some(_), false) => vec![ceiling_bypass::retarget_away(target, new)],
                (None, true) => ceiling_bypass::create(name, target, new, old.is_some()),
                (None, false) => continue,
            };
            changes.push(Change {
                lane,
                target,
                object: format!("{} {}/{name}", scaled_object::KIND, request.namespace),
                lifts,
            });
        }
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::sample;
    use rstest::rstest;
    use serde_json::{json, Value};

    fn so(kind: &str, target: &str, max: i64) -> Value {
        json!({
            "metadata": {"name": "openclaw-worker", "labels": {"a": "b"}},
            "spec": {"scaleTargetRef": {"kind": kind, "name": target}, "maxReplicaCount": max}
        })
    }

    fn request(namespace: &str, operation: &str, old: Value, new: Value) -> Request {
        let mut r = Request {
            operation: operation.into(),
            namespace: namespace.into(),
            name: "openclaw-worker".into(),
            object: new,
            old_object: old,
            ..Request::default()
        };
        r.kind = "ScaledObject".into();
        r.group = "keda.sh".into();
        r
    }

    const WORKER: &str = "openclaw-worker";

    #[rstest]
    #[case::raise(
        request("builds", "UPDATE", so("Deployment", WORKER, 6), so("Deployment", WORKER, 7)),
        Some(1)
    )]
    #[case::lower(
        request("builds", "UPDATE", so("Deployment", WORKER, 6), so("Deployment", WORKER, 5)),
        Some(0)
    )]
    #[case::other_namespace(
        request("web", "UPDATE", so("Deployment", WORKER, 6), so("Deployment", WORKER, 7)),
        None
    )]
    #[case::other_kind(
        request("builds", "UPDATE", so("StatefulSet", WORKER, 6), so("StatefulSet", WORKER, 7)),
        None
    )]
    #[case::other_name(
        request("builds", "UPDATE", so("Deployment", "web", 6), so("Deployment", "web", 7)),
        None
    )]
    #[case::retarget_away(
        request("builds", "UPDATE", so("Deployment", WORKER, 6), so("Deployment", "web", 6)),
        Some(1)
    )]
    #[case::retarget_onto(
        request("builds", "UPDATE", so("Deployment", "web", 6), so("Deployment", WORKER, 6)),
        Some(2)
    )]
    #[case::create(request("builds", "CREATE", Value::Null, so("Deployment", WORKER, 6)), Some(1))]
    #[case::delete(request("builds", "DELETE", so("Deployment", WORKER, 6), Value::Null), None)]
    fn lifts_in_scope(#[case] r: Request, #[case] expected: Option<usize>) {
        let s = sample();
        let c = changes(&s, &r).unwrap();
        assert_eq!(c.first().map(|c| c.lifts.len()), expected, "{c:?}");
    }

    #[test]
    fn relabelling_is_no_way_out() {
        let mut new = so("Deployment", WORKER, 9);
        new["metadata"]["labels"] = Value::Null;
        let r = request("builds", "UPDATE", so("Deployment", WORKER, 6), new);
        assert_eq!(changes(&sample(), &r).unwrap()[0].lifts.len(), 1);
    }

    #[rstest]
    #[case("UPDATE", json!({}), Value::Null, "request.object")]
    #[case("UPDATE", Value::Null, json!({}), "request.oldObject")]
    #[case("CREATE", Value::Null, json!("x"), "request.object")]
    #[case("PATCH", json!({}), json!({}), "request.operation: `PATCH`")]
    fn names_what_it_cannot_read(
        #[case] op: &str,
        #[case] old: Value,
        #[case] new: Value,
        #[case] expected: &str,
    ) {
        let e = changes(&sample(), &request("builds", op, old, new)).unwrap_err();
        assert!(e.contains(expected), "{e}");
    }
}
