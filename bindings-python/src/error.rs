//! From the engine's one error type to Python's exceptions, which are defined in Python
//! (`tidegate/_errors.py`) so that users can read, catch, pickle and subclass them.

use std::error::Error as _;
use std::io;
use std::path::Path;

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

pyo3::import_exception!(tidegate._errors, Error);
pyo3::import_exception!(tidegate._errors, PolicyError);
pyo3::import_exception!(tidegate._errors, ArgumentError);
pyo3::import_exception!(tidegate._errors, RateLimited);

/// The Python exception for an error of the engine.
pub(crate) fn raise(error: tidegate::Error) -> PyErr {
    let (message, field, remedy) =
        (error.to_string(), error.field().to_owned(), error.remedy().to_owned());
    if error.is_policy() {
        return PolicyError::new_err((message, field, remedy, error.line(), error.column()));
    }
    if error.is_argument() {
        return ArgumentError::new_err((message, field, remedy));
    }
    if error.is_file() {
        return match cause(&error).map(io::Error::kind) {
            // The file was read, but is not UTF-8.
            Some(io::ErrorKind::InvalidData) => {
                PolicyError::new_err((message, "file", "save the policy as UTF-8 text"))
            }
            _ => PyOSError::new_err(message),
        };
    }
    Error::new_err(message)
}

/// As `raise`, of a file that was to be read: with number, text and name as Python's own, so that
/// `OSError` chooses its own subclass (`FileNotFoundError`, …) from the number.
pub(crate) fn raise_of_file(py: Python<'_>, error: tidegate::Error, path: &Path) -> PyErr {
    let Some(number) = cause(&error).and_then(io::Error::raw_os_error) else { return raise(error) };
    match py.import("os").and_then(|os| os.call_method1("strerror", (number,))) {
        Ok(text) => PyOSError::new_err((number, text.unbind(), path.as_os_str().to_owned())),
        Err(error) => error,
    }
}

/// What the system said of a file.
fn cause(error: &tidegate::Error) -> Option<&io::Error> {
    error.source().and_then(|source| source.downcast_ref())
}

/// A bad argument: `name: problem; remedy`.
pub(crate) fn argument(name: &str, problem: &str, remedy: &str) -> PyErr {
    let message = format!("{name}: {problem}; {remedy}");
    ArgumentError::new_err((message, name.to_owned(), remedy.to_owned()))
}
