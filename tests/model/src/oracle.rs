//! The limiter: limits over buckets, records of keys, and every call with its time.

mod decide;
mod limit;
mod scopes;
mod usage;

use std::collections::HashMap;

use crate::bucket::{Mark, State};
use crate::policy::{Method, Policy, Terms};
use crate::request::{Request, Subject, address, known_by};
use crate::{Time, Units};
use limit::Limit;
use scopes::{Comes, Identity, Insists, Part, Record, Scope, go_on, predecessors, scopes};

pub use scopes::Refused;
pub use usage::{Report, ReportedLimit};

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
    /// The request's plan, where a limit answers.
    pub plan: Option<String>,
    pub burst_remaining: Option<Units>,
    pub shadow: Option<String>,
    pub message: Option<String>,
    pub closes: bool,
    pub method: Method,
    /// Of the limit's first bucket.
    pub window: Option<Time>,
    /// Quotas after the first, of a cascade.
    pub later_quota: Units,
    pub made_at: Time,
}

impl Answer {
    /// What no limit says.
    fn without_limit(reason: &'static str, name: &str, wait: Option<Time>, at: Time) -> Answer {
        Answer {
            allowed: reason == "ok" || reason == "bypass",
            reason,
            limit: 0,
            remaining: 0,
            retry_after: wait,
            reset_after: Some(0),
            name: name.to_owned(),
            plan: None,
            burst_remaining: None,
            shadow: None,
            message: None,
            closes: false,
            method: Method::Count,
            window: None,
            later_quota: 0,
            made_at: at,
        }
    }

    /// A denial says what its limit has to say.
    fn under(self, terms: &Terms) -> Answer {
        let message = terms.message.clone().filter(|_| !self.allowed);
        Answer { message, closes: terms.close && !self.allowed, ..self }
    }
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

/// Use has passed a threshold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    pub limit: String,
    pub plan: Option<String>,
    pub threshold_permille: u64,
    pub used: Units,
    pub capacity: Units,
}

/// An estimate that was taken.
#[derive(Clone, Debug)]
pub struct Reservation {
    subject: Request,
    pub answer: Answer,
    cost: Units,
    paid: Vec<Payment>,
    /// Updates before it.
    updates: usize,
    /// Where its use was counted.
    counted: Option<usage::Counted>,
}

#[derive(Clone, Debug)]
struct Payment {
    lineage: usize,
    /// Of the record that paid.
    key: Vec<Vec<u8>>,
    bucket: usize,
    units: Units,
    mark: Mark,
    /// Under which plan.
    plan: usize,
}

/// Plans that a value was assigned.
#[derive(Clone, Debug, Default)]
struct Assigned {
    for_good: Option<String>,
    for_a_time: Option<(String, Time)>,
}

impl Assigned {
    fn plan(&self, at: Time) -> Option<&String> {
        match &self.for_a_time {
            Some((plan, until)) if at < *until => Some(plan),
            _ => self.for_good.as_ref(),
        }
    }
}

/// Is a block of one of the request's attributes?
fn is_of((name, known, bits, _): &(String, Vec<u8>, u32, Time), request: &Request) -> bool {
    request.key_part(name, *bits).is_some_and(|part| part == *known)
}

/// The last time that the engine knows: blocks beyond it end there.
const LAST: Time = (1 << 62) - 1;

/// Limits, and what every key has used of them.
#[derive(Clone, Debug)]
pub struct Oracle {
    policy: Policy,
    scopes: Vec<Scope>,
    records: HashMap<(Identity, Vec<Vec<u8>>), Record>,
    /// What the operator blocks: attribute, by what its value is known under which `ipv6_prefix`, until when.
    blocks: Vec<(String, Vec<u8>, u32, Time)>,
    /// By what a value is known; as that of a client with an address, or of anything else.
    assignments: HashMap<(bool, Vec<u8>), Assigned>,
    /// By value of `plan_by`.
    used: HashMap<Vec<u8>, Vec<usage::Use>>,
    /// How often all of that was forgotten.
    forgotten: usize,
    alerts: Vec<Alert>,
    /// How many there were so far.
    lineages: usize,
    updates: usize,
}

