//! A pool of policy instances, each on a thread of its own: an instance takes
//! one request at a time, and its look-ups block.

use super::lookups::Lookups;
use crate::policy_host::Verdict;
use anyhow::{anyhow, bail, Context, Result};
use serde_json::{json, Value};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;
use wapc::WapcHost;
use wasmtime_provider::wasmtime::{Config, Engine, Module};
use wasmtime_provider::{EpochDeadlines, WasmtimeEngineProviderBuilder, WasmtimeEngineProviderPre};

/// How often the clock of evaluations ticks.
const EPOCH: Duration = Duration::from_millis(10);

struct Job {
    operation: &'static str,
    payload: Vec<u8>,
    answer: oneshot::Sender<Result<Vec<u8>>>,
}

pub struct Instances {
    jobs: Sender<Job>,
}

impl Instances {
    /// # Errors
    /// The bytes are no policy.
    pub fn start(
        policy: &[u8],
        lookups: Arc<Lookups>,
        count: usize,
        timeout: Duration,
    ) -> Result<Self> {
        let mut config = Config::new();
        config.epoch_interruption(true);
        let engine = Engine::new(&config).map_err(|e| anyhow!("{e}"))?;
        let module = Module::new(&engine, policy).map_err(|e| anyhow!("the policy: {e}"))?;
        let epochs = u64::try_from(timeout.as_millis() / EPOCH.as_millis()).unwrap_or(u64::MAX);
        let deadlines = EpochDeadlines { wapc_init: epochs, wapc_func: epochs };
        let compiled = WasmtimeEngineProviderBuilder::new()
            .engine(engine.clone())
            .module(module)
            .enable_epoch_interruptions(deadlines)
            .build_pre()
            .map_err(|e| anyhow!("the policy: {e}"))?;
        thread::spawn(move || loop {
            thread::sleep(EPOCH);
            engine.increment_epoch();
        });
        let (jobs, waiting) = channel::<Job>();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..count.max(1) {
            let worker = Worker {
                compiled: compiled.clone(),
                deadlines,
                lookups: Arc::clone(&lookups),
                waiting: Arc::clone(&waiting),
            };
            // One that cannot start says so now, and not at the first request.
            let (started, is_started) = channel();
            thread::spawn(move || match worker.host() {
                Ok(host) => {
                    let _ = started.send(Ok(()));
                    worker.run(host);
                }
                Err(e) => {
                    let _ = started.send(Err(e));
                }
            });
            is_started.recv().context("an instance ended at its start")??;
        }
        Ok(Self { jobs })
    }

    async fn call(&self, operation: &'static str, payload: Vec<u8>) -> Result<Vec<u8>> {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job { operation, payload, answer }).context("no instance is left")?;
        answered.await.context("the instance ended")?
    }

    /// # Errors
    /// The policy trapped, took too long, or answered something that is no verdict.
    pub async fn validate(&self, settings: &Value, request: &Value) -> Result<Verdict> {
        let payload = serde_json::to_vec(&json!({ "settings": settings, "request": request }))?;
        Ok(serde_json::from_slice(&self.call("validate", payload).await?)?)
    }

    /// # Errors
    /// The policy's word on its settings.
    pub async fn check_settings(&self, settings: &Value) -> Result<()> {
        let payload = serde_json::to_vec(settings)?;
        let answer: Value =
            serde_json::from_slice(&self.call("validate_settings", payload).await?)?;
        if answer["valid"] != true {
            bail!("settings: {}", answer["message"].as_str().unwrap_or_default());
        }
        Ok(())
    }
}

struct Worker {
    compiled: WasmtimeEngineProviderPre,
    deadlines: EpochDeadlines,
    lookups: Arc<Lookups>,
    waiting: Arc<Mutex<Receiver<Job>>>,
}

impl Worker {
    fn host(&self) -> Result<WapcHost> {
        let engine = self.compiled.rehydrate(Some(self.deadlines)).map_err(|e| anyhow!("{e}"))?;
        let lookups = Arc::clone(&self.lookups);
        WapcHost::new(
            Box::new(engine),
            Some(Box::new(move |_, binding, namespace, operation, payload| {
                match (binding, namespace) {
                    ("kubewarden", "kubernetes") => {
                        lookups.answer(operation, payload).map_err(Into::into)
                    }
                    _ => Err(format!("unknown namespace: {namespace}").into()),
                }
            })),
        )
        .map_err(|e| anyhow!("the policy does not start: {e}"))
    }

    fn run(self, host: WapcHost) {
        let mut host = Some(host);
        loop {
            let job = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(job) = job else { return };
            if job.answer.is_closed() {
                // Who asked has gone; others wait.
                continue;
            }
            // One that trapped or was interrupted is not used again.
            let usable = host.take().map_or_else(|| self.host(), Ok);
            let done = usable.and_then(|usable| {
                let done = usable
                    .call(job.operation, &job.payload)
                    .map_err(|e| anyhow!("the policy failed in {}: {e}", job.operation))?;
                host = Some(usable);
                Ok(done)
            });
            let _ = job.answer.send(done);
        }
    }
}
