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
use super::ratio::Ratio;
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
    /// Makes ids of window starts: see [`grain`].
    grain: u64,
    grains_per_nano: Ratio,
    /// 0: wide.
    used_bits: u32,
}

const MINUTE: u64 = 60 * SECOND;
const QUARTER_HOUR: u64 = 15 * MINUTE;

/// A length of which a multiple falls into every window of the zone.
///
/// Where the offset changes, a window is cut short. Offsets move by quarter hours, at quarter hours or a
/// minute past one: windows begin at multiples of `step`, or a minute later. (In 1972 Monrovia and
/// in 1979 Kiritimati did otherwise; there a window without a multiple counts with the next.)
fn grain(period: Period, zone: &TimeZone) -> u64 {
    let nanos = period.nanos();
    match period {
        Period::Nanos(_) if zone.to_fixed_offset().is_ok() => nanos,
        Period::Nanos(_) if DAY.is_multiple_of(nanos) => {
            let step = common_divisor(nanos, QUARTER_HOUR);
            match MINUTE % step {
                0 => step,
                rest if rest <= step / 2 => step / 2,
                _ => common_divisor(step, MINUTE),
            }
        }
        Period::Nanos(_) => SECOND,
        // No change makes one shorter than half its length.
        _ => nanos / 2,
    }
}

fn common_divisor(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { common_divisor(other, one % other) }
}

impl ClockWindow {
    pub(crate) fn new(rate: &Rate, zone: &TimeZone) -> ClockWindow {
        let grain = grain(rate.period, zone);
        let most = rate.quota + rate.max_debt;
        let used_bits = Timestamp::MAX.as_nanos().div_ceil(grain).leading_zeros();
        ClockWindow {
            quota: rate.quota,
            most,
            period: rate.period,
            zone: zone.clone(),
            calendar: Calendar::new(rate.period, zone),
            grain,
            grains_per_nano: Ratio::new(1, grain),
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

    /// The window's start in grains, rounded up.
    #[inline]
    fn id(&self, window: Window) -> u64 {
        // Starts stay below 2^62, grains at ten years: no overflow.
        self.grains_per_nano.floor(window.start + (self.grain - 1))
    }

    #[inline]
    fn current(&self, words: &[u64], at: Moment) -> (u64, Units) {
        let (id, used) = self.unpack(words);
        let now = self.id(self.calendar.window(at.wall));
        if now > id { (now, 0) } else { (id, used) }
    }

    /// Where the window of the key ends: now's, or the later one that the key is in already.
    fn end(&self, words: &[u64], at: Moment) -> u64 {
        let window = self.calendar.window(at.wall);
        let (id, _) = self.unpack(words);
        if id <= self.id(window) {
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
        if same && old.used(words, at) > 0 {
            (new[0], new[1]) = (words[0], words[1].min(self.most));
        }
        same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The windows around every change of offset until 2040, also of those a minute past midnight.
    #[test]
    fn every_window_has_an_id_of_its_own() {
        let zones = ["Europe/Amsterdam", "Africa/Cairo", "America/St_Johns", "Antarctica/Casey"];
        let odd = ["Australia/Lord_Howe", "Pacific/Chatham", "Pacific/Apia", "Asia/Kathmandu"];
        let seconds =
            [1, 50, 60, 75, 100, 450, 600, 900, 1_200, 1_440, 3_600, 7_200, 25_200, 43_200];
        let periods = seconds.map(|seconds| Period::Nanos(seconds * SECOND)).into_iter();
        let periods: Vec<_> = periods.chain([Period::Days(1), Period::Days(2)]).collect();
        for zone in zones.iter().chain(&odd) {
            let zone = TimeZone::get(zone).unwrap();
            for change in zone.following(jiff::Timestamp::UNIX_EPOCH) {
                let change = change.timestamp().as_nanosecond() as u64;
                if change > 70 * 365 * DAY {
                    break;
                }
                for period in &periods {
                    check_around(change, *period, &zone);
                }
            }
        }
    }

    fn check_around(change: u64, period: Period, zone: &TimeZone) {
        let (calendar, grain) = (Calendar::new(period, zone), grain(period, zone));
        let mut at = change.saturating_sub(2 * period.nanos());
        let mut last = None;
        while at < change + 2 * period.nanos() {
            let window = calendar.window(Timestamp::clamped(at));
            let id = window.start.div_ceil(grain);
            assert!(last < Some(id), "{period:?}, {zone:?}: {window:?} is another one, too");
            assert!(id * grain < window.end, "{period:?}, {zone:?}: {window:?} is too short");
            (last, at) = (Some(id), window.end);
        }
    }
}
