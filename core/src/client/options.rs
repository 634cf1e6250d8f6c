//! Options of a pacer, checked when it is built, and those of one call.

use std::time::Duration;

use super::breaker::Thresholds;
use super::machine::Settings;
use super::pacer::Pacer;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::limiter::Limiter;
use crate::policy::{LimitKind, Policy};
use crate::rate::{Algorithm, Method};
use crate::request::{Kept, Subject};
use crate::time::nanos;

/// Options of a pacer, from [`Pacer::builder`]. Mistakes are told by [`PacerBuilder::build`].
#[derive(Debug)]
#[must_use]
pub struct PacerBuilder {
    source: Source,
    clock: Option<Clock>,
    concurrency: u32,
    headroom: Option<u64>,
    max_retries: u32,
    base: Duration,
    cap: Duration,
    max_retry_after: Duration,
    deadline: Option<Duration>,
    seed: Option<u64>,
    near_limit: u64,
    max_unauthorized: u32,
    max_forbidden: u32,
    max_failures: u32,
    breaker_cooldown: Duration,
    events: usize,
}

#[derive(Debug)]
enum Source {
    /// Limits are learned from headers alone.
    None,
    Policy(Result<Policy>),
    Limiter(Limiter, Kept),
}

/// Most calls under way at once that can be asked for.
const MAX_CONCURRENCY: u32 = 1_000_000;

impl PacerBuilder {
    pub(super) fn new() -> PacerBuilder {
        PacerBuilder {
            source: Source::None,
            clock: None,
            concurrency: 10,
            headroom: None,
            max_retries: 5,
            base: Duration::from_secs(1),
            cap: Duration::from_secs(30),
            max_retry_after: Duration::from_secs(60),
            deadline: None,
            seed: None,
            near_limit: 100,
            max_unauthorized: 1,
            max_forbidden: 3,
            max_failures: 5,
            breaker_cooldown: Duration::from_secs(30),
            events: 0,
        }
    }

    /// The server's limits, as a rate string or a policy; default none: they are learned from headers. Bursts of gcra
    /// count limits are lowered by `headroom`.
    pub fn policy<P>(mut self, policy: P) -> PacerBuilder
    where
        P: TryInto<Policy>,
        Error: From<P::Error>,
    {
        self.source = Source::Policy(policy.try_into().map_err(Error::from));
        self
    }

    /// A limiter that every attempt asks, with this key or [`Request`](crate::Request); used as it is, and shared with
    /// whoever else has it. Its clock is the pacer's.
    pub fn limiter(mut self, limiter: &Limiter, subject: impl Subject) -> PacerBuilder {
        self.source = Source::Limiter(limiter.clone(), Kept::new(&subject));
        self
    }

    /// The clock, where no limiter is given; default [`Clock::counter`].
    pub fn clock(mut self, clock: impl Into<Clock>) -> PacerBuilder {
        self.clock = Some(clock.into());
        self
    }

    /// Most calls under way at once, 1 to 1,000,000; default 10.
    pub fn concurrency(mut self, calls: u32) -> PacerBuilder {
        self.concurrency = calls;
        self
    }

    /// Units by which bursts of a `policy` are lowered (never below 1), so that calls that bunch up on their way do not
    /// exceed the server's; default: `concurrency`.
    pub fn headroom(mut self, units: u64) -> PacerBuilder {
        self.headroom = Some(units);
        self
    }

    /// Most retries of a call; default 5.
    pub fn max_retries(mut self, retries: u32) -> PacerBuilder {
        self.max_retries = retries;
        self
    }

    /// The longest jitter before the first retry; it doubles with each; default 1 s.
    pub fn base(mut self, base: Duration) -> PacerBuilder {
        self.base = base;
        self
    }

    /// The longest jitter before any retry; default 30 s.
    pub fn cap(mut self, cap: Duration) -> PacerBuilder {
        self.cap = cap;
        self
    }

    /// A longer delay that the server asks for is an error at once; default 60 s.
    pub fn max_retry_after(mut self, delay: Duration) -> PacerBuilder {
        self.max_retry_after = delay;
        self
    }

    /// How long a call may take in all, waits and attempts; default: no end.
    pub fn deadline(mut self, deadline: Duration) -> PacerBuilder {
        self.deadline = Some(deadline);
        self
    }

    /// Makes the jitter the same each time; default: another each time.
    pub fn seed(mut self, seed: u64) -> PacerBuilder {
        self.seed = Some(seed);
        self
    }

