//! A document — TOML, JSON, or a host's own object as JSON — to a policy.

use super::Policy;
use super::build::Builder;
use super::draft::LimitDraft;
use super::fields::{own_attribute, part, scale, zone};
use super::limit::{LIMIT, limit};
use super::lists;
use super::plans::{self, PlanDraft};
use super::source::{Source, shown};
use super::table::{Field, Table};
use super::terms::Scope;
use super::tree::{Node, Value};
use crate::error::Result;

/// What a document as a whole is called in errors.
pub(super) const FIELD: &str = "document";

const TOP: &[&str] = &[
    "limit",
    "timezone",
    "scale",
    "plan",
    "default_plan",
    "plan_by",
    "ipv6_prefix",
    "exempt",
    "bypass",
    "block",
    "usage",
];

/// A limit for some plans, written outside of them.
struct Copies {
    draft: LimitDraft,
    plans: Vec<usize>,
}

pub(super) fn policy(source: Source<'_>, root: &Node<'_>) -> Result<Policy> {
    let top = Table::open(source, root, String::new(), TOP)?;
    let mut builder = Builder::new(source);
    if let Some(field) = top.get("timezone") {
        builder.zone(zone(&field)?);
    }
    if let Some(field) = top.get("scale") {
        builder.scale(scale(&field)?);
    }
    let tables = plans::tables(&top)?;
    let names: Vec<String> = tables.iter().map(|field| field.name.to_owned()).collect();
    let copies = limits(&mut builder, &top, &names)?;
    let drafts = plans::read(tables, &names)?;
    for (index, plan) in drafts.iter().enumerate() {
        build_plan(&mut builder, source, &copies, &drafts, (index, plan))?;
    }
    let mut policy = builder.finish();
    if policy.limits.is_empty() {
        return Err(top.error(
            "limit",
            "a policy has limits",
            "write a `[[limit]]` table (TOML), or a list `\"limit\": [ … ]` (JSON)",
        ));
    }
    identities(&mut policy, &top, &names)?;
    policy.plans = names;
    lists::read(&mut policy, &top)?;
    Ok(policy)
}

/// Adds the limits of every request; those for some plans are left to be copied.
fn limits(builder: &mut Builder<'_>, top: &Table<'_>, plans: &[String]) -> Result<Vec<Copies>> {
    let mut copies = Vec::new();
    let Some(limits) = top.get("limit") else { return Ok(copies) };
    let example = "`[[limit]]` (TOML) or `\"limit\": [{ … }]` (JSON)";
    for item in limits.items("a list of limits", example)? {
        let table = Table::open(item.source, item.node, item.path, LIMIT)?;
        match limit(&table, Scope { plans, inside: false })? {
            (draft, None) => builder.limit(&draft, &[])?,
            (draft, Some(plans)) => copies.push(Copies { draft, plans }),
        }
    }
    Ok(copies)
}

/// Adds the limits of one plan: those written outside of it first.
fn build_plan(
    builder: &mut Builder<'_>,
    source: Source<'_>,
    copies: &[Copies],
    drafts: &[PlanDraft],
    (index, plan): (usize, &PlanDraft),
) -> Result<()> {
    builder.enter(index, &plan.name);
    for copy in copies.iter().filter(|copy| copy.plans.contains(&index)) {
        builder.limit(&copy.draft, &[])?;
    }
    for held in plans::resolve(source, drafts, index)? {
        builder.limit(held.draft, &held.scales)?;
    }
    Ok(())
}

/// What makes a request one of a plan, and an address a key.
fn identities(policy: &mut Policy, top: &Table<'_>, plans: &[String]) -> Result<()> {
    for name in ["default_plan", "plan_by"] {
        if let Some(field) = top.get(name).filter(|_| plans.is_empty()) {
            let problem = format!("`{name}` in a policy without plans");
            return field.fail(problem, "remove it, or write plans: `[plan.NAME]`");
        }
    }
    let default = part(top, "default_plan", |field| plans::find(field, plans))?;
    policy.default_plan = default.map(|plan| plan.value);
    if let Some(field) = top.get("plan_by") {
        policy.plan_by = own_attribute(&field)?;
    }
    if let Some(field) = top.get("ipv6_prefix") {
        policy.ipv6_prefix = ipv6_prefix(&field)?;
    }
    Ok(())
}

fn ipv6_prefix(field: &Field<'_>) -> Result<u8> {
    let Value::Integer(bits) = field.node.value else {
        return Err(field.wrong_type("an integer", "`64`"));
    };
    match u8::try_from(bits) {
        Ok(bits @ 1..=128) => Ok(bits),
        _ => field.fail(
            format!("{} is no length of a prefix", shown(&bits.to_string())),
            "write how many bits of an IPv6 address make a key, from 1 to 128",
        ),
    }
}
