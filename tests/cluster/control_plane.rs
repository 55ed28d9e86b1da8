//! A real Kubernetes control plane with a real KEDA, on loopback and without
//! containers: etcd, the API server, the controller manager, KEDA's operator
//! and metrics adapter, each a program of its own, under its own account.

use crate::api::Api;
use crate::egress::Egress;
use crate::processes::Program;
use anyhow::{bail, Context, Result};
use serde_json::{json, Value};
use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use tests::root;
use tests::servers::free_port;

pub struct ControlPlane {
    // Dropped in this order.
    _keda_adapter: Program,
    pub keda_operator: Program,
    _controller_manager: Program,
    pub api_server: Program,
    pub etcd: Program,
    access: Access,
}

/// What every part of the rig goes by.
#[derive(Clone)]
pub struct Access {
    /// As a member of system:masters.
    pub api: Api,
    pub egress: Egress,
    pub folder: PathBuf,
}

impl Deref for ControlPlane {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.access
    }
}

const ADMIN: &str = "admin-of-the-cluster-of-the-tests";
/// Token of a member of `sre`, which may do anything in the cluster too.
pub const ALICE: &str = "alice-of-the-cluster-of-the-tests";

/// A program that was built for this.
///
/// # Errors
/// It was not.
pub fn program(name: &str) -> Result<Command> {
    let path = root(".tools/programs").join(name);
    if !path.exists() {
        bail!("{name} is not built: run scripts/build-programs.sh cluster");
    }
    Ok(Command::new(path))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

fn kubeconfig(folder: &Path, name: &str, api: &Api) -> Result<PathBuf> {
    let path = folder.join(format!("{name}.kubeconfig"));
    fs::write(&path, api.kubeconfig().to_string())?;
    Ok(path)
}

impl ControlPlane {
    /// # Errors
    /// A program is missing, or does not come up.
    pub fn start(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let file = |name: &str| folder.join(name);
        // Keys of service accounts and of the aggregator.
        run(Command::new("openssl").args(["genrsa", "-out"]).arg(file("sa.key")).arg("2048"))?;
        run(Command::new("openssl")
            .args(["rsa", "-pubout", "-in"])
            .arg(file("sa.key"))
            .arg("-out")
            .arg(file("sa.pub")))?;
        for name in ["front-proxy", "keda"] {
            run(Command::new("openssl")
                .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
                .args(["-subj", &format!("/CN={name}"), "-addext"])
                .arg("subjectAltName=DNS:localhost,IP:127.0.0.1")
                .arg("-keyout")
                .arg(file(&format!("{name}.key")))
                .arg("-out")
                .arg(file(&format!("{name}.crt"))))?;
        }
        fs::write(file("tokens.csv"), format!("{ADMIN},admin,admin,\"system:masters\"\n{ALICE},alice,alice,\"system:masters,sre\"\n"))?;

        let (client, peer) = (free_port(), free_port());
        let (client, peer) =
            (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
        let mut etcd = program("etcd")?;
        etcd.arg("--data-dir")
            .arg(file("etcd"))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("default={peer}")]);
        let etcd = Program::start(folder, "etcd", etcd)?;
        let egress = Egress::start()?;
        fs::write(file("egress.json"), egress.configuration().to_string())?;
        let port = free_port();
        let api = Api::new(port, ADMIN);
        let mut api_server = program("kube-apiserver")?;
        api_server
            .args(["--etcd-servers", &client, "--secure-port", &port.to_string()])
            .args(["--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1"])
            .arg("--cert-dir")
            .arg(file("certs"))
            .args(["--service-account-issuer", "https://kubernetes.default.svc"])
            .arg("--service-account-key-file")
            .arg(file("sa.pub"))
            .arg("--service-account-signing-key-file")
            .arg(file("sa.key"))
            .arg("--egress-selector-config-file")
            .arg(file("egress.json"))
            .args(["--service-cluster-ip-range", "10.0.0.0/24", "--authorization-mode", "RBAC"])
            .arg("--token-auth-file")
            .arg(file("tokens.csv"))
            .arg("--requestheader-client-ca-file")
            .arg(file("front-proxy.crt"))
            .args(["--requestheader-allowed-names", "front-proxy"])
            .args(["--requestheader-extra-headers-prefix", "X-Remote-Extra-"])
            .args(["--requestheader-group-headers", "X-Remote-Group"])
            .args(["--requestheader-username-headers", "X-Remote-User"])
            .arg("--proxy-client-cert-file")
            .arg(file("front-proxy.crt"))
            .arg("--proxy-client-key-file")
            .arg(file("front-proxy.key"));
        let api_server = Program::start(folder, "kube-apiserver", api_server)?;
        api_server.wait_until(60, || api.is_ready())?;

        let admin = kubeconfig(folder, "admin", &api)?;
        let mut manager = program("kube-controller-manager")?;
        manager
            .arg("--kubeconfig")
            .arg(&admin)
            .arg("--service-account-private-key-file")
            .arg(file("sa.key"))
            .arg("--root-ca-file")
            .arg(file("certs/apiserver.crt"))
            // Each controller under its own account: the HPA's is what a freeze must stop.
            .args(["--use-service-account-credentials=true", "--leader-elect=false"])
            .args(["--bind-address=127.0.0.1", &format!("--secure-port={}", free_port())])
            .arg("--cert-dir")
            .arg(file("certs-of-the-manager"))
            // Minutes of a cluster are seconds here.
            .args(["--horizontal-pod-autoscaler-sync-period=1s"])
            .args(["--kube-api-qps=500", "--kube-api-burst=1000"]);
        let controller_manager = Program::start(folder, "kube-controller-manager", manager)?;

        for name in ["keda", "builds", "controls"] {
            api.apply(
                &json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } }),
            )?;
        }
        let (keda_operator, keda_adapter) = start_keda(folder, &api)?;
        Ok(Self {
            _keda_adapter: keda_adapter,
            keda_operator,
            _controller_manager: controller_manager,
            api_server,
            etcd,
            access: Access { api, egress, folder: folder.to_owned() },
        })
    }
}

