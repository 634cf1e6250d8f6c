//! The algorithms behind one face: a bucket reads and writes its words, and knows nothing else.
//!
//! Pure functions of (rate, words, time, units). Words of zero are those of a key that was never seen:
//! every bucket full. Waits are nanoseconds from the time given.

#[cfg(test)]
mod against_model;
mod concurrency;
mod fixed_window;
mod gcra;
mod growing;
mod lasting;
mod leases;
mod meter;
mod ratio;
mod sliding_window;
mod strict_window;

use crate::clock::Moment;
use crate::rate::{Algorithm, MAX_LEVELS, Rate};

pub(crate) use concurrency::{NOMINAL_WAIT, Permits};
pub(crate) use fixed_window::ClockWindow;
use fixed_window::FirstRequestWindow;
pub(crate) use gcra::{Gcra, Taken};
use growing::Growing;
use lasting::Lasting;
use leases::Leases;
use meter::Meter;
pub(crate) use meter::{Paid, Standing};
pub(crate) use ratio::wide;
use sliding_window::SlidingWindow;
use strict_window::StrictWindow;

/// Requests × cost, nanoseconds, or permits.
pub(crate) type Units = u64;

/// One rate with its arithmetic worked out.
#[derive(Debug)]
// With a tag of its own: the one that is hidden in another field takes longer to read.
#[repr(u8)]
pub(crate) enum Bucket {
    Gcra(Gcra),
    Clock(ClockWindow),
    FirstRequest(FirstRequestWindow),
    Sliding(SlidingWindow),
    Strict(StrictWindow),
    Permits(Permits),
    Leases(Leases),
    Growing(Growing),
    /// Apart, for it is larger than all others.
    Lasting(Box<Lasting>),
}

/// What the words of a bucket must be able to hold where several plans have it at rates of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hold {
    /// The largest capacity of these rates.
    pub(crate) capacity: Units,
    /// The largest capacity and `max_debt`.
    pub(crate) most: Units,
}

impl Hold {
    /// Of one rate; of one that grows, at its ceiling.
    pub(crate) fn of(rate: &Rate) -> Hold {
        if let Some(growth) = &rate.growth {
            return Hold::of(&growth.rate(rate, growth.steps(rate.quota).min(MAX_LEVELS - 1)));
        }
        let capacity = match rate.algorithm {
            Algorithm::Gcra { burst } => burst,
            _ => rate.quota,
        };
        Hold { capacity, most: capacity + rate.max_debt }
    }

    pub(crate) fn with(self, other: Hold) -> Hold {
        Hold { capacity: self.capacity.max(other.capacity), most: self.most.max(other.most) }
    }
}

/// Names a payment, for [`Bucket::refund`] and [`Bucket::renew`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The window it was made in, the word after it, or the generation of a permit.
    pub(crate) payment: u64,
    /// Of a growing rate, the level; payments under two of them are not compared.
    pub(crate) level: u32,
}

/// The same call on whichever algorithm it is.
macro_rules! each {
    ($self:expr, $bucket:ident => $call:expr) => {
        match $self {
            Bucket::Gcra($bucket) => $call,
            Bucket::Clock($bucket) => $call,
            Bucket::FirstRequest($bucket) => $call,
            Bucket::Sliding($bucket) => apart(move || $call),
            Bucket::Strict($bucket) => apart(move || $call),
            Bucket::Permits($bucket) => $call,
            Bucket::Leases($bucket) => apart(move || $call),
            Bucket::Growing($bucket) => apart(move || $call),
            Bucket::Lasting($bucket) => apart(move || $call),
        }
    };
}

/// Those that divide and loop stay out of the way of those that do not.
#[inline(never)]
fn apart<R>(call: impl FnOnce() -> R) -> R {
    call()
}

impl Bucket {
    /// Most words of any bucket: those of a strict window that grows.
    pub(crate) const MAX_WORDS: usize = growing::MAX_WORDS;

    #[cfg(test)]
    pub(crate) fn new(rate: &Rate) -> Bucket {
        Bucket::within(rate, None)
    }

