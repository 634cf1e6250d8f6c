//! How a pacer gives up: from the engine's errors to the exceptions of `tidegate/_pacer_errors.py`.

use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict};
use tidegate::client::{self, BreakerReason, PacerError as Given};

use crate::convert::as_seconds;
use crate::error::{ArgumentError, raise as raise_of_engine};

pyo3::import_exception!(tidegate._pacer_errors, PacerError);
pyo3::import_exception!(tidegate._pacer_errors, RetriesExhausted);
pyo3::import_exception!(tidegate._pacer_errors, RetryAfterTooLong);
pyo3::import_exception!(tidegate._pacer_errors, DeadlineExceeded);
pyo3::import_exception!(tidegate._pacer_errors, BreakerOpen);
pyo3::import_exception!(tidegate._pacer_errors, PacerClosed);
pyo3::import_exception!(tidegate._pacer_errors, Stopped);

/// The exception for a call that is given up; `response`: the last one, if there was any.
pub(super) fn raise(
    py: Python<'_>,
    error: Given,
    call: &client::Call,
    response: Option<&Bound<'_, PyAny>>,
) -> PyErr {
    let message = error.to_string();
    let made = match error {
        Given::Limiter(error) => return raise_of_engine(error),
        Given::Impossible { .. } => {
            let remedy = "give a smaller one";
            return ArgumentError::new_err((message, "cost", remedy));
        }
        error => build(py, &error, &message, call, response),
    };
    made.map_or_else(|error| error, PyErr::from_value)
}

fn build<'py>(
    py: Python<'py>,
    error: &Given,
    message: &str,
    call: &client::Call,
    response: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let fields = PyDict::new(py);
    fields.set_item("attempts", call.attempts())?;
    fields.set_item("label", call.label())?;
    fields.set_item("response", response)?;
    let class = match error {
        Given::RetriesExhausted { status, .. } => {
            fields.set_item("status", (*status != 0).then_some(*status))?;
            py.get_type::<RetriesExhausted>()
        }
        Given::RetryAfterTooLong { delay, max, .. } => {
            fields.set_item("retry_after", as_seconds(*delay))?;
            fields.set_item("max_retry_after", as_seconds(*max))?;
            py.get_type::<RetryAfterTooLong>()
        }
        Given::DeadlineExceeded { .. } => py.get_type::<DeadlineExceeded>(),
        Given::BreakerOpen { reason, retry_after } => {
            fields.update(reason_of(py, reason)?.as_mapping())?;
            fields.set_item("retry_after", as_seconds(*retry_after))?;
            py.get_type::<BreakerOpen>()
        }
        Given::Closed => py.get_type::<PacerClosed>(),
        _ => py.get_type::<PacerError>(),
    };
    class.call((message,), Some(&fields))
}

/// Why the breaker is open, as fields of the exception.
fn reason_of<'py>(py: Python<'py>, reason: &BreakerReason) -> PyResult<Bound<'py, PyDict>> {
    let (status, failures) = match reason {
        BreakerReason::Authentication { status, failures } => (*status, *failures),
        BreakerReason::Failures { failures } => (0, *failures),
        _ => (0, 0),
    };
    let fields = [("reason", reason.as_str())].into_py_dict(py)?;
    fields.set_item("status", (status != 0).then_some(status))?;
    fields.set_item("failures", failures)?;
    Ok(fields)
}
