//! A request under way: an estimate to be settled, or work being measured.

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyAny;
use tidegate::Timestamp;

use crate::convert;
use crate::decision::Decision;
use crate::error::{Error, RateLimited, raise};

/// An estimate taken now, to be settled or cancelled later; true when it was admitted.
///
/// Made by `Limiter.reserve`. As a context manager it raises `RateLimited` when it was denied.
/// Left without `settle` or `cancel` (also by an exception), the estimate stands: what was
/// begun may have been spent.
#[pyclass(frozen, module = "tidegate._native")]
pub(crate) struct Reservation {
    decision: Decision,
    open: Mutex<Option<tidegate::Reservation>>,
}

impl Reservation {
    pub(crate) fn new(reservation: tidegate::Reservation) -> Reservation {
        let decision = reservation.decision().into();
        Reservation { decision, open: Mutex::new(Some(reservation)) }
    }

    /// The lock is let go before the engine is called: a waiter may be woken by it.
    fn take(&self) -> PyResult<tidegate::Reservation> {
        self.open.lock().take().ok_or_else(|| {
            Error::new_err("reservation: already settled or cancelled; do either, and only once")
        })
    }
}

#[pymethods]
impl Reservation {
    /// Decision: The answer to the reservation.
    #[getter]
    fn decision(&self) -> Decision {
        self.decision
    }

    /// Replace the estimate by what was really used.
    ///
    /// Less than the estimate: the difference goes back to the buckets that paid it. More: the
    /// difference is charged, even beyond the limits. Of a denied reservation: does nothing.
    ///
    /// Parameters
    /// ----------
    /// actual : int
    ///     Units really used.
    ///
    /// Raises
    /// ------
    /// ArgumentError
    ///     When `actual` is negative or beyond 64 bits.
    /// Error
    ///     When it is settled or cancelled already.
    #[pyo3(signature = (actual, *, now_ns=None))]
    fn settle(
        &self,
        #[pyo3(from_py_with = convert::actual)] actual: u64,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<()> {
        let reservation = self.take()?;
        match now_ns {
            None => reservation.settle(actual),
            Some(now) => reservation.settle_at(actual, now),
        }
        .map_err(raise)
    }

    /// Give everything back, permits too.
    ///
    /// Raises
    /// ------
    /// Error
    ///     When it is settled or cancelled already.
    #[pyo3(signature = (*, now_ns=None))]
    fn cancel(
        &self,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<()> {
        let reservation = self.take()?;
        match now_ns {
            None => reservation.cancel(),
            Some(now) => reservation.cancel_at(now),
        }
        .map_err(raise)
    }

    fn __bool__(&self) -> bool {
        self.decision.is_allowed()
    }

    fn __enter__(this: Py<Self>) -> PyResult<Py<Self>> {
        let decision = &this.get().decision;
        if decision.is_allowed() { Ok(this) } else { Err(RateLimited::new_err(*decision)) }
    }

    #[pyo3(signature = (kind, value, traceback, /))]
    fn __exit__(
        &self,
        kind: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) {
        // The estimate stands unless it was settled or cancelled, whatever was raised.
        let _ = (kind, value, traceback);
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let state = if self.open.lock().is_some() { "open" } else { "closed" };
        Ok(format!("<Reservation {state}, {}>", self.decision.into_pyobject(py)?.repr()?))
    }
}

/// One request under way, for `Limiter.measure`.
#[pyclass(frozen, module = "tidegate._native")]
pub(crate) struct Admission {
    decision: Decision,
    open: Mutex<Option<tidegate::Admission>>,
}

impl Admission {
    pub(crate) fn new(admission: tidegate::Admission) -> Admission {
        let decision = admission.decision().into();
        Admission { decision, open: Mutex::new(Some(admission)) }
    }
}

#[pymethods]
impl Admission {
    /// Decision: The answer to the request.
    #[getter]
    fn decision(&self) -> Decision {
        self.decision
    }

    /// Begin the time of its permits anew; false when they are gone.
    fn renew(&self) -> PyResult<bool> {
        let mut open = self.open.lock();
        open.as_mut().map_or(Ok(false), tidegate::Admission::renew).map_err(raise)
    }

    /// Record the time since the admission and release the permit; once, then nothing.
    fn finish(&self) -> PyResult<()> {
        let open = self.open.lock().take();
        open.map_or(Ok(()), tidegate::Admission::finish).map_err(raise)
    }
}
