//! Requests with attributes, under the policies of the examples.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidegate::{Decision, Limiter, ManualClock, Policy, Reason, Request, Timestamp};

/// 2026-03-10T12:00:00Z, a Tuesday.
const NOON: u64 = 1_773_144_000;

fn limiter(policy: &str) -> (Limiter, ManualClock) {
    let clock = ManualClock::new(Timestamp::from_secs(NOON));
    let path = format!("{}/../examples/policies/{policy}.toml", env!("CARGO_MANIFEST_DIR"));
    let policy = tidegate::Policy::from_file(path).unwrap();
    (Limiter::builder(policy).clock(clock.clone()).build().unwrap(), clock)
}

fn request<'a>(key: &'a str, plan: &'a str, route: &'a str) -> Request<'a> {
    Request::new().key(key).account("acme").plan(plan).route(route)
}

fn times(limiter: &Limiter, request: &Request<'_>, most: u32) -> (u32, Decision) {
    for count in 0..most {
        let decision = limiter.acquire(request, 1).unwrap();
        if !decision.allowed() {
            return (count, decision);
        }
    }
    (most, limiter.peek(request, 1).unwrap())
}

#[test]
fn p2_p3_a_minute_then_the_pool_then_a_request_a_second() {
    for (plan, minute, pool) in [("starter", 60, 10), ("pro", 600, 50), ("enterprise", 6000, 200)] {
        let (limiter, clock) = limiter("plans");
        let request = request("k1", plan, "GET /v3/environments");
        let (count, decision) = times(&limiter, &request, 10_000);
        assert_eq!(count, minute + pool, "{plan}");
        assert_eq!((decision.reason(), decision.plan()), (Reason::Limited, Some(plan)));
        assert_eq!(decision.retry_after(), Duration::from_secs(1));
        clock.advance(Duration::from_secs(1));
        assert_eq!(times(&limiter, &request, 10).0, 1);
        clock.advance(Duration::from_secs(60));
        assert!(times(&limiter, &request, 10_000).0 >= minute);
    }
}

#[test]
fn p4_an_endpoint_has_its_own_limits_and_a_denial_takes_nothing_anywhere() {
    let (limiter, _) = limiter("plans");
    let delete = request("k1", "pro", "DELETE /v3/configs/7");
    let (count, decision) = times(&limiter, &delete, 100);
    assert_eq!(count, 10);
    let before = limiter.snapshot(&delete).unwrap();
    for _ in 0..50 {
        assert!(!limiter.acquire(&delete, 1).unwrap().allowed());
    }
    assert_eq!(limiter.snapshot(&delete).unwrap(), before, "{decision:?}");
    let read = request("k1", "pro", "GET /v3/configs/7");
    assert!(limiter.acquire(&read, 1).unwrap().allowed());
}

#[test]
fn p5_keys_of_an_account_share_the_day() {
    let (limiter, clock) = limiter("plans");
    let routes = "GET /v3/other";
    let keys: Vec<String> = (0..100).map(|key| format!("k{key}")).collect();
    let mut admitted = 0;
    'day: for _ in 0..60 {
        for key in &keys {
            let (count, decision) = times(&limiter, &request(key, "starter", routes), 100);
            admitted += count;
            if decision.name() == "day" {
                break 'day;
            }
        }
        clock.advance(Duration::from_secs(60));
    }
    assert_eq!(admitted, 50_000);
}

#[test]
fn p13_a_plan_for_a_time() {
    let (limiter, clock) = limiter("plans");
    let request = request("k1", "starter", "GET /v3/environments");
    assert_eq!(times(&limiter, &request, 1000).0, 70);
    limiter.assign("acme", "pro", Some(Duration::from_secs(72 * 3600))).unwrap();
    assert_eq!(limiter.plan_of(&request), Some("pro"));
    // What was used of the window is used, and what was left of the pool (nothing) is left.
    assert_eq!(times(&limiter, &request, 1000).0, 600 - 60);
    clock.advance(Duration::from_secs(72 * 3600));
    assert_eq!(limiter.plan_of(&request), Some("starter"));
    assert_eq!(times(&limiter, &request, 1000).0, 70);
    assert!(limiter.assign("acme", "gold", None).unwrap_err().to_string().contains("enterprise"));
}

