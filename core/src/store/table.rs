//! Sets of slots: find, insert, hand over. See `store` for the picture.

use super::eviction::NoPlace;
use super::growth::{
    address_within, bits, first_sets, most_sets, preferred_way, roomy_sets, sets_of,
};
use super::locks::locks;
use super::region::Region;
use super::{Attempt, Change, EMPTY, GHOST, Judge, compact, line};
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering, spin};

/// Slots of a set.
pub(super) const WAYS: usize = 8;
/// How often an insert that is in somebody's way comes again before it takes all locks.
const TRIES: u32 = if cfg!(loom) { 1 } else { 4 };

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
    /// The table is full, and pressure is refused (or every record is held). The key has no record.
    Full,
}

/// Where a record was looked at, and as what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look<'t> {
    slot: &'t [AtomicU64],
    header: u64,
}

impl Look<'_> {
    /// Locks the record, provided that nothing happened to it since that look. Nobody else changes it until
    /// [`Look::commit`] or [`Look::let_go`].
    #[inline]
    pub(crate) fn seize(self) -> bool {
        line::seize(self.slot, self.header)
    }

    /// Writes to a record that was seized, and lets it go; as it was, if these are its words.
    #[inline]
    pub(crate) fn commit(self, words: &mut [u64]) {
        line::settle(self.slot, self.header, words);
    }

    /// Lets a record go as it was.
    pub(crate) fn let_go(self) {
        line::let_go(self.slot, self.header);
    }
}

/// A key gets no record.
pub(crate) struct KeptOut<'t> {
    _locks: [Option<MutexGuard<'t, ()>>; 2],
}

pub(crate) struct Table {
    region: Region,
    /// Words of a slot, and of the state in it.
    stride: usize,
    pub(super) words: usize,
    /// Words of a copy that is made to be looked at.
    room: usize,
    /// Sets in use, and the most there may be. Grows under the locks of the sets concerned.
    pub(super) sets: AtomicUsize,
    /// Those of the sets' number, for [`Table::home`]: with older ones a home is another place in the table, and the key
    /// is looked for.
    pub(super) bits: AtomicUsize,
    pub(super) most_sets: usize,
    pub(super) roomy_sets: usize,
    pub(super) max_keys: u64,
    pub(super) keys: AtomicU64,
    pub(super) evictions: AtomicU64,
    /// Sets share them by number.
    pub(super) locks: Box<[Mutex<()>]>,
    /// Held by who makes a set.
    pub(super) growing: Mutex<()>,
    /// The table is being left behind: no record enters it any more.
    pub(super) frozen: AtomicBool,
    /// How many sets were looked at so far: see `next_set`.
    pub(super) hand: AtomicUsize,
}

impl Table {
    /// A table for records of `words` words; `None` when there is no such memory.
    pub(crate) fn new(words: usize, max_keys: u64) -> Option<Table> {
        let stride =
            if words == 1 { compact::STRIDE } else { (2 + words).next_multiple_of(line::STRIDE) };
        let most_sets = most_sets(max_keys)?;
        Some(Table {
            region: Region::zeroed(most_sets.checked_mul(WAYS * stride)?)?,
            stride,
            words,
            // Models look at no more words than they must.
            room: if cfg!(loom) && words < line::WORDS { words } else { stride - 2 },
            sets: AtomicUsize::new(first_sets(most_sets)),
            bits: AtomicUsize::new(bits(first_sets(most_sets))),
            most_sets,
            roomy_sets: roomy_sets(WAYS * stride, most_sets),
            max_keys,
            keys: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
            locks: locks(most_sets),
            growing: Mutex::new(()),
            frozen: AtomicBool::new(false),
            hand: AtomicUsize::new(0),
        })
    }

    /// Words of a copy of a record, of several words, as [`Table::look`] makes it: as many as its cache lines have.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        self.room
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
        &self.region.as_chunks().0[index]
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

    #[inline(never)]
    fn find(&self, tag: u64) -> Option<usize> {
        let sets = sets_of(tag, self.sets());
        let mut slots = sets.into_iter().flat_map(|set| self.ways_from(set, tag));
        slots.find(|&index| self.tag_at(index) == tag)
    }

    /// The slot where a record likes best to be.
    #[inline]
    pub(super) fn home(&self, tag: u64) -> usize {
        // Relaxed: any value serves.
        let set = address_within(tag, self.sets(), self.bits.load(Ordering::Relaxed));
        // Wrapping: the region's length is no more than a usize.
        set.wrapping_mul(WAYS).wrapping_add(preferred_way(tag))
    }

