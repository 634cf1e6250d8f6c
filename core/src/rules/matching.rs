//! Which conditions does a value meet? One bit a condition.

use std::collections::HashMap;

use ahash::RandomState;

use crate::policy::{Pattern, Segment};

/// One bit a condition of the policy.
pub(super) type Bits = u128;

/// All patterns for one attribute.
#[derive(Debug, Default)]
pub(super) struct Matcher {
    any: Bits,
    exact: HashMap<Box<[u8]>, Bits, RandomState>,
    prefixes: Vec<(Box<[u8]>, Bits)>,
    networks: Vec<Network>,
    routes: Node,
    has_routes: bool,
}

#[derive(Debug)]
struct Network {
    address: u128,
    mask: u128,
    bits: Bits,
}

/// Routes that begin alike, segment by segment.
#[derive(Debug, Default)]
struct Node {
    /// Of the routes that end here.
    ends: Bits,
    /// Of those that take whatever follows.
    rest: Bits,
    exact: Vec<(Box<[u8]>, Node)>,
    parameter: Option<Box<Node>>,
}

impl Matcher {
    pub(super) fn add(&mut self, pattern: &Pattern, bits: Bits) {
        match pattern {
            Pattern::Any => self.any |= bits,
            Pattern::Exact(text) => *self.exact.entry(text.as_bytes().into()).or_default() |= bits,
            Pattern::Prefix(text) => self.prefixes.push((text.as_bytes().into(), bits)),
            Pattern::Network { address, prefix } => {
                let mask = !u128::MAX.checked_shr(u32::from(*prefix)).unwrap_or(0);
                let address = u128::from_be_bytes(*address) & mask;
                self.networks.push(Network { address, mask, bits });
            }
            Pattern::Route(segments) => {
                self.has_routes = true;
                self.routes.add(segments, bits);
            }
        }
    }

    /// The conditions that the value meets; `address` is its value as one, where it is one.
    pub(super) fn matches(&self, value: &[u8], address: Option<u128>) -> Bits {
        let mut bits = self.any;
        if !self.exact.is_empty() {
            bits |= self.exact.get(value).copied().unwrap_or(0);
        }
        for (prefix, theirs) in &self.prefixes {
            if value.starts_with(prefix) {
                bits |= theirs;
            }
        }
        if let Some(address) = address {
            let inside = |network: &&Network| address & network.mask == network.address;
            bits |= self.networks.iter().filter(inside).fold(0, |all, network| all | network.bits);
        }
        if self.has_routes {
            bits |= self.routes.route(value);
        }
        bits
    }
}

impl Node {
    fn add(&mut self, segments: &[Segment], bits: Bits) {
        let Some((first, others)) = segments.split_first() else {
            self.ends |= bits;
            return;
        };
        match first {
            Segment::Rest => self.rest |= bits,
            Segment::Parameter => self.parameter.get_or_insert_default().add(others, bits),
            Segment::Exact(text) => {
                let text = text.as_bytes();
                let known = self.exact.iter().position(|(known, _)| **known == *text);
                let index = known.unwrap_or_else(|| {
                    self.exact.push((text.into(), Node::default()));
                    self.exact.len() - 1
                });
                self.exact[index].1.add(others, bits);
            }
        }
    }

    /// `GET /v3/configs/7`: the method is the first segment, the path's own follow. What comes with a `?` or a `#` is
    /// not the path's.
    fn route(&self, value: &[u8]) -> Bits {
        let Some(blank) = value.iter().position(|&byte| byte == b' ') else { return 0 };
        let (method, path) = value.split_at(blank);
        let Some(path) = path.trim_ascii_start().strip_prefix(b"/") else { return 0 };
        self.next(method, |node| node.walk(path)) | self.rest
    }

    /// The conditions of those that go on with this segment.
    #[inline]
    fn next(&self, segment: &[u8], mut then: impl FnMut(&Node) -> Bits) -> Bits {
        let exact = self.exact.iter().find(|(text, _)| **text == *segment);
        let mut bits = exact.map_or(0, |(_, node)| then(node));
        if let Some(node) = self.parameter.as_deref().filter(|_| !segment.is_empty()) {
            bits |= then(node);
        }
        bits
    }

    fn walk(&self, path: &[u8]) -> Bits {
        let end = path.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
        let (segment, others) = path.split_at(end.unwrap_or(path.len()));
        let bits = match others.strip_prefix(b"/") {
            Some(others) => self.next(segment, |node| node.walk(others)),
            None => self.next(segment, |node| node.ends),
        };
        bits | self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(patterns: &[&[&str]]) -> Matcher {
        let mut matcher = Matcher::default();
        for (bit, segments) in patterns.iter().enumerate() {
            let segments = segments.iter().map(|segment| match *segment {
                ":" => Segment::Parameter,
                "*" => Segment::Rest,
                text => Segment::Exact(text.to_owned()),
            });
            matcher.add(&Pattern::Route(segments.collect()), 1 << bit);
        }
        matcher
    }

    #[test]
    fn routes_of_every_form() {
        let matcher = routes(&[
            &["GET", "v3", "configs"],
            &["GET", "v3", "configs", ":"],
            &["GET", "v3", "configs", "all"],
            &["GET", "v3", "*"],
            &[":", "v3", ":", ":"],
            &["GET", ""],
        ]);
        for (route, bits) in [
            ("GET /v3/configs", 0b1001),
            ("GET /v3/configs?page=2", 0b1001),
            ("GET /v3/configs#top", 0b1001),
            ("GET  /v3/configs", 0b1001),
            ("GET /v3/configs/:key", 0b11010),
            ("GET /v3/configs/7", 0b11010),
            ("GET /v3/configs/all", 0b11110),
            ("GET /v3/configs/", 0b1000),
            ("GET /v3/configs/7/x", 0b1000),
            ("GET /v3", 0),
            ("PUT /v3/configs/7", 0b10000),
            ("PUT /v3/configs", 0),
            ("GET /", 0b100000),
            ("GET", 0),
            ("", 0),
            (" ", 0),
            ("GET v3/configs", 0),
            ("/v3/configs", 0),
            ("get /v3/configs", 0),
        ] {
            assert_eq!(matcher.matches(route.as_bytes(), None), bits, "{route}");
        }
    }

    #[test]
    fn words_and_networks() {
        let mut matcher = Matcher::default();
        matcher.add(&Pattern::Any, 1);
        matcher.add(&Pattern::Exact("svc".to_owned()), 2);
        matcher.add(&Pattern::Prefix("svc-".to_owned()), 4);
        let mapped = |a: u8, b: u8| [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, 0, 0];
        matcher.add(&Pattern::Network { address: mapped(10, 1), prefix: 112 }, 8);
        matcher.add(&Pattern::Network { address: [0; 16], prefix: 0 }, 16);
        for (value, bits) in [("svc", 3), ("svc-", 5), ("svc-a", 5), ("", 1), ("sv", 1)] {
            assert_eq!(matcher.matches(value.as_bytes(), None), bits, "{value}");
        }
        let address = |octets| Some(u128::from_be_bytes(octets));
        assert_eq!(matcher.matches(b"", address(mapped(10, 1))), 25);
        assert_eq!(matcher.matches(b"", address(mapped(10, 2))), 17);
    }
}
