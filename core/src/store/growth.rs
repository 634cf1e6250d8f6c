//! Where a key's record may lie, and how there come to be more places.
//!
//! Linear hashing (Litwin, 1980): among `sets` sets, 2^k ≤ sets ≤ 2^(k+1), a hash lies at its last k + 1 bits, or
//! at its last k bits where that set does not exist yet. Set number `sets` is made by splitting one set, the
//! one at the last k bits of its number: some records of that go to the new set, no other record is
//! concerned. Each key has two hashes, hence two sets to be in; sets that are still to be split are fuller, and
//! newcomers take the emptier one.
//!
//! A split goes under the locks of both sets, records first, the number of sets last. Who looks a key up meanwhile
//! may miss it. It then comes to insert it, waits for the lock, and finds the number changed.

use super::locks::Locks;
use super::table::{MAX_WORDS, Table, WAYS};
use super::{EMPTY, GHOST, Judge};
use crate::sync::Ordering;

/// Keys a set is planned for.
pub(super) const PLANNED: usize = 5;
/// A table of up to so many bytes has several sets for each key: threads that use different keys would else write to
/// the same cache lines.
const ROOM: usize = 8;
const ROOMY: usize = if cfg!(loom) { 0 } else { 1 << 20 };
/// Small tables vary more.
const SPARE: usize = if cfg!(loom) { 0 } else { 4 };
/// Sets that a table begins with.
const FIRST: usize = if cfg!(loom) { 1 } else { 4 };
/// Sets looked at for records that have long been full again, before a table grows.
const GLEAN: usize = 2;

/// How many sets a table of `max_keys` keys may have at most.
pub(super) fn most_sets(max_keys: u64) -> Option<usize> {
    usize::try_from(max_keys.div_ceil(PLANNED as u64)).ok()?.checked_add(SPARE)
}

/// How many sets of so many words a table has before it lets them fill.
pub(super) fn roomy_sets(set_words: usize, most_sets: usize) -> usize {
    (ROOMY / (set_words * size_of::<u64>())).min(most_sets)
}

/// How many a table begins with.
pub(super) fn first_sets(most: usize) -> usize {
    most.min(FIRST)
}

/// The sets of a tag, the one it prefers first; they may be one.
#[inline]
pub(super) fn sets_of(tag: u64, sets: usize) -> [usize; 2] {
    [address(tag, sets), address(tag.rotate_left(32), sets)]
}

/// The way of a set that a tag prefers. (Sets go by the other bits.)
#[inline]
pub(super) fn preferred_way(tag: u64) -> usize {
    (tag >> 29) as usize % WAYS
}

#[inline]
pub(super) fn address(hash: u64, sets: usize) -> usize {
    address_within(hash, sets, bits(sets))
}

/// The bits of a hash by which it is in one of so many sets.
pub(super) fn bits(sets: usize) -> usize {
    // Wrapping: there is always a set.
    usize::MAX >> (sets.wrapping_sub(1) | 1).leading_zeros()
}

#[inline(always)]
pub(super) fn address_within(hash: u64, sets: usize, bits: usize) -> usize {
    let at = hash as usize & bits;
    if at < sets { at } else { at & (bits >> 1) }
}

/// The set that is split to make set number `new`, which is not 0.
fn parent(new: usize) -> usize {
    new & !(1 << new.ilog2())
}

/// Does a record of set `old` belong into set `new`, made out of it? The set that it prefers decides, if it is one of
/// these.
fn moves(tag: u64, old: usize, new: usize) -> bool {
    let [first, second] = sets_of(tag, new + 1);
    let here = if first == old || first == new { first } else { second };
    here == new
}

impl Table {
    /// Makes room for more keys than there are: by records that have long been full again, else by one more set. Not under
    /// any lock.
    pub(super) fn make_room(&self, judge: &impl Judge) {
        let (keys, sets) = (self.keys(), self.sets());
        if sets < self.roomy_sets {
            // Several a key: as many splits as an insert may wait for.
            for _ in sets..self.roomy_sets.min(ROOM * keys as usize).min(sets + ROOM) {
                self.add_set(judge);
            }
        } else if keys > (PLANNED * sets) as u64
            && sets < self.most_sets
            && !self.sweep(GLEAN, judge, &Locks::none(self), |words| judge.is_rested(words))
        {
            self.add_set(judge);
        }
    }

    /// One more set, if there may be one and nobody else is making it. Not under any lock.
    pub(super) fn add_set(&self, judge: &impl Judge) {
        let Some(_one) = self.growing.try_lock() else { return };
        let new = self.sets();
        if new < self.most_sets {
            self.split(parent(new), new, judge);
        }
    }

