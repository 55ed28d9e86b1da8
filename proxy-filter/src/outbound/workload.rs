//! How many replicas of the worker workload are asked for now: what
//! `scaling.hold_replicas` follows.
//!
//! Read from `scale`, which is the same small object for every kind.

use super::{Call, Reply};
use crate::config::Lane;
use gate::slice::Slice;
use gate::target::{Target, TargetKind};
use serde_json::Value;

/// The workload that is read: the lane's first stable one that has replicas.
fn target(lane: &Lane) -> Option<&Target> {
    let has_replicas = |t: &&Target| t.slice == Slice::Stable && t.kind != TargetKind::ScaledJob;
    lane.targets.iter().find(has_replicas)
}

/// `None` where the lane has no such workload.
pub fn get_scale(lane: &Lane) -> Option<Call> {
    let t = target(lane)?;
    let path = format!(
        "/apis/{}/{}/namespaces/{}/{}/{}/scale",
        t.kind.group(),
        t.kind.version(),
        lane.namespace,
        t.kind.resource(),
        t.name
    );
    Some(Call { method: "GET", path, content_type: "application/json", body: vec![] })
}

/// Absent is 0 in a Scale.
///
/// # Errors
/// What the API server answered instead.
pub fn read(reply: &Reply) -> Result<u32, String> {
    let scale = super::object(reply)?;
    let replicas = scale.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(0);
    u32::try_from(replicas).map_err(|_| format!("spec.replicas: {replicas} is no count"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{tests::sample, Config};
    use serde_json::json;

    #[test]
    fn the_first_stable_workload_is_read() {
        let mut config = sample();
        config["lane"]["targets"] = json!([
            {"kind": "ScaledJob", "name": "jobs", "slice": "stable"},
            {"kind": "Deployment", "name": "canary", "slice": "canary"},
            {"kind": "Rollout", "name": "worker", "slice": "stable"},
        ]);
        let config = Config::parse(config.to_string().as_bytes()).unwrap();
        assert_eq!(
            get_scale(&config.lane).unwrap().path,
            "/apis/argoproj.io/v1alpha1/namespaces/builds/rollouts/worker/scale"
        );
    }

    #[test]
    fn a_scale_without_a_number_has_none() {
        let reply = |status, body: serde_json::Value| Reply {
            retry_after_ms: 0,
            status: Some(status),
            body: body.to_string().into_bytes(),
        };
        assert_eq!(read(&reply(200, json!({"spec": {"replicas": 5}}))), Ok(5));
        assert_eq!(read(&reply(200, json!({"spec": {}}))), Ok(0));
        assert!(read(&reply(403, json!({"message": "no"}))).unwrap_err().contains("403 no"));
        assert!(read(&reply(200, json!("x"))).is_ok_and(|n| n == 0));
    }
}
