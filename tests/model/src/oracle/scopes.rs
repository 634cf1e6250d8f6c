//! Which limits a request meets, under which plan, and what is known of its keys there.
//!
//! Limits with the same `by`, `when` and `missing` are a scope: what a key has used of them is one record. A bucket that
//! goes on from plan to plan has one state in it, under the plan of the request that changed it last.

use std::collections::BTreeMap;

use super::limit::Limit;
use super::{Answer, Oracle};
use crate::Time;
use crate::bucket::{Bucket, State};
use crate::policy::{Method, Missing, Policy, Terms, When};
use crate::request::{Request, address};

/// What makes limits a scope, from one policy to the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) by: Vec<String>,
    pub(super) when: When,
    missing: Missing,
}

impl Identity {
    fn of(Terms { by, when, missing, .. }: &Terms) -> Identity {
        let mut when = when.clone();
        when.sort();
        Identity { by: by.clone(), when, missing: *missing }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub(super) identity: Identity,
    /// For each plan; one where there are none.
    pub(super) plans: Vec<Vec<Limit>>,
}

/// What a key has used in a scope.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) plan: usize,
    /// Of the plan's limits, by limit, by bucket.
    pub(super) states: Vec<Vec<State>>,
    /// Of whatever plan, by lineage and position.
    pub(super) places: Places,
}

/// States, and a plan that each is under.
pub(super) type Places = BTreeMap<(usize, usize), (usize, State)>;

/// A record that a request needs, under its plan.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) scope: usize,
    pub(super) key: (Identity, Vec<Vec<u8>>),
    pub(super) record: Record,
    /// Does the request meet these limits? Else it may have met them when it was admitted, and gives back.
    pub(super) met: bool,
}

/// A call that is refused for want of an attribute, or for a wrong one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub field: String,
}

impl Refused {
    pub(super) fn new(field: &str) -> Refused {
        Refused { field: field.to_owned() }
    }
}

/// How much a call insists on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Insists {
    /// On plan and attributes, or on what a limit says of them.
    Yes,
    /// Looks at what there is.
    No,
    /// On nothing: what was taken comes back, whatever plan, exemption or policy holds by now.
    Giving,
}

pub(super) enum Comes {
    /// To its records.
    To(Vec<Part>),
    /// To an answer, whatever they say.
    Decided(Box<Answer>),
}

/// A policy's limits by scope, those that come first first.
pub(super) fn scopes(policy: &Policy, lineages: &mut usize) -> Vec<Scope> {
    let mut scopes: Vec<Scope> = Vec::new();
    let plans = policy.plans.len().max(1);
    for limit in &policy.limits {
        let identity = Identity::of(&limit.terms);
        if scopes.iter().all(|scope| scope.identity != identity) {
            scopes.push(Scope { identity: identity.clone(), plans: vec![Vec::new(); plans] });
        }
        let scope = scopes.iter_mut().find(|scope| scope.identity == identity).expect("pushed");
        for (number, limits) in scope.plans.iter_mut().enumerate() {
            if limit.terms.plan.is_none() || limit.terms.plan.as_ref() == policy.plans.get(number) {
                limits.push(Limit::new(limit, *lineages));
                *lineages += 1;
            }
        }
    }
    scopes
}

/// For each new scope the old one whose records it takes over: the same one; else, in order, the one that counts by the
/// same and knows most of its limits.
pub(super) fn predecessors(new: &[Scope], old: &[Scope]) -> Vec<Option<usize>> {
    let mut follows: Vec<Option<usize>> =
        new.iter().map(|scope| old.iter().position(|old| old.identity == scope.identity)).collect();
    for (number, scope) in new.iter().enumerate() {
        if follows[number].is_some() {
            continue;
        }
        let mut best: Option<(usize, usize)> = None;
        for (index, candidate) in old.iter().enumerate() {
            let taken = follows.contains(&Some(index));
            if taken || candidate.identity.by != scope.identity.by {
                continue;
            }
            let knows = |limit: &&Limit| {
                let mut theirs = candidate.plans.iter().flatten();
                theirs.any(|old| old.same_method(limit) && old.name == limit.name)
            };
            let common = scope.plans.iter().flatten().filter(knows).count();
            if common > best.map_or(0, |(most, _)| most) {
                best = Some((common, index));
            }
        }
        follows[number] = best.map(|(_, index)| index);
    }
    follows
}

