//! What a request's attributes mean under a policy: whether it is listed, which plan it has, and which scopes it
//! meets, with its key in each.
//!
//! A *scope* is limits that have the same key and the same conditions: one record holds their buckets. Plans
//! are variants of a scope: the limits of another plan over the same record.

mod address;
mod making;
mod matching;
mod meeting;
mod scopes;
mod tags;
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
use crate::policy::{Missing, PLAN};
use crate::request::{KNOWN, Request};
use crate::secrets;
use crate::store;
use crate::terms::Terms;
pub(crate) use address::{Address, IP, Networks, text as network_text};
use making::number_of;
use matching::{Bits, Matcher};
use meeting::{Meeting, Met};
pub(crate) use scopes::{Identity, ScopeLimits, scopes};
pub(crate) use tags::{tag_of, tag_of_attribute, tag_of_network};
use text::{Text, head};

/// Most attributes that a policy may speak of besides `key` and `plan`, which it may not name and need all the same.
const MAX_ATTRIBUTES: usize = 16;
/// Most numbers of attributes.
const NUMBERS: usize = MAX_ATTRIBUTES + 2;
/// Most conditions, each counted once.
const MAX_CONDITIONS: usize = Bits::BITS as usize;

/// Plans of which the name is found without hashing it.
const FEW: usize = 8;

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

/// No attribute's number.
const NONE: usize = usize::MAX;

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
    use crate::policy::Policy;

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
