//! Models of the store under loom: every interleaving of two or three threads, with the real types.
//!
//! `make loom` runs them (`RUSTFLAGS="--cfg loom" cargo test -p tidegate --lib models`).

use loom::sync::Arc;
use loom::thread;

use super::region::Region;
use super::{Found, Inserted, Judge, OnPressure, Table, compact, line};

/// Words are plain counts: full again when all are zero, the larger use is the larger count.
struct Counts;

impl Judge for Counts {
    fn full_after(&self, words: &[u64]) -> u64 {
        words.iter().sum()
    }

    fn is_rested(&self, words: &[u64]) -> bool {
        self.full_after(words) == 0
    }

    fn is_held(&self, _: &[u64]) -> bool {
        false
    }

    fn merge(&self, into: &mut [u64], from: &[u64]) {
        for (into, from) in into.iter_mut().zip(from) {
            *into = (*into).max(*from);
        }
    }
}

/// Adds one to every word while all are below `most`; says whether it did.
fn take(words: &mut [u64], most: u64) -> bool {
    let room = words.iter().all(|word| *word < most);
    if room {
        words.iter_mut().for_each(|word| *word += 1);
    }
    room
}

fn acquire(table: &Table, tag: u64, most: u64) -> Option<bool> {
    let mut admitted = false;
    loop {
        match table.transact(tag, |words: &mut [u64]| admitted = take(words, most)) {
            Found::Done => return Some(admitted),
            Found::Moved => return None,
            Found::Absent => {
                match table.insert(
                    tag,
                    &Counts,
                    OnPressure::Inherit,
                    |_| false,
                    |words| admitted = take(words, most),
                ) {
                    Inserted::Done => return Some(admitted),
                    Inserted::Moved => return None,
                    Inserted::Again => {}
                    Inserted::Full => unreachable!("records of counts are never held"),
                }
            }
        }
    }
}

fn words_of(table: &Table, tag: u64) -> Option<Vec<u64>> {
    let mut seen = Vec::new();
    match table.transact(tag, |words: &mut [u64]| seen = words.to_vec()) {
        Found::Done => Some(seen),
        _ => None,
    }
}

fn model(check: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(check);
}

/// Two threads take from one record: what is admitted is what is in the words, and no more than there is.
fn charges(words: usize) {
    model(move || {
        let table = Arc::new(Table::new(words, 1, None).unwrap());
        assert_eq!(acquire(&table, 7, 2), Some(true));
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || acquire(&table, 7, 2))
        };
        let here = acquire(&table, 7, 2);
        let there = other.join().unwrap();
        assert!(here.unwrap() ^ there.unwrap(), "one unit is left, one thread gets it");
        assert_eq!(words_of(&table, 7), Some(vec![2; words]));
    });
}

#[test]
fn charges_of_one_word() {
    charges(1);
}

#[test]
fn charges_of_two_words() {
    charges(2);
}

/// The first requests of a key, from two threads: one record.
fn first_access(words: usize) {
    model(move || {
        let table = Arc::new(Table::new(words, 2, None).unwrap());
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || acquire(&table, 7, 9))
        };
        acquire(&table, 7, 9);
        other.join().unwrap();
        assert_eq!(words_of(&table, 7), Some(vec![2; words]));
        assert_eq!(table.keys(), 1);
    });
}

#[test]
fn first_access_one_word() {
    first_access(1);
}

#[test]
fn first_access_two_words() {
    first_access(2);
}

/// A key is evicted while it is charged: its ghost holds every charge that was admitted before, and a
/// charge is never lost between the two.
fn eviction_against_charge(words: usize) {
    model(move || {
        let table = Arc::new(Table::new(words, 1, None).unwrap());
        acquire(&table, 7, 9);
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || acquire(&table, 8, 9))
        };
        acquire(&table, 7, 9);
        other.join().unwrap();
        // Whoever comes back inherits the larger use: two charges of key 7, whatever the order.
        let mut seen = Vec::new();
        match table.insert(
            7,
            &Counts,
            OnPressure::Inherit,
            |_| false,
            |words| seen.extend_from_slice(words),
        ) {
            Inserted::Again => seen = words_of(&table, 7).unwrap(),
            Inserted::Done => {}
            _ => unreachable!("the table is neither full of held records nor moved"),
        }
        assert!(seen.iter().all(|&count| count >= 2), "{seen:?}");
    });
}