/// A limit goes on from the one of the same method and name, of an earlier plan or of the policy before; one that no
/// policy named from the first such one that is left, of the plan of the same name before others.
pub(super) fn go_on(new: &mut Scope, plans: &[String], old: Option<&Scope>, old_plans: &[String]) {
    let mut old: Vec<(Option<&String>, &Vec<Limit>)> = old.map_or_else(Vec::new, |old| {
        old.plans
            .iter()
            .enumerate()
            .map(|(number, limits)| (old_plans.get(number), limits))
            .collect()
    });
    let same = |limit: &Limit, other: &Limit| limit.same_method(other) && limit.name == other.name;
    for number in 0..new.plans.len() {
        let (earlier, rest) = new.plans.split_at_mut(number);
        old.sort_by_key(|(name, _)| *name != plans.get(number));
        let before: Vec<&Limit> = old.iter().flat_map(|(_, limits)| *limits).collect();
        let mut taken: Vec<usize> = Vec::new();
        let mut fresh = Vec::new();
        for limit in &mut rest[0] {
            let known = earlier.iter().flatten().chain(before.iter().copied());
            let mut akin = known.filter(|other| same(limit, other)).map(|other| other.lineage);
            match akin.find(|lineage| !taken.contains(lineage)) {
                Some(lineage) => {
                    limit.lineage = lineage;
                    taken.push(lineage);
                }
                None => fresh.push(limit),
            }
        }
        for limit in fresh.into_iter().filter(|limit| !limit.named) {
            let akin = |old: &&&Limit| {
                !old.named && old.same_method(limit) && !taken.contains(&old.lineage)
            };
            if let Some(lineage) = before.iter().find(akin).map(|old| old.lineage) {
                limit.lineage = lineage;
                taken.push(lineage);
            }
        }
    }
    new.hold();
}

impl Scope {
    fn bucket(&self, plan: usize, (lineage, position): (usize, usize)) -> Option<&Bucket> {
        self.limit(plan, lineage)?.buckets.get(position)
    }

    pub(super) fn limit(&self, plan: usize, lineage: usize) -> Option<&Limit> {
        self.plans[plan].iter().find(|limit| limit.lineage == lineage)
    }

    /// All buckets of all plans, each once: lineage and position.
    fn places(&self) -> Vec<(usize, usize)> {
        let mut places = Vec::new();
        for limit in self.plans.iter().flatten() {
            for position in 0..limit.buckets.len() {
                if !places.contains(&(limit.lineage, position)) {
                    places.push((limit.lineage, position));
                }
            }
        }
        places
    }

    /// Tells each bucket what its limit comes to in other plans.
    fn hold(&mut self) {
        for place in self.places() {
            let of = |plan: usize| self.bucket(plan, place).cloned();
            let buckets: Vec<Bucket> = (0..self.plans.len()).filter_map(of).collect();
            let hold = Bucket::hold_of(&buckets);
            for limit in self.plans.iter_mut().flatten().filter(|limit| limit.lineage == place.0) {
                let method = limit.method;
                if let Some(bucket) = limit.buckets.get_mut(place.1) {
                    *bucket = bucket.clone().held(hold, method);
                }
            }
        }
    }

    /// The states of a plan's limits: each is taken over if it is under another rate.
    pub(super) fn under(&self, plan: usize, places: &Places, at: Time) -> Vec<Vec<State>> {
        let state = |place: (usize, usize), bucket: &Bucket| match places.get(&place) {
            None => bucket.full(),
            Some((under, state)) => {
                let old = self.bucket(*under, place).expect("it was under that plan");
                match old.is_like(bucket) {
                    true => state.clone(),
                    false => bucket.forgiven(state, bucket.carry(old, state, at), at),
                }
            }
        };
        let states = |limit: &Limit| {
            let buckets = limit.buckets.iter().enumerate();
            buckets.map(|(position, bucket)| state((limit.lineage, position), bucket)).collect()
        };
        self.plans[plan].iter().map(states).collect()
    }

    /// Puts the states of the record's plan into their places.
    pub(super) fn settle(&self, record: &mut Record) {
        for (limit, states) in self.plans[record.plan].iter().zip(&record.states) {
            for (position, state) in states.iter().enumerate() {
                let place = (limit.lineage, position);
                record.places.insert(place, (record.plan, state.clone()));
            }
        }
    }

