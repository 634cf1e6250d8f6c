//! The client side: a pacer around any Python callable. What a call may do, and what its answer means, the engine says;
//! here threads park, and Python is called.
//!
//! `outcome`: what the engine is told of a result or an exception. `call`: one call, for asyncio. `options`: what a
//! pacer is made of. `told`: limits, events and statistics as Python sees them. `errors`: how it gives up.

mod call;
mod errors;
mod options;
mod outcome;
mod stop;
mod told;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use parking_lot::Mutex;
use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, PyVisit};
use tidegate::client::{self, Step};

pub(crate) use call::PacerCall;
use options::OwnOptions;
use outcome::{Attempt, Next};
pub(crate) use stop::Stop;
pub(crate) use told::{PacerEvent, PacerStats, ServerLimits, ServerQuota, read_headers};

use crate::limiter::Limiter;
use crate::wait::{Parker, longest_sleep};

/// The native part of `tidegate.Pacer`: one that is shared, and the options of the calls made by this handle.
#[pyclass(frozen, subclass, weakref, module = "tidegate._native")]
pub(crate) struct Pacer {
    shared: Py<Shared>,
    options: OwnOptions,
}

/// What the handles of one pacer share. A Python object of its own, so that the garbage collector sees who has it.
#[pyclass(frozen, name = "_PacerShared", module = "tidegate._native")]
pub(crate) struct Shared {
    engine: client::Pacer,
    /// The limiter that was given: the garbage collector finds what it refers to.
    limiter: Mutex<Option<Py<Limiter>>>,
    hooks: Hooks,
}

/// What the user has called back.
#[derive(Default)]
struct Hooks {
    classify: Mutex<Option<Py<PyAny>>>,
    on_event: Mutex<Option<Py<PyAny>>>,
    /// Is there such a function? Looked at in every call, before any lock.
    classifies: AtomicBool,
    listens: AtomicBool,
}

#[pymethods]
impl Pacer {
    /// `source`: a pacer to share, or `None`: a new one is made of `settings`.
    #[new]
    fn new(
        py: Python<'_>,
        source: Option<&Bound<'_, Pacer>>,
        settings: &Bound<'_, PyDict>,
        call: &Bound<'_, PyDict>,
    ) -> PyResult<Pacer> {
        match source {
            Some(source) => {
                let source = source.get();
                let options = source.options.with(call)?;
                Ok(Pacer { shared: source.shared.clone_ref(py), options })
            }
            None => {
                let (engine, limiter) = options::build(settings)?;
                let shared =
                    Shared { engine, limiter: Mutex::new(limiter), hooks: Hooks::default() };
                let options = OwnOptions::default().with(call)?;
                Ok(Pacer { shared: Py::new(py, shared)?, options })
            }
        }
    }

    /// Whom to ask what an answer means, and whom to tell what happens.
    fn _hook(&self, classify: Option<Py<PyAny>>, on_event: Option<Py<PyAny>>) {
        let hooks = &self.shared().hooks;
        // Before anybody else has the pacer; Python hands it over.
        hooks.classifies.store(classify.is_some(), Ordering::Relaxed);
        hooks.listens.store(on_event.is_some(), Ordering::Relaxed);
        if on_event.is_some() {
            self.shared().engine.keep_events(options::EVENTS);
        }
        replace(&hooks.classify, classify);
        replace(&hooks.on_event, on_event);
    }

    /// Call a function when its turn comes, again while the server refuses it; blocks meanwhile.
    ///
    /// What the function returns or raises is handed on unchanged, unless it says that the server
    /// limits us (status 429, or 503 with a delay), or `classify` says so. While it waits the GIL
    /// is released, and the place under `concurrency` is free.
    ///
    /// Parameters
    /// ----------
    /// function : callable
    ///     Makes one attempt.
    /// *args, **kwargs
    ///     All go to the function. For a label, a cost, ... see `with_options`.
    ///
    /// Returns
    /// -------
    /// object
    ///     What the function returned.
    ///
    /// Raises
    /// ------
    /// RetriesExhausted
    ///     When the server refused every attempt.
    /// RetryAfterTooLong
    ///     When the server asks for a wait longer than `max_retry_after`.
    /// DeadlineExceeded
    ///     When the deadline has passed, or would before the next attempt.
    /// BreakerOpen
    ///     When nothing is sent any more, after failures that no retry fixes.
    /// PacerClosed
    ///     When the pacer is closed.
    /// ArgumentError
    ///     When the cost can never fit the limits.
    ///
    /// Examples
    /// --------
    /// >>> pacer = tidegate.Pacer("100/minute", concurrency=4)
    /// >>> pacer.call(max, 3, 4)
    /// 4
    #[pyo3(signature = (function, /, *args, **kwargs))]
    fn call<'py>(
        &self,
        function: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.run(None, function, args, kwargs)
    }

    /// As `call`; while it waits, `stop` ends it with `Stopped`.
    #[pyo3(signature = (stop, function, /, *args, **kwargs))]
    fn _call_until<'py>(
        &self,
        stop: &Bound<'py, Stop>,
        function: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.run(Some(stop.get()), function, args, kwargs)
    }

    /// A call whose turns are awaited elsewhere.
    fn _begin(&self, py: Python<'_>) -> PacerCall {
        let call = self.begin();
        self.shared().tell(py);
        PacerCall::new(self.shared.clone_ref(py), call)
    }

    /// Tell the pacer of an answer that is not of one of its calls.
    ///
    /// Parameters
    /// ----------
    /// response : response, exception, mapping or iterable of pairs
    ///     An object with `headers`, an exception that carries one, or the headers themselves.
    ///
    /// Raises
    /// ------
    /// TypeError
    ///     When it is none of these.
    fn observe(&self, response: &Bound<'_, PyAny>) -> PyResult<()> {
        let limits = outcome::observed(response, &self.shared().engine)?;
        self.shared().engine.observe(&limits);
        self.shared().tell(response.py());
        Ok(())
    }

    /// What has happened since the pacer was made.
    ///
    /// Returns
    /// -------
    /// PacerStats
    ///     Counts of calls, attempts, retries and waits; a copy.
    fn stats(&self) -> PacerStats {
        self.shared().engine.stats().into()
    }

    /// End a pause and close the breaker, when whoever operates it knows better.
    fn reset(&self, py: Python<'_>) {
        self.shared().engine.reset();
        self.shared().tell(py);
    }

    /// Let nothing go any more: who waits, and each new call, gets `PacerClosed`.
    ///
    /// Calls under way may finish. Again: does nothing.
    fn close(&self) {
        self.shared().engine.close();
    }

    /// Limiter or None: The limiter that was given.
    #[getter]
    fn limiter(&self, py: Python<'_>) -> Option<Py<Limiter>> {
        self.shared().limiter.lock().as_ref().map(|limiter| limiter.clone_ref(py))
    }

    /// int: Most calls under way at once.
    #[getter]
    fn concurrency(&self) -> u32 {
        self.shared().engine.concurrency()
    }

    /// str: The label of calls made by this handle; may be empty.
    #[getter]
    fn label(&self) -> &str {
        &self.options.label
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.shared)
    }
}

