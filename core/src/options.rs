//! Options of a limiter, checked when it is built.

use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::limiter::Limiter;
use crate::policy::Policy;

/// What happens to a new key when the store is full of keys that are in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFull {
    /// It takes the place of the key closest to full, and inherits the larger use.
    #[default]
    Inherit,
    /// It is denied.
    Deny,
    /// It is admitted within the limits of a fresh key, and not remembered.
    Allow,
}

/// Most keys that can be asked for: 2^32.
const MAX_KEYS: u64 = 1 << 32;

/// Options of a limiter, from [`Limiter::builder`].
#[derive(Debug)]
#[must_use]
pub struct Builder {
    policy: Result<Policy>,
    clock: Result<Option<Clock>>,
    max_keys: u64,
    on_full: Result<OnFull>,
    store: String,
    name: String,
}

impl Builder {
    pub(crate) fn new(policy: Result<Policy>) -> Builder {
        Builder {
            policy,
            clock: Ok(None),
            max_keys: 1_000_000,
            on_full: Ok(OnFull::Inherit),
            store: "memory:".to_owned(),
            name: String::new(),
        }
    }

    /// The clock; default [`Clock::counter`].
    pub fn clock(mut self, clock: impl Into<Clock>) -> Builder {
        self.clock = Ok(Some(clock.into()));
        self
    }

    /// A clock by its name, as hosts spell it: `counter` (the default), `system` or `coarse`.
    pub fn clock_named(mut self, name: &str) -> Builder {
        self.clock = Clock::named(name).map(Some);
        self
    }

    /// Most keys that are remembered at once, 1 to 2^32; default 1,000,000.
    pub fn max_keys(mut self, keys: u64) -> Builder {
        self.max_keys = keys;
        self
    }

    /// What happens to a new key beyond `max_keys`; default [`OnFull::Inherit`].
    pub fn on_full(mut self, on_full: OnFull) -> Builder {
        self.on_full = Ok(on_full);
        self
    }

    /// [`Builder::on_full`] by its name: `inherit`, `deny` or `allow`.
    pub fn on_full_named(mut self, name: &str) -> Builder {
        self.on_full = match name {
            "inherit" => Ok(OnFull::Inherit),
            "deny" => Ok(OnFull::Deny),
            "allow" => Ok(OnFull::Allow),
            _ => Err(Error::argument(
                "on_full",
                format!("unknown choice {name:?}"),
                "give \"inherit\", \"deny\" or \"allow\"",
            )),
        };
        self
    }

    /// Where state is kept; `memory:` (the default) is the only store so far.
    pub fn store(mut self, url: &str) -> Builder {
        url.clone_into(&mut self.store);
        self
    }

    /// A name for logs; default empty.
    pub fn name(mut self, name: &str) -> Builder {
        name.clone_into(&mut self.name);
        self
    }

    /// Builds the limiter.
    ///
    /// # Errors
    /// A mistake in the policy ([`Error::is_policy`]) or an option out of range
    /// ([`Error::is_argument`]), by name.
    pub fn build(self) -> Result<Limiter> {
        let policy = self.policy?;
        let clock = self.clock?.unwrap_or_default();
        let on_full = self.on_full?;
        if self.store != "memory:" {
            return Err(Error::argument(
                "store",
                format!("unknown store {:?}", self.store),
                "give \"memory:\"",
            ));
        }
        if !(1..=MAX_KEYS).contains(&self.max_keys) {
            return Err(Error::argument(
                "max_keys",
                format!("{} keys", self.max_keys),
                format!("give 1 to {MAX_KEYS}"),
            ));
        }
        Limiter::assemble(&policy, clock, self.max_keys, on_full, self.name)
    }
}
