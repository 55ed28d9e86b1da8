//! Every case below `tests/admission/RULE/` through the built policy.
//!
//! A case is one file: settings, the state objects that the cluster holds, the
//! request as the API server sends it, the whole answer and the look-ups that
//! it took. Dropping in a file adds a test; `BLESS=1 make test` writes the
//! answers that the policy gives.

use gate::rule::Rule;
use gate::time::Timestamp;
use harness::clock::Clock;
use harness::cluster::{Cluster, Fault};
use harness::policy_host::PolicyHost;
use serde_json::{json, Value};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tests::root;
use tests::simulation::modules;

const ANSWER: &str = "\nanswer:\n";
/// Around a quoted message.
const FENCE: &str = "```text";
const FENCE_END: &str = "```";

fn cases() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for rule in Rule::ALL {
        let folder = root("tests/admission").join(rule.name());
        files.extend(std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()));
    }
    files.sort();
    files
}

fn objects<'a>(case: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    case[key].as_array().into_iter().flatten()
}

/// `objects` are what else there is. `state` is what the cluster holds, `listed` what lists still show where
/// that is something else (a dead watch).
fn cluster_of(case: &Value) -> Cluster {
    let mut cluster = Cluster::default();
    if case.get("listed").is_some() {
        for object in objects(case, "listed") {
            cluster.put(object.clone());
        }
        cluster.freeze_lists();
        for object in objects(case, "listed") {
            let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap();
            cluster.delete(text("/kind"), text("/metadata/namespace"), text("/metadata/name"));
        }
    }
    for object in objects(case, "state").chain(objects(case, "objects")) {
        cluster.put(object.clone());
    }
    cluster.fault = match case["fault"].as_str() {
        None => Fault::None,
        Some("not-granted") => Fault::NotGranted,
        Some("forbidden") => Fault::Forbidden,
        Some("timeout") => Fault::Timeout,
        Some("malformed") => Fault::Malformed,
        Some(other) => panic!("unknown fault {other}"),
    };
    cluster
}

/// The case with every time as far from now as it was from then.
fn moved_to_now(case: &Value) -> Value {
    let then = Timestamp::parse(case["now"].as_str().unwrap()).unwrap();
    let now = tests::now().millis();
    let text = case.to_string();
    let mut moved = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("2026-") {
        let (before, after) = rest.split_at(at);
        moved.push_str(before);
        let time = after.get(..20).and_then(|t| Timestamp::parse(t).ok());
        let Some(time) = time else { panic!("{after}: not a time") };
        moved.push_str(&Timestamp::from_millis(now + time.millis() - then.millis()).to_string());
        rest = &after[20..];
    }
    moved.push_str(rest);
    serde_json::from_str(&moved).unwrap()
}

/// The answer, and the look-ups that it took.
fn answer(case: &Value) -> (Value, Vec<String>) {
    let now = Timestamp::parse(case["now"].as_str().unwrap()).unwrap();
    let cluster = Arc::new(Mutex::new(cluster_of(case)));
    let host = PolicyHost::start(&modules().policy, Clock::at(now), Arc::clone(&cluster)).unwrap();
    let payload = json!({ "settings": case["settings"], "request": case["request"] });
    let bytes = host.call("validate", payload.to_string().as_bytes()).unwrap();
    let lookups = std::mem::take(&mut cluster.lock().unwrap().lookups);
    (serde_json::from_slice(&bytes).unwrap(), lookups)
}

fn load(path: &Path) -> (String, Value) {
    let text = std::fs::read_to_string(path).unwrap();
    let case = serde_yaml_ng::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    (text, tests::admission::expand(case, &root("tests/fixtures")))
}

