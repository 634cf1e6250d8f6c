//! A scope: its plans, one for each variant, and the table of its keys.
//!
//! Where there are variants (the plans of a policy), the first word of a record says under which one the others
//! are: its number + 1; 0: the record is new. A request of another variant reads them converted, as an update of the
//! policy would convert them, and leaves them so when it is admitted.

use super::Change;
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::plan::{Ancestry, Plan};
use crate::rules::{Identity, ScopeLimits};
use crate::store::{self, Inserted, Judge, MAX_WORDS, OnPressure, Table};
use crate::sync::AtomicPtr;

pub(crate) struct Scope {
    /// That of variant 0. Of a policy about keys alone, the only one.
    pub(crate) plan: Plan,
    /// Those of the other variants.
    others: Vec<Plan>,
    /// Does the first word of a record say its variant?
    stamped: bool,
    pub(crate) table: Table,
    identity: Identity,
    /// The scope that this one takes over from; null once it has.
    pub(super) previous: AtomicPtr<Scope>,
    /// The time at which it takes over.
    pub(super) since: Moment,
    /// The number of the old engine's scope that it takes over from.
    pub(super) follows: Option<usize>,
    /// What the variants of the previous scope are called here.
    heirs: Vec<usize>,
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
        let (plan, words) = self.scope.view(words);
        plan.full_after(words, self.at)
    }

    fn is_rested(&self, words: &[u64]) -> bool {
        let (plan, words) = self.scope.view(words);
        plan.full_after(words, self.at.before(REST)) == 0
    }

    fn is_held(&self, words: &[u64]) -> bool {
        let (plan, words) = self.scope.view(words);
        plan.is_held(words, self.at)
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
        let mut made: Vec<Plan> = Vec::new();
        for (variant, limits) in limits.variants.iter().enumerate() {
            let name = plans.get(variant).map(String::as_str);
            made.push(Plan::new(limits, name, &made, ancestry));
        }
        // A record that is locked together with others has a header, and so two words.
        let own = usize::from(!plain);
        let words = own + made.iter().map(|plan| plan.words).max().unwrap_or(0);
        let words = if plain { words } else { words.max(2) };
        if words > MAX_WORDS {
            return Err(Error::policy(
                "limit",
                None,
                format!("the limits need {words} words of state a key, a record has {MAX_WORDS}"),
                "use fewer limits, or smaller quotas in windows",
            ));
        }
        let table = Table::new(words, max_keys).ok_or_else(|| {
            Error::argument(
                "max_keys",
                format!("there is no memory for {max_keys} keys"),
                "give a smaller number",
            )
        })?;
        let heirs = before.map_or_else(Vec::new, |before| heirs(before, &made));
        let mut made = made.into_iter();
        let plan = made.next().unwrap_or_else(|| Plan::new(&[], None, &[], ancestry));
        Ok(Scope {
            plan,
            others: made.collect(),
            stamped: !plain,
            table,
            identity: limits.identity.clone(),
            previous: AtomicPtr::new(std::ptr::null_mut()),
            since,
            follows,
            heirs,
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

    /// The number of the variant that a record is under; `None`: it is new, or there are none.
    fn stamp(&self, words: &[u64]) -> Option<usize> {
        if self.stamped { usize::try_from(words[0]).ok()?.checked_sub(1) } else { None }
    }

    /// A record's plan, and the words under it.
    #[inline]
    pub(super) fn view<'w>(&self, words: &'w [u64]) -> (&Plan, &'w [u64]) {
        if !self.stamped {
            return (&self.plan, words);
        }
        (self.variant(self.stamp(words).unwrap_or(0)), &words[1..])
    }

    /// Has a variant limits here?
    #[inline]
    pub(super) fn has_limits(&self, variant: usize) -> bool {
        !self.variant(variant).limits.is_empty()
    }

    /// Converts a copy of a record to a variant (`None`, or one without limits here: that it is under), and returns the
    /// words under its plan.
    pub(super) fn under<'w>(
        &self,
        variant: Option<usize>,
        words: &'w mut [u64],
        at: Moment,
    ) -> (&Plan, &'w mut [u64]) {
        if !self.stamped {
            return (&self.plan, words);
        }
        let stamp = self.stamp(words);
        let variant = variant.filter(|&variant| self.has_limits(variant)).or(stamp).unwrap_or(0);
        let plan = self.variant(variant);
        if stamp.is_some_and(|stamp| stamp != variant) {
            let mut before = [0; MAX_WORDS];
            before[..words.len()].copy_from_slice(words);
            words.fill(0);
            self.carry_from(self.view(&before[..words.len()]), variant, words, at);
        }
        words[0] = variant as u64 + 1;
        (plan, &mut words[1..])
    }

    /// Fills `words` (zeros) with what a record says that was under another plan.
    fn carry_from(&self, from: (&Plan, &[u64]), variant: usize, words: &mut [u64], at: Moment) {
        let (old, before) = from;
        if !self.stamped {
            return self.plan.carry(old, before, words, at);
        }
        self.variant(variant).carry(old, before, &mut words[1..], at);
        if words[1..].iter().any(|&word| word != 0) {
            words[0] = variant as u64 + 1;
        }
    }

    /// Fills `words` (zeros) with the use that `before` holds in an older scope.
    fn carry(&self, old: &Scope, before: &[u64], words: &mut [u64], at: Moment) {
        let variant = self.heirs.get(old.stamp(before).unwrap_or(0)).copied().unwrap_or(0);
        self.carry_from(old.view(before), variant, words, at);
    }

    /// Makes `into` the larger use of the two.
    fn merge(&self, into: &mut [u64], from: &[u64], at: Moment) {
        if !self.stamped {
            return self.plan.merge(into, from, at);
        }
        let Some(theirs) = self.stamp(from) else { return };
        let Some(ours) = self.stamp(into) else {
            return into.copy_from_slice(from);
        };
        if theirs != ours && self.holds_more(theirs, ours) {
            // The record that dominates both is one that can.
            let mut wider = [0; MAX_WORDS];
            let wider = &mut wider[..from.len()];
            wider.copy_from_slice(from);
            self.merge(wider, into, at);
            return into.copy_from_slice(wider);
        }
        let mut converted = [0; MAX_WORDS];
        let converted = &mut converted[..from.len()];
        if theirs == ours {
            converted.copy_from_slice(from);
        } else {
            self.carry_from(self.view(from), ours, converted, at);
        }
        self.variant(ours).merge(&mut into[1..], &converted[1..], at);
    }

    /// Is less forgotten when records of the other variant are converted to this one than the other way?
    fn holds_more(&self, variant: usize, other: usize) -> bool {
        let [plan, other] = [variant, other].map(|number| self.variant(number));
        let holds = |plan: &Plan, other: &Plan| (plan.limits.len(), plan.holds_of(other));
        holds(plan, other) > holds(other, plan)
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

    /// Gives a key the record that it begins with, also if that is what it inherits and nothing else.
    pub(super) fn insert_begun(
        &self,
        previous: Option<&Scope>,
        tag: u64,
        at: Moment,
        pressure: OnPressure,
        mut begin: impl FnMut(&mut [u64]),
    ) -> Inserted {
        let judge = At { scope: self, previous, at };
        self.table.insert_if(tag, &judge, pressure, |words| {
            begin(words);
            true
        })
    }

    /// Carries over all that `old` still has.
    pub(super) fn take_over(&self, old: &Scope) {
        let judge = At { scope: self, previous: Some(old), at: self.since };
        self.table.complete_all(&old.table, &judge);
    }
}

/// For each variant of `before` the one of the same plan; else the one whose limits hold most of what it may hold, so that
/// as little as can be is forgotten.
fn heirs(before: &Scope, plans: &[Plan]) -> Vec<usize> {
    let heir = |old: &Plan| {
        let same = plans.iter().position(|plan| plan.name == old.name);
        // The first of equals.
        let widest = || (0..plans.len()).rev().max_by_key(|&plan| plans[plan].holds_of(old));
        same.or_else(widest).unwrap_or(0)
    };
    before.plans().map(heir).collect()
}
