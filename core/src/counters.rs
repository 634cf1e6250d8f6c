//! Counts of decisions, in lanes: a thread counts in a cache line of its own.
//!
//! The first threads have a lane to themselves and count with a load and a store; those beyond share
//! the last lane and pay for an atomic addition.

use std::cell::Cell;

use parking_lot::Mutex;

use crate::decision::Reason;
use crate::sync::{AtomicU64, Ordering};

const LANES: usize = 32;
const SHARED: usize = LANES - 1;
const REASONS: usize = 5;

#[derive(Debug, Default)]
#[repr(align(128))]
struct Lane([AtomicU64; REASONS]);

/// Decisions by reason.
#[derive(Debug)]
pub(crate) struct Counters(Box<[Lane]>);

impl Counters {
    pub(crate) fn new() -> Counters {
        Counters((0..LANES).map(|_| Lane::default()).collect())
    }

    #[inline]
    pub(crate) fn count(&self, reason: Reason) {
        let lane = LANE.try_with(|lane| lane.number()).unwrap_or(SHARED);
        let counter = &self.0[lane].0[reason as usize];
        // Relaxed: a count publishes nothing.
        if lane == SHARED {
            counter.fetch_add(1, Ordering::Relaxed);
        } else {
            counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
    }

    pub(crate) fn sum(&self, reason: Reason) -> u64 {
        let counts = self.0.iter().map(|lane| lane.0[reason as usize].load(Ordering::Relaxed));
        counts.fold(0, u64::wrapping_add)
    }
}

thread_local!(static LANE: ThreadLane = const { ThreadLane(Cell::new(UNKNOWN)) });

const UNKNOWN: usize = usize::MAX;

/// Lanes given back by threads that ended, and the number of lanes ever given.
static FREE: Mutex<(Vec<usize>, usize)> = Mutex::new((Vec::new(), 0));

/// The number of this thread's lane, given back when the thread ends.
struct ThreadLane(Cell<usize>);

impl ThreadLane {
    #[inline]
    fn number(&self) -> usize {
        match self.0.get() {
            UNKNOWN => self.assign(),
            lane => lane,
        }
    }

    #[cold]
    fn assign(&self) -> usize {
        let mut free = FREE.lock();
        let lane = free.0.pop().unwrap_or_else(|| {
            let next = free.1.min(SHARED);
            free.1 = next + 1;
            next
        });
        self.0.set(lane);
        lane
    }
}

impl Drop for ThreadLane {
    fn drop(&mut self) {
        let lane = self.0.get();
        if lane < SHARED {
            FREE.lock().0.push(lane);
        }
    }
}