    /// Makes set `new`, the next one, out of half of `old`. Under the lock of growth.
    fn split(&self, old: usize, new: usize, judge: &impl Judge) {
        let _guards = self.lock([old, new]);
        // Acquire pairs with the Release in `freeze`; after that, the locks keep us out.
        if self.frozen.load(Ordering::Acquire) {
            return;
        }
        judge.complete(old);
        let mut words = [0; MAX_WORDS];
        for way in 0..WAYS {
            let (from, to) = (old * WAYS + way, new * WAYS + way);
            match self.tag_at(from) {
                EMPTY => {}
                // It dominates all that was evicted from either.
                GHOST => {
                    self.peek(from, &mut words);
                    self.put(to, GHOST, &words);
                }
                tag if moves(tag, old, new) => self.relocate(from, to),
                _ => {}
            }
        }
        self.has_now(new + 1);
    }

    /// Puts so many sets in use.
    pub(super) fn has_now(&self, sets: usize) {
        // Release: who sees a set sees its records.
        self.sets.store(sets, Ordering::Release);
        // Relaxed: see `bits`.
        self.bits.store(bits(sets), Ordering::Relaxed);
    }

    /// Moves a record to an empty slot. Under the locks of both sets.
    fn relocate(&self, from: usize, to: usize) {
        let tag = self.tag_at(from);
        let mut words = [0; MAX_WORDS];
        if self.take(from, &mut words) {
            self.put(to, tag, &words);
            self.free(from);
        }
    }

