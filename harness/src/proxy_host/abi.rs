//! The functions that a proxy-wasm 0.2.1 module imports.
//!
//! Statuses are Envoy's: absent things are NotFound, a lost race CasMismatch,
//! a call to an unknown cluster or without its pseudo headers BadArgument.
//! Every call is counted by its name.

use super::http::{find, OutCall, Response};
use super::vm::VmState;
use crate::wasi::{memory, WasiState};
use anyhow::Result;
use std::sync::PoisonError;
use std::time::Duration;
use wasmtime::{Caller, Linker};

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const BAD_ARGUMENT: u32 = 2;
const INVALID_MEMORY_ACCESS: u32 = 6;
const CAS_MISMATCH: u32 = 8;
const INTERNAL_FAILURE: u32 = 10;
const UNIMPLEMENTED: u32 = 12;

type C<'a> = Caller<'a, VmState>;

/// Counts a call, and answers it with the status that a hostile host would.
macro_rules! refuse {
    ($c:ident, $name:expr) => {
        $c.data_mut().count($name);
        if let Some(status) = $c.data().refused($name) {
            return status;
        }
    };
}

fn read(c: &mut C, at: u32, len: u32) -> Option<Vec<u8>> {
    let mut bytes = vec![0; len as usize];
    memory(c)?.read(&*c, at as usize, &mut bytes).ok()?;
    Some(bytes)
}

fn write_u32(c: &mut C, at: u32, value: u32) -> bool {
    memory(c).is_some_and(|m| m.write(c, at as usize, &value.to_le_bytes()).is_ok())
}

/// Hands bytes to the module, in memory that it allocates for them.
fn give(c: &mut C, bytes: &[u8], data: u32, size: u32) -> u32 {
    let Some(allocate) = c.data().allocate.clone() else {
        return INTERNAL_FAILURE;
    };
    let at = if bytes.is_empty() {
        0
    } else {
        let Ok(at) = allocate.call(&mut *c, bytes.len() as u32) else {
            return INTERNAL_FAILURE;
        };
        let written = memory(c).is_some_and(|m| m.write(&mut *c, at as usize, bytes).is_ok());
        if at == 0 || !written {
            return INVALID_MEMORY_ACCESS;
        }
        at
    };
    if write_u32(c, data, at) && write_u32(c, size, bytes.len() as u32) {
        OK
    } else {
        INVALID_MEMORY_ACCESS
    }
}

fn give_or(c: &mut C, bytes: Option<Vec<u8>>, data: u32, size: u32) -> u32 {
    match bytes {
        Some(bytes) => give(c, &bytes, data, size),
        None => NOT_FOUND,
    }
}

/// Count and first pairs of sizes, then NUL-terminated names and values.
fn decode_map(bytes: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let word = |i: usize| -> Option<usize> {
        Some(u32::from_le_bytes(bytes.get(i * 4..i * 4 + 4)?.try_into().ok()?) as usize)
    };
    if bytes.is_empty() {
        return Some(vec![]);
    }
    let count = word(0)?;
    let mut at = 4 + count.checked_mul(8)?;
    let mut pairs = Vec::new();
    for i in 0..count {
        let (name, value) = (word(1 + 2 * i)?, word(2 + 2 * i)?);
        let name_bytes = bytes.get(at..at + name)?.to_vec();
        at += name + 1;
        let value_bytes = bytes.get(at..at + value)?.to_vec();
        at += value + 1;
        pairs.push((name_bytes, value_bytes));
    }
    Some(pairs)
}

fn header(c: &mut C, map: u32, name: &[u8]) -> Option<Vec<u8>> {
    if map == 6 {
        let reply = c.data().reply.as_ref()?;
        return (name == b":status").then(|| reply.status.to_string().into_bytes());
    }
    let stream = c.data_mut().stream()?;
    let headers = match map {
        0 => &stream.request,
        1 => &stream.request_trailers,
        2 => stream.response.as_ref()?,
        3 => &stream.response_trailers,
        _ => return None,
    };
    find(headers, name).map(<[u8]>::to_vec)
}

fn property(c: &mut C, path: &[u8]) -> Option<Vec<u8>> {
    let stream = c.data_mut().stream()?;
    match path {
        b"request\0duration" => {
            let ns = i64::try_from(stream.duration_us?).ok()?.checked_mul(1000)?;
            Some(ns.to_le_bytes().to_vec())
        }
        b"response\0code_details" => stream.details.clone().map(String::into_bytes),
        _ => None,
    }
}

fn buffer(c: &mut C, kind: u32) -> Option<Vec<u8>> {
    match kind {
        0 => c.data_mut().stream().map(|s| s.body.clone()),
        4 => c.data().reply.as_ref().map(|r| r.body.clone()),
        7 => Some(c.data().configuration.clone()),
        _ => None,
    }
}

