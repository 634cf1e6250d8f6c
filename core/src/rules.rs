//! What a request's attributes mean under a policy: whether it is listed, which plan it has, and which scopes it
//! meets, with its key in each.
//!
//! A *scope* is limits that have the same key and the same conditions: one record holds their buckets. Plans
//! are variants of a scope: the limits of another plan over the same record.

mod address;
mod matching;
mod text;

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

use ahash::RandomState;
use smallvec::SmallVec;

use crate::assignments::Assignments;
use crate::clock::Moment;
use crate::decision::Reason;
use crate::error::{Error, Result};
use crate::names::Name;
use crate::policy::{Conditions, KEY, Limit, Missing, PLAN, Policy};
use crate::request::{KNOWN, Request};
use crate::secrets;
use crate::store;
use crate::terms::Terms;
pub(crate) use address::{Address, IP, Networks};
use matching::{Bits, Matcher};
use text::{Text, head};

/// Most attributes that a policy may speak of besides `key` and `plan`, which it may not name and need all the same.
const MAX_ATTRIBUTES: usize = 16;
/// Most numbers of attributes.
const NUMBERS: usize = MAX_ATTRIBUTES + 2;
/// Most conditions, each counted once.
const MAX_CONDITIONS: usize = Bits::BITS as usize;

/// Plans of which the name is found without hashing it.
const FEW: usize = 8;

/// What a scope is, from one policy to the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    by: Vec<String>,
    when: Conditions,
    missing: Missing,
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

/// A policy about requests with attributes, worked out.
#[derive(Debug)]
pub(crate) struct Rules {
    /// What the policy speaks of; the position is the attribute's number below.
    attributes: Vec<String>,
    /// The attributes that every request has a place for.
    known: [Known; KNOWN.len()],
    matchers: Vec<Option<Matcher>>,
    /// The number of `ip`, and by what its values are known.
    ip: Option<usize>,
    networks: Networks,
    plans: Vec<Name>,
    plan_texts: Vec<Text>,
    plans_by_name: HashMap<Box<[u8]>, usize, RandomState>,
    default_plan: Option<usize>,
    plan: usize,
    plan_by: usize,
    scopes: Vec<ScopeRule>,
    /// Those that have limits in a variant.
    by_variant: Vec<Meeting>,
    /// All.
    all: Meeting,
    listed: Vec<Listed>,
    /// The attribute that tells kinds of call apart, for the report of usage.
    kind: Option<usize>,
}

/// An attribute that every request has a place for.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// `NONE`: the policy does not speak of it.
    number: usize,
    /// Is its value all that is to be known of it? Else it meets conditions, or is an address.
    plain: bool,
}

#[derive(Debug)]
struct ScopeRule {
    by: Vec<usize>,
    needs: Bits,
    missing: Missing,
    /// Of a request that is denied because an attribute is missing, by variant.
    /// `None`: it has none but in shadow, which deny nobody.
    terms: Vec<Option<&'static Terms>>,
}

/// A scope that a request meets which meets these conditions.
#[derive(Clone, Copy, Debug)]
struct Met {
    scope: usize,
    needs: Bits,
    /// The attribute that it counts by; `NONE`: there are several, or none.
    by: usize,
}

/// The scopes that have limits in a variant, in order.
#[derive(Debug)]
struct Meeting {
    scopes: Vec<Met>,
    /// Of the first 64: those without conditions, and for each condition those that need it. So a request looks at few.
    always: u64,
    needing: Vec<u64>,
}

impl Meeting {
    fn new(scopes: Vec<Met>) -> Meeting {
        let those = |is_meant: &dyn Fn(&Met) -> bool| {
            let first = scopes.iter().take(u64::BITS as usize).enumerate();
            first.fold(0, |all, (place, met)| all | u64::from(is_meant(met)) << place)
        };
        let always = those(&|met| met.needs == 0);
        let needing = (0..MAX_CONDITIONS).map(|bit| those(&|met| met.needs >> bit & 1 == 1));
        Meeting { always, needing: needing.collect(), scopes }
    }

