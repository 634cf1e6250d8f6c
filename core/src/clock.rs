//! Where a limiter's time comes from.
//!
//! One time line: nanoseconds since the Unix epoch, read from the wall clock once and driven by
//! the monotonic clock from then on. Steps of the wall clock reach only clock-aligned windows,
//! through [`Moment::wall`].
//!
//! `counter`: the processor's counter. `course`: from counter to time, pure arithmetic. `published`:
//! what a call reads of it. `anchored`: the clock made of the three. `system` and `manual`: the others.

mod anchored;
mod counter;
mod course;
mod manual;
mod published;
mod system;

use std::sync::Arc;
use std::task::Waker;

use anchored::AnchoredClock;
pub use manual::ManualClock;
use system::SystemClock;

use crate::error::{Error, Result};
use crate::time::Timestamp;

/// The time of one decision, on both lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Driven by the monotonic clock.
    pub(crate) now: Timestamp,
    /// What a clock on the wall shows; differs from `now` after a step of the wall clock.
    pub(crate) wall: Timestamp,
}

impl Moment {
    /// `span` nanoseconds later on both lines.
    pub(crate) fn after(self, span: u64) -> Moment {
        let later = |time: Timestamp| Timestamp::clamped(time.as_nanos().saturating_add(span));
        Moment { now: later(self.now), wall: later(self.wall) }
    }

    /// `span` nanoseconds earlier on both lines, not before the epoch.
    pub(crate) fn before(self, span: u64) -> Moment {
        let earlier = |time: Timestamp| Timestamp::clamped(time.as_nanos().saturating_sub(span));
        Moment { now: earlier(self.now), wall: earlier(self.wall) }
    }
}

impl From<Timestamp> for Moment {
    fn from(now: Timestamp) -> Moment {
        Moment { now, wall: now }
    }
}

/// A source of time: the processor's counter, the system's clocks, or one that a test moves by hand.
///
/// All that run show the wall time at creation, driven by the system's monotonic clock from then on;
/// they differ in what a look costs, and how exact it is. Clones are the same clock.
///
/// ```
/// use tidegate::{Clock, Limiter};
///
/// let limiter = Limiter::builder("100/minute").clock(Clock::coarse()).build()?;
/// assert!(limiter.try_acquire("user:42", 1));
/// # Ok::<(), tidegate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Counter(Arc<AnchoredClock>),
    System(Arc<SystemClock>),
    Manual(ManualClock),
}

impl Clock {
    /// The default: the processor's counter, compared with the system's monotonic clock every 10 ms of
    /// use, and within 10 µs of it.
    ///
    /// For the first 10 ms, and on machines without a steady counter, it is [`Clock::system`].
    pub fn counter() -> Clock {
        match counter::is_steady() {
            true => Clock(Source::Counter(Arc::new(AnchoredClock::start()))),
            false => Clock::system(),
        }
    }

    /// The system's monotonic clock, asked each time.
    pub fn system() -> Clock {
        Clock(Source::System(Arc::new(SystemClock::start())))
    }

    /// The system's coarse monotonic clock (Linux; elsewhere it is [`Clock::system`]): it moves with the
    /// system's ticks, in steps of 1 to 10 ms, and lags by as much.
    ///
    /// Limits stay exact at the time that it shows; waits may be too long by a step, and measured
    /// latencies are whole steps.
    pub fn coarse() -> Clock {
        Clock(Source::System(Arc::new(SystemClock::start_coarse())))
    }

    /// A clock by its name: `counter`, `system` or `coarse`.
    ///
    /// # Errors
    /// [`Error::is_argument`] for another name.
    pub fn named(name: &str) -> Result<Clock> {
        match name {
            "counter" => Ok(Clock::counter()),
            "system" => Ok(Clock::system()),
            "coarse" => Ok(Clock::coarse()),
            _ => Err(Error::argument(
                "clock",
                format!("unknown clock {name:?}"),
                "give \"counter\", \"system\", \"coarse\" or a manual clock",
            )),
        }
    }

    /// The clock's time now.
    #[inline]
    pub fn now(&self) -> Timestamp {
        self.moment().now
    }

    #[inline(always)]
    pub(crate) fn moment(&self) -> Moment {
        // The default first, and alone on the short way.
        match &self.0 {
            Source::Counter(clock) => clock.moment(),
            Source::System(_) | Source::Manual(_) => self.moment_of_others(),
        }
    }

    #[inline(never)]
    fn moment_of_others(&self) -> Moment {
        match &self.0 {
            Source::Counter(clock) => clock.moment(),
            Source::System(clock) => clock.moment(),
            Source::Manual(clock) => clock.now().into(),
        }
    }

    /// A number of its own for somebody who will wait on this clock.
    pub(crate) fn sleeper(&self) -> u64 {
        self.manual().map_or(0, ManualClock::sleeper)
    }

    /// Does time pass by itself? If not, `waker` is woken when somebody moves the clock.
    pub(crate) fn runs_or_wakes(&self, sleeper: u64, waker: &Waker) -> bool {
        match self.manual() {
            None => true,
            Some(clock) => {
                clock.wakes(sleeper, waker);
                false
            }
        }
    }

    /// The sleeper waits no more.
    pub(crate) fn forget(&self, sleeper: u64) {
        if let Some(clock) = self.manual() {
            clock.forget(sleeper);
        }
    }

    fn manual(&self) -> Option<&ManualClock> {
        match &self.0 {
            Source::Manual(clock) => Some(clock),
            _ => None,
        }
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::counter()
    }
}

impl From<ManualClock> for Clock {
    fn from(clock: ManualClock) -> Clock {
        Clock(Source::Manual(clock))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn clocks_have_names() {
        for name in ["counter", "system", "coarse"] {
            let clock = Clock::named(name).expect(name);
            let begin = clock.now();
            assert!(begin > Timestamp::from_secs(1_700_000_000), "{name}: {begin:?}");
            while clock.now() == begin {}
            assert!(clock.now() > begin, "{name}");
        }
        let error = Clock::named("sundial").expect_err("no such clock");
        assert!(error.is_argument());
        assert_eq!(error.field(), "clock");
        for word in ["sundial", "counter", "system", "coarse", "manual"] {
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn the_default_is_the_counter_where_it_is_steady() {
        let is_counter = matches!(Clock::default().0, Source::Counter(_));
        assert_eq!(is_counter, counter::is_steady());
    }
}
