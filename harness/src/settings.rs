//! Whether settings are taken, asked of the built modules themselves: the
//! policy's of a ClusterAdmissionPolicy or alone, the filter's of an Envoy
//! configuration, a WasmPlugin, an EnvoyExtensionPolicy or alone.

use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::policy_host::PolicyHost;
use crate::proxy_host::{Plugin, Proxy};
use crate::scenario::run::Modules;
use anyhow::Result;
use gate::time::Timestamp;
use serde_json::Value;
use std::sync::{Arc, Mutex};

/// Settings that were found in a document, and where.
#[derive(Debug, PartialEq)]
pub struct Found {
    pub what: String,
    pub of: Of,
    pub settings: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Policy,
    Filter,
}

/// Every settings of ours in a document; none is an error of the caller.
pub fn find(document: &Value) -> Vec<Found> {
    let found = |what: &str, of, settings: &Value| Found {
        what: what.to_owned(),
        of,
        settings: settings.clone(),
    };
    let kind = document["kind"].as_str().unwrap_or_default();
    let spec = &document["spec"];
    match kind {
        "ClusterAdmissionPolicy" | "AdmissionPolicy" => {
            return vec![found("spec.settings", Of::Policy, &spec["settings"])];
        }
        "WasmPlugin" => return vec![found("spec.pluginConfig", Of::Filter, &spec["pluginConfig"])],
        "EnvoyExtensionPolicy" => {
            let plugins = spec["wasm"].as_array().into_iter().flatten().enumerate();
            return plugins
                .map(|(i, p)| found(&format!("spec.wasm[{i}].config"), Of::Filter, &p["config"]))
                .collect();
        }
        _ => {}
    }
    if document.get("lanes").is_some() {
        return vec![found("settings", Of::Policy, document)];
    }
    if document.get("role").is_some() {
        return vec![found("configuration", Of::Filter, document)];
    }
    let mut all = vec![];
    plugins(document, &mut |plugin| {
        let text = plugin["configuration"]["value"].as_str().unwrap_or_default();
        let settings =
            serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
        let what = format!("plugin {}", plugin["name"].as_str().unwrap_or("?"));
        all.push(Found { what, of: Of::Filter, settings });
    });
    all
}

/// Calls `visit` with every Wasm plugin of an Envoy configuration, wherever it stands.
pub fn plugins(value: &Value, visit: &mut impl FnMut(&Value)) {
    match value {
        Value::Object(map) if map.contains_key("vm_config") => visit(value),
        Value::Object(map) => map.values().for_each(|v| plugins(v, visit)),
        Value::Array(items) => items.iter().for_each(|v| plugins(v, visit)),
        _ => {}
    }
}

/// Asks the module that the settings are for. `Err` is its own word on them.
///
/// # Errors
/// The policy traps.
pub fn check(modules: &Modules, found: &Found) -> Result<Result<(), String>> {
    let clock = Clock::at(Timestamp::default());
    match found.of {
        Of::Policy => {
            let cluster = Arc::new(Mutex::new(Cluster::default()));
            let host = PolicyHost::start(&modules.policy, clock, cluster)?;
            host.validate_settings(found.settings.to_string().as_bytes())
        }
        Of::Filter => {
            let plugin = Plugin {
                name: found.what.clone(),
                vm_id: "check".to_owned(),
                vm_configuration: String::new(),
                configuration: found.settings.clone(),
            };
            let started = Proxy::start(&modules.filter, clock, 1, vec![plugin], &[]);
            let own_word = |e: String| match e.rsplit_once("plugin configuration: ") {
                Some((_, why)) => why.to_owned(),
                None => e,
            };
            Ok(started.map(|_| ()).map_err(|e| own_word(format!("{e:#}"))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case(json!({"kind": "ClusterAdmissionPolicy", "spec": {"settings": 1}}), "spec.settings", Of::Policy)]
    #[case(json!({"lanes": []}), "settings", Of::Policy)]
    #[case(json!({"role": "probe"}), "configuration", Of::Filter)]
    #[case(json!({"kind": "WasmPlugin", "spec": {"pluginConfig": 1}}), "spec.pluginConfig", Of::Filter)]
    #[case(json!({"kind": "EnvoyExtensionPolicy", "spec": {"wasm": [{"config": 1}]}}), "spec.wasm[0].config", Of::Filter)]
    #[case(json!({"a": [{"vm_config": {}, "name": "p", "configuration": {"value": "{}"}}]}), "plugin p", Of::Filter)]
    fn where_settings_stand(#[case] document: Value, #[case] what: &str, #[case] of: Of) {
        let found = find(&document);
        assert_eq!(found.iter().map(|f| (f.what.as_str(), f.of)).collect::<Vec<_>>(), [(what, of)]);
    }

    #[test]
    fn a_document_without_any_has_none() {
        assert!(find(&json!({"kind": "Deployment"})).is_empty());
    }
}
