//! Random sequences of edits: what is admitted never lifts a target above
//! where it started or what its slice declares, and a lowering is admitted
//! always.
//!
//! Wider than the exhaustive search and not complete: numbers that are text,
//! negative, huge or null, every pause, status writes, Rollouts that run a
//! target's template, deletes and re-creates.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops by panicking"
)]

mod world;

use proptest::prelude::*;
use serde_json::{json, Value};
use std::collections::BTreeMap;
use world::{Edit, Lane, CANARY, STABLE, UNBOUNDED};

type Key = (&'static str, &'static str);

/// Kind and name of everything that can scale the lane, or pretend to.
const OBJECTS: [Key; 10] = [
    ("ScaledObject", STABLE),
    ("ScaledObject", CANARY),
    ("ScaledObject", "second"),
    ("HorizontalPodAutoscaler", "keda-hpa-w"),
    ("HorizontalPodAutoscaler", "keda-hpa-c"),
    ("HorizontalPodAutoscaler", "mine"),
    ("Deployment", STABLE),
    ("Deployment", CANARY),
    ("Rollout", "rollout"),
    ("Deployment", "other"),
];

fn group(kind: &str) -> &'static str {
    match kind {
        "ScaledObject" => "keda.sh",
        "HorizontalPodAutoscaler" => "autoscaling",
        "Rollout" => "argoproj.io",
        _ => "apps",
    }
}

/// One change of one field.
#[derive(Clone, Debug)]
enum Change {
    Set(&'static str, Value),
    Annotate(&'static str, Option<&'static str>),
}

#[derive(Clone, Debug)]
enum Action {
    Delete,
    /// Creates the object where it is absent, changes it where it is there.
    Write(Vec<Change>),
    /// `*/scale`, or `scaledobjects/status` for a ScaledObject.
    Subresource(Value),
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        12 => (0i64..5).prop_map(|n| json!(n)),
        1 => Just(Value::Null),
        1 => Just(json!(-1)),
        1 => Just(json!("2")),
        1 => Just(json!(2.5)),
        1 => Just(json!(1e18)),
        1 => Just(json!(i64::MAX)),
    ]
}

fn change(kind: &'static str) -> BoxedStrategy<Change> {
    let target = prop_oneof![
        6 => Just(STABLE),
        2 => Just(CANARY),
        1 => Just("other"),
    ]
    .prop_map(|t| json!({ "name": t }));
    let set = |path: &'static str| number().prop_map(move |n| Change::Set(path, n));
    match kind {
        "ScaledObject" => prop_oneof![
            4 => set("/spec/maxReplicaCount"),
            2 => set("/spec/minReplicaCount"),
            1 => set("/spec/idleReplicaCount"),
            1 => number().prop_map(|n| Change::Set("/spec/fallback", json!({ "replicas": n, "failureThreshold": 3 }))),
            1 => target.prop_map(|t| Change::Set("/spec/scaleTargetRef", t)),
            1 => any::<bool>().prop_map(|b| Change::Set("/spec/advanced", json!({ "restoreToOriginalReplicaCount": b }))),
            1 => any::<bool>().prop_map(|b| {
                let select = if b { "Disabled" } else { "Max" };
                Change::Set("/spec/advanced", json!({ "horizontalPodAutoscalerConfig": { "behavior": { "scaleUp": { "selectPolicy": select } } } }))
            }),
            4 => (
                prop::sample::select(vec!["paused-replicas", "paused", "paused-scale-out", "force-activation"]),
                prop::option::of(prop::sample::select(vec!["0", "1", "4", "-1", "true", "false", "many"])),
            )
                .prop_map(|(key, value)| Change::Annotate(key, value)),
        ]
        .boxed(),
        "HorizontalPodAutoscaler" => prop_oneof![
            4 => set("/spec/maxReplicas"),
            2 => set("/spec/minReplicas"),
            1 => target.prop_map(|t| Change::Set("/spec/scaleTargetRef", t)),
            2 => any::<bool>().prop_map(|b| {
                let select = if b { "Disabled" } else { "Max" };
                Change::Set("/spec/behavior", json!({ "scaleUp": { "selectPolicy": select } }))
            }),
        ]
        .boxed(),
        "Rollout" => prop_oneof![
            3 => set("/spec/replicas"),
            1 => target.prop_map(|t| Change::Set("/spec/workloadRef", t)),
        ]
        .boxed(),
        _ => set("/spec/replicas").boxed(),
    }
}

