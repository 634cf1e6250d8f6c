//! What a decision says of its limit besides numbers, kept for the life of the process.
//!
//! A decision carries one pointer to it. Each distinct one is kept once; they come from policies, not from
//! requests.

use std::collections::HashSet;

use once_cell::sync::Lazy;
use parking_lot::Mutex;

use crate::names::Name;
use crate::policy::{Limit, LimitKind};
use crate::rate::Method;

static TERMS: Lazy<Mutex<HashSet<&'static Terms>>> = Lazy::new(Mutex::default);

/// The terms of a limit, or of a rule by which a request passes or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Terms {
    pub(crate) name: Name,
    /// Empty: of no plan.
    pub(crate) plan: Name,
    pub(crate) method: Method,
    /// The span in which the quota is granted, in ns (of a cascade its first bucket's); 0: there is none.
    pub(crate) window: u64,
    /// It has several buckets: no one span belongs to the sum of their quotas.
    pub(crate) cascade: bool,
    /// Words of its own for a denial; empty: there are none.
    pub(crate) message: Name,
    /// A denial advises to close the connection.
    pub(crate) close: bool,
}

impl Terms {
    pub(crate) const NONE: Terms = Terms {
        name: Name::EMPTY,
        plan: Name::EMPTY,
        method: Method::Count,
        window: 0,
        cascade: false,
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
            cascade: matches!(&limit.kind, LimitKind::Rates(rates) if rates.len() > 1),
            message: limit.message.as_deref().map_or(Name::EMPTY, Name::intern),
            close: limit.close,
        }
    }

    /// The one copy.
    pub(crate) fn intern(self) -> &'static Terms {
        let mut terms = TERMS.lock();
        if let Some(known) = terms.get(&self) {
            return known;
        }
        let kept: &'static Terms = Box::leak(Box::new(self));
        terms.insert(kept);
        kept
    }
}
