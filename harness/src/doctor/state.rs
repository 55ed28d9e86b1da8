//! The gateways' states: what the policy says of them, and whether their clocks agree.

use super::{Fault, Lane};
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::module::CompiledModule;
use crate::policy_host::PolicyHost;
use crate::scenario::setup::admission_request;
use anyhow::Result;
use gate::break_glass;
use gate::threshold::MAX_FUTURE_S;
use gate::time::Timestamp;
use gate::verdict::{self, Verdict};
use serde_json::{json, Value};
use std::sync::{Arc, Mutex};

/// What the policy would say of a raise on the lane now, where that is not the
/// canary's doing: a gateway that is not known.
///
/// # Errors
/// The policy traps.
pub fn known(
    policy: &CompiledModule,
    settings: &Value,
    lane: &Lane,
    config_maps: &[Value],
    now: Timestamp,
) -> Result<Option<Fault>> {
    let Some(target) = lane.targets.first() else { return Ok(None) };
    let mut cluster = Cluster::default();
    for object in config_maps {
        let mut object = object.clone();
        // Items of a list carry no kind.
        object["apiVersion"] = "v1".into();
        object["kind"] = "ConfigMap".into();
        cluster.put(object);
    }
    let host = PolicyHost::start(policy, Clock::at(now), Arc::new(Mutex::new(cluster)))?;
    // A ScaledJob is its own target; another without a ScaledObject is written to itself.
    let (asked, name) = match &target.scaled_object {
        Some(name) => ("ScaledObject", name),
        None => (target.kind.as_str(), &target.name),
    };
    let object = |max: u32| {
        let keda = "keda.sh/v1alpha1";
        let (api, spec) = match asked {
            "ScaledObject" => (
                keda,
                json!({
                    "scaleTargetRef": { "kind": target.kind, "name": target.name },
                    "minReplicaCount": 1, "maxReplicaCount": max,
                }),
            ),
            "ScaledJob" => (keda, json!({ "maxReplicaCount": max })),
            "Rollout" => ("argoproj.io/v1alpha1", json!({ "replicas": max })),
            _ => ("apps/v1", json!({ "replicas": max })),
        };
        json!({
            "apiVersion": api, "kind": asked,
            "metadata": { "name": name, "namespace": lane.namespace }, "spec": spec,
        })
    };
    let at = (asked, lane.namespace.as_str(), name.as_str());
    let raise = admission_request("UPDATE", at, Some(&object(1)), &object(2));
    let verdict = host.validate(settings, &raise)?;
    let message = verdict.message.filter(|_| !verdict.accepted).unwrap_or_default();
    Ok(message.contains(" is not known").then(|| {
        let why = message.lines().find_map(|line| line.strip_prefix("Why: "));
        let why = why.unwrap_or_default().trim_end_matches('.');
        Fault::new(why.to_owned(), "See that gateway: its log, its token, its clock.")
    }))
}

/// Clocks, by the API server's: each verdict says when it was observed, and the
/// API server when it was written.
pub fn clocks(lane: &Lane, config_maps: &[Value]) -> Vec<Fault> {
    let mut faults = vec![];
    for (gateway, _) in &lane.gateways {
        let name = verdict::config_map_name(gateway);
        let Some(object) = config_maps.iter().find(|o| o["metadata"]["name"] == name.as_str())
        else {
            continue;
        };
        let text = object["data"][verdict::VERDICT_KEY].as_str().unwrap_or_default();
        let (Ok(verdict), Some(written)) = (Verdict::parse(text), written(object)) else {
            continue;
        };
        let off_s = verdict.observed_at.since(written);
        if off_s.abs() > MAX_FUTURE_S {
            let way = if off_s > 0 { "ahead of" } else { "behind" };
            faults.push(Fault::new(
                format!("gateway {gateway}'s clock is {} s {way} the API server's", off_s.abs()),
                "Set it by NTP: a verdict from the future or too old counts as none.",
            ));
        }
    }
    faults
}

/// States and overrides that stood there before the policy: nobody judged who wrote them.
/// `policy` is the lane's, as the API server has it.
pub fn older_than(policy: &Value, lane: &Lane, config_maps: &[Value]) -> Vec<Fault> {
    let time = |object: &Value| {
        Timestamp::parse(object["metadata"]["creationTimestamp"].as_str().unwrap_or_default()).ok()
    };
    let Some(installed) = time(policy) else { return vec![] };
    let glass = break_glass::config_map_name(&lane.name);
    let mut faults = vec![];
    for object in config_maps {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if name == glass && time(object).is_some_and(|made| made < installed) {
            faults.push(Fault::new(
                format!("ConfigMap {}/{name} is older than the policy", lane.namespace),
                "Look who wrote it, and delete it: it may lift the freeze.",
            ));
        }
        let is_state = lane.gateways.iter().any(|(id, _)| verdict::config_map_name(id) == name);
        if is_state && written(object).is_some_and(|at| at < installed) {
            faults.push(Fault::new(
                format!(
                    "ConfigMap {}/{name} was last written before the policy was there",
                    lane.namespace
                ),
                "Look at that gateway; delete the state if it is not its own.",
            ));
        }
    }
    faults
}

