//! Sets of slots: find, insert, evict, hand over. See `store` for the picture.

use super::eviction::Place;
use super::region::Region;
use super::{Attempt, EMPTY, GHOST, Judge, compact, line};
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering};

/// Slots of a set.
pub(super) const WAYS: usize = 8;
/// Keys a set is planned for: with two sets to choose from, practically none overflows (none of a million
/// simulated insertions); small tables vary more and get a few sets on top.
const PLANNED: u64 = 5;
const SPARE: u64 = if cfg!(loom) { 0 } else { 4 };
/// Locks for changes of structure; sets share them by number.
const LOCKS: usize = 512;

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
    pub(super) sets: usize,
    /// Words of a slot, and of the state in it.
    stride: usize,
    pub(super) words: usize,
    pub(super) max_keys: u64,
    pub(super) keys: AtomicU64,
    pub(super) evictions: AtomicU64,
    pub(super) locks: Box<[Mutex<()>]>,
    /// A bit a set: was a record ever put in it? So that a table of few keys is left behind quickly.
    used_sets: Box<[AtomicU64]>,
    /// The table is being left behind: no record enters it any more.
    frozen: AtomicBool,
    /// The next set to sweep.
    pub(super) hand: AtomicUsize,
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
            used_sets: (0..sets.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
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
    pub(super) fn tag_at(&self, index: usize) -> u64 {
        // Acquire: what is read of the slot next is not older than its tag.
        self.region[index * self.stride].load(Ordering::Acquire)
    }

    /// The two sets of a tag; they may be one.
    #[inline]
    pub(super) fn sets_of(&self, tag: u64) -> [usize; 2] {
        // High bits of two independent looking products (the multiplier is 2^64 / φ).
        let at = |hash: u64| ((u128::from(hash) * self.sets as u128) >> 64) as usize;
        [at(tag), at(tag.rotate_left(32).wrapping_mul(0x9e37_79b9_7f4a_7c15))]
    }

    /// The slots of a set, from the one on that a tag prefers: its record is mostly there.
    #[inline]
    pub(super) fn ways_from(&self, set: usize, tag: u64) -> impl Iterator<Item = usize> + Clone {
        (0..WAYS).map(move |way| set * WAYS + (way + tag as usize) % WAYS)
    }

    #[inline]
    fn find(&self, tag: u64) -> Option<usize> {
        let [first, _] = self.sets_of(tag);
        let preferred = first * WAYS + tag as usize % WAYS;
        if self.tag_at(preferred) == tag { Some(preferred) } else { self.search(tag) }
    }

    fn search(&self, tag: u64) -> Option<usize> {
        let mut slots = self.sets_of(tag).into_iter().flat_map(|set| self.ways_from(set, tag));
        slots.find(|&index| self.tag_at(index) == tag)
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

    pub(super) fn peek(&self, index: usize, words: &mut [u64]) -> bool {
        let words = &mut words[..self.words];
        if self.words == 1 {
            compact::peek(self.slot(index), words)
        } else {
            line::peek(self.slot(index), words)
        }
    }

    pub(super) fn take(&self, index: usize, words: &mut [u64]) -> bool {
        let words = &mut words[..self.words];
        if self.words == 1 {
            compact::take(self.slot(index), words)
        } else {
            line::take(self.slot(index), words)
        }
    }

    pub(super) fn put(&self, index: usize, tag: u64, words: &[u64]) {
        let (word, bit) = (index / WAYS / 64, 1 << (index / WAYS % 64));
        // Relaxed: read under the set's lock, or after `freeze` went through all locks.
        if self.used_sets[word].load(Ordering::Relaxed) & bit == 0 {
            self.used_sets[word].fetch_or(bit, Ordering::Relaxed);
        }
        let words = &words[..self.words];
        if self.words == 1 {
            compact::put(self.slot(index), tag, words)
        } else {
            line::put(self.slot(index), tag, words)
        }
    }

    pub(super) fn free(&self, index: usize) {
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
        let Some(place) = self.place(sets, tag, judge) else { return Inserted::Full };
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
    pub(crate) fn ghosts_of(&self, tag: u64, judge: &impl Judge, words: &mut [u64]) {
        self.inherit_ghosts(self.sets_of(tag), judge, words);
    }

    /// Every tag of a frozen table, once; `None` stands for a ghost, with the number of its set.
    pub(crate) fn each_tag(&self, mut visit: impl FnMut(Option<u64>, usize, usize)) {
        let used =
            |set: &usize| self.used_sets[set / 64].load(Ordering::Relaxed) & (1 << (set % 64)) != 0;
        for index in (0..self.sets).filter(used).flat_map(|set| self.ways(set)) {
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
