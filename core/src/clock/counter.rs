//! The processor's counter: what it shows, and whether it may be trusted to count evenly.
//!
//! Trusted is what says of itself that it counts at one rate at all times, on every core, and what
//! Linux, which compares the cores with each other, has chosen for its own clock. Where Linux cannot be
//! asked, `course` finds out: it gives up a counter that strays from the system's clock.

use once_cell::sync::Lazy;

/// Where Linux says which counter it trusts.
#[cfg(target_os = "linux")]
const CHOSEN: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";

/// May the counter be used for time? Asked of the machine once.
pub(super) fn is_steady() -> bool {
    static STEADY: Lazy<bool> = Lazy::new(|| imp::is_invariant() && is_chosen());
    *STEADY
}

#[cfg(target_os = "linux")]
fn is_chosen() -> bool {
    match std::fs::read_to_string(CHOSEN) {
        Ok(name) => name.trim_end() == imp::NAME,
        // A sandbox without /sys.
        Err(_) => true,
    }
}

#[cfg(not(target_os = "linux"))]
fn is_chosen() -> bool {
    true
}

pub(super) use imp::read;

#[cfg(all(target_arch = "x86_64", not(loom)))]
mod imp {
    use std::arch::x86_64::{__cpuid, _rdtsc};

    #[cfg(target_os = "linux")]
    pub(super) const NAME: &str = "tsc";

    /// The time stamp counter. Not fenced: it may be read some instructions early or late, which is
    /// nanoseconds.
    #[inline(always)]
    pub(in crate::clock) fn read() -> u64 {
        // SAFETY: every x86-64 has the instruction; it touches no memory. (A program that forbids it to
        // itself, as Linux's PR_SET_TSC does, breaks the system's clock as well.)
        unsafe { _rdtsc() }
    }

    /// Does it count at one rate whatever the processor's clock does, asleep as well?
    pub(super) fn is_invariant() -> bool {
        const LAST_LEAF: u32 = 0x8000_0000;
        const POWER: u32 = 0x8000_0007;
        // SAFETY: every x86-64 has the instruction; unknown leaves give numbers without meaning, no
        // fault.
        #[allow(unused_unsafe, reason = "safe from Rust 1.94 on")]
        unsafe {
            __cpuid(LAST_LEAF).eax >= POWER && __cpuid(POWER).edx & (1 << 8) != 0
        }
    }
}

#[cfg(all(target_arch = "aarch64", not(loom)))]
mod imp {
    use std::arch::asm;

    #[cfg(target_os = "linux")]
    pub(super) const NAME: &str = "arch_sys_counter";

    /// The virtual count of the generic timer.
    #[inline(always)]
    pub(in crate::clock) fn read() -> u64 {
        let count: u64;
        // SAFETY: reads a register that programs may read; touches neither memory nor stack.
        unsafe { asm!("mrs {}, cntvct_el0", out(reg) count, options(nomem, nostack)) };
        count
    }

    /// The architecture says so.
    pub(super) fn is_invariant() -> bool {
        true
    }
}

#[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(loom))))]
mod imp {
    #[cfg(target_os = "linux")]
    pub(super) const NAME: &str = "none";

    pub(in crate::clock) fn read() -> u64 {
        0
    }

    pub(super) fn is_invariant() -> bool {
        false
    }
}
