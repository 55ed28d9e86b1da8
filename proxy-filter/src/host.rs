//! Every function of the host that this module calls.
//!
//! Bytes only: the SDK's string getters panic on a byte that is no UTF-8, and
//! a panic takes the worker's VM down (proxy-wasm-rust-sdk #25). The calls of
//! the hot path are declared here directly, since the SDK's wrapper of
//! `proxy_get_property` allocates the path anew for each request.

use gate::time::Timestamp;
use proxy_wasm::hostcalls;
pub use proxy_wasm::types::{BufferType, MapType, Status};
use std::time::{Duration, Instant, UNIX_EPOCH};

#[link(wasm_import_module = "env")]
extern "C" {
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
    ) -> u32;
}

const OK: u32 = 0;

/// Bytes that the host wrote into memory which it asked this module for
/// (`proxy_on_memory_allocate`, a `Vec` of exactly that capacity).
fn taken(status: u32, data: *mut u8, size: usize) -> Option<Vec<u8>> {
    if status != OK {
        return None;
    }
    if data.is_null() {
        return Some(Vec::new());
    }
    // SAFETY: the SDK's allocator leaked a Vec<u8> of this capacity to the host,
    // which filled `size` bytes of it and hands it back for good.
    Some(unsafe { Vec::from_raw_parts(data, size, size) })
}

/// Path segments are separated by NUL bytes.
fn property(path: &[u8]) -> Option<Vec<u8>> {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: pointers are to live locals and a live slice for the time of the call.
    let status = unsafe { proxy_get_property(path.as_ptr(), path.len(), &mut data, &mut size) };
    taken(status, data, size)
}

/// One header or trailer; `None` where it is absent or there is no such map.
pub fn header(map: MapType, key: &[u8]) -> Option<Vec<u8>> {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: pointers are to live locals and a live slice for the time of the call.
    let status = unsafe {
        proxy_get_header_map_value(map as u32, key.as_ptr(), key.len(), &mut data, &mut size)
    };
    taken(status, data, size)
}

/// Request start to end of response, microseconds.
pub fn request_duration_us() -> Option<u64> {
    let ns = i64::from_le_bytes(property(b"request\0duration")?.try_into().ok()?);
    u64::try_from(ns / 1_000).ok()
}

/// Envoy's word on who made the response.
pub fn response_code_details() -> Option<Vec<u8>> {
    property(b"response\0code_details")
}

/// The monotonic clock, for durations.
pub fn instant() -> Instant {
    Instant::now()
}

/// The wall clock, for windows and documents.
pub fn now() -> Timestamp {
    let since = hostcalls::get_current_time()
        .ok()
        .and_then(|t| t.duration_since(UNIX_EPOCH).ok())
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Bytes of a buffer; none where the host has no such buffer now.
pub fn buffer(kind: BufferType, size: usize) -> Vec<u8> {
    hostcalls::get_buffer(kind, 0, size).ok().flatten().unwrap_or_default()
}

/// A compare-and-swap number that the host never gives out: a write with it
/// succeeds only where there is no value yet (proxy-wasm-cpp-host
/// `src/shared_data.cc`; 0 would overwrite whatever is there).
const ABSENT: u32 = u32::MAX;

/// A shared value and the number to compare and swap with.
pub fn shared_get(key: &str) -> (Option<Vec<u8>>, u32) {
    match hostcalls::get_shared_data(key) {
        Ok((Some(value), Some(cas))) => (Some(value), cas),
        Ok((None, Some(cas))) => (Some(Vec::new()), cas),
        _ => (None, ABSENT),
    }
}

/// Writes a shared value if nobody wrote since `cas` was read. Whether it did.
pub fn shared_set(key: &str, value: &[u8], cas: u32) -> bool {
    hostcalls::set_shared_data(key, Some(value), Some(cas)).is_ok()
}

pub fn set_tick(period: Duration) {
    if hostcalls::set_tick_period(period).is_err() {
        log(Level::Error, "the host refused a tick period; nothing is measured or judged");
    }
}

/// Answers the current stream from here.
pub fn respond(status: u32, content_type: &str, body: &[u8]) {
    let headers = vec![("content-type", content_type), ("cache-control", "no-store")];
    if hostcalls::send_http_response(status, headers, Some(body)).is_err() {
        log(Level::Warn, "the host refused a response");
    }
}

/// Makes another stream the current one. Whether it still exists.
pub fn select_stream(context_id: u32) -> bool {
    hostcalls::set_effective_context(context_id).is_ok()
}

/// Sends a request to a cluster of the proxy; the token names its reply.
///
/// # Errors
/// The host's status: an unknown cluster or a missing pseudo header.
pub fn call(
    cluster: &str,
    headers: Vec<(&str, &str)>,
    body: &[u8],
    timeout: Duration,
) -> Result<u32, Status> {
    hostcalls::dispatch_http_call(cluster, headers, Some(body), vec![], timeout)
}

#[derive(Clone, Copy)]
pub enum Level {
    Info,
    Warn,
    Error,
}

pub fn log(level: Level, message: &str) {
    use proxy_wasm::types::LogLevel;
    let level = match level {
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warn,
        Level::Error => LogLevel::Error,
    };
    // Nothing is left to do where even logging fails.
    let _ = hostcalls::log(level, message);
}
