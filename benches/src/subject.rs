//! The limiters that are measured, and proof that they did what was measured.

use std::hint::black_box;
use std::time::Duration;

use tidegate::{Limiter, Reason, Request};

/// A rate that nobody reaches: a call would have to take less than a nanosecond.
pub const ENDLESS: &str = "1000000000/second";
/// A rate that is spent with the first request.
pub const SPENT: &str = "1/day";

/// A rate that nobody reaches either, and under which a key that was seen stays in use: its place in the table is
/// taken. (Under [`ENDLESS`] a key is as good as new after a nanosecond, and the next one takes its place.)
#[must_use]
pub fn lasting(keys: u64) -> String {
    format!("{}/year", 1_000_000_000 / keys.max(1) + 1_000)
}

/// The Data API policy: six buckets. Its counts are raised, for else a hot key would be denied after a hundred
/// requests; the latency budgets are its own.
pub const DATA_API: &str = r#"
    timezone = "Europe/Amsterdam"

    [[limit]]
    name      = "requests"
    method    = "count"
    algorithm = "fixed_window"
    cascade   = ["1000000000/minute", "26000000000/hour", "11500000000/day"]

    [[limit]]
    name      = "time"
    method    = "latency"
    algorithm = "fixed_window"
    cascade   = ["30s/minute", "390s/hour", "172.5s/day"]
"#;

/// [`DATA_API`] with three requests a month: the fourth is denied, until a month ends.
pub const DATA_API_SPENT: &str = r#"
    timezone = "Europe/Amsterdam"

    [[limit]]
    name      = "requests"
    method    = "count"
    algorithm = "fixed_window"
    cascade   = ["1/month", "1/3 months", "1/year"]

    [[limit]]
    name      = "time"
    method    = "latency"
    algorithm = "fixed_window"
    cascade   = ["30s/minute", "390s/hour", "172.5s/day"]
"#;

/// The six buckets that a request of [`plan_request`] meets, all of one key: no attributes, no plans, nothing to tell.
pub const PLAN_KEY: &str = r#"
    scale = 100000

    [[limit]]
    name    = "minute"
    cascade = [
        { name = "minute", rate = "600/minute", algorithm = "fixed_window", align = "first_request" },
        { name = "burst", rate = "1/second", burst = 50 },
    ]

    [[limit]]
    name      = "hour"
    rate      = "36_000/hour"
    algorithm = "fixed_window"
    align     = "first_request"

    [[limit]]
    name      = "day"
    rate      = "500_000/day"
    algorithm = "fixed_window"

    [[limit]]
    name      = "read config, minute"
    rate      = "300/minute"
    algorithm = "fixed_window"
    align     = "first_request"

    [[limit]]
    name      = "read config, hour"
    rate      = "18_000/hour"
    algorithm = "fixed_window"
    align     = "first_request"
"#;

/// The policy with plans (`examples/policies/plans.toml`), its quotas raised a hundred thousand times: nobody reaches
/// them. Alerts and the record of use are on, as they are there.
#[must_use]
pub fn plans() -> String {
    format!("scale = 100000\n{}", include_str!("../../examples/policies/plans.toml"))
}

/// What one call of `record_latency` charges: a thousand million of them fit into the minute's budget.
pub const CHARGE: Duration = Duration::from_nanos(20);

/// A limiter of any of the policies above, for `max_keys` keys.
///
/// `TIDEGATE_BENCH_CLOCK=system` in the environment gives it another clock than the default.
#[must_use]
pub fn limiter(policy: &str, max_keys: u64) -> Limiter {
    let builder = Limiter::builder(policy).max_keys(max_keys);
    let builder = match std::env::var("TIDEGATE_BENCH_CLOCK") {
        Ok(clock) => builder.clock_named(&clock),
        Err(_) => builder,
    };
    builder.build().expect("a good policy and a known clock")
}

/// A limiter whose only request on `key` has been spent.
#[must_use]
pub fn spent(keys: &[&str]) -> Limiter {
    let limiter = limiter(SPENT, 1_000);
    for key in keys {
        assert!(limiter.try_acquire(key, 1), "the first request is free");
    }
    limiter
}

/// A limiter of six buckets whose requests on `key` have been spent.
#[must_use]
pub fn six_spent(key: &str) -> Limiter {
    let limiter = limiter(DATA_API_SPENT, 1_000);
    try_acquire(&limiter, key, 3);
    limiter
}

