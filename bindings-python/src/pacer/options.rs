//! What a pacer is made of, each option by its name, and what is asked for a call.

use std::time::Duration;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyString};
use tidegate::Clock;
use tidegate::client::{self, CallOptions, PacerBuilder};

use crate::clock::ManualClock;
use crate::convert::{seconds, text, whole, whole_up_to, wrong_type};
use crate::error::{argument, raise};
use crate::limiter::Limiter;
use crate::policy::read;
use crate::subject::{Subject, of};

/// Most events that are kept for a listener that is slow to come.
pub(super) const EVENTS: usize = 10_000;

/// The engine's pacer, and the limiter that was given.
pub(super) fn build(
    settings: &Bound<'_, PyDict>,
) -> PyResult<(client::Pacer, Option<Py<Limiter>>)> {
    let mut builder = client::Pacer::builder();
    let mut limiter = None;
    if let Some(given) = settings.get_item("limiter")? {
        let given = given.cast_into::<Limiter>()?;
        let key = settings.get_item("key")?;
        let key = key.unwrap_or_else(|| PyString::new(settings.py(), "").into_any());
        let key = key.extract::<Subject<'_, '_>>()?;
        builder = of!(key, builder.limiter(given.get().engine(), key));
        limiter = Some(given.unbind());
    }
    for (name, value) in settings.iter() {
        let name = name.cast::<PyString>()?.to_str()?;
        builder = match name {
            "limiter" | "key" => builder,
            "policy" => {
                let (policy, form) = value.extract::<(Bound<'_, PyAny>, String)>()?;
                builder.policy(read(&policy, &form)?)
            }
            _ => set(builder, name, &value)?,
        };
    }
    Ok((builder.build().map_err(raise)?, limiter))
}

fn set(builder: PacerBuilder, name: &str, value: &Bound<'_, PyAny>) -> PyResult<PacerBuilder> {
    Ok(match name {
        "clock" => builder.clock(clock(value)?),
        "concurrency" => builder.concurrency(small(name, value)?),
        "headroom" => builder.headroom(whole(name, value)?),
        "max_retries" => builder.max_retries(small(name, value)?),
        "base" => builder.base(seconds(name, value)?),
        "cap" => builder.cap(seconds(name, value)?),
        "max_retry_after" => builder.max_retry_after(seconds(name, value)?),
        "deadline" => builder.deadline(seconds(name, value)?),
        "seed" => builder.seed(whole(name, value)?),
        "near_limit" => builder.near_limit(permille(name, value)?),
        "max_unauthorized" => builder.max_unauthorized(small(name, value)?),
        "max_forbidden" => builder.max_forbidden(small(name, value)?),
        "max_failures" => builder.max_failures(small(name, value)?),
        "breaker_cooldown" => builder.breaker_cooldown(seconds(name, value)?),
        _ => return Err(PyTypeError::new_err(format!("{name}: no such option"))),
    })
}

fn clock(value: &Bound<'_, PyAny>) -> PyResult<Clock> {
    if let Ok(manual) = value.cast::<ManualClock>() {
        return Ok(manual.get().0.clone().into());
    }
    let Ok(named) = value.cast::<PyString>() else {
        let expected = "None, 'counter', 'system', 'coarse' or a ManualClock";
        return Err(wrong_type("clock", expected, value));
    };
    Clock::named(&named.to_string_lossy()).map_err(raise)
}

fn small(name: &str, value: &Bound<'_, PyAny>) -> PyResult<u32> {
    let remedy = match name {
        "concurrency" => "give 1 to 1000000", // as the engine says of numbers that fit
        _ => "give a whole number from 0 to 4294967295",
    };
    whole_up_to(name, value, u32::MAX.into(), remedy).map(|number| number as u32)
}

/// A part of the whole, in thousandths.
fn permille(name: &str, value: &Bound<'_, PyAny>) -> PyResult<u64> {
    if !value.is_instance_of::<PyFloat>() && !value.is_exact_instance_of::<PyInt>() {
        return Err(wrong_type(name, "a float", value));
    }
    let share = value.extract::<f64>()? * 1000.0;
    let whole = share.round();
    if (0.0..=1000.0).contains(&share) && (share - whole).abs() < 1e-6 {
        return Ok(whole as u64);
    }
    Err(argument(name, "not a part of a whole", "give 0.0 to 1.0 in steps of 0.001"))
}

/// Options of the calls made by one handle.
#[derive(Clone)]
pub(super) struct OwnOptions {
    pub(super) label: String,
    cost: u64,
    max_retries: Option<u32>,
    deadline: Option<Duration>,
}

impl Default for OwnOptions {
    fn default() -> OwnOptions {
        OwnOptions { label: String::new(), cost: 1, max_retries: None, deadline: None }
    }
}

impl OwnOptions {
    /// These, with those that are given.
    pub(super) fn with(&self, given: &Bound<'_, PyDict>) -> PyResult<OwnOptions> {
        let mut options = self.clone();
        for (name, value) in given.iter() {
            match name.cast::<PyString>()?.to_str()? {
                "label" => options.label = text("label", &value)?,
                "cost" => options.cost = whole("cost", &value)?,
                "max_retries" => options.max_retries = Some(small("max_retries", &value)?),
                "deadline" => options.deadline = Some(seconds("deadline", &value)?),
                name => return Err(PyTypeError::new_err(format!("{name}: no such option"))),
            }
        }
        Ok(options)
    }

    #[inline]
    pub(super) fn as_call(&self) -> CallOptions<'_> {
        let OwnOptions { label, cost, max_retries, deadline } = self;
        CallOptions { label, cost: *cost, max_retries: *max_retries, deadline: *deadline }
    }
}