    /// What an update makes of a record of `old`; none of one that says nothing.
    pub(super) fn carried(
        &self,
        old: &Scope,
        same: &[Option<usize>],
        record: &Record,
        at: Time,
    ) -> Option<Record> {
        let mut places = Places::new();
        for place in self.places() {
            let Some((under, state)) = record.places.get(&place) else { continue };
            let before = old.bucket(*under, place).expect("it was under that plan");
            let had = |plan: &usize| {
                old.bucket(*plan, place).is_some_and(|bucket| bucket.is_like(before))
            };
            let mut heirs = (0..old.plans.len()).filter(had).filter_map(|plan| same[plan]);
            let heir = heirs.find(|&plan| self.bucket(plan, place).is_some());
            let heir = heir.unwrap_or_else(|| self.widest(place));
            let bucket = self.bucket(heir, place).expect("it has it");
            let state = bucket.carry(before, state, at);
            if state != bucket.full() {
                places.insert(place, (heir, state));
            }
        }
        let plan = same[record.plan].unwrap_or(0);
        (!places.is_empty()).then_some(Record { plan, states: Vec::new(), places })
    }

    /// The first plan with the largest capacity there.
    fn widest(&self, place: (usize, usize)) -> usize {
        let capacity = |plan: &usize| self.bucket(*plan, place).map(Bucket::floor_capacity);
        let mut best = 0;
        for plan in 1..self.plans.len() {
            if capacity(&plan) > capacity(&best) {
                best = plan;
            }
        }
        best
    }
}

impl Oracle {
    /// The bits of an IPv6 address that stand for a client.
    pub(super) fn ipv6_prefix(&self) -> u32 {
        self.policy.ipv6_prefix.unwrap_or(64)
    }

    pub(super) fn plan_by(&self) -> &str {
        self.policy.plan_by.as_deref().unwrap_or("key")
    }

    /// Does the policy ask for this attribute anywhere?
    fn asks_for(&self, name: &str) -> bool {
        let policy = &self.policy;
        let in_when = |when: &When| when.iter().any(|(attribute, _)| attribute == name);
        let limits = policy.limits.iter().map(|limit| &limit.terms);
        limits.clone().any(|terms| terms.by.iter().any(|by| by == name) || in_when(&terms.when))
            || policy.exempt.iter().chain(&policy.block).any(|listed| in_when(&listed.when))
            || policy.bypass.iter().any(|bypass| bypass.enabled && bypass.attribute == name)
            || policy.usage.as_ref().is_some_and(|usage| usage.by.as_deref() == Some(name))
            || self.plan_by() == name
    }

    /// Is what the policy reads of the request what it should be?
    pub(super) fn read(&self, request: &Request) -> Result<(), Refused> {
        match request.get("ip") {
            Some(value) if self.asks_for("ip") && address(value).is_none() => {
                Err(Refused::new("ip"))
            }
            _ => Ok(()),
        }
    }

    /// The number of the request's plan: the assigned one, its own, the default.
    pub(super) fn plan_number(&self, request: &Request, at: Time) -> Result<usize, Refused> {
        let plans = &self.policy.plans;
        if plans.is_empty() {
            return Ok(0);
        }
        let number = |name: &[u8]| plans.iter().position(|plan| plan.as_bytes() == name);
        let value = request.get(self.plan_by());
        let assigned = value.and_then(|value| self.assignments.get(&self.assignee(value)));
        let assigned = assigned.and_then(|assigned| assigned.plan(at));
        if let Some(number) = assigned.and_then(|plan| number(plan.as_bytes())) {
            return Ok(number);
        }
        let own = match request.get("plan") {
            Some(name) => number(name),
            None => self.policy.default_plan.as_ref().and_then(|name| number(name.as_bytes())),
        };
        own.ok_or_else(|| Refused::new("plan"))
    }

    fn listed(&self, request: &Request) -> Option<(&'static str, &str)> {
        let policy = &self.policy;
        if let Some(block) = policy.block.iter().find(|block| request.meets(&block.when)) {
            return Some(("blocked", &block.name));
        }
        let knows = |bypass: &&crate::policy::Bypass| {
            let given = request.get(&bypass.attribute);
            bypass.secrets.iter().any(|(secret, _)| given == Some(secret.as_bytes()))
        };
        if let Some(bypass) = policy.bypass.iter().filter(|bypass| bypass.enabled).find(knows) {
            return Some(("bypass", &bypass.name));
        }
        let exempt = policy.exempt.iter().find(|exempt| request.meets(&exempt.when));
        exempt.map(|exempt| ("bypass", exempt.name.as_str()))
    }

