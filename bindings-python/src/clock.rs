//! The clock that a test moves by hand.

use std::time::Duration;

use pyo3::prelude::*;
use tidegate::Timestamp;

use crate::convert::{self, as_seconds, one_of};

/// A clock that stands still until it is moved: tests without sleeping.
///
/// Parameters
/// ----------
/// now : float, int or timedelta, optional
///     Seconds since the Unix epoch; 0 when left out.
/// now_ns : int, optional
///     The same in nanoseconds, instead of `now`.
///
/// Raises
/// ------
/// ArgumentError
///     When the time is negative, not finite, or beyond the year 2116.
///
/// Examples
/// --------
/// >>> clock = tidegate.ManualClock(1_700_000_000)
/// >>> limiter = tidegate.Limiter("1/second", clock=clock)
/// >>> limiter.try_acquire("user:42"), limiter.try_acquire("user:42")
/// (True, False)
/// >>> clock.advance(1.0)
/// >>> limiter.try_acquire("user:42")
/// True
#[pyclass(frozen, module = "tidegate._native")]
pub(crate) struct ManualClock(pub(crate) tidegate::ManualClock);

#[pymethods]
impl ManualClock {
    #[new]
    #[pyo3(signature = (now=None, *, now_ns=None))]
    fn new(
        #[pyo3(from_py_with = convert::now)] now: Option<Timestamp>,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<ManualClock> {
        let now = match (now, now_ns) {
            (None, None) => Timestamp::EPOCH,
            (now, now_ns) => one_of("now", now, now_ns)?,
        };
        Ok(ManualClock(tidegate::ManualClock::new(now)))
    }

    /// Where the clock stands, in seconds since the Unix epoch (float: to about 0.2 µs).
    fn now(&self) -> f64 {
        self.0.now().saturating_since(Timestamp::EPOCH).as_secs_f64()
    }

    /// Where the clock stands, in nanoseconds since the Unix epoch (exact).
    fn now_ns(&self) -> u64 {
        self.0.now().as_nanos()
    }

    /// Move the clock to a time, also back, and wake those who wait.
    ///
    /// Parameters
    /// ----------
    /// now : float, int or timedelta
    ///     Seconds since the Unix epoch.
    /// now_ns : int
    ///     The same in nanoseconds, instead of `now`.
    #[pyo3(signature = (now=None, *, now_ns=None))]
    fn set(
        &self,
        #[pyo3(from_py_with = convert::now)] now: Option<Timestamp>,
        #[pyo3(from_py_with = convert::now_ns)] now_ns: Option<Timestamp>,
    ) -> PyResult<()> {
        self.0.set(one_of("now", now, now_ns)?);
        Ok(())
    }

    /// Move the clock on, and wake those who wait.
    ///
    /// Parameters
    /// ----------
    /// duration : float, int or timedelta
    ///     Seconds, not negative.
    /// duration_ns : int
    ///     The same in nanoseconds, instead of `duration`.
    #[pyo3(signature = (duration=None, *, duration_ns=None))]
    fn advance(
        &self,
        #[pyo3(from_py_with = convert::duration)] duration: Option<Duration>,
        #[pyo3(from_py_with = convert::duration_ns)] duration_ns: Option<Duration>,
    ) -> PyResult<()> {
        self.0.advance(one_of("duration", duration, duration_ns)?);
        Ok(())
    }

    fn __repr__(&self) -> String {
        let seconds = as_seconds(self.0.now().saturating_since(Timestamp::EPOCH));
        format!("ManualClock({seconds:?})")
    }
}
