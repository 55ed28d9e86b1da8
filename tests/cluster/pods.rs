//! What a node would do with the pods of Kubewarden: each new pod of the policy
//! server is the real program with what its Deployment mounts, ready when it says
//! so, and the service leads to it from then on. The other pods are said to be
//! ready, as everywhere in this cluster (`kubelet.rs`).

use crate::control_plane::{program, Access};
use crate::kubelet::say_ready;
use crate::kubewarden::{lead, write_secret, NAMESPACE};
use crate::processes::Program;
use anyhow::{ensure, Context, Result};
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use tests::servers::free_port;

const EVERY: Duration = Duration::from_millis(300);
/// How long an old pod answers on, and how long it has to end.
const GRACE: Duration = Duration::from_secs(3);
/// Of the ConfigMap, the Secret, the service and the Deployment.
const NAME: &str = "policy-server-default";

type Current = Arc<Mutex<Option<Arc<Program>>>>;

pub struct Pods {
    current: Current,
}

fn hold(current: &Current) -> std::sync::MutexGuard<'_, Option<Arc<Program>>> {
    current.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pods {
    /// Runs pods until the process ends.
    pub fn start(access: &Access) -> Self {
        let current = Current::default();
        let node = Node { access: access.clone(), current: current.clone() };
        thread::spawn(move || loop {
            // What fails is tried again: the API server is away, or the next pod is near.
            if let Err(e) = node.look() {
                let _ = fs::write(node.access.folder.join("pods.log"), format!("{e:#}\n"));
            }
            thread::sleep(EVERY);
        });
        Self { current }
    }

    /// The policy server that answers now.
    ///
    /// # Errors
    /// None has started yet.
    pub fn policy_server(&self) -> Result<Arc<Program>> {
        hold(&self.current).clone().context("no policy server runs")
    }
}

struct Node {
    access: Access,
    current: Current,
}

impl Node {
    fn look(&self) -> Result<()> {
        let pods = self.access.api.get(&format!("/api/v1/namespaces/{NAMESPACE}/pods"))?;
        for pod in pods["items"].as_array().into_iter().flatten() {
            if pod["status"]["phase"] != "Pending" {
                continue;
            }
            let name = pod["metadata"]["name"].as_str().context("a pod's name")?;
            if pod["metadata"]["labels"]["kubewarden/policy-server"].is_string() {
                let version = &pod["metadata"]["labels"]["kubewarden/config-version"];
                let server = self.run(version.as_str().context("config-version")?)?;
                // Requests go to the new one before the old one ends, as on a node.
                if let Some(old) = hold(&self.current).replace(Arc::new(server)) {
                    thread::spawn(move || {
                        thread::sleep(GRACE);
                        old.terminate();
                        thread::sleep(GRACE);
                    });
                }
            }
            say_ready(&self.access.api, NAMESPACE, name)?;
        }
        Ok(())
    }

    /// The policy server with this version of its ConfigMap, and the service led to it.
    fn run(&self, version: &str) -> Result<Program> {
        let path = format!("/api/v1/namespaces/{NAMESPACE}/configmaps/{NAME}");
        let config = self.access.api.get(&path)?;
        ensure!(config["metadata"]["resourceVersion"] == version, "the next pod is on its way");
        let folder = self.access.folder.join(format!("{NAME}-{version}"));
        let at = |file: &str| folder.join(file);
        write_secret(&self.access, NAME, &at("certs"))?;
        for file in ["policies.yml", "sources.yml"] {
            fs::write(at(file), config["data"][file].as_str().context("the configuration")?)?;
        }
        let (port, probe) = (free_port(), free_port());
        let mut command = program("policy-server")?;
        command
            .args(["--addr", "127.0.0.1", "--port", &port.to_string()])
            .args(["--readiness-probe-port", &probe.to_string(), "--log-no-color"])
            .args(["--cert-file".as_ref(), at("certs/tls.crt").as_os_str()])
            .args(["--key-file".as_ref(), at("certs/tls.key").as_os_str()])
            .args(["--policies".as_ref(), at("policies.yml").as_os_str()])
            .args(["--sources-path".as_ref(), at("sources.yml").as_os_str()])
            .args(["--policies-download-dir".as_ref(), at("modules").as_os_str()])
            .args(["--sigstore-cache-dir".as_ref(), at("sigstore").as_os_str()])
            .env("KUBECONFIG", self.access.kubeconfig_of(NAMESPACE, "policy-server")?);
        let server = Program::start(&self.access.folder, &format!("{NAME}-{version}"), command)?;
        let ready = format!("http://127.0.0.1:{probe}/readiness");
        server.wait_until(60, || ureq::get(&ready).call().is_ok())?;
        lead(&self.access, NAME, port)?;
        Ok(server)
    }
}
