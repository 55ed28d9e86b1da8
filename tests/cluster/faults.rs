//! What breaks, and what it must not do: no raise gets through, no lowering
//! waits longer than the outage, and what was lost is counted.

use crate::api::Api;
use crate::rig;
use crate::story::{Story, HPA, SCALED_OBJECT, STATE, STATE_B};
use anyhow::{ensure, Result};
use gate::time::Timestamp;
use serde_json::{json, Value};
use std::thread;
use std::time::{Duration, Instant};
use tests::now;

const MARK: &str = "gw-b1.canary-gate.dev/paused-scale-out";
const PAUSE: &str = "autoscaling.keda.sh/paused-scale-out";

fn is_frozen(state: &Value) -> bool {
    state["data"]["verdict"].as_str().is_some_and(|v| v.contains("\"frozen\":true"))
}

/// When the gateway says that it looked.
fn observed_at(state: &Value) -> Option<Timestamp> {
    let verdict: Value = serde_json::from_str(state["data"]["verdict"].as_str()?).ok()?;
    Timestamp::parse(verdict["observed_at"].as_str()?).ok()
}

fn has(object: &Value, annotation: &str) -> bool {
    object["metadata"]["annotations"][annotation] == "true"
}

impl Story<'_> {
    /// Waits for a verdict in the API server.
    fn verdict(&mut self, step: &str, path: &str, frozen: bool) -> Result<()> {
        self.api().wait_for(90, step, path, |state| {
            self.put_facts();
            is_frozen(state) == frozen && state["data"]["verdict"].is_string()
        })?;
        self.saw(step, format!("frozen {frozen}"));
        Ok(())
    }

    /// A raise is not answered as it must be, whatever the reason is.
    fn no_raise(&mut self, step: &str, says: &str) -> Result<()> {
        let patch = json!({ "spec": { "maxReplicaCount": 20 } });
        let (status, answer) = self.api().patch(SCALED_OBJECT, &patch)?;
        let text = answer["message"].as_str().unwrap_or_default();
        ensure!(status >= 400 && text.contains(says), "{step}: {status} {answer}");
        self.saw(step, format!("{status}, {says}"));
        Ok(())
    }

    /// A lowering, and how long it took, seconds at most.
    fn lowers(&mut self, step: &str, max: u32, within_s: u64) -> Result<()> {
        let before = self.api().get(SCALED_OBJECT)?["spec"]["maxReplicaCount"].as_u64();
        ensure!(before > Some(u64::from(max)), "{step}: {before:?} -> {max} lowers nothing");
        let begun = Instant::now();
        self.set_max(step, max, None)?;
        ensure!(begun.elapsed() < Duration::from_secs(within_s), "{step}: {:?}", begun.elapsed());
        Ok(())
    }

    /// Two gateways of one lane: the sick one holds it, and KEDA with it.
    pub fn disagreement(&mut self) -> Result<()> {
        self.rig.second_is_sick.set(true);
        self.verdict("gw-b1's doctor fails, gw-a1 is well", STATE_B, true)?;
        self.no_raise("two gateways disagree: a raise", "gateway gw-b1 holds scale-up")?;
        self.api().wait_for(30, "the pause", SCALED_OBJECT, |o| {
            self.put_facts();
            has(o, PAUSE) && has(o, MARK)
        })?;
        self.api().wait_for(30, "the HPA's hold", HPA, |o| {
            o["spec"]["behavior"]["scaleUp"]["selectPolicy"] == "Disabled"
        })?;
        self.saw(
            "gw-b1 has `publish.paused_scale_out`",
            "KEDA's pause and gw-b1's mark on the ScaledObject, scaleUp Disabled in KEDA's HPA",
        );
        self.lowers("two gateways disagree: a lowering", 8, 5)?;
        self.rig.second_is_sick.set(false);
        self.verdict("gw-b1 is well again", STATE_B, false)?;
        self.api().wait_for(30, "no pause", SCALED_OBJECT, |o| {
            self.put_facts();
            !has(o, PAUSE) && !has(o, MARK)
        })?;
        self.api().wait_for(30, "the HPA's release", HPA, |o| {
            o["spec"]["behavior"]["scaleUp"]["selectPolicy"] != "Disabled"
        })?;
        self.saw("gw-b1's pause", "taken away by gw-b1, and KEDA's HPA is free");
        self.set_max("both are well: the raise passes", 9, None)
    }

    /// A clock of five minutes off, either way.
    pub fn clocks(&mut self) -> Result<()> {
        for (off_s, which, max) in [(-300, "behind", 8), (300, "ahead", 7)] {
            self.rig.restart_second(off_s);
            self.api().wait_for(60, "its verdict", STATE_B, |o| {
                self.put_facts();
                observed_at(o).is_some_and(|at| now().since(at).abs() > 200)
            })?;
            let step = format!("gw-b1's clock is five minutes {which}");
            self.no_raise(&format!("{step}: a raise"), "gateway gw-b1 is not known")?;
            self.doctor(&format!("{step}: harness doctor"), Some("gateway gw-b1's clock is"))?;
            self.lowers(&format!("{step}: a lowering"), max, 5)?;
        }
        self.rig.restart_second(0);
        self.verdict("gw-b1's clock is right again", STATE_B, false)?;
        self.set_max("its clock is right: the raise passes", 10, None)
    }

    /// A canary that fails, and a HPA that wants more than there is.
    fn freeze(&mut self, step: &str) -> Result<()> {
        self.until(90, step, true, |d| d["scaling"]["frozen"] == 1)?;
        self.verdict(step, STATE, true)
    }

    pub fn faults(&mut self) -> Result<()> {
        self.command("a canary begins", &json!({ "action": "begin", "weight": 0.3 }))?;
        self.freeze("it fails")?;
        self.scale("lowered by hand, while the queue wants more", 1, None)?;
        self.keda_restarts()?;
        self.webhook_hangs()?;
        self.api_server_restarts()?;
        self.token_is_revoked()?;
        self.state_is_deleted()
    }

    fn keda_restarts(&mut self) -> Result<()> {
        self.plane.keda_operator.start_again()?;
        self.held_at("KEDA's operator restarts in mid-freeze", 1)?;
        self.no_raise("after its restart: a raise", "cap-frozen: ")?;
        self.lowers("after its restart: a lowering", 6, 5)?;
        self.api().wait_for(60, "KEDA's HPA", HPA, |o| {
            self.put_facts();
            o["spec"]["maxReplicas"] == 6
        })?;
        self.saw("after its restart: KEDA reconciles", "its HPA has maxReplicas 6");
        Ok(())
    }

    fn webhook_hangs(&mut self) -> Result<()> {
        self.rig.webhook()?.pause()?;
        let done = self.webhook_hung();
        self.rig.webhook()?.resume()?;
        done?;
        self.no_raise("the webhook answers again: a raise", "cap-frozen: ")?;
        self.rig.webhook()?.kill();
        self.no_raise("the webhook is killed: a raise", "failed calling webhook")?;
        self.lowers("the webhook is killed: a lowering", 4, 5)?;
        self.rig.webhook()?.start_again()?;
        let begun = Instant::now();
        while self.no_raise("the webhook is started again: a raise", "cap-frozen: ").is_err() {
            ensure!(begun.elapsed() < Duration::from_secs(60), "{}", self.rig.webhook()?.tail());
            thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    fn webhook_hung(&mut self) -> Result<()> {
        self.no_raise("the webhook hangs: a raise", "failed calling webhook")?;
        self.lowers("the webhook hangs: a lowering", 5, 5)?;
        self.held_at("the webhook hangs: the HPA", 1)
    }

    fn api_server_restarts(&mut self) -> Result<()> {
        let plane = self.plane;
        for (what, program) in [("etcd", &plane.etcd), ("the API server", &plane.api_server)] {
            program.start_again()?;
            plane.api_server.wait_until(90, || self.api().is_ready())?;
            self.retried(&format!("{what} was killed and is back: a raise"), "cap-frozen: ")?;
            self.held_at(&format!("{what} is back: the HPA"), 1)?;
        }
        self.lowers("both are back: a lowering", 3, 5)
    }

    /// A raise, asked again while the API server still finds its feet.
    fn retried(&mut self, step: &str, says: &str) -> Result<()> {
        let begun = Instant::now();
        loop {
            self.put_facts();
            match self.no_raise(step, says) {
                Err(e) if begun.elapsed() > Duration::from_secs(30) => return Err(e),
                Err(_) => thread::sleep(Duration::from_millis(300)),
                Ok(()) => return Ok(()),
            }
        }
    }

    fn failures(&self) -> u64 {
        let answer = self.rig.envoy.get("/keda/metrics", "bastion");
        answer.json()["observer"]["publish_failures"].as_u64().unwrap_or(0)
    }

    fn token_is_revoked(&mut self) -> Result<()> {
        let account = format!("/api/v1/namespaces/{}/serviceaccounts/gw-a1", rig::ACCOUNTS);
        let before = self.failures();
        let answer = self.api().call("DELETE", &account, "application/json", None)?;
        self.judged("gw-a1's account is deleted, and its token with it", answer, None)?;
        // The API server remembers a token that was good for ten seconds.
        thread::sleep(Duration::from_secs(11));
        self.until(120, "a thaw", false, |d| d["scaling"]["frozen"] == 0)?;
        self.until(60, "failures that are counted", false, |_| self.failures() > before)?;
        self.saw(
            "the canary heals meanwhile",
            "frozen 0 in its document; observer.publish_failures counts what is not published",
        );
        self.no_raise("what is not published thaws nothing: a raise", "cap-frozen: ")?;
        self.lowers("its token is revoked: a lowering", 2, 5)?;
        rig::admit_gateway(self.plane, "gw-a1")?;
        self.verdict("a new account and token, which Envoy takes from its file", STATE, false)?;
        self.set_max("and the raise passes, up to the canary's cap", 7, None)
    }

    fn state_is_deleted(&mut self) -> Result<()> {
        self.freeze("the canary fails again")?;
        let api: &Api = self.api();
        let before = self.failures();
        let answer = api.call("DELETE", STATE, "application/json", None)?;
        self.judged("gw-a1's ConfigMap is deleted", answer, None)?;
        self.no_raise("without a state: a raise", "gateway gw-a1 is not known")?;
        self.lowers("without a state: a lowering", 6, 5)?;
        self.command("the rollout ends", &json!({ "action": "end" }))?;
        self.verdict("and the gateway makes its ConfigMap anew", STATE, false)?;
        ensure!(self.failures() > before, "the lost PATCH was not counted");
        self.set_max("and the raise passes", 7, None)
    }
}