impl Oracle {
    pub fn new(policy: &Policy) -> Oracle {
        let mut oracle = Oracle {
            policy: policy.clone(),
            scopes: Vec::new(),
            records: HashMap::new(),
            blocks: Vec::new(),
            assignments: HashMap::new(),
            used: HashMap::new(),
            forgotten: 0,
            alerts: Vec::new(),
            lineages: 0,
            updates: 0,
        };
        oracle.scopes = oracle.planned(policy, &[]);
        oracle
    }

    /// Limits of a policy; those that go on from `old` have their lineage, all others one that there never was.
    fn planned(&mut self, policy: &Policy, old: &[Scope]) -> Vec<Scope> {
        let mut scopes = scopes(policy, &mut self.lineages);
        let follows = predecessors(&scopes, old);
        for (scope, follows) in scopes.iter_mut().zip(follows) {
            let before = follows.map(|number| &old[number]);
            go_on(scope, &policy.plans, before, &self.policy.plans);
        }
        scopes
    }

    // --- decisions -----------------------------------------------------------------------------

    /// How long an attribute is blocked yet.
    fn blocked_for(&self, request: &Request, at: Time) -> Time {
        let blocks = self.blocks.iter().filter(|block| is_of(block, request));
        blocks.map(|(.., until)| (until - at).max(0)).max().unwrap_or(0)
    }

    /// Decides; what it noted on the way is not kept yet.
    fn decision(
        &self,
        request: &Request,
        at: Time,
        cost: Units,
    ) -> Result<decide::Decided, Refused> {
        let left = self.blocked_for(request, at);
        if left > 0 {
            let blocked = Answer::without_limit("blocked", "", Some(left), at);
            return Ok(decide::Decided::alone(Answer { reset_after: Some(left), ..blocked }));
        }
        match self.comes(request, at, Insists::Yes)? {
            Comes::Decided(answer) => Ok(decide::Decided::alone(*answer)),
            Comes::To(parts) => Ok(self.decide(parts, at, cost)),
        }
    }

    pub fn try_reserve(
        &mut self,
        subject: impl Subject,
        cost: u64,
        at: Time,
    ) -> Result<Reservation, Refused> {
        let (request, cost) = (subject.request(), Units::from(cost));
        let decide::Decided { answer, parts, paid, alerts } = self.decision(&request, at, cost)?;
        // A denial pays nothing: the records stand under the request's plan, and say the same.
        self.keep(parts);
        let mut counted = None;
        if answer.reason == "ok" {
            self.alerts.extend(alerts);
            counted = self.record_use(&request, at, cost);
        }
        Ok(Reservation { subject: request, answer, cost, paid, updates: self.updates, counted })
    }

    pub fn try_acquire(
        &mut self,
        subject: impl Subject,
        cost: u64,
        at: Time,
    ) -> Result<Answer, Refused> {
        self.try_reserve(subject, cost, at).map(|reservation| reservation.answer)
    }

    pub fn try_peek(&self, subject: impl Subject, cost: u64, at: Time) -> Result<Answer, Refused> {
        Ok(self.decision(&subject.request(), at, cost.into())?.answer)
    }

    pub fn acquire(&mut self, subject: impl Subject, cost: u64, at: Time) -> Answer {
        self.try_acquire(subject, cost, at).expect("a good request")
    }

    pub fn acquire_many(&mut self, keys: &[impl AsRef<[u8]>], cost: u64, at: Time) -> Vec<Answer> {
        keys.iter().map(|key| self.acquire(key.as_ref(), cost, at)).collect()
    }

    pub fn peek(&self, subject: impl Subject, cost: u64, at: Time) -> Answer {
        self.try_peek(subject, cost, at).expect("a good request")
    }

    pub fn reserve(&mut self, subject: impl Subject, cost: u64, at: Time) -> Reservation {
        self.try_reserve(subject, cost, at).expect("a good request")
    }

    // --- afterwards ----------------------------------------------------------------------------