#[test]
fn p11_a_report_by_kind_of_call() {
    let (limiter, _) = limiter("plans");
    for (route, count) in [("GET /v3/configs", 5), ("POST /v3/configs", 2)] {
        assert_eq!(times(&limiter, &request("k1", "pro", route), count).0, count);
    }
    let report = limiter.usage(request("k1", "pro", ""), None).unwrap();
    assert_eq!((report.total, report.plan), (7, Some("pro")));
    assert_eq!(
        report.by_kind,
        [("GET /v3/configs".to_owned(), 5), ("POST /v3/configs".to_owned(), 2)]
    );
    let limit = report.limit.unwrap();
    assert_eq!((limit.name, limit.quota, limit.remaining), ("day", 500_000, 499_993));
}

/// Another kind to count by is no reason to forget; other slots are.
#[test]
fn p11_an_update_keeps_the_report() {
    let policy = |by: &str, resolution: &str| {
        let usage = format!(r#"{{"window": "1 day", "resolution": "{resolution}"{by}}}"#);
        let text = format!(r#"{{"limit": [{{"rate": "100/day"}}], "usage": {usage}}}"#);
        Policy::parse(&text).unwrap()
    };
    let limiter = Limiter::new(policy("", "1 hour")).unwrap();
    assert_eq!(times(&limiter, &request("k", "", "GET /a"), 3).0, 3);
    let told = |limiter: &Limiter| {
        let report = limiter.usage(request("k", "", ""), None).unwrap();
        (report.total, report.by_kind.len())
    };
    limiter.update(policy(r#", "by": "account""#, "1 hour")).unwrap();
    assert_eq!(told(&limiter), (3, 1));
    assert_eq!(times(&limiter, &request("k", "gold", "GET /a"), 2).0, 2);
    assert_eq!(told(&limiter), (5, 2));
    limiter.update(policy("", "30 minutes")).unwrap();
    assert_eq!(told(&limiter), (0, 0));
}

/// Threads over requests that share records in every combination: no limit is ever exceeded, nothing that is
/// denied is charged, and what was admitted is charged once in each record.
#[test]
fn threads_share_records() {
    let policy = r#"{"limit": [
        {"name": "all", "rate": "600/day", "by": []},
        {"name": "account", "rate": "300/day", "by": ["account"], "algorithm": "fixed_window"},
        {"name": "key", "rate": "100/day", "algorithm": "sliding_window"},
        {"name": "write", "rate": "40/day", "when": {"route": "POST /:x"}}]}"#;
    for round in 0..20 {
        let clock = ManualClock::new(Timestamp::from_secs(NOON + round));
        let limiter = Limiter::builder(policy).clock(clock).build().unwrap();
        let admitted = |thread: usize| {
            let mut counts = [[[0_u64; 2]; 3]; 3];
            let mut state = thread as u64 + round * 7 + 1;
            for _ in 0..1500 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let pick = (state >> 33) as usize;
                let (account, key, write) = (pick % 3, pick / 3 % 3, pick / 9 % 2);
                let key_name = format!("{account}-{key}");
                let request = Request::new()
                    .key(&key_name)
                    .account(["a", "b", "c"][account])
                    .route(["GET /x", "POST /x"][write]);
                let decision = limiter.acquire(&request, 1).unwrap();
                counts[account][key][write] += u64::from(decision.allowed());
            }
            counts
        };
        let counts = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..3).map(|thread| scope.spawn(move || admitted(thread))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let used = |request: &Request<'_>| {
            let snapshot = limiter.snapshot(request).unwrap();
            snapshot
                .buckets
                .into_iter()
                .map(|bucket| (bucket.limit, bucket.used))
                .collect::<Vec<_>>()
        };
        let sum = |account: Option<usize>, key: Option<usize>, write: Option<usize>| -> u64 {
            let mut sum = 0;
            for counts in &counts {
                for (a, counts) in counts.iter().enumerate() {
                    for (k, counts) in counts.iter().enumerate() {
                        for (w, count) in counts.iter().enumerate() {
                            let is = |wanted: Option<usize>, is| wanted.is_none_or(|it| it == is);
                            if is(account, a) && is(key, k) && is(write, w) {
                                sum += count;
                            }
                        }
                    }
                }
            }
            sum
        };
        for account in 0..3 {
            for key in 0..3 {
                let name = format!("{account}-{key}");
                let request = Request::new().key(&name).account(["a", "b", "c"][account]);
                let expected = [
                    ("all".to_owned(), sum(None, None, None)),
                    ("account".to_owned(), sum(Some(account), None, None)),
                    ("key".to_owned(), sum(Some(account), Some(key), None)),
                    ("write".to_owned(), sum(Some(account), Some(key), Some(1))),
                ];
                assert_eq!(used(&request.route("POST /x")), expected);
                assert!(
                    expected.iter().zip([600, 300, 100, 40]).all(|((_, used), most)| *used <= most)
                );
            }
        }
        // Everybody asked for more than there is.
        assert_eq!(sum(None, None, None), 600);
    }
}

