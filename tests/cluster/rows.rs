//! The ways up that KEDA and Kubernetes have, a row each.
//!
//! Lists of the queue: `busy` holds 48 jobs, six workers' work; `empty` none.

use crate::leaves::Leaves;
use crate::row::{At, Edit, Kind, Row};
use serde_json::{json, Value};

/// A trigger on a list, by what changes.
fn redis(change: &Value) -> Value {
    let mut metadata = json!({ "address": "REDIS", "listName": "busy", "listLength": "8" });
    harness::cluster::merge(&mut metadata, change);
    json!({ "type": "redis", "metadata": metadata })
}

fn triggers(change: &Value) -> Value {
    json!([redis(change)])
}

fn idle_queue() -> Value {
    triggers(&json!({ "listName": "empty" }))
}

/// An empty queue, and a source that does not answer.
fn broken() -> Value {
    let dead = json!({ "serverAddress": "http://127.0.0.1:1", "query": "jobs", "threshold": "8" });
    json!([redis(&json!({ "listName": "empty" })), { "type": "prometheus", "metadata": dead }])
}

fn hpa_config(config: &Value) -> Value {
    json!({ "advanced": { "horizontalPodAutoscalerConfig": config } })
}

fn with(mut spec: Value, more: &Value) -> Value {
    harness::cluster::merge(&mut spec, more);
    spec
}

fn slow() -> Value {
    hpa_config(&json!({ "behavior": { "scaleUp": { "stabilizationWindowSeconds": 3600 } } }))
}

/// Every row, in the order of the table.
pub fn all() -> Vec<Row> {
    let mut rows = numbers();
    rows.extend(fallbacks());
    rows.extend(drives());
    rows.extend(pauses());
    rows.extend(others());
    rows.extend(workloads());
    rows
}

fn numbers() -> Vec<Row> {
    vec![
        Row::new("maxReplicaCount raised", "becomes the HPA's maxReplicas")
            .spec(json!({ "maxReplicaCount": 9 }))
            .by("cap-frozen"),
        Row::new("maxReplicaCount removed", "absent is 100")
            .spec(json!({ "maxReplicaCount": null }))
            .by("cap-frozen"),
        Row::new("maxReplicaCount dropped by server-side apply", "absent is 100")
            .then(Edit::Apply(json!({ "spec": { "maxReplicaCount": null } })))
            .by("cap-frozen"),
        Row::new("maxReplicaCount lowered", "the HPA lowers at once")
            .spec(json!({ "maxReplicaCount": 2 }))
            .passes()
            .reaches(3)
            .ends(2),
        Row::new("minReplicaCount raised", "the HPA jumps to it, ignoring its behaviour")
            .before(1, with(slow(), &json!({ "triggers": idle_queue(), "maxReplicaCount": 6 })))
            .spec(json!({ "minReplicaCount": 5 }))
            .reaches(5),
        Row::new("minReplicaCount raised, inactive", "KEDA itself writes the minimum")
            .before(0, json!({ "triggers": idle_queue(), "minReplicaCount": 0, "maxReplicaCount": 6 }))
            .replicas(0)
            .spec(json!({ "minReplicaCount": 5 }))
            .reaches(5),
        Row::new("idleReplicaCount removed", "an inactive target goes from idle to its minimum")
            .before(0, json!({ "triggers": idle_queue(), "idleReplicaCount": 0, "minReplicaCount": 4, "maxReplicaCount": 6 }))
            .replicas(0)
            .spec(json!({ "idleReplicaCount": null }))
            .reaches(4),
        Row::new("idleReplicaCount raised above 0", "where it rests from the next time on; a target at 0 stays there")
            .before(0, json!({ "triggers": idle_queue(), "idleReplicaCount": 0, "minReplicaCount": 4, "maxReplicaCount": 6 }))
            .replicas(0)
            .spec(json!({ "idleReplicaCount": 2 }))
            .stays(),
    ]
}

