//! Who may change which sets: a key enters or leaves a set, or moves, only under the set's lock.
//!
//! Sets share a few hundred locks by number. **Nobody waits in a circle:** who waits for a lock has none, or only locks of
//! smaller numbers (`lock` and `lock_all` take theirs in order, from nothing). In a circle each would wait for a greater
//! number than it has, which the next one has, and so on round to itself. Every further lock is tried, not waited
//! for (`Locks::also`): it may have any number, and is given back before its holder waits for anything. The lock of growth
//! is tried, too, by a thread that has no other. Under a set's lock one waits for the lock in a record's header at most, whose
//! holder only stores a few words.
//!
//! Who skipped a set because it was busy does not know what is in it. An insert that must know comes again, and after
//! a few times with all locks: then there is nobody who could be in its way.

use std::cell::Cell;

use super::Judge;
use super::growth::sets_of;
use super::table::Table;
use crate::sync::{Mutex, MutexGuard, Ordering};

/// Locks of a table.
const LOCKS: usize = 512;

pub(super) fn locks(most_sets: usize) -> Box<[Mutex<()>]> {
    (0..most_sets.min(LOCKS)).map(|_| Mutex::new(())).collect()
}

type Guard<'t> = MutexGuard<'t, ()>;

/// The locks that one insert has, and more as it goes along.
pub(super) struct Locks<'t> {
    table: &'t Table,
    /// Of the newcomer; `None`: there is none.
    sets: Option<[usize; 2]>,
    _pair: [Option<Guard<'t>>; 2],
    all: Vec<Guard<'t>>,
    /// Was a set left out because somebody else has its lock?
    skipped: Cell<bool>,
}

/// The lock of one more set.
pub(super) struct Also<'t> {
    /// `None`: it is one of those that are held already.
    _guard: Option<Guard<'t>>,
}

impl<'t> Locks<'t> {
    /// No lock so far.
    pub(super) fn none(table: &'t Table) -> Locks<'t> {
        Locks { table, sets: None, _pair: [None, None], all: Vec::new(), skipped: Cell::new(false) }
    }

    /// Another set than the newcomer's, locked and complete; `None` when it is the newcomer's, or busy.
    pub(super) fn also(&self, set: usize, judge: &impl Judge) -> Option<Also<'t>> {
        if self.sets.is_some_and(|sets| sets.contains(&set)) {
            return None;
        }
        let also = if self.have(set) { Some(Also { _guard: None }) } else { self.try_one(set) };
        match also {
            Some(_) => judge.complete(set),
            None => self.skipped.set(true),
        }
        also
    }

    /// Is the lock of the set held?
    fn have(&self, set: usize) -> bool {
        let number = |set| set % self.table.locks.len();
        let of_pair = self.sets.is_some_and(|sets| sets.map(number).contains(&number(set)));
        of_pair || self.are_all()
    }

    /// Are all locks held? Then nobody else changes anything but words.
    pub(super) fn are_all(&self) -> bool {
        !self.all.is_empty()
    }

    fn try_one(&self, set: usize) -> Option<Also<'t>> {
        let guard = self.table.locks[set % self.table.locks.len()].try_lock()?;
        // Acquire pairs with the Release in `freeze`; after that, the locks keep us out.
        let frozen = self.table.frozen.load(Ordering::Acquire);
        (!frozen).then_some(Also { _guard: Some(guard) })
    }

    /// Was a set left out because somebody else was busy there?
    pub(super) fn skipped_any(&self) -> bool {
        self.skipped.get()
    }
}

impl Table {
    /// Locks two sets, in the order of their locks. The thread has no lock yet.
    pub(super) fn lock(&self, sets: [usize; 2]) -> [Option<Guard<'_>>; 2] {
        let [a, b] = sets.map(|set| set % self.locks.len());
        let first = self.locks[a.min(b)].lock();
        let second = (a != b).then(|| self.locks[a.max(b)].lock());
        [Some(first), second]
    }

    /// As [`Table::lock`], if nobody else has one of them: any thread may try.
    pub(super) fn try_lock(&self, sets: [usize; 2]) -> Option<[Option<Guard<'_>>; 2]> {
        let [a, b] = sets.map(|set| set % self.locks.len());
        let first = self.locks[a].try_lock()?;
        let second = if a == b { None } else { Some(self.locks[b].try_lock()?) };
        Some([Some(first), second])
    }

    /// Locks everything, in order. The thread has no lock yet.
    fn lock_all(&self) -> Vec<Guard<'_>> {
        self.locks.iter().map(|lock| lock.lock()).collect()
    }

    /// The sets of a tag, complete, with their locks, or with `all` there are: they stay its sets as long as these are held.
    pub(super) fn lock_sets_of(
        &self,
        tag: u64,
        judge: &impl Judge,
        all: bool,
    ) -> ([usize; 2], Locks<'_>) {
        loop {
            let sets = sets_of(tag, self.sets());
            let mut locks = Locks { sets: Some(sets), ..Locks::none(self) };
            match all {
                true => locks.all = self.lock_all(),
                false => locks._pair = self.lock(sets),
            }
            // One of them may have been split before we had the lock.
            if sets_of(tag, self.sets()) == sets {
                sets.into_iter().for_each(|set| judge.complete(set));
                return (sets, locks);
            }
        }
    }
}
