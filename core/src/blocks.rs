//! Keys that the operator blocked, until when.
//!
//! Kept apart from the records, so that a block costs no word of every key; while nobody is
//! blocked (or no longer) a decision pays one load for it.

use std::collections::HashMap;

use parking_lot::RwLock;

use crate::clock::Moment;
use crate::sync::{AtomicU64, Ordering};

/// Blocks by tag.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    /// No block ends later than this.
    latest: AtomicU64,
    until: RwLock<HashMap<u64, u64>>,
}

impl Blocks {
    /// Nanoseconds for which the key stays blocked; 0: it is not.
    #[inline(always)]
    pub(crate) fn left(&self, tag: u64, at: Moment) -> u64 {
        // Acquire pairs with the Release of `set`: a block is seen from the next call on.
        if self.latest.load(Ordering::Acquire) <= at.now.as_nanos() {
            return 0;
        }
        self.look_up(tag, at)
    }

    /// May anybody be blocked?
    pub(crate) fn any(&self, at: Moment) -> bool {
        // Acquire: as in `left`.
        self.latest.load(Ordering::Acquire) > at.now.as_nanos()
    }

    #[cold]
    #[inline(never)]
    fn look_up(&self, tag: u64, at: Moment) -> u64 {
        let until = self.until.read().get(&tag).copied().unwrap_or(0);
        until.saturating_sub(at.now.as_nanos())
    }

    /// Blocks the key for `span` nanoseconds from now; 0 lifts a block.
    pub(crate) fn set(&self, tag: u64, at: Moment, span: u64) {
        let mut until = self.until.write();
        if span == 0 {
            until.remove(&tag);
            if until.is_empty() {
                self.latest.store(0, Ordering::Release);
            }
        } else {
            if until.len() == until.capacity() {
                let now = at.now.as_nanos();
                until.retain(|_, end| *end > now);
            }
            let end = at.after(span).now.as_nanos();
            until.insert(tag, end);
            // Release: see `left`.
            self.latest.fetch_max(end, Ordering::Release);
        }
    }
}
