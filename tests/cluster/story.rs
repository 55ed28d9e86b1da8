//! The story: a queue grows, a canary fails, and nothing that is real raises
//! the replicas; it heals, and they rise again as far as the canary's cap.

use crate::api::Api;
use crate::control_plane::ControlPlane;
use crate::paths::{self, Tried};
use crate::rig::Rig;
use anyhow::{bail, ensure, Result};
use serde_json::{json, Value};
use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const SCALED_OBJECT: &str =
    "/apis/keda.sh/v1alpha1/namespaces/builds/scaledobjects/openclaw-worker";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/builds/deployments/openclaw-worker";
const HPA: &str =
    "/apis/autoscaling/v2/namespaces/builds/horizontalpodautoscalers/keda-hpa-openclaw-worker";
const EVENTS: &str = "/api/v1/namespaces/builds/events";

/// One line of what was seen.
pub struct Line {
    pub step: String,
    pub seen: String,
}

pub struct Story<'a> {
    plane: &'a ControlPlane,
    rig: &'a Rig,
    pub lines: Vec<Line>,
    pub tried: Vec<Tried>,
}

fn now() -> gate::time::Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    gate::time::Timestamp::from_millis(since.as_millis() as i64)
}

fn message(answer: &Value) -> String {
    answer["message"].as_str().unwrap_or_default().chars().take(260).collect()
}

impl<'a> Story<'a> {
    pub fn new(plane: &'a ControlPlane, rig: &'a Rig) -> Self {
        Self { plane, rig, lines: vec![], tried: vec![] }
    }

    fn api(&self) -> &Api {
        &self.plane.api
    }

    fn saw(&mut self, step: &str, seen: impl Into<String>) {
        let seen = seen.into();
        println!("ok  {step}: {seen}");
        self.lines.push(Line { step: step.to_owned(), seen });
    }

    fn replicas(&self) -> Result<i64> {
        Ok(self.api().get(DEPLOYMENT)?["spec"]["replicas"].as_i64().unwrap_or(-1))
    }

    fn wait_for_replicas(&mut self, step: &str, wanted: i64) -> Result<()> {
        self.put_facts();
        self.api().wait_for(90, &format!("{step}: {wanted} replicas"), DEPLOYMENT, |d| {
            self.put_facts();
            d["spec"]["replicas"] == wanted
        })?;
        self.saw(step, format!("the Deployment has {wanted} replicas"));
        Ok(())
    }

    /// The node is well, and says so.
    fn put_facts(&self) {
        let facts = json!({ "at": now().to_string(), "disk_used_pct": 50, "doctor_ok": true, "queue_depth": 3 });
        self.rig.envoy.put("/keda/facts", "facts", &facts);
    }

    fn command(&mut self, step: &str, body: &Value) -> Result<()> {
        let answer = self.rig.envoy.put("/keda/canary", "ops", body);
        ensure!(answer.status == 204, "{step}: {answer:?}\n{}", self.rig.envoy.log());
        self.saw(step, "204: the verdict is published in this API server");
        Ok(())
    }

    /// An edit of the ScaledObject's maximum, as an administrator.
    fn set_max(&mut self, step: &str, max: u32, refused_by: Option<&str>) -> Result<()> {
        let (status, answer) =
            self.api().patch(SCALED_OBJECT, &json!({ "spec": { "maxReplicaCount": max } }))?;
        match refused_by {
            None => ensure!(status == 200, "{step}: {status} {answer}"),
            Some(rule) => {
                ensure!(
                    status == 403 && message(&answer).contains(rule),
                    "{step}: {status} {answer}"
                );
            }
        }
        self.saw(step, format!("{status} {}", message(&answer)));
        Ok(())
    }

    /// Requests of both slices; one in five of the canary's fails where it is sick.
    fn traffic(&self, sick: bool) {
        let path = |i: usize| format!("/{}/1", if sick && i.is_multiple_of(5) { 500 } else { 200 });
        let requests: Vec<(bool, String)> = (0..120)
            .map(|i| (i % 3 == 0, if i % 3 == 0 { path(i / 3) } else { path(1) }))
            .collect();
        tests::client::pour(self.rig.envoy.vip, &requests, 4);
        self.put_facts();
        thread::sleep(Duration::from_millis(100));
    }

