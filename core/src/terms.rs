//! What a decision says of its limit besides numbers, kept for the life of the process.
//!
//! A decision carries one pointer to it. Each distinct one is kept once; they come from policies, not from
//! requests.

use std::collections::{HashMap, HashSet};

use once_cell::sync::Lazy;
use parking_lot::RwLock;

use crate::names::Name;
use crate::policy::{Limit, LimitKind};
use crate::rate::Method;

static TERMS: Lazy<RwLock<Known>> = Lazy::new(RwLock::default);

/// The terms of decisions that no limit made. It has an address of its own, as all that a decision points to.
static NO_TERMS: Terms = Terms::NONE;

#[derive(Default)]
struct Known {
    terms: HashSet<&'static Terms>,
    by_address: HashMap<usize, &'static Terms>,
}

/// The terms of a limit, or of a rule by which a request passes or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Terms {
    pub(crate) name: Name,
    /// Empty: of no plan.
    pub(crate) plan: Name,
    pub(crate) method: Method,
    /// The span in which the quota is granted, in ns (of a cascade its first bucket's); 0: there is none.
    pub(crate) window: u64,
    /// Of a cascade, the quotas after the first (no one span belongs to the sum of all); 0: it is none.
    pub(crate) later_quota: u64,
    /// Words of its own for a denial; empty: there are none.
    pub(crate) message: Name,
    /// A denial advises to close the connection.
    pub(crate) close: bool,
}

/// What a cascade grants after its first bucket.
fn later_quota(kind: &LimitKind) -> u64 {
    match kind {
        LimitKind::Rates(rates) => {
            rates[1..].iter().fold(0, |sum, rate| rate.quota.saturating_add(sum))
        }
        LimitKind::Permits { .. } => 0,
    }
}

impl Terms {
    pub(crate) const NO_LIMIT: &'static Terms = &NO_TERMS;

    pub(crate) const NONE: Terms = Terms {
        name: Name::EMPTY,
        plan: Name::EMPTY,
        method: Method::Count,
        window: 0,
        later_quota: 0,
        message: Name::EMPTY,
        close: false,
    };

    /// Those of a limit, under a plan or none.
    pub(crate) fn of(limit: &Limit, plan: Option<&str>) -> Terms {
        Terms {
            name: Name::intern(&limit.name),
            plan: plan.map_or(Name::EMPTY, Name::intern),
            method: limit.method,
            window: limit.kind.window(),
            later_quota: later_quota(&limit.kind),
            message: limit.message.as_deref().map_or(Name::EMPTY, Name::intern),
            close: limit.close,
        }
    }

    /// With a name alone.
    pub(crate) fn named(name: &str) -> &'static Terms {
        Terms { name: Name::intern(name), ..Terms::NONE }.intern()
    }

    /// The one copy.
    pub(crate) fn intern(self) -> &'static Terms {
        let mut known = TERMS.write();
        if let Some(terms) = known.terms.get(&self) {
            return terms;
        }
        let kept: &'static Terms = Box::leak(Box::new(self));
        known.terms.insert(kept);
        known.by_address.insert(std::ptr::from_ref(kept).addr(), kept);
        kept
    }

    /// The terms at an address, if there are any: what comes back from memory that others write to is looked up,
    /// never followed.
    pub(crate) fn at(address: usize) -> Option<&'static Terms> {
        if address == std::ptr::from_ref(&NO_TERMS).addr() {
            return Some(&NO_TERMS);
        }
        TERMS.read().by_address.get(&address).copied()
    }
}
