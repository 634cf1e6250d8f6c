//! Where policy, algorithms, store and clock meet: the only such place.
//!
//! Here: how a limiter is made, decides, and is looked at. `shortest`: about one key, in a hurry. `requests`: about
//! requests of any attributes, and whatever is not on the shortest way. `afterwards`: what is charged or given back
//! when a request is done. `blocking`, `plans`: what the operator gives and takes, the report of usage. `batch`: many
//! keys in one call. `under_way`: what is held while one runs, and waiting. `quietly`: for whoever has a lock of its
//! own.

mod afterwards;
mod batch;
mod blocking;
mod plans;
mod quietly;
mod requests;
mod shortest;
mod under_way;

use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;

use crate::alerts::Alerts;
use crate::assignments::Assignments;
use crate::blocks::Blocks;
use crate::clock::{Clock, Moment};
use crate::decision::{Decision, Reason};
use crate::engine::Engines;
use crate::error::{Error, Result};
use crate::lanes::Lanes;
use crate::options::{Builder, OnFull};
use crate::plan::Notes;
use crate::policy::Policy;
use crate::request::Subject;
use crate::rules::{self, Strictness};
use crate::snapshot::{Snapshot, Stats};
use crate::store::OnPressure;
use crate::sync::{AtomicU64, Ordering};
use crate::time::Timestamp;
use crate::waiters::Waiters;

pub use plans::{UsageLimit, UsageReport};

/// A policy, the state of its keys, and a clock.
///
/// Clones share the same state. Keys are any bytes; a request's cost is in units of the count limits.
/// Every call has a twin with an explicit time (`…_at`). Nothing here waits, but [`Limiter::wait`];
/// nothing does I/O or starts a thread, but [`Limiter::watch`].
#[derive(Clone)]
pub struct Limiter(Arc<Inner>);

struct Inner {
    engines: Engines,
    hasher: RandomState,
    clock: Clock,
    on_full: OnFull,
    lanes: Lanes,
    saturated: AtomicU64,
    blocks: Blocks,
    assignments: Assignments,
    alerts: Alerts,
    waiters: Waiters,
    name: String,
}

/// What [`Limiter::measure`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured<T> {
    /// It was admitted, and this is what the work returned.
    Done(T),
    /// It was denied; the work did not run.
    Denied(Decision),
}

impl Limiter {
    /// A limiter with default options, from a [`Policy`] or its text.
    ///
    /// # Errors
    /// A mistake in the policy: [`Error::is_policy`].
    pub fn new<P>(policy: P) -> Result<Limiter>
    where
        P: TryInto<Policy>,
        Error: From<P::Error>,
    {
        Limiter::builder(policy).build()
    }

    /// Options of a limiter; mistakes are told by [`Builder::build`].
    pub fn builder<P>(policy: P) -> Builder
    where
        P: TryInto<Policy>,
        Error: From<P::Error>,
    {
        Builder::new(policy.try_into().map_err(Error::from))
    }

