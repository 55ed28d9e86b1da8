//! Edits of every kind that a webhook is asked about, generated from a seed.
//!
//! An object has what its schema demands; each optional part is there or not. The new
//! object is the old one with one to three of its parts drawn anew, so that edits that only
//! lower a number are as frequent as any. What the API server takes from the old object
//! (the `spec` in a write of a status) is as it does it.

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{json, Map, Value};

/// A kind and a subresource of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    pub kind: &'static str,
    pub resource: &'static str,
    pub api_version: &'static str,
    pub sub_resource: &'static str,
}

const fn of(
    kind: &'static str,
    resource: &'static str,
    api_version: &'static str,
    sub_resource: &'static str,
) -> Written {
    Written { kind, resource, api_version, sub_resource }
}

const KEDA: &str = "keda.sh/v1alpha1";
const ARGO: &str = "argoproj.io/v1alpha1";

pub const KINDS: [Written; 23] = [
    of("ScaledObject", "scaledobjects", KEDA, ""),
    of("ScaledObject", "scaledobjects", KEDA, "status"),
    of("ScaledJob", "scaledjobs", KEDA, ""),
    of("HorizontalPodAutoscaler", "horizontalpodautoscalers", "autoscaling/v2", ""),
    of("HorizontalPodAutoscaler", "horizontalpodautoscalers", "autoscaling/v2", "status"),
    of("Job", "jobs", "batch/v1", ""),
    of("Job", "jobs", "batch/v1", "status"),
    of("CronJob", "cronjobs", "batch/v1", ""),
    of("Deployment", "deployments", "apps/v1", ""),
    of("StatefulSet", "statefulsets", "apps/v1", ""),
    of("ReplicaSet", "replicasets", "apps/v1", ""),
    of("ReplicaSet", "replicasets", "apps/v1", "status"),
    of("Rollout", "rollouts", ARGO, ""),
    of("Rollout", "rollouts", ARGO, "status"),
    of("Scale", "deployments", "apps/v1", "scale"),
    of("Scale", "statefulsets", "apps/v1", "scale"),
    of("Scale", "replicasets", "apps/v1", "scale"),
    of("Scale", "rollouts", ARGO, "scale"),
    of("ConfigMap", "configmaps", "v1", ""),
    of("AnalysisRun", "analysisruns", ARGO, ""),
    of("AnalysisTemplate", "analysistemplates", ARGO, ""),
    of("MetricTemplate", "metrictemplates", "flagger.app/v1beta1", ""),
    of("Canary", "canaries", "flagger.app/v1beta1", ""),
];

/// A part of an object.
struct Part {
    path: &'static str,
    /// Whether the schema demands it.
    required: bool,
    values: Vec<Value>,
}

fn part(path: &'static str, values: Value) -> Part {
    Part { path, required: false, values: values.as_array().unwrap().clone() }
}

fn must(path: &'static str, values: Value) -> Part {
    Part { required: true, ..part(path, values) }
}

const URL: &str = "https://canary.gw.example.com:9443/keda/metrics";

fn pods(image: &str, hash: &str) -> Value {
    json!({
        "metadata": { "labels": { "app": "w" }, "annotations": { "canary-gate.dev/skill-hash": hash } },
        "spec": { "containers": [{ "name": "w", "image": image }] },
    })
}

