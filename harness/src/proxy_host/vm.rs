//! One VM: an instance of the module and its contexts.

use super::abi;
use super::http::{Headers, OutCall, Reply, Request, Response};
use super::shared_data::SharedData;
use crate::clock::Clock;
use crate::module::CompiledModule;
use crate::wasi::{self, WasiState};
use anyhow::{anyhow, Result};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wasmtime::{Instance, Linker, Store, TypedFunc, Val, WasmParams, WasmResults};

const PAUSE: u32 = 1;

/// A stream as the host functions see it.
#[derive(Debug, Default)]
pub(super) struct StreamData {
    pub request: Headers,
    pub request_trailers: Headers,
    pub body: Vec<u8>,
    pub response: Option<Headers>,
    pub response_trailers: Headers,
    pub details: Option<String>,
    pub duration_us: Option<u64>,
    /// What the module answered by itself.
    pub local: Option<Response>,
    paused: bool,
}

#[derive(Debug)]
struct Root {
    context: u32,
    tick_ns: Option<i64>,
    next_tick_ns: i64,
}

/// Data of the store: everything that host functions read and write.
pub(super) struct VmState {
    pub clock: Clock,
    pub shared: Arc<Mutex<SharedData>>,
    pub calls: BTreeMap<&'static str, u64>,
    pub log: Vec<String>,
    pub configuration: Vec<u8>,
    pub roots: Vec<u32>,
    pub streams: HashMap<u32, StreamData>,
    /// The stream that the current call is about.
    pub effective: Option<u32>,
    pub reply: Option<Reply>,
    pub out: Vec<OutCall>,
    pub next_token: u32,
    pub clusters: Vec<String>,
    pub tick_ms: Option<u32>,
    /// Name and value, by number.
    pub metrics: Vec<(String, i64)>,
    pub allocate: Option<TypedFunc<u32, u32>>,
    /// The root context that runs.
    pub root: u32,
    /// Functions that answer with this status and do nothing.
    pub refusals: Vec<(String, u32)>,
}

impl VmState {
    pub fn refused(&self, function: &str) -> Option<u32> {
        self.refusals.iter().find(|(name, _)| name == function).map(|(_, status)| *status)
    }

    pub fn stream(&mut self) -> Option<&mut StreamData> {
        self.streams.get_mut(&self.effective?)
    }
}

impl WasiState for VmState {
    fn clock(&self) -> &Clock {
        &self.clock
    }
    fn print(&mut self, text: &str) {
        self.log.push(text.trim_end().to_owned());
    }
    fn count(&mut self, call: &'static str) {
        *self.calls.entry(call).or_default() += 1;
    }
}

pub(super) struct Vm {
    store: Store<VmState>,
    instance: Instance,
    roots: BTreeMap<usize, Root>,
    /// Of plugins that were pushed since.
    draining: Vec<Root>,
    trapped: Option<String>,
}

/// Stream that stands for the request an access logger is told of.
const LOGGED: u32 = u32::MAX;

impl Vm {
    pub fn new(
        filter: &CompiledModule,
        clock: Clock,
        shared: Arc<Mutex<SharedData>>,
        clusters: Vec<String>,
    ) -> Result<Self> {
        let CompiledModule { engine, module } = filter;
        let mut linker = Linker::new(engine);
        wasi::add_to_linker(&mut linker)?;
        abi::add_to_linker(&mut linker)?;
        let mut store = Store::new(
            engine,
            VmState {
                clock,
                shared,
                calls: BTreeMap::new(),
                log: vec![],
                configuration: vec![],
                roots: vec![],
                streams: HashMap::new(),
                effective: None,
                reply: None,
                out: vec![],
                next_token: 1,
                clusters,
                tick_ms: None,
                metrics: vec![],
                allocate: None,
                root: 0,
                refusals: vec![],
            },
        );
        let instance = linker.instantiate(&mut store, module).map_err(|e| anyhow!("{e:?}"))?;
        let allocate = instance
            .get_typed_func(&mut store, "proxy_on_memory_allocate")
            .map_err(|e| anyhow!("{e:?}"))?;
        store.data_mut().allocate = Some(allocate);
        let mut vm =
            Self { store, instance, roots: BTreeMap::new(), draining: vec![], trapped: None };
        vm.call::<(), ()>("_initialize", ())?;
        Ok(vm)
    }

    /// Calls an export; a trap ends this VM.
    fn call<P: WasmParams, R: WasmResults>(&mut self, name: &str, params: P) -> Result<R> {
        if let Some(trap) = &self.trapped {
            return Err(anyhow!("the VM trapped before: {trap}"));
        }
        let function: TypedFunc<P, R> = self
            .instance
            .get_typed_func(&mut self.store, name)
            .map_err(|e| anyhow!("{name}: {e}"))?;
        function.call(&mut self.store, params).map_err(|e| {
            let said = self.store.data().log.last().cloned().unwrap_or_default();
            let trap = format!("{name}: {} {said}", e.root_cause());
            self.trapped = Some(trap.clone());
            anyhow!("trap in {trap}")
        })
    }

