//! What a customer used, by kind of call: frozen Python values.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert::as_seconds;

/// How far a subject is with a limit.
#[pyclass(frozen, eq, hash, module = "tidegate._native")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct UsageLimit {
    /// str: Name of the limit.
    #[pyo3(get)]
    name: &'static str,
    /// int: Its quota.
    #[pyo3(get)]
    quota: u64,
    /// int: Units left now.
    #[pyo3(get)]
    remaining: u64,
    /// int: `utilization` in thousandths, rounded down, 0 to 1000.
    #[pyo3(get)]
    utilization_permille: u64,
}

#[pymethods]
impl UsageLimit {
    /// float: The part of the quota that is used now, 0.0 to 1.0, rounded down to thousandths.
    #[getter]
    fn utilization(&self) -> f64 {
        as_share(self.utilization_permille)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "UsageLimit(name={}, quota={}, remaining={}, utilization={:?})",
            self.name.into_pyobject(py)?.repr()?,
            self.quota,
            self.remaining,
            self.utilization(),
        ))
    }
}

/// Thousandths as a float: the one closest to what they are.
pub(crate) fn as_share(permille: u64) -> f64 {
    permille as f64 / 1000.0
}

/// What a customer used, from `Limiter.usage`.
#[pyclass(frozen, eq, hash, module = "tidegate._native")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct UsageReport {
    /// str or None: The plan that holds now; None where the policy has none.
    #[pyo3(get)]
    plan: Option<&'static str>,
    /// int: `window` in nanoseconds, exact.
    #[pyo3(get)]
    window_ns: u64,
    /// int: Units admitted in the window.
    #[pyo3(get)]
    total: u64,
    by_kind: Vec<(String, u64)>,
    /// UsageLimit or None: The count limit of the longest window; None when there is none.
    #[pyo3(get)]
    limit: Option<UsageLimit>,
    /// int: Requests of anybody that were not recorded, for want of room (`max_keys`).
    #[pyo3(get)]
    dropped: u64,
}

#[pymethods]
impl UsageReport {
    /// float: Seconds that the report covers, up to now.
    #[getter]
    fn window(&self) -> f64 {
        as_seconds(Duration::from_nanos(self.window_ns))
    }

    /// dict of str to int: Units admitted by kind of call, the largest first; calls without the
    /// attribute that kinds are told by are the kind `""`. A new dict each time.
    #[getter]
    fn by_kind<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let kinds = PyDict::new(py);
        for (kind, units) in &self.by_kind {
            kinds.set_item(kind, units)?;
        }
        Ok(kinds)
    }

    /// float or None: The part of the limit's quota that is used now, 0.0 to 1.0; None when there
    /// is no limit.
    #[getter]
    fn utilization(&self) -> Option<f64> {
        self.limit.as_ref().map(UsageLimit::utilization)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "UsageReport(plan={}, window={:?}, total={}, by_kind={}, limit={}, dropped={})",
            self.plan.into_pyobject(py)?.repr()?,
            self.window(),
            self.total,
            self.by_kind(py)?.repr()?,
            self.limit.clone().into_pyobject(py)?.repr()?,
            self.dropped,
        ))
    }
}

impl From<tidegate::UsageReport> for UsageReport {
    fn from(report: tidegate::UsageReport) -> UsageReport {
        UsageReport {
            plan: report.plan,
            // The engine counts in 64 bits of nanoseconds.
            window_ns: u64::try_from(report.window.as_nanos()).unwrap_or(u64::MAX),
            total: report.total,
            by_kind: report.by_kind,
            limit: report.limit.map(|limit| UsageLimit {
                name: limit.name,
                quota: limit.quota,
                remaining: limit.remaining,
                utilization_permille: limit.utilization_permille,
            }),
            dropped: report.dropped,
        }
    }
}