    /// The bucket of a rate; `hold`: of a limit that has another one in another plan.
    pub(crate) fn within(rate: &Rate, hold: Option<Hold>) -> Bucket {
        if let Some(growth) = &rate.growth {
            return Bucket::Growing(Growing::new(rate, growth, hold));
        }
        let widest = hold.map_or(0, |hold| hold.most);
        match (&rate.algorithm, hold) {
            (Algorithm::Gcra { burst }, None) => Bucket::Gcra(Gcra::new(rate, *burst)),
            (Algorithm::Gcra { burst }, Some(hold)) => {
                Bucket::Lasting(Box::new(Lasting::new(rate, *burst, hold)))
            }
            (Algorithm::SlidingWindow { strict: false }, _) => {
                Bucket::Sliding(SlidingWindow::new(rate, widest))
            }
            (Algorithm::SlidingWindow { strict: true }, _) => {
                Bucket::Strict(StrictWindow::new(rate, widest))
            }
            (Algorithm::ClockWindow { zone }, _) => {
                Bucket::Clock(ClockWindow::new(rate, zone, widest))
            }
            (Algorithm::FirstRequestWindow, _) => {
                Bucket::FirstRequest(FirstRequestWindow::new(rate, widest))
            }
        }
    }

    /// Permits that are reclaimed when `max_hold` nanoseconds have passed since they were taken.
    pub(crate) fn leases(quota: Units, max_hold: u64) -> Bucket {
        Bucket::Leases(Leases::new(quota, max_hold))
    }

    /// How many words of state a key needs.
    pub(crate) fn words(&self) -> usize {
        each!(self, bucket => bucket.words())
    }

    /// Of a rate that grows, where it begins.
    pub(crate) fn quota(&self) -> Units {
        each!(self, bucket => bucket.quota())
    }

    /// Most that can be spent at once. Of a rate that grows, where it begins.
    pub(crate) fn capacity(&self) -> Units {
        each!(self, bucket => bucket.capacity())
    }

    /// The quota that holds for these words: of a rate that grows, its level's.
    #[inline]
    pub(crate) fn quota_now(&self, words: &[u64], at: Moment) -> Units {
        match self {
            Bucket::Growing(bucket) => bucket.present(words, at).quota(),
            _ => self.quota(),
        }
    }

    /// Most that can be spent at once with these words.
    #[inline]
    pub(crate) fn capacity_now(&self, words: &[u64], at: Moment) -> Units {
        match self {
            Bucket::Growing(bucket) => bucket.present(words, at).capacity(),
            _ => self.capacity(),
        }
    }

    /// Do quota and capacity depend on the words?
    pub(crate) fn grows(&self) -> bool {
        matches!(self, Bucket::Growing(_))
    }

    /// Nanoseconds until room may become less without use: when a rate that grew shrinks.
    pub(crate) fn next_loss(&self, words: &[u64], at: Moment) -> Option<u64> {
        match self {
            Bucket::Growing(bucket) => bucket.next_loss(words, at),
            _ => None,
        }
    }

    fn level(&self, words: &[u64], at: Moment) -> u32 {
        match self {
            Bucket::Growing(bucket) => bucket.level(words, at),
            _ => 0,
        }
    }

    /// Units used, rounded up; above the capacity when in debt.
    pub(crate) fn used(&self, words: &[u64], at: Moment) -> Units {
        each!(self, bucket => bucket.used(words, at))
    }

    /// Units that can be spent now.
    #[inline(always)]
    pub(crate) fn room(&self, words: &[u64], at: Moment) -> Units {
        each!(self, bucket => bucket.room(words, at))
    }

    /// Does its room only change when a window ends?
    pub(crate) fn is_fixed_window(&self) -> bool {
        matches!(self, Bucket::Clock(_) | Bucket::FirstRequest(_))
    }

    /// Do the units fit? No units do when there is no debt.
    pub(crate) fn fits(&self, words: &[u64], at: Moment, units: Units) -> bool {
        each!(self, bucket => bucket.fits(words, at, units))
    }

