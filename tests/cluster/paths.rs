//! Every way up that KEDA and Kubernetes have, tried while frozen: the edit, the
//! answer of the API server, and the replicas that there really were after it.

use crate::api::Api;
use anyhow::{bail, Result};
use serde_json::{json, Value};
use std::thread;
use std::time::Duration;

const SCALED_OBJECTS: &str = "/apis/keda.sh/v1alpha1/namespaces/builds/scaledobjects";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/builds/deployments/openclaw-worker";
const HPAS: &str = "/apis/autoscaling/v2/namespaces/builds/horizontalpodautoscalers";

/// How long what KEDA or the HPA make of an edit may take to show.
const SETTLES: Duration = Duration::from_secs(3);

enum Edit {
    Patch(&'static str, Value),
    Create(&'static str, Value),
}

struct Path {
    what: &'static str,
    edit: Edit,
    /// The rule that refuses it; none where it passes.
    rule: Option<&'static str>,
}

/// What came of one path.
pub struct Tried {
    pub what: String,
    pub answer: String,
    pub replicas: i64,
}

const OURS: &str = "/apis/keda.sh/v1alpha1/namespaces/builds/scaledobjects/openclaw-worker";
const KEDAS_HPA: &str =
    "/apis/autoscaling/v2/namespaces/builds/horizontalpodautoscalers/keda-hpa-openclaw-worker";
const SCALE: &str = "/apis/apps/v1/namespaces/builds/deployments/openclaw-worker/scale";
const STATE: &str = "/api/v1/namespaces/builds/configmaps/canary-gate.gw-a1";

fn spec(value: Value) -> Value {
    json!({ "spec": value })
}

fn annotation(name: &str, value: &str) -> Value {
    json!({ "metadata": { "annotations": { format!("autoscaling.keda.sh/{name}"): value } } })
}

fn paths() -> Vec<Path> {
    let refused =
        |what, rule, path, patch| Path { what, edit: Edit::Patch(path, patch), rule: Some(rule) };
    let bypass = "ceiling-bypass";
    let other_hpa = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": { "name": "another", "namespace": "builds" },
        "spec": { "maxReplicas": 9, "minReplicas": 9, "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "openclaw-worker" },
                  "metrics": [{ "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 50 } } }] },
    });
    let other_object = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": { "name": "another", "namespace": "builds" },
        "spec": { "scaleTargetRef": { "name": "openclaw-worker" }, "minReplicaCount": 9, "maxReplicaCount": 9,
                  "triggers": [{ "type": "redis", "metadata": { "address": "x:1", "listName": "build-jobs", "listLength": "8" } }] },
    });
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "promote", "namespace": "builds" },
        "spec": { "template": { "spec": { "restartPolicy": "Never", "containers": [{ "name": "c", "image": "rsync", "command": ["rsync", "-a", "--delete", "a/", "b/"] }] } } },
    });
    vec![
        refused(
            "maxReplicaCount raised",
            "cap-frozen",
            OURS,
            spec(json!({ "maxReplicaCount": 9 })),
        ),
        refused(
            "maxReplicaCount removed (KEDA's default is 100)",
            "cap-frozen",
            OURS,
            spec(json!({ "maxReplicaCount": null })),
        ),
        refused("minReplicaCount raised", bypass, OURS, spec(json!({ "minReplicaCount": 5 }))),
        refused(
            "fallback with more replicas",
            bypass,
            OURS,
            spec(json!({ "fallback": { "failureThreshold": 1, "replicas": 9 } })),
        ),
        refused(
            "paused-replicas above the minimum",
            bypass,
            OURS,
            annotation("paused-replicas", "9"),
        ),
        refused(
            "paused-replicas that is no number",
            bypass,
            OURS,
            annotation("paused-replicas", "many"),
        ),
        Path {
            what: "force-activation (a minimum of 1 is active already)",
            edit: Edit::Patch(OURS, annotation("force-activation", "true")),
            rule: None,
        },
        refused(
            "transfer-hpa-ownership",
            bypass,
            OURS,
            json!({ "metadata": { "annotations": { "scaledobject.keda.sh/transfer-hpa-ownership": "true" } } }),
        ),
        refused(
            "another scale target",
            bypass,
            OURS,
            spec(json!({ "scaleTargetRef": { "name": "openclaw-other" } })),
        ),
        refused(
            "restoreToOriginalReplicaCount",
            bypass,
            OURS,
            spec(json!({ "advanced": { "restoreToOriginalReplicaCount": true } })),
        ),
        refused(
            "scaling modifiers",
            bypass,
            OURS,
            spec(
                json!({ "advanced": { "scalingModifiers": { "formula": "1000", "target": "1" } } }),
            ),
        ),
        refused(
            "other triggers",
            bypass,
            OURS,
            spec(
                json!({ "triggers": [{ "type": "cron", "metadata": { "timezone": "UTC", "start": "0 0 * * *", "end": "59 23 * * *", "desiredReplicas": "9" } }] }),
            ),
        ),
        refused(
            "the HPA's maxReplicas",
            "cap-frozen",
            KEDAS_HPA,
            spec(json!({ "maxReplicas": 9 })),
        ),
        refused("the HPA's minReplicas", bypass, KEDAS_HPA, spec(json!({ "minReplicas": 5 }))),
        refused(
            "the Deployment's spec.replicas",
            "cap-frozen",
            DEPLOYMENT,
            spec(json!({ "replicas": 9 })),
        ),
        refused("the Deployment's scale", "cap-frozen", SCALE, spec(json!({ "replicas": 9 }))),
        Path {
            what: "a second HPA on the target",
            edit: Edit::Create(HPAS, other_hpa),
            rule: Some("cap-frozen"),
        },
        Path {
            what: "a second ScaledObject on the target",
            edit: Edit::Create(SCALED_OBJECTS, other_object),
            rule: Some("cap-frozen"),
        },
        refused(
            "the verdict edited by somebody else",
            "state-owner",
            STATE,
            json!({ "data": { "verdict": "{}" } }),
        ),
        Path {
            what: "a promotion by rsync --delete",
            edit: Edit::Create("/apis/batch/v1/namespaces/builds/jobs", job),
            rule: Some("promotion-freeze"),
        },
        Path {
            what: "a label on the ScaledObject",
            edit: Edit::Patch(OURS, json!({ "metadata": { "labels": { "team": "builds" } } })),
            rule: None,
        },
        Path {
            what: "paused-scale-out added (it only holds)",
            edit: Edit::Patch(OURS, annotation("paused-scale-out", "true")),
            rule: None,
        },
        refused(
            "paused-scale-out removed",
            bypass,
            OURS,
            json!({ "metadata": { "annotations": { "autoscaling.keda.sh/paused-scale-out": null } } }),
        ),
    ]
}