/// When a gateway's verdict was last written, by the API server's clock.
fn written(object: &Value) -> Option<Timestamp> {
    let managers = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    managers
        .filter(|m| m.pointer("/fieldsV1/f:data/f:verdict").is_some())
        .filter_map(|m| Timestamp::parse(m["time"].as_str()?).ok())
        .max()
}

/// Accounts of gateways that those who edit the workers may act as.
pub fn accounts(lane: &Lane) -> Vec<Fault> {
    let prefix = format!("system:serviceaccount:{}:", lane.namespace);
    let is_here = |(_, writer): &&(String, String)| writer.starts_with(&prefix);
    let fault = |(gateway, writer): &(String, String)| {
        Fault::new(
            format!("gateway {gateway}'s account {writer} is in the workers' namespace"),
            "Move it into one of its own, as deploy/rbac/gateway-gw-a1.yaml: the role `edit` may \
             impersonate accounts and start pods under them, and so write verdicts.",
        )
    };
    lane.gateways.iter().filter(is_here).map(fault).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::right(3, None)]
    #[case::behind(-300, Some("300 s behind"))]
    #[case::ahead(300, Some("300 s ahead of"))]
    fn clocks_by_the_api_servers(#[case] off_s: i64, #[case] expected: Option<&str>) {
        let written = Timestamp::from_secs(1_795_510_800);
        let observed = Timestamp::from_millis(written.millis() + off_s * 1000);
        let text = format!(
            r#"{{"schema":"verdict.v1","gateway":"gw-a1","az":"a","observed_at":"{observed}","status":"healthy","canary_active":false,"degraded":false,"frozen":false,"frozen_by":[],"aborted":false,"asleep":false,"disk":"ok","disk_tier":"1TB","epoch":1,"promotion_frozen":false,"maintenance":false,"headroom":1,"reason":""}}"#
        );
        let object = json!({
            "metadata": { "name": "canary-gate.gw-a1", "managedFields": [
                { "time": written.to_string(), "fieldsV1": { "f:data": { "f:verdict": {} } } },
            ] },
            "data": { "verdict": text },
        });
        let lane = Lane {
            name: "l".into(),
            namespace: "builds".into(),
            gateways: vec![("gw-a1".into(), String::new())],
            targets: vec![],
        };
        let faults = clocks(&lane, &[object]);
        assert_eq!(faults.len(), usize::from(expected.is_some()), "{faults:?}");
        assert!(expected.is_none_or(|text| faults[0].what.contains(text)), "{faults:?}");
    }

    fn lane(writer: &str) -> Lane {
        Lane {
            name: "l".into(),
            namespace: "builds".into(),
            gateways: vec![("gw-a1".into(), writer.into())],
            targets: vec![],
        }
    }

    #[rstest]
    #[case::after("canary-gate.break-glass.l", "2026-11-24T09:00:01Z", None)]
    #[case::planted(
        "canary-gate.break-glass.l",
        "2026-11-24T08:59:59Z",
        Some("is older than the policy")
    )]
    #[case::of_another_lane("canary-gate.break-glass.m", "2026-11-24T08:59:59Z", None)]
    #[case::written_since("canary-gate.gw-a1", "2026-11-24T09:00:01Z", None)]
    #[case::never_since(
        "canary-gate.gw-a1",
        "2026-11-24T08:59:59Z",
        Some("was last written before")
    )]
    fn what_stood_there_before(
        #[case] name: &str,
        #[case] at: &str,
        #[case] expected: Option<&str>,
    ) {
        let policy = json!({ "metadata": { "creationTimestamp": "2026-11-24T09:00:00Z" } });
        let object = json!({ "metadata": { "name": name, "creationTimestamp": at, "managedFields": [
            { "time": at, "fieldsV1": { "f:data": { "f:verdict": {} } } },
        ] } });
        let faults = older_than(&policy, &lane(""), &[object]);
        assert_eq!(faults.len(), usize::from(expected.is_some()), "{faults:?}");
        assert!(expected.is_none_or(|text| faults[0].what.contains(text)), "{faults:?}");
    }

    #[rstest]
    #[case("system:serviceaccount:builds:gw-a1", 1)]
    #[case("system:serviceaccount:canary-gate:gw-a1", 0)]
    fn accounts_beside_the_workers(#[case] writer: &str, #[case] expected: usize) {
        assert_eq!(accounts(&lane(writer)).len(), expected);
    }
}
