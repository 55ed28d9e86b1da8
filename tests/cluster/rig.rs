//! The lane in that cluster: its worker, its queue, the policy as its webhook,
//! and a gateway with the filter that publishes under its own account.

use crate::control_plane::{Access, ControlPlane};
use crate::kubewarden::{Kubewarden, NAMESPACE};
use crate::paths;
use crate::processes::Program;
use anyhow::{ensure, Context, Result};
use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use serde_json::{json, Value};
use std::cell::{Cell, RefCell};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use tests::envoy::{token, Envoy, Setup};
use tests::root;
use tests::servers::{free_port, Notifier, Upstream};

pub struct Rig {
    /// The gateway of the story, gw-a1.
    pub envoy: Envoy,
    /// The lane's other gateway, gw-b1, which keeps KEDA's pause while frozen.
    pub second: RefCell<Envoy>,
    /// Whether its doctor fails.
    pub second_is_sick: Cell<bool>,
    pub kubewarden: Kubewarden,
    _clamp: Program,
    /// The webhook that clamps.
    pub clamp: Value,
    _redis: Program,
    pub redis_port: u16,
    of_second: RefCell<Setup>,
    _notifier: Notifier,
    _upstreams: [Upstream; 2],
}

const GUARD: &str = "deploy/kubewarden/guard.yaml";
const CLAMP: &str = "canary-gate-clamp";

/// Where Envoy finds a gateway's token; it adds it, and no VM sees it.
pub fn token_file(gateway: &str) -> PathBuf {
    root("target/cluster/tokens").join(format!("{gateway}.json"))
}

/// Where the gateways' accounts are, each called as its gateway.
pub const ACCOUNTS: &str = "canary-gate";

pub fn read(path: &str) -> Result<String> {
    fs::read_to_string(root(path)).with_context(|| path.to_owned())
}

/// A YAML file that came with the programs.
///
/// # Errors
/// There is none.
pub fn read_program(path: &str) -> Result<Value> {
    Ok(serde_yaml_ng::from_str(&read(&format!(".tools/programs/{path}"))?)?)
}

/// The shipped settings for this rig: a second gateway, a target for each way
/// up, and a minimum of 0 since some of them begin there.
fn settings() -> Result<Value> {
    let policy: Value = serde_yaml_ng::from_str(&read(GUARD)?)?;
    let mut settings = policy["spec"]["settings"].clone();
    let lane = &mut settings["lanes"][0];
    let targets = lane["targets"].as_array_mut().context("targets")?;
    targets[0]["replicas"] = 6.into();
    targets[0]["headroom"] = 1.into();
    // What the gateways say of the lane is lower than their parts, so it holds for each.
    let others = paths::targets();
    let part = |mut target: Value| {
        target["replicas"] = 100.into();
        target
    };
    let all = 6 + 100 * others.len();
    targets.extend(others.into_iter().map(part));
    lane["stableReplicas"] = all.into();
    lane["minReplicas"]["stable"] = 0.into();
    let gateways = lane["gateways"].as_array_mut().context("gateways")?;
    let writer = format!("system:serviceaccount:{ACCOUNTS}:gw-b1");
    gateways.push(json!({ "id": "gw-b1", "az": "b", "writer": writer }));
    Ok(settings)
}

