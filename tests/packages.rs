//! What is released, by way of a real registry: the layouts as their clients
//! read them, and what is pulled runs.

use flate2::read::GzDecoder;
use harness::module::CompiledModule;
use harness::scenario::run::{Modules, Simulation};
use package::{write_layouts, About};
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use tests::envoy::{alone, Envoy, Setup};
use tests::root;
use tests::servers::{folder, free_port, registry_config, ApiServer, Notifier, Server, Upstream};
use tests::simulation::scenario;

fn written(name: &str) -> (PathBuf, BTreeMap<String, String>, About) {
    let about = About::read(&root("policy/metadata.yml")).unwrap();
    let to = folder(name);
    let digests = write_layouts(&root("dist"), &about, &to).unwrap();
    (to.join("oci"), digests, about)
}

/// Manifest of the one image of a layout.
fn manifest(layout: &Path) -> Value {
    let read =
        |path: PathBuf| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let index = read(layout.join("index.json"));
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(read(layout.join("oci-layout"))["imageLayoutVersion"], "1.0.0");
    read(blob(layout, &index["manifests"][0]))
}

fn blob(layout: &Path, descriptor: &Value) -> PathBuf {
    let digest = descriptor["digest"].as_str().unwrap();
    layout.join("blobs/sha256").join(digest.strip_prefix("sha256:").unwrap())
}

/// Kubewarden's policy server: one layer of its own type, the raw module.
fn as_policy(layout: &Path) -> Vec<u8> {
    let manifest = manifest(layout);
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v1+json");
    let layers = manifest["layers"].as_array().unwrap();
    let [layer] = layers.as_slice() else { panic!("{layers:?}") };
    assert_eq!(layer["mediaType"], "application/vnd.wasm.content.layer.v1+wasm");
    fs::read(blob(layout, layer)).unwrap()
}

/// Istio and Envoy Gateway, the first way: `plugin.wasm` in the last layer, a tar+gzip.
fn as_compat(layout: &Path) -> Option<Vec<u8>> {
    let manifest = manifest(layout);
    let layer = manifest["layers"].as_array()?.last()?.clone();
    if layer["mediaType"] != "application/vnd.oci.image.layer.v1.tar+gzip" {
        return None;
    }
    let packed = fs::read(blob(layout, &layer)).unwrap();
    let mut archive = tar::Archive::new(GzDecoder::new(packed.as_slice()));
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap().file_name().is_some_and(|name| name == "plugin.wasm") {
            let mut module = Vec::new();
            entry.read_to_end(&mut module).unwrap();
            return Some(module);
        }
    }
    None
}

/// The second way: two layers, one of them the raw module by its type.
fn as_oci(layout: &Path) -> Option<Vec<u8>> {
    let manifest = manifest(layout);
    let layers = manifest["layers"].as_array()?;
    let wanted = "application/vnd.module.wasm.content.layer.v1+wasm";
    let layer = layers.iter().find(|l| l["mediaType"] == wanted)?;
    (layers.len() == 2).then(|| fs::read(blob(layout, layer)).unwrap())
}

#[test]
fn layouts_are_what_their_clients_read() {
    let (oci, digests, about) = written("layouts");
    let [policy, filter] =
        ["policy.wasm", "proxy-filter.wasm"].map(|f| fs::read(root("dist").join(f)).unwrap());
    assert!(as_policy(&oci.join("policy")) == policy);
    let (compat, raw) = (oci.join("filter-compat"), oci.join("filter-oci"));
    assert!(as_compat(&compat).unwrap() == filter && as_oci(&compat).is_none());
    assert!(as_oci(&raw).unwrap() == filter && as_compat(&raw).is_none());
    assert_eq!(manifest(&compat)["annotations"]["module.wasm.image/variant"], "compat");
    for name in digests.keys() {
        let annotations = manifest(&oci.join(name))["annotations"].clone();
        assert_eq!(annotations["org.opencontainers.image.version"], json!(about.version));
    }
    // Nothing of the time or the folder is in them.
    assert_eq!(written("layouts-again").1, digests);
}

fn skopeo(arguments: &[&str]) {
    let output = Command::new("skopeo").args(arguments).output();
    let output = output.expect("skopeo: run scripts/setup.sh servers");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn pushed_and_pulled_through_a_real_registry_they_are_the_same_and_run() {
    let (oci, digests, _) = written("registry");
    let (port, data) = (free_port(), folder("registry-data"));
    let config = registry_config(&data, port);
    let _registry =
        Server::start("docker-registry", &["serve", &config.display().to_string()], port);
    let pulled = folder("pulled");
    for (name, digest) in &digests {
        let there = format!("docker://127.0.0.1:{port}/canary-gate/{name}");
        let from = format!("oci:{}:0.1.0", oci.join(name).display());
        let to = format!("oci:{}:0.1.0", pulled.join(name).display());
        skopeo(&[
            "copy",
            "--preserve-digests",
            "--dest-tls-verify=false",
            &from,
            &format!("{there}:v0.1.0"),
        ]);
        // By its digest, as a reviewed deployment names it.
        skopeo(&[
            "copy",
            "--preserve-digests",
            "--src-tls-verify=false",
            &format!("{there}@{digest}"),
            &to,
        ]);
    }
    let dist = folder("pulled-dist");
    fs::write(dist.join("policy.wasm"), as_policy(&pulled.join("policy"))).unwrap();
    let filter = as_compat(&pulled.join("filter-compat")).unwrap();
    assert!(as_oci(&pulled.join("filter-oci")).unwrap() == filter);
    fs::write(dist.join("proxy-filter.wasm"), filter).unwrap();

    let modules = Modules {
        filter: CompiledModule::load(&dist.join("proxy-filter.wasm")).unwrap(),
        policy: CompiledModule::load(&dist.join("policy.wasm")).unwrap(),
    };
    Simulation::start(&modules, &scenario()).unwrap().run_to(120).unwrap();

    let _alone = alone();
    let wasm = dist.join("proxy-filter.wasm");
    let envoy = Envoy::start(&Setup {
        canary_port: Upstream::start().port,
        stable_port: Upstream::start().port,
        api_port: ApiServer::start().port,
        notifier_port: Notifier::start().port,
        endpoint_wasm: wasm.clone(),
        probe_wasm: wasm,
        ..Setup::default()
    });
    envoy.put_facts();
    envoy.wait_for(20, "a document", |d| d["gateway"]["id"] == "gw-a1");
}
