//! From a policy to its rules: attributes and conditions get numbers.

use super::address::{IP, Networks};
use super::matching::{Bits, Matcher};
use super::meeting::{Meeting, Met};
use super::text::Text;
use super::{
    How, Known, Listed, MAX_ATTRIBUTES, MAX_CONDITIONS, NONE, Rules, ScopeLimits, ScopeRule,
};
use crate::decision::Reason;
use crate::error::{Error, Result};
use crate::names::Name;
use crate::policy::{Condition, Conditions, KEY, PLAN, Policy};
use crate::request::KNOWN;
use crate::terms::Terms;

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
}

pub(super) fn number_of(attributes: &[String], name: &str) -> Option<usize> {
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
struct Numbered(Vec<Condition>);

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