    /// Moves some record of two full sets to the other set that it may be in; returns its slot, now empty. Under
    /// the locks of `sets`.
    pub(super) fn displace(
        &self,
        sets: [usize; 2],
        judge: &impl Judge,
        locks: &Locks<'_>,
    ) -> Option<usize> {
        let mut candidates = sets.into_iter().flat_map(|set| self.ways(set));
        candidates.find(|&from| {
            let tag = self.tag_at(from);
            if matches!(tag, EMPTY | GHOST) {
                return false;
            }
            let [one, other] = sets_of(tag, self.sets());
            let there = if one == from / WAYS { other } else { one };
            if sets.contains(&there) {
                return false;
            }
            let Some(_also) = locks.also(there, judge) else { return false };
            if !sets_of(tag, self.sets()).contains(&there) {
                return false;
            }
            let empty = self.ways_from(there, tag).find(|&index| self.tag_at(index) == EMPTY);
            empty.is_some_and(|to| {
                self.relocate(from, to);
                self.tag_at(from) == EMPTY
            })
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_split_concerns_one_set() {
        let hashes = (0..2_000_u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for hash in hashes.chain([0, u64::MAX]) {
            let mut at = address(hash, 1);
            assert_eq!(at, 0);
            for sets in 1..300 {
                let next = address(hash, sets + 1);
                assert!(next <= sets);
                assert!(next == at || (next == sets && at == parent(sets)), "{hash:x} {sets}");
                at = next;
            }
        }
    }

    /// A record that is where it likes best to be stays so, however the table grows.
    #[test]
    fn a_lone_key_is_always_at_home() {
        for number in 0..500 {
            let table = Table::new(1, 1_000_000).unwrap();
            insert(&table, number, 0, 1);
            for _ in 0..70 {
                assert_eq!(table.tag_at(table.home(tag(number))), tag(number));
                let seen = table.look_compact(tag(number)).expect("nobody interferes");
                assert_eq!(seen.word(), 1);
                table.add_set(&Until(0));
            }
        }
    }

    /// Words are times at which the record is full again; now is a number.
    struct Until(u64);

    impl Judge for Until {
        fn full_after(&self, words: &[u64]) -> u64 {
            words[0].saturating_sub(self.0)
        }

        fn is_rested(&self, words: &[u64]) -> bool {
            words[0] + 1_000 < self.0
        }

        fn is_held(&self, _: &[u64]) -> bool {
            false
        }

        fn merge(&self, into: &mut [u64], from: &[u64]) {
            into[0] = into[0].max(from[0]);
        }
    }

    /// A hash like any other.
    fn tag(number: u64) -> u64 {
        let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9).max(2)
    }

    fn insert(table: &Table, number: u64, now: u64, until: u64) {
        let done =
            table.insert(tag(number), &Until(now), super::super::OnPressure::Inherit, |words| {
                words.fill(until)
            });
        assert_eq!(done, super::super::Inserted::Done);
    }

    #[test]
    fn there_are_as_many_sets_as_the_keys_need_and_none_gets_lost() {
        for words in [1, 2, 9] {
            let table = Table::new(words, 20_000).unwrap();
            for number in 0..20_000 {
                insert(&table, number, 0, number + 1);
                let keys = table.keys() as usize;
                let needed = (ROOM * keys).min(table.roomy_sets).max(keys.div_ceil(PLANNED));
                assert!(table.sets() <= needed + FIRST + SPARE, "{} sets", table.sets());
            }
            assert_eq!((table.keys(), table.evictions()), (20_000, 0));
            for number in 0..20_000 {
                let mut seen = Vec::new();
                let found = table.transact(tag(number), |words: &mut [u64]| seen = words.to_vec());
                assert_eq!(found, super::super::Found::Done, "{number} is lost");
                assert_eq!(seen, vec![number + 1; words]);
            }
        }
    }

    /// As `Until(0)`, of a table that takes another's place.
    struct Heir<'a> {
        old: &'a Table,
        new: &'a Table,
    }

    impl Judge for Heir<'_> {
        fn full_after(&self, words: &[u64]) -> u64 {
            Until(0).full_after(words)
        }

        fn is_rested(&self, words: &[u64]) -> bool {
            Until(0).is_rested(words)
        }

        fn is_held(&self, _: &[u64]) -> bool {
            false
        }

        fn merge(&self, into: &mut [u64], from: &[u64]) {
            Until(0).merge(into, from);
        }

        fn complete(&self, set: usize) {
            self.new.complete(set, self.old, |before, words| words.copy_from_slice(before));
        }
    }

    /// A table of so many sets, frozen.
    fn left_behind(sets: usize, keys: std::ops::Range<u64>) -> Table {
        let table = Table::new(1, 100_000).unwrap();
        keys.for_each(|number| insert(&table, number, 0, number + 1));
        while table.sets() < sets {
            table.add_set(&Until(0));
        }
        table.freeze();
        table
    }

    /// A set that is split before its records came has them first: none is lost, none is in two places.
    #[test]
    fn a_table_that_grows_while_it_takes_over_finds_everything() {
        let old = left_behind(4, 0..20);
        let new = Table::new(1, 100_000).unwrap();
        new.follow(&old);
        let judge = Heir { old: &old, new: &new };
        let sets = new.sets();
        while new.sets() < 5 * sets {
            new.add_set(&judge);
        }
        assert_eq!(new.keys(), 20);
        new.complete_all(&old, &judge);
        assert_eq!(new.keys(), 20);
        let tags = (0..new.sets() * WAYS).filter(|&index| new.tag_at(index) != EMPTY);
        assert_eq!(tags.count(), 20);
        for number in 0..20 {
            let mut seen = 0;
            let found = new.transact(tag(number), |words: &mut [u64]| seen = words[0]);
            assert_eq!((found, seen), (super::super::Found::Done, number + 1));
        }
    }

    /// An update's new table may have grown before an old ghost comes.
    #[test]
    fn a_ghost_that_is_taken_over_haunts_all_who_may_have_been_evicted_from_its_set() {
        for before in [4, 5, 100, 1_700, 2_000] {
            let old = left_behind(before, 0..0);
            assert_eq!(old.sets(), before);
            let set = before - 1;
            old.haunt(set, &[1_000], &Until(0));
            let new = Table::new(1, 100_000).unwrap();
            new.follow(&old);
            let judge = Heir { old: &old, new: &new };
            for number in 0..200 {
                let fill = |words: &mut [u64]| words.fill(10);
                let inherit = super::super::OnPressure::Inherit;
                let done = new.insert(tag(number), &judge, inherit, fill);
                assert_eq!(done, super::super::Inserted::Done);
            }
            assert_eq!(new.sets(), before.max(1_600), "the test wants it between");
            new.complete_all(&old, &judge);
            for tag in (0..20_000).map(tag).filter(|&tag| sets_of(tag, before).contains(&set)) {
                let mut words = [0];
                new.inherit_ghosts(sets_of(tag, new.sets()), &judge, &mut words);
                assert_eq!(words, [1_000], "{tag:x} of {before} sets");
            }
        }
    }

    /// A thousand keys are in use at a time, and rest as long; a hundred thousand pass by.
    #[test]
    fn keys_that_are_full_again_make_room_before_the_table_grows() {
        let table = Table::new(1, 1_000_000).unwrap();
        for number in 0..100_000 {
            insert(&table, number, number, number + 1_000);
        }
        assert!(table.sets() <= table.roomy_sets, "{} {}", table.keys(), table.sets());
    }
}