impl Access {
    /// A kubeconfig of a service account.
    ///
    /// # Errors
    /// There is no such account.
    pub fn kubeconfig_of(&self, namespace: &str, account: &str) -> Result<PathBuf> {
        let api = self.api.as_user(&self.api.token_of(namespace, account)?);
        kubeconfig(&self.folder, account, &api)
    }
}

/// A program of KEDA's, as its pods run it.
///
/// # Errors
/// It was not built.
pub fn of_keda(name: &str, config: &Path) -> Result<Command> {
    let mut command = program(name)?;
    command
        .env("POD_NAMESPACE", "keda")
        .env("KEDA_CLUSTER_OBJECT_NAMESPACE", "keda")
        .env("WATCH_NAMESPACE", "")
        .env("KUBECONFIG", config);
    Ok(command)
}

fn start_keda(folder: &Path, api: &Api) -> Result<(Program, Program)> {
    // Copied from its module when its programs were built.
    let keda = root(".tools/programs/keda-config");
    for entry in fs::read_dir(keda.join("crd/bases"))? {
        api.apply_yaml(&fs::read_to_string(entry?.path())?, |_| {})?;
    }
    let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "keda-operator", "namespace": "keda" } });
    api.apply(&account)?;
    for folder in ["rbac", "metrics-server"] {
        for file in ["role.yaml", "role_binding.yaml"] {
            let text = fs::read_to_string(keda.join(folder).join(file))?;
            api.apply_yaml(&text, |_| {})?;
        }
    }
    // kustomize would copy these; the operator's certificates are files here.
    let certs = folder.join("keda-certs");
    fs::create_dir_all(&certs)?;
    for (from, to) in [("keda.crt", "ca.crt"), ("keda.crt", "tls.crt"), ("keda.key", "tls.key")] {
        fs::copy(folder.join(from), certs.join(to))?;
    }
    let config = kubeconfig(folder, "keda", &api.as_user(&api.token_of("keda", "keda-operator")?))?;
    let (grpc, health, metrics, secure) = (free_port(), free_port(), free_port(), free_port());
    let mut operator = of_keda("keda-operator", &config)?;
    operator
        .args(["--leader-elect=false", "--zap-log-level=info", "--zap-encoder=console"])
        .arg(format!("--metrics-bind-address=127.0.0.1:{metrics}"))
        .arg(format!("--health-probe-bind-address=127.0.0.1:{health}"))
        .arg(format!("--metrics-service-bind-address=127.0.0.1:{grpc}"))
        .args(["--kube-api-qps=500", "--kube-api-burst=1000"])
        .arg("--cert-dir")
        .arg(&certs);
    let operator = Program::start(folder, "keda-operator", operator)?;
    operator
        .wait_until(60, || ureq::get(format!("http://127.0.0.1:{health}/readyz")).call().is_ok())?;
    let mut adapter = of_keda("keda-adapter", &config)?;
    adapter
        .args(["--bind-address=127.0.0.1", &format!("--secure-port={secure}")])
        .arg(format!("--port={}", free_port()))
        .arg(format!("--metrics-service-address=127.0.0.1:{grpc}"))
        .arg("--metrics-service-grpc-authority=localhost")
        .arg("--lister-kubeconfig")
        .arg(&config)
        .arg("--authentication-kubeconfig")
        .arg(&config)
        .arg("--authorization-kubeconfig")
        .arg(&config)
        .arg(format!("--tls-cert-file={}", certs.join("tls.crt").display()))
        .arg(format!("--tls-private-key-file={}", certs.join("tls.key").display()))
        .arg(format!("--cert-dir={}", certs.display()));
    let adapter = Program::start(folder, "keda-adapter", adapter)?;
    // The aggregator finds the adapter by a service that is a name outside the cluster.
    api.apply(&json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "keda-metrics-apiserver", "namespace": "keda" },
        "spec": { "type": "ExternalName", "externalName": "localhost", "ports": [{ "port": secure }] },
    }))?;
    api.apply(&json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": { "name": "v1beta1.external.metrics.k8s.io" },
        "spec": {
            "service": { "name": "keda-metrics-apiserver", "namespace": "keda", "port": secure },
            "group": "external.metrics.k8s.io", "version": "v1beta1", "insecureSkipTLSVerify": true,
            "groupPriorityMinimum": 100, "versionPriority": 100,
        },
    }))?;
    adapter.wait_until(60, || {
        let path = "/apis/external.metrics.k8s.io/v1beta1";
        api.call("GET", path, "application/json", None).is_ok_and(|a: (u16, Value)| a.0 == 200)
    })?;
    Ok((operator, adapter))
}
