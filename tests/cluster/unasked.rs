//! Edits that pass while nobody can be asked: what one object shows to be lower or held.
//!
//! They are made to objects of the lane's namespace, of which the webhooks are asked.

use crate::story::{Story, SCALED_OBJECT};
use anyhow::{Context, Result};
use serde_json::{json, Value};

const SCALED_JOB: &str = "/apis/keda.sh/v1alpha1/namespaces/builds/scaledjobs/side";
const JOB: &str = "/apis/batch/v1/namespaces/builds/jobs/side";
const CRON_JOB: &str = "/apis/batch/v1/namespaces/builds/cronjobs/side";
const REPLICA_SETS: &str =
    "/apis/apps/v1/namespaces/builds/replicasets?labelSelector=app=openclaw-worker";

impl Story<'_> {
    /// What the edits are made to, while somebody can be asked.
    ///
    /// # Errors
    /// One is refused.
    pub fn prepare_unasked(&mut self) -> Result<()> {
        let pod = json!({ "spec": { "restartPolicy": "Never", "containers": [{ "name": "c", "image": "i" }] } });
        for (api, kind, spec) in [
            (
                "keda.sh/v1alpha1",
                "ScaledJob",
                json!({
                    "jobTargetRef": { "template": pod }, "minReplicaCount": 0, "maxReplicaCount": 6, "pollingInterval": 3600,
                    "triggers": [{ "type": "cron", "metadata": { "timezone": "UTC", "start": "0 3 1 1 *", "end": "1 3 1 1 *", "desiredReplicas": "1" } }],
                }),
            ),
            ("batch/v1", "Job", json!({ "parallelism": 2, "completions": 4, "template": pod })),
            (
                "batch/v1",
                "CronJob",
                json!({ "schedule": "0 3 1 1 *", "jobTemplate": { "spec": { "template": pod } } }),
            ),
        ] {
            let metadata = json!({ "name": "side", "namespace": "builds" });
            self.api().apply(
                &json!({ "apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec }),
            )?;
        }
        Ok(())
    }

    /// Each edit, while the policy server is away.
    ///
    /// # Errors
    /// One is refused.
    pub fn unasked(&mut self) -> Result<()> {
        let paused =
            json!({ "metadata": { "annotations": { "autoscaling.keda.sh/paused": "true" } } });
        let list = self.api().get(REPLICA_SETS)?;
        let replica_set = list["items"][0]["metadata"]["name"].as_str().context("a ReplicaSet")?;
        let replica_set = format!("/apis/apps/v1/namespaces/builds/replicasets/{replica_set}");
        let edits: [(&str, &str, Value); 9] = [
            (
                "a label on the ScaledObject",
                SCALED_OBJECT,
                json!({ "metadata": { "labels": { "team": "builds" } } }),
            ),
            ("a ScaledObject paused", SCALED_OBJECT, paused.clone()),
            ("a ScaledJob lowered", SCALED_JOB, json!({ "spec": { "maxReplicaCount": 4 } })),
            ("a ScaledJob paused", SCALED_JOB, paused),
            ("a Job of fewer pods", JOB, json!({ "spec": { "parallelism": 1 } })),
            ("a Job suspended", JOB, json!({ "spec": { "suspend": true } })),
            ("a CronJob suspended", CRON_JOB, json!({ "spec": { "suspend": true } })),
            ("a ReplicaSet lowered", &replica_set, json!({ "spec": { "replicas": 1 } })),
            ("a finalizer taken away", SCALED_JOB, json!({ "metadata": { "finalizers": null } })),
        ];
        for (what, path, patch) in edits {
            let answer = self.api().patch(path, &patch)?;
            self.judged(&format!("the webhook is dead: {what}"), answer, None)?;
        }
        let answer = self.api().call("DELETE", SCALED_JOB, "application/json", None)?;
        self.judged("the webhook is dead: a ScaledJob deleted", answer, None)
    }
}
