//! The native half of the Python package `tidegate`. It translates between Python and the
//! engine and decides nothing; what reads better in Python is in `python/tidegate`.

mod clock;
mod convert;
mod decision;
mod error;
mod limiter;
mod request;
mod snapshot;
mod wait;

/// The native half of tidegate; import `tidegate` instead.
// Every class is frozen and every state in it atomic or locked, so no call leans on the GIL.
#[pyo3::pymodule(gil_used = false)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::clock::ManualClock;
    #[pymodule_export]
    use crate::decision::{Decision, restore_decision};
    #[pymodule_export]
    use crate::limiter::{Limiter, check_request};
    #[pymodule_export]
    use crate::request::{Admission, Reservation};
    #[pymodule_export]
    use crate::snapshot::{BucketSnapshot, Snapshot, Stats};
    #[pymodule_export]
    use crate::wait::Ticket;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("VERSION", tidegate::VERSION)
    }
}
