//! Where a newcomer goes in a crowded table, and what becomes of those who have to go.
//!
//! First an empty slot, then a record that is full again, then the record closest to full. What that one
//! still held goes to its set's ghost, and the newcomer starts from the larger use of both.

use super::locks::{Also, Locks};
use super::table::{MAX_WORDS, OnPressure, Table, WAYS};
use super::{EMPTY, GHOST, Judge};
use crate::sync::Ordering;

/// Sets looked at for records that are full again, when the table is full.
const SWEEP: usize = 2;
/// Up to so many sets, all are looked at.
const SMALL: usize = 32;

/// The two records of a set that are closest to full: (ns until they are, slot).
type Nearest = [(u64, usize); 2];
/// In place of a span: no record.
const NONE: u64 = u64::MAX;

/// Sets looked at for a record that may be evicted, when the newcomer's own sets have none.
const SEARCH: usize = 64;

/// Where a newcomer would be put.
pub(super) enum Place {
    /// An empty slot.
    Empty(usize),
    /// A record that is full again.
    Reuse(usize),
    /// This one has to go; another one too when their set also needs room for a ghost.
    Evict(usize, Option<usize>),
    /// An empty slot, but a key of another set has to go.
    Elsewhere(usize),
}

/// Why there is no place for a newcomer.
pub(super) enum NoPlace {
    /// There is none: pressure is refused, or all records that could go are held.
    Full,
    /// Its sets are full, the table is not: it must grow.
    Crowded,
    /// Others were in the way: look again.
    Busy,
    /// None was seen, but records may have gone to sets that were looked at before: look again, alone.
    Unsure,
}

impl Table {
    /// A newcomer starts from the larger use of what it displaces and of both sets' ghosts.
    pub(super) fn inherit(
        &self,
        sets: [usize; 2],
        place: &Place,
        judge: &impl Judge,
        words: &mut [u64],
    ) {
        self.inherit_ghosts(sets, judge, words);
        let Place::Evict(one, other) = *place else { return };
        let mut victim = [0; MAX_WORDS];
        for index in [Some(one), other].into_iter().flatten() {
            let victim = &mut victim[..self.words];
            // A permit that went out meanwhile stays with its record, which will not be evicted.
            if self.peek(index, victim) && !judge.is_held(victim) {
                judge.merge(words, victim);
            }
        }
    }

    pub(super) fn inherit_ghosts(&self, sets: [usize; 2], judge: &impl Judge, words: &mut [u64]) {
        let mut ghost = [0; MAX_WORDS];
        for set in sets {
            let Some(index) = self.ghost(set) else { continue };
            if self.peek(index, &mut ghost) {
                judge.merge(words, &ghost[..self.words]);
            }
        }
    }

    pub(super) fn ways(&self, set: usize) -> std::ops::Range<usize> {
        set * WAYS..(set + 1) * WAYS
    }

    pub(super) fn ghost(&self, set: usize) -> Option<usize> {
        self.ways(set).find(|&index| self.tag_at(index) == GHOST)
    }

    /// Where a newcomer goes. Under the locks of both sets.
    pub(super) fn place(
        &self,
        sets: [usize; 2],
        tag: u64,
        judge: &impl Judge,
        on_pressure: OnPressure,
        locks: &Locks<'_>,
    ) -> Result<Place, NoPlace> {
        let empty = || self.empty_slot(sets, tag).or_else(|| self.displace(sets, judge, locks));
        if self.keys() < self.max_keys {
            if let Some(index) = empty() {
                return Ok(Place::Empty(index));
            }
            if self.sets() < self.most_sets {
                return Err(NoPlace::Crowded);
            }
        }
        let nearest = match self.nearest(sets, judge) {
            Ok(reusable) => return Ok(Place::Reuse(reusable)),
            Err(nearest) => nearest,
        };
        if self.sweep(SWEEP, judge, locks, |words| judge.full_after(words) == 0)
            && self.keys() < self.max_keys
            && let Some(index) = empty()
        {
            return Ok(Place::Empty(index));
        }
        let by_force = || {
            let free = self.empty_slot(sets, tag);
            let elsewhere = || free.filter(|_| self.victim_elsewhere(judge, locks).is_some());
            let victims = self.victims(sets, nearest, free.is_some());
            victims.or_else(|| elsewhere().map(Place::Elsewhere))
        };
        let place = (on_pressure == OnPressure::Inherit).then(by_force).flatten();
        place.ok_or_else(|| self.why_none(on_pressure, locks))
    }

