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
use std::time::{Duration, Instant};
use tests::now;

const SCALED_OBJECT: &str =
    "/apis/keda.sh/v1alpha1/namespaces/builds/scaledobjects/openclaw-worker";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/builds/deployments/openclaw-worker";
const HPA: &str =
    "/apis/autoscaling/v2/namespaces/builds/horizontalpodautoscalers/keda-hpa-openclaw-worker";
const STATE: &str = "/api/v1/namespaces/builds/configmaps/canary-gate.gw-a1";
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

/// What stays the same in every run of an answer: who refused, by which rule, what.
fn message(answer: &Value) -> String {
    gist(answer["message"].as_str().unwrap_or_default())
}

fn gist(message: &str) -> String {
    let ends = [". Gateway ", ": failed to call webhook"].map(|end| message.find(end));
    let end = ends.into_iter().flatten().min().unwrap_or(message.len());
    message.get(..end).unwrap_or(message).to_owned()
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

    fn put_facts(&self) {
        self.rig.envoy.put_facts();
    }

    /// A write of the Deployment's `scale`, as an administrator.
    fn scale(&mut self, step: &str, replicas: u32, refused_by: Option<&str>) -> Result<()> {
        let patch = json!({ "spec": { "replicas": replicas } });
        let answer = self.api().patch(&format!("{DEPLOYMENT}/scale"), &patch)?;
        self.judged(step, answer, refused_by)
    }

    /// An answer that is as it must be.
    fn judged(
        &mut self,
        step: &str,
        (status, answer): (u16, Value),
        refused_by: Option<&str>,
    ) -> Result<()> {
        match refused_by {
            None => ensure!((200..300).contains(&status), "{step}: {status} {answer}"),
            Some(rule) => {
                let is_refused = status == 403 && message(&answer).contains(&format!("{rule}: "));
                ensure!(is_refused, "{step}: {status} {answer}");
            }
        }
        self.saw(step, format!("{status} {}", message(&answer)));
        Ok(())
    }

    /// For a while nothing real gets above what there is.
    fn stays_at(&mut self, step: &str, replicas: i64) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) {
            self.put_facts();
            ensure!(self.replicas()? == replicas, "{step}: {} replicas", self.replicas()?);
            thread::sleep(Duration::from_millis(200));
        }
        self.saw(step, format!("the Deployment stays at {replicas} replicas"));
        Ok(())
    }

    fn command(&mut self, step: &str, body: &Value) -> Result<()> {
        let answer = self.rig.envoy.put("/keda/canary", "ops", body);
        ensure!(answer.status == 204, "{step}: {answer:?}\n{}", self.rig.envoy.log());
        let verdict = self.api().get(STATE)?["data"]["verdict"].to_string();
        let active = body["action"] == "begin";
        ensure!(verdict.contains(&format!("canary_active\\\":{active}")), "{step}: {verdict}");
        self.saw(step, format!("204, and the verdict in this API server: canary_active {active}"));
        Ok(())
    }

    /// An edit of the ScaledObject's maximum, as an administrator.
    fn set_max(&mut self, step: &str, max: u32, refused_by: Option<&str>) -> Result<()> {
        let patch = json!({ "spec": { "maxReplicaCount": max } });
        let answer = self.api().patch(SCALED_OBJECT, &patch)?;
        self.judged(step, answer, refused_by)
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
        let text = text.split_once("error: ").map_or(text.as_str(), |(_, error)| error);
        self.saw(step, format!("event of {who}: {}", gist(text)));
        Ok(())
    }

    /// A member of the break-glass group lets a raise through, and ends it again.
    fn emergency(&mut self) -> Result<()> {
        let until = now().plus_secs(600).to_string();
        let object = |by: &str| {
            let ov =
                json!({ "until": until, "reason": "the release waits", "by": by, "ceiling": 5 });
            json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": { "name": "canary-gate.break-glass.openclaw-build-lane", "namespace": "builds", "labels": { "canary-gate.dev/lane": "openclaw-build-lane" } },
                "data": { "override": ov.to_string() },
            })
        };
        let at = "/api/v1/namespaces/builds/configmaps";
        let create = |api: &Api, by| api.call("POST", at, "application/json", Some(&object(by)));
        let answer = create(self.api(), "admin")?;
        let who = "an override by somebody who is not in breakGlass.groups";
        self.judged(who, answer, Some("state-owner"))?;
        let alice = self.api().as_user(crate::control_plane::ALICE);
        let answer = create(&alice, "alice")?;
        self.judged("an override by a member of it, up to 5", answer, None)?;
        self.scale("under the override, by `scale`", 5, None)?;
        self.scale("above its ceiling", 6, Some("cap-frozen"))?;
        // Its maximum is 6, and it wants more.
        self.stays_at("the HPA, under the override", 5)?;
        let name = format!("{at}/canary-gate.break-glass.openclaw-build-lane");
        let answer = alice.call("DELETE", &name, "application/json", None)?;
        self.judged("the override is deleted", answer, None)?;
        self.scale("back to what there was", 3, None)?;
        self.scale("without the override", 5, Some("cap-frozen"))
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
        let max = self.api().get(HPA)?["spec"]["maxReplicas"].clone();
        ensure!(max == 6, "KEDA's HPA has maxReplicas {max}");

        self.command("a canary begins", &json!({ "action": "begin", "weight": 0.3 }))?;
        let d = self.until(60, "degraded", true, |d| d["degraded"] == true)?;
        let causes = &d["scaling"]["frozen_by"];
        ensure!(*causes == json!(["canary_5xx_rate"]), "{causes}");
        self.saw("real 500s on the canary slice", format!("degraded, frozen by {causes}"));
        // The verdict in the API server is what the policy reads.
        self.api().wait_for(20, "the frozen verdict", STATE, |o| {
            o["data"]["verdict"].as_str().is_some_and(|v| v.contains("\"frozen\":true"))
        })?;
        self.set_max("an administrator raises maxReplicaCount", 8, Some("cap-frozen"))?;
        self.rig.set_jobs(80)?;
        self.event(
            "80 jobs: the HPA controller writes `scale`",
            "horizontal-pod-autoscaler",
            "cap-frozen",
        )?;
        self.stays_at("the HPA, with 80 jobs", 3)?;
        self.emergency()?;
        self.tried = paths::try_all(self.api(), || self.put_facts())?;
        self.saw(
            "every way up, tried",
            format!("{} edits, the Deployment has 3 replicas", self.tried.len()),
        );
        self.set_max("lowering maxReplicaCount", 5, None)?;
        self.scale("lowering the Deployment by `scale`", 2, None)?;
        self.scale("raising it by `scale`", 4, Some("cap-frozen"))?;

        self.until(120, "a thaw", false, |d| d["scaling"]["frozen"] == 0)?;
        self.saw("the canary heals", "frozen 0");
        let unpause = json!({ "metadata": { "annotations": { "autoscaling.keda.sh/paused-scale-out": null } } });
        let answer = self.api().patch(SCALED_OBJECT, &unpause)?;
        self.judged("the pause that was tried is lifted", answer, None)?;
        self.wait_for_replicas("the HPA rises again, up to its maximum", 5)?;
        self.set_max("above the canary's cap", 8, Some("canary-cap"))?;
        self.set_max("up to the canary's cap", 7, None)?;
        self.wait_for_replicas("the HPA follows", 7)?;
        self.scale("above the canary's cap by `scale`", 8, Some("canary-cap"))?;
        self.stays_at("the HPA, with 80 jobs and its maximum at the cap", 7)?;
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
        self.scale("the webhook is dead: lowering by `scale`", 3, None)?;
        let others = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "others", "namespace": "default" } });
        self.api().apply(&others)?;
        let mine = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "app", "namespace": "builds" } });
        self.api().apply(&mine)?;
        self.saw("the webhook is dead: ConfigMaps of others, also in the lane's namespace", "200");
        Ok(())
    }
}