    /// A subject's records; none of one whose answer does not depend on them.
    fn parts(&self, subject: impl Subject, at: Time) -> Result<Vec<Part>, Refused> {
        match self.comes(&subject.request(), at, Insists::Yes)? {
            Comes::To(parts) => Ok(parts),
            Comes::Decided(_) => Ok(Vec::new()),
        }
    }

    /// Would a call that charges or gives back be refused?
    pub fn refuses(&self, subject: impl Subject, at: Time) -> Option<Refused> {
        self.parts(subject, at).err()
    }

    /// Changes a subject's records; they are kept if that made any difference.
    fn change(&mut self, mut parts: Vec<Part>, change: impl FnMut(&Limit, &mut Vec<State>, usize)) {
        let before: Vec<_> = parts.iter().map(|part| part.record.states.clone()).collect();
        self.change_all(&mut parts, change);
        if parts.iter().zip(before).any(|(part, before)| part.record.states != before) {
            self.keep(parts);
        }
    }

    /// The records in which a request may have taken something, whatever has changed since.
    fn givers(&self, request: &Request, at: Time) -> Vec<Part> {
        match self.comes(request, at, Insists::Giving) {
            Ok(Comes::To(parts)) => parts,
            _ => panic!("what comes back is refused by nothing"),
        }
    }

    pub fn settle(&mut self, reservation: &Reservation, actual: u64, at: Time) {
        // Who was let pass uncounted has taken nothing.
        if reservation.answer.reason != "ok" {
            return;
        }
        let mut parts = self.givers(&reservation.subject, at);
        let difference = Units::from(actual) - reservation.cost;
        if let Some(counted) = &reservation.counted {
            self.correct_use(counted, difference);
        }
        if difference > 0 {
            parts.retain(|part| part.met);
            self.charge(parts, at, Method::Count, difference);
        } else {
            self.give_back(reservation, parts, at, -difference, Self::is_count);
        }
    }

    /// Gives back what a reservation paid to some limits, of whatever plan: to each the last payer first.
    fn give_back(
        &mut self,
        reservation: &Reservation,
        mut parts: Vec<Part>,
        at: Time,
        units: Units,
        to: impl Fn(&Limit) -> bool,
    ) {
        let updated = self.updates > reservation.updates;
        let mut changed = false;
        // Those that the request does not come to any more, each under the plan that it is under.
        for Payment { lineage, key, .. } in &reservation.paid {
            let has = |scope: &Scope| scope.plans.iter().flatten().any(|l| l.lineage == *lineage);
            let Some(scope) = self.scopes.iter().position(has) else { continue };
            if !parts.iter().any(|part| part.scope == scope && part.key.1 == *key) {
                parts.push(self.part(scope, key.clone(), None, at));
            }
        }
        for part in &mut parts {
            let scope = &self.scopes[part.scope];
            scope.settle(&mut part.record);
            let before = part.record.places.clone();
            let mut left: HashMap<usize, Units> = HashMap::new();
            for payment in reservation.paid.iter().rev() {
                if payment.key != part.key.1 {
                    continue;
                }
                let left = left.entry(payment.lineage).or_insert(units);
                let units = (*left).min(payment.units);
                *left -= units;
                let place = part.record.places.get_mut(&(payment.lineage, payment.bucket));
                // What a bucket had paid that is no more is gone.
                let Some((plan, state)) = place else { continue };
                let limit = |plan: usize| scope.limit(plan, payment.lineage);
                let Some(now) = limit(*plan).filter(|limit| to(limit)) else { continue };
                let bucket = &now.buckets[payment.bucket];
                // The windows of two policies, or rates, are not compared.
                let paid = |limit: &Limit| limit.buckets[payment.bucket].is_like(bucket);
                let same = !updated && limit(payment.plan).is_some_and(paid);
                bucket.return_paid(state, at, units, same.then_some(payment.mark));
            }
            changed |= part.record.places != before;
            part.record.states = scope.under(part.record.plan, &part.record.places, at);
        }
        if changed {
            self.keep(parts);
        }
    }

