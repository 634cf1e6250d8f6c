//! A record of one word: `tag | state`, 16 bytes. A charge is one compare-and-swap.
//!
//! | word | value | set by | cleared by |
//! | --- | --- | --- | --- |
//! | tag | 0 empty, 1 ghost, else a key's hash | `put` | `free` |
//! | state | `GONE` (all ones) xor tag | `take`, before the tag changes | `put`, `free`; in a table that is left behind never |
//! |       | anything else: the algorithm's word xor tag | `transact`, `put` | `take` |
//!
//! The state is kept xor the tag, so that the same bits under another tag mean something else: a thread that stalls
//! between its load and its compare-and-swap while its key's record goes elsewhere (eviction, growth) finds
//! other bits in this slot, whatever the next key there has used. (That two keys' bits are the same is as
//! unlikely as that their hashes are.) Under the same tag the same bits are the same record, and the swap is right.
//!
//! A reader looks at the tag, the state, and the tag again: the state belongs to the tag. A replacement passes through
//! `GONE` and changes the tag in between.

use super::{Attempt, Change, EMPTY};
use crate::sync::{AtomicU64, Ordering};

/// Words of a slot.
pub(super) const STRIDE: usize = 2;
pub(super) type Slot = [AtomicU64; STRIDE];

/// No algorithm's word is all ones: supplies stay below 2^63.6, packed windows keep one value free.
const GONE: u64 = u64::MAX;

/// A record as it was seen.
pub(crate) struct Seen<'s> {
    slot: &'s Slot,
    tag: u64,
    /// With the tag in it.
    state: u64,
}

/// Looks at the record of `tag`. The caller has seen the tag in this slot, by a load with Acquire: that was the first of
/// the three looks.
#[inline(always)]
pub(super) fn look(slot: &Slot, tag: u64) -> Result<Seen<'_>, Attempt> {
    // Acquire, twice: each load is not older than the one before.
    let state = slot[1].load(Ordering::Acquire);
    if slot[0].load(Ordering::Acquire) != tag {
        return Err(Attempt::Replaced);
    }
    if state == GONE ^ tag {
        return Err(Attempt::Gone);
    }
    Ok(Seen { slot, tag, state })
}

impl Seen<'_> {
    /// Its word.
    #[inline(always)]
    pub(crate) fn word(&self) -> u64 {
        self.state ^ self.tag
    }

    /// Writes another word; false, and nothing happened, if the record is not any more what was seen. (The same word is
    /// not written: what was seen is what was decided about.)
    #[inline(always)]
    pub(crate) fn write(self, word: u64) -> bool {
        let (before, after) = (self.state, word ^ self.tag);
        // AcqRel: a charge is seen with everything that came before it, and comes after the one it builds on.
        let swap =
            || self.slot[1].compare_exchange(before, after, Ordering::AcqRel, Ordering::Relaxed);
        after == before || swap().is_ok()
    }
}

/// Runs `change` on the record of `tag`, which the caller has seen as in [`look`], and writes it if it changed.
pub(super) fn transact(slot: &Slot, tag: u64, change: &mut impl Change) -> Result<(), Attempt> {
    let seen = look(slot, tag)?;
    let mut words = [seen.word()];
    change.make(&mut words);
    seen.write(words[0]).then_some(()).ok_or(Attempt::Again)
}

/// The state as it stands; false when it is gone. Under the set's lock the tag stays as it is.
pub(super) fn peek(slot: &Slot, words: &mut [u64]) -> bool {
    // Relaxed: the lock orders it.
    let tag = slot[0].load(Ordering::Relaxed);
    words[0] = slot[1].load(Ordering::Acquire) ^ tag;
    words[0] != GONE
}

/// Takes the state out: whoever comes now finds it gone. False when it was gone already. Under the set's lock.
pub(super) fn take(slot: &Slot, words: &mut [u64]) -> bool {
    // Relaxed: the lock orders it.
    let tag = slot[0].load(Ordering::Relaxed);
    // AcqRel: the last charge is in `words`, and no later one succeeds.
    words[0] = slot[1].swap(GONE ^ tag, Ordering::AcqRel) ^ tag;
    words[0] != GONE
}

/// Fills a slot that is empty or taken. Under the set's lock.
pub(super) fn put(slot: &Slot, tag: u64, words: &[u64]) {
    // Release, in this order: who sees the tag sees no older state, who sees the new state sees the tag.
    slot[1].store(GONE ^ tag, Ordering::Release);
    slot[0].store(tag, Ordering::Release);
    slot[1].store(words[0] ^ tag, Ordering::Release);
}

/// Empties a slot that was taken. Under the set's lock.
pub(super) fn free(slot: &Slot) {
    slot[0].store(EMPTY, Ordering::Release);
}