#[test]
fn every_case_is_answered_as_written() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for path in cases() {
        let (text, case) = load(&path);
        let (got, lookups) = answer(&case);
        if bless {
            let input = text.split(ANSWER).next().unwrap();
            let yaml = serde_yaml_ng::to_string(&got).unwrap();
            let indented: String = yaml.lines().map(|l| format!("  {l}\n")).collect();
            let lookups = serde_yaml_ng::to_string(&json!({ "lookups": lookups })).unwrap();
            let blessed = format!("{}{ANSWER}{indented}{lookups}", input.trim_end());
            std::fs::write(&path, blessed).unwrap();
        } else if got != case["answer"] || json!(lookups) != case["lookups"] {
            wrong.push(format!(
                "{}:\n  got      {got} {lookups:?}\n  expected {} {}",
                path.display(),
                case["answer"],
                case["lookups"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A folder proves nothing when it only rejects, or never meets bad input; and
/// an over-strict guard is a broken guard.
#[test]
fn every_rule_has_accepts_rejects_boundaries_and_malformed_input() {
    for rule in Rule::ALL {
        let cases: Vec<PathBuf> =
            cases().into_iter().filter(|p| p.parent().unwrap().ends_with(rule.name())).collect();
        for word in ["accept", "reject", "boundary", "malformed"] {
            let is_so = |p: &PathBuf| p.file_stem().unwrap().to_string_lossy().starts_with(word);
            assert!(cases.iter().any(is_so), "{}: no case starts with {word}", rule.name());
        }
        let accepted = |p: &&PathBuf| load(p).1["answer"]["accepted"] == json!(true);
        let accepts = cases.iter().filter(accepted).count();
        assert!(2 * accepts >= cases.len(), "{}: fewer accepts than rejects", rule.name());
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

/// Words before the advice for GitOps; what comes after it is for those whom the first
/// lines do not help.
const MOST_WORDS: usize = 60;

#[test]
fn messages_are_short_and_say_nothing_twice() {
    let mut longest = (0, String::new());
    for path in cases() {
        let (_, case) = load(&path);
        if case["answer"]["code"] != json!(403) {
            continue;
        }
        let message = case["answer"]["message"].as_str().unwrap();
        let advice = ["GitOps: ", "An autoscaler asks again"].map(|word| message.find(word));
        let end = advice.into_iter().flatten().min().expect("advice for GitOps or autoscalers");
        let first = &message[..end];
        // Why a gateway could not be read is the host's word, and as long as it is.
        let ours = first.lines().map(|line| line.split("no state: ").next().unwrap_or_default());
        let words: usize = ours.map(|line| line.split_whitespace().count()).sum();
        if words > longest.0 {
            longest = (words, path.display().to_string());
        }
        assert!(words <= MOST_WORDS, "{}: {words} words: {first}", path.display());
        for part in ["Why: ", "Do: ", "See: https://"] {
            assert_eq!(message.matches(part).count(), 1, "{}: {part}", path.display());
        }
        let mut said = std::collections::BTreeSet::new();
        let text: Vec<&str> =
            message.split_whitespace().filter(|w| !w.starts_with("https://")).collect();
        let text = text.join(" ").replace("; ", ". ");
        for sentence in text.split(". ").filter(|s| s.contains(' ')) {
            assert!(said.insert(sentence.to_owned()), "{}: twice: {sentence}", path.display());
        }
    }
    println!("the longest: {} words, {}", longest.0, longest.1);
}

/// Links lead to headings of this tree.
#[test]
fn links_in_messages_lead_somewhere() {
    let page = std::fs::read_to_string(root("docs/rules.md")).unwrap();
    let headings: Vec<String> = page
        .lines()
        .filter_map(|l| l.strip_prefix("## "))
        .map(|l| l.to_lowercase().replace(' ', "-"))
        .collect();
    let version = format!("/blob/v{}/docs/rules.md#", env!("CARGO_PKG_VERSION"));
    let mut links = 0;
    for path in cases() {
        let (_, case) = load(&path);
        let message = case["answer"]["message"].as_str().unwrap_or_default();
        for link in message.split_whitespace().filter(|w| w.starts_with("https://github.com")) {
            let (_, anchor) = link.split_once(&version).unwrap_or_else(|| panic!("{link}"));
            assert!(headings.iter().any(|h| h == anchor), "{}: {link}", path.display());
            links += 1;
        }
    }
    assert!(links > 100, "{links}");
}

/// Kubewarden runs policies on `wasmtime-provider`; the harness runs them on
/// its own engine for the sake of the clock. Both must answer alike.
#[test]
fn kubewardens_engine_answers_alike() {
    use wasmtime_provider::WasmtimeEngineProviderBuilder;
    let bytes = std::fs::read(root("dist/policy.wasm")).unwrap();
    // Compiled once, instantiated for each request, as the policy server does.
    let compiled = WasmtimeEngineProviderBuilder::new().module_bytes(&bytes).build_pre().unwrap();
    for path in cases() {
        let (_, case) = load(&path);
        let cluster = Arc::new(Mutex::new(Cluster::default()));
        let shared = Arc::clone(&cluster);
        let engine = compiled.rehydrate(None).unwrap();
        let wapc = wapc::WapcHost::new(
            Box::new(engine),
            Some(Box::new(move |_, _, _, operation, payload| {
                shared.lock().unwrap().lookup(operation, payload).map_err(Into::into)
            })),
        )
        .unwrap();
        // On that engine it is really now, so every time moves to now: last,
        // since a boundary is a second wide.
        let case = moved_to_now(&case);
        *cluster.lock().unwrap() = cluster_of(&case);
        let payload = json!({ "settings": case["settings"], "request": case["request"] });
        let got: Value =
            serde_json::from_slice(&wapc.call("validate", payload.to_string().as_bytes()).unwrap())
                .unwrap();
        assert_eq!(got["accepted"], case["answer"]["accepted"], "{}", path.display());
        assert_eq!(got["code"], case["answer"]["code"], "{}", path.display());
    }
}

/// The messages in the documentation are those of the cases named above them.
#[test]
fn the_documentation_quotes_the_policy() {
    let path = root("docs/rules.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut quoted = String::new();
    let mut cases = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        quoted.push_str(line);
        quoted.push('\n');
        let case = line.strip_prefix("<!-- tests/").and_then(|l| l.strip_suffix(" -->"));
        let case = case.map(|case| format!("tests/{case}"));
        if let Some(case) = case {
            let (_, case_file) = load(&root(&case));
            assert_eq!(lines.next(), Some(FENCE), "{case}: no quotation");
            assert!(lines.by_ref().any(|line| line == FENCE_END), "{case}: no end");
            let message = case_file["answer"]["message"].as_str().unwrap();
            quoted.push_str(&format!("{FENCE}\n{message}\n{FENCE_END}\n"));
            cases.push(case);
        }
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, quoted).unwrap();
    } else {
        assert_eq!(text, quoted, "docs/rules.md: run with BLESS=1");
    }
    for rule in Rule::ALL {
        let folder = format!("tests/admission/{}/", rule.name());
        assert!(cases.iter().any(|c| c.starts_with(&folder)), "{}: no example", rule.name());
    }
}
