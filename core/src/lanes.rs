//! A cache line for each thread that calls a limiter: it counts decisions there, and shows that it is inside.
//!
//! What a call reads without a lock (the engine in force) may be replaced meanwhile. So a call *visits*: it
//! makes its lane's number odd, then looks; when it is done it makes it even. Who replaced something makes
//! sure that every later look finds the new thing (`barrier::heavy`), notes all odd numbers, and frees
//! the old thing when each of them has changed. A visit costs two plain stores; nobody waits for anybody.
//!
//! The first threads have a lane to themselves. Those beyond share the last lane, which counts with atomic additions,
//! decisions as well as who is inside. So do all threads where the system refuses to help (see `barrier`).

use std::cell::Cell;

use crate::decision::Reason;
use crate::sync::{AtomicU64, Ordering, barrier, fence};

const LANES: usize = if cfg!(loom) { 3 } else { 32 };
const SHARED: usize = LANES - 1;
const REASONS: usize = 5;

#[derive(Debug, Default)]
#[repr(align(128))]
struct Lane {
    counts: [AtomicU64; REASONS],
    /// Odd while the lane's thread is inside; never back to a value it had. Of the shared lane: how many are inside.
    visits: AtomicU64,
}

/// All threads' lanes.
#[derive(Debug)]
pub(crate) struct Lanes(Box<[Lane; LANES]>);

/// A thread is inside: what it looks at is not freed.
#[derive(Debug)]
pub(crate) struct Visit<'l> {
    lane: &'l Lane,
    shared: bool,
}

/// Who was inside at one moment.
#[derive(Debug)]
pub(crate) struct Present {
    visits: [u64; SHARED],
    crowd_left: bool,
}

impl Lanes {
    pub(crate) fn new() -> Lanes {
        barrier::prepare();
        Lanes(Box::new(std::array::from_fn(|_| Lane::default())))
    }

    /// Goes inside. A thread that is inside must not come again before it left.
    #[inline]
    pub(crate) fn enter(&self) -> Visit<'_> {
        self.enter_by(number())
    }

    /// As [`Lanes::enter`], if this thread has a lane to itself. (Whoever asks knows that it is not shared, and makes
    /// shorter code of it.)
    #[inline(always)]
    pub(crate) fn enter_alone(&self) -> Option<Visit<'_>> {
        let number = LANE.get();
        (number < SHARED).then(|| self.enter_own(number))
    }

    #[inline]
    fn enter_by(&self, number: usize) -> Visit<'_> {
        if number < SHARED { self.enter_own(number) } else { self.join_crowd() }
    }

    #[inline(always)]
    fn enter_own(&self, number: usize) -> Visit<'_> {
        let lane = &self.0[number];
        // Relaxed: nobody else writes it.
        let visits = lane.visits.load(Ordering::Relaxed);
        debug_assert!(visits.is_multiple_of(2), "a visit within a visit");
        // Release: who sees this visit sees that the one before is done.
        lane.visits.store(visits.wrapping_add(1), Ordering::Release);
        // Whoever frees what we find after this line sees the store before it.
        barrier::light();
        Visit { lane, shared: false }
    }

    #[cold]
    fn join_crowd(&self) -> Visit<'_> {
        let lane = &self.0[SHARED];
        // Relaxed: what orders it is below.
        lane.visits.fetch_add(1, Ordering::Relaxed);
        // As above. A fence, for this is also the lane where there is no other barrier.
        fence(Ordering::SeqCst);
        Visit { lane, shared: true }
    }

    /// Counts a decision.
    pub(crate) fn count(&self, reason: Reason) {
        let number = number();
        self.0[number].count(reason, number == SHARED);
    }

    pub(crate) fn sum(&self, reason: Reason) -> u64 {
        let counts = self.0.iter().map(|lane| lane.counts[reason as usize].load(Ordering::Relaxed));
        counts.fold(0, u64::wrapping_add)
    }

    /// Who is inside, and may have found what was replaced before this call? `None`: there is no way to know.
    pub(crate) fn look(&self) -> Option<Present> {
        let sure = barrier::heavy();
        // Acquire: what a visitor did before it left is done.
        let visits = std::array::from_fn(|number| self.0[number].visits.load(Ordering::Acquire));
        sure.then_some(Present { visits, crowd_left: false })
    }

    /// Has everybody left who was inside?
    pub(crate) fn have_left(&self, seen: &mut Present) -> bool {
        // Acquire, twice: what a visitor did before it left is done. Once none of the crowd is inside, all who were
        // have left.
        seen.crowd_left |= self.0[SHARED].visits.load(Ordering::Acquire) == 0;
        let mut pairs = self.0.iter().zip(&seen.visits);
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
        self.lane.count(reason, self.shared);
    }
}

