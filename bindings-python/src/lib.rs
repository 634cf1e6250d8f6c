//! The native half of the Python package `tidegate`. It translates between Python and the
//! engine and decides nothing; what reads better in Python is in `python/tidegate`.

mod alerts;
mod clock;
mod convert;
mod decision;
mod error;
mod limiter;
mod pacer;
mod policy;
mod request;
mod snapshot;
mod subject;
mod usage;
mod wait;
mod watch;

/// The native half of tidegate; import `tidegate` instead.
// Every class is frozen and every state in it atomic or locked, so no call leans on the GIL.
#[pyo3::pymodule(gil_used = false)]
mod _native {
    use pyo3::prelude::*;

    use crate::convert;

    #[pymodule_export]
    use crate::alerts::Alert;
    #[pymodule_export]
    use crate::clock::ManualClock;
    #[pymodule_export]
    use crate::decision::{Decision, restore_decision};
    #[pymodule_export]
    use crate::limiter::{Limiter, check_request};
    #[pymodule_export]
    use crate::pacer::read_headers;
    #[pymodule_export]
    use crate::pacer::{Pacer, PacerCall, PacerEvent, PacerStats, ServerLimits, ServerQuota, Stop};
    #[pymodule_export]
    use crate::request::{Admission, Reservation};
    #[pymodule_export]
    use crate::snapshot::{BucketSnapshot, Snapshot, Stats};
    #[pymodule_export]
    use crate::usage::{UsageLimit, UsageReport};
    #[pymodule_export]
    use crate::wait::Ticket;
    #[pymodule_export]
    use crate::watch::{Watch, WatchEvent};

    /// The line for a policy that lets requests with this secret pass (`secrets` of `[[bypass]]`).
    ///
    /// The hash is SHA-256 without salt: it hides a secret that cannot be guessed. Take one of
    /// 128 random bits at least, not a word that somebody might try.
    ///
    /// Parameters
    /// ----------
    /// secret : str
    ///     The secret; what is hashed is its UTF-8.
    ///
    /// Returns
    /// -------
    /// str
    ///     `sha256:` and 64 hexadecimal digits.
    ///
    /// Raises
    /// ------
    /// ArgumentError
    ///     When the secret has lone surrogates.
    ///
    /// Examples
    /// --------
    /// >>> tidegate.hash_secret("open sesame")[:39]
    /// 'sha256:41ef4bb0b23661e66301aac36066912d'
    #[pyfunction]
    fn hash_secret(#[pyo3(from_py_with = convert::secret)] secret: String) -> String {
        tidegate::hash_secret(&secret)
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("VERSION", tidegate::VERSION)
    }
}
