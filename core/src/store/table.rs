//! Sets of slots: find, insert, evict, hand over. See `store` for the picture.

use super::region::Region;
use super::{Attempt, EMPTY, GHOST, Judge, compact, line};
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering};

/// Slots of a set.
const WAYS: usize = 8;
/// Keys a set is planned for: with two sets to choose from, practically none overflows (none of a million
/// simulated insertions); small tables vary more and get a few sets on top.
const PLANNED: u64 = 5;
const SPARE: u64 = 4;
/// Locks for changes of structure; sets share them by number.
const LOCKS: usize = 512;
/// Sets looked at for records that are full again, when the table is full.
const SWEEP: usize = 16;
/// Sets looked at for a record that may be evicted, when the newcomer's own sets have none.
const SEARCH: usize = 64;

/// What a newcomer meets in a full table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnPressure {
    /// It takes a place and the larger use.
    Inherit,
    /// It gets no place.
    Refuse,
}

/// The answer of [`Table::transact`].
pub(crate) enum Found<R> {
    Done(R),
    /// The key has no record here.
    Absent,
    /// The table is being left behind: ask its successor.
    Moved,
}

/// The answer of [`Table::insert`].
pub(crate) enum Inserted<R> {
    Done(R),
    /// The key has a record by now, or lost a race: look again.
    Again,
    Moved,
    /// The table is full, and pressure is refused (or every record is held).
    Full,
}

pub(crate) struct Table {
    region: Region,
    sets: usize,
    /// Words of a slot, and of the state in it.
    stride: usize,
    words: usize,
    max_keys: u64,
    keys: AtomicU64,
    evictions: AtomicU64,
    locks: Box<[Mutex<()>]>,
    /// The table is being left behind: no record enters it any more.
    frozen: AtomicBool,
    /// The next set to sweep.
    hand: AtomicUsize,
}

/// Where a newcomer would be put.
enum Place {
    /// An empty slot.
    Empty(usize),
    /// A record that is full again.
    Reuse(usize),
    /// These have to go: one, or two when their set also needs room for a ghost.
    Evict(Vec<usize>),
    /// An empty slot, but a key of another set has to go.
    Elsewhere(usize),
}

impl Table {
    /// A table for records of `words` words; `None` when there is no such memory.
    pub(crate) fn new(words: usize, max_keys: u64) -> Option<Table> {
        let stride = if words == 1 { 2 } else { (2 + words).div_ceil(8) * 8 };
        let sets = usize::try_from(max_keys.div_ceil(PLANNED) + SPARE).ok()?;
        Some(Table {
            region: Region::zeroed(sets.checked_mul(WAYS * stride)?)?,
            sets,
            stride,
            words,
            max_keys,
            keys: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
            locks: (0..sets.min(LOCKS)).map(|_| Mutex::new(())).collect(),
            frozen: AtomicBool::new(false),
            hand: AtomicUsize::new(0),
        })
    }

    /// Records of keys, ghosts apart.
    pub(crate) fn keys(&self) -> u64 {
        self.keys.load(Ordering::Relaxed)
    }

    /// Records in use whose place was taken.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    #[inline]
    fn slot(&self, index: usize) -> &[AtomicU64] {
        &self.region[index * self.stride..(index + 1) * self.stride]
    }

    #[inline]
    fn tag_at(&self, index: usize) -> u64 {
        // Acquire: what is read of the slot next is not older than its tag.
        self.region[index * self.stride].load(Ordering::Acquire)
    }

    /// The two sets of a tag; they may be one.
    #[inline]
    fn sets_of(&self, tag: u64) -> [usize; 2] {
        // High bits of two independent looking products (the multiplier is 2^64 / φ).
        let at = |hash: u64| ((u128::from(hash) * self.sets as u128) >> 64) as usize;
        [at(tag), at(tag.rotate_left(32).wrapping_mul(0x9e37_79b9_7f4a_7c15))]
    }

    /// The slot of a tag. A tag starts its search at a slot of its own, so that it is mostly the first.
    #[inline]
    fn find(&self, tag: u64) -> Option<usize> {
        for set in self.sets_of(tag) {
            for way in 0..WAYS {
                let index = set * WAYS + (way + tag as usize) % WAYS;
                if self.tag_at(index) == tag {
                    return Some(index);
                }
            }
        }
        None
    }

