//! Two threads. Means something only where two cores are free.

use super::Size;
use crate::keys::{HOT, key};
use crate::measure::{compare, side_by_threads};
use crate::peers;
use crate::subject::{ENDLESS, acquire, acquire_each, denial, limiter, spent};
use crate::table::{Bar, Row};

/// Keys of a thread that has keys of its own.
const OWN: u64 = 1_000;

pub(super) fn rows(size: Size) -> Vec<Row> {
    // Longer turns: two threads never start and end at the very same time.
    let size = Size { calls: size.calls * 5, rounds: (size.rounds / 3).max(7), ..size };
    vec![denials(size), distinct(size), one_hot_key(size)]
}

fn denials(size: Size) -> Row {
    let limiter = spent(&[HOT]);
    let work = |_: usize, calls| denial(&limiter, HOT, calls);
    let (mut two, mut one) =
        (side_by_threads(2, size.calls, work), side_by_threads(1, size.calls, work));
    let compared = compare(size.rounds, &mut two, &mut one);
    let denied = 3 * (size.rounds as u64 + 1) * size.calls;
    assert_eq!((limiter.stats().allowed, limiter.stats().limited), (1, denied));
    Row::throughput("denial, two threads on one key", "one thread", compared, Bar::Throughput(1.8))
}

fn distinct(size: Size) -> Row {
    let limiter = limiter(ENDLESS, 10 * OWN);
    let keys: Vec<Vec<String>> =
        (0..2).map(|thread| (0..OWN).map(|n| key(thread * OWN + n)).collect()).collect();
    let work = |thread: usize, calls: u64| {
        for _ in 0..calls / OWN {
            acquire_each(&limiter, &keys[thread]);
        }
    };
    let calls = size.calls.next_multiple_of(OWN);
    let (mut two, mut one) = (side_by_threads(2, calls, work), side_by_threads(1, calls, work));
    let compared = compare(size.rounds, &mut two, &mut one);
    let stats = limiter.stats();
    let asked = 3 * (size.rounds as u64 + 1) * calls;
    assert_eq!((stats.allowed, stats.keys), (asked, 2 * OWN));
    let what = "acquire, two threads, distinct keys";
    Row::throughput(what, "one thread", compared, Bar::Throughput(1.8))
}

fn one_hot_key(size: Size) -> Row {
    let limiter = limiter(ENDLESS, 1_000);
    let (governor, hot) = (peers::governor(), HOT.to_owned());
    let mut ours = side_by_threads(2, size.calls, |_, calls| acquire(&limiter, HOT, calls));
    let mut peer = side_by_threads(2, size.calls, |_, calls| peers::check(&governor, &hot, calls));
    let compared = compare(size.rounds, &mut ours, &mut peer);
    let asked = 2 * (size.rounds as u64 + 1) * size.calls;
    assert_eq!(limiter.stats().allowed, asked, "every request was admitted");
    Row::time("acquire, two threads, one hot key", "governor keyed", compared, Bar::Faster(1.7))
}
