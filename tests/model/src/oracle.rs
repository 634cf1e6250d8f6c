//! The limiter: limits over buckets, one map of keys, and every call with its time.

use std::collections::HashMap;

use crate::bucket::{Bucket, Mark, NOMINAL_WAIT, State, first_time_between};
use crate::policy::{Method, Policy};
use crate::{Time, Units};

/// The answer to a request. Spans are ns; `None` means never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub allowed: bool,
    pub reason: &'static str,
    pub limit: Units,
    pub remaining: Units,
    pub retry_after: Option<Time>,
    pub reset_after: Option<Time>,
    pub name: String,
}

/// One bucket of a key, as a snapshot shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub limit: String,
    pub name: String,
    pub method: &'static str,
    pub quota: Units,
    pub capacity: Units,
    pub used: Units,
    pub remaining: Units,
    pub refresh_after: Option<Time>,
}

/// An estimate that was taken.
#[derive(Clone, Debug)]
pub struct Reservation {
    key: Vec<u8>,
    pub answer: Answer,
    cost: Units,
    paid: Vec<Payment>,
    /// Updates before it.
    updates: usize,
}

#[derive(Clone, Copy, Debug)]
struct Payment {
    lineage: usize,
    bucket: usize,
    units: Units,
    mark: Mark,
}

#[derive(Clone, Debug)]
struct Limit {
    name: String,
    named: bool,
    /// The same from one policy to the next while the limit goes on; no other limit ever has it.
    lineage: usize,
    method: Method,
    buckets: Vec<Bucket>,
    shown: Vec<String>,
}

#[derive(Clone, Debug)]
struct Key {
    blocked_until: Time,
    /// By limit, by bucket.
    states: Vec<Vec<State>>,
}

/// The last time that the engine knows: blocks beyond it end there.
const LAST: Time = (1 << 62) - 1;

/// Limits, and what every key has used of them.
#[derive(Clone, Debug)]
pub struct Oracle {
    limits: Vec<Limit>,
    keys: HashMap<Vec<u8>, Key>,
    /// How many there were so far.
    lineages: usize,
    updates: usize,
}

impl Limit {
    fn new(limit: &crate::policy::Limit, lineage: usize) -> Limit {
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
        Limit { name, named, lineage, method, buckets, shown }
    }

    fn same_method(&self, other: &Limit) -> bool {
        crate::policy::word(self.method) == crate::policy::word(other.method)
    }

    fn is_concurrency(&self) -> bool {
        matches!(self.method, Method::Concurrency(_))
    }

    fn quota(&self, states: &[State], at: Time) -> Units {
        self.each(states).map(|(bucket, state)| bucket.quota(state, at)).sum()
    }

    fn capacity(&self, states: &[State], at: Time) -> Units {
        self.each(states).map(|(bucket, state)| bucket.capacity(state, at)).sum()
    }

