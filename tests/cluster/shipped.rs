//! What is shipped for others to read, as they read it: manifests against the
//! CRDs of their readers in a real API server, the policy's image and the hub's
//! page by Kubewarden's own kwctl.

use crate::control_plane::program;
use crate::kubectl;
use crate::rig::read;
use crate::story::Story;
use anyhow::{ensure, Context, Result};
use serde_json::{json, Value};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::PathBuf;
use tests::root;

/// Fields of the hub's page that are this project's own.
const OWN: [&str; 4] = ["createdAt", "install", "provider", "recommendations"];

/// Files of `deploy/` that are objects of Kubernetes.
fn manifests() -> Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (vec![], vec![root("deploy")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "yaml")
                && fs::read_to_string(&path)?.lines().any(|line| line.starts_with("apiVersion:"))
            {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

impl Story<'_> {
    /// Each manifest by a strict dry run, and that one with a field too many is refused.
    pub fn manifests(&mut self) -> Result<()> {
        let config = self.plane.folder.join("admin.kubeconfig");
        let must = |arguments: &[&str]| -> Result<String> {
            let (done, text) = kubectl::run(&config, arguments)?;
            ensure!(done, "kubectl {arguments:?}: {text}");
            Ok(text)
        };
        for crds in ["istio-crds.yaml", "envoy-gateway-crds"] {
            let path = root(".tools/programs").join(crds).canonicalize()?.display().to_string();
            must(&["apply", "--server-side", "--recursive", "-f", &path])?;
        }
        for name in ["istio-system", "gateways"] {
            let namespace =
                json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
            self.api().apply(&namespace)?;
        }
        let files = manifests()?;
        let strict = ["create", "--dry-run=server", "--validate=strict", "-f"];
        for file in &files {
            let path = file.display().to_string();
            // Objects bring their own namespace, and some of them are here already.
            let apply = ["apply", "--server-side", "--force-conflicts"];
            must(&[&apply, &strict[1..], &[&path]].concat())
                .with_context(|| format!("{path}, as its readers' CRDs have it"))?;
        }
        let wrong = self.plane.folder.join("wrong.yaml");
        let text =
            read("deploy/istio/wasmplugin.yaml")?.replace("failStrategy:", "failStrategies:");
        fs::write(&wrong, text)?;
        let (done, text) =
            kubectl::run(&config, &[&strict[..], &[&wrong.display().to_string()]].concat())?;
        ensure!(!done && text.contains("failStrategies"), "a field too many: {text}");
        self.saw(
            "every manifest of deploy/, dry run with strict fields",
            format!(
                "{} files taken by the CRDs of Kubewarden, KEDA, Istio and Envoy Gateway; a misspelt field is refused",
                files.len()
            ),
        );
        Ok(())
    }

    /// The image as kwctl pulls and reads it, and the hub's page as kwctl writes it.
    pub fn by_kwctl(&mut self) -> Result<()> {
        let folder = self.plane.folder.join("kwctl");
        fs::create_dir_all(&folder)?;
        let registry = &self.rig.kubewarden.registry;
        let sources = folder.join("sources.yaml");
        fs::write(&sources, json!({ "insecure_sources": [registry] }).to_string())?;
        let kwctl = |arguments: &[&str]| -> Result<String> {
            let mut command = program("kwctl")?;
            command.args(arguments).env("HOME", &folder).current_dir(root(""));
            let output = command.output()?;
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            ensure!(output.status.success(), "kwctl {arguments:?}: {error}");
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let metadata: Value = serde_yaml_ng::from_str(&read("policy/metadata.yml")?)?;
        let version = &metadata["annotations"]["io.kubewarden.policy.version"];
        let version = version.as_str().context("a version")?;
        let image = format!("registry://{registry}/policies/canary-gate:v{version}");
        let (to, sources) = (folder.join("policy.wasm"), sources.display().to_string());
        kwctl(&["pull", &image, "--sources-path", &sources, "-o", &to.display().to_string()])?;
        let digest = |path: PathBuf| -> Result<String> {
            Ok(format!("{:x}", Sha256::digest(fs::read(path)?)))
        };
        let pulled = digest(to)?;
        ensure!(pulled == digest(root("dist/policy.wasm"))?, "kwctl pulled other bytes");
        let read_by_kwctl = kwctl(&["inspect", "dist/policy.wasm", "-o", "yaml"])?;
        let read_by_kwctl: Value = serde_yaml_ng::from_str(&read_by_kwctl)?;
        for key in ["rules", "contextAwareResources", "mutating", "executionMode"] {
            ensure!(read_by_kwctl[key] == metadata[key], "kwctl inspect: {key}");
        }
        self.saw(
            "kwctl pull and inspect",
            "the module's bytes, and the rules of policy/metadata.yml",
        );
        let page = kwctl(&[
            "scaffold",
            "artifacthub",
            "-m",
            "policy/metadata.yml",
            "-q",
            "questions-ui.yml",
        ])?;
        let mut page: Value = serde_yaml_ng::from_str(&page)?;
        let mut own: Value = serde_yaml_ng::from_str(&read("artifacthub-pkg.yml")?)?;
        for page in [&mut page, &mut own] {
            let page = page.as_object_mut().context("a page")?;
            OWN.iter().for_each(|key| {
                page.remove(*key);
            });
        }
        ensure!(page == own, "artifacthub-pkg.yml is not kwctl's: {page:#}");
        self.saw("kwctl scaffold artifacthub", "what artifacthub-pkg.yml says");
        Ok(())
    }
}
