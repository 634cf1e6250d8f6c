//! How long to wait before another attempt, for programs that need no pacer.

use std::time::Duration;

use engine::client::Backoff;

use crate::guard::guard;
use crate::handle::{self, Out, give, lend_mut, nanos, take};
use crate::status::tidegate_status;

/// Waits before retries, with full jitter.
pub struct tidegate_backoff(Backoff);

/// Waits before retries: uniform between 0 and min(cap, base * 2^n) before the retry after n others, so
/// that those who failed together do not come back together. `seed`: the same one gives the same waits; 0:
/// others each time. Given back with tidegate_backoff_free.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT.
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_backoff_new(
    base_ns: u64,
    cap_ns: u64,
    seed: u64,
    backoff: *mut *mut tidegate_backoff,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let place = unsafe { Out::new(backoff, "backoff") }?;
        let (base, cap) = (Duration::from_nanos(base_ns), Duration::from_nanos(cap_ns));
        let backoff = Backoff::new(base, cap, (seed != 0).then_some(seed));
        place.write(give(tidegate_backoff(backoff)));
        Ok(())
    })
}

/// The wait before the next attempt, after `retries` retries. `server_delay_ns` is what the server asks for
/// (tidegate_server_limits_delay_ns), TIDEGATE_NEVER: nothing; it is kept in full, and the jitter comes on
/// top.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT.
/// Thread safety: one call on a backoff at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_backoff_delay(
    backoff: *mut tidegate_backoff,
    retries: u32,
    server_delay_ns: u64,
    delay_ns: *mut u64,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (backoff, place) =
            unsafe { (lend_mut(backoff, "backoff")?, Out::new(delay_ns, "delay_ns")?) };
        // NEVER means none here as well.
        place.write(nanos(backoff.0.delay(retries, handle::timeout(server_delay_ns))));
        Ok(())
    })
}

/// Gives a backoff back. NULL is a no-op.
///
/// Thread safety: no other call may use this backoff now or later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_backoff_free(backoff: *mut tidegate_backoff) {
    guard(|| {
        // SAFETY: the header's contract.
        let _gone = unsafe { take(backoff) };
        Ok(())
    });
}
