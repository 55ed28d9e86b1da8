//! A waPC engine on wasmtime whose WASI clock is the virtual one.
//!
//! `wasmtime-provider`, which Kubewarden uses, builds the machine's clock into
//! its WASI context, so a rehearsal of an hour would take one. This engine
//! implements the same trait of the `wapc` crate; `tests/` runs the same
//! requests through both and requires the same answers.

use crate::clock::Clock;
use crate::module::CompiledModule;
use crate::wasi::{self, memory, WasiState};
use anyhow::Result;
use std::error::Error;
use std::sync::Arc;
use wapc::{wapc_functions, ModuleState, WebAssemblyEngineProvider, HOST_NAMESPACE};
use wasmtime::{Caller, Engine, InstancePre, Linker, Store, TypedFunc};

type BoxError = Box<dyn Error + Send + Sync + 'static>;

struct State {
    clock: Clock,
    host: Option<Arc<ModuleState>>,
}

impl WasiState for State {
    fn clock(&self) -> &Clock {
        &self.clock
    }
    fn print(&mut self, text: &str) {
        eprint!("policy: {text}");
    }
    fn count(&mut self, _: &'static str) {}
}

/// `__guest_call`: lengths of operation and message to success.
type GuestCall = TypedFunc<(i32, i32), i32>;

pub struct Provider {
    clock: Clock,
    engine: Engine,
    instance_pre: InstancePre<State>,
    running: Option<(Store<State>, GuestCall)>,
}

impl Provider {
    pub fn new(policy: &CompiledModule, clock: Clock) -> Result<Self> {
        let CompiledModule { engine, module } = policy;
        let mut linker = Linker::new(engine);
        wasi::add_to_linker(&mut linker)?;
        add_wapc(&mut linker)?;
        let instance_pre = linker.instantiate_pre(module)?;
        Ok(Self { clock, engine: engine.clone(), instance_pre, running: None })
    }
}

impl WebAssemblyEngineProvider for Provider {
    fn init(&mut self, host: Arc<ModuleState>) -> Result<(), BoxError> {
        let mut store =
            Store::new(&self.engine, State { clock: self.clock.clone(), host: Some(host) });
        let instance = self.instance_pre.instantiate(&mut store)?;
        for start in wapc_functions::REQUIRED_STARTS {
            if instance.get_export(&mut store, start).is_some() {
                let start: TypedFunc<(), ()> = instance.get_typed_func(&mut store, start)?;
                start.call(&mut store, ())?;
            }
        }
        let call = instance.get_typed_func(&mut store, wapc_functions::GUEST_CALL)?;
        self.running = Some((store, call));
        Ok(())
    }

    fn call(&mut self, op_length: i32, msg_length: i32) -> Result<i32, BoxError> {
        let (store, call) = self.running.as_mut().ok_or("the policy is not started")?;
        match call.call(&mut *store, (op_length, msg_length)) {
            Ok(result) => Ok(result),
            Err(trap) => {
                if let Some(host) = &store.data().host {
                    host.set_guest_error(format!("trap: {trap:?}"));
                }
                Ok(0)
            }
        }
    }

