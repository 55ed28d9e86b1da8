//! Two processes of one gateway side by side, as Envoy's hot restart runs them.

use serde_json::{json, Value};
use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};
use tests::envoy::{alone, Envoy, Setup};
use tests::servers::{ApiServer, Notifier};

/// Epoch and canary_active of each verdict that was written, in order.
fn written(api: &ApiServer) -> Vec<(u64, bool)> {
    let asked = api.asked.lock().unwrap_or_else(PoisonError::into_inner);
    let ours = asked.iter().filter(|a| a.path.contains("configmaps") && a.status < 300);
    ours.filter_map(|a| serde_json::from_str::<Value>(a.body["data"]["verdict"].as_str()?).ok())
        .map(|v| (v["epoch"].as_u64().unwrap(), v["canary_active"].as_bool().unwrap()))
        .collect()
}

#[test]
fn the_newer_process_speaks_and_nothing_opens_in_between() {
    let _alone = alone();
    let api = ApiServer::start();
    let mut old = Envoy::start(&Setup {
        workers: 2,
        api_port: api.port,
        notifier_port: Notifier::start().port,
        ..Setup::default()
    });
    old.wait_for(15, "a document", |_| true);
    let mut facts = tests::well();
    facts["skill_hash"] = "c4e1".into();
    assert_eq!(old.put("/keda/facts", "facts", &facts).status, 204);
    assert_eq!(old.put("/keda/canary", "ops", &json!({ "action": "end" })).status, 204);
    old.wait_for(20, "an idle lane", |d| d["status"] == "healthy");
    let begin = json!({ "action": "begin", "weight": 0.1, "skill_hash": "c4e1", "stable_skill_hash": "9a70" });
    assert_eq!(old.put("/keda/canary", "ops", &begin).status, 204);
    let before = written(&api);
    let (first, _) = *before.last().unwrap();

    let new = old.hot_restart();
    let begun = Instant::now();
    let mut commanded = 0;
    while begun.elapsed() < Duration::from_secs(9) {
        let d = new.get("/keda/metrics", "bastion");
        if d.status == 200 {
            let d = d.json();
            assert_eq!(
                (&d["canary_active"], &d["promotion_frozen"]),
                (&json!(true), &json!(true)),
                "{d}"
            );
        }
        // Whichever process takes it: applied and published, or to be sent again.
        let body = json!({ "action": "maintenance", "maintenance": commanded % 2 == 0 });
        let answer = new.put("/keda/canary", "ops", &body);
        assert!([0, 204, 503].contains(&answer.status), "{answer:?}");
        commanded += u32::from(answer.status == 204);
        thread::sleep(Duration::from_millis(300));
    }
    old.wait_for_end();
    let d = new.wait_for(10, "the new process", |_| true);
    assert_eq!((&d["canary_active"], &d["canary"]["skill_hash"]), (&json!(true), &json!("c4e1")));
    let verdicts = written(&api);
    let epochs: Vec<u64> = verdicts.iter().map(|v| v.0).collect();
    println!("{commanded} commands took effect; epochs written {epochs:?}");
    let second = *epochs.last().unwrap();
    assert!(second > first, "{epochs:?}");
    assert!(epochs.is_sorted(), "the older process spoke after the newer one: {epochs:?}");
    let since_begin = verdicts.iter().skip(before.len());
    assert!(since_begin.clone().all(|v| v.1), "opened in between");
    assert!(commanded > 3, "{commanded}");
    assert_eq!(new.put("/keda/canary", "ops", &json!({ "action": "end" })).status, 204);
    assert_eq!(written(&api).last(), Some(&(second, false)));
}
