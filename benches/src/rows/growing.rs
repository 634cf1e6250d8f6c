//! What growing costs: a key among many beside what the machine asks for at least, and the worst single call.

use super::{Size, count};
use crate::floor::Floor;
use crate::keys::{Stream, key, requests};
use crate::measure::{compare, side};
use crate::subject::{check_kept, lasting, limiter, try_acquire_each};
use crate::table::{Bar, Row};
use crate::worst::{Compared, while_growing};

/// Rounds of the worst call. Eleven: what comes back in all of them is no chance.
const ROUNDS: usize = 11;

pub(super) fn rows(size: Size) -> Vec<Row> {
    let mut rows = vec![beside_floor(size)];
    rows.extend(worst_call(size));
    rows
}

fn beside_floor(size: Size) -> Row {
    let requests = requests(size.keys);
    let limiter = limiter(&lasting(size.keys), size.keys);
    let floor = Floor::new(size.keys, limiter.clock().clone());
    for number in 0..size.keys {
        assert!(limiter.try_acquire(key(number), 1));
    }
    let (mut mine, mut theirs) = (Stream::new(&requests), Stream::new(&requests));
    let calls = size.calls.min(size.keys);
    let mut ours = side(calls, |calls| try_acquire_each(&limiter, mine.take(calls)));
    let mut peer = side(calls, |calls| floor.touch_each(theirs.take(calls)));
    let compared = compare(size.rounds, &mut ours, &mut peer);
    check_kept(&limiter, size.keys);
    let what = format!("try_acquire, {} at random", count(size.keys));
    Row::time(&what, super::one_key::FLOOR, compared, Bar::None)
}

fn worst_call(size: Size) -> Vec<Row> {
    let keys: Vec<String> = (0..size.keys).map(key).collect();
    let Compared { ours, governor, nothing } = while_growing(&keys, ROUNDS);
    let what = |kind: &str| format!("worst call, 0 to {}, {kind}", count(size.keys));
    let peer = "governor keyed";
    vec![
        Row::worst(&what("in every round"), ours.recurring, peer, governor.recurring, Some(100.0)),
        Row::worst(&what("of a round"), ours.typical, peer, governor.typical, None),
        Row::alone("the same, an empty loop, in every round", nothing.recurring, "µs"),
        Row::alone("the same, an empty loop, of a round", nothing.typical, "µs"),
    ]
}
