//! Every admitted sequence of edits of a small lane, to its end.
//!
//! Two targets, the objects that can scale them, a few values of each field;
//! from a start every edit of every object is tried, in every state of the
//! lane, and what is admitted is followed until nothing new is reached. No
//! target may get higher than where it started or what its slice declares.
//!
//! Whether an edit is admitted depends on the object and the lane alone, so
//! each is asked once; the sequences are then followed in integers.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops by panicking"
)]

mod world;

use serde_json::{json, Value};
use std::collections::{HashSet, VecDeque};
use world::{Edit, Lane, CANARY, MIN_STABLE, STABLE, UNBOUNDED};

/// An object of the lane and the values that it may have; the first is absent.
struct Slot {
    edit: Edit,
    values: Vec<Option<Value>>,
    /// Height of (stable, canary) with each value.
    heights: Vec<(i64, i64)>,
    /// Whether updates write what runs rather than what may.
    runs: bool,
}

fn slot(
    group: &'static str,
    kind: &'static str,
    name: &str,
    values: Vec<Value>,
    height: fn(&Value) -> i64,
) -> Slot {
    let mut all = vec![None];
    all.extend(values.into_iter().map(Some));
    let heights = all
        .iter()
        .map(|v| match v {
            None => (0, 0),
            Some(v) if world::target_of(v) == STABLE => (height(v), 0),
            Some(v) if world::target_of(v) == CANARY => (0, height(v)),
            Some(_) => (0, 0),
        })
        .collect();
    let edit = Edit {
        group,
        kind,
        resource: "",
        sub_resource: "",
        name: name.into(),
        old: None,
        new: None,
    };
    Slot { edit, values: all, heights, runs: false }
}

fn scaled_objects(
    targets: &[&str],
    maxima: &[Option<i64>],
    minima: &[i64],
    pauses: &[&[(&str, &str)]],
) -> Vec<Value> {
    let mut values = Vec::new();
    for target in targets {
        for max in maxima {
            for min in minima {
                for pause in pauses {
                    let annotations: serde_json::Map<String, Value> = pause
                        .iter()
                        .map(|(k, v)| (format!("autoscaling.keda.sh/{k}"), json!(v)))
                        .collect();
                    values.push(json!({
                        "metadata": { "annotations": annotations },
                        "spec": { "scaleTargetRef": { "name": target }, "maxReplicaCount": max,
                                  "minReplicaCount": min, "triggers": world::queue_trigger() },
                    }));
                }
            }
        }
    }
    values
}

fn hpas(targets: &[&str], maxima: &[i64], minima: &[i64], disabled: &[bool]) -> Vec<Value> {
    let mut values = Vec::new();
    for target in targets {
        for max in maxima {
            for min in minima {
                for disabled in disabled {
                    let select = if *disabled { "Disabled" } else { "Max" };
                    values.push(json!({ "spec": {
                        "scaleTargetRef": { "name": target }, "maxReplicas": max, "minReplicas": min,
                        "behavior": { "scaleUp": { "selectPolicy": select } },
                    } }));
                }
            }
        }
    }
    values
}

fn workload(name: &'static str) -> Slot {
    let values: Vec<Value> = (0..=3).map(|n| json!({ "spec": { "replicas": n } })).collect();
    let mut slot = slot("apps", "Deployment", name, values, |_| 0);
    for (height, value) in slot.heights.iter_mut().zip(&slot.values) {
        let n = value.as_ref().map_or(0, |v| v["spec"]["replicas"].as_i64().unwrap());
        *height = if name == STABLE { (n, 0) } else { (0, n) };
    }
    slot.runs = true;
    slot
}

