//! The algorithms behind one face: a bucket reads and writes its words, and knows nothing else.
//!
//! Pure functions of (rate, words, time, units). Words of zero are those of a key that was never seen:
//! every bucket full. Waits are nanoseconds from the time given.

mod concurrency;
mod fixed_window;
mod gcra;
mod meter;
mod ratio;
mod sliding_window;
mod strict_window;

use crate::clock::Moment;
use crate::rate::{Algorithm, Rate};

pub(crate) use concurrency::{NOMINAL_WAIT, Permits};
use fixed_window::{ClockWindow, FirstRequestWindow};
pub(crate) use gcra::{Gcra, Taken};
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
}

/// Names a payment, for [`Bucket::refund`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The window it was made in, or the word after it.
    pub(crate) payment: u64,
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
        }
    };
}

/// Those that divide and loop stay out of the way of those that do not.
#[inline(never)]
fn apart<R>(call: impl FnOnce() -> R) -> R {
    call()
}

impl Bucket {
    pub(crate) fn new(rate: &Rate) -> Bucket {
        match &rate.algorithm {
            Algorithm::Gcra { burst } => Bucket::Gcra(Gcra::new(rate, *burst)),
            Algorithm::SlidingWindow { strict: false } => Bucket::Sliding(SlidingWindow::new(rate)),
            Algorithm::SlidingWindow { strict: true } => Bucket::Strict(StrictWindow::new(rate)),
            Algorithm::ClockWindow { zone } => Bucket::Clock(ClockWindow::new(rate, zone)),
            Algorithm::FirstRequestWindow => Bucket::FirstRequest(FirstRequestWindow::new(rate)),
        }
    }

    /// How many words of state a key needs.
    pub(crate) fn words(&self) -> usize {
        each!(self, bucket => bucket.words())
    }

    pub(crate) fn quota(&self) -> Units {
        each!(self, bucket => bucket.quota())
    }

    /// Most that can be spent at once.
    pub(crate) fn capacity(&self) -> Units {
        each!(self, bucket => bucket.capacity())
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

    /// Nanoseconds until `units` (at most the capacity) fit; 0: they do now.
    pub(crate) fn wait_for(&self, words: &[u64], at: Moment, units: Units) -> u64 {
        each!(self, bucket => bucket.wait_for(words, at, units))
    }

    /// Nanoseconds until the bucket is full again (a fixed window: until it ends); 0: it is.
    pub(crate) fn full_after(&self, words: &[u64], at: Moment) -> u64 {
        each!(self, bucket => bucket.full_after(words, at))
    }

    /// Names the payment just made, for [`Bucket::refund`].
    pub(crate) fn mark(&self, words: &[u64], at: Moment) -> Mark {
        Mark { payment: each!(self, bucket => bucket.mark(words, at)) }
    }

    /// Gives units back, never more than are in use; with a mark, only those of that payment that still
    /// count. Returns how many were given.
    pub(crate) fn refund(
        &self,
        words: &mut [u64],
        at: Moment,
        units: Units,
        mark: Option<Mark>,
    ) -> Units {
        let mark = mark.map(|mark| mark.payment);
        each!(self, bucket => bucket.refund(words, at, units, mark))
    }

    /// Makes `into` the larger use of the two, part by part.
    pub(crate) fn merge(&self, into: &mut [u64], from: &[u64], _at: Moment) {
        match self {
            Bucket::Gcra(_) | Bucket::Permits(_) => into[0] = into[0].max(from[0]),
            Bucket::Clock(bucket) => bucket.merge(into, from),
            Bucket::FirstRequest(bucket) => bucket.merge(into, from),
            Bucket::Sliding(bucket) => bucket.merge(into, from),
            Bucket::Strict(bucket) => bucket.merge(into, from),
        }
    }

    /// Fills `new` (zeros) with the use that `words` hold under `old`.
    pub(crate) fn carry(&self, old: &Bucket, words: &[u64], new: &mut [u64], at: Moment) {
        let carried = match (self, old) {
            (Bucket::Permits(_), _) | (_, Bucket::Permits(_)) => {
                if let (Bucket::Permits(_), Bucket::Permits(_)) = (self, old) {
                    new[0] = words[0];
                }
                true
            }
            (Bucket::Gcra(bucket), Bucket::Gcra(old)) => {
                new[0] = bucket.carry(old, words, at);
                true
            }
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
            self.charge(new, at, used);
        }
    }
}
