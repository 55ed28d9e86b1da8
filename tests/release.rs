//! What names the release says the same thing everywhere: versions, kinds,
//! settings, alerts and their headings.

use harness::settings;
use serde_json::{json, Value};
use std::collections::BTreeSet;
use std::fs;
use tests::root;
use tests::simulation::modules;

fn yaml(path: &str) -> Value {
    serde_yaml_ng::from_str(&fs::read_to_string(root(path)).unwrap()).unwrap()
}

fn annotation(key: &str) -> String {
    yaml("policy/metadata.yml")["annotations"][key].as_str().unwrap().to_owned()
}

#[test]
fn one_version_everywhere() {
    let version = annotation("io.kubewarden.policy.version");
    let of_cargo: Value = {
        let text = fs::read_to_string(root("Cargo.toml")).unwrap();
        let line = text.lines().find(|l| l.starts_with("version = ")).unwrap().to_owned();
        json!(line.trim_start_matches("version = ").trim_matches('"'))
    };
    assert_eq!(of_cargo, json!(version));
    let hub = yaml("artifacthub-pkg.yml");
    assert_eq!(hub["version"], json!(version));
    let url = annotation("io.kubewarden.policy.ociUrl");
    let image = format!("{url}:v{version}");
    assert_eq!(hub["containersImages"][0]["image"], json!(image));
    assert!(hub["install"].as_str().unwrap().contains(&image));
    for file in ["guard", "scale-freeze", "monitor"] {
        let policy = yaml(&format!("deploy/kubewarden/{file}.yaml"));
        assert_eq!(policy["spec"]["module"], json!(format!("registry://{image}")), "{file}");
    }
    let filter = format!("proxy-filter:v{version}");
    let chart = yaml("charts/canary-gate/Chart.yaml");
    assert_eq!((&chart["version"], &chart["appVersion"]), (&json!(version), &json!(version)));
    assert_eq!(chart["description"], hub["description"]);
    let values = yaml("charts/canary-gate/values.yaml");
    assert_eq!(values["image"]["repository"], json!(url));
    for file in ["istio/wasmplugin", "envoy-gateway/envoyextensionpolicy"] {
        let text = fs::read_to_string(root(&format!("deploy/{file}.yaml"))).unwrap();
        assert!(text.contains(&filter), "{file}");
    }
    let changes = fs::read_to_string(root("CHANGELOG.md")).unwrap();
    assert!(changes.contains(&format!("\n## {version}\n")), "CHANGELOG.md has no {version}");
}

#[test]
fn artifact_hub_says_what_the_metadata_says() {
    let (hub, metadata) = (yaml("artifacthub-pkg.yml"), yaml("policy/metadata.yml"));
    assert_eq!(hub["description"], json!(annotation("io.kubewarden.policy.description")));
    assert_eq!(hub["license"], json!(annotation("io.kubewarden.policy.license")));
    assert_eq!(hub["annotations"]["kubewarden/mutation"], json!(metadata["mutating"].to_string()));
    let kinds = hub["annotations"]["kubewarden/resources"].as_str().unwrap();
    assert_eq!(kinds, annotation("io.artifacthub.resources"));
    // Every kind that a rule asks about, by its plural.
    let named: BTreeSet<String> =
        kinds.split(", ").map(|k| format!("{}s", k.to_lowercase())).collect();
    let rules = metadata["rules"].as_array().unwrap().iter();
    let asked: BTreeSet<String> = rules
        .flat_map(|r| r["resources"].as_array().unwrap())
        .map(|r| r.as_str().unwrap().rsplit('/').next().unwrap().to_owned())
        .map(|r| match r.as_str() {
            "scale" => "scales".to_owned(),
            "canaries" => "canarys".to_owned(),
            _ => r,
        })
        .filter(|r| r != "status")
        .collect();
    assert_eq!(named, asked);
}

