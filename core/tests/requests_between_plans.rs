//! Keys that go from plan to plan and back: nothing that was used, and nothing that was left, is forgotten on the way.

use std::time::Duration;

use tidegate::{Limiter, ManualClock, OnFull, Request, Timestamp};

/// 2026-03-10T12:00:00Z, a Tuesday.
const NOON: u64 = 1_773_144_000;
const MINUTE: Duration = Duration::from_secs(60);

fn crowded(policy: &str, max_keys: u64) -> (Limiter, ManualClock) {
    let clock = ManualClock::new(Timestamp::from_secs(NOON));
    let builder = Limiter::builder(policy).max_keys(max_keys).on_full(OnFull::Inherit);
    (builder.clock(clock.clone()).build().unwrap(), clock)
}

fn limiter(policy: &str) -> (Limiter, ManualClock) {
    crowded(policy, 1000)
}

fn under<'a>(plan: &'a str) -> Request<'a> {
    Request::new().key("k").plan(plan)
}

/// Units used of a limit, as a request of this plan sees it.
fn used(limiter: &Limiter, request: &Request<'_>, limit: &str) -> u64 {
    let buckets = limiter.snapshot(request).unwrap().buckets;
    buckets.iter().filter(|bucket| bucket.limit == limit).map(|bucket| bucket.used).sum()
}

fn left(limiter: &Limiter, request: &Request<'_>, limit: &str) -> u64 {
    let buckets = limiter.snapshot(request).unwrap().buckets;
    buckets.iter().filter(|bucket| bucket.limit == limit).map(|bucket| bucket.remaining).sum()
}

fn take(limiter: &Limiter, request: &Request<'_>, units: u64) {
    let decision = limiter.acquire(request, units).unwrap();
    assert!(decision.allowed(), "{units}: {decision:?}");
}

/// A day that only the trial has, an hour that both have, a month that only the other has.
const TRIAL: &str = r#"{"default_plan": "trial", "plan": {
    "trial": {"limit": [{"name": "day", "rate": "10/day", "algorithm": "fixed_window"},
                        {"name": "hour", "rate": "100/hour", "algorithm": "fixed_window"},
                        {"name": "pace", "rate": "20/day"}]},
    "paid": {"limit": [{"name": "hour", "rate": "1000/hour", "algorithm": "fixed_window"},
                       {"name": "month", "rate": "50/month", "algorithm": "sliding_window"}]}}}"#;

#[test]
fn what_only_one_plan_counts_stays_when_requests_name_another() {
    let (limiter, clock) = limiter(TRIAL);
    take(&limiter, &under("trial"), 10);
    assert!(!limiter.acquire(under("trial"), 1).unwrap().allowed());
    for paid in 1..=5 {
        take(&limiter, &under("paid"), 10);
        clock.advance(Duration::from_secs(1));
        assert_eq!(used(&limiter, &under("paid"), "month"), 10 * paid);
        assert_eq!(used(&limiter, &under("trial"), "day"), 10, "after {paid}");
        assert_eq!(used(&limiter, &under("trial"), "pace"), 10);
        assert_eq!(used(&limiter, &under("trial"), "hour"), 10 + 10 * paid);
        assert_eq!(limiter.acquire(under("trial"), 1).unwrap().name(), "day");
    }
    assert_eq!(limiter.acquire(under("paid"), 1).unwrap().name(), "month");
}

#[test]
fn what_only_one_plan_counts_stays_when_plans_are_assigned() {
    let (limiter, clock) = limiter(TRIAL);
    let request = Request::new().key("k");
    take(&limiter, &request, 10);
    limiter.assign("k", "paid", Some(MINUTE)).unwrap();
    take(&limiter, &request, 50);
    assert_eq!(limiter.acquire(&request, 1).unwrap().name(), "month");
    clock.advance(MINUTE);
    assert_eq!(limiter.acquire(&request, 1).unwrap().name(), "day", "the time is up");
    limiter.assign("k", "paid", None).unwrap();
    limiter.penalize(&request, 1).unwrap();
    assert_eq!(used(&limiter, &request, "month"), 51);
    limiter.unassign("k");
    assert_eq!(used(&limiter, &request, "day"), 10);
    limiter.reset(&request).unwrap();
    assert_eq!(used(&limiter, &request, "day"), 0);
    assert_eq!(used(&limiter, &under("paid"), "month"), 0, "a reset is of all limits of the key");
}

