//! Waiting: a thread that parks without the GIL, and a ticket for asyncio that needs no thread.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use tidegate::Turn;

use crate::convert::as_seconds;
use crate::decision::Decision;
use crate::error::{Error, raise};

/// How often the main thread looks for signals while it waits, so that Ctrl-C works.
const SIGNAL_CHECK: Duration = Duration::from_millis(50);

/// Blocks this thread until the ticket is decided. The GIL is released while it sleeps.
pub(crate) fn block(py: Python<'_>, mut ticket: tidegate::Ticket) -> PyResult<Decision> {
    let parker = Arc::new(Parker::default());
    let waker = Waker::from(Arc::clone(&parker));
    let mut longest = None;
    loop {
        let pause = match ticket.poll(&waker).map_err(raise)? {
            Turn::Done(decision) => return Ok(decision.into()),
            Turn::Wait(pause) => pause,
        };
        let longest = match longest {
            Some(longest) => longest,
            None => *longest.insert(longest_sleep(py)?),
        };
        let pause = [pause, longest].into_iter().flatten().min();
        py.detach(|| parker.park(pause));
        // An exception of a signal handler drops the ticket, and a dropped ticket takes nothing.
        py.check_signals()?;
    }
}

/// Only the main thread of Python handles signals; the others may sleep as long as they like.
pub(crate) fn longest_sleep(py: Python<'_>) -> PyResult<Option<Duration>> {
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?.getattr("ident")?;
    let is_main = threading.call_method0("get_ident")?.eq(main)?;
    Ok(is_main.then_some(SIGNAL_CHECK))
}

/// A sleeping thread. The flag keeps a wake-up that comes before the sleep.
#[derive(Default)]
pub(crate) struct Parker {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Parker {
    /// Returns when woken, after `pause`, or for no reason at all.
    pub(crate) fn park(&self, pause: Option<Duration>) {
        let mut woken = self.woken.lock();
        if !*woken {
            match pause {
                Some(pause) => drop(self.changed.wait_for(&mut woken, pause)),
                None => self.changed.wait(&mut woken),
            }
        }
        *woken = false;
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        *self.woken.lock() = true;
        self.changed.notify_one();
    }
}

/// A place in the queue of a key, for `Limiter.wait_async`.
#[pyclass(frozen, module = "tidegate._native")]
pub(crate) struct Ticket {
    open: Mutex<Option<tidegate::Ticket>>,
    waker: Waker,
}

impl Ticket {
    pub(crate) fn new(ticket: tidegate::Ticket, notify: Py<PyAny>) -> Ticket {
        Ticket { open: Mutex::new(Some(ticket)), waker: Waker::from(Arc::new(Notify(notify))) }
    }
}

#[pymethods]
impl Ticket {
    /// Ask whether it is this waiter's turn.
    ///
    /// Returns
    /// -------
    /// Decision, float or None
    ///     The decision; or ask again when notified, and after this many seconds at the latest
    ///     (None: only when notified).
    fn poll<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        // Taken out while it is asked: waking others runs Python, which must not find it locked.
        let Some(mut ticket) = self.open.lock().take() else {
            return Err(Error::new_err("ticket: closed already"));
        };
        let turn = ticket.poll(&self.waker).map_err(raise)?;
        match turn {
            Turn::Done(decision) => Decision::from(decision).into_bound_py_any(py),
            Turn::Wait(pause) => {
                *self.open.lock() = Some(ticket);
                pause.map(as_seconds).into_bound_py_any(py)
            }
        }
    }

    /// Give the place up; takes nothing.
    fn close(&self) {
        let ticket = self.open.lock().take();
        drop(ticket);
    }
}

/// Calls a Python function from whatever thread the wake-up comes.
pub(crate) struct Notify(pub(crate) Py<PyAny>);

impl Wake for Notify {
    fn wake(self: Arc<Self>) {
        Python::try_attach(|py| {
            // The one failure is a loop that has been closed: nobody waits there any more.
            let _ = self.0.call0(py);
        });
    }
}