#[test]
fn p12_an_alert_tells_whose_request_it_was() {
    let (limiter, _) = limiter("plans");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    limiter.on_alert(move |alert| {
        let attributes = alert.request.attributes();
        let mut whose: Vec<_> =
            attributes.map(|(name, value)| format!("{name}={}", value.escape_ascii())).collect();
        whose.sort();
        told.lock().unwrap().push((alert.limit, alert.plan, whose.join(" ")));
    });
    limiter.acquire(request("k1", "starter", "GET /v3/environments"), 56).unwrap();
    let whose = "account=acme key=k1 plan=starter route=GET /v3/environments".to_owned();
    assert_eq!(*seen.lock().unwrap(), [("minute", Some("starter"), whose)]);
    limiter.clear_alerts();
    limiter.acquire(request("k1", "starter", "GET /v3/environments"), 10).unwrap();
    assert_eq!(seen.lock().unwrap().len(), 1, "nobody is told any more");
}

#[test]
fn p6_a_connection_is_held_until_its_admission_is_dropped() {
    let (limiter, clock) = limiter("plans");
    let opens = request("k1", "starter", "WS /v3/stream");
    let open = || limiter.admit(&opens, 1).unwrap();
    let mut held: Vec<_> = (0..5).map(|_| open()).collect();
    assert_eq!(open().decision().name(), "connections");
    clock.advance(Duration::from_secs(20 * 3600));
    assert!(held[0].renew().unwrap());
    drop(held.pop());
    assert!(open().decision().allowed());
    // The renewed one stays, the others are taken back.
    clock.advance(Duration::from_secs(12 * 3600));
    let connections = |limiter: &Limiter| {
        let snapshot = limiter.snapshot(&opens).unwrap();
        snapshot.buckets.iter().find(|bucket| bucket.limit == "connections").unwrap().used
    };
    assert_eq!(connections(&limiter), 1);
    drop(held);
    assert_eq!(connections(&limiter), 0);
}