/// Others come in crowds, and whoever is evicted is found again in a ghost.
#[test]
fn a_flood_under_another_plan_resets_nobody() {
    for flood in ["trial", "paid"] {
        let (limiter, _) = crowded(TRIAL, 12);
        let names: Vec<String> = (0..4).map(|victim| format!("victim {victim}")).collect();
        let victim = |name: usize, plan: &'static str| Request::new().key(&names[name]).plan(plan);
        for name in 0..4 {
            take(&limiter, &victim(name, "trial"), 10);
            take(&limiter, &victim(name, "paid"), 50);
        }
        for number in 0..600 {
            let key = format!("flood {number}");
            let _ = limiter.acquire(Request::new().key(&key).plan(flood), 1).unwrap();
            if number % 40 == 39 {
                for name in 0..4 {
                    let (trial, paid) = (victim(name, "trial"), victim(name, "paid"));
                    assert!(!limiter.acquire(&trial, 1).unwrap().allowed(), "{name} {number}");
                    assert!(!limiter.acquire(&paid, 1).unwrap().allowed(), "{name} {number}");
                }
            }
        }
        assert!(limiter.stats().evictions > 0);
    }
}

/// A ghost knows of each bucket by itself under which rate it is.
#[test]
fn ghosts_of_several_rates_dominate() {
    let policy = r#"{"plan": {
        "a": {"limit": [{"name": "all", "rate": "100/day"}, {"name": "a", "rate": "10/day"}]},
        "b": {"limit": [{"name": "all", "rate": "500/day"}, {"name": "b", "rate": "20/day"}]}}}"#;
    let (limiter, _) = crowded(policy, 4);
    let request = |plan: &'static str| Request::new().key("victim").plan(plan);
    take(&limiter, &request("a"), 10);
    take(&limiter, &request("b"), 20);
    for number in 0..200 {
        let key = format!("flood {number}");
        let plan = ["a", "b"][number % 2];
        let _ = limiter.acquire(Request::new().key(&key).plan(plan), 1).unwrap();
    }
    assert!(!limiter.acquire(request("a"), 1).unwrap().allowed());
    assert!(!limiter.acquire(request("b"), 1).unwrap().allowed());
    assert!(used(&limiter, &request("a"), "a") >= 10);
    assert!(used(&limiter, &request("b"), "b") >= 20);
    // The largest use of all who came, and not more.
    let left = left(&limiter, &request("b"), "all");
    assert!((60..=70).contains(&left), "{left}");
}

/// Whoever comes to a ghost of another rate is taken over to it.
#[test]
fn a_ghost_of_another_rate_takes_over_what_was_used() {
    let policy = r#"{"plan": {"a": {"limit": [{"name": "all", "rate": "10000/day"}]},
                              "b": {"limit": [{"name": "all", "rate": "50000/day"}]}}}"#;
    for (own, others) in [("a", "b"), ("b", "a")] {
        let (limiter, _) = crowded(policy, 4);
        let flood = |name: &str| {
            for number in 0..200 {
                let key = format!("{name} {number}");
                let _ = limiter.acquire(Request::new().key(&key).plan(others), 1).unwrap();
            }
        };
        flood("before");
        let victim = Request::new().key("victim").plan(own);
        limiter.penalize(&victim, 9_000).unwrap();
        flood("after");
        // With what the flood itself adds from ghost to ghost. (In the small plan less is left for b.)
        let used = used(&limiter, &victim, "all");
        let most = if own == "a" { 9_500 } else { 50_000 };
        assert!((9_000..=most).contains(&used), "{own}: {used}");
    }
}

