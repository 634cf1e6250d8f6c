//! One thread, one key.

use std::hint::black_box;

use super::Size;
use crate::floor::Floor;
use crate::keys::HOT;
use crate::measure::{Compared, Side, alone, compare, side};
use crate::subject::{
    DATA_API, ENDLESS, PLAN_KEY, acquire, check_charges, denial, forget, limiter, minute_of,
    plan_request, plans, record_latency, spent, try_acquire, try_denial,
};
use crate::table::{Bar, Row};
use crate::{peers, subject};

const PEER: &str = "governor keyed";
pub(super) const FLOOR: &str = "floor: clock, hash, one exchange";

/// Lets a side alternate with one governor check.
fn beside_governor(size: Size, mut ours: Side<'_>) -> Compared {
    let (governor, key) = (peers::governor(), HOT.to_owned());
    let mut peer = side(size.calls, |calls| peers::check(&governor, &key, calls));
    compare(size.rounds, &mut ours, &mut peer)
}

pub(super) fn rows(size: Size) -> Vec<Row> {
    let mut rows = hot(size);
    rows.extend(six_buckets(size));
    rows.extend(several_records(size));
    rows.extend(denials(size));
    rows.extend(without_keys(size));
    rows
}

fn hot(size: Size) -> Vec<Row> {
    let endless = limiter(ENDLESS, 1_000);
    let full = beside_governor(size, side(size.calls, |calls| acquire(&endless, HOT, calls)));
    let short = beside_governor(size, side(size.calls, |calls| try_acquire(&endless, HOT, calls)));
    let turns = 2 * (size.rounds as u64 + 1);
    assert_eq!(endless.stats().allowed, turns * size.calls, "every request was admitted");
    let floor = Floor::new(1, endless.clock().clone());
    let mut peer = side(size.calls, |calls| {
        (0..calls).for_each(|_| assert!(floor.touch(black_box(HOT).as_bytes())));
    });
    let mut ours = side(size.calls, |calls| acquire(&endless, HOT, calls));
    let beside_floor = compare(size.rounds, &mut ours, &mut peer);
    vec![
        Row::time("acquire, one hot key", PEER, full, Bar::Faster(1.7)),
        Row::time("try_acquire, one hot key", PEER, short, Bar::Faster(1.7)),
        Row::time("acquire, one hot key", FLOOR, beside_floor, Bar::None),
    ]
}

fn six_buckets(size: Size) -> Vec<Row> {
    let limiter = limiter(DATA_API, 1_000);
    let full = beside_governor(size, side(size.calls, |calls| acquire(&limiter, HOT, calls)));
    let short = beside_governor(size, side(size.calls, |calls| try_acquire(&limiter, HOT, calls)));
    let turns = size.rounds as u64 + 1;
    assert_eq!(limiter.stats().allowed, 2 * turns * size.calls, "every request was admitted");
    forget(&limiter, HOT);
    let minute = minute_of(&limiter);
    let charge =
        beside_governor(size, side(size.calls, |calls| record_latency(&limiter, HOT, calls)));
    check_charges(&limiter, HOT, turns * size.calls, minute);
    vec![
        Row::time("Data API (six buckets): acquire", PEER, full, Bar::Within(1.5)),
        Row::time("Data API (six buckets): try_acquire", PEER, short, Bar::Within(1.5)),
        Row::time("Data API (six buckets): record_latency", PEER, charge, Bar::Within(1.5)),
    ]
}

/// A request of several records beside a request of one key: with as many buckets, of the same kinds; with one; and with
/// as many that all go by the clock, which are decided in one go.
fn several_records(size: Size) -> Vec<Row> {
    let plans = limiter(&plans(), 1_000);
    let beside = |policy: &str| {
        let single = limiter(policy, 1_000);
        let mut peer = side(size.calls, |calls| acquire(&single, HOT, calls));
        let mut ours = side(size.calls, |calls| plan_request(&plans, calls));
        compare(size.rounds, &mut ours, &mut peer)
    };
    let row = |peer, policy, bar| {
        let name = "request with attributes (3 records, 6 buckets): acquire";
        Row::time(name, peer, beside(policy), bar)
    };
    vec![
        row("a key, the same six buckets", PLAN_KEY, Bar::Within(4.0)),
        row("a key, six clock windows", DATA_API, Bar::None),
        row("a key, one bucket", ENDLESS, Bar::None),
    ]
}

fn denials(size: Size) -> Vec<Row> {
    let limiter = spent(&[HOT]);
    let full = alone(size.rounds, &mut side(size.calls, |calls| denial(&limiter, HOT, calls)));
    let short = alone(size.rounds, &mut side(size.calls, |calls| try_denial(&limiter, HOT, calls)));
    let denied = 2 * (size.rounds as u64 + 1) * size.calls;
    assert_eq!((limiter.stats().allowed, limiter.stats().limited), (1, denied));
    vec![Row::alone("denial, acquire", full, "ns"), Row::alone("denial, try_acquire", short, "ns")]
}

/// Peers that know no keys: less work, to be looked at.
fn without_keys(size: Size) -> Vec<Row> {
    let ours = limiter(ENDLESS, 1_000);
    let (governor, ratelimit) = (peers::governor_direct(), peers::ratelimit());
    let leaky = peers::leaky_bucket();
    let row = |name: &str, peer: &mut dyn FnMut() -> bool| {
        let mut peer = side(size.calls, |calls| {
            for _ in 0..calls {
                assert!(black_box(peer()));
            }
        });
        let mut ours = side(size.calls, |calls| subject::try_acquire(&ours, HOT, calls));
        let compared = compare(size.rounds, &mut ours, &mut peer);
        Row::time("try_acquire, one hot key", name, compared, Bar::None)
    };
    vec![
        row("governor direct, no key", &mut || governor.check().is_ok()),
        row("ratelimit, no key", &mut || ratelimit.try_wait().is_ok()),
        row("leaky-bucket, no key", &mut || leaky.try_acquire(1)),
    ]
}