    pub fn cancel(&mut self, reservation: &Reservation, at: Time) {
        if reservation.answer.reason == "ok" {
            let parts = self.givers(&reservation.subject, at);
            self.give_back(reservation, parts, at, 1, Limit::is_concurrency);
            self.settle(reservation, 0, at);
        }
    }

    fn charge_late(
        &mut self,
        subject: &Request,
        at: Time,
        method: Method,
        units: Units,
    ) -> Result<(), Refused> {
        let parts = self.parts(subject.clone(), at)?;
        if units > 0 {
            self.charge(parts, at, method, units);
        }
        Ok(())
    }

    fn charge(&mut self, mut parts: Vec<Part>, at: Time, method: Method, units: Units) {
        let mut alerts = Vec::new();
        let before: Vec<_> = parts.iter().map(|part| part.record.states.clone()).collect();
        self.change_all(&mut parts, |limit, states, plan| {
            if limit.method == method {
                let before = limit.used(states, at);
                limit.charge_late(states, at, units);
                let (capacity, used) = (limit.capacity(states, at), limit.used(states, at));
                alerts.extend(self.crossings((limit, plan), capacity, before, used));
            }
        });
        // Where nothing changes, a record stays under the plan that it is under.
        if parts.iter().zip(before).any(|(part, before)| part.record.states != before) {
            self.keep(parts);
        }
        self.alerts.extend(alerts);
    }

    pub fn record_latency(&mut self, subject: impl Subject, latency: u64, at: Time) {
        let charged = self.charge_late(&subject.request(), at, Method::Latency, latency.into());
        charged.expect("a good request");
    }

    pub fn penalize(&mut self, subject: impl Subject, units: u64, at: Time) {
        let charged = self.charge_late(&subject.request(), at, Method::Count, units.into());
        charged.expect("a good request");
    }

    pub fn refund(&mut self, subject: impl Subject, units: u64, at: Time) {
        let parts = self.parts(subject, at).expect("a good request");
        self.change(parts, |limit, states, _| {
            if Self::is_count(limit) {
                limit.refund(states, at, units.into());
            }
        });
    }

    pub fn release(&mut self, subject: impl Subject, at: Time) {
        let parts = self.parts(subject, at).expect("a good request");
        self.change(parts, |limit, states, _| {
            if limit.is_concurrency() {
                limit.buckets[0].refund(&mut states[0], at, 1, None);
            }
        });
    }

    /// Begins the time of the oldest permits anew; false when one is out no more.
    pub fn renew(&mut self, subject: impl Subject, at: Time) -> bool {
        let parts = self.parts(subject, at).expect("a good request");
        let mut all = true;
        self.change(parts, |limit, states, _| {
            if limit.is_concurrency() {
                all &= limit.buckets[0].renew(&mut states[0], at, None).is_some();
            }
        });
        all
    }

    // --- the operator's hand -------------------------------------------------------------------

    /// Of a policy without plans no time is asked.
    pub fn reset(&mut self, key: &[u8]) {
        self.reset_at(key, 0);
    }

    pub fn reset_at(&mut self, subject: impl Subject, at: Time) {
        let request = subject.request();
        self.blocks.retain(|block| !is_of(block, &request));
        let mut parts = self.seen(&request, at);
        let mut changed = false;
        for part in &mut parts {
            let scope = &self.scopes[part.scope];
            scope.settle(&mut part.record);
            let before = part.record.places.clone();
            for (&(lineage, position), (plan, state)) in &mut part.record.places {
                let limit = scope.limit(*plan, lineage).expect("it was under that plan");
                if !limit.is_concurrency() {
                    *state = limit.buckets[position].full();
                }
            }
            changed |= part.record.places != before;
            part.record.states = scope.under(part.record.plan, &part.record.places, at);
        }
        if changed {
            self.keep(parts);
        }
    }

    /// The records that there are, of a call that insists on nothing.
    fn seen(&self, request: &Request, at: Time) -> Vec<Part> {
        match self.comes(request, at, Insists::No) {
            Ok(Comes::To(parts)) => parts,
            _ => panic!("a good request"),
        }
    }

