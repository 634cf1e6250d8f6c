//! Clocks that a program moves by hand.

use engine::{ManualClock, Timestamp};

use std::time::Duration;

use crate::error::Failure;
use crate::guard::guard;
use crate::handle::{Out, give, lend, now, take};
use crate::status::tidegate_status;

/// A source of time for limiters.
pub struct tidegate_clock(ManualClock);

impl tidegate_clock {
    pub(crate) fn manual(&self) -> &ManualClock {
        &self.0
    }
}

/// # Safety
/// `clock` is NULL or a live clock.
unsafe fn lend_clock<'a>(clock: *const tidegate_clock) -> Result<&'a ManualClock, Failure> {
    // SAFETY: the caller's promise.
    unsafe { lend(clock, "clock") }.map(tidegate_clock::manual)
}

/// A clock that stands at `now_ns` (nanoseconds since the Unix epoch) until it is moved, for
/// tests without sleeping. It is handed to limiters in their options, and given back with
/// tidegate_clock_free; limiters that use it go on using it.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, also for times beyond the year 2116.
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_clock_new_manual(
    now_ns: u64,
    clock: *mut *mut tidegate_clock,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let place = unsafe { Out::new(clock, "clock") }?;
        place.write(give(tidegate_clock(ManualClock::new(now(now_ns)?))));
        Ok(())
    })
}

/// Moves a clock to `now_ns`, also back, and wakes those who wait on it.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, also for times beyond the year 2116.
/// Thread safety: concurrent calls on one clock are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_clock_set(
    clock: *const tidegate_clock,
    now_ns: u64,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        unsafe { lend_clock(clock) }?.set(now(now_ns)?);
        Ok(())
    })
}

/// Moves a clock on by `span_ns`, and wakes those who wait on it. It stops in the year 2116.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT.
/// Thread safety: concurrent calls on one clock are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_clock_advance(
    clock: *const tidegate_clock,
    span_ns: u64,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        unsafe { lend_clock(clock) }?.advance(Duration::from_nanos(span_ns));
        Ok(())
    })
}

/// Where a clock stands: nanoseconds since the Unix epoch.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT.
/// Thread safety: concurrent calls on one clock are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_clock_now(
    clock: *const tidegate_clock,
    now_ns: *mut u64,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (clock, place) = unsafe { (lend_clock(clock)?, Out::new(now_ns, "now_ns")?) };
        place.write(Timestamp::as_nanos(clock.now()));
        Ok(())
    })
}

/// Gives a clock back. NULL is a no-op; freeing one twice is undefined.
///
/// Thread safety: no other call may use this clock now or later; limiters that were made with it
/// are not concerned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_clock_free(clock: *mut tidegate_clock) {
    guard(|| {
        // SAFETY: the header's contract.
        drop(unsafe { take(clock) });
        Ok(())
    });
}