/// Records of several keys change together, whoever else changes them.
#[test]
fn p4_p5_all_or_nothing_among_threads() {
    let policy = r#"
        [[limit]]
        name = "account"
        by   = ["account"]
        rate = "1000/day"

        [[limit]]
        name = "key"
        rate = "300/day"
    "#;
    let clock = ManualClock::new(Timestamp::from_secs(NOON));
    let limiter = Limiter::builder(policy).clock(clock).build().unwrap();
    let admitted = std::thread::scope(|scope| {
        let ask = |key: &'static str| {
            let limiter = &limiter;
            let request = Request::new().account("acme").key(key);
            move || (0..400).filter(|_| limiter.acquire(&request, 1).unwrap().allowed()).count()
        };
        let keys = ["k0", "k1", "k2", "k3"];
        keys.map(|key| scope.spawn(ask(key))).map(|asking| asking.join().unwrap())
    });
    assert_eq!(admitted.iter().sum::<usize>(), 1000);
    for (key, count) in ["k0", "k1", "k2", "k3"].into_iter().zip(admitted) {
        let snapshot = limiter.snapshot(Request::new().account("acme").key(key)).unwrap();
        let used: Vec<_> = snapshot.buckets.iter().map(|bucket| bucket.used).collect();
        assert_eq!(used, [1000, count as u64], "{key}: what was denied took nothing");
    }
}

#[test]
fn a2_those_who_are_not_limited_are_counted_apart() {
    let (limiter, _) = limiter("platform");
    let ask = |route: &str, ip: &str| {
        limiter.acquire(Request::new().route(route).ip(ip), 1).unwrap().reason()
    };
    assert_eq!(ask("GET /health", "192.0.2.1"), Reason::Bypass);
    assert_eq!(ask("GET /", "203.0.113.9"), Reason::Blocked);
    assert_eq!(ask("GET /", "192.0.2.1"), Reason::Ok);
    let stats = limiter.stats();
    assert_eq!((stats.allowed, stats.bypassed, stats.blocked), (1, 1, 1));
}

/// A key is a request of one attribute, under every policy.
#[test]
fn a_key_and_a_request_of_it_are_the_same() {
    let conditional = r#"[[limit]]
        rate = "2/day"
        [[limit]]
        name = "elsewhere"
        rate = "1/day"
        when = { route = "*" }"#;
    for policy in ["2/day", conditional] {
        let limiter = Limiter::new(policy).unwrap();
        assert!(limiter.try_acquire("k", 1));
        assert!(limiter.try_acquire(Request::new().key("k").user("u"), 1));
        assert!(!limiter.try_acquire("k", 1), "{policy}");
        assert_eq!(limiter.stats().keys, 1, "{policy}");
    }
}

/// Of two values the later one counts; what the policy does not mention means nothing.
#[test]
fn attributes_that_are_given_twice_or_for_nothing() {
    let limiter = Limiter::new("1/day").unwrap();
    let twice = Request::new().key("a").with("color", "red").key("b");
    assert!(limiter.try_acquire(&twice, 1));
    assert!(limiter.try_acquire("a", 1) && !limiter.try_acquire("b", 1));
    let error = limiter.acquire(Request::new().account("a"), 1).unwrap_err();
    assert!(error.is_argument() && error.field() == "key", "{error}");
}

/// What a limit called `all` of this request has left after an update.
fn left_after(before: &str, request: &Request<'_>, used: u64, after: &str) -> Vec<u64> {
    let clock = ManualClock::new(Timestamp::from_secs(NOON));
    let limiter = Limiter::builder(before).clock(clock).build().unwrap();
    assert!(limiter.acquire(request, used).unwrap().allowed());
    limiter.update(after).unwrap();
    let plans = ["", "a", "b"].map(|plan| request.clone().plan(plan));
    let left = plans.iter().filter_map(|request| limiter.peek(request, 0).ok());
    left.map(|decision| decision.remaining()).collect()
}

/// D13: conditions, and what becomes of a missing attribute, may change; use stays.
#[test]
fn d13_a_limit_goes_on_under_other_conditions() {
    let limit = |more: &str| format!("[[limit]]\nname = 'all'\nrate = '100/day'\n{more}");
    let (one, two) = ("when = { route = 'GET /a' }", "when = { route = ['GET /a', 'GET /b'] }");
    let request = Request::new().key("k").route("GET /a");
    for (before, after) in [(one, two), (two, one), ("", one), (one, ""), (one, "missing = 'skip'")]
    {
        let left = left_after(&limit(before), &request, 60, &limit(after));
        assert!(left.iter().all(|left| *left == 40), "{before} {after}: {left:?}");
    }
}