    /// Runs `change` on the record of `tag`, once for every attempt, and writes it if it changed.
    /// `change` sees a consistent copy; only the last attempt counts.
    #[inline]
    pub(crate) fn transact<R>(
        &self,
        tag: u64,
        mut change: impl FnMut(&mut [u64]) -> R,
    ) -> Found<R> {
        loop {
            let Some(index) = self.find(tag) else {
                // Acquire pairs with the Release in `freeze`.
                let frozen = self.frozen.load(Ordering::Acquire);
                return if frozen { Found::Moved } else { Found::Absent };
            };
            let (attempt, result) = self.attempt(index, tag, &mut change);
            match (attempt, result) {
                (Attempt::Done, Some(result)) => return Found::Done(result),
                (Attempt::Gone, _) if self.frozen.load(Ordering::Acquire) => return Found::Moved,
                (Attempt::Gone, _) => crate::sync::spin(),
                _ => {}
            }
        }
    }

    #[inline]
    fn attempt<R>(
        &self,
        index: usize,
        tag: u64,
        change: impl FnOnce(&mut [u64]) -> R,
    ) -> (Attempt, Option<R>) {
        let slot = self.slot(index);
        match self.words {
            1 => compact::transact(slot, tag, change),
            2..=6 => line::transact::<6, R>(slot, tag, self.words, change),
            _ => line::transact::<MAX_WORDS, R>(slot, tag, self.words, change),
        }
    }

    fn peek(&self, index: usize, words: &mut [u64]) -> bool {
        let words = &mut words[..self.words];
        if self.words == 1 {
            compact::peek(self.slot(index), words)
        } else {
            line::peek(self.slot(index), words)
        }
    }

    fn take(&self, index: usize, words: &mut [u64]) -> bool {
        let words = &mut words[..self.words];
        if self.words == 1 {
            compact::take(self.slot(index), words)
        } else {
            line::take(self.slot(index), words)
        }
    }

    fn put(&self, index: usize, tag: u64, words: &[u64]) {
        let words = &words[..self.words];
        if self.words == 1 {
            compact::put(self.slot(index), tag, words)
        } else {
            line::put(self.slot(index), tag, words)
        }
    }

    fn free(&self, index: usize) {
        if self.words == 1 { compact::free(self.slot(index)) } else { line::free(self.slot(index)) }
    }

    /// Locks the sets of a tag, in the order of their locks.
    fn lock(&self, sets: [usize; 2]) -> [Option<MutexGuard<'_, ()>>; 2] {
        let [a, b] = sets.map(|set| set % self.locks.len());
        let first = self.locks[a.min(b)].lock();
        let second = (a != b).then(|| self.locks[a.max(b)].lock());
        [Some(first), second]
    }

    /// Runs `change` on the record of a key that has none yet, and inserts it if it changed.
    ///
    /// `origin` fills the words of a record that the key had elsewhere, if any; such a record is
    /// inserted in any case.
    pub(crate) fn insert<R>(
        &self,
        tag: u64,
        judge: &impl Judge,
        on_pressure: OnPressure,
        origin: impl FnOnce(&mut [u64]) -> bool,
        change: impl FnOnce(&mut [u64]) -> R,
    ) -> Inserted<R> {
        let sets = self.sets_of(tag);
        let _guards = self.lock(sets);
        // Acquire pairs with the Release in `freeze`; after that, the locks keep us out.
        if self.frozen.load(Ordering::Acquire) {
            return Inserted::Moved;
        }
        if self.find(tag).is_some() {
            return Inserted::Again;
        }
        let Some(place) = self.place(sets, judge) else { return Inserted::Full };
        let pressed = matches!(place, Place::Evict(_) | Place::Elsewhere(_));
        if pressed && on_pressure == OnPressure::Refuse {
            return Inserted::Full;
        }
        let mut buffer = [0; MAX_WORDS];
        let words = &mut buffer[..self.words];
        let mut before = [0; MAX_WORDS];
        if !origin(words) {
            self.inherit(sets, &place, judge, words);
            before[..self.words].copy_from_slice(words);
        }
        let result = change(words);
        // A denied newcomer leaves no trace.
        if words[..] != before[..self.words] {
            self.settle(tag, words, place, judge);
        }
        Inserted::Done(result)
    }

    /// A newcomer starts from the larger use of what it displaces and of both sets' ghosts.
    fn inherit(&self, sets: [usize; 2], place: &Place, judge: &impl Judge, words: &mut [u64]) {
        self.inherit_ghosts(sets, judge, words);
        let Place::Evict(victims) = place else { return };
        let mut victim = [0; MAX_WORDS];
        for &index in victims {
            if self.peek(index, &mut victim) {
                judge.merge(words, &victim[..self.words]);
            }
        }
    }

