//! Many keys, or requests, in one call: `acquire_many`.

use std::ffi::c_void;

use crate::attribute::tidegate_attribute;
use crate::call::decide_many;
use crate::decision::tidegate_decision;
use crate::handle;
use crate::limiter::tidegate_limiter;
use crate::status::tidegate_status;

/// As tidegate_acquire of each of `count` keys in order, at one moment and with the same cost: the
/// key at `keys[i]`, of `key_lens[i]` bytes, is answered by `decisions[i]`. It is not all or
/// nothing: each key has its own decision, and one that occurs twice is decided twice. With a
/// `count` of 0 the three pointers are ignored.
///
///     const void *keys[] = {"user:42", "user:7"};
///     const size_t key_lens[] = {7, 6};
///     tidegate_decision decisions[2] = {TIDEGATE_DECISION_INIT};
///     tidegate_acquire_many(limiter, keys, key_lens, 2, 1, decisions);
///
/// The first decision's `struct_size` is that of all; the call sets it in the others.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, also when one key of many is wrong (the text says which):
/// nothing was charged; TIDEGATE_ERROR_STORE.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_acquire_many(
    limiter: *const tidegate_limiter,
    keys: *const *const c_void,
    key_lens: *const usize,
    count: usize,
    cost: u64,
    decisions: *mut tidegate_decision,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        decide_many(
            limiter,
            || handle::keys(keys, key_lens, count),
            (decisions, count),
            |limiter, keys| Ok(limiter.acquire_many(keys, cost)?),
        )
    }
}

/// As tidegate_acquire_many, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_acquire_many_at(
    limiter: *const tidegate_limiter,
    keys: *const *const c_void,
    key_lens: *const usize,
    count: usize,
    cost: u64,
    now_ns: u64,
    decisions: *mut tidegate_decision,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        decide_many(
            limiter,
            || handle::keys(keys, key_lens, count),
            (decisions, count),
            |limiter, keys| Ok(limiter.acquire_many_at(keys, cost, handle::now(now_ns)?)?),
        )
    }
}

/// As tidegate_acquire_many, of `count` requests with attributes (see tidegate_attribute): the one at
/// `requests[i]`, of `attribute_counts[i]` attributes, is answered by `decisions[i]`.
///
///     const tidegate_attribute *requests[] = {reads, writes};
///     const size_t attribute_counts[] = {3, 3};
///     tidegate_decision decisions[2] = {TIDEGATE_DECISION_INIT};
///     tidegate_acquire_many_request(limiter, requests, attribute_counts, 2, 1, decisions);
///
/// Errors: as tidegate_acquire_many. When the policy finds something wrong with one (it lacks an
/// attribute, say), no decision is written, but those before it were decided, and charged.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_acquire_many_request(
    limiter: *const tidegate_limiter,
    requests: *const *const tidegate_attribute,
    attribute_counts: *const usize,
    count: usize,
    cost: u64,
    decisions: *mut tidegate_decision,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        decide_many(
            limiter,
            || handle::requests(requests, attribute_counts, count),
            (decisions, count),
            |limiter, requests| Ok(limiter.acquire_many(requests, cost)?),
        )
    }
}

/// As tidegate_acquire_many_request, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_acquire_many_request_at(
    limiter: *const tidegate_limiter,
    requests: *const *const tidegate_attribute,
    attribute_counts: *const usize,
    count: usize,
    cost: u64,
    now_ns: u64,
    decisions: *mut tidegate_decision,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        decide_many(
            limiter,
            || handle::requests(requests, attribute_counts, count),
            (decisions, count),
            |limiter, requests| {
                Ok(limiter.acquire_many_at(requests, cost, handle::now(now_ns)?)?)
            },
        )
    }
}