/// `calls` admissions of one key.
pub fn acquire(limiter: &Limiter, key: &str, calls: u64) {
    for _ in 0..calls {
        let decision = limiter.acquire(black_box(key), 1).expect("the memory store never fails");
        assert_eq!(black_box(&decision).reason(), Reason::Ok);
    }
}

/// `calls` admissions of one request under the policy with plans: it meets limits of its key, of its account, and of its
/// endpoint, three records with six buckets.
pub fn plan_request(limiter: &Limiter, calls: u64) {
    for _ in 0..calls {
        let request = Request::new()
            .key(black_box("key:5f2c"))
            .account(black_box("acme"))
            .plan(black_box("pro"))
            .route(black_box("GET /v3/configs/welcome"));
        let decision = limiter.acquire(&request, 1).expect("all attributes are given");
        assert_eq!(black_box(&decision).reason(), Reason::Ok);
    }
}

/// `calls` admissions of one key, only yes or no.
pub fn try_acquire(limiter: &Limiter, key: &str, calls: u64) {
    for _ in 0..calls {
        assert!(limiter.try_acquire(black_box(key), 1));
    }
}

/// `calls` denials of one key that is spent.
pub fn denial(limiter: &Limiter, key: &str, calls: u64) {
    for _ in 0..calls {
        let decision = limiter.acquire(black_box(key), 1).expect("the memory store never fails");
        assert_eq!(black_box(&decision).reason(), Reason::Limited);
    }
}

/// `calls` denials of one key that is spent, only yes or no.
pub fn try_denial(limiter: &Limiter, key: &str, calls: u64) {
    for _ in 0..calls {
        assert!(!limiter.try_acquire(black_box(key), 1));
    }
}

/// Keys of one call of `acquire_many`.
const BATCH: usize = 64;

/// One admission for each of `keys`, many in a call.
pub fn acquire_batches(limiter: &Limiter, keys: &[String]) {
    for keys in keys.chunks(BATCH) {
        let decisions =
            limiter.acquire_many(black_box(keys), 1).expect("the memory store never fails");
        assert!(black_box(&decisions).iter().all(|decision| decision.reason() == Reason::Ok));
    }
}

/// One admission for each of `keys`.
pub fn acquire_each(limiter: &Limiter, keys: &[String]) {
    for key in keys {
        let decision = limiter.acquire(black_box(key), 1).expect("the memory store never fails");
        assert_eq!(black_box(&decision).reason(), Reason::Ok);
    }
}

/// One admission for each of `keys`, only yes or no.
pub fn try_acquire_each(limiter: &Limiter, keys: &[String]) {
    for key in keys {
        assert!(limiter.try_acquire(black_box(key), 1));
    }
}

/// `calls` charges of [`CHARGE`] to one key.
pub fn record_latency(limiter: &Limiter, key: &str, calls: u64) {
    for _ in 0..calls {
        limiter.record_latency(black_box(key), black_box(CHARGE)).expect("never fails");
    }
}

/// Nanoseconds of latency in use by a key, over all its buckets.
#[must_use]
pub fn latency_used(limiter: &Limiter, key: &str) -> u64 {
    let snapshot = limiter.snapshot(key).expect("the memory store never fails");
    let time = snapshot.buckets.iter().filter(|bucket| bucket.method == tidegate::Method::Latency);
    time.map(|bucket| bucket.used).sum()
}

/// Empties a key's latency buckets, so that the next charges find room in the minute.
pub fn forget(limiter: &Limiter, key: &str) {
    limiter.reset(key).expect("the memory store never fails");
}

/// Were `calls` charges counted since [`forget`]? A minute that ended meanwhile took some along.
pub fn check_charges(limiter: &Limiter, key: &str, calls: u64, minute: u64) {
    let (used, charged) =
        (latency_used(limiter, key), u64::try_from(CHARGE.as_nanos()).unwrap_or(0) * calls);
    let same = minute == minute_of(limiter);
    assert!(
        used <= charged && (used == charged || !same),
        "charged {charged} ns, {used} ns in use"
    );
}

/// The minute that a limiter's clock is in.
#[must_use]
pub fn minute_of(limiter: &Limiter) -> u64 {
    limiter.clock().now().as_nanos() / 60_000_000_000
}

/// Does a limiter with room for `keys` keys remember them all? A handful may have met full sets, and lost
/// their place to a newcomer.
pub fn check_kept(limiter: &Limiter, keys: u64) {
    let kept = limiter.stats().keys;
    let handful = (keys / 1_000).max((keys / 100).min(4));
    assert!(kept <= keys && keys - kept <= handful, "{kept} of {keys} keys remembered");
}
