//! Many keys in one call: `acquire_many`.

use std::ffi::c_void;

use engine::Decision;

use crate::decision::tidegate_decision;
use crate::error::Failure;
use crate::guard::guard;
use crate::handle::{self, OutStructs};
use crate::limiter::{lend_limiter, tidegate_limiter};
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
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, places, keys) = unsafe {
            (
                lend_limiter(limiter)?,
                OutStructs::new(decisions, count, "decisions")?,
                handle::keys(keys, key_lens, count)?,
            )
        };
        write(places, limiter.acquire_many(keys, cost)?)
    })
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
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, places, keys) = unsafe {
            (
                lend_limiter(limiter)?,
                OutStructs::new(decisions, count, "decisions")?,
                handle::keys(keys, key_lens, count)?,
            )
        };
        write(places, limiter.acquire_many_at(keys, cost, handle::now(now_ns)?)?)
    })
}

fn write(places: OutStructs<tidegate_decision>, decisions: Vec<Decision>) -> Result<(), Failure> {
    places.write(decisions.into_iter().map(tidegate_decision::from));
    Ok(())
}
