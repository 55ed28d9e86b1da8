//! Webhook rules, match conditions and the policy as the one thing that they are to users.
//!
//! What reaches the policy is decided by the API server's own code (`tests/conditions`):
//! rules and conditions of the manifests in `deploy/kubewarden`, with the chart's names for
//! a lane. Conditions are a filter before the policy and no second judgement, so what they
//! leave out must pass in every state of the lane, and on nothing that a schema admits may
//! one of them fail.

use crate::{by_name, render};
use gate::lane::{GatewayState, Unknown};
use gate::rule::Rule;
use gate::time::Timestamp;
use gate::verdict::Verdict;
use policy::answer;
use policy::change::LookedUp;
use policy::decision::State;
use policy::evaluation::{self, Lookups};
use policy::settings::Lane;
use serde::Deserialize;
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use tests::edits::{Edits, Written, KINDS};
use tests::root;

/// What becomes of a request at one policy.
#[derive(Clone, Debug, Deserialize)]
struct Asked {
    policy: String,
    asked: bool,
    #[serde(default)]
    condition: String,
    #[serde(default)]
    error: String,
}

/// Both policies, as they are installed for these settings; `by` is who asks.
fn installed(by: &str, settings: &Value) -> Vec<Value> {
    let values = json!({ "settings": settings, "monitor": false });
    let documents = render(by, &values).unwrap();
    let guard = match settings["mode"].as_str() {
        Some("clamp") => "canary-gate-clamp",
        _ => "canary-gate-guard",
    };
    [guard, "canary-gate-scale-freeze"]
        .map(|name| by_name(&documents, "ClusterAdmissionPolicy", name))
        .to_vec()
}

/// Which of the policies the API server asks about each request.
fn asked(policies: &[Value], requests: &[Value]) -> Vec<Vec<Asked>> {
    static BUILD: Mutex<()> = Mutex::new(());
    let program = root("target/conditions");
    let building = BUILD.lock().unwrap();
    let built = Command::new("go")
        .args(["build", "-o", &program.display().to_string(), "."])
        .current_dir(root("tests/conditions"))
        .status()
        .expect("go: https://go.dev/dl");
    assert!(built.success(), "tests/conditions does not build");
    drop(building);
    let policies: Vec<Value> = policies
        .iter()
        .map(|p| {
            json!({
                "name": p["metadata"]["name"], "rules": p["spec"]["rules"],
                "matchConditions": p["spec"]["matchConditions"],
            })
        })
        .collect();
    let mut input = json!(policies).to_string();
    for request in requests {
        input.push('\n');
        input.push_str(&request.to_string());
    }
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("target/conditions was built");
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<_> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(answers.len(), requests.len());
    answers
}

/// Cases that no API server sends, and why.
const NOT_SENT: [(&str, &str); 3] = [
    ("malformed-no-namespace", "an object of these kinds has one"),
    ("malformed-audit-scan", "the audit scanner has no resource"),
    ("reject-scale-unknown-resource", "the audit scanner has no resource"),
];

/// Whether an API server sends it: an object of an operation that a rule names.
fn is_sent(path: &Path, request: &Value) -> bool {
    let name = path.file_stem().unwrap().to_str().unwrap();
    let is_object = |key: &str| request[key].is_object();
    let has_objects = match request["operation"].as_str() {
        Some("CREATE") => is_object("object"),
        Some("UPDATE") => is_object("object") && is_object("oldObject"),
        _ => false,
    };
    has_objects && NOT_SENT.iter().all(|(not_sent, _)| *not_sent != name)
}

#[test]
fn every_case_is_decided_as_a_whole() {
    let mut by_settings: BTreeMap<String, Vec<(String, Value)>> = BTreeMap::new();
    let mut left_out = 0;
    for rule in Rule::ALL {
        for file in std::fs::read_dir(root("tests/admission").join(rule.name())).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let case = serde_yaml_ng::from_str(&text).unwrap();
            let case = tests::admission::expand(case, &root("tests/fixtures"));
            if !is_sent(&path, &case["request"]) || case["settings"]["lanes"].is_null() {
                left_out += 1;
                continue;
            }
            let of = by_settings.entry(case["settings"].to_string()).or_default();
            of.push((path.display().to_string(), case));
        }
    }
    let (mut wrong, mut decided) = (Vec::new(), 0);
    for cases in by_settings.values() {
        let policies = installed("cases", &cases[0].1["settings"]);
        let requests: Vec<Value> = cases.iter().map(|(_, case)| case["request"].clone()).collect();
        for ((path, case), answers) in cases.iter().zip(asked(&policies, &requests)) {
            decided += 1;
            // A condition that fails refuses: right for what no schema admits, and for that alone.
            let fails = answers.iter().find(|a| !a.error.is_empty());
            if let Some(at) = fails.filter(|_| !path.contains("/malformed-")) {
                wrong.push(format!("{path}: a condition of {} fails: {}", at.policy, at.error));
            }
            let is_asked = answers.iter().any(|a| a.asked);
            let is_refused = fails.is_some() || (is_asked && case["answer"]["accepted"] == false);
            if fails.is_none() && is_refused == (case["answer"]["accepted"] == true) {
                let by: Vec<_> = answers.iter().map(|a| a.condition.as_str()).collect();
                wrong.push(format!(
                    "{path}: asked: {is_asked}, left out by {by:?}, fails: {fails:?}"
                ));
            }
        }
    }
    println!("{decided} cases decided as a whole; {left_out} that no API server sends");
    assert!(wrong.is_empty(), "{} of {decided}:\n{}", wrong.len(), wrong.join("\n"));
}

