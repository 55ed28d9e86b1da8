//! The story: a queue grows, a canary fails, and nothing that is real raises
//! the replicas; it heals, and they rise again as far as the canary's cap.

use crate::api::Api;
use crate::control_plane::ControlPlane;
use crate::latency::Latency;
use crate::paths::{Field, Tried};
use crate::rig::Rig;
use anyhow::{bail, ensure, Result};
use serde_json::{json, Value};
use std::thread;
use std::time::{Duration, Instant};

pub const SCALED_OBJECT: &str =
    "/apis/keda.sh/v1alpha1/namespaces/builds/scaledobjects/openclaw-worker";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/builds/deployments/openclaw-worker";
pub const HPA: &str =
    "/apis/autoscaling/v2/namespaces/builds/horizontalpodautoscalers/keda-hpa-openclaw-worker";
pub const STATE: &str = "/api/v1/namespaces/builds/configmaps/canary-gate.gw-a1";
pub const STATE_B: &str = "/api/v1/namespaces/builds/configmaps/canary-gate.gw-b1";
const EVENTS: &str = "/api/v1/namespaces/builds/events";

/// One line of what was seen.
pub struct Line {
    pub step: String,
    pub seen: String,
}

pub struct Story<'a> {
    pub plane: &'a ControlPlane,
    pub rig: &'a Rig,
    pub lines: Vec<Line>,
    pub tried: Vec<Tried>,
    pub latencies: Vec<Latency>,
    /// All that `harness doctor` printed.
    pub doctor_said: String,
    begun: Instant,
}

/// What stays the same in every run of an answer: who refused, by which rule, what.
pub fn message(answer: &Value) -> String {
    gist(answer["message"].as_str().unwrap_or_default())
}

pub fn gist(message: &str) -> String {
    let ends = [". Gateway ", ": failed to call webhook"].map(|end| message.find(end));
    let end = ends.into_iter().flatten().min().unwrap_or(message.len());
    message.get(..end).unwrap_or(message).to_owned()
}

impl<'a> Story<'a> {
    pub fn new(plane: &'a ControlPlane, rig: &'a Rig) -> Self {
        Self {
            plane,
            rig,
            lines: vec![],
            tried: vec![],
            latencies: vec![],
            doctor_said: String::new(),
            begun: Instant::now(),
        }
    }

