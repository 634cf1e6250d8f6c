//! Generic cell rate algorithm (ITU-T I.371) on one word per key.
//!
//! Not here: keys, clocks, atomics. This file answers: given a rate, the word of a key and the
//! time, what is left, and what is the word after a charge?
//!
//! The word counts what the key has *used*, on a supply line that belongs to the rate:
//!
//! ```text
//!   used ≤ supply − capacity   the key is idle: its word says no more than an absent one (0)
//!   used ≤ supply              supply − used is left
//!   used > supply              debt, left by a late charge; time repays it
//! ```
//!
//! Units are split into steps of less than a nanosecond, so that a key that spends between two
//! ticks of a slow rate does not get the next unit early. The line is computed from absolute time
//! with one exact multiplication (see `ratio`): no error adds up, where an integer interval in
//! nanoseconds would turn 600 M/s into 1 G/s.

use super::Units;
use super::meter::{Meter, Standing};
use super::ratio::Ratio;
use crate::clock::Moment;
use crate::decision::NEVER;
use crate::rate::Rate;

/// Most steps that capacity and debt may each have; keeps every sum below inside 64 bits:
/// supply ≤ 2^61 + 2^62 ns · 2 steps/ns, used ≤ supply + 2^61.
const MAX_STEPS: u64 = 1 << 61;

/// A quota per period, as a line of supply over time.
#[derive(Clone, Debug)]
pub(crate) struct Gcra {
    quota: Units,
    burst: Units,
    /// A unit is 2^fine steps; of latency budgets above real time a step is 2^coarse units.
    fine: u32,
    coarse: u32,
    /// Most that an idle key can spend at once.
    capacity_steps: u64,
    /// Most that a late charge may leave beyond the supply.
    max_debt_steps: u64,
    steps_per_nano: Ratio,
    nanos_per_step: Ratio,
}

impl Gcra {
    pub(crate) fn new(rate: &Rate, burst: Units) -> Gcra {
        Gcra::within(rate, burst, rate.max_debt, burst.max(rate.max_debt))
    }

    /// With other bounds; steps are no finer than an amount of `largest` allows.
    pub(super) fn within(rate: &Rate, burst: Units, max_debt: Units, largest: Units) -> Gcra {
        let period = rate.period.nanos();
        let coarse = (0..63).find(|k| rate.quota >> k <= period).unwrap_or(63);
        let coarse = coarse + u32::from(period << coarse < rate.quota);
        let allowed = || (0..63).take_while(|f| *f == 0 || largest <= MAX_STEPS >> f);
        // Less than a nanosecond, and not just one: a reciprocal without a whole part is quicker to multiply by.
        let fine = allowed().find(|f| u128::from(rate.quota) << f > u128::from(period));
        let fine = fine.or_else(|| allowed().last()).unwrap_or(0);
        let (numerator, denominator) = (rate.quota << fine, period << coarse);
        Gcra {
            quota: rate.quota,
            burst,
            fine,
            coarse,
            capacity_steps: ((burst << fine) >> coarse).max(1),
            max_debt_steps: (max_debt << fine) >> coarse,
            steps_per_nano: Ratio::new(numerator, denominator),
            nanos_per_step: Ratio::new(denominator, numerator),
        }
    }

    pub(crate) fn words(&self) -> usize {
        1
    }

    pub(crate) fn quota(&self) -> Units {
        self.quota
    }

    pub(crate) fn capacity(&self) -> Units {
        self.burst
    }

    /// At least the capacity.
    #[inline]
    fn supply(&self, at: Moment) -> u64 {
        // In range, and so wrapping: see `MAX_STEPS`.
        self.capacity_steps.wrapping_add(self.steps_per_nano.floor_within(at.now.as_nanos()))
    }

    #[inline]
    fn steps(&self, units: Units) -> u64 {
        times(shifted_up(units, self.coarse), self.fine)
    }

    /// May what is missing never come before time ends? (A step that takes less than a nanosecond always does.)
    #[inline]
    pub(crate) fn may_outlast_time(&self) -> bool {
        self.nanos_per_step.magnifies()
    }

    /// The room of a full bucket: its capacity, in whole steps.
    pub(super) fn room_of_full(&self) -> Units {
        // Wrapping: the shifts are less than 64.
        self.capacity_steps.wrapping_shr(self.fine).wrapping_shl(self.coarse)
    }

