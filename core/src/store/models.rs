//! Models of the store under loom: every interleaving of two or three threads, with the real types.
//!
//! `make loom` runs them (`RUSTFLAGS="--cfg loom" cargo test -p tidegate --lib models`).

use loom::sync::Arc;
use loom::thread;

use super::locks::Locks;
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

/// As `Counts`, of a table that may take another's place, and where words of `held` and more must not be given away.
struct Heir<'a> {
    old: Option<&'a Table>,
    new: &'a Table,
    held: u64,
}

impl Judge for Heir<'_> {
    fn full_after(&self, words: &[u64]) -> u64 {
        Counts.full_after(words)
    }

    fn is_rested(&self, words: &[u64]) -> bool {
        Counts.is_rested(words)
    }

    fn is_held(&self, words: &[u64]) -> bool {
        words[0] >= self.held
    }

    fn merge(&self, into: &mut [u64], from: &[u64]) {
        Counts.merge(into, from);
    }

    fn complete(&self, set: usize) {
        let Some(old) = self.old else { return };
        self.new.complete(set, old, |before, words| words.copy_from_slice(before));
    }
}

/// What an update does.
fn migrate(old: &Table, new: &Table) {
    old.freeze();
    new.follow(old);
    new.complete_all(old, &Heir { old: Some(old), new, held: u64::MAX });
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
                match table
                    .insert(tag, &Counts, OnPressure::Inherit, |words| admitted = take(words, most))
                {
                    Inserted::Done => return Some(admitted),
                    Inserted::Moved => return None,
                    Inserted::Again => {}
                    Inserted::Full => unreachable!("records of counts are never held"),
                }
            }
        }
    }
}

/// A way to add one to every word of a key; says whether it did.
type Charge = fn(&Table, u64) -> bool;

/// However long it takes.
fn charge(table: &Table, tag: u64) -> bool {
    acquire(table, tag, 9) == Some(true)
}

/// The engine's quick way: one attempt, which comes to nothing where somebody interferes.
fn charge_quickly(table: &Table, tag: u64) -> bool {
    match table.look_compact(tag) {
        Some(seen) => {
            let word = seen.word();
            seen.write(word + 1)
        }
        None => charge_at_home(table, tag),
    }
}

/// Its way for who has looked further already.
fn charge_at_home(table: &Table, tag: u64) -> bool {
    let mut add = |words: &mut [u64]| words.iter_mut().for_each(|word| *word += 1);
    table.transact_line(tag, &mut add) || table.transact_at_home(tag, &mut add)
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
    // Steps of one run; sets that are looked through have many.
    builder.max_branches = 10_000;
    builder.check(check);
}

