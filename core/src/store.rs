//! The store: a 64-bit key hash → a record of words. Knows nothing of limits.
//!
//! Slots in one reserved region, in sets of eight; a key's record lies in one of two sets that its hash names, so
//! that a lookup chases no pointer and takes no lock. Only a change of structure (a new key, growth, an eviction,
//! a migration) locks sets.
//!
//! ```text
//! region   [ set 0: slot slot … slot ][ set 1: … ] …
//! slot     compact (one word of state)   tag | state
//!          line (2 to 6 words)           tag | header | six words        one cache line
//!          lines (more)                  tag | header | words …          whole cache lines
//! tag      0 empty · 1 ghost · else the key's hash
//! ```
//!
//! **Memory follows the keys.** There are as many sets in use as the keys need, from the front of the region; pages beyond
//! are never touched. One more set is made by splitting one (see `growth`): nothing else moves, nothing
//! is freed, nobody waits for a whole table.
//!
//! **Memory is bounded and eviction resets nobody.** When `max_keys` records are in use, a new key takes the
//! place of the record closest to full. What that record held goes into the set's *ghost*: a record that
//! dominates every record ever evicted from the set. A new key starts from the larger use of both its
//! sets' ghosts, so that whoever comes back finds at least the use that it left. (Plain LRU at 10,000 keys
//! admits all of a flood of 65,536.) A ghost fades as any record does, and its slot is then free again.
//!
//! **Identity** is the 64-bit keyed hash, less two values: among n keys the odds that any two share a record
//! are about n² / 2^65, 3·10^−8 for a million.

mod compact;
mod eviction;
mod growth;
mod line;
mod locks;
mod region;
mod table;

pub(crate) use compact::Seen;
pub(crate) use table::{Found, Inserted, KeptOut, Look, MAX_WORDS, OnPressure, Table};

/// What the store must know of the words it keeps. Given by the limiter, for one moment.
pub(crate) trait Judge {
    /// Nanoseconds until the record equals an absent one; 0: it does.
    fn full_after(&self, words: &[u64]) -> u64;
    /// Has the record equalled an absent one for so long that its key is probably not coming back soon?
    fn is_rested(&self, words: &[u64]) -> bool;
    /// A record that must not be given away.
    fn is_held(&self, words: &[u64]) -> bool;
    /// Makes `into` the larger use of the two.
    fn merge(&self, into: &mut [u64], from: &[u64]);
    /// Brings into a set what it is still to get from a table that this one follows. Called under the set's lock, before
    /// anything is looked for or changed there.
    fn complete(&self, _set: usize) {}
}

/// What is to be done with a record's words; what it comes to, it keeps itself. Anything that can be called with words
/// is one. (A trait of its own, for that can insist on being inlined.)
pub(crate) trait Change {
    /// Changes the words, or leaves them as they are. Called once for every attempt; the last one counts.
    fn make(&mut self, words: &mut [u64]);
}

impl<F: FnMut(&mut [u64])> Change for F {
    #[inline(always)]
    fn make(&mut self, words: &mut [u64]) {
        self(words);
    }
}

/// Slot tags that are no key's hash.
pub(crate) const EMPTY: u64 = 0;
pub(crate) const GHOST: u64 = 1;

/// The tag of a key's hash.
pub(crate) fn tag(hash: u64) -> u64 {
    if hash > GHOST { hash } else { hash + 2 }
}

/// Why an attempt to use a slot came to nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// Somebody was faster: try again.
    Again,
    /// Somebody writes.
    Locked,
    /// The slot holds another record by now.
    Replaced,
    /// The record is on its way: to another slot, or to another table.
    Gone,
}

#[cfg(all(test, loom))]
mod models;
