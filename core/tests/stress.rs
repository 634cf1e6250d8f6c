//! Many threads, random calls, crowded tables, policies that come and go: no bound is ever exceeded.
//!
//! `TIDEGATE_STRESS=n` makes it n times longer (`make stress`).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tidegate::{Limiter, ManualClock, OnFull, Timestamp};

const START: Timestamp = Timestamp::from_secs(1_700_000_000);
const THREADS: u64 = 4;
const KEYS: u64 = 12;

fn turns(base: u64) -> u64 {
    let times = std::env::var("TIDEGATE_STRESS").ok().and_then(|times| times.parse().ok());
    base * times.unwrap_or(1)
}

/// xorshift64*: small, and the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

/// The same limit of 50 a day, alone, among others, in a record of a line and of two.
const DOCUMENTS: [&str; 3] = [
    r#"{"limit": [{"name": "day", "rate": "50/day", "algorithm": "fixed_window"}]}"#,
    r#"{"limit": [{"name": "day", "rate": "50/day", "algorithm": "fixed_window"},
                  {"name": "more", "rate": "100000/hour"}, {"name": "time", "rate": "9h/day"}]}"#,
    r#"{"limit": [{"name": "strict", "rate": "100000/hour", "algorithm": "sliding_window", "strict": true},
                  {"name": "day", "rate": "50/day", "algorithm": "fixed_window"}]}"#,
];

/// `max_keys` below the number of keys: evictions and ghosts all the time.
fn storm(max_keys: u64, updates: bool, seed: u64) {
    let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
    let builder = Limiter::builder(DOCUMENTS[seed as usize % 3]).clock(clock.clone());
    let limiter = builder.max_keys(max_keys).build().unwrap();
    let admitted: Vec<AtomicU64> = (0..KEYS).map(|_| AtomicU64::new(0)).collect();
    let (limiter, admitted, clock) = (&limiter, &admitted, &clock);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                let mut random = Random(seed * 1_000 + thread + 1);
                for _ in 0..turns(10_000) {
                    let key = random.below(KEYS);
                    let name = format!("key {key}");
                    let cost = 1 + random.below(3);
                    match random.below(20) {
                        0 => drop(limiter.peek(&name, cost)),
                        1 => drop(limiter.snapshot(&name)),
                        2 => limiter.record_latency(&name, Duration::from_micros(cost)).unwrap(),
                        3 => clock.advance(Duration::from_nanos(cost)),
                        4 => drop(limiter.stats()),
                        _ if limiter.try_acquire(&name, cost) => {
                            admitted[key as usize].fetch_add(cost, Ordering::Relaxed);
                        }
                        _ => {}
                    }
                }
            });
        }
        if updates {
            for turn in 0..turns(40) as usize {
                limiter.update(DOCUMENTS[turn % DOCUMENTS.len()]).unwrap();
            }
        }
    });
    let admitted: Vec<u64> = admitted.iter().map(|count| count.load(Ordering::Relaxed)).collect();
    assert!(admitted.iter().all(|&units| units <= 50), "{admitted:?}");
    // Threads that insert at the same moment may each be one too many, until the next newcomer.
    assert!(limiter.stats().keys <= max_keys + THREADS);
    if max_keys >= KEYS {
        assert_eq!(limiter.stats().evictions, 0);
        assert!(admitted.iter().all(|&units| units >= 48), "nothing is lost: {admitted:?}");
    }
}

#[test]
fn no_bound_is_exceeded() {
    (0..6).for_each(|seed| storm(1_000, false, seed));
}

#[test]
fn no_bound_is_exceeded_while_policies_change() {
    (0..6).for_each(|seed| storm(1_000, true, seed));
}

#[test]
fn no_bound_is_exceeded_in_a_crowd() {
    (0..6).for_each(|seed| storm(1 + seed, false, seed));
}

#[test]
fn no_bound_is_exceeded_in_a_crowd_while_policies_change() {
    (0..6).for_each(|seed| storm(1 + seed, true, seed));
}

/// What is given back is exactly what can be taken again.
#[test]
fn permits_come_and_go() {
    let policy = r#"{"limit": [{"name": "rooms", "method": "concurrency", "quota": 3}]}"#;
    let limiter = Limiter::new(policy).unwrap();
    let inside = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..turns(5_000) {
                    let admission = limiter.admit("room", 1).unwrap();
                    if admission.decision().allowed() {
                        assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                    admission.finish().unwrap();
                }
            });
        }
    });
    assert_eq!(limiter.snapshot("room").unwrap().buckets[0].used, 0);
}

