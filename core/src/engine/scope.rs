//! A scope: its plans, one for each variant, and the table of its keys.
//!
//! All variants (the plans of a policy) have one layout: each bucket has a place of its own in a record (see
//! `plan/layout`). A request finds the places of its variant under its rates, or takes them over first, as an update would,
//! and leaves them so, admitted or denied. Places that its variant has not stay as they are.

use std::sync::Arc;

use super::Change;
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::names::Name;
use crate::plan::{Ancestry, Inheritance, Layout, Plan};
use crate::rules::{Identity, ScopeLimits};
use crate::store::{self, Inserted, Judge, MAX_WORDS, OnPressure, Table};
use crate::sync::AtomicPtr;

pub(crate) struct Scope {
    /// That of variant 0. Of a policy about keys alone, the only one.
    pub(crate) plan: Plan,
    /// Those of the other variants.
    others: Vec<Plan>,
    /// For each variant, what a request is to know first.
    stands: Vec<Stand>,
    layout: Arc<Layout>,
    pub(crate) table: Table,
    identity: Identity,
    /// The scope that this one takes over from; null once it has.
    pub(super) previous: AtomicPtr<Scope>,
    /// The time at which it takes over.
    pub(super) since: Moment,
    /// The number of the old engine's scope that it takes over from.
    pub(super) follows: Option<usize>,
    /// How its records go on here.
    inheritance: Option<Inheritance>,
}

/// How a record under a variant is known, where its first word tells.
struct Stand {
    has_limits: bool,
    /// The bits that matter, and what they are when there is nothing to take over; `None`: it takes more words to tell.
    first: Option<(u64, u64)>,
}

/// What all scopes of an engine have in common.
pub(super) struct Frame<'a> {
    /// The policy's plans: names of the variants.
    pub(super) plans: &'a [String],
    pub(super) max_keys: u64,
    /// Is a key all that a request needs?
    pub(super) plain: bool,
    pub(super) since: Moment,
}

/// A change under a certain plan.
pub(super) struct ByPlan<'a, C> {
    pub(super) plan: &'a Plan,
    pub(super) change: &'a mut C,
}

impl<C: Change> store::Change for ByPlan<'_, C> {
    #[inline(always)]
    fn make(&mut self, words: &mut [u64]) {
        self.change.make(self.plan, words);
    }
}

/// What a scope says of words at one moment.
pub(super) struct At<'a> {
    pub(super) scope: &'a Scope,
    /// The scope that this one is taking over from.
    pub(super) previous: Option<&'a Scope>,
    pub(super) at: Moment,
}

/// Nanoseconds. A busy key of a fast rate is full again between any two of its requests; making a record for each of
/// them anew would cost more than the record.
const REST: u64 = 1_000_000_000;

impl Judge for At<'_> {
    fn full_after(&self, words: &[u64]) -> u64 {
        self.scope.full_after(words, self.at)
    }

    fn is_rested(&self, words: &[u64]) -> bool {
        self.scope.full_after(words, self.at.before(REST)) == 0
    }

    fn is_held(&self, words: &[u64]) -> bool {
        match self.scope.is_single() {
            true => self.scope.plan.is_held(words, self.at),
            false => self.scope.layout.is_held(words, self.at),
        }
    }

    fn merge(&self, into: &mut [u64], from: &[u64]) {
        self.scope.merge(into, from, self.at);
    }

    fn complete(&self, set: usize) {
        let Some(old) = self.previous else { return };
        let Scope { table, since, .. } = self.scope;
        table.complete(set, &old.table, |before, words| {
            self.scope.carry(old, before, words, *since);
        });
    }
}

impl Scope {
    /// # Errors
    /// When the limits need more words than a record has, or there is no memory.
    pub(super) fn new(
        limits: &ScopeLimits<'_>,
        frame: &Frame<'_>,
        before: Option<(&Scope, usize)>,
        ancestry: &mut Ancestry<'_>,
    ) -> Result<Scope> {
        let follows = before.map(|(_, number)| number);
        let before = before.map(|(before, _)| before);
        let Frame { plans, max_keys, plain, since } = *frame;
        let name =
            |variant: usize| plans.get(variant).map_or(Name::EMPTY, |name| Name::intern(name));
        let names: Vec<Name> = (0..limits.variants.len()).map(name).collect();
        let lineages = ancestry.lineages(&limits.variants, &names);
        let layout = Arc::new(Layout::new(&limits.variants, &lineages, ancestry.number));
        let variants = limits.variants.iter().zip(&lineages).zip(&names).enumerate();
        let mut made = variants.map(|(variant, ((limits, lineages), name))| {
            Plan::new(limits, lineages, *name, (&layout, variant))
        });
        let plan = made.next().unwrap_or_else(|| Plan::new(&[], &[], Name::EMPTY, (&layout, 0)));
        let others: Vec<Plan> = made.collect();
        let stands = std::iter::once(&plan).chain(&others).enumerate();
        let stands = stands.map(|(variant, plan)| Stand {
            has_limits: !plan.limits.is_empty(),
            first: layout.first_stamp(variant),
        });
        let stands = stands.collect();
        // A record that is locked together with others has a header, and so two words.
        let words = if plain { plan.words() } else { plan.words().max(2) };
        if words > MAX_WORDS {
            let beyond = layout.beyond(MAX_WORDS);
            let mut all = limits.variants.iter().flatten().zip(lineages.iter().flatten());
            let limit = all.find(|(_, lineage)| Some(**lineage) == beyond);
            let name = limit.map_or("", |(limit, _)| limit.name.as_str());
            return Err(Error::policy(
                "limit",
                None,
                format!(
                    "there is no room for limit {name:?}: with all others that count by {} it needs {words} words of state a key, a record has {MAX_WORDS}",
                    limits.identity.counted_by()
                ),
                "use fewer limits, or smaller quotas in windows, and the same name for a limit that several plans have",
            ));
        }
        let table = Table::new(words, max_keys).ok_or_else(|| {
            Error::argument(
                "max_keys",
                format!("there is no memory for {max_keys} keys"),
                "give a smaller number",
            )
        })?;
        let inheritance = before.map(|before| {
            let heir = |old: &Plan| names.iter().position(|name| *name == old.name);
            let same: Vec<_> = before.plans().map(heir).collect();
            Inheritance::new(&before.layout, &layout, &same)
        });
        Ok(Scope {
            plan,
            others,
            stands,
            layout,
            table,
            identity: limits.identity.clone(),
            previous: AtomicPtr::new(std::ptr::null_mut()),
            since,
            follows,
            inheritance,
        })
    }

