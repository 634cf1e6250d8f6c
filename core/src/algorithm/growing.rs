//! A rate that grows with sustained use, up to a ceiling, and shrinks again with disuse.
//!
//! Level 0 is the rate as it is written, each level above has one `step` more, the last one the ceiling. Burst and
//! `max_debt` grow in proportion to the quota, rounded down.
//!
//! - **A sign of use** is a charge, admitted or late, that leaves the bucket at least half used.
//! - **A stretch** is signs with at most two periods between one and the next: use of half of every window is one
//!   stretch, wherever in the windows it falls. (A gcra bucket is half used when requests come in bursts, or faster
//!   than the rate: what stays below the rate leaves room, and asks for no more.)
//! - **Up**: a sign that makes a stretch last for `after` takes the key one level up, if there is one, and begins
//!   the next stretch.
//! - **Down**: one level whenever `shrink_after` has passed since the last sign or the last step down, at that
//!   very nanosecond; this ends the stretch. There is no timer: whoever looks works out the steps since.
//! - A change of level carries what is used from the old rate to the new one, as an update of the policy does:
//!   of gcra, what was left is left; of windows, what was used is used.
//!
//! A key never seen is at level 0. So is a key whose record is forgotten, and `merge` takes the lower level: growth
//! is a privilege, and the larger use is that of the key with fewer privileges.
//!
//! | word | bits | meaning |
//! | --- | --- | --- |
//! | 0 | 64 | time of the last sign, or of the last step down, + 1; 0: level 0, and no stretch |
//! | 1 | low 6 | level |
//! |   | high 58 | how long the stretch lasted at the last sign, + 1; 0: no stretch |
//! | 2 … | | the words of the level's bucket |
//!
//! A time before the last sign counts as that sign's.

use super::meter::Paid;
use super::{Bucket, Hold, Units};
use crate::clock::Moment;
use crate::rate::{Growth, MAX_GROWTH_SPAN, MAX_LEVELS, Rate};
use crate::time::Timestamp;

/// Words before those of the level's bucket.
const OWN: usize = 2;
/// Most words of a level's bucket: a strict window's.
const INNER: usize = 11;
pub(super) const MAX_WORDS: usize = OWN + INNER;

const LEVEL_BITS: u32 = 6;

/// A bucket for each level.
#[derive(Debug)]
pub(crate) struct Growing {
    levels: Box<[Bucket]>,
    after: u64,
    shrink_after: u64,
    /// Most between two signs of one stretch.
    gap: u64,
    inner_words: usize,
}

/// How far a key has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Climb {
    level: usize,
    /// Of the last sign, or of the last step down.
    since: u64,
    /// How long the stretch lasted then.
    stretch: Option<u64>,
}

impl Climb {
    const NONE: Climb = Climb { level: 0, since: 0, stretch: None };

    fn unpack(words: &[u64]) -> Climb {
        match words[0].checked_sub(1) {
            None => Climb::NONE,
            Some(since) => Climb {
                level: (words[1] & (MAX_LEVELS - 1)) as usize,
                since,
                stretch: (words[1] >> LEVEL_BITS).checked_sub(1),
            },
        }
    }

    fn pack(self, words: &mut [u64]) {
        if self.level == 0 && self.stretch.is_none() {
            words[..OWN].fill(0);
        } else {
            words[0] = self.since + 1;
            // Below 2^58: a stretch begins anew after `MAX_GROWTH_SPAN`.
            let stretch = self.stretch.map_or(0, |lasted| lasted + 1);
            words[1] = stretch << LEVEL_BITS | self.level as u64;
        }
    }

    /// When the next step down is due.
    fn next_step(self, shrink_after: u64) -> Option<u64> {
        let when = self.since.saturating_add(shrink_after);
        (self.level > 0 && when <= Timestamp::MAX.as_nanos()).then_some(when)
    }