/// Permits in a table too small for its keys, with others' units given back at the same time: no key has more
/// than its two, and none is lost.
#[test]
fn permits_in_a_crowd() {
    let policies = [
        r#"{"limit": [{"name": "rooms", "method": "concurrency", "quota": 2}]}"#,
        r#"{"limit": [{"name": "rooms", "method": "concurrency", "quota": 2}, {"rate": "5/second"}]}"#,
    ];
    for (policy, max_keys, updates) in [(0, 4, false), (1, 4, false), (1, 1, false), (1, 8, true)] {
        let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        let builder = Limiter::builder(policies[policy]).clock(clock.clone());
        let limiter = builder.max_keys(max_keys).build().unwrap();
        let inside: Vec<AtomicU64> = (0..24).map(|_| AtomicU64::new(0)).collect();
        let (limiter, inside, clock) = (&limiter, &inside, &clock);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || {
                    let mut random = Random(thread + 1);
                    for turn in 0..turns(20_000) {
                        let key = random.below(inside.len() as u64) as usize;
                        if turn % 1_000 == 0 {
                            clock.advance(Duration::from_millis(300));
                        }
                        if limiter.acquire(key.to_le_bytes(), 1).unwrap().allowed() {
                            assert!(inside[key].fetch_add(1, Ordering::SeqCst) < 2);
                            if random.below(8) == 0 {
                                std::thread::yield_now();
                            }
                            inside[key].fetch_sub(1, Ordering::SeqCst);
                            limiter.release(key.to_le_bytes()).unwrap();
                        }
                    }
                });
            }
            if updates {
                (0..turns(40) as usize)
                    .for_each(|turn| limiter.update(policies[turn % 2]).unwrap());
            }
        });
        for key in 0..inside.len() {
            assert_eq!(
                limiter.snapshot(key.to_le_bytes()).unwrap().buckets[0].used,
                0,
                "key {key}"
            );
        }
    }
}

/// Threads charge known keys while their newcomers make the table grow from nothing: every charge counts once, for
/// its own key.
#[test]
fn no_charge_is_lost_while_the_table_grows() {
    const NEWCOMERS: u64 = 3_000;
    let policies = ["100/day", DOCUMENTS[0], DOCUMENTS[1], DOCUMENTS[2]];
    for (number, policy) in (0..turns(4)).zip(policies.iter().cycle()) {
        let quota = if number % 4 == 0 { 100 } else { 50 };
        let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        let limiter = Limiter::builder(*policy).clock(clock).max_keys(100_000).build().unwrap();
        let admitted: Vec<AtomicU64> = (0..200).map(|_| AtomicU64::new(0)).collect();
        let (limiter, shared) = (&limiter, &admitted);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || {
                    let mut random = Random(number * 10 + thread + 1);
                    for newcomer in 0..NEWCOMERS {
                        assert!(limiter.try_acquire(format!("{thread} {newcomer}"), 1));
                        for _ in 0..3 {
                            let key = random.below(200);
                            if limiter.try_acquire(format!("key {key}"), 1) {
                                // Relaxed: read after the threads are joined.
                                shared[key as usize].fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    }
                });
            }
        });
        for (key, admitted) in admitted.iter().enumerate() {
            let left = limiter.peek(format!("key {key}"), 1).unwrap().remaining();
            let here = u64::from(limiter.peek(format!("key {key}"), 1).unwrap().allowed());
            // A peek says what would be left after one more.
            let admitted = admitted.load(Ordering::Relaxed);
            assert_eq!(admitted + left + here, quota, "{policy}, key {key}");
        }
        for (thread, newcomer) in [(0, 0), (THREADS - 1, NEWCOMERS - 1), (1, NEWCOMERS / 2)] {
            let left = limiter.peek(format!("{thread} {newcomer}"), 1).unwrap().remaining();
            assert_eq!(left, quota - 2, "{policy}");
        }
        let stats = limiter.stats();
        assert_eq!((stats.keys, stats.evictions), (THREADS * NEWCOMERS + 200, 0));
    }
}

/// Rooms with one permit, in records of a word, of a line and of two.
const ROOMS: [&str; 3] = [
    r#"{"limit": [{"name": "rooms", "method": "concurrency", "quota": 1}]}"#,
    r#"{"limit": [{"name": "rooms", "method": "concurrency", "quota": 1}, {"rate": "100000/second"}]}"#,
    r#"{"limit": [{"rate": "100000/hour", "algorithm": "sliding_window", "strict": true},
                  {"name": "rooms", "method": "concurrency", "quota": 1}]}"#,
];

