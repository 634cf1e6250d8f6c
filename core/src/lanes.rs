//! A cache line for each thread that calls a limiter: it counts decisions there, and shows that it is inside.
//!
//! What a call reads without a lock (the engine in force) may be replaced meanwhile. So a call *visits*: it
//! makes its lane's number odd, then looks; when it is done it makes it even. Who replaced something makes
//! sure that every later look finds the new thing (`barrier::heavy`), notes all odd numbers, and frees
//! the old thing when each of them has changed. A visit costs two plain stores; nobody waits for anybody.
//!
//! The first threads have a lane to themselves. Those beyond share the last lane, count with an atomic addition,
//! and show themselves by a lock for many readers.

use std::cell::Cell;

use crate::decision::Reason;
use crate::sync::{AtomicU64, Ordering, RwLock, RwLockReadGuard, barrier};

const LANES: usize = if cfg!(loom) { 3 } else { 32 };
const SHARED: usize = LANES - 1;
const REASONS: usize = 5;

#[derive(Debug, Default)]
#[repr(align(128))]
struct Lane {
    counts: [AtomicU64; REASONS],
    /// Odd while the lane's thread is inside; never back to a value it had.
    visits: AtomicU64,
}

/// All threads' lanes.
#[derive(Debug)]
pub(crate) struct Lanes {
    lanes: Box<[Lane]>,
    /// Held by visitors of the shared lane.
    crowd: RwLock<()>,
}

/// A thread is inside: what it looks at is not freed.
#[derive(Debug)]
pub(crate) struct Visit<'l> {
    lane: &'l Lane,
    crowd: Option<RwLockReadGuard<'l, ()>>,
}

/// Who was inside at one moment.
#[derive(Debug)]
pub(crate) struct Seen {
    visits: Vec<u64>,
    crowd_left: bool,
}

impl Lanes {
    pub(crate) fn new() -> Lanes {
        barrier::prepare();
        Lanes { lanes: (0..LANES).map(|_| Lane::default()).collect(), crowd: RwLock::new(()) }
    }

    /// Goes inside. A thread that is inside must not come again before it left.
    #[inline]
    pub(crate) fn enter(&self) -> Visit<'_> {
        self.enter_by(number())
    }

    #[inline]
    fn enter_by(&self, number: usize) -> Visit<'_> {
        let lane = &self.lanes[number];
        if number == SHARED {
            return self.join_crowd(lane);
        }
        // Relaxed: nobody else writes it.
        let visits = lane.visits.load(Ordering::Relaxed);
        debug_assert!(visits.is_multiple_of(2), "a visit within a visit");
        // Release: who sees this visit sees that the one before is done.
        lane.visits.store(visits.wrapping_add(1), Ordering::Release);
        // Whoever frees what we find after this line sees the store before it.
        barrier::light();
        Visit { lane, crowd: None }
    }

    #[cold]
    fn join_crowd<'l>(&'l self, lane: &'l Lane) -> Visit<'l> {
        Visit { lane, crowd: Some(self.crowd.read()) }
    }

    /// Counts a decision.
    pub(crate) fn count(&self, reason: Reason) {
        let number = number();
        self.lanes[number].count(reason, number == SHARED);
    }

    pub(crate) fn sum(&self, reason: Reason) -> u64 {
        let counts =
            self.lanes.iter().map(|lane| lane.counts[reason as usize].load(Ordering::Relaxed));
        counts.fold(0, u64::wrapping_add)
    }

    /// Who is inside, and may have found what was replaced before this call? `None`: there is no way to know.
    pub(crate) fn look(&self) -> Option<Seen> {
        let sure = barrier::heavy();
        // Acquire: what a visitor did before it left is done.
        let visits = self.lanes.iter().map(|lane| lane.visits.load(Ordering::Acquire)).collect();
        sure.then_some(Seen { visits, crowd_left: false })
    }

    /// Has everybody left who was inside?
    pub(crate) fn have_left(&self, seen: &mut Seen) -> bool {
        // Once none of the crowd is inside, all who were have left.
        seen.crowd_left |= self.crowd.try_write().is_some();
        let mut pairs = self.lanes.iter().zip(&seen.visits);
        // Acquire: what a visitor did before it left is done.
        let left = |lane: &Lane, visits: u64| {
            visits.is_multiple_of(2) || lane.visits.load(Ordering::Acquire) != visits
        };
        seen.crowd_left && pairs.all(|(lane, visits)| left(lane, *visits))
    }
}

impl Lane {
    #[inline]
    fn count(&self, reason: Reason, shared: bool) {
        let counter = &self.counts[reason as usize];
        // Relaxed: a count publishes nothing.
        if shared {
            counter.fetch_add(1, Ordering::Relaxed);
        } else {
            counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
    }
}

impl Visit<'_> {
    /// Counts a decision.
    #[inline]
    pub(crate) fn count(&self, reason: Reason) {
        self.lane.count(reason, self.crowd.is_some());
    }
}

impl Drop for Visit<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.crowd.is_none() {
            // Relaxed: nobody else writes it.
            let visits = self.lane.visits.load(Ordering::Relaxed);
            // Release: who sees that we left sees that we are done.
            self.lane.visits.store(visits.wrapping_add(1), Ordering::Release);
        }
    }
}

thread_local!(static LANE: ThreadLane = const { ThreadLane(Cell::new(UNKNOWN)) });

const UNKNOWN: usize = usize::MAX;

/// Lanes given back by threads that ended, and the number of lanes ever given.
static FREE: parking_lot::Mutex<(Vec<usize>, usize)> = parking_lot::Mutex::new((Vec::new(), 0));

/// The number of this thread's lane.
#[inline]
fn number() -> usize {
    LANE.try_with(ThreadLane::number).unwrap_or(SHARED)
}

/// Given back when the thread ends.
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

#[cfg(all(test, loom))]
mod models {
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::sync::{AtomicUsize, spin};

    /// What visitors read, and what is in force: 0 or 1.
    struct House {
        lanes: Lanes,
        current: AtomicUsize,
        things: [UnsafeCell<u64>; 2],
    }

    /// A thing is freed (here: written to) when all have left who may read it.
    fn freed_after_the_last_reader(lane: usize) {
        loom::model(move || {
            let house = Arc::new(House {
                lanes: Lanes::new(),
                current: AtomicUsize::new(0),
                things: [UnsafeCell::new(7), UnsafeCell::new(8)],
            });
            let reader = {
                let house = Arc::clone(&house);
                thread::spawn(move || {
                    for _ in 0..2 {
                        let visit = house.lanes.enter_by(lane);
                        let thing = house.current.load(Ordering::Acquire);
                        // SAFETY: loom checks that nobody writes meanwhile.
                        house.things[thing].with(|thing| assert!(unsafe { *thing } >= 7));
                        drop(visit);
                    }
                })
            };
            house.current.store(1, Ordering::Release);
            let mut seen = house.lanes.look().expect("fences never fail");
            while !house.lanes.have_left(&mut seen) {
                spin();
            }
            // SAFETY: loom checks that nobody reads any more.
            house.things[0].with_mut(|thing| unsafe { *thing = 0 });
            reader.join().unwrap();
        });
    }

    #[test]
    fn freed_after_the_last_reader_of_its_own_lane() {
        freed_after_the_last_reader(0);
    }

    #[test]
    fn freed_after_the_last_reader_of_the_crowd() {
        freed_after_the_last_reader(SHARED);
    }
}
