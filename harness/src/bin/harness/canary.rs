//! `harness canary`: one command for every gateway of a lane.
//!
//! Actions are idempotent, so what did not arrive is sent again, and the whole
//! may be called again until every gateway has it.

use crate::client::Client;
use anyhow::{bail, Result};
use gate::canary::Command;
use serde_json::{json, Map, Value};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(2);

pub fn main(args: &[String]) -> Result<ExitCode> {
    let Some((action, args)) = args.split_first() else {
        bail!("canary needs an action");
    };
    let mut gateways = Vec::new();
    let mut others = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match (arg.as_str(), rest.as_slice().first()) {
            ("--gateway", Some(url)) => {
                gateways.push(url.as_str());
                rest.next();
            }
            _ => others.push(arg.clone()),
        }
    }
    let known = [
        "token-file",
        "ca",
        "weight",
        "az",
        "gateway-version",
        "skill-hash",
        "stable-skill-hash",
        "stable-replicas",
        "maintenance",
    ];
    let (options, extra) = super::options(&others, &known)?;
    // `--gateway A B C` too, as a shell expands a list.
    gateways.extend(extra);
    if gateways.is_empty() {
        bail!("canary needs at least one --gateway URL");
    }
    let body = command(action, &options)?;
    let client = Client::new(&options)?;
    let mut all = true;
    for gateway in &gateways {
        let (has_it, said) = send(&client, gateway, &body);
        all &= has_it;
        println!("{gateway}  {}  {said}", if has_it { "has it" } else { "HAS IT NOT" });
    }
    if !all {
        println!("not every gateway has `{action}`: look at the lines above and send it again");
    }
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The body, checked here as the gateway will check it.
fn command(action: &str, options: &std::collections::BTreeMap<&str, &str>) -> Result<String> {
    let mut body = Map::from_iter([("action".to_owned(), json!(action))]);
    for (key, value) in options.iter().filter(|(k, _)| !matches!(**k, "token-file" | "ca")) {
        let is_text = matches!(*key, "az" | "gateway-version" | "skill-hash" | "stable-skill-hash");
        let value = if is_text {
            Value::from(*value)
        } else {
            serde_json::from_str(value).unwrap_or_else(|_| Value::from(*value))
        };
        body.insert(key.replace('-', "_"), value);
    }
    let body = Value::Object(body).to_string();
    Command::parse(body.as_bytes()).map_err(anyhow::Error::msg)?;
    Ok(body)
}

/// Whether the gateway has it, and what it said last.
fn send(client: &Client, gateway: &str, body: &str) -> (bool, String) {
    let mut said = String::new();
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            sleep(PAUSE);
        }
        match client.send("PUT", gateway, "/keda/canary", body) {
            Ok(answer) if answer.status == 204 => return (true, String::new()),
            Ok(answer) => {
                said = format!("{} {}", answer.status, answer.body.trim());
                // Kept and not published yet, or nobody there: worth another attempt.
                if !matches!(answer.status, 408 | 429 | 500..=599) {
                    break;
                }
            }
            Err(e) => said = format!("{e:#}"),
        }
    }
    (false, said)
}
