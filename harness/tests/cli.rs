//! The commands as a user calls them: exit codes and what is printed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

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
