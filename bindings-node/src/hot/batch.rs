//! `acquireMany`: one call into the engine's language for all keys of a batch.
//!
//! JavaScript gives an array for the numbers, `NUMBERS` for each key. Its memory is asked for when all is decided and
//! told: no JavaScript runs between that and the last write, so nobody can take it away or look at it.

use std::ptr::null_mut;

use napi::sys;

use super::{MOST_ARGUMENTS, NUMBERS, run};
use crate::argument::check;
use crate::keys::Keys;
use crate::refusal::Refusal;

/// `(keys, cost, numbers)`
pub(super) extern "C" fn acquire_many(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    run::<MOST_ARGUMENTS>(env, info, |hot, call| {
        let cost = call.cost()?;
        // SAFETY: all of them belong to the running call.
        let keys = unsafe { Keys::read(env, call.values[0])? };
        let decisions = keys.acquire(&hot.limiter, cost, None);
        call.tell(hot);
        let decisions = decisions?;
        // SAFETY: the array belongs to the running call; no JavaScript runs before the last write.
        let places = unsafe { places(env, call.values[2], decisions.len())? };
        for (place, decision) in places.iter_mut().zip(&decisions) {
            *place = hot.numbers_of(decision);
        }
        Ok(null_mut())
    })
}

/// Where the numbers of `count` decisions go.
///
/// # Safety
/// `env` is the environment of the running call and `array` one of its values. No JavaScript runs as long as
/// the places are used.
unsafe fn places<'a>(
    env: sys::napi_env,
    array: sys::napi_value,
    count: usize,
) -> Result<&'a mut [[f64; NUMBERS]], Refusal> {
    let (mut kind, mut length, mut data) = (0, 0, null_mut());
    // SAFETY: as promised by the caller; the outputs are locals.
    let status = unsafe {
        let none = null_mut();
        sys::napi_get_typedarray_info(
            env,
            array,
            &mut kind,
            &mut length,
            &mut data,
            none,
            null_mut(),
        )
    };
    check(status, "the array")?;
    if kind != sys::TypedarrayType::float64_array || length / NUMBERS < count {
        return Err(Refusal::Internal(format!("numbers: give a Float64Array for {count} keys")));
    }
    if count == 0 {
        return Ok(&mut []);
    }
    // SAFETY: the array has this many doubles, aligned as doubles are; it belongs to `lib/decision.js`, and
    // nothing else looks at it before this call is over.
    Ok(unsafe { std::slice::from_raw_parts_mut(data.cast(), count) })
}
