//! The operator blocks: a key, or all requests with one attribute.

use std::time::Duration;

use smallvec::SmallVec;

use super::Limiter;
use crate::blocks::Blocked;
use crate::clock::Moment;
use crate::decision::Decision;
use crate::error::{Error, Result};
use crate::request::Subject;
use crate::rules::{Address, IP, Networks, network_text, tag_of_attribute, tag_of_network};
use crate::time::{Timestamp, nanos};

impl Limiter {
    /// Denies the key, or all requests with the one attribute that is given, everything for `duration` from now; zero
    /// lifts a block. A new block takes the place of the one before.
    ///
    /// Of an IPv6 address in `ip` its network is blocked, by the policy's `ipv6_prefix`: the client is blocked that a limit
    /// by `ip` counts as one. The block lasts when a later policy has another `ipv6_prefix`.
    ///
    /// # Errors
    /// [`Error::is_argument`] when a [`Request`](crate::Request) has no attribute or more than one.
    pub fn block(&self, subject: impl Subject, duration: Duration) -> Result<()> {
        self.block_in(&subject, self.moment(), duration)
    }

    /// As [`block`](Limiter::block), at an explicit time.
    ///
    /// # Errors
    /// As [`block`](Limiter::block).
    pub fn block_at(
        &self,
        subject: impl Subject,
        duration: Duration,
        now: Timestamp,
    ) -> Result<()> {
        self.block_in(&subject, now.into(), duration)
    }

    fn block_in(&self, subject: &impl Subject, at: Moment, duration: Duration) -> Result<()> {
        let networks = self.0.engines.engine(&self.0.lanes.enter()).networks();
        subject.ask(|request| {
            let mut attributes = request.attributes();
            match (attributes.next(), attributes.next()) {
                (Some((name, value)), None) => {
                    let blocked = self.blocked_by(name, value, networks);
                    self.0.blocks.set(blocked, at, nanos(duration));
                    // Afterwards: the client is blocked all the while.
                    self.lift(name, value, at, Some(blocked));
                    Ok(())
                }
                _ => Err(Error::argument(
                    "request",
                    format!(
                        "a block is of one attribute, the request has {}",
                        request.attributes().count()
                    ),
                    "give one, such as {\"ip\": \"203.0.113.9\"}, and block once for each",
                )),
            }
        })?;
        self.wake(subject);
        Ok(())
    }

    /// Lifts the blocks of all attributes of a subject.
    pub(super) fn lift_blocks(&self, subject: &impl Subject, at: Moment) {
        // Also of a block that is over: times may go back.
        subject.ask(|request| {
            request.attributes().for_each(|(name, value)| self.lift(name, value, at, None));
        });
    }

    /// Lifts all blocks of an attribute's value but one.
    fn lift(&self, name: &str, value: &[u8], at: Moment, but: Option<Blocked>) {
        let blocks = self.may_be_blocked_by(name, value).into_iter();
        blocks.filter(|blocked| Some(*blocked) != but).for_each(|blocked| {
            self.0.blocks.set(blocked, at, 0);
        });
    }

    pub(super) fn blocked(&self, subject: &impl Subject, at: Moment) -> Option<Decision> {
        match self.blocked_for(subject, at) {
            0 => None,
            left => Some(Decision::blocked(left, at.wall.as_nanos())),
        }
    }

    /// Nanoseconds for which the operator blocks one of the subject's attributes.
    pub(super) fn blocked_for(&self, subject: &impl Subject, at: Moment) -> u64 {
        if !self.0.blocks.any(at) {
            return 0;
        }
        subject.ask(|request| {
            let blocks =
                request.attributes().flat_map(|(name, value)| self.may_be_blocked_by(name, value));
            blocks.map(|blocked| self.0.blocks.left(blocked.tag, at)).max().unwrap_or(0)
        })
    }

    /// By what the client of an address is known (`ipv6_prefix` in the policy), as text; `None`: it is no address. For
    /// adapters whose key is the address.
    #[doc(hidden)]
    #[must_use]
    pub fn client_at(&self, ip: &str) -> Option<String> {
        let address = Address::read(ip.as_bytes())?;
        let networks = self.0.engines.engine(&self.0.lanes.enter()).networks();
        Some(network_text(networks.of(address).to_be_bytes()))
    }

    /// What is blocked when an attribute's value is.
    fn blocked_by(&self, name: &str, value: &[u8], networks: Networks) -> Blocked {
        let hasher = &self.0.hasher;
        match Address::read(value).filter(|_| name == IP) {
            None => Blocked { tag: tag_of_attribute(hasher, name, value), prefix: None },
            Some(address) => Blocked {
                tag: tag_of_network(hasher, address, networks),
                prefix: (!address.is_v4()).then_some(networks.prefix),
            },
        }
    }

    /// The same as it was under every policy by which something is blocked.
    fn may_be_blocked_by(&self, name: &str, value: &[u8]) -> SmallVec<[Blocked; 2]> {
        let by = |prefix| self.blocked_by(name, value, Networks::new(prefix));
        match name == IP && Address::read(value).is_some_and(|address| !address.is_v4()) {
            true => self.0.blocks.prefixes().into_iter().map(by).collect(),
            false => SmallVec::from_iter([by(u8::MAX)]),
        }
    }
}
