//! What a key has used, and what a limiter has counted: frozen Python values.

use pyo3::prelude::*;

use crate::convert::as_seconds;

/// One bucket of a key.
///
/// Units are requests × cost (method `count`), nanoseconds (`latency`) or permits
/// (`concurrency`).
#[pyclass(frozen, eq, hash, module = "tidegate._native")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct BucketSnapshot {
    /// str: Name of the limit.
    #[pyo3(get)]
    limit: String,
    /// str: Name of the bucket: its own, else the text of its rate (`100/minute`).
    #[pyo3(get)]
    name: String,
    /// str: `count`, `latency` or `concurrency`.
    #[pyo3(get)]
    method: &'static str,
    /// int: Units per period.
    #[pyo3(get)]
    quota: u64,
    /// int: Most units that can be spent at once (gcra: the burst).
    #[pyo3(get)]
    capacity: u64,
    /// int: Units used; more than the capacity when in debt.
    #[pyo3(get)]
    used: u64,
    /// int: Units left, never below zero.
    #[pyo3(get)]
    remaining: u64,
    /// int: Nanoseconds until the bucket refreshes; 0 when it is full.
    #[pyo3(get)]
    refresh_after_ns: u64,
}

#[pymethods]
impl BucketSnapshot {
    /// float: Seconds until the bucket refreshes (windows: their end; gcra: full again).
    #[getter]
    fn refresh_after(&self) -> f64 {
        as_seconds(std::time::Duration::from_nanos(self.refresh_after_ns))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "BucketSnapshot(limit={}, name={}, method='{}', quota={}, capacity={}, used={}, \
             remaining={}, refresh_after={:?})",
            self.limit.as_str().into_pyobject(py)?.repr()?,
            self.name.as_str().into_pyobject(py)?.repr()?,
            self.method,
            self.quota,
            self.capacity,
            self.used,
            self.remaining,
            self.refresh_after(),
        ))
    }
}

impl From<tidegate::BucketSnapshot> for BucketSnapshot {
    fn from(bucket: tidegate::BucketSnapshot) -> BucketSnapshot {
        BucketSnapshot {
            limit: bucket.limit,
            name: bucket.name,
            method: bucket.method.as_str(),
            quota: bucket.quota,
            capacity: bucket.capacity,
            used: bucket.used,
            remaining: bucket.remaining,
            refresh_after_ns: saturated(bucket.refresh_after),
        }
    }
}

fn saturated(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Every bucket of a key, in the order of the policy.
#[pyclass(frozen, eq, hash, module = "tidegate._native")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Snapshot {
    buckets: Vec<BucketSnapshot>,
    /// int: Nanoseconds that the key stays blocked; 0 when it is not.
    #[pyo3(get)]
    blocked_for_ns: u64,
}

#[pymethods]
impl Snapshot {
    /// tuple of BucketSnapshot: The buckets.
    #[getter]
    fn buckets<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, pyo3::types::PyTuple>> {
        pyo3::types::PyTuple::new(py, self.buckets.iter().cloned())
    }

    /// float: Seconds that the key stays blocked by `block`; 0.0 when it is not.
    #[getter]
    fn blocked_for(&self) -> f64 {
        as_seconds(std::time::Duration::from_nanos(self.blocked_for_ns))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let buckets = self.buckets(py)?;
        Ok(format!("Snapshot(buckets={}, blocked_for={:?})", buckets.repr()?, self.blocked_for()))
    }
}

impl From<tidegate::Snapshot> for Snapshot {
    fn from(snapshot: tidegate::Snapshot) -> Snapshot {
        Snapshot {
            buckets: snapshot.buckets.into_iter().map(BucketSnapshot::from).collect(),
            blocked_for_ns: saturated(snapshot.blocked_for),
        }
    }
}

/// Counters of a limiter since its creation.
#[pyclass(frozen, eq, hash, get_all, module = "tidegate._native")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Stats {
    /// int: Keys remembered now.
    keys: u64,
    /// int: Most keys that can be remembered (`max_keys`).
    capacity: u64,
    /// int: Requests allowed.
    allowed: u64,
    /// int: Requests denied by a limit.
    limited: u64,
    /// int: Requests denied because their key was blocked.
    blocked: u64,
    /// int: Requests allowed without being counted.
    bypassed: u64,
    /// int: Requests whose cost no limit can ever hold.
    impossible: u64,
    /// int: Keys in use whose place was taken by others (`on_full="inherit"`).
    evictions: u64,
    /// int: Requests of new keys that found the store full (`on_full` `"deny"` or `"allow"`).
    saturated: u64,
}

#[pymethods]
impl Stats {
    fn __repr__(&self) -> String {
        format!(
            "Stats(keys={}, capacity={}, allowed={}, limited={}, blocked={}, bypassed={}, \
             impossible={}, evictions={}, saturated={})",
            self.keys,
            self.capacity,
            self.allowed,
            self.limited,
            self.blocked,
            self.bypassed,
            self.impossible,
            self.evictions,
            self.saturated,
        )
    }
}

impl From<tidegate::Stats> for Stats {
    fn from(stats: tidegate::Stats) -> Stats {
        Stats {
            keys: stats.keys,
            capacity: stats.capacity,
            allowed: stats.allowed,
            limited: stats.limited,
            blocked: stats.blocked,
            bypassed: stats.bypassed,
            impossible: stats.impossible,
            evictions: stats.evictions,
            saturated: stats.saturated,
        }
    }
}
