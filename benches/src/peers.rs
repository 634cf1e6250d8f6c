//! The peers, as their own documentation shows them.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};

/// The rate of [`ENDLESS`](crate::subject::ENDLESS).
fn endless() -> Quota {
    Quota::per_second(NonZeroU32::new(1_000_000_000).expect("not zero"))
}

/// governor with keys of its default kind: a `DashMap` of `String`s.
#[must_use]
pub fn governor() -> DefaultKeyedRateLimiter<String> {
    RateLimiter::keyed(endless())
}

/// governor with keys, whose only request on `key` has been spent.
#[must_use]
pub fn governor_spent(key: &String) -> DefaultKeyedRateLimiter<String> {
    let once_a_day = Quota::with_period(Duration::from_secs(86_400)).expect("not zero");
    let limiter = RateLimiter::keyed(once_a_day);
    assert!(limiter.check_key(key).is_ok(), "the first request is free");
    limiter
}

/// governor without keys.
#[must_use]
pub fn governor_direct() -> DefaultDirectRateLimiter {
    RateLimiter::direct(endless())
}

/// `calls` admissions of one key.
pub fn check(limiter: &DefaultKeyedRateLimiter<String>, key: &String, calls: u64) {
    for _ in 0..calls {
        assert!(limiter.check_key(black_box(key)).is_ok());
    }
}

/// `calls` denials of one key that is spent.
pub fn deny(limiter: &DefaultKeyedRateLimiter<String>, key: &String, calls: u64) {
    for _ in 0..calls {
        assert!(limiter.check_key(black_box(key)).is_err());
    }
}

/// One admission for each of `keys`.
pub fn check_each(limiter: &DefaultKeyedRateLimiter<String>, keys: &[String]) {
    for key in keys {
        assert!(limiter.check_key(black_box(key)).is_ok());
    }
}

/// The crate `ratelimit`: one bucket, no keys.
pub fn ratelimit() -> ratelimit::Ratelimiter {
    let builder = ratelimit::Ratelimiter::builder(1_000_000_000);
    builder.initial_available(1_000_000_000).build().expect("a good rate")
}

/// The crate `leaky-bucket`: one bucket, no keys. It refills once a millisecond.
#[must_use]
pub fn leaky_bucket() -> leaky_bucket::RateLimiter {
    let mut builder = leaky_bucket::RateLimiter::builder();
    builder.initial(1_000_000_000).max(1_000_000_000).refill(1_000_000);
    builder.interval(Duration::from_millis(1)).build()
}
