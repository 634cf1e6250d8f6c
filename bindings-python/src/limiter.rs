//! The limiter: every call of the engine, one method each. `python/tidegate/_limiter.py` adds
//! what reads better in Python: reading policies, `measure` and `wait_async`.

use std::path::PathBuf;
use std::time::Duration;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;
use pyo3::{PyTraverseError, PyVisit};
use tidegate::Timestamp;

use crate::alerts::Listener;
use crate::clock::ManualClock;
use crate::convert::{self, at_most_one_of, one_of, wrong_type};
use crate::decision::Decision;
use crate::error::raise;
use crate::policy::read;
use crate::request::{Admission, Reservation};
use crate::snapshot::{Snapshot, Stats};
use crate::subject::{self, Batch, Subject, Subjects, Value, of};
use crate::usage::UsageReport;
use crate::wait::{self, Ticket};
use crate::watch::{self, Watch};

/// The native part of `tidegate.Limiter`.
#[pyclass(frozen, subclass, weakref, module = "tidegate._native")]
pub(crate) struct Limiter {
    engine: tidegate::Limiter,
    listener: Listener,
}

impl Limiter {
    /// For whoever asks the engine by itself: a pacer.
    pub(crate) fn engine(&self) -> &tidegate::Limiter {
        &self.engine
    }
}

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
        let engine = builder.build().map_err(raise)?;
        Ok(Limiter { engine, listener: Listener::default() })
    }

    /// str: The name given to the limiter, for logs.
    #[getter]
    fn name(&self) -> &str {
        self.engine.name()
    }

    /// Decide now; never waits.
    ///
    /// All limits pass and are charged, or one denies and nothing changes.
    ///
    /// Parameters
    /// ----------
    /// key : str, bytes or mapping
    ///     Who is limited; a string is its UTF-8. A mapping is a request with attributes: `key`,
    ///     `account`, `ip`, `user`, `route`, `plan`, or any other that the policy names, each a
    ///     str or bytes, an `ip` also an address of `ipaddress`.
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
    ///     When `cost` or `now_ns` is out of range, a string has lone surrogates, or a request
    ///     lacks an attribute that the policy insists on or has a wrong one; `field` names it.
    /// TypeError
    ///     When `key` or an attribute has the wrong type.
    ///
    /// Examples
    /// --------
    /// >>> limiter = tidegate.Limiter({"limit": [{"rate": "1/hour", "by": ["ip"]}]})
    /// >>> request = {"ip": "203.0.113.9", "route": "GET /status"}
    /// >>> bool(limiter.acquire(request)), bool(limiter.acquire(request))
    /// (True, False)
    #[pyo3(signature = (key, cost=1, *, now_ns=None))]
    fn acquire(
        &self,
        key: Subject<'_, '_>,
        #[pyo3(from_py_with = convert::cost)] cost: u64,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<Decision> {
        of!(key, at!(now_ns, self.engine, acquire / acquire_at(key, cost)))
            .map(Decision::from)
            .map_err(raise)
    }

    /// As `acquire` of each key in order, all at one moment: many keys in one call.
    ///
    /// Not all or nothing: each key has its own decision. A key that occurs twice is decided
    /// twice. All keys are looked at before the first is decided, so that a wrong one is refused
    /// before anything is charged; a request that the policy refuses is found when it is its turn.
    ///
    /// Parameters
    /// ----------
    /// keys : iterable of str, bytes or mapping
    ///     Who is limited, each as for `acquire`. One key alone is for `acquire`.
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
    ///     As `acquire`; of a string with lone surrogates, `field` is `keys[3]` or `keys[3].ip`.
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
        #[pyo3(from_py_with = subject::keys)] keys: Batch<'_>,
        #[pyo3(from_py_with = convert::cost)] cost: u64,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<Vec<Decision>> {
        let decisions = match keys.read()? {
            Subjects::Keys(keys) => {
                at!(now_ns, self.engine, acquire_many / acquire_many_at(keys, cost))
            }
            Subjects::Mixed(subjects) => {
                let requests = subject::requests(&subjects)?;
                at!(now_ns, self.engine, acquire_many / acquire_many_at(requests, cost))
            }
        };
        Ok(decisions.map_err(raise)?.into_iter().map(Decision::from).collect())
    }

    /// As `acquire`, only yes or no: the fastest call.
    ///
    /// Parameters, errors: as `acquire`; but a request that the policy refuses is a no.
    ///
    /// Returns
    /// -------
    /// bool
    #[pyo3(signature = (key, cost=1, *, now_ns=None))]
    fn try_acquire(
        &self,
        key: Subject<'_, '_>,
        #[pyo3(from_py_with = convert::cost)] cost: u64,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<bool> {
        Ok(of!(key, at!(now_ns, self.engine, try_acquire / try_acquire_at(key, cost))))
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
        key: Subject<'_, '_>,
        #[pyo3(from_py_with = convert::cost)] cost: u64,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<Decision> {
        of!(key, at!(now_ns, self.engine, peek / peek_at(key, cost)))
            .map(Decision::from)
            .map_err(raise)
    }

    /// Charge time spent to every latency limit, even beyond its budget.
    ///
    /// Parameters
    /// ----------
    /// key : str, bytes or mapping
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
        key: Subject<'_, '_>,
        #[pyo3(from_py_with = convert::duration)] duration: Option<Duration>,
        #[pyo3(from_py_with = convert::duration_ns)] duration_ns: Option<Duration>,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<()> {
        let latency = one_of("duration", duration, duration_ns)?;
        of!(key, at!(now_ns, self.engine, record_latency / record_latency_at(key, latency)))
            .map_err(raise)
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
        key: Subject<'_, '_>,
        #[pyo3(from_py_with = convert::cost)] cost: u64,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<Reservation> {
        of!(key, at!(now_ns, self.engine, reserve / reserve_at(key, cost)))
            .map(Reservation::new)
            .map_err(raise)
    }

    /// Give units back to every count limit, never above its capacity.
    ///
    /// Parameters
    /// ----------
    /// key : str, bytes or mapping
    ///     Who gets them.
    /// cost : int
    ///     Units, 0 to 2**64 - 1.
    #[pyo3(signature = (key, cost, *, now_ns=None))]
    fn refund(
        &self,
        key: Subject<'_, '_>,
        #[pyo3(from_py_with = convert::cost)] cost: u64,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<()> {
        of!(key, at!(now_ns, self.engine, refund / refund_at(key, cost))).map_err(raise)
    }

    /// Give back one permit of every concurrency limit.
    #[pyo3(signature = (key, *, now_ns=None))]
    fn release(
        &self,
        key: Subject<'_, '_>,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<()> {
        of!(key, at!(now_ns, self.engine, release / release_at(key))).map_err(raise)
    }

    /// Begin the time of the oldest permit of every concurrency limit anew (`max_hold` in the
    /// policy), for work that lasts long.
    ///
    /// Returns
    /// -------
    /// bool
    ///     False when no permit is out any more.
    #[pyo3(signature = (key, *, now_ns=None))]
    fn renew(
        &self,
        key: Subject<'_, '_>,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<bool> {
        of!(key, at!(now_ns, self.engine, renew / renew_at(key))).map_err(raise)
    }

    /// Fill every count and latency bucket of the key and lift a block; permits stay out. Of a
    /// request: all buckets and blocks of its attributes.
    #[pyo3(signature = (key, *, now_ns=None))]
    fn reset(
        &self,
        key: Subject<'_, '_>,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<()> {
        of!(key, at!(now_ns, self.engine, reset / reset_at(key))).map_err(raise)
    }

    /// Deny every request of the key, or with one attribute, for a while.
    ///
    /// Parameters
    /// ----------
    /// key : str, bytes or mapping
    ///     Who is blocked; a mapping has one attribute, such as an `ip`: of an IPv6 address its
    ///     network, by the policy's `ipv6_prefix`.
    /// duration : float, int or timedelta
    ///     Seconds from now; 0 lifts the block.
    /// duration_ns : int
    ///     The same in nanoseconds, instead of `duration`.
    #[pyo3(signature = (key, duration=None, *, duration_ns=None, now_ns=None))]
    fn block(
        &self,
        key: Subject<'_, '_>,
        #[pyo3(from_py_with = convert::duration)] duration: Option<Duration>,
        #[pyo3(from_py_with = convert::duration_ns)] duration_ns: Option<Duration>,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<()> {
        let span = one_of("duration", duration, duration_ns)?;
        of!(key, at!(now_ns, self.engine, block / block_at(key, span))).map_err(raise)
    }

    /// Charge units to every count limit, even beyond what is left.
    ///
    /// Parameters
    /// ----------
    /// key : str, bytes or mapping
    ///     Who pays.
    /// units : int
    ///     Units, 0 to 2**64 - 1.
    #[pyo3(signature = (key, units, *, now_ns=None))]
    fn penalize(
        &self,
        key: Subject<'_, '_>,
        #[pyo3(from_py_with = convert::units)] units: u64,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<()> {
        of!(key, at!(now_ns, self.engine, penalize / penalize_at(key, units))).map_err(raise)
    }

    /// Every bucket of the key, in the order of the policy; of a request those of all limits that
    /// count by attributes it has.
    #[pyo3(signature = (key, *, now_ns=None))]
    fn snapshot(
        &self,
        key: Subject<'_, '_>,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<Snapshot> {
        of!(key, at!(now_ns, self.engine, snapshot / snapshot_at(key)))
            .map(Snapshot::from)
            .map_err(raise)
    }

    /// Give a plan to a customer: for good, or for a while.
    ///
    /// It goes before the plan that requests name, and keeps what was used. When its time ends,
    /// what was assigned for good holds again, or nothing.
    ///
    /// Parameters
    /// ----------
    /// value : str or bytes
    ///     Whose plan it is: a value of the attribute `plan_by` of the policy (default: `key`).
    /// plan : str
    ///     The name of a plan of the policy.
    /// duration : float, int or timedelta, optional
    ///     Seconds from now; None is for good.
    /// duration_ns : int, optional
    ///     The same in nanoseconds, instead of `duration`.
    /// now_ns : int, optional
    ///     The time of the call, in nanoseconds since the Unix epoch, instead of the clock's.
    ///
    /// Raises
    /// ------
    /// ArgumentError
    ///     When the policy has no such plan, or the duration is negative or not finite.
    #[pyo3(signature = (value, plan, duration=None, *, duration_ns=None, now_ns=None))]
    fn assign(
        &self,
        value: Value<'_>,
        #[pyo3(from_py_with = convert::plan)] plan: String,
        #[pyo3(from_py_with = convert::duration)] duration: Option<Duration>,
        #[pyo3(from_py_with = convert::duration_ns)] duration_ns: Option<Duration>,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<()> {
        let duration = at_most_one_of("duration", duration, duration_ns)?;
        at!(now_ns, self.engine, assign / assign_at(value.0, &plan, duration)).map_err(raise)
    }

    /// Take back the plans assigned to a customer, for good and for a while.
    ///
    /// Parameters
    /// ----------
    /// value : str or bytes
    ///     As for `assign`; one without a plan is no error.
    fn unassign(&self, value: Value<'_>) {
        self.engine.unassign(value.0);
    }

    /// The name of the plan that holds for a request now.
    ///
    /// Parameters
    /// ----------
    /// request : str, bytes or mapping
    ///     As `key` of `acquire`.
    /// now_ns : int, optional
    ///     As for `acquire`.
    ///
    /// Returns
    /// -------
    /// str or None
    ///     None where the policy has no plans, or the request meets none.
    #[pyo3(signature = (request, *, now_ns=None))]
    fn plan_of(
        &self,
        request: Subject<'_, '_>,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<Option<&'static str>> {
        Ok(of!(request, at!(now_ns, self.engine, plan_of / plan_of_at(request))))
    }

    /// What a customer used, by kind of call, where the policy has `[usage]`.
    ///
    /// Parameters
    /// ----------
    /// request : str, bytes or mapping
    ///     Whose use it is: the attribute `plan_by` of the policy (default: `key`). The others
    ///     say which limit the report looks at.
    /// window : float, int or timedelta, optional
    ///     Seconds up to now; at most, and when left out, the window of `[usage]`.
    /// window_ns : int, optional
    ///     The same in nanoseconds, instead of `window`.
    /// now_ns : int, optional
    ///     The time of the call, in nanoseconds since the Unix epoch, instead of the clock's.
    ///
    /// Returns
    /// -------
    /// UsageReport
    ///
    /// Raises
    /// ------
    /// ArgumentError
    ///     When the policy has no `[usage]`, or the request not the attribute it is kept by.
    #[pyo3(signature = (request, window=None, *, window_ns=None, now_ns=None))]
    fn usage(
        &self,
        request: Subject<'_, '_>,
        #[pyo3(from_py_with = convert::window)] window: Option<Duration>,
        #[pyo3(from_py_with = convert::window_ns)] window_ns: Option<Duration>,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<UsageReport> {
        let window = at_most_one_of("window", window, window_ns)?;
        of!(request, at!(now_ns, self.engine, usage / usage_at(request, window)))
            .map(UsageReport::from)
            .map_err(raise)
    }

    /// Have a function called whenever use passes one of a limit's thresholds (`alerts` in the
    /// policy).
    ///
    /// It is called with an `Alert`, in the thread whose call passed the threshold, after the
    /// decision was made, and may call the limiter. What it raises goes to `sys.unraisablehook`.
    ///
    /// Parameters
    /// ----------
    /// listener : callable or None
    ///     Takes the place of the one before; None: nobody is told.
    ///
    /// Examples
    /// --------
    /// >>> limiter = tidegate.Limiter({"limit": [{"rate": "10/day", "alerts": [0.8]}]})
    /// >>> limiter.on_alert(lambda alert: print(alert.threshold, alert.used, alert.request))
    /// >>> decisions = [limiter.acquire("user:42") for _ in range(10)]
    /// 0.8 8 {'key': 'user:42'}
    fn on_alert(&self, listener: &Bound<'_, PyAny>) -> PyResult<()> {
        if !listener.is_none() && !listener.is_callable() {
            return Err(wrong_type("listener", "a callable or None", listener));
        }
        let callable = (!listener.is_none()).then(|| listener.clone().unbind());
        self.listener.set(&self.engine, callable);
        Ok(())
    }

    /// Counters since the creation of the limiter.
    fn stats(&self) -> Stats {
        self.engine.stats().into()
    }

    /// Block this thread until admitted, first come first served among the waiters of a key.
    ///
    /// Other threads of Python run meanwhile, and Ctrl-C ends the wait and takes nothing. In
    /// a coroutine use `wait_async`.
    ///
    /// Parameters
    /// ----------
    /// key : str, bytes or mapping
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
        key: Subject<'_, '_>,
        #[pyo3(from_py_with = convert::cost)] cost: u64,
        #[pyo3(from_py_with = convert::timeout)] timeout: Option<Duration>,
    ) -> PyResult<Decision> {
        wait::block(py, of!(key, self.engine.queue(key, cost, timeout)))
    }

    /// A place in the queue of the key; `notify` is called from any thread.
    fn _queue(
        &self,
        key: Subject<'_, '_>,
        #[pyo3(from_py_with = convert::cost)] cost: u64,
        #[pyo3(from_py_with = convert::timeout)] timeout: Option<Duration>,
        notify: Py<PyAny>,
    ) -> PyResult<Ticket> {
        Ok(Ticket::new(of!(key, self.engine.queue(key, cost, timeout)), notify))
    }

    /// Acquire, and remember when.
    fn _admit(
        &self,
        key: Subject<'_, '_>,
        #[pyo3(from_py_with = convert::cost)] cost: u64,
    ) -> PyResult<Admission> {
        of!(key, self.engine.admit(key, cost)).map(Admission::new).map_err(raise)
    }

    /// By what the client of an address is known; text that is no address as it is.
    fn _client_at(&self, ip: String) -> String {
        self.engine.client_at(&ip).unwrap_or(ip)
    }

    /// Change the limits.
    fn _update(
        &self,
        policy: &Bound<'_, PyAny>,
        form: &str,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<()> {
        let policy = read(policy, form)?;
        at!(now_ns, self.engine, update / update_at(policy)).map_err(raise)
    }

    /// Put the policy of a file in force, and follow the file.
    fn _watch(&self, py: Python<'_>, path: PathBuf, on_event: Py<PyAny>) -> PyResult<Watch> {
        watch::watch(py, &self.engine, path, on_event)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.listener.traverse(&visit)
    }

    fn __clear__(&self) {
        self.listener.clear();
    }
}

/// Refuse a bad key or cost now, for requests that are made later. Returns the key, of a mapping
/// a copy.
#[pyfunction]
#[pyo3(name = "_check_request")]
pub(crate) fn check_request<'py>(
    key: &Bound<'py, PyAny>,
    #[pyo3(from_py_with = convert::cost)] cost: u64,
) -> PyResult<Bound<'py, PyAny>> {
    let _ = cost;
    match key.extract::<Subject<'_, 'py>>()? {
        Subject::Key(_) => Ok(key.clone()),
        Subject::Request(attributes) => {
            attributes.request()?;
            attributes.to_dict(key.py()).map(Bound::into_any)
        }
    }
}
