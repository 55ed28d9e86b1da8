//! What the filter costs in a real Envoy: CPU per request of one worker that
//! answers directly.
//!
//! Machines are noisy, so every way is loaded in turns within each round, and
//! what counts is the ratio, within a round, of what it adds over no filter to
//! what an empty HTTP filter built with the SDK adds. CPU time is the
//! scheduler's (`/proc/PID/task/*/schedstat`), so who sends the requests and
//! how fast is of no interest.

use serde_json::{json, Value};
use std::fs;
use std::path::PathBuf;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};
use tests::client::{pour, Asked};
use tests::envoy::spawn;
use tests::root;
use tests::servers::free_port;

const ROUNDS: usize = 21;
const REQUESTS: usize = 40_000;

/// The same job in Envoy's own script: time to the response headers, status,
/// counts and a log-linear histogram.
const LUA: &str = r"
local counts = { requests = 0, errors = 0 }
local bins = {}
function envoy_on_request(handle)
  handle:streamInfo():dynamicMetadata():set('canary', 'begun', handle:timestamp())
end
function envoy_on_response(handle)
  local begun = handle:streamInfo():dynamicMetadata():get('canary')['begun']
  local us = (handle:timestamp() - begun) * 1000
  local status = tonumber(handle:headers():get(':status'))
  counts.requests = counts.requests + 1
  if status >= 500 then counts.errors = counts.errors + 1 end
  local power = math.floor(math.log(math.max(us, 64)) / math.log(2))
  local bin = power * 64 + math.floor(us / 2 ^ (power - 6))
  bins[bin] = (bins[bin] or 0) + 1
end
";

/// What is loaded on the listener.
enum Way {
    Nothing,
    Filters(Value),
    Logger(Value),
}

fn wasm(module: &str, configuration: &Value) -> Value {
    let text = |value: String| json!({ "@type": "type.googleapis.com/google.protobuf.StringValue", "value": value });
    json!({
        "name": "probe", "root_id": "probe",
        "vm_config": {
            "vm_id": "bench", "runtime": "envoy.wasm.runtime.v8",
            "code": { "local": { "filename": fs::canonicalize(root(module)).unwrap_or_else(|e| panic!("{module}: {e}; `make bench` builds it")).display().to_string() } },
            "configuration": text("probe".into()),
        },
        "configuration": text(configuration.to_string()),
    })
}

fn filter(name: &str, kind: &str, body: Value) -> Value {
    let mut config = body;
    config["@type"] = format!("type.googleapis.com/envoy.extensions.filters.http.{kind}").into();
    json!({ "name": name, "typed_config": config })
}

fn ways() -> Vec<(&'static str, Way)> {
    let probe = json!({
        "role": "probe", "slice": { "fixed": "canary" }, "gateway": { "id": "gw-a1", "az": "a" },
        "lane": { "name": "l", "namespace": "n", "stable_replicas": 1 }
    });
    let as_filter = |module, configuration: &Value| {
        Way::Filters(filter(
            "probe",
            "wasm.v3.Wasm",
            json!({ "config": wasm(module, configuration) }),
        ))
    };
    let logger = json!({
        "name": "envoy.access_loggers.wasm",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.wasm.v3.WasmAccessLog",
            "config": wasm("dist/proxy-filter.wasm", &probe),
        }
    });
    let lua = json!({ "default_source_code": { "inline_string": LUA } });
    vec![
        ("no filter", Way::Nothing),
        ("empty SDK filter", as_filter("target/bare/bare_filter.wasm", &json!({}))),
        ("access logger", Way::Logger(logger)),
        ("HTTP filter", as_filter("dist/proxy-filter.wasm", &probe)),
        ("Lua filter", Way::Filters(filter("lua", "lua.v3.Lua", lua))),
    ]
}

