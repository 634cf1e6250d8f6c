//! Fixed windows: what was used counts until the window ends, debt included.
//!
//! A clock window's state is one word where the quota allows it, else two:
//!
//! | word | bits | meaning |
//! | --- | --- | --- |
//! | packed | high `64 − used_bits` | window id: the window's start ÷ grain, rounded up |
//! |        | low `used_bits` | units used in that window |
//! | wide 0 | 64 | window id |
//! | wide 1 | 64 | units used |
//!
//! A window of a key's own (from its first request) keeps its start to the nanosecond:
//!
//! | word | meaning |
//! | --- | --- |
//! | 0 | start + 1; 0 = no window |
//! | 1 | units used |
//!
//! A time before the key's window counts as that window's time: windows never go back.

use jiff::tz::TimeZone;

use super::Units;
use crate::calendar::{Calendar, Window};
use crate::clock::Moment;
use crate::rate::{DAY, Period, Rate, SECOND};
use crate::time::Timestamp;

/// Windows at the boundaries of a clock.
#[derive(Debug)]
pub(crate) struct ClockWindow {
    quota: Units,
    most: Units,
    period: Period,
    zone: TimeZone,
    calendar: Calendar,
    /// A divisor of window starts that keeps their ids apart.
    grain: u64,
    /// 0: wide.
    used_bits: u32,
}

const QUARTER_HOUR: u64 = DAY / 96;

impl ClockWindow {
    pub(crate) fn new(rate: &Rate, zone: &TimeZone) -> ClockWindow {
        let period = rate.period.nanos();
        // A change of the zone's offset may cut a window short. Offsets move by quarter hours at quarter
        // hours (St John's once did at one past: `div_ceil` still tells the two windows apart).
        let grain = match rate.period {
            Period::Nanos(_) if zone.to_fixed_offset().is_ok() => period,
            Period::Nanos(_) if QUARTER_HOUR.is_multiple_of(period) => period,
            Period::Nanos(_) if DAY.is_multiple_of(period) => QUARTER_HOUR.min(period / 8),
            Period::Nanos(_) => SECOND,
            _ => period / 2,
        };
        let most = rate.quota + rate.max_debt;
        let used_bits = Timestamp::MAX.as_nanos().div_ceil(grain).leading_zeros();
        ClockWindow {
            quota: rate.quota,
            most,
            period: rate.period,
            zone: zone.clone(),
            calendar: Calendar::new(rate.period, zone),
            grain,
            used_bits: if most < (1 << used_bits) - 1 { used_bits } else { 0 },
        }
    }

    pub(crate) fn words(&self) -> usize {
        if self.used_bits == 0 { 2 } else { 1 }
    }

    pub(crate) fn quota(&self) -> Units {
        self.quota
    }

    pub(crate) fn capacity(&self) -> Units {
        self.quota
    }

    /// (window id, used) as stored.
    #[inline]
    fn unpack(&self, words: &[u64]) -> (u64, Units) {
        if self.used_bits == 0 {
            (words[0], words[1])
        } else {
            (words[0] >> self.used_bits, words[0] & ((1 << self.used_bits) - 1))
        }
    }

    #[inline]
    fn pack(&self, words: &mut [u64], id: u64, used: Units) {
        if self.used_bits == 0 {
            (words[0], words[1]) = (id, used);
        } else {
            words[0] = (id << self.used_bits) | used;
        }
    }

    #[inline]
    fn current(&self, words: &[u64], at: Moment) -> (u64, Units) {
        let (id, used) = self.unpack(words);
        let now = self.calendar.window(at.wall).start.div_ceil(self.grain);
        if now > id { (now, 0) } else { (id, used) }
    }

    /// Where the window of the key ends: now's, or the later one that the key is in already.
    fn end(&self, words: &[u64], at: Moment) -> u64 {
        let window = self.calendar.window(at.wall);
        let (id, _) = self.unpack(words);
        if id <= window.start.div_ceil(self.grain) {
            return window.end;
        }
        self.calendar.window(self.inside(id)).end
    }

    /// A time inside the window `id`: at most a grain after its start, and no window is shorter.
    fn inside(&self, id: u64) -> Timestamp {
        Timestamp::clamped(id.saturating_mul(self.grain))
    }

    #[inline]
    pub(crate) fn used(&self, words: &[u64], at: Moment) -> Units {
        self.current(words, at).1
    }

    #[inline]
    pub(crate) fn room(&self, words: &[u64], at: Moment) -> Units {
        self.quota.saturating_sub(self.used(words, at))
    }

    #[inline]
    pub(crate) fn charge(&self, words: &mut [u64], at: Moment, units: Units) {
        let (id, used) = self.current(words, at);
        self.pack(words, id, used.saturating_add(units).min(self.most.max(used)));
    }

