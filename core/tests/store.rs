//! The store through the public API: floods, eviction, memory, first access, many threads.

use std::sync::Barrier;
use std::time::Duration;

use tidegate::{Limiter, ManualClock, OnFull, Reason, Timestamp};

const START: Timestamp = Timestamp::from_secs(1_700_000_000);

fn limiter(policy: &str, max_keys: u64) -> (Limiter, ManualClock) {
    let clock = ManualClock::new(START);
    let limiter = Limiter::builder(policy).clock(clock.clone()).max_keys(max_keys).build();
    (limiter.expect("the policy is right"), clock)
}

/// One record of one word, of a line, and of two lines.
const POLICIES: [&str; 3] = [
    "3/hour",
    "3/hour; 9/day; 5s/minute",
    r#"{"limit": [{"rate": "3/hour", "algorithm": "sliding_window", "strict": true},
                  {"rate": "9/day", "algorithm": "sliding_window", "strict": true}]}"#,
];

#[test]
fn a_flood_of_ten_times_capacity_leaves_a_denied_victim_denied() {
    for policy in POLICIES {
        for max_keys in [1, 2, 7, 100, 2_000] {
            let (limiter, _) = limiter(policy, max_keys);
            while limiter.try_acquire("victim", 1) {}
            for flood in 0..10 * max_keys {
                limiter.try_acquire(format!("flood {flood}"), 1);
                if flood % 97 == 0 {
                    assert!(!limiter.try_acquire("victim", 1), "{policy}, {max_keys}, {flood}");
                }
            }
            assert!(!limiter.try_acquire("victim", 1), "{policy}, {max_keys}");
            let stats = limiter.stats();
            assert!(stats.keys <= max_keys, "{policy}: {stats:?}");
        }
    }
}

/// Nobody gains by being evicted: what all keys of a crowded store are admitted is never more than
/// what each is admitted alone.
#[test]
fn eviction_never_resets_a_limit() {
    for policy in POLICIES {
        let (limiter, clock) = limiter(policy, 3);
        let mut admitted = [0; 40];
        for round in 0..4_000_usize {
            let key = round * 7 % admitted.len();
            admitted[key] += u32::from(limiter.try_acquire(format!("key {key}"), 1));
            if round % 10 == 0 {
                clock.advance(Duration::from_millis(1));
            }
        }
        assert!(admitted.iter().all(|&count| count <= 3), "{policy}: {admitted:?}");
        assert!(limiter.stats().evictions > 0);
    }
}

#[test]
fn keys_that_are_full_again_make_room() {
    for policy in POLICIES {
        let (limiter, clock) = limiter(policy, 50);
        for generation in 0..40 {
            for key in 0..50 {
                assert!(
                    limiter.try_acquire(format!("{generation} {key}"), 1),
                    "{policy}: generation {generation}, key {key}"
                );
            }
            clock.advance(Duration::from_secs(3 * 86_400));
        }
        assert_eq!(limiter.stats().evictions, 0, "{policy}");
    }
}

#[test]
fn a_denied_newcomer_leaves_no_trace() {
    let (limiter, _) = limiter("3/hour", 100);
    for key in 0..50 {
        assert!(!limiter.try_acquire(format!("{key}"), 4));
        limiter.peek(format!("{key}"), 1).unwrap();
        limiter.refund(format!("{key}"), 1).unwrap();
        limiter.release(format!("{key}")).unwrap();
        limiter.snapshot(format!("{key}")).unwrap();
    }
    assert_eq!(limiter.stats().keys, 0);
}

#[test]
fn a_full_store_denies_or_allows_newcomers_on_request() {
    for (on_full, admitted) in [(OnFull::Deny, false), (OnFull::Allow, true)] {
        let clock = ManualClock::new(START);
        let builder = Limiter::builder("3/hour").clock(clock).max_keys(10).on_full(on_full);
        let limiter = builder.build().unwrap();
        for key in 0..10 {
            assert!(limiter.try_acquire(format!("{key}"), 1));
        }
        let decision = limiter.acquire("newcomer", 1).unwrap();
        assert_eq!(decision.allowed(), admitted);
        assert!(admitted || decision.retry_after() > Duration::ZERO);
        assert!(!limiter.try_acquire("newcomer", 4));
        assert_eq!(limiter.stats().evictions, 0);
        assert!(limiter.stats().saturated >= 2);
    }
}