fn fallbacks() -> Vec<Row> {
    let failing = |replicas: i64, threshold: i64, behavior: &str| {
        json!({ "triggers": broken(), "maxReplicaCount": 6,
                "fallback": { "failureThreshold": threshold, "replicas": replicas, "behavior": behavior } })
    };
    vec![
        Row::new("fallback.replicas raised", "that many while triggers fail")
            .before(2, failing(2, 1, "static"))
            .replicas(2)
            .spec(json!({ "fallback": { "replicas": 5 } }))
            .reaches(5),
        Row::new("fallback.behavior to `static`", "fallback.replicas instead of what there is")
            .before(1, failing(5, 1, "currentReplicas"))
            .spec(json!({ "fallback": { "behavior": "static" } }))
            .reaches(5),
        Row::new("fallback.behavior to `currentReplicasIfHigher`", "the larger of the two")
            .before(1, failing(5, 1, "currentReplicas"))
            .spec(json!({ "fallback": { "behavior": "currentReplicasIfHigher" } }))
            .reaches(5),
        Row::new("fallback.failureThreshold cut", "the fallback acts sooner")
            .before(1, failing(5, 1_000_000, "static"))
            .spec(json!({ "fallback": { "failureThreshold": 1 } }))
            .reaches(5),
    ]
}

fn drives() -> Vec<Row> {
    let few = |metadata: &Value| json!({ "triggers": triggers(metadata), "maxReplicaCount": 6 });
    let third = few(&json!({ "listLength": "24" }));
    let another = json!({ "triggers": [redis(&json!({ "listName": "empty" })),
redis(&json!({}))] });
    vec![
        Row::new("a trigger's threshold lowered", "more workers for the same queue")
            .before(2, third.clone())
            .spec(json!({ "triggers": triggers(&json!({})) })),
        Row::new("another source in a trigger", "its number drives the HPA")
            .before(1, few(&json!({ "listName": "empty" })))
            .spec(json!({ "triggers": triggers(&json!({})) })),
        Row::new("metricType to `Value`", "the ratio multiplies what there is")
            .before(2, third)
            .spec(json!({ "triggers": [with(redis(&json!({ "listLength": "24" })), &json!({ "metricType": "Value" }))] })),
        Row::new("a trigger added", "the HPA takes the highest")
            .before(1, few(&json!({ "listName": "empty" })))
            .spec(another),
        Row::new("useCachedMetrics taken away", "what the HPA reads is asked for at each sync")
            .before(3, json!({ "triggers": [with(redis(&json!({})), &json!({ "useCachedMetrics": true }))] }))
            .spec(json!({ "triggers": [redis(&json!({}))] }))
            .stays(),
        Row::new("another authenticationRef", "the trigger fails, and the HPA holds")
            .spec(json!({ "triggers": [with(redis(&json!({})), &json!({ "authenticationRef": { "name": "none" } }))] }))
            .stays(),
        Row::new("scalingModifiers", "a formula in place of the queue")
            .before(1, json!({ "maxReplicaCount": 6, "triggers": [with(redis(&json!({ "listName": "empty" })), &json!({ "name": "q" }))] }))
            .spec(json!({ "advanced": { "scalingModifiers": { "formula": "q + 1000", "target": "8" } } })),
        Row::new("the HPA's scaleUp behaviour, faster", "a stabilization window held it")
            .before(1, slow())
            .spec(hpa_config(&json!({ "behavior": { "scaleUp": { "stabilizationWindowSeconds": 0 } } })))
            .reaches(3),
        Row::new("the HPA's name", "deleted and made anew; its first recommendation is what runs")
            .before(1, slow())
            .spec(hpa_config(&json!({ "name": "another-NAME" })))
            .stays()
            .leaves(Leaves::Named("another-NAME")),
        Row::new("scaleTargetRef", "another target gets the old maximum, this one loses its HPA")
            .spec(json!({ "scaleTargetRef": { "name": "NAME-other" } }))
            .reaches(3),
    ]
}

