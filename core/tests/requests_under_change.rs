//! Requests with attributes while things change: plans, policies, crowded stores, listeners that misbehave.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidegate::{Limiter, ManualClock, OnFull, Reason, Request, Timestamp};

const NOON: u64 = 1_773_144_000;

fn limiter(policy: &str, max_keys: u64, on_full: OnFull) -> (Limiter, ManualClock) {
    let clock = ManualClock::new(Timestamp::from_secs(NOON));
    let builder = Limiter::builder(policy).max_keys(max_keys).on_full(on_full);
    (builder.clock(clock.clone()).build().unwrap(), clock)
}

const TWO: &str = r#"{"limit": [
    {"name": "account", "rate": "1000/day", "by": ["account"], "algorithm": "fixed_window"},
    {"name": "key", "rate": "10/day", "algorithm": "fixed_window"}]}"#;

/// A newcomer that inherits some use, and has room left, is decided like any other.
#[test]
fn newcomers_in_a_crowded_store_inherit_and_are_decided() {
    let (limiter, _) = limiter(TWO, 3, OnFull::Inherit);
    let victim = Request::new().key("victim").account("a");
    for _ in 0..10 {
        assert!(limiter.acquire(&victim, 1).unwrap().allowed());
    }
    for number in 0..100 {
        let key = format!("k{number}");
        limiter.acquire(Request::new().key(&key).account("a"), 1).unwrap();
        assert!(!limiter.acquire(&victim, 1).unwrap().allowed());
    }
}

const ROOMS: &str = r#"{"default_plan": "small", "plan": {
    "small": {"limit": [{"name": "rooms", "method": "concurrency", "quota": 2},
                        {"name": "rate", "rate": "100/day", "by": ["account"], "algorithm": "fixed_window"}]},
    "large": {"limit": [{"name": "rate", "rate": "1000/day", "by": ["account"], "algorithm": "fixed_window"}]}}}"#;

fn used(limiter: &Limiter, request: &Request<'_>, limit: &str) -> u64 {
    let snapshot = limiter.snapshot(request).unwrap();
    snapshot.buckets.iter().filter(|bucket| bucket.limit == limit).map(|bucket| bucket.used).sum()
}

/// A permit comes back to the limit that gave it out, whatever the request's plan is by then.
#[test]
fn permits_come_back_after_a_change_of_plan() {
    let (limiter, clock) = limiter(ROOMS, 100, OnFull::Inherit);
    let request = Request::new().key("k").account("a");
    let held = [limiter.admit(&request, 1).unwrap(), limiter.admit(&request, 1).unwrap()];
    let reserved = limiter.reserve(&request, 5).unwrap();
    assert!(!reserved.decision().allowed());
    limiter.assign("k", "large", Some(Duration::from_secs(60))).unwrap();
    drop(held);
    clock.advance(Duration::from_secs(60));
    assert_eq!(used(&limiter, &request, "rooms"), 0);
    let reserved = limiter.reserve(&request, 5).unwrap();
    limiter.assign("k", "large", Some(Duration::from_secs(60))).unwrap();
    assert_eq!(used(&limiter, &request, "rate"), 7);
    reserved.cancel().unwrap();
    assert_eq!(used(&limiter, &request, "rate"), 2);
    clock.advance(Duration::from_secs(60));
    assert_eq!(used(&limiter, &request, "rooms"), 0);
}

