//! Snapshots, counters and reports of use, exact, as `lib/decision.js` and `lib/reports.js` read them.

use napi::bindgen_prelude::BigInt;
use napi_derive::napi;
use tidegate::{BucketSnapshot, Snapshot, Stats, UsageLimit, UsageReport};

use crate::decision::nanos;

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

/// What a subject used.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct ExactUsage {
    /// The plan that holds now.
    pub plan: Option<&'static str>,
    /// What the report covers.
    pub window_ns: BigInt,
    /// Units admitted in it.
    pub total: BigInt,
    /// The same by kind of call.
    pub by_kind: Vec<ExactKind>,
    /// The count limit of the longest window.
    pub limit: Option<ExactUsageLimit>,
    /// Requests that were not recorded.
    pub dropped: BigInt,
}

/// What one kind of call used.
#[napi(object, object_from_js = false)]
pub struct ExactKind {
    /// The kind.
    pub kind: String,
    /// Units admitted.
    pub units: BigInt,
}

/// How far a subject is with a limit.
#[napi(object, object_from_js = false)]
pub struct ExactUsageLimit {
    /// Name of the limit.
    pub name: &'static str,
    /// Its quota.
    pub quota: BigInt,
    /// Units left.
    pub remaining: BigInt,
    /// The part that is used, at most 1000.
    pub utilization_permille: u32,
}

impl From<UsageReport> for ExactUsage {
    fn from(report: UsageReport) -> ExactUsage {
        let kind = |(kind, units): (String, u64)| ExactKind { kind, units: units.into() };
        ExactUsage {
            plan: report.plan,
            window_ns: nanos(report.window).into(),
            total: report.total.into(),
            by_kind: report.by_kind.into_iter().map(kind).collect(),
            limit: report.limit.map(ExactUsageLimit::from),
            dropped: report.dropped.into(),
        }
    }
}

impl From<UsageLimit> for ExactUsageLimit {
    fn from(limit: UsageLimit) -> ExactUsageLimit {
        ExactUsageLimit {
            name: limit.name,
            quota: limit.quota.into(),
            remaining: limit.remaining.into(),
            utilization_permille: limit.utilization_permille as u32,
        }
    }
}
