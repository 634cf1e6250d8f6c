//! Arguments as JavaScript gives them, refused by name when they cannot be.

use std::ops::RangeInclusive;
use std::time::Duration;

use napi::sys;
use tidegate::Timestamp;

use crate::refusal::Refusal;

/// Number.MAX_SAFE_INTEGER: beyond it a JavaScript number no longer tells neighbours apart.
pub(crate) const MAX_SAFE: u64 = (1 << 53) - 1;

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
    Err(bad_units(number, name, &(0..=MAX_SAFE)))
}

/// A number that the core takes as 32 bits. `range`: what is right, for the refusal; what is beyond it and fits is for the
/// core to refuse.
///
/// # Safety
/// As `units`.
pub(crate) unsafe fn small(
    env: sys::napi_env,
    value: sys::napi_value,
    name: &str,
    range: RangeInclusive<u64>,
) -> Result<u32, Refusal> {
    let mut number = 0.0;
    // SAFETY: as promised by the caller; `number` is written only on success.
    unsafe {
        if sys::napi_get_value_double(env, value, &mut number) != sys::Status::napi_ok {
            return Err(wrong_type(env, value, name, "a whole number", "give 0 or more"));
        }
    }
    // The cast is exact when it is the same number again.
    let whole = number as u32;
    if f64::from(whole) == number { Ok(whole) } else { Err(bad_units(number, name, &range)) }
}

#[cold]
fn bad_units(number: f64, name: &str, range: &RangeInclusive<u64>) -> Refusal {
    let problem = match number {
        n if n.is_nan() => "NaN is not a number".to_owned(),
        n if n < 0.0 => format!("{} is negative", shown(n)),
        n if n.is_finite() && n.fract() != 0.0 => format!("{n} is not whole"),
        n if n.is_finite() && n <= MAX_SAFE as f64 => format!("{n} is too large"),
        n => format!("{} is beyond 2^53 - 1, where numbers are no longer exact", shown(n)),
    };
    let (least, most) = (range.start(), range.end());
    Refusal::Range(format!("{name}: {problem}; give a whole number from {least} to {most}"))
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
pub(crate) unsafe fn wrong_type(
    env: sys::napi_env,
    value: sys::napi_value,
    name: &str,
    wanted: &str,
    remedy: &str,
) -> Refusal {
    let mut kind = 0;
    // SAFETY: as promised by the caller.
    unsafe { sys::napi_typeof(env, value, &mut kind) };
    Refusal::Type(format!("{name}: must be {wanted}, not {}; {remedy}", kind_of(kind)))
}

/// A kind of value, for messages.
pub(crate) fn kind_of(kind: sys::napi_valuetype) -> &'static str {
    match kind {
        sys::ValueType::napi_undefined => "undefined",
        sys::ValueType::napi_null => "null",
        sys::ValueType::napi_boolean => "a boolean",
        sys::ValueType::napi_number => "a number",
        sys::ValueType::napi_string => "a string",
        sys::ValueType::napi_symbol => "a symbol",
        sys::ValueType::napi_function => "a function",
        sys::ValueType::napi_bigint => "a bigint",
        _ => "an object",
    }
}

/// Turns a status of Node that is not "ok" into a refusal.
pub(crate) fn check(status: sys::napi_status, what: &str) -> Result<(), Refusal> {
    if status == sys::Status::napi_ok {
        return Ok(());
    }
    Err(Refusal::Internal(format!("Node refused {what} with status {status}")))
}

/// A type for each named argument, so that a refusal can name it.
macro_rules! arguments {
    ($($(#[$doc:meta])* $kind:ident$(: $of:ty)? = $name:literal, $read:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $kind(pub(crate) $crate::argument::number!($($of)?));

        impl napi::bindgen_prelude::FromNapiValue for $kind {
            unsafe fn from_napi_value(
                env: napi::sys::napi_env,
                value: napi::sys::napi_value,
            ) -> napi::Result<$kind> {
                // SAFETY: napi promises a live environment and one of its values.
                let read = unsafe { $read(env, value, $name) };
                read.map($kind).map_err(|refusal| refusal.throw(napi::Env::from_raw(env)))
            }
        }
    )*};
}
pub(crate) use arguments;

/// What such an argument holds: 64 bits unless something else is said.
macro_rules! number {
    () => {
        u64
    };
    ($of:ty) => {
        $of
    };
}
pub(crate) use number;

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
    /// How long a key is blocked, or a plan is assigned.
    DurationMs = "durationMs", millis;
    /// How long to wait at most.
    TimeoutMs = "timeoutMs", millis;
    /// A clock's time, or its step, exact.
    Ns = "ns", whole_ns;
    /// The time of a call.
    NowNs = "nowNs", whole_ns;
    /// Time spent, exact.
    LatencyNs = "latencyNs", whole_ns;
    /// How long a key is blocked, or a plan is assigned, exact.
    DurationNs = "durationNs", whole_ns;
    /// What a report covers.
    WindowMs = "windowMs", millis;
    /// What a report covers, exact.
    WindowNs = "windowNs", whole_ns;
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