/// Tries each path; the replicas must stay what they are.
///
/// # Errors
/// A raise that was let through, something else that was refused, or replicas that rose.
pub fn try_all(api: &Api, each: impl Fn()) -> Result<Vec<Tried>> {
    let replicas =
        || -> Result<i64> { Ok(api.get(DEPLOYMENT)?["spec"]["replicas"].as_i64().unwrap_or(-1)) };
    let before = replicas()?;
    let mut tried = vec![];
    let mut wrong = vec![];
    for path in paths() {
        each();
        let (status, answer) = match &path.edit {
            Edit::Patch(at, patch) => api.patch(at, patch)?,
            Edit::Create(at, object) => api.call("POST", at, "application/json", Some(object))?,
        };
        if path.rule.is_none() {
            thread::sleep(SETTLES);
        }
        let after = replicas()?;
        let message = answer["message"].as_str().unwrap_or_default();
        let is_right = match path.rule {
            Some(rule) => status == 403 && message.contains(&format!("{rule}: ")),
            None => status == 200,
        };
        if !is_right || after > before {
            wrong.push(format!(
                "{}: {status} {message}; {before} replicas, then {after}",
                path.what
            ));
        }
        let answer = match path.rule {
            Some(rule) => format!("{status} {rule}"),
            None => status.to_string(),
        };
        tried.push(Tried { what: path.what.to_owned(), answer, replicas: after });
    }
    // What KEDA or the HPA would make of what was let through.
    thread::sleep(SETTLES);
    if replicas()? > before {
        wrong.push(format!("{} replicas in the end, from {before}", replicas()?));
    }
    if !wrong.is_empty() {
        bail!("while frozen:\n{}", wrong.join("\n"));
    }
    Ok(tried)
}
