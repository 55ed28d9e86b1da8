//! What the policy costs, on Kubewarden's own engine.
//!
//! Machines are noisy, so every figure stands beside the same figure of a
//! policy that only parses and accepts, taken in turns with it; the ratio is
//! what counts. The host's look-ups are answered from memory: what is measured
//! is the guest and the engine. Budgets that are missed are said.
//!
//! Kubewarden's policy server makes a new instance for each request (1.36,
//! `evaluation_environment.rs`, `validate_policy`), so that is what an admission costs. An
//! instance that is kept shows the module's own work, which a mend of it is measured by.
//!
//! `BENCH_BEFORE=FILE` takes an earlier `policy.wasm` into the same turns.

use gate::document::Status;
use gate::facts::DiskTier;
use gate::signals::disk::DiskLevel;
use gate::verdict::Verdict;
use serde_json::{json, Value};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tests::{now, root};
use wasmtime_provider::{WasmtimeEngineProviderBuilder, WasmtimeEngineProviderPre};

type Answer = Arc<Mutex<Vec<u8>>>;

fn compile(path: &str) -> WasmtimeEngineProviderPre {
    let bytes =
        std::fs::read(root(path)).unwrap_or_else(|e| panic!("{path}: {e}; `make bench` builds it"));
    WasmtimeEngineProviderBuilder::new().module_bytes(&bytes).build_pre().unwrap()
}

fn host(compiled: &WasmtimeEngineProviderPre, list: &Answer) -> wapc::WapcHost {
    let list = Arc::clone(list);
    wapc::WapcHost::new(
        Box::new(compiled.rehydrate(None).unwrap()),
        Some(Box::new(move |_, _, _, operation, _| match operation {
            "list_resources_by_namespace" => Ok(list.lock().unwrap().clone()),
            other => Err(format!("unexpected {other}").into()),
        })),
    )
    .unwrap()
}

/// The host's answer with `gateways` verdicts, all with a canary active.
fn list(gateways: usize) -> Vec<u8> {
    let observed_at = now();
    let items: Vec<Value> = (0..gateways)
        .map(|i| {
            let verdict = Verdict {
                schema: gate::verdict::SCHEMA.into(),
                gateway: format!("gw-{i}"),
                az: "a".into(),
                observed_at,
                status: Status::Healthy,
                canary_active: true,
                degraded: false,
                frozen: false,
                frozen_by: vec![],
                aborted: false,
                asleep: false,
                disk: DiskLevel::Ok,
                disk_tier: DiskTier::Tb1,
                epoch: 1_764_000_000,
                promotion_frozen: true,
                maintenance: false,
                az_under_test: Some("a".into()),
                stable_replicas: Some(6),
                headroom: 1,
                skill_hash: Some("c4e1".into()),
                stable_skill_hash: Some("9a70".into()),
                reason: "canary_5xx_rate 0.003 (limit 0.005): 13 errors in 4211 requests over 5 buckets".into(),
            };
            let verdict = serde_json::to_string(&verdict).unwrap();
            let labels = json!({ "canary-gate.dev/lane": "openclaw-build-lane" });
            let metadata = json!({ "name": format!("canary-gate.gw-{i}"), "labels": labels, "creationTimestamp": "2026-11-24T08:30:00Z" });
            json!({ "metadata": metadata, "data": { "verdict": verdict } })
        })
        .collect();
    serde_json::to_vec(&json!({ "apiVersion": "v1", "kind": "ConfigMapList", "items": items }))
        .unwrap()
}

/// 7 -> 8 on an object of 4 KiB, which the canary cap refuses.
fn payload(gateways: usize, new: i64) -> Vec<u8> {
    let listed: Vec<Value> = (0..gateways)
        .map(|i| json!({ "id": format!("gw-{i}"), "az": "a", "writer": format!("system:serviceaccount:builds:canary-gate-gw-{i}") }))
        .collect();
    let object = |max: i64| {
        json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": { "name": "openclaw-worker", "namespace": "builds", "annotations": { "padding": "x".repeat(3_700) } },
            "spec": { "scaleTargetRef": { "name": "openclaw-worker" }, "minReplicaCount": 1, "maxReplicaCount": max,
                      "triggers": [{ "type": "redis", "metadata": { "listName": "build-jobs", "listLength": "8" } }] }
        })
    };
    let request = json!({
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "operation": "UPDATE", "namespace": "builds", "name": "openclaw-worker",
        "kind": { "group": "keda.sh", "version": "v1alpha1", "kind": "ScaledObject" },
        "resource": { "group": "keda.sh", "version": "v1alpha1", "resource": "scaledobjects" },
        "userInfo": { "username": "kubernetes-admin", "groups": ["system:authenticated"] },
        "object": object(new), "oldObject": object(7),
    });
    let settings = json!({ "lanes": [{
        "name": "openclaw-build-lane", "namespace": "builds", "stableReplicas": 6, "headroom": 1,
        "targets": [{ "kind": "Deployment", "name": "openclaw-worker", "slice": "stable", "scaledObject": "openclaw-worker" }],
        "gateways": listed,
    }] });
    serde_json::to_vec(&json!({ "settings": settings, "request": request })).unwrap()
}

