//! Clocks: the machine's by their names, and those that a program moves by hand.

use engine::{Clock, ManualClock, Timestamp};

use std::ffi::c_char;
use std::time::Duration;

use crate::error::Failure;
use crate::guard::guard;
use crate::handle::{Out, give, lend, now, take, text};
use crate::status::tidegate_status;

/// A source of time for limiters.
pub struct tidegate_clock(Kind);

enum Kind {
    Runs(Clock),
    Manual(ManualClock),
}

impl tidegate_clock {
    pub(crate) fn engine(&self) -> Clock {
        match &self.0 {
            Kind::Runs(clock) => clock.clone(),
            Kind::Manual(clock) => clock.clone().into(),
        }
    }

    fn now(&self) -> Timestamp {
        match &self.0 {
            Kind::Runs(clock) => clock.now(),
            Kind::Manual(clock) => clock.now(),
        }
    }
}

/// # Safety
/// `clock` is NULL or a live clock.
unsafe fn lend_manual<'a>(clock: *const tidegate_clock) -> Result<&'a ManualClock, Failure> {
    // SAFETY: the caller's promise.
    match &unsafe { lend(clock, "clock") }?.0 {
        Kind::Manual(clock) => Ok(clock),
        Kind::Runs(_) => Err(Failure::argument(
            "clock",
            "runs by itself and cannot be moved; give one of tidegate_clock_new_manual",
        )),
    }
}

/// A clock of the machine, by its name, for the options of limiters. All show the wall time when
/// they were made, driven by the system's monotonic clock from then on.
///
/// - "counter" (what a limiter has when none is given): the processor's counter, within 10
///   microseconds of the system's monotonic clock; where there is no steady one, "system".
/// - "system": the system's monotonic clock, asked each time.
/// - "coarse": the system's coarse clock (Linux; elsewhere "system"), in steps of 1 to 10
///   milliseconds, and late by as much.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, also for other names. The clock is given back with
/// tidegate_clock_free; limiters that use it go on using it.
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_clock_new(
    name: *const c_char,
    clock: *mut *mut tidegate_clock,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (name, place) = unsafe { (text(name, "name")?, Out::new(clock, "clock")?) };
        let name =
            name.ok_or_else(|| Failure::argument("name", "is NULL; give a valid pointer"))?;
        place.write(give(tidegate_clock(Kind::Runs(Clock::named(name)?))));
        Ok(())
    })
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
        let clock = ManualClock::new(now(now_ns)?);
        place.write(give(tidegate_clock(Kind::Manual(clock))));
        Ok(())
    })
}

/// Moves a manual clock to `now_ns`, also back, and wakes those who wait on it.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, also for times beyond the year 2116 and for clocks that run.
/// Thread safety: concurrent calls on one clock are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_clock_set(
    clock: *const tidegate_clock,
    now_ns: u64,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        unsafe { lend_manual(clock) }?.set(now(now_ns)?);
        Ok(())
    })
}

/// Moves a manual clock on by `span_ns`, and wakes those who wait on it. It stops in the year 2116.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, also for clocks that run.
/// Thread safety: concurrent calls on one clock are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_clock_advance(
    clock: *const tidegate_clock,
    span_ns: u64,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        unsafe { lend_manual(clock) }?.advance(Duration::from_nanos(span_ns));
        Ok(())
    })
}

/// The time of a clock: nanoseconds since the Unix epoch.
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
        let (clock, place) = unsafe { (lend(clock, "clock")?, Out::new(now_ns, "now_ns")?) };
        place.write(clock.now().as_nanos());
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