/// Defines the functions in a linker.
pub(super) fn add_to_linker(linker: &mut Linker<VmState>) -> Result<()> {
    add_used(linker)?;
    add_unused(linker)
}

fn add_used(linker: &mut Linker<VmState>) -> Result<()> {
    linker.func_wrap("env", "proxy_log", |mut c: C, level: u32, at: u32, len: u32| {
        refuse!(c, "proxy_log");
        let text = read(&mut c, at, len).unwrap_or_default();
        let level = ["trace", "debug", "info", "warn", "error", "critical"]
            .get(level as usize)
            .unwrap_or(&"?");
        let line = format!("{level}: {}", String::from_utf8_lossy(&text));
        c.data_mut().log.push(line);
        OK
    })?;
    linker.func_wrap("env", "proxy_get_current_time_nanoseconds", |mut c: C, at: u32| {
        refuse!(c, "proxy_get_current_time_nanoseconds");
        let ns = c.data().clock.wall_ns();
        let written =
            memory(&mut c).is_some_and(|m| m.write(&mut c, at as usize, &ns.to_le_bytes()).is_ok());
        if written {
            OK
        } else {
            INVALID_MEMORY_ACCESS
        }
    })?;
    linker.func_wrap("env", "proxy_set_tick_period_milliseconds", |mut c: C, period: u32| {
        refuse!(c, "proxy_set_tick_period_milliseconds");
        c.data_mut().tick_ms = (period > 0).then_some(period);
        OK
    })?;
    linker.func_wrap(
        "env",
        "proxy_get_buffer_bytes",
        |mut c: C, kind: u32, start: u32, max: u32, data: u32, size: u32| {
            refuse!(c, "proxy_get_buffer_bytes");
            let bytes = buffer(&mut c, kind).map(|b| {
                b.into_iter().skip(start as usize).take(max as usize).collect::<Vec<u8>>()
            });
            give_or(&mut c, bytes, data, size)
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_header_map_value",
        |mut c: C, map: u32, at: u32, len: u32, data: u32, size: u32| {
            refuse!(c, "proxy_get_header_map_value");
            let Some(name) = read(&mut c, at, len) else {
                return INVALID_MEMORY_ACCESS;
            };
            let value = header(&mut c, map, &name);
            give_or(&mut c, value, data, size)
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_property",
        |mut c: C, at: u32, len: u32, data: u32, size: u32| {
            refuse!(c, "proxy_get_property");
            let Some(path) = read(&mut c, at, len) else {
                return INVALID_MEMORY_ACCESS;
            };
            let value = property(&mut c, &path);
            give_or(&mut c, value, data, size)
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_shared_data",
        |mut c: C, at: u32, len: u32, data: u32, size: u32, cas: u32| {
            refuse!(c, "proxy_get_shared_data");
            let Some(key) = read(&mut c, at, len) else {
                return INVALID_MEMORY_ACCESS;
            };
            let value = c.data().shared.lock().unwrap_or_else(PoisonError::into_inner).get(&key);
            match value {
                Some((value, number)) if write_u32(&mut c, cas, number) => {
                    give(&mut c, &value, data, size)
                }
                Some(_) => INVALID_MEMORY_ACCESS,
                None => NOT_FOUND,
            }
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_shared_data",
        |mut c: C, at: u32, len: u32, data: u32, size: u32, cas: u32| {
            refuse!(c, "proxy_set_shared_data");
            let (Some(key), Some(value)) = (read(&mut c, at, len), read(&mut c, data, size)) else {
                return INVALID_MEMORY_ACCESS;
            };
            let written = c
                .data()
                .shared
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .set(&key, &value, cas);
            if written {
                OK
            } else {
                CAS_MISMATCH
            }
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_send_local_response",
        |mut c: C,
         status: u32,
         _: u32,
         _: u32,
         body: u32,
         body_len: u32,
         map: u32,
         map_len: u32,
         _: i32| {
            refuse!(c, "proxy_send_local_response");
            let (Some(body), Some(map)) =
                (read(&mut c, body, body_len), read(&mut c, map, map_len))
            else {
                return INVALID_MEMORY_ACCESS;
            };
            let Some(headers) = decode_map(&map) else {
                return BAD_ARGUMENT;
            };
            let Some(stream) = c.data_mut().stream() else {
                return BAD_ARGUMENT;
            };
            if stream.local.is_some() {
                return BAD_ARGUMENT;
            }
            stream.local = Some(Response {
                status: u16::try_from(status).unwrap_or(0),
                headers,
                body,
                details: "wasm_local_response".into(),
                ..Response::default()
            });
            OK
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_http_call",
        |mut c: C,
         cluster: u32,
         cluster_len: u32,
         map: u32,
         map_len: u32,
         body: u32,
         body_len: u32,
         _: u32,
         _: u32,
         timeout_ms: u32,
         token: u32| {
            refuse!(c, "proxy_http_call");
            let (Some(cluster), Some(map), Some(body)) = (
                read(&mut c, cluster, cluster_len),
                read(&mut c, map, map_len),
                read(&mut c, body, body_len),
            ) else {
                return INVALID_MEMORY_ACCESS;
            };
            let cluster = String::from_utf8_lossy(&cluster).into_owned();
            let Some(headers) = decode_map(&map) else {
                return BAD_ARGUMENT;
            };
            let complete = [":method", ":path", ":authority"]
                .iter()
                .all(|h| find(&headers, h.as_bytes()).is_some());
            if !complete || !c.data().clusters.contains(&cluster) {
                return BAD_ARGUMENT;
            }
            let number = c.data().next_token;
            c.data_mut().next_token += 1;
            let root = c.data().root;
            c.data_mut().out.push(OutCall {
                root,
                token: number,
                cluster,
                headers,
                body,
                timeout: Duration::from_millis(timeout_ms.into()),
                ..OutCall::default()
            });
            if write_u32(&mut c, token, number) {
                OK
            } else {
                INVALID_MEMORY_ACCESS
            }
        },
    )?;
    linker.func_wrap("env", "proxy_set_effective_context", |mut c: C, context: u32| {
        refuse!(c, "proxy_set_effective_context");
        // Root contexts have no stream; a context that is gone is an error.
        if c.data().streams.contains_key(&context) {
            c.data_mut().effective = Some(context);
            OK
        } else if c.data().roots.contains(&context) {
            c.data_mut().effective = None;
            OK
        } else {
            BAD_ARGUMENT
        }
    })?;
    linker.func_wrap(
        "env",
        "proxy_define_metric",
        |mut c: C, _kind: u32, at: u32, len: u32, id: u32| {
            refuse!(c, "proxy_define_metric");
            let Some(name) = read(&mut c, at, len) else {
                return INVALID_MEMORY_ACCESS;
            };
            let number = c.data().metrics.len() as u32;
            c.data_mut().metrics.push((String::from_utf8_lossy(&name).into_owned(), 0));
            if write_u32(&mut c, id, number) {
                OK
            } else {
                INVALID_MEMORY_ACCESS
            }
        },
    )?;
    linker.func_wrap("env", "proxy_record_metric", |mut c: C, id: u32, value: u64| {
        refuse!(c, "proxy_record_metric");
        metric(&mut c, id, |m| *m = value as i64)
    })?;
    linker.func_wrap("env", "proxy_increment_metric", |mut c: C, id: u32, by: i64| {
        refuse!(c, "proxy_increment_metric");
        metric(&mut c, id, |m| *m += by)
    })?;
    linker.func_wrap("env", "proxy_done", |mut c: C| {
        refuse!(c, "proxy_done");
        OK
    })?;
    Ok(())
}

fn metric(c: &mut C, id: u32, change: impl FnOnce(&mut i64)) -> u32 {
    match c.data_mut().metrics.get_mut(id as usize) {
        Some((_, value)) => {
            change(value);
            OK
        }
        None => BAD_ARGUMENT,
    }
}

/// Functions that the SDK imports and this module never calls.
fn add_unused(linker: &mut Linker<VmState>) -> Result<()> {
    macro_rules! shape {
        ($($name:literal: $($arg:ident)*;)*) => {$(
            linker.func_wrap("env", $name, |mut c: C, $($arg: u32),*| {
                $(let _ = $arg;)*
                refuse!(c, $name);
                UNIMPLEMENTED
            })?;
        )*};
    }
    shape! {
        "proxy_set_buffer_bytes": a b c1 d e;
        "proxy_set_property": a b c1 d;
        "proxy_add_header_map_value": a b c1 d e;
        "proxy_get_header_map_pairs": a b c1;
        "proxy_set_header_map_pairs": a b c1;
        "proxy_replace_header_map_value": a b c1 d e;
        "proxy_remove_header_map_value": a b c1;
        "proxy_close_stream": a;
        "proxy_continue_stream": a;
        "proxy_get_status": a b c1;
        "proxy_get_log_level": a;
        "proxy_grpc_cancel": a;
        "proxy_grpc_stream": a b c1 d e f g h i;
        "proxy_grpc_close": a;
        "proxy_grpc_call": a b c1 d e f g h i j k l;
        "proxy_grpc_send": a b c1 d;
        "proxy_dequeue_shared_queue": a b c1;
        "proxy_enqueue_shared_queue": a b c1;
        "proxy_resolve_shared_queue": a b c1 d e;
        "proxy_register_shared_queue": a b c1;
        "proxy_call_foreign_function": a b c1 d e f;
    }
    Ok(())
}
