//! Every function of the host that this module calls.
//!
//! Declared here and not called through the SDK, for three reasons: its string
//! getters panic on a byte that is no UTF-8 (proxy-wasm-rust-sdk #25), its
//! wrappers panic on a status they do not expect, and that of
//! `proxy_get_property` allocates the path anew for each request. Whatever the
//! host answers, a function here returns.

use gate::time::Timestamp;
use std::ptr::null_mut;
use std::time::{Duration, Instant};

#[link(wasm_import_module = "env")]
extern "C" {
    fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
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
    fn proxy_get_buffer_bytes(
        kind: u32,
        start: usize,
        most: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
    ) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        cas: u32,
    ) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout_ms: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_set_effective_context(context_id: u32) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, size: usize, id: *mut u32) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
}

const OK: u32 = 0;

/// Header maps, by their number in the ABI.
#[derive(Clone, Copy)]
pub enum MapType {
    HttpRequestHeaders = 0,
    HttpResponseHeaders = 2,
    HttpResponseTrailers = 3,
    HttpCallResponseHeaders = 6,
}

/// Buffers, by their number in the ABI.
#[derive(Clone, Copy)]
pub enum BufferType {
    HttpRequestBody = 0,
    HttpCallResponseBody = 4,
    PluginConfiguration = 7,
}

/// Calls a function that hands out bytes, in memory that it asked this module
/// for (`abi::proxy_on_memory_allocate`).
fn taken(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Option<Vec<u8>> {
    let (mut data, mut size) = (null_mut(), 0);
    if call(&mut data, &mut size) != OK {
        return None;
    }
    if data.is_null() {
        return Some(Vec::new());
    }
    // SAFETY: `proxy_on_memory_allocate` leaked a Vec<u8> of this capacity to the
    // host, which filled `size` bytes of it and hands it back for good.
    Some(unsafe { Vec::from_raw_parts(data, size, size) })
}

/// Path segments are separated by NUL bytes.
fn property(path: &[u8]) -> Option<Vec<u8>> {
    // SAFETY: pointers are to live locals and a live slice for the time of the call.
    taken(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

/// One header or trailer; `None` where it is absent or there is no such map.
pub fn header(map: MapType, key: &[u8]) -> Option<Vec<u8>> {
    // SAFETY: pointers are to live locals and a live slice for the time of the call.
    taken(|data, size| unsafe {
        proxy_get_header_map_value(map as u32, key.as_ptr(), key.len(), data, size)
    })
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

/// The wall clock, for windows and documents; the epoch where there is none.
pub fn now() -> Timestamp {
    let mut ns = 0;
    // SAFETY: the pointer is to a live local for the time of the call.
    let status = unsafe { proxy_get_current_time_nanoseconds(&mut ns) };
    let ms = if status == OK { ns / 1_000_000 } else { 0 };
    Timestamp::from_millis(i64::try_from(ms).unwrap_or(i64::MAX))
}

/// Bytes of a buffer; none where the host has no such buffer now.
pub fn buffer(kind: BufferType, size: usize) -> Vec<u8> {
    // SAFETY: pointers are to live locals for the time of the call.
    taken(|data, given| unsafe { proxy_get_buffer_bytes(kind as u32, 0, size, data, given) })
        .unwrap_or_default()
}

/// A compare-and-swap number that the host never gives out: a write with it
/// succeeds only where there is no value yet (proxy-wasm-cpp-host
/// `src/shared_data.cc`; 0 would overwrite whatever is there).
const ABSENT: u32 = u32::MAX;

/// A shared value and the number to compare and swap with.
pub fn shared_get(key: &str) -> (Option<Vec<u8>>, u32) {
    let mut cas = ABSENT;
    // SAFETY: pointers are to live locals and a live slice for the time of the call.
    let value = taken(|data, size| unsafe {
        proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &mut cas)
    });
    match value {
        Some(value) => (Some(value), cas),
        None => (None, ABSENT),
    }
}

/// Writes a shared value if nobody wrote since `cas` was read. Whether it did.
pub fn shared_set(key: &str, value: &[u8], cas: u32) -> bool {
    // SAFETY: pointers are to live slices for the time of the call.
    let status =
        unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) };
    status == OK
}

pub fn set_tick(period: Duration) {
    let ms = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
    // SAFETY: no pointers.
    if unsafe { proxy_set_tick_period_milliseconds(ms) } != OK {
        log(Level::Error, "the host refused a tick period; nothing is measured or judged");
    }
}

/// Answers the current stream from here.
pub fn respond(status: u32, content_type: &str, body: &[u8]) {
    let headers = header_map(&[("content-type", content_type), ("cache-control", "no-store")]);
    // SAFETY: pointers are to live slices for the time of the call.
    let answered = unsafe {
        proxy_send_local_response(
            status,
            null_mut(),
            0,
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            -1,
        )
    };
    if answered != OK {
        log(Level::Warn, "the host refused a response");
    }
}

/// The wire form of a header map: the count, the sizes, then names and values,
/// each with a NUL behind it (proxy-wasm ABI 0.2.1).
fn header_map(headers: &[(&str, &str)]) -> Vec<u8> {
    let word = |n: usize| u32::try_from(n).unwrap_or(0).to_le_bytes();
    let mut bytes = word(headers.len()).to_vec();
    for (name, value) in headers {
        bytes.extend(word(name.len()));
        bytes.extend(word(value.len()));
    }
    for text in headers.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend(text.as_bytes());
        bytes.push(0);
    }
    bytes
}

/// Makes another stream the current one. Whether it still exists.
pub fn select_stream(context_id: u32) -> bool {
    // SAFETY: no pointers.
    unsafe { proxy_set_effective_context(context_id) == OK }
}

/// A gauge of the host's own statistics; `None` where it keeps none.
pub fn define_gauge(name: &str) -> Option<u32> {
    const GAUGE: u32 = 1;
    let mut id = 0;
    // SAFETY: pointers are to a live local and a live slice for the time of the call.
    let status = unsafe { proxy_define_metric(GAUGE, name.as_ptr(), name.len(), &mut id) };
    (status == OK).then_some(id)
}

pub fn set_gauge(id: u32, value: u64) {
    // SAFETY: no pointers. A gauge that is gone is not missed by what is measured.
    let _ = unsafe { proxy_record_metric(id, value) };
}

/// Sends a request to a cluster of the proxy; the token names its reply.
///
/// # Errors
/// The host's status: 2 for an unknown cluster or a missing pseudo header.
pub fn call(
    cluster: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    timeout: Duration,
) -> Result<u32, u32> {
    let (headers, trailers) = (header_map(headers), header_map(&[]));
    let mut token = 0;
    // SAFETY: pointers are to live slices and a live local for the time of the call.
    let status = unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            trailers.as_ptr(),
            trailers.len(),
            u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX),
            &mut token,
        )
    };
    if status == OK {
        Ok(token)
    } else {
        Err(status)
    }
}

#[derive(Clone, Copy)]
pub enum Level {
    Info = 2,
    Warn = 3,
    Error = 4,
}

pub fn log(level: Level, message: &str) {
    // SAFETY: the pointer is to a live slice for the time of the call. Nothing
    // is left to do where even logging fails.
    let _ = unsafe { proxy_log(level as u32, message.as_ptr(), message.len()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_map_on_the_wire() {
        let bytes = header_map(&[("a", "bc"), ("d", "")]);
        let expected = [2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(bytes[..20], expected);
        assert_eq!(&bytes[20..], b"a\0bc\0d\0\0");
    }
}
