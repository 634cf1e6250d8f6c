//! `when` to conditions: words, prefixes, routes and networks.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::PLAN;
use super::conditions::{Condition, Conditions, Pattern, Segment};
use super::fields::check_attribute;
use super::plans;
use super::source::shown;
use super::table::{Field, Table};
use super::terms::Scope;
use super::tree::Value;
use crate::error::Result;

/// The attribute whose patterns are routes.
const ROUTE: &str = "route";
/// The attribute whose patterns are addresses.
const IP: &str = "ip";
/// Most attributes of one `when`.
const MAX_ATTRIBUTES: usize = 16;
/// Most segments of a route's path: a request is followed through the tree of routes one call a segment deep, on
/// whatever stack it comes.
const MAX_SEGMENTS: usize = 64;
/// Bits of an address, and those before an IPv4 address that is mapped into IPv6.
const BITS: u8 = 128;
const MAPPED: u8 = 96;

/// Conditions, and the plans among them.
#[derive(Default)]
pub(super) struct When {
    pub(super) conditions: Conditions,
    pub(super) plans: Option<Vec<usize>>,
}

/// The `when` of a limit, which may name plans.
pub(super) fn limited(field: &Field<'_>, scope: Scope<'_>) -> Result<When> {
    let mut when = When::default();
    for field in attributes(field)? {
        if field.name != PLAN {
            when.conditions.0.push(condition(&field)?);
            continue;
        }
        if scope.inside {
            return field.fail(
                "this is a limit of one plan already",
                "remove `plan`, or write the limit outside of the plans",
            );
        }
        when.plans = Some(plans(&field, scope.plans)?);
    }
    when.conditions.0.sort_by(|one, other| one.attribute.cmp(&other.attribute));
    Ok(when)
}

/// A `when` for all plans alike.
pub(super) fn conditions(field: &Field<'_>) -> Result<Conditions> {
    let mut conditions = Vec::new();
    for field in attributes(field)? {
        if field.name == PLAN {
            return field.fail(
                "`plan` is for limits alone",
                "remove it; a plan whose requests are not limited has no limits",
            );
        }
        conditions.push(condition(&field)?);
    }
    conditions.sort_by(|one, other| one.attribute.cmp(&other.attribute));
    Ok(Conditions(conditions))
}

fn attributes<'t>(field: &Field<'t>) -> Result<Vec<Field<'t>>> {
    let (source, path) = (field.source, field.path.clone());
    let table = Table::open_named(source, field.node, path, MAX_ATTRIBUTES, "attributes")?;
    table
        .fields()
        .map(|field| check_attribute(source, field.name, &field.name_spot()).map(|()| field))
        .collect()
}

fn plans(field: &Field<'_>, names: &[String]) -> Result<Vec<usize>> {
    let mut found = Vec::new();
    for item in values(field, "\"pro\"")? {
        let plan = plans::find(&item, names)?;
        if found.contains(&plan) {
            return twice(&item);
        }
        found.push(plan);
    }
    Ok(found)
}

fn condition(field: &Field<'_>) -> Result<Condition> {
    let read = match field.name {
        ROUTE => route,
        IP => network,
        _ => word,
    };
    let example = match field.name {
        ROUTE => "\"GET /v3/configs/:key\"",
        IP => "\"10.0.0.0/8\"",
        _ => "\"test-*\"",
    };
    let mut any_of = Vec::new();
    let mut seen = HashSet::new();
    for item in values(field, example)? {
        let pattern = match item.text(example)?.text {
            "" => {
                return item.fail("the pattern is empty", format!("write for example `{example}`"));
            }
            "*" => Pattern::Any,
            text => read(&item, text)?,
        };
        if !seen.insert(pattern.clone()) {
            return twice(&item);
        }
        any_of.push(pattern);
    }
    Ok(Condition { attribute: field.name.to_owned(), any_of })
}

/// A value alone, or a list of values.
fn values<'t>(field: &Field<'t>, example: &str) -> Result<Vec<Field<'t>>> {
    if let Value::Text(_) = field.node.value {
        return Ok(vec![field.itself()]);
    }
    field.items("a string or a list of strings", &format!("`{example}`"))
}

fn twice<T>(item: &Field<'_>) -> Result<T> {
    item.fail("the same stands here twice", "remove one of the two")
}

/// `abc`, or `abc*`.
fn word(field: &Field<'_>, text: &str) -> Result<Pattern> {
    let (text, pattern): (_, fn(String) -> Pattern) = match text.strip_suffix('*') {
        Some(prefix) => (prefix, Pattern::Prefix),
        None => (text, Pattern::Exact),
    };
    if text.contains('*') {
        return field.fail("a `*` stands at the end alone", "write the beginning, then `*`");
    }
    Ok(pattern(text.to_owned()))
}

