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
use crate::clock::Moment;
use crate::rate::Rate;
use crate::time::Timestamp;

/// Weighted current and previous window.
#[derive(Debug)]
pub(crate) struct SlidingWindow {
    quota: Units,
    most: Units,
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
    pub(crate) fn new(rate: &Rate) -> SlidingWindow {
        let period = rate.period.nanos();
        let most = rate.quota + rate.max_debt;
        let count_bits = (Timestamp::MAX.as_nanos() / period).leading_zeros() / 2;
        SlidingWindow {
            quota: rate.quota,
            most,
            period,
            count_bits: if most < (1 << count_bits) - 1 { count_bits } else { 0 },
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

    /// The key's pair at this time, and how long its current window has lasted.
    #[inline]
    fn at(&self, words: &[u64], at: Moment) -> (Pair, u64) {
        let pair = self.unpack(words);
        let (id, elapsed) = (at.now.as_nanos() / self.period, at.now.as_nanos() % self.period);
        match id.checked_sub(pair.id) {
            None => (pair, 0),
            Some(0) => (pair, elapsed),
            Some(1) => (Pair { id, previous: pair.current, current: 0 }, elapsed),
            Some(_) => (Pair { id, previous: 0, current: 0 }, elapsed),
        }
    }

    /// Use weighted by time, times the period (so that it is a whole number).
    #[inline]
    fn weight(&self, pair: Pair, elapsed: u64) -> u128 {
        u128::from(pair.previous) * u128::from(self.period - elapsed)
            + u128::from(pair.current) * u128::from(self.period)
    }

    pub(crate) fn used(&self, words: &[u64], at: Moment) -> Units {
        let (pair, elapsed) = self.at(words, at);
        // The estimate is at most previous + current: it fits.
        self.weight(pair, elapsed).div_ceil(u128::from(self.period)) as Units
    }

    #[inline]
    pub(crate) fn room(&self, words: &[u64], at: Moment) -> Units {
        self.quota.saturating_sub(self.used(words, at))
    }

    pub(crate) fn charge(&self, words: &mut [u64], at: Moment, units: Units) {
        let (pair, _) = self.at(words, at);
        let current = pair.current.saturating_add(units).min(self.most.max(pair.current));
        self.pack(words, Pair { current, ..pair });
    }

    pub(crate) fn wait_for(&self, words: &[u64], at: Moment, units: Units) -> u64 {
        if self.used(words, at).saturating_add(units) <= self.quota {
            return 0;
        }
        self.until(words, at, self.quota.saturating_sub(units))
    }

    /// Nanoseconds until the estimate is at most `target`.
    fn until(&self, words: &[u64], at: Moment, target: Units) -> u64 {
        let (pair, elapsed) = self.at(words, at);
        if u128::from(target) * u128::from(self.period) >= self.weight(pair, elapsed) {
            return 0;
        }
        let begin = pair.id * self.period;
        let when = if pair.current <= target {
            begin + self.faded(pair.previous, target - pair.current)
        } else {
            begin + self.period + self.faded(pair.current, target)
        };
        when.saturating_sub(at.now.as_nanos())
    }

    /// The age at which `previous` weighs no more than `target` (below `previous`).
    fn faded(&self, previous: Units, target: Units) -> u64 {
        // previous · (P − e) ≤ target · P; the quotient is below P.
        let kept = u128::from(target) * u128::from(self.period) / u128::from(previous.max(1));
        self.period - (kept as u64).min(self.period)
    }

    pub(crate) fn full_after(&self, words: &[u64], at: Moment) -> u64 {
        self.until(words, at, 0)
    }

    pub(crate) fn mark(&self, words: &[u64], at: Moment) -> u64 {
        self.at(words, at).0.id
    }

    pub(crate) fn refund(
        &self,
        words: &mut [u64],
        at: Moment,
        units: Units,
        mark: Option<u64>,
    ) -> Units {
        let (mut pair, _) = self.at(words, at);
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
        if from_current + from_previous > 0 {
            self.pack(words, pair);
        }
        from_current + from_previous
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
            let (mut pair, _) = old.at(words, at);
            if pair.previous + pair.current > 0 {
                pair.previous = pair.previous.min(self.most);
                pair.current = pair.current.min(self.most);
                self.pack(new, pair);
            }
        }
        same
    }
}