const NOW: Timestamp = Timestamp::from_secs(1_795_510_800);

/// A lane in which every gateway says the same.
struct AllSay(Result<Verdict, Unknown>);

impl Lookups for AllSay {
    fn list(&self, lane: &Lane, now: Timestamp) -> State {
        let gateways = lane.gateways.iter();
        let of = |g: &policy::settings::Gateway| {
            let verdict = self.0.clone().map(|v| Verdict { gateway: g.id.clone(), ..v });
            GatewayState::of(&g.id, &g.az, verdict, lane.max_state_age.0, now)
        };
        State { gateways: gateways.map(of).collect(), override_: None }
    }
    fn state(&self, _: &Lane, gateway: &GatewayState, _: Timestamp) -> GatewayState {
        gateway.clone()
    }
    fn object(&self, _: LookedUp, _: &str, _: &str) -> Result<Vec<u8>, String> {
        Err("not read".to_owned())
    }
    fn override_of(&self, _: &Lane) -> Option<gate::break_glass::Override> {
        None
    }
}

/// States in which something is refused, by name.
fn states() -> Vec<(&'static str, AllSay)> {
    let verdict = |change: Value| {
        let mut verdict = json!({
            "schema": "verdict.v1", "gateway": "", "az": "a", "observed_at": NOW.to_string(),
            "status": "healthy", "canary_active": false, "degraded": false, "frozen": false,
            "frozen_by": [], "aborted": false, "asleep": false, "disk": "ok", "disk_tier": "1TB",
            "epoch": 1, "promotion_frozen": true, "maintenance": true, "headroom": 1, "reason": ""
        });
        verdict.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        AllSay(Ok(Verdict::parse(&verdict.to_string()).unwrap()))
    };
    let stale = NOW.millis() - 3_600_000;
    vec![
        ("idle", verdict(json!({ "promotion_frozen": false, "maintenance": false }))),
        ("active", verdict(json!({ "canary_active": true, "az_under_test": "b" }))),
        ("frozen", verdict(json!({ "frozen": true, "canary_active": true, "degraded": true }))),
        ("aborted", verdict(json!({ "aborted": true }))),
        ("red", verdict(json!({ "disk": "red", "frozen": true, "frozen_by": ["disk"] }))),
        ("stale", verdict(json!({ "observed_at": Timestamp::from_millis(stale).to_string() }))),
        ("missing", AllSay(Err(Unknown::Missing("not found".into())))),
    ]
}

/// Lanes with a target of each kind and slice.
fn lanes() -> Value {
    json!({
        "lanes": [{
            "name": "openclaw-build-lane", "namespace": "builds", "stableReplicas": 6, "headroom": 2,
            "minReplicas": { "stable": 2, "canary": 0 },
            "targets": [
                { "kind": "Deployment", "name": "openclaw-worker", "slice": "stable", "replicas": 3, "scaledObject": "openclaw-worker" },
                { "kind": "StatefulSet", "name": "openclaw-cache", "slice": "stable", "replicas": 3 },
                { "kind": "Rollout", "name": "openclaw-rollout", "slice": "canary", "az": "a", "replicas": 1 },
                { "kind": "ScaledJob", "name": "builder", "slice": "canary", "az": "a", "replicas": 1 },
            ],
            "gateways": [{ "id": "gw-a1", "az": "a", "writer": "system:serviceaccount:gateways:canary-gate-gw-a1" }],
            "measurementURLs": ["https://canary.gw.example.com:9443/keda/metrics"],
        }],
        "breakGlass": { "groups": ["sre"], "maxDuration": "4h" },
    })
}

/// How many pairs are generated of each kind.
const PAIRS: usize = 3_000;