/// The guard with `mode: clamp`, which lowers instead of refusing, as a mutating
/// webhook of `harness serve`; in force only while the story asks for it.
fn start_clamp(access: &Access, settings: &Value) -> Result<(Program, Value)> {
    let mut policy: Value = serde_yaml_ng::from_str(&read(GUARD)?)?;
    policy["metadata"]["name"] = CLAMP.into();
    policy["spec"]["mutating"] = true.into();
    policy["spec"]["settings"] = settings.clone();
    policy["spec"]["settings"]["mode"] = "clamp".into();
    let file = access.folder.join("clamp.yaml");
    fs::write(&file, serde_yaml_ng::to_string(&policy)?)?;
    let (port, certificates) = (free_port(), access.folder.join("clamp"));
    let mut serve = Command::new(std::env::current_exe()?.with_file_name("harness"));
    serve
        .args(["serve", "--policy"])
        .arg(root("dist/policy.wasm"))
        .args(["--listen", &format!("127.0.0.1:{port}"), "--certificates"])
        .arg(&certificates)
        .arg("--kubeconfig")
        .arg(access.kubeconfig_of(NAMESPACE, "policy-server")?)
        .arg(&file);
    let webhook = Program::start(&access.folder, "clamp", serve)?;
    webhook.wait_until(60, || webhook.log().contains("serving https://"))?;
    let spec = &policy["spec"];
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": { "name": CLAMP },
        "webhooks": [{
            "name": format!("{CLAMP}.canary-gate.dev"),
            "clientConfig": {
                "url": format!("https://127.0.0.1:{port}/validate/{CLAMP}"),
                "caBundle": STANDARD.encode(fs::read(certificates.join("ca.pem"))?),
            },
            "rules": spec["rules"], "matchConditions": spec["matchConditions"],
            "failurePolicy": spec["failurePolicy"], "timeoutSeconds": spec["timeoutSeconds"],
            "matchPolicy": "Equivalent", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        }],
    });
    Ok((webhook, configuration))
}

/// A gateway's token where Envoy takes it from, by the shipped script.
fn write_token(gateway: &str, token: &str) -> Result<()> {
    let file = token_file(gateway);
    fs::create_dir_all(file.parent().context("a folder")?)?;
    let mut script = Command::new("sh");
    script.arg(root("deploy/gateway/kube-token.sh")).arg(&file).stdin(Stdio::piped());
    let mut running = script.spawn()?;
    running.stdin.take().context("stdin")?.write_all(token.as_bytes())?;
    ensure!(running.wait()?.success(), "kube-token.sh failed");
    Ok(())
}

fn as_second(config: &mut Value) {
    tests::envoy::plugins(config, &mut |plugin| {
        let text = plugin["configuration"]["value"].as_str().unwrap_or_default();
        let mut inner: Value = serde_json::from_str(text).unwrap_or_default();
        inner["gateway"]["id"] = "gw-b1".into();
        inner["gateway"]["az"] = "b".into();
        if inner["publish"].is_object() {
            inner["publish"]["paused_scale_out"] = true.into();
        }
        plugin["configuration"]["value"] = inner.to_string().into();
    });
}

/// A gateway's account, with the shipped Role of its own, and a token for it.
///
/// # Errors
/// The API server does not take it.
pub fn admit_gateway(plane: &ControlPlane, gateway: &str) -> Result<()> {
    let role = read("deploy/rbac/gateway-gw-a1.yaml")?.replace("gw-a1", gateway);
    plane.api.apply_yaml(&role, |_| {})?;
    write_token(gateway, &plane.api.token_of(ACCOUNTS, gateway)?)
}

impl Rig {
    /// The policy server that answers now.
    ///
    /// # Errors
    /// There is none.
    pub fn webhook(&self) -> Result<Arc<Program>> {
        self.kubewarden.pods.policy_server()
    }

    /// # Errors
    /// A part does not come up.
    pub fn start(plane: &ControlPlane, api_port: u16) -> Result<Self> {
        let api = &plane.api;
        for gateway in ["gw-a1", "gw-b1"] {
            admit_gateway(plane, gateway)?;
        }
        let settings = settings()?;
        let kubewarden = Kubewarden::start(plane, &settings)?;
        let (webhook, clamp) = start_clamp(plane, &settings)?;
        let redis_port = free_port();
        let mut redis = Command::new("redis-server");
        redis.args(["--bind", "127.0.0.1", "--port", &redis_port.to_string(), "--save", ""]);
        let redis = Program::start(&plane.folder, "redis", redis)?;
        api.apply(&worker("builds", "openclaw-worker"))?;
        let upstreams = [Upstream::start(), Upstream::start()];
        let notifier = Notifier::start();
        let certificate = plane.folder.join("certs/apiserver.crt");
        let setup = |gateway| Setup {
            canary_port: upstreams[0].port,
            stable_port: upstreams[1].port,
            api_port,
            notifier_port: notifier.port,
            api_tls: Some([certificate.clone(), token_file(gateway)]),
            ..Setup::default()
        };
        let envoy = Envoy::start(&setup("gw-a1"));
        let of_second = Setup { change: as_second, ..setup("gw-b1") };
        let second = RefCell::new(Envoy::start(&of_second));
        let second_is_sick = Cell::new(false);
        Ok(Self {
            envoy,
            second,
            second_is_sick,
            kubewarden,
            _clamp: webhook,
            clamp,
            _redis: redis,
            redis_port,
            of_second: RefCell::new(of_second),
            _notifier: notifier,
            _upstreams: upstreams,
        })
    }