    /// Calls `meet` with each scope of which all conditions are met, in order, until it says something.
    #[inline(always)]
    fn find<T>(&self, matched: Bits, mut meet: impl FnMut(Met) -> Option<T>) -> Option<T> {
        let mut places = self.always;
        let mut conditions = matched;
        while conditions != 0 {
            places |= self.needing[conditions.trailing_zeros() as usize];
            conditions &= conditions - 1;
        }
        let mut others = u64::BITS as usize..self.scopes.len();
        loop {
            let place = match places {
                0 => others.next()?,
                _ => places.trailing_zeros() as usize,
            };
            places &= places.wrapping_sub(1);
            let met = self.scopes[place];
            if matched & met.needs == met.needs
                && let Some(found) = meet(met)
            {
                return Some(found);
            }
        }
    }
}

/// Requests that pass, or do not, whatever the limits say.
#[derive(Debug)]
struct Listed {
    reason: Reason,
    terms: &'static Terms,
    how: How,
}

#[derive(Debug)]
enum How {
    Meets(Bits),
    Knows { attribute: usize, secrets: Vec<[u8; 32]> },
}

/// A record that a request needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) scope: usize,
    pub(crate) tag: u64,
}

pub(crate) type Parts = SmallVec<[Part; 4]>;

impl Part {
    /// A number of its own: records of one key in several scopes have one tag. In the first scope it is the tag.
    pub(crate) fn mark(&self) -> u64 {
        // 2^64 / golden ratio: scopes lie far apart.
        self.tag.wrapping_add((self.scope as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

/// A request's attributes, as far as the policy speaks of them.
pub(crate) struct Given<'r> {
    values: [Option<&'r [u8]>; NUMBERS],
    /// The address under its mask.
    network: [u8; 16],
    matched: Bits,
    /// Of single values, as they were asked for; 0: not yet.
    tags: [Cell<u64>; NUMBERS],
}

impl Given<'_> {
    #[inline(always)]
    pub(crate) fn nothing() -> Self {
        Given {
            values: [None; NUMBERS],
            network: [0; 16],
            matched: 0,
            tags: [const { Cell::new(0) }; NUMBERS],
        }
    }
}

/// How much a call insists on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// A missing attribute is an error, or what its limit says.
    Strict,
    /// A limit whose attributes are missing is left out.
    Lenient,
    /// As `Lenient`, and every record counts in which the request may have taken something before the policy or its plan
    /// changed.
    Giving,
}

impl Rules {
    /// # Errors
    /// When the policy speaks of more than can be told apart.
    pub(crate) fn new(policy: &Policy, scopes: &[ScopeLimits<'_>]) -> Result<Rules> {
        let mut attributes = Attributes::default();
        let mut conditions = Numbered::default();
        let rules: Vec<ScopeRule> = scopes
            .iter()
            .map(|scope| ScopeRule {
                by: scope.identity.by.iter().map(|name| attributes.number(name)).collect(),
                needs: conditions.bits(&scope.identity.when),
                missing: scope.identity.missing,
                terms: scope.lacking(&policy.plans),
            })
            .collect();
        let by_variant = (0..policy.plans.len().max(1))
            .map(|variant| {
                let scopes = rules.iter().zip(scopes).enumerate();
                let scopes = scopes.filter(|(_, (_, limits))| !limits.variants[variant].is_empty());
                Meeting::new(scopes.map(|(scope, (rule, _))| Met::new(scope, rule)).collect())
            })
            .collect();
        let all = rules.iter().enumerate().map(|(scope, rule)| Met::new(scope, rule));
        let all = Meeting::new(all.collect());
        let listed = listed(policy, &mut attributes, &mut conditions);
        let kind = policy.usage.as_ref().and_then(|usage| usage.by.as_deref());
        let kind = kind.map(|name| attributes.number(name));
        let (plan, plan_by) = (attributes.number(PLAN), attributes.number(&policy.plan_by));
        let mut matchers: Vec<Option<Matcher>> = Vec::new();
        for (bit, condition) in conditions.0.iter().enumerate().take(MAX_CONDITIONS) {
            let number = attributes.number(&condition.attribute);
            matchers.resize_with(matchers.len().max(number + 1), || None);
            let matcher = matchers[number].get_or_insert_default();
            condition.any_of.iter().for_each(|pattern| matcher.add(pattern, 1 << bit));
        }
        let attributes = attributes.0;
        matchers.resize_with(attributes.len(), || None);
        let own = attributes.iter().filter(|name| ![KEY, PLAN].contains(&name.as_str()));
        bounded("attributes besides `key` and `plan`", own.count(), MAX_ATTRIBUTES)?;
        bounded("conditions", conditions.0.len(), MAX_CONDITIONS)?;
        let known = KNOWN.map(|name| {
            let number = number_of(&attributes, name);
            let matched = number.is_some_and(|number| matchers[number].is_some());
            Known { number: number.unwrap_or(NONE), plain: name != IP && !matched }
        });
        Ok(Rules {
            matchers,
            ip: number_of(&attributes, IP),
            known,
            attributes,
            networks: Networks::new(policy.ipv6_prefix),
            plans: policy.plans.iter().map(|name| Name::intern(name)).collect(),
            plan_texts: policy.plans.iter().map(|name| Text::new(name.as_bytes())).collect(),
            plans_by_name: (0..)
                .zip(&policy.plans)
                .map(|(n, name)| (name.as_bytes().into(), n))
                .collect(),
            default_plan: policy.default_plan,
            plan,
            plan_by,
            scopes: rules,
            by_variant,
            all,
            listed,
            kind,
        })
    }

    /// Reads the attributes.
    ///
    /// # Errors
    /// An `ip` that is no address.
    #[inline]
    pub(crate) fn read<'r>(
        &self,
        request: &Request<'r>,
        strictness: Strictness,
    ) -> Result<Given<'r>> {
        let mut given = Given::nothing();
        self.read_into(&mut given, request, strictness)?;
        Ok(given)
    }

    /// As [`Rules::read`], where it is wanted: it is too large to be moved often.
    ///
    /// # Errors
    /// As [`Rules::read`].
    #[inline]
    pub(crate) fn read_into<'r>(
        &self,
        given: &mut Given<'r>,
        request: &Request<'r>,
        strictness: Strictness,
    ) -> Result<()> {
        for (known, value) in self.known.iter().zip(request.known()) {
            let Some(value) = *value else { continue };
            match *known {
                Known { number: NONE, .. } => {}
                Known { number, plain: true } => given.values[number] = Some(value),
                Known { number, .. } => self.take(given, number, value, strictness)?,
            }
        }
        for (name, value) in request.others() {
            if let Some(number) = number_of(&self.attributes, name) {
                self.take(given, number, value, strictness)?;
            }
        }
        Ok(())
    }

