//! Charges after the fact, and what is given back: `record_latency`, `refund`, `penalize`.

use std::ffi::c_void;
use std::time::Duration;

use crate::attribute::tidegate_attribute;
use crate::call::{at, change};
use crate::handle;
use crate::limiter::tidegate_limiter;
use crate::status::tidegate_status;

/// Charges the time that a request took to the latency limits, after the fact. It may overdraw
/// them: that is debt, which time repays. Without latency limits it does nothing.
///
/// Errors: as tidegate_acquire.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_record_latency(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    latency_ns: u64,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        change(limiter, handle::key(key, key_len), |limiter, key| {
            limiter.record_latency(key, Duration::from_nanos(latency_ns))
        })
    }
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
    // SAFETY: the header's contract.
    unsafe {
        change(limiter, at(handle::key(key, key_len), now_ns), |limiter, (key, now)| {
            limiter.record_latency_at(key, Duration::from_nanos(latency_ns), now)
        })
    }
}

/// As tidegate_record_latency, of a request with attributes (see tidegate_attribute).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_record_latency_request(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    latency_ns: u64,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        change(limiter, handle::request(attributes, attribute_count), |limiter, request| {
            limiter.record_latency(request, Duration::from_nanos(latency_ns))
        })
    }
}

/// As tidegate_record_latency_request, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_record_latency_request_at(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    latency_ns: u64,
    now_ns: u64,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        change(
            limiter,
            at(handle::request(attributes, attribute_count), now_ns),
            |limiter, (request, now)| {
                limiter.record_latency_at(request, Duration::from_nanos(latency_ns), now)
            },
        )
    }
}

/// Gives `cost` units back to every count limit of the key: never above its capacity, and never to
/// a window that has passed.
///
/// Errors: as tidegate_acquire.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_refund(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    cost: u64,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe { change(limiter, handle::key(key, key_len), |limiter, key| limiter.refund(key, cost)) }
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
    // SAFETY: the header's contract.
    unsafe {
        change(limiter, at(handle::key(key, key_len), now_ns), |limiter, (key, now)| {
            limiter.refund_at(key, cost, now)
        })
    }
}

/// As tidegate_refund, of a request with attributes (see tidegate_attribute).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_refund_request(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    cost: u64,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        change(limiter, handle::request(attributes, attribute_count), |limiter, request| {
            limiter.refund(request, cost)
        })
    }
}

/// As tidegate_refund_request, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_refund_request_at(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    cost: u64,
    now_ns: u64,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        change(
            limiter,
            at(handle::request(attributes, attribute_count), now_ns),
            |limiter, (request, now)| limiter.refund_at(request, cost, now),
        )
    }
}

/// Charges `units` to every count limit of the key, whatever is left; it may overdraw.
///
/// Errors: as tidegate_acquire.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_penalize(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    units: u64,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        change(limiter, handle::key(key, key_len), |limiter, key| limiter.penalize(key, units))
    }
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
    // SAFETY: the header's contract.
    unsafe {
        change(limiter, at(handle::key(key, key_len), now_ns), |limiter, (key, now)| {
            limiter.penalize_at(key, units, now)
        })
    }
}

/// As tidegate_penalize, of a request with attributes (see tidegate_attribute).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_penalize_request(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    units: u64,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        change(limiter, handle::request(attributes, attribute_count), |limiter, request| {
            limiter.penalize(request, units)
        })
    }
}

/// As tidegate_penalize_request, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_penalize_request_at(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    units: u64,
    now_ns: u64,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        change(
            limiter,
            at(handle::request(attributes, attribute_count), now_ns),
            |limiter, (request, now)| limiter.penalize_at(request, units, now),
        )
    }
}
