//! What a pacer tells: limits read from headers, events, statistics. Values of the engine, with seconds as floats.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use tidegate::client::{self, Event, PauseReason};

use super::outcome::header_fields;
use crate::convert::{self, as_nanos, as_seconds, at_most_one_of};
use tidegate::Timestamp;

/// One quota of a server, as its headers tell it.
#[pyclass(frozen, eq, hash, module = "tidegate._native")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct ServerQuota {
    /// str: What tells it from others (`requests`, `tokens`, `day`), in lower case; empty when it
    /// is alone.
    #[pyo3(get)]
    name: String,
    /// int or None: Units in a window.
    #[pyo3(get)]
    limit: Option<u64>,
    /// int or None: Units left.
    #[pyo3(get)]
    remaining: Option<u64>,
    reset_after: Option<Duration>,
    window: Option<Duration>,
}

#[pymethods]
impl ServerQuota {
    /// float or None: Seconds until it is reset; 0 when that time is past.
    #[getter]
    fn reset_after(&self) -> Option<f64> {
        self.reset_after.map(as_seconds)
    }

    /// int or None: The same in nanoseconds (exact).
    #[getter]
    fn reset_after_ns(&self) -> Option<u64> {
        self.reset_after.and_then(as_nanos)
    }

    /// float or None: Length of its window, in seconds.
    #[getter]
    fn window(&self) -> Option<f64> {
        self.window.map(as_seconds)
    }

    /// int or None: The same in nanoseconds (exact).
    #[getter]
    fn window_ns(&self) -> Option<u64> {
        self.window.and_then(as_nanos)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let fields = [
            ("name", self.name.as_str().into_pyobject(py)?.into_any()),
            ("limit", self.limit.into_pyobject(py)?),
            ("remaining", self.remaining.into_pyobject(py)?),
            ("reset_after", self.reset_after().into_pyobject(py)?),
            ("window", self.window().into_pyobject(py)?),
        ];
        shown("ServerQuota", fields)
    }
}

impl From<client::Quota> for ServerQuota {
    fn from(quota: client::Quota) -> ServerQuota {
        let client::Quota { name, limit, remaining, reset_after, window, .. } = quota;
        ServerQuota { name, limit, remaining, reset_after, window }
    }
}

/// What the headers of a response tell of the server's limits.
#[pyclass(frozen, eq, hash, module = "tidegate._native")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct ServerLimits {
    retry_after: Option<Duration>,
    /// bool: Does the server say that little is left?
    #[pyo3(get)]
    near_limit: bool,
    quotas: Vec<ServerQuota>,
    delay: Option<Duration>,
}

#[pymethods]
impl ServerLimits {
    /// float or None: How long the server asks us to wait, in seconds.
    #[getter]
    fn retry_after(&self) -> Option<f64> {
        self.retry_after.map(as_seconds)
    }

    /// int or None: The same in nanoseconds (exact).
    #[getter]
    fn retry_after_ns(&self) -> Option<u64> {
        self.retry_after.and_then(as_nanos)
    }

    /// tuple of ServerQuota: Each quota that the server tells of, in the order of the headers.
    #[getter]
    fn quotas<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.quotas.iter().cloned())
    }

    /// float or None: Seconds to wait after a refusal: `retry_after`, else until the last quota
    /// with nothing left is reset; None when the headers do not tell.
    #[getter]
    fn delay(&self) -> Option<f64> {
        self.delay.map(as_seconds)
    }

    /// int or None: The same in nanoseconds (exact).
    #[getter]
    fn delay_ns(&self) -> Option<u64> {
        self.delay.and_then(as_nanos)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let fields = [
            ("retry_after", self.retry_after().into_pyobject(py)?),
            ("near_limit", self.near_limit.into_pyobject(py)?.to_owned().into_any()),
            ("quotas", self.quotas(py)?.into_any()),
        ];
        shown("ServerLimits", fields)
    }
}

impl From<client::ServerLimits> for ServerLimits {
    fn from(limits: client::ServerLimits) -> ServerLimits {
        let delay = limits.delay();
        let client::ServerLimits { retry_after, near_limit, quotas, .. } = limits;
        let quotas = quotas.into_iter().map(ServerQuota::from).collect();
        ServerLimits { retry_after, near_limit, quotas, delay }
    }
}

