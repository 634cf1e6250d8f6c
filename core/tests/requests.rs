//! Requests with attributes, under the policies of the examples.

use std::time::Duration;

use tidegate::{Decision, Limiter, ManualClock, Reason, Request, Timestamp};

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
