//! The callbacks that a proxy calls (proxy-wasm ABI 0.2.1), and nothing else.
//!
//! Declared here and not by the SDK's dispatcher, for three reasons. It makes a
//! panic of a context or a token that it does not know, and a panic ends the
//! VM. It allocates a box for each stream. And it exports every callback there
//! is, so that a proxy enters each of a stream's for each request, used or not.
//! What a callback does is in `contexts`.

use crate::contexts::Contexts;
use std::cell::RefCell;

thread_local! {
    static CONTEXTS: RefCell<Contexts> = RefCell::default();
}

/// A callback within a callback, which no proxy makes, finds nothing.
fn with<R: Default>(_name: &str, callback: impl FnOnce(&mut Contexts) -> R) -> R {
    #[cfg(feature = "instrumented")]
    crate::instrumented::enter(_name);
    CONTEXTS.with(|c| c.try_borrow_mut().map_or_else(|_| R::default(), |mut c| callback(&mut c)))
}

#[cfg(target_os = "wasi")]
extern "C" {
    fn __wasm_call_ctors();
}

#[cfg(target_os = "wasi")]
#[no_mangle]
extern "C" fn _initialize() {
    // SAFETY: the reactor's entry point is called once, before anything else.
    unsafe { __wasm_call_ctors() };
    std::panic::set_hook(Box::new(|panic| {
        crate::host::log(crate::host::Level::Error, &panic.to_string());
    }));
}

#[no_mangle]
extern "C" fn proxy_abi_version_0_2_1() {}

/// Memory for what the proxy hands over: a `Vec` of exactly this capacity, or
/// null where there is none. The receiving side is `host::taken`.
#[no_mangle]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    #[cfg(feature = "instrumented")]
    crate::instrumented::host_allocates();
    let mut memory = Vec::<u8>::new();
    if memory.try_reserve_exact(size).is_err() {
        return std::ptr::null_mut();
    }
    std::mem::ManuallyDrop::new(memory).as_mut_ptr()
}

/// `parent` is 0 for a root context.
#[no_mangle]
extern "C" fn proxy_on_context_create(id: u32, parent: u32) {
    with("context_create", |c| c.create(id, parent));
}

#[no_mangle]
extern "C" fn proxy_on_configure(root: u32, size: usize) -> u32 {
    with("configure", |c| u32::from(c.configure(root, size)))
}

#[no_mangle]
extern "C" fn proxy_on_tick(root: u32) {
    with("tick", |c| c.tick(root));
}

#[no_mangle]
extern "C" fn proxy_on_http_call_response(
    root: u32,
    token: u32,
    headers: u32,
    body: usize,
    _trailers: u32,
) {
    with("call_response", |c| c.call_response(root, token, headers > 0, body));
}

/// 0 lets the stream go on, 1 holds it.
#[no_mangle]
extern "C" fn proxy_on_request_headers(stream: u32, _headers: u32, end_of_stream: u32) -> u32 {
    with("request_headers", |c| c.request_headers(stream, end_of_stream != 0) as u32)
}

#[no_mangle]
extern "C" fn proxy_on_request_body(stream: u32, size: usize, end_of_stream: u32) -> u32 {
    with("request_body", |c| c.request_body(stream, size, end_of_stream != 0) as u32)
}

#[no_mangle]
extern "C" fn proxy_on_request_trailers(stream: u32, _trailers: u32) -> u32 {
    with("request_trailers", |c| c.request_trailers(stream) as u32)
}

#[no_mangle]
extern "C" fn proxy_on_response_headers(stream: u32, _headers: u32, _end_of_stream: u32) -> u32 {
    with("response_headers", |c| c.response_headers(stream));
    0
}

/// Of a stream through an HTTP filter, or of a root context that logs.
#[no_mangle]
extern "C" fn proxy_on_log(id: u32) {
    with("log", |c| c.log(id));
}

#[no_mangle]
extern "C" fn proxy_on_delete(id: u32) {
    with("delete", |c| c.delete(id));
}