/// … and whatever the policy has become: the request exempt, its plan gone, its address read for the first time.
#[test]
fn permits_come_back_after_an_update() {
    let room = r#"{"name": "rooms", "method": "concurrency", "quota": 1}"#;
    let before = format!(
        r#"{{"limit": [{room}, {{"rate": "9/day", "by": ["account"]}}],
        "plan": {{"a": {{}}, "b": {{}}}}}}"#
    );
    for between in [
        format!(r#"{{"limit": [{room}], "exempt": [{{"name": "x", "when": {{"key": "*"}}}}]}}"#),
        format!(r#"{{"limit": [{room}], "block": [{{"name": "x", "when": {{"key": "*"}}}}]}}"#),
        format!(r#"{{"limit": [{room}], "plan": {{"a": {{}}}}}}"#),
        format!(r#"{{"limit": [{room}, {{"rate": "9/day", "by": ["ip"]}}]}}"#),
        format!(r#"{{"limit": [{room}, {{"rate": "9/day", "by": ["user"]}}]}}"#),
        format!(r#"{{"limit": [{room}, {{"rate": "9/day", "by": ["user"], "missing": "deny"}}]}}"#),
        format!(r#"{{"limit": [{room}]}}"#),
    ] {
        let (limiter, _) = limiter(&before, 100, OnFull::Inherit);
        let request = Request::new().key("k").account("a").plan("b").ip("no address");
        let held = limiter.admit(&request, 1).unwrap();
        assert!(held.decision().allowed());
        assert!(!limiter.acquire(&request, 1).unwrap().allowed());
        limiter.update(&*between).unwrap();
        held.finish().unwrap();
        limiter.update(&*before).unwrap();
        assert!(limiter.acquire(&request, 1).unwrap().allowed(), "{between}");
    }
}

/// Who was let pass uncounted owes nothing, also when it would be counted by now.
#[test]
fn a_bypass_changes_nothing_afterwards() {
    let limits = r#"{"name": "rate", "rate": "9/day"}, {"name": "time", "rate": "9s/day"}"#;
    let exempt =
        format!(r#"{{"limit": [{limits}], "exempt": [{{"name": "x", "when": {{"key": "*"}}}}]}}"#);
    let (limiter, clock) = limiter(&exempt, 100, OnFull::Inherit);
    let held = limiter.admit("k", 1).unwrap();
    let reserved = limiter.reserve("k", 1).unwrap();
    assert_eq!(held.decision().reason(), Reason::Bypass);
    limiter.record_latency("k", Duration::from_secs(3)).unwrap();
    limiter.penalize("k", 3).unwrap();
    limiter.refund("k", 3).unwrap();
    let plain = format!(r#"{{"limit": [{limits}]}}"#);
    limiter.update(&*plain).unwrap();
    clock.advance(Duration::from_secs(1));
    held.finish().unwrap();
    reserved.settle(5).unwrap();
    assert_eq!(
        (
            used(&limiter, &Request::new().key("k"), "rate"),
            used(&limiter, &Request::new().key("k"), "time")
        ),
        (0, 0)
    );
}

/// What has no place is asked as a key never seen; the other records of the request are asked, charged and given back to
/// as ever.
#[test]
fn a_full_store_is_full_for_its_own_limits_alone() {
    let policy = r#"{"limit": [
        {"name": "account", "rate": "10/day", "by": ["account"], "algorithm": "fixed_window"},
        {"name": "rooms", "method": "concurrency", "quota": 4, "by": ["account"]},
        {"name": "time", "rate": "100s/day", "by": ["account"]},
        {"name": "key", "rate": "3/second", "algorithm": "fixed_window"}]}"#;
    // With room for one key: the others are in the way of each other.
    let (limiter, clock) = limiter(policy, 1, OnFull::Allow);
    let keys: Vec<String> = (0..20).map(|key| format!("k{key}")).collect();
    let request = |key: usize| Request::new().key(&keys[key]).account("a");
    let acquire = |key: usize| {
        let allowed = limiter.acquire(request(key), 1).unwrap().allowed();
        limiter.release(request(key)).unwrap();
        allowed
    };
    assert!((0..10).all(acquire));
    assert_eq!(used(&limiter, &request(0), "account"), 10);
    let seen = limiter.acquire(request(11), 1).unwrap();
    assert_eq!((seen.allowed(), seen.name()), (false, "account"));
    assert_eq!(limiter.peek(request(11), 1).unwrap(), seen);
    limiter.record_latency(request(12), Duration::from_secs(3)).unwrap();
    assert_eq!(used(&limiter, &request(13), "time"), 3_000_000_000);
    // A reservation gives back what it took, and nothing that it did not take.
    limiter.refund(request(0), 10).unwrap();
    clock.advance(Duration::from_secs(1));
    assert!(acquire(0) && acquire(0));
    let other = limiter.reserve(request(1), 3).unwrap();
    assert!(other.decision().allowed());
    other.cancel().unwrap();
    assert_eq!(used(&limiter, &request(0), "account"), 2);
    assert_eq!(used(&limiter, &request(0), "key"), 2);
}

/// Under `deny` nobody passes without a place; what it took when there was one comes back all the same.
#[test]
fn permits_come_back_to_a_full_store() {
    let policy = r#"{"limit": [
        {"name": "rooms", "method": "concurrency", "quota": 1, "by": ["account"]},
        {"name": "key", "rate": "1/second", "algorithm": "fixed_window"}]}"#;
    for on_full in [OnFull::Deny, OnFull::Allow] {
        let (limiter, clock) = limiter(policy, 2, on_full);
        let held = limiter.admit(Request::new().key("mine").account("a"), 1).unwrap();
        assert!(held.decision().allowed());
        clock.advance(Duration::from_secs(1));
        for key in ["other", "another"] {
            let request = Request::new().key(key).account("b");
            assert!(limiter.acquire(&request, 1).unwrap().allowed());
            limiter.release(&request).unwrap();
        }
        held.finish().unwrap();
        assert_eq!(used(&limiter, &Request::new().account("a"), "rooms"), 0, "{on_full:?}");
    }
}

/// A request that pays nothing leaves no record: a flood of them displaces nobody.
#[test]
fn who_pays_nothing_takes_no_place() {
    let (limiter, _) = limiter(TWO, 4, OnFull::Inherit);
    assert!(limiter.acquire(Request::new().key("k").account("a"), 1).unwrap().allowed());
    let before = limiter.stats().keys;
    for number in 0..50 {
        let key = format!("{number}");
        assert!(limiter.acquire(Request::new().key(&key).account(&key), 0).unwrap().allowed());
    }
    assert_eq!((limiter.stats().keys, limiter.stats().evictions), (before, 0));
}

/// A listener that panics takes nothing with it: the caller has its answer, and what it holds.
#[test]
fn a_listener_may_panic_and_call() {
    let policy = r#"{"limit": [{"name": "rate", "rate": "10/day", "alerts": [0.1, 0.2, 0.3]},
        {"name": "time", "rate": "10s/day", "alerts": [0.1]},
        {"name": "rooms", "method": "concurrency", "quota": 1}]}"#;
    let (limiter, clock) = limiter(policy, 100, OnFull::Inherit);
    let calls = std::sync::Arc::new(AtomicU64::new(0));
    let (counted, inner) = (calls.clone(), limiter.clone());
    limiter.on_alert(move |alert| {
        counted.fetch_add(1, Ordering::Relaxed);
        inner.snapshot(alert.request).unwrap();
        assert!(inner.acquire("somebody else", 0).unwrap().allowed());
        inner.release("somebody else").unwrap();
        panic!("the listener's own mistake");
    });
    std::panic::set_hook(Box::new(|_| ()));
    let held = limiter.admit("k", 2).unwrap();
    assert!(held.decision().allowed());
    clock.advance(Duration::from_secs(5));
    // Dropped while another panic is on its way.
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _held = held;
        panic!("the work's mistake");
    }));
    drop(std::panic::take_hook());
    assert!(caught.is_err());
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    let decision = limiter.acquire("k", 0).unwrap();
    assert!(decision.allowed());
    assert_eq!(limiter.stats().allowed, 2 + 3);
}

