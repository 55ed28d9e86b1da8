//! The controllers' own code, over generated objects, against the formulas of
//! `policy::pods` and what the policy admits while a lane is frozen.
//!
//! `tests/fixtures/oracles/` holds what `make oracles` found: KEDA's executor, Argo
//! Rollouts' controllers, the StatefulSet control and the Deployment controller ran over
//! each object and from each old object to its new one, and the most pods at once were
//! counted. The formulas are no part of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops by panicking"
)]

mod world;

use gate::parse::Json;
use gate::target::TargetKind;
use policy::lifts;
use policy::objects::{workload, Object};
use policy::settings::Settings;
use serde_json::{json, Value};
use std::path::Path;
use world::{Edit, Lane};

/// Most pods; what grows without an end is above all numbers.
fn pods(value: &Value) -> Option<i64> {
    value.as_i64().or((value == "no bound").then_some(i64::MAX))
}

struct Kind {
    /// Name of the fixture.
    oracle: &'static str,
    target: TargetKind,
    group: &'static str,
    /// The share of objects, percent, for which the formula must give exactly what was seen.
    /// A walk of a controller does not meet every order of events, so it may see fewer.
    exact_pct: usize,
}

const KINDS: [Kind; 4] = [
    Kind { oracle: "keda", target: TargetKind::ScaledJob, group: "keda.sh", exact_pct: 90 },
    Kind { oracle: "argo", target: TargetKind::Rollout, group: "argoproj.io", exact_pct: 50 },
    Kind { oracle: "statefulset", target: TargetKind::StatefulSet, group: "apps", exact_pct: 100 },
    Kind { oracle: "deployment", target: TargetKind::Deployment, group: "apps", exact_pct: 80 },
];

impl Kind {
    fn cases(&self) -> Vec<Value> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/oracles");
        let text = std::fs::read_to_string(folder.join(format!("{}.json", self.oracle))).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// The object as the lane's target. KEDA's oracle counts Jobs, so each has one pod.
    fn object(&self, value: &Value) -> Value {
        let mut object = value.clone();
        let metadata = object["metadata"].as_object().cloned().unwrap_or_default();
        object["metadata"] = Value::Object(metadata);
        if object["metadata"]["name"].is_null() {
            object["metadata"]["name"] = "w".into();
        }
        if self.target == TargetKind::ScaledJob {
            object["spec"]["jobTargetRef"] = json!({});
        }
        object
    }

    fn formula(&self, object: &Value) -> i64 {
        let json = Json::from(object);
        let object = Object(&json);
        match self.target {
            TargetKind::ScaledJob => lifts::scaled_job::most(object).number(),
            kind => lifts::workload::most(kind, object, workload::replicas(object)).number(),
        }
    }

    fn settings(&self, name: &str) -> Settings {
        let text = json!({ "lanes": [{
            "name": "l", "namespace": world::NAMESPACE, "stableReplicas": 0, "headroom": 0,
            "minReplicas": { "stable": 0, "canary": 0 },
            "targets": [{ "kind": self.target.name(), "name": name, "slice": "stable" }],
            "gateways": [{ "id": "gw-a1", "az": "a", "writer": "gw" }],
        }] });
        Settings::parse(text.to_string().as_bytes()).unwrap()
    }

    /// Rules that refuse the edit while the lane is frozen.
    fn refused(&self, old: &Value, new: &Value) -> Vec<&'static str> {
        let name = new["metadata"]["name"].as_str().unwrap();
        let edit = Edit {
            group: self.group,
            kind: self.target.name(),
            resource: "",
            sub_resource: "",
            name: name.to_owned(),
            old: Some(old.clone()),
            new: Some(new.clone()),
        };
        world::refused_by(&self.settings(name), &Lane::Frozen.state(), &edit)
    }
}