    /// Charges `units` of a count limit if they fit. Says how the bucket stands: then, or as it did.
    #[inline(always)]
    pub(crate) fn take<'a>(
        &'a self,
        words: &mut [u64],
        at: Moment,
        units: Units,
    ) -> Result<Account<'a>, Account<'a>> {
        debug_assert_eq!(self.coarse, 0, "a count limit gives out at most one unit a nanosecond");
        let before = self.see(words, at);
        if units > self.burst {
            return Err(before);
        }
        // No more steps than the capacity, which is at most 2^61: nothing is shifted out.
        let used = before.used.wrapping_add(units.wrapping_shl(self.fine));
        if used > before.supply {
            return Err(before);
        }
        if units > 0 {
            words[0] = used;
        }
        Ok(Account { used, ..before })
    }

    /// How the bucket stood when that was taken, at that time.
    #[inline(always)]
    pub(crate) fn account(&self, taken: Taken, at: Moment) -> Account<'_> {
        let Taken { used, supply } = taken;
        Account { gcra: self, used, supply, now: at.now.as_nanos() }
    }

    /// The word for a key that had `old` of `words` left under another rate: what was left is
    /// left, a full bucket is full, debt stays debt.
    pub(crate) fn carry(&self, old: &Gcra, words: &[u64], at: Moment) -> u64 {
        let (used, supply) = (words[0], old.supply(at));
        if used <= supply - old.capacity_steps {
            return 0;
        }
        let here = self.supply(at);
        if used <= supply {
            let left = self.rescale(supply - used, old);
            here - u64::try_from(left).unwrap_or(u64::MAX).min(self.capacity_steps)
        } else {
            let debt =
                self.rescale(used - supply, old) + u128::from(self.loses(used - supply, old));
            here + u64::try_from(debt).unwrap_or(u64::MAX).min(self.max_debt_steps)
        }
    }

    /// The word of a bucket of which so much is used as of the old one; at most as much as `most` may be in debt.
    pub(super) fn carry_use(&self, old: &Gcra, word: u64, most: &Gcra, at: Moment) -> u64 {
        let steps = word.saturating_sub(old.supply(at) - old.capacity_steps);
        let used = self.rescale(steps, old) + u128::from(self.loses(steps, old));
        let used = u64::try_from(used).unwrap_or(u64::MAX).min(most.max_debt_steps);
        self.supply(at) - self.capacity_steps + used
    }

    /// The word with as much use beyond the capacity as time repays while it fills the bucket, or as late charges may
    /// leave, at most.
    pub(super) fn forgive(&self, word: u64, at: Moment) -> u64 {
        word.min(self.supply(at) + self.max_debt_steps.max(self.capacity_steps))
    }

    /// `steps` of `old` in steps of this rate, rounded down.
    fn rescale(&self, steps: u64, old: &Gcra) -> u128 {
        (u128::from(steps) << old.coarse << self.fine) >> old.fine >> self.coarse
    }

    fn loses(&self, steps: u64, old: &Gcra) -> bool {
        (self.rescale(steps, old) << self.coarse << old.fine) >> self.fine >> old.coarse
            != u128::from(steps)
    }
}

impl Meter for Gcra {
    type Standing<'a> = Account<'a>;

    // Always: else it is a call that returns the standing through memory.
    #[inline(always)]
    fn see<'a>(&'a self, words: &[u64], at: Moment) -> Account<'a> {
        let supply = self.supply(at);
        // Credit stops growing at `capacity`: an idle key is worth no more than a new one.
        let used = words[0].max(supply.wrapping_sub(self.capacity_steps));
        Account { gcra: self, used, supply, now: at.now.as_nanos() }
    }
}

/// An [`Account`] after a charge, apart from its rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    used: u64,
    supply: u64,
}

/// What a key has used, and the supply, both on the rate's line: see the table above.
pub(crate) struct Account<'a> {
    gcra: &'a Gcra,
    used: u64,
    supply: u64,
    now: u64,
}