fn action() -> impl Strategy<Value = (Key, Action)> {
    prop::sample::select(OBJECTS.to_vec()).prop_flat_map(|key| {
        let actions = prop_oneof![
            1 => Just(Action::Delete),
            6 => prop::collection::vec(change(key.0), 0..4).prop_map(Action::Write),
            2 => number().prop_map(Action::Subresource),
        ];
        (Just(key), actions)
    })
}

type World = BTreeMap<Key, Value>;

/// What an object is before anybody changed it.
fn blank((kind, name): Key) -> Value {
    let target = match name {
        "keda-hpa-w" | "second" | "mine" => STABLE,
        "keda-hpa-c" => CANARY,
        other => other,
    };
    match kind {
        "ScaledObject" => json!({
            "metadata": { "annotations": {} },
            "spec": { "scaleTargetRef": { "name": target }, "triggers": world::queue_trigger(),
                      "minReplicaCount": i64::from(target == STABLE), "maxReplicaCount": 1 },
        }),
        "HorizontalPodAutoscaler" => {
            json!({ "spec": { "scaleTargetRef": { "name": target }, "maxReplicas": 1, "minReplicas": 1 } })
        }
        "Rollout" => {
            json!({ "spec": { "workloadRef": { "kind": "Deployment", "name": STABLE }, "replicas": 0 } })
        }
        _ => json!({ "spec": { "replicas": 0 } }),
    }
}

fn changed(mut object: Value, changes: &[Change]) -> Value {
    for change in changes {
        match change {
            Change::Set(pointer, value) => {
                let (parent, key) = pointer.rsplit_once('/').unwrap();
                object.pointer_mut(parent).unwrap()[key] = value.clone();
            }
            Change::Annotate(key, value) => {
                object["metadata"]["annotations"][format!("autoscaling.keda.sh/{key}")] =
                    json!(value);
            }
        }
    }
    object
}

/// The edit that an action is in this world; `None` where there is nothing to do it to.
fn edit(world: &World, key: Key, action: &Action) -> Option<Edit> {
    let (kind, name) = key;
    let old = world.get(&key).cloned();
    let whole = Edit {
        group: group(kind),
        kind,
        resource: "",
        sub_resource: "",
        name: name.into(),
        old: old.clone(),
        new: None,
    };
    match action {
        Action::Delete => old.map(|_| whole),
        Action::Write(changes) => {
            Some(Edit { new: Some(changed(old.unwrap_or_else(|| blank(key)), changes)), ..whole })
        }
        Action::Subresource(n) if kind == "ScaledObject" => {
            let mut new = old?;
            new["status"]["originalReplicaCount"] = n.clone();
            Some(Edit { sub_resource: "status", new: Some(new), ..whole })
        }
        Action::Subresource(n) if kind == "Deployment" => {
            let scale = |n: &Value| json!({ "spec": { "replicas": n } });
            let before = scale(&old?["spec"]["replicas"]);
            Some(Edit {
                group: "autoscaling",
                kind: "Scale",
                resource: "deployments",
                sub_resource: "scale",
                old: Some(before),
                new: Some(scale(n)),
                ..whole
            })
        }
        Action::Subresource(_) => None,
    }
}