/// An Envoy with one worker and a way loaded.
struct Subject {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Subject {
    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(name: &str, way: Way) -> Subject {
    let (port, admin) = (free_port(), free_port());
    let address =
        |port: u16| json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } });
    let mut filters = vec![filter("router", "router.v3.Router", json!({}))];
    let mut loggers = vec![];
    match way {
        Way::Nothing => {}
        Way::Filters(one) => filters.insert(0, one),
        Way::Logger(one) => loggers.push(one),
    }
    let config = json!({
        "admin": { "address": address(admin) },
        "static_resources": { "listeners": [{
            "address": address(port),
            "filter_chains": [{ "filters": [{
                "name": "hcm",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                    "stat_prefix": "bench", "http_filters": filters, "access_log": loggers,
                    "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"],
                        "routes": [{ "match": { "prefix": "/" }, "direct_response": { "status": 200 } }] }] },
                }
            }] }],
        }] },
    });
    let dir = root("target/envoy");
    fs::create_dir_all(&dir).expect("a directory");
    let file = dir.join(format!("bench-{port}.json"));
    fs::write(&file, config.to_string()).expect("the configuration");
    let log = dir.join(format!("bench-{port}.log"));
    let child = spawn(&file, 1, &["--use-dynamic-base-id"], &log);
    let subject = Subject { child, port, log };
    let begun = Instant::now();
    while ureq::get(format!("http://127.0.0.1:{admin}/ready")).call().is_err() {
        let late = begun.elapsed() > Duration::from_secs(30);
        assert!(!late, "{name}: no Envoy: {}", subject.log());
        thread::sleep(Duration::from_millis(100));
    }
    subject
}

/// CPU time of a process, nanoseconds.
fn cpu_ns(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process");
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .sum()
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Lower quartile, median and upper quartile.
fn quartiles(values: &[f64]) -> [f64; 3] {
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}

/// Prints the table; the budgets that were missed.
pub fn run() -> Vec<String> {
    let subjects: Vec<(&str, Subject)> =
        ways().into_iter().map(|(name, way)| (name, start(name, way))).collect();
    let requests: Vec<Asked> = vec![(true, "/v1/build".to_owned()); REQUESTS];
    let load = |subject: &Subject| {
        let before = cpu_ns(subject.child.id());
        pour(subject.port, &requests, 16);
        (cpu_ns(subject.child.id()) - before) as f64 / 1e3 / REQUESTS as f64
    };
    subjects.iter().for_each(|(_, s)| {
        load(s);
    });
    // By round, then by way: µs per request.
    let rounds: Vec<Vec<f64>> = (0..ROUNDS)
        .map(|round| {
            let mut us = vec![0.0; subjects.len()];
            // Another one begins each round.
            for i in 0..subjects.len() {
                let i = (i + round) % subjects.len();
                us[i] = load(&subjects[i].1);
            }
            us
        })
        .collect();
    for (name, subject) in &subjects {
        assert!(!subject.log().contains("[error]"), "{name}: {}", subject.log());
    }
    println!("\nCPU per request of an Envoy with one worker, direct response, {ROUNDS} interleaved rounds of {REQUESTS} requests a way");
    let mut over = vec![];
    let mut medians = vec![];
    for (i, (name, _)) in subjects.iter().enumerate() {
        let [_, us, _] = quartiles(&sorted(rounds.iter().map(|r| r[i])));
        let [_, adds, _] = quartiles(&sorted(rounds.iter().map(|r| r[i] - r[0])));
        let ratios = sorted(rounds.iter().map(|r| (r[i] - r[0]) / (r[1] - r[0])));
        let [low, ratio, high] = quartiles(&ratios);
        println!("{name:<18} {us:>6.1} µs   adds {adds:>5.1} µs   {ratio:.2} × the empty filter (quartiles {low:.2} to {high:.2})");
        medians.push(ratio);
    }
    for (i, most) in [(2, 1.2), (3, 1.6)] {
        if medians[i] > most {
            over.push(format!("{}: {most} × what the empty SDK filter adds", subjects[i].0));
        }
        if medians[i] >= medians[4] {
            over.push(format!("{}: below the Lua filter", subjects[i].0));
        }
    }
    over
}
