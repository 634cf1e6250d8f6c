//! A clock that a test moves by hand.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use parking_lot::Mutex;

use crate::sync::{AtomicU64, Ordering};
use crate::time::Timestamp;

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

    /// A number of its own for somebody who will wait on this clock.
    pub(super) fn sleeper(&self) -> u64 {
        // Relaxed: a number publishes nothing.
        self.0.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// `waker` is woken when somebody moves the clock.
    pub(super) fn wakes(&self, sleeper: u64, waker: &Waker) {
        let before = self.0.sleepers.lock().insert(sleeper, waker.clone());
        // After the lock: a waker may own a task that owns a ticket.
        drop(before);
    }

    /// The sleeper waits no more.
    pub(super) fn forget(&self, sleeper: u64) {
        let waker = self.0.sleepers.lock().remove(&sleeper);
        drop(waker);
    }

    fn wake(&self) {
        let sleepers = std::mem::take(&mut *self.0.sleepers.lock());
        // Not under the lock: who is woken may come straight back.
        sleepers.into_values().for_each(Waker::wake);
    }
}
