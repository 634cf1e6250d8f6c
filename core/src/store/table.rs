//! Sets of slots: find, insert, hand over. See `store` for the picture.

use super::eviction::{NoPlace, Place};
use super::growth::{first_sets, heirs, most_sets, preferred_way, roomy_sets, sets_of};
use super::region::Region;
use super::{Attempt, Change, EMPTY, GHOST, Judge, compact, line};
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering, spin};

/// Slots of a set.
pub(super) const WAYS: usize = 8;
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
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Done,
    /// The key has no record here.
    Absent,
    /// The table is being left behind: ask its successor.
    Moved,
}

/// The answer of [`Table::insert`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    Done,
    /// The key has a record by now, or lost a race: look again.
    Again,
    Moved,
    /// The table is full, and pressure is refused (or every record is held).
    Full,
}

pub(crate) struct Table {
    region: Region,
    /// Words of a slot, and of the state in it.
    stride: usize,
    pub(super) words: usize,
    /// Sets in use, and the most there may be. Grows under the locks of the sets concerned.
    pub(super) sets: AtomicUsize,
    pub(super) most_sets: usize,
    pub(super) roomy_sets: usize,
    pub(super) max_keys: u64,
    pub(super) keys: AtomicU64,
    pub(super) evictions: AtomicU64,
    locks: Box<[Mutex<()>]>,
    /// Held by who makes a set.
    pub(super) growing: Mutex<()>,
    /// The table is being left behind: no record enters it any more.
    pub(super) frozen: AtomicBool,
    /// How many sets were looked at so far: see `next_set`.
    pub(super) hand: AtomicUsize,
}

