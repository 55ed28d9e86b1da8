//! Settings outlive versions: a bad setting rejects everything that the policy
//! matches, so what one release took every later one must take.

use harness::clock::Clock;
use harness::cluster::Cluster;
use harness::policy_host::PolicyHost;
use harness::settings::{self, Of};
use serde_json::{json, Value};
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
    let mut of = vec![];
    for entry in std::fs::read_dir(root("tests/settings")).unwrap() {
        let path = entry.unwrap().path();
        for found in settings::find(&yaml(&path)) {
            assert_eq!(settings::check(modules(), &found).unwrap(), Ok(()), "{}", path.display());
            of.push(found.of);
        }
    }
    let number = |wanted| of.iter().filter(|o| **o == wanted).count();
    assert!(number(Of::Policy) >= 2 && number(Of::Filter) >= 3, "{of:?}");
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
    let mut conditions = Vec::new();
    for (file, failure_policy, timeout) in
        [("guard", "Fail", 5), ("scale-freeze", "Fail", 3), ("monitor", "Ignore", 5)]
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
        // Else the caller's deadline ends first, and users never see the reason.
        assert!(spec["timeoutEvalSeconds"].as_u64() < spec["timeoutSeconds"].as_u64(), "{file}");
        names_are_those_of_the_settings(file, &policy);
        if failure_policy == "Fail" {
            shipped.extend(resources(spec));
            conditions.extend(spec["matchConditions"].as_array().unwrap().clone());
        } else {
            let all = resources(&yaml(&root("policy/metadata.yml")));
            assert_eq!(resources(spec), all, "{file} rehearses every kind");
            assert_eq!(json!(conditions), spec["matchConditions"], "{file}: those of the others");
        }
    }
    shipped.sort();
    assert_eq!(shipped, resources(&yaml(&root("policy/metadata.yml"))));
}

/// The names that the conditions pick out in CEL are those of the settings
/// below them, and no more: a target that only the settings know would never be
/// asked about.
fn names_are_those_of_the_settings(file: &str, policy: &Value) {
    let lanes = harness::doctor::lanes(&policy["spec"]["settings"]);
    let namespaces = lanes.iter().map(|l| l.namespace.clone()).collect();
    let targets = lanes.iter().flat_map(|l| &l.targets).map(|t| t.name.clone()).collect();
    for (of, expected) in [("namespace", namespaces), ("name", targets)] {
        let lists = harness::doctor::policies::listed(policy, of);
        assert!(lists.iter().all(|list| *list == expected), "{file}: {lists:?}");
        // The guard asks about no workload.
        assert_eq!(lists.is_empty(), file == "guard" && of == "name", "{file}: {of}");
    }
}
