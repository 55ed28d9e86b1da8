//! What is shipped in `deploy/` to start from: each manifest is taken by what
//! will read it.

use harness::scenario::setup::admission_request;
use harness::settings::{self, Of};
use serde::Deserialize;
use serde_json::{json, Value};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use tests::root;
use tests::simulation::*;

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = vec![];
    let mut folders = vec![root(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn documents(path: &PathBuf) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    serde_yaml_ng::Deserializer::from_str(&text)
        .map(|d| Value::deserialize(d).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
        .collect()
}

#[test]
fn every_settings_in_them_are_taken() {
    let mut of = vec![];
    for path in files("deploy", "yaml") {
        for found in documents(&path).iter().flat_map(settings::find) {
            let taken = settings::check(modules(), &found).unwrap();
            assert_eq!(taken, Ok(()), "{}: {}", path.display(), found.what);
            of.push(found.of);
        }
    }
    let number = |wanted| of.iter().filter(|o| **o == wanted).count();
    assert_eq!((number(Of::Policy), number(Of::Filter)), (3, 8));
}

/// On an idle lane, and without a word of warning.
#[test]
fn every_scaled_object_is_admitted_by_the_policy() {
    let mut s = idle();
    s.run_to(250).unwrap();
    let mut admitted = 0;
    for path in files("deploy/keda", "yaml") {
        for object in documents(&path).iter().filter(|o| o["kind"] == "ScaledObject") {
            let name = object["metadata"]["name"].as_str().unwrap();
            let request =
                admission_request("CREATE", ("ScaledObject", "builds", name), None, object);
            let verdict = s.admit(&request).unwrap();
            assert!(verdict.accepted, "{}: {:?}", path.display(), verdict.message);
            assert_eq!(verdict.warnings, None, "{}", path.display());
            admitted += 1;
        }
    }
    assert_eq!(admitted, 5);
}

/// The hold in KEDA's own formula, and that the edit which drops it is refused.
#[test]
fn the_native_hold_cannot_be_dropped_while_frozen() {
    let mut s = idle();
    let mut sick = facts("");
    sick["doctor_ok"] = json!(false);
    s.set_facts(Some(sick));
    s.run_to(330).unwrap();
    let old = documents(&root("deploy/keda/native-hold.yaml")).remove(0);
    let mut new = old.clone();
    new["spec"]["advanced"].as_object_mut().unwrap().remove("scalingModifiers");
    let at = ("ScaledObject", "builds", "openclaw-worker");
    let verdict = s.admit(&admission_request("UPDATE", at, Some(&old), &new)).unwrap();
    let message = verdict.message.unwrap_or_default();
    assert!(message.starts_with("ceiling-bypass: "), "{message}");
}

fn names(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("canary_gate_"))
        .map(str::to_owned)
        .collect()
}

/// Series of the document's text, and of Envoy's own statistics.
fn exported() -> (BTreeSet<String>, BTreeSet<String>) {
    let mut s = idle();
    let body = json!({ "action": "begin", "weight": 0.1 });
    assert_eq!(command(&mut s, &body).status, 204);
    s.set_traffic(STABLE, traffic(600, 0));
    s.set_traffic(CANARY, traffic(300, 100));
    s.run_to(900).unwrap();
    let request = get("/keda/metrics", "bastion").header("accept", "text/plain;version=0.0.4");
    let text = names(&s.manage(&request).unwrap().text());
    let of_envoy = text.iter().filter_map(|name| {
        let name = name.trim_end_matches("_total");
        s.proxy().metric(name).map(|_| name.to_owned())
    });
    let of_envoy = of_envoy.collect();
    (text, of_envoy)
}

fn promtool(arguments: &[&str], file: &str) {
    let output = Command::new("promtool").args(arguments).arg(root(file)).output();
    let output = output.expect("promtool: run scripts/setup.sh servers");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&said));
}

#[test]
fn alerts_are_rules_of_prometheus_on_series_that_there_are() {
    let path = root("deploy/prometheus/alerts.yaml");
    promtool(&["check", "rules"], "deploy/prometheus/alerts.yaml");
    promtool(&["test", "rules"], "tests/fixtures/alerts.test.yaml");
    promtool(&["check", "config", "--syntax-only"], "deploy/prometheus/scrape.yaml");
    let (text, of_envoy) = exported();
    let rules = documents(&path).remove(0);
    let rules = rules["groups"][0]["rules"].as_array().unwrap().clone();
    assert!(rules.len() >= 7);
    for rule in rules {
        let asked = names(&rule["expr"].to_string());
        let unknown: Vec<_> = asked.difference(&of_envoy).cloned().collect();
        assert!(!asked.is_empty() && unknown.is_empty(), "{}: {unknown:?}", rule["alert"]);
        assert!(!rule["annotations"]["summary"].to_string().is_empty());
    }
    let dashboard = std::fs::read_to_string(root("deploy/grafana/canary-gate.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let all: BTreeSet<String> = text.union(&of_envoy).cloned().collect();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() >= 8);
    for panel in panels.iter().filter(|p| p["type"] != "row") {
        let expressions = names(&panel["targets"].to_string());
        let unknown: Vec<_> = expressions.difference(&all).cloned().collect();
        assert!(!expressions.is_empty() && unknown.is_empty(), "{}: {unknown:?}", panel["title"]);
    }
}

#[test]
fn property_lists_are_well_formed() {
    let lists = files("deploy/gateway", "plist");
    assert!(!lists.is_empty());
    for path in lists {
        let lint = "import plistlib, sys; p = plistlib.load(open(sys.argv[1], 'rb')); assert p['Label'] and p['ProgramArguments']";
        let output = Command::new("python3").args(["-c", lint]).arg(&path).output().unwrap();
        assert!(
            output.status.success(),
            "{}: {}",
            path.display(),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// What a gateway and the policy server may do is what they are documented to do.
#[test]
fn accounts_may_do_no_more_than_they_must() {
    let mut roles = 0;
    for path in files("deploy/rbac", "yaml") {
        for role in documents(&path).iter().filter(|o| o["kind"] == "Role") {
            for rule in role["rules"].as_array().unwrap() {
                let text = rule.to_string();
                roles += 1;
                let looks_up = *rule
                    == json!({ "apiGroups": ["keda.sh"], "resources": ["scaledobjects"], "verbs": ["get"] })
                    || *rule
                        == json!({ "apiGroups": ["argoproj.io"], "resources": ["rollouts"], "verbs": ["get"] });
                if looks_up {
                    continue;
                }
                assert!(named_or_config_maps(rule), "{text}");
                let (verbs, named) = (&rule["verbs"], rule.get("resourceNames").is_some());
                assert!(!text.contains('*') && !text.contains("delete"), "{text}");
                let writes = text.contains("patch") || text.contains("update");
                assert!(named || !writes, "{}: {text}", path.display());
                assert!(
                    named
                        || *verbs == json!(["create"])
                        || *verbs == json!(["get", "list", "watch"]),
                    "{text}"
                );
            }
        }
        let wide = documents(&path).iter().any(|o| o["kind"] == "ClusterRole");
        assert!(!wide, "{}", path.display());
    }
    assert!(roles >= 5, "{roles}");
}

fn named_or_config_maps(rule: &Value) -> bool {
    rule.get("resourceNames").is_some() || rule["resources"] == json!(["configmaps"])
}
