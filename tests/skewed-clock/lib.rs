//! A wall clock that is off, by `LD_PRELOAD`: by `SKEWED_CLOCK_S` seconds.
//!
//! Debian's libfaketime hangs in Envoy's start, since it allocates where Envoy's
//! allocator asks for the time. This asks the kernel itself and adds.

#![cfg(target_os = "linux")]

use core::sync::atomic::{AtomicI64, Ordering};
use libc::{c_int, c_long, clockid_t, timespec};

const UNREAD: i64 = i64::MIN;
static OFF_S: AtomicI64 = AtomicI64::new(UNREAD);

fn off_s() -> i64 {
    let known = OFF_S.load(Ordering::Relaxed);
    if known != UNREAD {
        return known;
    }
    // SAFETY: the environment does not change while the program starts, and
    // atol reads a C string.
    let read = unsafe {
        let text = libc::getenv(c"SKEWED_CLOCK_S".as_ptr());
        if text.is_null() {
            0
        } else {
            libc::atol(text)
        }
    };
    OFF_S.store(read, Ordering::Relaxed);
    read
}

/// # Safety
/// As the C library's: `at` is a timespec that may be written.
#[no_mangle]
pub unsafe extern "C" fn clock_gettime(clock: clockid_t, at: *mut timespec) -> c_int {
    // SAFETY: as the caller promises.
    unsafe {
        let done: c_long = libc::syscall(libc::SYS_clock_gettime, clock, at);
        if done == 0 && matches!(clock, libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE) {
            (*at).tv_sec += off_s();
        }
        i32::try_from(done).unwrap_or(-1)
    }
}
