//! Drives a scenario: traffic, ticks, call-outs and steps in virtual time.

use super::format::{Probe, Scenario, Traffic};
use super::neighbours::Neighbours;
use super::report::Report;
use super::setup::plugins;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::module::CompiledModule;
use crate::policy_host::{PolicyHost, Verdict};
use crate::proxy_host::http::{self, Reply, Response};
use crate::proxy_host::{Outcome, Proxy};
use anyhow::{bail, Context, Result};
use gate::slice::Slice;
use gate::verdict::config_map_name;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

mod steps;

/// Resolution of the simulation.
const QUANTUM: Duration = Duration::from_millis(250);
/// The launchd job's period, seconds.
const FACTS_EVERY_S: u64 = 30;
/// How long a pending request may stay so before the run gives up on it.
const PATIENCE_S: u64 = 15;

/// Both modules, compiled once.
pub struct Modules {
    pub filter: CompiledModule,
    pub policy: CompiledModule,
}

impl Modules {
    /// Loads `policy.wasm` and `proxy-filter.wasm` from a directory.
    ///
    /// # Errors
    /// A file is missing or no module.
    pub fn load(dist: &Path) -> Result<Self> {
        Ok(Self {
            filter: CompiledModule::load(&dist.join("proxy-filter.wasm"))?,
            policy: CompiledModule::load(&dist.join("policy.wasm"))?,
        })
    }
}

/// A gateway, a cluster and a policy, in one virtual time.
pub struct Simulation {
    clock: Clock,
    proxy: Proxy,
    policy: PolicyHost,
    cluster: Arc<Mutex<Cluster>>,
    settings: Value,
    tokens: BTreeMap<String, String>,
    namespace: String,
    gateway: String,
    probe: Probe,
    endpoint: usize,
    elapsed: Duration,
    traffic: BTreeMap<Slice, (Traffic, Source)>,
    facts: Option<Value>,
    facts_put_at: Option<u64>,
    next_worker: usize,
    /// GETs of the gateway's own ConfigMap that the filter sent.
    reads: u64,
    /// The servers beside the API server.
    pub around: Neighbours,
    /// How long the API server takes to answer what it has done already. A plugin
    /// whose time-out is shorter never sees the answer.
    pub api_delay: Duration,
    /// Calls of which the answer, or the end of the plugin's patience, is still to come.
    late: Vec<(Duration, http::OutCall, Option<Reply>)>,
    tolerates_traps: bool,
}

/// Where a slice's traffic stands: what is owed, and counts for the pattern.
#[derive(Clone, Copy, Debug, Default)]
struct Source {
    owed: f64,
    errors_owed: f64,
    sent: u64,
}

impl Simulation {
    /// # Errors
    /// The configuration is refused, or a module does not start.
    pub fn start(modules: &Modules, scenario: &Scenario) -> Result<Self> {
        let clock = Clock::at(scenario.start);
        let cluster = Arc::new(Mutex::new(Cluster::default()));
        scenario.objects.iter().for_each(|o| lock(&cluster).put(o.clone()));
        let policy = PolicyHost::start(&modules.policy, clock.clone(), Arc::clone(&cluster))?;
        let settings = scenario.policy.settings.clone();
        if let Err(why) = policy.validate_settings(&serde_json::to_vec(&settings)?)? {
            bail!("policy settings: {why}");
        }
        let g = &scenario.gateway;
        let text = |pointer: &str| {
            let value = g.configuration.pointer(pointer).and_then(Value::as_str);
            value.map(str::to_owned).with_context(|| format!("gateway.configuration: no {pointer}"))
        };
        let plugins = plugins(scenario);
        let api_server = text("/publish/cluster").unwrap_or_default();
        let notifier = text("/notifier/cluster").unwrap_or_default();
        let queue = text("/queue/cluster").unwrap_or_default();
        let clusters = [api_server.as_str(), notifier.as_str(), queue.as_str()];
        let proxy = Proxy::start(&modules.filter, clock.clone(), g.workers, plugins, &clusters)?;
        Ok(Self {
            endpoint: match g.probe {
                Probe::AccessLogger => 2,
                Probe::HttpFilter => 1,
            },
            namespace: text("/lane/namespace")?,
            gateway: text("/gateway/id")?,
            clock,
            proxy,
            policy,
            cluster,
            settings,
            tokens: g.tokens.iter().map(|t| (t.name.clone(), t.token.clone())).collect(),
            probe: g.probe,
            elapsed: Duration::ZERO,
            traffic: BTreeMap::new(),
            facts: None,
            facts_put_at: None,
            next_worker: 0,
            reads: 0,
            around: Neighbours::new(notifier, queue),
            api_delay: Duration::ZERO,
            late: Vec::new(),
            tolerates_traps: false,
        })
    }

