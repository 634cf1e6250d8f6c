//! Charges, and what is given back: `record_latency`, `refund`, `release`, and the operator's
//! hand: `reset`, `block`, `penalize`.

use std::ffi::c_void;
use std::time::Duration;

use crate::guard::guard;
use crate::handle;
use crate::limiter::{lend_limiter, tidegate_limiter};
use crate::status::tidegate_status;

/// Charges the time that a request took to the latency limits, after the fact. It may overdraw
/// them: that is debt, which time repays. Without latency limits it does nothing.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, TIDEGATE_ERROR_STORE.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_record_latency(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    latency_ns: u64,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, key) = unsafe { (lend_limiter(limiter)?, handle::key(key, key_len)?) };
        Ok(limiter.record_latency(key, Duration::from_nanos(latency_ns))?)
    })
}

/// As tidegate_record_latency, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_record_latency_at(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    latency_ns: u64,
    now_ns: u64,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, key) = unsafe { (lend_limiter(limiter)?, handle::key(key, key_len)?) };
        Ok(limiter.record_latency_at(
            key,
            Duration::from_nanos(latency_ns),
            handle::now(now_ns)?,
        )?)
    })
}

/// Gives `cost` units back to every count limit of the key: never above its capacity, and never to
/// a window that has passed.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, TIDEGATE_ERROR_STORE.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_refund(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    cost: u64,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, key) = unsafe { (lend_limiter(limiter)?, handle::key(key, key_len)?) };
        Ok(limiter.refund(key, cost)?)
    })
}

/// As tidegate_refund, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_refund_at(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    cost: u64,
    now_ns: u64,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, key) = unsafe { (lend_limiter(limiter)?, handle::key(key, key_len)?) };
        Ok(limiter.refund_at(key, cost, handle::now(now_ns)?)?)
    })
}

/// Gives one permit back to every concurrency limit of the key; never below zero in flight.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, TIDEGATE_ERROR_STORE.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_release(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, key) = unsafe { (lend_limiter(limiter)?, handle::key(key, key_len)?) };
        Ok(limiter.release(key)?)
    })
}

/// As tidegate_release, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_release_at(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    now_ns: u64,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, key) = unsafe { (lend_limiter(limiter)?, handle::key(key, key_len)?) };
        Ok(limiter.release_at(key, handle::now(now_ns)?)?)
    })
}

/// Makes every count and latency limit of the key full, and lifts a block. Permits in flight stay.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, TIDEGATE_ERROR_STORE.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_reset(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, key) = unsafe { (lend_limiter(limiter)?, handle::key(key, key_len)?) };
        Ok(limiter.reset(key)?)
    })
}

/// As tidegate_reset, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_reset_at(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    now_ns: u64,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, key) = unsafe { (lend_limiter(limiter)?, handle::key(key, key_len)?) };
        Ok(limiter.reset_at(key, handle::now(now_ns)?)?)
    })
}

/// Denies all requests of the key for `duration_ns` from now on; 0 lifts the block.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, TIDEGATE_ERROR_STORE.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_block(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    duration_ns: u64,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, key) = unsafe { (lend_limiter(limiter)?, handle::key(key, key_len)?) };
        Ok(limiter.block(key, Duration::from_nanos(duration_ns))?)
    })
}

/// As tidegate_block, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_block_at(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    duration_ns: u64,
    now_ns: u64,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, key) = unsafe { (lend_limiter(limiter)?, handle::key(key, key_len)?) };
        Ok(limiter.block_at(key, Duration::from_nanos(duration_ns), handle::now(now_ns)?)?)
    })
}

/// Charges `units` to every count limit of the key, whatever is left; it may overdraw.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, TIDEGATE_ERROR_STORE.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_penalize(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    units: u64,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, key) = unsafe { (lend_limiter(limiter)?, handle::key(key, key_len)?) };
        Ok(limiter.penalize(key, units)?)
    })
}

/// As tidegate_penalize, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_penalize_at(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    units: u64,
    now_ns: u64,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, key) = unsafe { (lend_limiter(limiter)?, handle::key(key, key_len)?) };
        Ok(limiter.penalize_at(key, units, handle::now(now_ns)?)?)
    })
}
