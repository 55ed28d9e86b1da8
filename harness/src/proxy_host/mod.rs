//! A proxy-wasm ABI 0.2.1 host: several workers, VMs as Envoy makes them.
//!
//! A VM belongs to a thread and to the pair of `vm_id` and VM configuration;
//! plugins that share both are root contexts of one VM. Shared data is keyed
//! by `vm_id` alone and dies with the last VM. A VM that traps stays dead until
//! a request arrives (Envoy's FAIL_RELOAD).

mod abi;
pub mod http;
pub mod shared_data;
mod vm;

use crate::clock::Clock;
use crate::module::CompiledModule;
use anyhow::{bail, Context, Result};
use http::{OutCall, Reply, Request, Response};
use serde_json::Value;
use shared_data::SharedData;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use vm::Vm;

/// A plugin as a listener configures it.
#[derive(Clone, Debug)]
pub struct Plugin {
    pub name: String,
    pub vm_id: String,
    /// Another one means another VM.
    pub vm_configuration: String,
    pub configuration: Value,
}

/// A proxy process: its workers, VMs and shared data.
pub struct Proxy {
    filter: CompiledModule,
    clock: Clock,
    plugins: Vec<Plugin>,
    workers: usize,
    shared: Arc<Mutex<SharedData>>,
    vms: BTreeMap<(usize, String, String), Vm>,
    next_context: u32,
    /// Clusters that take calls.
    clusters: Vec<String>,
    /// Traps of VMs that were reloaded since.
    past_traps: Vec<String>,
}

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    worker: usize,
    plugin: usize,
    context: u32,
}

/// What came of a request.
#[derive(Debug)]
pub enum Outcome {
    Answered(Response),
    Pending(Pending),
}

impl Proxy {
    /// Starts a process: every worker's VMs, every plugin configured.
    ///
    /// # Errors
    /// A plugin refuses its configuration, or traps at the start.
    pub fn start(
        filter: &CompiledModule,
        clock: Clock,
        workers: usize,
        plugins: Vec<Plugin>,
        clusters: &[&str],
    ) -> Result<Self> {
        let mut proxy = Self {
            filter: filter.clone(),
            clock,
            plugins,
            workers,
            shared: Arc::default(),
            vms: BTreeMap::new(),
            next_context: 1,
            clusters: clusters.iter().map(|c| (*c).to_owned()).collect(),
            past_traps: vec![],
        };
        for worker in 0..workers {
            for plugin in 0..proxy.plugins.len() {
                proxy.load(worker, plugin)?;
            }
        }
        Ok(proxy)
    }

    pub fn workers(&self) -> usize {
        self.workers
    }

    fn key(&self, worker: usize, plugin: usize) -> (usize, String, String) {
        let p = &self.plugins[plugin];
        (worker, p.vm_id.clone(), p.vm_configuration.clone())
    }

    /// Makes sure that a plugin's VM and root context are there.
    fn load(&mut self, worker: usize, plugin: usize) -> Result<()> {
        let key = self.key(worker, plugin);
        if let Some(trap) = self.vms.get(&key).and_then(|vm| vm.trapped()) {
            self.past_traps.push(trap.to_owned());
            self.vms.remove(&key);
        }
        if !self.vms.contains_key(&key) {
            let vm = Vm::new(
                &self.filter,
                self.clock.clone(),
                Arc::clone(&self.shared),
                self.clusters.clone(),
            )?;
            self.vms.insert(key.clone(), vm);
        }
        let configuration = self.plugins[plugin].configuration.to_string().into_bytes();
        let context = self.next_context;
        let vm = self.vms.get_mut(&key).context("the VM was just made")?;
        if vm.root(plugin).is_none() {
            self.next_context += 1;
            if !vm.start_root(plugin, context, configuration)? {
                bail!(
                    "plugin `{}` refuses its configuration: {}",
                    self.plugins[plugin].name,
                    vm.log().join("; ")
                );
            }
        }
        Ok(())
    }

