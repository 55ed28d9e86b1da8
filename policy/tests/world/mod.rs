//! What the properties are said of: objects, the edits of them that the policy
//! admits, and how high KEDA, the HPA and people could then take a target.
//!
//! The height is written from KEDA's and Kubernetes' documentation and shares
//! no code with the policy.
#![allow(dead_code, reason = "each test binary uses its part")]

use gate::lane::{GatewayState, Unknown};
use gate::parse::Json;
use gate::time::Timestamp;
use gate::verdict::Verdict;
use policy::decision::{self, State};
use policy::request::Request;
use policy::scope;
use policy::settings::Settings;
use serde_json::{json, Value};

pub const NOW: Timestamp = Timestamp::from_secs(1_795_510_800);
pub const NAMESPACE: &str = "builds";
/// The stable and the canary target.
pub const STABLE: &str = "w";
pub const CANARY: &str = "c";
/// What the lane declares.
pub const STABLE_REPLICAS: i64 = 2;
pub const HEADROOM: i64 = 1;
pub const MIN_STABLE: i64 = 1;

/// Where nothing bounds a target.
pub const UNBOUNDED: i64 = i64::MAX;

pub fn settings() -> Settings {
    let text = json!({ "lanes": [{
        "name": "l", "namespace": NAMESPACE, "stableReplicas": STABLE_REPLICAS, "headroom": HEADROOM,
        "minReplicas": { "stable": MIN_STABLE, "canary": 0 },
        "targets": [
            { "kind": "Deployment", "name": STABLE, "slice": "stable", "scaledObject": STABLE },
            { "kind": "Deployment", "name": CANARY, "slice": "canary", "scaledObject": CANARY },
        ],
        "gateways": [{ "id": "gw-a1", "az": "a", "writer": "gw" }],
    }] });
    Settings::parse(text.to_string().as_bytes()).unwrap()
}

/// The lane's states, and how high a target of each slice may get in them
/// beyond where it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Idle,
    Active,
    Frozen,
    ActiveAndFrozen,
    Degraded,
    Aborted,
    Red,
    Yellow1tb,
    Yellow2tb,
    Missing,
    Stale,
    Future,
}

impl Lane {
    pub const ALL: [Lane; 12] = [
        Lane::Idle,
        Lane::Active,
        Lane::Frozen,
        Lane::ActiveAndFrozen,
        Lane::Degraded,
        Lane::Aborted,
        Lane::Red,
        Lane::Yellow1tb,
        Lane::Yellow2tb,
        Lane::Missing,
        Lane::Stale,
        Lane::Future,
    ];

    /// The highest that any sequence of admitted edits may reach; `None` is free.
    pub fn limit(self, target: &str) -> Option<i64> {
        match (self, target) {
            (Lane::Idle, _) => None,
            (_, STABLE) => Some(STABLE_REPLICAS),
            (Lane::Active, _) => Some(HEADROOM),
            (_, _) => Some(0),
        }
    }

    /// Whether what runs may not rise at all by an update, but to the minimum.
    pub fn holds_what_runs(self) -> bool {
        !matches!(self, Lane::Idle | Lane::Active | Lane::Aborted | Lane::Yellow2tb)
    }

    pub fn state(self) -> State {
        let change = match self {
            Lane::Idle => json!({}),
            Lane::Active => json!({ "canary_active": true }),
            Lane::Frozen => json!({ "frozen": true, "frozen_by": ["canary_p99"] }),
            Lane::ActiveAndFrozen => json!({ "canary_active": true, "frozen": true }),
            Lane::Degraded => json!({ "canary_active": true, "degraded": true }),
            Lane::Aborted => json!({ "aborted": true }),
            Lane::Red => json!({ "disk": "red", "frozen": true, "frozen_by": ["disk"] }),
            Lane::Yellow1tb => json!({ "disk": "yellow", "frozen": true, "frozen_by": ["disk"] }),
            Lane::Yellow2tb => {
                json!({ "disk": "yellow", "disk_tier": "2TB", "frozen": true, "frozen_by": ["disk"] })
            }
            Lane::Missing => Value::Null,
            Lane::Stale => {
                json!({ "observed_at": Timestamp::from_secs(1_795_510_800 - 181).to_string() })
            }
            Lane::Future => json!({ "observed_at": NOW.plus_secs(31).to_string() }),
        };
        let mut verdict = json!({
            "schema": "verdict.v1", "gateway": "gw-a1", "az": "a", "observed_at": NOW.to_string(),
            "status": "healthy", "canary_active": false, "degraded": false, "frozen": false,
            "frozen_by": [], "aborted": false, "asleep": false, "disk": "ok", "disk_tier": "1TB",
            "epoch": 1, "promotion_frozen": false, "maintenance": false, "headroom": HEADROOM, "reason": ""
        });
        let verdict = match change.as_object() {
            Some(change) => {
                verdict.as_object_mut().unwrap().extend(change.clone());
                Ok(Verdict::parse(&verdict.to_string()).unwrap())
            }
            None => Err(Unknown::Missing("not found".into())),
        };
        State { gateways: vec![GatewayState::of("gw-a1", "a", verdict, 180, NOW)], override_: None }
    }
}

