//! Requests with attributes while things change: plans, policies, crowded stores, listeners that misbehave.

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
    let calls = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let (counted, inner) = (calls.clone(), limiter.clone());
    limiter.on_alert(move |alert| {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
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
    assert_eq!(calls.load(std::sync::atomic::Ordering::Relaxed), 3);
    let decision = limiter.acquire("k", 0).unwrap();
    assert!(decision.allowed());
    assert_eq!(limiter.stats().allowed, 2 + 3);
}