fn slots() -> Vec<Slot> {
    let none: &[(&str, &str)] = &[];
    let pauses: &[&[(&str, &str)]] =
        &[none, &[("paused", "true")], &[("paused-replicas", "3")], &[("paused-replicas", "x")]];
    vec![
        slot(
            "keda.sh",
            "ScaledObject",
            STABLE,
            scaled_objects(
                &[STABLE, CANARY],
                &[None, Some(1), Some(2), Some(3)],
                &[0, 1, 3],
                pauses,
            ),
            world::height_of_scaled_object,
        ),
        slot(
            "keda.sh",
            "ScaledObject",
            CANARY,
            scaled_objects(
                &[CANARY],
                &[Some(0), Some(1), Some(3)],
                &[0, 3],
                &[none, &[("paused-replicas", "0")]],
            ),
            world::height_of_scaled_object,
        ),
        slot(
            "keda.sh",
            "ScaledObject",
            "second",
            scaled_objects(&[STABLE], &[Some(1), Some(3)], &[0], &[none]),
            world::height_of_scaled_object,
        ),
        slot(
            "autoscaling",
            "HorizontalPodAutoscaler",
            "keda-hpa-w",
            hpas(&[STABLE], &[1, 2, 3], &[1, 3], &[true, false]),
            world::height_of_hpa,
        ),
        slot(
            "autoscaling",
            "HorizontalPodAutoscaler",
            "mine",
            hpas(&[STABLE, CANARY], &[1, 3], &[1], &[false]),
            world::height_of_hpa,
        ),
        workload(STABLE),
        workload(CANARY),
    ]
}

/// For each value of a slot, the values that an admitted edit leads to.
fn admitted(slot: &Slot, lane: Lane) -> Vec<Vec<usize>> {
    let settings = world::settings();
    let state = lane.state();
    let ask = |edit: &Edit| world::refused_by(&settings, &state, edit);
    let mut edges = vec![Vec::new(); slot.values.len()];
    for (from, old) in slot.values.iter().enumerate() {
        for (to, new) in slot.values.iter().enumerate() {
            let edit = Edit { old: old.clone(), new: new.clone(), ..slot.edit.clone() };
            if from == to || (old.is_none() && new.is_none()) {
                continue;
            }
            let refused = ask(&edit);
            let scale = Edit {
                group: "autoscaling",
                kind: "Scale",
                resource: "deployments",
                sub_resource: "scale",
                ..edit.clone()
            };
            let by_scale = slot.runs && old.is_some() && new.is_some();
            if by_scale {
                assert_eq!(refused, ask(&scale), "{lane:?}: the same by scale: {edit:?}");
            }
            check_edge(slot, lane, &edit, (from, to), &refused);
            if refused.is_empty() {
                edges[from].push(to);
            }
        }
    }
    edges
}

/// What holds of one edit whatever came before.
fn check_edge(slot: &Slot, lane: Lane, edit: &Edit, (from, to): (usize, usize), refused: &[&str]) {
    let (before, after) = (slot.heights[from], slot.heights[to]);
    if edit.new.is_none() {
        assert!(refused.is_empty(), "{lane:?}: a DELETE is refused: {edit:?}");
        return;
    }
    if slot.runs && edit.old.is_some() {
        let (old, new) = (before.0 + before.1, after.0 + after.1);
        if new <= old {
            assert!(refused.is_empty(), "{lane:?}: a lowering is refused: {edit:?}");
        } else if lane.holds_what_runs() && refused.is_empty() {
            let minimum = if edit.name == STABLE { MIN_STABLE } else { 0 };
            assert!(new <= minimum, "{lane:?}: what runs rises: {edit:?}");
        }
    }
    // The same object with a lower maximum alone.
    if let (Some(old), Some(new)) = (&edit.old, &edit.new) {
        for key in ["maxReplicaCount", "maxReplicas"] {
            let mut lowered = old.clone();
            lowered["spec"][key] = new["spec"][key].clone();
            let lower =
                new["spec"][key].as_i64().unwrap_or(100) < old["spec"][key].as_i64().unwrap_or(100);
            if old["spec"].get(key).is_some() && lower && lowered == *new {
                assert!(
                    refused.is_empty(),
                    "{lane:?}: a lowering is refused: {edit:?} by {refused:?}"
                );
            }
        }
    }
}

type Point = Vec<u8>;