    /// A limiter with default options, from a policy file (`.toml` or `.json`).
    ///
    /// # Errors
    /// [`Error::is_file`] when it cannot be read, [`Error::is_policy`] when it is wrong.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Limiter> {
        Builder::new(Policy::from_file(path)).build()
    }

    pub(crate) fn assemble(
        policy: &Policy,
        clock: Clock,
        max_keys: u64,
        on_full: OnFull,
        name: String,
    ) -> Result<Limiter> {
        Ok(Limiter(Arc::new(Inner {
            engines: Engines::new(policy, max_keys)?,
            hasher: RandomState::new(),
            clock,
            on_full,
            lanes: Lanes::new(),
            saturated: AtomicU64::new(0),
            blocks: Blocks::default(),
            assignments: Assignments::default(),
            alerts: Alerts::default(),
            waiters: Waiters::default(),
            name,
        })))
    }

    /// Decides now about a request of `cost` units (1 for a plain request); never waits.
    ///
    /// A denial is a value, and changes nothing.
    ///
    /// # Errors
    /// [`Error::is_argument`] when a [`Request`](crate::Request) lacks an attribute that the policy insists on, or has a wrong one.
    // Always inline: what the caller does not look at is then never made, and nothing is copied.
    #[inline(always)]
    pub fn acquire(&self, subject: impl Subject, cost: u64) -> Result<Decision> {
        match subject.as_key() {
            Some(key) => {
                let mut place = MaybeUninit::uninit();
                Ok(self.acquire_now(key, cost, &mut place)?.moved())
            }
            None => self.acquire_at_moment(&subject, self.moment(), cost),
        }
    }

    /// As [`acquire`](Limiter::acquire), with the answer where it is wanted. For hosts that give it on as it is.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire); the place is as it was then.
    #[doc(hidden)]
    #[inline(always)]
    pub fn acquire_into<'p>(
        &self,
        subject: impl Subject,
        cost: u64,
        place: &'p mut MaybeUninit<Decision>,
    ) -> Result<&'p Decision> {
        match subject.as_key() {
            Some(key) => self.acquire_now(key, cost, place),
            None => {
                let decision = self.acquire_at_moment(&subject, self.moment(), cost)?;
                Ok(place.write(decision))
            }
        }
    }

    /// As [`acquire`](Limiter::acquire), at an explicit time.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn acquire_at(&self, subject: impl Subject, cost: u64, now: Timestamp) -> Result<Decision> {
        self.acquire_at_moment(&subject, now.into(), cost)
    }

    #[inline(always)]
    fn acquire_at_moment(&self, subject: &impl Subject, at: Moment, cost: u64) -> Result<Decision> {
        let mut decision = Decision::NONE;
        self.acquire_any(subject, at, cost, &mut decision)?;
        Ok(decision.moved())
    }

    #[inline(never)]
    fn acquire_any(
        &self,
        subject: &impl Subject,
        at: Moment,
        cost: u64,
        decision: &mut Decision,
    ) -> Result<()> {
        self.decide_into(subject, at, cost, &mut Notes::default(), decision)?;
        self.count(decision.reason());
        Ok(())
    }

    /// As [`acquire`](Limiter::acquire), only yes or no: the fastest path. A store that fails says no, and so does
    /// whatever else is an error of `acquire`.
    #[inline]
    pub fn try_acquire(&self, subject: impl Subject, cost: u64) -> bool {
        match subject.as_key() {
            Some(key) => self.try_acquire_now(key, cost),
            None => self.try_acquire_at_moment(&subject, self.moment(), cost),
        }
    }

    /// As [`try_acquire`](Limiter::try_acquire), at an explicit time.
    #[inline]
    pub fn try_acquire_at(&self, subject: impl Subject, cost: u64, now: Timestamp) -> bool {
        self.try_acquire_at_moment(&subject, now.into(), cost)
    }

    fn try_acquire_at_moment(&self, subject: &impl Subject, at: Moment, cost: u64) -> bool {
        match subject.as_key() {
            Some(key) => self.try_acquire_key(key, || at, cost),
            None => {
                self.acquire_at_moment(subject, at, cost).is_ok_and(|decision| decision.allowed())
            }
        }
    }

    /// What [`acquire`](Limiter::acquire) would say; changes nothing and counts nothing.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn peek(&self, subject: impl Subject, cost: u64) -> Result<Decision> {
        self.foresee(&subject, self.moment(), cost)
    }

    /// As [`peek`](Limiter::peek), at an explicit time.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn peek_at(&self, subject: impl Subject, cost: u64, now: Timestamp) -> Result<Decision> {
        self.foresee(&subject, now.into(), cost)
    }

    /// Puts another policy in force while running. Limits are matched by name; use so far is kept, nothing
    /// is granted retroactively. A policy that is refused changes nothing.
    ///
    /// # Errors
    /// A mistake in the policy: [`Error::is_policy`].
    pub fn update<P>(&self, policy: P) -> Result<()>
    where
        P: TryInto<Policy>,
        Error: From<P::Error>,
    {
        self.update_in(policy.try_into()?, self.moment())
    }

    /// As [`update`](Limiter::update), at an explicit time.
    ///
    /// # Errors
    /// As [`update`](Limiter::update).
    pub fn update_at<P>(&self, policy: P, now: Timestamp) -> Result<()>
    where
        P: TryInto<Policy>,
        Error: From<P::Error>,
    {
        self.update_in(policy.try_into()?, now.into())
    }

    fn update_in(&self, policy: Policy, at: Moment) -> Result<()> {
        self.0.engines.update(&self.0.lanes, &policy, at)?;
        self.0.waiters.wake_all();
        Ok(())
    }

    /// Every bucket of a key, or of all the records that a [`Request`](crate::Request) has with the attributes it gives.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire); an attribute that is missing leaves out the limits that count by it.
    pub fn snapshot(&self, subject: impl Subject) -> Result<Snapshot> {
        self.snapshot_in(&subject, self.moment())
    }

    /// As [`snapshot`](Limiter::snapshot), at an explicit time.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn snapshot_at(&self, subject: impl Subject, now: Timestamp) -> Result<Snapshot> {
        self.snapshot_in(&subject, now.into())
    }

    fn snapshot_in(&self, subject: &impl Subject, at: Moment) -> Result<Snapshot> {
        let mut snapshot = Snapshot::default();
        let visit = self.0.lanes.enter();
        self.look(&visit, subject, at, Strictness::Lenient, |asked| {
            snapshot = Snapshot::new(asked, at);
        })?;
        snapshot.blocked_for = Duration::from_nanos(self.blocked_for(subject, at));
        Ok(snapshot)
    }

    /// Counts of keys and decisions since the limiter was made.
    pub fn stats(&self) -> Stats {
        let Inner { engines, lanes, .. } = &*self.0;
        let visit = lanes.enter();
        Stats {
            keys: engines.keys(&visit),
            capacity: engines.capacity(&visit),
            allowed: lanes.sum(Reason::Ok),
            limited: lanes.sum(Reason::Limited),
            blocked: lanes.sum(Reason::Blocked),
            bypassed: lanes.sum(Reason::Bypass),
            impossible: lanes.sum(Reason::Impossible),
            evictions: engines.evictions(&visit),
            // Relaxed: a count publishes nothing.
            saturated: self.0.saturated.load(Ordering::Relaxed),
        }
    }

    /// The name given to the builder.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The limiter's clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    #[inline(always)]
    fn tag(&self, key: &[u8]) -> u64 {
        rules::tag_of(&self.0.hasher, key)
    }

    #[inline]
    pub(crate) fn moment(&self) -> Moment {
        self.0.clock.moment()
    }

    #[inline]
    fn pressure(&self) -> OnPressure {
        match self.0.on_full {
            OnFull::Inherit => OnPressure::Inherit,
            OnFull::Deny | OnFull::Allow => OnPressure::Refuse,
        }
    }

    #[inline]
    pub(crate) fn count(&self, reason: Reason) {
        self.0.lanes.count(reason);
    }

    pub(crate) fn alerts(&self) -> &Alerts {
        &self.0.alerts
    }

    pub(crate) fn waiters(&self) -> &Waiters {
        &self.0.waiters
    }
}

impl std::fmt::Debug for Limiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limiter")
            .field("name", &self.0.name)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