/// Two records under two rates come to one under the larger: a minute cannot tell what a day counts.
#[test]
fn a_ghost_is_under_the_rate_of_the_larger_capacity() {
    let plan = |name: &str, rate: &str| {
        format!(
            r#""{name}": {{"limit": [{{"name": "all", "rate": "{rate}", "algorithm": "fixed_window"}}]}}"#
        )
    };
    let policy =
        format!(r#"{{"plan": {{{}, {}}}}}"#, plan("small", "10/minute"), plan("large", "1000/day"));
    let (limiter, clock) = crowded(&policy, 2);
    let victim = Request::new().key("victim").plan("large");
    for number in 0..40 {
        let key = format!("before {number}");
        let _ = limiter.acquire(Request::new().key(&key).plan("small"), 1).unwrap();
    }
    limiter.penalize(&victim, 1000).unwrap();
    for number in 0..400 {
        let key = format!("after {number}");
        let _ = limiter.acquire(Request::new().key(&key).plan(["small", "large"][number % 2]), 1);
    }
    clock.advance(3 * MINUTE);
    assert!(!limiter.acquire(&victim, 1).unwrap().allowed());
}

/// Windows count what was used, whatever a plan allows: 5000 of 6000 are 5000 of 60, and of 6000 again.
#[test]
fn windows_keep_their_use_in_smaller_plans() {
    for algorithm in [
        r#""algorithm": "fixed_window""#,
        r#""algorithm": "fixed_window", "align": "first_request""#,
        r#""algorithm": "sliding_window""#,
        r#""algorithm": "sliding_window", "strict": true"#,
    ] {
        let plan = |name: &str, quota: u64| {
            format!(
                r#""{name}": {{"limit": [{{"name": "main", "rate": "{quota}/hour", {algorithm}}}]}}"#
            )
        };
        // The widest of them does not fit in one word.
        for widest in [6_000, 5_000_000_000] {
            let policy = format!(
                r#"{{"plan": {{{}, {}, {}}}}}"#,
                plan("starter", 60),
                plan("enterprise", 6_000),
                plan("gold", widest)
            );
            let (limiter, _) = limiter(&policy);
            take(&limiter, &under("enterprise"), 5_000);
            assert_eq!(used(&limiter, &under("starter"), "main"), 5_000, "{algorithm}");
            assert!(!limiter.acquire(under("starter"), 1).unwrap().allowed());
            // A late charge is kept under the smaller plan; it cuts nothing off.
            limiter.penalize(under("starter"), 1).unwrap();
            take(&limiter, &under("gold"), 0);
            limiter.refund(under("starter"), 0).unwrap();
            assert_eq!(left(&limiter, &under("enterprise"), "main"), 1_000, "{algorithm}");
            take(&limiter, &under("enterprise"), 1_000);
            assert!(!limiter.acquire(under("enterprise"), 1).unwrap().allowed(), "{algorithm}");
            take(&limiter, &under("gold"), widest - 6_000);
            assert_eq!(used(&limiter, &under("starter"), "main"), widest, "{algorithm}");
        }
    }
}

const POOLS: &str = r#"{"plan": {
    "small": {"limit": [{"name": "pool", "rate": "1/second", "burst": 10}]},
    "large": {"limit": [{"name": "pool", "rate": "1/second", "burst": 200}]},
    "daily": {"limit": [{"name": "pool", "rate": "1000/day", "burst": 1000}]}}}"#;

/// What was used is used, and what was left is left, however small the bucket in between.
#[test]
fn pools_keep_what_was_left_and_used() {
    let (limiter, clock) = limiter(POOLS);
    let left = |plan| left(&limiter, &under(plan), "pool");
    take(&limiter, &under("large"), 4);
    for taken in 4..10 {
        assert_eq!((left("large"), left("small")), (200 - taken, 10 - taken));
        take(&limiter, &under(["small", "large"][taken as usize % 2]), 1);
    }
    // In the small plan all is used, and on the way to the large one and back, too.
    for _ in 0..3 {
        assert!(!limiter.acquire(under("small"), 1).unwrap().allowed());
        take(&limiter, &under("large"), 1);
    }
    clock.advance(Duration::from_secs(5));
    assert_eq!((left("large"), left("small")), (192, 2));
    take(&limiter, &under("large"), 42);
    // More was used than the small bucket holds: time alone repays it.
    assert_eq!((left("large"), left("small")), (150, 0));
    limiter.penalize(under("small"), 1).unwrap();
    clock.advance(Duration::from_secs(50));
    assert_eq!((left("large"), left("small")), (200, 10));
    // Debt is debt.
    limiter.penalize(under("large"), 200 + 1).unwrap();
    limiter.penalize(under("daily"), 0).unwrap();
    assert_eq!(used(&limiter, &under("large"), "pool"), 201);
    assert_eq!(used(&limiter, &under("daily"), "pool"), 1001);
}