    pub fn api(&self) -> &'a Api {
        &self.plane.api
    }

    pub fn saw(&mut self, step: &str, seen: impl Into<String>) {
        let seen = seen.into();
        println!("ok {:>4} s  {step}: {seen}", self.begun.elapsed().as_secs());
        self.lines.push(Line { step: step.to_owned(), seen });
    }

    fn replicas(&self) -> Result<i64> {
        Ok(self.api().get(DEPLOYMENT)?["spec"]["replicas"].as_i64().unwrap_or(-1))
    }

    pub fn wait_for_replicas(&mut self, step: &str, wanted: i64) -> Result<()> {
        self.put_facts();
        self.api().wait_for(90, &format!("{step}: {wanted} replicas"), DEPLOYMENT, |d| {
            self.put_facts();
            d["spec"]["replicas"] == wanted
        })?;
        self.saw(step, format!("the Deployment has {wanted} replicas"));
        Ok(())
    }

    pub fn put_facts(&self) {
        self.rig.put_facts();
    }

    /// A write of the Deployment's `scale`, as an administrator.
    pub fn scale(&mut self, step: &str, replicas: u32, refused_by: Option<&str>) -> Result<()> {
        let patch = json!({ "spec": { "replicas": replicas } });
        let answer = self.api().patch(&format!("{DEPLOYMENT}/scale"), &patch)?;
        self.judged(step, answer, refused_by)
    }

    /// An answer that is as it must be.
    pub fn judged(
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
    pub fn stays_at(&mut self, step: &str, replicas: i64) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) {
            self.put_facts();
            ensure!(self.replicas()? == replicas, "{step}: {} replicas", self.replicas()?);
            thread::sleep(Duration::from_millis(200));
        }
        self.saw(step, format!("the Deployment stays at {replicas} replicas"));
        Ok(())
    }

    /// The same while frozen, and that the HPA did ask, and was refused.
    pub fn held_at(&mut self, step: &str, replicas: i64) -> Result<()> {
        self.stays_at(step, replicas)?;
        self.api().wait_for(30, &format!("{step}: an HPA that is refused"), HPA, |hpa| {
            self.put_facts();
            let conditions = hpa["status"]["conditions"].as_array();
            conditions.into_iter().flatten().any(|c| {
                c["type"] == "AbleToScale"
                    && c["status"] == "False"
                    && c["reason"] == "FailedUpdateScale"
            })
        })?;
        Ok(())
    }

    pub fn command(&mut self, step: &str, body: &Value) -> Result<()> {
        let answer = self.rig.envoy.put("/keda/canary", "ops", body);
        ensure!(answer.status == 204, "{step}: {answer:?}\n{}", self.rig.envoy.log());
        let verdict = self.api().get(STATE)?["data"]["verdict"].to_string();
        let active = body["action"] == "begin";
        ensure!(verdict.contains(&format!("canary_active\\\":{active}")), "{step}: {verdict}");
        self.saw(step, format!("204, and the verdict in this API server: canary_active {active}"));
        Ok(())
    }

    /// An edit of the ScaledObject's maximum, as an administrator.
    pub fn set_max(&mut self, step: &str, max: u32, refused_by: Option<&str>) -> Result<()> {
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

    pub fn until(
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

    /// # Errors
    /// The step that was not seen, and what was seen instead.
    pub fn tell(&mut self) -> Result<()> {
        self.rig.set_list("busy", 48)?;
        self.rig.set_list("empty", 0)?;
        let api = self.plane.api.clone();
        let mut field = Field::prepare(&api, "controls", self.rig.redis_port, || ())?;
        let unguarded = field.unguarded()?;
        field.clear()?;
        self.saw("every way up, where nobody guards", "each does what is said of it");
        self.kedas_own_webhook()?;

        self.rig.envoy.wait_for(20, "a document", |_| true);
        self.put_facts();
        self.manifests()?;
        self.by_kwctl()?;
        self.by_the_documents()?;
        self.command("a new gateway begins with `end`", &json!({ "action": "end" }))?;
        let answer =
            self.rig.second.borrow().put("/keda/canary", "ops", &json!({ "action": "end" }));
        ensure!(answer.status == 204, "gw-b1: {answer:?}");
        for envoy in [&self.rig.envoy, &*self.rig.second.borrow()] {
            envoy.wait_for(30, "an idle lane", |d| {
                self.put_facts();
                d["status"] == "healthy" && d["scaling"]["frozen"] == 0
            });
        }
        self.rig.apply_scaled_object(self.plane)?;
        self.saw(
            "the shipped ScaledObject is admitted",
            "200, with the queue and the gateway's own document",
        );
        self.rig.set_jobs(24)?;
        self.wait_for_replicas("a Redis list of 24 jobs: KEDA feeds the HPA, the HPA scales", 3)?;
        let max = self.api().get(HPA)?["spec"]["maxReplicas"].clone();
        ensure!(max == 6, "KEDA's HPA has maxReplicas {max}");
        let mut field = Field::prepare(&api, "builds", self.rig.redis_port, || self.put_facts())?;
        self.saw(
            "the lane's other targets, one for each way up",
            "admitted while the lane is idle",
        );
        self.until(20, "a worker that measures", false, |d| d["observer"]["workers"] == 1)?;
        self.doctor("harness doctor, all as it should be", None)?;
        self.without_rights()?;
        self.native_hold_begins()?;

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
        self.held_at("the HPA, with 80 jobs", 3)?;
        self.native_hold_holds()?;
        self.by_kubectl()?;
        self.clamped()?;
        self.other_rules()?;
        self.emergency()?;
        self.tried = field.frozen(&unguarded, || self.put_facts())?;
        self.event(
            "jobs come to a target at 0: KEDA's operator writes `scale`",
            "keda-operator",
            "cap-frozen",
        )?;
        field.clear()?;
        self.saw(
            "every way up, while frozen",
            format!("{} ways tried, and no replicas rose", self.tried.len()),
        );
        self.latency("raises, refused while frozen", 403)?;
        self.set_max("lowering maxReplicaCount", 5, None)?;
        self.scale("lowering the Deployment by `scale`", 2, None)?;
        self.scale("raising it by `scale`", 4, Some("cap-frozen"))?;

        self.until(120, "a thaw", false, |d| d["scaling"]["frozen"] == 0)?;
        self.saw("the canary heals", "frozen 0");
        self.native_hold_ends()?;
        self.wait_for_replicas("the HPA rises again, up to its maximum", 5)?;
        self.set_max("above the canary's cap", 8, Some("canary-cap"))?;
        self.set_max("up to the canary's cap", 7, None)?;
        self.wait_for_replicas("the HPA follows", 7)?;
        self.scale("above the canary's cap by `scale`", 8, Some("canary-cap"))?;
        self.stays_at("the HPA, with 80 jobs and its maximum at the cap", 7)?;
        self.command("the canary is aborted", &json!({ "action": "abort" }))?;
        self.api().wait_for(30, "the stable maximum", SCALED_OBJECT, |o| {
            self.put_facts();
            o["spec"]["maxReplicaCount"] == 6
        })?;
        self.saw("the filter lowers maxReplicaCount to the stable value", "7 -> 6");
        self.wait_for_replicas("and KEDA and the HPA follow", 6)?;
        self.set_max("after the abort: a raise", 7, Some("cap-frozen"))?;
        self.command("the rollout ends", &json!({ "action": "end" }))?;
        self.latency("raises that pass, while idle", 200)?;
        self.set_max("the raise passes", 9, None)?;
        self.wait_for_replicas("and the HPA follows", 9)?;
        self.disagreement()?;
        self.clocks()?;
        self.doctor_as_documented()?;
        self.faults()?;
        self.outage()
    }

    /// The webhook dies: what `Fail` with `matchConditions` lets through.
    fn outage(&mut self) -> Result<()> {
        self.prepare_unasked()?;
        self.rig.webhook()?.kill();
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
        let fewer = json!({ "spec": { "replicas": 2 } });
        let answer = self.api().patch(DEPLOYMENT, &fewer)?;
        self.judged("the webhook is dead: lowering spec.replicas", answer, None)?;
        let others = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "others", "namespace": "default" } });
        self.api().apply(&others)?;
        let mine = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "app", "namespace": "builds" } });
        self.api().apply(&mine)?;
        self.saw("the webhook is dead: ConfigMaps of others, also in the lane's namespace", "200");
        self.unasked()
    }
}
