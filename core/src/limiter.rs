//! Where policy, algorithms, store and clock meet: the only such place.
//!
//! Here: how a limiter is made, decides, and is looked at. `afterwards`: what is charged or given back when
//! a request is done, and the operator's hand. `batch`: many keys in one call. `under_way`: what is held while
//! one runs, and waiting.

mod afterwards;
mod batch;
mod under_way;

use std::hash::{BuildHasher, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;

use crate::algorithm::NOMINAL_WAIT;
use crate::blocks::Blocks;
use crate::clock::{Clock, Moment};
use crate::decision::{Decision, Reason};
use crate::engine::{Change, Engines, Full};
use crate::error::{Error, Result};
use crate::lanes::{Lanes, Visit};
use crate::options::{Builder, OnFull};
use crate::plan::{Outcome, Plan};
use crate::policy::Policy;
use crate::rate::Method;
use crate::snapshot::{Snapshot, Stats};
use crate::store::{self, MAX_WORDS, OnPressure};
use crate::sync::{AtomicU64, Ordering};
use crate::time::Timestamp;
use crate::waiters::Waiters;

/// A policy, the state of its keys, and a clock.
///
/// Clones share the same state. Keys are any bytes; a request's cost is in units of the count limits.
/// Every call has a twin with an explicit time (`…_at`). Nothing here waits, but [`Limiter::wait`];
/// nothing does I/O or starts a thread.
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
    waiters: Waiters,
    name: String,
}

/// A request asks for the full answer.
struct Acquire {
    at: Moment,
    cost: u64,
    outcome: Outcome,
}

impl Change for Acquire {
    #[inline(always)]
    fn make(&mut self, plan: &Plan, words: &mut [u64]) {
        self.outcome = plan.take(words, self.at, self.cost);
    }
}

/// A request asks yes or no.
struct Admit {
    at: Moment,
    cost: u64,
    reason: Reason,
}