/// A table full of permits in flight, newcomers at the door, policies that come and go: no newcomer takes a place that
/// somebody holds, and nobody who holds one is taken for a newcomer.
#[test]
fn no_permit_is_forgotten_while_policies_change_in_a_full_table() {
    for (max_keys, on_full) in [
        (1, OnFull::Inherit),
        (8, OnFull::Inherit),
        (8, OnFull::Deny),
        (8, OnFull::Allow),
        (100, OnFull::Inherit),
        (100, OnFull::Deny),
    ] {
        let builder = Limiter::builder(ROOMS[0]).max_keys(max_keys).on_full(on_full);
        let limiter = builder.clock(ManualClock::new(START)).build().unwrap();
        for key in 0..max_keys {
            assert!(limiter.try_acquire(format!("held {key}"), 1));
        }
        let done = AtomicBool::new(false);
        let (limiter, done) = (&limiter, &done);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || {
                    let mut random = Random(thread + 1);
                    while !done.load(Ordering::Relaxed) {
                        let newcomer = random.below(1_000_000);
                        let admitted = limiter.try_acquire(format!("newcomer {newcomer}"), 1);
                        assert_eq!(admitted, on_full == OnFull::Allow);
                        let held = random.below(max_keys);
                        assert!(
                            !limiter.try_acquire(format!("held {held}"), 1),
                            "it was forgotten"
                        );
                        assert_eq!(limiter.stats().keys, max_keys);
                    }
                });
            }
            let _done = AtEnd(done);
            for turn in 1..=turns(100) as usize {
                limiter.update(ROOMS[turn % ROOMS.len()]).unwrap();
            }
        });
        for key in 0..max_keys {
            assert!(!limiter.try_acquire(format!("held {key}"), 1));
            limiter.release(format!("held {key}")).unwrap();
            assert!(limiter.try_acquire(format!("held {key}"), 1));
        }
    }
}

/// Lets the threads end when the updates have, also by a panic.
struct AtEnd<'a>(&'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Each thread holds many permits at a time and gives them back at random, more in all than there are places: who is
/// inside holds the only permit of a key, and each permit that comes back can be given again.
#[test]
fn permits_fill_a_table_while_policies_change() {
    for (max_keys, on_full) in [(5, OnFull::Inherit), (20, OnFull::Inherit), (20, OnFull::Deny)] {
        let keys = 2 * max_keys;
        let builder = Limiter::builder(ROOMS[0]).max_keys(max_keys).on_full(on_full);
        let limiter = builder.clock(ManualClock::new(START)).build().unwrap();
        let inside: Vec<AtomicU64> = (0..keys).map(|_| AtomicU64::new(0)).collect();
        let done = AtomicBool::new(false);
        let (limiter, inside, done) = (&limiter, &inside, &done);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || {
                    let mut random = Random(thread + 1);
                    let mut held = Vec::new();
                    let leave = |key: u64| {
                        inside[key as usize].fetch_sub(1, Ordering::SeqCst);
                        limiter.release(key.to_le_bytes()).unwrap();
                    };
                    while !done.load(Ordering::Relaxed) {
                        let key = random.below(keys);
                        if limiter.try_acquire(key.to_le_bytes(), 1) {
                            let others = inside[key as usize].fetch_add(1, Ordering::SeqCst);
                            assert_eq!(others, 0, "a permit was forgotten");
                            held.push(key);
                        }
                        if !held.is_empty() && random.below(3) == 0 {
                            leave(held.swap_remove(random.below(held.len() as u64) as usize));
                        }
                        assert!(limiter.stats().keys <= max_keys);
                    }
                    held.into_iter().for_each(leave);
                });
            }
            let _done = AtEnd(done);
            for turn in 1..=turns(150) as usize {
                limiter.update(ROOMS[turn % ROOMS.len()]).unwrap();
            }
        });
        for key in 0..keys {
            let used =
                |bucket: &tidegate::BucketSnapshot| bucket.name == "rooms" && bucket.used > 0;
            let snapshot = limiter.snapshot(key.to_le_bytes()).unwrap();
            assert!(!snapshot.buckets.iter().any(used), "key {key}: {snapshot:?}");
        }
    }
}

/// Records that can be given away are found, whoever else looks for one at the moment.
#[test]
fn a_crowd_of_newcomers_finds_places() {
    for (max_keys, policy) in [(1, "9/day"), (2, DOCUMENTS[1]), (8, "9/day"), (30, DOCUMENTS[2])] {
        let builder = Limiter::builder(policy).max_keys(max_keys);
        let limiter = &builder.clock(ManualClock::new(START)).build().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..2 * THREADS {
                scope.spawn(move || {
                    for turn in 0..turns(5_000) {
                        limiter.try_acquire(format!("{thread} {turn}"), 1);
                        assert!(limiter.stats().keys <= max_keys);
                    }
                });
            }
        });
        assert_eq!(limiter.stats().saturated, 0, "{policy}, {max_keys} keys");
    }
}
