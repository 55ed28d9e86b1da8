//! What a scenario's gateway and requests look like to the modules.

use super::format::{Probe, Scenario};
use crate::proxy_host::Plugin;
use gate::slice::Slice;
use serde_json::{json, Value};
use sha2::{Digest, Sha256};

const VM_ID: &str = "canary-gate";

/// An AdmissionReview's request as the API server sends it.
pub fn admission_request(
    operation: &str,
    (kind, namespace, name): (&str, &str, &str),
    old: Option<&Value>,
    new: &Value,
) -> Value {
    let api_version = new.get("apiVersion").and_then(Value::as_str).unwrap_or("v1");
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let deleted = operation == "DELETE";
    json!({
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": { "group": group, "version": version, "kind": kind },
        "resource": { "group": group, "version": version, "resource": format!("{}s", kind.to_lowercase()) },
        "name": name,
        "namespace": namespace,
        "operation": operation,
        "userInfo": { "username": "kubernetes-admin", "groups": ["system:authenticated"] },
        "object": if deleted { &Value::Null } else { new },
        "oldObject": old.unwrap_or(&Value::Null),
        "dryRun": false,
        "options": null,
    })
}

/// The plugins of a gateway: two access loggers or one HTTP filter in one VM,
/// the endpoint in another with the same shared data.
pub fn plugins(scenario: &Scenario) -> Vec<Plugin> {
    let configuration = |role: &str, slice: Option<Value>| {
        let mut c = scenario.gateway.configuration.clone();
        c["role"] = role.into();
        if let Some(slice) = slice {
            c["slice"] = slice;
        }
        if role != "probe" && c.get("tokens").is_none() {
            c["tokens"] = scenario
                .gateway
                .tokens
                .iter()
                .map(|t| json!({ "name": t.name, "role": t.role, "digest": digest(&t.token) }))
                .collect();
        }
        if let Some(map) = c.as_object_mut().filter(|_| role == "probe") {
            map.remove("measure_owner");
            map.remove("tokens");
        }
        c
    };
    let plugin = |name: &str, vm: &str, configuration| Plugin {
        name: name.into(),
        vm_id: VM_ID.into(),
        vm_configuration: vm.into(),
        configuration,
    };
    let mut plugins = match scenario.gateway.probe {
        Probe::AccessLogger => Slice::ALL
            .iter()
            .map(|s| {
                plugin(
                    &format!("probe-{}", s.name()),
                    "probe",
                    configuration("probe", Some(json!({ "fixed": s.name() }))),
                )
            })
            .collect(),
        Probe::HttpFilter => vec![plugin(
            "probe",
            "probe",
            configuration("probe", Some(json!({ "header": "x-openclaw-slice" }))),
        )],
    };
    plugins.push(plugin("endpoint", "endpoint", configuration("endpoint", None)));
    plugins
}

/// A token's digest as the plugin configuration wants it.
pub fn digest(token: &str) -> String {
    let hex: String = Sha256::digest(token.as_bytes()).iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256:{hex}")
}