    fn why_none(&self, on_pressure: OnPressure, locks: &Locks<'_>) -> NoPlace {
        if locks.are_all() {
            NoPlace::Full
        } else if locks.skipped_any() || self.keys() < self.max_keys {
            NoPlace::Busy
        } else if on_pressure == OnPressure::Inherit && self.sets() <= SEARCH {
            NoPlace::Unsure
        } else {
            NoPlace::Full
        }
    }

    /// Of the two sets' records, those that have to go.
    fn victims(&self, sets: [usize; 2], nearest: [Nearest; 2], room: bool) -> Option<Place> {
        let [span, span_there] = nearest.map(|[(span, _), _]| span);
        let order = if span <= span_there { [0, 1] } else { [1, 0] };
        order.into_iter().find_map(|which| {
            let [first, second] =
                nearest[which].map(|(span, index)| (span < NONE).then_some(index));
            // With no empty slot, a set without a ghost loses a second record to make room for one.
            match room || self.ghost(sets[which]).is_some() {
                true => Some(Place::Evict(first?, None)),
                false => Some(Place::Evict(first?, Some(second?))),
            }
        })
    }

    /// The two records closest to full of each set, as (ns until full, slot); or one that is full again.
    fn nearest(&self, sets: [usize; 2], judge: &impl Judge) -> Result<usize, [Nearest; 2]> {
        let mut nearest = [[(NONE, 0); 2]; 2];
        let mut words = [0; MAX_WORDS];
        let state = &mut words[..self.words];
        for (set, nearest) in sets.into_iter().zip(&mut nearest) {
            for index in self.ways(set) {
                let occupant = self.tag_at(index);
                if matches!(occupant, EMPTY | GHOST)
                    || !self.peek(index, state)
                    || judge.is_held(state)
                {
                    continue;
                }
                let span = judge.full_after(state).min(NONE - 1);
                if span == 0 {
                    return Ok(index);
                } else if span < nearest[0].0 {
                    *nearest = [(span, index), nearest[0]];
                } else if span < nearest[1].0 {
                    nearest[1] = (span, index);
                }
            }
        }
        Err(nearest)
    }

    /// An empty slot: in the first set until that is nearly full, then in the emptier one.
    fn empty_slot(&self, sets: [usize; 2], tag: u64) -> Option<usize> {
        let [(first, used), (second, used_there)] = sets.map(|set| {
            let empty = self.ways_from(set, tag).filter(|&index| self.tag_at(index) == EMPTY);
            (empty.clone().next(), WAYS - empty.count())
        });
        if used >= WAYS - 2 && used_there < used { second } else { first }
    }

    /// Puts the newcomer in its place; false when the place or the table's last one went to others meanwhile. Under the
    /// locks of both sets.
    pub(super) fn settle(
        &self,
        sets: [usize; 2],
        tag: u64,
        words: &[u64],
        place: Place,
        judge: &impl Judge,
        locks: &Locks<'_>,
    ) -> bool {
        match place {
            Place::Empty(_) => {}
            Place::Reuse(index) => {
                self.free_if(index, &mut [0; MAX_WORDS], |words| {
                    judge.full_after(words) == 0 && !judge.is_held(words)
                });
            }
            Place::Evict(one, other) => {
                [Some(one), other].into_iter().flatten().for_each(|index| self.evict(index, judge));
            }
            Place::Elsewhere(_) => {
                if let Some((index, _also)) = self.victim_elsewhere(judge, locks) {
                    self.evict(index, judge);
                }
            }
        }
        let slot = match place {
            Place::Empty(index) | Place::Elsewhere(index) => Some(index),
            Place::Reuse(index) => (self.tag_at(index) == EMPTY).then_some(index),
            Place::Evict(..) => self.empty_slot(sets, tag),
        };
        let settled = slot.filter(|_| self.claim());
        if let Some(index) = settled {
            self.put(index, tag, words);
        }
        settled.is_some()
    }

