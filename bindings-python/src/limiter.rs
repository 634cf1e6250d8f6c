//! The limiter: every call of the engine, one method each. `python/tidegate/_limiter.py` adds
//! what reads better in Python: reading policies, `measure` and `wait_async`.

use std::path::PathBuf;
use std::time::Duration;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;
use tidegate::{Policy, Timestamp};

use crate::clock::ManualClock;
use crate::convert::{self, Key, Keys, one_of};
use crate::decision::Decision;
use crate::error::{PolicyError, raise, raise_of_file};
use crate::request::{Admission, Reservation};
use crate::snapshot::{Snapshot, Stats};
use crate::wait::{self, Ticket};

/// The native part of `tidegate.Limiter`.
#[pyclass(frozen, subclass, weakref, module = "tidegate._native")]
pub(crate) struct Limiter(tidegate::Limiter);

/// Calls the form with an explicit time when one is given.
macro_rules! at {
    ($now:expr, $limiter:expr, $call:ident / $call_at:ident ($($argument:expr),*)) => {
        match $now {
            None => $limiter.$call($($argument),*),
            Some(now) => $limiter.$call_at($($argument,)* now),
        }
    };
}

#[pymethods]
impl Limiter {
    #[new]
    fn new(
        policy: &Bound<'_, PyAny>,
        form: &str,
        clock: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = convert::max_keys)] max_keys: u64,
        on_full: &str,
        store: &str,
        name: &str,
    ) -> PyResult<Limiter> {
        let builder = tidegate::Limiter::builder(read(policy, form)?)
            .max_keys(max_keys)
            .on_full_named(on_full)
            .store(store)
            .name(name);
        let builder = if let Ok(manual) = clock.cast::<ManualClock>() {
            builder.clock(manual.get().0.clone())
        } else if let Ok(named) = clock.cast::<PyString>() {
            builder.clock_named(&named.to_cow()?)
        } else {
            let found = clock.get_type().name()?;
            let problem = format!(
                "clock: expected None, 'counter', 'system', 'coarse' or a ManualClock, got {found}"
            );
            return Err(PyTypeError::new_err(problem));
        };
        builder.build().map(Limiter).map_err(raise)
    }

    /// str: The name given to the limiter, for logs.
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    /// Decide now; never waits.
    ///
    /// All limits pass and are charged, or one denies and nothing changes.
    ///
    /// Parameters
    /// ----------
    /// key : str or bytes
    ///     Who is limited; a string is its UTF-8.
    /// cost : int, optional
    ///     Units taken from every count limit, 0 to 2**64 - 1.
    /// now_ns : int, optional
    ///     The time of the call, in nanoseconds since the Unix epoch, instead of the clock's.
    ///
    /// Returns
    /// -------
    /// Decision
    ///     True when allowed. A denial is a value, never an exception.
    ///
    /// Raises
    /// ------
    /// ArgumentError
    ///     When `cost` or `now_ns` is out of range, or `key` has lone surrogates.
    #[pyo3(signature = (key, cost=1, *, now_ns=None))]
    fn acquire(
        &self,
        key: Key<'_>,
        #[pyo3(from_py_with = convert::cost)] cost: u64,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<Decision> {
        at!(now_ns, self.0, acquire / acquire_at(key, cost)).map(Decision::from).map_err(raise)
    }

    /// As `acquire` of each key in order, all at one moment: many keys in one call.
    ///
    /// Not all or nothing: each key has its own decision. A key that occurs twice is decided
    /// twice. All keys are looked at before the first is decided, so that a wrong one is refused
    /// before anything is charged.
    ///
    /// Parameters
    /// ----------
    /// keys : iterable of str or bytes
    ///     Who is limited; strings are their UTF-8. One key alone is for `acquire`.
    /// cost : int, optional
    ///     Units taken from every count limit of each key, 0 to 2**64 - 1.
    /// now_ns : int, optional
    ///     The time of the call, in nanoseconds since the Unix epoch, instead of the clock's.
    ///
    /// Returns
    /// -------
    /// list of Decision
    ///     One for each key, in their order.
    ///
    /// Raises
    /// ------
    /// ArgumentError
    ///     When `cost` or `now_ns` is out of range, or a key has lone surrogates (`keys[3]: ...`).
    /// TypeError
    ///     When `keys` is one key or no iterable, or an element is no key (`keys[3]: ...`).
    ///
    /// Examples
    /// --------
    /// >>> limiter = tidegate.Limiter("1/hour")
    /// >>> [bool(decision) for decision in limiter.acquire_many(["a", "b", "a"])]
    /// [True, True, False]
    #[pyo3(signature = (keys, cost=1, *, now_ns=None))]
    fn acquire_many(
        &self,
        #[pyo3(from_py_with = convert::keys)] keys: Keys<'_>,
        #[pyo3(from_py_with = convert::cost)] cost: u64,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<Vec<Decision>> {
        let keys = keys.read()?;
        let decisions = at!(now_ns, self.0, acquire_many / acquire_many_at(keys, cost));
        Ok(decisions.map_err(raise)?.into_iter().map(Decision::from).collect())
    }

    /// As `acquire`, only yes or no: the fastest call.
    ///
    /// Parameters, errors: as `acquire`.
    ///
    /// Returns
    /// -------
    /// bool
    #[pyo3(signature = (key, cost=1, *, now_ns=None))]
    fn try_acquire(
        &self,
        key: Key<'_>,
        #[pyo3(from_py_with = convert::cost)] cost: u64,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> bool {
        at!(now_ns, self.0, try_acquire / try_acquire_at(key, cost))
    }

    /// What `acquire` would say; changes nothing.
    ///
    /// Parameters, errors: as `acquire`.
    ///
    /// Returns
    /// -------
    /// Decision
    #[pyo3(signature = (key, cost=1, *, now_ns=None))]
    fn peek(
        &self,
        key: Key<'_>,
        #[pyo3(from_py_with = convert::cost)] cost: u64,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<Decision> {
        at!(now_ns, self.0, peek / peek_at(key, cost)).map(Decision::from).map_err(raise)
    }

    /// Charge time spent to every latency limit, even beyond its budget.
    ///
    /// Parameters
    /// ----------
    /// key : str or bytes
    ///     Whose time it was.
    /// duration : float, int or timedelta
    ///     Seconds spent, not negative.
    /// duration_ns : int
    ///     The same in nanoseconds, instead of `duration`.
    ///
    /// Raises
    /// ------
    /// ArgumentError
    ///     When the duration is negative, not finite or beyond 64 bits.
    #[pyo3(signature = (key, duration=None, *, duration_ns=None, now_ns=None))]
    fn record_latency(
        &self,
        key: Key<'_>,
        #[pyo3(from_py_with = convert::duration)] duration: Option<Duration>,
        #[pyo3(from_py_with = convert::duration_ns)] duration_ns: Option<Duration>,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<()> {
        let latency = one_of("duration", duration, duration_ns)?;
        at!(now_ns, self.0, record_latency / record_latency_at(key, latency)).map_err(raise)
    }

    /// Take an estimate now; settle or cancel it later.
    ///
    /// Parameters, errors: as `acquire`.
    ///
    /// Returns
    /// -------
    /// Reservation
    ///     True when admitted. In a `with` statement a denied one raises `RateLimited`.
    #[pyo3(signature = (key, cost, *, now_ns=None))]
    fn reserve(
        &self,
        key: Key<'_>,
        #[pyo3(from_py_with = convert::cost)] cost: u64,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<Reservation> {
        at!(now_ns, self.0, reserve / reserve_at(key, cost)).map(Reservation::new).map_err(raise)
    }

    /// Give units back to every count limit, never above its capacity.
    ///
    /// Parameters
    /// ----------
    /// key : str or bytes
    ///     Who gets them.
    /// cost : int
    ///     Units, 0 to 2**64 - 1.
    #[pyo3(signature = (key, cost, *, now_ns=None))]
    fn refund(
        &self,
        key: Key<'_>,
        #[pyo3(from_py_with = convert::cost)] cost: u64,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<()> {
        at!(now_ns, self.0, refund / refund_at(key, cost)).map_err(raise)
    }

    /// Give back one permit of every concurrency limit.
    #[pyo3(signature = (key, *, now_ns=None))]
    fn release(
        &self,
        key: Key<'_>,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<()> {
        at!(now_ns, self.0, release / release_at(key)).map_err(raise)
    }

    /// Fill every count and latency bucket of the key and lift a block; permits stay out.
    #[pyo3(signature = (key, *, now_ns=None))]
    fn reset(
        &self,
        key: Key<'_>,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<()> {
        at!(now_ns, self.0, reset / reset_at(key)).map_err(raise)
    }

    /// Deny every request of the key for a while.
    ///
    /// Parameters
    /// ----------
    /// key : str or bytes
    ///     Who is blocked.
    /// duration : float, int or timedelta
    ///     Seconds from now; 0 lifts the block.
    /// duration_ns : int
    ///     The same in nanoseconds, instead of `duration`.
    #[pyo3(signature = (key, duration=None, *, duration_ns=None, now_ns=None))]
    fn block(
        &self,
        key: Key<'_>,
        #[pyo3(from_py_with = convert::duration)] duration: Option<Duration>,
        #[pyo3(from_py_with = convert::duration_ns)] duration_ns: Option<Duration>,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<()> {
        let span = one_of("duration", duration, duration_ns)?;
        at!(now_ns, self.0, block / block_at(key, span)).map_err(raise)
    }

    /// Charge units to every count limit, even beyond what is left.
    ///
    /// Parameters
    /// ----------
    /// key : str or bytes
    ///     Who pays.
    /// units : int
    ///     Units, 0 to 2**64 - 1.
    #[pyo3(signature = (key, units, *, now_ns=None))]
    fn penalize(
        &self,
        key: Key<'_>,
        #[pyo3(from_py_with = convert::units)] units: u64,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<()> {
        at!(now_ns, self.0, penalize / penalize_at(key, units)).map_err(raise)
    }

    /// Every bucket of the key, in the order of the policy.
    #[pyo3(signature = (key, *, now_ns=None))]
    fn snapshot(
        &self,
        key: Key<'_>,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<Snapshot> {
        at!(now_ns, self.0, snapshot / snapshot_at(key)).map(Snapshot::from).map_err(raise)
    }

    /// Counters since the creation of the limiter.
    fn stats(&self) -> Stats {
        self.0.stats().into()
    }

    /// Block this thread until admitted, first come first served among the waiters of a key.
    ///
    /// Other threads of Python run meanwhile, and Ctrl-C ends the wait and takes nothing. In
    /// a coroutine use `wait_async`.
    ///
    /// Parameters
    /// ----------
    /// key : str or bytes
    ///     Who is limited.
    /// cost : int, optional
    ///     Units taken from every count limit, 0 to 2**64 - 1.
    /// timeout : float, int or timedelta, optional
    ///     Seconds to wait at most; None waits as long as it takes.
    ///
    /// Returns
    /// -------
    /// Decision
    ///     True when admitted. False at once when waiting cannot help or cannot succeed in
    ///     time, else after the timeout.
    ///
    /// Raises
    /// ------
    /// ArgumentError
    ///     When `cost` is out of range, or `timeout` negative or not finite.
    #[pyo3(signature = (key, cost=1, *, timeout=None))]
    fn wait(
        &self,
        py: Python<'_>,
        key: Key<'_>,
        #[pyo3(from_py_with = convert::cost)] cost: u64,
        #[pyo3(from_py_with = convert::timeout)] timeout: Option<Duration>,
    ) -> PyResult<Decision> {
        wait::block(py, self.0.queue(key, cost, timeout))
    }

    /// A place in the queue of the key; `notify` is called from any thread.
    fn _queue(
        &self,
        key: Key<'_>,
        #[pyo3(from_py_with = convert::cost)] cost: u64,
        #[pyo3(from_py_with = convert::timeout)] timeout: Option<Duration>,
        notify: Py<PyAny>,
    ) -> Ticket {
        Ticket::new(self.0.queue(key, cost, timeout), notify)
    }

    /// Acquire, and remember when.
    fn _admit(
        &self,
        key: Key<'_>,
        #[pyo3(from_py_with = convert::cost)] cost: u64,
    ) -> PyResult<Admission> {
        self.0.admit(key, cost).map(Admission::new).map_err(raise)
    }

    /// Change the limits.
    fn _update(
        &self,
        policy: &Bound<'_, PyAny>,
        form: &str,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<()> {
        let policy = read(policy, form)?;
        at!(now_ns, self.0, update / update_at(policy)).map_err(raise)
    }
}

/// A policy from the text of one (`"text"`), the JSON of a dict (`"json"`) or a path (`"file"`).
fn read(policy: &Bound<'_, PyAny>, form: &str) -> PyResult<Policy> {
    match form {
        "file" => {
            let path = policy.extract::<PathBuf>()?;
            return Policy::from_file(&path).map_err(|e| raise_of_file(policy.py(), e, &path));
        }
        // The user never saw this JSON: its lines and columns would only puzzle.
        "json" => Policy::from_json(text(policy)?).map_err(tidegate::Error::without_position),
        _ => Policy::parse(text(policy)?),
    }
    .map_err(raise)
}

fn text<'a>(policy: &'a Bound<'_, PyAny>) -> PyResult<&'a str> {
    policy.cast::<PyString>()?.to_str().map_err(|_| {
        let remedy = "decode the policy as UTF-8";
        let message = format!("policy: the text has lone surrogates; {remedy}");
        PolicyError::new_err((message, "policy", remedy))
    })
}

/// Refuse a bad key or cost now, for requests that are made later.
#[pyfunction]
#[pyo3(name = "_check_request")]
pub(crate) fn check_request(key: Key<'_>, #[pyo3(from_py_with = convert::cost)] cost: u64) {
    let _ = (key, cost);
}
