//! Permits that are reclaimed when their holder does not come back: a lease of `max_hold`.
//!
//! Time is cut into generations of `max_hold` ÷ 4, rounded up. A permit is counted in the generation that it was
//! taken in, until the fifth one from there begins: for at least `max_hold`, and for at most one generation more
//! (and 3 ns: four generations may be that much longer than `max_hold`). So no more permits than the quota are out,
//! as long as nobody keeps one for longer than `max_hold`.
//!
//! | word | bits | meaning |
//! | --- | --- | --- |
//! | 0 | 64 | newest generation with a change: time ÷ span |
//! | 1 … 3 | 32 each | five counters, generation g in counter g mod 5 |
//!
//! **Who gives back which.** A holder need not say which permit is its own: without a mark, `refund` takes the
//! *oldest* one off the count, and `renew` moves the oldest. That can only delay the reclaiming of somebody
//! else's permit. Call a count *safe* when, for every generation x, at least as many permits are counted in
//! x and later as there are holders (within their time) who took theirs in x or later: then nobody's permit is
//! reclaimed before its time, for that would leave fewer permits than holders from some generation on. Empty is safe.
//! A permit taken adds one to both sides. Reclaiming takes away only counts of a generation whose holders are
//! past their time. A holder of generation h leaves, and the oldest counted one, of m, goes: for x ≤ min(h, m)
//! both sides lose one; for m < x ≤ h only the holders do; for h < x ≤ m all that is counted lies in x or later, and is
//! at least one more than the holders there, since the one who leaves is not among them. So it is safe still.
//! (Had the *newest* been taken, the older ones would be reclaimed while holders of a newer permit still work.)
//! With a mark h both sides lose one for x ≤ h.
//!
//! A holder past its time has no permit any more. With a mark its refund does nothing; without one it would take
//! somebody else's, which is why whoever may be late should bring its mark.
//!
//! A time before the newest generation counts as that generation: it never goes back.

use super::Units;
use super::meter::{Meter, Standing};
use crate::clock::Moment;

/// Generations that are counted: those that `max_hold` spans, and the one that it began in.
const GENERATIONS: u64 = 5;
const COUNTERS: usize = 5;

/// A number of permits, each out for a time.
#[derive(Debug)]
pub(crate) struct Leases {
    quota: Units,
    span: u64,
}

#[derive(Clone, Copy)]
struct Ring {
    newest: u64,
    counts: [Units; COUNTERS],
}

impl Leases {
    /// `quota` at most 2^32 − 1, `max_hold` at least 1 ns and at most `MAX_PERIOD`.
    pub(crate) fn new(quota: Units, max_hold: u64) -> Leases {
        Leases { quota, span: max_hold.div_ceil(GENERATIONS - 1).max(1) }
    }

    pub(crate) fn words(&self) -> usize {
        1 + COUNTERS.div_ceil(2)
    }

    pub(crate) fn quota(&self) -> Units {
        self.quota
    }

    pub(crate) fn capacity(&self) -> Units {
        self.quota
    }

    fn unpack(&self, words: &[u64]) -> Ring {
        let half = |i: usize| (words[1 + i / 2] >> (32 * (i % 2))) & u64::from(u32::MAX);
        Ring { newest: words[0], counts: std::array::from_fn(half) }
    }

    fn pack(&self, words: &mut [u64], ring: &Ring) {
        words[0] = ring.newest;
        for (word, pair) in words[1..].iter_mut().zip(ring.counts.chunks(2)) {
            *word = pair[0] | pair.get(1).copied().unwrap_or(0) << 32;
        }
    }

    pub(crate) fn merge(&self, into: &mut [u64], from: &[u64]) {
        let (a, b) = (self.unpack(into), self.unpack(from));
        let newest = a.newest.max(b.newest);
        let (mut a, b) = (a.moved_to(newest), b.moved_to(newest));
        for (count, other) in a.counts.iter_mut().zip(b.counts) {
            *count = (*count).max(other);
        }
        self.pack(into, &a);
    }

