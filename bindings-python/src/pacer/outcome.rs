//! What an attempt came to: whatever looks like an HTTP response is understood as one, and everything is handed on as
//! it is.

use std::sync::atomic::Ordering;

use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple,
    PyType,
};
use tidegate::client::{self, Class, Finish, ServerLimits, classify};

use super::{Shared, cloned, errors};
use crate::convert::wrong_type;

/// An attempt that was made.
pub(super) enum Attempt<'a, 'py> {
    Returned(&'a Bound<'py, PyAny>),
    Raised(&'a PyErr),
}

/// What comes next.
pub(super) enum Next<'py> {
    /// What was returned or raised is handed on.
    Done,
    /// Another attempt; of this response nobody will hear.
    Again(Option<Bound<'py, PyAny>>),
}

impl Shared {
    /// Tells the engine what an attempt came to. An error is how the call ends.
    pub(super) fn settle<'py>(
        &self,
        py: Python<'py>,
        call: &mut client::Call,
        attempt: &Attempt<'_, 'py>,
    ) -> PyResult<Next<'py>> {
        let seen = Seen::of(py, attempt)?;
        let limits = match &seen {
            Some(seen) if seen.headers.is_some() => self.engine.read(seen),
            _ => ServerLimits::NONE,
        };
        let status = seen.as_ref().map_or(0, |seen| seen.status);
        let chosen = self.chosen(py, attempt)?;
        let class = chosen.unwrap_or_else(|| match (&seen, attempt) {
            (Some(_), _) => classify(status, &limits),
            (None, Attempt::Returned(_)) => Class::Passed,
            (None, Attempt::Raised(_)) => Class::Error,
        });
        let finish = call.finish_as(class, status, &limits);
        self.tell(py);
        let response = seen.map(|seen| seen.response);
        match finish {
            Finish::Done => Ok(Next::Done),
            Finish::Retry { .. } => Ok(Next::Again(response)),
            Finish::Raise(error) => {
                let raised = errors::raise(py, error, call, response.as_ref());
                if let Attempt::Raised(cause) = attempt {
                    raised.set_cause(py, Some(cause.clone_ref(py)));
                }
                Err(raised)
            }
        }
    }

    /// What the user says that it means.
    fn chosen(&self, py: Python<'_>, attempt: &Attempt<'_, '_>) -> PyResult<Option<Class>> {
        if !self.hooks.classifies.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let Some(hook) = cloned(py, &self.hooks.classify) else { return Ok(None) };
        let named = match attempt {
            Attempt::Returned(result) => hook.bind(py).call1((*result,))?,
            Attempt::Raised(error) => {
                hook.bind(py).call1((error.value(py),)).map_err(|own| during(py, own, error))?
            }
        };
        if named.is_none() {
            return Ok(None);
        }
        let Ok(name) = named.cast::<PyString>() else {
            return Err(wrong_type("classify", "a function that returns a str or None", &named));
        };
        Class::from_name(&name.to_string_lossy()).map(Some).map_err(crate::error::raise)
    }
}

/// An error while another was looked at, which is not lost, as in an `except` clause.
fn during(py: Python<'_>, own: PyErr, looked_at: &PyErr) -> PyErr {
    let value = own.value(py);
    if !value.is(looked_at.value(py)) {
        // (It is an exception: the attribute can be set.)
        let _ = value.setattr(intern!(py, "__context__"), looked_at.value(py));
    }
    own
}

/// Something with the looks of a response.
struct Seen<'py> {
    status: u16,
    headers: Option<Bound<'py, PyAny>>,
    response: Bound<'py, PyAny>,
}