/// Two threads take from one record: what is admitted is what is in the words, and no more than there is.
fn charges(words: usize) {
    model(move || {
        let table = Arc::new(Table::new(words, 1).unwrap());
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
        let table = Arc::new(Table::new(words, 2).unwrap());
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
        let table = Arc::new(Table::new(words, 1).unwrap());
        acquire(&table, 7, 9);
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || acquire(&table, 8, 9))
        };
        acquire(&table, 7, 9);
        other.join().unwrap();
        // Whoever comes back inherits the larger use: two charges of key 7, whatever the order.
        let mut seen = Vec::new();
        match table.insert(7, &Counts, OnPressure::Inherit, |words| seen.extend_from_slice(words)) {
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

/// A charge in a table that is left behind is carried over, or was not made there.
fn migration_against_charge(words: usize, charge: Charge) {
    model(move || {
        let tables = Arc::new([Table::new(words, 1).unwrap(), Table::new(words, 1).unwrap()]);
        acquire(&tables[0], 7, 9);
        let other = {
            let tables = Arc::clone(&tables);
            thread::spawn(move || charge(&tables[0], 7))
        };
        let [old, new] = &*tables;
        migrate(old, new);
        let charged = u64::from(other.join().unwrap());
        assert_eq!(words_of(new, 7), Some(vec![1 + charged; words]));
        assert!(words_of(old, 7).is_none());
    });
}

#[test]
fn migration_against_charge_one_word() {
    migration_against_charge(1, charge);
}

#[test]
fn migration_against_charge_two_words() {
    migration_against_charge(2, charge);
}

/// A refund against a charge: the sum is exact.
#[test]
fn refund_against_charge() {
    model(|| {
        let table = Arc::new(Table::new(2, 1).unwrap());
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
            thread::spawn(move || {
                compact::transact(two(&slot), 7, &mut |words: &mut [u64]| words[0] += 1).is_ok()
            })
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
        let table = Arc::new(Table::new(2, 1).unwrap());
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
        let tables = Arc::new([Table::new(1, 1).unwrap(), Table::new(1, 1).unwrap()]);
        let other = {
            let tables = Arc::clone(&tables);
            thread::spawn(move || acquire(&tables[0], 7, 9))
        };
        let [old, new] = &*tables;
        migrate(old, new);
        let charged = other.join().unwrap().map(|_| vec![1]);
        assert_eq!(words_of(new, 7), charged);
    });
}

/// Of the two sets of a table that has grown once, this key's are both the new one.
const MOVES: u64 = (1 << 32) | 1;

/// A table of one set that may become two.
fn growing(words: usize) -> Table {
    let table = Table::new(words, 6).unwrap();
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
        table.add_set(&Counts);
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

/// A key's record moves, another key takes the slot, of one word and with the same bits: a late charge is made on its own
/// key, or not at all.
fn growth_against_a_late_charge(words: usize, charge: Charge) {
    model(move || {
        let table = Arc::new(growing(words));
        acquire(&table, MOVES, 9);
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || charge(&table, MOVES))
        };
        table.add_set(&Counts);
        // The same way of the old set, where this one stays.
        let stays = MOVES - 1 - (1 << 32) + (1 << 33);
        acquire(&table, stays, 9);
        let charged = u64::from(other.join().unwrap());
        let own = Some(vec![1 + charged; words]);
        assert_eq!(words_of(&table, MOVES), own, "each charge on its own key");
        assert_eq!(words_of(&table, stays), Some(vec![1; words]));
        assert!(charge(&table, MOVES), "nobody interferes");
    });
}

#[test]
fn growth_against_a_late_charge_one_word() {
    growth_against_a_late_charge(1, charge);
}

#[test]
fn growth_against_a_quick_charge_one_word() {
    growth_against_a_late_charge(1, charge_quickly);
}

#[test]
fn growth_against_a_quick_charge_at_home() {
    growth_against_a_late_charge(1, charge_at_home);
}

#[test]
fn growth_against_a_quick_charge_two_words() {
    growth_against_a_late_charge(2, charge_quickly);
}

#[test]
fn migration_against_a_quick_charge_one_word() {
    migration_against_charge(1, charge_quickly);
}

#[test]
fn migration_against_a_quick_charge_two_words() {
    migration_against_charge(2, charge_quickly);
}

/// A key's first request while the table grows: one record, in one of its sets.
fn growth_against_first_access(words: usize) {
    model(move || {
        let table = Arc::new(growing(words));
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || acquire(&table, MOVES, 9))
        };
        table.add_set(&Counts);
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
        let tables = Arc::new([growing(1), Table::new(1, 6).unwrap()]);
        acquire(&tables[0], MOVES, 9);
        let other = {
            let tables = Arc::clone(&tables);
            thread::spawn(move || tables[0].add_set(&Counts))
        };
        let [old, new] = &*tables;
        migrate(old, new);
        other.join().unwrap();
        assert_eq!(words_of(new, MOVES), Some(vec![1]));
        assert_eq!(new.keys(), 1);
    });
}

/// One asks for a key in a table that is just taking over: the record is found, and nobody else takes its place, though
/// nothing may have come yet.
fn newcomer_against_migration(words: usize, pressure: OnPressure) {
    model(move || {
        let tables = Arc::new([Table::new(words, 1).unwrap(), Table::new(words, 1).unwrap()]);
        acquire(&tables[0], 7, 9);
        tables[0].freeze();
        tables[1].follow(&tables[0]);
        let other = {
            let tables = Arc::clone(&tables);
            thread::spawn(move || {
                let [old, new] = &*tables;
                let judge = Heir { old: Some(old), new, held: 1 };
                assert_eq!(new.insert(8, &judge, pressure, |words| words.fill(1)), Inserted::Full);
                assert_eq!(new.insert(7, &judge, pressure, |words| words.fill(1)), Inserted::Again);
                assert_eq!(words_of(new, 7), Some(vec![1; words]));
                assert_eq!(new.keys(), 1);
            })
        };
        let [old, new] = &*tables;
        new.complete_all(old, &Heir { old: Some(old), new, held: 1 });
        assert_eq!(words_of(new, 7), Some(vec![1; words]));
        other.join().unwrap();
        assert_eq!((words_of(old, 7), new.keys()), (None, 1));
    });
}

