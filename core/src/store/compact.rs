//! A record of one word: `tag | state`, 16 bytes. A charge is one compare-and-swap.
//!
//! | word | value | set by | cleared by |
//! | --- | --- | --- | --- |
//! | tag | 0 empty, 1 ghost, else a key's hash | `put` | `free` |
//! | state | `GONE` (all ones) | `take`, before the tag changes | `put`, `free`; in a table that is left behind never |
//! |       | anything else: the algorithm's word | `transact`, `put` | `take` |
//!
//! A reader takes the state and then the tag (again): the state belongs to the tag. A replacement passes
//! through `GONE`, and what is put then differs from what was there (a newcomer is written only with a
//! charge, on top of what it inherits), so that a late compare-and-swap fails. One case is left: a thread that
//! stalls between its load and its swap while its key is evicted, another key takes the slot, and a *refund*
//! brings that key's word back to the very bits that were read. Then one charge lands on the other key.
//! Permits, which come back all the time, never live in this layout (see `Plan::new`).

use super::{Attempt, EMPTY};
use crate::sync::{AtomicU64, Ordering};

/// No algorithm's word is all ones: supplies stay below 2^63.6, packed windows keep one value free.
const GONE: u64 = u64::MAX;

/// Runs `change` on the record of `tag` and writes it if it changed.
#[inline]
pub(super) fn transact<R>(
    slot: &[AtomicU64],
    tag: u64,
    change: impl FnOnce(&mut [u64]) -> R,
) -> (Attempt, Option<R>) {
    // Acquire: the loads below are not older than the tag, nor than each other.
    let before = slot[1].load(Ordering::Acquire);
    if slot[0].load(Ordering::Acquire) != tag {
        return (Attempt::Replaced, None);
    }
    if before == GONE {
        return (Attempt::Gone, None);
    }
    let mut words = [before];
    let result = change(&mut words);
    if words[0] == before {
        return (Attempt::Done, Some(result));
    }
    // AcqRel: a charge is seen with everything that came before it, and comes after the one it builds on.
    match slot[1].compare_exchange(before, words[0], Ordering::AcqRel, Ordering::Relaxed) {
        Ok(_) => (Attempt::Done, Some(result)),
        Err(_) => (Attempt::Again, None),
    }
}

/// The state as it stands; false when it is gone. Under the set's lock the tag stays as it is.
pub(super) fn peek(slot: &[AtomicU64], words: &mut [u64]) -> bool {
    words[0] = slot[1].load(Ordering::Acquire);
    words[0] != GONE
}

/// Takes the state out: whoever comes now finds it gone. False when it was gone already. Under the set's lock.
pub(super) fn take(slot: &[AtomicU64], words: &mut [u64]) -> bool {
    // AcqRel: the last charge is in `words`, and no later one succeeds.
    words[0] = slot[1].swap(GONE, Ordering::AcqRel);
    words[0] != GONE
}

/// Fills a slot that is empty or taken. Under the set's lock.
pub(super) fn put(slot: &[AtomicU64], tag: u64, words: &[u64]) {
    // Release, in this order: who sees the new state sees the new tag.
    slot[1].store(GONE, Ordering::Release);
    slot[0].store(tag, Ordering::Release);
    slot[1].store(words[0], Ordering::Release);
}

/// Empties a slot that was taken. Under the set's lock.
pub(super) fn free(slot: &[AtomicU64]) {
    slot[0].store(EMPTY, Ordering::Release);
}
