//! A real Envoy on one of the shipped configurations, with ports, files and
//! periods of the test.

use crate::root;
use harness::scenario::setup::digest;
use serde_json::{json, Value};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What a test wants of its Envoy.
pub struct Setup {
    /// File below `deploy/envoy/`.
    pub configuration: &'static str,
    pub workers: u32,
    pub canary_port: u16,
    pub stable_port: u16,
    pub api_port: u16,
    pub notifier_port: u16,
    pub windows: Value,
    /// `queue` of the endpoint, and the port of its cluster `queue`.
    pub queue: Option<(Value, u16)>,
    /// Whether the probes look at grpc-status.
    pub grpc: bool,
    /// What else is changed, in the whole configuration.
    pub change: fn(&mut Value),
    /// Another way for the probe to tell slices.
    pub slice: Option<Value>,
    /// Certificate and key of the management listener; without, it speaks plain HTTP.
    pub management_tls: Option<[PathBuf; 2]>,
    /// Root of the API server's certificate and the file of the gateway's token;
    /// without, it is asked in plain HTTP.
    pub api_tls: Option<[PathBuf; 2]>,
    /// Seconds that the clock of its machine is wrong.
    pub clock_off_s: i64,
    /// Modules of the two roles.
    pub endpoint_wasm: PathBuf,
    pub probe_wasm: PathBuf,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            configuration: "access-logger.yaml",
            workers: 1,
            canary_port: 0,
            stable_port: 0,
            api_port: 0,
            notifier_port: 0,
            windows: json!({ "length_s": 10, "poll_s": 2, "tick_s": 1 }),
            queue: None,
            grpc: false,
            change: |_| {},
            slice: None,
            management_tls: None,
            api_tls: None,
            clock_off_s: 0,
            endpoint_wasm: root("dist/proxy-filter.wasm"),
            probe_wasm: root("dist/proxy-filter.wasm"),
        }
    }
}

/// One Envoy at a time: they would measure each other.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub struct Envoy {
    child: Child,
    file: PathBuf,
    workers: u32,
    pub vip: u16,
    pub management: u16,
    pub admin: u16,
    log: PathBuf,
    agent: ureq::Agent,
}

pub const TOKENS: [(&str, &str); 4] = [
    ("keda", "test-keda-8d1f0c64b2a94e57"),
    ("bastion", "test-bastion-51c0e9b7d3f84a26"),
    ("facts", "test-facts-e0b64a1c97d24f38"),
    ("ops", "test-ops-2f97c5d8a0e14b63"),
];

pub fn token(name: &str) -> &'static str {
    TOKENS.iter().find(|t| t.0 == name).expect("a token of that name").1
}

/// An answer of a server.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

