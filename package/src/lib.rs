//! OCI layouts of the two modules, each in the forms that its clients take.
//!
//! The policy as Kubewarden's policy server and `kwctl` pull it: one raw layer.
//! The filter in both variants of the Wasm image specification that Istio and
//! Envoy Gateway read (`internal/wasm/imagefetcher.go` of either): `compat`, a
//! tar+gzip layer that holds `plugin.wasm`, and `oci`, a configuration layer and
//! the raw module. Nothing of the machine or of the time goes in: the same
//! module gives the same digest.

mod layout;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use layout::{Blob, Image};
use serde_json::{json, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const POLICY_CONFIG: &str = "application/vnd.wasm.config.v1+json";
const POLICY_LAYER: &str = "application/vnd.wasm.content.layer.v1+wasm";
const FILTER_CONFIG: &str = "application/vnd.module.wasm.config.v1+json";
const FILTER_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const IMAGE_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What is known of the artifacts from `policy/metadata.yml`.
pub struct About {
    pub version: String,
    annotations: BTreeMap<String, String>,
}

impl About {
    /// # Errors
    /// The metadata is not as Kubewarden has it.
    pub fn read(metadata: &Path) -> Result<Self> {
        let text = fs::read_to_string(metadata).with_context(|| metadata.display().to_string())?;
        let metadata: Value = serde_yaml_ng::from_str(&text)?;
        let of = |key: &str| {
            let annotations = metadata.get("annotations");
            let value = annotations.and_then(|a| a.get(format!("io.kubewarden.policy.{key}")));
            let text = value.and_then(Value::as_str).map(str::to_owned);
            text.with_context(|| format!("metadata: no {key}"))
        };
        let version = of("version")?;
        let annotations = [
            ("org.opencontainers.image.version", version.clone()),
            ("org.opencontainers.image.source", of("source")?),
            ("org.opencontainers.image.licenses", of("license")?),
            ("org.opencontainers.image.description", of("description")?),
        ];
        let annotations = annotations.map(|(key, value)| (key.to_owned(), value)).into();
        Ok(Self { version, annotations })
    }

    fn with(&self, key: &str, value: &str) -> BTreeMap<String, String> {
        let mut all = self.annotations.clone();
        all.insert(key.to_owned(), value.to_owned());
        all
    }
}

/// Writes `oci/policy`, `oci/filter-compat` and `oci/filter-oci` below `to`,
/// each an OCI layout with one image, tagged by the version. Their digests, by folder.
///
/// # Errors
/// A module is missing, or the folder cannot be written.
pub fn write_layouts(dist: &Path, about: &About, to: &Path) -> Result<BTreeMap<String, String>> {
    let read = |name: &str| {
        let path = dist.join(name);
        fs::read(&path).with_context(|| path.display().to_string())
    };
    let (policy, filter) = (read("policy.wasm")?, read("proxy-filter.wasm")?);
    let layer = tar_gz("plugin.wasm", &filter)?;
    let rootfs = json!({
        "architecture": "wasm", "os": "wasi", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [digest(&tar("plugin.wasm", &filter)?)] },
    });
    let runtime = json!({ "type": "envoy_proxy", "abiVersions": ["v0.2.1"] });
    let images = [
        (
            "policy",
            Image {
                config: Blob::new(POLICY_CONFIG, b"{}".to_vec()),
                layers: vec![Blob::new(POLICY_LAYER, policy)],
                annotations: about.annotations.clone(),
            },
        ),
        (
            "filter-compat",
            Image {
                config: Blob::new(IMAGE_CONFIG, rootfs.to_string().into_bytes()),
                layers: vec![Blob::new(IMAGE_LAYER, layer)],
                annotations: about.with("module.wasm.image/variant", "compat"),
            },
        ),
        (
            "filter-oci",
            Image {
                config: Blob::new(FILTER_CONFIG, runtime.to_string().into_bytes()),
                layers: vec![
                    Blob::new(FILTER_CONFIG, runtime.to_string().into_bytes()),
                    Blob::new(FILTER_LAYER, filter),
                ],
                annotations: about.annotations.clone(),
            },
        ),
    ];
    let mut digests = BTreeMap::new();
    for (name, image) in images {
        let folder = to.join("oci").join(name);
        let _ = fs::remove_dir_all(&folder);
        digests.insert(name.to_owned(), image.write(&folder, &about.version)?);
    }
    Ok(digests)
}

/// `SHA256SUMS` as `sha256sum --check` reads it.
///
/// # Errors
/// A file is missing.
pub fn checksums(folder: &Path, files: &[&str]) -> Result<String> {
    let mut text = String::new();
    for file in files {
        let path = folder.join(file);
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        let sum = digest(&bytes);
        text += &format!("{}  {file}\n", sum.trim_start_matches("sha256:"));
    }
    Ok(text)
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    let sum = Sha256::digest(bytes);
    sum.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

fn tar(name: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    archive.append_data(&mut header, name, bytes)?;
    Ok(archive.into_inner()?)
}

fn tar_gz(name: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    let archive = tar(name, bytes)?;
    let mut gz = GzBuilder::new().mtime(0).read(archive.as_slice(), Compression::best());
    let mut compressed = Vec::new();
    std::io::Read::read_to_end(&mut gz, &mut compressed)?;
    Ok(compressed)
}
