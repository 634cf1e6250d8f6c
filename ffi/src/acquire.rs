//! Asking for admission: `acquire`, `try_acquire`, `peek`.

use std::ffi::c_void;

use crate::attribute::tidegate_attribute;
use crate::call::{admit, at, decide, decide_in_place};
use crate::decision::tidegate_decision;
use crate::handle;
use crate::limiter::tidegate_limiter;
use crate::status::tidegate_status;

/// Decides now whether a request of `key` that costs `cost` units may go on. It never waits.
/// Every limit must have room; then all of them are charged, else none is. The key is any
/// `key_len` bytes.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, also when the policy insists on attributes that a key does not
/// have, and of a request also for an attribute that is missing or wrong: the error names it;
/// TIDEGATE_ERROR_STORE. A denial is not an error.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_acquire(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    cost: u64,
    decision: *mut tidegate_decision,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe { decide_in_place(limiter, handle::key(key, key_len), decision, cost) }
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
    // SAFETY: the header's contract.
    unsafe {
        decide(limiter, at(handle::key(key, key_len), now_ns), decision, |limiter, (key, now)| {
            limiter.acquire_at(key, cost, now)
        })
    }
}

/// As tidegate_acquire, of a request with attributes (see tidegate_attribute).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_acquire_request(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    cost: u64,
    decision: *mut tidegate_decision,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        decide(
            limiter,
            handle::request(attributes, attribute_count),
            decision,
            |limiter, request| limiter.acquire(request, cost),
        )
    }
}

/// As tidegate_acquire_request, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_acquire_request_at(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    cost: u64,
    now_ns: u64,
    decision: *mut tidegate_decision,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        decide(
            limiter,
            at(handle::request(attributes, attribute_count), now_ns),
            decision,
            |limiter, (request, now)| limiter.acquire_at(request, cost, now),
        )
    }
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
    // SAFETY: the header's contract.
    unsafe {
        admit(limiter, handle::key(key, key_len), |limiter, key| limiter.try_acquire(key, cost))
    }
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
    // SAFETY: the header's contract.
    unsafe {
        admit(limiter, at(handle::key(key, key_len), now_ns), |limiter, (key, now)| {
            limiter.try_acquire_at(key, cost, now)
        })
    }
}

/// As tidegate_try_acquire, of a request with attributes (see tidegate_attribute).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_try_acquire_request(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    cost: u64,
) -> bool {
    // SAFETY: the header's contract.
    unsafe {
        admit(limiter, handle::request(attributes, attribute_count), |limiter, request| {
            limiter.try_acquire(request, cost)
        })
    }
}

/// As tidegate_try_acquire_request, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_try_acquire_request_at(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    cost: u64,
    now_ns: u64,
) -> bool {
    // SAFETY: the header's contract.
    unsafe {
        admit(
            limiter,
            at(handle::request(attributes, attribute_count), now_ns),
            |limiter, (request, now)| limiter.try_acquire_at(request, cost, now),
        )
    }
}

/// What tidegate_acquire would answer now; changes nothing.
///
/// Errors: as tidegate_acquire.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_peek(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    cost: u64,
    decision: *mut tidegate_decision,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        decide(limiter, handle::key(key, key_len), decision, |limiter, key| limiter.peek(key, cost))
    }
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
    // SAFETY: the header's contract.
    unsafe {
        decide(limiter, at(handle::key(key, key_len), now_ns), decision, |limiter, (key, now)| {
            limiter.peek_at(key, cost, now)
        })
    }
}

/// As tidegate_peek, of a request with attributes (see tidegate_attribute).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_peek_request(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    cost: u64,
    decision: *mut tidegate_decision,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        decide(
            limiter,
            handle::request(attributes, attribute_count),
            decision,
            |limiter, request| limiter.peek(request, cost),
        )
    }
}

/// As tidegate_peek_request, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_peek_request_at(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    cost: u64,
    now_ns: u64,
    decision: *mut tidegate_decision,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        decide(
            limiter,
            at(handle::request(attributes, attribute_count), now_ns),
            decision,
            |limiter, (request, now)| limiter.peek_at(request, cost, now),
        )
    }
}
