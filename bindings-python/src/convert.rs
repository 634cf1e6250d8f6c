//! Arguments: from Python objects to the engine's types, each refusal naming the argument.
//!
//! A wrong type is a `TypeError`, a wrong value an `ArgumentError`.

use std::time::Duration;

use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDelta, PyDeltaAccess, PyFloat, PyInt, PyString};
use tidegate::Timestamp;

use crate::error::argument;

pub(crate) fn cost(value: &Bound<'_, PyAny>) -> PyResult<u64> {
    whole("cost", value)
}

pub(crate) fn units(value: &Bound<'_, PyAny>) -> PyResult<u64> {
    whole("units", value)
}

pub(crate) fn actual(value: &Bound<'_, PyAny>) -> PyResult<u64> {
    whole("actual", value)
}

pub(crate) fn max_keys(value: &Bound<'_, PyAny>) -> PyResult<u64> {
    whole("max_keys", value)
}

pub(crate) fn duration_ns(value: &Bound<'_, PyAny>) -> PyResult<Option<Duration>> {
    optional(value, |value| whole("duration_ns", value).map(Duration::from_nanos))
}

pub(crate) fn now_ns(value: &Bound<'_, PyAny>) -> PyResult<Option<Timestamp>> {
    optional(value, |value| timestamp("now_ns", whole("now_ns", value)?))
}

pub(crate) fn now(value: &Bound<'_, PyAny>) -> PyResult<Option<Timestamp>> {
    optional(value, |value| {
        let since_epoch = u64::try_from(seconds("now", value)?.as_nanos());
        timestamp("now", since_epoch.unwrap_or(u64::MAX))
    })
}

pub(crate) fn duration(value: &Bound<'_, PyAny>) -> PyResult<Option<Duration>> {
    optional(value, |value| seconds("duration", value))
}

pub(crate) fn timeout(value: &Bound<'_, PyAny>) -> PyResult<Option<Duration>> {
    optional(value, |value| seconds("timeout", value))
}

pub(crate) fn window(value: &Bound<'_, PyAny>) -> PyResult<Option<Duration>> {
    optional(value, |value| seconds("window", value))
}

pub(crate) fn window_ns(value: &Bound<'_, PyAny>) -> PyResult<Option<Duration>> {
    optional(value, |value| whole("window_ns", value).map(Duration::from_nanos))
}

pub(crate) fn plan(value: &Bound<'_, PyAny>) -> PyResult<String> {
    text("plan", value)
}

pub(crate) fn style(value: &Bound<'_, PyAny>) -> PyResult<String> {
    text("style", value)
}

pub(crate) fn secret(value: &Bound<'_, PyAny>) -> PyResult<String> {
    text("secret", value)
}

pub(crate) fn text(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    let Ok(text) = value.cast::<PyString>() else {
        return Err(wrong_type(name, "a str", value));
    };
    let text = text.to_str().map(str::to_owned);
    text.map_err(|_| {
        argument(name, "the string has lone surrogates", "give text that has a UTF-8 form")
    })
}

/// At most one of `name` and `name_ns`.
pub(crate) fn at_most_one_of<T>(
    name: &str,
    value: Option<T>,
    exact: Option<T>,
) -> PyResult<Option<T>> {
    match (value, exact) {
        (None, None) => Ok(None),
        (value, exact) => one_of(name, value, exact).map(Some),
    }
}

/// Exactly one of `name` and `name_ns`.
pub(crate) fn one_of<T>(name: &str, value: Option<T>, exact: Option<T>) -> PyResult<T> {
    match (value, exact) {
        (Some(value), None) | (None, Some(value)) => Ok(value),
        (None, None) => Err(PyTypeError::new_err(format!(
            "missing argument '{name}' (seconds) or '{name}_ns' (nanoseconds)"
        ))),
        (Some(_), Some(_)) => {
            Err(PyTypeError::new_err(format!("give either '{name}' or '{name}_ns', not both")))
        }
    }
}

pub(crate) fn optional<T>(
    value: &Bound<'_, PyAny>,
    convert: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>,
) -> PyResult<Option<T>> {
    if value.is_none() { Ok(None) } else { convert(value).map(Some) }
}

pub(crate) fn timestamp(name: &str, nanos: u64) -> PyResult<Timestamp> {
    Timestamp::from_nanos(nanos).map_err(|_| {
        argument(name, "the time is beyond the year 2116", "give time since the Unix epoch")
    })
}