fn pauses() -> Vec<Row> {
    let paused =
        |what, claim, name, value| Row::new(what, claim).annotated(1, name, value).reaches(3);
    vec![
        Row::new("paused-replicas above the maximum", "written past the maximum, without an HPA")
            .annotate("paused-replicas", Some("6")),
        Row::new(
            "paused-replicas that is no number",
            "the HPA is deleted, then an error: nothing clamps",
        )
        .annotate("paused-replicas", Some("many"))
        .stays()
            .leaves(Leaves::NoHpa),
        Row::new("paused-replicas of 0 (Flagger's pause)", "scaled to 0")
            .annotate("paused-replicas", Some("0"))
            .passes()
            .stays()
            .ends(0),
        paused("paused-replicas removed", "the HPA comes back", "paused-replicas", "1")
            .annotate("paused-replicas", None),
        Row::new("paused added", "no HPA, replicas stay")
            .annotate("paused", Some("true"))
            .passes()
            .stays()
            .leaves(Leaves::NoHpa),
        paused("paused removed", "the HPA comes back", "paused", "true").annotate("paused", None),
        paused("paused to `false`", "as if removed", "paused", "true")
            .annotate("paused", Some("false")),
        Row::new("paused-scale-out added", "the HPA's scaleUp is Disabled")
            .annotate("paused-scale-out", Some("true"))
            .passes()
            .stays()
            .leaves(Leaves::Disabled),
        paused("paused-scale-out removed", "the HPA's scaleUp is free", "paused-scale-out", "true")
            .annotate("paused-scale-out", None),
        paused("paused-scale-out to `false`", "as if removed", "paused-scale-out", "true")
            .annotate("paused-scale-out", Some("false")),
        paused("paused-scale-out to `nein`", "what is no bool is true", "paused-scale-out", "true")
            .annotate("paused-scale-out", Some("nein"))
            .passes()
            .reaches(1),
        Row::new("paused-scale-in added", "blocks shrinking alone")
            .annotate("paused-scale-in", Some("true"))
            .passes()
            .stays(),
        Row::new(
            "minReplicaCount raised under paused-scale-out, inactive",
            "KEDA writes the minimum all the same",
        )
        .before(0, json!({ "triggers": idle_queue(), "minReplicaCount": 0, "maxReplicaCount": 6 }))
        .under("paused-scale-out")
        .replicas(0)
        .spec(json!({ "minReplicaCount": 5 }))
        .reaches(5),
        Row::new("a job comes to a target at 0", "KEDA itself writes 1")
            .before(0, json!({ "triggers": triggers(&json!({ "listName": "late" })), "minReplicaCount": 0 }))
            .replicas(0)
            .then(Edit::Push("late"))
            .passes()
            .reaches(1),
        Row::new("force-activation at 0", "one worker at least")
            .before(0, json!({ "triggers": idle_queue(), "minReplicaCount": 0 }))
            .replicas(0)
            .annotate("force-activation", Some("true"))
            .reaches(1),
    ]
}

