//! The engine behind the oracle's words: the same calls, the answers as the vector files write them.
#![allow(dead_code)] // each test file uses its part

use std::time::Duration;

use serde_json::{Map, Value, json};
use tidegate::{
    Alert, BodyStyle, Decision, Error, HeaderStyle, Limiter, Reservation, Snapshot, Timestamp,
    UsageReport,
};
use tidegate_model::script::{BODY_STYLES, HEADER_STYLES};

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

/// A decision with all that it says.
pub fn full(answer: &Decision) -> Value {
    let mut all = decision(answer);
    all["plan"] = json!(answer.plan());
    all["burst_remaining"] = json!(answer.burst_remaining().map(|left| left.to_string()));
    all["shadow"] = json!(answer.shadow());
    all["message"] = json!(answer.message());
    all["closes"] = json!(answer.closes());
    all["status"] = json!(answer.status());
    all
}

/// As [`full`], with headers and bodies of all styles.
pub fn over_http(answer: &Decision) -> Value {
    let mut all = full(answer);
    let headers = |style: &&str| {
        let headers = answer.headers(HeaderStyle::from_name(style).expect("a style"));
        ((*style).to_owned(), json!(headers.into_iter().collect::<Vec<_>>()))
    };
    let body = |style: &&str| {
        let body = answer.body(BodyStyle::from_name(style).expect("a style"));
        ((*style).to_owned(), json!([body.content_type, body.text]))
    };
    all["headers"] = HEADER_STYLES.iter().map(headers).collect::<Map<_, _>>().into();
    all["body"] = BODY_STYLES.iter().map(body).collect::<Map<_, _>>().into();
    all
}

/// A refusal as the files write it.
pub fn error(error: &Error) -> Value {
    json!({ "error": { "field": error.field() } })
}

/// A report of use as the files write it.
pub fn report(report: &UsageReport) -> Value {
    let kind = |(kind, units): &(String, u64)| json!([kind, units.to_string()]);
    let limit = report.limit.as_ref().map(|limit| {
        json!({
            "name": limit.name,
            "quota": limit.quota.to_string(),
            "remaining": limit.remaining.to_string(),
            "utilization_permille": limit.utilization_permille,
        })
    });
    json!({
        "plan": report.plan,
        "window_ns": report.window.as_nanos().to_string(),
        "total": report.total.to_string(),
        "by_kind": report.by_kind.iter().map(kind).collect::<Vec<_>>(),
        "limit": limit,
        "dropped": report.dropped.to_string(),
    })
}

/// An alert as the files write it.
pub fn alert(alert: &Alert<'_, '_>) -> Value {
    json!({
        "limit": alert.limit,
        "threshold_permille": alert.threshold_permille,
        "used": alert.used.to_string(),
        "capacity": alert.capacity.to_string(),
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