    /// Takes all steps down that are due. (Those of a bucket in use are taken one by one: see `Grown`.)
    fn step_down(&mut self, now: u64, shrink_after: u64) {
        let steps = (now.saturating_sub(self.since) / shrink_after).min(self.level as u64);
        if steps > 0 {
            self.level -= steps as usize;
            self.since += steps * shrink_after;
            self.stretch = None;
        }
    }
}

impl Growing {
    pub(crate) fn new(rate: &Rate, growth: &Growth, hold: Option<Hold>) -> Growing {
        let top = growth.steps(rate.quota).min(MAX_LEVELS - 1);
        let levels: Box<[Bucket]> =
            (0..=top).map(|level| Bucket::within(&growth.rate(rate, level), hold)).collect();
        Growing {
            inner_words: levels.iter().map(Bucket::words).max().unwrap_or(0),
            levels,
            after: growth.after.min(MAX_GROWTH_SPAN),
            shrink_after: growth.shrink_after.clamp(1, MAX_GROWTH_SPAN),
            gap: 2 * rate.period.nanos(),
        }
    }

    pub(crate) fn words(&self) -> usize {
        OWN + self.inner_words
    }

    /// Of a key never seen.
    pub(crate) fn quota(&self) -> Units {
        self.levels[0].quota()
    }

    /// Of a key never seen.
    pub(crate) fn capacity(&self) -> Units {
        self.levels[0].capacity()
    }

    /// The level that the key is at.
    pub(crate) fn level(&self, words: &[u64], at: Moment) -> u32 {
        let mut climb = Climb::unpack(words);
        climb.step_down(at.now.as_nanos(), self.shrink_after);
        climb.level as u32
    }

    /// The bucket of that level.
    pub(crate) fn present(&self, words: &[u64], at: Moment) -> &Bucket {
        &self.levels[self.level(words, at) as usize]
    }

    /// Nanoseconds until the next step down.
    pub(crate) fn next_loss(&self, words: &[u64], at: Moment) -> Option<u64> {
        let now = at.now.as_nanos();
        let mut climb = Climb::unpack(words);
        climb.step_down(now, self.shrink_after);
        climb.next_step(self.shrink_after).map(|when| when - now)
    }

