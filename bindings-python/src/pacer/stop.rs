//! A word to threads that wait for their turn: it is no longer worth it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::wait::Parker;

/// Ends the waiting of the calls made with it; those under way finish.
#[pyclass(frozen, name = "_Stop", module = "tidegate._native")]
#[derive(Default)]
pub(crate) struct Stop {
    set: AtomicBool,
    waiting: Mutex<Vec<Arc<Parker>>>,
}

#[pymethods]
impl Stop {
    #[new]
    fn new() -> Stop {
        Stop::default()
    }

    fn set(&self) {
        // Before the list is locked: who enters it later, sees this afterwards. Publishes nothing else.
        self.set.store(true, Ordering::Relaxed);
        for parker in self.waiting.lock().iter() {
            Arc::clone(parker).wake();
        }
    }

    /// bool: Is it set?
    #[pyo3(name = "is_set")]
    fn is_set_py(&self) -> bool {
        self.is_set()
    }
}

impl Stop {
    pub(super) fn is_set(&self) -> bool {
        // The lock of the list, or the flag of the parker, makes it seen in time.
        self.set.load(Ordering::Relaxed)
    }

    /// This thread is woken, until what is returned is dropped.
    pub(super) fn listen<'a>(&'a self, parker: &'a Arc<Parker>) -> Listening<'a> {
        self.waiting.lock().push(Arc::clone(parker));
        Listening { stop: self, parker }
    }
}

pub(super) struct Listening<'a> {
    stop: &'a Stop,
    parker: &'a Arc<Parker>,
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.stop.waiting.lock().retain(|other| !Arc::ptr_eq(other, self.parker));
    }
}
