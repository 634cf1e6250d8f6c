//! Two threads. Means something only where two cores are free.

use super::Size;
use crate::crews::{Floors, Governors, Ours, Scene};
use crate::measure::{Side, compare};
use crate::table::{Bar, Row};

/// Limiters that take turns: where the keys of two threads come to be neighbours is each one's chance.
const LIMITERS: usize = 12;

pub(super) fn rows(size: Size) -> Vec<Row> {
    // Twice as long turns: two threads never start and end at the very same time.
    let size = Size { calls: size.calls * 2, ..size };
    vec![
        itself(size, Scene::Denial, "denial, two threads on one key"),
        itself(size, Scene::Distinct, "acquire, two threads, distinct keys"),
        floor(size),
        governor(size, Scene::OneHotKey, "acquire, two threads, one hot key", Bar::Faster(1.7)),
        governor(size, Scene::Distinct, "acquire, two threads, distinct keys", Bar::None),
        governor(size, Scene::FullAgain, "the same, keys that are full again", Bar::None),
        governor(size, Scene::Denial, "denial, two threads on one key", Bar::None),
    ]
}

/// Two threads beside one.
fn itself(size: Size, scene: Scene, what: &str) -> Row {
    let ours: Vec<Ours> = (0..LIMITERS).map(|_| Ours::new(scene)).collect();
    let (mut two, mut one) = (in_turn(&ours, 2, size.calls), in_turn(&ours, 1, size.calls));
    let compared = compare(size.rounds, &mut two, &mut one);
    // The first round only warms up.
    let turns = |number| (number..=size.rounds).step_by(LIMITERS).count() as u64;
    ours.iter().enumerate().for_each(|(number, ours)| ours.check(3 * turns(number) * size.calls));
    Row::throughput(what, "one thread", compared, Bar::Throughput(1.8))
}

/// A side of which each turn is another limiter's.
fn in_turn(ours: &[Ours], threads: usize, calls: u64) -> Side<'_> {
    let mut sides: Vec<Side<'_>> = ours.iter().map(|ours| ours.side(threads, calls)).collect();
    let mut number = 0;
    Box::new(move || {
        let cost = sides[number]();
        number = (number + 1) % LIMITERS;
        cost
    })
}

/// What two threads can be beside one on this machine now, where they share nothing but its cores.
fn floor(size: Size) -> Row {
    let floors = Floors::new();
    let (mut two, mut one) = (floors.side(2, size.calls), floors.side(1, size.calls));
    let compared = compare(size.rounds, &mut two, &mut one);
    Row::throughput("the floor of both, two threads", "one thread", compared, Bar::None)
}

/// Two threads of ours beside two of governor's.
fn governor(size: Size, scene: Scene, what: &str, bar: Bar) -> Row {
    let (ours, peer) = (Ours::new(scene), Governors::new(scene));
    let (mut mine, mut theirs) = (ours.side(2, size.calls), peer.side(2, size.calls));
    let compared = compare(size.rounds, &mut mine, &mut theirs);
    ours.check(2 * (size.rounds as u64 + 1) * size.calls);
    Row::time(what, "governor keyed", compared, bar)
}
