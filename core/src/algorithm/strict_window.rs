//! A sliding window, strict: never more than the quota in any span of the period's length.
//!
//! The period is cut into nine parts; the newest ten (a span of any phase touches no
//! more) are counted whole. Units come
//! back up to one part late.
//!
//! | word | meaning |
//! | --- | --- |
//! | 0 | newest part with use: floor(time · 9 ÷ period) |
//! | 1 … 5 | narrow: ten 32-bit counters, part p in counter p mod 10 |
//! | 1 … 10 | wide: ten counters |
//!
//! A time before the key's newest part counts as that part: windows never go back.

use super::Units;
use super::meter::{Meter, Standing};
use super::ratio::Ratio;
use crate::clock::Moment;
use crate::decision::NEVER;
use crate::rate::Rate;

/// Parts of the period; one more is counted.
const PARTS: u64 = 9;
const COUNTERS: usize = 10;

/// Never more than the quota in any span of the period's length.
#[derive(Debug)]
pub(crate) struct StrictWindow {
    quota: Units,
    most: Units,
    /// Most that is kept: more than `most` where another plan of the policy allows it.
    widest: Units,
    period: u64,
    parts_per_nano: Ratio,
    nanos_per_part: Ratio,
    narrow: bool,
}

struct Ring {
    newest: u64,
    counts: [Units; COUNTERS],
}

impl StrictWindow {
    /// Its words hold up to `widest` units in each part, at least.
    pub(crate) fn new(rate: &Rate, widest: Units) -> StrictWindow {
        let period = rate.period.nanos();
        let most = rate.quota + rate.max_debt;
        let widest = widest.max(most);
        StrictWindow {
            quota: rate.quota,
            most,
            widest,
            period,
            parts_per_nano: Ratio::new(PARTS, period),
            nanos_per_part: Ratio::new(period, PARTS),
            narrow: widest <= u64::from(u32::MAX),
        }
    }

    pub(crate) fn words(&self) -> usize {
        if self.narrow { 1 + COUNTERS / 2 } else { 1 + COUNTERS }
    }

    pub(crate) fn quota(&self) -> Units {
        self.quota
    }

    pub(crate) fn capacity(&self) -> Units {
        self.quota
    }

    /// The ring as it stands in the words.
    fn unpack(&self, words: &[u64]) -> Ring {
        let counts = std::array::from_fn(|i| match self.narrow {
            true => (words[1 + i / 2] >> (32 * (i % 2))) & u64::from(u32::MAX),
            false => words[1 + i],
        });
        Ring { newest: words[0], counts }
    }

    fn pack(&self, words: &mut [u64], ring: &Ring) {
        words[0] = ring.newest;
        if self.narrow {
            for (word, pair) in words[1..].iter_mut().zip(ring.counts.chunks(2)) {
                *word = pair[0] | pair[1] << 32;
            }
        } else {
            words[1..=COUNTERS].copy_from_slice(&ring.counts);
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

    pub(crate) fn carry(
        &self,
        old: &StrictWindow,
        words: &[u64],
        new: &mut [u64],
        at: Moment,
    ) -> bool {
        let same = self.period == old.period;
        let Counted { mut ring, used, .. } = old.see(words, at);
        if same && used > 0 {
            for count in &mut ring.counts {
                *count = (*count).min(self.widest);
            }
            self.pack(new, &ring);
        }
        same
    }

    /// Fills zeros with so much use.
    pub(crate) fn begin(&self, used: Units, new: &mut [u64], at: Moment) {
        let mut ring = self.see(new, at).ring;
        *ring.count(ring.newest) = used.min(self.widest);
        self.pack(new, &ring);
    }
}

impl Ring {
    fn moved_to(mut self, part: u64) -> Ring {
        if part > self.newest {
            for fresh in 0..(part - self.newest).min(COUNTERS as u64) {
                *self.count(part - fresh) = 0;
            }
            self.newest = part;
        }
        self
    }

    fn count(&mut self, part: u64) -> &mut Units {
        &mut self.counts[index(part)]
    }

    fn sum(&self) -> Units {
        self.counts.iter().fold(0, |sum: Units, count| sum.saturating_add(*count))
    }
}

/// Where a part is counted.
fn index(part: u64) -> usize {
    (part % COUNTERS as u64) as usize
}

impl Meter for StrictWindow {
    type Standing<'a> = Counted<'a>;

    /// The ring moved on to now's part.
    #[inline(never)]
    fn see<'a>(&'a self, words: &[u64], at: Moment) -> Counted<'a> {
        let now = at.now.as_nanos();
        let ring = self.unpack(words).moved_to(self.parts_per_nano.floor(now));
        let used = ring.sum();
        Counted { window: self, ring, used, now }
    }
}

/// The newest ten parts and their sum.
pub(crate) struct Counted<'a> {
    window: &'a StrictWindow,
    ring: Ring,
    used: Units,
    now: u64,
}

impl Counted<'_> {
    /// Nanoseconds until at most `target` units are counted.
    fn until(&self, target: Units) -> u64 {
        let (mut sum, mut gone) = (self.used, 0);
        // Oldest first; the part p stops counting when the part p + 10 begins.
        while sum > target {
            gone += 1;
            sum -= self.ring.counts[index(self.ring.newest + gone)];
        }
        match gone {
            0 => 0,
            _ => {
                let when = self.window.nanos_per_part.ceil(self.ring.newest + gone);
                when.map_or(NEVER, |when| when.saturating_sub(self.now))
            }
        }
    }
}

impl Standing for Counted<'_> {
    fn capacity(&self) -> Units {
        self.window.quota
    }

    fn used(&self) -> Units {
        self.used
    }

    fn wait_for(&self, units: Units) -> u64 {
        self.until(self.window.quota.saturating_sub(units))
    }

    fn full_after(&self) -> u64 {
        self.until(0)
    }

    fn charge(&mut self, units: Units) {
        let count = self.ring.count(self.ring.newest);
        *count = count.saturating_add(units).min(self.window.most.max(*count));
        self.used = self.ring.sum();
    }

    fn refund(&mut self, units: Units, mark: Option<u64>) -> Units {
        let mut left = units;
        for age in 0..COUNTERS as u64 {
            let Some(part) = self.ring.newest.checked_sub(age) else { break };
            if mark.is_none_or(|mark| mark == part) {
                let count = self.ring.count(part);
                let given = left.min(*count);
                *count -= given;
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
        self.window.pack(words, &self.ring);
    }
}