/// D13, P2: plans may come and go; whoever used a limit has used it under every plan that knows it.
#[test]
fn d13_plans_come_and_go() {
    let all = |quota: u64| {
        format!("[[limit]]\nname = 'all'\nalgorithm = 'fixed_window'\nrate = '{quota}/day'\n")
    };
    let plan =
        |name: &str, quota| all(quota).replace("[[limit]]", &format!("[[plan.{name}.limit]]"));
    let request = Request::new().key("k");
    let both = plan("a", 10) + &plan("b", 1000);
    let left = left_after(&all(1000), &request, 900, &both);
    assert_eq!(left[left.len() - 1], 100, "under b: {left:?}");
    let left = left_after(&both, &request.clone().plan("b"), 900, &plan("b", 1000));
    assert_eq!(left, [100]);
    let left = left_after(&both, &request.clone().plan("b"), 900, &all(1000));
    assert_eq!(left, [100, 100, 100]);
    let c = plan("a", 10) + &plan("c", 2000);
    let limiter = Limiter::new(both.as_str()).unwrap();
    assert!(limiter.acquire(request.clone().plan("b"), 900).unwrap().allowed());
    limiter.update(c.as_str()).unwrap();
    assert_eq!(limiter.peek(request.clone().plan("c"), 0).unwrap().remaining(), 1100);
}

/// Limits without names of their own go on by their order, plan by plan.
#[test]
fn d13_limits_of_plans_without_names_go_on() {
    let policy = |a: &str, b: &str| {
        format!("[[plan.a.limit]]\nrate = '{a}'\n[[plan.b.limit]]\nrate = '{b}'\n")
    };
    let limiter = Limiter::new(policy("100/day", "500/day").as_str()).unwrap();
    let request = Request::new().key("k").plan("b");
    assert!(limiter.acquire(&request, 450).unwrap().allowed());
    limiter.update(policy("200/day", "600/day").as_str()).unwrap();
    let left = limiter.peek(&request, 0).unwrap().remaining();
    assert!((50..=51).contains(&left), "{left}");
}

/// What a record cannot hold is refused with the policy, and the limit named that has no room: of one plan, or of several
/// plans together, each of which would do.
#[test]
fn a_limit_that_a_record_has_no_room_for_is_named() {
    let limit = |number: usize| {
        format!(
            r#"{{"name": "strict {number}", "rate": "1_000_000_000_000/day", "by": ["account"],
                 "algorithm": "sliding_window", "strict": true}}"#
        )
    };
    let limits =
        |numbers: std::ops::Range<usize>| numbers.map(limit).collect::<Vec<_>>().join(", ");
    let policy = |numbers| format!(r#"{{"limit": [{}]}}"#, limits(numbers));
    assert!(Limiter::new(policy(0..5).as_str()).is_ok(), "55 words");
    let plans = format!(
        r#"{{"plan": {{"a": {{"limit": [{}]}}, "b": {{"limit": [{}]}}}}}}"#,
        limits(0..4),
        limits(4..8)
    );
    for policy in [policy(0..7), plans] {
        let error = Limiter::new(policy.as_str()).expect_err("more than 62 words");
        assert!(error.is_policy(), "{error}");
        for said in ["\"strict 5\"", "[\"account\"]", "62", "fewer limits"] {
            assert!(error.to_string().contains(said), "{said}: {error}");
        }
        // An update to it changes nothing.
        let limiter = Limiter::new("9/day").unwrap();
        assert!(limiter.update(policy.as_str()).is_err());
        assert_eq!(limiter.acquire("k", 9).unwrap().limit(), 9);
    }
}
