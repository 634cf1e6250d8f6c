//! Asking for admission: `acquire`, `try_acquire`, `peek`.

use std::ffi::c_void;

use crate::decision::tidegate_decision;
use crate::guard::{guard, guard_value};
use crate::handle::{self, OutStruct};
use crate::limiter::{lend_limiter, tidegate_limiter};
use crate::status::tidegate_status;

/// Decides now whether a request of `key` that costs `cost` units may go on. It never waits.
/// Every limit must have room; then all of them are charged, else none is. The key is any
/// `key_len` bytes.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, TIDEGATE_ERROR_STORE. A denial is not an error.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_acquire(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    cost: u64,
    decision: *mut tidegate_decision,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, key, place) = unsafe {
            (
                lend_limiter(limiter)?,
                handle::key(key, key_len)?,
                OutStruct::new(decision, "decision")?,
            )
        };
        let decision = limiter.acquire(key, cost)?;
        place.write_in_place(|| tidegate_decision::from(decision));
        Ok(())
    })
}

/// As tidegate_acquire, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_acquire_at(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    cost: u64,
    now_ns: u64,
    decision: *mut tidegate_decision,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, key, place) = unsafe {
            (
                lend_limiter(limiter)?,
                handle::key(key, key_len)?,
                OutStruct::new(decision, "decision")?,
            )
        };
        place.write(limiter.acquire_at(key, cost, handle::now(now_ns)?)?.into());
        Ok(())
    })
}

/// As tidegate_acquire, only yes or no: the fastest call. Also false on an error.
///
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_try_acquire(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    cost: u64,
) -> bool {
    guard_value(false, || {
        // SAFETY: the header's contract.
        let (limiter, key) = unsafe { (lend_limiter(limiter)?, handle::key(key, key_len)?) };
        Ok(limiter.try_acquire(key, cost))
    })
}

/// As tidegate_try_acquire, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_try_acquire_at(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    cost: u64,
    now_ns: u64,
) -> bool {
    guard_value(false, || {
        // SAFETY: the header's contract.
        let (limiter, key) = unsafe { (lend_limiter(limiter)?, handle::key(key, key_len)?) };
        Ok(limiter.try_acquire_at(key, cost, handle::now(now_ns)?))
    })
}

/// What tidegate_acquire would answer now; changes nothing.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, TIDEGATE_ERROR_STORE.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_peek(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    cost: u64,
    decision: *mut tidegate_decision,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, key, place) = unsafe {
            (
                lend_limiter(limiter)?,
                handle::key(key, key_len)?,
                OutStruct::new(decision, "decision")?,
            )
        };
        place.write(limiter.peek(key, cost)?.into());
        Ok(())
    })
}

/// As tidegate_peek, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_peek_at(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    cost: u64,
    now_ns: u64,
    decision: *mut tidegate_decision,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, key, place) = unsafe {
            (
                lend_limiter(limiter)?,
                handle::key(key, key_len)?,
                OutStruct::new(decision, "decision")?,
            )
        };
        place.write(limiter.peek_at(key, cost, handle::now(now_ns)?)?.into());
        Ok(())
    })
}
