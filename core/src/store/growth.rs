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
    // Wrapping: there is always a set.
    let ones = usize::MAX >> (sets.wrapping_sub(1) | 1).leading_zeros();
    let at = hash as usize & ones;
    if at < sets { at } else { at & (ones >> 1) }
}

/// Where, among `now` sets, the hashes may lie that lay in `set` when there were `before`.
pub(super) fn heirs(set: usize, before: usize, now: usize) -> impl Iterator<Item = usize> {
    // A table that was made as large as another may lag behind it by a split.
    let sets = before.min(now);
    let ancestor = address(set as u64, sets);
    // They differ in bits that a set's number did not have, or had last.
    let step = sets.next_power_of_two().div_ceil(2);
    let relatives = (ancestor % step..now).step_by(step);
    relatives.filter(move |&heir| address(heir as u64, sets) == ancestor)
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
                self.add_set();
            }
        } else if keys > (PLANNED * sets) as u64
            && sets < self.most_sets
            && !self.sweep(GLEAN, judge, |words| judge.is_rested(words))
        {
            self.add_set();
        }
    }

    /// One more set, if there may be one and nobody else is making it. Not under any lock.
    pub(super) fn add_set(&self) {
        let Some(_one) = self.growing.try_lock() else { return };
        let new = self.sets();
        if new < self.most_sets {
            self.split(parent(new), new);
        }
    }

    /// Makes set `new`, the next one, out of half of `old`. Under the lock of growth.
    pub(super) fn split(&self, old: usize, new: usize) {
        let _guards = self.lock([old, new]);
        // Acquire pairs with the Release in `freeze`; after that, the locks keep us out.
        if self.frozen.load(Ordering::Acquire) {
            return;
        }
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
        // Release: who sees the set sees its records.
        self.sets.store(new + 1, Ordering::Release);
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
    pub(super) fn displace(&self, sets: [usize; 2]) -> Option<usize> {
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
            // Not `lock`: whoever has it may wait for us.
            let Some(_guard) = self.try_lock(there) else { return false };
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
            let table = Table::new(1, 1_000_000, None).unwrap();
            insert(&table, number, 0, 1);
            for _ in 0..70 {
                let mut seen = 0;
                assert!(
                    table.transact_compact(tag(number), &mut |words: &mut [u64]| seen = words[0])
                );
                assert_eq!(seen, 1);
                table.add_set();
            }
        }
    }

    #[test]
    fn heirs_are_all_sets_where_a_hash_may_have_gone() {
        for (before, now) in (1..70).flat_map(|before| (1..70).map(move |now| (before, now))) {
            for set in 0..before {
                let mut expected: Vec<usize> = (0..1_u64 << 8)
                    .filter(|&hash| address(hash, before) == set)
                    .map(|hash| address(hash, now))
                    .collect();
                expected.sort_unstable();
                expected.dedup();
                let found: Vec<usize> = heirs(set, before, now).collect();
                assert_eq!(found, expected, "set {set} of {before}, now {now}");
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
        let done = table.insert(
            tag(number),
            &Until(now),
            super::super::OnPressure::Inherit,
            |_| false,
            |words| words.fill(until),
        );
        assert_eq!(done, super::super::Inserted::Done);
    }

    #[test]
    fn there_are_as_many_sets_as_the_keys_need_and_none_gets_lost() {
        for words in [1, 2, 9] {
            let table = Table::new(words, 20_000, None).unwrap();
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

    /// An update's new table may have grown before an old ghost comes, or be smaller.
    #[test]
    fn a_ghost_that_is_taken_over_haunts_all_who_may_have_been_evicted_from_its_set() {
        for before in [4, 5, 100, 1_700, 2_000] {
            let table = Table::new(1, 100_000, None).unwrap();
            (0..200).for_each(|number| insert(&table, number, 0, 10));
            assert_eq!(table.sets(), 1_600, "the test wants it between");
            let set = before - 1;
            table.add_ghost(set, before, &[1_000], &Until(0));
            for tag in (0..20_000).map(tag).filter(|&tag| sets_of(tag, before).contains(&set)) {
                let mut words = [0];
                table.ghosts_of(tag, &Until(0), &mut words);
                assert_eq!(words, [1_000], "{tag:x} of {before} sets");
            }
        }
    }

    /// A thousand keys are in use at a time, and rest as long; a hundred thousand pass by.
    #[test]
    fn keys_that_are_full_again_make_room_before_the_table_grows() {
        let table = Table::new(1, 1_000_000, None).unwrap();
        for number in 0..100_000 {
            insert(&table, number, number, number + 1_000);
        }
        assert!(table.sets() <= table.roomy_sets, "{} {}", table.keys(), table.sets());
    }
}