#[test]
fn eviction_against_charge_one_word() {
    eviction_against_charge(1);
}

#[test]
fn eviction_against_charge_two_words() {
    eviction_against_charge(2);
}

/// A charge in a table that is left behind is carried over, or made in the new table.
fn migration_against_charge(words: usize) {
    model(move || {
        let tables =
            Arc::new([Table::new(words, 1, None).unwrap(), Table::new(words, 1, None).unwrap()]);
        acquire(&tables[0], 7, 9);
        let other = {
            let tables = Arc::clone(&tables);
            thread::spawn(move || acquire(&tables[0], 7, 9))
        };
        let [old, new] = &*tables;
        old.freeze();
        let take_over = |words: &mut [u64]| old.take_out(7, words);
        new.insert(7, &Counts, OnPressure::Inherit, take_over, |_| ());
        let charged = if other.join().unwrap().is_some() { 2 } else { 1 };
        assert_eq!(words_of(new, 7), Some(vec![charged; words]));
        assert!(words_of(old, 7).is_none());
    });
}

#[test]
fn migration_against_charge_one_word() {
    migration_against_charge(1);
}

#[test]
fn migration_against_charge_two_words() {
    migration_against_charge(2);
}

/// A refund against a charge: the sum is exact.
#[test]
fn refund_against_charge() {
    model(|| {
        let table = Arc::new(Table::new(2, 1, None).unwrap());
        acquire(&table, 7, 9);
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || {
                let give_back = |words: &mut [u64]| words.iter_mut().for_each(|word| *word -= 1);
                assert_eq!(table.transact(7, give_back), Found::Done);
            })
        };
        acquire(&table, 7, 9);
        other.join().unwrap();
        assert_eq!(words_of(&table, 7), Some(vec![1, 1]));
    });
}

/// A record is replaced while its key is charged: the charge is in what was taken out, or was not made.
/// The record that follows is never touched.
#[test]
fn replacement_against_charge_one_word() {
    model(|| {
        fn two(slot: &Region) -> &compact::Slot {
            slot[..].try_into().unwrap()
        }
        let slot = Arc::new(Region::zeroed(2).unwrap());
        compact::put(two(&slot), 7, &[1]);
        let other = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || compact::transact(two(&slot), 7, |words| words[0] += 1).is_ok())
        };
        let mut old = [0];
        assert!(compact::take(two(&slot), &mut old));
        compact::free(two(&slot));
        let newcomer = [old[0] + 1];
        compact::put(two(&slot), 8, &newcomer);
        let charged = other.join().unwrap();
        assert_eq!(old, [1 + u64::from(charged)]);
        let mut new = [0];
        assert!(compact::peek(two(&slot), &mut new));
        assert_eq!(new, newcomer);
    });
}

#[test]
fn replacement_against_charge_two_words() {
    model(|| {
        let slot = Arc::new(Region::zeroed(8).unwrap());
        line::put(&slot, 7, &[1, 1]);
        let other = {
            let slot = Arc::clone(&slot);
            let add = |words: &mut [u64]| words.iter_mut().for_each(|word| *word += 1);
            thread::spawn(move || line::transact::<2>(&slot, 7, 2, add).is_ok())
        };
        let mut old = [0; 2];
        assert!(line::take(&slot, &mut old));
        line::free(&slot);
        line::put(&slot, 8, &[5, 5]);
        let charged = u64::from(other.join().unwrap());
        assert_eq!(old, [1 + charged; 2]);
        let mut new = [0; 2];
        assert!(line::peek(&slot, &mut new));
        assert_eq!(new, [5, 5]);
    });
}

/// Who only looks sees the words of one moment.
#[test]
fn a_look_is_not_torn() {
    model(|| {
        let table = Arc::new(Table::new(2, 1, None).unwrap());
        acquire(&table, 7, 9);
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || words_of(&table, 7).unwrap())
        };
        acquire(&table, 7, 9);
        let seen = other.join().unwrap();
        assert_eq!(seen[0], seen[1]);
    });
}