impl Account<'_> {
    #[inline(always)]
    pub(crate) fn taken(&self) -> Taken {
        Taken { used: self.used, supply: self.supply }
    }

    /// Nanoseconds until the supply is so many steps, and the capacity; `NEVER` when time ends before.
    #[inline]
    fn supplied_after(&self, steps: u64) -> u64 {
        let when = self.gcra.nanos_per_step.ceil(steps);
        when.map_or(NEVER, |when| when.saturating_sub(self.now))
    }

    pub(super) fn word(&self) -> u64 {
        self.used
    }

    pub(super) fn is_idle(&self) -> bool {
        self.steps_in_use(self.used) == 0
    }

    /// Leaves here what another account at the same rate has left, or owes.
    pub(super) fn leave(&mut self, other: &Account<'_>) {
        self.used = self.standing_as(other);
    }

    /// This account, with no more left than that other one at the same rate has.
    pub(super) fn within(&self, other: &Account<'_>) -> Self {
        Account { used: self.used.max(self.standing_as(other)), ..*self }
    }

    /// The word with which as much is left here, or owed, as in that other account at the same rate.
    fn standing_as(&self, other: &Account<'_>) -> u64 {
        match other.used.checked_sub(other.supply) {
            Some(debt) => self.supply + debt,
            None => self.supply.saturating_sub(other.supply - other.used),
        }
    }

    pub(super) fn add(&mut self, steps: u64) {
        self.used += steps;
    }

    /// At most what is in use.
    pub(super) fn remove(&mut self, steps: u64) {
        self.used -= steps.min(self.steps_in_use(self.used));
    }

    /// Steps of a payment that time has not given back since: see `refund`.
    pub(super) fn left_of(&self, mark: Option<u64>) -> u64 {
        self.steps_in_use(mark.unwrap_or(u64::MAX))
    }

    /// Gives units back, at most what is in use, and so many steps.
    pub(super) fn give_back(&mut self, units: Units, most: u64) -> Units {
        let steps = self.steps_in_use(self.used).min(most);
        let given = units.min(times(shifted_up(steps, self.gcra.fine), self.gcra.coarse));
        self.used -= self.gcra.steps(given).min(steps);
        given
    }

    /// Charges as much as a bucket at the same rate may be in debt.
    pub(super) fn charge_up_to(&mut self, units: Units, other: &Gcra) {
        let most = self.used.max(self.supply + other.max_debt_steps);
        self.used = self.used.saturating_add(self.gcra.steps(units)).min(most);
    }

    /// Steps between a word and that of an idle key.
    #[inline]
    fn steps_in_use(&self, word: u64) -> u64 {
        // Wrapping: a supply is at least the capacity.
        word.saturating_sub(self.supply.wrapping_sub(self.gcra.capacity_steps))
    }
}

impl Standing for Account<'_> {
    #[inline]
    fn capacity(&self) -> Units {
        self.gcra.burst
    }

    fn used(&self) -> Units {
        times(shifted_up(self.steps_in_use(self.used), self.gcra.fine), self.gcra.coarse)
    }

    #[inline]
    fn room(&self) -> Units {
        // Wrapping, here and below: the shifts are less than 64.
        let units = self.supply.saturating_sub(self.used).wrapping_shr(self.gcra.fine);
        units.wrapping_shl(self.gcra.coarse)
    }

    #[inline]
    fn fits(&self, units: Units) -> bool {
        self.used.saturating_add(self.gcra.steps(units)) <= self.supply
    }

    /// The caller has ruled out what never fits.
    #[inline]
    fn wait_for(&self, units: Units) -> u64 {
        let wanted = self.used.saturating_add(self.gcra.steps(units));
        let missing = wanted > self.supply;
        if missing { self.supplied_after(wanted - self.gcra.capacity_steps) } else { 0 }
    }

    #[inline]
    fn full_after(&self) -> u64 {
        match self.steps_in_use(self.used) {
            0 => 0,
            _ => self.supplied_after(self.used),
        }
    }

    #[inline]
    fn charge(&mut self, units: Units) {
        let most = self.used.max(self.supply + self.gcra.max_debt_steps);
        self.used = self.used.saturating_add(self.gcra.steps(units)).min(most);
    }

    /// `mark` is the word after the payment that is refunded: what time has given back since is not
    /// given back again.
    fn refund(&mut self, units: Units, mark: Option<u64>) -> Units {
        self.give_back(units, self.left_of(mark))
    }

    fn mark(&self) -> u64 {
        self.used
    }

    #[inline]
    fn write(&self, words: &mut [u64]) {
        words[0] = self.used;
    }
}

/// `x` · 2^`bits`, at most `u64::MAX`.
#[inline]
fn times(x: u64, bits: u32) -> u64 {
    if x > u64::MAX >> bits { u64::MAX } else { x << bits }
}

