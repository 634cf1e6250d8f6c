//! A record of several words: `tag | header | words`, whole cache lines.
//!
//! The header is a sequence lock:
//!
//! | bits | meaning | set by | cleared by |
//! | --- | --- | --- | --- |
//! | 0 | locked: somebody writes | `lock` | `unlock` |
//! | 1 | gone: the record was taken out | `take` | `put` |
//! | 2 … 63 | sequence, +1 with every write | `unlock` | never (wraps after 2^62) |
//!
//! Readers copy the words between two looks at the header, and write nothing; so a denial writes nothing.
//! A writer swaps the very header that it read from unlocked to locked, which proves that its copy is
//! still the truth.

use super::{Attempt, EMPTY};
use crate::sync::{AtomicU64, Ordering, fence, spin};

const LOCKED: u64 = 1;
const GONE: u64 = 2;
const ONE: u64 = 4;

/// The words of a slot that is one cache line.
pub(super) const STRIDE: usize = 8;
/// The words of state in it.
pub(super) const WORDS: usize = STRIDE - 2;

/// Runs `change` on the record of `tag` and writes it if it changed. A slot has room for `N` words at most, the record
/// has `count`.
#[inline]
pub(super) fn transact<const N: usize>(
    slot: &[AtomicU64],
    tag: u64,
    count: usize,
    change: impl FnOnce(&mut [u64]),
) -> Result<(), Attempt> {
    // Acquire: the words below are not older than the header.
    let header = slot[1].load(Ordering::Acquire);
    if header & LOCKED != 0 {
        return Err(Attempt::Locked);
    }
    // Two copies, each word by word: a copy of a copy would wait for the first to be written.
    let (mut before, mut words) = ([0; N], [0; N]);
    for ((before, word), source) in before.iter_mut().zip(&mut words).zip(&slot[2..]) {
        *before = source.load(Ordering::Relaxed);
        *word = *before;
    }
    let seen_tag = slot[0].load(Ordering::Relaxed);
    // The loads above come before the second look at the header.
    fence(Ordering::Acquire);
    if slot[1].load(Ordering::Relaxed) != header {
        return Err(Attempt::Again);
    }
    if seen_tag != tag {
        return Err(Attempt::Replaced);
    }
    if header & GONE != 0 {
        return Err(Attempt::Gone);
    }
    change(&mut words[..count]);
    let changed = words.iter().zip(&before).fold(0, |bits, (word, before)| bits | (word ^ before));
    if changed == 0 {
        return Ok(());
    }
    if !swap_lock(slot, header) {
        return Err(Attempt::Again);
    }
    for (word, target) in words.iter().zip(&slot[2..]) {
        target.store(*word, Ordering::Relaxed);
    }
    unlock(slot, header);
    Ok(())
}

/// Copies the words of the record of `tag` (of whole cache lines: see [`by_line`]); returns the header that they were read
/// under.
#[inline(always)]
pub(super) fn look(slot: &[AtomicU64], tag: u64, words: &mut [u64]) -> Result<u64, Attempt> {
    // Acquire: the words below are not older than the header.
    let header = slot[1].load(Ordering::Acquire);
    if header & LOCKED != 0 {
        return Err(Attempt::Locked);
    }
    by_line(words, &slot[2..], |word, source| *word = source.load(Ordering::Relaxed));
    let seen_tag = slot[0].load(Ordering::Relaxed);
    // The loads above come before the second look at the header.
    fence(Ordering::Acquire);
    if slot[1].load(Ordering::Relaxed) != header {
        return Err(Attempt::Again);
    }
    match seen_tag == tag {
        false => Err(Attempt::Replaced),
        true if header & GONE != 0 => Err(Attempt::Gone),
        true => Ok(header),
    }
}

