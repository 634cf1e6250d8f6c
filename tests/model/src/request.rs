//! Who asks, and for what: the attributes of a request, and what they match.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::policy::When;

/// Attributes with a value each.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Request(Vec<(String, Vec<u8>)>);

/// A call can be about a key, or a request.
pub trait Subject {
    fn request(&self) -> Request;
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |(name, value): &(String, Vec<u8>)| format!("{name}={}", value.escape_ascii());
        write!(f, "{:?}", self.0.iter().map(text).collect::<Vec<_>>().join(" "))
    }
}

impl<T: AsRef<[u8]> + ?Sized> Subject for T {
    fn request(&self) -> Request {
        Request(vec![("key".to_owned(), self.as_ref().to_owned())])
    }
}

impl Subject for Request {
    fn request(&self) -> Request {
        self.clone()
    }
}

impl Request {
    pub fn new(attributes: &[(&str, &str)]) -> Request {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.as_bytes().to_owned());
        Request(attributes.iter().map(owned).collect())
    }

    /// With another attribute, or another value.
    pub fn with(&self, name: &str, value: &str) -> Request {
        let mut others = self.without(name);
        others.0.push((name.to_owned(), value.as_bytes().to_owned()));
        others
    }

    pub fn without(&self, name: &str) -> Request {
        let others = self.0.iter().filter(|(known, _)| known != name);
        Request(others.cloned().collect())
    }

    pub fn attributes(&self) -> &[(String, Vec<u8>)] {
        &self.0
    }

    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }

    /// Do all attributes match, each by one of its patterns?
    pub fn meets(&self, when: &When) -> bool {
        when.iter().all(|(name, patterns)| {
            self.get(name)
                .is_some_and(|value| patterns.iter().any(|pattern| matches(name, pattern, value)))
        })
    }

    /// By what an attribute is known, in a limit's key as anywhere.
    pub fn key_part(&self, name: &str, ipv6_prefix: u32) -> Option<Vec<u8>> {
        self.get(name).map(|value| known_by(name, value, ipv6_prefix))
    }
}

/// By what a value is known: an address by its network.
pub fn known_by(name: &str, value: &[u8], ipv6_prefix: u32) -> Vec<u8> {
    let text = match address(value).filter(|_| name == "ip") {
        None => return value.to_owned(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => {
            let mut bits = address.to_bits();
            for bit in 0..128 - ipv6_prefix {
                bits &= !(1 << bit);
            }
            Ipv6Addr::from_bits(bits).to_string()
        }
    };
    text.into_bytes()
}

/// An address, however it is written; one that is mapped from IPv4 is that one.
pub fn address(value: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let text = match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').unwrap_or(text),
        None => text,
    };
    let text = text.split('%').next()?;
    Some(text.parse::<IpAddr>().ok()?.to_canonical())
}

fn matches(name: &str, pattern: &str, value: &[u8]) -> bool {
    match name {
        _ if pattern == "*" => true,
        "route" => route_matches(pattern, value),
        "ip" => network_matches(pattern, value),
        _ => match pattern.strip_suffix('*') {
            Some(begin) => value.starts_with(begin.as_bytes()),
            None => value == pattern.as_bytes(),
        },
    }
}

/// `GET /v3/configs/:key`, `GET /static/*`, `* /v3/configs`.
fn route_matches(pattern: &str, value: &[u8]) -> bool {
    let (method, path) = pattern.split_once(' ').expect("a method and a path");
    let Some(blank) = value.iter().position(|&byte| byte == b' ') else { return false };
    let asked = &value[..blank];
    if !(asked == method.as_bytes() || method == "*" && !asked.is_empty()) {
        return false;
    }
    let value = value[blank..].trim_ascii_start();
    // A query or a fragment is no part of the path.
    let end = value.iter().position(|byte| b"?#".contains(byte)).unwrap_or(value.len());
    let Some(value) = value[..end].strip_prefix(b"/") else { return false };
    let segments: Vec<&[u8]> = value.split(|&byte| byte == b'/').collect();
    let mut patterns: Vec<&str> = path[1..].split('/').collect();
    if patterns.last() == Some(&"*") {
        patterns.pop();
        // One segment or more is left to it.
        return segments.len() > patterns.len() && all_match(&patterns, &segments);
    }
    segments.len() == patterns.len() && all_match(&patterns, &segments)
}

fn all_match(patterns: &[&str], segments: &[&[u8]]) -> bool {
    patterns.iter().zip(segments).all(|(pattern, segment)| match pattern.starts_with(':') {
        true => !segment.is_empty(),
        false => *segment == pattern.as_bytes(),
    })
}

/// `203.0.113.9`, `10.0.0.0/8`, `10.1.*`, `2001:db8:bad::*`.
fn network_matches(pattern: &str, value: &[u8]) -> bool {
    let address = address(value).expect("looked at before");
    let (network, length) = match (pattern.split_once('/'), pattern.strip_suffix('*')) {
        (Some((network, length)), _) => {
            (network.to_owned(), length.parse().expect("a length of a prefix"))
        }
        (None, Some(begin)) if begin.contains(':') => {
            let parts = begin.trim_end_matches(':');
            (format!("{parts}::"), 16 * parts.split(':').count())
        }
        (None, Some(begin)) => {
            let parts = begin.trim_end_matches('.');
            let count = parts.split('.').count();
            (format!("{parts}{}", ".0".repeat(4 - count)), 8 * count)
        }
        (None, None) if pattern.contains(':') => (pattern.to_owned(), 128),
        (None, None) => (pattern.to_owned(), 32),
    };
    let network: IpAddr = network.parse().expect("an address");
    let bits = |address: IpAddr| -> Vec<bool> {
        let octets = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let bit = |(octet, bit): (u8, u32)| octet >> (7 - bit) & 1 == 1;
        octets.into_iter().flat_map(|octet| (0..8).map(move |n| (octet, n))).map(bit).collect()
    };
    network.is_ipv4() == address.is_ipv4() && bits(network)[..length] == bits(address)[..length]
}