    /// Calls an export with the arguments of a host that went wrong; missing
    /// ones are 0. What it returns is of no interest.
    pub fn enter(&mut self, name: &str, arguments: &[u32]) -> Result<()> {
        let Some(function) = self.instance.get_func(&mut self.store, name) else {
            return Ok(());
        };
        let shape = function.ty(&self.store);
        let given = arguments.iter().copied().chain(std::iter::repeat(0));
        let given: Vec<Val> =
            shape.params().zip(given).map(|(_, a)| Val::I32(a.cast_signed())).collect();
        let mut results = vec![Val::I32(0); shape.results().len()];
        function.call(&mut self.store, &given, &mut results).map_err(|e| {
            let trap = format!("{name}{arguments:?}: {}", e.root_cause());
            self.trapped = Some(trap.clone());
            anyhow!("trap in {trap}")
        })
    }

    /// The functions answer with these statuses from now on.
    pub fn refuse(&mut self, refusals: &[(String, u32)]) {
        self.store.data_mut().refusals = refusals.to_vec();
    }

    /// What a build that counts them has allocated beyond what the host handed over.
    pub fn allocations(&mut self) -> Option<u64> {
        let count =
            self.instance.get_typed_func::<(), u64>(&mut self.store, "canary_gate_allocations");
        count.ok()?.call(&mut self.store, ()).ok()
    }

    pub fn trapped(&self) -> Option<&str> {
        self.trapped.as_deref()
    }

    pub fn log(&self) -> &[String] {
        &self.store.data().log
    }

    pub fn metric(&self, name: &str) -> Option<i64> {
        self.store.data().metrics.iter().find(|(n, _)| n == name).map(|(_, value)| *value)
    }