    fn until(
        &self,
        seconds: u64,
        what: &str,
        sick: bool,
        holds: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let begun = Instant::now();
        loop {
            self.traffic(sick);
            let answer = self.rig.envoy.get("/keda/metrics", "bastion");
            if answer.status == 200 && holds(&answer.json()) {
                return Ok(answer.json());
            }
            if begun.elapsed() > Duration::from_secs(seconds) {
                bail!("{what} did not come: {answer:?}\n{}", self.rig.envoy.log());
            }
        }
    }

    /// An event that says who was refused, and by which rule.
    fn event(&mut self, step: &str, who: &str, rule: &str) -> Result<()> {
        let found = |list: &Value| {
            let events = list["items"].as_array()?;
            let text = |e: &Value| e["message"].as_str().unwrap_or_default().to_owned();
            events
                .iter()
                .map(|e| (e["reportingComponent"].to_string() + &e["source"].to_string(), text(e)))
                .find(|(by, text)| by.contains(who) && text.contains(rule))
        };
        let list =
            self.api().wait_for(60, &format!("{step}: an event of {who}"), EVENTS, |list| {
                self.put_facts();
                found(list).is_some()
            })?;
        let (_, text) = found(&list).unwrap_or_default();
        let text: String = text
            .split_once("error: ")
            .map_or(text.as_str(), |(_, e)| e)
            .chars()
            .take(260)
            .collect();
        self.saw(step, format!("event of {who}: {text}"));
        Ok(())
    }

