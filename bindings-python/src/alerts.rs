//! Alerts: a Python function that hears of use that passes a threshold.

use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use pyo3::{IntoPyObjectExt, PyTraverseError, PyVisit};

use crate::usage::as_share;

/// Use of a limit has passed one of its thresholds (`alerts` in the policy).
///
/// What `Limiter.on_alert` tells. Units are requests × cost (method `count`), nanoseconds
/// (`latency`) or permits (`concurrency`).
#[pyclass(frozen, eq, hash, module = "tidegate._native")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Alert {
    /// str: Name of the limit.
    #[pyo3(get)]
    limit: &'static str,
    /// str or None: The request's plan, also of a limit of every plan; None where the policy has
    /// none.
    #[pyo3(get)]
    plan: Option<&'static str>,
    /// str: `count`, `latency` or `concurrency`.
    #[pyo3(get)]
    method: &'static str,
    /// int: `threshold` in thousandths, exact.
    #[pyo3(get)]
    threshold_permille: u64,
    /// int: Units used.
    #[pyo3(get)]
    used: u64,
    /// int: Most units that can be spent at once.
    #[pyo3(get)]
    capacity: u64,
    request: Vec<(String, Vec<u8>)>,
}

#[pymethods]
impl Alert {
    /// float: The threshold, as a part of the capacity: 0.8 for 80 %.
    #[getter]
    fn threshold(&self) -> f64 {
        as_share(self.threshold_permille)
    }

    /// dict of str to str or bytes: The attributes of the request that passed it (of a plain
    /// key: `key`); bytes where a value is no UTF-8. A new dict each time. The `repr` of an
    /// alert shows its names alone: values may be secrets.
    #[getter]
    fn request<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let request = PyDict::new(py);
        for (name, value) in &self.request {
            match std::str::from_utf8(value) {
                Ok(text) => request.set_item(name, text)?,
                Err(_) => request.set_item(name, PyBytes::new(py, value))?,
            }
        }
        Ok(request)
    }

    // Names alone: a value may be a secret.
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "Alert(limit={}, plan={}, method='{}', threshold={:?}, used={}, capacity={}, \
             request={})",
            self.limit.into_pyobject(py)?.repr()?,
            self.plan.into_pyobject(py)?.repr()?,
            self.method,
            self.threshold(),
            self.used,
            self.capacity,
            self.names().into_pyobject(py)?.repr()?,
        ))
    }
}

impl Alert {
    fn names(&self) -> Vec<&str> {
        self.request.iter().map(|(name, _)| name.as_str()).collect()
    }
}

impl From<&tidegate::Alert<'_, '_>> for Alert {
    fn from(alert: &tidegate::Alert<'_, '_>) -> Alert {
        let attributes = alert.request.attributes();
        Alert {
            limit: alert.limit,
            plan: alert.plan,
            method: alert.method.as_str(),
            threshold_permille: alert.threshold_permille,
            used: alert.used,
            capacity: alert.capacity,
            request: attributes.map(|(name, value)| (name.to_owned(), value.to_vec())).collect(),
        }
    }
}

/// Who hears of alerts. Here, not in the engine, so that the garbage collector of Python finds it: a function that
/// knows its limiter is a circle.
#[derive(Clone, Default)]
pub(crate) struct Listener(Arc<Mutex<Option<Py<PyAny>>>>);

impl Listener {
    /// Has `limiter` tell `callable` alone, or nobody.
    pub(crate) fn set(&self, limiter: &tidegate::Limiter, callable: Option<Py<PyAny>>) {
        match callable {
            Some(_) => {
                let listener = self.clone();
                limiter.on_alert(move |alert| listener.tell(alert));
            }
            None => limiter.clear_alerts(),
        }
        self.replace(callable);
    }

    /// What was there goes when the lock is gone: that may run Python.
    fn replace(&self, callable: Option<Py<PyAny>>) {
        let before = std::mem::replace(&mut *self.0.lock(), callable);
        drop(before);
    }

    /// Calls the function, in the thread whose call passed the threshold. What it raises has nowhere to go.
    fn tell(&self, alert: &tidegate::Alert<'_, '_>) {
        Python::try_attach(|py| {
            let callable = self.0.lock().as_ref().map(|callable| callable.clone_ref(py));
            let Some(callable) = callable else { return };
            let told = Alert::from(alert).into_bound_py_any(py);
            if let Err(error) = told.and_then(|alert| callable.call1(py, (alert,))) {
                error.write_unraisable(py, Some(callable.bind(py)));
            }
        });
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Whoever holds the lock keeps the function alive.
        self.0.try_lock().map_or(Ok(()), |callable| visit.call(&*callable))
    }

    pub(crate) fn clear(&self) {
        self.replace(None);
    }
}