impl Envoy {
    /// # Panics
    /// Where Envoy does not come up; its log is part of the message.
    pub fn start(setup: &Setup) -> Self {
        let (vip, management, admin) =
            (crate::servers::free_port(), crate::servers::free_port(), crate::servers::free_port());
        let text = fs::read_to_string(root("deploy/envoy").join(setup.configuration))
            .expect("the configuration");
        let mut config: Value = serde_yaml_ng::from_str(&text).expect("YAML");
        // Anchors of YAML are resolved by now; the merge keys of it are not used.
        patch(&mut config, setup, vip, management, admin);
        (setup.change)(&mut config);
        let dir = root("target/envoy");
        fs::create_dir_all(&dir).expect("a directory");
        let file = dir.join(format!("{}-{vip}.json", setup.configuration));
        fs::write(&file, config.to_string()).expect("the patched configuration");
        let log = dir.join(format!("{}-{vip}.log", setup.configuration));
        let mut command = command(&file, setup.workers, &restarts(vip, 0), &log);
        if setup.clock_off_s != 0 {
            let own = std::env::current_exe().expect("this program");
            let clock = own.with_file_name("libskewed_clock.so");
            assert!(clock.exists(), "no {}: cargo build -p skewed-clock", clock.display());
            command.env("LD_PRELOAD", clock).env("SKEWED_CLOCK_S", setup.clock_off_s.to_string());
        }
        let child = command.spawn().expect("Envoy starts");
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .build()
            .new_agent();
        let workers = setup.workers;
        let mut envoy = Self { child, file, workers, vip, management, admin, log, agent };
        let begun = Instant::now();
        loop {
            let ready = envoy.agent.get(format!("http://127.0.0.1:{admin}/ready")).call();
            if ready.is_ok_and(|r| r.status() == 200) {
                return envoy;
            }
            let ended = envoy.child.try_wait().expect("a status");
            assert!(
                ended.is_none() && begun.elapsed() < Duration::from_secs(30),
                "Envoy did not come up: {}",
                envoy.log()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// A second process that takes over the listeners of this one, which drains
    /// for two seconds and ends after four.
    pub fn hot_restart(&self) -> Self {
        let log = self.log.with_extension("next.log");
        let child = spawn(&self.file, self.workers, &restarts(self.vip, 1), &log);
        let (file, agent) = (self.file.clone(), self.agent.clone());
        Self { child, file, log, agent, ..*self }
    }

    /// Waits for the process to end by itself.
    ///
    /// # Panics
    /// Where it does not within 30 s.
    pub fn wait_for_end(&mut self) {
        let begun = Instant::now();
        while self.child.try_wait().expect("a status").is_none() {
            assert!(begun.elapsed() < Duration::from_secs(30), "it goes on: {}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Memory of the process, KiB.
    ///
    /// # Panics
    /// Where there is no such process, or no procfs.
    pub fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the process");
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// The file that it was started with.
    pub fn configuration(&self) -> &Path {
        &self.file
    }

    /// The node is well, and says so.
    ///
    /// # Panics
    /// Where that is not taken.
    pub fn put_facts(&self) {
        let answer = self.put("/keda/facts", "facts", &crate::well());
        assert_eq!(answer.status, 204, "{answer:?}");
    }

    pub fn whole_log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Whether a VM trapped in a callback, by Envoy's log; "" is any.
    pub fn trapped_in(&self, callback: &str) -> bool {
        // Envoy writes its log every 100 ms.
        thread::sleep(Duration::from_millis(300));
        let in_it = |l: &str| l.contains(&format!("proxy_on_{callback}")) && l.contains("Uncaught");
        self.whole_log().lines().any(in_it)
    }

    /// The last lines of Envoy's log.
    pub fn log(&self) -> String {
        let log = self.whole_log();
        log.lines()
            .rev()
            .take(40)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// One request on the VIP, for the canary or for stable. The status; 0 where there was no answer.
    pub fn send(&self, canary: bool, path: &str) -> u16 {
        self.send_by(&self.agent, canary, path)
    }

    /// The same over a connection of its own: one that was kept open may be closed by a
    /// listener that drains, just when a request is on its way.
    pub fn send_anew(&self, canary: bool, path: &str) -> u16 {
        let once = ureq::Agent::new_with_config(self.agent.config().clone());
        self.send_by(&once, canary, path)
    }

    fn send_by(&self, agent: &ureq::Agent, canary: bool, path: &str) -> u16 {
        let host = if canary { "canary.gw.example.com" } else { "gw.example.com" };
        agent
            .get(format!("http://127.0.0.1:{}{path}", self.vip))
            .header("host", host)
            .call()
            .map_or(0, |mut r| {
                let _ = r.body_mut().read_to_string();
                r.status().as_u16()
            })
    }

    /// Many requests on the VIP over several connections; for each, whether it
    /// was the canary's and how long the client waited, milliseconds.
    pub fn send_all(&self, requests: &[(bool, String)]) -> Vec<(bool, f64)> {
        let part = |part: &[(bool, String)]| -> Vec<(bool, f64)> {
            let timed = part.iter().map(|(canary, path)| {
                let begun = Instant::now();
                self.send(*canary, path);
                (*canary, begun.elapsed().as_secs_f64() * 1000.0)
            });
            timed.collect()
        };
        thread::scope(|scope| {
            let threads: Vec<_> = requests
                .chunks(requests.len().div_ceil(8))
                .map(|requests| scope.spawn(move || part(requests)))
                .collect();
            threads.into_iter().flat_map(|t| t.join().expect("a client")).collect()
        })
    }

    pub fn get(&self, path: &str, as_: &str) -> Answer {
        let request = self
            .agent
            .get(self.url(path))
            .header("authorization", format!("Bearer {}", token(as_)));
        answer(request.call())
    }

    /// A PUT to an endpoint that arms a trap, in the instrumented module.
    pub fn trap(&self, callback: &str) -> Answer {
        let request = self.agent.put(self.url("/keda/facts")).header("x-trap", callback);
        answer(request.header("authorization", format!("Bearer {}", token("facts"))).send("{}"))
    }

    /// A request of the canary on the VIP that arms a trap in a probe.
    pub fn trap_probe(&self, callback: &str) -> Answer {
        let request = self.agent.get(format!("http://127.0.0.1:{}/200/1", self.vip));
        let request = request.header("host", "canary.gw.example.com").header("x-trap", callback);
        answer(request.call())
    }

    /// A gauge of Envoy's own statistics, as a scrape of its admin port sees it.
    pub fn gauge(&self, name: &str) -> Option<u64> {
        let url = format!("http://127.0.0.1:{}/stats?filter={name}", self.admin);
        let text = answer(self.agent.get(url).call()).body;
        text.lines().find_map(|l| l.rsplit_once(": ")?.1.trim().parse().ok())
    }

    pub fn put(&self, path: &str, as_: &str, body: &Value) -> Answer {
        let request = self
            .agent
            .put(self.url(path))
            .header("authorization", format!("Bearer {}", token(as_)));
        answer(request.send(body.to_string()))
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.management)
    }

    pub fn agent(&self) -> &ureq::Agent {
        &self.agent
    }

    /// Polls the document until it satisfies a condition.
    ///
    /// # Panics
    /// After `seconds`, with the last document.
    pub fn wait_for(&self, seconds: u64, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let answer = self.get("/keda/metrics", "bastion");
            if answer.status == 200 && condition(&answer.json()) {
                return answer.json();
            }
            assert!(
                begun.elapsed() < Duration::from_secs(seconds),
                "{what} did not come within {seconds} s: {answer:?}\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(200));
        }
    }
}

/// Processes of one gateway find each other by the base id, and no others.
fn restarts(vip: u16, epoch: u32) -> [String; 8] {
    let (base, epoch) = (vip.to_string(), epoch.to_string());
    let short = ["--drain-time-s", "2", "--parent-shutdown-time-s", "4"].map(str::to_owned);
    let [a, b, c, d] = short;
    ["--base-id".into(), base, "--restart-epoch".into(), epoch, a, b, c, d]
}

/// An Envoy on a configuration file, which ends when this process does.
///
/// # Panics
/// Where there is no Envoy.
pub fn spawn(file: &Path, workers: u32, options: &[impl AsRef<OsStr>], log: &Path) -> Child {
    command(file, workers, options, log).spawn().expect("Envoy starts")
}

fn command(file: &Path, workers: u32, options: &[impl AsRef<OsStr>], log: &Path) -> Command {
    let binary = root(".tools/envoy");
    assert!(binary.exists(), "no Envoy: run `scripts/setup.sh envoy`");
    let mut command = Command::new(&binary);
    command
        .arg("-c")
        .arg(file)
        .args(["--concurrency", &workers.to_string()])
        .args(["--file-flush-interval-msec", "100"])
        .args(options)
        .arg("--log-path")
        .arg(log)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    crate::servers::end_with_parent(&mut command);
    command
}

pub fn answer(result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
    match result {
        Ok(mut r) => Answer {
            status: r.status().as_u16(),
            body: r.body_mut().read_to_string().unwrap_or_default(),
        },
        Err(e) => Answer { status: 0, body: e.to_string() },
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        self.kill();
    }
}

fn patch(config: &mut Value, setup: &Setup, vip: u16, management: u16, admin: u16) {
    set_port(&mut config["admin"]["address"], admin);
    for listener in config["static_resources"]["listeners"].as_array_mut().expect("listeners") {
        let port = if listener["name"] == "vip" { vip } else { management };
        set_port(&mut listener["address"], port);
        let chain = &mut listener["filter_chains"][0];
        match &setup.management_tls {
            Some([certificate, key]) if chain.get("transport_socket").is_some() => {
                let tls = &mut chain["transport_socket"]["typed_config"]["common_tls_context"]
                    ["tls_certificates"][0];
                tls["certificate_chain"]["filename"] = certificate.display().to_string().into();
                tls["private_key"]["filename"] = key.display().to_string().into();
            }
            _ => without(chain, "transport_socket"),
        }
    }
    for cluster in config["static_resources"]["clusters"].as_array_mut().expect("clusters") {
        let port = match cluster["name"].as_str() {
            Some("canary") => setup.canary_port,
            Some("stable") => setup.stable_port,
            Some("notifier") => setup.notifier_port,
            Some("envoy-admin") => admin,
            _ => setup.api_port,
        };
        let endpoint =
            &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
        set_port(&mut endpoint["address"], port);
        match &setup.api_tls {
            Some([root, token]) if cluster["name"] == "kube-apiserver" => {
                let tls = &mut cluster["transport_socket"]["typed_config"]["common_tls_context"];
                tls["validation_context"]["trusted_ca"]["filename"] =
                    root.display().to_string().into();
                let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
                let injector =
                    &mut cluster["typed_extension_protocol_options"][options]["http_filters"][0];
                let secret =
                    &mut injector["typed_config"]["credential"]["typed_config"]["credential"];
                secret["sds_config"]["path_config_source"]["path"] =
                    token.display().to_string().into();
            }
            _ => {
                without(cluster, "transport_socket");
                without(cluster, "typed_extension_protocol_options");
            }
        }
    }
    if let Some((_, port)) = &setup.queue {
        let mut cluster = config["static_resources"]["clusters"][1].clone();
        cluster["name"] = "queue".into();
        cluster["load_assignment"]["cluster_name"] = "queue".into();
        let endpoint =
            &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
        set_port(&mut endpoint["address"], *port);
        config["static_resources"]["clusters"].as_array_mut().expect("clusters").push(cluster);
    }
    plugins(config, &mut |plugin| {
        let mut inner: Value = plugin["configuration"]["value"]
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok())
            .expect("the plugin's configuration");
        inner["windows"] = setup.windows.clone();
        let endpoint = inner["role"] == "endpoint";
        if let Some(slice) = setup.slice.as_ref().filter(|_| !endpoint) {
            inner["slice"] = slice.clone();
        }
        if setup.grpc && !endpoint {
            inner["slice"]["grpc"] = true.into();
        }
        if endpoint {
            inner["workers"] = json!(setup.workers);
            if let Some((queue, _)) = &setup.queue {
                inner["queue"] = queue.clone();
            }
            for t in inner["tokens"].as_array_mut().expect("tokens") {
                t["digest"] = digest(token(t["name"].as_str().expect("a name"))).into();
            }
        }
        plugin["configuration"]["value"] = inner.to_string().into();
        let wasm = if endpoint { &setup.endpoint_wasm } else { &setup.probe_wasm };
        let wasm = fs::canonicalize(wasm).expect("the module; run `make wasm` first");
        plugin["vm_config"]["code"]["local"]["filename"] = wasm.display().to_string().into();
    });
}

fn without(value: &mut Value, key: &str) {
    if let Some(map) = value.as_object_mut() {
        map.remove(key);
    }
}

fn set_port(address: &mut Value, port: u16) {
    address["socket_address"]["address"] = "127.0.0.1".into();
    address["socket_address"]["port_value"] = port.into();
}

/// Calls `change` with every plugin configuration below a value.
pub fn plugins(value: &mut Value, change: &mut impl FnMut(&mut Value)) {
    if value.get("vm_config").is_some() {
        change(value);
        return;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|v| plugins(v, change)),
        Value::Object(map) => map.values_mut().for_each(|v| plugins(v, change)),
        _ => {}
    }
}