    /// When so many thousandths of a quota are left, an event tells, and what is left of a quota known only from headers
    /// is spread until its reset; 0 to 1000, 0: never; default 100.
    pub fn near_limit(mut self, permille: u64) -> PacerBuilder {
        self.near_limit = permille;
        self
    }

    /// So many 401 in a row open the breaker; 0: none do; default 1.
    pub fn max_unauthorized(mut self, failures: u32) -> PacerBuilder {
        self.max_unauthorized = failures;
        self
    }

    /// So many 403 in a row open the breaker; 0: none do; default 3.
    pub fn max_forbidden(mut self, failures: u32) -> PacerBuilder {
        self.max_forbidden = failures;
        self
    }

    /// So many calls in a row that were given up or called failed open the breaker; 0: none do; default 5.
    pub fn max_failures(mut self, failures: u32) -> PacerBuilder {
        self.max_failures = failures;
        self
    }

    /// How long an open breaker lets nothing through, before one call may try; default 30 s.
    pub fn breaker_cooldown(mut self, cooldown: Duration) -> PacerBuilder {
        self.breaker_cooldown = cooldown;
        self
    }

    /// Keeps so many events for [`Pacer::events`](super::Pacer::events), the newest ones; default 0: nobody listens.
    pub fn events(mut self, capacity: usize) -> PacerBuilder {
        self.events = capacity;
        self
    }

    /// Builds the pacer.
    ///
    /// # Errors
    /// A mistake in the policy ([`Error::is_policy`]) or an option out of range ([`Error::is_argument`]), by name.
    pub fn build(self) -> Result<Pacer> {
        self.check()?;
        let headroom = self.headroom.unwrap_or(u64::from(self.concurrency));
        let settings = Settings {
            concurrency: self.concurrency,
            max_retries: self.max_retries,
            base: self.base,
            cap: self.cap,
            seed: self.seed,
            max_retry_after: nanos(self.max_retry_after),
            deadline: self.deadline.map(nanos),
            near_limit: self.near_limit,
            thresholds: Thresholds {
                unauthorized: self.max_unauthorized,
                forbidden: self.max_forbidden,
                failures: self.max_failures,
            },
            breaker_cooldown: nanos(self.breaker_cooldown),
            events: self.events,
        };
        let (clock, limiter) = match self.source {
            Source::None => (self.clock.unwrap_or_default(), None),
            Source::Limiter(limiter, subject) => {
                (limiter.clock().clone(), Some((limiter, subject)))
            }
            Source::Policy(policy) => {
                let clock = self.clock.unwrap_or_default();
                let builder = Limiter::builder(with_headroom(policy?, headroom));
                // One key is all that it has.
                let limiter = builder.clock(clock.clone()).max_keys(1).build()?;
                (clock, Some((limiter, Kept::new(&""))))
            }
        };
        Ok(Pacer::assemble(settings, clock, limiter))
    }

    fn check(&self) -> Result<()> {
        if !(1..=MAX_CONCURRENCY).contains(&self.concurrency) {
            let problem = format!("{} calls at once", self.concurrency);
            return Err(Error::argument(
                "concurrency",
                problem,
                format!("give 1 to {MAX_CONCURRENCY}"),
            ));
        }
        if self.near_limit > 1000 {
            let problem = format!("{} thousandths", self.near_limit);
            return Err(Error::argument("near_limit", problem, "give 0 to 1000"));
        }
        if self.clock.is_some() && matches!(self.source, Source::Limiter(..)) {
            let problem = "a limiter is given as well, and has its own";
            return Err(Error::argument("clock", problem, "give the clock to the limiter"));
        }
        Ok(())
    }
}

/// The policy with lower bursts. Names stay as written.
fn with_headroom(mut policy: Policy, headroom: u64) -> Policy {
    for limit in policy.limits.iter_mut().filter(|limit| limit.method == Method::Count) {
        let LimitKind::Rates(rates) = &mut limit.kind else { continue };
        for rate in rates {
            if let Algorithm::Gcra { burst } = &mut rate.algorithm {
                *burst = burst.saturating_sub(headroom).max(1);
            }
        }
    }
    policy
}

/// Options of one call.
#[derive(Clone, Copy, Debug)]
pub struct CallOptions<'a> {
    /// For errors and events; kept only when it is not empty.
    pub label: &'a str,
    /// Units that each attempt takes from the count limits.
    pub cost: u64,
    /// Most retries; `None`: as the pacer's.
    pub max_retries: Option<u32>,
    /// How long the call may take in all; `None`: as the pacer's.
    pub deadline: Option<Duration>,
}

impl Default for CallOptions<'_> {
    fn default() -> Self {
        CallOptions { label: "", cost: 1, max_retries: None, deadline: None }
    }
}