    /// May a wait be without an end, though the units are no more than the capacity? Of a rate that does not grow.
    pub(crate) fn may_outlast_time(&self) -> bool {
        match self {
            Bucket::Gcra(bucket) => bucket.may_outlast_time(),
            Bucket::Lasting(bucket) => bucket.may_outlast_time(),
            _ => false,
        }
    }

    /// Debits units, beyond the capacity too, up to the most debt.
    pub(crate) fn charge(&self, words: &mut [u64], at: Moment, units: Units) {
        each!(self, bucket => bucket.charge(words, at, units));
    }

    /// Charges as many of the units as there is room for; returns how many.
    #[inline]
    pub(crate) fn spend(&self, words: &mut [u64], at: Moment, due: Units) -> Units {
        each!(self, bucket => bucket.spend(words, at, due))
    }

    /// As [`Bucket::spend`], and says what is left.
    #[inline(always)]
    pub(crate) fn pay(&self, words: &mut [u64], at: Moment, due: Units) -> Paid {
        each!(self, bucket => bucket.pay(words, at, due))
    }

    /// Nanoseconds until `units` (at most the capacity now) fit; 0: they do now. `u64::MAX`: never, since a rate that
    /// grew shrinks before. Of permits with a time: until the oldest are reclaimed; one may come back sooner.
    pub(crate) fn wait_for(&self, words: &[u64], at: Moment, units: Units) -> u64 {
        each!(self, bucket => bucket.wait_for(words, at, units))
    }

    /// Nanoseconds until the words say no more than those of a key never seen (a fixed window: until it ends); 0: so
    /// it is. A rate that grew has to shrink for that, and one among several of its limit has to be full for each.
    pub(crate) fn full_after(&self, words: &[u64], at: Moment) -> u64 {
        each!(self, bucket => bucket.full_after(words, at))
    }

    /// Nanoseconds until all that can be spent at once can be, whatever the level then; 0: it can.
    pub(crate) fn refilled_after(&self, words: &[u64], at: Moment) -> u64 {
        match self {
            Bucket::Growing(bucket) => bucket.refilled_after(words, at),
            Bucket::Lasting(bucket) => apart(move || bucket.refilled_after(words, at)),
            _ => self.full_after(words, at),
        }
    }

    /// Names the payment just made.
    pub(crate) fn mark(&self, words: &[u64], at: Moment) -> Mark {
        let payment = each!(self, bucket => bucket.mark(words, at));
        Mark { payment, level: self.level(words, at) }
    }

    /// Gives units back, never more than are in use; with a mark, only those of that payment that still
    /// count. (A rate that has grown or shrunk since compares no payments: as without.) Returns how many were
    /// given.
    pub(crate) fn refund(
        &self,
        words: &mut [u64],
        at: Moment,
        units: Units,
        mark: Option<Mark>,
    ) -> Units {
        let mark = mark.filter(|mark| mark.level == self.level(words, at));
        let mark = mark.map(|mark| mark.payment);
        each!(self, bucket => bucket.refund(words, at, units, mark))
    }

    /// As [`Bucket::refund`], of what a receipt says was paid: to one among several of its limit.
    pub(crate) fn return_paid(
        &self,
        words: &mut [u64],
        at: Moment,
        units: Units,
        mark: Option<Mark>,
    ) {
        match self {
            Bucket::Lasting(bucket) => {
                bucket.return_paid(words, at, units, mark.map(|mark| mark.payment));
            }
            _ => _ = self.refund(words, at, units, mark),
        }
    }

    /// Begins a permit's time anew: that of the mark, else of the oldest. Returns its new mark; none when it counts no
    /// more, or when there is none.
    pub(crate) fn renew(&self, words: &mut [u64], at: Moment, mark: Option<Mark>) -> Option<Mark> {
        match self {
            Bucket::Leases(bucket) => {
                let payment = bucket.renew(words, at, mark.map(|mark| mark.payment))?;
                Some(Mark { payment, level: 0 })
            }
            // Without a time, all that are out stay out.
            Bucket::Permits(_) => (self.used(words, at) > 0).then(|| self.mark(words, at)),
            _ => None,
        }
    }

