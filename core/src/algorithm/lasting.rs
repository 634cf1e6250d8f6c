//! gcra of a limit that has several rates, each in a plan of its own: what one plan has no place for, the next one finds.
//!
//! Not here: a single rate (see `gcra`). This file answers: what is left under a rate, and what will be left under
//! another one?
//!
//! From plan to plan, what is left is left. A smaller bucket cannot show all that was left under a larger one, and is full
//! when the larger one is not. So two words are kept, each a gcra word at the same rate:
//!
//! | word | meaning |
//! | --- | --- |
//! | 0 | what is used of this rate's bucket: decides |
//! | 1 | what is used of the *whole*: a bucket with the largest capacity that the limit has under any rate |
//!
//! Whatever is paid or comes back counts in both. What is left of the whole is at least what is left of the bucket; a
//! change of rate takes the whole over, and shows as much of it as the new bucket holds. Only a whole that is full says no
//! more than a key never seen (0, 0): a bucket of any rate is then full. The first payment from such a key leaves in the
//! whole what it leaves in the bucket: what is left of a full bucket of a smaller plan is left in the larger plan, too.

use super::gcra::{Account, Gcra};
use super::meter::{Meter, Standing};
use super::{Bucket, Hold, Units};
use crate::clock::Moment;
use crate::rate::Rate;

/// A rate of several.
#[derive(Debug)]
pub(crate) struct Lasting {
    bucket: Gcra,
    whole: Gcra,
}

impl Lasting {
    pub(crate) fn new(rate: &Rate, burst: Units, hold: Hold) -> Lasting {
        Lasting {
            bucket: Gcra::within(rate, burst, rate.max_debt, hold.most),
            whole: Gcra::within(rate, hold.capacity, hold.most, hold.most),
        }
    }

    pub(crate) fn words(&self) -> usize {
        2
    }

    pub(crate) fn quota(&self) -> Units {
        self.bucket.quota()
    }

    pub(crate) fn capacity(&self) -> Units {
        self.bucket.capacity()
    }

    /// Nanoseconds until the bucket is full.
    pub(crate) fn refilled_after(&self, words: &[u64], at: Moment) -> u64 {
        self.see(words, at).bucket.full_after()
    }

    /// Nanoseconds until the bucket of any rate would be.
    pub(crate) fn full_after(&self, words: &[u64], at: Moment) -> u64 {
        self.see(words, at).whole.full_after()
    }

    pub(crate) fn merge(&self, into: &mut [u64], from: &[u64]) {
        into[0] = into[0].max(from[0]);
        into[1] = into[1].max(from[1]);
    }

    /// Takes over what was left under another rate; false when it is no gcra.
    pub(crate) fn carry(&self, old: &Bucket, words: &[u64], new: &mut [u64], at: Moment) -> bool {
        let whole = match old {
            Bucket::Gcra(old) => self.whole.carry(old, words, at),
            Bucket::Lasting(old) => old.carry_to(&self.whole, words, at),
            _ => return false,
        };
        if whole != 0 {
            (new[0], new[1]) = (self.bucket.shown(&self.whole, whole, at), whole);
        }
        true
    }

    /// The word of a rate that is the only one of its limit.
    pub(crate) fn carry_to(&self, other: &Gcra, words: &[u64], at: Moment) -> u64 {
        other.carry(&self.whole, &words[1..], at)
    }

    /// Fills zeros with so much use of the bucket.
    pub(crate) fn begin(&self, used: Units, new: &mut [u64], at: Moment) {
        let mut both = self.see(new, at);
        both.pay(|bucket| bucket.charge_up_to(used, &self.whole));
        both.write(new);
    }
}

impl Meter for Lasting {
    type Standing<'a> = Both<'a>;

    fn see<'a>(&'a self, words: &[u64], at: Moment) -> Both<'a> {
        Both { bucket: self.bucket.see(words, at), whole: self.whole.see(&words[1..], at) }
    }
}

/// The bucket, and the whole that it shows a part of.
pub(crate) struct Both<'a> {
    bucket: Account<'a>,
    whole: Account<'a>,
}

impl<'a> Both<'a> {
    /// A payment from the bucket, and as much from the whole.
    fn pay(&mut self, payment: impl FnOnce(&mut Account<'a>)) {
        let before = self.bucket.word();
        payment(&mut self.bucket);
        let steps = self.bucket.word() - before;
        if steps > 0 {
            if self.whole.is_idle() {
                self.whole.leave(&self.bucket, before);
            }
            self.whole.add(steps);
        }
    }
}

impl Standing for Both<'_> {
    fn capacity(&self) -> Units {
        self.bucket.capacity()
    }

    fn used(&self) -> Units {
        self.bucket.used()
    }

    fn room(&self) -> Units {
        self.bucket.room()
    }

    fn fits(&self, units: Units) -> bool {
        self.bucket.fits(units)
    }

    fn wait_for(&self, units: Units) -> u64 {
        self.bucket.wait_for(units)
    }

    fn full_after(&self) -> u64 {
        self.bucket.full_after()
    }

    fn charge(&mut self, units: Units) {
        self.pay(|bucket| bucket.charge(units));
    }

    fn refund(&mut self, units: Units, mark: Option<u64>) -> Units {
        let before = self.bucket.word();
        let given = self.bucket.refund(units, mark);
        self.whole.remove(before - self.bucket.word());
        given
    }

    fn mark(&self) -> u64 {
        self.bucket.mark()
    }

    fn write(&self, words: &mut [u64]) {
        (words[0], words[1]) = (self.bucket.word(), self.whole.word());
    }
}