fn others() -> Vec<Row> {
    let second = json!({ "metadata": { "name": "NAME-second" }, "spec": { "minReplicaCount": 6, "maxReplicaCount": 6 } });
    let hpa = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": { "name": "NAME-plain" },
        "spec": { "maxReplicas": 6, "minReplicas": 6, "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "NAME" },
                  "metrics": [{ "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 50 } } }] },
    });
    vec![
        Row::new("transfer-hpa-ownership", "KEDA adopts the HPA that is named (read, not seen)")
            .annotate("scaledobject.keda.sh/transfer-hpa-ownership", Some("true"))
            .stays(),
        Row::new("hpa-ownership unchecked", "KEDA's webhook lets a second autoscaler in (read, not seen)")
            .annotate("validations.keda.sh/hpa-ownership", Some("false"))
            .stays(),
        Row::new("a second ScaledObject on the target", "a second HPA: bounds of its own act, though no metric is followed where two are on the same pods")
            .then(Edit::Create(At::ScaledObject, second)),
        Row::new("a plain HPA on the target", "a second HPA: bounds of its own act, though no metric is followed where two are on the same pods")
            .then(Edit::Create(At::Hpa, hpa)),
        Row::new(
            "restoreToOriginalReplicaCount, then deletion",
            "writes what there was before, past every maximum",
        )
        .before(1, json!({ "triggers": idle_queue(), "maxReplicaCount": 1 }))
        .replicas(6)
        .spec(json!({ "advanced": { "restoreToOriginalReplicaCount": true } }))
        // Without an HPA, which would lower it again a second later.
        .annotate("paused", Some("true"))
        .then(Edit::Delete(At::ScaledObject)),
        Row::new("status.originalReplicaCount, then deletion", "what is written then")
            .before(3, json!({ "advanced": { "restoreToOriginalReplicaCount": true } }))
            .replicas(3)
            .then(Edit::Patch(
                At::ScaledObjectStatus,
                json!({ "status": { "originalReplicaCount": 6 } }),
            ))
            .annotate("paused", Some("true"))
        .then(Edit::Delete(At::ScaledObject)),
        Row::new("status.hpaName", "names the HPA that KEDA deletes (read, not seen)")
            .then(Edit::Patch(
                At::ScaledObjectStatus,
                json!({ "status": { "hpaName": "another" } }),
            ))
            .stays(),
        Row::new("status.health", "what the fallback counts by; KEDA writes it anew")
            .then(Edit::Patch(At::ScaledObjectStatus, json!({ "status": { "health": { "s0-redis-busy": { "numberOfFailures": 9, "status": "Failing" } } } })))
            .passes()
            .stays(),
        Row::new("deleted, made again with more", "a new object has no old one to compare with")
            .then(Edit::Delete(At::ScaledObject))
            .then(Edit::Create(At::ScaledObject, json!({ "spec": { "maxReplicaCount": 9 } })))
            .by("cap-frozen"),
        Row::new("a label on the ScaledObject", "nothing")
            .then(Edit::Patch(
                At::ScaledObject,
                json!({ "metadata": { "labels": { "team": "builds" } } }),
            ))
            .passes()
            .stays(),
        Row::new("the HPA's maxReplicas", "KEDA takes it back at once")
            .then(Edit::Patch(At::Hpa, json!({ "spec": { "maxReplicas": 9 } })))
            .by("cap-frozen")
            .races()
            .leaves(Leaves::Bounds(1, 3)),
        Row::new("the HPA's minReplicas", "KEDA takes it back at once")
            .before(1, json!({ "triggers": idle_queue(), "maxReplicaCount": 6 }))
            .then(Edit::Patch(At::Hpa, json!({ "spec": { "minReplicas": 5 } })))
            .reaches(5)
            .races()
            .leaves(Leaves::Bounds(1, 6)),
        Row::new("the HPA's behavior removed", "KEDA does not notice: the Disabled hold stays off")
            .annotated(1, "paused-scale-out", "true")
            .then(Edit::Patch(At::Hpa, json!({ "spec": { "behavior": null } })))
            .reaches(3)
            .leaves(Leaves::Free),
    ]
}

fn workloads() -> Vec<Row> {
    let surge = json!({ "spec": {
        "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 4, "maxUnavailable": 0 } },
        "template": { "metadata": { "annotations": { "version": "2" } } },
    } });
    let mut set = Row::new("a StatefulSet's scale", "the HPA clamps at its next sync")
        .then(Edit::Patch(At::Scale, json!({ "spec": { "replicas": 6 } })))
        .by("cap-frozen")
        .ends(3);
    set.kind = Kind::StatefulSet;
    let mut surging = Row::new(
        "a Deployment's maxSurge, with a new template",
        "the new pods beside the old while it rolls",
    )
    .then(Edit::Patch(At::Workload, surge));
    surging.workload = json!({ "spec": { "minReadySeconds": 3, "strategy": { "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } } } });
    let mut job = Row::new("a ScaledJob's maxReplicaCount raised", "as many Jobs")
        .then(Edit::Patch(At::ScaledJob, json!({ "spec": { "maxReplicaCount": 9 } })))
        .by("cap-frozen");
    job.kind = Kind::ScaledJob;
    let mut least =
        Row::new("a ScaledJob's minReplicaCount raised", "as many Jobs without a queue")
            .before(0, json!({ "triggers": idle_queue(), "maxReplicaCount": 6 }))
            .then(Edit::Patch(At::ScaledJob, json!({ "spec": { "minReplicaCount": 5 } })))
            .reaches(5);
    least.kind = Kind::ScaledJob;
    let scaled_job = |what, claim, change: Value| {
        let mut row = Row::new(what, claim).then(Edit::Patch(At::ScaledJob, change));
        row.kind = Kind::ScaledJob;
        row
    };
    let mut ordinals = Row::new(
        "a StatefulSet's first ordinal",
        "new pods before the old ones go (read, not seen)",
    )
    .then(Edit::Patch(At::Workload, json!({ "spec": { "ordinals": { "start": 6 } } })))
    .races();
    ordinals.kind = Kind::StatefulSet;
    let more = || Edit::Patch(At::ReplicaSetScale, json!({ "spec": { "replicas": 6 } }));
    let pause = || Edit::Patch(At::Workload, json!({ "spec": { "paused": true } }));
    let mut recreates =
        Row::new("the ReplicaSet of a Deployment that recreates", "the Deployment takes it back")
            .then(more())
            .ends(3);
    recreates.workload = json!({ "spec": { "strategy": { "type": "Recreate" } } });
    vec![
        scaled_job(
            "a ScaledJob's own label, by which Jobs are counted",
            "KEDA finds none of its Jobs, and makes as many again at each poll",
            json!({
                "metadata": { "labels": { "scaledjob.keda.sh/name": "another" } },
                "spec": { "triggers": triggers(&json!({})) },
            }),
        )
        .before(0, json!({ "triggers": idle_queue() }))
        .goes_on(9),
        scaled_job(
            "a ScaledJob's strategy that counts no running Job",
            "as many again at each poll",
            json!({ "spec": { "scalingStrategy": { "strategy": "custom", "customScalingRunningJobPercentage": "0" } } }),
        )
        .goes_on(9),
        scaled_job(
            "a ScaledJob's minimum above its maximum",
            "the maximum twice",
            json!({ "spec": { "minReplicaCount": 4 } }),
        ),
        ordinals,
        Row::new("the ReplicaSet of a Deployment", "the Deployment takes it back")
            .then(more())
            .ends(3),
        Row::new("the ReplicaSet of a paused Deployment", "the Deployment takes back its only one")
            .then(pause())
            .then(more())
            .ends(3),
        recreates,
        Row::new("a label that the Deployment finds its ReplicaSet by", "it makes another beside it (read, not seen)")
            .then(Edit::Patch(At::ReplicaSet, json!({ "metadata": { "labels": { "app": "another" } } })))
            .races(),
        Row::new("KEDA's HPA deleted", "KEDA makes it again, as its ScaledObject has it")
            .before(6, json!({ "maxReplicaCount": 9 }))
            .then(Edit::Delete(At::Hpa))
            .passes()
            .stays()
            .leaves(Leaves::Bounds(1, 9)),
        Row::new("a Deployment's spec.replicas", "the HPA clamps at its next sync")
            .then(Edit::Patch(At::Workload, json!({ "spec": { "replicas": 6 } })))
            .by("cap-frozen")
            .ends(3),
        Row::new("a Deployment's scale", "the HPA clamps at its next sync")
            .then(Edit::Patch(At::Scale, json!({ "spec": { "replicas": 6 } })))
            .by("cap-frozen")
            .ends(3),
        Row::new("a Deployment's scale while `paused`", "no HPA clamps it")
            .annotated(1, "paused", "true")
            .then(Edit::Patch(At::Scale, json!({ "spec": { "replicas": 6 } })))
            .by("cap-frozen")
            .ends(6),
        set,
        surging,
        job,
        least,
    ]
}