/// What is left of a small bucket is what is left of a large one, until time has filled it.
#[test]
fn a_larger_pool_has_no_more_left() {
    let (limiter, clock) = limiter(POOLS);
    let left = |plan| left(&limiter, &under(plan), "pool");
    take(&limiter, &under("small"), 8);
    assert_eq!((left("small"), left("large")), (2, 2));
    take(&limiter, &under("large"), 1);
    assert_eq!((left("small"), left("large")), (1, 1));
    clock.advance(Duration::from_secs(30));
    assert_eq!((left("small"), left("large")), (10, 31));
    clock.advance(Duration::from_secs(169));
    assert_eq!((left("small"), left("large")), (10, 200));
}

/// Whoever had a large plan is locked out of a small one for no longer than its bucket takes to fill; and on the way back
/// there is no more left than there was.
#[test]
fn a_smaller_plan_locks_nobody_out_for_longer_than_it_takes_to_fill() {
    let plans = r#"{"default_plan": "starter", "plan": {
        "starter": {"limit": [{"name": "day", "rate": "50/day", "max_debt": 25}]},
        "pro": {"limit": [{"name": "day", "rate": "500/day"}]}}}"#;
    let (limiter, clock) = limiter(plans);
    let request = Request::new().key("k");
    limiter.assign("k", "pro", Some(MINUTE)).unwrap();
    take(&limiter, &request, 400);
    clock.advance(MINUTE);
    // A look is no request: there and back it changes nothing.
    assert_eq!(used(&limiter, &request, "day"), 100);
    assert_eq!(left(&limiter, &under("pro"), "day"), 100);
    let denied = limiter.acquire(&request, 1).unwrap();
    assert_eq!(denied.retry_after(), Duration::from_secs(86_400) * 51 / 50);
    assert_eq!(left(&limiter, &under("pro"), "day"), 100);
    clock.advance(denied.retry_after());
    take(&limiter, &request, 1);
    assert!(!limiter.acquire(&request, 1).unwrap().allowed(), "its own rate from here");
    assert_eq!(
        left(&limiter, &under("pro"), "day"),
        100 + 51 - 1,
        "at the rate of the plan it was under"
    );
    // Debt is no use: it is repaid.
    limiter.penalize(under("pro"), 1000).unwrap();
    assert!(!limiter.acquire(&request, 1).unwrap().allowed());
    assert_eq!(used(&limiter, &under("pro"), "day"), 1000);
}

fn limiter_of_pools() -> Limiter {
    let (limiter, _) = limiter(POOLS);
    take(&limiter, &under("daily"), 300);
    limiter
}

/// A store forgets a record when it is full for every plan, not before.
#[test]
fn nobody_is_forgotten_who_is_full_for_one_plan_alone() {
    let (limiter, clock) = crowded(POOLS, 8);
    take(&limiter, &under("small"), 10);
    clock.advance(Duration::from_secs(50));
    assert_eq!(used(&limiter, &under("small"), "pool"), 0);
    for number in 0..100 {
        let key = format!("flood {number}");
        let _ = limiter.acquire(Request::new().key(&key).plan("daily"), 1).unwrap();
    }
    let left = left(&limiter, &under("daily"), "pool");
    assert!(left <= 60, "{left}");
}

const ROOMS: &str = r#"{"default_plan": "small", "plan": {
    "small": {"limit": [{"name": "rooms", "method": "concurrency", "quota": 2},
                        {"name": "rate", "rate": "100/day", "algorithm": "fixed_window"}]},
    "large": {"limit": [{"name": "halls", "method": "concurrency", "quota": 1},
                        {"name": "rate", "rate": "1000/day", "algorithm": "fixed_window"}]}}}"#;