/// Goes through the words of a record and their copies: those of its first cache line at once, then those of each further
/// one. (A loop over as many as there are takes twice as long.) Copies of less than that, and models, go one by one.
#[inline(always)]
fn by_line(words: &mut [u64], slot: &[AtomicU64], mut each: impl FnMut(&mut u64, &AtomicU64)) {
    let mut go = |words: &mut [u64], slot: &[AtomicU64]| {
        words.iter_mut().zip(slot).for_each(|(word, slot)| each(word, slot));
    };
    let lines = (words.split_first_chunk_mut::<WORDS>(), slot.split_first_chunk::<WORDS>());
    let (Some((first, words)), Some((first_slot, slot))) = lines else {
        return go(words, slot);
    };
    go(first, first_slot);
    if words.is_empty() {
        return;
    }
    let lines = words.as_chunks_mut::<STRIDE>().0.iter_mut().zip(slot.as_chunks::<STRIDE>().0);
    lines.for_each(|(words, slot)| go(words, slot));
}

/// Locks the record, provided that nothing happened to it since it was looked at.
#[inline]
pub(super) fn seize(slot: &[AtomicU64], header: u64) -> bool {
    swap_lock(slot, header)
}

/// Writes to a record that was seized, and lets it go. What stays as it was is let go as it was: nobody has to look again
/// for its sake.
#[inline(always)]
pub(super) fn settle(slot: &[AtomicU64], header: u64, words: &mut [u64]) {
    let mut changed = 0;
    by_line(words, &slot[2..], |word, target| {
        changed |= target.load(Ordering::Relaxed) ^ *word;
        target.store(*word, Ordering::Relaxed);
    });
    match changed {
        0 => let_go(slot, header),
        _ => unlock(slot, header),
    }
}

/// Lets a record go that was seized, as it was: what others have copied of it is still the truth.
pub(super) fn let_go(slot: &[AtomicU64], header: u64) {
    // Release: whoever locks it next does so after us.
    slot[1].store(header, Ordering::Release);
}

fn swap_lock(slot: &[AtomicU64], header: u64) -> bool {
    // Acquire: our writes come after the lock was taken.
    let locked = slot[1]
        .compare_exchange(header, header | LOCKED, Ordering::Acquire, Ordering::Relaxed)
        .is_ok();
    // A reader that sees a word written below sees the locked header too.
    fence(Ordering::Release);
    locked
}

/// Locks the record, whatever it holds; returns its header before.
fn lock(slot: &[AtomicU64]) -> u64 {
    loop {
        let header = slot[1].load(Ordering::Relaxed);
        if header & LOCKED == 0 && swap_lock(slot, header) {
            return header;
        }
        spin();
    }
}

/// Unlocks with the next sequence number.
fn unlock(slot: &[AtomicU64], header: u64) {
    // Release: who sees the new header sees the words.
    slot[1].store(header.wrapping_add(ONE), Ordering::Release);
}

/// The words as they stand; false when they are gone. Under the set's lock.
pub(super) fn peek(slot: &[AtomicU64], words: &mut [u64]) -> bool {
    loop {
        let header = slot[1].load(Ordering::Acquire);
        if header & LOCKED == 0 {
            for (word, source) in words.iter_mut().zip(&slot[2..]) {
                *word = source.load(Ordering::Relaxed);
            }
            // The loads above come before the second look at the header.
            fence(Ordering::Acquire);
            if slot[1].load(Ordering::Relaxed) == header {
                return header & GONE == 0;
            }
        }
        spin();
    }
}

/// Takes the words out: whoever comes now finds them gone. False when they were gone already. Under the set's lock.
pub(super) fn take(slot: &[AtomicU64], words: &mut [u64]) -> bool {
    let header = lock(slot);
    for (word, source) in words.iter_mut().zip(&slot[2..]) {
        *word = source.load(Ordering::Relaxed);
    }
    unlock(slot, header | GONE);
    header & GONE == 0
}

/// Fills a slot that is empty or taken. Under the set's lock.
pub(super) fn put(slot: &[AtomicU64], tag: u64, words: &[u64]) {
    let header = lock(slot);
    slot[0].store(tag, Ordering::Relaxed);
    for (word, target) in words.iter().zip(&slot[2..]) {
        target.store(*word, Ordering::Relaxed);
    }
    unlock(slot, header & !GONE);
}

/// Empties a slot that was taken. Under the set's lock.
pub(super) fn free(slot: &[AtomicU64]) {
    slot[0].store(EMPTY, Ordering::Release);
}