/// What Kubewarden's conventions add to the hub's page, as kwctl writes it.
#[test]
fn artifact_hub_has_the_rules_and_the_form() {
    let (hub, metadata) = (yaml("artifacthub-pkg.yml"), yaml("policy/metadata.yml"));
    let inner = |key: &str| -> Value {
        serde_yaml_ng::from_str(hub["annotations"][key].as_str().unwrap()).unwrap()
    };
    assert_eq!(inner("kubewarden/rules"), metadata["rules"]);
    assert_eq!(inner("kubewarden/contextAwareResources"), metadata["contextAwareResources"]);
    assert_eq!(inner("kubewarden/questions-ui"), yaml("questions-ui.yml"));
}

/// Each dependency has its reason.
#[test]
fn each_dependency_is_explained() {
    let cargo = fs::read_to_string(root("Cargo.toml")).unwrap();
    let (_, list) = cargo.split_once("[workspace.dependencies]\n").unwrap();
    let declared: BTreeSet<&str> = list
        .lines()
        .take_while(|l| !l.starts_with('['))
        .filter(|l| l.contains(" = ") && !l.contains("path = "))
        .map(|l| l.split(" = ").next().unwrap())
        .collect();
    let text = fs::read_to_string(root("docs/decisions.md")).unwrap();
    let (_, table) = text.split_once("## Dependencies\n").unwrap();
    let explained: BTreeSet<&str> = table
        .lines()
        .filter_map(|l| l.strip_prefix("| ")?.split(" | ").next())
        .filter(|name| *name != "crate")
        .collect();
    assert!(declared.len() > 30);
    assert_eq!(explained, declared, "docs/decisions.md, Dependencies");
}

/// The sample is valid, has every key, and is what Rancher's form begins with.
#[test]
fn the_sample_of_settings_is_taken_and_whole() {
    let sample = yaml("settings.sample.yaml");
    let found = settings::find(&sample);
    assert_eq!(settings::check(modules(), &found[0]).unwrap(), Ok(()));
    let full = yaml("tests/settings/v0.1.0-full.yaml");
    let keys = |v: &Value| v.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    // A later version has more keys.
    assert!(keys(&sample).is_superset(&keys(&full)));
    assert_eq!(keys(&sample["lanes"][0]), keys(&full["lanes"][0]));
    // As the form puts them together.
    let form = yaml("questions-ui.yml");
    let questions = form["questions"].as_array().unwrap().iter();
    let answered = questions.map(|q| {
        let default = serde_yaml_ng::from_str::<Value>(q["default"].as_str().unwrap()).unwrap();
        (q["variable"].as_str().unwrap().to_owned(), default)
    });
    let answered = Value::Object(answered.collect());
    assert_eq!(answered, sample);
}

/// From the top of the README to a raise that is refused: five minutes of reading, code
/// and all, at 230 words a minute.
#[test]
fn a_newcomer_gets_there_in_five_minutes() {
    let until = |file: &str, mark: &str| -> usize {
        let text = fs::read_to_string(root(file)).unwrap();
        let (before, _) = text.split_once(mark).unwrap_or_else(|| panic!("{file}: {mark}"));
        before.split_whitespace().count()
    };
    let words =
        until("README.md", "docs/install.md") + until("docs/install.md", "denied the request");
    assert!(words < 5 * 230, "{words} words");
}

/// Whoever is paged finds the alert by its name.
#[test]
fn each_alert_and_event_has_its_heading() {
    let text = fs::read_to_string(root("docs/operate.md")).unwrap();
    let alerts = yaml("deploy/prometheus/alerts.yaml");
    for rule in alerts["groups"][0]["rules"].as_array().unwrap() {
        let name = rule["alert"].as_str().unwrap();
        assert!(text.contains(&format!("### {name}\n")), "docs/operate.md: {name}");
    }
    for kind in gate::digest::Kind::ALL {
        assert!(text.contains(&format!("`{}`", kind.name())), "docs/operate.md: {}", kind.name());
    }
}