/// One edit, as an admission request has it.
#[derive(Clone, Debug)]
pub struct Edit {
    pub group: &'static str,
    pub kind: &'static str,
    /// Of a Scale alone.
    pub resource: &'static str,
    pub sub_resource: &'static str,
    pub name: String,
    pub old: Option<Value>,
    /// `None` is DELETE.
    pub new: Option<Value>,
}

/// The rules that refuse, in their order; empty is admitted.
pub fn refused_by(settings: &Settings, state: &State, edit: &Edit) -> Vec<&'static str> {
    let json = |value: &Option<Value>| value.clone().unwrap_or_default();
    let (old, new) = (json(&edit.old), json(&edit.new));
    let request = Request {
        group: edit.group.into(),
        kind: edit.kind.into(),
        resource: edit.resource.into(),
        sub_resource: edit.sub_resource.into(),
        name: edit.name.clone(),
        namespace: NAMESPACE.into(),
        operation: match (&edit.old, &edit.new) {
            (_, None) => "DELETE",
            (None, _) => "CREATE",
            _ => "UPDATE",
        }
        .into(),
        object: Json::from(&new),
        old_object: Json::from(&old),
        ..Request::default()
    };
    let mut rules = Vec::new();
    for change in scope::changes(settings, &request, NOW, &policy::fields::table).unwrap() {
        let decision = decision::decide(settings, &change, state, NOW);
        rules.extend(decision.rejections.iter().map(|r| r.rule.name()));
    }
    rules
}

/// A number as the API server keeps it; what is none cannot be in an object.
pub fn number(value: &Value, default: i64) -> i64 {
    match value {
        Value::Null => default,
        value => value.as_i64().unwrap_or(UNBOUNDED),
    }
}

/// How high KEDA takes the target of a ScaledObject: past its maximum by
/// `paused-replicas`, not at all while paused, to the minimum while only the
/// way up is off, else to its maximum (100 where none is given) or minimum,
/// whichever is higher; and to the original count where a deletion restores it.
pub fn height_of_scaled_object(so: &Value) -> i64 {
    let annotation =
        |key: &str| so["metadata"]["annotations"][format!("autoscaling.keda.sh/{key}")].as_str();
    // As Go's ParseBool, and what it cannot parse is true.
    let flag = |key: &str| annotation(key).is_some_and(|t| t != "false" && t != "0");
    let (min, max) =
        (number(&so["spec"]["minReplicaCount"], 0), number(&so["spec"]["maxReplicaCount"], 100));
    let behavior = &so["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"];
    let up_is_off = flag("paused-scale-out") || behavior["scaleUp"]["selectPolicy"] == "Disabled";
    let driven = match annotation("paused-replicas") {
        Some(text) => text.parse::<i64>().ok().filter(|n| *n >= 0).unwrap_or(UNBOUNDED),
        None if flag("paused") => 0,
        None => {
            let activated = if flag("force-activation") { min.max(1) } else { 0 };
            let by_hpa = if up_is_off { min } else { max.max(min) };
            by_hpa.max(activated)
        }
    };
    let restored = if so["spec"]["advanced"]["restoreToOriginalReplicaCount"] == true {
        number(&so["status"]["originalReplicaCount"], 0)
    } else {
        0
    };
    driven.max(restored)
}

/// How high an HPA takes its target.
pub fn height_of_hpa(hpa: &Value) -> i64 {
    let max = number(&hpa["spec"]["maxReplicas"], UNBOUNDED);
    let min = number(&hpa["spec"]["minReplicas"], 1);
    let disabled = hpa["spec"]["behavior"]["scaleUp"]["selectPolicy"] == "Disabled";
    if disabled {
        min
    } else {
        max.max(min)
    }
}

/// The target that an autoscaler names.
pub fn target_of(object: &Value) -> &str {
    object["spec"]["scaleTargetRef"]["name"].as_str().unwrap_or_default()
}

pub fn queue_trigger() -> Value {
    json!([{ "type": "redis", "metadata": { "listName": "q", "listLength": "8" } }])
}