fn parts(written: Written) -> Vec<Part> {
    let templates = json!([pods("w:1", "c4e1"), pods("w:2", "c4e1"), pods("w:1", "ffff"), {}]);
    let selectors = json!([{ "matchLabels": { "app": "w" } }, { "matchLabels": { "app": "w", "pod-template-hash": "7d9c8b5f4" } }]);
    // A CRD takes 6.0 for a whole number; built-in kinds are read into integers.
    let replicas = match written.kind {
        "Rollout" => json!([0, 1, 2.0, 5, 6, 6.0, 50]),
        _ => json!([0, 1, 2, 5, 6, 7, 50]),
    };
    let triggers = json!([
        [{ "type": "redis", "metadata": { "listName": "jobs", "listLength": "8" } }],
        [{ "type": "redis", "metadata": { "listName": "jobs", "listLength": "16" } }],
        [{ "type": "metrics-api", "metadata": { "url": URL, "valueLocation": "x", "targetValue": "8" } }],
        [{ "type": "prometheus", "metadata": { "serverAddress": URL, "threshold": "8" } }],
        [{ "type": "cron", "metadata": { "timezone": "UTC", "start": "0 1 * * *", "end": "0 2 * * *", "desiredReplicas": "9" }, "name": "x" }],
    ]);
    match written.kind {
        "ScaledObject" => vec![
            must(
                "spec.scaleTargetRef",
                json!([
                    { "name": "openclaw-worker" },
                    { "name": "openclaw-worker", "kind": "Deployment", "apiVersion": "apps/v1" },
                    { "name": "openclaw-cache", "kind": "StatefulSet" }, { "name": "else" },
                ]),
            ),
            must("spec.triggers", triggers),
            part("spec.maxReplicaCount", json!([0, 1, 5, 6, 7.0, 50, 100])),
            part("spec.minReplicaCount", json!([0, 1, 1.0, 2, 3.0, 6, 7])),
            part("spec.idleReplicaCount", json!([0, 1])),
            part("spec.cooldownPeriod", json!([60, 300])),
            part("spec.pollingInterval", json!([5, 30, 60])),
            part(
                "spec.fallback",
                json!([
                    { "failureThreshold": 3, "replicas": 2 }, { "failureThreshold": 1, "replicas": 50 },
                    { "failureThreshold": 3, "replicas": 9, "behavior": "currentReplicas" },
                ]),
            ),
            part(
                "spec.advanced",
                json!([
                    {}, { "restoreToOriginalReplicaCount": true },
                    { "horizontalPodAutoscalerConfig": { "name": "mine" } },
                    { "horizontalPodAutoscalerConfig": { "behavior": { "scaleUp": { "selectPolicy": "Disabled" } } } },
                    { "scalingModifiers": { "formula": "a", "target": "8" } },
                ]),
            ),
            part("spec.burst", json!([1, 2])),
            part(
                "status",
                json!([
                    {}, { "originalReplicaCount": 6 }, { "originalReplicaCount": 50, "hpaName": "mine" },
                    { "hpaName": "keda-hpa-openclaw-worker", "conditions": [] },
                ]),
            ),
        ],
        "ScaledJob" => vec![
            part(
                "spec.jobTargetRef",
                json!([
                    { "template": pods("w:1", "c4e1") }, { "template": pods("w:1", "ffff"), "parallelism": 2 },
                    { "template": pods("w:2", "c4e1"), "suspend": true }, { "template": {}, "completions": 1, "parallelism": 3 },
                ]),
            ),
            part("spec.triggers", triggers),
            part("spec.maxReplicaCount", json!([0, 1, 5, 6.0, 6, 7, 50, 100])),
            part("spec.minReplicaCount", json!([0, 1, 1.0, 3, 6, 7.0, 9])),
            part("spec.pollingInterval", json!([5, 30])),
            part("spec.rollout", json!([{ "strategy": "gradual" }])),
            part(
                "spec.scalingStrategy",
                json!([
                    {}, { "strategy": "default" }, { "strategy": "eager" },
                    { "strategy": "custom", "customScalingRunningJobPercentage": "0.5", "customScalingQueueLengthDeduction": 1 },
                    { "strategy": "custom", "customScalingRunningJobPercentage": "0" },
                ]),
            ),
        ],
        "HorizontalPodAutoscaler" => vec![
            must(
                "spec.scaleTargetRef",
                json!([
                    { "kind": "Deployment", "name": "openclaw-worker", "apiVersion": "apps/v1" },
                    { "kind": "ReplicaSet", "name": "openclaw-worker-7d9c8b5f4", "apiVersion": "apps/v1" },
                    { "kind": "Deployment", "name": "else", "apiVersion": "apps/v1" },
                ]),
            ),
            must("spec.maxReplicas", json!([1, 5, 6, 7, 50])),
            part("spec.minReplicas", json!([1, 2, 3, 6])),
            part(
                "spec.behavior",
                json!([{ "scaleUp": { "stabilizationWindowSeconds": 60 } }, { "scaleDown": { "stabilizationWindowSeconds": 1 } }]),
            ),
            part(
                "spec.metrics",
                json!([[{ "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 60 } } }]]),
            ),
            part("status", json!([{ "currentReplicas": 3, "desiredReplicas": 4 }])),
        ],
        "Job" => vec![
            must("spec.template", templates),
            part("spec.parallelism", json!([0, 1, 2, 5])),
            part("spec.completions", json!([1, 5])),
            part("spec.suspend", json!([true, false])),
            part("spec.managedBy", json!(["example.com/other"])),
            part("spec.backoffLimit", json!([0, 6])),
            part("status", json!([{ "active": 1 }])),
        ],
        "CronJob" => vec![
            must(
                "spec.jobTemplate",
                json!([{ "spec": { "template": pods("w:1", "c4e1") } }, { "spec": { "template": {
                "spec": { "containers": [{ "name": "p", "command": ["sh", "-c", "openclaw skills promote ffff"] }] } } } }]),
            ),
            must("spec.schedule", json!(["0 * * * *", "* * * * *"])),
            part("spec.suspend", json!([true, false])),
            part("status", json!([{ "active": [] }])),
        ],
        "Deployment" => vec![
            must("spec.template", templates),
            must("spec.selector", selectors),
            part("spec.replicas", replicas),
            part(
                "spec.strategy",
                json!([{ "type": "Recreate" }, { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": "100%" } }, { "rollingUpdate": { "maxSurge": 9 } }]),
            ),
            part("spec.paused", json!([true, false])),
            part("spec.minReadySeconds", json!([0, 9])),
            part("spec.later", json!([1])),
        ],
        "StatefulSet" => vec![
            must("spec.template", templates),
            must("spec.selector", selectors),
            part("spec.replicas", replicas),
            part("spec.ordinals", json!([{ "start": 6 }, { "start": 0 }])),
            part(
                "spec.updateStrategy",
                json!([{ "type": "OnDelete" }, { "rollingUpdate": { "partition": 2 } }]),
            ),
            part("spec.podManagementPolicy", json!(["Parallel"])),
        ],
        "ReplicaSet" => vec![
            must("spec.template", templates),
            must("spec.selector", selectors),
            part("spec.replicas", replicas),
            part("spec.minReadySeconds", json!([9])),
            part("status", json!([{ "replicas": 3 }, { "replicas": 2 }])),
        ],
        "Rollout" => vec![
            part("spec.template", templates),
            part("spec.selector", selectors),
            part(
                "spec.workloadRef",
                json!([{ "kind": "Deployment", "name": "openclaw-worker", "scaleDown": "never" }, { "kind": "Deployment", "name": "else" }]),
            ),
            part("spec.replicas", replicas),
            part(
                "spec.strategy",
                json!([
                    { "canary": {} }, { "blueGreen": { "activeService": "a" } },
                    { "canary": { "maxSurge": 5, "trafficRouting": { "nginx": {} }, "steps": [{ "setCanaryScale": { "weight": 100 } }] } },
                    { "canary": { "steps": [{ "setWeight": 10 }, { "pause": {} }] } },
                ]),
            ),
            part("spec.paused", json!([true])),
            part(
                "status",
                json!([
                    {}, { "stableRS": "a", "currentPodHash": "b" }, { "stableRS": "b", "currentPodHash": "b" },
                    { "currentPodHash": "b" }, { "abort": true, "stableRS": "a", "currentPodHash": "b" },
                ]),
            ),
        ],
        "Scale" => vec![
            part("spec.replicas", replicas),
            part(
                "status",
                json!([
                    { "replicas": 6, "selector": "app=w,pod-template-hash=7d9c8b5f4" },
                    { "replicas": 6, "selector": "app=w,rollouts-pod-template-hash=7d9c8b5f4" }, { "replicas": 1, "selector": "app=w" }, { "replicas": 0 },
                ]),
            ),
        ],
        "ConfigMap" => vec![
            part("data", json!([{ "verdict": "{}" }, { "override": "{}" }, { "a": "b" }])),
            part("binaryData", json!([{ "a": "eA==" }])),
        ],
        _ => vec![
            part(
                "spec",
                json!([
                    { "metrics": [{ "name": "x", "provider": { "web": { "url": URL } } }] },
                    { "metrics": [{ "name": "x", "provider": { "web": { "url": "https://else/" } } }] },
                    {},
                ]),
            ),
            part("status", json!([{ "phase": "Running" }, { "phase": "Successful" }])),
        ],
    }
}

fn names(kind: &str) -> &'static [&'static str] {
    match kind {
        "ScaledObject" | "Deployment" => &["openclaw-worker", "else"],
        "ScaledJob" => &["builder", "else"],
        "HorizontalPodAutoscaler" => &["keda-hpa-openclaw-worker", "mine", "else"],
        "Job" => &["builder-x7k2p", "else"],
        "StatefulSet" => &["openclaw-cache", "openclaw-worker", "else"],
        "ReplicaSet" => {
            &["openclaw-worker-7d9c8b5f4", "openclaw-rollout-7d9c8b5f4", "else-7d9c8b5f4"]
        }
        "Rollout" => &["openclaw-rollout", "else"],
        "ConfigMap" => &[
            "canary-gate.gw-a1",
            "canary-gate.gw-z9",
            "canary-gate.break-glass.openclaw-build-lane",
            "else",
        ],
        _ => &[
            "openclaw-worker",
            "openclaw-cache",
            "openclaw-rollout",
            "openclaw-worker-7d9c8b5f4",
            "adopted",
        ],
    }
}

const LABELS: [(&str, &str); 7] = [
    ("app", "w"),
    ("team", "a"),
    ("scaledjob.keda.sh/name", "builder"),
    ("scaledjob.keda.sh/name", "else"),
    ("scaledobject.keda.sh/name", "openclaw-worker"),
    ("canary-gate.dev/lane", "openclaw-build-lane"),
    ("pod-template-hash", "7d9c8b5f4"),
];

const ANNOTATIONS: [(&str, &[&str]); 14] = [
    ("kubectl.kubernetes.io/last-applied-configuration", &["{}", "{\"a\":1}"]),
    ("example.com/note", &["a", "b", ""]),
    ("autoscaling.keda.sh/paused", &["true", "false", ""]),
    ("autoscaling.keda.sh/paused-scale-out", &["true", "false"]),
    ("autoscaling.keda.sh/paused-scale-in", &["true"]),
    ("autoscaling.keda.sh/paused-replicas", &["0", "3", "5", "50", "x", "", "9999999999"]),
    ("autoscaling.keda.sh/force-activation", &["true"]),
    ("autoscaling.keda.sh/turbo", &["1", "2"]),
    ("scaledobject.keda.sh/transfer-hpa-ownership", &["true", "false"]),
    ("scaledjob.keda.sh/job-excluded-labels", &["app", ""]),
    ("validations.keda.sh/hpa-ownership", &["false", "true"]),
    ("rollout.argoproj.io/desired-replicas", &["3", "6"]),
    ("rollout.argoproj.io/later", &["1", "2"]),
    ("scale-down-deadline", &["2026-11-24T10:00:00Z", "2027-11-24T10:00:00Z"]),
];

const USERS: [&str; 5] = [
    "kubernetes-admin",
    "system:serviceaccount:kube-system:deployment-controller",
    "system:kube-controller-manager",
    "system:serviceaccount:argo-rollouts:argo-rollouts",
    "system:serviceaccount:gateways:canary-gate-gw-a1",
];

pub struct Edits(ChaCha8Rng);

impl Edits {
    pub fn seeded(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// An AdmissionRequest.
    pub fn request(&mut self, written: Written) -> Value {
        let is_status = written.sub_resource == "status";
        let is_create = written.sub_resource.is_empty() && self.0.random_bool(0.2);
        let old = self.object(written, is_create);
        let mut new = old.clone();
        if !is_create {
            for _ in 0..self.0.random_range(0..=3) {
                self.redraw(written, &mut new);
            }
            // The API server's strategies.
            if is_status {
                new["spec"] = old["spec"].clone();
                if matches!(written.kind, "ScaledObject" | "Rollout") {
                    new["metadata"] = old["metadata"].clone();
                }
            }
            if written.kind == "Scale" {
                new["status"] = old["status"].clone();
            }
            for key in ["name", "namespace"] {
                new["metadata"][key] = old["metadata"][key].clone();
            }
        }
        let (group, version) = match written.kind {
            "Scale" => ("autoscaling", "v1"),
            _ => written.api_version.split_once('/').unwrap_or(("", written.api_version)),
        };
        let (of_group, of_version) =
            written.api_version.split_once('/').unwrap_or(("", written.api_version));
        json!({
            "uid": "1",
            "kind": { "group": group, "version": version, "kind": written.kind },
            "resource": { "group": of_group, "version": of_version, "resource": written.resource },
            "subResource": written.sub_resource,
            "name": new["metadata"]["name"].as_str().unwrap_or_default(),
            "namespace": new["metadata"]["namespace"],
            "operation": if is_create { "CREATE" } else { "UPDATE" },
            "userInfo": { "username": USERS.choose(&mut self.0).unwrap(), "groups": ["system:authenticated"] },
            "object": clean(new),
            "oldObject": if is_create { Value::Null } else { clean(old) },
        })
    }

    fn object(&mut self, written: Written, is_create: bool) -> Value {
        let mut object =
            json!({ "apiVersion": written.api_version, "kind": written.kind, "metadata": {} });
        let name = *names(written.kind).choose(&mut self.0).unwrap();
        let namespace = if self.0.random_bool(0.8) { "builds" } else { "elsewhere" };
        object["metadata"]["namespace"] = namespace.into();
        if is_create && self.0.random_bool(0.2) {
            object["metadata"]["generateName"] = name[..name.len().saturating_sub(5)].into();
        } else {
            object["metadata"]["name"] = name.into();
        }
        for part in parts(written) {
            self.draw(&part, &mut object);
        }
        if written.kind != "Scale" {
            for _ in 0..3 {
                self.redraw_metadata(&mut object);
            }
        }
        object
    }

    fn redraw(&mut self, written: Written, object: &mut Value) {
        let parts = parts(written);
        let n = self.0.random_range(0..parts.len() + 3);
        match parts.get(n) {
            Some(part) => self.draw(part, object),
            None if written.kind == "Scale" => {}
            None => self.redraw_metadata(object),
        }
    }

    fn draw(&mut self, part: &Part, object: &mut Value) {
        let is_there = part.required || self.0.random_bool(0.6);
        let value = is_there.then(|| part.values.choose(&mut self.0).unwrap().clone());
        let mut at = object;
        let (parents, key) = part.path.rsplit_once('.').unwrap_or(("", part.path));
        for parent in parents.split('.').filter(|p| !p.is_empty()) {
            // A `spec` that is empty is as good as none, and may be none.
            at = at.as_object_mut().unwrap().entry(parent).or_insert_with(|| json!({}));
            if at.is_null() {
                *at = json!({});
            }
        }
        match value {
            Some(value) => at[key] = value,
            None => drop(at.as_object_mut().unwrap().remove(key)),
        }
    }

    fn redraw_metadata(&mut self, object: &mut Value) {
        let metadata = object["metadata"].as_object_mut().unwrap();
        match self.0.random_range(0..5) {
            0 => {
                let (key, value) = *LABELS.choose(&mut self.0).unwrap();
                let keep = self.0.random_bool(0.6);
                toggle(metadata, "labels", key, keep.then_some(value));
            }
            1 | 2 => {
                let (key, values) = *ANNOTATIONS.choose(&mut self.0).unwrap();
                let keep = self.0.random_bool(0.7);
                let value = *values.choose(&mut self.0).unwrap();
                toggle(metadata, "annotations", key, keep.then_some(value));
            }
            3 => {
                let owner = |kind: &str, name: &str| json!([{ "apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "u1", "controller": true }]);
                let owners = [
                    Value::Null,
                    owner("Deployment", "openclaw-worker"),
                    owner("ScaledJob", "builder"),
                    owner("Deployment", "else"),
                ];
                metadata
                    .insert("ownerReferences".into(), owners.choose(&mut self.0).unwrap().clone());
            }
            _ => {
                let finalizers = [Value::Null, json!(["finalizer.keda.sh"]), json!([])];
                metadata
                    .insert("finalizers".into(), finalizers.choose(&mut self.0).unwrap().clone());
            }
        }
    }
}

fn toggle(metadata: &mut Map<String, Value>, map: &str, key: &str, value: Option<&str>) {
    let map = metadata.entry(map).or_insert_with(|| json!({})).as_object_mut().unwrap();
    match value {
        Some(value) => drop(map.insert(key.into(), value.into())),
        None => drop(map.remove(key)),
    }
}

/// Without what the API server would not keep: nulls, and parts that are empty maps.
fn clean(mut object: Value) -> Value {
    let map = object.as_object_mut().unwrap();
    let metadata = map["metadata"].as_object_mut().unwrap();
    metadata.retain(|_, value| !value.is_null() && *value != json!({}));
    map.retain(|key, value| !value.is_null() && (key != "spec" || *value != json!({})));
    object
}
