//! Every case below `tests/admission/RULE/` through the built policy.
//!
//! A case is one file: settings, the state objects that the cluster holds, the
//! request as the API server sends it, and the whole answer. Dropping in a file
//! adds a test; `BLESS=1 make test` writes the answers that the policy gives.

use gate::rule::Rule;
use gate::time::Timestamp;
use harness::clock::Clock;
use harness::cluster::{Cluster, Fault};
use harness::policy_host::PolicyHost;
use serde_json::{json, Value};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use tests::root;
use tests::simulation::modules;

const ANSWER: &str = "\nanswer:\n";

fn cases() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for rule in Rule::ALL {
        let folder = root("tests/admission").join(rule.name());
        files.extend(std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()));
    }
    files.sort();
    files
}

fn cluster_of(case: &Value) -> Cluster {
    let mut cluster = Cluster::default();
    for object in case["state"].as_array().into_iter().flatten() {
        cluster.put(object.clone());
    }
    cluster.fault = match case["fault"].as_str() {
        None => Fault::None,
        Some("not-granted") => Fault::NotGranted,
        Some("forbidden") => Fault::Forbidden,
        Some("timeout") => Fault::Timeout,
        Some(other) => panic!("unknown fault {other}"),
    };
    cluster
}

fn host(case: &Value) -> PolicyHost {
    let now = Timestamp::parse(case["now"].as_str().unwrap()).unwrap();
    let cluster = Arc::new(Mutex::new(cluster_of(case)));
    PolicyHost::start(&modules().policy, Clock::at(now), cluster).unwrap()
}

/// The case with every verdict as old now as it was then.
fn observed_relative_to_now(case: &Value) -> Value {
    let then = Timestamp::parse(case["now"].as_str().unwrap()).unwrap();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut case = case.clone();
    for object in case["state"].as_array_mut().into_iter().flatten() {
        let text = object["data"]["verdict"].as_str().unwrap_or_default();
        // A malformed verdict has no time to move.
        let Ok(mut verdict) = serde_json::from_str::<Value>(text) else { continue };
        let observed = Timestamp::parse(verdict["observed_at"].as_str().unwrap()).unwrap();
        let moved = since.as_millis() as i64 + observed.millis() - then.millis();
        verdict["observed_at"] = Timestamp::from_millis(moved).to_string().into();
        object["data"]["verdict"] = verdict.to_string().into();
    }
    case
}

fn answer(case: &Value) -> Value {
    let payload = json!({ "settings": case["settings"], "request": case["request"] });
    let bytes = host(case).call("validate", payload.to_string().as_bytes()).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn load(path: &Path) -> (String, Value) {
    let text = std::fs::read_to_string(path).unwrap();
    let case = serde_yaml_ng::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    (text, case)
}

#[test]
fn every_case_is_answered_as_written() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for path in cases() {
        let (text, case) = load(&path);
        let got = answer(&case);
        if bless {
            let input = text.split(ANSWER).next().unwrap();
            let yaml = serde_yaml_ng::to_string(&got).unwrap();
            let indented: String = yaml.lines().map(|l| format!("  {l}\n")).collect();
            std::fs::write(&path, format!("{}{ANSWER}{indented}", input.trim_end())).unwrap();
        } else if got != case["answer"] {
            wrong.push(format!(
                "{}:\n  got      {got}\n  expected {}",
                path.display(),
                case["answer"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A folder proves nothing when it only rejects, or never meets bad input.
#[test]
fn every_rule_has_accepts_rejects_boundaries_and_malformed_input() {
    for rule in Rule::ALL {
        let of = |word: &str| {
            cases()
                .iter()
                .filter(|p| p.parent().unwrap().ends_with(rule.name()))
                .filter(|p| p.file_stem().unwrap().to_string_lossy().starts_with(word))
                .count()
        };
        for word in ["accept", "reject", "boundary", "malformed"] {
            assert!(of(word) > 0, "{}: no case starts with {word}", rule.name());
        }
        assert!(of("accept") >= of("reject"), "{}: fewer accepts than rejects", rule.name());
    }
}

#[test]
fn names_say_what_the_answers_are() {
    for path in cases() {
        let (_, case) = load(&path);
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let accepted = case["answer"]["accepted"] == json!(true);
        let rule = path.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("accept") {
            assert!(accepted, "{}", path.display());
        }
        if name.starts_with("reject") {
            let message = case["answer"]["message"].as_str().unwrap_or_default();
            assert!(
                !accepted && message.starts_with(&format!("{rule}: ")),
                "{}: {message}",
                path.display()
            );
        }
    }
}

/// Kubewarden runs policies on `wasmtime-provider`; the harness runs them on
/// its own engine for the sake of the clock. Both must answer alike.
#[test]
fn kubewardens_engine_answers_alike() {
    use wasmtime_provider::WasmtimeEngineProviderBuilder;
    let bytes = std::fs::read(root("dist/policy.wasm")).unwrap();
    for path in cases() {
        let (_, case) = load(&path);
        let cluster = Arc::new(Mutex::new(Cluster::default()));
        let shared = Arc::clone(&cluster);
        let engine = WasmtimeEngineProviderBuilder::new().module_bytes(&bytes).build().unwrap();
        let wapc = wapc::WapcHost::new(
            Box::new(engine),
            Some(Box::new(move |_, _, _, operation, payload| {
                shared.lock().unwrap().lookup(operation, payload).map_err(Into::into)
            })),
        )
        .unwrap();
        // On that engine it is really now, so what was observed moves to now:
        // last, since a boundary is a second wide.
        *cluster.lock().unwrap() = cluster_of(&observed_relative_to_now(&case));
        let payload = json!({ "settings": case["settings"], "request": case["request"] });
        let got: Value =
            serde_json::from_slice(&wapc.call("validate", payload.to_string().as_bytes()).unwrap())
                .unwrap();
        assert_eq!(got["accepted"], case["answer"]["accepted"], "{}", path.display());
        assert_eq!(got["code"], case["answer"]["code"], "{}", path.display());
    }
}
