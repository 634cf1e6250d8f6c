//! One thread, many keys.

use std::time::Instant;

use super::{Size, count};
use crate::keys::{Stream, key, requests, write_key};
use crate::measure::{compare, side};
use crate::peers;
use crate::subject::{
    DATA_API, acquire_batches, acquire_each, check_kept, lasting, limiter, try_acquire_each,
};
use crate::table::{Bar, Row};

pub(super) fn rows(size: Size) -> Vec<Row> {
    let mut rows = random(size);
    rows.extend(flood(size));
    rows.push(update(size));
    rows
}

fn random(size: Size) -> Vec<Row> {
    let requests = requests(size.keys);
    let (one, six) = (limiter(&lasting(size.keys), size.keys), limiter(DATA_API, size.keys));
    let governor = peers::governor();
    // In another order than that of the requests.
    for number in 0..size.keys {
        let key = key(number);
        assert!(one.try_acquire(&key, 1) && six.try_acquire(&key, 1));
        assert!(governor.check_key(&key).is_ok());
    }
    let row = |what: &str, bar, ours: &dyn Fn(&[String])| {
        let (mut mine, mut theirs) = (Stream::new(&requests), Stream::new(&requests));
        let mut ours = side(size.calls.min(size.keys), |calls| ours(mine.take(calls)));
        let mut peer = side(size.calls.min(size.keys), |calls| {
            peers::check_each(&governor, theirs.take(calls));
        });
        let compared = compare(size.rounds, &mut ours, &mut peer);
        Row::time(
            &format!("{what}, {} at random", count(size.keys)),
            "governor keyed",
            compared,
            bar,
        )
    };
    let rows = vec![
        row("acquire", Bar::Faster(1.8), &|keys| acquire_each(&one, keys)),
        row("try_acquire", Bar::Faster(1.8), &|keys| try_acquire_each(&one, keys)),
        row("acquire_many of 64", Bar::None, &|keys| acquire_batches(&one, keys)),
        row("Data API (six buckets): acquire", Bar::None, &|keys| acquire_each(&six, keys)),
    ];
    for (limiter, kinds) in [(&one, 3), (&six, 1)] {
        let asked = kinds * (size.rounds as u64 + 1) * size.calls.min(size.keys);
        assert_eq!(limiter.stats().allowed, asked + size.keys);
        check_kept(limiter, size.keys);
    }
    rows
}

/// New keys without end: ours has room for a tenth of them, the peer grows.
fn flood(size: Size) -> Vec<Row> {
    let room = (size.keys / 10).max(1);
    let ours = limiter("100/minute", room);
    let governor = peers::governor();
    let mut buffer = String::new();
    let (mut mine, mut theirs) = (0, 0);
    // Past `max_keys` from the start: what is measured is the newcomer who finds no empty place.
    for _ in 0..2 * room {
        write_key(&mut buffer, mine);
        ours.try_acquire(&buffer, 1);
        mine += 1;
    }
    let mut buffer_of_peer = String::new();
    let mut ours_side = side(size.calls, |calls| {
        for _ in 0..calls {
            write_key(&mut buffer, mine);
            ours.try_acquire(&buffer, 1);
            mine += 1;
        }
    });
    let mut peer = side(size.calls, |calls| {
        for _ in 0..calls {
            write_key(&mut buffer_of_peer, theirs);
            assert!(governor.check_key(&buffer_of_peer).is_ok());
            theirs += 1;
        }
    });
    let compared = compare(size.rounds, &mut ours_side, &mut peer);
    drop(ours_side);
    let stats = ours.stats();
    assert!(stats.keys <= room, "{} keys, room for {room}", stats.keys);
    assert_eq!(
        stats.allowed + stats.limited + stats.impossible,
        mine,
        "every request was answered"
    );
    let what = format!("flood of new keys, room for {}", count(room));
    vec![Row::time(&what, "governor keyed, grows", compared, Bar::None)]
}

fn update(size: Size) -> Row {
    let limiter = limiter("100/day", size.keys);
    for number in 0..size.keys {
        assert!(limiter.try_acquire(key(number), 1));
    }
    // An even number: the policy is the first one again.
    let rounds = size.rounds.min(9) / 2 * 2;
    let mut spans: Vec<f64> = (0..rounds)
        .map(|round| {
            let policy = if round % 2 == 0 { "200/day" } else { "100/day" };
            let start = Instant::now();
            limiter.update(policy).expect("a good policy");
            start.elapsed().as_nanos() as f64 / 1e6
        })
        .collect();
    assert!(
        limiter.peek(key(0), 1).is_ok_and(|decision| decision.remaining() == 98),
        "use is kept"
    );
    check_kept(&limiter, size.keys);
    let what = format!("update under {}", count(size.keys));
    Row::alone(&what, crate::measure::quantile(&mut spans, 0.5), "ms")
}