/// Permits of a limit that the key's plan has not are still out, and come back to it.
#[test]
fn permits_of_one_plan_come_back_under_another() {
    let (limiter, _) = limiter(ROOMS);
    let request = Request::new().key("k");
    let rooms = [limiter.admit(&request, 1).unwrap(), limiter.admit(&request, 1).unwrap()];
    limiter.assign("k", "large", None).unwrap();
    let hall = limiter.admit(&request, 1).unwrap();
    assert!(hall.decision().allowed());
    assert!(!limiter.acquire(&request, 1).unwrap().allowed(), "there is one hall");
    assert_eq!(used(&limiter, &under("small"), "halls"), 1, "the plan that was assigned");
    limiter.unassign("k");
    assert_eq!(used(&limiter, &request, "rooms"), 2);
    assert!(!limiter.acquire(&request, 1).unwrap().allowed());
    hall.finish().unwrap();
    assert_eq!(used(&limiter, &under("large"), "halls"), 0);
    limiter.assign("k", "large", None).unwrap();
    let [first, second] = rooms;
    first.finish().unwrap();
    assert_eq!(used(&limiter, &request, "halls"), 0, "a room is no hall");
    // Without a receipt: the permits of the request's plan.
    limiter.release(&request).unwrap();
    limiter.unassign("k");
    assert_eq!(used(&limiter, &request, "rooms"), 1);
    // An update in between.
    limiter.assign("k", "large", None).unwrap();
    take(&limiter, &request, 0);
    limiter.update(ROOMS.replace("1000/day", "2000/day").as_str()).unwrap();
    second.finish().unwrap();
    limiter.unassign("k");
    assert_eq!(used(&limiter, &request, "rooms"), 0);
    assert_eq!(used(&limiter, &request, "rate"), 3);
}

/// Whoever holds a permit is not evicted, whatever plan the record was asked under last.
#[test]
fn permits_hold_a_record_under_any_plan() {
    let policy = ROOMS.replace(r#"{"name": "halls", "method": "concurrency", "quota": 1},"#, "");
    let (limiter, _) = crowded(&policy, 4);
    // It is closest to full of all: of the rate nothing is used.
    let held = limiter.admit(under("small"), 0).unwrap();
    take(&limiter, &under("large"), 0);
    let keys: Vec<String> = (0..100).map(|number| format!("flood {number}")).collect();
    for key in &keys {
        take(&limiter, &Request::new().key(key).plan("large"), 1);
        // A permit is in nobody's ghost.
        let seen = Request::new().key("newcomer").plan("small");
        assert_eq!(used(&limiter, &seen, "rooms"), 0, "{key}");
    }
    assert_eq!(used(&limiter, &under("small"), "rooms"), 1);
    held.finish().unwrap();
    assert_eq!(used(&limiter, &under("small"), "rooms"), 0);
}

/// A reservation gives back to the bucket that paid, whatever plan the key has by then.
#[test]
fn reservations_come_back_to_what_another_plan_counts() {
    let (limiter, _) = limiter(TRIAL);
    let reserved = limiter.reserve(under("trial"), 6).unwrap();
    assert!(reserved.decision().allowed());
    limiter.assign("k", "paid", None).unwrap();
    take(&limiter, &under("trial"), 3);
    reserved.settle(2).unwrap();
    assert_eq!(used(&limiter, &under("trial"), "hour"), 3 + 2);
    assert_eq!(used(&limiter, &under("trial"), "month"), 3);
    limiter.unassign("k");
    assert_eq!(used(&limiter, &under("trial"), "day"), 2);
    assert_eq!(used(&limiter, &under("trial"), "pace"), 2);
}

/// An update takes over what every plan has counted, not only the last one.
#[test]
fn an_update_takes_over_what_all_plans_counted() {
    let (limiter, _) = limiter(TRIAL);
    take(&limiter, &under("trial"), 10);
    take(&limiter, &under("paid"), 40);
    limiter.update(TRIAL.replace("50/month", "60/month").as_str()).unwrap();
    assert_eq!(used(&limiter, &under("trial"), "day"), 10);
    assert_eq!(used(&limiter, &under("trial"), "pace"), 10);
    assert_eq!(used(&limiter, &under("paid"), "month"), 40);
    assert_eq!(used(&limiter, &under("paid"), "hour"), 50);
    // Each place under the rate that it was under.
    let pools = limiter_of_pools();
    pools.update(POOLS.replace("burst\": 200", "burst\": 300").as_str()).unwrap();
    assert_eq!(left(&pools, &under("daily"), "pool"), 700);
    assert_eq!(used(&pools, &under("large"), "pool"), 300);
    // Plans come to one, and go apart again.
    let all = r#"{"limit": [{"name": "day", "rate": "10/day", "algorithm": "fixed_window"},
        {"name": "month", "rate": "50/month", "algorithm": "sliding_window"},
        {"name": "hour", "rate": "70/hour", "algorithm": "fixed_window"}]}"#;
    limiter.update(all).unwrap();
    assert_eq!(
        ["day", "month", "hour"].map(|limit| used(&limiter, &under(""), limit)),
        [10, 40, 50]
    );
    limiter.update(TRIAL).unwrap();
    assert_eq!(used(&limiter, &under("trial"), "day"), 10);
    assert_eq!(used(&limiter, &under("paid"), "month"), 40);
}

