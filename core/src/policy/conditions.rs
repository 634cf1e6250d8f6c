//! Conditions on the attributes of a request: which requests a limit is for, who is exempt, who is blocked.

use std::net::{IpAddr, Ipv6Addr};

/// Conditions that must all match, sorted by attribute; an attribute occurs once. None: every request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Conditions(pub(crate) Vec<Condition>);

/// One attribute, and the patterns of which one must match. A request without the attribute matches none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(dead_code)]
pub(crate) struct Condition {
    pub(crate) attribute: String,
    pub(crate) any_of: Vec<Pattern>,
}

/// What a value of an attribute may be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(dead_code)]
pub(crate) enum Pattern {
    /// Anything: the attribute is there.
    Any,
    Exact(String),
    Prefix(String),
    /// A route such as `GET /v3/configs/:key`: the method first, then the segments of the path.
    Route(Vec<Segment>),
    /// Addresses whose first `prefix` bits are these; IPv4 mapped into IPv6 (`::ffff:a.b.c.d`).
    Network {
        address: [u8; 16],
        prefix: u8,
    },
}

/// One part of a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(dead_code)]
pub(crate) enum Segment {
    Exact(String),
    /// Any one segment that is not empty.
    Parameter,
    /// All segments that are left, at least one. Only at the end.
    Rest,
}

#[allow(dead_code)]
impl Pattern {
    /// Does a value match? Bytes are compared as they are; only addresses are read.
    pub(crate) fn matches(&self, value: &[u8]) -> bool {
        match self {
            Pattern::Any => true,
            Pattern::Exact(text) => value == text.as_bytes(),
            Pattern::Prefix(text) => value.starts_with(text.as_bytes()),
            Pattern::Route(segments) => route_matches(segments, value),
            Pattern::Network { address, prefix } => {
                mapped(value).is_some_and(|found| in_network(found, *address, *prefix))
            }
        }
    }
}

/// The bits of an address in a value, IPv4 mapped into IPv6.
#[allow(dead_code)]
pub(crate) fn mapped(value: &[u8]) -> Option<Ipv6Addr> {
    match std::str::from_utf8(value).ok()?.parse().ok()? {
        IpAddr::V4(address) => Some(address.to_ipv6_mapped()),
        IpAddr::V6(address) => Some(address),
    }
}

#[allow(dead_code)]
fn in_network(found: Ipv6Addr, network: [u8; 16], prefix: u8) -> bool {
    let differ = found.to_bits() ^ u128::from_be_bytes(network);
    // A shift by all 128 bits leaves the network of everybody.
    differ.checked_shr(128 - u32::from(prefix)).unwrap_or(0) == 0
}

/// `METHOD /path`: the method, then what stands between slashes. A query is no part of a path.
#[allow(dead_code)]
fn route_matches(segments: &[Segment], value: &[u8]) -> bool {
    let Some(blank) = value.iter().position(|&byte| byte == b' ') else { return false };
    let (method, path) = (&value[..blank], &value[blank + 1..]);
    let Some(path) = path.strip_prefix(b"/") else { return false };
    let end = path.iter().position(|byte| b"?#".contains(byte)).unwrap_or(path.len());
    let mut found = [method].into_iter().chain(path[..end].split(|&byte| byte == b'/'));
    for segment in segments {
        match (segment, found.next()) {
            (Segment::Rest, Some(_)) => return true,
            (Segment::Parameter, Some(part)) if !part.is_empty() => {}
            (Segment::Exact(text), Some(part)) if text.as_bytes() == part => {}
            _ => return false,
        }
    }
    found.next().is_none()
}

#[cfg(test)]
mod tests {
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
                "GET  /v3/configs/a",
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
            &["203.0.113.9", "::ffff:203.0.113.9"],
            &["203.0.113.8", "203.0.113.9 ", "", "a"],
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

    #[test]
    fn patterns_match() {
        for (attribute, pattern, yes, no) in CASES {
            let text =
                format!("[[limit]]\nrate = \"1/s\"\nwhen = {{ {attribute} = \"{pattern}\" }}");
            let policy = Policy::parse(&text).expect(pattern);
            let pattern = &policy.limits[0].when.0[0].any_of[0];
            for (values, expected) in [(yes, true), (no, false)] {
                for value in *values {
                    assert_eq!(pattern.matches(value.as_bytes()), expected, "{text}: {value:?}");
                }
            }
        }
    }
}
