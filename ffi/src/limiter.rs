//! A limiter: made, changed, freed.

use std::ffi::{CString, c_char};

use engine::{Limiter, Policy};

use crate::alert::Listening;
use crate::error::{Failure, c_text};
use crate::guard::{guard, guard_value};
use crate::handle::{self, Out, give, lend, take};
use crate::options::{self, tidegate_options};
use crate::status::tidegate_status;

/// A policy, the state of its keys, and a clock.
pub struct tidegate_limiter {
    limiter: Limiter,
    name: CString,
    listening: Listening,
}

impl tidegate_limiter {
    pub(crate) fn new(limiter: Limiter) -> tidegate_limiter {
        let name = c_text(limiter.name());
        tidegate_limiter { limiter, name, listening: Listening::default() }
    }

    pub(crate) fn listening(&self) -> &Listening {
        &self.listening
    }

    #[inline]
    pub(crate) fn engine(&self) -> &Limiter {
        &self.limiter
    }
}

/// A limiter that was lent for the call.
///
/// # Safety
/// `limiter` is NULL or a live limiter.
#[inline]
pub(crate) unsafe fn lend_limiter<'a>(
    limiter: *const tidegate_limiter,
) -> Result<&'a Limiter, Failure> {
    // SAFETY: the caller's promise.
    unsafe { lend(limiter, "limiter") }.map(tidegate_limiter::engine)
}

/// Makes a limiter. `policy` is a rate string ("100/minute; 30s/minute"), or a TOML or JSON
/// document: `policy_len` bytes of UTF-8, which need no NUL at their end and are not kept.
///
/// Errors: TIDEGATE_ERROR_POLICY with line, column and field (see tidegate_last_error);
/// TIDEGATE_ERROR_ARGUMENT. The limiter is given back with tidegate_limiter_free.
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_limiter_new(
    policy: *const c_char,
    policy_len: usize,
    limiter: *mut *mut tidegate_limiter,
) -> tidegate_status {
    // SAFETY: the header's contract is that of the function called.
    unsafe { tidegate_limiter_new_with(policy, policy_len, std::ptr::null(), limiter) }
}

/// As tidegate_limiter_new, with options (NULL: the defaults).
///
/// Errors: also TIDEGATE_ERROR_ARGUMENT for a bad option, which the error's text names.
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_limiter_new_with(
    policy: *const c_char,
    policy_len: usize,
    options: *const tidegate_options,
    limiter: *mut *mut tidegate_limiter,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (policy, place) =
            unsafe { (handle::policy(policy, policy_len)?, Out::new(limiter, "limiter")?) };
        let policy = Policy::parse(policy)?;
        // SAFETY: the header's contract.
        let built = unsafe { options::build(policy, options) }?;
        place.write(give(tidegate_limiter::new(built)));
        Ok(())
    })
}

/// As tidegate_limiter_new_with, with the policy in a file: `.toml`, `.json`, or a rate string
/// under any other name. `path` ends with NUL.
///
/// Errors: TIDEGATE_ERROR_FILE when it cannot be read; else as tidegate_limiter_new_with, with
/// the path in the text.
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_limiter_new_from_file(
    path: *const c_char,
    options: *const tidegate_options,
    limiter: *mut *mut tidegate_limiter,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (path, place) = unsafe { (handle::path(path, "path")?, Out::new(limiter, "limiter")?) };
        let policy = Policy::from_file(path)?;
        // SAFETY: the header's contract.
        let built = unsafe { options::build(policy, options) }?;
        place.write(give(tidegate_limiter::new(built)));
        Ok(())
    })
}

/// Gives a limiter back. NULL is a no-op; freeing one twice is undefined. Reservations, measures
/// and tickets of it stay valid, and are given back by their own calls.
///
/// Thread safety: no other call may use this limiter now or later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_limiter_free(limiter: *mut tidegate_limiter) {
    guard(|| {
        // SAFETY: the header's contract.
        if let Some(limiter) = unsafe { take(limiter) } {
            limiter.listening.off();
        }
        Ok(())
    });
}

/// Changes the limits while running. Use so far is kept, and nothing is granted retroactively:
/// limits are matched by name, their buckets by position. On an error nothing changes.
///
/// Errors: TIDEGATE_ERROR_POLICY with line, column and field; TIDEGATE_ERROR_ARGUMENT.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_update(
    limiter: *const tidegate_limiter,
    policy: *const c_char,
    policy_len: usize,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, policy) =
            unsafe { (lend_limiter(limiter)?, handle::policy(policy, policy_len)?) };
        Ok(limiter.update(Policy::parse(policy)?)?)
    })
}

/// As tidegate_update, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_update_at(
    limiter: *const tidegate_limiter,
    policy: *const c_char,
    policy_len: usize,
    now_ns: u64,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, policy) =
            unsafe { (lend_limiter(limiter)?, handle::policy(policy, policy_len)?) };
        Ok(limiter.update_at(Policy::parse(policy)?, handle::now(now_ns)?)?)
    })
}

/// The limiter's name, from its options; "" when it has none or is NULL. UTF-8, never NULL, not
/// to be freed; valid as long as the limiter.
///
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_limiter_name(limiter: *const tidegate_limiter) -> *const c_char {
    guard_value(c"".as_ptr(), || {
        // SAFETY: the header's contract.
        let limiter = unsafe { lend(limiter, "limiter") }?;
        Ok(limiter.name.as_ptr())
    })
}

/// The time of the limiter's clock: nanoseconds since the Unix epoch. Several `_at` calls with
/// one such time are cheaper than as many calls that read the clock themselves.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_limiter_now(
    limiter: *const tidegate_limiter,
    now_ns: *mut u64,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, place) = unsafe { (lend_limiter(limiter)?, Out::new(now_ns, "now_ns")?) };
        place.write(limiter.clock().now().as_nanos());
        Ok(())
    })
}