impl<'py> Seen<'py> {
    fn of(py: Python<'py>, attempt: &Attempt<'_, 'py>) -> PyResult<Option<Seen<'py>>> {
        match attempt {
            Attempt::Returned(result) => match is_plain(result) {
                true => Ok(None),
                false => Seen::response(result),
            },
            Attempt::Raised(error) => Seen::carried(error.value(py).as_any()),
        }
    }

    /// `status_code`; or `status`, of something with headers.
    fn response(value: &Bound<'py, PyAny>) -> PyResult<Option<Seen<'py>>> {
        if let Some(status) = status(value, intern!(value.py(), "status_code"))? {
            let headers = attribute(value, intern!(value.py(), "headers"))?;
            return Ok(Some(Seen { status, headers, response: value.clone() }));
        }
        let py = value.py();
        for name in [intern!(py, "status"), intern!(py, "code")] {
            let Some(status) = status(value, name)? else { continue };
            let Some(headers) = attribute(value, intern!(value.py(), "headers"))? else { continue };
            return Ok(Some(Seen { status, headers: Some(headers), response: value.clone() }));
        }
        Ok(None)
    }

    /// The response that an exception carries, or is itself.
    fn carried(error: &Bound<'py, PyAny>) -> PyResult<Option<Seen<'py>>> {
        // Of another pacer, around the function: it has been tried often enough.
        if error.is_instance_of::<errors::PacerError>() {
            return Ok(None);
        }
        if let Some(response) = attribute(error, intern!(error.py(), "response"))?
            && let Some(seen) = Seen::response(&response)?
        {
            return Ok(Some(seen));
        }
        if let Some(seen) = Seen::response(error)? {
            return Ok(Some(seen));
        }
        let status = status(error, intern!(error.py(), "status"))?;
        Ok(status.map(|status| Seen { status, headers: None, response: error.clone() }))
    }
}

impl client::Response for Seen<'_> {
    fn status(&self) -> u16 {
        self.status
    }

    fn headers(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        let Some(headers) = &self.headers else { return };
        // A field that cannot be read is as one that is not there.
        let Ok(pairs) = pairs(headers) else { return };
        for (name, value) in &pairs {
            with_bytes(name, |name| with_bytes(value, |value| each(name, value)));
        }
    }
}

/// No response has these types.
#[inline]
fn is_plain(value: &Bound<'_, PyAny>) -> bool {
    value.is_none()
        || value.is_exact_instance_of::<PyDict>()
        || value.is_exact_instance_of::<PyList>()
        || value.is_exact_instance_of::<PyTuple>()
        || value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyBytes>()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_exact_instance_of::<PyBool>()
}

/// An attribute that is there, and not `None`. What goes wrong in a property is not ours to tell.
fn attribute<'py>(
    value: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match value.getattr_opt(name) {
        Ok(found) => Ok(found.filter(|found| !found.is_none())),
        Err(error) if error.is_instance_of::<PyException>(value.py()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// An HTTP status, if the attribute is one.
fn status<'py>(value: &Bound<'py, PyAny>, name: &Bound<'py, PyString>) -> PyResult<Option<u16>> {
    let Some(status) = attribute(value, name)? else { return Ok(None) };
    if !status.is_instance_of::<PyInt>() || status.is_instance_of::<PyBool>() {
        return Ok(None);
    }
    Ok(status.extract::<u16>().ok().filter(|status| (100..1000).contains(status)))
}

type Pairs<'py> = Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>;

/// The fields of headers of any library, several of one name apart where the library keeps them apart.
fn pairs<'py>(headers: &Bound<'py, PyAny>) -> PyResult<Pairs<'py>> {
    if let Ok(dict) = headers.cast_exact::<PyDict>() {
        return Ok(dict.iter().collect());
    }
    // httpx has a list of pairs of bytes; all else only looks each name up again.
    if let Some(raw) = attribute(headers, intern!(headers.py(), "raw"))?
        && let Ok(raw) = raw.cast_into::<PyList>()
    {
        return raw.iter().map(|pair| split(&pair)).collect();
    }
    let items = match attribute(headers, intern!(headers.py(), "items"))? {
        Some(items) => items.call0()?,
        None => headers.clone(),
    };
    items.try_iter()?.map(|pair| split(&pair?)).collect()
}

/// A tuple or a list of two.
fn split<'py>(pair: &Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    if let Ok(pair) = pair.cast::<PyTuple>() {
        return pair.extract().map_err(|_| no_pair());
    }
    match pair.cast::<PyList>() {
        Ok(pair) if pair.len() == 2 => Ok((pair.get_item(0)?, pair.get_item(1)?)),
        _ => Err(no_pair()),
    }
}