    fn each<'a>(&'a self, states: &'a [State]) -> impl Iterator<Item = (&'a Bucket, &'a State)> {
        self.buckets.iter().zip(states)
    }

    fn room(&self, states: &[State], at: Time) -> Units {
        self.each(states).map(|(bucket, state)| bucket.room(state, at)).sum()
    }

    fn passes(&self, states: &[State], at: Time, cost: Units) -> bool {
        match self.method {
            Method::Count if cost == 0 => {
                self.each(states).any(|(bucket, state)| !bucket.in_debt(state, at))
            }
            Method::Count => self.room(states, at) >= cost,
            // A permit is one and a budget is asked for its last unit, whatever the cost.
            Method::Latency | Method::Concurrency(_) => self.room(states, at) > 0,
        }
    }

    fn impossible(&self, states: &[State], at: Time, cost: Units) -> bool {
        self.method == Method::Count && cost > self.capacity(states, at)
    }

    /// How long until the request passes; none: never.
    fn wait(&self, states: &[State], at: Time, cost: Units) -> Option<Time> {
        if self.impossible(states, at, cost) {
            return None;
        }
        if matches!(states, [State::Permits(_)]) && !self.passes(states, at, cost) {
            return Some(NOMINAL_WAIT);
        }
        let mut losses: Vec<_> =
            self.each(states).flat_map(|(bucket, state)| bucket.losses(state, at)).collect();
        losses.sort_unstable();
        let passes = |then| self.passes(states, then, cost);
        first_time_between(at, &losses, passes).map(|then| then - at)
    }

    fn full_after(&self, states: &[State], at: Time) -> Option<Time> {
        let mut latest = at;
        for (bucket, state) in self.each(states) {
            latest = latest.max(bucket.full_at(state, at)?);
        }
        Some(latest - at)
    }

    /// Each bucket in order pays what it has room for. Returns (bucket, units) and the rest.
    fn spread(
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
    fn charge_late(&self, states: &mut [State], at: Time, units: Units) {
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

    fn refund(&self, states: &mut [State], at: Time, units: Units) {
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

impl Oracle {
    pub fn new(policy: &Policy) -> Oracle {
        let mut oracle =
            Oracle { limits: Vec::new(), keys: HashMap::new(), lineages: 0, updates: 0 };
        oracle.limits = oracle.planned(policy);
        oracle
    }

    /// Limits of lineages that there never were.
    fn planned(&mut self, policy: &Policy) -> Vec<Limit> {
        let first = self.lineages;
        self.lineages += policy.limits.len();
        policy
            .limits
            .iter()
            .zip(first..)
            .map(|(limit, lineage)| Limit::new(limit, lineage))
            .collect()
    }

    fn key(&self, key: &[u8]) -> Key {
        let full = |limit: &Limit| limit.buckets.iter().map(Bucket::full).collect();
        let fresh = || Key { blocked_until: 0, states: self.limits.iter().map(full).collect() };
        self.keys.get(key).cloned().unwrap_or_else(fresh)
    }

    fn change(&mut self, key: &[u8], change: impl FnOnce(&[Limit], &mut Key)) {
        let mut state = self.key(key);
        change(&self.limits, &mut state);
        self.keys.insert(key.to_owned(), state);
    }

    fn decide(&self, key: &mut Key, at: Time, cost: Units) -> (Answer, Vec<Payment>) {
        if at < key.blocked_until {
            let left = Some(key.blocked_until - at);
            let answer = Answer {
                allowed: false,
                reason: "blocked",
                limit: 0,
                remaining: 0,
                retry_after: left,
                reset_after: left,
                name: String::new(),
            };
            return (answer, Vec::new());
        }
        let denied = self
            .limits
            .iter()
            .zip(&key.states)
            .any(|(limit, states)| !limit.passes(states, at, cost));
        if denied {
            return (self.denial(key, at, cost), Vec::new());
        }
        let paid = self.pay(key, at, cost);
        (self.tightest(key, at), paid)
    }

    fn denial(&self, key: &Key, at: Time, cost: Units) -> Answer {
        let mut longest: Option<(usize, Option<Time>)> = None;
        for (index, (limit, states)) in self.limits.iter().zip(&key.states).enumerate() {
            if limit.passes(states, at, cost) {
                continue;
            }
            let wait = limit.wait(states, at, cost);
            // Never is longer than any wait.
            let longer = match (wait, longest) {
                (_, None) => true,
                (None, Some((_, known))) => known.is_some(),
                (Some(wait), Some((_, known))) => known.is_some_and(|known| wait > known),
            };
            if longer {
                longest = Some((index, wait));
            }
        }
        let (index, wait) = longest.expect("asked only when a limit denies");
        let (limit, states) = (&self.limits[index], &key.states[index]);
        let reset_after = if limit.is_concurrency() { wait } else { limit.full_after(states, at) };
        Answer {
            allowed: false,
            reason: if wait.is_none() { "impossible" } else { "limited" },
            limit: limit.quota(states, at),
            remaining: limit.room(states, at),
            retry_after: wait,
            reset_after,
            name: limit.name.clone(),
        }
    }

    fn pay(&self, key: &mut Key, at: Time, cost: Units) -> Vec<Payment> {
        let mut payments = Vec::new();
        for (limit, states) in self.limits.iter().zip(&mut key.states) {
            match limit.method {
                Method::Latency => {}
                Method::Concurrency(_) => limit.buckets[0].charge(&mut states[0], at, 1),
                Method::Count => {
                    let (paid, _) = limit.spread(states, at, cost);
                    payments.extend(paid.into_iter().map(|(bucket, units, mark)| Payment {
                        lineage: limit.lineage,
                        bucket,
                        units,
                        mark,
                    }));
                }
            }
        }
        payments
    }

    fn tightest(&self, key: &Key, at: Time) -> Answer {
        let mut tightest: Option<(usize, Units)> = None;
        for (index, (limit, states)) in self.limits.iter().zip(&key.states).enumerate() {
            let room = limit.room(states, at);
            let tighter = tightest.is_none_or(|(other, least)| {
                let other_capacity = self.limits[other].capacity(&key.states[other], at);
                room * other_capacity < least * limit.capacity(states, at)
            });
            if tighter {
                tightest = Some((index, room));
            }
        }
        let (index, remaining) = tightest.expect("a policy has limits");
        let (limit, states) = (&self.limits[index], &key.states[index]);
        Answer {
            allowed: true,
            reason: "ok",
            limit: limit.quota(states, at),
            remaining,
            retry_after: Some(0),
            reset_after: limit.full_after(states, at),
            name: limit.name.clone(),
        }
    }

    pub fn acquire(&mut self, key: &[u8], cost: u64, at: Time) -> Answer {
        self.reserve(key, cost, at).answer
    }

    pub fn acquire_many(&mut self, keys: &[impl AsRef<[u8]>], cost: u64, at: Time) -> Vec<Answer> {
        keys.iter().map(|key| self.acquire(key.as_ref(), cost, at)).collect()
    }

    pub fn peek(&self, key: &[u8], cost: u64, at: Time) -> Answer {
        self.decide(&mut self.key(key), at, cost.into()).0
    }

    pub fn reserve(&mut self, key: &[u8], cost: u64, at: Time) -> Reservation {
        let mut state = self.key(key);
        let (answer, paid) = self.decide(&mut state, at, cost.into());
        if answer.allowed {
            self.keys.insert(key.to_owned(), state);
        }
        let (key, cost, updates) = (key.to_owned(), cost.into(), self.updates);
        Reservation { key, answer, cost, paid, updates }
    }

    pub fn settle(&mut self, reservation: &Reservation, actual: u64, at: Time) {
        if !reservation.answer.allowed {
            return;
        }
        let difference = Units::from(actual) - reservation.cost;
        if difference > 0 {
            self.charge_late(&reservation.key, at, Method::Count, difference);
            return;
        }
        let updated = self.updates > reservation.updates;
        self.change(&reservation.key, |limits, key| {
            for (limit, states) in limits.iter().zip(&mut key.states) {
                let mut left = -difference;
                let payments = reservation.paid.iter().rev();
                for payment in payments.filter(|payment| payment.lineage == limit.lineage) {
                    let part = left.min(payment.units);
                    left -= part;
                    // What a bucket had paid that is no more is gone.
                    if let Some(bucket) = limit.buckets.get(payment.bucket) {
                        // The windows of two policies are not compared.
                        let mark = if updated { None } else { Some(payment.mark) };
                        bucket.refund(&mut states[payment.bucket], at, part, mark);
                    }
                }
            }
        });
    }

    pub fn cancel(&mut self, reservation: &Reservation, at: Time) {
        if reservation.answer.allowed {
            self.settle(reservation, 0, at);
            self.release(&reservation.key, at);
        }
    }

    fn charge_late(&mut self, key: &[u8], at: Time, method: Method, units: Units) {
        self.change(key, |limits, key| {
            for (limit, states) in limits.iter().zip(&mut key.states) {
                if limit.method == method {
                    limit.charge_late(states, at, units);
                }
            }
        });
    }

    pub fn record_latency(&mut self, key: &[u8], latency: u64, at: Time) {
        self.charge_late(key, at, Method::Latency, latency.into());
    }

    pub fn penalize(&mut self, key: &[u8], units: u64, at: Time) {
        self.charge_late(key, at, Method::Count, units.into());
    }

    pub fn refund(&mut self, key: &[u8], units: u64, at: Time) {
        self.change(key, |limits, key| {
            for (limit, states) in limits.iter().zip(&mut key.states) {
                if limit.method == Method::Count {
                    limit.refund(states, at, units.into());
                }
            }
        });
    }

    pub fn release(&mut self, key: &[u8], at: Time) {
        self.change(key, |limits, key| {
            for (limit, states) in limits.iter().zip(&mut key.states) {
                if limit.is_concurrency() {
                    limit.buckets[0].refund(&mut states[0], at, 1, None);
                }
            }
        });
    }

    pub fn reset(&mut self, key: &[u8]) {
        self.change(key, |limits, key| {
            key.blocked_until = 0;
            for (limit, states) in limits.iter().zip(&mut key.states) {
                if !limit.is_concurrency() {
                    *states = limit.buckets.iter().map(Bucket::full).collect();
                }
            }
        });
    }

    pub fn block(&mut self, key: &[u8], duration: u64, at: Time) {
        let until = if duration == 0 { 0 } else { (at + Time::from(duration)).min(LAST) };
        self.change(key, |_, key| key.blocked_until = until);
    }

    /// How long the key stays blocked, and its buckets.
    pub fn snapshot(&self, key: &[u8], at: Time) -> (Time, Vec<Shown>) {
        let key = self.key(key);
        let mut shown = Vec::new();
        for (limit, states) in self.limits.iter().zip(&key.states) {
            for ((bucket, state), name) in limit.each(states).zip(&limit.shown) {
                shown.push(Shown {
                    limit: limit.name.clone(),
                    name: name.clone(),
                    method: crate::policy::word(limit.method),
                    quota: bucket.quota(state, at),
                    capacity: bucket.capacity(state, at),
                    used: bucket.used(state, at),
                    remaining: bucket.room(state, at),
                    refresh_after: bucket.full_at(state, at).map(|full| full - at),
                });
            }
        }
        ((key.blocked_until - at).max(0), shown)
    }

    /// Limits go on, their buckets by position; all else starts full.
    pub fn update(&mut self, policy: &Policy, at: Time) {
        self.updates += 1;
        let mut limits = self.planned(policy);
        let before = continued(&self.limits, &limits);
        let old = std::mem::take(&mut self.limits);
        for (limit, before) in limits.iter_mut().zip(&before) {
            limit.lineage = before.map_or(limit.lineage, |index| old[index].lineage);
        }
        for key in self.keys.values_mut() {
            let carried = |(limit, before): (&Limit, &Option<usize>)| {
                let mut states: Vec<_> = limit.buckets.iter().map(Bucket::full).collect();
                if let Some(index) = *before {
                    let earlier = old[index].each(&key.states[index]);
                    for ((bucket, state), (was, words)) in
                        limit.buckets.iter().zip(&mut states).zip(earlier)
                    {
                        *state = bucket.carry(was, words, at);
                    }
                }
                states
            };
            key.states = limits.iter().zip(&before).map(carried).collect();
        }
        self.limits = limits;
    }
}

/// For each new limit the old one that it goes on from: of the same method and name, or, where
/// neither policy gave a name, the first that is left.
fn continued(old: &[Limit], new: &[Limit]) -> Vec<Option<usize>> {
    let mut before: Vec<_> = new
        .iter()
        .map(|limit| old.iter().position(|old| old.same_method(limit) && old.name == limit.name))
        .collect();
    for (index, limit) in new.iter().enumerate() {
        if before[index].is_none() && !limit.named {
            before[index] = (0..old.len()).find(|&candidate| {
                let (other, taken) = (&old[candidate], before.contains(&Some(candidate)));
                !taken && !other.named && other.same_method(limit)
            });
        }
    }
    before
}
