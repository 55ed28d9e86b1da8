//! `harness serve`: the policy as a webhook of a development cluster.

use anyhow::{Context, Result};
use harness::serve::{serve, Deployment, Options};
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;

pub fn main(args: &[String]) -> Result<ExitCode> {
    let known = ["policy", "listen", "certificates", "kubeconfig", "instances"];
    let (options, files) = super::options(args, &known)?;
    anyhow::ensure!(!files.is_empty(), "serve needs a ClusterAdmissionPolicy at least");
    let deployments: Result<Vec<Deployment>> = files
        .iter()
        .map(|file| {
            let text = std::fs::read_to_string(file).with_context(|| (*file).to_owned())?;
            let policy: Value =
                serde_yaml_ng::from_str(&text).with_context(|| (*file).to_owned())?;
            Deployment::read(&policy).with_context(|| (*file).to_owned())
        })
        .collect();
    let listen = options.get("listen").unwrap_or(&"127.0.0.1:8443");
    let instances = options.get("instances").unwrap_or(&"4");
    serve(&Options {
        policy: options.get("policy").unwrap_or(&"dist/policy.wasm").into(),
        deployments: deployments?,
        listen: listen.parse().context("--listen: ADDRESS:PORT")?,
        certificates: options.get("certificates").unwrap_or(&"target/serve").into(),
        kubeconfig: options.get("kubeconfig").map(PathBuf::from),
        instances: instances.parse().context("--instances: a number")?,
    })?;
    Ok(ExitCode::SUCCESS)
}