    /// The second gateway ends, and starts with its clock off by so much.
    pub fn restart_second(&self, clock_off_s: i64) {
        self.of_second.borrow_mut().clock_off_s = clock_off_s;
        // The old one must not speak any more.
        self.second.borrow_mut().kill();
        self.second.replace(Envoy::start(&self.of_second.borrow()));
    }

    /// Both nodes say how they are; one whose clock is off may not be heard.
    pub fn put_facts(&self) {
        self.envoy.put_facts();
        let mut facts = tests::well();
        facts["doctor_ok"] = (!self.second_is_sick.get()).into();
        self.second.borrow().put("/keda/facts", "facts", &facts);
    }

    /// Jobs that wait in the lane's queue.
    ///
    /// # Errors
    /// Redis does not answer.
    pub fn set_jobs(&self, jobs: usize) -> Result<()> {
        self.set_list("build-jobs", jobs)
    }

    /// Jobs that wait in a list.
    ///
    /// # Errors
    /// Redis does not answer.
    pub fn set_list(&self, list: &str, jobs: usize) -> Result<()> {
        redis(self.redis_port, &["DEL", list])?;
        let jobs: Vec<String> = (0..jobs).map(|n| format!("job-{n}")).collect();
        let mut push = vec!["RPUSH", list];
        push.extend(jobs.iter().map(String::as_str));
        redis(self.redis_port, &push)
    }

    /// The ScaledObject of `deploy/keda`, polled fast, with the queue and the gateway of this rig.
    ///
    /// # Errors
    /// It was refused.
    pub fn apply_scaled_object(&self, plane: &ControlPlane) -> Result<()> {
        let (redis, management) = (self.redis_port, self.envoy.management);
        plane.api.apply(&json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": "canary-gate-measure", "namespace": "builds" },
            "stringData": { "token": token("keda") },
        }))?;
        plane.api.apply_yaml(&read("deploy/keda/trigger-authentication.yaml")?, |_| {})?;
        plane.api.apply_yaml(&read("deploy/keda/scaledobject.yaml")?, |object| {
            if object["kind"] == "ScaledObject" {
                object["spec"]["pollingInterval"] = json!(1);
                object["spec"]["triggers"][0]["metadata"]["address"] =
                    format!("127.0.0.1:{redis}").into();
                object["spec"]["triggers"][1]["metadata"]["url"] =
                    format!("http://127.0.0.1:{management}/keda/metrics").into();
            }
        })
    }
}

/// A Deployment of one replica.
pub fn worker(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": name, "namespace": namespace },
        "spec": {
            "replicas": 1, "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [{ "name": "worker", "image": "openclaw/worker" }] },
            },
        },
    })
}

/// A command of Redis.
///
/// # Errors
/// Redis does not answer.
pub fn redis(port: u16, arguments: &[&str]) -> Result<()> {
    let output =
        Command::new("redis-cli").args(["-p", &port.to_string()]).args(arguments).output()?;
    ensure!(output.status.success(), "redis-cli {arguments:?}: {output:?}");
    Ok(())
}

/// Says in which folder the logs are.
pub fn logs(folder: &Path) -> String {
    format!("logs of every program: {}", folder.display())
}