    #[inline]
    fn take<'r>(
        &self,
        given: &mut Given<'r>,
        number: usize,
        value: &'r [u8],
        strictness: Strictness,
    ) -> Result<()> {
        let mut address = None;
        if Some(number) == self.ip {
            let read = match Address::expect(value) {
                // It was taken when the policy did not speak of it.
                Err(_) if strictness == Strictness::Giving => return Ok(()),
                read => read?,
            };
            given.network = self.networks.of(read).to_be_bytes();
            address = Some(read.bits());
        }
        given.values[number] = Some(value);
        if let Some(matcher) = &self.matchers[number] {
            given.matched |= matcher.matches(value, address);
        }
        Ok(())
    }

    /// Does the request pass, or not, whatever the limits say?
    #[inline]
    pub(crate) fn listed(&self, given: &Given<'_>) -> Option<(Reason, &'static Terms)> {
        let found = self.listed.iter().find(|listed| match &listed.how {
            How::Meets(bits) => given.matched & bits == *bits,
            How::Knows { attribute, secrets } => {
                given.values[*attribute].is_some_and(|value| secrets::is_one_of(secrets, value))
            }
        });
        found.map(|listed| (listed.reason, listed.terms))
    }

    /// The request's plan, as the number of its variant: the one assigned while running, else its own, else the
    /// default.
    ///
    /// # Errors
    /// A plan that is not there, or none at all.
    #[inline]
    pub(crate) fn variant(
        &self,
        given: &Given<'_>,
        assignments: &Assignments,
        at: Moment,
    ) -> Result<usize> {
        if self.plans.is_empty() {
            return Ok(0);
        }
        let by = self.known_by(given, self.plan_by);
        let assigned = by.and_then(|value| assignments.plan_of(value, at));
        // A plan that was assigned before the policy lost it means nothing.
        let assigned = assigned.and_then(|plan| self.plan_named(plan.as_bytes()));
        if let Some(plan) = assigned {
            return Ok(plan);
        }
        match given.values[self.plan] {
            Some(name) => self.plan_named(name).ok_or_else(|| self.no_plan(Some(name))),
            None => self.default_plan.ok_or_else(|| self.no_plan(None)),
        }
    }

    /// Nanoseconds until the plan ends that the request has for a time.
    pub(crate) fn plan_ends_after(
        &self,
        given: &Given<'_>,
        assignments: &Assignments,
        at: Moment,
    ) -> Option<u64> {
        let value = self.known_by(given, self.plan_by).filter(|_| !self.plans.is_empty())?;
        assignments.ends_after(value, at)
    }

    #[inline]
    pub(crate) fn plan_named(&self, name: &[u8]) -> Option<usize> {
        // Of a few it is faster to look at each than to hash the name.
        match &self.plan_texts[..] {
            plans if plans.len() > FEW => self.plans_by_name.get(name).copied(),
            plans => {
                let head = head(name, 0);
                plans.iter().position(|plan| plan.is(name, head))
            }
        }
    }

    /// The name of a variant's plan.
    pub(crate) fn plan_name(&self, variant: usize) -> Option<&'static str> {
        self.plans.get(variant).map(|name| name.as_str())
    }

    #[cold]
    pub(crate) fn no_plan(&self, name: Option<&[u8]>) -> Error {
        let known = self.plans.iter().map(|name| format!("{:?}", name.as_str()));
        let known = known.collect::<Vec<_>>().join(", ");
        match name {
            Some(name) => Error::argument(
                PLAN,
                format!("there is no plan {}", shown(name)),
                match known.is_empty() {
                    true => "use a policy with plans".to_owned(),
                    false => format!("give one of {known}"),
                },
            ),
            None => Error::argument(
                PLAN,
                "the request has none, and the policy no `default_plan`",
                format!("give one of {known}"),
            ),
        }
    }

    /// The scopes that the request meets, and its key in each; else the terms of a limit by which it is denied, for it
    /// lacks an attribute.
    ///
    /// # Errors
    /// An attribute that a limit insists on is missing.
    pub(crate) fn meets(
        &self,
        given: &Given<'_>,
        variant: Option<usize>,
        hasher: &RandomState,
        strictness: Strictness,
        parts: &mut Parts,
    ) -> Result<Option<&'static Terms>> {
        let meet = |Met { scope, by, .. }: Met| {
            let tag = match by {
                NONE => self.tag(given, &self.scopes[scope].by, hasher),
                number => self.tag_known_by(given, number, hasher).ok_or(number),
            };
            match tag {
                Ok(tag) => parts.push(Part { scope, tag }),
                Err(_) if strictness != Strictness::Strict => {}
                Err(missing) => {
                    return self
                        .miss(&self.scopes[scope], variant.unwrap_or(0), missing)
                        .transpose();
                }
            }
            None
        };
        let meeting = variant.map_or(&self.all, |variant| &self.by_variant[variant]);
        meeting.find(given.matched, meet).transpose()
    }

    /// What a scope says of a request that lacks an attribute of its key: the terms of the limit that denies it for that.
    #[cold]
    fn miss(
        &self,
        rule: &ScopeRule,
        variant: usize,
        missing: usize,
    ) -> Result<Option<&'static Terms>> {
        let terms = rule.terms[variant];
        match rule.missing {
            Missing::Skip => Ok(None),
            // Those in shadow deny nobody.
            Missing::Deny => Ok(terms),
            Missing::Error => Err(self.lacks(missing, terms)),
        }
    }

    /// By what an attribute is known: an address by its network.
    #[inline(always)]
    fn known_by<'g>(&self, given: &'g Given<'_>, number: usize) -> Option<&'g [u8]> {
        match given.values[number] {
            Some(_) if Some(number) == self.ip => Some(&given.network),
            value => value,
        }
    }

    /// The tag of that: of a key that several records have, once.
    #[inline]
    fn tag_known_by(&self, given: &Given<'_>, number: usize, hasher: &RandomState) -> Option<u64> {
        let known = &given.tags[number];
        if known.get() == 0 {
            known.set(tag_of(hasher, self.known_by(given, number)?));
        }
        Some(known.get())
    }

    /// The key in a scope that does not count by one attribute; else the one that is missing.
    #[inline(never)]
    fn tag(
        &self,
        given: &Given<'_>,
        by: &[usize],
        hasher: &RandomState,
    ) -> std::result::Result<u64, usize> {
        let value = |number: usize| self.known_by(given, number).ok_or(number);
        let mut state = hasher.build_hasher();
        for &number in by {
            let value = value(number)?;
            // With its length: ("a", "bc") and ("ab", "c") differ.
            state.write_u64(value.len() as u64);
            state.write(value);
        }
        Ok(store::tag(state.finish()))
    }

    #[cold]
    fn lacks(&self, attribute: usize, terms: Option<&Terms>) -> Error {
        let name = &self.attributes[attribute];
        let limit = terms.map_or("", |terms| terms.name.as_str());
        Error::argument(
            name,
            format!("the request has none, and limit {limit:?} counts by it"),
            "give it, or set `missing = \"skip\"` or `\"deny\"` for that limit",
        )
    }

    /// The kind of call, for the report of usage.
    #[inline]
    pub(crate) fn kind<'r>(&self, given: &Given<'r>) -> Cow<'r, [u8]> {
        match self.kind.and_then(|number| given.values[number]) {
            Some(_) if self.kind == self.ip => address::text(given.network).into_bytes().into(),
            value => value.unwrap_or(b"").into(),
        }
    }

    /// Whose use it is, for the report; `None`: nobody's.
    pub(crate) fn usage_tag(&self, given: &Given<'_>, hasher: &RandomState) -> Option<u64> {
        self.tag_known_by(given, self.plan_by, hasher)
    }

    /// The value to which a plan is assigned.
    ///
    /// # Errors
    /// It is to be an address, and is none.
    pub(crate) fn assignee<'v>(&self, value: &'v [u8]) -> Result<Cow<'v, [u8]>> {
        if Some(self.plan_by) != self.ip {
            return Ok(value.into());
        }
        let network = self.networks.of(Address::expect(value)?);
        Ok(network.to_be_bytes().to_vec().into())
    }

    /// The attribute to whose values plans are assigned.
    pub(crate) fn plan_by(&self) -> &str {
        &self.attributes[self.plan_by]
    }
}