/// What a key without a place is charged is kept nowhere, so there is nothing to tell of either.
#[test]
fn a_charge_that_is_not_made_is_not_told() {
    let limits = r#""limit": [
        {"name": "rate", "rate": "10/day", "alerts": [0.5]},
        {"name": "time", "rate": "10s/day", "alerts": [0.5]},
        {"name": "rooms", "method": "concurrency", "quota": 2}]"#;
    let exempt = r#""exempt": [{"name": "internal", "when": {"user": "root"}}]"#;
    for policy in [format!("{{{limits}}}"), format!("{{{limits}, {exempt}}}")] {
        for on_full in [OnFull::Deny, OnFull::Allow, OnFull::Inherit] {
            let (limiter, clock) = limiter(&policy, 1, on_full);
            assert!(limiter.acquire("mine", 1).unwrap().allowed());
            let told = Arc::new(AtomicU64::new(0));
            let counted = Arc::clone(&told);
            limiter.on_alert(move |_| _ = counted.fetch_add(1, Ordering::Relaxed));
            limiter.penalize("other", 8).unwrap();
            limiter.record_latency("other", Duration::from_secs(8)).unwrap();
            let admission = limiter.admit("other", 8).unwrap();
            assert_eq!(admission.decision().allowed(), on_full == OnFull::Allow);
            clock.advance(Duration::from_secs(8));
            admission.finish().unwrap();
            assert_eq!(told.load(Ordering::Relaxed), 0, "{policy}: {on_full:?}");
            limiter.penalize("mine", 8).unwrap();
            assert_eq!(told.load(Ordering::Relaxed), 1, "{policy}: {on_full:?}");
        }
    }
}

/// A request that paid under a policy which was gone before it was done, and is listed by the next, has paid nothing, and
/// nothing is told of it.
#[test]
fn what_another_policy_undid_is_not_told() {
    let limits = r#""limit": [{"name": "rate", "rate": "9/day", "alerts": [0.1]},
        {"name": "account", "rate": "9/day", "by": ["account"], "alerts": [0.1]}]"#;
    let block = r#""block": [{"name": "list", "when": {"user": "mallory"}}]"#;
    let policies = [format!("{{{limits}}}"), format!("{{{limits}, {block}}}")];
    let (limiter, _) = limiter(&policies[0], 100, OnFull::Inherit);
    let told = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&told);
    limiter.on_alert(move |_| _ = counted.fetch_add(1, Ordering::Relaxed));
    let done = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut turn = 0;
            while done.load(Ordering::Relaxed) == 0 {
                turn += 1;
                limiter.update(&*policies[turn % 2]).unwrap();
            }
        });
        let request = Request::new().key("k").account("a").user("mallory");
        let mut wrong = 0;
        for round in 0..20_000 {
            told.store(0, Ordering::Relaxed);
            match round % 2 {
                0 => _ = limiter.acquire(&request, 1).unwrap(),
                _ => limiter.penalize(&request, 1).unwrap(),
            }
            let snapshot = limiter.snapshot(&request).unwrap();
            let paid = snapshot.buckets.iter().filter(|bucket| bucket.used > 0).count() as u64;
            wrong += u64::from(told.load(Ordering::Relaxed) != paid);
            limiter.reset(&request).unwrap();
        }
        // First: a panic here would wait for the other thread.
        done.store(1, Ordering::Relaxed);
        assert_eq!(wrong, 0);
    });
}