/// The formula is never below what a controller was seen to run, and mostly the same.
#[test]
fn no_controller_runs_more_than_its_formula_says() {
    for kind in KINDS {
        let (mut seen, mut exact) = (0, 0);
        for case in kind.cases() {
            for (object, most) in [("old", "old_most"), ("new", "new_most")] {
                let Some(most) = pods(&case[most]).filter(|_| !case[object].is_null()) else {
                    continue;
                };
                // The walk retries an aborted update, which runs its experiments once more
                // beside those that ended: a command, and no step.
                if case[object].to_string().contains("\"experiment\"") {
                    continue;
                }
                let formula = kind.formula(&kind.object(&case[object]));
                assert!(
                    most <= formula,
                    "{}: {object} runs {most}, the formula says {formula}: {}",
                    case["id"],
                    case[object]
                );
                seen += 1;
                exact += usize::from(most == formula);
            }
        }
        println!("{}: {exact} of {seen} objects exactly as the formula says", kind.oracle);
        assert!(seen > 100, "{}: {seen}", kind.oracle);
        assert!(exact * 100 >= seen * kind.exact_pct, "{}: {exact} of {seen}", kind.oracle);
    }
}

/// What is admitted on a frozen lane takes no controller past what the old object could run.
#[test]
fn no_admitted_edit_runs_more_than_the_old_object_could() {
    for kind in KINDS {
        let (mut admitted, mut refused, mut raises) = (0, 0, 0);
        for case in kind.cases() {
            let Some(most) = pods(&case["transition_most"]).filter(|_| !case["old"].is_null())
            else {
                continue;
            };
            let (old, new) = (kind.object(&case["old"]), kind.object(&case["new"]));
            // The walk changes the image once more, which an edit of other fields is no part of:
            // what the old object ran over many images is what it could.
            let over_images = pods(&case["old_over_images"]).unwrap_or(0);
            let before = kind.formula(&old).max(over_images);
            raises += usize::from(most > before);
            if kind.refused(&old, &new).is_empty() {
                admitted += 1;
                assert!(
                    most <= before,
                    "{}: {most} pods on the way, {before} before\n{old}\n{new}",
                    case["id"]
                );
            } else {
                refused += 1;
            }
        }
        println!(
            "{}: {admitted} admitted, {refused} refused, {raises} of them seen to run more",
            kind.oracle
        );
        assert!(admitted > 0 && refused > 0 && raises > 0, "{}", kind.oracle);
    }
}

/// Sequences: from each object every object that admitted edits lead to, one after another,
/// runs no more than the first could.
#[test]
fn no_sequence_of_admitted_edits_runs_more_than_the_first_object_could() {
    for kind in KINDS {
        let mut objects: Vec<(Value, i64)> = Vec::new();
        for case in kind.cases() {
            for (object, most) in [("old", "old_most"), ("new", "new_most")] {
                let seen = pods(&case[most]).filter(|_| !case[object].is_null());
                // Without experiments, whose pods pile up over retries.
                let counts = !case[object].to_string().contains("\"experiment\"");
                if let Some(most) = seen.filter(|_| counts) {
                    let object = kind.object(&case[object]);
                    if objects.len() < MOST_OBJECTS && objects.iter().all(|(o, _)| *o != object) {
                        objects.push((object, most));
                    }
                }
            }
        }
        let admitted: Vec<Vec<usize>> = objects
            .iter()
            .map(|(old, _)| {
                let to = objects.iter().enumerate();
                to.filter(|(_, (new, _))| kind.refused(old, new).is_empty())
                    .map(|(i, _)| i)
                    .collect()
            })
            .collect();
        let mut longest = 0;
        for (start, (object, _)) in objects.iter().enumerate() {
            let before = kind.formula(object);
            let (mut reached, mut next) = (vec![false; objects.len()], vec![start]);
            while let Some(at) = next.pop() {
                for to in &admitted[at] {
                    if !std::mem::replace(&mut reached[*to], true) {
                        next.push(*to);
                    }
                }
            }
            for (i, (to, most)) in objects.iter().enumerate().filter(|(i, _)| reached[*i]) {
                assert!(
                    *most <= before,
                    "{}: {most} pods, {before} before\n{object}\n{to}",
                    kind.oracle
                );
                longest = longest.max(i);
            }
        }
        let edges: usize = admitted.iter().map(Vec::len).sum();
        println!(
            "{}: {} objects, {edges} admitted edits, all sequences",
            kind.oracle,
            objects.len()
        );
        assert!(edges > objects.len(), "{}: more than no-ops", kind.oracle);
    }
}

/// Objects of a kind among which all sequences are followed.
const MOST_OBJECTS: usize = 120;
