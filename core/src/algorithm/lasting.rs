//! gcra of a limit that has several rates, each in a plan of its own: nothing is lost from one to the next.
//!
//! Not here: a single rate (see `gcra`). This file answers: what is left under a rate, and what will be left under
//! another one?
//!
//! From plan to plan, what is used is used, and what is left is left, whichever leaves less. Neither says all: of what is
//! left in a large bucket, a small one can only show a part; and what was used of a small one is little of a large
//! one, which still is not to have more left for it. So both are kept, each a gcra word at the same rate:
//!
//! | word | meaning |
//! | --- | --- |
//! | 0 | what is used, on the line of a bucket of this rate |
//! | 1 | what is left, as the use of the *whole*: a bucket of the largest capacity that the limit has at any rate |
//!
//! The bucket has left what both leave it. Whatever is paid or comes back counts in both words, and time gives back in
//! both. A change of rate takes over the use of the one and what is left of the other, so that the way there and back is
//! no way at all; but for use beyond what the rate allows at most, which is forgiven when a request comes under it, and
//! which debt there is in what is left, is not. (What a receipt says was paid comes back to each word as far as it is used
//! there: so what was forgiven is not lost to the larger rate.) Only a whole that is full says no more than a key never seen (0, 0): a bucket of any rate is full
//! then. The first payment from such a key leaves in the whole what it leaves in the bucket.

use super::gcra::{Account, Gcra};
use super::meter::{Meter, Paid, Standing};
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

    /// See [`Gcra::may_outlast_time`].
    pub(crate) fn may_outlast_time(&self) -> bool {
        self.bucket.may_outlast_time()
    }

    /// Nanoseconds until the bucket is full.
    pub(crate) fn refilled_after(&self, words: &[u64], at: Moment) -> u64 {
        self.see(words, at).shown.full_after()
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
            // What was left is left: in no bucket more, and in none less than it has room for.
            Bucket::Gcra(old) => self.whole.carry(old, words, at),
            Bucket::Lasting(old) => old.carry_to(&self.whole, words, at),
            _ => return false,
        };
        if whole != 0 {
            new[1] = whole;
            if let Bucket::Lasting(old) = old {
                new[0] = self.bucket.carry_use(&old.bucket, words[0], &self.whole, at);
            }
        }
        true
    }

    /// For a key that has come here from another rate: all that was used of a far larger bucket would lock it out for
    /// days, say, where this one fills in an hour; that, or its debt, is as long as it is locked out. What is left, the
    /// second word, stays: so no way from rate to rate gives more than the largest bucket has left.
    pub(crate) fn forgive(&self, words: &mut [u64], at: Moment) {
        words[0] = self.bucket.forgive(words[0], at);
    }

    /// Gives back what a receipt says was paid. It was paid from both words, and what was forgiven of the one since is
    /// still missing in the other.
    pub(crate) fn return_paid(
        &self,
        words: &mut [u64],
        at: Moment,
        units: Units,
        mark: Option<u64>,
    ) {
        let mut both = self.see(words, at);
        let left = both.shown.left_of(mark);
        let given = both.bucket.give_back(units, left).max(both.whole.give_back(units, left));
        if given > 0 {
            both.write(words);
        }
    }

    /// The word of a rate that is the only one of its limit.
    pub(crate) fn carry_to(&self, other: &Gcra, words: &[u64], at: Moment) -> u64 {
        other.carry(&self.whole, &words[1..], at)
    }

    /// Fills zeros with so much use of the bucket.
    pub(crate) fn begin(&self, used: Units, new: &mut [u64], at: Moment) {
        let mut both = self.see(new, at);
        both.pay(|shown| shown.charge_up_to(used, &self.whole));
        both.write(new);
    }
}

impl Meter for Lasting {
    type Standing<'a> = Both<'a>;

    fn see<'a>(&'a self, words: &[u64], at: Moment) -> Both<'a> {
        let (bucket, whole) = (self.bucket.see(words, at), self.whole.see(&words[1..], at));
        Both { shown: bucket.within(&whole), bucket, whole }
    }

    /// Most pools behind a window are never touched: then nothing is to be worked out.
    #[inline(always)]
    fn pay(&self, words: &mut [u64], at: Moment, due: Units) -> Paid {
        if due == 0 && words[..2] == [0, 0] {
            return Paid { paid: 0, room: self.bucket.room_of_full(), full_after: 0 };
        }
        let mut standing = self.see(words, at);
        let (paid, room) = standing.spend(words, due);
        Paid { paid, room, full_after: standing.full_after() }
    }
}

/// What is used and what is left, and the bucket that shows the lesser.
pub(crate) struct Both<'a> {
    shown: Account<'a>,
    bucket: Account<'a>,
    whole: Account<'a>,
}

impl<'a> Both<'a> {
    /// A payment from what is shown, and as much from both.
    fn pay(&mut self, payment: impl FnOnce(&mut Account<'a>)) {
        let before = self.shown.word();
        if self.whole.is_idle() {
            self.whole.leave(&self.shown);
        }
        payment(&mut self.shown);
        let steps = self.shown.word() - before;
        self.bucket.add(steps);
        self.whole.add(steps);
    }
}

impl Standing for Both<'_> {
    fn capacity(&self) -> Units {
        self.shown.capacity()
    }

    fn used(&self) -> Units {
        self.shown.used()
    }

    fn room(&self) -> Units {
        self.shown.room()
    }

    fn fits(&self, units: Units) -> bool {
        self.shown.fits(units)
    }

    fn wait_for(&self, units: Units) -> u64 {
        self.shown.wait_for(units)
    }

    fn full_after(&self) -> u64 {
        self.shown.full_after()
    }

    fn charge(&mut self, units: Units) {
        if units > 0 {
            self.pay(|shown| shown.charge(units));
        }
    }

    fn refund(&mut self, units: Units, mark: Option<u64>) -> Units {
        let before = self.shown.word();
        let given = self.shown.refund(units, mark);
        let steps = before - self.shown.word();
        self.bucket.remove(steps);
        self.whole.remove(steps);
        given
    }

    fn mark(&self) -> u64 {
        self.shown.mark()
    }

    fn write(&self, words: &mut [u64]) {
        (words[0], words[1]) = (self.bucket.word(), self.whole.word());
    }
}
