//! Permits of concurrency limits: `release`, `renew`.

use std::ffi::c_void;

use crate::attribute::tidegate_attribute;
use crate::call::{answer, at, change};
use crate::handle;
use crate::limiter::tidegate_limiter;
use crate::status::tidegate_status;

/// Gives one permit back to every concurrency limit of the key; never below zero in flight.
///
/// Errors: as tidegate_acquire.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_release(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe { change(limiter, handle::key(key, key_len), |limiter, key| limiter.release(key)) }
}

/// As tidegate_release, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_release_at(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    now_ns: u64,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        change(limiter, at(handle::key(key, key_len), now_ns), |limiter, (key, now)| {
            limiter.release_at(key, now)
        })
    }
}

/// As tidegate_release, of a request with attributes (see tidegate_attribute).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_release_request(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        change(limiter, handle::request(attributes, attribute_count), |limiter, request| {
            limiter.release(request)
        })
    }
}

/// As tidegate_release_request, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_release_request_at(
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
            |limiter, (request, now)| limiter.release_at(request, now),
        )
    }
}

/// Begins the time of the oldest permit of every concurrency limit of the key anew (`max_hold` in the
/// policy), for requests that last long. `*renewed` is false when none is out any more: it was
/// reclaimed. A measure knows its own permit: tidegate_measure_renew.
///
/// Errors: as tidegate_acquire.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_renew(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    renewed: *mut bool,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        answer(limiter, handle::key(key, key_len), (renewed, "renewed"), |limiter, key| {
            limiter.renew(key)
        })
    }
}

/// As tidegate_renew, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_renew_at(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    now_ns: u64,
    renewed: *mut bool,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        answer(
            limiter,
            at(handle::key(key, key_len), now_ns),
            (renewed, "renewed"),
            |limiter, (key, now)| limiter.renew_at(key, now),
        )
    }
}

/// As tidegate_renew, of a request with attributes (see tidegate_attribute).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_renew_request(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    renewed: *mut bool,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        answer(
            limiter,
            handle::request(attributes, attribute_count),
            (renewed, "renewed"),
            |limiter, request| limiter.renew(request),
        )
    }
}

/// As tidegate_renew_request, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_renew_request_at(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    now_ns: u64,
    renewed: *mut bool,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        answer(
            limiter,
            at(handle::request(attributes, attribute_count), now_ns),
            (renewed, "renewed"),
            |limiter, (request, now)| limiter.renew_at(request, now),
        )
    }
}
