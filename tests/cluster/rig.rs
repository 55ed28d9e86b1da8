//! The lane in that cluster: its worker, its queue, the policy as its webhook,
//! and a gateway with the filter that publishes under its own account.

use crate::control_plane::ControlPlane;
use crate::processes::Program;
use anyhow::{ensure, Context, Result};
use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use serde_json::{json, Value};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use tests::envoy::{token, Envoy, Setup};
use tests::root;
use tests::servers::{free_port, Notifier, Upstream};

pub struct Rig {
    pub envoy: Envoy,
    pub webhook: Mutex<Program>,
    _redis: Program,
    pub redis_port: u16,
    _notifier: Notifier,
    _upstreams: [Upstream; 2],
}

/// The two deployments of the policy.
const POLICIES: [&str; 2] = ["deploy/kubewarden/guard.yaml", "deploy/kubewarden/scale-freeze.yaml"];

/// Where Envoy finds the gateway's token; it adds it, and no VM sees it.
const TOKEN_FILE: &str = "target/cluster/gateway-token.json";

pub fn read(path: &str) -> Result<String> {
    fs::read_to_string(root(path)).with_context(|| path.to_owned())
}

/// The webhook configurations that Kubewarden makes of our ClusterAdmissionPolicies.
fn webhooks(url: &str, ca: &str) -> Result<Vec<Value>> {
    let of = |file: &str| -> Result<Value> {
        let policy: Value = serde_yaml_ng::from_str(&read(file)?)?;
        let (spec, name) = (&policy["spec"], &policy["metadata"]["name"]);
        Ok(json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": { "name": name },
            "webhooks": [{
                "name": format!("{}.canary-gate.dev", name.as_str().unwrap_or_default()),
                "clientConfig": { "url": format!("{url}/{}", name.as_str().unwrap_or_default()), "caBundle": ca },
                "rules": spec["rules"], "matchConditions": spec["matchConditions"],
                "failurePolicy": spec["failurePolicy"], "timeoutSeconds": spec["timeoutSeconds"],
                "matchPolicy": "Equivalent", "sideEffects": "None", "admissionReviewVersions": ["v1"],
            }],
        }))
    };
    POLICIES.into_iter().map(of).collect()
}

/// Starts the policy as a webhook, and tells the API server of it.
///
/// # Errors
/// It does not come up.
pub fn start_webhook(plane: &ControlPlane) -> Result<Program> {
    let api = &plane.api;
    for (kind, name, namespace) in
        [("Namespace", "kubewarden", None), ("ServiceAccount", "policy-server", Some("kubewarden"))]
    {
        let mut object = json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name } });
        if let Some(namespace) = namespace {
            object["metadata"]["namespace"] = namespace.into();
        }
        api.apply(&object)?;
    }
    api.apply_yaml(&read("deploy/rbac/policy-server.yaml")?, |_| {})?;
    let port = free_port();
    let certificates = plane.folder.join("webhook");
    let harness = std::env::current_exe()?.with_file_name("harness");
    let mut webhook = Program::start(
        &plane.folder,
        "webhook",
        Command::new(harness)
            .args(["serve", "--policy"])
            .arg(root("dist/policy.wasm"))
            .args(["--listen", &format!("127.0.0.1:{port}"), "--certificates"])
            .arg(&certificates)
            .arg("--kubeconfig")
            .arg(plane.kubeconfig_of("kubewarden", "policy-server")?)
            .args(POLICIES.map(root)),
    )?;
    let log = plane.folder.join("webhook.log");
    let serves = || fs::read_to_string(&log).is_ok_and(|t| t.contains("serving https://"));
    webhook.wait_until(60, serves)?;
    let ca = STANDARD.encode(fs::read(certificates.join("ca.pem"))?);
    for configuration in webhooks(&format!("https://127.0.0.1:{port}/validate"), &ca)? {
        api.apply(&configuration)?;
    }
    Ok(webhook)
}

/// The gateway's token as a secret of Envoy.
fn write_token(token: &str) -> Result<()> {
    let secret = json!({ "resources": [{
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        "name": "kube-apiserver", "generic_secret": { "secret": { "inline_string": format!("Bearer {token}") } },
    }] });
    fs::write(root(TOKEN_FILE), secret.to_string())?;
    Ok(())
}

/// TLS to the API server, and the gateway's token on each call.
fn as_gateway(config: &mut Value) {
    let clusters = config["static_resources"]["clusters"].as_array_mut().into_iter().flatten();
    for cluster in clusters.filter(|c| c["name"] == "kube-apiserver") {
        cluster["transport_socket"] = json!({ "name": "tls", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        } });
        cluster["typed_extension_protocol_options"] = json!({ "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": { "http_protocol_options": {} },
            "http_filters": [
                { "name": "credential", "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector",
                    "overwrite": true,
                    "credential": { "name": "generic", "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic",
                        "credential": { "name": "kube-apiserver", "sds_config": { "path_config_source": { "path": root(TOKEN_FILE).display().to_string() } } },
                    } },
                } },
                { "name": "codec", "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec" } },
            ],
        } });
    }
}

impl Rig {
    /// # Errors
    /// A part does not come up.
    pub fn start(plane: &ControlPlane, api_port: u16) -> Result<Self> {
        let api = &plane.api;
        api.apply_yaml(&read("deploy/rbac/gateway-gw-a1.yaml")?, |_| {})?;
        write_token(&api.token_of("builds", "canary-gate-gw-a1")?)?;
        let webhook = start_webhook(plane)?;
        let redis_port = free_port();
        let redis = Program::start(
            &plane.folder,
            "redis",
            Command::new("redis-server").args([
                "--bind",
                "127.0.0.1",
                "--port",
                &redis_port.to_string(),
                "--save",
                "",
            ]),
        )?;
        api.apply(&json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "openclaw-worker", "namespace": "builds" },
            "spec": {
                "replicas": 1, "selector": { "matchLabels": { "app": "openclaw-worker" } },
                "template": {
                    "metadata": { "labels": { "app": "openclaw-worker" } },
                    "spec": { "containers": [{ "name": "worker", "image": "openclaw/worker" }] },
                },
            },
        }))?;
        let upstreams = [Upstream::start(), Upstream::start()];
        let notifier = Notifier::start();
        let envoy = Envoy::start(&Setup {
            canary_port: upstreams[0].port,
            stable_port: upstreams[1].port,
            api_port,
            notifier_port: notifier.port,
            change: as_gateway,
            ..Setup::default()
        });
        Ok(Self {
            envoy,
            webhook: Mutex::new(webhook),
            _redis: redis,
            redis_port,
            _notifier: notifier,
            _upstreams: upstreams,
        })
    }

    /// Jobs that wait in the queue.
    ///
    /// # Errors
    /// Redis does not answer.
    pub fn set_jobs(&self, jobs: usize) -> Result<()> {
        let redis = |arguments: &[&str]| -> Result<()> {
            let port = self.redis_port.to_string();
            let output = Command::new("redis-cli").args(["-p", &port]).args(arguments).output()?;
            ensure!(output.status.success(), "redis-cli {arguments:?}: {output:?}");
            Ok(())
        };
        redis(&["DEL", "build-jobs"])?;
        let jobs: Vec<String> = (0..jobs).map(|n| format!("job-{n}")).collect();
        let mut push = vec!["RPUSH", "build-jobs"];
        push.extend(jobs.iter().map(String::as_str));
        redis(&push)
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

/// Says in which folder the logs are.
pub fn logs(folder: &Path) -> String {
    format!("logs of every program: {}", folder.display())
}