/// A key's first request in a table that is left behind is carried over, or made in the new table.
#[test]
fn migration_against_first_access() {
    model(|| {
        let tables = Arc::new([Table::new(1, 1, None).unwrap(), Table::new(1, 1, None).unwrap()]);
        let other = {
            let tables = Arc::clone(&tables);
            thread::spawn(move || acquire(&tables[0], 7, 9))
        };
        let [old, new] = &*tables;
        old.freeze();
        old.each_tag(|tag, _, _| {
            assert_eq!(tag, Some(7));
            let take_over = |words: &mut [u64]| old.take_out(7, words);
            new.insert(7, &Counts, OnPressure::Inherit, take_over, |_| ());
        });
        let charged = other.join().unwrap().map(|_| vec![1]);
        assert_eq!(words_of(new, 7), charged);
    });
}

/// Of the two sets of a table that has grown once, this key's are both the new one.
const MOVES: u64 = (1 << 32) | 1;

/// A table of one set that may become two.
fn growing(words: usize) -> Table {
    let table = Table::new(words, 6, None).unwrap();
    assert_eq!(table.sets(), 1);
    table
}

/// A key's record moves to a new set while it is charged: nothing is lost, nothing counts twice.
fn growth_against_charge(words: usize) {
    model(move || {
        let table = Arc::new(growing(words));
        acquire(&table, MOVES, 9);
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || acquire(&table, MOVES, 9))
        };
        table.add_set();
        other.join().unwrap();
        assert_eq!((table.sets(), table.keys()), (2, 1));
        assert_eq!(words_of(&table, MOVES), Some(vec![2; words]));
    });
}

#[test]
fn growth_against_charge_one_word() {
    growth_against_charge(1);
}

#[test]
fn growth_against_charge_two_words() {
    growth_against_charge(2);
}

/// A key's record moves, another key takes the slot and comes to the same bits: a late charge is not made on it.
#[test]
fn growth_against_a_late_charge() {
    model(|| {
        let table = Arc::new(growing(1));
        acquire(&table, MOVES, 9);
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || acquire(&table, MOVES, 9))
        };
        table.add_set();
        // The same way of the old set, where this one stays.
        let stays = MOVES - 1 - (1 << 32) + (1 << 33);
        acquire(&table, stays, 9);
        other.join().unwrap();
        assert_eq!(words_of(&table, MOVES), Some(vec![2]), "each charge on its own key");
        assert!(words_of(&table, stays).unwrap()[0] >= 1);
    });
}

/// A key's first request while the table grows: one record, in one of its sets.
fn growth_against_first_access(words: usize) {
    model(move || {
        let table = Arc::new(growing(words));
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || acquire(&table, MOVES, 9))
        };
        table.add_set();
        acquire(&table, MOVES, 9);
        other.join().unwrap();
        assert_eq!(words_of(&table, MOVES), Some(vec![2; words]));
        assert_eq!(table.keys(), 1);
    });
}

#[test]
fn growth_against_first_access_one_word() {
    growth_against_first_access(1);
}

#[test]
fn growth_against_first_access_two_words() {
    growth_against_first_access(2);
}

/// A table that is left behind while it grows: the record is carried over, once.
#[test]
fn growth_against_migration() {
    model(|| {
        let tables = Arc::new([growing(1), Table::new(1, 6, None).unwrap()]);
        acquire(&tables[0], MOVES, 9);
        let other = {
            let tables = Arc::clone(&tables);
            thread::spawn(move || tables[0].add_set())
        };
        let [old, new] = &*tables;
        old.freeze();
        let mut tags = Vec::new();
        old.each_tag(|tag, _, _| tags.push(tag));
        assert_eq!(tags, [Some(MOVES)]);
        let take_over = |words: &mut [u64]| old.take_out(MOVES, words);
        new.insert(MOVES, &Counts, OnPressure::Inherit, take_over, |_| ());
        other.join().unwrap();
        assert_eq!(words_of(new, MOVES), Some(vec![1]));
    });
}