#[test]
fn what_conditions_leave_out_passes_in_every_state() {
    let settings = lanes();
    policy::settings::Settings::parse(settings.to_string().as_bytes()).unwrap();
    let policies = installed("pairs", &settings);
    let mut edits = Edits::seeded(20_261_127);
    let mut requests = Vec::new();
    for kind in KINDS {
        requests.extend((0..PAIRS).map(|_| edits.request(kind)));
    }
    let answers = asked(&policies, &requests);
    let states = states();
    let (mut wrong, mut counts) = (Vec::new(), BTreeMap::new());
    for (request, answers) in requests.iter().zip(answers) {
        let kind = request["kind"]["kind"].as_str().unwrap().to_owned();
        let count: &mut [usize; 2] = counts.entry(kind).or_default();
        for answer in answers.iter().filter(|a| !a.error.is_empty()) {
            wrong.push(format!("{} fails: {}\n{request}", answer.policy, answer.error));
        }
        let is_asked = answers.iter().any(|a| a.asked);
        count[usize::from(is_asked)] += 1;
        if is_asked {
            continue;
        }
        let payload = json!({ "settings": settings, "request": request }).to_string();
        let input = policy::request::parse(payload.as_bytes()).unwrap();
        for (name, state) in &states {
            let said = evaluation::answer(&input, NOW, state);
            let refused = match &said {
                Err(e) => Some(e.clone()),
                Ok(said) => match &said.verdict {
                    answer::Verdict::Refused(refusal) => Some(refusal.message.clone()),
                    _ => None,
                },
            };
            if let Some(message) = refused {
                let by: Vec<_> = answers.iter().map(|a| a.condition.as_str()).collect();
                wrong.push(format!("{name}: left out by {by:?} and refused: {message}\n{request}"));
                break;
            }
        }
    }
    println!("{} pairs of old and new; of each kind left out, asked: {counts:?}", requests.len());
    assert!(counts.values().all(|[left_out, asked]| *left_out > 0 && *asked > 0), "{counts:?}");
    let shown: Vec<_> = wrong.iter().take(8).cloned().collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), shown.join("\n\n"));
}

/// The parts of an object that may be many, as many as fit into what etcd takes.
fn swollen(written: Written, part: &str, object: &mut Value) {
    let many = |n: usize, of: fn(usize) -> Value| Value::Array((0..n).map(of).collect());
    let map = |n: usize, prefix: &str| {
        let entries = (0..n).map(|i| (format!("{prefix}{i:0>40}"), json!("true")));
        Value::Object(entries.collect())
    };
    let spec = !object["spec"].is_null() && written.kind != "Scale";
    match part {
        "annotations" => object["metadata"][part] = map(4_000, "autoscaling.keda.sh/"),
        "labels" => object["metadata"][part] = map(16_000, "scaledjob.keda.sh/"),
        "ownerReferences" => {
            object["metadata"][part] = many(
                10_000,
                |i| json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": format!("owner-{i}"), "uid": "u" }),
            );
        }
        "env" if spec => {
            let env =
                many(16_000, |i| json!({ "name": format!("NAME_{i}"), "value": "x".repeat(64) }));
            object["spec"]["template"] =
                json!({ "spec": { "containers": [{ "name": "w", "env": env }] } });
        }
        "triggers" if spec => {
            object["spec"][part] = many(
                20_000,
                |i| json!({ "type": "redis", "metadata": { "listName": format!("jobs-{i}") } }),
            );
        }
        _ => {}
    }
}

/// Conditions have a budget, and one that is over it fails.
#[test]
fn no_condition_fails_on_the_largest_objects() {
    let settings = lanes();
    let mut edits = Edits::seeded(1);
    let mut requests = Vec::new();
    for (i, kind) in KINDS.iter().cycle().take(KINDS.len() * 6).enumerate() {
        for part in ["annotations", "labels", "ownerReferences", "env", "triggers"] {
            let mut request = edits.request(*kind);
            swollen(*kind, part, &mut request["object"]);
            if request["oldObject"].is_object() && i % 2 == 0 {
                swollen(*kind, part, &mut request["oldObject"]);
            }
            assert!(request.to_string().len() < 4_000_000);
            requests.push(request);
        }
    }
    for (request, answers) in
        requests.iter().zip(asked(&installed("largest", &settings), &requests))
    {
        if let Some(failed) = answers.iter().find(|a| !a.error.is_empty()) {
            let error = failed.error.split(" resulted in error").last().unwrap();
            let kind = &request["kind"]["kind"];
            panic!("{kind} {}: {}: {error}", request["subResource"], failed.policy);
        }
    }
}