/// `GET /v3/configs/:key`, `* /static/*`.
fn route(field: &Field<'_>, text: &str) -> Result<Pattern> {
    const REMEDY: &str = "write a method, a blank and a path, such as `GET /v3/configs/:key`";
    let fail = |problem: &str| field.fail(format!("{} {problem}", shown(text)), REMEDY);
    if text.contains(char::is_control) {
        return fail("holds control characters");
    }
    let Some((method, path)) = text.split_once(' ') else {
        return fail("has no method and path");
    };
    let Some(path) = path.trim_start_matches(' ').strip_prefix('/') else {
        return fail("has no path that begins with `/`");
    };
    if path.contains([' ', '?', '#']) {
        return fail("has a blank, `?` or `#` in its path");
    }
    let method = match method {
        "*" => Segment::Parameter,
        "" => return fail("has no method"),
        method if method.contains(['*', ':', '/']) => return fail("has no method"),
        method => Segment::Exact(method.to_owned()),
    };
    let mut segments = vec![method];
    let last = path.split('/').count();
    if last > MAX_SEGMENTS {
        let problem = format!("{} has {last} segments", shown(text));
        return field.fail(problem, format!("write at most {MAX_SEGMENTS}; `/*` takes the rest"));
    }
    for (number, segment) in path.split('/').enumerate() {
        let is_last = number + 1 == last;
        segments.push(match segment.strip_prefix(':') {
            Some(name) if name.is_empty() || name.contains([':', '*']) => {
                return fail("has a parameter without a name");
            }
            Some(_) => Segment::Parameter,
            None if segment == "*" && is_last => Segment::Rest,
            None if segment.contains('*') => return fail("has a `*` that is not its last segment"),
            None if segment.is_empty() && !is_last => return fail("has an empty segment"),
            None => Segment::Exact(segment.to_owned()),
        });
    }
    Ok(Pattern::Route(segments))
}

/// `203.0.113.9`, `10.0.0.0/8`, `10.1.*`, `2001:db8::/32`, `2001:db8:bad::*`.
fn network(field: &Field<'_>, text: &str) -> Result<Pattern> {
    const REMEDY: &str =
        "write an address (`203.0.113.9`) or a network (`10.0.0.0/8`, `2001:db8::/32`)";
    let refused = || field.fail(format!("{} is not an address", shown(text)), REMEDY);
    if let Some(beginning) = text.strip_suffix('*') {
        return match beginning_of(beginning) {
            Some((address, prefix)) => Ok(Pattern::Network { address: address.octets(), prefix }),
            None => refused(),
        };
    }
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else { return refused() };
    let (mapped, least) = match address {
        IpAddr::V4(address) => (address.to_ipv6_mapped(), MAPPED),
        IpAddr::V6(address) => (address, 0),
    };
    let prefix = match length {
        None => BITS,
        Some(length) => match bits(length).filter(|&bits| bits <= BITS - least) {
            Some(bits) => least + bits,
            None => {
                let problem = format!("{} is no length of a network", shown(length));
                return field.fail(problem, format!("write from 0 to {}", BITS - least));
            }
        },
    };
    let network = masked(mapped, prefix);
    if network != mapped {
        let network = if least == 0 {
            network.to_string()
        } else {
            network.to_ipv4_mapped().unwrap_or(Ipv4Addr::UNSPECIFIED).to_string()
        };
        let remedy = format!("write `{network}/{}`, or the address alone", prefix - least);
        return field.fail(format!("{} is an address inside a network", shown(text)), remedy);
    }
    Ok(Pattern::Network { address: mapped.octets(), prefix })
}

/// Digits alone, without a leading zero.
fn bits(digits: &str) -> Option<u8> {
    let plain = digits == "0" || !digits.starts_with(['0', '+']);
    digits.parse().ok().filter(|_| plain)
}

fn masked(address: Ipv6Addr, prefix: u8) -> Ipv6Addr {
    let host = u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
    Ipv6Addr::from_bits(address.to_bits() & !host)
}

/// The network of an address's first whole parts: `10.1.`, `2001:db8:` or `2001:db8::`.
fn beginning_of(text: &str) -> Option<(Ipv6Addr, u8)> {
    if let Some(parts) = text.strip_suffix('.') {
        let count = parts.split('.').count();
        let missing = 4_usize.checked_sub(count).filter(|&missing| missing > 0)?;
        let address: Ipv4Addr = format!("{parts}{}", ".0".repeat(missing)).parse().ok()?;
        return Some((address.to_ipv6_mapped(), MAPPED + 8 * u8::try_from(count).ok()?));
    }
    let parts = text.strip_suffix("::").or_else(|| text.strip_suffix(':'))?;
    let count = parts.split(':').count();
    // Eight parts are the address itself; and what `::` leaves out has no place of its own.
    let whole = count < 8 && !parts.contains('.') && parts.split(':').all(|part| !part.is_empty());
    let address: Ipv6Addr = format!("{parts}::").parse().ok().filter(|_| whole)?;
    Some((address, 16 * u8::try_from(count).ok()?))
}
