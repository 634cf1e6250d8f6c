//! The answer to one request, as a frozen Python value.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use tidegate::{BodyStyle, DecisionParts, HeaderStyle, Method, Reason, Timestamp};

use crate::convert::{self, as_nanos, as_seconds};
use crate::error::{argument, raise};

/// The answer to one request: true when it is allowed.
///
/// The numbers are those of the limit that decides: of a denied request the one with the
/// longest wait, of an allowed one the tightest. Units are requests × cost for count limits,
/// nanoseconds for latency limits and permits for concurrency limits.
///
/// Decisions compare by value, whenever they were made; they can be hashed and pickled, and
/// never change.
#[pyclass(frozen, eq, hash, module = "tidegate._native")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decision(tidegate::Decision);

impl From<tidegate::Decision> for Decision {
    #[inline(always)]
    fn from(decision: tidegate::Decision) -> Decision {
        Decision(decision)
    }
}

/// What is equal has the same numbers and names.
impl Hash for Decision {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Decision(decision) = self;
        let waits = (decision.retry_after_ns(), decision.reset_after_ns());
        (decision.reason(), decision.limit(), decision.remaining(), waits).hash(state);
        (decision.name(), decision.plan(), decision.shadow()).hash(state);
    }
}

impl Decision {
    pub(crate) fn is_allowed(&self) -> bool {
        self.0.allowed()
    }
}

#[pymethods]
impl Decision {
    /// bool: May the request go on?
    #[getter]
    fn allowed(&self) -> bool {
        self.0.allowed()
    }

    /// str: `ok`, `limited`, `blocked`, `bypass`, or `impossible` (no waiting helps).
    #[getter]
    fn reason(&self) -> &'static str {
        self.0.reason().as_str()
    }

    /// int: The quota of the limit; of a cascade, the sum of its quotas.
    #[getter]
    fn limit(&self) -> u64 {
        self.0.limit()
    }

    /// int: Units left in the limit after this decision.
    #[getter]
    fn remaining(&self) -> u64 {
        self.0.remaining()
    }

    /// float: Seconds until the same request passes: 0.0 when allowed, `math.inf` when never.
    #[getter]
    fn retry_after(&self) -> f64 {
        as_seconds(self.0.retry_after())
    }

    /// float: Seconds until the limit is full again when nobody uses it.
    #[getter]
    fn reset_after(&self) -> f64 {
        as_seconds(self.0.reset_after())
    }

    /// int or None: `retry_after` in nanoseconds, exact; None when never.
    #[getter]
    fn retry_after_ns(&self) -> Option<u64> {
        as_nanos(self.0.retry_after())
    }

    /// int or None: `reset_after` in nanoseconds, exact; None when never.
    #[getter]
    fn reset_after_ns(&self) -> Option<u64> {
        as_nanos(self.0.reset_after())
    }

    /// str: The name of the limit, block or exemption; empty for a blocked key.
    #[getter]
    fn name(&self) -> &'static str {
        self.0.name()
    }

    /// str or None: The request's plan, whichever of its limits answers; None where no limit
    /// answers, or the policy has no plans.
    #[getter]
    fn plan(&self) -> Option<&'static str> {
        self.0.plan()
    }

    /// str: What the limit counts: `count`, `latency` or `concurrency`.
    #[getter]
    fn method(&self) -> &'static str {
        self.0.method().as_str()
    }

    /// float or None: Seconds in which the limit grants its quota (of a cascade the first
    /// bucket's); None for permits, blocks and exemptions.
    #[getter]
    fn window(&self) -> Option<f64> {
        self.0.window().map(as_seconds)
    }

    /// int or None: `window` in nanoseconds, exact.
    #[getter]
    fn window_ns(&self) -> Option<u64> {
        self.0.window().and_then(as_nanos)
    }

    /// int or None: Units left in the later buckets of a cascade, such as a pool for bursts: of
    /// the limit that decides, else of the first cascade that the request met; None when it met
    /// none.
    #[getter]
    fn burst_remaining(&self) -> Option<u64> {
        self.0.burst_remaining()
    }

    /// str or None: The name of a limit in shadow that would have denied the request.
    #[getter]
    fn shadow(&self) -> Option<&'static str> {
        self.0.shadow()
    }

    /// str or None: The words that the policy has for a denial by this limit.
    #[getter]
    fn message(&self) -> Option<&'static str> {
        self.0.message()
    }

    /// bool: Does the policy advise to close the connection after this denial?
    #[getter]
    fn closes(&self) -> bool {
        self.0.closes()
    }

    /// float: When it was made, in seconds since the Unix epoch (to about 0.2 µs).
    #[getter]
    fn made_at(&self) -> f64 {
        self.0.made_at().saturating_since(Timestamp::EPOCH).as_secs_f64()
    }

    /// int: When it was made, in nanoseconds since the Unix epoch (exact).
    #[getter]
    fn made_at_ns(&self) -> u64 {
        self.0.made_at().as_nanos()
    }

    /// int: The status of the HTTP response: 429 for a denial, else 200.
    #[getter]
    fn status(&self) -> u16 {
        self.0.status()
    }

    /// The header fields of the HTTP response, allowed or denied, in the order to send them.
    ///
    /// A denial that waiting ends has `Retry-After`, in whole seconds rounded up. A blocked key
    /// has nothing else, an exempted request nothing at all.
    ///
    /// Parameters
    /// ----------
    /// style : {"legacy", "draft", "both"}, optional
    ///     `X-RateLimit-Limit`, `-Remaining`, `-Reset` (Unix seconds) and `-Burst` (where there
    ///     is a pool); or `RateLimit-Policy` and `RateLimit` of the IETF's draft; or all of them.
    ///
    /// Returns
    /// -------
    /// dict of str to str
    ///     Names and values, printable ASCII. Amounts of latency limits are whole milliseconds.
    ///
    /// Raises
    /// ------
    /// ArgumentError
    ///     When there is no such style.
    #[pyo3(signature = (style="legacy".to_owned()), text_signature = "($self, style='legacy')")]
    fn headers<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = convert::style)] style: String,
    ) -> PyResult<Bound<'py, PyDict>> {
        let headers = PyDict::new(py);
        for (name, value) in self.0.headers(HeaderStyle::from_name(&style).map_err(raise)?) {
            headers.set_item(name, value)?;
        }
        Ok(headers)
    }

    /// The body of the HTTP response to a denied request: one line of JSON.
    ///
    /// Parameters
    /// ----------
    /// style : {"error", "message", "problem"}, optional
    ///     An error with a code and details; a message and the status; or problem details of
    ///     RFC 9457.
    ///
    /// Returns
    /// -------
    /// str
    ///     Empty for an allowed request.
    ///
    /// Raises
    /// ------
    /// ArgumentError
    ///     When there is no such style.
    #[pyo3(signature = (style="error".to_owned()), text_signature = "($self, style='error')")]
    fn body(&self, #[pyo3(from_py_with = convert::style)] style: String) -> PyResult<String> {
        BodyStyle::from_name(&style).map(|style| self.0.body(style).text).map_err(raise)
    }

    /// The `Content-Type` of `body` in this style.
    ///
    /// Parameters, errors: as `body`.
    ///
    /// Returns
    /// -------
    /// str
    #[pyo3(signature = (style="error".to_owned()), text_signature = "($self, style='error')")]
    fn content_type(
        &self,
        #[pyo3(from_py_with = convert::style)] style: String,
    ) -> PyResult<&'static str> {
        BodyStyle::from_name(&style).map(|style| self.0.body(style).content_type).map_err(raise)
    }

    fn __bool__(&self) -> bool {
        self.0.allowed()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let decision = &self.0;
        let mut text = format!(
            "Decision(allowed={}, reason='{}', limit={}, remaining={}, retry_after={:?}, \
             reset_after={:?}, name={}",
            if decision.allowed() { "True" } else { "False" },
            decision.reason().as_str(),
            decision.limit(),
            decision.remaining(),
            self.retry_after(),
            self.reset_after(),
            decision.name().into_pyobject(py)?.repr()?,
        );
        // What most decisions do not have.
        for (field, name) in [("plan", decision.plan()), ("shadow", decision.shadow())] {
            if let Some(name) = name {
                text += &format!(", {field}={}", name.into_pyobject(py)?.repr()?);
            }
        }
        if let Some(left) = decision.burst_remaining() {
            text += &format!(", burst_remaining={left}");
        }
        Ok(text + ")")
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Fields)> {
        let restore = py.import("tidegate._native")?.getattr("_restore_decision")?;
        let parts = self.0.parts();
        let answer = (
            parts.reason.as_str().to_owned(),
            parts.limit,
            parts.remaining,
            parts.retry_after_ns,
            parts.reset_after_ns,
            parts.made_at.as_nanos(),
            parts.burst_remaining,
            parts.shadow.to_owned(),
        );
        let terms = (
            parts.name.to_owned(),
            parts.plan.to_owned(),
            parts.method.as_str().to_owned(),
            parts.window_ns,
            parts.later_quota,
            parts.message.to_owned(),
            parts.closes,
        );
        Ok((restore, (answer, terms)))
    }
}

