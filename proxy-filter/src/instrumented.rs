//! The tests' build of the module: traps on demand, and counts what it allocates.
//!
//! A request with the header `x-trap: CALLBACK` arms the VM that sees it; the
//! next callback of that name aborts, as a defect in it would.

use crate::host::{self, MapType};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts calls of the allocator.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BY_HOST: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is the system allocator's; only a counter is added.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        System.alloc(layout)
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        System.dealloc(memory, layout);
    }
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        System.realloc(memory, layout, size)
    }
}

/// The next allocation is for what the proxy hands over.
pub fn host_allocates() {
    BY_HOST.fetch_add(1, Relaxed);
}

/// Allocations since the VM began, without those for what the proxy handed over.
#[no_mangle]
extern "C" fn canary_gate_allocations() -> u64 {
    ALLOCATIONS.load(Relaxed) - BY_HOST.load(Relaxed)
}

thread_local! {
    static ARMED: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Called first in each callback.
pub fn enter(callback: &str) {
    if matches!(callback, "request_headers" | "log") {
        if let Some(name) = host::header(MapType::HttpRequestHeaders, b"x-trap") {
            ARMED.set(Some(name));
        }
    }
    if ARMED.with_borrow(|a| a.as_deref() == Some(callback.as_bytes())) {
        std::process::abort();
    }
}
