//! How often this process has become a forked child: what its parent was in the middle of is not under way here.
//!
//! Asking the system for the number of the process takes as long as a call of a pacer. So the C library, which runs a
//! handler in each child before `fork` returns there, has it counted (Linux: `pthread_atfork`; a library that is
//! unloaded takes its handler along), and asking is a load. Where that cannot be, the system is asked.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// One more than there were; 0: they are not counted. (One number, so that asking is one load.)
static FORKS: AtomicU32 = AtomicU32::new(0);
static DECIDED: Once = Once::new();

/// To be called before the first question.
pub(crate) fn prepare() {
    // Relaxed: who calls this sees the addition, for `Once` says so.
    DECIDED.call_once(|| {
        if system::count_forks() {
            FORKS.fetch_add(1, Ordering::Relaxed);
        }
    });
}

/// A number that stays as long as this is the same process, and is another one in a forked child.
#[inline]
pub(crate) fn forks() -> u32 {
    // Relaxed: it is written in the one thread that a child begins with.
    match FORKS.load(Ordering::Relaxed) {
        0 => std::process::id(),
        forks => forks,
    }
}

#[cfg(target_os = "linux")]
mod system {
    use super::{FORKS, Ordering};

    /// Nothing but an addition: a child of a process with several threads may do little else.
    extern "C" fn in_child() {
        FORKS.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_forks() -> bool {
        // SAFETY: `in_child` may run in any child at any time; it touches one atomic and cannot panic.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) == 0 }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) fn count_forks() -> bool {
        false
    }
}