    /// A member of the break-glass group lets a raise through, and ends it again.
    fn emergency(&mut self) -> Result<()> {
        let until = gate::time::Timestamp::from_millis(now().millis() + 600_000).to_string();
        let object = |by: &str| {
            let ov =
                json!({ "until": until, "reason": "the release waits", "by": by, "ceiling": 6 });
            json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": { "name": "canary-gate.break-glass.openclaw-build-lane", "namespace": "builds", "labels": { "canary-gate.dev/lane": "openclaw-build-lane" } },
                "data": { "override": ov.to_string() },
            })
        };
        let at = "/api/v1/namespaces/builds/configmaps";
        let (status, answer) =
            self.api().call("POST", at, "application/json", Some(&object("admin")))?;
        ensure!(status == 403 && message(&answer).contains("state-owner"), "{status} {answer}");
        self.saw(
            "an override by somebody who is not in breakGlass.groups",
            format!("403 {}", message(&answer)),
        );
        let alice = self.api().as_user(crate::control_plane::ALICE);
        let (status, answer) =
            alice.call("POST", at, "application/json", Some(&object("alice")))?;
        ensure!(status == 201, "{status} {answer}");
        self.saw("an override by a member of it", "201");
        self.wait_for_replicas("the HPA is let through, up to the override's ceiling", 6)?;
        let name = format!("{at}/canary-gate.break-glass.openclaw-build-lane");
        let (status, _) = alice.call("DELETE", &name, "application/json", None)?;
        ensure!(status == 200, "{status}");
        let (status, answer) = self
            .api()
            .patch(&format!("{DEPLOYMENT}/scale"), &json!({ "spec": { "replicas": 8 } }))?;
        ensure!(status == 403, "{status} {answer}");
        self.saw("the override is deleted, a raise", format!("403 {}", message(&answer)));
        let (status, answer) = self
            .api()
            .patch(&format!("{DEPLOYMENT}/scale"), &json!({ "spec": { "replicas": 3 } }))?;
        ensure!(status == 200, "{status} {answer}");
        Ok(())
    }

    /// # Errors
    /// The step that was not seen, and what was seen instead.
    pub fn tell(&mut self) -> Result<()> {
        self.rig.envoy.wait_for(20, "a document", |_| true);
        self.put_facts();
        self.command("a new gateway begins with `end`", &json!({ "action": "end" }))?;
        self.rig.envoy.wait_for(30, "an idle lane", |d| {
            self.put_facts();
            d["status"] == "healthy"
        });
        self.rig.apply_scaled_object(self.plane)?;
        self.saw(
            "the shipped ScaledObject is admitted",
            "200, with the queue and the gateway's own document",
        );
        self.rig.set_jobs(24)?;
        self.wait_for_replicas("a Redis list of 24 jobs: KEDA feeds the HPA, the HPA scales", 3)?;
        let hpa = self.api().get(HPA)?;
        self.saw("KEDA's HPA", format!("maxReplicas {}", hpa["spec"]["maxReplicas"]));

        self.command("a canary begins", &json!({ "action": "begin", "weight": 0.3 }))?;
        self.until(60, "degraded", true, |d| d["degraded"] == true)?;
        self.saw("real 500s on the canary slice", "degraded: frozen by canary_5xx_rate");
        // The verdict in the API server is what the policy reads.
        let state = "/api/v1/namespaces/builds/configmaps/canary-gate.gw-a1";
        self.api().wait_for(20, "the frozen verdict", state, |o| {
            o["data"]["verdict"].as_str().is_some_and(|v| v.contains("\"frozen\":true"))
        })?;
        self.set_max("an administrator raises maxReplicaCount", 8, Some("cap-frozen"))?;
        self.rig.set_jobs(80)?;
        self.event(
            "80 jobs: the HPA controller writes `scale`",
            "horizontal-pod-autoscaler",
            "cap-frozen",
        )?;
        ensure!(self.replicas()? == 3, "{} replicas", self.replicas()?);
        self.saw("the Deployment meanwhile", "3 replicas");
        self.emergency()?;
        self.tried = paths::try_all(self.api(), || self.put_facts())?;
        self.saw(
            "every way up, tried",
            format!("{} edits, the Deployment has 3 replicas", self.tried.len()),
        );
        self.set_max("lowering maxReplicaCount", 5, None)?;
        let (status, answer) = self
            .api()
            .patch(&format!("{DEPLOYMENT}/scale"), &json!({ "spec": { "replicas": 2 } }))?;
        ensure!(status == 200, "{status} {answer}");
        self.saw("lowering the Deployment by `scale`", "200");
        let (status, answer) = self
            .api()
            .patch(&format!("{DEPLOYMENT}/scale"), &json!({ "spec": { "replicas": 4 } }))?;
        ensure!(status == 403, "{status} {answer}");
        self.saw("raising it by `scale`", format!("403 {}", message(&answer)));

        self.until(120, "a thaw", false, |d| d["scaling"]["frozen"] == 0)?;
        self.saw("the canary heals", "two clean polling windows: thawed");
        let unpause = json!({ "metadata": { "annotations": { "autoscaling.keda.sh/paused-scale-out": null } } });
        let (status, answer) = self.api().patch(SCALED_OBJECT, &unpause)?;
        ensure!(status == 200, "{status} {answer}");
        self.saw("the pause that was tried is lifted", "200");
        self.wait_for_replicas("the HPA rises again, up to its maximum", 5)?;
        self.set_max("above the canary's cap", 8, Some("canary-cap"))?;
        self.set_max("up to the canary's cap", 7, None)?;
        self.wait_for_replicas("and not above it, with 80 jobs", 7)?;
        self.command("the rollout ends", &json!({ "action": "end" }))?;
        self.set_max("the raise passes", 9, None)?;
        self.wait_for_replicas("and the HPA follows", 9)?;
        self.outage()
    }

    /// The webhook dies: what `Fail` with `matchConditions` lets through.
    fn outage(&mut self) -> Result<()> {
        self.rig.webhook.lock().unwrap_or_else(PoisonError::into_inner).kill();
        let (status, answer) =
            self.api().patch(SCALED_OBJECT, &json!({ "spec": { "maxReplicaCount": 12 } }))?;
        ensure!(
            status >= 400 && message(&answer).contains("failed calling webhook"),
            "{status} {answer}"
        );
        self.saw("the webhook is dead: a raise", format!("{status} {}", message(&answer)));
        self.set_max("the webhook is dead: lowering maxReplicaCount", 4, None)?;
        self.wait_for_replicas("the webhook is dead: the HPA lowers", 4)?;
        let (status, answer) = self
            .api()
            .patch(&format!("{DEPLOYMENT}/scale"), &json!({ "spec": { "replicas": 3 } }))?;
        ensure!(status == 200, "{status} {answer}");
        self.saw("the webhook is dead: lowering by `scale`", "200");
        let others = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "others", "namespace": "default" } });
        self.api().apply(&others)?;
        let mine = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "app", "namespace": "builds" } });
        self.api().apply(&mine)?;
        self.saw("the webhook is dead: ConfigMaps of others, also in the lane's namespace", "200");
        Ok(())
    }
}
