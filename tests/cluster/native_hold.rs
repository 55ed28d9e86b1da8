//! KEDA's own hold, by the formula of `deploy/keda/native-hold.yaml`, where no
//! policy guards: it asks for no more while the gateway is frozen.

use crate::rig::{read, worker};
use crate::story::Story;
use anyhow::{ensure, Result};
use serde_json::json;
use std::thread;
use std::time::{Duration, Instant};
use tests::envoy::token;

const NAMESPACE: &str = "controls";
const NAME: &str = "native-worker";
const LIST: &str = "native-jobs";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/controls/deployments/native-worker";
const HPA: &str =
    "/apis/autoscaling/v2/namespaces/controls/horizontalpodautoscalers/keda-hpa-native-worker";

impl Story<'_> {
    /// Jobs for three workers, while nothing is frozen.
    pub fn native_hold_begins(&mut self) -> Result<()> {
        self.api().apply(&worker(NAMESPACE, NAME))?;
        self.api().apply(&json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": "canary-gate-measure", "namespace": NAMESPACE },
            "stringData": { "token": token("keda") },
        }))?;
        let (redis, management) = (self.rig.redis_port, self.rig.envoy.management);
        let text = [
            read("deploy/keda/trigger-authentication.yaml")?,
            read("deploy/keda/native-hold.yaml")?.replace("openclaw-worker", NAME),
        ];
        self.api().apply_yaml(&text.join("\n---\n"), |object| {
            object["metadata"]["namespace"] = NAMESPACE.into();
            if object["kind"] == "ScaledObject" {
                object["spec"]["pollingInterval"] = 1.into();
                let triggers = object["spec"]["triggers"].as_array_mut().into_iter().flatten();
                for trigger in triggers {
                    let metadata = &mut trigger["metadata"];
                    if metadata["url"].is_string() {
                        metadata["url"] =
                            format!("http://127.0.0.1:{management}/keda/metrics").into();
                    } else {
                        metadata["address"] = format!("127.0.0.1:{redis}").into();
                        metadata["listName"] = LIST.into();
                    }
                }
            }
        })?;
        self.rig.set_list(LIST, 24)?;
        self.native_replicas("the native hold, idle: 24 jobs", 3)
    }

    fn native_replicas(&mut self, step: &str, wanted: i64) -> Result<()> {
        self.api().wait_for(90, step, DEPLOYMENT, |d| {
            self.put_facts();
            d["spec"]["replicas"] == wanted
        })?;
        self.saw(step, format!("{wanted} replicas"));
        Ok(())
    }

    /// Jobs for ten, while the gateway is frozen: nobody refuses, and nobody asks.
    pub fn native_hold_holds(&mut self) -> Result<()> {
        self.rig.set_list(LIST, 80)?;
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(8) {
            self.put_facts();
            let (deployment, hpa) = (self.api().get(DEPLOYMENT)?, self.api().get(HPA)?);
            let replicas = &deployment["spec"]["replicas"];
            let desired = &hpa["status"]["desiredReplicas"];
            ensure!(*replicas == 3 && *desired == 3, "native hold: {replicas}, {desired}: {hpa}");
            thread::sleep(Duration::from_millis(300));
        }
        self.saw(
            "the native hold, frozen: 80 jobs, no policy",
            "its HPA asks for 3, and 3 there are",
        );
        Ok(())
    }

    pub fn native_hold_ends(&mut self) -> Result<()> {
        self.native_replicas("the native hold, thawed", 6)
    }
}