/// A policy with thresholds takes the place of one without while a request of a key alone is decided: it is told of those
/// that it passes.
#[test]
fn thresholds_that_come_with_an_update_are_told_of() {
    let limit = |name: &str, alerts: &str| {
        format!(r#"{{"name": "{name}", "rate": "9/day", "algorithm": "fixed_window"{alerts}}}"#)
    };
    let policies = [
        format!(r#"{{"limit": [{}, {}]}}"#, limit("one", ""), limit("two", "")),
        format!(r#"{{"limit": [{}]}}"#, limit("told", r#", "alerts": [0.1]"#)),
    ];
    let (limiter, _) = limiter(&policies[0], 100, OnFull::Inherit);
    let told = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&told);
    limiter.on_alert(move |_| _ = counted.fetch_add(1, Ordering::Relaxed));
    let done = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut turn = 0;
            while done.load(Ordering::Relaxed) == 0 {
                turn += 1;
                limiter.update(&*policies[turn % 2]).unwrap();
            }
        });
        let mut wrong = 0;
        for _ in 0..30_000 {
            told.store(0, Ordering::Relaxed);
            let decision = limiter.acquire("k", 1).unwrap();
            // The first payment of the day passes the one that there is.
            let passed = decision.name() == "told" && decision.remaining() == 8;
            wrong += u64::from(told.load(Ordering::Relaxed) != u64::from(passed));
            limiter.reset("k").unwrap();
        }
        done.store(1, Ordering::Relaxed);
        assert_eq!(wrong, 0);
    });
}

/// Threads that hold permits and pay, while the policy goes to and fro between keys alone, plans and conditions, and plans
/// are assigned: never more permits are out than there are, none is lost, and what was paid is paid once.
#[test]
fn threads_and_updates() {
    let room = r#"{"name": "rooms", "method": "concurrency", "quota": 2}"#;
    let paid = r#"{"name": "paid", "rate": "300/day", "algorithm": "fixed_window"}"#;
    let shared = r#"{"name": "shared", "rate": "100000/day", "by": ["account"]}"#;
    let policies = [
        format!(r#"{{"limit": [{room}, {paid}]}}"#),
        format!(r#"{{"limit": [{paid}, {room}, {shared}]}}"#),
        format!(
            r#"{{"default_plan": "a", "plan": {{"a": {{"limit": [{room}, {paid}, {shared}]}},
                "b": {{"limit": [{shared}, {paid}, {room},
                    {{"name": "more", "rate": "100000/day"}}]}}}}}}"#
        ),
        format!(
            r#"{{"default_plan": "b", "plan": {{"b": {{"limit": [{paid}, {room}]}}}}, "limit": [
                {{"name": "read", "rate": "99999/day", "when": {{"route": "GET /*"}}}}]}}"#
        ),
    ];
    for (round, max_keys) in [1000, 1000, 8].into_iter().enumerate() {
        let (limiter, _) = limiter(&policies[round], max_keys, OnFull::Inherit);
        let keys: Vec<String> = (0..6).map(|key| format!("k{key}")).collect();
        let out: Vec<AtomicU64> = keys.iter().map(|_| AtomicU64::new(0)).collect();
        let admitted: Vec<AtomicU64> = keys.iter().map(|_| AtomicU64::new(0)).collect();
        let work = |thread: u64| {
            let mut held = Vec::new();
            let mut state = thread + 11 * round as u64 + 1;
            for _ in 0..3000 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let pick = (state >> 33) as usize;
                if held.len() > pick % 4 {
                    let (key, admission): (usize, tidegate::Admission) =
                        held.swap_remove(pick % held.len());
                    out[key].fetch_sub(1, Ordering::SeqCst);
                    admission.finish().unwrap();
                    continue;
                }
                let key = pick / 7 % keys.len();
                let request = Request::new().key(&keys[key]).account(["x", "y"][key % 2]);
                let request = request.route(["GET /1", "PUT /1"][pick / 64 % 2]);
                let admission = limiter.admit(&request, 1).unwrap();
                if admission.decision().allowed() {
                    assert!(out[key].fetch_add(1, Ordering::SeqCst) < 2, "permits of {key}");
                    admitted[key].fetch_add(1, Ordering::SeqCst);
                    held.push((key, admission));
                }
            }
            for (key, admission) in held {
                out[key].fetch_sub(1, Ordering::SeqCst);
                admission.finish().unwrap();
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..3).map(|thread| scope.spawn(move || work(thread))).collect();
            let mut turn = round;
            while !workers.iter().all(|worker| worker.is_finished()) {
                turn += 1;
                limiter.update(&*policies[turn % policies.len()]).unwrap();
                let _ = limiter.assign(&keys[turn % 6], ["a", "b"][turn / 6 % 2], None);
                std::thread::yield_now();
            }
        });
        limiter.update(&*policies[1]).unwrap();
        for (key, admitted) in keys.iter().zip(&admitted) {
            let request = Request::new().key(key).account("x");
            assert_eq!(used(&limiter, &request, "rooms"), 0, "{key}");
            let (paid, admitted) =
                (used(&limiter, &request, "paid"), admitted.load(Ordering::SeqCst));
            match max_keys {
                1000 => assert_eq!(paid, admitted, "{key}"),
                // Others' use may have been inherited.
                _ => assert!(paid >= admitted && admitted <= 300, "{key}: {paid} of {admitted}"),
            }
        }
    }
}

