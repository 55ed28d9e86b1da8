//! `harness serve`: the policy as a webhook of a development cluster.

use anyhow::{Context, Result};
use harness::serve::{serve, Options};
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

pub fn main(args: &[String]) -> Result<ExitCode> {
    let known =
        ["policy", "settings", "listen", "certificates", "kubeconfig", "instances", "timeout-ms"];
    let (options, rest) = super::options(args, &known)?;
    anyhow::ensure!(rest.is_empty(), "serve takes options alone, not {rest:?}");
    let number = |name: &str, default: u64| -> Result<u64> {
        options
            .get(name)
            .map_or(Ok(default), |n| n.parse().with_context(|| format!("--{name}: a number")))
    };
    let path = options.get("settings").context("--settings FILE is needed")?;
    let text = std::fs::read_to_string(path).with_context(|| (*path).to_owned())?;
    let given: Value = serde_yaml_ng::from_str(&text).with_context(|| (*path).to_owned())?;
    // A ClusterAdmissionPolicy has them below its spec.
    let settings = given.pointer("/spec/settings").cloned().unwrap_or(given);
    serve(&Options {
        policy: options.get("policy").unwrap_or(&"dist/policy.wasm").into(),
        settings,
        listen: options
            .get("listen")
            .unwrap_or(&"127.0.0.1:8443")
            .parse()
            .context("--listen: ADDRESS:PORT")?,
        certificates: options.get("certificates").unwrap_or(&"target/serve").into(),
        kubeconfig: options.get("kubeconfig").map(PathBuf::from),
        instances: usize::try_from(number("instances", 4)?)?,
        timeout: Duration::from_millis(number("timeout-ms", 1_900)?),
    })?;
    Ok(ExitCode::SUCCESS)
}
