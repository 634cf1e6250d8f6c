//! The engine behind the oracle's words: the same calls, the answers as the vector files write them.
#![allow(dead_code)] // each test file uses its part

use std::time::Duration;

use serde_json::{Value, json};
use tidegate::{Decision, Limiter, Reservation, Snapshot, Timestamp};

/// Nanoseconds since the epoch as the engine takes them.
pub fn time(nanos: i128) -> Timestamp {
    let nanos = u64::try_from(nanos).expect("a time of the engine");
    Timestamp::from_nanos(nanos).expect("a time of the engine")
}

/// A limiter from a policy's text; small, for tests make many.
pub fn limiter(policy: &str) -> Limiter {
    match Limiter::builder(policy).max_keys(64).build() {
        Ok(limiter) => limiter,
        Err(error) => panic!("{error}\n{policy}"),
    }
}

fn span(span: Duration) -> Value {
    match span {
        Duration::MAX => "never".into(),
        span => span.as_nanos().to_string().into(),
    }
}

/// A decision as the files write it.
pub fn decision(decision: &Decision) -> Value {
    json!({
        "allowed": decision.allowed(),
        "reason": decision.reason().as_str(),
        "limit": decision.limit().to_string(),
        "remaining": decision.remaining().to_string(),
        "retry_after_ns": span(decision.retry_after()),
        "reset_after_ns": span(decision.reset_after()),
        "name": decision.name(),
    })
}

/// A snapshot as the files write it.
pub fn snapshot(snapshot: &Snapshot) -> Value {
    let bucket = |bucket: &tidegate::BucketSnapshot| {
        json!({
            "limit": bucket.limit,
            "name": bucket.name,
            "method": bucket.method.as_str(),
            "quota": bucket.quota.to_string(),
            "capacity": bucket.capacity.to_string(),
            "used": bucket.used.to_string(),
            "remaining": bucket.remaining.to_string(),
            "refresh_after_ns": span(bucket.refresh_after),
        })
    };
    json!({
        "blocked_for_ns": span(snapshot.blocked_for),
        "buckets": snapshot.buckets.iter().map(bucket).collect::<Vec<_>>(),
    })
}

/// The engine's reservations by the id that a script gave them.
pub type Reservations = std::collections::HashMap<String, Reservation>;
