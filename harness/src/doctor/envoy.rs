//! Envoy, by its admin port: version, and how the plugins are set up.

use super::Fault;
use crate::settings;
use gate::parse;
use serde_json::Value;

/// The oldest Envoy that this was tested in, major and minor.
const TESTED: (u32, u32) = (1, 40);

pub(super) struct Plugin {
    name: String,
    vm: (String, String),
    failure_policy: String,
    stops: bool,
    pub(super) configuration: Value,
}

impl Plugin {
    pub(super) fn has_role(&self, role: &str) -> bool {
        let own = self.configuration["role"].as_str();
        own == Some(role) || own == Some("both")
    }
}

/// Our plugins; others' have no lane.
pub(super) fn plugins(config_dump: &Value) -> Vec<Plugin> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut all = vec![];
    settings::plugins(config_dump, &mut |plugin| {
        let (vm, configuration) = (&plugin["vm_config"], &plugin["configuration"]["value"]);
        let configuration: Value = parse::json(text(configuration).as_bytes()).unwrap_or_default();
        if configuration.get("lane").is_some() {
            all.push(Plugin {
                name: text(&plugin["name"]),
                vm: (text(&vm["vm_id"]), text(&vm["configuration"]["value"])),
                failure_policy: text(&plugin["failure_policy"]),
                stops: plugin["allow_on_headers_stop_iteration"] == true,
                configuration,
            });
        }
    });
    all
}

/// Whether a gateway lowers maxima: it publishes, and was not told to leave them.
pub fn lowers_caps(config_dump: &Value) -> bool {
    let publishes = |p: &Plugin| {
        let publish = &p.configuration["publish"];
        publish.is_object() && publish["lower_max_replicas"] != false
    };
    plugins(config_dump).iter().any(publishes)
}