#[test]
fn permits_in_flight_are_never_evicted() {
    let policy = r#"{"limit": [{"name": "connections", "method": "concurrency", "quota": 1}]}"#;
    let (limiter, _) = limiter(policy, 5);
    for key in 0..5 {
        assert!(limiter.try_acquire(format!("{key}"), 1));
    }
    for newcomer in 0..50 {
        assert!(!limiter.try_acquire(format!("newcomer {newcomer}"), 1));
    }
    for key in 0..5 {
        assert!(!limiter.try_acquire(format!("{key}"), 1), "key {key} holds its permit");
        limiter.release(format!("{key}")).unwrap();
    }
    assert!(limiter.try_acquire("newcomer", 1));
}

#[test]
fn all_bytes_are_keys() {
    let (limiter, _) = limiter("1/hour", 1_000);
    let long = vec![7; 1 << 20];
    let keys: [&[u8]; 8] =
        [b"", b"\0", b"\0\0", b"a\0b", b"\xff\xfe", "ключ".as_bytes(), b"a", &long];
    for key in keys {
        assert!(limiter.try_acquire(key, 1));
        assert!(!limiter.try_acquire(key, 1));
    }
    assert_eq!(limiter.stats().keys, 8);
}

/// Threads over several limits: what is admitted is exactly the tightest bound.
#[test]
fn threads_never_exceed_a_bound() {
    for (policy, bound) in
        [("500/day", 500), ("900/day; 700/hour; 800/minute", 700), ("400/day; 1s/day", 400)]
    {
        let (limiter, _) = limiter(policy, 1_000);
        let admitted: u32 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    let limiter = &limiter;
                    scope.spawn(move || {
                        (0..500).map(|_| u32::from(limiter.try_acquire("hot", 1))).sum::<u32>()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, bound, "{policy}");
    }
}

/// First access to many keys by many threads: one state a key.
#[test]
fn threads_share_new_keys() {
    for policy in POLICIES {
        let (limiter, _) = limiter(policy, 1_000);
        let admitted: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    let limiter = &limiter;
                    scope.spawn(move || {
                        (0..400).filter(|key| limiter.try_acquire(format!("{key}"), 1)).count()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, 3 * 400, "{policy}");
        assert_eq!(limiter.stats().keys, 400);
    }
}

/// Policies of other widths come and go under load: use is kept, nothing is granted twice.
#[test]
fn updates_under_load_forget_nothing() {
    let (limiter, _) = limiter("500/day", 1_000);
    let documents = [
        r#"{"limit": [{"name": "500/day", "rate": "500/day"}, {"rate": "9999/hour"}]}"#,
        r#"{"limit": [{"name": "500/day", "rate": "500/day"}]}"#,
        r#"{"limit": [{"rate": "9999/hour", "algorithm": "sliding_window", "strict": true},
                      {"rate": "9999/day", "algorithm": "sliding_window", "strict": true},
                      {"name": "500/day", "rate": "500/day"}]}"#,
    ];
    let admitted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let limiter = &limiter;
                scope.spawn(move || {
                    (0..40_000)
                        .filter(|turn| limiter.try_acquire(format!("{}", turn % 7), 1))
                        .count()
                })
            })
            .collect();
        for turn in 0..60 {
            limiter.update(documents[turn % documents.len()]).unwrap();
        }
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(admitted, 7 * 500);
}

#[test]
fn a_refused_update_changes_nothing() {
    let (limiter, _) = limiter("3/hour", 10);
    assert!(limiter.try_acquire("key", 2));
    let before = limiter.snapshot("key").unwrap();
    assert!(limiter.update("0/hour").unwrap_err().is_policy());
    assert_eq!(limiter.snapshot("key").unwrap(), before);
}

/// A rate string has no name but its text: what goes on as `200/minute` is still the same limit.
#[test]
fn an_update_of_a_rate_string_keeps_the_use() {
    let (limiter, _) = limiter("100/minute; 1s/minute", 10);
    let reservation = limiter.reserve("key", 90).unwrap();
    limiter.record_latency("key", Duration::from_millis(300)).unwrap();
    limiter.update("3s/minute; 200/minute").unwrap();
    let left = |limiter: &Limiter| -> Vec<u64> {
        limiter.snapshot("key").unwrap().buckets.iter().map(|bucket| bucket.remaining).collect()
    };
    assert_eq!(left(&limiter), [700_000_000, 10]);
    reservation.settle(50).unwrap();
    assert_eq!(left(&limiter), [700_000_000, 50]);
    let named = r#"{"limit": [{"name": "requests", "rate": "500/minute"}]}"#;
    limiter.update(named).unwrap();
    assert_eq!(left(&limiter), [500], "a name of its own is a limit of its own");
}