/// What is stored when the edit is admitted.
fn apply(world: &mut World, key: Key, edit: &Edit) {
    match &edit.new {
        None => {
            world.remove(&key);
        }
        Some(new) if edit.kind == "Scale" => {
            // An absent number is 0 in a Scale and 1 in a workload.
            let n = new["spec"]["replicas"].clone();
            world.get_mut(&key).unwrap()["spec"]["replicas"] =
                if n.is_null() { json!(0) } else { n };
        }
        Some(new) => {
            world.insert(key, new.clone());
        }
    }
}

/// How high the target can get with what there is.
fn height(world: &World, target: &str) -> i64 {
    let mut heights = vec![0];
    for ((kind, name), object) in world {
        match *kind {
            "ScaledObject" if world::target_of(object) == target => {
                heights.push(world::height_of_scaled_object(object));
            }
            "HorizontalPodAutoscaler" if world::target_of(object) == target => {
                heights.push(world::height_of_hpa(object));
            }
            "Deployment" if *name == target => {
                heights.push(world::number(&object["spec"]["replicas"], 1))
            }
            "Rollout" if object["spec"]["workloadRef"]["name"] == target => {
                heights.push(world::number(&object["spec"]["replicas"], 1));
            }
            _ => {}
        }
    }
    heights.into_iter().max().unwrap_or(0)
}

fn lane() -> impl Strategy<Value = Lane> {
    prop::sample::select(Lane::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn no_admitted_sequence_lifts_a_target(
        lane in lane(),
        // What is there at the start was written while nobody looked.
        start in prop::collection::vec(action(), 0..14),
        actions in prop::collection::vec(action(), 1..24),
    ) {
        let settings = world::settings();
        let state = lane.state();
        let mut world = World::new();
        for (key, action) in &start {
            if let Some(edit) = edit(&world, *key, action) {
                apply(&mut world, *key, &edit);
            }
        }
        let limits = [STABLE, CANARY].map(|target| {
            (target, lane.limit(target).map_or(UNBOUNDED, |limit| limit.max(height(&world, target))))
        });
        for (key, action) in &actions {
            let Some(edit) = edit(&world, *key, action) else { continue };
            let refused = world::refused_by(&settings, &state, &edit);
            prop_assert!(edit.new.is_some() || refused.is_empty(), "a DELETE is refused: {:?}", edit);
            if !refused.is_empty() {
                continue;
            }
            let before = world.clone();
            apply(&mut world, *key, &edit);
            for (target, limit) in limits {
                prop_assert!(
                    height(&world, target) <= limit,
                    "{:?}: {} may reach {} above {} by {:?} in {:?}",
                    lane, target, height(&world, target), limit, edit, before
                );
            }
        }
    }

    #[test]
    fn a_lowering_is_always_admitted(lane in lane(), (key, action) in action(), by in 1i64..4) {
        let mut world = World::new();
        let Some(written) = edit(&world, key, &action) else { return Ok(()) };
        apply(&mut world, key, &written);
        let Some(old) = world.get(&key).cloned() else { return Ok(()) };
        for pointer in ["/spec/maxReplicaCount", "/spec/minReplicaCount", "/spec/maxReplicas", "/spec/replicas"] {
            let Some(n) = old.pointer(pointer).and_then(Value::as_i64).filter(|n| *n > i64::MIN + by) else { continue };
            let mut new = old.clone();
            *new.pointer_mut(pointer).unwrap() = json!(n - by);
            let edit = Edit { old: Some(old.clone()), new: Some(new), ..written.clone() };
            let refused = world::refused_by(&world::settings(), &lane.state(), &edit);
            prop_assert!(
                refused.iter().all(|rule| *rule == "replica-floor" && pointer == "/spec/minReplicaCount"),
                "{:?}: {:?} refuse {:?}", lane, refused, edit
            );
        }
    }

    #[test]
    fn what_changes_nothing_is_always_admitted(lane in lane(), (key, action) in action()) {
        let Some(edit) = edit(&World::new(), key, &action) else { return Ok(()) };
        let edit = Edit { old: edit.new.clone(), ..edit };
        prop_assert!(world::refused_by(&world::settings(), &lane.state(), &edit).is_empty());
    }
}