/// `server_info` and `config_dump` as the admin port answers them.
pub fn check(server_info: &Value, config_dump: &Value) -> Vec<Fault> {
    let mut faults = vec![];
    let mut fault = |what: String, remedy| faults.push(Fault::new(what, remedy));
    let version = server_info["version"].as_str().unwrap_or_default();
    let numbers = version.split('/').nth(1).unwrap_or_default();
    let mut parts = numbers.split('.').map(|n| n.parse::<u32>().unwrap_or(0));
    let running = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if running < TESTED {
        fault(
            format!(
                "Envoy {numbers} is older than {}.{}, the oldest that is tested",
                TESTED.0, TESTED.1
            ),
            "Update Envoy.",
        );
    }
    let all = plugins(config_dump);
    let endpoints: Vec<&Plugin> = all.iter().filter(|p| p.has_role("endpoint")).collect();
    let probes: Vec<&Plugin> = all.iter().filter(|p| p.has_role("probe")).collect();
    for (role, of) in [("endpoint", &endpoints), ("probe", &probes)] {
        if of.is_empty() {
            fault(
                format!("no plugin has role {role}"),
                "See deploy/envoy/: both roles are needed, on the same vm_id.",
            );
        }
    }
    for endpoint in &endpoints {
        if !endpoint.stops {
            fault(
                format!("plugin {}: allow_on_headers_stop_iteration is not true", endpoint.name),
                "Set it: the body of a PUT never arrives without.",
            );
        }
        for probe in probes.iter().filter(|p| p.name != endpoint.name) {
            if probe.vm.0 != endpoint.vm.0 {
                fault(
                    format!("plugins {} and {} have different vm_ids", probe.name, endpoint.name),
                    "Give them the same: what is measured is handed over in shared data.",
                );
            } else if probe.vm == endpoint.vm {
                fault(
                    format!("plugins {} and {} share a VM", probe.name, endpoint.name),
                    "Give them different VM configurations: a trap in the endpoint takes the probe down.",
                );
            }
        }
        let tokens = endpoint.configuration["tokens"].as_array().into_iter().flatten();
        let measures = tokens.filter(|t| t["role"] == "measure").count();
        if measures > 1 && !endpoint.configuration["measure_owner"].is_string() {
            fault(
                format!(
                    "plugin {}: {measures} tokens measure and measure_owner is not set",
                    endpoint.name
                ),
                "Name KEDA's token there: whoever polls first owns the measurement else.",
            );
        }
    }
    for plugin in &all {
        if plugin.vm.0 == plugin.vm.1 {
            fault(
                format!("plugin {}: vm_id and VM configuration are the same text", plugin.name),
                "Change one: Envoy tells VMs by hashes of both, which cancel out.",
            );
        }
        if !["FAIL_RELOAD", "FAIL_OPEN"].contains(&plugin.failure_policy.as_str()) {
            fault(
                format!("plugin {}: a trap closes its listener (failure_policy)", plugin.name),
                "Set FAIL_RELOAD, and FAIL_OPEN for a probe that is an HTTP filter.",
            );
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn shipped() -> Value {
        serde_yaml_ng::from_str(include_str!("../../../deploy/envoy/access-logger.yaml")).unwrap()
    }

    fn info(version: &str) -> Value {
        json!({ "version": format!("sha/{version}/Clean/RELEASE/BoringSSL") })
    }

    #[test]
    fn what_is_shipped_is_well() {
        assert_eq!(check(&info("1.40.0"), &shipped()), []);
        let text = include_str!("../../../deploy/envoy/http-filter.yaml");
        assert_eq!(check(&info("1.41.2"), &serde_yaml_ng::from_str(text).unwrap()), []);
    }

    fn configure(plugin: &mut Value, with: impl Fn(&mut Value)) {
        let text = plugin["configuration"]["value"].as_str().unwrap();
        let mut own: Value = serde_json::from_str(text).unwrap();
        with(&mut own);
        plugin["configuration"]["value"] = own.to_string().into();
    }

    #[rstest]
    #[case::endpoint_gone(|p: &mut Value| configure(p, |c| c["role"] = "probe".into()), "no plugin has role endpoint")]
    #[case::probe_gone(|p: &mut Value| configure(p, |c| c["role"] = "endpoint".into()), "no plugin has role probe")]
    #[case::one_vm(|p: &mut Value| p["vm_config"]["configuration"]["value"] = "one".into(), "share a VM")]
    #[case::cancels(|p: &mut Value| p["vm_config"]["configuration"]["value"] = "canary-gate".into(), "are the same text")]
    #[case::closes(|p: &mut Value| p["failure_policy"] = "FAIL_CLOSED".into(), "a trap closes its listener")]
    #[case::closes_by_default(|p: &mut Value| p["failure_policy"] = Value::Null, "a trap closes its listener")]
    #[case::no_body(|p: &mut Value| p["allow_on_headers_stop_iteration"] = false.into(), "allow_on_headers_stop_iteration")]
    #[case::no_owner(|p: &mut Value| configure(p, |c| { c["measure_owner"].take(); for t in c["tokens"].as_array_mut().into_iter().flatten() { t["role"] = "measure".into(); } }), "measure_owner is not set")]
    fn each_fault(#[case] with: fn(&mut Value), #[case] expected: &str) {
        let mut changed = shipped();
        change(&mut changed, &mut |plugin| with(plugin));
        let faults = check(&info("1.40.0"), &changed);
        assert!(faults.iter().any(|f| f.what.contains(expected)), "{faults:?}");
    }

    #[test]
    fn who_lowers_maxima() {
        let mut changed = shipped();
        assert!(lowers_caps(&changed));
        change(&mut changed, &mut |plugin| {
            configure(plugin, |c| {
                if c["publish"].is_object() {
                    c["publish"]["lower_max_replicas"] = false.into();
                }
            });
        });
        assert!(!lowers_caps(&changed));
    }

    #[test]
    fn an_old_one_and_other_vm_ids() {
        assert_eq!(check(&info("1.30.1"), &shipped()).len(), 1);
        let mut first = true;
        let mut changed = shipped();
        change(&mut changed, &mut |plugin| {
            if std::mem::take(&mut first) {
                plugin["vm_config"]["vm_id"] = "other".into();
            }
        });
        let faults = check(&info("1.40.0"), &changed);
        assert!(faults.iter().any(|f| f.what.contains("different vm_ids")), "{faults:?}");
    }

    fn change(value: &mut Value, with: &mut impl FnMut(&mut Value)) {
        if value.get("vm_config").is_some() {
            return with(value);
        }
        match value {
            Value::Array(items) => items.iter_mut().for_each(|v| change(v, with)),
            Value::Object(map) => map.values_mut().for_each(|v| change(v, with)),
            _ => {}
        }
    }
}
