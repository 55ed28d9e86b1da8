//! An API server in trouble, over real connections: what a gateway could not
//! publish is counted, told to the caller, kept, and published once it can be.

use serde_json::{json, Value};
use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};
use tests::envoy::{alone, Envoy, Setup};
use tests::servers::{ApiServer, Notifier, Trouble};

fn verdict(api: &ApiServer) -> Value {
    let cluster = api.cluster.lock().unwrap_or_else(PoisonError::into_inner);
    let object = cluster.get("ConfigMap", "builds", "canary-gate.gw-a1");
    let text = object.and_then(|o| o["data"]["verdict"].as_str()).unwrap_or("null");
    serde_json::from_str(text).unwrap()
}

fn failures(envoy: &Envoy) -> u64 {
    let d = envoy.get("/keda/metrics", "bastion").json();
    d["observer"]["publish_failures"].as_u64().unwrap()
}

fn set(api: &ApiServer, trouble: Option<Trouble>) {
    *api.trouble.lock().unwrap() = trouble;
}

fn start(api: &ApiServer) -> Envoy {
    Envoy::start(&Setup {
        api_port: api.port,
        notifier_port: Notifier::start().port,
        // Long polls: what is published here is commands alone.
        windows: json!({ "length_s": 300, "poll_s": 60, "tick_s": 1 }),
        ..Setup::default()
    })
}

/// When the verdict was written or tried to be, from some time on.
fn writes(api: &ApiServer, from: Instant) -> Vec<Duration> {
    let asked = api.asked.lock().unwrap_or_else(PoisonError::into_inner);
    let ours = asked
        .iter()
        .filter(|a| a.at >= from && a.method == "PATCH" && a.path.contains("configmaps"));
    ours.map(|a| a.at.duration_since(from)).collect()
}

/// Until a command that was kept is published.
fn wait_for_maintenance(api: &ApiServer, envoy: &Envoy, maintenance: bool) {
    let begun = Instant::now();
    while verdict(api)["maintenance"] != maintenance {
        assert!(begun.elapsed() < Duration::from_secs(60), "not kept: {}", envoy.log());
        thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_verdict_that_was_not_published_is_published_later() {
    let _alone = alone();
    let api = ApiServer::start();
    let envoy = start(&api);
    envoy.wait_for(15, "a document", |_| true);
    assert_eq!(envoy.put("/keda/canary", "ops", &json!({ "action": "end" })).status, 204);
    let troubles = [
        Trouble::Refuses(401, None),
        Trouble::Refuses(409, None),
        Trouble::Refuses(422, None),
        Trouble::Refuses(429, Some(4)),
        Trouble::Refuses(500, None),
        Trouble::Slow(7),
        Trouble::Cut,
        Trouble::DoneAndCut,
    ];
    for (i, trouble) in troubles.into_iter().enumerate() {
        let maintenance = i % 2 == 0;
        let before = failures(&envoy);
        set(&api, Some(trouble));
        let begun = Instant::now();
        let answer = thread::scope(|scope| {
            let caller = scope.spawn(|| {
                let body = json!({ "action": "maintenance", "maintenance": maintenance });
                envoy.put("/keda/canary", "ops", &body)
            });
            while failures(&envoy) == before {
                assert!(begun.elapsed() < Duration::from_secs(12), "{trouble:?}: {}", envoy.log());
                thread::sleep(Duration::from_millis(50));
            }
            set(&api, None);
            caller.join().unwrap()
        });
        let took = begun.elapsed();
        println!("{trouble:?}: {} after {took:.1?}", answer.status);
        // How much of the caller's patience the retries took is a matter of this
        // machine's speed; that they fit into it is counted in virtual time
        // (`publishing::`). Here each answer must be true.
        match answer.status {
            204 => assert_eq!(verdict(&api)["maintenance"], maintenance, "{trouble:?}"),
            503 => {
                assert!(answer.body.contains("kept"), "{trouble:?}: {answer:?}");
                wait_for_maintenance(&api, &envoy, maintenance);
            }
            _ => panic!("{trouble:?}: {answer:?}\n{}", envoy.log()),
        }
        if let Trouble::Refuses(429, Some(asked)) = trouble {
            let at = writes(&api, begun);
            let waited = at[1] - at[0];
            assert!(
                waited >= Duration::from_secs(asked.into()),
                "asked {asked} s, waited {waited:?}"
            );
        }
    }
    // Who asked is told that it is not published yet; it is kept.
    set(&api, Some(Trouble::Refuses(500, None)));
    let answer =
        envoy.put("/keda/canary", "ops", &json!({ "action": "maintenance", "maintenance": true }));
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.body.contains("kept"), "{answer:?}");
    assert_eq!(verdict(&api)["maintenance"], false);
    set(&api, None);
    wait_for_maintenance(&api, &envoy, true);
    let d = envoy.get("/keda/metrics", "bastion").json();
    assert!(d["observer"]["publish_failures"].as_u64() >= Some(9), "{d}");
}

/// A gateway that starts while the API server is away knows nothing, and says
/// so; a state that is there by then is taken up, and one that is not is made
/// once, though two processes find none.
#[test]
fn a_start_without_an_api_server_is_frozen_until_it_answers() {
    let _alone = alone();
    let api = ApiServer::start();
    set(&api, Some(Trouble::Refuses(500, None)));
    let envoy = start(&api);
    let d =
        envoy.wait_for(15, "a document", |d| d["observer"]["publish_failures"].as_u64() >= Some(1));
    // `degraded` by the node's missing facts, should a poll have passed.
    assert!(d["status"] == "warming" || d["status"] == "degraded", "{d}");
    assert_eq!(d["scaling"]["frozen"], 1);
    assert_eq!(d["canary_active"], true);
    // Meanwhile another process made it.
    let made = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "canary-gate.gw-a1", "namespace": "builds" },
        "data": { "verdict": json!({ "schema": "verdict.v1", "epoch": 7 }).to_string(), "state": "{}" },
    });
    api.cluster.lock().unwrap().put(made);
    set(&api, None);
    let begun = Instant::now();
    while !verdict(&api)["frozen_by"].to_string().contains("state_unknown") {
        assert!(begun.elapsed() < Duration::from_secs(40), "{}\n{}", verdict(&api), envoy.log());
        thread::sleep(Duration::from_millis(200));
    }
    assert!(verdict(&api)["epoch"].as_u64() > Some(7), "{}", verdict(&api));
}