/// The tag of one value.
#[inline(always)]
pub(crate) fn tag_of(hasher: &RandomState, value: &[u8]) -> u64 {
    let mut state = hasher.build_hasher();
    // Not `Hash`, which hashes the length besides: `write` has it in already.
    state.write(value);
    store::tag(state.finish())
}

/// The tag of an attribute's value, for blocks: of `key` that of the key alone.
pub(crate) fn tag_of_attribute(hasher: &RandomState, name: &str, value: &[u8]) -> u64 {
    if name == KEY {
        return tag_of(hasher, value);
    }
    let mut state = hasher.build_hasher();
    state.write_u64(name.len() as u64);
    state.write(name.as_bytes());
    state.write(value);
    store::tag(state.finish())
}

/// The tag of an address's client, for blocks.
pub(crate) fn tag_of_network(hasher: &RandomState, address: Address, networks: Networks) -> u64 {
    let mut state = hasher.build_hasher();
    state.write_u64(IP.len() as u64);
    state.write(IP.as_bytes());
    state.write_u128(networks.of(address));
    if !address.is_v4() {
        state.write_u8(networks.prefix);
    }
    store::tag(state.finish())
}

impl Met {
    fn new(scope: usize, rule: &ScopeRule) -> Met {
        let by = if let [number] = *rule.by { number } else { NONE };
        Met { scope, needs: rule.needs, by }
    }
}