    fn vm(&mut self, worker: usize, plugin: usize) -> Result<&mut Vm> {
        let key = self.key(worker, plugin);
        self.vms.get_mut(&key).with_context(|| format!("no VM for plugin {plugin}"))
    }

    /// Tells an access logger of a finished request.
    ///
    /// # Errors
    /// The VM traps; the request itself is never affected.
    pub fn log(
        &mut self,
        worker: usize,
        plugin: usize,
        request: &Request,
        response: Option<&Response>,
    ) -> Result<()> {
        self.load(worker, plugin)?;
        let vm = self.vm(worker, plugin)?;
        vm.log_request(plugin, request, response)
    }

    /// Sends a request through an HTTP filter. `upstream` answers where the
    /// filter lets it pass, at the time that `at_headers` says to have passed.
    ///
    /// # Errors
    /// The VM traps.
    pub fn request(
        &mut self,
        worker: usize,
        plugin: usize,
        request: &Request,
        upstream: Option<&Response>,
    ) -> Result<Outcome> {
        self.load(worker, plugin)?;
        let context = self.next_context;
        self.next_context += 1;
        let clock = self.clock.clone();
        let vm = self.vm(worker, plugin)?;
        let answer = vm.request(plugin, context, request, upstream, &clock)?;
        Ok(match answer {
            Some(response) => Outcome::Answered(response),
            None => Outcome::Pending(Pending { worker, plugin, context }),
        })
    }

    /// The answer to a request that was pending, if it is there.
    ///
    /// # Errors
    /// The VM traps when its stream ends.
    pub fn answer(&mut self, pending: Pending) -> Result<Option<Response>> {
        self.vm(pending.worker, pending.plugin)?.answer(pending.context)
    }

    /// The client of a pending request goes away.
    ///
    /// # Errors
    /// The VM traps when its stream ends.
    pub fn cancel(&mut self, pending: Pending) -> Result<()> {
        self.vm(pending.worker, pending.plugin)?.end_stream(pending.context)
    }

    /// Runs every tick that is due. A trap is remembered and the VM is dead.
    pub fn tick(&mut self) {
        let now = self.clock.monotonic_ns();
        for vm in self.vms.values_mut() {
            vm.tick(now);
        }
    }

    /// Calls that the plugins dispatched since the last time.
    pub fn take_calls(&mut self) -> Vec<OutCall> {
        self.vms
            .iter_mut()
            .flat_map(|(key, vm)| {
                vm.take_calls().into_iter().map(|c| OutCall { vm: key.clone(), ..c })
            })
            .collect()
    }

    /// Delivers a reply; `None` is a failed call. A VM that is gone hears nothing.
    ///
    /// # Errors
    /// The VM traps.
    pub fn reply(&mut self, call: &OutCall, reply: Option<&Reply>) -> Result<()> {
        match self.vms.get_mut(&call.vm) {
            Some(vm) if vm.trapped().is_none() => vm.reply(call.root, call.token, reply),
            _ => Ok(()),
        }
    }

    /// Traps that happened, with the plugin's VM.
    pub fn traps(&self) -> Vec<String> {
        self.vms
            .iter()
            .filter_map(|((worker, _, configuration), vm)| {
                vm.trapped().map(|t| format!("worker {worker}, VM `{configuration}`: {t}"))
            })
            .collect()
    }

    /// Every trap so far, also of VMs that were reloaded since.
    pub fn all_traps(&self) -> Vec<String> {
        self.past_traps.iter().cloned().chain(self.traps()).collect()
    }