impl Drop for Visit<'_> {
    #[inline]
    fn drop(&mut self) {
        let visits = &self.lane.visits;
        // Release, of both: who sees that we left sees that we are done.
        if self.shared {
            visits.fetch_sub(1, Ordering::Release);
        } else {
            // Relaxed: nobody else writes it.
            visits.store(visits.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
        }
    }
}

thread_local! {
    /// The number of this thread's lane. It has nothing to drop, so that asking for it is one load, at any time; what is
    /// to be done when the thread ends, `RETURN` does.
    static LANE: Cell<usize> = const { Cell::new(UNKNOWN) };
    static RETURN: Return = const { Return };
}

const UNKNOWN: usize = usize::MAX;

/// Lanes given back by threads that ended, and the number of lanes ever given.
static FREE: parking_lot::Mutex<(Vec<usize>, usize)> = parking_lot::Mutex::new((Vec::new(), 0));

#[inline]
fn number() -> usize {
    match LANE.get() {
        UNKNOWN => assign(),
        lane => lane,
    }
}

#[cold]
fn assign() -> usize {
    // Who cannot give it back gets none; who needs a fence has one in the crowd.
    let mine = barrier::is_there() && RETURN.try_with(|_| ()).is_ok();
    let lane = if mine { free_lane() } else { SHARED };
    LANE.set(lane);
    lane
}

fn free_lane() -> usize {
    let mut free = FREE.lock();
    free.0.pop().unwrap_or_else(|| {
        let next = free.1.min(SHARED);
        free.1 = next + 1;
        next
    })
}

/// Gives the lane back when the thread ends.
struct Return;

impl Drop for Return {
    fn drop(&mut self) {
        // What the thread still does on its way out, it does in the crowd.
        let lane = LANE.replace(SHARED);
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
    fn freed_after_the_last_reader(readers: &'static [usize], visits: usize) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = (readers.len() > 1).then_some(2);
        builder.check(move || {
            let house = Arc::new(House {
                lanes: Lanes::new(),
                current: AtomicUsize::new(0),
                things: [UnsafeCell::new(7), UnsafeCell::new(8)],
            });
            let readers = readers.iter().map(|&lane| {
                let house = Arc::clone(&house);
                thread::spawn(move || {
                    for _ in 0..visits {
                        let visit = house.lanes.enter_by(lane);
                        let thing = house.current.load(Ordering::Acquire);
                        // SAFETY: loom checks that nobody writes meanwhile.
                        house.things[thing].with(|thing| assert!(unsafe { *thing } >= 7));
                        drop(visit);
                    }
                })
            });
            let readers: Vec<_> = readers.collect();
            house.current.store(1, Ordering::Release);
            let mut seen = house.lanes.look().expect("fences never fail");
            while !house.lanes.have_left(&mut seen) {
                spin();
            }
            // SAFETY: loom checks that nobody reads any more.
            house.things[0].with_mut(|thing| unsafe { *thing = 0 });
            for reader in readers {
                reader.join().unwrap();
            }
        });
    }

    #[test]
    fn freed_after_the_last_reader_of_its_own_lane() {
        freed_after_the_last_reader(&[0], 2);
    }

    #[test]
    fn freed_after_the_last_reader_of_the_crowd() {
        freed_after_the_last_reader(&[SHARED], 2);
    }

    #[test]
    fn freed_after_the_last_of_two_readers_of_the_crowd() {
        freed_after_the_last_reader(&[SHARED, SHARED], 1);
    }

    #[test]
    fn freed_after_the_last_reader_of_either_kind() {
        freed_after_the_last_reader(&[0, SHARED], 1);
    }
}
