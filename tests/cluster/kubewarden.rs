//! The real Kubewarden, installed by its own charts: its controller makes the
//! webhooks, its policy server answers them with the policy that it pulls from a
//! registry, and this project's chart is installed beside it.

use crate::control_plane::{program, Access};
use crate::pods::Pods;
use crate::processes::Program;
use anyhow::{ensure, Context, Result};
use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use package::{write_layouts, About};
use serde_json::{json, Value};
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use tests::root;
use tests::servers::{free_port, registry_config};

pub const NAMESPACE: &str = "kubewarden";

pub struct Kubewarden {
    _controller: Program,
    _registry: Program,
    /// Where its pods run.
    pub pods: Pods,
    /// The registry that has the policy, `host:port`.
    pub registry: String,
    /// Values of this project's chart for the rig's lane.
    pub values: Value,
}

fn done(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.success(), "{command:?}: {text}");
    Ok(text)
}

fn helm(folder: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = program("helm")?;
    command
        .args(arguments)
        .args(["--namespace", NAMESPACE, "--kubeconfig"])
        .arg(folder.join("admin.kubeconfig"));
    helm_environment(&mut command, folder);
    done(&mut command)
}

/// Helm leaves nothing outside this folder.
pub fn helm_environment(command: &mut Command, folder: &Path) {
    for (variable, name) in
        [("HELM_CACHE_HOME", "cache"), ("HELM_CONFIG_HOME", "config"), ("HELM_DATA_HOME", "data")]
    {
        command.env(variable, folder.join("helm").join(name));
    }
}

/// A registry on loopback that has the policy as it is packaged.
fn registry(folder: &Path) -> Result<(Program, u16)> {
    let (port, data) = (free_port(), folder.join("registry"));
    fs::create_dir_all(&data)?;
    let config = registry_config(&data, port);
    let mut command = Command::new("docker-registry");
    command.arg("serve").arg(&config);
    let registry = Program::start(folder, "docker-registry", command)?;
    registry.wait_until(30, || TcpStream::connect(("127.0.0.1", port)).is_ok())?;
    let about = About::read(&root("policy/metadata.yml"))?;
    write_layouts(&root("dist"), &about, folder)?;
    let layout = folder.join("oci/policy");
    done(
        Command::new("skopeo")
            .args(["copy", "--preserve-digests", "--dest-tls-verify=false"])
            .args([
                format!("oci:{}:{}", layout.display(), about.version),
                format!("docker://127.0.0.1:{port}/policies/canary-gate:v{}", about.version),
            ]),
    )?;
    Ok((registry, port))
}

/// What a pod would find mounted: a Secret's entries as files.
pub fn write_secret(access: &Access, name: &str, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let path = format!("/api/v1/namespaces/{NAMESPACE}/secrets/{name}");
    let secret = access.api.get(&path)?;
    for (entry, value) in secret["data"].as_object().into_iter().flatten() {
        fs::write(to.join(entry), STANDARD.decode(value.as_str().unwrap_or_default())?)?;
    }
    Ok(())
}

/// Leads the port 443 of a service of Kubewarden's to one on loopback.
pub fn lead(access: &Access, service: &str, port: u16) -> Result<()> {
    let path = format!("/api/v1/namespaces/{NAMESPACE}/services/{service}");
    let address = access.api.get(&path)?["spec"]["clusterIP"].clone();
    access.egress.lead(&format!("{}:443", address.as_str().context("clusterIP")?), port);
    Ok(())
}

fn controller(access: &Access) -> Result<Program> {
    // Its webhook server takes its certificate from below the folder for temporary files.
    let temporary = access.folder.join("controller");
    let certificates = temporary.join("k8s-webhook-server/serving-certs");
    write_secret(access, "kubewarden-webhook-server-cert", &certificates)?;
    let (webhook, health) = (free_port(), free_port());
    let mut command = program("kubewarden-controller")?;
    command
        .args(["--deployments-namespace", NAMESPACE])
        .args(["--metrics-bind-address", "0", "--webhook-server-port", &webhook.to_string()])
        .arg(format!("--health-probe-bind-address=127.0.0.1:{health}"))
        .env("TMPDIR", &temporary)
        .env("KUBECONFIG", access.kubeconfig_of(NAMESPACE, "kubewarden-controller")?);
    let controller = Program::start(&access.folder, "kubewarden-controller", command)?;
    let ready = format!("http://127.0.0.1:{health}/readyz");
    controller.wait_until(60, || ureq::get(&ready).call().is_ok())?;
    lead(access, "kubewarden-controller-webhook-service", webhook)?;
    Ok(controller)
}

impl Kubewarden {
    /// Kubewarden without a policy; these settings are for later.
    ///
    /// # Errors
    /// A part does not come up.
    pub fn start(access: &Access, settings: &Value) -> Result<Self> {
        let folder = &access.folder;
        let (program, port) = registry(folder)?;
        let charts = root(".tools/programs/kubewarden-charts");
        let chart = |name: &str| charts.join(name).display().to_string();
        let install = |name: &str, more: &[&str]| {
            let chart = chart(name);
            let arguments = [&["install", name, &chart, "--create-namespace"], more].concat();
            helm(folder, &arguments)
        };
        install("kubewarden-crds", &[])?;
        // Its hooks wait for pods of images that there are not.
        install("kubewarden-controller", &["--no-hooks", "--set", "auditScanner.enable=false"])?;
        let controller = controller(access)?;
        let pods = Pods::start(access);
        let source = format!("policyServer.insecureSources[0]=127.0.0.1:{port}");
        install("kubewarden-defaults", &["--set", &source])?;
        let registry = format!("127.0.0.1:{port}");
        let values = json!({
            "settings": settings,
            "image": { "repository": format!("{registry}/policies/canary-gate") },
        });
        Ok(Self { _controller: controller, _registry: program, pods, registry, values })
    }
}
