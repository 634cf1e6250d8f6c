//! Where a limiter's time comes from.
//!
//! One time line: nanoseconds since the Unix epoch, read from the wall clock once and driven by
//! the monotonic clock from then on. Steps of the wall clock reach only clock-aligned windows,
//! through [`Moment::wall`].

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use crate::sync::{AtomicI64, AtomicU64, Ordering};
use crate::time::{Timestamp, nanos};

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
}

impl From<Timestamp> for Moment {
    fn from(now: Timestamp) -> Moment {
        Moment { now, wall: now }
    }
}

/// A source of time: the system's, or one that a test moves by hand.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System(Arc<SystemClock>),
    Manual(ManualClock),
}

impl Clock {
    /// The system's clock: wall time at creation, monotonic from then on.
    pub fn system() -> Clock {
        Clock(Source::System(Arc::new(SystemClock::start())))
    }

    /// The clock's time now.
    pub fn now(&self) -> Timestamp {
        self.moment().now
    }

    pub(crate) fn moment(&self) -> Moment {
        match &self.0 {
            Source::System(clock) => clock.moment(),
            Source::Manual(clock) => clock.now().into(),
        }
    }

    /// A number of its own for somebody who will wait on this clock.
    pub(crate) fn sleeper(&self) -> u64 {
        match &self.0 {
            Source::System(_) => 0,
            // Relaxed: a number publishes nothing.
            Source::Manual(clock) => clock.0.numbers.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Does time pass by itself? If not, `waker` is woken when somebody moves the clock.
    pub(crate) fn runs_or_wakes(&self, sleeper: u64, waker: &Waker) -> bool {
        match &self.0 {
            Source::System(_) => true,
            Source::Manual(clock) => {
                let before = clock.0.sleepers.lock().insert(sleeper, waker.clone());
                // After the lock: a waker may own a task that owns a ticket.
                drop(before);
                false
            }
        }
    }

    /// The sleeper waits no more.
    pub(crate) fn forget(&self, sleeper: u64) {
        if let Source::Manual(clock) = &self.0 {
            let waker = clock.0.sleepers.lock().remove(&sleeper);
            drop(waker);
        }
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::system()
    }
}

impl From<ManualClock> for Clock {
    fn from(clock: ManualClock) -> Clock {
        Clock(Source::Manual(clock))
    }
}

/// The wall clock is looked at again when this much time has passed.
const WALL_CHECK: u64 = 1_000_000_000;

#[derive(Debug)]
struct SystemClock {
    start: Instant,
    start_wall: u64,
    /// Wall time minus the monotonic line, in ns.
    wall_offset: AtomicI64,
    /// When the wall clock was last looked at, on the monotonic line.
    wall_checked: AtomicU64,
}

impl SystemClock {
    fn start() -> SystemClock {
        let start_wall = wall_nanos();
        SystemClock {
            start: Instant::now(),
            start_wall,
            wall_offset: AtomicI64::new(0),
            wall_checked: AtomicU64::new(start_wall),
        }
    }

    fn moment(&self) -> Moment {
        let now = self.start_wall.saturating_add(nanos(self.start.elapsed()));
        // Relaxed: each of the two words is meaningful alone; a late reader looks once more.
        let checked = self.wall_checked.load(Ordering::Relaxed);
        if now.saturating_sub(checked) >= WALL_CHECK {
            self.wall_checked.store(now, Ordering::Relaxed);
            let offset = i128::from(wall_nanos()) - i128::from(now);
            self.wall_offset.store(i64::try_from(offset).unwrap_or(0), Ordering::Relaxed);
        }
        let offset = self.wall_offset.load(Ordering::Relaxed);
        Moment {
            now: Timestamp::clamped(now),
            wall: Timestamp::clamped(now.saturating_add_signed(offset)),
        }
    }
}

fn wall_nanos() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanos)
}

/// A clock that stands still until it is moved, for tests without sleeping.
///
/// Clones are the same clock.
///
/// ```
/// use std::time::Duration;
/// use tidegate::{Limiter, ManualClock, Timestamp};
///
/// let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
/// let limiter = Limiter::builder("1/second").clock(clock.clone()).build()?;
/// assert!(limiter.try_acquire("user:42", 1));
/// assert!(!limiter.try_acquire("user:42", 1));
/// clock.advance(Duration::from_secs(1));
/// assert!(limiter.try_acquire("user:42", 1));
/// # Ok::<(), tidegate::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<Manual>);

#[derive(Debug, Default)]
struct Manual {
    now: AtomicU64,
    numbers: AtomicU64,
    sleepers: Mutex<HashMap<u64, Waker>>,
}

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn new(now: Timestamp) -> ManualClock {
        let clock = ManualClock::default();
        clock.set(now);
        clock
    }

    /// Where the clock stands.
    pub fn now(&self) -> Timestamp {
        // Acquire pairs with the Release of `set`: who sees the new time sees what came before it.
        Timestamp::clamped(self.0.now.load(Ordering::Acquire))
    }

    /// Moves the clock to `now`, also back, and wakes those who wait on it.
    pub fn set(&self, now: Timestamp) {
        self.0.now.store(now.as_nanos(), Ordering::Release);
        self.wake();
    }

    /// Moves the clock on by `span`, and wakes those who wait on it.
    pub fn advance(&self, span: Duration) {
        // AcqRel: two threads that advance at once both count.
        let _ = self.0.now.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
            Some(Timestamp::clamped(now).saturating_add(span).as_nanos())
        });
        self.wake();
    }

    fn wake(&self) {
        let sleepers = std::mem::take(&mut *self.0.sleepers.lock());
        // Not under the lock: who is woken may come straight back.
        sleepers.into_values().for_each(Waker::wake);
    }
}
