//! `harness admit`.

use anyhow::{bail, Context, Result};
use gate::time::Timestamp;
use harness::clock::Clock;
use harness::cluster::Cluster;
use harness::module::CompiledModule;
use harness::policy_host::PolicyHost;
use serde_json::Value;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

pub fn main(args: &[String]) -> Result<ExitCode> {
    let (options, files) = super::options(args, &["policy", "settings", "state", "now"])?;
    let [file] = files.as_slice() else { bail!("admit takes one request file") };
    let review = load(file)?;
    let request = review.get("request").cloned().unwrap_or(review);
    // Rules compare old and new and look at the user: a bare object would be judged wrongly.
    for key in ["operation", "userInfo", "object"] {
        if request.get(key).is_none() {
            bail!("{file}: no `{key}`: a whole AdmissionReview is needed, not a bare object");
        }
    }
    let settings = load(options.get("settings").context("admit needs --settings FILE")?)?;
    let mut cluster = Cluster::default();
    if let Some(state) = options.get("state") {
        let list = load(state)?;
        let items = list
            .get("items")
            .and_then(Value::as_array)
            .with_context(|| format!("{state}: is no v1 List"))?;
        items.iter().for_each(|o| cluster.put(o.clone()));
    }
    let now = match options.get("now") {
        Some(text) => Timestamp::parse(text).map_err(anyhow::Error::msg)?,
        None => {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Timestamp::from_millis(i64::try_from(since.as_millis())?)
        }
    };
    let file = options.get("policy").copied().unwrap_or("dist/policy.wasm");
    let policy = PolicyHost::start(
        &CompiledModule::load(Path::new(file))?,
        Clock::at(now),
        Arc::new(Mutex::new(cluster)),
    )?;
    let verdict = policy.validate(&settings, &request)?;
    for warning in verdict.warnings.iter().flatten() {
        println!("warning: {warning}");
    }
    if verdict.accepted {
        println!(
            "accepted{}",
            if verdict.mutated_object.is_some() { ", with a patch" } else { "" }
        );
        return Ok(ExitCode::SUCCESS);
    }
    println!("rejected: {}", verdict.message.unwrap_or_default());
    Ok(ExitCode::from(1))
}

fn load(file: &str) -> Result<Value> {
    let text = std::fs::read_to_string(file).with_context(|| file.to_owned())?;
    serde_yaml_ng::from_str(&text).with_context(|| file.to_owned())
}