fn height(slots: &[Slot], point: &Point) -> (i64, i64) {
    let of = |pick: fn(&(i64, i64)) -> i64| {
        point.iter().zip(slots).map(|(v, s)| pick(&s.heights[usize::from(*v)])).max().unwrap_or(0)
    };
    (of(|h| h.0), of(|h| h.1))
}

/// Follows every admitted sequence up to `depth` edits from `start`.
fn explore(
    slots: &[Slot],
    edges: &[Vec<Vec<usize>>],
    start: Point,
    lane: Lane,
    depth: usize,
) -> usize {
    let (stable, canary) = height(slots, &start);
    let limits = [(stable, STABLE), (canary, CANARY)]
        .map(|(start, target)| lane.limit(target).map_or(UNBOUNDED, |limit| limit.max(start)));
    let mut seen = HashSet::from([start.clone()]);
    let mut queue = VecDeque::from([(start, Vec::<Point>::new())]);
    while let Some((point, path)) = queue.pop_front() {
        let (stable, canary) = height(slots, &point);
        if stable > limits[0] || canary > limits[1] {
            let values: Vec<_> = path
                .iter()
                .chain([&point])
                .map(|p| {
                    p.iter()
                        .zip(slots)
                        .map(|(v, s)| (s.edit.name.clone(), s.values[usize::from(*v)].clone()))
                        .collect::<Vec<_>>()
                })
                .collect();
            panic!("{lane:?}: ({stable}, {canary}) is above {limits:?} after {values:#?}");
        }
        if path.len() == depth {
            continue;
        }
        for (slot, from) in point.iter().enumerate() {
            for to in &edges[slot][usize::from(*from)] {
                let mut next = point.clone();
                next[slot] = u8::try_from(*to).unwrap();
                if seen.insert(next.clone()) {
                    let mut path = path.clone();
                    path.push(point.clone());
                    queue.push_back((next, path));
                }
            }
        }
    }
    seen.len()
}

/// A value of a slot, by its spec and pause.
fn place(slot: &Slot, of: &Value) -> u8 {
    let found = slot.values.iter().position(|v| v.as_ref() == Some(of));
    u8::try_from(found.unwrap_or_else(|| panic!("{of} is no value of {}", slot.edit.name))).unwrap()
}

#[test]
fn no_admitted_sequence_lifts_a_target() {
    const DEPTH: usize = 8;
    let slots = slots();
    let none: &[(&str, &str)] = &[];
    let so = |target: &str, max: i64, min: i64| {
        scaled_objects(&[target], &[Some(max)], &[min], &[none]).remove(0)
    };
    let at = |n: i64| json!({ "spec": { "replicas": n } });
    let starts: [Point; 3] = [
        // At rest, as declared: the stable target at 1 of 2, the canary at 0.
        vec![
            place(&slots[0], &so(STABLE, 2, 1)),
            place(&slots[1], &so(CANARY, 1, 0)),
            0,
            place(&slots[3], &hpas(&[STABLE], &[2], &[1], &[false])[0]),
            0,
            place(&slots[5], &at(1)),
            place(&slots[6], &at(0)),
        ],
        // Above every cap already.
        vec![place(&slots[0], &so(STABLE, 3, 1)), 0, 0, 0, 0, place(&slots[5], &at(3)), 0],
        // Nothing there.
        vec![0; 7],
    ];
    let mut visited = 0;
    for lane in Lane::ALL {
        let edges: Vec<_> = slots.iter().map(|s| admitted(s, lane)).collect();
        let mut states = 0;
        for start in &starts {
            // Free, everything is reached: one edit shows it.
            let depth = if lane == Lane::Idle { 1 } else { DEPTH };
            states += explore(&slots, &edges, start.clone(), lane, depth);
        }
        let edits: usize = edges.iter().flatten().map(Vec::len).sum();
        println!("{lane:?}: {edits} kinds of admitted edits, {states} states in {DEPTH} edits");
        visited += states;
    }
    println!("{visited} states visited, no counterexample");
}
