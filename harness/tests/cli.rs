//! The commands as a user calls them: exit codes and what is printed.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn harness(args: &[&str]) -> (i32, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_harness"))
        .current_dir(root())
        .args(args)
        .output()
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    (status.code().unwrap(), text)
}

fn file(name: &str, text: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn run_exits_with_the_expectations() {
    let (code, text) = harness(&["run", "scenarios/rollout.yaml"]);
    assert_eq!(code, 0, "{text}");
    let last = text.lines().last().unwrap_or_default();
    let counts: Vec<&str> = last.split(" of ").flat_map(|w| w.split(" lines")).collect();
    assert!(last.ends_with("lines as expected") && counts.first() == counts.get(1), "{last}");
    let scenario = std::fs::read_to_string(root().join("scenarios/rollout.yaml")).unwrap();
    let wrong =
        file("wrong.yaml", &scenario.replace("scaling.max_replicas: 7", "scaling.max_replicas: 9"));
    let (code, text) = harness(&["run", &wrong]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("scaling.max_replicas is 7, expected 9"), "{text}");
    let (code, text) = harness(&["run", "--format", "junit", &wrong]);
    assert!(code == 1 && text.contains("failures=\"1\""), "{text}");
    let (code, text) = harness(&["run", "--format", "json", "scenarios/rollout.yaml"]);
    assert!(code == 0 && serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
}

#[test]
fn run_names_what_is_wrong_in_a_scenario() {
    let (code, text) = harness(&["run", &file("broken.yaml", "name: x\nabout: y\nwhen: z\n")]);
    assert!(code == 2 && text.contains("unknown field `when`"), "{text}");
    let (code, text) = harness(&["run", "no-such-file.yaml"]);
    assert!(code == 2 && text.contains("no-such-file.yaml"), "{text}");
    assert_eq!(harness(&["fly"]).0, 2);
}

/// A case of `tests/admission` taken apart into the files that `admit` reads.
fn admit(case: &str, extra: &[&str]) -> (i32, String) {
    let text = std::fs::read_to_string(root().join("tests/admission").join(case)).unwrap();
    let case: serde_json::Value = serde_yaml_ng::from_str(&text).unwrap();
    let name = case["about"].as_str().unwrap().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let settings = file(&format!("{name}-settings.yaml"), &case["settings"].to_string());
    let state = serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": case["state"] });
    let state = file(&format!("{name}-state.yaml"), &state.to_string());
    let review = serde_json::json!({ "kind": "AdmissionReview", "request": case["request"] });
    let review = file(&format!("{name}-review.yaml"), &review.to_string());
    let now = case["now"].as_str().unwrap();
    let mut args = vec!["admit", "--settings", &settings, "--state", &state, "--now", now];
    args.extend(extra);
    args.push(&review);
    harness(&args)
}

#[test]
fn admit_exits_with_the_verdict() {
    let (code, text) = admit("cap-frozen/accept-idle-healthy.yaml", &[]);
    assert_eq!((code, text.trim()), (0, "accepted"));
    let (code, text) = admit("cap-frozen/reject-degraded.yaml", &[]);
    assert!(code == 1 && text.contains("rejected: cap-frozen: "), "{text}");
    let (code, text) = admit("canary-cap/accept-warn.yaml", &[]);
    assert!(code == 0 && text.contains("would reject"), "{text}");
    let (code, text) = admit("cap-frozen/reject-degraded.yaml", &["--policy", "no-such.wasm"]);
    assert!(code == 2 && text.contains("no-such.wasm"), "{text}");
}

#[test]
fn admit_wants_a_whole_review() {
    let bare = file("bare.yaml", "kind: ScaledObject\n");
    let settings = file("settings.yaml", "lanes: []\n");
    let (code, text) = harness(&["admit", "--settings", &settings, &bare]);
    assert!(code == 2 && text.contains("a whole AdmissionReview"), "{text}");
}

/// A gateway that answers each request with the next of `answers`, the last for
/// good; it keeps what it was asked.
fn gateway(answers: &'static [(u16, &'static str)]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut part = [0; 4096];
            loop {
                let n = stream.read(&mut part).unwrap();
                request.extend(&part[..n]);
                let text = String::from_utf8_lossy(&request).into_owned();
                let length = text
                    .to_ascii_lowercase()
                    .split("content-length: ")
                    .nth(1)
                    .and_then(|rest| rest.split("\r\n").next()?.parse::<usize>().ok());
                let body = text.split_once("\r\n\r\n").map(|(_, body)| body.len());
                if n == 0 || body.is_some_and(|b| b >= length.unwrap_or(0)) {
                    break;
                }
            }
            let mut kept = kept.lock().unwrap();
            let (status, body) = answers[kept.len().min(answers.len() - 1)];
            kept.push(String::from_utf8_lossy(&request).into_owned());
            let length = if status == 204 {
                String::new()
            } else {
                format!("content-length: {}\r\n", body.len())
            };
            write!(stream, "HTTP/1.1 {status} X\r\nconnection: close\r\n{length}\r\n{body}")
                .unwrap();
        }
    });
    (url, asked)
}

