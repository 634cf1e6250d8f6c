//! The system's clocks: monotonic, coarse, and the one on the wall.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::clock::Moment;
use crate::sync::{AtomicI64, AtomicU64, Ordering};
use crate::time::{Timestamp, nanos};

/// The wall clock is looked at again when this much time has passed.
const WALL_CHECK: u64 = 1_000_000_000;

/// A smaller difference between wall and monotonic clock is no step: the two are read one after the
/// other, and the coarse one lags.
pub(super) const WALL_NOISE: u64 = 50_000;
const WALL_NOISE_COARSE: u64 = 10_000_000;

/// A clock that asks the system each time.
#[derive(Debug)]
pub(super) struct SystemClock {
    start: Start,
    start_wall: u64,
    wall_noise: u64,
    /// Wall time minus the monotonic line, in ns.
    wall_offset: AtomicI64,
    /// When the wall clock was last looked at, on the monotonic line.
    wall_checked: AtomicU64,
}

#[derive(Debug)]
enum Start {
    Precise(Instant),
    #[cfg(target_os = "linux")]
    Coarse(Duration),
}

impl Start {
    fn elapsed(&self) -> Duration {
        match self {
            Start::Precise(start) => start.elapsed(),
            #[cfg(target_os = "linux")]
            Start::Coarse(start) => coarse().saturating_sub(*start),
        }
    }
}

impl SystemClock {
    pub(super) fn start() -> SystemClock {
        SystemClock::start_with(Start::Precise(Instant::now()), WALL_NOISE)
    }

    #[cfg(target_os = "linux")]
    pub(super) fn start_coarse() -> SystemClock {
        SystemClock::start_with(Start::Coarse(coarse()), WALL_NOISE_COARSE)
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn start_coarse() -> SystemClock {
        SystemClock::start()
    }

    fn start_with(start: Start, wall_noise: u64) -> SystemClock {
        let start_wall = wall_nanos();
        SystemClock {
            start,
            start_wall,
            wall_noise,
            wall_offset: AtomicI64::new(0),
            wall_checked: AtomicU64::new(start_wall),
        }
    }

    pub(super) fn moment(&self) -> Moment {
        let now = self.start_wall.saturating_add(nanos(self.start.elapsed()));
        // Relaxed: each of the two words is meaningful alone; a late reader looks once more.
        let checked = self.wall_checked.load(Ordering::Relaxed);
        if now.saturating_sub(checked) >= WALL_CHECK {
            self.wall_checked.store(now, Ordering::Relaxed);
            let known = self.wall_offset.load(Ordering::Relaxed);
            let offset = wall_offset(known, wall_nanos(), now, self.wall_noise);
            self.wall_offset.store(offset, Ordering::Relaxed);
        }
        let offset = self.wall_offset.load(Ordering::Relaxed);
        Moment {
            now: Timestamp::clamped(now),
            wall: Timestamp::clamped(now.saturating_add_signed(offset)),
        }
    }
}

/// Wall time minus the monotonic line: what is known, or, when somebody has set the clock, what it
/// shows now.
pub(super) fn wall_offset(known: i64, wall: u64, now: u64, noise: u64) -> i64 {
    let shown = i64::try_from(i128::from(wall) - i128::from(now)).unwrap_or(0);
    if shown.abs_diff(known) <= noise { known } else { shown }
}

pub(super) fn wall_nanos() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanos)
}

/// The time of the system's last tick. Not through `rustix`, which looks for the kernel's function itself
/// and crashes where valgrind hides it.
#[cfg(target_os = "linux")]
fn coarse() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a `timespec` of ours, which is written before the call returns.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut time) };
    debug_assert_eq!(status, 0, "Linux has had this clock since 2.6.32");
    // It is never negative, and its nanoseconds are below a second.
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_is_followed_when_it_steps_and_not_when_it_jitters() {
        const NOW: u64 = 1_700_000_000_000_000_000;
        const HOUR: i64 = 3_600_000_000_000;
        let offset = |known, shown: i64| {
            wall_offset(known, NOW.saturating_add_signed(shown), NOW, WALL_NOISE)
        };
        assert_eq!(offset(0, 50_000), 0);
        assert_eq!(offset(0, 50_001), 50_001);
        assert_eq!(offset(0, -50_001), -50_001);
        assert_eq!(offset(HOUR, HOUR - 30), HOUR);
        assert_eq!(offset(HOUR, 0), 0, "back again");
        assert_eq!(offset(0, -HOUR), -HOUR);
        assert_eq!(wall_offset(0, u64::MAX, 0, WALL_NOISE), 0, "no such time");
    }

    #[test]
    fn the_system_clocks_do_not_go_back() {
        for clock in [SystemClock::start(), SystemClock::start_coarse()] {
            let mut last = clock.moment().now;
            for _ in 0..2_000 {
                let now = clock.moment().now;
                assert!(now >= last, "{now:?} after {last:?}");
                last = now;
            }
        }
    }

    /// It lags behind by a tick at most, and by some ticks where a machine is busy.
    #[test]
    #[cfg(target_os = "linux")]
    fn the_coarse_clock_runs_with_the_precise_one() {
        let (precise, coarse) = (SystemClock::start(), SystemClock::start_coarse());
        let nanos = |clock: &SystemClock| clock.moment().now.as_nanos();
        let begun = nanos(&coarse);
        while nanos(&coarse) == begun {}
        assert!(nanos(&precise).abs_diff(nanos(&coarse)) < 1_000_000_000);
    }
}