impl ScopeLimits<'_> {
    /// For each variant the terms of its first limit that may deny.
    fn lacking(&self, plans: &[String]) -> Vec<Option<&'static Terms>> {
        let first = |(variant, limits): (usize, &Vec<&Limit>)| {
            let plan = plans.get(variant).map(String::as_str);
            let first = limits.iter().find(|limit| !limit.shadow);
            first.map(|limit| Terms::of(limit, plan).intern())
        };
        self.variants.iter().enumerate().map(first).collect()
    }
}

/// No attribute's number.
const NONE: usize = usize::MAX;

fn number_of(attributes: &[String], name: &str) -> Option<usize> {
    attributes.iter().position(|known| known == name)
}

/// Attributes by number.
#[derive(Default)]
struct Attributes(Vec<String>);

impl Attributes {
    fn number(&mut self, name: &str) -> usize {
        self.0.iter().position(|known| known == name).unwrap_or_else(|| {
            self.0.push(name.to_owned());
            self.0.len() - 1
        })
    }
}

/// Conditions by number, each counted once.
#[derive(Default)]
struct Numbered(Vec<crate::policy::Condition>);

impl Numbered {
    fn bits(&mut self, conditions: &Conditions) -> Bits {
        conditions.0.iter().fold(0, |bits, condition| {
            let known = self.0.iter().position(|known| known == condition);
            let number = known.unwrap_or_else(|| {
                self.0.push(condition.clone());
                self.0.len() - 1
            });
            // Beyond the most, the policy is refused.
            bits | 1_u128.checked_shl(number as u32).unwrap_or(0)
        })
    }
}