    /// Blocks a key, or whoever has the one attribute of a request.
    pub fn block(&mut self, subject: impl Subject, duration: u64, at: Time) {
        let until = if duration == 0 { 0 } else { (at + Time::from(duration)).min(LAST) };
        let request = subject.request();
        let [(name, value)] = request.attributes() else { panic!("a block is of one attribute") };
        self.blocks.retain(|block| !is_of(block, &request));
        let bits = self.ipv6_prefix();
        self.blocks.push((name.clone(), known_by(name, value, bits), bits, until));
    }

    /// How long the key stays blocked, and its buckets.
    pub fn snapshot(&self, subject: impl Subject, at: Time) -> (Time, Vec<Shown>) {
        let request = subject.request();
        let mut shown = Vec::new();
        for (limit, states, _) in self.all(&self.seen(&request, at)) {
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
        (self.blocked_for(&request, at), shown)
    }

    /// A plan for a value, for good or for nanoseconds.
    pub fn assign(
        &mut self,
        value: &[u8],
        plan: &str,
        duration: Option<u64>,
        at: Time,
    ) -> Result<(), Refused> {
        if !self.policy.plans.iter().any(|known| known == plan) {
            return Err(Refused::new("plan"));
        }
        if self.plan_by() == "ip" && address(value).is_none() {
            return Err(Refused::new("ip"));
        }
        let assigned = self.assignments.entry(self.assignee(value)).or_default();
        match duration {
            None => assigned.for_good = Some(plan.to_owned()),
            Some(duration) => {
                let until = (at + Time::from(duration)).min(LAST);
                assigned.for_a_time = Some((plan.to_owned(), until));
            }
        }
        Ok(())
    }

    pub fn unassign(&mut self, value: &[u8]) {
        self.assignments.remove(&self.assignee(value));
    }

    pub(super) fn assignee(&self, value: &[u8]) -> (bool, Vec<u8>) {
        (self.plan_by() == "ip", known_by(self.plan_by(), value, self.ipv6_prefix()))
    }

    pub fn plan_of(&self, subject: impl Subject, at: Time) -> Option<String> {
        let request = subject.request();
        self.read(&request).ok()?;
        self.plan_name(self.plan_number(&request, at).ok())
    }

    /// All alerts since this was asked last.
    pub fn take_alerts(&mut self) -> Vec<Alert> {
        std::mem::take(&mut self.alerts)
    }

    /// Limits go on, their buckets by position; all else starts full.
    pub fn update(&mut self, policy: &Policy, at: Time) {
        self.updates += 1;
        let old = std::mem::take(&mut self.scopes);
        let new = self.planned(policy, &old);
        let old_policy = std::mem::replace(&mut self.policy, policy.clone());
        let mut records = std::mem::take(&mut self.records);
        let follows = predecessors(&new, &old);
        let mut carried_over = HashMap::new();
        for ((identity, key), record) in records.drain() {
            let number = old.iter().position(|scope| scope.identity == identity).expect("had one");
            let Some(index) = follows.iter().position(|follows| *follows == Some(number)) else {
                continue;
            };
            let name = |plan: usize| old_policy.plans.get(plan);
            let heir = |plan: usize| match name(plan) {
                Some(name) => policy.plans.iter().position(|plan| plan == name),
                None => policy.plans.is_empty().then_some(0),
            };
            let (scope, before) = (&new[index], &old[number]);
            let same: Vec<_> = (0..before.plans.len()).map(heir).collect();
            if let Some(record) = scope.carried(before, &same, &record, at) {
                carried_over.insert((scope.identity.clone(), key), record);
            }
        }
        let records = carried_over;
        (self.scopes, self.records) = (new, records);
        // Use before a new `by` stays under its old kinds.
        let slots =
            |policy: &Policy| policy.usage.as_ref().map(|usage| (usage.window, usage.resolution));
        if slots(&old_policy) != slots(policy) {
            self.used.clear();
            self.forgotten += 1;
        }
    }
}
