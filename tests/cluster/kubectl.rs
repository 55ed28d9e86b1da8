//! The real kubectl, as people use it.

use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;
use tests::root;

/// Whether it succeeded, and what it printed.
///
/// # Errors
/// There is none.
pub fn run(kubeconfig: &Path, arguments: &[&str]) -> Result<(bool, String)> {
    // Files say themselves in which namespace they are.
    let namespace = ["--namespace", "builds"].iter().filter(|_| !arguments.contains(&"-f"));
    let output = Command::new(root(".tools/kubectl"))
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(namespace)
        .args(arguments)
        .output()
        .context("kubectl: run scripts/setup.sh cluster")?;
    let text = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&text).trim().to_owned()))
}