/// The answer, and what the limit is.
type Fields = (Answer, Terms);
type Answer = (String, u64, u64, u64, u64, u64, Option<u64>, String);
type Terms = (String, String, String, u64, u64, String, bool);

const REASONS: [Reason; 5] =
    [Reason::Ok, Reason::Limited, Reason::Blocked, Reason::Bypass, Reason::Impossible];
const METHODS: [Method; 3] = [Method::Count, Method::Latency, Method::Concurrency];

/// Rebuild a pickled decision.
#[pyfunction]
#[pyo3(name = "_restore_decision")]
pub(crate) fn restore_decision(answer: Answer, terms: Terms) -> PyResult<Decision> {
    let (
        reason,
        limit,
        remaining,
        retry_after_ns,
        reset_after_ns,
        made_at,
        burst_remaining,
        shadow,
    ) = answer;
    let (name, plan, method, window_ns, later_quota, message, closes) = terms;
    let unknown =
        |field: &str| argument(field, "there is no such", "unpickle with the same version");
    let reason = REASONS.into_iter().find(|known| known.as_str() == reason);
    let method = METHODS.into_iter().find(|known| known.as_str() == method);
    let since_epoch = Duration::from_nanos(made_at);
    Ok(Decision(tidegate::Decision::from_parts(DecisionParts {
        reason: reason.ok_or_else(|| unknown("reason"))?,
        limit,
        remaining,
        retry_after_ns,
        reset_after_ns,
        made_at: Timestamp::EPOCH.saturating_add(since_epoch),
        burst_remaining,
        shadow: &shadow,
        name: &name,
        plan: &plan,
        method: method.ok_or_else(|| unknown("method"))?,
        window_ns,
        later_quota,
        message: &message,
        closes,
    })))
}
