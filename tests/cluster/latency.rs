//! What admission costs as the API server measures it: its own histogram of
//! each webhook's answers, over edits at a steady rate.

use crate::api::Api;
use anyhow::{ensure, Context, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

const METRIC: &str = "apiserver_admission_webhook_admission_duration_seconds_bucket";
const WEBHOOK: &str = "clusterwide-canary-gate-guard.kubewarden.admission";
const PER_SECOND: u32 = 50;
const CLIENTS: u32 = 10;
const LASTS: Duration = Duration::from_secs(10);

/// Answers of the webhook, by upper bound, seconds.
type Buckets = BTreeMap<u64, u64>;

/// Microseconds, so that bounds are ordered; the last is infinite.
fn bound(text: &str) -> u64 {
    text.parse::<f64>().ok().filter(|s| s.is_finite()).map_or(u64::MAX, |s| (s * 1e6) as u64)
}

fn buckets(api: &Api) -> Result<Buckets> {
    let (status, text) = api.call("GET", "/metrics", "text/plain", None)?;
    ensure!(status == 200, "/metrics: {status}");
    let text = text.as_str().context("text")?;
    let mut found = Buckets::new();
    for line in text.lines().filter(|l| l.starts_with(METRIC)) {
        let Some((labels, count)) = line.rsplit_once(' ') else { continue };
        if !labels.contains(&format!("name=\"{WEBHOOK}\"")) {
            continue;
        }
        let Some(le) = labels.split("le=\"").nth(1).and_then(|l| l.split('"').next()) else {
            continue;
        };
        *found.entry(bound(le)).or_default() += count.parse::<f64>().unwrap_or(0.0) as u64;
    }
    Ok(found)
}

/// The bucket in which a quantile lies, milliseconds.
fn quantile(buckets: &Buckets, q: f64) -> String {
    let total = buckets.values().last().copied().unwrap_or(0) as f64;
    let mut from = 0;
    for (bound, count) in buckets {
        if *count as f64 >= q * total {
            let to = if *bound == u64::MAX { "…".to_owned() } else { (bound / 1000).to_string() };
            return format!("{from} to {to}");
        }
        from = bound / 1000;
    }
    format!("{from} to …")
}

pub struct Latency {
    pub what: String,
    pub edits: u64,
    /// Buckets.
    pub p50: String,
    pub p99: String,
    /// Of the whole PATCH, at the client, from when it was due.
    pub client_p50_ms: f64,
    pub client_p99_ms: f64,
}

/// Sends a patch at a steady rate, and says what its admission took.
///
/// # Errors
/// One was answered otherwise than with `status`.
pub fn measure(api: &Api, what: &str, path: &str, patch: &Value, status: u16) -> Result<Latency> {
    let before = buckets(api)?;
    let begun = Instant::now();
    let pause = Duration::from_secs(1) * CLIENTS / PER_SECOND;
    let client = |api: Api, first: Duration| -> Result<Vec<f64>> {
        let mut took = vec![];
        let begun = Instant::now();
        let mut next = first;
        while next < LASTS {
            thread::sleep(next.saturating_sub(begun.elapsed()));
            let (got, answer) = api.patch(path, patch)?;
            took.push((begun.elapsed() - next).as_secs_f64() * 1e3);
            ensure!(got == status, "{got} {answer}");
            next += pause;
        }
        Ok(took)
    };
    let mut took = thread::scope(|scope| -> Result<Vec<f64>> {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|i| {
                let api = api.clone();
                scope.spawn(move || client(api, pause * i / CLIENTS))
            })
            .collect();
        let mut all = vec![];
        for client in clients {
            all.extend(client.join().map_err(|_| anyhow::anyhow!("a client ended"))??);
        }
        Ok(all)
    })?;
    ensure!(begun.elapsed() < LASTS + Duration::from_secs(2), "the rate was not kept");
    let after = buckets(api)?;
    let spent: Buckets =
        after.iter().map(|(k, v)| (*k, v - before.get(k).copied().unwrap_or(0))).collect();
    took.sort_by(f64::total_cmp);
    let at = |q: f64| took.get((took.len() as f64 * q) as usize).copied().unwrap_or(f64::NAN);
    let edits = took.len() as u64;
    ensure!(
        spent.values().last().is_some_and(|n| *n >= edits),
        "the webhook was asked less: {spent:?}"
    );
    Ok(Latency {
        what: what.to_owned(),
        edits,
        p50: quantile(&spent, 0.5),
        p99: quantile(&spent, 0.99),
        client_p50_ms: at(0.5),
        client_p99_ms: at(0.99),
    })
}
