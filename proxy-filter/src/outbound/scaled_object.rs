//! A target's ScaledObject: what its maximum is, and a lower one; KEDA's pause
//! of scale-out, put on and taken away.
//!
//! The PATCH carries the `resourceVersion` that was read, so that nobody's
//! later edit is overwritten; on 409 it is read again.

use super::{Call, Reply};
use crate::config::Lane;
use gate::pause::{Annotations, Change};
use serde_json::{json, Value};

fn path(lane: &Lane, name: &str) -> String {
    format!("/apis/keda.sh/v1alpha1/namespaces/{}/scaledobjects/{name}", lane.namespace)
}

pub fn get(lane: &Lane, name: &str) -> Call {
    Call { method: "GET", path: path(lane, name), content_type: "application/json", body: vec![] }
}

/// Merge PATCH of the maximum alone.
pub fn lower(lane: &Lane, name: &str, resource_version: &str, max: u32) -> Call {
    patch(
        lane,
        name,
        &json!({
            "metadata": { "resourceVersion": resource_version },
            "spec": { "maxReplicaCount": max },
        }),
    )
}

/// Merge PATCH of annotations alone.
pub fn annotate(lane: &Lane, name: &str, resource_version: &str, change: &Change) -> Call {
    patch(
        lane,
        name,
        &json!({
            "metadata": { "resourceVersion": resource_version, "annotations": change },
        }),
    )
}

fn patch(lane: &Lane, name: &str, patch: &Value) -> Call {
    Call {
        method: "PATCH",
        path: path(lane, name),
        content_type: "application/merge-patch+json",
        body: patch.to_string().into_bytes(),
    }
}

/// What matters of a ScaledObject; absent as KEDA has it.
#[derive(Debug, PartialEq, Eq)]
pub struct Read {
    pub max: Option<i64>,
    pub min: Option<i64>,
    pub annotations: Annotations,
    pub resource_version: String,
}

/// `None` where there is no such object.
///
/// # Errors
/// What the API server answered instead.
pub fn read(reply: &Reply) -> Result<Option<Read>, String> {
    if reply.status == Some(404) {
        return Ok(None);
    }
    let object = super::object(reply)?;
    let number = |key: &str| object.pointer(&format!("/spec/{key}")).and_then(Value::as_i64);
    let annotations = object.pointer("/metadata/annotations").cloned().unwrap_or_default();
    Ok(Some(Read {
        max: number("maxReplicaCount"),
        min: number("minReplicaCount"),
        annotations: serde_json::from_value(annotations).unwrap_or_default(),
        resource_version: super::resource_version(&object)
            .ok_or("the API server's answer has no resourceVersion")?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{tests::sample, Config};
    use crate::outbound::tests::reply;

    #[test]
    fn numbers_are_read_and_the_maximum_written_alone() {
        let body = json!({
            "metadata": {"resourceVersion": "7"}, "spec": {"maxReplicaCount": 20, "minReplicaCount": 1}
        });
        let reply = reply(Some(200), body.to_string().into_bytes());
        let numbers = read(&reply).unwrap().unwrap();
        assert_eq!((numbers.max, numbers.min), (Some(20), Some(1)));
        let config = Config::parse(sample().to_string().as_bytes()).unwrap();
        let call = lower(&config.lane, "openclaw-worker", &numbers.resource_version, 7);
        assert_eq!(
            call.path,
            "/apis/keda.sh/v1alpha1/namespaces/builds/scaledobjects/openclaw-worker"
        );
        let patch: Value = serde_json::from_slice(&call.body).unwrap();
        assert_eq!(
            patch,
            json!({"metadata": {"resourceVersion": "7"}, "spec": {"maxReplicaCount": 7}})
        );
    }

    #[test]
    fn annotations_are_read_and_written_alone() {
        let body = json!({
            "metadata": {"resourceVersion": "7", "annotations": {"a": "1"}}, "spec": {}
        });
        let read = read(&reply(Some(200), body.to_string().into_bytes())).unwrap().unwrap();
        assert_eq!(read.annotations["a"], "1");
        let config = Config::parse(sample().to_string().as_bytes()).unwrap();
        let change = Change::from([("a".to_owned(), None), ("b".to_owned(), Some("2".to_owned()))]);
        let call = annotate(&config.lane, "openclaw-worker", "7", &change);
        let patch: Value = serde_json::from_slice(&call.body).unwrap();
        assert_eq!(
            patch,
            json!({"metadata": {"resourceVersion": "7", "annotations": {"a": null, "b": "2"}}})
        );
    }

    #[test]
    fn one_that_is_gone_is_no_failure() {
        assert_eq!(read(&reply(Some(404), vec![])), Ok(None));
        assert!(read(&reply(Some(403), vec![])).is_err());
        assert!(read(&reply(None, vec![])).is_err());
        assert!(read(&reply(Some(200), b"{}".to_vec())).is_err());
    }
}
