//! The counters of a pacer, and what its calls waited for.

use std::ffi::{CString, c_char};

use engine::client::PacerStats;

use crate::client_pacer::tidegate_pacer;
use crate::error::{Failure, c_text};
use crate::guard::{guard, guard_value};
use crate::handle::{Growing, Out, OutStruct, give, lend, nanos, take};
use crate::status::tidegate_status;

/// Counters of a pacer since its creation. Start with
/// `tidegate_pacer_counters counters = TIDEGATE_PACER_COUNTERS_INIT;`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_pacer_counters {
    /// sizeof(tidegate_pacer_counters), set by the caller; fields beyond it are not written.
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// Calls that were begun.
    pub calls: u64,
    /// Attempts that were let go, the first of each call included.
    pub attempts: u64,
    /// Attempts that answers asked to make again.
    pub retries: u64,
    /// Answers that said that the server limits us: 429, and 503 with a delay.
    pub limited: u64,
    /// Time that calls stood waiting, for their turn and for retries, in all.
    pub wait_ns: u64,
    /// Times everybody had to wait.
    pub pauses: u64,
    /// Calls given up because every attempt was refused.
    pub exhausted: u64,
    /// Times the breaker opened.
    pub breaker_opened: u64,
    /// Calls under way now.
    pub in_flight: u64,
    /// Calls that wait now, for their turn or for a retry.
    pub waiting: u64,
}

// SAFETY: repr(C), the size in front, then 4 bytes, then fields of 8 bytes.
unsafe impl Growing for tidegate_pacer_counters {}

impl From<PacerStats> for tidegate_pacer_counters {
    fn from(stats: PacerStats) -> tidegate_pacer_counters {
        tidegate_pacer_counters {
            struct_size: size_of::<tidegate_pacer_counters>() as u32,
            reserved: 0,
            calls: stats.calls,
            attempts: stats.attempts,
            retries: stats.retries,
            limited: stats.limited,
            wait_ns: nanos(stats.wait),
            pauses: stats.pauses,
            exhausted: stats.exhausted,
            breaker_opened: stats.breaker_opened,
            in_flight: stats.in_flight.into(),
            waiting: stats.waiting,
        }
    }
}

/// How often calls had to wait for one thing. Start with
/// `tidegate_wait_count one = TIDEGATE_WAIT_COUNT_INIT;`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_wait_count {
    /// sizeof(tidegate_wait_count), set by the caller; fields beyond it are not written.
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// How many attempts had to wait for it.
    pub waits: u64,
    /// What they waited for: the name of a limit, "concurrency" (the cap), "pause", or "quota" (known
    /// from headers). UTF-8, valid as long as the tidegate_waits.
    pub name: *const c_char,
}

// SAFETY: repr(C), the size in front, then 4 bytes, then fields of 8 bytes (a shorter pointer at the end is padded to 8
// by the alignment of u64).
unsafe impl Growing for tidegate_wait_count {}

/// What the calls of a pacer waited for.
pub struct tidegate_waits(Vec<(CString, u64)>);

// They never change, so that threads may share them.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<tidegate_waits>();
};

/// The counters of a pacer, all of one moment.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT.
/// Thread safety: concurrent calls on one pacer are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_pacer_stats(
    pacer: *const tidegate_pacer,
    counters: *mut tidegate_pacer_counters,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (pacer, place) =
            unsafe { (lend(pacer, "pacer")?, OutStruct::new(counters, "counters")?) };
        place.write(pacer.engine().stats().into());
        Ok(())
    })
}

/// What calls have waited for since the pacer's creation, each with how often: an attempt that was held
/// when it was the first in line counts once for a limit, once for the cap, once for a pause and once
/// for a quota. Given back with tidegate_waits_free.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT.
/// Thread safety: concurrent calls on one pacer are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_pacer_waits(
    pacer: *const tidegate_pacer,
    waits: *mut *mut tidegate_waits,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (pacer, place) = unsafe { (lend(pacer, "pacer")?, Out::new(waits, "waits")?) };
        let counts = pacer.engine().stats().waits;
        let counts = counts.into_iter().map(|(name, waits)| (c_text(&name), waits)).collect();
        place.write(give(tidegate_waits(counts)));
        Ok(())
    })
}

/// The number of things that calls have waited for; 0 for NULL.
///
/// Thread safety: concurrent calls are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_waits_count(waits: *const tidegate_waits) -> usize {
    // SAFETY: the header's contract.
    guard_value(0, || Ok(unsafe { lend(waits, "waits") }?.0.len()))
}

/// One of them, in the order of the names; `index` from 0.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, also when `index` is not below the count.
/// Thread safety: concurrent calls are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_waits_get(
    waits: *const tidegate_waits,
    index: usize,
    wait_count: *mut tidegate_wait_count,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (counts, place) =
            unsafe { (&lend(waits, "waits")?.0, OutStruct::new(wait_count, "wait_count")?) };
        let (name, waits) = counts.get(index).ok_or_else(|| Failure::index(index, counts.len()))?;
        place.write(tidegate_wait_count {
            struct_size: size_of::<tidegate_wait_count>() as u32,
            reserved: 0,
            waits: *waits,
            name: name.as_ptr(),
        });
        Ok(())
    })
}

/// Gives them back. NULL is a no-op.
///
/// Thread safety: no other call may use these waits now or later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_waits_free(waits: *mut tidegate_waits) {
    guard(|| {
        // SAFETY: the header's contract.
        drop(unsafe { take(waits) });
        Ok(())
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layouts_are_pinned() {
        assert_eq!(size_of::<tidegate_pacer_counters>(), 88);
        assert_eq!(std::mem::offset_of!(tidegate_pacer_counters, calls), 8);
        assert_eq!(size_of::<tidegate_wait_count>(), 24);
    }
}