    /// Counts one more key, if there may be one.
    fn claim(&self) -> bool {
        let below = |keys: u64| (keys < self.max_keys).then(|| keys + 1);
        // Relaxed: the count publishes nothing.
        self.keys.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below).is_ok()
    }

    /// Takes a record out; what it still held goes to the ghost of its set. Under the set's lock.
    pub(super) fn evict(&self, index: usize, judge: &impl Judge) {
        let tag = self.tag_at(index);
        let mut words = [0; MAX_WORDS];
        let words = &mut words[..self.words];
        if !self.take(index, words) {
            return;
        }
        if judge.is_held(words) {
            // A permit went out since it was judged.
            self.put(index, tag, words);
            return;
        }
        self.free(index);
        self.keys.fetch_sub(1, Ordering::Relaxed);
        if judge.full_after(words) > 0 {
            self.evictions.fetch_add(1, Ordering::Relaxed);
            self.haunt(index / WAYS, words, judge);
        }
    }

    /// The record closest to full of the next set that has one to give, and that set's lock. Skips
    /// sets that are locked.
    fn victim_elsewhere<'t>(
        &self,
        judge: &impl Judge,
        locks: &Locks<'t>,
    ) -> Option<(usize, Also<'t>)> {
        let mut words = [0; MAX_WORDS];
        let words = &mut words[..self.words];
        let sets = self.sets();
        for _ in 0..SEARCH.min(sets) {
            let set = self.next_set(sets);
            let Some(also) = locks.also(set, judge) else { continue };
            let victim = self
                .ways(set)
                .filter(|&index| !matches!(self.tag_at(index), EMPTY | GHOST))
                .filter_map(|index| {
                    let free = self.peek(index, words) && !judge.is_held(words);
                    free.then(|| (judge.full_after(words), index))
                })
                .min();
            if let Some((_, index)) = victim {
                return Some((index, also));
            }
        }
        None
    }

    /// Makes the set's ghost at least as large as `words`. Under the set's lock.
    pub(super) fn haunt(&self, set: usize, words: &[u64], judge: &impl Judge) {
        let mut ghost = [0; MAX_WORDS];
        let index = match self.ghost(set) {
            Some(index) => {
                self.peek(index, &mut ghost);
                index
            }
            None => match self.ways(set).find(|&index| self.tag_at(index) == EMPTY) {
                Some(index) => index,
                None => return,
            },
        };
        judge.merge(&mut ghost[..self.words], words);
        self.put(index, GHOST, &ghost);
    }

    /// The next of the sets to look at: all come about equally often, also while there come to be more.
    fn next_set(&self, sets: usize) -> usize {
        let turn = self.hand.fetch_add(1, Ordering::Relaxed);
        if sets <= SEARCH {
            return turn % sets;
        }
        // Multiples of the golden ratio, modulo 1, lie evenly (Weyl).
        let part = (turn as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((u128::from(part) * sets as u128) >> 64) as usize
    }

    /// Frees the records in the next few sets that are `idle`; were there any? Skips sets that are locked.
    pub(super) fn sweep(
        &self,
        at_most: usize,
        judge: &impl Judge,
        locks: &Locks<'_>,
        idle: impl Fn(&[u64]) -> bool,
    ) -> bool {
        let mut words = [0; MAX_WORDS];
        let sets = self.sets();
        let mut found = false;
        for _ in 0..if sets <= SMALL { sets } else { at_most } {
            let set = self.next_set(sets);
            let Some(_also) = locks.also(set, judge) else { continue };
            for index in self.ways(set).filter(|&index| self.tag_at(index) != EMPTY) {
                found |=
                    self.free_if(index, &mut words, |words| idle(words) && !judge.is_held(words));
            }
        }
        found
    }

    /// Under the set's lock.
    fn free_if(&self, index: usize, words: &mut [u64], idle: impl Fn(&[u64]) -> bool) -> bool {
        let ghost = self.tag_at(index) == GHOST;
        if !self.peek(index, words) || !idle(&words[..self.words]) || !self.take(index, words) {
            return false;
        }
        let idle = idle(&words[..self.words]);
        if !idle {
            // Charged in between: put it back.
            self.put(index, self.tag_at(index), words);
            return false;
        }
        self.free(index);
        if !ghost {
            self.keys.fetch_sub(1, Ordering::Relaxed);
        }
        !ghost
    }
}
