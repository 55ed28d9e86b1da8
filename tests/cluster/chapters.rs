//! Chapters of the story that stand by themselves: the override, what people type,
//! the clamp, the doctor, the other rules, what admission takes.

use crate::api::Api;
use crate::kubectl;
use crate::latency;
use crate::story::{gist, message, Story, HPA, SCALED_OBJECT, STATE};
use anyhow::{ensure, Result};
use serde_json::{json, Value};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use tests::{now, root};

impl Story<'_> {
    /// A member of the break-glass group lets a raise through, and ends it again.
    pub fn emergency(&mut self) -> Result<()> {
        let object = |by: &str, ceiling: u32, seconds: u64| {
            let until = now().plus_secs(seconds).to_string();
            let ov = json!({ "until": until, "reason": "the release waits", "by": by, "ceiling": ceiling });
            json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": { "name": "canary-gate.break-glass.openclaw-build-lane", "namespace": "builds", "labels": { "canary-gate.dev/lane": "openclaw-build-lane" } },
                "data": { "override": ov.to_string() },
            })
        };
        let at = "/api/v1/namespaces/builds/configmaps";
        let create = |api: &Api, by, ceiling, seconds| {
            api.call("POST", at, "application/json", Some(&object(by, ceiling, seconds)))
        };
        let answer = create(self.api(), "admin", 5, 600)?;
        let who = "an override by somebody who is not in breakGlass.groups";
        self.judged(who, answer, Some("state-owner"))?;
        let alice = self.api().as_user(crate::control_plane::ALICE);
        let answer = create(&alice, "alice", 5, 600)?;
        self.judged("an override by a member of it, up to 5", answer, None)?;
        self.scale("under the override, by `scale`", 5, None)?;
        self.scale("above its ceiling", 6, Some("cap-frozen"))?;
        // Its maximum is 6, and it wants more.
        self.stays_at("the HPA, under the override", 5)?;
        let name = format!("{at}/canary-gate.break-glass.openclaw-build-lane");
        let answer = alice.call("DELETE", &name, "application/json", None)?;
        self.judged("the override is deleted", answer, None)?;
        self.scale("back to what there was", 3, None)?;
        self.scale("without the override", 5, Some("cap-frozen"))?;

        let pause = |value: Value| json!({ "metadata": { "annotations": { "autoscaling.keda.sh/paused-scale-out": value } } });
        let answer = self.api().patch(SCALED_OBJECT, &pause("true".into()))?;
        self.judged("somebody pauses scale-out in KEDA", answer, None)?;
        let hold = |o: &Value| o["spec"]["behavior"]["scaleUp"]["selectPolicy"] == "Disabled";
        self.api().wait_for(30, "the HPA's hold", HPA, hold)?;
        let answer = create(&alice, "alice", 6, 600)?;
        self.judged("an override up to the maximum", answer, None)?;
        let answer = self.api().patch(SCALED_OBJECT, &pause(Value::Null))?;
        self.judged("under it: the pause is lifted", answer, None)?;
        self.api().wait_for(30, "the HPA's release", HPA, |o| !hold(o))?;
        self.saw("under it: KEDA frees its own HPA", "scaleUp is not Disabled any more");
        self.wait_for_replicas("under it: the HPA rises to its maximum", 6)?;
        let answer = alice.call("DELETE", &name, "application/json", None)?;
        self.judged("it is deleted", answer, None)?;
        self.scale("back to what there was, once more", 3, None)?;

        let answer = create(&alice, "alice", 4, 8)?;
        self.judged("an override of eight seconds, up to 4", answer, None)?;
        self.scale("under it, by `scale`, once more", 4, None)?;
        self.scale("back again: lowering always passes", 3, None)?;
        thread::sleep(Duration::from_secs(9));
        self.scale("back once more, after its end", 3, None)?;
        self.scale("it has ended: a raise", 4, Some("cap-frozen"))?;
        self.held_at("it has ended: the HPA", 3)?;
        let answer = alice.call("DELETE", &name, "application/json", None)?;
        self.judged("what is left of it is deleted", answer, None)
    }

    /// What people type, and what they read.
    pub fn by_kubectl(&mut self) -> Result<()> {
        let config = self.plane.folder.join("admin.kubeconfig");
        let raise = r#"{"spec":{"maxReplicaCount":8}}"#;
        let patch = ["patch", "scaledobject", "openclaw-worker", "--type=merge", "-p", raise];
        let (done, text) = kubectl::run(&config, &patch)?;
        ensure!(!done && text.contains("cap-frozen: "), "{text}");
        self.saw("kubectl patch scaledobject", gist(&text));
        let (done, text) =
            kubectl::run(&config, &["scale", "deployment/openclaw-worker", "--replicas=9"])?;
        ensure!(!done && text.contains("cap-frozen: "), "{text}");
        self.saw("kubectl scale", gist(&text));
        let (done, text) =
            kubectl::run(&config, &["annotate", "scaledobject", "openclaw-worker", "team=builds"])?;
        ensure!(done, "{text}");
        self.saw("kubectl annotate", text);
        Ok(())
    }

    /// The guard as a mutating policy: a raise is lowered to what is allowed.
    pub fn clamped(&mut self) -> Result<()> {
        self.api().apply(&self.rig.clamp)?;
        let raise = json!({ "spec": { "maxReplicaCount": 8 } });
        let begun = Instant::now();
        let (status, answer) = loop {
            // The API server learns of a webhook within a second or two.
            let answer = self.api().patch(SCALED_OBJECT, &raise)?;
            if answer.0 == 200 || begun.elapsed() > Duration::from_secs(10) {
                break answer;
            }
            thread::sleep(Duration::from_millis(200));
        };
        let max = &answer["spec"]["maxReplicaCount"];
        ensure!(status == 200 && *max == 6, "clamped: {status} {answer}");
        self.saw(
            "`mode: clamp`, mutating: a raise to 8",
            format!("200, and maxReplicaCount is {max}"),
        );
        let path =
            "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/canary-gate-clamp";
        let answer = self.api().call("DELETE", path, "application/json", None)?;
        self.judged("that configuration is deleted", answer, None)?;
        let begun = Instant::now();
        loop {
            let (status, answer) = self.api().patch(SCALED_OBJECT, &raise)?;
            if status == 403 && message(&answer).contains("canary-gate-guard") {
                return Ok(());
            }
            ensure!(begun.elapsed() < Duration::from_secs(10), "{status} {answer}");
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// What the doctor says; `wrong` is in one of its lines, or nothing is wrong.
    pub fn doctor(&mut self, step: &str, wrong: Option<&str>) -> Result<()> {
        let folder = &self.plane.folder;
        let token = folder.join("read.token");
        std::fs::write(&token, tests::envoy::token("bastion"))?;
        let own = |port: u16| format!("http://127.0.0.1:{port}");
        self.put_facts();
        let output = Command::new(std::env::current_exe()?.with_file_name("harness"))
            .arg("doctor")
            .arg("--kubectl")
            .arg(root(".tools/kubectl"))
            .arg("--kubeconfig")
            .arg(folder.join("admin.kubeconfig"))
            .args(["--admin", &own(self.rig.envoy.admin)])
            .args(["--gateway", &own(self.rig.envoy.management), "--token-file"])
            .arg(&token)
            .arg("--kube-token")
            .arg(crate::rig::token_file("gw-a1"))
            .arg("--dist")
            .arg(root("dist"))
            .output()?;
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        self.doctor_said.push_str(&text);
        let line = text.lines().find(|l| l.contains(wrong.unwrap_or("nothing is wrong")));
        let is_right = output.status.code() == Some(i32::from(wrong.is_some()));
        ensure!(is_right && line.is_some(), "{step}: {text}");
        let seen = wrong.map_or("nothing is wrong".to_owned(), |w| format!("a fault: {w}"));
        self.saw(step, seen);
        Ok(())
    }

    /// The policy server loses its right to read, and gets it back.
    pub fn without_rights(&mut self) -> Result<()> {
        let path = "/apis/rbac.authorization.k8s.io/v1/namespaces/builds/rolebindings/canary-gate-state-reader";
        let answer = self.api().call("DELETE", path, "application/json", None)?;
        self.judged("the policy server's RoleBinding is deleted", answer, None)?;
        self.doctor("harness doctor then", Some("policy-server may not list ConfigMaps"))?;
        self.set_max("a raise on an idle lane then", 7, Some("cap-frozen"))?;
        self.api().apply_yaml(&crate::rig::read("deploy/rbac/policy-server.yaml")?, |_| {})
    }

    /// The lane's other rules, each by an edit that is none of replicas.
    pub fn other_rules(&mut self) -> Result<()> {
        let patch = json!({ "data": { "verdict": "{}" } });
        let answer = self.api().patch(STATE, &patch)?;
        self.judged("the verdict edited by somebody else", answer, Some("state-owner"))?;
        for (name, labels) in [
            ("canary-gate.gw-z9", json!({})),
            ("canary-gate.gw-z9", json!({ "canary-gate.dev/lane": "openclaw-build-lane" })),
        ] {
            let planted = json!({
                "apiVersion": "v1", "kind": "ConfigMap", "data": { "verdict": "{}" },
                "metadata": { "name": name, "namespace": "builds", "labels": labels },
            });
            let path = "/api/v1/namespaces/builds/configmaps";
            let answer = self.api().call("POST", path, "application/json", Some(&planted))?;
            let how = if labels == json!({}) { "without" } else { "with" };
            let step = format!("a state planted for a gateway to come, {how} the lane's label");
            self.judged(&step, answer, Some("state-owner"))?;
        }
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "promote", "namespace": "builds" },
            "spec": { "template": { "spec": { "restartPolicy": "Never", "containers": [{ "name": "c", "image": "rsync", "command": ["rsync", "-a", "--delete", "a/", "b/"] }] } } },
        });
        let jobs = "/apis/batch/v1/namespaces/builds/jobs";
        let answer = self.api().call("POST", jobs, "application/json", Some(&job))?;
        self.judged("a promotion by rsync --delete", answer, Some("promotion-freeze"))
    }

    /// Admission of raises at a steady rate, by dry run.
    pub fn latency(&mut self, what: &str, status: u16) -> Result<()> {
        let path = format!("{SCALED_OBJECT}?dryRun=All");
        let patch = json!({ "spec": { "maxReplicaCount": 7, "minReplicaCount": 2 } });
        let measured = latency::measure(self.api(), what, &path, &patch, status)?;
        println!(
            "ok  {what}: {} edits, admission p50 {} ms, p99 {} ms; at the client {:.1} and {:.1} ms",
            measured.edits, measured.p50, measured.p99, measured.client_p50_ms, measured.client_p99_ms
        );
        self.latencies.push(measured);
        self.put_facts();
        Ok(())
    }
}
