//! The answer to one request, as a frozen Python value.

use std::borrow::Cow;
use std::time::Duration;

use pyo3::prelude::*;
use tidegate::Reason;

use crate::convert::{as_nanos, as_seconds};
use crate::error::argument;

/// The answer to one request: true when it is allowed.
///
/// The numbers are those of the limit that decides: of a denied request the one with the
/// longest wait, of an allowed one the tightest. Units are requests × cost for count limits,
/// nanoseconds for latency limits and permits for concurrency limits.
///
/// Decisions compare by value, can be hashed and pickled, and never change.
#[pyclass(frozen, eq, hash, module = "tidegate._native")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Decision {
    allowed: bool,
    reason: Reason,
    limit: u64,
    remaining: u64,
    retry_after: Duration,
    reset_after: Duration,
    name: Cow<'static, str>,
}

impl From<tidegate::Decision> for Decision {
    fn from(decision: tidegate::Decision) -> Decision {
        Decision {
            allowed: decision.allowed(),
            reason: decision.reason(),
            limit: decision.limit(),
            remaining: decision.remaining(),
            retry_after: decision.retry_after(),
            reset_after: decision.reset_after(),
            name: Cow::Borrowed(decision.name()),
        }
    }
}

impl Decision {
    pub(crate) fn is_allowed(&self) -> bool {
        self.allowed
    }
}

#[pymethods]
impl Decision {
    /// bool: May the request go on?
    #[getter]
    fn allowed(&self) -> bool {
        self.allowed
    }

    /// str: `ok`, `limited`, `blocked`, `bypass`, or `impossible` (no waiting helps).
    #[getter]
    fn reason(&self) -> &'static str {
        self.reason.as_str()
    }

    /// int: The quota of the limit; of a cascade, the sum of its quotas.
    #[getter]
    fn limit(&self) -> u64 {
        self.limit
    }

    /// int: Units left in the limit after this decision.
    #[getter]
    fn remaining(&self) -> u64 {
        self.remaining
    }

    /// float: Seconds until the same request passes: 0.0 when allowed, `math.inf` when never.
    #[getter]
    fn retry_after(&self) -> f64 {
        as_seconds(self.retry_after)
    }

    /// float: Seconds until the limit is full again when nobody uses it.
    #[getter]
    fn reset_after(&self) -> f64 {
        as_seconds(self.reset_after)
    }

    /// int or None: `retry_after` in nanoseconds, exact; None when never.
    #[getter]
    fn retry_after_ns(&self) -> Option<u64> {
        as_nanos(self.retry_after)
    }

    /// int or None: `reset_after` in nanoseconds, exact; None when never.
    #[getter]
    fn reset_after_ns(&self) -> Option<u64> {
        as_nanos(self.reset_after)
    }

    /// str: The name of the limit; empty for a blocked key.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    fn __bool__(&self) -> bool {
        self.allowed
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "Decision(allowed={}, reason='{}', limit={}, remaining={}, retry_after={:?}, \
             reset_after={:?}, name={})",
            if self.allowed { "True" } else { "False" },
            self.reason.as_str(),
            self.limit,
            self.remaining,
            as_seconds(self.retry_after),
            as_seconds(self.reset_after),
            self.name.as_ref().into_pyobject(py)?.repr()?,
        ))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Fields)> {
        let restore = py.import("tidegate._native")?.getattr("_restore_decision")?;
        let fields = (
            self.allowed,
            self.reason.as_str().to_owned(),
            self.limit,
            self.remaining,
            as_nanos(self.retry_after),
            as_nanos(self.reset_after),
            self.name.to_string(),
        );
        Ok((restore, fields))
    }
}

type Fields = (bool, String, u64, u64, Option<u64>, Option<u64>, String);

const REASONS: [Reason; 5] =
    [Reason::Ok, Reason::Limited, Reason::Blocked, Reason::Bypass, Reason::Impossible];

/// Rebuild a pickled decision.
#[pyfunction]
#[pyo3(name = "_restore_decision")]
pub(crate) fn restore_decision(
    allowed: bool,
    reason: &str,
    limit: u64,
    remaining: u64,
    retry_after_ns: Option<u64>,
    reset_after_ns: Option<u64>,
    name: String,
) -> PyResult<Decision> {
    let reason = REASONS
        .into_iter()
        .find(|known| known.as_str() == reason)
        .ok_or_else(|| argument("reason", "no such reason", "unpickle with the same version"))?;
    let span = |nanos: Option<u64>| nanos.map_or(Duration::MAX, Duration::from_nanos);
    Ok(Decision {
        allowed,
        reason,
        limit,
        remaining,
        retry_after: span(retry_after_ns),
        reset_after: span(reset_after_ns),
        name: Cow::Owned(name),
    })
}