/// What time has given back is not given back again by a cancelled reservation.
#[test]
fn a_late_cancel_gives_nothing_twice() {
    let (limiter, clock) = limiter("10/hour", 10);
    let mut open = Vec::new();
    for _ in 0..5 {
        let reservation = limiter.reserve("key", 10).unwrap();
        assert!(reservation.decision().allowed());
        open.push(reservation);
        clock.advance(Duration::from_secs(3_600));
    }
    let mut admitted = 0;
    for reservation in open {
        reservation.cancel().unwrap();
        admitted += (0..100).filter(|_| limiter.try_acquire("key", 1)).count();
    }
    assert_eq!(admitted, 10);
}

/// A cost that there is no room for before the end of time is impossible, whoever asks: yes or no is counted as the full
/// answer is.
#[test]
fn what_never_fits_again_is_counted_alike() {
    let policies = [
        r#"{"limit": [{"rate": "1/year", "burst": 1000}]}"#,
        r#"{"limit": [{"rate": "1/year", "burst": 1000}, {"rate": "1000/second"}]}"#,
        r#"{"limit": [{"name": "c", "cascade": [{"rate": "1/year", "burst": 1000}, "2/hour"]}]}"#,
    ];
    for policy in policies {
        let limiter = || Limiter::builder(policy).clock(ManualClock::new(START));
        let [told, asked] = [limiter(), limiter()].map(|limiter| limiter.build().unwrap());
        for cost in [1000, 1, 900, 1000, 1002, 1003] {
            let admitted = told.acquire("k", cost).unwrap().allowed();
            assert_eq!(asked.try_acquire("k", cost), admitted, "{policy} {cost}");
            assert_eq!(asked.stats(), told.stats(), "{policy} {cost}");
        }
        assert!(told.stats().impossible > 1, "{policy}: {:?}", told.stats());
    }
}

/// Whoever asks about a blocked key is told so, and each time is counted once.
#[test]
fn a_blocked_key_is_blocked_whoever_asks() {
    for policy in POLICIES.into_iter().chain(["3/hour; 9/day"]) {
        let (limiter, clock) = limiter(policy, 100);
        assert!(limiter.try_acquire("k", 1));
        limiter.block("k", Duration::from_secs(9)).unwrap();
        assert!(!limiter.try_acquire("k", 1), "{policy}");
        assert_eq!(limiter.acquire("k", 1).unwrap().reason(), Reason::Blocked, "{policy}");
        let many = limiter.acquire_many(["k"], 1).unwrap();
        assert_eq!(many[0].reason(), Reason::Blocked, "{policy}");
        assert_eq!((limiter.stats().blocked, limiter.stats().allowed), (3, 1), "{policy}");
        clock.advance(Duration::from_secs(9));
        assert!(limiter.try_acquire("k", 1) && limiter.acquire("k", 1).unwrap().allowed());
        assert_eq!((limiter.stats().blocked, limiter.stats().allowed), (3, 3), "{policy}");
    }
}

/// More threads at once than have lanes of their own: each decision is counted once, whoever makes it, also while
/// policies come and go.
#[test]
fn threads_in_a_crowd_count_each_decision_once() {
    const THREADS: usize = 70;
    const CALLS: u64 = 400;
    for policy in POLICIES {
        let (limiter, _) = limiter(policy, 100);
        let all_are_there = Barrier::new(THREADS);
        let admitted: u64 = std::thread::scope(|scope| {
            let call = |number: usize| {
                let (limiter, all_are_there) = (&limiter, &all_are_there);
                scope.spawn(move || {
                    all_are_there.wait();
                    let admitted = (0..CALLS).filter(|call| match call % 2 {
                        0 => limiter.try_acquire("k", 1),
                        _ => limiter.acquire("k", 1).unwrap().allowed(),
                    });
                    let admitted = admitted.count() as u64;
                    if number.is_multiple_of(10) {
                        limiter.update(policy).unwrap();
                    }
                    // Nobody's lane is free before.
                    all_are_there.wait();
                    admitted
                })
            };
            let threads: Vec<_> = (0..THREADS).map(call).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        let stats = limiter.stats();
        assert_eq!((admitted, stats.allowed), (3, 3), "{policy}");
        assert_eq!(stats.allowed + stats.limited, THREADS as u64 * CALLS, "{policy}");
    }
}
