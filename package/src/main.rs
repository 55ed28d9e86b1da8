//! `make package`: OCI layouts and checksums of what `dist/` holds.

use anyhow::Result;
use package::{checksums, write_layouts, About};
use std::path::Path;

/// What is shipped beside the layouts, in `dist/`.
const FILES: [&str; 4] =
    ["policy.wasm", "proxy-filter.wasm", "policy.cdx.json", "proxy-filter.cdx.json"];

fn main() -> Result<()> {
    let dist = Path::new("dist");
    let about = About::read(Path::new("policy/metadata.yml"))?;
    for (name, digest) in write_layouts(dist, &about, dist)? {
        println!("dist/oci/{name}:{}  {digest}", about.version);
    }
    let sums = checksums(dist, &FILES)?;
    print!("{sums}");
    std::fs::write(dist.join("SHA256SUMS"), sums)?;
    Ok(())
}