    /// Host calls of one plugin's VM on one worker, by function, since the last reset.
    pub fn calls(&self, worker: usize, plugin: usize) -> BTreeMap<&'static str, u64> {
        let key = self.key(worker, plugin);
        self.vms.get(&key).map(|vm| vm.calls().clone()).unwrap_or_default()
    }

    pub fn reset_calls(&mut self) {
        self.vms.values_mut().for_each(Vm::reset_calls);
    }

    /// Linear memory of one plugin's VM, bytes.
    pub fn memory(&mut self, worker: usize, plugin: usize) -> usize {
        self.vm(worker, plugin).map_or(0, Vm::memory_bytes)
    }

    /// Calls an export of one plugin's VM with arguments that no proxy would give.
    ///
    /// # Errors
    /// The VM traps, or is not there.
    pub fn enter(
        &mut self,
        worker: usize,
        plugin: usize,
        export: &str,
        arguments: &[u32],
    ) -> Result<()> {
        self.vm(worker, plugin)?.enter(export, arguments)
    }

    /// Makes host functions answer with a status and do nothing, in every VM.
    pub fn refuse(&mut self, refusals: &[(String, u32)]) {
        self.vms.values_mut().for_each(|vm| vm.refuse(refusals));
    }

    /// Allocations of a build that counts them, without what the host handed over.
    pub fn allocations(&mut self, worker: usize, plugin: usize) -> Option<u64> {
        self.vm(worker, plugin).ok()?.allocations()
    }

    /// Takes one plugin's VM away, as a trap or a crash would.
    pub fn kill(&mut self, worker: usize, plugin: usize) {
        let key = self.key(worker, plugin);
        self.vms.remove(&key);
        self.drop_shared_without_vms();
    }

    /// Ends the process and starts a new one: shared data is lost.
    ///
    /// # Errors
    /// As [`Proxy::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.vms.clear();
        self.drop_shared_without_vms();
        for worker in 0..self.workers {
            for plugin in 0..self.plugins.len() {
                self.load(worker, plugin)?;
            }
        }
        Ok(())
    }

    /// Pushes another configuration for every plugin: new VMs beside the old
    /// ones' shared data, which stays.
    ///
    /// # Errors
    /// As [`Proxy::start`].
    pub fn push(&mut self, change: impl Fn(&mut Value)) -> Result<()> {
        self.plugins.iter_mut().for_each(|p| change(&mut p.configuration));
        self.vms.clear();
        for worker in 0..self.workers {
            for plugin in 0..self.plugins.len() {
                self.load(worker, plugin)?;
            }
        }
        Ok(())
    }

    /// Pushes another configuration for every plugin as Envoy does where the
    /// VM stays: new root contexts in it, beside the old ones, which drain.
    ///
    /// # Errors
    /// As [`Proxy::start`].
    pub fn begin_push(&mut self, change: impl Fn(&mut Value)) -> Result<()> {
        self.plugins.iter_mut().for_each(|p| change(&mut p.configuration));
        for worker in 0..self.workers {
            for plugin in 0..self.plugins.len() {
                self.vm(worker, plugin)?.drain_root(plugin);
                self.load(worker, plugin)?;
            }
        }
        Ok(())
    }

    /// The old root contexts have drained and end.
    ///
    /// # Errors
    /// A VM traps.
    pub fn end_push(&mut self) -> Result<()> {
        self.vms.values_mut().try_for_each(Vm::end_drained)
    }

    /// Adds a worker, with VMs of its own.
    ///
    /// # Errors
    /// As [`Proxy::start`].
    pub fn add_worker(&mut self) -> Result<()> {
        self.workers += 1;
        (0..self.plugins.len()).try_for_each(|plugin| self.load(self.workers - 1, plugin))
    }

    /// Shared data is gone, and the VMs are still there.
    pub fn lose_shared_data(&mut self) {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn drop_shared_without_vms(&mut self) {
        if self.vms.is_empty() {
            self.shared.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// A gauge or counter of the host's statistics, as the last VM left it.
    pub fn metric(&self, name: &str) -> Option<i64> {
        self.vms.values().find_map(|vm| vm.metric(name))
    }

    /// Number of shared-data keys.
    pub fn shared_keys(&self) -> usize {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub fn shared(&self, key: &str) -> Option<Vec<u8>> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.get(key.as_bytes()).map(|(value, _)| value)
    }

    /// Overwrites a shared value, as another version of the module would.
    pub fn put_shared(&mut self, key: &str, value: &[u8]) {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).set(key.as_bytes(), value, 0);
    }
}
