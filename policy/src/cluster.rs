//! Every look-up of the policy, and its clock.
//!
//! The lane's state ConfigMaps and nothing else: a first list of a kind that
//! is absent hangs until the webhook's time-out. One list for all lanes of a
//! namespace (the host keeps a watch for each distinct query, for good), with
//! a field mask; a get past the host's cache where the list cannot be trusted.
//! Errors of the host become the reason why a gateway is not known.
//!
//! Needs: `list`, `watch` and `get` on ConfigMaps of the lane's namespace for
//! the policy server's account, and the kind in the policy's
//! `contextAwareResources`.

use crate::settings::Lane;
use gate::lane::{GatewayState, Unknown};
use gate::time::Timestamp;
use gate::verdict::{config_map_name, Verdict, LANE_LABEL, VERDICT_KEY};
use kubewarden_policy_sdk::wapc_guest;
use serde_json::{json, Map, Value};
use std::time::{SystemTime, UNIX_EPOCH};

/// The host's wall clock.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(0))
}

/// The state of every gateway of the lane, by one list.
pub fn list_states(lane: &Lane, now: Timestamp) -> Vec<GatewayState> {
    let request = json!({
        "api_version": "v1",
        "kind": "ConfigMap",
        "namespace": lane.namespace,
        "label_selector": LANE_LABEL,
        "field_selector": null,
        "field_masks": field_masks(),
    });
    let by_name = call("list_resources_by_namespace", &request).and_then(by_name);
    lane.gateways
        .iter()
        .map(|g| {
            let verdict = by_name
                .as_ref()
                .map_err(|e| Unknown::Missing(e.clone()))
                .and_then(|objects| {
                    objects.get(&config_map_name(&g.id)).ok_or_else(|| not_found(lane, &g.id))
                })
                .and_then(verdict_of);
            GatewayState::of(&g.id, &g.az, verdict, lane.max_state_age.0, now)
        })
        .collect()
}

/// The items of a list by their names.
fn by_name(mut list: Value) -> Result<Map<String, Value>, String> {
    let Some(Value::Array(items)) = list.get_mut("items").map(Value::take) else {
        return Err("the host's answer has no items".to_owned());
    };
    // One by one: collecting brings a sort with it, seven kilobytes of it.
    let mut objects = Map::new();
    for item in items {
        if let Some(name) = item.pointer("/metadata/name").and_then(Value::as_str) {
            objects.insert(name.to_owned(), item);
        }
    }
    Ok(objects)
}

/// The state of one gateway, past every cache.
pub fn get_state(lane: &Lane, id: &str, az: &str, now: Timestamp) -> GatewayState {
    let request = json!({
        "api_version": "v1",
        "kind": "ConfigMap",
        "name": config_map_name(id),
        "namespace": lane.namespace,
        "disable_cache": true,
        "field_masks": field_masks(),
    });
    let verdict = call("get_resource", &request)
        .map_err(|e| {
            if e.contains("annot find") || e.contains("not found") {
                not_found(lane, id)
            } else {
                Unknown::Missing(e)
            }
        })
        .and_then(|object| verdict_of(&object));
    GatewayState::of(id, az, verdict, lane.max_state_age.0, now)
}

fn field_masks() -> [String; 2] {
    ["metadata.name".to_owned(), format!("data.{VERDICT_KEY}")]
}

fn verdict_of(object: &Value) -> Result<Verdict, Unknown> {
    let text = object
        .pointer(&format!("/data/{VERDICT_KEY}"))
        .and_then(Value::as_str)
        .ok_or_else(|| Unknown::Malformed(format!("data.{VERDICT_KEY} is not there")))?;
    Verdict::parse(text).map_err(Unknown::Malformed)
}

fn not_found(lane: &Lane, id: &str) -> Unknown {
    Unknown::Missing(format!(
        "ConfigMap {}/{} is not there: is the filter on that gateway loaded and allowed to write it?",
        lane.namespace,
        config_map_name(id)
    ))
}

/// One call of the host; its error becomes a sentence with what to do.
fn call(operation: &str, request: &Value) -> Result<Value, String> {
    let payload = serde_json::to_vec(request).map_err(|e| e.to_string())?;
    let answer = wapc_guest::host_call("kubewarden", "kubernetes", operation, &payload)
        .map_err(|e| explain(&e.to_string()))?;
    serde_json::from_slice(&answer).map_err(|e| format!("the host's answer is no JSON: {e}"))
}

fn explain(error: &str) -> String {
    let lower = error.to_ascii_lowercase();
    if lower.contains("not been granted access") {
        format!("{error} Add `contextAwareResources: [{{apiVersion: v1, kind: ConfigMap}}]` to the ClusterAdmissionPolicy")
    } else if lower.contains("forbidden") {
        format!("{error} Allow the policy server's service account to get, list and watch ConfigMaps in the lane's namespace")
    } else {
        error.to_owned()
    }
}