#[test]
fn canary_goes_to_every_gateway_and_says_which_have_it() {
    let token = file("token", "secret-token\n");
    let (good, asked) = gateway(&[(503, "not published yet"), (204, "")]);
    let (bad, _) = gateway(&[(409, "begin: scale-up is frozen")]);
    let args = |gateways: &[&str]| {
        let mut args = vec![
            "canary",
            "begin",
            "--weight",
            "0.1",
            "--skill-hash",
            "0017",
            "--token-file",
            &token,
        ];
        gateways.iter().for_each(|g| args.extend(["--gateway", g]));
        harness(&args)
    };
    let (code, text) = args(&[&good]);
    assert!(code == 0 && text.contains("has it"), "{text}");
    let request = asked.lock().unwrap()[1].clone();
    assert!(
        request.starts_with("PUT /keda/canary")
            && request.to_lowercase().contains("authorization: bearer secret-token"),
        "{request}"
    );
    assert!(
        request.contains(r#""skill_hash":"0017""#) && request.contains(r#""weight":0.1"#),
        "{request}"
    );
    let (code, text) = args(&[&good, &bad]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("HAS IT NOT  409 begin: scale-up is frozen"), "{text}");
    assert!(!text.contains("secret-token"));
    let (code, text) = harness(&["canary", "weight", "--gateway", &good, "--token-file", &token]);
    assert!(code == 2 && text.contains("weight: `weight` needs it"), "{text}");
    let (code, text) = harness(&["canary", "end", "--gateway", &good]);
    assert!(code == 2 && text.contains("a token is needed"), "{text}");
}

#[test]
fn probe_exits_with_what_the_gateway_says() {
    let token = file("probe-token", "t");
    let probe = |url: &str| harness(&["probe", "--token-file", &token, url]);
    let (refused, _) = gateway(&[(401, "a bearer token is needed")]);
    let (code, text) = probe(&refused);
    assert!(code == 2 && text.contains("401 a bearer token is needed"), "{text}");
    let (code, text) = probe("http://127.0.0.1:1");
    assert_eq!(code, 2, "{text}");
    let document = |status: &str, frozen: u32| {
        let text = serde_json::json!({
            "status": status, "keda": "lane", "degraded": false, "schema": "merged.v1",
            "observed_at": "2026-11-24T09:00:00Z", "canary_active": false, "maintenance": false,
            "aborted": false, "promotion_frozen": false,
            "canary": { "requests": 0, "errors": 0, "local_errors": 0, "aborted": 0 },
            "stable": { "requests": 0, "errors": 0, "local_errors": 0, "aborted": 0 },
            "gateway": { "disk_ok": true, "id": "gw-a1", "az": "a", "gateway_version": "1", "disk_tier": "1TB", "drain": false },
            "signals": [{ "name": "doctor", "verdict": "pass", "reason": "all deep checks passed", "since": "2026-11-24T09:00:00Z" }],
            "scaling": { "frozen": frozen, "frozen_by": [], "hold_replicas": 5 },
            "observer": { "workers": 1, "latency": null, "unclassified": 0, "digests_sent": 0, "digests_dropped": 0, "publish_failures": 0, "restarts": 0, "unreadable_slots": 0 },
        });
        let text: &'static str = Box::leak(text.to_string().into_boxed_str());
        gateway(Box::leak(Box::new([(200, text)]))).0
    };
    let (code, text) = probe(&document("healthy", 0));
    assert!(code == 0 && text.contains("healthy on gw-a1") && text.contains("hold 5"), "{text}");
    let (code, text) = probe(&document("warming", 1));
    assert!(code == 1 && text.contains("doctor"), "{text}");
}
