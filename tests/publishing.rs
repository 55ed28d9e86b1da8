//! How soon a command's verdict is published when the API server is in trouble,
//! counted in virtual time: its caller waits ten seconds (`endpoint/canary.rs`).

use harness::proxy_host::Outcome;
use harness::scenario::run::Simulation;
use serde_json::{json, Value};
use std::time::Duration;
use tests::simulation::*;

/// Sends `maintenance`, with the API server in trouble for the first `seconds` of it;
/// returns the status and after how many seconds it came.
fn command_in_trouble(
    s: &mut Simulation,
    seconds: u64,
    trouble: impl Fn(&mut Simulation, bool),
) -> (u16, u64) {
    let (begun, body) = (s.elapsed_s(), json!({ "action": "maintenance", "maintenance": true }));
    trouble(s, true);
    let mut outcome = s.begin(&put("/keda/canary", "ops", &body)).unwrap();
    loop {
        if let Outcome::Answered(response) = &outcome {
            return (response.status, s.elapsed_s() - begun);
        }
        assert!(s.elapsed_s() < begun + 15, "no answer");
        s.run_to(s.elapsed_s() + 1).unwrap();
        if s.elapsed_s() >= begun + seconds {
            trouble(s, false);
        }
        s.poll(&mut outcome).unwrap();
    }
}

fn published(s: &Simulation) -> Value {
    let cluster = s.cluster();
    let object = cluster.get("ConfigMap", "builds", "canary-gate.gw-a1").unwrap();
    serde_json::from_str(object["data"]["verdict"].as_str().unwrap()).unwrap()
}

fn slow(s: &mut Simulation, on: bool) {
    s.api_delay = Duration::from_secs(if on { 7 } else { 0 });
}

fn refuses(s: &mut Simulation, on: bool) {
    s.cluster().fault_writes = on.then_some(500);
}

/// The first answer takes longer than the filter waits for one (5 s), though what was
/// asked is done: the second attempt meets a conflict, reads again, and writes again.
#[test]
fn an_answer_that_is_lost_is_made_up_for_within_the_callers_patience() {
    let mut s = idle();
    let (status, seconds) = command_in_trouble(&mut s, 4, slow);
    assert_eq!(status, 204, "after {seconds} s");
    assert!(seconds <= 8, "{seconds} s");
    assert_eq!(published(&s)["maintenance"], true);
    assert_eq!(document(&mut s)["observer"]["publish_failures"], 1);
}

#[test]
fn a_refusal_is_made_up_for_within_the_callers_patience() {
    let mut s = idle();
    let (status, seconds) = command_in_trouble(&mut s, 4, refuses);
    assert_eq!(status, 204, "after {seconds} s");
    assert!(seconds <= 9, "{seconds} s");
    assert_eq!(published(&s)["maintenance"], true);
}

/// Trouble that outlasts the caller: it is told so, and the command is kept.
#[test]
fn trouble_that_lasts_is_told_and_the_command_is_kept() {
    for trouble in [slow, refuses] {
        let mut s = idle();
        let (status, seconds) = command_in_trouble(&mut s, 20, trouble);
        assert_eq!((status, seconds), (503, 10));
        trouble(&mut s, false);
        s.run_to(s.elapsed_s() + 40).unwrap();
        assert_eq!(published(&s)["maintenance"], true);
    }
}
