//! Arguments as JavaScript gives them, refused by name when they cannot be.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::time::Duration;

use napi::bindgen_prelude::FromNapiValue;
use napi::{Env, sys};
use tidegate::Timestamp;

use crate::refusal::Refusal;

/// Number.MAX_SAFE_INTEGER: beyond it a JavaScript number no longer tells neighbours apart.
pub(crate) const MAX_SAFE: u64 = (1 << 53) - 1;

/// Keys up to this many bytes are copied to the stack, longer ones to the heap.
const STACK_KEY: usize = 256;

/// Copies a key out of JavaScript and hands its bytes to `use_it`.
///
/// A string gives its UTF-8 (a lone surrogate counts as U+FFFD, as in `TextEncoder`), a
/// `Uint8Array` (so also a `Buffer`) its bytes.
///
/// # Safety
/// `env` is the environment of the running call and `value` one of its values.
#[inline]
pub(crate) unsafe fn with_key<R>(
    env: sys::napi_env,
    value: sys::napi_value,
    use_it: impl FnOnce(&[u8]) -> R,
) -> Result<R, Refusal> {
    let mut buffer = [MaybeUninit::<u8>::uninit(); STACK_KEY];
    let mut length = 0;
    // SAFETY: Node writes at most STACK_KEY bytes, a final NUL among them, and says how many.
    let status = unsafe {
        let start = buffer.as_mut_ptr().cast();
        sys::napi_get_value_string_utf8(env, value, start, STACK_KEY, &mut length)
    };
    // A character of at most 4 bytes that does not fit is left out whole: with that much
    // room to spare the key was copied entirely.
    if status == sys::Status::napi_ok && length + 4 < STACK_KEY {
        // SAFETY: the first `length` bytes were written by the call above.
        let bytes = unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), length) };
        return Ok(use_it(bytes));
    }
    // SAFETY: as promised by the caller.
    let bytes = unsafe {
        if status == sys::Status::napi_ok { long_text(env, value)? } else { bytes(env, value)? }
    };
    Ok(use_it(&bytes))
}

/// # Safety
/// As `with_key`; `value` is a string.
#[cold]
unsafe fn long_text(env: sys::napi_env, value: sys::napi_value) -> Result<Vec<u8>, Refusal> {
    let mut length = 0;
    // SAFETY: without a buffer Node only measures; then it writes at most `length` bytes and a
    // NUL into the `length + 1` bytes that were reserved, and says how many.
    unsafe {
        check(sys::napi_get_value_string_utf8(env, value, null_mut(), 0, &mut length), "a key")?;
        let mut text = Vec::<u8>::with_capacity(length + 1);
        let start = text.as_mut_ptr().cast();
        let status = sys::napi_get_value_string_utf8(env, value, start, length + 1, &mut length);
        check(status, "a key")?;
        text.set_len(length);
        Ok(text)
    }
}

/// # Safety
/// As `with_key`.
unsafe fn bytes(env: sys::napi_env, value: sys::napi_value) -> Result<Vec<u8>, Refusal> {
    let (mut kind, mut length) = (0, 0);
    let (mut data, mut memory) = (null_mut::<c_void>(), null_mut());
    let mut plain = false;
    // SAFETY: all outputs are locals; Node answers "invalid argument" for other kinds of value.
    let found = unsafe {
        sys::napi_get_typedarray_info(
            env,
            value,
            &mut kind,
            &mut length,
            &mut data,
            &mut memory,
            null_mut(),
        ) == sys::Status::napi_ok
            && kind == sys::TypedarrayType::uint8_array
    };
    if !found {
        // SAFETY: as promised by the caller.
        return Err(unsafe {
            wrong_type(env, value, "key", "a string or a Uint8Array", "give who is limited")
        });
    }
    // SAFETY: `memory` was written by the successful call above.
    unsafe { check(sys::napi_is_arraybuffer(env, memory, &mut plain), "a key")? };
    if !plain {
        return Err(Refusal::Type(
            "key: its bytes lie in shared memory, where another thread may change them; \
             give a copy, such as Uint8Array.from(key)"
                .to_owned(),
        ));
    }
    if length == 0 || data.is_null() {
        // SAFETY: as promised by the caller; `value` is a typed array.
        return unsafe { check_memory(env, value) }.map(|()| Vec::new());
    }
    // SAFETY: `data` and `length` describe the array's own memory, which is not shared with
    // other threads, and no JavaScript runs until the copy is made.
    Ok(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) }.to_vec())
}

