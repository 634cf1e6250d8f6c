//! One call, for asyncio: Python awaits its turns, and makes its attempts.

use std::sync::Arc;
use std::task::Waker;

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::{IntoPyObjectExt, PyTraverseError, PyVisit};
use tidegate::client::{self, Step};

use super::outcome::{Attempt, Next};
use super::{Shared, errors};
use crate::convert::as_seconds;
use crate::error::Error;
use crate::wait::Notify;

/// A call of a pacer, for `Pacer.call_async`. One that is closed or forgotten gives up all that it holds.
#[pyclass(frozen, name = "_PacerCall", module = "tidegate._native")]
pub(crate) struct PacerCall {
    shared: Py<Shared>,
    open: Mutex<Option<client::Call>>,
}

impl PacerCall {
    pub(super) fn new(shared: Py<Shared>, call: client::Call) -> PacerCall {
        PacerCall { shared, open: Mutex::new(Some(call)) }
    }

    /// Taken out while it is asked: waking others runs Python, which must not find it locked.
    fn with<T>(&self, ask: impl FnOnce(&mut client::Call) -> T) -> PyResult<T> {
        let Some(mut call) = self.open.lock().take() else {
            return Err(Error::new_err("call: closed already"));
        };
        let answer = ask(&mut call);
        *self.open.lock() = Some(call);
        Ok(answer)
    }

    fn settle<'py>(
        &self,
        py: Python<'py>,
        attempt: &Attempt<'_, 'py>,
    ) -> PyResult<(bool, Option<Bound<'py, PyAny>>)> {
        match self.with(|call| self.shared.get().settle(py, call, attempt))?? {
            Next::Done => Ok((false, None)),
            Next::Again(response) => Ok((true, response)),
        }
    }
}

#[pymethods]
impl PacerCall {
    /// May it go, without having waited? Raises when it is given up.
    fn may_go(&self, py: Python<'_>) -> PyResult<bool> {
        self.with(|call| match call.is_settled().then(|| call.check()) {
            None => Ok(false),
            Some(Step::Fail(error)) => Err(errors::raise(py, error, call, None)),
            Some(_) => Ok(true),
        })?
    }

    /// Ask whether it may go; `notify` is called, from any thread, when to ask again.
    ///
    /// Returns
    /// -------
    /// True, float or None
    ///     True: it may. Else ask again after so many seconds at the latest (None: when notified).
    fn poll<'py>(&self, py: Python<'py>, notify: Py<PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let waker = Waker::from(Arc::new(Notify(notify)));
        let turn = self.with(|call| match call.poll(&waker) {
            Step::Go => true.into_bound_py_any(py),
            Step::Fail(error) => Err(errors::raise(py, error, call, None)),
            Step::Wait(pause) => pause.map(as_seconds).into_bound_py_any(py),
        })?;
        self.shared.get().tell(py);
        turn
    }

    /// Tell what the attempt returned; is it to be made again, and of which response?
    fn returned<'py>(
        &self,
        result: &Bound<'py, PyAny>,
    ) -> PyResult<(bool, Option<Bound<'py, PyAny>>)> {
        self.settle(result.py(), &Attempt::Returned(result))
    }

    /// Tell what the attempt raised; is it to be made again, and of which response?
    fn raised<'py>(
        &self,
        error: &Bound<'py, PyAny>,
    ) -> PyResult<(bool, Option<Bound<'py, PyAny>>)> {
        let error_of = PyErr::from_value(error.clone());
        self.settle(error.py(), &Attempt::Raised(&error_of))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.shared)
    }

    /// Give up whatever it holds.
    fn close(&self, py: Python<'_>) {
        let call = self.open.lock().take();
        drop(call);
        self.shared.get().tell(py);
    }
}
