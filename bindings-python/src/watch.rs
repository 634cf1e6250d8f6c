//! A limiter that follows its policy file: the engine's thread, and the Python function that it tells.

use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;

use crate::error::raise_of_file;

/// What became of a policy file that changed; what `Limiter.watch` tells.
#[pyclass(frozen, get_all, module = "tidegate._native")]
pub(crate) struct WatchEvent {
    /// bool: Does the limiter go by the file as it is now? Else it goes by the policy it had.
    updated: bool,
    /// PolicyError, OSError or None: Why the file was refused; None when it was not.
    error: Option<Py<PyAny>>,
}

#[pymethods]
impl WatchEvent {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(match &self.error {
            None => "WatchEvent(updated=True, error=None)".to_owned(),
            Some(error) => format!("WatchEvent(updated=False, error={})", error.bind(py).repr()?),
        })
    }
}

/// A file that is followed, for `tidegate.Watch`.
// That class sees to it that this one is closed before the interpreter ends: then nobody could wait for the thread.
#[pyclass(frozen, module = "tidegate._native")]
pub(crate) struct Watch(Mutex<Option<tidegate::Watch>>);

#[pymethods]
impl Watch {
    /// Follow the file no longer; waits for a function that is being told.
    fn close(&self, py: Python<'_>) {
        let open = self.0.lock().take();
        // The watching thread may be in the function, and need the GIL to get out.
        py.detach(|| drop(open));
    }
}

/// Puts the policy of a file in force, and follows the file.
pub(crate) fn watch(
    py: Python<'_>,
    limiter: &tidegate::Limiter,
    path: PathBuf,
    on_event: Py<PyAny>,
) -> PyResult<Watch> {
    let followed = path.clone();
    let listen = move |event| tell(&on_event, event, &followed);
    // Files are read, and threads that wait may be woken, which takes the GIL.
    let watch = py.detach(|| limiter.watch(&path, listen));
    watch.map(|watch| Watch(Mutex::new(Some(watch)))).map_err(|e| raise_of_file(py, e, &path))
}

/// Calls the function in the watching thread. What it raises has nowhere to go.
fn tell(on_event: &Py<PyAny>, event: tidegate::WatchEvent, path: &Path) {
    Python::try_attach(|py| {
        let error = match event {
            tidegate::WatchEvent::Refused(error) => Some(raise_of_file(py, error, path)),
            _ => None,
        };
        let error = error.map(|error| error.into_value(py).into_any());
        let event = WatchEvent { updated: error.is_none(), error };
        let told = event.into_bound_py_any(py).and_then(|event| on_event.call1(py, (event,)));
        if let Err(error) = told {
            error.write_unraisable(py, Some(on_event.bind(py)));
        }
    });
}