    fn inherit_ghosts(&self, sets: [usize; 2], judge: &impl Judge, words: &mut [u64]) {
        let mut ghost = [0; MAX_WORDS];
        for set in sets {
            let Some(index) = self.ghost(set) else { continue };
            if self.peek(index, &mut ghost) {
                judge.merge(words, &ghost[..self.words]);
            }
        }
    }

    fn ways(&self, set: usize) -> std::ops::Range<usize> {
        set * WAYS..(set + 1) * WAYS
    }

    fn ghost(&self, set: usize) -> Option<usize> {
        self.ways(set).find(|&index| self.tag_at(index) == GHOST)
    }

    /// Where a newcomer goes; `None`: every record is held. Under the locks of both sets.
    fn place(&self, sets: [usize; 2], judge: &impl Judge) -> Option<Place> {
        let free = self.empty_slot(sets);
        if let Some(index) = free.filter(|_| self.keys() < self.max_keys) {
            return Some(Place::Empty(index));
        }
        let mut candidates = Vec::with_capacity(2 * WAYS);
        let mut words = [0; MAX_WORDS];
        for index in sets.into_iter().flat_map(|set| self.ways(set)) {
            let tag = self.tag_at(index);
            let state = &mut words[..self.words];
            if matches!(tag, EMPTY | GHOST) || !self.peek(index, state) || judge.is_held(state) {
                continue;
            }
            match judge.full_after(state) {
                0 => return Some(Place::Reuse(index)),
                span => candidates.push((span, index)),
            }
        }
        self.sweep(judge);
        if let Some(index) = self.empty_slot(sets).filter(|_| self.keys() < self.max_keys) {
            return Some(Place::Empty(index));
        }
        candidates.sort_unstable();
        candidates.dedup();
        let Some(set) = candidates.first().map(|&(_, index)| index / WAYS) else {
            return free.filter(|_| self.victim_elsewhere(judge).is_some()).map(Place::Elsewhere);
        };
        // With no empty slot, a set without a ghost loses a second record to make room for one.
        let wanted = if free.is_none() && self.ghost(set).is_none() { 2 } else { 1 };
        let of_set =
            candidates.into_iter().map(|(_, index)| index).filter(|index| index / WAYS == set);
        let victims: Vec<usize> = of_set.take(wanted).collect();
        (victims.len() == wanted).then_some(Place::Evict(victims))
    }

    /// An empty slot: in the first set until that is nearly full, then in the emptier one.
    fn empty_slot(&self, sets: [usize; 2]) -> Option<usize> {
        let [(first, used), (second, used_there)] = sets.map(|set| {
            let empty = self.ways(set).filter(|&index| self.tag_at(index) == EMPTY);
            (empty.clone().next(), WAYS - empty.count())
        });
        if used >= WAYS - 2 && used_there < used { second } else { first }
    }

    /// Puts the newcomer in its place. Under the locks of both sets.
    fn settle(&self, tag: u64, words: &[u64], place: Place, judge: &impl Judge) {
        let slot = match place {
            Place::Empty(index) => Some(index),
            Place::Reuse(index) => {
                self.evict(index, judge);
                (self.tag_at(index) == EMPTY).then_some(index)
            }
            Place::Evict(victims) => {
                for index in victims {
                    self.evict(index, judge);
                }
                None
            }
            Place::Elsewhere(index) => {
                self.evict_elsewhere(judge);
                Some(index)
            }
        };
        let sets = self.sets_of(tag);
        let any = || {
            sets.into_iter()
                .flat_map(|set| self.ways(set))
                .find(|&index| self.tag_at(index) == EMPTY)
        };
        if let Some(index) = slot.or_else(any) {
            self.keys.fetch_add(1, Ordering::Relaxed);
            self.put(index, tag, words);
        }
    }

