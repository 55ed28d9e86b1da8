//! Turns `metadata.yml` into the JSON that Kubewarden's CLI would write into
//! the custom section `io.kubewarden.metadata`, so that what cargo builds is
//! what is shipped.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a build script stops the build by panicking"
)]

use std::{env, fs, path::Path};

fn main() {
    println!("cargo:rerun-if-changed=metadata.yml");
    let yaml = fs::read_to_string("metadata.yml").expect("policy/metadata.yml");
    let value: serde_json::Value = serde_yaml_ng::from_str(&yaml).expect("policy/metadata.yml");
    let json = serde_json::to_vec(&value).unwrap();
    let out = env::var("OUT_DIR").unwrap();
    fs::write(Path::new(&out).join("metadata.json"), &json).unwrap();
    // A static of a fixed size: the length must be known where it is declared.
    fs::write(
        Path::new(&out).join("metadata_len.rs"),
        format!("const METADATA_LEN: usize = {};", json.len()),
    )
    .unwrap();
}
