//! The story: a queue grows, a canary fails, and nothing that is real raises
//! the replicas; it heals, and they rise again as far as the canary's cap.

use crate::api::Api;
use crate::control_plane::ControlPlane;
use crate::kubectl;
use crate::latency::{self, Latency};
use crate::paths::{Field, Tried};
use crate::rig::Rig;
use anyhow::{bail, ensure, Result};
use serde_json::{json, Value};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use tests::{now, root};

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
    begun: Instant,
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
        Self { plane, rig, lines: vec![], tried: vec![], latencies: vec![], begun: Instant::now() }
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

    fn wait_for_replicas(&mut self, step: &str, wanted: i64) -> Result<()> {
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

    /// A member of the break-glass group lets a raise through, and ends it again.
    fn emergency(&mut self) -> Result<()> {
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
    fn by_kubectl(&mut self) -> Result<()> {
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
    fn clamped(&mut self) -> Result<()> {
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
            .arg("--dist")
            .arg(root("dist"))
            .args(["guard.yaml", "scale-freeze.yaml"].map(|file| folder.join(file)))
            .output()?;
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let line = text.lines().find(|l| l.contains(wrong.unwrap_or("nothing is wrong")));
        let is_right = output.status.code() == Some(i32::from(wrong.is_some()));
        ensure!(is_right && line.is_some(), "{step}: {text}");
        let seen = wrong.map_or("nothing is wrong".to_owned(), |w| format!("a fault: {w}"));
        self.saw(step, seen);
        Ok(())
    }

    /// The policy server loses its right to read, and gets it back.
    fn without_rights(&mut self) -> Result<()> {
        let path = "/apis/rbac.authorization.k8s.io/v1/namespaces/builds/rolebindings/canary-gate-state-reader";
        let answer = self.api().call("DELETE", path, "application/json", None)?;
        self.judged("the policy server's RoleBinding is deleted", answer, None)?;
        self.doctor("harness doctor then", Some("policy-server may not list ConfigMaps"))?;
        self.set_max("a raise on an idle lane then", 7, Some("cap-frozen"))?;
        self.api().apply_yaml(&crate::rig::read("deploy/rbac/policy-server.yaml")?, |_| {})
    }

    /// The lane's other rules, each by an edit that is none of replicas.
    fn other_rules(&mut self) -> Result<()> {
        let patch = json!({ "data": { "verdict": "{}" } });
        let answer = self.api().patch(STATE, &patch)?;
        self.judged("the verdict edited by somebody else", answer, Some("state-owner"))?;
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "promote", "namespace": "builds" },
            "spec": { "template": { "spec": { "restartPolicy": "Never", "containers": [{ "name": "c", "image": "rsync", "command": ["rsync", "-a", "--delete", "a/", "b/"] }] } } },
        });
        let jobs = "/apis/batch/v1/namespaces/builds/jobs";
        let answer = self.api().call("POST", jobs, "application/json", Some(&job))?;
        self.judged("a promotion by rsync --delete", answer, Some("promotion-freeze"))
    }

    /// Admission of raises at a steady rate, by dry run.
    fn latency(&mut self, what: &str, status: u16) -> Result<()> {
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
        self.faults()?;
        self.outage()
    }

    /// The webhook dies: what `Fail` with `matchConditions` lets through.
    fn outage(&mut self) -> Result<()> {
        self.rig.webhook.kill();
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
        Ok(())
    }
}
