//! From the processor's counter to time. Pure: knows no clock, and is told what the clocks showed.
//!
//! Between two looks at the system's clock time is a straight line over the counter, for 10 ms. Its
//! slope is what the two clocks did between the last two looks. At the end of a line comes the next
//! look ([`Course::next`]), and the next line begins where the system's clock is, or where the last one
//! ended, if that is later: then it is flatter, by as much as brings it to the system's clock.
//!
//! Nobody is told a time by a line after its end. So no time is later than the next line's beginning,
//! and time never goes back, however late the next line comes.
//!
//! A counter that leaves the line, forth or back, ends it. One that goes back and stays inside it, which
//! only a suspended or migrated machine can do, goes unnoticed for the rest of the 10 ms.
//!
//! The system's clock may be slewed by up to 500 ppm, which is 5 µs in a line's 10 ms; two readings of
//! 1 µs error each add 3 µs. A counter that strays further gets no line until it was measured anew, and
//! none any more when it has done so too often.

use crate::clock::Moment;
use crate::time::Timestamp;

/// How long a line is, in ns, and how long it takes to measure a slope.
pub(super) const INTERVAL: u64 = 10_000_000;
/// No line begins later, so that all that are told by one lie within [`Timestamp::MAX`].
pub(super) const LATEST: u64 = Timestamp::MAX.as_nanos() - 2 * INTERVAL;
/// A slope measured over less time than this is not exact enough.
const SHORTEST: u64 = INTERVAL / 2;
/// The widest look at both clocks, in ns: its error is half of it.
const WIDEST: u64 = 2_000;
/// A slope may differ from the one before by a 2,000th: 500 ppm.
const STEADY: u64 = 2_000;
/// Slopes are 32.32 fixed point, in ns a tick: counters of 1 MHz to 100 GHz.
const SLOPES: std::ops::RangeInclusive<u64> = ((1 << 32) / 100)..=((1 << 32) * 1_000);
/// A stumble counts 16, a good line one back: a counter that stumbles at every 16th line, four times in
/// a row at the worst, is given up.
const STUMBLE: u32 = 16;
const GIVEN_UP: u32 = 4 * STUMBLE;
/// Without a counter the clocks are still looked at once in so many ns: somebody may set the one on the wall.
const WALL_LOOK: u64 = 1_000_000_000;

/// What the clocks showed at one instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) counter: u64,
    /// The system's monotonic clock, in ns since the epoch.
    pub(super) nanos: u64,
    /// Within how many nanoseconds all were read.
    pub(super) width: u64,
}

/// What calls read: time as a line over the counter, or the advice to ask the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// Where it begins, by the counter.
    pub(super) counter: u64,
    /// For how many ticks it holds; 0: ask the system.
    pub(super) lasts: u64,
    pub(super) slope: u64,
    /// Where it begins, in ns since the epoch, at most [`Timestamp::MAX`], by the monotonic clock …
    pub(super) nanos: u64,
    /// … and by the wall clock.
    pub(super) wall: u64,
    /// The time of the next look at the clocks, if the system is asked until then; else 0.
    pub(super) due: u64,
}

impl Line {
    /// The time when the counter shows `counter`, if the line holds then.
    #[inline(always)]
    pub(super) fn at(&self, counter: u64) -> Option<Moment> {
        // Before the beginning is far behind the end, too.
        let ticks = counter.wrapping_sub(self.counter);
        // Two compares in one: `lasts` is 0 where there is no line.
        (ticks < self.lasts).then(|| {
            let span = self.span(ticks);
            // In range: see `LATEST`. (Words of two lines make any number, which nobody is told.)
            let time = |beginning: u64| Timestamp::in_range(beginning.wrapping_add(span));
            Moment { now: time(self.nanos), wall: time(self.wall) }
        })
    }

    /// The time while the system's clock is asked and shows `system`; `None` when a look is due.
    pub(super) fn asking(&self, system: u64) -> Option<Moment> {
        (system < self.due).then(|| self.not_before_end(system))
    }

    /// `system`, or the latest time that anybody was told, if that is later.
    pub(super) fn not_before_end(&self, system: u64) -> Moment {
        self.after(system.saturating_sub(self.nanos).max(self.span(self.lasts)))
    }

    /// Where it begins.
    pub(super) fn beginning(&self) -> Moment {
        self.after(0)
    }