    pub(crate) fn wait_for(&self, words: &[u64], at: Moment, units: Units) -> u64 {
        if self.used(words, at).saturating_add(units) <= self.quota {
            return 0;
        }
        self.end(words, at).saturating_sub(at.wall.as_nanos())
    }

    pub(crate) fn full_after(&self, words: &[u64], at: Moment) -> u64 {
        match self.used(words, at) {
            0 => 0,
            _ => self.end(words, at).saturating_sub(at.wall.as_nanos()),
        }
    }

    pub(crate) fn mark(&self, words: &[u64], at: Moment) -> u64 {
        self.current(words, at).0
    }

    pub(crate) fn refund(
        &self,
        words: &mut [u64],
        at: Moment,
        units: Units,
        mark: Option<u64>,
    ) -> Units {
        let (id, used) = self.current(words, at);
        if mark.is_some_and(|mark| mark != id) {
            return 0;
        }
        let given = units.min(used);
        if given > 0 {
            self.pack(words, id, used - given);
        }
        given
    }

    /// The larger use of two states of the same rate.
    pub(crate) fn merge(&self, into: &mut [u64], from: &[u64]) {
        if self.unpack(from) > self.unpack(into) {
            into[..self.words()].copy_from_slice(&from[..self.words()]);
        }
    }

    /// Takes over the use under `old`; false when the windows are not the same.
    pub(crate) fn carry(
        &self,
        old: &ClockWindow,
        words: &[u64],
        new: &mut [u64],
        at: Moment,
    ) -> bool {
        let same = self.period == old.period && self.zone == old.zone;
        if same {
            let (id, used) = old.current(words, at);
            if used > 0 {
                self.pack(new, id, used.min(self.most));
            }
        }
        same
    }
}

/// A window from the key's first request.
#[derive(Debug)]
pub(crate) struct FirstRequestWindow {
    quota: Units,
    most: Units,
    period: u64,
}

impl FirstRequestWindow {
    pub(crate) fn new(rate: &Rate) -> FirstRequestWindow {
        FirstRequestWindow {
            quota: rate.quota,
            most: rate.quota + rate.max_debt,
            period: rate.period.nanos(),
        }
    }

    pub(crate) fn words(&self) -> usize {
        2
    }

    pub(crate) fn quota(&self) -> Units {
        self.quota
    }

    pub(crate) fn capacity(&self) -> Units {
        self.quota
    }

    /// The window that the key is in, if any.
    fn window(&self, words: &[u64], at: Moment) -> Option<Window> {
        let start = words[0].checked_sub(1)?;
        let end = start + self.period;
        (at.now.as_nanos() < end).then_some(Window { start, end })
    }

    pub(crate) fn used(&self, words: &[u64], at: Moment) -> Units {
        self.window(words, at).map_or(0, |_| words[1])
    }

    pub(crate) fn room(&self, words: &[u64], at: Moment) -> Units {
        self.quota.saturating_sub(self.used(words, at))
    }

    pub(crate) fn charge(&self, words: &mut [u64], at: Moment, units: Units) {
        if units == 0 {
            return;
        }
        let used = match self.window(words, at) {
            Some(_) => words[1],
            None => {
                words[0] = at.now.as_nanos() + 1;
                0
            }
        };
        words[1] = used.saturating_add(units).min(self.most.max(used));
    }

    pub(crate) fn wait_for(&self, words: &[u64], at: Moment, units: Units) -> u64 {
        if self.used(words, at).saturating_add(units) <= self.quota {
            return 0;
        }
        self.left(words, at)
    }

    fn left(&self, words: &[u64], at: Moment) -> u64 {
        self.window(words, at).map_or(0, |window| window.end.saturating_sub(at.now.as_nanos()))
    }

    pub(crate) fn full_after(&self, words: &[u64], at: Moment) -> u64 {
        if self.used(words, at) == 0 { 0 } else { self.left(words, at) }
    }

    pub(crate) fn mark(&self, words: &[u64], at: Moment) -> u64 {
        self.window(words, at).map_or(0, |window| window.start)
    }

    pub(crate) fn refund(
        &self,
        words: &mut [u64],
        at: Moment,
        units: Units,
        mark: Option<u64>,
    ) -> Units {
        let Some(window) = self.window(words, at) else { return 0 };
        if mark.is_some_and(|mark| mark != window.start) {
            return 0;
        }
        let given = units.min(words[1]);
        words[1] -= given;
        given
    }

    pub(crate) fn merge(&self, into: &mut [u64], from: &[u64]) {
        // Each word its larger: the later end, the larger use; never less than either.
        into[0] = into[0].max(from[0]);
        into[1] = into[1].max(from[1]);
    }

    pub(crate) fn carry(
        &self,
        old: &FirstRequestWindow,
        words: &[u64],
        new: &mut [u64],
        at: Moment,
    ) -> bool {
        let same = self.period == old.period;
        if same && old.window(words, at).is_some() {
            (new[0], new[1]) = (words[0], words[1].min(self.most));
        }
        same
    }
}
