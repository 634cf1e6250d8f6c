//! A limit as it was written: parts with their places, not yet checked against each other.
//!
//! A plan that inherits builds the same draft again, with a scale of its own.

use super::Missing;
use super::conditions::Conditions;
use super::options::Options;
use super::source::{Part, Spot};
use super::text::{Amount, RateText};
use crate::rate::Method;

/// A limit.
pub(super) struct LimitDraft {
    pub(super) name: Option<Part<String>>,
    pub(super) body: Body,
    pub(super) terms: Terms,
    pub(super) spot: Spot,
}

pub(super) enum Body {
    Rates(Box<RatesDraft>),
    Permits { quota: Part<Amount>, max_hold: Option<u64> },
}

/// One rate, or a cascade; its buckets are not empty.
pub(super) struct RatesDraft {
    pub(super) method: Option<Part<Method>>,
    /// What the buckets inherit.
    pub(super) options: Options,
    pub(super) buckets: Vec<Draft>,
    pub(super) is_cascade: bool,
}

/// One bucket.
pub(super) struct Draft {
    pub(super) name: Option<Part<String>>,
    pub(super) rate: RateText,
    pub(super) options: Options,
    pub(super) spot: Spot,
}

/// For which requests a limit is, by which key, and what its denials say. See the fields of
/// [`Limit`](super::Limit).
#[derive(Clone)]
pub(super) struct Terms {
    pub(super) by: Vec<String>,
    pub(super) when: Conditions,
    pub(super) missing: Missing,
    pub(super) shadow: bool,
    pub(super) alerts: Vec<u16>,
    pub(super) message: Option<String>,
    pub(super) close: bool,
}

/// `grow` of a rate; times in ns.
#[derive(Clone, Debug)]
pub(super) struct GrowthDraft {
    pub(super) ceiling: Part<Amount>,
    pub(super) step: Part<Amount>,
    pub(super) after: u64,
    pub(super) shrink_after: u64,
}

impl LimitDraft {
    pub(super) fn method(&self) -> Method {
        match &self.body {
            Body::Rates(rates) => match &rates.method {
                Some(method) => method.value,
                None => rates.buckets[0].rate.quota.value.method(),
            },
            Body::Permits { .. } => Method::Concurrency,
        }
    }

    /// Its name, given or not.
    pub(super) fn name(&self) -> &str {
        match (&self.name, &self.body) {
            (Some(name), _) => &name.value,
            (None, Body::Rates(rates)) if !rates.is_cascade => &rates.buckets[0].rate.text,
            (None, _) => self.method().as_str(),
        }
    }

    /// Where an error about its name stands.
    pub(super) fn name_spot(&self) -> &Spot {
        self.name.as_ref().map_or(&self.spot, |name| &name.spot)
    }
}

impl Default for Terms {
    fn default() -> Terms {
        Terms {
            by: vec![super::KEY.to_owned()],
            when: Conditions::default(),
            missing: Missing::default(),
            shadow: false,
            alerts: Vec::new(),
            message: None,
            close: false,
        }
    }
}
