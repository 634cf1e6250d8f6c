//! Who waits: for its turn, in the order of arrival, or asleep before a retry.
//!
//! A retry keeps the number of its first arrival, and so its place. Every step is O(log n).

use std::collections::{BTreeMap, BTreeSet};
use std::task::Waker;

/// Somebody who waits. Its number is that of its arrival.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) cost: u64,
    /// ns on the pacer's clock; `u64::MAX`: none.
    pub(super) deadline: u64,
    pub(super) waker: Option<Waker>,
    /// Since when it stands here, for the statistics.
    pub(super) since: u64,
    /// Bits of the reasons that it was counted for (see `machine`).
    pub(super) counted: u8,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    /// By number: the first is the head.
    waiting: BTreeMap<u64, Place>,
    /// By the time when they wake, then by number.
    sleeping: BTreeMap<(u64, u64), Place>,
    /// When each sleeper wakes.
    wakes: BTreeMap<u64, u64>,
    /// Deadlines of both, with numbers.
    deadlines: BTreeSet<(u64, u64)>,
}

const NO_DEADLINE: u64 = u64::MAX;

impl Queue {
    /// Is nobody waiting for a turn, or about to?
    #[inline]
    pub(super) fn is_idle(&self, now: u64) -> bool {
        self.waiting.is_empty() && self.sleeping.keys().next().is_none_or(|(wake, _)| *wake > now)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.sleeping.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.sleeping.len()
    }

    pub(super) fn wait(&mut self, number: u64, place: Place) {
        self.note_deadline(number, &place);
        self.waiting.insert(number, place);
    }

    pub(super) fn sleep(&mut self, number: u64, place: Place, until: u64) {
        self.note_deadline(number, &place);
        self.wakes.insert(number, until);
        self.sleeping.insert((until, number), place);
    }

    fn note_deadline(&mut self, number: u64, place: &Place) {
        if place.deadline != NO_DEADLINE {
            self.deadlines.insert((place.deadline, number));
        }
    }

    /// Sleepers whose time has come take their places.
    pub(super) fn wake_due(&mut self, now: u64) {
        while let Some(entry) = self.sleeping.first_entry() {
            let (wake, number) = *entry.key();
            if wake > now {
                break;
            }
            self.wakes.remove(&number);
            self.waiting.insert(number, entry.remove());
        }
    }

    pub(super) fn head(&mut self) -> Option<(u64, &mut Place)> {
        self.waiting.iter_mut().next().map(|(number, place)| (*number, place))
    }

    /// Takes somebody out, wherever it is.
    pub(super) fn leave(&mut self, number: u64) -> Option<Place> {
        let place = match self.wakes.remove(&number) {
            Some(wake) => self.sleeping.remove(&(wake, number)),
            None => self.waiting.remove(&number),
        }?;
        self.deadlines.remove(&(place.deadline, number));
        Some(place)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Place> {
        match self.wakes.get(&number) {
            Some(wake) => self.sleeping.get_mut(&(*wake, number)),
            None => self.waiting.get_mut(&number),
        }
    }

    /// When this sleeper wakes; `None`: it is not asleep.
    pub(super) fn wakes_at(&self, number: u64) -> Option<u64> {
        self.wakes.get(&number).copied()
    }

    /// When the first sleeper wakes.
    pub(super) fn next_wake(&self) -> Option<u64> {
        self.sleeping.keys().next().map(|(wake, _)| *wake)
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Takes out one whose deadline is before this time.
    pub(super) fn take_overdue(&mut self, until: u64) -> Option<(u64, Place)> {
        let (deadline, number) = *self.deadlines.first()?;
        if deadline >= until {
            return None;
        }
        Some((number, self.leave(number)?))
    }

    /// Takes out anybody, the head first.
    pub(super) fn take_any(&mut self) -> Option<(u64, Place)> {
        let number = self.waiting.keys().next().or_else(|| self.wakes.keys().next()).copied()?;
        Some((number, self.leave(number)?))
    }
}
