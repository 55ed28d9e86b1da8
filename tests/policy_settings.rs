//! Settings outlive versions: a bad setting rejects everything that the policy
//! matches, so what one release took every later one must take.

use harness::clock::Clock;
use harness::cluster::Cluster;
use harness::policy_host::PolicyHost;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use tests::root;
use tests::simulation::{modules, scenario};

fn policy() -> PolicyHost {
    let cluster = Arc::new(Mutex::new(Cluster::default()));
    PolicyHost::start(&modules().policy, Clock::at(scenario().start), cluster).unwrap()
}

fn yaml(path: &std::path::Path) -> Value {
    serde_yaml_ng::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn settings_of_every_release_are_taken() {
    let host = policy();
    let mut files = 0;
    for entry in std::fs::read_dir(root("tests/settings")).unwrap() {
        let path = entry.unwrap().path();
        let settings = yaml(&path).to_string();
        let valid = host.validate_settings(settings.as_bytes()).unwrap();
        assert_eq!(valid, Ok(()), "{}", path.display());
        files += 1;
    }
    assert!(files >= 2);
}

/// What is shipped to start from is valid, asks for every kind that the
/// metadata names, and can be told apart.
#[test]
fn shipped_policies_are_taken_and_cover_every_kind() {
    let host = policy();
    let resources = |policy: &Value| -> Vec<String> {
        let rules = policy["rules"].as_array().unwrap();
        let of = |r: &Value| r["resources"].as_array().unwrap().clone();
        let mut all: Vec<String> =
            rules.iter().flat_map(of).map(|r| r.as_str().unwrap().to_owned()).collect();
        all.sort();
        all
    };
    let mut shipped = Vec::new();
    for (file, failure_policy, timeout) in
        [("guard", "Fail", 5), ("scale-freeze", "Fail", 2), ("monitor", "Ignore", 5)]
    {
        let policy = yaml(&root("deploy/kubewarden").join(format!("{file}.yaml")));
        assert_eq!(policy["kind"], "ClusterAdmissionPolicy", "{file}");
        assert_eq!(policy["metadata"]["name"], format!("canary-gate-{file}"));
        let spec = &policy["spec"];
        assert_eq!(spec["failurePolicy"], failure_policy, "{file}");
        assert_eq!(spec["timeoutSeconds"], timeout, "{file}");
        assert_eq!(spec["backgroundAudit"], false, "{file}");
        assert_eq!(spec["mutating"], false, "{file}");
        assert!(!spec["rules"].to_string().contains("DELETE"), "{file}");
        let valid = host.validate_settings(spec["settings"].to_string().as_bytes()).unwrap();
        assert_eq!(valid, Ok(()), "{file}");
        if failure_policy == "Fail" {
            shipped.extend(resources(spec));
        }
    }
    shipped.sort();
    assert_eq!(shipped, resources(&yaml(&root("policy/metadata.yml"))));
}
