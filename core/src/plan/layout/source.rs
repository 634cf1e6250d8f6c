//! What buckets are made of, and which of them count alike.

use crate::algorithm::{Bucket, Hold, Permits, Units};
use crate::policy::{Limit, LimitKind};
use crate::rate::{Algorithm, Rate};

/// What a bucket is made of.
#[derive(Clone, Copy)]
pub(in crate::plan) enum Source<'p> {
    Rate(&'p Rate),
    Permits { quota: Units, max_hold: Option<u64> },
}

impl<'p> Source<'p> {
    pub(in crate::plan) fn all(limit: &'p Limit) -> Vec<Source<'p>> {
        match &limit.kind {
            LimitKind::Rates(rates) => rates.iter().map(Source::Rate).collect(),
            LimitKind::Permits { quota, max_hold } => {
                vec![Source::Permits { quota: *quota, max_hold: *max_hold }]
            }
        }
    }

    pub(in crate::plan) fn bucket(self, hold: Option<Hold>) -> Bucket {
        match self {
            Source::Rate(rate) => Bucket::within(rate, hold),
            Source::Permits { quota, max_hold: None } => Bucket::Permits(Permits::new(quota)),
            Source::Permits { quota, max_hold: Some(max_hold) } => Bucket::leases(quota, max_hold),
        }
    }

    pub(super) fn hold(self) -> Option<Hold> {
        match self {
            Source::Rate(rate) => Some(Hold::of(rate)),
            Source::Permits { .. } => None,
        }
    }

    /// Are they one rate?
    pub(super) fn is(self, other: Source<'_>) -> bool {
        match (self, other) {
            (Source::Rate(a), Source::Rate(b)) => {
                (a.quota, a.max_debt, a.growth) == (b.quota, b.max_debt, b.growth)
                    && a.period == b.period
                    && a.algorithm == b.algorithm
            }
            _ => self.is_like(other),
        }
    }

    /// Do the same words mean the same under both?
    pub(super) fn is_like(self, other: Source<'_>) -> bool {
        match (self, other) {
            (Source::Rate(a), Source::Rate(b)) => {
                let windows = !matches!(a.algorithm, Algorithm::Gcra { .. })
                    && (a.growth, b.growth) == (None, None)
                    && a.period == b.period
                    && a.algorithm == b.algorithm;
                windows || self.is(other)
            }
            (Source::Permits { max_hold: a, .. }, Source::Permits { max_hold: b, .. }) => a == b,
            _ => false,
        }
    }
}