/// The n-th smallest of a hundred.
fn percentile(times: &mut [Duration], of_hundred: usize) -> Duration {
    times.sort();
    times[(times.len() * of_hundred / 100).min(times.len() - 1)]
}

/// The modules that take turns: ours, the bare one, and an earlier one where it is asked for.
struct Modules {
    ours: WasmtimeEngineProviderPre,
    bare: WasmtimeEngineProviderPre,
    before: Option<WasmtimeEngineProviderPre>,
}

struct Row {
    name: String,
    ours: Vec<Duration>,
    bare: Vec<Duration>,
    before: Vec<Duration>,
}

impl Row {
    /// Prints both, and gives the median and the ratio.
    fn print(&mut self) -> (Duration, f64) {
        let (ours, bare) = (percentile(&mut self.ours, 50), percentile(&mut self.bare, 50));
        let ratio = ours.as_secs_f64() / bare.as_secs_f64();
        print!(
            "{:<44} {:>9.1} µs (p99 {:>9.1})   bare {:>7.1} µs   {ratio:.2} ×",
            self.name,
            ours.as_secs_f64() * 1e6,
            percentile(&mut self.ours, 99).as_secs_f64() * 1e6,
            bare.as_secs_f64() * 1e6,
        );
        if !self.before.is_empty() {
            let before = percentile(&mut self.before, 50).as_secs_f64();
            print!("   before {:.1} µs, {:.2} ×", before * 1e6, before / bare.as_secs_f64());
        }
        println!();
        (ours, ratio)
    }
}

/// Both policies on the same payload, in turns.
fn measure(
    name: &str,
    rounds: usize,
    modules: &Modules,
    gateways: usize,
    new: i64,
    warm: bool,
) -> Row {
    let answer: Answer = Arc::new(Mutex::new(list(gateways)));
    let payload = payload(gateways, new);
    let turns: Vec<_> = [&modules.ours, &modules.bare].into_iter().chain(&modules.before).collect();
    let hosts: Vec<_> = turns.iter().map(|compiled| host(compiled, &answer)).collect();
    let mut row = Row { name: name.into(), ours: vec![], bare: vec![], before: vec![] };
    for _ in 0..rounds {
        for (i, compiled) in turns.iter().copied().enumerate() {
            let begun = Instant::now();
            let fresh = (!warm).then(|| host(compiled, &answer));
            let said = fresh.as_ref().unwrap_or(&hosts[i]).call("validate", &payload).unwrap();
            let took = begun.elapsed();
            let said: Value = serde_json::from_slice(&said).unwrap();
            let accepted = i == 1 || new <= 7;
            assert_eq!(said["accepted"], accepted, "{said}");
            [&mut row.ours, &mut row.bare, &mut row.before][i].push(took);
        }
        // A minute of measuring must not make the state stale.
        *answer.lock().unwrap() = list(gateways);
    }
    row
}

/// Prints the table; the budgets that were missed.
pub fn run() -> Vec<String> {
    let before = std::env::var("BENCH_BEFORE").ok();
    let modules = Modules {
        ours: compile("dist/policy.wasm"),
        bare: compile("target/bare/bare_policy.wasm"),
        before: before.as_deref().map(compile),
    };
    let both = &modules;
    for (name, path) in
        [("policy.wasm", "dist/policy.wasm"), ("bare policy", "target/bare/bare_policy.wasm")]
    {
        println!("{name}: {} bytes", std::fs::metadata(root(path)).unwrap().len());
    }
    println!(
        "\none admission, object of 4 KiB, medians of interleaved calls; a new instance each time"
    );
    let mut over = Vec::new();
    let mut budget = |what: &str, is_kept: bool| {
        if !is_kept {
            over.push(what.to_owned());
        }
    };
    let fresh = |name: &str, rounds: usize, gateways: usize, new: i64| {
        measure(name, rounds, both, gateways, new, false).print()
    };
    let (_, ratio) = fresh("a lowering (no look-up)", 300, 1, 6);
    budget("a lowering: 2 × the bare policy", ratio <= 2.0);
    let (_, ratio) = fresh("refused, 1 gateway", 300, 1, 8);
    budget("1 gateway: 2 × the bare policy", ratio <= 2.0);
    for gateways in [10, 100] {
        fresh(&format!("refused, {gateways} gateways"), 100, gateways, 8);
    }
    let (thousand, _) = fresh("refused, 1000 gateways", 40, 1_000, 8);
    budget("1,000 gateways: 5 ms", thousand <= Duration::from_millis(5));
    println!("\nthe module's own work, by an instance that is kept");
    let warm = |name: &str, rounds: usize, gateways: usize, new: i64| {
        measure(name, rounds, both, gateways, new, true).print()
    };
    let (lower, ratio) = warm("a lowering (no look-up)", 500, 1, 6);
    budget("a lowering: 100 µs", lower <= Duration::from_micros(100));
    budget("a lowering, a kept instance: 2 × the bare policy", ratio <= 2.0);
    let (one, ratio) = warm("refused, 1 gateway", 500, 1, 8);
    budget("1 gateway: 100 µs", one <= Duration::from_micros(100));
    budget("1 gateway, a kept instance: 2 × the bare policy", ratio <= 2.0);
    for gateways in [10, 100, 1_000] {
        warm(&format!("refused, {gateways} gateways"), 40, gateways, 8);
    }
    over
}
