//! The operator's hand: `reset`, `block`.

use std::ffi::c_void;
use std::time::Duration;

use crate::attribute::tidegate_attribute;
use crate::call::{at, change};
use crate::handle;
use crate::limiter::tidegate_limiter;
use crate::status::tidegate_status;

/// Makes every count and latency limit of the key full, and lifts a block. Permits in flight stay.
/// Of a request: of all that it has with the attributes given.
///
/// Errors: as tidegate_acquire.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_reset(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe { change(limiter, handle::key(key, key_len), |limiter, key| limiter.reset(key)) }
}

/// As tidegate_reset, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_reset_at(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    now_ns: u64,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        change(limiter, at(handle::key(key, key_len), now_ns), |limiter, (key, now)| {
            limiter.reset_at(key, now)
        })
    }
}

/// As tidegate_reset, of a request with attributes (see tidegate_attribute).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_reset_request(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        change(limiter, handle::request(attributes, attribute_count), |limiter, request| {
            limiter.reset(request)
        })
    }
}

/// As tidegate_reset_request, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_reset_request_at(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    now_ns: u64,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        change(
            limiter,
            at(handle::request(attributes, attribute_count), now_ns),
            |limiter, (request, now)| limiter.reset_at(request, now),
        )
    }
}

/// Denies all requests of the key for `duration_ns` from now on; 0 lifts the block. Of a request, which
/// has one attribute for this (such as "ip"): all requests with that attribute. Of an IPv6 address its
/// network is blocked, by the policy's `ipv6_prefix`.
///
/// Errors: as tidegate_acquire.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_block(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    duration_ns: u64,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        change(limiter, handle::key(key, key_len), |limiter, key| {
            limiter.block(key, Duration::from_nanos(duration_ns))
        })
    }
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
    // SAFETY: the header's contract.
    unsafe {
        change(limiter, at(handle::key(key, key_len), now_ns), |limiter, (key, now)| {
            limiter.block_at(key, Duration::from_nanos(duration_ns), now)
        })
    }
}

/// As tidegate_block, of a request with attributes (see tidegate_attribute).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_block_request(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    duration_ns: u64,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        change(limiter, handle::request(attributes, attribute_count), |limiter, request| {
            limiter.block(request, Duration::from_nanos(duration_ns))
        })
    }
}

/// As tidegate_block_request, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_block_request_at(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    duration_ns: u64,
    now_ns: u64,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        change(
            limiter,
            at(handle::request(attributes, attribute_count), now_ns),
            |limiter, (request, now)| {
                limiter.block_at(request, Duration::from_nanos(duration_ns), now)
            },
        )
    }
}