    /// Takes a record out; what it still held goes to the ghost of its set. Under the set's lock.
    fn evict(&self, index: usize, judge: &impl Judge) {
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

    /// Makes room for one more key in another set.
    fn evict_elsewhere(&self, judge: &impl Judge) {
        if let Some((index, _guard)) = self.victim_elsewhere(judge) {
            self.evict(index, judge);
        }
    }

    /// The record closest to full of the next set that has one to give, and that set's lock. Skips
    /// sets that are locked.
    fn victim_elsewhere(&self, judge: &impl Judge) -> Option<(usize, MutexGuard<'_, ()>)> {
        let mut words = [0; MAX_WORDS];
        let words = &mut words[..self.words];
        for _ in 0..SEARCH.min(self.sets) {
            let set = self.hand.fetch_add(1, Ordering::Relaxed) % self.sets;
            let Some(guard) = self.locks[set % self.locks.len()].try_lock() else { continue };
            let victim = self
                .ways(set)
                .filter(|&index| !matches!(self.tag_at(index), EMPTY | GHOST))
                .filter_map(|index| {
                    let free = self.peek(index, words) && !judge.is_held(words);
                    free.then(|| (judge.full_after(words), index))
                })
                .min();
            if let Some((_, index)) = victim {
                return Some((index, guard));
            }
        }
        None
    }

    /// Makes the set's ghost at least as large as `words`. Under the set's lock.
    fn haunt(&self, set: usize, words: &[u64], judge: &impl Judge) {
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

    /// Frees the records that are full again in the next few sets. Skips sets that are locked.
    fn sweep(&self, judge: &impl Judge) {
        let mut words = [0; MAX_WORDS];
        for _ in 0..SWEEP.min(self.sets) {
            let set = self.hand.fetch_add(1, Ordering::Relaxed) % self.sets;
            let Some(_guard) = self.locks[set % self.locks.len()].try_lock() else { continue };
            for index in self.ways(set).filter(|&index| self.tag_at(index) != EMPTY) {
                self.free_if_full(index, &mut words, judge);
            }
        }
    }

    /// Under the set's lock.
    fn free_if_full(&self, index: usize, words: &mut [u64], judge: &impl Judge) {
        let ghost = self.tag_at(index) == GHOST;
        let idle = |words: &[u64]| judge.full_after(words) == 0 && !judge.is_held(words);
        if !self.peek(index, words) || !idle(&words[..self.words]) || !self.take(index, words) {
            return;
        }
        if idle(&words[..self.words]) {
            self.free(index);
            if !ghost {
                self.keys.fetch_sub(1, Ordering::Relaxed);
            }
        } else {
            // Charged in between: put it back.
            self.put(index, self.tag_at(index), words);
        }
    }

    /// No record enters this table from now on; when this returns, none is on its way in.
    pub(crate) fn freeze(&self) {
        // Release pairs with the Acquire in `insert` and `transact`.
        self.frozen.store(true, Ordering::Release);
        for lock in &*self.locks {
            drop(lock.lock());
        }
    }

    /// Takes the record of `tag` out of a frozen table.
    pub(crate) fn take_out(&self, tag: u64, words: &mut [u64]) -> bool {
        let _guards = self.lock(self.sets_of(tag));
        self.find(tag).is_some_and(|index| self.take(index, words))
    }

    /// The larger use of the ghosts that a frozen table has for `tag`.
    pub(crate) fn ghosts_of(&self, tag: u64, judge: &impl Judge, words: &mut [u64]) -> bool {
        let sets = self.sets_of(tag);
        self.inherit_ghosts(sets, judge, words);
        sets.into_iter().any(|set| self.ghost(set).is_some())
    }

    /// Every tag of a frozen table, once; `None` stands for a ghost, with the number of its set.
    pub(crate) fn each_tag(&self, mut visit: impl FnMut(Option<u64>, usize, usize)) {
        for index in 0..self.sets * WAYS {
            match self.tag_at(index) {
                EMPTY => {}
                GHOST => visit(None, index / WAYS, index),
                tag => visit(Some(tag), index / WAYS, index),
            }
        }
    }

    /// The ghost at `index` of a frozen table.
    pub(crate) fn ghost_words(&self, index: usize, words: &mut [u64]) -> bool {
        self.peek(index, words)
    }

    /// Makes the ghost of `set` at least as large as `words`; without room for one, a record
    /// of the set becomes part of it.
    pub(crate) fn add_ghost(&self, set: usize, words: &[u64], judge: &impl Judge) {
        let _guards = self.lock([set, set]);
        let full = self.ways(set).all(|index| self.tag_at(index) != EMPTY);
        if full && self.ghost(set).is_none() {
            let mut old = [0; MAX_WORDS];
            let free = self
                .ways(set)
                .find(|&index| self.peek(index, &mut old) && !judge.is_held(&old[..self.words]));
            if let Some(index) = free {
                self.evict(index, judge);
            }
        }
        self.haunt(set, words, judge);
    }
}

/// Most words of a record: eight cache lines.
pub(crate) const MAX_WORDS: usize = 62;