/// Limits of the same kind and no name of their own are two limits within a plan, also after updates.
#[test]
fn limits_without_names_are_not_mixed_up() {
    let policy = |a: &str, b: &str| format!("[[plan.a.limit]]\nrate = '{a}'\n{b}");
    let two = |first: &str, second: &str| {
        format!("[[plan.b.limit]]\nrate = '{first}'\n[[plan.b.limit]]\nrate = '{second}'\n")
    };
    let (limiter, _) = limiter(&policy("100/day", &two("100/day", "500/day")));
    take(&limiter, &under("b"), 60);
    limiter.update(policy("200/day", &two("200/day", "300/day")).as_str()).unwrap();
    take(&limiter, &under("b"), 1);
    let left = limiter.snapshot(under("b")).unwrap().buckets;
    let left: Vec<_> = left.iter().map(|bucket| bucket.remaining).collect();
    assert_eq!(left, [39, 299]);
    // One goes on by its name; the other would by that of a limit that went on from the same.
    limiter.update("[[limit]]\nrate = '100/day'\n").unwrap();
    limiter.reset("k").unwrap();
    take(&limiter, &under(""), 60);
    limiter.update(policy("200/day", &two("100/day", "200/day")).as_str()).unwrap();
    take(&limiter, &under("b"), 1);
    let left = limiter.snapshot(under("b")).unwrap().buckets;
    let left: Vec<_> = left.iter().map(|bucket| bucket.remaining).collect();
    assert_eq!(left, [39, 199]);
}