fn listed(policy: &Policy, attributes: &mut Attributes, conditions: &mut Numbered) -> Vec<Listed> {
    let mut listed = Vec::new();
    for block in &policy.block {
        let how = How::Meets(conditions.bits(&block.when));
        listed.push(Listed { reason: Reason::Blocked, terms: Terms::named(&block.name), how });
    }
    for bypass in policy.bypass.iter().filter(|bypass| bypass.enabled) {
        let attribute = attributes.number(&bypass.attribute);
        let how = How::Knows { attribute, secrets: bypass.secrets.clone() };
        listed.push(Listed { reason: Reason::Bypass, terms: Terms::named(&bypass.name), how });
    }
    for exempt in &policy.exempt {
        let how = How::Meets(conditions.bits(&exempt.when));
        listed.push(Listed { reason: Reason::Bypass, terms: Terms::named(&exempt.name), how });
    }
    listed
}

fn bounded(what: &str, count: usize, most: usize) -> Result<()> {
    if count <= most {
        return Ok(());
    }
    Err(Error::policy(
        "limit",
        None,
        format!("the policy speaks of {count} {what}, it can of {most}"),
        "split the policy: one limiter for each part",
    ))
}

/// A value as an error shows it: requests may bring anything.
fn shown(value: &[u8]) -> String {
    const MOST: usize = 48;
    let short = String::from_utf8_lossy(&value[..value.len().min(MOST)]);
    let rest = if value.len() > MOST { "…" } else { "" };
    format!("{short:?}{rest}")
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// The pattern of an attribute, and the values that match it and that do not.
    const CASES: &[(&str, &str, &[&str], &[&str])] = &[
        ("user", "*", &["", "a", "\u{e9}"], &[]),
        ("user", "ab", &["ab"], &["", "a", "abc", "AB", " ab"]),
        ("user", "ab*", &["ab", "abc", "ab*"], &["", "a", "Ab", "xab"]),
        ("user", "10.0.0.0/8", &["10.0.0.0/8"], &["10.0.0.1"]),
        (
            "route",
            "GET /v3/configs/:key",
            &[
                "GET /v3/configs/a",
                "GET /v3/configs/:key",
                "GET /v3/configs/a?b=/c",
                "GET /v3/configs/a#/b",
                "GET  /v3/configs/a",
            ],
            &[
                "GET /v3/configs",
                "GET /v3/configs/",
                "GET /v3/configs/?a",
                "GET /v3/configs/a/",
                "GET /v3/configs/a/b",
                "PUT /v3/configs/a",
                "get /v3/configs/a",
                "GET v3/configs/a",
                "/v3/configs/a",
                "GET",
                "",
            ],
        ),
        ("route", "GET /", &["GET /", "GET /?a"], &["GET ", "GET //", "GET /a", "POST /"]),
        (
            "route",
            "GET /static/*",
            &["GET /static/", "GET /static/a", "GET /static/a/b/", "GET /static//"],
            &["GET /static", "GET /statica", "GET /", "PUT /static/a"],
        ),
        ("route", "* /a", &["GET /a", "WS /a"], &[" /a", "GET /b"]),
        ("route", "GET /*", &["GET /", "GET /a/b"], &["GET ", "GET", "PUT /"]),
        (
            "ip",
            "203.0.113.9",
            &["203.0.113.9", "::ffff:203.0.113.9", "203.0.113.9 ", " ::FFFF:cb00:7109"],
            &["203.0.113.8", "203.0.113.9:80", "", "a"],
        ),
        (
            "ip",
            "10.0.0.0/8",
            &["10.0.0.0", "10.255.255.255"],
            &["9.255.255.255", "11.0.0.0", "::a00:0"],
        ),
        ("ip", "10.0.0.0/31", &["10.0.0.0", "10.0.0.1"], &["10.0.0.2", "9.255.255.255"]),
        ("ip", "0.0.0.0/0", &["0.0.0.0", "255.255.255.255"], &["::", "2001:db8::1"]),
        ("ip", "::/0", &["::", "2001:db8::1", "10.0.0.1"], &["x"]),
        (
            "ip",
            "2001:db8:bad::*",
            &["2001:db8:bad::1", "2001:DB8:0bad:1::"],
            &["2001:db8:bae::", "2001:db8::"],
        ),
        ("ip", "2001:db8::1", &["2001:db8:0::1"], &["2001:db8::2"]),
    ];

    /// The error tells of as many attributes as the policy names, whatever it needs besides.
    #[test]
    fn too_many_attributes_are_counted_as_they_were_given() {
        let refused = |count: usize| {
            let limit = |n| format!("[[limit]]\nname = \"{n}\"\nrate = \"1/s\"\nby = [\"a{n}\"]\n");
            let text: String = (0..count).map(limit).collect();
            for own in ["", "[[limit]]\nrate = \"1/s\"\nby = [\"key\"]\n"] {
                let policy = Policy::parse(&(text.clone() + own)).expect("each by itself is right");
                let error = Rules::new(&policy, &scopes(&policy).0).err();
                let error = error.map(|error| error.to_string());
                let told = format!("speaks of {count} attributes besides `key` and `plan`");
                assert!(error.as_ref().is_none_or(|error| error.contains(&told)), "{error:?}");
                if error.is_some() {
                    return true;
                }
            }
            false
        };
        assert!(!refused(MAX_ATTRIBUTES));
        assert!(refused(MAX_ATTRIBUTES + 1));
    }

    #[test]
    fn patterns_match() {
        for (attribute, pattern, yes, no) in CASES {
            let text =
                format!("[[limit]]\nrate = \"1/s\"\nwhen = {{ {attribute} = \"{pattern}\" }}");
            let policy = Policy::parse(&text).expect(pattern);
            let rules = Rules::new(&policy, &scopes(&policy).0).expect(pattern);
            for (values, expected) in [(yes, true), (no, false)] {
                for value in *values {
                    let request = Request::new().with(attribute, *value);
                    // What is no address is refused.
                    let given = rules.read(&request, Strictness::Strict);
                    let matched = given.is_ok_and(|given| given.matched != 0);
                    assert_eq!(matched, expected, "{text}: {value:?}");
                }
            }
        }
    }
}
