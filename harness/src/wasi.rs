//! The few WASI preview 1 functions that the modules import, on the virtual clock.
//!
//! `wasmtime-wasi` would do, but its clock is the machine's where a provider
//! builds it, and the filter host needs none of the rest.

use crate::clock::Clock;
use anyhow::Result;
use wasmtime::{Caller, Extern, Linker, Memory};

const MODULE: &str = "wasi_snapshot_preview1";
const SUCCESS: i32 = 0;
const BADF: i32 = 8;
const FAULT: i32 = 21;
const MONOTONIC: i32 = 1;

/// What the functions need of a store's data.
pub trait WasiState: 'static {
    fn clock(&self) -> &Clock;
    /// Text that the module wrote to its standard output or error.
    fn print(&mut self, text: &str);
    fn count(&mut self, call: &'static str);
}

pub fn memory<T: 'static>(caller: &mut Caller<'_, T>) -> Option<Memory> {
    caller.get_export("memory").and_then(Extern::into_memory)
}

fn write<T: 'static>(caller: &mut Caller<'_, T>, at: i32, bytes: &[u8]) -> i32 {
    let Some(memory) = memory(caller) else {
        return FAULT;
    };
    match memory.write(caller, at as u32 as usize, bytes) {
        Ok(()) => SUCCESS,
        Err(_) => FAULT,
    }
}

fn read_u32<T: 'static>(caller: &mut Caller<'_, T>, at: u32) -> Option<u32> {
    let mut bytes = [0; 4];
    memory(caller)?.read(&mut *caller, at as usize, &mut bytes).ok()?;
    Some(u32::from_le_bytes(bytes))
}

/// Defines the functions in a linker.
///
/// # Errors
/// A function is defined already.
pub fn add_to_linker<T: WasiState>(linker: &mut Linker<T>) -> Result<()> {
    linker.func_wrap(
        MODULE,
        "clock_time_get",
        |mut caller: Caller<'_, T>, id: i32, _: i64, at: i32| {
            caller.data_mut().count("clock_time_get");
            let clock = caller.data().clock();
            let ns = if id == MONOTONIC { clock.monotonic_ns() } else { clock.wall_ns() };
            write(&mut caller, at, &ns.to_le_bytes())
        },
    )?;
    for name in ["environ_sizes_get", "args_sizes_get"] {
        linker.func_wrap(MODULE, name, |mut caller: Caller<'_, T>, count: i32, size: i32| {
            write(&mut caller, count, &[0; 4]) | write(&mut caller, size, &[0; 4])
        })?;
    }
    for name in ["environ_get", "args_get"] {
        linker.func_wrap(MODULE, name, |_: i32, _: i32| SUCCESS)?;
    }
    linker.func_wrap(MODULE, "random_get", |mut caller: Caller<'_, T>, at: i32, len: i32| {
        // Not random: runs must be the same. Seeds hash maps and nothing else.
        write(&mut caller, at, &vec![7; (len as u32).min(1 << 16) as usize])
    })?;
    linker.func_wrap(
        MODULE,
        "fd_write",
        |mut caller: Caller<'_, T>, fd: i32, vectors: i32, count: i32, written: i32| {
            if fd != 1 && fd != 2 {
                return BADF;
            }
            let mut text = Vec::new();
            for i in 0..(count as u32).min(64) {
                let at = (vectors as u32).wrapping_add(i * 8);
                let (Some(pointer), Some(len)) =
                    (read_u32(&mut caller, at), read_u32(&mut caller, at + 4))
                else {
                    return FAULT;
                };
                let mut part = vec![0; len.min(1 << 16) as usize];
                let Some(memory) = memory(&mut caller) else {
                    return FAULT;
                };
                if memory.read(&caller, pointer as usize, &mut part).is_err() {
                    return FAULT;
                }
                text.extend(part);
            }
            caller.data_mut().print(&String::from_utf8_lossy(&text));
            write(&mut caller, written, &(text.len() as u32).to_le_bytes())
        },
    )?;
    linker.func_wrap(MODULE, "sched_yield", || SUCCESS)?;
    linker.func_wrap(MODULE, "proc_exit", |code: i32| -> wasmtime::Result<()> {
        Err(wasmtime::Error::msg(format!("the module exited with {code}")))
    })?;
    Ok(())
}
