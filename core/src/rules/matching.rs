//! Which conditions does a value meet? One bit a condition.
//!
//! Most requests ask for one of a few routes. What the first ones come to is remembered, as many as there is a place for, and for
//! good: a memory in which one took another's place would be written to by all threads when requests bring many. Who is
//! not in it is worked out.

use std::collections::HashMap;
use std::sync::OnceLock;

use ahash::RandomState;

use super::text::{Text, blanks, ends, head, place, span};
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
    /// Where there are routes.
    memory: Option<Memory>,
}

/// What values came to.
#[derive(Debug)]
struct Memory(Box<[OnceLock<Known>]>);

/// A value, and what it came to.
type Known = (Box<[u8]>, Bits);

/// Routes that are remembered, at most: each has one place where it may be.
const PLACES: usize = 256;
/// Bytes of one.
const LONGEST: usize = 128;

impl Memory {
    fn new() -> Memory {
        Memory((0..PLACES).map(|_| OnceLock::new()).collect())
    }

    #[inline(always)]
    fn bits(&self, value: &[u8], work_out: impl FnOnce() -> Bits) -> Bits {
        let place = &self.0[place(value) % PLACES];
        match place.get() {
            Some((known, bits)) if **known == *value => *bits,
            known => {
                let bits = work_out();
                if known.is_none() && value.len() <= LONGEST {
                    // Another thread may be faster, with another value.
                    _ = place.set((value.into(), bits));
                }
                bits
            }
        }
    }
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
    exact: Vec<(Text, Node)>,
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
                self.memory.get_or_insert_with(Memory::new);
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
        if let Some(memory) = &self.memory {
            bits |= memory.bits(value, || self.routes.route(value));
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
                let (text, head) = (text.as_bytes(), head(text.as_bytes(), 0));
                let known = self.exact.iter().position(|(known, _)| known.is(text, head));
                let index = known.unwrap_or_else(|| {
                    self.exact.push((Text::new(text), Node::default()));
                    self.exact.len() - 1
                });
                self.exact[index].1.add(others, bits);
            }
        }
    }

    /// `GET /v3/configs/7`: the method is the first segment, the path's own follow. What comes with a `?` or a `#` is
    /// not the path's.
    #[inline(never)]
    fn route(&self, value: &[u8]) -> Bits {
        let (end, first) = span(value, 0, blanks);
        let (method, path) = value.split_at(end);
        let begin = match path {
            [b' ', b'/', ..] => end + 2,
            [] => return 0,
            // What else is blank before the path.
            path => match path.trim_ascii_start() {
                path @ [b'/', ..] => value.len() - path.len() + 1,
                _ => return 0,
            },
        };
        let [exact, parameter] = self.next(method, first);
        let walk = |node: Option<&Node>| node.map_or(0, |node| node.walk(value, begin));
        self.rest | walk(exact) | walk(parameter)
    }

    /// Those that go on with this segment: with its text, and with any.
    #[inline(always)]
    fn next(&self, segment: &[u8], head: u64) -> [Option<&Node>; 2] {
        let exact = self.exact.iter().find(|(text, _)| text.is(segment, head));
        let parameter = self.parameter.as_deref().filter(|_| !segment.is_empty());
        [exact.map(|(_, node)| node), parameter]
    }

    /// The conditions met by the segments that begin there.
    fn walk(&self, value: &[u8], mut begin: usize) -> Bits {
        let (mut node, mut bits) = (self, 0);
        loop {
            bits |= node.rest;
            let (end, head) = span(value, begin, ends);
            let next = node.next(&value[begin..end], head);
            if value.get(end) != Some(&b'/') {
                let ends = |node: Option<&Node>| node.map_or(0, |node| node.ends);
                return next.into_iter().fold(bits, |bits, node| bits | ends(node));
            }
            begin = end + 1;
            node = match next {
                [Some(exact), None] => exact,
                [None, Some(parameter)] => parameter,
                [Some(exact), Some(parameter)] => {
                    bits |= parameter.walk(value, begin);
                    exact
                }
                [None, None] => return bits,
            };
        }
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

    /// More routes than are remembered come to the same again.
    #[test]
    fn what_is_remembered_is_right() {
        let matcher = routes(&[&["GET", "v3", ":"], &["GET", "v3", "7"], &["PUT", "v3", "*"]]);
        for _ in 0..3 {
            for number in 0..3 * PLACES {
                let bits = if number == 7 { 0b11 } else { 0b01 };
                let route = format!("GET /v3/{number}");
                assert_eq!(matcher.matches(route.as_bytes(), None), bits, "{route}");
                let route = format!("PUT /v3/{number}");
                assert_eq!(matcher.matches(route.as_bytes(), None), 0b100, "{route}");
                let route = format!("GET /v3/{}{number}", "a".repeat(LONGEST));
                assert_eq!(matcher.matches(route.as_bytes(), None), 0b01, "{route}");
            }
        }
        let memory = matcher.memory.unwrap();
        let known: Vec<_> = memory.0.iter().filter_map(OnceLock::get).collect();
        assert!(known.len() > PLACES / 2, "{} are remembered", known.len());
        assert!(known.iter().all(|(value, _)| value.len() <= LONGEST));
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