/// Keys under different plans in one crowded table: an eviction does not reset who has more limits than the flood.
#[test]
fn a_flood_of_a_smaller_plan_resets_nobody() {
    let policy = r#"{"plan": {
        "large": {"limit": [{"name": "two", "rate": "5000/day", "algorithm": "fixed_window"},
                            {"name": "one", "rate": "90/day", "algorithm": "fixed_window"}]},
        "small": {"limit": [{"name": "two", "rate": "2000/day", "algorithm": "fixed_window"}]}}}"#;
    let (limiter, _) = limiter(policy, 12, OnFull::Inherit);
    let names: Vec<String> = (0..4).map(|victim| format!("victim {victim}")).collect();
    let victims = names.iter().map(|name| Request::new().key(name).plan("large"));
    for victim in victims.clone() {
        assert!(limiter.acquire(&victim, 90).unwrap().allowed());
    }
    for number in 0..600 {
        let key = format!("flood {number}");
        limiter.acquire(Request::new().key(&key).plan("small"), 1).unwrap();
        if number % 40 == 39 {
            for victim in victims.clone() {
                assert!(!limiter.acquire(&victim, 1).unwrap().allowed(), "{victim:?} {number}");
            }
        }
    }
}

/// A denial leaves no trace, also of what it would have converted.
#[test]
fn a_denial_under_another_plan_converts_nothing() {
    let policy = r#"{"plan": {
        "large": {"limit": [{"name": "one", "rate": "100/day", "algorithm": "fixed_window"},
                            {"name": "two", "rate": "1000/day", "algorithm": "sliding_window"}]},
        "small": {"limit": [{"name": "one", "rate": "5/day", "algorithm": "fixed_window"}]}}}"#;
    let (limiter, _) = limiter(policy, 100, OnFull::Inherit);
    let [large, small] = ["large", "small"].map(|plan| Request::new().key("k").plan(plan));
    assert!(limiter.acquire(&large, 80).unwrap().allowed());
    let before = limiter.snapshot(&large).unwrap();
    assert!(!limiter.acquire(&small, 1).unwrap().allowed());
    assert!(!limiter.try_acquire(&small, 1));
    assert!(!limiter.peek(&small, 0).unwrap().allowed());
    limiter.refund(&small, 0).unwrap();
    limiter.release(&small).unwrap();
    limiter.record_latency(&small, Duration::from_secs(1)).unwrap();
    limiter.renew(&small).unwrap();
    limiter.snapshot(&small).unwrap();
    assert_eq!(limiter.snapshot(&large).unwrap(), before);
}

/// Nobody waits for what does not come.
#[test]
fn who_is_listed_does_not_wait() {
    let policy = r#"{"limit": [{"rate": "1/day", "by": ["account"], "missing": "deny"}],
        "block": [{"name": "abuse", "when": {"key": "bad"}}]}"#;
    let (limiter, _) = limiter(policy, 100, OnFull::Inherit);
    for request in [Request::new().key("bad").account("a"), Request::new().key("good")] {
        let decision = limiter.wait(&request, 1, None).unwrap();
        assert_eq!((decision.reason(), decision.allowed()), (Reason::Blocked, false));
        let mut second = [limiter.queue(&request, 1, None), limiter.queue(&request, 1, None)];
        let waker = std::task::Waker::noop();
        assert!(matches!(second[1].poll(waker).unwrap(), tidegate::Turn::Done(_)));
        assert!(matches!(second[0].poll(waker).unwrap(), tidegate::Turn::Done(_)));
    }
}

/// A limit in shadow denies nobody, not for want of an attribute either.
#[test]
fn a_shadow_does_not_insist() {
    let policy = r#"{"limit": [{"name": "key", "rate": "9/day"},
        {"name": "try", "rate": "1/day", "by": ["user"], "missing": "deny", "shadow": true}]}"#;
    let (limiter, _) = limiter(policy, 100, OnFull::Inherit);
    let decision = limiter.acquire("k", 1).unwrap();
    assert_eq!((decision.allowed(), decision.name()), (true, "key"));
}