impl Pacer {
    fn shared(&self) -> &Shared {
        self.shared.get()
    }

    #[inline]
    fn begin(&self) -> client::Call {
        self.shared().engine.begin(self.options.as_call())
    }

    fn run<'py>(
        &self,
        stop: Option<&Stop>,
        function: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = function.py();
        let mut call = self.begin();
        loop {
            self.shared().until_go(py, &mut call, stop)?;
            let result = function.call(args, kwargs);
            let attempt = match &result {
                Ok(result) => Attempt::Returned(result),
                // What ends a program is no answer: the call is dropped, and its place is free.
                Err(error) if !error.is_instance_of::<PyException>(py) => return result,
                Err(error) => Attempt::Raised(error),
            };
            match self.shared().settle(py, &mut call, &attempt)? {
                Next::Done => {
                    if let Attempt::Returned(result) = attempt {
                        refuse_coroutine(result)?;
                    }
                    return result;
                }
                Next::Again(response) => {
                    outcome::warn_of_retries(function)?;
                    outcome::close(response);
                }
            }
        }
    }
}

/// A coroutine that nobody awaits is a slip.
#[inline]
fn refuse_coroutine(result: &Bound<'_, PyAny>) -> PyResult<()> {
    if !outcome::is_coroutine(result)? {
        return Ok(());
    }
    result.call_method0("close")?;
    Err(PyTypeError::new_err("function: it returned a coroutine; use call_async, and await it"))
}

impl Shared {
    /// Blocks this thread until the call may go. The GIL is released while it sleeps.
    fn until_go(
        &self,
        py: Python<'_>,
        call: &mut client::Call,
        stop: Option<&Stop>,
    ) -> PyResult<()> {
        if call.is_settled() {
            let step = call.check();
            self.tell(py);
            return match step {
                Step::Fail(error) => Err(errors::raise(py, error, call, None)),
                _ => Ok(()),
            };
        }
        self.tell(py);
        let parker = Arc::new(Parker::default());
        let waker = Waker::from(Arc::clone(&parker));
        let _listening = stop.map(|stop| stop.listen(&parker));
        let longest = longest_sleep(py)?;
        loop {
            if stop.is_some_and(Stop::is_set) {
                return Err(errors::Stopped::new_err("the map is stopped"));
            }
            let step = call.poll(&waker);
            self.tell(py);
            let pause = match step {
                Step::Go => return Ok(()),
                Step::Fail(error) => return Err(errors::raise(py, error, call, None)),
                Step::Wait(pause) => [pause, longest].into_iter().flatten().min(),
            };
            py.detach(|| parker.park(pause));
            // An exception of a signal handler drops the call, and with it its place.
            py.check_signals()?;
        }
    }

    /// Tells the listener what happened. What it raises has nowhere to go.
    #[inline]
    fn tell(&self, py: Python<'_>) {
        if self.hooks.listens.load(Ordering::Relaxed) {
            self.tell_all(py);
        }
    }

    #[cold]
    fn tell_all(&self, py: Python<'_>) {
        let Some(callable) = cloned(py, &self.hooks.on_event) else { return };
        for event in self.engine.events() {
            let told = Bound::new(py, PacerEvent::from(event));
            if let Err(error) = told.and_then(|event| callable.call1(py, (event,))) {
                error.write_unraisable(py, Some(callable.bind(py)));
            }
        }
    }
}

#[pymethods]
impl Shared {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Whoever holds a lock keeps what is under it alive.
        self.limiter.try_lock().map_or(Ok(()), |held| visit.call(&*held))?;
        self.hooks.classify.try_lock().map_or(Ok(()), |held| visit.call(&*held))?;
        self.hooks.on_event.try_lock().map_or(Ok(()), |held| visit.call(&*held))
    }

    fn __clear__(&self) {
        replace(&self.limiter, None);
        replace(&self.hooks.classify, None);
        replace(&self.hooks.on_event, None);
    }
}

/// What was there goes when the lock is gone: that may run Python.
fn replace<T>(place: &Mutex<Option<T>>, new: Option<T>) {
    let before = std::mem::replace(&mut *place.lock(), new);
    drop(before);
}

fn cloned(py: Python<'_>, place: &Mutex<Option<Py<PyAny>>>) -> Option<Py<PyAny>> {
    place.lock().as_ref().map(|callable| callable.clone_ref(py))
}