#[test]
fn newcomer_against_migration_one_word() {
    newcomer_against_migration(1, OnPressure::Inherit);
}

#[test]
fn newcomer_against_migration_two_words() {
    newcomer_against_migration(2, OnPressure::Refuse);
}

/// Somebody clears the old table of records that are full again, and puts one back that was charged meanwhile: not after
/// the table was left behind, where nobody would find it.
#[test]
fn migration_against_a_sweep() {
    model(|| {
        let tables = Arc::new([Table::new(1, 1).unwrap(), Table::new(1, 1).unwrap()]);
        acquire(&tables[0], 7, 9);
        assert_eq!(tables[0].transact(7, |words: &mut [u64]| words.fill(0)), Found::Done);
        let sweeper = {
            let tables = Arc::clone(&tables);
            thread::spawn(move || {
                let locks = Locks::none(&tables[0]);
                tables[0].sweep(1, &Counts, &locks, |words| words == [0]);
            })
        };
        let charger = {
            let tables = Arc::clone(&tables);
            let charge = |words: &mut [u64]| words[0] += 1;
            thread::spawn(move || tables[0].transact(7, charge) == Found::Done)
        };
        let [old, new] = &*tables;
        migrate(old, new);
        sweeper.join().unwrap();
        let charged = charger.join().unwrap();
        assert_eq!(words_of(new, 7), charged.then(|| vec![1]));
        assert_eq!(new.keys(), u64::from(charged));
    });
}

/// The table that takes over grows meanwhile, and the key is charged: one record, with every charge.
#[test]
fn migration_against_growth_of_the_new_table() {
    model(|| {
        let tables = Arc::new([growing(1), growing(1)]);
        acquire(&tables[0], MOVES, 9);
        tables[0].freeze();
        tables[1].follow(&tables[0]);
        let other = {
            let tables = Arc::clone(&tables);
            thread::spawn(move || {
                let [old, new] = &*tables;
                new.add_set(&Heir { old: Some(old), new, held: 1 });
            })
        };
        let [old, new] = &*tables;
        new.complete_all(old, &Heir { old: Some(old), new, held: 1 });
        acquire(new, MOVES, 9);
        other.join().unwrap();
        assert_eq!(words_of(new, MOVES), Some(vec![2]));
        assert_eq!((new.sets(), new.keys()), (2, 1));
    });
}

/// A newcomer whose own set is full of records that are held finds the one that is not, in the other set, also while
/// somebody else is busy there; and the count is never beyond what there may be.
#[test]
fn who_is_busy_is_not_held() {
    model(|| {
        let table = Arc::new(growing(1));
        table.add_set(&Counts);
        // Both sets of an even number are the first, of an odd one the second.
        let tag = |number: u64| number << 33 | (number % 2) << 32 | number;
        for (number, words) in [(2, 5), (4, 5), (6, 5), (8, 5), (10, 5), (3, 1)] {
            let put = |place: &mut [u64]| place.fill(words);
            assert_eq!(
                table.insert(tag(number), &Counts, OnPressure::Inherit, put),
                Inserted::Done
            );
        }
        assert_eq!((table.keys(), table.sets()), (6, 2));
        let ask = move |table: &Table, number: u64| {
            let judge = Heir { old: None, new: table, held: 5 };
            let done =
                table.insert(tag(number), &judge, OnPressure::Inherit, |words| words[0] += 1);
            assert_eq!(done, Inserted::Done);
            assert!(table.keys() <= 6);
        };
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || ask(&table, 12))
        };
        // It takes the other set's lock, and the place of the record there.
        ask(&table, 5);
        other.join().unwrap();
        assert_eq!((table.keys(), table.evictions()), (6, 2));
    });
}