    fn replace(&mut self, _: &[u8]) -> Result<(), BoxError> {
        Err("this host does not replace a running policy".into())
    }
}

fn bytes(caller: &mut Caller<'_, State>, at: i32, len: i32) -> wasmtime::Result<Vec<u8>> {
    let memory = memory(caller).ok_or_else(|| wasmtime::Error::msg("no memory"))?;
    let mut bytes = vec![0; usize::try_from(len)?];
    memory.read(&*caller, at as u32 as usize, &mut bytes)?;
    Ok(bytes)
}

fn text(caller: &mut Caller<'_, State>, at: i32, len: i32) -> wasmtime::Result<String> {
    Ok(String::from_utf8_lossy(&bytes(caller, at, len)?).into_owned())
}

fn put(caller: &mut Caller<'_, State>, at: i32, bytes: &[u8]) -> wasmtime::Result<()> {
    let memory = memory(caller).ok_or_else(|| wasmtime::Error::msg("no memory"))?;
    Ok(memory.write(caller, at as u32 as usize, bytes)?)
}

fn host(caller: &Caller<'_, State>) -> wasmtime::Result<Arc<ModuleState>> {
    caller.data().host.clone().ok_or_else(|| wasmtime::Error::msg("no host"))
}

/// The functions of the waPC protocol.
fn add_wapc(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(
        HOST_NAMESPACE,
        wapc_functions::GUEST_REQUEST_FN,
        |mut c: Caller<'_, State>, op: i32, at: i32| -> wasmtime::Result<()> {
            if let Some(request) = host(&c)?.get_guest_request() {
                put(&mut c, at, &request.msg)?;
                put(&mut c, op, request.operation.as_bytes())?;
            }
            Ok(())
        },
    )?;
    linker.func_wrap(
        HOST_NAMESPACE,
        wapc_functions::HOST_CONSOLE_LOG,
        |mut c: Caller<'_, State>, at: i32, len: i32| -> wasmtime::Result<()> {
            let text = text(&mut c, at, len)?;
            host(&c)?.do_console_log(&text);
            Ok(())
        },
    )?;
    linker.func_wrap(
        HOST_NAMESPACE,
        wapc_functions::HOST_CALL,
        |mut c: Caller<'_, State>,
         bd: i32,
         bd_len: i32,
         ns: i32,
         ns_len: i32,
         op: i32,
         op_len: i32,
         at: i32,
         len: i32|
         -> wasmtime::Result<i32> {
            let (binding, namespace, operation) =
                (text(&mut c, bd, bd_len)?, text(&mut c, ns, ns_len)?, text(&mut c, op, op_len)?);
            let payload = bytes(&mut c, at, len)?;
            host(&c)?
                .do_host_call(&binding, &namespace, &operation, &payload)
                .map_err(|e| wasmtime::Error::msg(e.to_string()))
        },
    )?;
    linker.func_wrap(
        HOST_NAMESPACE,
        wapc_functions::HOST_RESPONSE_FN,
        |mut c: Caller<'_, State>, at: i32| -> wasmtime::Result<()> {
            let response = host(&c)?.with_host_response(<[u8]>::to_vec);
            match response {
                Some(response) => put(&mut c, at, &response),
                None => Ok(()),
            }
        },
    )?;
    linker.func_wrap(
        HOST_NAMESPACE,
        wapc_functions::HOST_RESPONSE_LEN_FN,
        |c: Caller<'_, State>| -> wasmtime::Result<i32> {
            Ok(i32::try_from(host(&c)?.host_response_len())?)
        },
    )?;
    linker.func_wrap(
        HOST_NAMESPACE,
        wapc_functions::GUEST_RESPONSE_FN,
        |mut c: Caller<'_, State>, at: i32, len: i32| -> wasmtime::Result<()> {
            let response = bytes(&mut c, at, len)?;
            host(&c)?.set_guest_response(response);
            Ok(())
        },
    )?;
    linker.func_wrap(
        HOST_NAMESPACE,
        wapc_functions::GUEST_ERROR_FN,
        |mut c: Caller<'_, State>, at: i32, len: i32| -> wasmtime::Result<()> {
            let error = text(&mut c, at, len)?;
            host(&c)?.set_guest_error(error);
            Ok(())
        },
    )?;
    linker.func_wrap(
        HOST_NAMESPACE,
        wapc_functions::HOST_ERROR_FN,
        |mut c: Caller<'_, State>, at: i32| -> wasmtime::Result<()> {
            match host(&c)?.get_host_error() {
                Some(error) => put(&mut c, at, error.as_bytes()),
                None => Ok(()),
            }
        },
    )?;
    linker.func_wrap(
        HOST_NAMESPACE,
        wapc_functions::HOST_ERROR_LEN_FN,
        |c: Caller<'_, State>| -> wasmtime::Result<i32> {
            Ok(i32::try_from(host(&c)?.get_host_error().map_or(0, |e| e.len()))?)
        },
    )?;
    Ok(())
}