/// An address is blocked however it is written.
#[test]
fn a_blocked_address_has_many_forms() {
    let (limiter, _) =
        limiter(r#"{"limit": [{"rate": "9/day", "by": ["ip"]}]}"#, 100, OnFull::Inherit);
    for (blocked, forms) in [
        (
            "203.0.113.9",
            &["203.0.113.9", "::ffff:203.0.113.9", " 203.0.113.9", "::FFFF:cb00:7109"][..],
        ),
        ("2001:db8::1", &["2001:db8::1", "2001:DB8:0::1", "[2001:db8::1]", "2001:db8::1%eth0"]),
    ] {
        limiter.block(Request::new().ip(blocked), Duration::from_secs(9)).unwrap();
        for form in forms {
            let decision = limiter.acquire(Request::new().ip(form), 1).unwrap();
            assert_eq!(decision.reason(), Reason::Blocked, "{form}");
        }
        limiter.block(Request::new().ip(forms[1]), Duration::ZERO).unwrap();
        assert!(limiter.acquire(Request::new().ip(blocked), 1).unwrap().allowed());
    }
    // What is no address is blocked as it is written.
    limiter.update("9/day").unwrap();
    limiter.block(Request::new().ip("unix:7"), Duration::from_secs(9)).unwrap();
    assert!(!limiter.acquire(Request::new().key("k").ip("unix:7"), 1).unwrap().allowed());
    assert!(limiter.acquire(Request::new().key("k").ip("unix:8"), 1).unwrap().allowed());
}

/// Values of any size and kind; an error stays short, whatever was sent.
#[test]
fn unusual_values() {
    let policy = r#"{"default_plan": "a", "plan": {"a": {"limit": [{"rate": "2/day", "by": ["key", "user"]}]}},
        "limit": [{"name": "all", "rate": "9/day", "by": [], "when": {"user": "ab*", "key": "*"}}]}"#;
    let (limiter, _) = limiter(policy, 100, OnFull::Inherit);
    let long = vec![b'x'; 1 << 20];
    let values: [&[u8]; 5] = [b"", b"\xff\xfe", b"\0", &long, b"ab\xff"];
    for (index, value) in values.iter().enumerate() {
        let request = Request::new().key(value).user(value);
        for _ in 0..2 {
            assert!(limiter.acquire(&request, 1).unwrap().allowed(), "{index}");
        }
        assert!(!limiter.acquire(&request, 1).unwrap().allowed(), "{index}");
        let error = limiter.acquire(request.plan(value), 1).unwrap_err().to_string();
        assert!(error.len() < 400, "{} bytes", error.len());
    }
    limiter.update(r#"{"limit": [{"rate": "2/day", "by": ["ip"]}]}"#).unwrap();
    for value in values {
        let error = limiter.acquire(Request::new().ip(value), 1).unwrap_err().to_string();
        assert!(error.len() < 400 && error.contains("ip"), "{} bytes", error.len());
    }
}

/// An alert tells the request's plan, whichever plans the limit belongs to.
#[test]
fn an_alert_tells_the_plan_of_the_request() {
    let policy = r#"{"default_plan": "small", "limit": [{"name": "all", "rate": "2/day", "alerts": [0.5]}],
        "plan": {"small": {}, "large": {"limit": [{"name": "time", "rate": "2s/day", "alerts": [0.5]}]}}}"#;
    let (limiter, _) = limiter(policy, 100, OnFull::Inherit);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    limiter.on_alert(move |alert| told.lock().unwrap().push((alert.limit, alert.plan)));
    limiter.acquire("a", 1).unwrap();
    limiter.penalize(Request::new().key("b").plan("large"), 1).unwrap();
    limiter.record_latency(Request::new().key("b").plan("large"), Duration::from_secs(1)).unwrap();
    let (small, large) = (Some("small"), Some("large"));
    assert_eq!(*seen.lock().unwrap(), [("all", small), ("all", large), ("time", large)]);
}