    pub fn calls(&self) -> &BTreeMap<&'static str, u64> {
        &self.store.data().calls
    }

    pub fn reset_calls(&mut self) {
        self.store.data_mut().calls.clear();
    }

    pub fn memory_bytes(&mut self) -> usize {
        self.instance.get_memory(&mut self.store, "memory").map_or(0, |m| m.data_size(&self.store))
    }

    pub fn root(&self, plugin: usize) -> Option<u32> {
        self.roots.get(&plugin).map(|r| r.context)
    }

    /// Creates and configures a plugin's root context. Whether it took its configuration.
    pub fn start_root(
        &mut self,
        plugin: usize,
        context: u32,
        configuration: Vec<u8>,
    ) -> Result<bool> {
        self.store.data_mut().roots.push(context);
        self.store.data_mut().root = context;
        self.call::<_, ()>("proxy_on_context_create", (context, 0u32))?;
        if self.roots.is_empty() {
            self.enter("proxy_on_vm_start", &[context])?;
        }
        let size = configuration.len() as u32;
        self.store.data_mut().configuration = configuration;
        self.store.data_mut().tick_ms = None;
        let accepted = self.call::<_, u32>("proxy_on_configure", (context, size))? != 0;
        let tick_ns = self.store.data().tick_ms.map(|ms| i64::from(ms) * 1_000_000);
        let now = self.store.data().clock.monotonic_ns();
        self.roots
            .insert(plugin, Root { context, tick_ns, next_tick_ns: now + tick_ns.unwrap_or(0) });
        Ok(accepted)
    }

    /// A push takes the plugin from its root context, which drains: it ticks on.
    pub fn drain_root(&mut self, plugin: usize) {
        self.draining.extend(self.roots.remove(&plugin));
    }

    /// Root contexts that drained end.
    pub fn end_drained(&mut self) -> Result<()> {
        for root in std::mem::take(&mut self.draining) {
            self.store.data_mut().roots.retain(|r| *r != root.context);
            self.store.data_mut().effective = None;
            self.enter("proxy_on_done", &[root.context])?;
            self.enter("proxy_on_delete", &[root.context])?;
        }
        Ok(())
    }

    pub fn tick(&mut self, now_ns: i64) {
        let due: Vec<u32> = self
            .draining
            .iter_mut()
            .chain(self.roots.values_mut())
            .filter_map(|root| {
                let tick = root.tick_ns?;
                if now_ns < root.next_tick_ns {
                    return None;
                }
                // A late tick comes once, as Envoy's timer does.
                root.next_tick_ns = now_ns + tick;
                Some(root.context)
            })
            .collect();
        for context in due {
            self.store.data_mut().effective = None;
            self.store.data_mut().root = context;
            // A trap is kept in `trapped`.
            let _ = self.call::<_, ()>("proxy_on_tick", context);
        }
    }

    pub fn log_request(
        &mut self,
        plugin: usize,
        request: &Request,
        response: Option<&Response>,
    ) -> Result<()> {
        let Some(root) = self.root(plugin) else {
            return Ok(());
        };
        let mut stream = StreamData { request: request.headers.clone(), ..StreamData::default() };
        if let Some(response) = response {
            stream.answer(response);
        }
        self.store.data_mut().streams.insert(LOGGED, stream);
        self.store.data_mut().effective = Some(LOGGED);
        let result = self.call::<_, ()>("proxy_on_log", root);
        self.store.data_mut().streams.remove(&LOGGED);
        result
    }

    /// Runs a request up to its answer, or until it is held without one.
    pub fn request(
        &mut self,
        plugin: usize,
        context: u32,
        request: &Request,
        upstream: Option<&Response>,
        clock: &Clock,
    ) -> Result<Option<Response>> {
        let root =
            self.root(plugin).ok_or_else(|| anyhow!("plugin {plugin} has no root context"))?;
        let stream = StreamData { request: request.headers.clone(), ..StreamData::default() };
        self.store.data_mut().streams.insert(context, stream);
        self.store.data_mut().effective = Some(context);
        self.call::<_, ()>("proxy_on_context_create", (context, root))?;
        let no_body = request.body.is_empty() && request.trailers.is_none();
        let count = request.headers.len() as u32;
        let mut action: u32 =
            self.call("proxy_on_request_headers", (context, count, u32::from(no_body)))?;
        let mut buffered = Vec::new();
        let last = request.body.len().div_ceil(4096);
        for (i, chunk) in request.body.chunks(4096).enumerate() {
            if self.answered(context) {
                break;
            }
            buffered.extend_from_slice(chunk);
            self.with_stream(context, |s| s.body.clone_from(&buffered));
            let end = i + 1 == last && request.trailers.is_none();
            action = self
                .call("proxy_on_request_body", (context, buffered.len() as u32, u32::from(end)))?;
        }
        if let Some(trailers) = request.trailers.as_ref().filter(|_| !self.answered(context)) {
            self.with_stream(context, |s| s.request_trailers.clone_from(trailers));
            action = self.call("proxy_on_request_trailers", (context, trailers.len() as u32))?;
        }
        if self.answered(context) {
            return self.answer(context);
        }
        if action == PAUSE {
            self.with_stream(context, |s| s.paused = true);
            return Ok(None);
        }
        if let Some(response) = upstream {
            clock.advance(Duration::from_micros(response.duration_us));
            self.with_stream(context, |s| s.answer(response));
            let count = response.headers.len() as u32 + 1;
            self.call::<_, u32>("proxy_on_response_headers", (context, count, 0u32))?;
        }
        self.end_stream(context)?;
        Ok(Some(upstream.cloned().unwrap_or_default()))
    }

    fn with_stream(&mut self, context: u32, change: impl FnOnce(&mut StreamData)) {
        self.store.data_mut().effective = Some(context);
        if let Some(stream) = self.store.data_mut().streams.get_mut(&context) {
            change(stream);
        }
    }

    fn answered(&self, context: u32) -> bool {
        self.store.data().streams.get(&context).is_some_and(|s| s.local.is_some())
    }

    /// The module's own answer to a stream, which ends it.
    pub fn answer(&mut self, context: u32) -> Result<Option<Response>> {
        let Some(response) =
            self.store.data_mut().streams.get_mut(&context).and_then(|s| s.local.take())
        else {
            return Ok(None);
        };
        // A local reply passes through the filter's own response path.
        self.with_stream(context, |s| s.answer(&response));
        self.call::<_, u32>("proxy_on_response_headers", (context, 1u32, 0u32))?;
        self.end_stream(context)?;
        Ok(Some(response))
    }

    pub fn end_stream(&mut self, context: u32) -> Result<()> {
        self.store.data_mut().effective = Some(context);
        self.call::<_, ()>("proxy_on_log", context)?;
        self.enter("proxy_on_done", &[context])?;
        self.call::<_, ()>("proxy_on_delete", context)?;
        self.store.data_mut().streams.remove(&context);
        Ok(())
    }

    pub fn take_calls(&mut self) -> Vec<OutCall> {
        std::mem::take(&mut self.store.data_mut().out)
    }

    pub fn reply(&mut self, root: u32, token: u32, reply: Option<&Reply>) -> Result<()> {
        let (headers, body) = reply.map_or((0, 0), |r| (1u32, r.body.len() as u32));
        self.store.data_mut().reply = reply.cloned();
        self.store.data_mut().effective = None;
        self.store.data_mut().root = root;
        let result =
            self.call::<_, ()>("proxy_on_http_call_response", (root, token, headers, body, 0u32));
        self.store.data_mut().reply = None;
        result
    }
}

impl StreamData {
    fn answer(&mut self, response: &Response) {
        let mut headers = vec![(b":status".to_vec(), response.status.to_string().into_bytes())];
        headers.extend(response.headers.clone());
        self.response = Some(headers);
        self.response_trailers.clone_from(&response.trailers);
        self.details = Some(response.details.clone());
        self.duration_us = Some(response.duration_us);
    }
}
