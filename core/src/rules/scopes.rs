//! Which limits of a policy share a record.

use crate::policy::{Conditions, KEY, Limit, Missing, Policy};
use crate::terms::Terms;

/// What a scope is, from one policy to the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    pub(super) by: Vec<String>,
    pub(super) when: Conditions,
    pub(super) missing: Missing,
}

impl Identity {
    fn of(limit: &Limit) -> Identity {
        Identity { by: limit.by.clone(), when: limit.when.clone(), missing: limit.missing }
    }

    /// Do its limits count by the same attributes?
    pub(crate) fn counts_as(&self, other: &Identity) -> bool {
        self.by == other.by
    }

    /// By what its limits count, in words.
    pub(crate) fn counted_by(&self) -> String {
        match &self.by[..] {
            [] => "all requests together".to_owned(),
            by => format!("{by:?}"),
        }
    }

    /// Does a key alone say all that it asks for?
    fn is_plain(&self) -> bool {
        self.by == [KEY] && self.when.0.is_empty() && self.missing == Missing::Error
    }
}

/// The limits of one scope, for each variant.
#[derive(Debug)]
pub(crate) struct ScopeLimits<'p> {
    pub(crate) identity: Identity,
    pub(crate) variants: Vec<Vec<&'p Limit>>,
}

/// A policy's limits by scope, in the order in which they come first; and whether a key is all that a request needs.
pub(crate) fn scopes(policy: &Policy) -> (Vec<ScopeLimits<'_>>, bool) {
    let variants = policy.plans.len().max(1);
    let mut scopes: Vec<ScopeLimits<'_>> = Vec::new();
    for limit in &policy.limits {
        let identity = Identity::of(limit);
        let known = scopes.iter().position(|scope| scope.identity == identity);
        let index = known.unwrap_or_else(|| {
            scopes.push(ScopeLimits { identity, variants: vec![Vec::new(); variants] });
            scopes.len() - 1
        });
        for (plan, limits) in scopes[index].variants.iter_mut().enumerate() {
            if limit.plan.is_none_or(|its| its == plan) {
                limits.push(limit);
            }
        }
    }
    let lists = policy.exempt.len() + policy.bypass.len() + policy.block.len();
    let plain = matches!(&scopes[..], [scope] if scope.identity.is_plain())
        && policy.plans.is_empty()
        && policy.usage.is_none()
        && lists == 0;
    (scopes, plain)
}

impl ScopeLimits<'_> {
    /// For each variant the terms of its first limit that may deny.
    pub(super) fn lacking(&self, plans: &[String]) -> Vec<Option<&'static Terms>> {
        let first = |(variant, limits): (usize, &Vec<&Limit>)| {
            let plan = plans.get(variant).map(String::as_str);
            let first = limits.iter().find(|limit| !limit.shadow);
            first.map(|limit| Terms::of(limit, plan).intern())
        };
        self.variants.iter().enumerate().map(first).collect()
    }
}
