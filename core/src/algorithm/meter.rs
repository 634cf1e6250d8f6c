//! What every algorithm answers. Its words are read once, into how the bucket stands at one moment, and
//! all that is asked then follows from that.

use super::Units;
use crate::clock::Moment;

/// An algorithm with its rate worked out.
pub(crate) trait Meter {
    /// How a bucket stands.
    type Standing<'a>: Standing
    where
        Self: 'a;

    /// How the bucket stands at this time.
    fn see<'a>(&'a self, words: &[u64], at: Moment) -> Self::Standing<'a>;

    /// Units used, rounded up; above the capacity when in debt.
    fn used(&self, words: &[u64], at: Moment) -> Units {
        self.see(words, at).used()
    }

    /// Units that can be spent now.
    #[inline]
    fn room(&self, words: &[u64], at: Moment) -> Units {
        self.see(words, at).room()
    }

    /// Do the units fit? No units do when there is no debt.
    #[inline]
    fn fits(&self, words: &[u64], at: Moment, units: Units) -> bool {
        self.see(words, at).fits(units)
    }

    /// Debits units, beyond the capacity too, up to the most debt.
    fn charge(&self, words: &mut [u64], at: Moment, units: Units) {
        let mut standing = self.see(words, at);
        standing.charge(units);
        standing.write(words);
    }

    /// Charges as many of the units as there is room for; returns how many.
    #[inline(always)]
    fn spend(&self, words: &mut [u64], at: Moment, due: Units) -> Units {
        self.see(words, at).spend(words, due).0
    }

    /// As `spend`, and says what is left then.
    #[inline(always)]
    fn pay(&self, words: &mut [u64], at: Moment, due: Units) -> Paid {
        let mut standing = self.see(words, at);
        let (paid, room) = standing.spend(words, due);
        Paid { paid, room, full_after: standing.full_after() }
    }

    /// Nanoseconds until `units` (at most the capacity) fit; 0: they do now.
    fn wait_for(&self, words: &[u64], at: Moment, units: Units) -> u64 {
        self.see(words, at).wait_for(units)
    }

    /// Nanoseconds until the bucket is full again (a fixed window: until it ends); 0: it is.
    #[inline]
    fn full_after(&self, words: &[u64], at: Moment) -> u64 {
        self.see(words, at).full_after()
    }

    /// Names the payment just made, for `refund`: the window it was made in, or the word after it.
    fn mark(&self, words: &[u64], at: Moment) -> u64 {
        self.see(words, at).mark()
    }

    /// Gives units back, never more than are in use; with a mark, only those of that payment that still
    /// count. Returns how many were given.
    fn refund(&self, words: &mut [u64], at: Moment, units: Units, mark: Option<u64>) -> Units {
        let mut standing = self.see(words, at);
        let given = standing.refund(units, mark);
        if given > 0 {
            standing.write(words);
        }
        given
    }
}

/// What a bucket paid, and what that leaves.
pub(crate) struct Paid {
    pub(crate) paid: Units,
    pub(crate) room: Units,
    pub(crate) full_after: u64,
}

/// How a bucket stands at one moment. The calls are those of [`Meter`].
pub(crate) trait Standing {
    /// Most that can be spent at once.
    fn capacity(&self) -> Units;

    fn used(&self) -> Units;

    #[inline]
    fn room(&self) -> Units {
        self.capacity().saturating_sub(self.used())
    }

    #[inline]
    fn fits(&self, units: Units) -> bool {
        self.used().saturating_add(units) <= self.capacity()
    }

    /// Pays what there is room for. Returns how many units, and the room then.
    #[inline(always)]
    fn spend(&mut self, words: &mut [u64], due: Units) -> (Units, Units) {
        let room = self.room();
        let paid = due.min(room);
        if paid > 0 {
            self.charge(paid);
            self.write(words);
        }
        // A unit within the room takes just one from it. (Not of latencies kept in coarse steps; of them
        // nobody asks for the room after a payment, which comes when the work is done.)
        (paid, room.wrapping_sub(paid))
    }

    fn wait_for(&self, units: Units) -> u64;

    fn full_after(&self) -> u64;

    fn charge(&mut self, units: Units);

    fn refund(&mut self, units: Units, mark: Option<u64>) -> Units;

    fn mark(&self) -> u64;

    /// Puts it down in the words.
    fn write(&self, words: &mut [u64]);
}
