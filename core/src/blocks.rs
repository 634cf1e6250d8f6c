//! Keys that the operator blocked, until when.
//!
//! Kept apart from the records, so that a block costs no word of every key; while nobody is
//! blocked (or no longer) a decision pays one load for it.

use std::collections::HashMap;

use parking_lot::RwLock;
use smallvec::SmallVec;

use crate::clock::Moment;
use crate::sync::{AtomicU64, Ordering};

/// Blocks by tag.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    /// No block ends later than this.
    latest: AtomicU64,
    table: RwLock<Table>,
}

#[derive(Debug, Default)]
struct Table {
    until: HashMap<u64, u64>,
    /// How long the IPv6 networks are that are blocked: a block lasts when another policy knows clients by others.
    prefixes: Prefixes,
}

pub(crate) type Prefixes = SmallVec<[u8; 2]>;

/// What is blocked: a value of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blocked {
    pub(crate) tag: u64,
    /// Of an IPv6 network.
    pub(crate) prefix: Option<u8>,
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

    /// How long the IPv6 networks are among which there may be blocked ones.
    pub(crate) fn prefixes(&self) -> Prefixes {
        self.table.read().prefixes.clone()
    }

    #[cold]
    #[inline(never)]
    fn look_up(&self, tag: u64, at: Moment) -> u64 {
        let until = self.table.read().until.get(&tag).copied().unwrap_or(0);
        until.saturating_sub(at.now.as_nanos())
    }

    /// Blocks for `span` nanoseconds from now; 0 lifts a block.
    pub(crate) fn set(&self, blocked: Blocked, at: Moment, span: u64) {
        let mut guard = self.table.write();
        let Table { until, prefixes } = &mut *guard;
        if span == 0 {
            until.remove(&blocked.tag);
            if until.is_empty() {
                prefixes.clear();
                self.latest.store(0, Ordering::Release);
            }
        } else {
            if until.len() == until.capacity() {
                let now = at.now.as_nanos();
                until.retain(|_, end| *end > now);
            }
            let end = at.after(span).now.as_nanos();
            until.insert(blocked.tag, end);
            let prefix = blocked.prefix.filter(|prefix| !prefixes.contains(prefix));
            prefixes.extend(prefix);
            // Release: see `left`.
            self.latest.fetch_max(end, Ordering::Release);
        }
    }
}