    /// Makes `into` the larger use of the two, part by part.
    pub(crate) fn merge(&self, into: &mut [u64], from: &[u64], at: Moment) {
        match self {
            Bucket::Gcra(_) | Bucket::Permits(_) => into[0] = into[0].max(from[0]),
            Bucket::Clock(bucket) => bucket.merge(into, from),
            Bucket::FirstRequest(bucket) => bucket.merge(into, from),
            Bucket::Sliding(bucket) => bucket.merge(into, from),
            Bucket::Strict(bucket) => bucket.merge(into, from),
            Bucket::Leases(bucket) => bucket.merge(into, from),
            Bucket::Growing(bucket) => bucket.merge(into, from, at),
            Bucket::Lasting(bucket) => bucket.merge(into, from),
        }
    }

    /// Fills `new` (zeros) with the use that `words` hold under `old`.
    pub(crate) fn carry(&self, old: &Bucket, words: &[u64], new: &mut [u64], at: Moment) {
        if self.is_permits() || old.is_permits() {
            return self.carry_permits(old, words, new, at);
        }
        let carried = match (self, old) {
            (Bucket::Growing(bucket), old) => {
                bucket.carry(old, words, new, at);
                true
            }
            (bucket, Bucket::Growing(old)) => {
                old.carry_to(bucket, words, new, at);
                true
            }
            (Bucket::Gcra(bucket), Bucket::Gcra(old)) => {
                new[0] = bucket.carry(old, words, at);
                true
            }
            (Bucket::Gcra(bucket), Bucket::Lasting(old)) => {
                new[0] = old.carry_to(bucket, words, at);
                true
            }
            (Bucket::Lasting(bucket), old) => bucket.carry(old, words, new, at),
            (Bucket::Clock(bucket), Bucket::Clock(old)) => bucket.carry(old, words, new, at),
            (Bucket::FirstRequest(bucket), Bucket::FirstRequest(old)) => {
                bucket.carry(old, words, new, at)
            }
            (Bucket::Sliding(bucket), Bucket::Sliding(old)) => bucket.carry(old, words, new, at),
            (Bucket::Strict(bucket), Bucket::Strict(old)) => bucket.carry(old, words, new, at),
            _ => false,
        };
        let used = old.used(words, at);
        if !carried && used > 0 {
            self.begin(used, new, at);
        }
    }

    /// Fills zeros with so much use.
    fn begin(&self, used: Units, new: &mut [u64], at: Moment) {
        match self {
            Bucket::Clock(bucket) => bucket.begin(used, new, at),
            Bucket::FirstRequest(bucket) => bucket.begin(used, new, at),
            Bucket::Sliding(bucket) => bucket.begin(used, new, at),
            Bucket::Strict(bucket) => bucket.begin(used, new, at),
            Bucket::Lasting(bucket) => bucket.begin(used, new, at),
            _ => self.charge(new, at, used),
        }
    }

    /// Words of `old` were taken over for a request of another plan: cuts off use that this rate cannot come to.
    pub(crate) fn forgive(&self, old: &Bucket, words: &mut [u64], at: Moment) {
        if let (Bucket::Lasting(bucket), Bucket::Lasting(_)) = (self, old) {
            bucket.forgive(words, at);
        }
    }

    /// The windows of a clock, if it is such a bucket.
    pub(crate) fn clock_window(&self) -> Option<&ClockWindow> {
        match self {
            Bucket::Clock(bucket) => Some(bucket),
            _ => None,
        }
    }

    fn is_permits(&self) -> bool {
        matches!(self, Bucket::Permits(_) | Bucket::Leases(_))
    }

    /// Permits stay permits; rates know nothing of them.
    fn carry_permits(&self, old: &Bucket, words: &[u64], new: &mut [u64], at: Moment) {
        match (self, old) {
            (Bucket::Leases(bucket), Bucket::Leases(old)) => bucket.carry(old, words, new, at),
            (Bucket::Leases(bucket), Bucket::Permits(_)) => {
                bucket.begin(old.used(words, at), new, at);
            }
            (Bucket::Permits(_), Bucket::Permits(_) | Bucket::Leases(_)) => {
                new[0] = old.used(words, at);
            }
            _ => {}
        }
    }
}