impl Table {
    /// A table for records of `words` words, of the size of `like`; `None` when there is no such memory.
    pub(crate) fn new(words: usize, max_keys: u64, like: Option<&Table>) -> Option<Table> {
        let stride =
            if words == 1 { compact::STRIDE } else { (2 + words).next_multiple_of(line::STRIDE) };
        let most_sets = most_sets(max_keys)?;
        let sets = like.map_or(first_sets(most_sets), Table::sets);
        Some(Table {
            region: Region::zeroed(most_sets.checked_mul(WAYS * stride)?)?,
            stride,
            words,
            sets: AtomicUsize::new(sets.min(most_sets)),
            most_sets,
            roomy_sets: roomy_sets(WAYS * stride, most_sets),
            max_keys,
            keys: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
            locks: (0..most_sets.min(LOCKS)).map(|_| Mutex::new(())).collect(),
            growing: Mutex::new(()),
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
    pub(crate) fn sets(&self) -> usize {
        // Acquire: who sees a set sees its records.
        self.sets.load(Ordering::Acquire)
    }

    #[inline]
    fn slot<const STRIDE: usize>(&self, index: usize) -> &[AtomicU64; STRIDE] {
        // Wrapping: what is beyond the region is refused in any case.
        let slot = &self.region[index.wrapping_mul(STRIDE)..][..STRIDE];
        slot.try_into().expect("a slice of this length")
    }

    /// A slot of whole cache lines.
    fn lines(&self, index: usize) -> &[AtomicU64] {
        &self.region[index * self.stride..][..self.stride]
    }

    #[inline]
    pub(super) fn tag_at(&self, index: usize) -> u64 {
        // Acquire: what is read of the slot next is not older than its tag.
        self.region[index * self.stride].load(Ordering::Acquire)
    }

    /// The slots of a set, from the one on that a tag prefers: its record is mostly there.
    pub(super) fn ways_from(&self, set: usize, tag: u64) -> impl Iterator<Item = usize> + Clone {
        (0..WAYS).map(move |way| set * WAYS + (way + preferred_way(tag)) % WAYS)
    }

    fn find(&self, tag: u64) -> Option<usize> {
        let sets = sets_of(tag, self.sets());
        let mut slots = sets.into_iter().flat_map(|set| self.ways_from(set, tag));
        slots.find(|&index| self.tag_at(index) == tag)
    }

    /// The slot where a record likes best to be.
    #[inline]
    fn home(&self, tag: u64) -> usize {
        let [set, _] = sets_of(tag, self.sets());
        // Wrapping: the region's length is no more than a usize.
        set.wrapping_mul(WAYS).wrapping_add(preferred_way(tag))
    }

    /// Has the home of `tag` fetched from memory. A load of which nobody waits for the value: several of them are under
    /// way at once.
    #[inline]
    pub(crate) fn prefetch(&self, tag: u64) {
        std::hint::black_box(self.tag_at(self.home(tag)));
    }

    /// Runs `change` on the record of `tag` and writes it if it changed, provided that the record has one word, is where
    /// it likes best to be, and nobody interferes; else false, and nothing happened.
    #[inline(always)]
    pub(crate) fn transact_compact(&self, tag: u64, change: &mut impl Change) -> bool {
        let slot = || self.slot(self.home(tag));
        self.words == 1 && compact::transact(slot(), tag, |words| change.make(words)).is_ok()
    }

    /// The same for a record of one cache line.
    #[inline]
    pub(crate) fn transact_line(&self, tag: u64, change: &mut impl Change) -> bool {
        let slot = || self.slot::<{ line::STRIDE }>(self.home(tag));
        let change = |words: &mut [u64]| change.make(words);
        (2..=line::WORDS).contains(&self.words)
            && line::transact::<{ line::WORDS }>(slot(), tag, self.words, change).is_ok()
    }

    /// Runs `change` on the record of `tag`, once for every attempt, and writes it if it changed.
    /// `change` sees a consistent copy; only the last attempt counts.
    pub(crate) fn transact(&self, tag: u64, mut change: impl Change) -> Found {
        loop {
            let Some(index) = self.find(tag) else {
                // Acquire pairs with the Release in `freeze`.
                let frozen = self.frozen.load(Ordering::Acquire);
                return if frozen { Found::Moved } else { Found::Absent };
            };
            match self.attempt(index, tag, &mut change) {
                Ok(()) => return Found::Done,
                Err(Attempt::Gone) if self.frozen.load(Ordering::Acquire) => return Found::Moved,
                Err(Attempt::Gone | Attempt::Locked) => spin(),
                Err(Attempt::Again | Attempt::Replaced) => {}
            }
        }
    }

    fn attempt(&self, index: usize, tag: u64, change: &mut impl Change) -> Result<(), Attempt> {
        let change = |words: &mut [u64]| change.make(words);
        match self.words {
            1 => compact::transact(self.slot(index), tag, change),
            2..=line::WORDS => {
                line::transact::<{ line::WORDS }>(self.lines(index), tag, self.words, change)
            }
            _ => line::transact::<MAX_WORDS>(self.lines(index), tag, self.words, change),
        }
    }

    pub(super) fn peek(&self, index: usize, words: &mut [u64]) -> bool {
        let words = &mut words[..self.words];
        if self.words == 1 {
            compact::peek(self.slot(index), words)
        } else {
            line::peek(self.lines(index), words)
        }
    }

    pub(super) fn take(&self, index: usize, words: &mut [u64]) -> bool {
        let words = &mut words[..self.words];
        if self.words == 1 {
            compact::take(self.slot(index), words)
        } else {
            line::take(self.lines(index), words)
        }
    }

    pub(super) fn put(&self, index: usize, tag: u64, words: &[u64]) {
        let words = &words[..self.words];
        if self.words == 1 {
            compact::put(self.slot(index), tag, words)
        } else {
            line::put(self.lines(index), tag, words)
        }
    }

    pub(super) fn free(&self, index: usize) {
        if self.words == 1 {
            compact::free(self.slot(index))
        } else {
            line::free(self.lines(index))
        }
    }

    /// Locks two sets, in the order of their locks.
    pub(super) fn lock(&self, sets: [usize; 2]) -> [Option<MutexGuard<'_, ()>>; 2] {
        let [a, b] = sets.map(|set| set % self.locks.len());
        let first = self.locks[a.min(b)].lock();
        let second = (a != b).then(|| self.locks[a.max(b)].lock());
        [Some(first), second]
    }

    /// The lock of one set, if nobody has it.
    pub(super) fn try_lock(&self, set: usize) -> Option<MutexGuard<'_, ()>> {
        self.locks[set % self.locks.len()].try_lock()
    }

    /// The sets of a tag, and their locks: they stay its sets as long as these are held.
    fn lock_sets_of(&self, tag: u64) -> ([usize; 2], [Option<MutexGuard<'_, ()>>; 2]) {
        loop {
            let sets = sets_of(tag, self.sets());
            let guards = self.lock(sets);
            // One of them may have been split before we had the lock.
            if sets_of(tag, self.sets()) == sets {
                return (sets, guards);
            }
        }
    }

    /// Runs `change` on the record of a key that has none yet, and inserts it if it changed.
    ///
    /// `origin` fills the words of a record that the key had elsewhere, if any; such a record is
    /// inserted in any case.
    pub(crate) fn insert(
        &self,
        tag: u64,
        judge: &impl Judge,
        on_pressure: OnPressure,
        origin: impl FnOnce(&mut [u64]) -> bool,
        change: impl FnOnce(&mut [u64]),
    ) -> Inserted {
        let (sets, guards, place) = loop {
            let (sets, guards) = self.lock_sets_of(tag);
            // Acquire pairs with the Release in `freeze`; after that, the locks keep us out.
            if self.frozen.load(Ordering::Acquire) {
                return Inserted::Moved;
            }
            if self.find(tag).is_some() {
                return Inserted::Again;
            }
            match self.place(sets, tag, judge) {
                Ok(place) => break (sets, guards, place),
                Err(NoPlace::Held) => return Inserted::Full,
                Err(NoPlace::Crowded) => drop(guards),
            }
            self.add_set();
        };
        let pressed = matches!(place, Place::Evict(..) | Place::Elsewhere(_));
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
        change(words);
        // A denied newcomer leaves no trace.
        if words[..] != before[..self.words] {
            self.settle(sets, tag, words, place, judge);
            drop(guards);
            self.make_room(judge);
        }
        Inserted::Done
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
        let _guards = self.lock_sets_of(tag);
        self.find(tag).is_some_and(|index| self.take(index, words))
    }

    /// The larger use of the ghosts that a frozen table has for `tag`.
    pub(crate) fn ghosts_of(&self, tag: u64, judge: &impl Judge, words: &mut [u64]) {
        self.inherit_ghosts(sets_of(tag, self.sets()), judge, words);
    }

    /// Every tag of a frozen table, once; `None` stands for a ghost, with the number of its set.
    pub(crate) fn each_tag(&self, mut visit: impl FnMut(Option<u64>, usize, usize)) {
        for index in (0..self.sets()).flat_map(|set| self.ways(set)) {
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

    /// Takes over a ghost of `set` from a table of `sets` sets: every set that a key of that one may be in now has one at
    /// least as large. Not under any lock.
    pub(crate) fn add_ghost(&self, set: usize, sets: usize, words: &[u64], judge: &impl Judge) {
        // Else a set that is made meanwhile would be left out.
        let _no_growth = self.growing.lock();
        heirs(set, sets, self.sets()).for_each(|set| self.enlarge_ghost(set, words, judge));
    }

    /// Makes the ghost of `set` at least as large as `words`; without room for one, a record
    /// of the set becomes part of it.
    fn enlarge_ghost(&self, set: usize, words: &[u64], judge: &impl Judge) {
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