    /// The slot of a record, most probably; `slot` finds one by its number.
    #[inline(always)]
    fn slot_of<'t, S: AsRef<[AtomicU64]> + ?Sized>(
        &'t self,
        tag: u64,
        slot: impl Fn(usize) -> &'t S,
    ) -> Option<&'t S> {
        let home = slot(self.home(tag));
        // Acquire, as of `find`: what is read of the slot next is not older than its tag.
        if home.as_ref()[0].load(Ordering::Acquire) == tag {
            return Some(home);
        }
        self.find(tag).map(slot)
    }

    /// Has the home of `tag` fetched from memory. A load of which nobody waits for the value: several of them are under
    /// way at once.
    #[inline]
    pub(crate) fn prefetch(&self, tag: u64) {
        std::hint::black_box(self.tag_at(self.home(tag)));
    }

    /// The record of `tag` as it is, provided that there is one, of one word, and that nobody interferes.
    #[inline(always)]
    pub(crate) fn look_compact(&self, tag: u64) -> Option<compact::Seen<'_>> {
        if self.words != 1 {
            return None;
        }
        compact::look(self.slot_of(tag, |index| self.slot(index))?, tag).ok()
    }

    /// Runs `change` on the record of `tag` and writes it if it changed, provided that it is one of one word, where it
    /// likes best to be, and that nobody interferes; else false, and nothing happened. For who has looked further already.
    #[inline]
    pub(crate) fn transact_at_home(&self, tag: u64, change: &mut impl Change) -> bool {
        let home = |index| (self.tag_at(index) == tag).then(|| self.slot(index));
        self.words == 1
            && home(self.home(tag)).is_some_and(|slot| compact::transact(slot, tag, change).is_ok())
    }

    /// As [`Table::transact_at_home`], for a record of one cache line, wherever it is.
    #[inline]
    pub(crate) fn transact_line(&self, tag: u64, change: &mut impl Change) -> bool {
        let change = |words: &mut [u64]| change.make(words);
        let transact = |slot: &[AtomicU64; line::STRIDE]| {
            line::transact::<{ line::WORDS }>(slot, tag, self.words, change).is_ok()
        };
        (2..=line::WORDS).contains(&self.words)
            && self.slot_of(tag, |index| self.slot(index)).is_some_and(transact)
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

    /// Copies the words of the record of `tag`, which has two at least. (A copy has [`Table::room`] for more: zeros.)
    /// `None`: there is none, or somebody interferes.
    #[inline(always)]
    pub(crate) fn look(&self, tag: u64, words: &mut [u64]) -> Option<Look<'_>> {
        let slot = self.slot_of(tag, |index| self.lines(index))?;
        line::look(slot, tag, words).ok().map(|header| Look { slot, header })
    }

    /// As [`Table::look`], however long it takes. Absent, or moved, as in [`Table::transact`].
    pub(crate) fn look_around(&self, tag: u64, words: &mut [u64]) -> Result<Look<'_>, Found> {
        loop {
            let Some(index) = self.find(tag) else {
                // Acquire pairs with the Release in `freeze`.
                let frozen = self.frozen.load(Ordering::Acquire);
                return Err(if frozen { Found::Moved } else { Found::Absent });
            };
            let slot = self.lines(index);
            match line::look(slot, tag, words) {
                Ok(header) => return Ok(Look { slot, header }),
                Err(Attempt::Gone) if self.frozen.load(Ordering::Acquire) => {
                    return Err(Found::Moved);
                }
                Err(Attempt::Gone | Attempt::Locked) => spin(),
                Err(Attempt::Again | Attempt::Replaced) => {}
            }
        }
    }

    /// Keeps a key without a record from getting one, as long as that is held; `None`: it has one by now, or somebody
    /// is busy where it would be. Who has locked records may ask: nobody is waited for.
    pub(crate) fn keep_out(&self, tag: u64) -> Option<KeptOut<'_>> {
        let sets = sets_of(tag, self.sets());
        let locks = self.try_lock(sets)?;
        // Acquire pairs with the Release in `freeze`; after that, the locks keep us out.
        let stays = sets_of(tag, self.sets()) == sets && !self.frozen.load(Ordering::Acquire);
        (stays && self.find(tag).is_none()).then_some(KeptOut { _locks: locks })
    }

    fn attempt(&self, index: usize, tag: u64, change: &mut impl Change) -> Result<(), Attempt> {
        if self.words == 1 {
            return compact::transact(self.slot(index), tag, change);
        }
        let change = |words: &mut [u64]| change.make(words);
        match self.words {
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

    /// Runs `change` on the record of a key that has none yet, and inserts it if it changed. Called once for every
    /// attempt; the last one counts.
    pub(crate) fn insert(
        &self,
        tag: u64,
        judge: &impl Judge,
        on_pressure: OnPressure,
        mut change: impl FnMut(&mut [u64]),
    ) -> Inserted {
        let mut before = [0; MAX_WORDS];
        self.insert_if(tag, judge, on_pressure, |words| {
            let before = &mut before[..words.len()];
            before.copy_from_slice(words);
            change(words);
            // A denied newcomer leaves no trace.
            words != before
        })
    }

    /// The same; whether the record is inserted, `change` says.
    pub(crate) fn insert_if(
        &self,
        tag: u64,
        judge: &impl Judge,
        on_pressure: OnPressure,
        mut change: impl FnMut(&mut [u64]) -> bool,
    ) -> Inserted {
        let mut tries = 0;
        loop {
            match self.try_insert(tag, judge, on_pressure, &mut change, tries >= TRIES) {
                Ok(inserted) => return inserted,
                Err(NoPlace::Full) => return Inserted::Full,
                Err(NoPlace::Crowded) => self.add_set(judge),
                Err(NoPlace::Busy) => {
                    tries += 1;
                    spin();
                }
                Err(NoPlace::Unsure) => tries = TRIES,
            }
        }
    }

    fn try_insert(
        &self,
        tag: u64,
        judge: &impl Judge,
        on_pressure: OnPressure,
        change: &mut impl FnMut(&mut [u64]) -> bool,
        alone: bool,
    ) -> Result<Inserted, NoPlace> {
        let (sets, locks) = self.lock_sets_of(tag, judge, alone);
        // Acquire pairs with the Release in `freeze`; after that, the locks keep us out.
        if self.frozen.load(Ordering::Acquire) {
            return Ok(Inserted::Moved);
        }
        if self.find(tag).is_some() {
            return Ok(Inserted::Again);
        }
        let place = self.place(sets, tag, judge, on_pressure, &locks)?;
        let mut words = [0; MAX_WORDS];
        let words = &mut words[..self.words];
        self.inherit(sets, &place, judge, words);
        if change(words) {
            if !self.settle(sets, tag, words, place, judge, &locks) {
                return Err(NoPlace::Busy);
            }
            drop(locks);
            self.make_room(judge);
        }
        Ok(Inserted::Done)
    }

    /// No record enters this table from now on; when this returns, none is on its way in or elsewhere.
    pub(crate) fn freeze(&self) {
        // Release pairs with the Acquire of all who have a lock.
        self.frozen.store(true, Ordering::Release);
        for lock in &*self.locks {
            drop(lock.lock());
        }
    }

    /// Takes the place of `old`, which is frozen and no larger. Before anybody else sees this table.
    ///
    /// It has as many sets, and counts the keys of the old one as its own: they have their places here. What is in a
    /// set comes by `complete`, before anything else may enter the set: so each record finds the slot free that
    /// it had there.
    pub(crate) fn follow(&self, old: &Table) {
        debug_assert!(old.sets() <= self.most_sets && old.keys() <= self.max_keys);
        self.has_now(old.sets());
        // Relaxed: who publishes the table publishes this.
        self.keys.store(old.keys(), Ordering::Relaxed);
    }

    /// Brings in what is left in a set of the old table; `carry` makes new words (zero so far) of the old. Under the lock
    /// of this table's set, which is all that is needed: nothing else changes a frozen table.
    pub(crate) fn complete(
        &self,
        set: usize,
        old: &Table,
        mut carry: impl FnMut(&[u64], &mut [u64]),
    ) {
        if set >= old.sets() {
            // Made by a split of one that was complete.
            return;
        }
        let mut before = [0; MAX_WORDS];
        for index in self.ways(set) {
            let tag = old.tag_at(index);
            // A look first: taking writes, and mostly all have gone.
            if tag == EMPTY || !old.peek(index, &mut before) || !old.take(index, &mut before) {
                continue;
            }
            let mut words = [0; MAX_WORDS];
            carry(&before[..old.words], &mut words[..self.words]);
            if words != [0; MAX_WORDS] {
                self.put(index, tag, &words);
            } else if tag != GHOST {
                self.keys.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Makes every set complete that the old table had.
    pub(crate) fn complete_all(&self, old: &Table, judge: &impl Judge) {
        for set in 0..old.sets() {
            let _guards = self.lock([set, set]);
            judge.complete(set);
        }
    }
}

/// Most words of a record: eight cache lines.
pub(crate) const MAX_WORDS: usize = 62;