/// A typed array without bytes: is it empty, or did it lose its memory (transferred to another
/// thread, or shrunk)? Node tells both alike, the array's own methods throw in the latter case.
///
/// # Safety
/// As `with_key`; `value` is a typed array.
#[cold]
unsafe fn check_memory(env: sys::napi_env, value: sys::napi_value) -> Result<(), Refusal> {
    let (mut at, mut zero, mut element) = (null_mut(), null_mut(), null_mut());
    // SAFETY: as promised by the caller; the name ends in a NUL, and there is one argument.
    let status = unsafe {
        check(sys::napi_create_uint32(env, 0, &mut zero), "a number")?;
        check(sys::napi_get_named_property(env, value, c"at".as_ptr(), &mut at), "a key")?;
        sys::napi_call_function(env, value, at, 1, &zero, &mut element)
    };
    if status != sys::Status::napi_pending_exception {
        return check(status, "a key");
    }
    // SAFETY: as promised by the caller. What was thrown is put in clearer words below.
    unsafe { sys::napi_get_and_clear_last_exception(env, &mut element) };
    Err(Refusal::Type(
        "key: the bytes of this Uint8Array are gone (its buffer was transferred or has shrunk); \
         give one that still has them"
            .to_owned(),
    ))
}

/// A count of units: a whole number, or a bigint.
///
/// # Safety
/// `env` is the environment of the running call and `value` one of its values.
#[inline]
pub(crate) unsafe fn units(
    env: sys::napi_env,
    value: sys::napi_value,
    name: &str,
) -> Result<u64, Refusal> {
    let mut number = 0.0;
    // SAFETY: as promised by the caller; `number` is written only on success.
    if unsafe { sys::napi_get_value_double(env, value, &mut number) } != sys::Status::napi_ok {
        // SAFETY: as promised by the caller.
        return unsafe { big(env, value, name, "a whole number") };
    }
    // The cast is exact: whole and within 0 … 2^53 − 1.
    let whole = number as u64;
    if whole as f64 == number && whole <= MAX_SAFE {
        return Ok(whole);
    }
    Err(bad_units(number, name))
}

#[cold]
fn bad_units(number: f64, name: &str) -> Refusal {
    let problem = match number {
        n if n.is_nan() => "NaN is not a number".to_owned(),
        n if n < 0.0 => format!("{} is negative", shown(n)),
        n if n.is_finite() && n.fract() != 0.0 => format!("{n} is not whole"),
        n => format!("{} is beyond 2^53 - 1, where numbers are no longer exact", shown(n)),
    };
    Refusal::Range(format!("{name}: {problem}; give a whole number from 0 to {MAX_SAFE}"))
}

/// A bigint within 64 bits.
///
/// # Safety
/// As `units`.
#[cold]
unsafe fn big(
    env: sys::napi_env,
    value: sys::napi_value,
    name: &str,
    wanted: &str,
) -> Result<u64, Refusal> {
    let (mut whole, mut lossless) = (0, false);
    // SAFETY: as promised by the caller; outputs are locals.
    unsafe {
        let status = sys::napi_get_value_bigint_uint64(env, value, &mut whole, &mut lossless);
        if status != sys::Status::napi_ok {
            return Err(wrong_type(env, value, name, wanted, "give 0 or more"));
        }
    }
    if lossless {
        return Ok(whole);
    }
    Err(Refusal::Range(format!(
        "{name}: a bigint that is negative or beyond 64 bits; give one from 0n to {}n",
        u64::MAX
    )))
}

/// A span or a time in milliseconds, to the nearest nanosecond.
///
/// # Safety
/// As `units`.
#[inline]
pub(crate) unsafe fn millis(
    env: sys::napi_env,
    value: sys::napi_value,
    name: &str,
) -> Result<u64, Refusal> {
    /// What 64 bits of nanoseconds hold, 584 years.
    const MAX_MS: f64 = 18_446_744_073_708.0;
    let mut ms = 0.0;
    // SAFETY: as promised by the caller; `ms` is written only on success.
    unsafe {
        if sys::napi_get_value_double(env, value, &mut ms) != sys::Status::napi_ok {
            return Err(wrong_type(env, value, name, "a number", "give milliseconds"));
        }
    }
    if (0.0..=MAX_MS).contains(&ms) {
        // The whole milliseconds and the rest apart: today's date in ns is beyond 2^53.
        let whole = ms.trunc();
        return Ok(whole as u64 * 1_000_000 + ((ms - whole) * 1e6).round() as u64);
    }
    Err(bad_millis(ms, name))
}

#[cold]
fn bad_millis(ms: f64, name: &str) -> Refusal {
    let problem = match ms {
        n if n.is_nan() => "NaN is not a number".to_owned(),
        n if n < 0.0 => format!("{} is negative", shown(n)),
        n if n.is_infinite() => "Infinity is not a span of time".to_owned(),
        n => format!("{} ms is more than 584 years", shown(n)),
    };
    Refusal::Range(format!("{name}: {problem}; give milliseconds, 0 or more"))
}

