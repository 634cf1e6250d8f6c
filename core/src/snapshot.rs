//! What can be seen of a limiter: the buckets of a key, and the counts of everything.

use std::time::Duration;

use crate::clock::Moment;
use crate::decision::span;
use crate::plan::Asked;
use crate::rate::Method;

/// Every bucket of a key, from [`Limiter::snapshot`](crate::Limiter::snapshot).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The buckets, limit by limit, in the order of the policy.
    pub buckets: Vec<BucketSnapshot>,
    /// How long the key stays blocked by [`Limiter::block`](crate::Limiter::block); zero when it is
    /// not.
    pub blocked_for: Duration,
}

/// One bucket of a key. Units: requests × cost, nanoseconds (latency) or permits (concurrency).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BucketSnapshot {
    /// Name of the limit.
    pub limit: String,
    /// Name of the bucket: its own, else the text of its rate (`100/minute`).
    pub name: String,
    /// What the bucket counts.
    pub method: Method,
    /// Units per period.
    pub quota: u64,
    /// Most units that can be spent at once (gcra: the burst).
    pub capacity: u64,
    /// Units used, rounded up; more than the capacity when in debt.
    pub used: u64,
    /// Units left: never below zero.
    pub remaining: u64,
    /// How long until the bucket is full again without use (a fixed window: until it ends). Zero when it
    /// is full; for permits that are out, a nominal second.
    pub refresh_after: Duration,
}

impl Snapshot {
    pub(crate) fn new(asked: &[Asked<'_>], at: Moment) -> Snapshot {
        let mut buckets = Vec::new();
        for Asked { plan, words, .. } in asked {
            for limit in &plan.limits {
                for bucket in &limit.buckets {
                    let of = bucket.of(words);
                    buckets.push(BucketSnapshot {
                        limit: limit.terms.name.as_str().to_owned(),
                        name: bucket.name.clone(),
                        method: limit.method,
                        quota: bucket.bucket.quota_now(of, at),
                        capacity: bucket.bucket.capacity_now(of, at),
                        used: bucket.used(words, at),
                        remaining: bucket.room(words, at),
                        refresh_after: span(bucket.refilled_after(words, at)),
                    });
                }
            }
        }
        Snapshot { buckets, blocked_for: Duration::ZERO }
    }
}

/// Counters of a limiter since its creation, from [`Limiter::stats`](crate::Limiter::stats).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Keys remembered now.
    pub keys: u64,
    /// Most keys that can be remembered (`max_keys`).
    pub capacity: u64,
    /// Requests admitted.
    pub allowed: u64,
    /// Requests denied for want of room.
    pub limited: u64,
    /// Requests of blocked keys.
    pub blocked: u64,
    /// Requests admitted without being counted.
    pub bypassed: u64,
    /// Requests whose cost can never fit.
    pub impossible: u64,
    /// Keys in use whose place was taken by others.
    pub evictions: u64,
    /// Calls for new keys that found no place (`on_full` = deny or allow, or every key held).
    pub saturated: u64,
}