impl Change for Admit {
    #[inline(always)]
    fn make(&mut self, plan: &Plan, words: &mut [u64]) {
        self.reason = plan.admit(words, self.at, self.cost);
    }
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
            waiters: Waiters::default(),
            name,
        })))
    }

    /// Decides now about a request of `cost` units (1 for a plain request); never waits.
    ///
    /// A denial is a value, and changes nothing.
    ///
    /// # Errors
    /// When the store fails; the memory store never does.
    // Always inline: what the caller does not look at is then never made, and nothing is copied.
    #[inline(always)]
    pub fn acquire(&self, key: impl AsRef<[u8]>, cost: u64) -> Result<Decision> {
        Ok(self.acquire_now(self.tag(key.as_ref()), cost).moved())
    }

    /// As [`acquire`](Limiter::acquire), at an explicit time.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    #[inline(always)]
    pub fn acquire_at(&self, key: impl AsRef<[u8]>, cost: u64, now: Timestamp) -> Result<Decision> {
        Ok(self.acquire_in(self.tag(key.as_ref()), now.into(), cost))
    }

    #[inline(never)]
    fn acquire_now(&self, tag: u64, cost: u64) -> Decision {
        self.acquire_in(tag, self.moment(), cost)
    }

    #[inline]
    fn acquire_in(&self, tag: u64, at: Moment, cost: u64) -> Decision {
        let visit = self.0.lanes.enter();
        let decision = self.decide_inside(&visit, tag, at, cost);
        visit.count(decision.reason());
        decision
    }

    /// As [`acquire`](Limiter::acquire), only yes or no: the fastest path. A store that fails says no.
    #[inline]
    pub fn try_acquire(&self, key: impl AsRef<[u8]>, cost: u64) -> bool {
        self.try_acquire_now(self.tag(key.as_ref()), cost)
    }

    /// As [`try_acquire`](Limiter::try_acquire), at an explicit time.
    #[inline]
    pub fn try_acquire_at(&self, key: impl AsRef<[u8]>, cost: u64, now: Timestamp) -> bool {
        self.try_acquire_in(self.tag(key.as_ref()), now.into(), cost)
    }

    #[inline(never)]
    fn try_acquire_now(&self, tag: u64, cost: u64) -> bool {
        self.try_acquire_in(tag, self.moment(), cost)
    }

    #[inline]
    fn try_acquire_in(&self, tag: u64, at: Moment, cost: u64) -> bool {
        let visit = self.0.lanes.enter();
        let mut admit = Admit { at, cost, reason: Reason::Blocked };
        let reason = match self.0.blocks.left(tag, at) == 0
            && self.0.engines.transact_quickly(&visit, tag, &mut admit).is_some()
        {
            true => admit.reason,
            false => self.admit_further(&visit, tag, at, cost),
        };
        visit.count(reason);
        reason.admits()
    }

    #[inline(never)]
    fn admit_further(&self, visit: &Visit<'_>, tag: u64, at: Moment, cost: u64) -> Reason {
        let mut admit = Admit { at, cost, reason: Reason::Blocked };
        match self.decide_by(visit, tag, at, cost, &mut admit) {
            None => admit.reason,
            Some(otherwise) => otherwise.reason(),
        }
    }

    /// What [`acquire`](Limiter::acquire) would say; changes nothing and counts nothing.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn peek(&self, key: impl AsRef<[u8]>, cost: u64) -> Result<Decision> {
        Ok(self.foresee(self.tag(key.as_ref()), self.moment(), cost))
    }

    /// As [`peek`](Limiter::peek), at an explicit time.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn peek_at(&self, key: impl AsRef<[u8]>, cost: u64, now: Timestamp) -> Result<Decision> {
        Ok(self.foresee(self.tag(key.as_ref()), now.into(), cost))
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
        self.0.waiters.wake_heads();
        Ok(())
    }

    /// Every bucket of a key.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn snapshot(&self, key: impl AsRef<[u8]>) -> Result<Snapshot> {
        Ok(self.snapshot_in(self.tag(key.as_ref()), self.moment()))
    }

    /// As [`snapshot`](Limiter::snapshot), at an explicit time.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn snapshot_at(&self, key: impl AsRef<[u8]>, now: Timestamp) -> Result<Snapshot> {
        Ok(self.snapshot_in(self.tag(key.as_ref()), now.into()))
    }

    fn snapshot_in(&self, tag: u64, at: Moment) -> Snapshot {
        let blocked = Duration::from_nanos(self.0.blocks.left(tag, at));
        let Inner { engines, lanes, .. } = &*self.0;
        let visit = lanes.enter();
        let mut seen = None;
        let mut see = |plan: &Plan, words: &mut [u64]| {
            seen = Some(Snapshot::new(plan, words, at, blocked));
        };
        if let Err(Full) = engines.transact(&visit, tag, at, OnPressure::Inherit, &mut see) {
            engines.with_plan(&visit, |plan| see(plan, &mut [0; MAX_WORDS]));
        }
        seen.expect("a plan was seen")
    }

    /// Counts of keys and decisions since the limiter was made.
    pub fn stats(&self) -> Stats {
        let Inner { engines, lanes, .. } = &*self.0;
        let visit = lanes.enter();
        Stats {
            keys: engines.keys(&visit),
            capacity: engines.max_keys(),
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
        let mut hasher = self.0.hasher.build_hasher();
        // Not `Hash`, which hashes the length besides: `write` has it in already.
        hasher.write(key);
        store::tag(hasher.finish())
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

    pub(crate) fn waiters(&self) -> &Waiters {
        &self.0.waiters
    }

    /// Decides without counting.
    pub(crate) fn decide(&self, tag: u64, at: Moment, cost: u64) -> Decision {
        self.decide_inside(&self.0.lanes.enter(), tag, at, cost)
    }

    #[inline(always)]
    fn decide_inside(&self, visit: &Visit<'_>, tag: u64, at: Moment, cost: u64) -> Decision {
        if self.0.blocks.left(tag, at) > 0 {
            return self.decide_further(visit, tag, at, cost);
        }
        let mut acquire = Acquire { at, cost, outcome: Outcome::Unknown };
        match self.0.engines.transact_quickly(visit, tag, &mut acquire) {
            None => self.decide_further(visit, tag, at, cost),
            // Nothing that can wait is between a look at the words and their exchange.
            Some(plan) => plan.tell(acquire.outcome, at, cost),
        }
    }

    #[inline(never)]
    fn decide_further(&self, visit: &Visit<'_>, tag: u64, at: Moment, cost: u64) -> Decision {
        let mut decision = Decision::NONE;
        let mut acquire =
            |plan: &Plan, words: &mut [u64]| plan.acquire_into(words, at, cost, &mut decision);
        match self.decide_by(visit, tag, at, cost, &mut acquire) {
            Some(otherwise) => otherwise,
            None => decision,
        }
    }

    /// Lets `decide` decide, or returns the decision if that is not asked: the key is blocked, or has no place.
    #[inline]
    fn decide_by(
        &self,
        visit: &Visit<'_>,
        tag: u64,
        at: Moment,
        cost: u64,
        decide: &mut impl Change,
    ) -> Option<Decision> {
        match self.0.blocks.left(tag, at) {
            0 => {}
            left => return Some(Decision::blocked(left, at.wall.as_nanos())),
        }
        match self.0.engines.transact(visit, tag, at, self.pressure(), decide) {
            Ok(()) => None,
            Err(Full) => Some(self.decide_full(visit, at, cost)),
        }
    }

    /// The decision about a key that the store has no place for.
    #[cold]
    fn decide_full(&self, visit: &Visit<'_>, at: Moment, cost: u64) -> Decision {
        // Relaxed: a count publishes nothing.
        self.0.saturated.fetch_add(1, Ordering::Relaxed);
        self.0.engines.with_plan(visit, |plan| {
            let fresh = plan.acquire(&mut [0; MAX_WORDS], at, cost);
            match self.0.on_full {
                OnFull::Allow => fresh,
                _ if !fresh.allowed() => fresh,
                _ => fresh.turned_down(0, NOMINAL_WAIT, NOMINAL_WAIT),
            }
        })
    }

    /// Decides on a copy.
    fn foresee(&self, tag: u64, at: Moment, cost: u64) -> Decision {
        let mut decision = Decision::NONE;
        let mut on_a_copy = |plan: &Plan, words: &mut [u64]| {
            let mut copy = [0; MAX_WORDS];
            let copy = &mut copy[..words.len()];
            copy.copy_from_slice(words);
            decision = plan.acquire(copy, at, cost);
        };
        let otherwise = self.decide_by(&self.0.lanes.enter(), tag, at, cost, &mut on_a_copy);
        otherwise.unwrap_or(decision)
    }

    /// The denial of a waiter whose time is up before it was its turn.
    pub(crate) fn denied_in_queue(&self, tag: u64, at: Moment, cost: u64) -> Decision {
        let seen = self.foresee(tag, at, cost);
        if !seen.allowed() {
            return seen;
        }
        seen.turned_down(seen.remaining(), 1, seen.reset_after_ns())
    }

    pub(crate) fn is_concurrency(&self, limit: &str) -> bool {
        self.0.engines.with_plan(&self.0.lanes.enter(), |plan| {
            let named = plan.limits.iter().find(|candidate| candidate.terms.name.as_str() == limit);
            named.is_some_and(|limit| limit.method == Method::Concurrency)
        })
    }

    /// Changes a key's words. A key that the store has no place for has nothing to change.
    #[inline]
    pub(crate) fn change(&self, tag: u64, at: Moment, mut change: impl FnMut(&Plan, &mut [u64])) {
        let visit = self.0.lanes.enter();
        if let Err(Full) = self.0.engines.transact(&visit, tag, at, self.pressure(), &mut change) {
            // Relaxed: a count publishes nothing.
            self.0.saturated.fetch_add(1, Ordering::Relaxed);
        }
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