fn no_pair() -> PyErr {
    PyTypeError::new_err("a pair was expected")
}

fn with_bytes(value: &Bound<'_, PyAny>, then: impl FnOnce(&[u8])) {
    if let Ok(text) = value.cast::<PyString>() {
        if let Ok(text) = text.to_str() {
            then(text.as_bytes());
        }
    } else if let Ok(bytes) = value.cast::<PyBytes>() {
        then(bytes.as_bytes());
    } else if is_number(value)
        && let Ok(text) = value.str()
        && let Ok(text) = text.to_str()
    {
        then(text.as_bytes());
    }
}

/// What stand-ins for responses have as values: `{"Retry-After": 5}`.
fn is_number(value: &Bound<'_, PyAny>) -> bool {
    let is_number = value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>();
    is_number && !value.is_instance_of::<PyBool>()
}

/// Headers that the user hands over: here a wrong type is a mistake.
pub(super) fn header_fields(headers: &Bound<'_, PyAny>) -> PyResult<Vec<(Vec<u8>, Vec<u8>)>> {
    const EXPECTED: &str = "a mapping or an iterable of pairs";
    let is_text = headers.is_instance_of::<PyString>()
        || headers.is_instance_of::<PyBytes>()
        || headers.is_instance_of::<PyByteArray>();
    if is_text || !(headers.cast::<PyMapping>().is_ok() || headers.hasattr("__iter__")?) {
        return Err(wrong_type("headers", EXPECTED, headers));
    }
    let pairs = pairs(headers).map_err(|error| {
        match error.is_instance_of::<PyTypeError>(headers.py()) {
            true => wrong_type("headers", EXPECTED, headers),
            false => error,
        }
    })?;
    let mut fields = Vec::with_capacity(pairs.len());
    for (name, value) in &pairs {
        for part in [name, value] {
            if !part.is_instance_of::<PyString>() && !part.is_instance_of::<PyBytes>() {
                return Err(wrong_type("headers", "names and values as str or bytes", part));
            }
        }
        with_bytes(name, |name| {
            with_bytes(value, |value| fields.push((name.to_vec(), value.to_vec())));
        });
    }
    Ok(fields)
}

/// What a response, an exception that carries one, or headers say.
pub(super) fn observed(value: &Bound<'_, PyAny>, engine: &client::Pacer) -> PyResult<ServerLimits> {
    let carrier = attribute(value, intern!(value.py(), "response"))?;
    for carrier in [carrier.as_ref(), Some(value)].into_iter().flatten() {
        if let Some(headers) = attribute(carrier, intern!(carrier.py(), "headers"))? {
            return Ok(client::read_headers(header_fields(&headers)?, wall(engine)));
        }
    }
    Ok(client::read_headers(header_fields(value)?, wall(engine)))
}

fn wall(engine: &client::Pacer) -> tidegate::Timestamp {
    engine.clock().now()
}

/// Is it a coroutine?
#[inline]
pub(super) fn is_coroutine(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    static COROUTINE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let py = value.py();
    Ok(value.get_type().is(COROUTINE.import(py, "types", "CoroutineType")?))
}

/// Lets go of a response that nobody will read, so that its connection is free.
pub(super) fn close(response: Option<Bound<'_, PyAny>>) {
    let Some(response) = response else { return };
    let py = response.py();
    if let Ok(Some(close)) = attribute(&response, intern!(py, "close"))
        && let Err(error) = close.call0()
    {
        error.write_unraisable(py, Some(&response));
    }
}

/// Warns, before the first retry, when what is retried retries by itself.
#[cold]
pub(super) fn warn_of_retries(function: &Bound<'_, PyAny>) -> PyResult<()> {
    static WARN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    WARN.import(function.py(), "tidegate._retries", "warn")?.call1((function,))?;
    Ok(())
}
