//! A sliding window, weighted. The strict form is in `strict_window`.
//!
//! What counts is the use of the current window of a fixed grid, plus the previous one's, weighted by
//! what of it the sliding window still covers. It supposes that the previous window was used evenly:
//! the worst true window can hold up to 1.999 × quota (Cloudflare measured 0.003 % wrong decisions
//! on real traffic, "How we built rate limiting capable of scaling to millions of domains", 2017).
//!
//! | word | bits | meaning |
//! | --- | --- | --- |
//! | packed | high | window id: time ÷ period |
//! |        | middle `count_bits` | used in the previous window |
//! |        | low `count_bits` | used in the current window |
//! | wide 0, 1, 2 | 64 each | window id, previous, current |
//!
//! A time before the key's window counts as that window's start: windows never go back.

use super::Units;
use super::meter::{Meter, Standing};
use super::ratio::wide;
use crate::clock::Moment;
use crate::rate::Rate;
use crate::time::Timestamp;

/// Weighted current and previous window.
#[derive(Debug)]
pub(crate) struct SlidingWindow {
    quota: Units,
    most: Units,
    /// Most that is kept: more than `most` where another plan of the policy allows it.
    widest: Units,
    period: u64,
    /// 0: wide.
    count_bits: u32,
}

#[derive(Clone, Copy)]
struct Pair {
    id: u64,
    previous: Units,
    current: Units,
}

impl SlidingWindow {
    /// Its words hold up to `widest` units in each window, at least.
    pub(crate) fn new(rate: &Rate, widest: Units) -> SlidingWindow {
        let period = rate.period.nanos();
        let most = rate.quota + rate.max_debt;
        let widest = widest.max(most);
        let count_bits = (Timestamp::MAX.as_nanos() / period).leading_zeros() / 2;
        SlidingWindow {
            quota: rate.quota,
            most,
            widest,
            period,
            count_bits: if widest < (1 << count_bits) - 1 { count_bits } else { 0 },
        }
    }

    pub(crate) fn words(&self) -> usize {
        if self.count_bits == 0 { 3 } else { 1 }
    }

    pub(crate) fn quota(&self) -> Units {
        self.quota
    }

    pub(crate) fn capacity(&self) -> Units {
        self.quota
    }

    #[inline]
    fn unpack(&self, words: &[u64]) -> Pair {
        if self.count_bits == 0 {
            return Pair { id: words[0], previous: words[1], current: words[2] };
        }
        let mask = (1 << self.count_bits) - 1;
        Pair {
            id: words[0] >> self.count_bits >> self.count_bits,
            previous: (words[0] >> self.count_bits) & mask,
            current: words[0] & mask,
        }
    }

    #[inline]
    fn pack(&self, words: &mut [u64], pair: Pair) {
        if self.count_bits == 0 {
            words[..3].copy_from_slice(&[pair.id, pair.previous, pair.current]);
        } else {
            words[0] =
                (pair.id << self.count_bits | pair.previous) << self.count_bits | pair.current;
        }
    }

    pub(crate) fn merge(&self, into: &mut [u64], from: &[u64]) {
        let (a, b) = (self.unpack(into), self.unpack(from));
        let id = a.id.max(b.id);
        let (a, b) = (self.moved_to(a, id), self.moved_to(b, id));
        let (previous, current) = (a.previous.max(b.previous), a.current.max(b.current));
        self.pack(into, Pair { id, previous, current });
    }

    fn moved_to(&self, pair: Pair, id: u64) -> Pair {
        match id - pair.id {
            0 => pair,
            1 => Pair { id, previous: pair.current, current: 0 },
            _ => Pair { id, previous: 0, current: 0 },
        }
    }