/// `x` ÷ 2^`bits`, rounded up.
#[inline]
fn shifted_up(x: u64, bits: u32) -> u64 {
    let whole = x.wrapping_shr(bits);
    whole + u64::from(whole.wrapping_shl(bits) != x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::{Algorithm, Period};
    use crate::time::Timestamp;

    fn gcra(quota: u64, period: u64, burst: u64) -> Gcra {
        let rate = Rate {
            name: String::new(),
            quota,
            period: Period::Nanos(period),
            algorithm: Algorithm::Gcra { burst },
            max_debt: quota,
            growth: None,
        };
        Gcra::new(&rate, burst)
    }

    fn at(nanos: u64) -> Moment {
        Timestamp::clamped(nanos).into()
    }

    /// 3 a second, at most 3 at once: (ns, cost, admitted, wait in ns)
    const SPACING: &[(u64, u64, bool, u64)] = &[
        (0, 3, true, 0),
        (0, 1, false, 333_333_334), // rounded up: one nanosecond earlier it would be denied
        (333_333_333, 1, false, 1),
        (333_333_334, 1, true, 0),
        (333_333_334, 1, false, 333_333_333),
        (333_333_334, 4, false, NEVER),
        (1_000_000_000, 2, true, 0),
        (1_000_000_000, 1, false, 333_333_334),
        (9_000_000_000, 4, false, NEVER),
        (9_000_000_000, 3, true, 0),
    ];

    #[test]
    fn spacing() {
        let rate = gcra(3, 1_000_000_000, 3);
        let mut words = [0];
        for (row, &(now, cost, admitted, wait)) in SPACING.iter().enumerate() {
            let fits = rate.room(&words, at(now)) >= cost;
            assert_eq!(fits, admitted, "row {row}");
            if fits {
                rate.charge(&mut words, at(now), cost);
            } else if cost <= rate.capacity() {
                assert_eq!(rate.wait_for(&words, at(now), cost), wait, "row {row}");
            } else {
                assert_eq!(wait, NEVER, "row {row}");
            }
        }
    }

    /// A debt that time does not repay is no wait until the end of time.
    #[test]
    fn what_comes_after_the_end_of_time_never_comes() {
        let year = 31_536_000_000_000_000;
        for (years, known) in [(300, true), (600, false)] {
            let rate = gcra(1, year, 1 << 59);
            let now = at(100 * year);
            let words = [rate.supply(now) + rate.steps(years)];
            let waits = [rate.full_after(&words, now), rate.wait_for(&words, now, 1)];
            assert_eq!(waits.map(|wait| wait != NEVER), [false, known], "{years} years: {waits:?}");
        }
    }

    /// A latency budget far above real time, of a key from a later time: all that it will have paid by then is in use, and
    /// what of it is more than a number holds is the largest number.
    #[test]
    fn use_of_a_later_time_does_not_wrap() {
        let second = 1_000_000_000;
        let rate = gcra(1_000 * second, second, 1_000 * second);
        let (now, days) = (1_700_000_000 * second, 86_400 * second);
        let mut words = [0];
        rate.charge(&mut words, at(now), 500 * second);
        for (back, used) in [(0, 500), (100 * days, 8_000_000_000), (300 * days, u64::MAX / second)]
        {
            let earlier = at(now - back);
            assert!(rate.used(&words, earlier) >= used * second, "{} days", back / days);
            let mut words = words;
            let given = rate.refund(&mut words, earlier, used * second, None);
            assert_eq!(given, used * second, "{} days", back / days);
        }
    }

    #[test]
    fn extremes_neither_wrap_nor_panic() {
        let year = 31_536_000_000_000_000;
        for (quota, period, burst) in [
            (1, year, u64::from(u32::MAX)),
            (u64::from(u32::MAX), year, u64::from(u32::MAX)),
            (1, 10 * year, (1 << 53) - 1),
            (1 << 59, 1_000, 1 << 59),
            (1 << 59, 10 * year, 1 << 59),
            (1_000, 1_000, 1),
        ] {
            let rate = gcra(quota, period, burst);
            for now in [0, 1, 1 << 61, (1 << 62) - 1] {
                let mut words = [0];
                assert!(rate.room(&words, at(now)) > burst / 2, "{quota}/{period} at {now}");
                rate.charge(&mut words, at(now), u64::MAX);
                assert_eq!(rate.room(&words, at(now)), 0);
                assert!(rate.wait_for(&words, at(now), 1) > 0);
                rate.refund(&mut words, at(now), u64::MAX, None);
                assert_eq!(rate.full_after(&words, at(now)), 0);
            }
        }
    }
}
