//! `harness probe`: the bastion's look at a gateway.

use crate::client::Client;
use anyhow::{bail, Result};
use gate::document::{Merged, Status};
use std::process::ExitCode;

pub fn main(args: &[String]) -> Result<ExitCode> {
    let (options, urls) = super::options(args, &["token-file", "ca"])?;
    let [url] = urls.as_slice() else {
        bail!("probe needs one URL, that of a gateway's management listener");
    };
    let answer = Client::new(&options)?.send("GET", url, "/keda/metrics", "")?;
    if answer.status != 200 {
        bail!("{url}: {} {}", answer.status, answer.body.trim());
    }
    let d: Merged = gate::parse::json(answer.body.as_bytes()).map_err(anyhow::Error::msg)?;
    let known = |n: Option<u32>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    println!("{} on {} ({}), observed at {}", d.status.name(), d.gateway.id, d.keda, d.observed_at);
    println!(
        "canary active {}, aborted {}, promotion frozen {}, drain {}",
        d.canary_active, d.aborted, d.promotion_frozen, d.gateway.drain
    );
    println!(
        "scaling frozen {} [{}], hold {}, max {}, before {}",
        d.scaling.frozen,
        d.scaling.frozen_by.join(", "),
        known(d.scaling.hold_replicas),
        known(d.scaling.max_replicas),
        known(d.scaling.original_max_replicas)
    );
    for signal in &d.signals {
        let name = signal.name.name();
        println!("  {name:<16} {:<12} {}", signal.verdict.name(), signal.reason);
    }
    let fit = d.status == Status::Healthy && !d.degraded && d.scaling.frozen == 0;
    Ok(if fit { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
