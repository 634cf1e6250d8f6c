//! A barrier of which one side costs nothing: the rare side asks the system to make every running thread pass
//! one (Linux: `membarrier`).
//!
//! One thread writes A and then reads B, the other writes B and then reads A: one of them must see the
//! other's write. That takes a full fence in each, 10 ns; here the frequent side has none (the compiler keeps
//! the order), and the rare one stops all processors for a moment. Systems that have no such thing: both sides are
//! fences. A Linux that has it not, or forbids it: [`is_there`] says no, and who is on the frequent side makes a fence.

use std::sync::atomic::{Ordering, fence};

pub(crate) use imp::{is_there, light, prepare};

/// The rare side, between its write and its read. False: it did not succeed, nothing is certain.
#[must_use]
pub(crate) fn heavy() -> bool {
    fence(Ordering::SeqCst);
    !is_there() || imp::stop_all()
}

#[cfg(target_os = "linux")]
mod imp {
    use std::sync::Once;
    use std::sync::atomic::{AtomicBool, Ordering, compiler_fence};

    use libc::{
        MEMBARRIER_CMD_PRIVATE_EXPEDITED, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
        SYS_membarrier, c_int, syscall,
    };

    /// Decided once, before the first barrier.
    static IS_THERE: AtomicBool = AtomicBool::new(false);
    static DECIDED: Once = Once::new();

    /// To be called before the first barrier of either side.
    pub(crate) fn prepare() {
        // Relaxed: who calls this sees the store, for `Once` says so.
        DECIDED.call_once(|| IS_THERE.store(register(), Ordering::Relaxed));
    }

    /// Is `light` enough on the frequent side? If not, that takes a fence.
    pub(crate) fn is_there() -> bool {
        IS_THERE.load(Ordering::Relaxed)
    }

    /// The frequent side, between its write and its read.
    #[inline(always)]
    pub(crate) fn light() {
        compiler_fence(Ordering::SeqCst);
    }

    pub(super) fn stop_all() -> bool {
        // A child process may have to register anew.
        membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)
            || (register() && membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED))
    }

    fn register() -> bool {
        membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)
    }

    fn membarrier(command: c_int) -> bool {
        const NO_FLAGS: c_int = 0;
        // SAFETY: the call takes numbers and touches none of our memory.
        unsafe { syscall(SYS_membarrier, command, NO_FLAGS, NO_FLAGS) == 0 }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::sync::atomic::{Ordering, fence};

    pub(crate) fn prepare() {}

    pub(crate) fn is_there() -> bool {
        true
    }

    #[inline(always)]
    pub(crate) fn light() {
        fence(Ordering::SeqCst);
    }

    /// The fences do.
    pub(super) fn stop_all() -> bool {
        true
    }
}
