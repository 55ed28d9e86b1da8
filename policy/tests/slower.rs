//! Edits that are slower by how they are made: nearly all must pass on a frozen lane.
//!
//! Each changes one thing of a generated object in the direction in which the HPA or KEDA can
//! only ask for less, written from their documentation and not from the policy's code.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops by panicking"
)]

mod world;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{json, Value};
use world::{Edit, Lane};

fn policies() -> impl Strategy<Value = Vec<Value>> {
    let policy = (any::<bool>(), 1..9i64, 1..8i64).prop_map(|(pods, value, period)| {
        let (kind, value) = if pods { ("Pods", value) } else { ("Percent", value * 25) };
        json!({ "type": kind, "value": value, "periodSeconds": period * 15 })
    });
    prop::collection::vec(policy, 1..4)
}

fn triggers() -> impl Strategy<Value = Vec<Value>> {
    let trigger = (0..4usize, 8..40i64, 0..5i64, any::<bool>()).prop_map(
        |(kind, target, activation, cached)| {
            let (kind, key, active) = [
                ("redis", "listLength", "activationListLength"),
                ("rabbitmq", "queueLength", "activationValue"),
                ("kafka", "lagThreshold", "activationLagThreshold"),
                ("aws-sqs-queue", "queueLength", "activationQueueLength"),
            ][kind];
            json!({ "type": kind, "useCachedMetrics": cached,
                "metadata": { key: target.to_string(), active: activation.to_string() } })
        },
    );
    prop::collection::vec(trigger, 2..4)
}

/// A ScaledObject with all that makes it fast or slow.
fn scaled_object() -> impl Strategy<Value = Value> {
    let select = prop::sample::select(vec!["Max", "Min"]);
    (policies(), select, 0..5i64, triggers(), 1..4i64, 20..60i64, 1..6i64).prop_map(
        |(policies, select, window, triggers, fallback, polling, max)| {
            json!({ "metadata": { "name": world::STABLE }, "spec": {
                "scaleTargetRef": { "name": world::STABLE }, "minReplicaCount": 1, "maxReplicaCount": max + 1,
                "pollingInterval": polling, "triggers": triggers,
                "fallback": { "failureThreshold": 3, "replicas": fallback },
                "advanced": { "horizontalPodAutoscalerConfig": { "behavior": { "scaleUp": {
                    "selectPolicy": select, "policies": policies, "stabilizationWindowSeconds": window * 30,
                } } } },
            } })
        },
    )
}

type Slower = (&'static str, fn(&mut Value));

const UP: &str = "/spec/advanced/horizontalPodAutoscalerConfig/behavior/scaleUp";

fn add(object: &mut Value, pointer: &str, n: i64) {
    let value = object.pointer_mut(pointer).unwrap();
    let new = match &*value {
        Value::String(text) => json!((text.parse::<i64>().unwrap() + n).to_string()),
        value => json!(value.as_i64().unwrap() + n),
    };
    *value = new;
}

fn key_of(object: &Value, starts: &str) -> String {
    let keys = object["spec"]["triggers"][0]["metadata"].as_object().unwrap().keys();
    keys.into_iter()
        .find(|k| k.starts_with("activation") == (starts == "activation"))
        .unwrap()
        .clone()
}

const EDITS: [Slower; 14] = [
    ("a longer window", |o| add(o, &format!("{UP}/stabilizationWindowSeconds"), 30)),
    ("fewer pods", |o| add(o, &format!("{UP}/policies/0/value"), -1)),
    ("a longer period", |o| add(o, &format!("{UP}/policies/0/periodSeconds"), 15)),
    ("more tolerance", |o| o.pointer_mut(UP).unwrap()["tolerance"] = json!("0.3")),
    ("the policy that allows least", |o| o.pointer_mut(UP).unwrap()["selectPolicy"] = json!("Min")),
    ("no scale-up", |o| o.pointer_mut(UP).unwrap()["selectPolicy"] = json!("Disabled")),
    ("a higher target", |o| {
        let key = key_of(o, "");
        add(o, &format!("/spec/triggers/0/metadata/{key}"), 8);
    }),
    ("a higher activation", |o| {
        let key = key_of(o, "activation");
        add(o, &format!("/spec/triggers/0/metadata/{key}"), 3);
    }),
    ("a trigger removed", |o| {
        o["spec"]["triggers"].as_array_mut().unwrap().pop();
    }),
    ("values that are kept", |o| o["spec"]["triggers"][0]["useCachedMetrics"] = json!(true)),
    ("asked less often", |o| add(o, "/spec/pollingInterval", 30)),
    ("a lower fallback", |o| add(o, "/spec/fallback/replicas", -1)),
    ("a later fallback", |o| add(o, "/spec/fallback/failureThreshold", 2)),
    ("a fallback that keeps what runs", |o| {
        o["spec"]["fallback"]["behavior"] = json!("currentReplicas");
    }),
];

#[test]
fn nearly_all_slower_edits_pass_while_frozen() {
    let settings = world::settings();
    let state = Lane::Frozen.state();
    let mut runner = TestRunner::deterministic();
    let (mut asked, mut refused) = (0, std::collections::BTreeMap::<String, u32>::new());
    for _ in 0..400 {
        let old = scaled_object().new_tree(&mut runner).unwrap().current();
        for (name, slower) in EDITS {
            for beside in [false, true] {
                let mut new = old.clone();
                slower(&mut new);
                // Also beside a lower maximum in the same edit.
                if beside {
                    add(&mut new, "/spec/maxReplicaCount", -1);
                }
                let edit = Edit {
                    group: "keda.sh",
                    kind: "ScaledObject",
                    resource: "",
                    sub_resource: "",
                    name: world::STABLE.to_owned(),
                    old: Some(old.clone()),
                    new: Some(new),
                };
                asked += 1;
                let rules = world::refused_by(&settings, &state, &edit);
                if !rules.is_empty() {
                    *refused.entry(format!("{name}: {rules:?}")).or_default() += 1;
                }
            }
        }
    }
    let all: u32 = refused.values().sum();
    println!("{asked} slower edits, {all} refused: {refused:?}");
    assert!(u64::from(all) * 20 <= asked, "more than 5 %: {refused:?}");
}
