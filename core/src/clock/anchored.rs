//! The default clock: the processor's counter, anchored to the system's clock again and again.
//!
//! A call costs the counter and a few loads. When a line ends (`course`), the next call looks at both
//! clocks and publishes the next line; no thread does that by itself.

use std::time::Instant;

use crate::clock::Moment;
use crate::clock::counter;
use crate::clock::course::{Course, LATEST, Line, Reading};
use crate::clock::published::Published;
use crate::clock::system::{WALL_NOISE, wall_nanos, wall_offset};
use crate::sync::{Mutex, spin};
use crate::time::{Timestamp, nanos};

/// Looks at the clocks until one is not interrupted.
const TRIES: usize = 4;
/// A look of this many ns was not interrupted.
const UNDISTURBED: u64 = 200;
/// Turns to wait for whoever makes the next line, which takes him a fraction of a microsecond.
const PATIENCE: usize = 256;

#[derive(Debug)]
pub(super) struct AnchoredClock {
    published: Published,
    start: Instant,
    start_wall: u64,
    keeper: Mutex<Keeper>,
}

/// Who holds the lock makes the next line.
#[derive(Debug)]
struct Keeper {
    course: Course,
    /// Wall time minus the monotonic line, in ns.
    wall_offset: i64,
}

impl AnchoredClock {
    pub(super) fn start() -> AnchoredClock {
        let (start, start_wall) = (Instant::now(), wall_nanos());
        let (reading, _) = look(start, start_wall);
        let course = Course::start(reading);
        AnchoredClock {
            published: Published::new(course.line),
            start,
            start_wall,
            keeper: Mutex::new(Keeper { course, wall_offset: 0 }),
        }
    }

    #[inline]
    pub(super) fn moment(&self) -> Moment {
        match self.published.moment(counter::read) {
            Some(moment) => {
                debug_assert!(moment.now.max(moment.wall) <= Timestamp::MAX);
                moment
            }
            None => self.without_line(),
        }
    }

    /// The system's clock is asked, a line has ended, or one is being replaced.
    #[cold]
    #[inline(never)]
    fn without_line(&self) -> Moment {
        let mut ended = None;
        for _ in 0..PATIENCE {
            ended = self.published.line().or(ended);
            if let Some(moment) = ended.and_then(|line| self.by(&line)) {
                return moment;
            }
            if let Some(mut keeper) = self.keeper.try_lock() {
                return self.anchor(&mut keeper);
            }
            spin();
        }
        // Whoever makes the next line was interrupted in the middle of it (or is gone: this may be a
        // forked child). The next line may then be some nanoseconds behind what we say now.
        let system = system_nanos(self.start, self.start_wall);
        match ended {
            Some(line) => line.not_before_end(system),
            None => Timestamp::clamped(system).into(),
        }
    }

    /// The time by a line, or by the system's clock while the line says so.
    fn by(&self, line: &Line) -> Option<Moment> {
        line.at(counter::read()).or_else(|| line.asking(system_nanos(self.start, self.start_wall)))
    }

    fn anchor(&self, keeper: &mut Keeper) -> Moment {
        // Somebody else may just have done it.
        if let Some(moment) = self.by(&keeper.course.line) {
            return moment;
        }
        let (reading, wall) = look(self.start, self.start_wall);
        let offset =
            wall_offset(keeper.wall_offset, wall, reading.nanos, WALL_NOISE + reading.width);
        keeper.wall_offset = offset;
        keeper.course = keeper.course.next(reading);
        let line = &mut keeper.course.line;
        line.wall = line.nanos.saturating_add_signed(offset).min(LATEST);
        self.published.publish(*line);
        line.beginning()
    }
}

fn system_nanos(start: Instant, start_wall: u64) -> u64 {
    Timestamp::clamped(start_wall.saturating_add(nanos(start.elapsed()))).as_nanos()
}

/// All clocks at one instant, and what the one on the wall shows then: the tightest of a few tries, so
/// that an interruption between two of the clocks does not count.
fn look(start: Instant, start_wall: u64) -> (Reading, u64) {
    let mut tightest = look_once(start, start_wall);
    for _ in 1..TRIES {
        if tightest.0.width <= UNDISTURBED {
            break;
        }
        let again = look_once(start, start_wall);
        if again.0.width < tightest.0.width {
            tightest = again;
        }
    }
    tightest
}

fn look_once(start: Instant, start_wall: u64) -> (Reading, u64) {
    let before = system_nanos(start, start_wall);
    let (counter, wall) = (counter::read(), wall_nanos());
    let width = system_nanos(start, start_wall).saturating_sub(before);
    (Reading { counter, nanos: before + width / 2, width }, wall)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Reads the clock between two looks at the system's: in order, and near enough that a busy machine
    /// does not matter. Goes on until lines were in use, or turned out not to be usable here.
    #[test]
    fn it_runs_with_the_systems_clock_and_never_back() {
        let clock = AnchoredClock::start();
        let system = || system_nanos(clock.start, clock.start_wall);
        let (mut by_line, mut last) = (0, Timestamp::EPOCH);
        loop {
            let before = system();
            let now = clock.moment().now;
            let after = system();
            assert!(now >= last, "{now:?} after {last:?}");
            assert!(now.as_nanos() + 1_000_000 >= before, "{now:?} is behind {before}");
            assert!(now.as_nanos() <= after + 1_000_000, "{now:?} is ahead of {after}");
            last = now;
            by_line += u64::from(clock.published.moment(counter::read).is_some());
            let course = clock.keeper.lock().course;
            let over = after - clock.start_wall > 50_000_000;
            if over && (by_line > 5_000 || course.has_stumbled() || !counter::is_steady()) {
                break;
            }
        }
    }

    #[test]
    fn threads_agree_on_the_time() {
        let clock = AnchoredClock::start();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut last = Timestamp::EPOCH;
                    while last.as_nanos() < clock.start_wall + 30_000_000 {
                        let now = clock.moment().now;
                        assert!(now >= last, "{now:?} after {last:?}");
                        last = now;
                    }
                });
            }
        });
    }

    /// Nobody else's lock is waited for without end: a forked child may find it held for good.
    #[test]
    fn a_lock_that_is_never_given_back_stops_no_time() {
        let clock = AnchoredClock::start();
        let held = clock.keeper.lock();
        let mut last = Timestamp::EPOCH;
        while last.as_nanos() < clock.start_wall + 15_000_000 {
            let now = clock.moment().now;
            assert!(now >= last, "{now:?} after {last:?}");
            last = now;
        }
        drop(held);
    }

    /// The wall clock's step reaches the line at the next look.
    #[test]
    fn a_step_of_the_wall_clock_is_followed() {
        const HOUR: u64 = 3_600_000_000_000;
        let clock = AnchoredClock::start();
        // As if it had been an hour later when the clock was made, and was set back since.
        let ahead = AnchoredClock { start_wall: clock.start_wall + HOUR, ..clock };
        ahead.keeper.lock().course =
            Course::start(Reading { counter: 0, nanos: ahead.start_wall, width: 0 });
        let apart = || {
            let Moment { now, wall } = ahead.moment();
            assert!(now.as_nanos() < ahead.start_wall + 1_000_000_000, "not within a second");
            now.as_nanos() - wall.as_nanos()
        };
        while apart() == 0 {}
        assert!(apart().abs_diff(HOUR) < 1_000_000_000, "{}", apart());
    }
}
