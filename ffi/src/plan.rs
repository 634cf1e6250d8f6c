//! Plans of single customers, given and taken while running.

use std::ffi::{c_char, c_void};

use crate::attribute::tidegate_attribute;
use crate::call::{answer, at, change};
use crate::error::Failure;
use crate::handle::{self, text_named};
use crate::limiter::tidegate_limiter;
use crate::status::tidegate_status;

/// Gives a plan to whoever has this value of the policy's `plan_by` attribute (its default: "key"),
/// whatever requests say: for `duration_ns` from now, or for good (TIDEGATE_NEVER). When a time ends,
/// what was assigned for good holds again, or nothing. Use so far is kept. `plan` ends with NUL.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, also when the policy has no such plan (its field is "plan").
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_assign(
    limiter: *const tidegate_limiter,
    value: *const c_void,
    value_len: usize,
    plan: *const c_char,
    duration_ns: u64,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        let value = handle::bytes(value, value_len, ("value", "value_len"));
        let duration = handle::timeout(duration_ns);
        change(limiter, value, |limiter, value| {
            Ok::<_, Failure>(limiter.assign(value, text_named(plan, "plan")?, duration)?)
        })
    }
}

/// As tidegate_assign, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_assign_at(
    limiter: *const tidegate_limiter,
    value: *const c_void,
    value_len: usize,
    plan: *const c_char,
    duration_ns: u64,
    now_ns: u64,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        let value = handle::bytes(value, value_len, ("value", "value_len"));
        let duration = handle::timeout(duration_ns);
        change(limiter, at(value, now_ns), |limiter, (value, now)| {
            Ok::<_, Failure>(limiter.assign_at(value, text_named(plan, "plan")?, duration, now)?)
        })
    }
}

/// Takes back what tidegate_assign gave to this value, for good or for a time.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_unassign(
    limiter: *const tidegate_limiter,
    value: *const c_void,
    value_len: usize,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        let value = handle::bytes(value, value_len, ("value", "value_len"));
        change(limiter, value, |limiter, value| {
            limiter.unassign(value);
            Ok::<_, Failure>(())
        })
    }
}

/// The name of the plan that holds for the key now; "" when the policy has no plans, or the request meets
/// none. UTF-8; valid for ever, not to be freed.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_plan_of(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    plan: *mut *const c_char,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        answer(limiter, handle::key(key, key_len), (plan, "plan"), |limiter, key| {
            Ok::<_, Failure>(c_name(limiter.plan_of(key)))
        })
    }
}

/// As tidegate_plan_of, of a request with attributes (see tidegate_attribute).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_plan_of_request(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    plan: *mut *const c_char,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        answer(
            limiter,
            handle::request(attributes, attribute_count),
            (plan, "plan"),
            |limiter, request| Ok::<_, Failure>(c_name(limiter.plan_of(request))),
        )
    }
}

/// As tidegate_plan_of, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_plan_of_at(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    now_ns: u64,
    plan: *mut *const c_char,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        answer(
            limiter,
            at(handle::key(key, key_len), now_ns),
            (plan, "plan"),
            |limiter, (key, now)| Ok::<_, Failure>(c_name(limiter.plan_of_at(key, now))),
        )
    }
}

/// As tidegate_plan_of_request, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_plan_of_request_at(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    now_ns: u64,
    plan: *mut *const c_char,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        answer(
            limiter,
            at(handle::request(attributes, attribute_count), now_ns),
            (plan, "plan"),
            |limiter, (request, now)| Ok::<_, Failure>(c_name(limiter.plan_of_at(request, now))),
        )
    }
}

/// A name as C reads it: the engine keeps it for ever, with a NUL byte behind.
pub(crate) fn c_name(name: Option<&'static str>) -> *const c_char {
    name.map_or(c"".as_ptr(), |name| name.as_ptr().cast())
}
