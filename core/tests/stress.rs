//! Many threads, random calls, crowded tables, policies that come and go: no bound is ever exceeded.
//!
//! `TIDEGATE_STRESS=n` makes it n times longer (`make stress`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tidegate::{Limiter, ManualClock, Timestamp};

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