pub(crate) fn whole(name: &str, value: &Bound<'_, PyAny>) -> PyResult<u64> {
    whole_up_to(name, value, u64::MAX, "give a whole number from 0 to 18446744073709551615")
}

/// As `whole`, where fewer numbers are right: `remedy` says which.
#[inline]
pub(crate) fn whole_up_to(
    name: &str,
    value: &Bound<'_, PyAny>,
    most: u64,
    remedy: &str,
) -> PyResult<u64> {
    // True is 1 to Python, but as an amount it is a slip: acquire(key, block=True) gone wrong.
    if !value.is_exact_instance_of::<PyInt>() && value.is_instance_of::<PyBool>() {
        return Err(wrong_type(name, "an int", value));
    }
    if !value.is_instance_of::<PyInt>() {
        return whole_up_to(name, &index(name, value)?, most, remedy);
    }
    let problem = match value.extract::<u64>() {
        Ok(number) if number <= most => return Ok(number),
        Ok(_) => "the number is too large",
        Err(error) if !error.is_instance_of::<PyOverflowError>(value.py()) => return Err(error),
        Err(_) if matches!(value.lt(0), Ok(true)) => "the number is negative",
        Err(_) => "the number is more than 64 bits hold",
    };
    Err(argument(name, problem, remedy))
}

/// The int that another type (numpy's, say) gives itself out for. What its `__index__` raises is
/// the caller's own, and comes through.
fn index<'py>(name: &str, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    static INDEX: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if !value.get_type().hasattr("__index__")? {
        return Err(wrong_type(name, "an int", value));
    }
    INDEX.import(value.py(), "operator", "index")?.call1((value,))
}

const SECONDS: &str = "give seconds as int or float, or a timedelta, not negative";

/// Seconds as int (exact), float (to the nearest nanosecond) or timedelta (exact).
pub(crate) fn seconds(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    if value.is_instance_of::<PyBool>() {
        return Err(wrong_type(name, "seconds as int or float, or a timedelta", value));
    }
    if value.is_instance_of::<PyInt>() {
        return value.extract::<u64>().map(Duration::from_secs).map_err(|_| {
            let problem = match value.lt(0) {
                Ok(true) => "the duration is negative",
                _ => "the duration is too long",
            };
            argument(name, problem, SECONDS)
        });
    }
    if let Ok(delta) = value.cast::<PyDelta>() {
        return from_delta(delta)
            .ok_or_else(|| argument(name, "the duration is negative", SECONDS));
    }
    match value.cast::<PyFloat>() {
        Ok(number) => from_float(name, number.extract()?),
        Err(_) => Err(wrong_type(name, "seconds as int or float, or a timedelta", value)),
    }
}

fn from_delta(delta: &Bound<'_, PyDelta>) -> Option<Duration> {
    // Days alone carry the sign of a timedelta.
    let days = u64::try_from(delta.get_days()).ok()?;
    let seconds = u64::try_from(delta.get_seconds()).ok()?;
    let micros = u64::try_from(delta.get_microseconds()).ok()?;
    Some(Duration::from_secs(days * 86_400 + seconds) + Duration::from_micros(micros))
}

fn from_float(name: &str, number: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(number).map_err(|_| {
        let problem = match number {
            _ if number.is_nan() => "nan is not a duration",
            _ if number < 0.0 => "the duration is negative",
            _ if number.is_infinite() => "an infinite duration has no meaning here",
            _ => "the duration is too long",
        };
        argument(name, problem, SECONDS)
    })
}

pub(crate) fn wrong_type(name: &str, expected: &str, value: &Bound<'_, PyAny>) -> PyErr {
    match value.get_type().name() {
        Ok(found) => PyTypeError::new_err(format!("{name}: expected {expected}, got {found}")),
        Err(error) => error,
    }
}

/// Seconds for Python: infinite when never, and never a nanosecond less than `span`, so that
/// who waits this long is not early.
pub(crate) fn as_seconds(span: Duration) -> f64 {
    if span == Duration::MAX {
        return f64::INFINITY;
    }
    let seconds = span.as_secs_f64();
    match Duration::try_from_secs_f64(seconds) {
        Ok(rounded) if rounded < span => seconds.next_up(),
        _ => seconds,
    }
}

/// Nanoseconds for Python: `None` when never. The engine's spans end long before 64 bits do.
pub(crate) fn as_nanos(span: Duration) -> Option<u64> {
    if span == Duration::MAX {
        None
    } else {
        Some(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
    }
}