/// Too many limits of several plans for one record: the error says what helps.
#[test]
fn a_record_has_an_end() {
    let limits = |plan: usize| -> Vec<String> {
        (0..16).map(|n| format!(r#"{{"name": "{plan} {n}", "rate": "9/day"}}"#)).collect()
    };
    let plan = |plan: usize| format!(r#""p{plan}": {{"limit": [{}]}}"#, limits(plan).join(","));
    let plans: Vec<String> = (0..4).map(plan).collect();
    let error = Limiter::new(format!(r#"{{"plan": {{{}}}}}"#, plans.join(",")).as_str());
    let error = error.unwrap_err();
    assert_eq!(error.field(), "limit");
    assert!(error.to_string().contains("the same name"), "{error}");
    Limiter::new(format!(r#"{{"plan": {{{}}}}}"#, plans[..3].join(",")).as_str()).unwrap();
}

/// A denial says when there is room: from then on time goes on as the plan of that request says, not as the one before.
#[test]
fn what_a_denial_advises_after_a_change_of_plan_is_true() {
    let windows =
        |rate: &str| format!(r#"{{"name": "one", "rate": "{rate}", "algorithm": "fixed_window"}}"#);
    let gcra = |rate: &str| format!(r#"{{"name": "one", "rate": "{rate}"}}"#);
    let strict = |rate: &str| {
        format!(
            r#"{{"name": "one", "rate": "{rate}", "algorithm": "sliding_window", "strict": true}}"#
        )
    };
    for (slow, fast) in [
        (gcra("10/hour"), gcra("100/hour")),
        (windows("100/day"), windows("60/minute")),
        (gcra("100/day"), windows("60/minute")),
        (windows("10/day"), strict("10/hour")),
    ] {
        let policy = format!(
            r#"{{"default_plan": "slow", "plan": {{"slow": {{"limit": [{slow}]}},
                "fast": {{"limit": [{fast}]}}}}}}"#
        );
        let (limiter, clock) = limiter(&policy);
        let request = Request::new().key("k");
        while limiter.acquire(&request, 1).unwrap().allowed() {}
        limiter.assign("k", "fast", None).unwrap();
        // A look changes nothing; asking twice is asking once.
        limiter.snapshot(&request).unwrap();
        let mut first = limiter.peek(&request, 1).unwrap();
        for _ in 0..2 {
            let denied = limiter.acquire(&request, 1).unwrap();
            if denied.allowed() {
                break;
            }
            assert_eq!(denied.retry_after(), first.retry_after(), "{policy}");
            let snapshot = limiter.snapshot(&request).unwrap();
            assert!(!limiter.try_acquire(&request, 1));
            assert_eq!(limiter.snapshot(&request).unwrap(), snapshot, "{policy}");
            first = denied;
        }
        assert!(!first.allowed() && first.retry_after() > Duration::ZERO, "{policy}");
        clock.advance(first.retry_after() - Duration::from_nanos(1));
        assert!(!limiter.acquire(&request, 1).unwrap().allowed(), "{policy}");
        clock.advance(Duration::from_nanos(1));
        assert!(limiter.acquire(&request, 1).unwrap().allowed(), "{policy}");
    }
}

/// An estimate that was cancelled has cost nothing, in whatever plan it was made: also when the smaller one has forgiven what
/// was used beyond its own.
#[test]
fn what_a_smaller_plan_forgives_comes_back_to_the_larger_one() {
    let plans = r#"{"plan": {
        "starter": {"limit": [{"name": "day", "rate": "50/day"}]},
        "pro": {"limit": [{"name": "day", "rate": "500/day"}]}}}"#;
    for asked_before in [false, true] {
        let (limiter, _) = limiter(plans);
        limiter.assign("k", "pro", None).unwrap();
        let estimate = limiter.reserve(Request::new().key("k"), 400).unwrap();
        limiter.assign("k", "starter", None).unwrap();
        if asked_before {
            assert!(!limiter.acquire(Request::new().key("k"), 1).unwrap().allowed());
        }
        estimate.settle(10).unwrap();
        assert_eq!(left(&limiter, &under("starter"), "day"), 50, "asked: {asked_before}");
        limiter.assign("k", "pro", None).unwrap();
        assert_eq!(left(&limiter, &under("pro"), "day"), 490, "asked: {asked_before}");
    }
}

/// An update makes every rate smaller than what was left: as much as the largest has is left, though more than all of it
/// was used. Late charges and what comes back go on from there.
#[test]
fn an_update_below_what_was_left_is_charged_late() {
    let policy = |a: u64, b: u64| {
        format!(
            "[[plan.a.limit]]\nname = 'x'\nrate = '{a}/hour'\n\
             [[plan.b.limit]]\nname = 'x'\nrate = '{b}/hour'\n"
        )
    };
    for plan in ["a", "b"] {
        for (used, late) in [(80, 5), (80, 1_000), (95, 5), (100, 5), (5, 5)] {
            let (limiter, clock) = limiter(&policy(100, 10));
            take(&limiter, &under("a"), used);
            limiter.update(policy(10, 5).as_str()).unwrap();
            for _ in 0..3 {
                limiter.penalize(under(plan), late).unwrap();
                limiter.refund(under(plan), 1).unwrap();
                limiter.penalize(under("a"), late).unwrap();
                clock.advance(MINUTE);
                assert!(left(&limiter, &under("a"), "x") <= 10);
            }
            clock.advance(240 * MINUTE);
            assert_eq!(left(&limiter, &under("a"), "x"), 10, "{plan} {used} {late}");
            take(&limiter, &under("a"), 10);
        }
    }
}