    pub(super) fn comes(
        &self,
        request: &Request,
        at: Time,
        insists: Insists,
    ) -> Result<Comes, Refused> {
        let readable = match (self.read(request), insists) {
            (Ok(()), _) => request.clone(),
            // It was admitted by a policy that did not read this.
            (Err(refused), Insists::Giving) => request.without(&refused.field),
            (Err(refused), _) => return Err(refused),
        };
        let request = &readable;
        let listed = self.listed(request);
        if let (Insists::Yes, Some((reason, name))) = (insists, listed) {
            let wait = if reason == "blocked" { None } else { Some(0) };
            return Ok(Comes::Decided(Box::new(Answer::without_limit(reason, name, wait, at))));
        }
        let plan = match self.plan_number(request, at) {
            Err(refused) if insists == Insists::Yes => return Err(refused),
            // Who is exempt by now meets no limits.
            _ if insists == Insists::Giving && listed.is_some() => None,
            plan => plan.ok(),
        };
        let mut parts = Vec::new();
        for (scope, Scope { identity, plans }) in self.scopes.iter().enumerate() {
            let there = plan.is_none_or(|plan| !plans[plan].is_empty());
            if !request.meets(&identity.when) || !(there || insists == Insists::Giving) {
                continue;
            }
            // A plan that has no limits here leaves the record under the one that it is under.
            let plan = plan.filter(|_| there);
            let bits = self.ipv6_prefix();
            let mut key = Vec::new();
            let lacks = identity.by.iter().find(|name| match request.key_part(name, bits) {
                Some(part) => {
                    key.push(part);
                    false
                }
                None => true,
            });
            match (lacks, identity.missing) {
                (None, _) => parts.push(self.part(scope, key, plan, at)),
                _ if insists != Insists::Yes => {}
                (_, Missing::Skip) => {}
                (Some(name), Missing::Error) => return Err(Refused::new(name)),
                (_, Missing::Deny) => {
                    // Those in shadow deny nobody.
                    let limits = &plans[plan.expect("insisted on")];
                    let Some(limit) = limits.iter().find(|limit| !limit.terms.shadow) else {
                        continue;
                    };
                    let answer = Answer::without_limit("blocked", &limit.name, None, at);
                    let answer =
                        Answer { plan: self.plan_name(plan), ..answer }.under(&limit.terms);
                    return Ok(Comes::Decided(Box::new(answer)));
                }
            }
        }
        Ok(Comes::To(parts))
    }

    pub(super) fn plan_name(&self, number: Option<usize>) -> Option<String> {
        self.policy.plans.get(number?).cloned()
    }

    pub(super) fn part(
        &self,
        number: usize,
        key: Vec<Vec<u8>>,
        plan: Option<usize>,
        at: Time,
    ) -> Part {
        let scope = &self.scopes[number];
        let (key, met) = ((scope.identity.clone(), key), plan.is_some());
        let known = self.records.get(&key);
        let places = known.map_or_else(Places::new, |record| record.places.clone());
        let plan = plan.unwrap_or_else(|| known.map_or(0, |record| record.plan));
        let states = scope.under(plan, &places, at);
        Part { scope: number, key, record: Record { plan, states, places }, met }
    }

    pub(super) fn limits(&self, part: &Part) -> &[Limit] {
        &self.scopes[part.scope].plans[part.record.plan]
    }

    /// All limits of all parts, in order, each with its states.
    pub(super) fn all<'a>(
        &'a self,
        parts: &'a [Part],
    ) -> impl Iterator<Item = (&'a Limit, &'a Vec<State>, usize)> + Clone {
        parts.iter().flat_map(move |part| {
            let states = part.record.states.iter();
            self.limits(part).iter().zip(states).map(move |(l, s)| (l, s, part.record.plan))
        })
    }

    /// The same of one method, to be changed.
    pub(super) fn change_all(
        &self,
        parts: &mut [Part],
        mut change: impl FnMut(&Limit, &mut Vec<State>, usize),
    ) {
        for part in parts {
            let plan = part.record.plan;
            let limits = &self.scopes[part.scope].plans[plan];
            for (limit, states) in limits.iter().zip(&mut part.record.states) {
                change(limit, states, plan);
            }
        }
    }

    /// A key without a record that has used nothing gets none: nothing is under the request's plan.
    pub(super) fn keep(&mut self, parts: Vec<Part>) {
        for mut part in parts {
            let full = self.limits(&part).iter().map(Limit::full);
            if self.records.contains_key(&part.key) || !full.eq(part.record.states.iter().cloned())
            {
                self.scopes[part.scope].settle(&mut part.record);
                self.records.insert(part.key, part.record);
            }
        }
    }

    pub(super) fn is_count(limit: &Limit) -> bool {
        limit.method == Method::Count
    }
}
