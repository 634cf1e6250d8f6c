//! Waiting for admission on the calling thread.

use std::ffi::c_void;

use crate::attribute::tidegate_attribute;
use crate::call::decide;
use crate::decision::tidegate_decision;
use crate::handle;
use crate::limiter::tidegate_limiter;
use crate::status::tidegate_status;

/// Blocks the calling thread until the request is admitted: waiters of a key are served in the
/// order in which they came. It returns without admission when `timeout_ns` has passed, or at
/// once when waiting that long cannot help, when the cost is impossible, or when no waiting helps
/// (block lists of the policy, a limit that denies for want of an attribute); `*decision` is the last answer. TIDEGATE_NEVER: no time limit; 0: only if it is admitted at once.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, TIDEGATE_ERROR_STORE. A timeout is not an error: `allowed` is
/// false.
/// Thread safety: concurrent calls on one limiter are fine; it must not be freed while a
/// thread waits on it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_wait(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    cost: u64,
    timeout_ns: u64,
    decision: *mut tidegate_decision,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        decide(limiter, handle::key(key, key_len), decision, |limiter, key| {
            limiter.wait(key, cost, handle::timeout(timeout_ns))
        })
    }
}

/// As tidegate_wait, of a request with attributes (see tidegate_attribute).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_wait_request(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    cost: u64,
    timeout_ns: u64,
    decision: *mut tidegate_decision,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        decide(
            limiter,
            handle::request(attributes, attribute_count),
            decision,
            |limiter, request| limiter.wait(request, cost, handle::timeout(timeout_ns)),
        )
    }
}
