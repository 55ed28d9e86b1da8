//! KEDA's own admission webhook, for the one row that speaks of it: it refuses a
//! second ScaledObject on a target, and is never asked about a plain HPA.

use crate::control_plane::of_keda;
use crate::processes::Program;
use crate::rig::read_program;
use crate::story::Story;
use anyhow::{ensure, Context, Result};
use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use serde_json::{json, Value};
use std::thread;
use std::time::{Duration, Instant};
use tests::servers::free_port;

const CONFIGURATIONS: &str =
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
const OBJECTS: &str = "/apis/keda.sh/v1alpha1/namespaces/controls/scaledobjects";
const HPAS: &str = "/apis/autoscaling/v2/namespaces/controls/horizontalpodautoscalers";

fn scaled_object(name: &str) -> Value {
    json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": { "name": name, "namespace": "controls" },
        "spec": {
            "scaleTargetRef": { "name": "shared" }, "maxReplicaCount": 3,
            "triggers": [{ "type": "redis", "metadata": { "address": "127.0.0.1:1", "listName": "x", "listLength": "8" } }],
        },
    })
}

impl Story<'_> {
    /// On targets that nobody else guards.
    pub fn kedas_own_webhook(&mut self) -> Result<()> {
        let folder = &self.plane.folder;
        let (port, health, metrics) = (free_port(), free_port(), free_port());
        let mut command = of_keda("keda-webhooks", &folder.join("keda.kubeconfig"))?;
        command
            .arg(format!("--port={port}"))
            .arg(format!("--health-probe-bind-address=127.0.0.1:{health}"))
            .arg(format!("--metrics-bind-address=127.0.0.1:{metrics}"))
            .arg("--cert-dir")
            .arg(folder.join("keda-certs"));
        let webhook = Program::start(folder, "keda-webhooks", command)?;
        let ready = format!("http://127.0.0.1:{health}/readyz");
        webhook.wait_until(60, || ureq::get(&ready).call().is_ok())?;
        let looked = crate::listeners::check()?;
        ensure!(looked > 10, "only {looked} programs");
        self.saw("what listens, by the kernel", "every program on loopback alone");
        let ca = STANDARD.encode(std::fs::read(folder.join("keda.crt"))?);
        let mut shipped: Value = read_program("keda-config/webhooks/validation_webhooks.yaml")?;
        let all = shipped["webhooks"].as_array_mut().context("webhooks")?;
        all.retain(|w| w["name"] == "vscaledobject.kb.io");
        let path = all.first().and_then(|w| w["clientConfig"]["service"]["path"].as_str());
        let url = format!("https://127.0.0.1:{port}{}", path.context("a path")?);
        all[0]["clientConfig"] = json!({ "url": url, "caBundle": ca });
        self.api().apply(&shipped)?;
        let workload = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "shared", "namespace": "controls" },
            "spec": { "replicas": 1, "selector": { "matchLabels": { "app": "shared" } }, "template": {
                "metadata": { "labels": { "app": "shared" } }, "spec": { "containers": [{ "name": "c", "image": "x" }] } } },
        });
        self.api().apply(&workload)?;
        self.api().apply(&scaled_object("way-first"))?;
        let begun = Instant::now();
        let refused = loop {
            let second = scaled_object("way-second");
            let (status, answer) =
                self.api().call("POST", OBJECTS, "application/json", Some(&second))?;
            let text = answer["message"].as_str().unwrap_or_default().to_owned();
            if status == 403 && text.contains("vscaledobject.kb.io") {
                break text;
            }
            // The API server learns of a webhook, and it of the first, within seconds.
            ensure!(begun.elapsed() < Duration::from_secs(20), "{status} {answer}");
            self.api().call(
                "DELETE",
                &format!("{OBJECTS}/way-second"),
                "application/json",
                None,
            )?;
            thread::sleep(Duration::from_millis(300));
        };
        ensure!(refused.contains("already managed"), "{refused}");
        self.saw(
            "KEDA's own webhook: a second ScaledObject on a target",
            "403, already managed by the first",
        );
        let plain = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": { "name": "way-plain", "namespace": "controls" },
            "spec": { "maxReplicas": 6, "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "shared" },
                      "metrics": [{ "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 50 } } }] },
        });
        let answer = self.api().call("POST", HPAS, "application/json", Some(&plain))?;
        self.judged("KEDA's own webhook is never asked about a plain HPA on it", answer, None)?;
        for path in [
            format!("{CONFIGURATIONS}/keda-admission"),
            format!("{HPAS}/way-plain"),
            format!("{OBJECTS}/way-first"),
            "/apis/apps/v1/namespaces/controls/deployments/shared".to_owned(),
        ] {
            let answer = self.api().call("DELETE", &path, "application/json", None)?;
            ensure!(answer.0 == 200, "{path}: {answer:?}");
        }
        Ok(())
    }
}
