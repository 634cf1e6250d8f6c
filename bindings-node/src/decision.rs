//! Decisions and snapshots, exact, as `lib/decision.js` reads them.

use std::time::Duration;

use napi::bindgen_prelude::BigInt;
use napi_derive::napi;
use tidegate::{BucketSnapshot, Decision, Snapshot, Stats};

/// A decision to the unit and the nanosecond.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct ExactDecision {
    /// May the request go on?
    pub allowed: bool,
    /// The quota.
    pub limit: BigInt,
    /// Units left.
    pub remaining: BigInt,
    /// Nanoseconds to wait; null: for ever.
    pub retry_after_ns: Option<BigInt>,
    /// Nanoseconds until the limit is full again.
    pub reset_after_ns: BigInt,
    /// The limit's name.
    pub name: &'static str,
    /// `ok`, `limited`, …
    pub reason: &'static str,
}

impl From<Decision> for ExactDecision {
    fn from(decision: Decision) -> ExactDecision {
        ExactDecision {
            allowed: decision.allowed(),
            limit: decision.limit().into(),
            remaining: decision.remaining().into(),
            retry_after_ns: (decision.retry_after() != Duration::MAX)
                .then(|| decision.retry_after_ns().into()),
            reset_after_ns: decision.reset_after_ns().into(),
            name: decision.name(),
            reason: decision.reason().as_str(),
        }
    }
}

/// One bucket of a key.
#[napi(object, object_from_js = false)]
pub struct ExactBucket {
    /// Name of the limit.
    pub limit: String,
    /// Name of the bucket.
    pub name: String,
    /// `count`, `latency` or `concurrency`.
    pub method: &'static str,
    /// Units per period.
    pub quota: BigInt,
    /// Most units at once.
    pub capacity: BigInt,
    /// Units used.
    pub used: BigInt,
    /// Units left.
    pub remaining: BigInt,
    /// Nanoseconds until it refreshes.
    pub refresh_after_ns: BigInt,
}

impl From<BucketSnapshot> for ExactBucket {
    fn from(bucket: BucketSnapshot) -> ExactBucket {
        ExactBucket {
            limit: bucket.limit,
            name: bucket.name,
            method: bucket.method.as_str(),
            quota: bucket.quota.into(),
            capacity: bucket.capacity.into(),
            used: bucket.used.into(),
            remaining: bucket.remaining.into(),
            refresh_after_ns: nanos(bucket.refresh_after).into(),
        }
    }
}

/// Every bucket of a key.
#[napi(object, object_from_js = false)]
pub struct ExactSnapshot {
    /// How long the key stays blocked.
    pub blocked_for_ns: BigInt,
    /// In the order of the policy.
    pub buckets: Vec<ExactBucket>,
}

impl From<Snapshot> for ExactSnapshot {
    fn from(snapshot: Snapshot) -> ExactSnapshot {
        ExactSnapshot {
            blocked_for_ns: nanos(snapshot.blocked_for).into(),
            buckets: snapshot.buckets.into_iter().map(ExactBucket::from).collect(),
        }
    }
}

/// Counters of a limiter.
#[napi(object, object_from_js = false)]
pub struct ExactStats {
    /// Keys remembered now.
    pub keys: BigInt,
    /// Most keys that can be.
    pub capacity: BigInt,
    /// Requests admitted.
    pub allowed: BigInt,
    /// Requests denied by a limit.
    pub limited: BigInt,
    /// Requests of blocked keys.
    pub blocked: BigInt,
    /// Requests admitted uncounted.
    pub bypassed: BigInt,
    /// Requests that can never fit.
    pub impossible: BigInt,
    /// Keys in use that lost their place.
    pub evictions: BigInt,
    /// New keys that found no place.
    pub saturated: BigInt,
}

impl From<Stats> for ExactStats {
    fn from(stats: Stats) -> ExactStats {
        ExactStats {
            keys: stats.keys.into(),
            capacity: stats.capacity.into(),
            allowed: stats.allowed.into(),
            limited: stats.limited.into(),
            blocked: stats.blocked.into(),
            bypassed: stats.bypassed.into(),
            impossible: stats.impossible.into(),
            evictions: stats.evictions.into(),
            saturated: stats.saturated.into(),
        }
    }
}

/// A span in nanoseconds; more than 584 years become 584 years.
pub(crate) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds in milliseconds, the nearest double; for ever is Infinity.
pub(crate) fn millis(nanos: u64) -> f64 {
    if nanos == u64::MAX { f64::INFINITY } else { nanos as f64 / 1e6 }
}