    /// Takes over the permits that are out under `old`. With another `max_hold`, each counts as if it had been taken
    /// under this one, as late as it can have been.
    pub(crate) fn carry(&self, old: &Leases, words: &[u64], new: &mut [u64], at: Moment) {
        let Held { ring, used, .. } = old.see(words, at);
        if used == 0 {
            return;
        }
        if self.span == old.span {
            return self.pack(new, &ring);
        }
        // Of now's generation of the old ring, what has not begun yet is not when they were taken.
        let now = at.now.as_nanos().max(ring.newest * old.span);
        let mut moved = Ring { newest: now / self.span, counts: [0; COUNTERS] };
        for (generation, count) in ring.alive() {
            let taken = ((generation + 1) * old.span - 1).min(now);
            moved.add(taken / self.span, count);
        }
        self.pack(new, &moved);
    }

    /// Takes over permits that had no time: they are as if taken now.
    pub(crate) fn begin(&self, out: Units, new: &mut [u64], at: Moment) {
        if out > 0 {
            let mut held = self.see(new, at);
            held.charge(out);
            held.write(new);
        }
    }

    /// Moves one permit to the newest generation: that of the mark, else the oldest. Returns the new mark; none when
    /// there was none to move.
    pub(crate) fn renew(&self, words: &mut [u64], at: Moment, mark: Option<u64>) -> Option<u64> {
        let mut held = self.see(words, at);
        if held.refund(1, mark) == 0 {
            return None;
        }
        held.charge(1);
        held.write(words);
        Some(held.mark())
    }
}

impl Ring {
    fn moved_to(mut self, generation: u64) -> Ring {
        if generation > self.newest {
            for fresh in 0..(generation - self.newest).min(GENERATIONS) {
                self.counts[index(generation - fresh)] = 0;
            }
            self.newest = generation;
        }
        self
    }

    /// Generations with permits, the oldest first.
    fn alive(&self) -> impl Iterator<Item = (u64, Units)> + use<> {
        let Ring { newest, counts } = *self;
        let generations = newest.saturating_sub(GENERATIONS - 1)..=newest;
        generations.map(move |g| (g, counts[index(g)])).filter(|&(_, count)| count > 0)
    }

    /// Counts permits of a generation, if it still counts.
    fn add(&mut self, generation: u64, permits: Units) {
        if generation + GENERATIONS > self.newest {
            let count = &mut self.counts[index(generation)];
            *count = count.saturating_add(permits).min(u64::from(u32::MAX));
        }
    }

    fn sum(&self) -> Units {
        self.counts.iter().sum()
    }
}

/// Where a generation is counted.
fn index(generation: u64) -> usize {
    (generation % GENERATIONS) as usize
}

impl Meter for Leases {
    type Standing<'a> = Held<'a>;

    /// The ring moved on to now's generation.
    fn see<'a>(&'a self, words: &[u64], at: Moment) -> Held<'a> {
        let now = at.now.as_nanos();
        let ring = self.unpack(words).moved_to(now / self.span);
        Held { leases: self, ring, used: ring.sum(), now }
    }
}

/// The permits that count, by generation.
pub(crate) struct Held<'a> {
    leases: &'a Leases,
    ring: Ring,
    used: Units,
    now: u64,
}

impl Held<'_> {
    /// Nanoseconds until at most `target` permits are out, if nobody gives one back: then it may be sooner.
    fn until(&self, target: Units) -> u64 {
        let mut left = self.used;
        if left <= target {
            return 0;
        }
        for (generation, count) in self.ring.alive() {
            left -= count;
            if left <= target {
                return self.reclaimed_after(generation);
            }
        }
        0 // never: without all of them none is left
    }

    /// At least 1 ns: a generation that counts ends after the newest has begun.
    fn reclaimed_after(&self, generation: u64) -> u64 {
        ((generation + GENERATIONS) * self.leases.span).saturating_sub(self.now)
    }
}