    /// Nanoseconds that `ticks` are; at most `lasts`, so that the product is below 2^56.
    #[inline(always)]
    fn span(&self, ticks: u64) -> u64 {
        ticks.wrapping_mul(self.slope) >> 32
    }

    /// The sums stay below 2^64: the line begins before 2^62, and `system` lies in it.
    #[inline(always)]
    fn after(&self, span: u64) -> Moment {
        Moment {
            now: Timestamp::clamped(self.nanos.wrapping_add(span)),
            wall: Timestamp::clamped(self.wall.wrapping_add(span)),
        }
    }
}

/// The line in force, and what the next one is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course {
    pub(super) line: Line,
    seen: Reading,
    /// Measured between the last two readings; 0: not yet.
    slope: u64,
    stumbles: u32,
}

impl Course {
    /// The system is asked for the first [`INTERVAL`]. A calibration that waits for it, as other
    /// libraries do, would block the caller for up to 200 ms.
    pub(super) fn start(reading: Reading) -> Course {
        let line = asked_from(reading.nanos, INTERVAL);
        Course { line, seen: reading, slope: 0, stumbles: 0 }
    }

    /// The course from a look at the clocks on.
    pub(super) fn next(&self, reading: Reading) -> Course {
        let begin = reading.nanos.max(self.line.not_before_end(0).now.as_nanos());
        let trusted = self.stumbles < GIVEN_UP && begin <= LATEST;
        match self.measured(reading).filter(|_| trusted) {
            Some(slope) => self.along(slope, begin, reading),
            None => self.stumbled(begin, reading),
        }
    }

    /// Ticks to nanoseconds since the last reading; `None` when that cannot be right.
    fn measured(&self, reading: Reading) -> Option<u64> {
        let elapsed = reading.nanos.checked_sub(self.seen.nanos)?;
        let ticks = reading.counter.wrapping_sub(self.seen.counter);
        let exact = self.seen.width.max(reading.width) <= WIDEST && elapsed >= SHORTEST;
        // A counter that went back has gone on too far for any slope.
        if !exact || ticks == 0 {
            return None;
        }
        let slope = u64::try_from((u128::from(elapsed) << 32) / u128::from(ticks)).ok()?;
        let steady = self.slope == 0 || slope.abs_diff(self.slope) <= self.slope / STEADY;
        (SLOPES.contains(&slope) && steady).then_some(slope)
    }

    fn along(&self, slope: u64, begin: u64, reading: Reading) -> Course {
        // Half as fast at the least: what is far ahead is met in several lines.
        let ahead = (begin - reading.nanos).min(INTERVAL / 2);
        let less = u128::from(slope) * u128::from(ahead) / u128::from(INTERVAL);
        let line = Line {
            counter: reading.counter,
            lasts: (INTERVAL << 32) / slope,
            slope: slope - less as u64,
            nanos: begin,
            wall: begin,
            due: 0,
        };
        // A slope that could be compared with no other proves nothing.
        let good = u32::from(self.slope != 0);
        Course { line, seen: reading, slope, stumbles: self.stumbles.saturating_sub(good) }
    }

    /// A suspended machine, a migrated one, a counter that is not steady, a reading that took long.
    fn stumbled(&self, begin: u64, reading: Reading) -> Course {
        let stumbles = self.stumbles.saturating_add(STUMBLE);
        let pause = if stumbles >= GIVEN_UP { WALL_LOOK } else { INTERVAL };
        let line = Line { due: reading.nanos.saturating_add(pause), ..asked_from(begin, 0) };
        if reading.width > WIDEST && self.seen.width <= WIDEST {
            // The last reading is the better one to measure from.
            return Course { line, stumbles, ..*self };
        }
        Course { line, seen: reading, slope: 0, stumbles }
    }
}

/// No line: the system is asked, from `begin` on, for `span`.
fn asked_from(begin: u64, span: u64) -> Line {
    Line { nanos: begin, wall: begin, due: begin.saturating_add(span), ..Line::default() }
}

#[cfg(all(test, not(loom)))]
impl Course {
    pub(super) fn is_given_up(&self) -> bool {
        self.stumbles >= GIVEN_UP
    }