    pub(super) fn is(&self, identity: &Identity) -> bool {
        self.identity == *identity
    }

    /// How many limits may go on in these, which count by the same?
    pub(super) fn in_common(&self, limits: &ScopeLimits<'_>) -> usize {
        if !self.identity.counts_as(&limits.identity) {
            return 0;
        }
        let new = limits.variants.iter().flatten();
        new.filter(|limit| self.plans().any(|plan| plan.has(limit))).count()
    }

    /// The plans of all variants.
    pub(super) fn plans(&self) -> impl Iterator<Item = &Plan> {
        std::iter::once(&self.plan).chain(&self.others)
    }

    /// The plan of a variant.
    #[inline]
    pub(super) fn variant(&self, number: usize) -> &Plan {
        match number {
            0 => &self.plan,
            // A variant that is none has no limits in any scope; records come from variants that are there.
            number => self.others.get(number - 1).unwrap_or(&self.plan),
        }
    }

    /// The plan, where it is one alone.
    #[inline]
    pub(super) fn only_plan(&self) -> Option<&Plan> {
        self.is_single().then_some(&self.plan)
    }

    /// Is there one plan alone?
    #[inline]
    fn is_single(&self) -> bool {
        self.others.is_empty()
    }

    /// Words of a record that are no use of anything: the first ones.
    pub(super) fn stamps(&self) -> usize {
        self.layout.stamps()
    }

    fn full_after(&self, words: &[u64], at: Moment) -> u64 {
        match self.is_single() {
            true => self.plan.full_after(words, at),
            false => self.layout.full_after(words, at),
        }
    }

    /// Has a variant limits here?
    #[inline]
    pub(super) fn has_limits(&self, variant: usize) -> bool {
        // A variant that is none has the limits of the first one: see `variant`.
        self.stands.get(variant).unwrap_or(&self.stands[0]).has_limits
    }

    /// Converts a copy of a record to a variant (`None`, or one without limits here: that of the last request), and
    /// returns the plan, whether it is the variant's own, and whether the record was under another one.
    #[inline(always)]
    pub(super) fn under(
        &self,
        variant: Option<usize>,
        words: &mut [u64],
        at: Moment,
    ) -> (&Plan, bool, bool) {
        if let Some(variant) = variant
            && let Some(Stand { has_limits: true, first: Some((mask, expected)) }) =
                self.stands.get(variant)
            && words[0] & mask == *expected
        {
            return (self.variant(variant), true, false);
        }
        let (plan, turns) = self.bring_under(variant, words, at);
        (plan, variant.is_some_and(|variant| self.has_limits(variant)), turns)
    }

    #[inline(never)]
    fn bring_under(&self, variant: Option<usize>, words: &mut [u64], at: Moment) -> (&Plan, bool) {
        if self.is_single() {
            return (&self.plan, false);
        }
        let variant = variant.filter(|&variant| self.has_limits(variant));
        let variant = variant.unwrap_or_else(|| self.layout.variant(words));
        let turns = !self.layout.is_under(variant, words);
        if turns {
            self.layout.convert(variant, words, at);
        }
        (self.variant(variant), turns)
    }

    /// Fills `words` (zeros) with the use that `before` holds in an older scope.
    fn carry(&self, old: &Scope, before: &[u64], words: &mut [u64], at: Moment) {
        if let Some(inheritance) = &self.inheritance {
            inheritance.carry([&old.layout, &self.layout], before, words, at);
        }
    }

    /// Makes `into` the larger use of the two.
    fn merge(&self, into: &mut [u64], from: &[u64], at: Moment) {
        match self.is_single() {
            true => self.plan.merge(into, from, at),
            false => self.layout.merge(into, from, at),
        }
    }

    pub(super) fn insert(
        &self,
        previous: Option<&Scope>,
        tag: u64,
        at: Moment,
        pressure: OnPressure,
        change: impl FnMut(&mut [u64]),
    ) -> Inserted {
        let judge = At { scope: self, previous, at };
        self.table.insert(tag, &judge, pressure, change)
    }

    /// Gives a key the record that it begins with, also if that is what it inherits, or nothing.
    pub(super) fn insert_begun(
        &self,
        previous: Option<&Scope>,
        tag: u64,
        at: Moment,
        pressure: OnPressure,
    ) -> Inserted {
        let judge = At { scope: self, previous, at };
        self.table.insert_if(tag, &judge, pressure, |_| true)
    }

    /// Carries over all that `old` still has.
    pub(super) fn take_over(&self, old: &Scope) {
        let judge = At { scope: self, previous: Some(old), at: self.since };
        self.table.complete_all(&old.table, &judge);
    }
}
