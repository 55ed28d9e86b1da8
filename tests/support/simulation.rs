//! Simulations on the rollout scenario's gateway, lane and policy.

use gate::slice::Slice;
use harness::proxy_host::http::{Request, Response};
use harness::scenario::format::{Scenario, Traffic};
use harness::scenario::run::{Modules, Simulation};
use serde_json::{json, Value};
use std::sync::OnceLock;

/// Both modules, compiled once for all tests.
pub fn modules() -> &'static Modules {
    static MODULES: OnceLock<Modules> = OnceLock::new();
    MODULES.get_or_init(|| Modules::load(&crate::root("dist")).expect("run `make wasm` first"))
}

/// The rollout scenario, to be changed before it starts.
pub fn scenario() -> Scenario {
    Scenario::load(&crate::root("scenarios/rollout.yaml")).expect("scenarios/rollout.yaml")
}

/// Token of the scenario by name.
pub fn token(name: &str) -> String {
    let scenario = scenario();
    let token = scenario.gateway.tokens.into_iter().find(|t| t.name == name);
    token.expect("a token of that name").token
}

pub fn put(path: &str, as_: &str, body: &Value) -> Request {
    Request::new("PUT", path).bearer(&token(as_)).body(body.to_string())
}

pub fn get(path: &str, as_: &str) -> Request {
    Request::new("GET", path).bearer(&token(as_))
}

pub fn document(s: &mut Simulation) -> Value {
    let response = s.manage(&get("/keda/metrics", "bastion")).expect("an answer");
    assert_eq!(response.status, 200, "{}", response.text());
    serde_json::from_slice(&response.body).expect("JSON")
}

pub fn facts(at: &str) -> Value {
    json!({ "at": at, "disk_used_pct": 50, "doctor_ok": true, "queue_depth": 3, "skill_hash": "c4e1" })
}

pub fn command(s: &mut Simulation, body: &Value) -> Response {
    s.manage(&put("/keda/canary", "ops", body)).expect("an answer")
}

/// A simulation whose lane is idle and healthy, at four minutes.
pub fn idle() -> Simulation {
    let mut s = Simulation::start(modules(), &scenario()).expect("a start");
    s.set_facts(Some(facts("")));
    s.run_to(5).expect("a run");
    assert_eq!(command(&mut s, &json!({ "action": "end" })).status, 204);
    s.run_to(240).expect("a run");
    s
}

pub fn traffic(per_minute: u32, errors_per_mille: u32) -> Traffic {
    Traffic { per_minute, errors_per_mille, latency_ms: 100, slow_ms: None }
}

pub const CANARY: Slice = Slice::Canary;
pub const STABLE: Slice = Slice::Stable;
