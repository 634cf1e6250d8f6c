//! Fixed windows: what was used counts until the window ends, debt included.
//!
//! A clock window's state is one word where the quota allows it, else two:
//!
//! | word | bits | meaning |
//! | --- | --- | --- |
//! | packed | high `64 − used_bits` | window id: see `calendar` |
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
use super::meter::{Meter, Standing};
use crate::calendar::{Calendar, Numbered, Window};
use crate::clock::Moment;
use crate::rate::{Period, Rate};

/// Windows at the boundaries of a clock.
#[derive(Debug)]
pub(crate) struct ClockWindow {
    quota: Units,
    most: Units,
    /// Most that is kept: more than `most` where another plan of the policy allows it.
    widest: Units,
    period: Period,
    zone: TimeZone,
    calendar: Calendar,
    /// 0: wide.
    used_bits: u32,
    used_mask: u64,
}

impl ClockWindow {
    /// Its words hold up to `widest` units, at least.
    pub(crate) fn new(rate: &Rate, zone: &TimeZone, widest: Units) -> ClockWindow {
        let most = rate.quota + rate.max_debt;
        let widest = widest.max(most);
        let calendar = Calendar::new(rate.period, zone);
        let used_bits = calendar.last_id().leading_zeros();
        let used_bits = if widest < (1 << used_bits) - 1 { used_bits } else { 0 };
        ClockWindow {
            quota: rate.quota,
            most,
            widest,
            period: rate.period,
            zone: zone.clone(),
            calendar,
            used_bits,
            used_mask: (1 << used_bits) - 1,
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
            // Wrapping: the bits are fewer than 64.
            (words[0].wrapping_shr(self.used_bits), words[0] & self.used_mask)
        }
    }

    #[inline]
    fn pack(&self, words: &mut [u64], id: u64, used: Units) {
        if self.used_bits == 0 {
            (words[0], words[1]) = (id, used);
        } else {
            words[0] = id.wrapping_shl(self.used_bits) | used;
        }
    }

    /// The most that a word says is used; `None`: it takes two.
    pub(crate) fn most_in_one_word(&self) -> Option<Units> {
        (self.used_bits > 0).then_some(self.used_mask)
    }

    /// The window of this time, and the first word of a key that has used nothing in it.
    pub(crate) fn blank(&self, at: Moment) -> (u64, Window) {
        let Numbered { id, window } = self.calendar.numbered(at.wall);
        let mut words = [0; 2];
        self.pack(&mut words, id, 0);
        (words[0], window)
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
            let Turn { id, used, .. } = old.see(words, at);
            if used > 0 {
                self.pack(new, id, used.min(self.widest));
            }
        }
        same
    }

    /// Fills zeros with so much use.
    pub(crate) fn begin(&self, used: Units, new: &mut [u64], at: Moment) {
        Turn { used: used.min(self.widest), ..self.see(new, at) }.write(new);
    }
}

impl Meter for ClockWindow {
    type Standing<'a> = Turn<'a>;

    // Always: else it is a call that returns the standing through memory.
    #[inline(always)]
    fn see<'a>(&'a self, words: &[u64], at: Moment) -> Turn<'a> {
        let (id, used) = self.unpack(words);
        let now = self.calendar.numbered(at.wall);
        let wall = at.wall.as_nanos();
        if now.id > id {
            Turn { clock: self, id: now.id, used: 0, now, wall }
        } else {
            Turn { clock: self, id, used, now, wall }
        }
    }
}

/// The window that a key is in, and its use.
pub(crate) struct Turn<'a> {
    clock: &'a ClockWindow,
    id: u64,
    used: Units,
    now: Numbered,
    wall: u64,
}

impl Turn<'_> {
    /// Nanoseconds until the key's window ends: now's, or a later one that the key is in already.
    #[inline]
    fn left(&self) -> u64 {
        let end = match self.id == self.now.id {
            true => self.now.window.end,
            false => self.clock.calendar.end_of(self.id),
        };
        end.saturating_sub(self.wall)
    }
}