    fn see(&self, words: &[u64], at: Moment) -> Grown<'_> {
        let mut inner = [0; INNER];
        inner[..self.inner_words].copy_from_slice(&words[OWN..self.words()]);
        let mut grown = Grown { growing: self, climb: Climb::unpack(words), inner };
        grown.pass(at);
        grown
    }

    pub(crate) fn used(&self, words: &[u64], at: Moment) -> Units {
        let grown = self.see(words, at);
        grown.bucket().used(&grown.inner, at)
    }

    pub(crate) fn room(&self, words: &[u64], at: Moment) -> Units {
        let grown = self.see(words, at);
        grown.bucket().room(&grown.inner, at)
    }

    pub(crate) fn fits(&self, words: &[u64], at: Moment, units: Units) -> bool {
        let grown = self.see(words, at);
        grown.bucket().fits(&grown.inner, at, units)
    }

    pub(crate) fn charge(&self, words: &mut [u64], at: Moment, units: Units) {
        if units > 0 {
            let mut grown = self.see(words, at);
            grown.charge(at, units);
            grown.write(words);
        }
    }

    pub(crate) fn spend(&self, words: &mut [u64], at: Moment, due: Units) -> Units {
        self.pay(words, at, due).paid
    }

    pub(crate) fn pay(&self, words: &mut [u64], at: Moment, due: Units) -> Paid {
        let mut grown = self.see(words, at);
        let paid = due.min(grown.bucket().room(&grown.inner, at));
        if paid > 0 {
            grown.charge(at, paid);
            grown.write(words);
        }
        let room = grown.bucket().room(&grown.inner, at);
        Paid { paid, room, full_after: grown.refilled_after(at) }
    }

    /// `u64::MAX`: never, since the bucket shrinks before.
    pub(crate) fn wait_for(&self, words: &[u64], at: Moment, units: Units) -> u64 {
        let wait = |bucket: &Bucket, inner: &[u64], at: Moment| {
            (units <= bucket.capacity()).then(|| bucket.wait_for(inner, at, units))
        };
        self.see(words, at).first(at, wait).unwrap_or(u64::MAX)
    }

    /// Nanoseconds until the bucket is full, at the level that it is at then.
    pub(crate) fn refilled_after(&self, words: &[u64], at: Moment) -> u64 {
        self.see(words, at).refilled_after(at)
    }

    /// Nanoseconds until the words say no more than those of a key never seen: level 0, no stretch, full.
    pub(crate) fn full_after(&self, words: &[u64], at: Moment) -> u64 {
        self.see(words, at).forgotten_after(at)
    }

    pub(crate) fn mark(&self, words: &[u64], at: Moment) -> u64 {
        let grown = self.see(words, at);
        grown.bucket().mark(&grown.inner, at).payment
    }

    /// A mark must be of the level that the key is at.
    pub(crate) fn refund(
        &self,
        words: &mut [u64],
        at: Moment,
        units: Units,
        mark: Option<u64>,
    ) -> Units {
        let mut grown = self.see(words, at);
        let mark = mark.map(|payment| super::Mark { payment, level: 0 });
        let bucket = &self.levels[grown.climb.level];
        let given = bucket.refund(&mut grown.inner, at, units, mark);
        if given > 0 {
            grown.write(words);
        }
        given
    }

    /// The larger use, at the lower level: at no time a higher one than either's. (A change of level carries whole steps
    /// of gcra from line to line, wherever between two steps each line stands. So of what comes in a nanosecond there
    /// may be as much more left as there are levels to come down.) Debt is cut off at what that level allows, as by an
    /// update.
    pub(crate) fn merge(&self, into: &mut [u64], from: &[u64], at: Moment) {
        let (mut a, mut b) = (self.see(into, at), self.see(from, at));
        let ends = a.shrunk_at().min(b.shrunk_at());
        let level = a.climb.level.min(b.climb.level);
        a.change_level(level, at);
        b.change_level(level, at);
        self.levels[level].merge(&mut a.inner, &b.inner, at);
        // No later than the later one's, so that it is a time.
        let since = ends - u128::from(self.shrink_after) * level as u128;
        a.climb = Climb { level, since: since as u64, stretch: None };
        a.write(into);
    }

    /// Takes over the use under another rate, and of one that grows, the level: the highest whose quota is not more
    /// than the one before. Where the spans are other ones, they begin anew.
    pub(crate) fn carry(&self, old: &Bucket, words: &[u64], new: &mut [u64], at: Moment) {
        let mut grown = self.see(new, at);
        match old {
            Bucket::Growing(old) => {
                let before = old.see(words, at);
                let quota = before.bucket().quota();
                let fit = self.levels.iter().rposition(|bucket| bucket.quota() <= quota);
                grown.climb = match self.spans() == old.spans() {
                    true => before.climb,
                    false => {
                        let since = at.now.as_nanos().max(before.climb.since);
                        Climb { since, stretch: None, ..before.climb }
                    }
                };
                // A key that has not grown does not, whatever its floor is now.
                grown.climb.level = match before.climb.level {
                    0 => 0,
                    _ => fit.unwrap_or(0),
                };
                grown.bucket().carry(before.bucket(), &before.inner, &mut grown.inner, at);
            }
            old => grown.bucket().carry(old, words, &mut grown.inner, at),
        }
        grown.write(new);
    }

    /// The use, without what it has grown, for a rate that does not grow.
    pub(crate) fn carry_to(&self, other: &Bucket, words: &[u64], new: &mut [u64], at: Moment) {
        let grown = self.see(words, at);
        other.carry(grown.bucket(), &grown.inner, new, at);
    }

    fn spans(&self) -> (u64, u64, u64) {
        (self.after, self.shrink_after, self.gap)
    }
}