impl Standing for Held<'_> {
    fn capacity(&self) -> Units {
        self.leases.quota
    }

    fn used(&self) -> Units {
        self.used
    }

    fn wait_for(&self, units: Units) -> u64 {
        self.until(self.leases.quota.saturating_sub(units))
    }

    fn full_after(&self) -> u64 {
        self.until(0)
    }

    fn charge(&mut self, units: Units) {
        self.ring.add(self.ring.newest, units);
        self.used = self.ring.sum();
    }

    /// Without a mark the oldest: see the head of the file.
    fn refund(&mut self, units: Units, mark: Option<u64>) -> Units {
        let mut left = units;
        for (generation, count) in self.ring.alive() {
            if mark.is_none_or(|mark| mark == generation) {
                let given = left.min(count);
                self.ring.counts[index(generation)] -= given;
                left -= given;
            }
        }
        self.used = self.ring.sum();
        units - left
    }

    fn mark(&self) -> u64 {
        self.ring.newest
    }

    fn write(&self, words: &mut [u64]) {
        self.leases.pack(words, &self.ring);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::MAX_PERIOD;
    use crate::time::Timestamp;
    use proptest::prelude::*;

    /// Most that are counted in a generation.
    const MAX_LEASES: u64 = u32::MAX as u64;

    fn at(nanos: u64) -> Moment {
        Timestamp::clamped(nanos).into()
    }

    #[derive(Clone, Copy)]
    enum Call {
        Take,
        /// Of a generation, or the oldest.
        Release(Option<u64>),
        Renew(Option<u64>),
    }
    use Call::{Release, Renew, Take};

    /// Two permits for 40 ns, generations of 10: (ns, call, did it do anything, out then, wait for one then)
    const LIVES: &[(u64, Call, bool, u64, u64)] = &[
        (0, Take, true, 1, 0),
        (19, Take, true, 2, 31),
        (49, Take, false, 2, 1), // the first is reclaimed when generation 5 begins, 10 ns late
        (50, Take, true, 2, 10),
        (59, Release(Some(0)), false, 2, 1), // reclaimed: nothing to give back
        (59, Release(Some(1)), true, 1, 0),
        (60, Take, true, 2, 40),
        (60, Renew(None), true, 2, 50), // that of generation 5 is of 6 now, as the other
        (69, Renew(Some(5)), false, 2, 41),
        (80, Renew(Some(6)), true, 2, 30),
        (109, Release(None), true, 1, 0), // the one of 6
        (30, Take, true, 2, 100),         // a time before counts as generation 10's
        (129, Take, false, 2, 1),
        (130, Release(Some(10)), true, 0, 0), // of the one of 8 nothing is left
    ];

    #[test]
    fn lives() {
        let leases = Leases::new(2, 40);
        let mut words = [0; 4];
        for (row, &(now, call, expected, out, wait)) in LIVES.iter().enumerate() {
            let done = match call {
                Take => leases.spend(&mut words, at(now), 1) == 1,
                Release(mark) => leases.refund(&mut words, at(now), 1, mark) == 1,
                Renew(mark) => leases.renew(&mut words, at(now), mark).is_some(),
            };
            assert_eq!(done, expected, "row {row}");
            assert_eq!(leases.used(&words, at(now)), out, "row {row}");
            assert_eq!(leases.wait_for(&words, at(now), 1), wait, "row {row}");
        }
    }

    #[test]
    fn extremes_neither_wrap_nor_panic() {
        for (quota, max_hold) in [(1, 1), (MAX_LEASES, 1), (MAX_LEASES, MAX_PERIOD)] {
            let leases = Leases::new(quota, max_hold);
            for now in [0, 1, 1 << 61, (1 << 62) - 1] {
                let mut words = [0; 4];
                assert_eq!(leases.spend(&mut words, at(now), u64::MAX), quota);
                assert_eq!(leases.used(&words, at(now)), quota);
                leases.charge(&mut words, at(now), u64::MAX);
                assert!(leases.wait_for(&words, at(now), 1) > 0);
                assert!(leases.full_after(&words, at(now)) <= max_hold + leases.span + 3);
                assert!(leases.renew(&mut words, at(now), None).is_some());
                assert_eq!(leases.refund(&mut words, at(now), u64::MAX, None), MAX_LEASES);
                assert_eq!(leases.full_after(&words, at(now)), 0);
            }
        }
    }

    /// Where a time changes, nobody's permit ends before the new time has passed since it was taken.
    #[test]
    fn another_time() {
        let (old, new) = (Leases::new(9, 40), Leases::new(9, 100));
        let (mut words, mut carried) = ([0; 4], [0; 4]);
        for taken in [1, 12, 13, 29] {
            old.charge(&mut words, at(taken), 1);
        }
        new.carry(&old, &words, &mut carried, at(30));
        // At the latest of their generations: 9, 19, 19 and 29; generations of 25 ns, so 0, 0, 0 and 1.
        assert_eq!(new.used(&carried, at(124)), 4);
        assert_eq!(new.used(&carried, at(125)), 1);
        assert_eq!(new.used(&carried, at(150)), 0);
        // And a shorter one: those that are past it end, one of them just now.
        let short = Leases::new(9, 8);
        let mut carried = [0; 4];
        short.carry(&old, &words, &mut carried, at(29));
        assert_eq!(short.used(&carried, at(29)), 1);
    }

    #[test]
    fn the_larger_of_two() {
        let leases = Leases::new(9, 40);
        let (mut a, mut b) = ([0; 4], [0; 4]);
        leases.charge(&mut a, at(5), 3);
        leases.charge(&mut a, at(15), 1);
        leases.charge(&mut b, at(16), 4);
        leases.charge(&mut b, at(35), 2);
        leases.merge(&mut a, &b);
        assert_eq!(leases.unpack(&a).alive().collect::<Vec<_>>(), [(0, 3), (1, 4), (3, 2)]);
        leases.charge(&mut b, at(70), 1);
        leases.merge(&mut a, &b);
        assert_eq!(leases.unpack(&a).alive().collect::<Vec<_>>(), [(3, 2), (7, 1)]);
    }

    /// Somebody who holds a permit, in time.
    #[derive(Clone, Copy, Debug)]
    struct Holder {
        taken: u64,
        mark: u64,
    }

    proptest! {
        /// However holders give back and renew, with marks or without: never are more at work than the quota, as long
        /// as nobody keeps a permit beyond its time; and one that is in time is never told otherwise by a mark
        /// that all bring.
        #[test]
        fn no_more_holders_than_the_quota(
            quota in 1u64..6,
            max_hold in 1u64..60,
            calls in prop::collection::vec((0u64..30, 0usize..6, 0usize..8, any::<bool>()), 1..120),
            marked in prop::option::of(any::<bool>()),
        ) {
            let leases = Leases::new(quota, max_hold);
            let (mut words, mut now) = ([0; 4], 0);
            let mut holders: Vec<Holder> = Vec::new();
            for (pass, call, who, mark) in calls {
                now += pass;
                // Whoever is out of time has gone without a word.
                holders.retain(|holder| now < holder.taken + max_hold);
                let all_marked = marked == Some(true);
                let with_mark = marked.unwrap_or(mark);
                match (call, holders.get(who).copied()) {
                    (0..=2, _) => {
                        if leases.spend(&mut words, at(now), 1) == 1 {
                            let mark = leases.mark(&words, at(now));
                            holders.push(Holder { taken: now, mark });
                        }
                    }
                    (3 | 4, Some(holder)) => {
                        let mark = with_mark.then_some(holder.mark);
                        let given = leases.refund(&mut words, at(now), 1, mark);
                        prop_assert!(!all_marked || given == 1, "{holder:?} at {now}");
                        holders.remove(who);
                    }
                    (_, Some(holder)) => {
                        let mark = with_mark.then_some(holder.mark);
                        let renewed = leases.renew(&mut words, at(now), mark);
                        prop_assert!(!all_marked || renewed.is_some(), "{holder:?} at {now}");
                        if let Some(mark) = renewed {
                            holders[who] = Holder { taken: now, mark };
                        }
                    }
                    (_, None) => {}
                }
                prop_assert!(holders.len() as u64 <= quota, "{holders:?} at {now}");
                prop_assert!(holders.len() as u64 <= leases.used(&words, at(now)));
            }
            let latest = 5 * leases.span;
            prop_assert!(latest <= max_hold + leases.span + 3);
            prop_assert_eq!(leases.used(&words, at(now + latest)), 0);
        }
    }
}