/// Read what the headers of a response tell of the server's limits.
///
/// Understood are `retry-after-ms`, `Retry-After` (whole or broken seconds, HTTP dates),
/// `RateLimit` and `RateLimit-Policy` of every draft, `X-RateLimit-*` (resets as seconds, epoch
/// seconds, milliseconds or microseconds), and the forms of well-known providers. A field that
/// makes no sense is as one that is not there.
///
/// Parameters
/// ----------
/// headers : mapping or iterable of pairs
///     Names in any case; names and values str or bytes. Also the `headers` of httpx, requests,
///     aiohttp and urllib.
/// now : float, int or timedelta, optional
///     What absolute times are compared with where the response has no `Date`, in seconds since
///     the Unix epoch; the wall clock's time when left out.
/// now_ns : int, optional
///     The same in nanoseconds, instead of `now`.
///
/// Returns
/// -------
/// ServerLimits
///     What they tell; all None and empty when they tell nothing.
///
/// Raises
/// ------
/// TypeError
///     When `headers` is neither, or has other things than str and bytes.
///
/// Examples
/// --------
/// >>> tidegate.read_headers({"Retry-After": "2.5"}).retry_after
/// 2.5
#[pyfunction]
#[pyo3(signature = (headers, *, now=None, now_ns=None))]
pub(crate) fn read_headers(
    headers: &Bound<'_, PyAny>,
    #[pyo3(from_py_with = convert::now)] now: Option<Timestamp>,
    #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
) -> PyResult<ServerLimits> {
    let now = at_most_one_of("now", now, now_ns)?;
    let now = now.unwrap_or_else(|| tidegate::Clock::system().now());
    Ok(client::read_headers(header_fields(headers)?, now).into())
}

/// Something that happened to a pacer; what `on_event` is told.
///
/// Fields that the kind does not have are None.
#[pyclass(frozen, get_all, module = "tidegate._native")]
#[derive(Default)]
pub(crate) struct PacerEvent {
    /// str: `retry`, `pause`, `exhausted`, `breaker_opened`, `breaker_closed` or `near_limit`.
    kind: &'static str,
    /// str or None: `retry`, `exhausted`: the label of the call; may be empty.
    label: Option<String>,
    /// int or None: `retry`, `exhausted`: attempts that were made so far.
    attempts: Option<u32>,
    /// int or None: Status of the answer that it follows; None where there is none.
    status: Option<u16>,
    /// float or None: `retry`, `pause`: seconds until calls go again; `breaker_opened`: until one
    /// is let through to see.
    delay: Option<f64>,
    /// str or None: `pause`: `limited` (by an answer) or `exhausted` (by headers, a quota);
    /// `breaker_opened`: `authentication` or `failures`.
    reason: Option<&'static str>,
    /// str or None: `near_limit`, and a `pause` for a quota: its name; empty when it has none.
    quota: Option<String>,
    /// int or None: `near_limit`: the quota, when the server tells it.
    limit: Option<u64>,
    /// int or None: `near_limit`: units left, when the server tells them.
    remaining: Option<u64>,
    /// float or None: `near_limit`: seconds until the quota is reset, when the server tells them.
    reset_after: Option<f64>,
}

#[pymethods]
impl PacerEvent {
    /// Only what there is.
    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        const NAMES: [&str; 10] = [
            "kind",
            "label",
            "attempts",
            "status",
            "delay",
            "reason",
            "quota",
            "limit",
            "remaining",
            "reset_after",
        ];
        let fields = NAMES.into_iter().map(|name| Ok((name, slf.getattr(name)?)));
        let fields = fields.collect::<PyResult<Vec<_>>>()?;
        shown("PacerEvent", fields.into_iter().filter(|(_, value)| !value.is_none()))
    }
}

fn told_status(status: u16) -> Option<u16> {
    (status != 0).then_some(status)
}