    pub(super) fn has_stumbled(&self) -> bool {
        self.stumbles > 0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: u64 = 1_700_000_000_000_000_000;
    const MS: u64 = 1_000_000;
    const HOUR: u64 = 3_600_000 * MS;
    const BOUND: u64 = 10_000;
    const GHZ: u64 = 1 << 32;

    /// A machine: two clocks, somebody who asks for the time, and what he was told last.
    struct Machine {
        system: u64,
        /// The counter, and its ticks a nanosecond, both with 32 fraction bits.
        ticks: u128,
        rate: u64,
        course: Course,
        told: u64,
        /// A look at the clocks takes this long before and after the counter is read.
        looks: (u64, u64),
    }

    impl Machine {
        fn new(rate: u64, counter: u64) -> Machine {
            let reading = Reading { counter, nanos: START, width: 0 };
            let course = Course::start(reading);
            let ticks = u128::from(counter) << 32;
            Machine { system: START, ticks, rate, course, told: START, looks: (20, 30) }
        }

        fn counter(&self) -> u64 {
            // The counter wraps.
            (self.ticks >> 32) as u64
        }

        fn pass(&mut self, nanos: u64) {
            self.system += nanos;
            self.ticks += u128::from(nanos) * u128::from(self.rate);
        }

        /// The counter alone moves, also back.
        fn jump(&mut self, ticks: i64) {
            let ticks = self.counter().wrapping_add_signed(ticks);
            self.ticks = u128::from(ticks) << 32;
            if self.course.line.at(ticks).is_some() {
                // Inside a line nobody can see it go back.
                self.told = 0;
            }
        }

        fn look(&mut self) -> Reading {
            let before = self.system;
            self.pass(self.looks.0);
            let counter = self.counter();
            self.pass(self.looks.1);
            let width = self.system - before;
            Reading { counter, nanos: before + width / 2, width }
        }

        /// What `anchored` does, without its lock. Time never goes back.
        fn ask(&mut self) -> u64 {
            let line = self.course.line;
            let moment = match line.at(self.counter()).or_else(|| line.asking(self.system)) {
                Some(moment) => moment,
                None => {
                    let reading = self.look();
                    self.course = self.course.next(reading);
                    self.course.line.beginning()
                }
            };
            let now = moment.now.as_nanos();
            assert!(now >= self.told, "back from {} to {now}: {:?}", self.told, self.course);
            self.told = now;
            now
        }

        /// How far the time that is told is from the system's.
        fn error(&mut self) -> u64 {
            let before = self.system;
            let now = self.ask();
            // A look takes its time: any instant of it is right.
            if now < before { before - now } else { now.saturating_sub(self.system) }
        }

        fn worst(&mut self, nanos: u64, step: u64) -> u64 {
            let mut worst = 0;
            for _ in 0..nanos / step {
                self.pass(step);
                worst = worst.max(self.error());
            }
            worst
        }

        fn has_line(&self) -> bool {
            self.course.line.lasts > 0
        }
    }

    /// `rate` and so many parts per million.
    fn off(rate: u64, ppm: i64) -> u64 {
        let part = i128::from(rate) * i128::from(ppm) / 1_000_000;
        rate.saturating_add_signed(i64::try_from(part).unwrap())
    }

    #[test]
    fn first_the_system_then_the_counter() {
        let mut machine = Machine::new(3 * GHZ, 5);
        for _ in 0..99 {
            machine.pass(INTERVAL / 100);
            assert_eq!(machine.ask(), machine.system);
            assert!(!machine.has_line());
        }
        machine.pass(INTERVAL / 100);
        machine.ask();
        assert!(machine.has_line());
        assert!(machine.worst(10 * INTERVAL, 7_919) <= 20);
        assert!(!machine.course.has_stumbled());
    }

    #[test]
    fn counters_of_all_speeds() {
        let cases = [
            (GHZ / 1_000 + 1_000, true, "1 MHz and a bit"),
            (GHZ / 1_000 - 1_000, false, "too slow to be exact"),
            (GHZ * 24 / 1_000, true, "24 MHz"),
            (GHZ, true, "1 GHz"),
            (3 * GHZ + 12_345, true, "3 GHz"),
            (99 * GHZ, true, "99 GHz"),
            (101 * GHZ, false, "no such counter"),
            (0, false, "a counter that stands still"),
        ];
        for (rate, runs, name) in cases {
            let mut machine = Machine::new(rate, u64::MAX - 1_000_000);
            let worst = machine.worst(20 * INTERVAL, 10_007);
            assert_eq!(machine.has_line(), runs, "{name}");
            assert_eq!(machine.course.is_given_up(), !runs, "{name}");
            // A tick of the slowest is a microsecond.
            assert!(worst <= 3_000, "{name}: {worst} ns");
        }
    }

    #[test]
    fn a_wrong_slope_is_made_good() {
        for ppm in [-200, -1, 0, 1, 200, 499] {
            let mut machine = Machine::new(3 * GHZ, 0);
            let slope = off(GHZ / 3, ppm);
            let reading = machine.look();
            let course = Course { slope, ..machine.course };
            machine.course = course.along(slope, reading.nanos, reading);
            let first = machine.worst(INTERVAL, 499);
            assert!(
                first.abs_diff(INTERVAL * ppm.unsigned_abs() / 1_000_000) < 100,
                "{ppm}: {first}"
            );
            // The second begins where the first one ended.
            machine.worst(INTERVAL, 499);
            let then = machine.worst(5 * INTERVAL, 499);
            assert!(then <= 40, "{ppm}: {then} ns");
            assert!(!machine.course.has_stumbled(), "{ppm}");
        }
    }

    #[test]
    fn a_counter_that_jumps_or_sleeps_is_met_again() {
        let second = 3_000_000_000;
        let jumps = [
            1,
            -1,
            30_000,
            -30_000,
            15_000_000,
            second,
            -second,
            3_600 * second,
            i64::MIN,
            i64::MAX,
        ];
        for jump in jumps {
            let mut machine = Machine::new(3 * GHZ, 1 << 40);
            machine.worst(5 * INTERVAL + 1_234_567, 1_000);
            machine.jump(jump);
            let worst = machine.worst(4 * INTERVAL, 1_000);
            assert!(worst <= INTERVAL, "{jump}: {worst} ns");
            let then = machine.worst(4 * INTERVAL, 1_000);
            assert!(then <= BOUND && machine.has_line(), "{jump}: {then} ns");
            machine.worst(20 * INTERVAL, 10_000);
            assert!(!machine.course.has_stumbled(), "{jump} is forgiven");
        }
    }

    /// The system's clock goes on while the counter does not, and the other way round.
    #[test]
    fn a_suspended_machine() {
        for (system, counter) in [(HOUR, 0), (0, 3 * HOUR as i64), (HOUR, -(1 << 39))] {
            let mut machine = Machine::new(3 * GHZ, 1 << 40);
            machine.worst(5 * INTERVAL, 1_000);
            machine.system += system;
            machine.jump(counter);
            machine.worst(2 * INTERVAL, 1_000);
            assert!(machine.worst(4 * INTERVAL, 1_000) <= BOUND);
            assert!(machine.has_line());
        }
    }

    #[test]
    fn an_unsteady_counter_is_given_up_for_good() {
        let mut machine = Machine::new(3 * GHZ, 0);
        for turn in 0..40 {
            machine.rate = off(3 * GHZ, if turn % 2 == 0 { 0 } else { 20_000 });
            machine.worst(INTERVAL, 50_000);
        }
        assert!(machine.course.is_given_up());
        machine.rate = 3 * GHZ;
        machine.pass(HOUR);
        assert_eq!(machine.worst(100 * INTERVAL, MS), 0);
        assert!(!machine.has_line());
    }

    /// Windows of the clock follow the wall clock whatever the counter is worth.
    #[test]
    fn without_a_counter_the_clocks_are_looked_at_each_second() {
        let mut machine = Machine::new(0, 0);
        machine.worst(20 * INTERVAL, MS);
        assert!(machine.course.is_given_up());
        for _ in 0..100 {
            let seen = machine.course.seen.nanos;
            machine.pass(1_000 * MS);
            machine.ask();
            assert!(machine.course.seen.nanos > seen, "nobody has looked at the clocks");
            assert!(machine.course.is_given_up() && !machine.has_line());
        }
    }

    #[test]
    fn a_look_that_was_interrupted_makes_no_line_and_spoils_none() {
        let mut machine = Machine::new(3 * GHZ, 0);
        machine.worst(5 * INTERVAL, 1_000);
        let slope = machine.course.slope;
        machine.looks = (30, 4 * MS);
        while machine.has_line() {
            machine.pass(1_000);
            machine.ask();
        }
        assert_eq!(machine.course.slope, slope, "what is known stays known");
        machine.looks = (20, 30);
        // The interrupted look was told as its middle.
        machine.worst(INTERVAL, 1_000);
        assert!(machine.worst(4 * INTERVAL, 1_000) <= 40);
        assert!(machine.has_line());
        // Not even when it was the first of all.
        let late = Reading { width: 5 * MS, ..machine.look() };
        let first = Course::start(late);
        let reading =
            Reading { counter: late.counter + 9 * MS, nanos: late.nanos + INTERVAL, width: 50 };
        let second = first.next(reading);
        assert_eq!((second.line.lasts, second.slope), (0, 0));
    }

    #[test]
    fn ten_years() {
        let mut machine = Machine::new(3 * GHZ + 77, u64::MAX - (1 << 40));
        for hour in 0..10 * 365 * 24 {
            machine.pass(HOUR - 3 * INTERVAL);
            machine.error();
            // NTP: half a part per million more or less.
            machine.rate = off(3 * GHZ + 77, if hour % 3 == 0 { -1 } else { 1 });
            let worst = machine.worst(3 * INTERVAL, 3 * MS);
            assert!(worst <= 100, "hour {hour}: {worst} ns");
        }
        assert!(!machine.course.has_stumbled());
    }

    #[test]
    fn at_the_end_of_time_it_stands() {
        let last = Timestamp::MAX.as_nanos();
        let mut course = Course::start(Reading { counter: 0, nanos: last - INTERVAL, width: 0 });
        for turn in 1..=20 {
            let counter = turn * 30_000_000;
            course = course.next(Reading { counter, nanos: last, width: 0 });
            let end = course.line.at(counter + 20_000_000).map_or(last, |it| it.now.as_nanos());
            assert_eq!(end, last);
        }
        assert_eq!(course.line.asking(last).map(|it| it.now), Some(Timestamp::MAX));
    }

    #[test]
    fn no_line_leads_beyond_the_end_of_time() {
        let begin = Timestamp::MAX.as_nanos() - 6 * INTERVAL;
        let mut course = Course::start(Reading { counter: 0, nanos: begin, width: 0 });
        let mut lines = 0;
        for turn in 1..=6 {
            let (counter, nanos) = (turn * 3 * INTERVAL, begin + turn * INTERVAL);
            course = course.next(Reading { counter, nanos, width: 0 });
            if let Some(end) = course.line.at(counter + course.line.lasts.saturating_sub(1)) {
                assert!(end.now.max(end.wall) <= Timestamp::MAX, "{end:?}");
                lines += 1;
            }
        }
        assert_eq!(lines, 4, "those that begin two lines before the end at the latest");
    }

    proptest! {
        /// Rates that NTP slews, calls at any distance, looks of up to 2 µs: within 10 µs, never back.
        #[test]
        fn near_the_system(
            rate in prop::sample::select(vec![GHZ * 24 / 1_000, GHZ, 3 * GHZ + 12_345]),
            counter in any::<u64>(),
            steps in prop::collection::vec((-250_i64..=250, 0..1_000_u64, 0..1_000_u64, 1..40 * MS, 1_000..MS), 1..60),
        ) {
            let mut machine = Machine::new(rate, counter);
            for (ppm, before, after, nanos, step) in steps {
                machine.rate = off(rate, ppm);
                machine.looks = (before, after);
                machine.pass(nanos);
                let worst = machine.error().max(machine.worst(2 * INTERVAL, step));
                prop_assert!(worst <= BOUND, "{worst} ns off: {:?}", machine.course);
            }
        }

        /// Whatever the clocks show: no panic, and never back.
        #[test]
        fn never_back(
            readings in prop::collection::vec((any::<u64>(), 0..1_u64 << 62, any::<u64>(), any::<u64>(), 0..4_000_u64), 1..50),
            near in any::<bool>(),
        ) {
            let mut course = Course::start(Reading { counter: 0, nanos: 0, width: 0 });
            let (mut told, mut counter, mut nanos) = (0, 0_u64, 0);
            for (ticks, span, sooner, width, narrow) in readings {
                // Half of them as near to each other as calls are, so that there are lines.
                let (ticks, span) = if near { (ticks % 40_000_000, span % 15_000_000) } else { (ticks, span) };
                counter = counter.wrapping_add(ticks);
                nanos = (nanos + span).min(Timestamp::MAX.as_nanos());
                let seen = course.line.at(counter.wrapping_sub(sooner % 1_000_000)).or(course.line.asking(nanos));
                if let Some(moment) = seen {
                    prop_assert!(moment.now <= course.line.not_before_end(nanos).now);
                    told = told.max(moment.now.as_nanos());
                }
                course = course.next(Reading { counter, nanos, width: if near { narrow } else { width } });
                let begin = course.line.beginning().now.as_nanos();
                prop_assert!(begin >= told, "{begin} after {told}");
                told = begin;
            }
        }
    }
}