/// A number about as JavaScript shows it.
fn shown(number: f64) -> String {
    match number {
        n if n.is_infinite() => if n > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
        n if n.abs() >= 1e21 => format!("{n:e}"),
        n => n.to_string(),
    }
}

/// # Safety
/// `env` is the environment of the running call and `value` one of its values.
#[cold]
unsafe fn wrong_type(
    env: sys::napi_env,
    value: sys::napi_value,
    name: &str,
    wanted: &str,
    remedy: &str,
) -> Refusal {
    let mut kind = 0;
    // SAFETY: as promised by the caller.
    unsafe { sys::napi_typeof(env, value, &mut kind) };
    let kind = match kind {
        sys::ValueType::napi_undefined => "undefined",
        sys::ValueType::napi_null => "null",
        sys::ValueType::napi_boolean => "a boolean",
        sys::ValueType::napi_number => "a number",
        sys::ValueType::napi_string => "a string",
        sys::ValueType::napi_symbol => "a symbol",
        sys::ValueType::napi_function => "a function",
        sys::ValueType::napi_bigint => "a bigint",
        _ => "an object",
    };
    Refusal::Type(format!("{name}: must be {wanted}, not {kind}; {remedy}"))
}

/// Turns a status of Node that is not "ok" into a refusal.
pub(crate) fn check(status: sys::napi_status, what: &str) -> Result<(), Refusal> {
    if status == sys::Status::napi_ok {
        return Ok(());
    }
    Err(Refusal::Internal(format!("Node refused {what} with status {status}")))
}

/// A key, for the calls that are not hot.
pub struct Key(pub(crate) Vec<u8>);

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl FromNapiValue for Key {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Key> {
        // SAFETY: napi promises a live environment and one of its values.
        let key = unsafe { with_key(env, value, <[u8]>::to_vec) };
        key.map(Key).map_err(|refusal| refusal.throw(Env::from_raw(env)))
    }
}

/// A type for each named argument, so that a refusal can name it.
macro_rules! arguments {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $read:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $kind(pub(crate) u64);

        impl FromNapiValue for $kind {
            unsafe fn from_napi_value(
                env: sys::napi_env,
                value: sys::napi_value,
            ) -> napi::Result<$kind> {
                // SAFETY: napi promises a live environment and one of its values.
                let read = unsafe { $read(env, value, $name) };
                read.map($kind).map_err(|refusal| refusal.throw(Env::from_raw(env)))
            }
        }
    )*};
}

arguments! {
    /// Units one request takes.
    Cost = "cost", units;
    /// Units of a penalty.
    Units = "units", units;
    /// What a reservation came to.
    Actual = "actual", units;
    /// Most keys that are remembered.
    MaxKeys = "maxKeys", units;
    /// A clock's time, or its step.
    Ms = "ms", millis;
    /// How long a key is blocked.
    DurationMs = "durationMs", millis;
    /// How long to wait at most.
    TimeoutMs = "timeoutMs", millis;
    /// A clock's time, or its step, exact.
    Ns = "ns", whole_ns;
    /// The time of a call.
    NowNs = "nowNs", whole_ns;
    /// Time spent, exact.
    LatencyNs = "latencyNs", whole_ns;
    /// How long a key is blocked, exact.
    DurationNs = "durationNs", whole_ns;
}

/// Nanoseconds as a bigint: a number would not hold today's date.
///
/// # Safety
/// As `units`.
unsafe fn whole_ns(env: sys::napi_env, value: sys::napi_value, name: &str) -> Result<u64, Refusal> {
    // SAFETY: as promised by the caller.
    unsafe { big(env, value, name, "a bigint of nanoseconds") }
}

impl NowNs {
    /// The time it stands for.
    pub(crate) fn timestamp(self) -> Result<Timestamp, Refusal> {
        timestamp(self.0, "nowNs")
    }
}

/// `ns` after the Unix epoch, refused under `name` when that is beyond the engine's time.
pub(crate) fn timestamp(ns: u64, name: &str) -> Result<Timestamp, Refusal> {
    Timestamp::from_nanos(ns).map_err(|_| {
        let last = Timestamp::MAX.as_nanos();
        Refusal::Range(format!(
            "{name}: beyond the year 2116; give a time since the Unix epoch, at most {last} ns"
        ))
    })
}

/// Nanoseconds as the core's spans.
pub(crate) fn span(ns: u64) -> Duration {
    Duration::from_nanos(ns)
}