    pub fn cluster(&self) -> MutexGuard<'_, Cluster> {
        lock(&self.cluster)
    }

    /// Traps end a VM from here on, and not the run: requests go on as a proxy
    /// would let them.
    pub fn tolerate_traps(&mut self) {
        self.tolerates_traps = true;
    }

    pub fn proxy(&mut self) -> &mut Proxy {
        &mut self.proxy
    }

    pub fn set_traffic(&mut self, slice: Slice, traffic: Traffic) {
        let source = self.traffic.get(&slice).map(|t| t.1).unwrap_or_default();
        self.traffic.insert(slice, (traffic, source));
    }

    /// Node facts from here on; `at` is filled in.
    pub fn set_facts(&mut self, facts: Option<Value>) {
        self.facts = facts;
        self.facts_put_at = None;
    }

    /// Seconds since the start.
    pub fn elapsed_s(&self) -> u64 {
        self.elapsed.as_secs()
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What the policy says of an edit of the object that the cluster holds.
    ///
    /// # Errors
    /// The policy traps.
    pub fn admit(&self, request: &Value) -> Result<Verdict> {
        self.policy.validate(&self.settings, request)
    }

    /// # Errors
    /// A probe traps, or facts are refused.
    pub fn run_to(&mut self, at_s: u64) -> Result<()> {
        while self.elapsed < Duration::from_secs(at_s) {
            self.quantum()?;
        }
        Ok(())
    }

    fn quantum(&mut self) -> Result<()> {
        self.clock.advance(QUANTUM);
        self.elapsed += QUANTUM;
        self.send_traffic()?;
        self.send_facts()?;
        self.proxy.tick();
        self.deliver_calls()?;
        let traps = self.proxy.traps();
        if !traps.is_empty() && !self.tolerates_traps {
            bail!("a VM trapped: {}", traps.join("; "));
        }
        Ok(())
    }

    fn send_traffic(&mut self) -> Result<()> {
        let mut requests = Vec::new();
        for (slice, (traffic, source)) in &mut self.traffic {
            source.owed += f64::from(traffic.per_minute) * QUANTUM.as_secs_f64() / 60.0;
            while source.owed >= 1.0 {
                source.owed -= 1.0;
                source.sent += 1;
                source.errors_owed += f64::from(traffic.errors_per_mille) / 1000.0;
                let error = source.errors_owed >= 1.0;
                if error {
                    source.errors_owed -= 1.0;
                }
                // Latencies spread over the fifth below the stated value.
                let spread = source.sent * 7919 % 200;
                let ms = match traffic.slow_ms {
                    Some(slow) if source.sent % 50 == 0 => slow,
                    _ => traffic.latency_ms,
                };
                requests.push((
                    *slice,
                    Response::upstream(if error { 500 } else { 200 }, ms * (1000 - spread)),
                ));
            }
        }
        for (slice, response) in requests {
            self.next_worker = (self.next_worker + 1) % self.proxy.workers();
            let request =
                http::Request::new("POST", "/v1/build").header("x-openclaw-slice", slice.name());
            match self.probe {
                Probe::AccessLogger => {
                    let logger = Slice::ALL.iter().position(|s| *s == slice).unwrap_or(0);
                    let logged =
                        self.proxy.log(self.next_worker, logger, &request, Some(&response));
                    self.unless_tolerated(logged)?;
                }
                Probe::HttpFilter => {
                    // Requests overlap in life; here their time must not add up.
                    let quick = Response { duration_us: response.duration_us / 1000, ..response };
                    let sent = self.proxy.request(self.next_worker, 0, &request, Some(&quick));
                    self.unless_tolerated(sent)?;
                }
            }
        }
        Ok(())
    }

    fn send_facts(&mut self) -> Result<()> {
        let now_s = self.elapsed.as_secs();
        let due = self.facts_put_at.is_none_or(|at| now_s >= at + FACTS_EVERY_S);
        let Some(body) = self.facts.clone().filter(|_| due) else {
            return Ok(());
        };
        self.facts_put_at = Some(now_s);
        let mut body = body;
        body["at"] = self.clock.now().to_string().into();
        let token =
            self.tokens.get("facts").context("tokens: facts need a token named `facts`")?.clone();
        let request =
            http::Request::new("PUT", "/keda/facts").bearer(&token).body(body.to_string());
        match self.proxy.request(self.next_worker, self.endpoint, &request, None) {
            Ok(Outcome::Answered(r)) if r.status == 204 => Ok(()),
            Ok(other) => bail!("facts were refused: {other:?}"),
            Err(trap) => self.unless_tolerated::<()>(Err(trap)),
        }
    }

    fn unless_tolerated<T>(&self, done: Result<T>) -> Result<()> {
        match done {
            Err(trap) if !self.tolerates_traps => Err(trap),
            _ => Ok(()),
        }
    }

    fn deliver_calls(&mut self) -> Result<()> {
        for call in self.proxy.take_calls() {
            let (method, path) = (call.header(":method"), call.header(":path"));
            let (answer, delay) = match self.around.answer(&call)? {
                Some(answer) => (answer, Duration::ZERO),
                None => {
                    let name = config_map_name(&self.gateway);
                    let is_own = path.ends_with(&format!("/configmaps/{name}"));
                    self.reads += u64::from(method == "GET" && is_own);
                    let content_type = call.header("content-type");
                    let done = lock(&self.cluster).http(&method, &path, &content_type, &call.body);
                    (done, self.api_delay)
                }
            };
            let reply = Reply { status: answer.status, body: serde_json::to_vec(&answer.body)? };
            let reply = (delay < call.timeout).then_some(reply);
            self.late.push((self.elapsed + delay.min(call.timeout), call, reply));
        }
        let is_due = |(at, _, _): &mut (Duration, _, _)| *at <= self.elapsed;
        for (_, call, reply) in self.late.extract_if(.., is_due).collect::<Vec<_>>() {
            let replied = self.proxy.reply(&call, reply.as_ref());
            self.unless_tolerated(replied)?;
        }
        Ok(())
    }

    /// Runs until the gateway's own ConfigMap was read, and not further.
    ///
    /// # Errors
    /// A VM traps, or it is never read.
    pub fn run_until_read(&mut self) -> Result<()> {
        for _ in 0..PATIENCE_S * 4 {
            let before = self.reads;
            self.quantum()?;
            if self.reads > before {
                return Ok(());
            }
        }
        bail!("the ConfigMap was not read within {PATIENCE_S} s")
    }

    /// A request to a management endpoint, with its answer, which may take its time.
    ///
    /// # Errors
    /// The endpoint traps or never answers.
    pub fn manage(&mut self, request: &http::Request) -> Result<Response> {
        let mut outcome = self.begin(request)?;
        for _ in 0..PATIENCE_S * 4 {
            if let Outcome::Answered(response) = outcome {
                return Ok(response);
            }
            self.quantum()?;
            self.poll(&mut outcome)?;
        }
        bail!("no answer within {PATIENCE_S} s")
    }

    /// Sends a request to a management endpoint and lets no time pass.
    ///
    /// # Errors
    /// The endpoint traps.
    pub fn begin(&mut self, request: &http::Request) -> Result<Outcome> {
        self.next_worker = (self.next_worker + 1) % self.proxy.workers();
        self.proxy.request(self.next_worker, self.endpoint, request, None)
    }

    /// Takes the answer of a request that waits for one, where it is there by now.
    ///
    /// # Errors
    /// The endpoint ended the stream without an answer.
    pub fn poll(&mut self, outcome: &mut Outcome) -> Result<()> {
        if let Outcome::Pending(pending) = outcome {
            if let Some(response) = self.proxy.answer(*pending)? {
                *outcome = Outcome::Answered(response);
            }
        }
        Ok(())
    }
}

fn lock(cluster: &Mutex<Cluster>) -> MutexGuard<'_, Cluster> {
    cluster.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a scenario from its start to its last step.
///
/// # Errors
/// Something other than an expectation failed: a trap, a file, a configuration.
pub fn run(modules: &Modules, scenario: &Scenario) -> Result<Report> {
    let mut simulation = Simulation::start(modules, scenario)?;
    let mut lines = Vec::new();
    for step in &scenario.steps {
        simulation.run_to(step.at).with_context(|| format!("before the step at {} s", step.at))?;
        lines.push(
            simulation.perform(step).with_context(|| format!("in the step at {} s", step.at))?,
        );
    }
    Ok(Report { scenario: scenario.name.clone(), about: scenario.about.clone(), lines })
}
