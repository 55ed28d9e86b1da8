//! The gateways' states: what the policy says of them, and whether their clocks agree.

use super::{Fault, Lane};
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::module::CompiledModule;
use crate::policy_host::PolicyHost;
use crate::scenario::setup::admission_request;
use anyhow::Result;
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
        let managers = object["metadata"]["managedFields"].as_array().into_iter().flatten();
        let written = managers
            .filter(|m| m.pointer("/fieldsV1/f:data/f:verdict").is_some())
            .filter_map(|m| Timestamp::parse(m["time"].as_str()?).ok())
            .max();
        let (Ok(verdict), Some(written)) = (Verdict::parse(text), written) else { continue };
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
}
