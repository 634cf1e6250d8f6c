//! From the engine's one error type to Python's exceptions, which are defined in Python
//! (`tidegate/_errors.py`) so that users can read, catch, pickle and subclass them.

use std::error::Error as _;

use pyo3::PyErr;
use pyo3::exceptions::PyOSError;

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
    match error.source().and_then(|source| source.downcast_ref::<std::io::Error>()) {
        Some(cause) => unreadable(cause, message),
        None => Error::new_err(message),
    }
}

/// `OSError` chooses its own subclass (`FileNotFoundError`, …) from the number.
fn unreadable(cause: &std::io::Error, message: String) -> PyErr {
    match cause.raw_os_error() {
        Some(number) => PyOSError::new_err((number, message)),
        // Not the system's complaint: the file was read, but it is not UTF-8.
        None => PolicyError::new_err((message, "file", "save the policy as UTF-8 text")),
    }
}

/// A bad argument: `name: problem; remedy`.
pub(crate) fn argument(name: &str, problem: &str, remedy: &str) -> PyErr {
    let message = format!("{name}: {problem}; {remedy}");
    ArgumentError::new_err((message, name.to_owned(), remedy.to_owned()))
}