/// Who holds no permit has none to renew.
#[test]
fn without_a_permit_there_is_none_to_renew() {
    let (limiter, clock) = limiter("9/day; 9s/day", 100, OnFull::Inherit);
    let mut held = limiter.admit("k", 1).unwrap();
    assert!(!held.renew().unwrap(), "a policy without permits");
    let rooms = r#"{"name": "rooms", "method": "concurrency", "quota": 9, "max_hold": "1h"}"#;
    let rate = r#"{"name": "rate", "rate": "9/day"}"#;
    limiter.update(format!(r#"{{"limit": [{rooms}, {rate}]}}"#).as_str()).unwrap();
    assert!(!held.renew().unwrap(), "it was admitted before there were permits");
    let mut holds = limiter.admit("k", 1).unwrap();
    assert!(holds.renew().unwrap() && limiter.renew("k").unwrap());
    clock.advance(Duration::from_secs(7200));
    assert!(!holds.renew().unwrap() && !limiter.renew("k").unwrap(), "it was reclaimed");
    let mut holds = limiter.admit("k", 1).unwrap();
    limiter.update(format!(r#"{{"limit": [{rate}]}}"#).as_str()).unwrap();
    assert!(!holds.renew().unwrap(), "its limit is gone");
    let listed =
        format!(r#"{{"limit": [{rooms}], "exempt": [{{"name": "x", "when": {{"key": "k"}}}}]}}"#);
    limiter.update(listed.as_str()).unwrap();
    assert!(!limiter.admit("k", 1).unwrap().renew().unwrap(), "it passed uncounted");
}

/// A permit and time under a network of `bits`; the keys of the other limits are the same under each.
fn by_network(bits: u8, route: &str) -> String {
    format!(
        r#"{{"ipv6_prefix": {bits}, "limit": [
            {{"name": "rooms", "method": "concurrency", "quota": 9, "max_hold": "1h", "by": ["ip"]}},
            {{"name": "time", "rate": "9s/day", "algorithm": "fixed_window", "by": ["ip"]}},
            {{"name": "routed", "method": "concurrency", "quota": 9, "max_hold": "1h",
              "when": {{"route": "{route}"}}}}]}}"#
    )
}

/// Whose permit is renewed, and comes back, when other clients are known by the address by now: that of the holder.
#[test]
fn permits_come_back_to_the_record_that_gave_them_out() {
    let (limiter, clock) = limiter(&by_network(64, "GET /"), 100, OnFull::Inherit);
    let client = |ip: &'static str, route: &'static str| {
        Request::new().key("k").with("ip", ip).with("route", route)
    };
    let (holder, other) = ("2001:db8:0:1::1", "2001:db8::1");
    let out = |ip: &'static str, route: &'static str| -> Vec<u64> {
        let seen = limiter.snapshot(client(ip, route)).unwrap();
        seen.buckets.iter().filter(|b| b.limit != "time").map(|bucket| bucket.used).collect()
    };
    let mut held = limiter.admit(client(holder, "GET /"), 1).unwrap();
    let _others = limiter.admit(client(other, "GET /"), 1).unwrap();
    limiter.update(by_network(48, "PUT /").as_str()).unwrap();
    // Both addresses are of the network by which the other one was known, and nobody puts anything.
    assert_eq!((out(holder, "GET /"), out(other, "PUT /")), (vec![1], vec![1, 2]));
    clock.advance(Duration::from_secs(3600));
    assert!(held.renew().unwrap());
    clock.advance(Duration::from_secs(1800));
    // What the other one holds was reclaimed; what was renewed is still out, and nobody else's.
    assert_eq!((out(holder, "GET /"), out(other, "PUT /")), (vec![0], vec![0, 1]));
    assert!(held.renew().unwrap());
    limiter.update(by_network(64, "GET /").as_str()).unwrap();
    assert_eq!(out(holder, "GET /"), [1, 1]);
    limiter.update(by_network(48, "PUT /").as_str()).unwrap();
    held.finish().unwrap();
    let seen = limiter.snapshot(client(other, "GET /")).unwrap();
    assert_eq!(seen.buckets[1].used, 18_000_000_000, "all debt there may be, of who it is by now");
    limiter.update(by_network(64, "GET /").as_str()).unwrap();
    assert_eq!(out(holder, "GET /"), [0, 0]);
    // Of limits that are gone nothing comes back, to nobody.
    let held = limiter.admit(client(holder, "GET /"), 1).unwrap();
    limiter.update("9/day").unwrap();
    held.finish().unwrap();
    limiter.update(by_network(64, "GET /").as_str()).unwrap();
    assert_eq!(out(holder, "GET /"), [0, 0]);
}

/// Looking changes nothing, not even a count: no record, no ghost, no eviction, no call without a place.
#[test]
fn a_look_into_a_full_store_leaves_no_trace() {
    let keys = r#"{"limit": [{"name": "key", "rate": "2/day", "algorithm": "fixed_window"}]}"#;
    for policy in ["2/day", "2/day; 2s/day", keys, TWO] {
        for on_full in [OnFull::Inherit, OnFull::Deny, OnFull::Allow] {
            let (limiter, clock) = limiter(policy, 2, on_full);
            for key in ["a", "b", "c"] {
                limiter.acquire(Request::new().key(key).account(key), 1).unwrap();
            }
            let before = limiter.stats();
            for number in 0..50 {
                let key = format!("k{number}");
                let request = Request::new().key(&key).account(&key);
                limiter.peek(&request, 1).unwrap();
                limiter.peek(&request, 100).unwrap();
                assert!(
                    !limiter.snapshot(&request).unwrap().buckets.is_empty(),
                    "{policy} {on_full:?}"
                );
            }
            assert_eq!(limiter.stats(), before, "{policy} {on_full:?}");
            // Who waits behind somebody else looks as well.
            let waker = std::task::Waker::noop();
            let request = Request::new().key("new").account("new");
            let mut queue = [1, 2].map(|_| limiter.queue(&request, 100, None));
            assert!(matches!(queue[1].poll(waker).unwrap(), tidegate::Turn::Done(_)));
            assert_eq!(limiter.stats().saturated, before.saturated, "{policy} {on_full:?}");
            // A call that would change something still counts.
            clock.advance(Duration::from_secs(1));
            let acquired = limiter.acquire(&request, 1).unwrap();
            let saturated = limiter.stats().saturated - before.saturated;
            assert_eq!(
                saturated > 0,
                on_full != OnFull::Inherit,
                "{policy} {on_full:?}: {acquired:?}"
            );
        }
    }
}

/// A client with an address is known by its network, wherever a policy knows somebody by `ip`.
const CLIENTS: &str = r#"{"plan_by": "ip", "default_plan": "free", "usage": {"by": "ip"},
    "plan": {"free": {"limit": [{"name": "day", "by": ["ip"], "rate": "4/day"}]},
             "paid": {"limit": [{"name": "day", "by": ["ip"], "rate": "100/day"}]}}}"#;

/// Spellings of one client, and other clients.
const SPELLINGS: [(&[&str], &[&str]); 2] = [
    (
        &[
            "2001:db8:0:1::7",
            "2001:DB8:0:1::7",
            "2001:0db8:0000:0001:0:0:0:9",
            "[2001:db8:0:1:ffff::]",
        ],
        &["2001:db8:0:2::7", "2001:db8::7", "1.2.3.4"],
    ),
    (
        &["1.2.3.4", "::ffff:1.2.3.4", "::FFFF:102:304", "0:0:0:0:0:ffff:0102:0304", " 1.2.3.4"],
        &["1.2.3.5", "::ffff:1.2.3.5", "::1.2.3.4"],
    ),
];

#[test]
fn a_client_has_one_plan_and_one_report_however_its_address_is_written() {
    let (limiter, _) = limiter(CLIENTS, 100, OnFull::Inherit);
    for (index, (forms, others)) in SPELLINGS.into_iter().enumerate() {
        limiter.assign(forms[index + 1], "paid", None).unwrap();
        for (number, form) in forms.iter().enumerate() {
            let request = Request::new().ip(form);
            assert_eq!(limiter.plan_of(&request), Some("paid"), "{form}");
            assert!(limiter.acquire(&request, 1).unwrap().allowed(), "{form}");
            let report = limiter.usage(&request, None).unwrap();
            let kind = ["2001:db8:0:1::", "1.2.3.4"][index].to_owned();
            assert_eq!(report.by_kind, [(kind, number as u64 + 1)], "{form}");
        }
        for other in others {
            assert_eq!(limiter.plan_of(Request::new().ip(other)), Some("free"), "{other}");
            assert_eq!(limiter.usage(Request::new().ip(other), None).unwrap().total, 0, "{other}");
        }
        limiter.unassign(forms[2]);
        assert_eq!(limiter.plan_of(Request::new().ip(forms[0])), Some("free"));
    }
    let error = limiter.assign("localhost", "paid", None).unwrap_err();
    assert!(error.is_argument() && error.to_string().starts_with("ip: "), "{error}");
    limiter.unassign("localhost");
}

/// Under whatever policy: with plans, with keys alone, with longer and with shorter networks.
#[test]
fn a_block_is_of_the_clients_network() {
    let keys = r#"{"limit": [{"rate": "100/day"}]}"#;
    for policy in [CLIENTS, keys] {
        let (limiter, clock) = limiter(policy, 100, OnFull::Inherit);
        let blocked_for = |ip: &str| {
            let request = Request::new().key("k").ip(ip);
            let decision = limiter.acquire(&request, 1).unwrap();
            let left = limiter.snapshot(&request).unwrap().blocked_for;
            assert_eq!(decision.reason() == Reason::Blocked, left > Duration::ZERO, "{ip}");
            left.as_secs()
        };
        for (forms, others) in SPELLINGS {
            for by in forms {
                limiter.block(Request::new().ip(by), Duration::from_secs(60)).unwrap();
                assert!(forms.iter().all(|form| blocked_for(form) == 60), "{by}");
                assert!(others.iter().all(|other| blocked_for(other) == 0), "{by}");
                limiter.block(Request::new().ip(forms[1]), Duration::ZERO).unwrap();
                assert!(forms.iter().all(|form| blocked_for(form) == 0), "{by}");
            }
        }
        // A later policy that knows clients by other networks lifts no block.
        let longer = policy.replacen('{', r#"{"ipv6_prefix": 128, "#, 1);
        let [near, far] = ["2001:db8:0:1::7", "2001:db8:0:1::8"];
        limiter.block(Request::new().ip(near), Duration::from_secs(60)).unwrap();
        limiter.update(longer.as_str()).unwrap();
        assert_eq!([near, far].map(blocked_for), [60, 60]);
        // A new block takes the place of the one before; it is of one address now.
        limiter.block(Request::new().ip(near), Duration::from_secs(9)).unwrap();
        assert_eq!([near, far].map(blocked_for), [9, 0]);
        limiter.update(policy).unwrap();
        limiter.block(Request::new().ip(far), Duration::from_secs(30)).unwrap();
        assert_eq!([near, far].map(blocked_for), [30, 30]);
        clock.advance(Duration::from_secs(29));
        limiter.update(longer.as_str()).unwrap();
        assert_eq!([near, far].map(blocked_for), [1, 1]);
        limiter.reset(Request::new().ip(near)).unwrap();
        assert_eq!([near, far].map(blocked_for), [0, 0]);
    }
}

/// A cascade whose first entry grows: what the first has no room for the second pays, and a larger first one pays more.
#[test]
fn an_entry_of_a_cascade_grows() {
    let policy = r#"{"limit": [{"name": "calls", "algorithm": "fixed_window", "align": "first_request", "cascade": [
        {"rate": "4/minute", "grow": {"ceiling": 6, "step": 1, "after": "2m", "shrink_after": "1h"}}, "2/hour"]}]}"#;
    let (limiter, clock) = limiter(policy, 100, OnFull::Inherit);
    let minute = Duration::from_secs(60);
    let quotas =
        || limiter.snapshot("k").unwrap().buckets.iter().map(|seen| seen.quota).collect::<Vec<_>>();
    let admitted = || (0..100).take_while(|_| limiter.acquire("k", 1).unwrap().allowed()).count();
    assert_eq!((quotas(), admitted()), (vec![4, 2], 6));
    assert_eq!(limiter.acquire("k", 1).unwrap().limit(), 6, "the sum of both");
    let mut seen = Vec::new();
    for _ in 0..6 {
        clock.advance(minute);
        seen.push((quotas()[0], admitted()));
    }
    // The pool of the hour is empty: what is admitted is the first entry's, level after level.
    assert!(
        seen.is_sorted() && seen.iter().all(|(quota, admitted)| *quota as usize <= *admitted),
        "{seen:?}"
    );
    assert_eq!(seen.last(), Some(&(6, 6)), "{seen:?}");
    assert_eq!(limiter.peek("k", 8).unwrap().reason(), Reason::Limited, "6 and 2 are the capacity");
    assert_eq!(limiter.peek("k", 9).unwrap().reason(), Reason::Impossible);
    // Without use it shrinks, a level an hour; the pool is full again.
    clock.advance(61 * minute);
    assert_eq!((quotas(), limiter.peek("k", 1).unwrap().limit()), (vec![5, 2], 7));
    clock.advance(60 * minute);
    assert_eq!((quotas(), admitted()), (vec![4, 2], 6));
}