impl Standing for Turn<'_> {
    #[inline]
    fn capacity(&self) -> Units {
        self.clock.quota
    }

    #[inline]
    fn used(&self) -> Units {
        self.used
    }

    fn wait_for(&self, units: Units) -> u64 {
        if self.fits(units) { 0 } else { self.left() }
    }

    #[inline]
    fn full_after(&self) -> u64 {
        if self.used == 0 { 0 } else { self.left() }
    }

    #[inline]
    fn charge(&mut self, units: Units) {
        self.used = self.used.saturating_add(units).min(self.clock.most.max(self.used));
    }

    fn refund(&mut self, units: Units, mark: Option<u64>) -> Units {
        if mark.is_some_and(|mark| mark != self.id) {
            return 0;
        }
        let given = units.min(self.used);
        self.used -= given;
        given
    }

    fn mark(&self) -> u64 {
        self.id
    }

    #[inline]
    fn write(&self, words: &mut [u64]) {
        self.clock.pack(words, self.id, self.used);
    }
}

/// A window from the key's first request.
#[derive(Debug)]
pub(crate) struct FirstRequestWindow {
    quota: Units,
    most: Units,
    widest: Units,
    period: u64,
}

impl FirstRequestWindow {
    /// As of [`ClockWindow::new`].
    pub(crate) fn new(rate: &Rate, widest: Units) -> FirstRequestWindow {
        let most = rate.quota + rate.max_debt;
        FirstRequestWindow {
            quota: rate.quota,
            most,
            widest: widest.max(most),
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
        let own = old.see(words, at);
        if same && own.used > 0 {
            Own { used: own.used.min(self.widest), ..own }.write(new);
        }
        same
    }

    pub(crate) fn begin(&self, used: Units, new: &mut [u64], at: Moment) {
        Own { used: used.min(self.widest), ..self.see(new, at) }.write(new);
    }
}

impl Meter for FirstRequestWindow {
    type Standing<'a> = Own<'a>;

    #[inline]
    fn see<'a>(&'a self, words: &[u64], at: Moment) -> Own<'a> {
        let now = at.now.as_nanos();
        match words[0].checked_sub(1).filter(|start| now < start + self.period) {
            Some(start) => Own { window: self, start, used: words[1], now },
            None => Own { window: self, start: now, used: 0, now },
        }
    }
}

/// A key's own window: the one that it is in, or the one that begins with a charge now.
pub(crate) struct Own<'a> {
    window: &'a FirstRequestWindow,
    start: u64,
    used: Units,
    now: u64,
}

impl Own<'_> {
    #[inline]
    fn left(&self) -> u64 {
        (self.start + self.window.period).saturating_sub(self.now)
    }
}

impl Standing for Own<'_> {
    #[inline]
    fn capacity(&self) -> Units {
        self.window.quota
    }

    #[inline]
    fn used(&self) -> Units {
        self.used
    }

    fn wait_for(&self, units: Units) -> u64 {
        if self.fits(units) { 0 } else { self.left() }
    }

    #[inline]
    fn full_after(&self) -> u64 {
        if self.used == 0 { 0 } else { self.left() }
    }

    #[inline]
    fn charge(&mut self, units: Units) {
        self.used = self.used.saturating_add(units).min(self.window.most.max(self.used));
    }

    fn refund(&mut self, units: Units, mark: Option<u64>) -> Units {
        if mark.is_some_and(|mark| mark != self.start) {
            return 0;
        }
        let given = units.min(self.used);
        self.used -= given;
        given
    }

    fn mark(&self) -> u64 {
        self.start
    }

    #[inline]
    fn write(&self, words: &mut [u64]) {
        (words[0], words[1]) = (self.start + 1, self.used);
    }
}