/// A key's level and its bucket's words, at one moment.
#[derive(Clone)]
struct Grown<'a> {
    growing: &'a Growing,
    climb: Climb,
    inner: [u64; INNER],
}

impl<'a> Grown<'a> {
    fn bucket(&self) -> &'a Bucket {
        &self.growing.levels[self.climb.level]
    }

    fn is_empty(&self) -> bool {
        self.inner == [0; INNER]
    }

    /// Nanoseconds from the epoch, of the step down to level 0 if no sign comes.
    fn shrunk_at(&self) -> u128 {
        let Climb { level, since, .. } = self.climb;
        u128::from(since) + u128::from(self.growing.shrink_after) * level as u128
    }

    fn next_step(&self) -> Option<u64> {
        self.climb.next_step(self.growing.shrink_after)
    }

    /// Brings the key to this time: each step down that was due, at its own time.
    fn pass(&mut self, at: Moment) {
        let now = at.now.as_nanos();
        while let Some(when) = self.next_step().filter(|&when| when <= now) {
            if self.is_empty() {
                self.climb.step_down(now, self.growing.shrink_after);
            } else {
                self.step_down(at.before(now - when));
            }
        }
        if now > self.climb.since.saturating_add(self.growing.gap) {
            self.climb.stretch = None;
        }
    }

    /// The step that is due at this time.
    fn step_down(&mut self, at: Moment) {
        self.change_level(self.climb.level - 1, at);
        self.climb.since += self.growing.shrink_after;
        self.climb.stretch = None;
    }

    fn change_level(&mut self, level: usize, at: Moment) {
        let growing = self.growing;
        if level != self.climb.level {
            let mut inner = [0; INNER];
            growing.levels[level].carry(self.bucket(), &self.inner, &mut inner, at);
            (self.climb.level, self.inner) = (level, inner);
        }
    }

    fn charge(&mut self, at: Moment, units: Units) {
        let bucket = self.bucket();
        bucket.charge(&mut self.inner, at, units);
        if bucket.used(&self.inner, at) >= bucket.capacity().div_ceil(2) {
            self.sign(at);
        }
    }

    fn sign(&mut self, at: Moment) {
        let now = at.now.as_nanos().max(self.climb.since);
        let lasted = self.climb.stretch.map(|lasted| lasted + (now - self.climb.since));
        self.climb.since = now;
        self.climb.stretch = match lasted {
            Some(lasted) if lasted < self.growing.after => Some(lasted),
            Some(_) => {
                let top = self.growing.levels.len() - 1;
                self.change_level((self.climb.level + 1).min(top), at);
                Some(0)
            }
            None => Some(0),
        };
    }

    /// Nanoseconds until something is first true, when nothing happens but steps down: `span` tells of a bucket how
    /// long it takes there. None: never, or `span` said so.
    fn first(
        mut self,
        mut at: Moment,
        span: impl Fn(&Bucket, &[u64], Moment) -> Option<u64>,
    ) -> Option<u64> {
        let mut passed = 0;
        loop {
            let wait = span(self.bucket(), &self.inner, at)?;
            let step = match self.next_step().map(|when| when - at.now.as_nanos()) {
                Some(step) if step <= wait => step,
                _ => return Some(passed + wait),
            };
            at = at.after(step);
            passed += step;
            self.step_down(at);
        }
    }

    fn refilled_after(&self, at: Moment) -> u64 {
        if self.is_empty() {
            return 0;
        }
        let full =
            self.clone().first(at, |bucket, inner, at| Some(bucket.refilled_after(inner, at)));
        full.unwrap_or(0) // `span` never says no
    }

    fn forgotten_after(mut self, mut at: Moment) -> u64 {
        let begin = at.now.as_nanos();
        let shrunk = self.shrunk_at().saturating_sub(u128::from(begin));
        while !self.is_empty()
            && let Some(when) = self.next_step()
        {
            at = at.after(when - at.now.as_nanos());
            self.step_down(at);
        }
        let full = at.now.as_nanos() - begin + self.bucket().full_after(&self.inner, at);
        let Climb { level, since, stretch } = self.climb;
        match level {
            0 if stretch.is_some() => {
                full.max((since + self.growing.gap + 1).saturating_sub(begin))
            }
            0 => full,
            _ => u64::try_from(shrunk).unwrap_or(u64::MAX),
        }
    }

    fn write(&self, words: &mut [u64]) {
        self.climb.pack(words);
        words[OWN..self.growing.words()].copy_from_slice(&self.inner[..self.growing.inner_words]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::{Algorithm, MAX_LATENCY, MAX_PERIOD, MAX_UNITS, Period};
    use proptest::prelude::*;

    fn at(nanos: u64) -> Moment {
        Timestamp::clamped(nanos).into()
    }

    fn rate(quota: u64, period: u64, algorithm: Algorithm, growth: Growth) -> Rate {
        Rate {
            name: String::new(),
            quota,
            period: Period::Nanos(period),
            algorithm,
            max_debt: quota,
            growth: Some(growth),
        }
    }

    fn bucket(rate: &Rate) -> (Bucket, Vec<u64>) {
        let bucket = Bucket::new(rate);
        let words = vec![0; bucket.words()];
        (bucket, words)
    }

    const GROWTH: Growth = Growth { ceiling: 25, step: 10, after: 300, shrink_after: 1_000 };
    const WINDOW: Algorithm = Algorithm::FirstRequestWindow;

    /// 10 in 100 ns, growing by 10 to 25 after 300 ns of use, shrinking after 1000: (ns, charged, quota then)
    const CLIMB: &[(u64, u64, u64)] = &[
        (0, 5, 10),
        (100, 4, 10), // less than half: no sign
        (200, 5, 10), // 200 since the last sign, not more: one stretch still
        (299, 1, 10),
        (300, 5, 20), // used for 300
        (500, 9, 20), // half of 20 it is not
        (500, 1, 20), // now it is: the second stretch has lasted 200
        (599, 1, 20),
        (600, 10, 25), // up to the ceiling
        (800, 13, 25),
        (900, 13, 25), // no higher
        (1_101, 13, 25),
        (1_401, 13, 25), // 300 after the last sign: another stretch
        (2_400, 0, 25),
        (2_401, 0, 20), // without a sign for 1000
        (2_600, 9, 20), // less than half
        (3_400, 0, 20),
        (3_401, 0, 10), // after the next 1000
        (3_500, 5, 10),
        (3_701, 5, 10), // 201 after the last sign: another stretch
        (3_801, 5, 10),
        (3_901, 5, 10),
        (4_001, 5, 20),
        (3_000, 9, 20), // a time that goes back counts as none
        (9_000, 0, 10),
    ];

    #[test]
    fn a_climb_and_its_end() {
        let (bucket, mut words) = bucket(&rate(10, 100, WINDOW, GROWTH));
        for (row, &(now, units, quota)) in CLIMB.iter().enumerate() {
            if units > 0 {
                assert_eq!(bucket.spend(&mut words, at(now), units), units, "row {row}");
            }
            assert_eq!(bucket.quota_now(&words, at(now)), quota, "row {row}");
            assert_eq!(bucket.capacity_now(&words, at(now)), quota, "row {row}");
        }
    }

    /// Brings a key of `GROWTH` to the ceiling; the time then.
    fn climbed(bucket: &Bucket, words: &mut [u64]) -> u64 {
        for now in (0..=600).step_by(100) {
            bucket.charge(words, at(now), 100);
        }
        assert_eq!(bucket.quota_now(words, at(600)), 25);
        600
    }

    #[test]
    fn growing_grants_nothing_at_once() {
        let gcra = Algorithm::Gcra { burst: 10 };
        let (bucket, mut words) = bucket(&rate(10, 100, gcra, GROWTH));
        let now = climbed(&bucket, &mut words);
        assert_eq!(bucket.room(&words, at(now)), 0);
        // The debt of 20 that the level before allowed is paid off at 25 in 100 ns.
        assert_eq!(bucket.used(&words, at(now)), 45);
        assert_eq!(bucket.wait_for(&words, at(now), 1), 84);
        assert_eq!(bucket.room(&words, at(now + 84)), 1);
    }

    #[test]
    fn it_is_forgotten_when_it_has_shrunk() {
        let (bucket, mut words) = bucket(&rate(10, 100, WINDOW, GROWTH));
        let now = climbed(&bucket, &mut words);
        assert_eq!(bucket.refilled_after(&words, at(now)), 100);
        assert_eq!(bucket.full_after(&words, at(now)), 2_000);
        assert_eq!(bucket.full_after(&words, at(2_599)), 1);
        assert_eq!(bucket.full_after(&words, at(2_600)), 0);
        assert_eq!(bucket.quota_now(&words, at(2_599)), 20);
        // A stretch alone is remembered until it is over.
        let mut words = vec![0; bucket.words()];
        bucket.charge(&mut words, at(0), 5);
        assert_eq!(bucket.full_after(&words, at(100)), 101);
        assert_eq!(bucket.full_after(&words, at(201)), 0);
    }

    /// What fits now may not, once the level is lost.
    #[test]
    fn waits_see_the_steps_down() {
        let growth = Growth { shrink_after: 150, ..GROWTH };
        let window = Algorithm::SlidingWindow { strict: false };
        let (bucket, mut words) = bucket(&rate(10, 100, window, growth));
        for now in (0..=600).step_by(100) {
            bucket.charge(&mut words, at(now), 13);
        }
        assert_eq!(bucket.quota_now(&words, at(600)), 25);
        for units in [10, 15, 18, 19, 20, 25] {
            let wait = bucket.wait_for(&words, at(600), units);
            if wait == u64::MAX {
                assert!((0..2_000).all(|span| bucket.room(&words, at(600 + span)) < units));
                continue;
            }
            assert!(bucket.room(&words, at(600 + wait)) >= units, "{units}");
            assert!((0..wait).all(|span| bucket.room(&words, at(600 + span)) < units), "{units}");
        }
        assert_eq!(bucket.wait_for(&words, at(600), 25), u64::MAX);
        // 13 fade from 700 on: 7 are left at 747, and 6 at 754. But from 750 on the quota is 20: 1 is left at 793.
        assert_eq!(bucket.wait_for(&words, at(600), 18), 147);
        assert_eq!(bucket.wait_for(&words, at(600), 19), 193);
    }

    #[test]
    fn burst_and_debt_grow_in_proportion() {
        let gcra = Algorithm::Gcra { burst: 15 };
        let floor = Rate { max_debt: 1, ..rate(10, 100, gcra, GROWTH) };
        let shape = |steps| {
            let rate = GROWTH.rate(&floor, steps);
            let Algorithm::Gcra { burst } = rate.algorithm else { unreachable!() };
            (rate.quota, burst, rate.max_debt)
        };
        assert_eq!(GROWTH.steps(10), 2);
        assert_eq!([shape(0), shape(1), shape(2)], [(10, 15, 1), (20, 30, 2), (25, 37, 2)]);
    }

    #[test]
    fn an_update_keeps_the_level_that_grants_no_more() {
        let (old, mut words) = bucket(&rate(10, 100, WINDOW, GROWTH));
        let now = climbed(&old, &mut words);
        // (floor, growth, quota then)
        let other = Growth { ceiling: 60, step: 4, ..GROWTH };
        for (floor, growth, quota) in [
            (10, GROWTH, 25),
            (10, other, 22),
            (30, other, 30),
            (1, Growth { ceiling: 3, step: 1, ..GROWTH }, 3),
        ] {
            let (new, mut carried) = bucket(&rate(floor, 100, WINDOW, growth));
            new.carry(&old, &words, &mut carried, at(now));
            assert_eq!(new.quota_now(&carried, at(now)), quota);
            assert_eq!(
                new.used(&carried, at(now)),
                100.min(2 * quota).min(old.used(&words, at(now)))
            );
        }
        // To a rate that does not grow, and back: the use stays, the level is gone.
        let (plain, mut flat) = bucket(&Rate { growth: None, ..rate(30, 100, WINDOW, GROWTH) });
        plain.carry(&old, &words, &mut flat, at(now));
        assert_eq!(plain.used(&flat, at(now)), old.used(&words, at(now)));
        let mut again = vec![0; old.words()];
        old.carry(&plain, &flat, &mut again, at(now));
        assert_eq!((old.quota_now(&again, at(now)), old.used(&again, at(now))), (10, 20));
    }

    #[test]
    fn extremes_neither_wrap_nor_panic() {
        let spans = [1, MAX_GROWTH_SPAN];
        let quotas = [(1, MAX_UNITS), (MAX_UNITS / 64, MAX_UNITS), (1 << 58, MAX_LATENCY)];
        for (quota, ceiling) in quotas {
            let algorithms = [
                Algorithm::Gcra { burst: quota },
                Algorithm::Gcra { burst: 1 },
                Algorithm::SlidingWindow { strict: false },
                Algorithm::SlidingWindow { strict: true },
                Algorithm::FirstRequestWindow,
            ];
            for (algorithm, span) in algorithms.iter().flat_map(|a| spans.map(|span| (a, span))) {
                let step = ceiling.div_ceil(63);
                let growth = Growth { ceiling, step, after: span, shrink_after: span };
                let period = if quota < 1 << 54 { MAX_PERIOD } else { 1_000 };
                let (bucket, mut words) = bucket(&rate(quota, period, algorithm.clone(), growth));
                assert_eq!(bucket.quota_now(&words, at(0)), quota);
                for now in [0, 1, 2, span, 1 << 61, (1 << 62) - 2, (1 << 62) - 1] {
                    bucket.charge(&mut words, at(now), u64::MAX);
                    assert_eq!(bucket.room(&words, at(now)), 0);
                    assert!(bucket.wait_for(&words, at(now), 1) > 0);
                    assert!(bucket.refilled_after(&words, at(now)) > 0);
                    assert!(bucket.full_after(&words, at(now)) > 0);
                    let other = words.clone();
                    bucket.merge(&mut words, &other, at(now));
                    let mark = bucket.mark(&words, at(now));
                    bucket.refund(&mut words, at(now), u64::MAX, Some(mark));
                    bucket.refund(&mut words, at(now), u64::MAX, None);
                    assert_eq!(bucket.used(&words, at(now)), 0);
                }
            }
        }
    }

    fn some_algorithm(number: usize) -> Algorithm {
        match number {
            0 => Algorithm::Gcra { burst: 120 },
            1 => Algorithm::SlidingWindow { strict: false },
            2 => Algorithm::SlidingWindow { strict: true },
            _ => Algorithm::FirstRequestWindow,
        }
    }

    /// A way through time: (ns since the last, percent of the capacity)
    type Way = Vec<(u64, u64)>;

    fn way() -> impl Strategy<Value = Way> {
        prop::collection::vec((0u64..250, 0u64..200), 0..25)
    }

    fn go(
        bucket: &Bucket,
        way: &Way,
        charge: impl Fn(&Bucket, &mut [u64], Moment, Units),
    ) -> (Vec<u64>, u64) {
        let (mut words, mut now) = (vec![0; bucket.words()], 0);
        for &(pass, percent) in way {
            now += pass;
            let units = bucket.capacity_now(&words, at(now)) * percent / 100;
            charge(bucket, &mut words, at(now), units);
        }
        (words, now)
    }

    proptest! {
        /// The larger of two has no more room than either, ever, nor a higher level. A level to come down may be worth
        /// a nanosecond. (Without debt: what of it a lower level does not allow is cut off sooner by a merge than by a
        /// step down.)
        #[test]
        fn the_larger_of_two(
            ways in [way(), way()],
            algorithm in 0usize..4,
            shrink_after in 1u64..1_000,
            coarse in any::<bool>(),
            later in prop::collection::vec(0u64..3_000, 1..20),
        ) {
            // Steps of several units, or several steps to a unit.
            let (quota, ceiling, step) = if coarse { (100, 300, 30) } else { (7, 21, 2) };
            let growth = Growth { ceiling, step, after: 150, shrink_after };
            let bucket = Bucket::new(&rate(quota, 100, some_algorithm(algorithm), growth));
            let [(a, then), (b, now)] = ways.map(|way| {
                go(&bucket, &way, |bucket, words, at, units| _ = bucket.spend(words, at, units))
            });
            let now = now.max(then);
            let mut both = a.clone();
            bucket.merge(&mut both, &b, at(now));
            let level = |words: &[u64]| u64::from(bucket.level(words, at(now)));
            let worth = |nanos: u64| if algorithm == 0 { (nanos * ceiling).div_ceil(100) } else { 0 };
            let slack = [&a, &b].map(|one| worth(level(one) + level(&both)));
            for span in later {
                let at = at(now + span);
                for (one, slack) in [&a, &b].into_iter().zip(slack) {
                    let (room, most) = (bucket.room(&both, at), bucket.room(one, at) + slack);
                    prop_assert!(room <= most, "after {span}: {room}, {most}");
                    prop_assert!(bucket.quota_now(&both, at) <= bucket.quota_now(one, at));
                }
            }
        }

        /// A key that is not looked at stands as one that is looked at all the time.
        #[test]
        fn looking_changes_nothing(
            way in way(),
            shrink_after in 10u64..200,
            looks in prop::collection::vec(0u64..150, 1..20),
        ) {
            let growth = Growth { ceiling: 300, step: 30, after: 40, shrink_after };
            let gcra = Algorithm::Gcra { burst: 120 };
            let (bucket, _) = bucket(&rate(100, 100, gcra, growth));
            let (mut words, mut now) = go(&bucket, &way, Bucket::charge);
            let Bucket::Growing(growing) = bucket else { unreachable!() };
            let untouched = words.clone();
            for pass in looks {
                now += pass;
                growing.see(&words, at(now)).write(&mut words);
                prop_assert_eq!(growing.room(&words, at(now)), growing.room(&untouched, at(now)));
                prop_assert_eq!(growing.used(&words, at(now)), growing.used(&untouched, at(now)));
                prop_assert_eq!(growing.level(&words, at(now)), growing.level(&untouched, at(now)));
                let full = growing.full_after(&untouched, at(now));
                prop_assert_eq!(growing.full_after(&words, at(now)), full);
            }
        }

        /// Waits end when they say, and not a nanosecond before, also where a step down comes between.
        #[test]
        fn waits_are_exact(way in way(), algorithm in 0usize..4, shrink_after in 1u64..60) {
            let growth = Growth { ceiling: 300, step: 30, after: 40, shrink_after };
            let (bucket, _) = bucket(&rate(100, 100, some_algorithm(algorithm), growth));
            let (words, now) = go(&bucket, &way, Bucket::charge);
            let capacity = bucket.capacity_now(&words, at(now));
            for units in [1, capacity / 2, capacity] {
                let wait = bucket.wait_for(&words, at(now), units);
                let fits = |span: u64| bucket.fits(&words, at(now + span), units);
                match (0..1_500).find(|&span| fits(span)) {
                    Some(first) => prop_assert_eq!(wait, first, "{} units", units),
                    None => prop_assert_eq!(wait, u64::MAX, "{} units", units),
                }
            }
            let refilled = bucket.refilled_after(&words, at(now));
            let full = (0..1_500).find(|&span| bucket.used(&words, at(now + span)) == 0);
            prop_assert_eq!(Some(refilled), full);
        }
    }
}
