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
    // What was used is used.
    assert_eq!(times(&limiter, &request, 1000).0, 600 + 50 - 70);
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
