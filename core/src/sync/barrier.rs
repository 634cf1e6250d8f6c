//! A barrier of which one side costs nothing: the rare side asks the system to make every running thread pass
//! one (Linux: `membarrier`).
//!
//! One thread writes A and then reads B, the other writes B and then reads A: one of them must see the
//! other's write. That takes a full fence in each, 10 ns; here the frequent side has none (the compiler keeps
//! the order), and the rare one stops all processors for a moment. Where the system cannot, both have fences.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering, compiler_fence, fence};

/// Does the system do it? Decided once, before the first barrier.
static BY_SYSTEM: AtomicBool = AtomicBool::new(false);
static DECIDED: Once = Once::new();

/// To be called before the first barrier of either side.
pub(crate) fn prepare() {
    // Relaxed: who calls this sees the store, for `Once` says so.
    DECIDED.call_once(|| BY_SYSTEM.store(system::register(), Ordering::Relaxed));
}

/// The frequent side, between its write and its read.
#[inline]
pub(crate) fn light() {
    if BY_SYSTEM.load(Ordering::Relaxed) {
        compiler_fence(Ordering::SeqCst);
    } else {
        fence(Ordering::SeqCst);
    }
}

/// The rare side, between its write and its read. False: it did not succeed, nothing is certain.
#[must_use]
pub(crate) fn heavy() -> bool {
    fence(Ordering::SeqCst);
    // A child process may have to register anew.
    !BY_SYSTEM.load(Ordering::Relaxed)
        || system::barrier()
        || (system::register() && system::barrier())
}

#[cfg(target_os = "linux")]
mod system {
    use libc::{
        MEMBARRIER_CMD_PRIVATE_EXPEDITED, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
        SYS_membarrier, c_int, syscall,
    };

    pub(super) fn register() -> bool {
        membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)
    }

    pub(super) fn barrier() -> bool {
        membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)
    }

    fn membarrier(command: c_int) -> bool {
        const NO_FLAGS: c_int = 0;
        // SAFETY: the call takes numbers and touches none of our memory.
        unsafe { syscall(SYS_membarrier, command, NO_FLAGS, NO_FLAGS) == 0 }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) fn register() -> bool {
        false
    }

    pub(super) fn barrier() -> bool {
        false
    }
}