impl From<Event> for PacerEvent {
    fn from(event: Event) -> PacerEvent {
        let named = PacerEvent { kind: event.kind(), ..PacerEvent::default() };
        match event {
            Event::Retry { label, attempts, delay, status } => PacerEvent {
                label: Some(label),
                attempts: Some(attempts),
                delay: Some(as_seconds(delay)),
                status: told_status(status),
                ..named
            },
            Event::Pause { delay, reason } => {
                let (reason, status, quota) = match reason {
                    PauseReason::Limited(status) => ("limited", told_status(status), None),
                    PauseReason::Exhausted(quota) => ("exhausted", None, Some(quota)),
                    _ => ("other", None, None),
                };
                let (delay, reason) = (Some(as_seconds(delay)), Some(reason));
                PacerEvent { delay, reason, status, quota, ..named }
            }
            Event::Exhausted { label, attempts, status } => PacerEvent {
                label: Some(label),
                attempts: Some(attempts),
                status: told_status(status),
                ..named
            },
            Event::BreakerOpened { reason, retry_after } => {
                let status = match reason {
                    client::BreakerReason::Authentication { status, .. } => told_status(status),
                    _ => None,
                };
                let delay = Some(as_seconds(retry_after));
                PacerEvent { delay, reason: Some(reason.as_str()), status, ..named }
            }
            Event::NearLimit { name, limit, remaining, reset_after } => PacerEvent {
                quota: Some(name),
                limit,
                remaining,
                reset_after: reset_after.map(as_seconds),
                ..named
            },
            _ => named,
        }
    }
}

/// Counts of a pacer since it was made; from `Pacer.stats`.
#[pyclass(frozen, eq, module = "tidegate._native")]
#[derive(PartialEq, Eq)]
pub(crate) struct PacerStats(client::PacerStats);

#[pymethods]
impl PacerStats {
    /// int: Calls that were begun.
    #[getter]
    fn calls(&self) -> u64 {
        self.0.calls
    }

    /// int: Attempts that were let go, the first of each call included.
    #[getter]
    fn attempts(&self) -> u64 {
        self.0.attempts
    }

    /// int: Attempts that answers asked to make again.
    #[getter]
    fn retries(&self) -> u64 {
        self.0.retries
    }

    /// int: Answers that said that the server limits us: 429, and 503 with a delay.
    #[getter]
    fn limited(&self) -> u64 {
        self.0.limited
    }

    /// float: Seconds that calls stood waiting, for their turn and for retries, in all.
    #[getter]
    fn wait(&self) -> f64 {
        as_seconds(self.0.wait)
    }

    /// int: The same in nanoseconds (exact).
    #[getter]
    fn wait_ns(&self) -> u64 {
        as_nanos(self.0.wait).unwrap_or(u64::MAX)
    }

    /// dict of str to int: How many calls had to wait for each limit, by its name, for the cap
    /// (`concurrency`), for a pause (`pause`) and for a quota of the headers (`quota`).
    #[getter]
    fn waits<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let waits = PyDict::new(py);
        self.0.waits.iter().try_for_each(|(name, count)| waits.set_item(name, count))?;
        Ok(waits)
    }

    /// int: Times everybody had to wait.
    #[getter]
    fn pauses(&self) -> u64 {
        self.0.pauses
    }

    /// int: Calls given up because every attempt was refused.
    #[getter]
    fn exhausted(&self) -> u64 {
        self.0.exhausted
    }

    /// int: Times the breaker opened.
    #[getter]
    fn breaker_opened(&self) -> u64 {
        self.0.breaker_opened
    }

    /// int: Calls under way now.
    #[getter]
    fn in_flight(&self) -> u32 {
        self.0.in_flight
    }

    /// int: Calls that wait now, for their turn or for a retry.
    #[getter]
    fn waiting(&self) -> u64 {
        self.0.waiting
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "PacerStats(calls={}, attempts={}, retries={}, limited={}, wait={:?}, waits={}, \
             pauses={}, exhausted={}, breaker_opened={}, in_flight={}, waiting={})",
            self.0.calls,
            self.0.attempts,
            self.0.retries,
            self.0.limited,
            self.wait(),
            self.waits(py)?.repr()?,
            self.0.pauses,
            self.0.exhausted,
            self.0.breaker_opened,
            self.0.in_flight,
            self.0.waiting,
        ))
    }
}

impl From<client::PacerStats> for PacerStats {
    fn from(stats: client::PacerStats) -> PacerStats {
        PacerStats(stats)
    }
}

fn shown<'py>(
    class: &str,
    fields: impl IntoIterator<Item = (&'static str, Bound<'py, PyAny>)>,
) -> PyResult<String> {
    let mut parts = Vec::new();
    for (name, value) in fields {
        parts.push(format!("{name}={}", value.repr()?));
    }
    Ok(format!("{class}({})", parts.join(", ")))
}