    pub(crate) fn carry(
        &self,
        old: &SlidingWindow,
        words: &[u64],
        new: &mut [u64],
        at: Moment,
    ) -> bool {
        let same = self.period == old.period;
        if same {
            let mut pair = old.see(words, at).pair;
            if pair.previous + pair.current > 0 {
                pair.previous = pair.previous.min(self.widest);
                pair.current = pair.current.min(self.widest);
                self.pack(new, pair);
            }
        }
        same
    }

    /// Fills zeros with so much use.
    pub(crate) fn begin(&self, used: Units, new: &mut [u64], at: Moment) {
        let Pair { id, .. } = self.see(new, at).pair;
        self.pack(new, Pair { id, previous: 0, current: used.min(self.widest) });
    }
}

impl Meter for SlidingWindow {
    type Standing<'a> = Estimate<'a>;

    #[inline]
    fn see<'a>(&'a self, words: &[u64], at: Moment) -> Estimate<'a> {
        let pair = self.unpack(words);
        let now = at.now.as_nanos();
        let (id, elapsed) = (now / self.period, now % self.period);
        let (pair, elapsed) = match id.checked_sub(pair.id) {
            None => (pair, 0),
            Some(0) => (pair, elapsed),
            Some(1) => (Pair { id, previous: pair.current, current: 0 }, elapsed),
            Some(_) => (Pair { id, previous: 0, current: 0 }, elapsed),
        };
        Estimate { window: self, pair, elapsed, now }
    }
}

/// The pair of windows at one time.
pub(crate) struct Estimate<'a> {
    window: &'a SlidingWindow,
    pair: Pair,
    /// How long the current window has lasted.
    elapsed: u64,
    now: u64,
}

impl Estimate<'_> {
    /// Nanoseconds until the estimate is at most `target`, which it is not now.
    fn until(&self, target: Units) -> u64 {
        let Pair { id, previous, current } = self.pair;
        let begin = id * self.window.period;
        let when = if current <= target {
            begin + self.faded(previous, target - current)
        } else {
            begin + self.window.period + self.faded(current, target)
        };
        when.saturating_sub(self.now)
    }

    /// The age at which `previous` weighs no more than `target` (below `previous`).
    fn faded(&self, previous: Units, target: Units) -> u64 {
        // previous · (P − e) ≤ target · P; the quotient is below P.
        let kept = wide(target, self.window.period) / u128::from(previous.max(1));
        self.window.period - (kept as u64).min(self.window.period)
    }
}

impl Standing for Estimate<'_> {
    #[inline]
    fn capacity(&self) -> Units {
        self.window.quota
    }

    #[inline]
    fn used(&self) -> Units {
        let left = self.window.period - self.elapsed;
        // At most `previous`: the cast loses nothing.
        let weighted = wide(self.pair.previous, left).div_ceil(u128::from(self.window.period));
        self.pair.current + weighted as Units
    }

    fn wait_for(&self, units: Units) -> u64 {
        match self.fits(units) {
            true => 0,
            false => self.until(self.window.quota.saturating_sub(units)),
        }
    }

    fn full_after(&self) -> u64 {
        if self.used() == 0 { 0 } else { self.until(0) }
    }

    #[inline]
    fn charge(&mut self, units: Units) {
        let current = self.pair.current;
        self.pair.current = current.saturating_add(units).min(self.window.most.max(current));
    }

    fn refund(&mut self, units: Units, mark: Option<u64>) -> Units {
        let pair = &mut self.pair;
        let from_current = match mark {
            Some(mark) if mark != pair.id => 0,
            _ => units.min(pair.current),
        };
        let from_previous = match mark {
            Some(mark) if mark.checked_add(1) != Some(pair.id) => 0,
            _ => (units - from_current).min(pair.previous),
        };
        pair.current -= from_current;
        pair.previous -= from_previous;
        from_current + from_previous
    }

    fn mark(&self) -> u64 {
        self.pair.id
    }

    #[inline]
    fn write(&self, words: &mut [u64]) {
        self.window.pack(words, self.pair);
    }
}
