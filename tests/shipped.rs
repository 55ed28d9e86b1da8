//! What a release consists of besides the modules, as the tools of its readers
//! see it: the chart, the workflow, the scripts, the licences. `make shipped`
//! gets the tools; nothing here runs in `make test`.

use harness::settings::{self, Of};
use serde::Deserialize;
use serde_json::{json, Value};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tests::root;
use tests::schemas;
use tests::simulation::modules;

mod guarantee;

const CHART: &str = "charts/canary-gate";

/// What a program says, and whether it was content.
fn run(program: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(program);
    let path = std::env::var("PATH").unwrap_or_default();
    let tools = root(".tools/cargo/bin").display().to_string();
    command.args(arguments).current_dir(root("")).env("PATH", format!("{tools}:{path}"));
    let output = command.output();
    let output = output.unwrap_or_else(|e| panic!("{program}: {e}: run scripts/setup.sh shipped"));
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn must(program: &str, arguments: &[&str]) {
    let (is_content, said) = run(program, arguments);
    assert!(is_content, "{program} {arguments:?}:\n{said}");
}

fn built(name: &str) -> String {
    root(".tools/programs").join(name).display().to_string()
}

fn yaml(path: &str) -> Value {
    serde_yaml_ng::from_str(&fs::read_to_string(root(path)).unwrap()).unwrap()
}

fn render(name: &str, values: &Value) -> Result<Vec<Value>, String> {
    render_text(name, &values.to_string())
}

/// The chart with these values: its documents, or what helm says.
fn render_text(name: &str, values: &str) -> Result<Vec<Value>, String> {
    let file = root("target").join(format!("{name}.values.yaml"));
    fs::write(&file, values).unwrap();
    let output = Command::new(built("helm"))
        .args(["template", "canary-gate", CHART, "--kube-version", "1.36.0", "--values"])
        .arg(file)
        .current_dir(root(""))
        .output()
        .expect("helm: run scripts/build-programs.sh shipped");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8(output.stdout).unwrap();
    let documents = serde_yaml_ng::Deserializer::from_str(&text);
    Ok(documents.map(|d| Value::deserialize(d).unwrap()).filter(|d| !d.is_null()).collect())
}

fn without_what_helm_adds(mut document: Value) -> Value {
    document["metadata"].as_object_mut().unwrap().remove("labels");
    if let Some(spec) = document.get_mut("spec").and_then(Value::as_object_mut) {
        assert_eq!(spec.remove("policyServer"), Some(json!("default")));
    }
    document
}

fn by_name(documents: &[Value], kind: &str, name: &str) -> Value {
    let is = |d: &&Value| d["kind"] == kind && d["metadata"]["name"] == name;
    documents.iter().find(is).unwrap_or_else(|| panic!("no {kind} {name}")).clone()
}

fn example() -> Value {
    yaml("deploy/kubewarden/guard.yaml")["spec"]["settings"].clone()
}

#[test]
fn the_chart_of_the_examples_lane_is_the_manifests() {
    let kind = "ClusterAdmissionPolicy";
    for (monitor, files) in [(true, &["monitor"][..]), (false, &["guard", "scale-freeze"])] {
        let values = json!({ "settings": example(), "monitor": monitor });
        let documents = render(&format!("example-{monitor}"), &values).unwrap();
        let policies = documents.iter().filter(|d| d["kind"] == kind).count();
        assert_eq!(policies, files.len());
        for file in files {
            let shipped = yaml(&format!("deploy/kubewarden/{file}.yaml"));
            let name = shipped["metadata"]["name"].as_str().unwrap();
            assert_eq!(without_what_helm_adds(by_name(&documents, kind, name)), shipped);
        }
        let text = fs::read_to_string(root("deploy/rbac/policy-server.yaml")).unwrap();
        for shipped in serde_yaml_ng::Deserializer::from_str(&text) {
            let shipped = Value::deserialize(shipped).unwrap();
            let (kind, name) = (&shipped["kind"], &shipped["metadata"]["name"]);
            let rendered = by_name(&documents, kind.as_str().unwrap(), name.as_str().unwrap());
            assert_eq!(without_what_helm_adds(rendered), shipped);
        }
    }
}

/// Two lanes of two namespaces: all that names one names both, and the policy
/// takes the settings.
#[test]
fn the_chart_follows_the_lanes_of_its_values() {
    let mut settings = example();
    let mut second = settings["lanes"][0].clone();
    second["name"] = json!("review-lane");
    second["namespace"] = json!("reviews");
    second["targets"][0]["name"] = json!("reviewer");
    second["targets"][0]["scaledObject"] = json!("reviewer");
    second["gateways"][0]["writer"] = json!("system:serviceaccount:reviews:canary-gate-gw-a1");
    settings["lanes"].as_array_mut().unwrap().push(second);
    settings["mode"] = json!("clamp");
    let digest = format!("sha256:{}", "ab".repeat(32));
    let values = json!({
        "settings": settings, "monitor": false,
        "policyServer": { "name": "lanes", "serviceAccount": { "name": "lanes", "namespace": "kw" } },
        "image": { "repository": "registry.example.com/canary-gate", "digest": digest },
    });
    let documents = render("lanes", &values).unwrap();
    for name in ["canary-gate-clamp", "canary-gate-scale-freeze"] {
        let policy = by_name(&documents, "ClusterAdmissionPolicy", name);
        let spec = &policy["spec"];
        let image = format!("registry://registry.example.com/canary-gate@{digest}");
        assert_eq!(spec["module"], json!(image));
        assert_eq!(spec["policyServer"], "lanes");
        // A clamp is a change, and only the guard's objects are changed.
        assert_eq!(spec["mutating"], json!(name == "canary-gate-clamp"));
        let found = settings::find(&policy);
        assert_eq!(found[0].of, Of::Policy);
        assert_eq!(settings::check(modules(), &found[0]).unwrap(), Ok(()));
        let conditions = spec["matchConditions"].to_string();
        assert!(conditions.contains("in ['builds', 'reviews']"), "{conditions}");
        assert!(!conditions.contains("['builds']"), "{conditions}");
        assert!(!conditions.contains("['openclaw-worker']"), "{conditions}");
    }
    let freeze = by_name(&documents, "ClusterAdmissionPolicy", "canary-gate-scale-freeze");
    let conditions = freeze["spec"]["matchConditions"].to_string();
    assert!(conditions.matches("['openclaw-worker', 'reviewer']").count() > 4, "{conditions}");
    let bindings = documents.iter().filter(|d| d["kind"] == "RoleBinding");
    let namespaces: BTreeSet<_> = bindings
        .map(|b| {
            assert_eq!(b["subjects"][0]["name"], "lanes");
            assert_eq!(b["subjects"][0]["namespace"], "kw");
            b["metadata"]["namespace"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(namespaces, BTreeSet::from(["builds".to_owned(), "reviews".to_owned()]));
}

/// A lane whose names are the example's other way round.
#[test]
fn the_chart_takes_names_of_the_example_for_names() {
    let mut settings = example();
    settings["lanes"][0]["namespace"] = json!("openclaw-worker");
    settings["lanes"][0]["targets"][0]["name"] = json!("builds");
    let documents = render("twisted", &json!({ "settings": settings, "monitor": false })).unwrap();
    let of = |name: &str| {
        let policy = by_name(&documents, "ClusterAdmissionPolicy", name);
        policy["spec"]["matchConditions"].to_string()
    };
    let (guard, freeze) = (of("canary-gate-guard"), of("canary-gate-scale-freeze"));
    assert!(guard.contains("namespace.orValue('') in ['openclaw-worker']"), "{guard}");
    assert!(freeze.contains("namespace.orValue('') in ['openclaw-worker']"), "{freeze}");
    assert!(freeze.matches("name.orValue('') in ['builds']").count() >= 2, "{freeze}");
    assert!(!freeze.contains("['openclaw-worker'].exists"), "{freeze}");
}

#[test]
fn values_that_make_no_guard_are_not_installed() {
    let lane = |without: &str| {
        let mut settings = example();
        settings["lanes"][0].as_object_mut().unwrap().remove(without);
        json!({ "settings": settings })
    };
    for (values, expected) in [
        (json!({}), "settings.lanes is empty"),
        (json!({ "settings": null }), "settings"),
        (json!({ "settings": { "lanes": ["a"] } }), "lanes"),
        (lane("namespace"), "namespace"),
        (lane("targets"), "targets"),
        (json!({ "settings": example(), "image": { "tag": 1 } }), "tag"),
        (json!({ "settings": example(), "image": { "digest": "sha256:ab" } }), "digest"),
        (
            json!({ "settings": example(), "policyServer": { "serviceAccount": null } }),
            "serviceAccount",
        ),
        (json!({ "settings": example(), "monitors": true }), "monitors"),
    ] {
        let said = render("none", &values).unwrap_err();
        assert!(said.contains(expected), "{values}: {said}");
    }
}

/// As Helm's YAML has it, where `off` is no text.
#[test]
fn a_rule_is_off_with_and_without_quotes() {
    for off in ["off", "\"off\""] {
        let lanes = &example()["lanes"];
        let text = format!("settings: {{ lanes: {lanes}, rules: {{ queue-trigger: {off} }} }}\n");
        let documents = render_text("off", &text).unwrap();
        let found: Vec<_> = documents.iter().flat_map(settings::find).collect();
        assert_eq!(found.len(), 1, "{off}");
        assert_eq!(settings::check(modules(), &found[0]).unwrap(), Ok(()), "{off}");
    }
}

/// As a registry has it: its files are files, and it renders the same.
#[test]
fn the_packaged_chart_is_whole() {
    let helm = built("helm");
    let folder = root("target/chart");
    let _ = fs::remove_dir_all(&folder);
    let at = folder.display().to_string();
    must(&helm, &["lint", "--strict", CHART, "--set-json", &format!("settings={}", example())]);
    must(&helm, &["package", CHART, "--destination", &at]);
    let version = yaml("charts/canary-gate/Chart.yaml")["version"].as_str().unwrap().to_owned();
    let package = format!("{at}/canary-gate-{version}.tgz");
    let values = format!("settings={}", example());
    let template = |chart: &str| {
        let arguments = ["template", "x", chart, "--kube-version", "1.36.0", "--set-json", &values];
        let output = Command::new(&helm).args(arguments).current_dir(root("")).output().unwrap();
        assert!(output.status.success(), "{chart}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    assert_eq!(template(CHART), template(&package));
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root(folder)).unwrap().map(|e| e.unwrap().path());
    entries.filter(|p| p.extension().is_some_and(|e| e == extension)).collect()
}

#[test]
fn the_workflows_are_sound() {
    let mut looked = 0;
    for workflow in files(".github/workflows", "yml") {
        let path = workflow.display().to_string();
        must(&built("actionlint"), &["-color", &path]);
        must(".tools/venv/bin/zizmor", &["--offline", "--no-progress", "--quiet", &path]);
        looked += 1;
    }
    assert_ne!(looked, 0);
}

#[test]
fn the_scripts_are_sound() {
    let mut scripts = [files("scripts", "sh"), files("deploy/gateway", "sh")].concat();
    scripts.push(root(".ci/run"));
    assert!(scripts.len() >= 8, "{scripts:?}");
    let paths: Vec<String> = scripts.iter().map(|p| p.display().to_string()).collect();
    let mut arguments = vec!["--external-sources", "--severity=style"];
    arguments.extend(paths.iter().map(String::as_str));
    must("shellcheck", &arguments);
}

/// Advisories are the release workflow's: their database is GitHub's alone.
#[test]
fn licences_and_sources_are_ones_that_were_read() {
    must("cargo", &["deny", "--offline", "check", "bans", "licenses", "sources"]);
}

/// Schemas of the judged kinds: a CRD, or a definition in an OpenAPI document, from the
/// modules whose programs `make cluster` runs.
const SCHEMAS: [(&str, &str, &str); 9] = [
    ("ScaledObject", "keda-config/crd/bases/keda.sh_scaledobjects.yaml", ""),
    ("ScaledJob", "keda-config/crd/bases/keda.sh_scaledjobs.yaml", ""),
    ("Rollout", "argo-crds/rollout-crd.yaml", ""),
    ("Deployment", "apps.openapi.json", "io.k8s.api.apps.v1.Deployment"),
    ("StatefulSet", "apps.openapi.json", "io.k8s.api.apps.v1.StatefulSet"),
    ("ReplicaSet", "apps.openapi.json", "io.k8s.api.apps.v1.ReplicaSet"),
    ("Scale", "apps.openapi.json", "io.k8s.api.autoscaling.v1.Scale"),
    ("Job", "batch.openapi.json", "io.k8s.api.batch.v1.Job"),
    (
        "HorizontalPodAutoscaler",
        "autoscaling.openapi.json",
        "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
    ),
];

/// What a fixture must say; `FIELDS=write` writes it.
fn holds(fixture: &str, text: &str) {
    let path = root("tests/fixtures").join(fixture);
    if std::env::var_os("FIELDS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, text, "{}: older than the modules; run `make fields`", path.display());
}

#[test]
fn the_list_of_fields_is_that_of_the_pinned_schemas() {
    for (kind, file, definition) in SCHEMAS {
        let text = fs::read_to_string(built(file))
            .unwrap_or_else(|e| panic!("{file}: {e}: run scripts/build-programs.sh shipped"));
        let document: Value = serde_yaml_ng::from_str(&text).unwrap();
        let fields = if definition.is_empty() {
            let versions = document["spec"]["versions"].as_array().unwrap();
            let served = versions.iter().rfind(|v| v["served"] == true).unwrap();
            schemas::fields(&served["schema"]["openAPIV3Schema"], &Value::Null)
        } else {
            let definitions = &document["components"]["schemas"];
            schemas::fields(&definitions[definition], definitions)
        };
        assert!(fields.len() > 10, "{kind}: {fields:?}");
        let lines: String = fields.iter().map(|f| format!("{f}\n")).collect();
        holds(&format!("fields/{kind}.txt"), &lines);
    }
}

#[test]
fn the_scalers_keys_are_those_of_kedas_source() {
    let output = Command::new("go")
        .args(["run", ".", "-keda", &built("keda-source")])
        .current_dir(root("tests/scalertags"))
        .output()
        .expect("go: https://go.dev/dl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut lines = Vec::new();
    for (kind, scaler) in said.as_object().unwrap() {
        let keys: Vec<Value> = scaler["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|k| json!({ "name": k["name"], "default": k["default"], "type": k["type"] }))
            .collect();
        lines.push(format!("{}:{}", json!(kind), json!({ "keys": keys })));
    }
    holds("keda-scalers.json", &format!("{{\n{}\n}}\n", lines.join(",\n")));
}
