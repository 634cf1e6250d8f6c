//! One limit: a bucket, or a cascade of which the first with room pays.

use crate::bucket::{Bucket, Mark, NOMINAL_WAIT, State, first_time_between};
use crate::policy::{Method, Terms};
use crate::{Time, Units};

#[derive(Clone, Debug)]
pub(super) struct Limit {
    pub(super) name: String,
    pub(super) named: bool,
    /// The same from one policy to the next, and from one plan to another, while the limit goes on; no other limit
    /// ever has it.
    pub(super) lineage: usize,
    pub(super) method: Method,
    pub(super) buckets: Vec<Bucket>,
    pub(super) shown: Vec<String>,
    pub(super) terms: Terms,
    /// The period of its first rate.
    pub(super) window: Option<Time>,
}

impl Limit {
    pub(super) fn new(limit: &crate::policy::Limit, lineage: usize) -> Limit {
        let (buckets, shown) = match limit.method {
            Method::Concurrency(permits) => {
                let bucket = match limit.max_hold {
                    Some(max_hold) => Bucket::leases(permits, max_hold),
                    None => Bucket::permits(permits),
                };
                (vec![bucket], vec![limit.name.clone()])
            }
            method => (
                limit.rates.iter().map(|rate| Bucket::new(rate, method)).collect(),
                limit.rates.iter().map(|rate| rate.shown(method)).collect(),
            ),
        };
        let (name, named, method) = (limit.name.clone(), limit.named, limit.method);
        let terms = limit.terms.clone();
        let window = limit.rates.first().map(|rate| rate.period.nanos().into());
        Limit { name, named, lineage, method, buckets, shown, terms, window }
    }

    pub(super) fn same_method(&self, other: &Limit) -> bool {
        crate::policy::word(self.method) == crate::policy::word(other.method)
    }

    pub(super) fn is_concurrency(&self) -> bool {
        matches!(self.method, Method::Concurrency(_))
    }

    /// Quotas after the first, of a cascade.
    pub(super) fn later_quota(&self) -> Units {
        self.buckets.iter().skip(1).map(Bucket::floor).sum()
    }

    pub(super) fn quota(&self, states: &[State], at: Time) -> Units {
        self.each(states).map(|(bucket, state)| bucket.quota(state, at)).sum()
    }

    pub(super) fn capacity(&self, states: &[State], at: Time) -> Units {
        self.each(states).map(|(bucket, state)| bucket.capacity(state, at)).sum()
    }

    pub(super) fn each<'a>(
        &'a self,
        states: &'a [State],
    ) -> impl Iterator<Item = (&'a Bucket, &'a State)> {
        self.buckets.iter().zip(states)
    }

    pub(super) fn room(&self, states: &[State], at: Time) -> Units {
        self.each(states).map(|(bucket, state)| bucket.room(state, at)).sum()
    }

    pub(super) fn passes(&self, states: &[State], at: Time, cost: Units) -> bool {
        match self.method {
            Method::Count if cost == 0 => {
                self.each(states).any(|(bucket, state)| !bucket.in_debt(state, at))
            }
            Method::Count => self.room(states, at) >= cost,
            // A permit is one and a budget is asked for its last unit, whatever the cost.
            Method::Latency | Method::Concurrency(_) => self.room(states, at) > 0,
        }
    }

    pub(super) fn impossible(&self, states: &[State], at: Time, cost: Units) -> bool {
        self.method == Method::Count && cost > self.capacity(states, at)
    }

    /// How long until the request passes; none: never.
    pub(super) fn wait(&self, states: &[State], at: Time, cost: Units) -> Option<Time> {
        if self.impossible(states, at, cost) {
            return None;
        }
        if matches!(states, [State::Permits(_)]) && !self.passes(states, at, cost) {
            return Some(NOMINAL_WAIT);
        }
        let losses = self.losses(states, at);
        let passes = |then| self.passes(states, then, cost);
        let wait = first_time_between(at, &losses, passes).map(|then| then - at);
        // A permit may come back any time, long before it is reclaimed.
        wait.map(|wait| if self.is_concurrency() { wait.min(NOMINAL_WAIT) } else { wait })
    }

    /// The times from now on at which there may be less room than before, if nothing happens.
    pub(super) fn losses(&self, states: &[State], at: Time) -> Vec<Time> {
        let mut losses: Vec<_> =
            self.each(states).flat_map(|(bucket, state)| bucket.losses(state, at)).collect();
        losses.sort_unstable();
        losses
    }

    pub(super) fn full_after(&self, states: &[State], at: Time) -> Option<Time> {
        let mut latest = at;
        for (bucket, state) in self.each(states) {
            latest = latest.max(bucket.full_at(state, at)?);
        }
        let wait = latest - at;
        Some(if self.is_concurrency() { wait.min(NOMINAL_WAIT) } else { wait })
    }

    /// Each bucket in order pays what it has room for. Returns (bucket, units) and the rest.
    pub(super) fn spread(
        &self,
        states: &mut [State],
        at: Time,
        units: Units,
    ) -> (Vec<(usize, Units, Mark)>, Units) {
        let (mut paid, mut left) = (Vec::new(), units);
        for (index, (bucket, state)) in self.buckets.iter().zip(states).enumerate() {
            let part = left.min(bucket.room(state, at));
            if part > 0 {
                bucket.charge(state, at, part);
                paid.push((index, part, bucket.mark(state, at)));
                left -= part;
            }
        }
        (paid, left)
    }

    /// What no bucket has room for is debt of the one that has room first.
    pub(super) fn charge_late(&self, states: &mut [State], at: Time, units: Units) {
        let (_, debt) = self.spread(states, at, units);
        if debt == 0 {
            return;
        }
        let mut first: Option<(usize, Time)> = None;
        for (index, (bucket, state)) in self.each(states).enumerate() {
            let losses = bucket.losses(state, at);
            let when = first_time_between(at, &losses, |then| bucket.room(state, then) >= 1);
            let when = when.unwrap_or(Time::MAX);
            if first.is_none_or(|(_, earliest)| when < earliest) {
                first = Some((index, when));
            }
        }
        let (index, _) = first.expect("a limit has buckets");
        self.buckets[index].charge(&mut states[index], at, debt);
    }

    /// Units in use.
    pub(super) fn used(&self, states: &[State], at: Time) -> Units {
        self.each(states).map(|(bucket, state)| bucket.used(state, at)).sum()
    }

    /// A cascade of counts has later buckets for bursts.
    pub(super) fn has_pool(&self) -> bool {
        self.method == Method::Count && self.buckets.len() > 1
    }

    /// What the later buckets have left.
    pub(super) fn pool(&self, states: &[State], at: Time) -> Units {
        self.each(states).skip(1).map(|(bucket, state)| bucket.room(state, at)).sum()
    }

    /// The limit's states when nothing was used.
    pub(super) fn full(&self) -> Vec<State> {
        self.buckets.iter().map(Bucket::full).collect()
    }

    pub(super) fn refund(&self, states: &mut [State], at: Time, units: Units) {
        let last = self.buckets.len() - 1;
        let paying = self.each(states).position(|(bucket, state)| bucket.room(state, at) > 0);
        let paying = paying.unwrap_or(last);
        let mut order = vec![paying];
        order.extend((0..paying).rev());
        order.extend(paying + 1..=last);
        let mut left = units;
        for index in order {
            left -= self.buckets[index].refund(&mut states[index], at, left, None);
        }
    }
}
