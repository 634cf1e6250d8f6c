//! Where policy, algorithms, store and clock meet: the only such place.

use std::path::Path;
use std::task::Waker;
use std::time::Duration;

use crate::clock::Clock;
use crate::decision::Decision;
use crate::error::{Error, Result};
use crate::policy::Policy;
use crate::rate::Method;
use crate::time::Timestamp;

/// A policy, the state of its keys, and a clock. Clones share the same state.
#[derive(Clone, Debug)]
pub struct Limiter(());

/// What happens to a new key when the store is full of keys that are in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFull {
    /// It takes the place of the key closest to full, and inherits the larger use.
    #[default]
    Inherit,
    /// It is denied.
    Deny,
    /// It is admitted and not remembered.
    Allow,
}

/// Options of a limiter.
#[derive(Debug)]
pub struct Builder(());

impl Builder {
    /// The clock; default [`Clock::system`].
    #[must_use]
    pub fn clock(self, _clock: impl Into<Clock>) -> Builder { todo!() }
    /// Most keys that are remembered at once, at least 1; default 1,000,000.
    #[must_use]
    pub fn max_keys(self, _keys: u64) -> Builder { todo!() }
    /// What happens beyond `max_keys`; default [`OnFull::Inherit`].
    #[must_use]
    pub fn on_full(self, _on_full: OnFull) -> Builder { todo!() }
    /// `inherit`, `deny` or `allow`, as the hosts spell it.  (error at `build`)
    #[must_use]
    pub fn on_full_named(self, _on_full: &str) -> Builder { todo!() }
    /// Where state is kept; `memory:` is the only store so far. (error at `build`)
    #[must_use]
    pub fn store(self, _url: &str) -> Builder { todo!() }
    /// `system`: the only clock that has a name so far. (error at `build`)
    #[must_use]
    pub fn clock_named(self, _name: &str) -> Builder { todo!() }
    /// A name for logs.
    #[must_use]
    pub fn name(self, _name: &str) -> Builder { todo!() }
    /// # Errors
    /// A bad policy ([`Error::is_policy`]) or a bad option ([`Error::is_argument`]).
    pub fn build(self) -> Result<Limiter> { todo!() }
}

impl Limiter {
    pub fn new<P>(_policy: P) -> Result<Limiter> where P: TryInto<Policy>, Error: From<P::Error> { todo!() }
    pub fn builder<P>(_policy: P) -> Builder where P: TryInto<Policy>, Error: From<P::Error> { todo!() }
    pub fn from_file(_path: impl AsRef<Path>) -> Result<Limiter> { todo!() }

    pub fn acquire(&self, _key: impl AsRef<[u8]>, _cost: u64) -> Result<Decision> { todo!() }
    pub fn acquire_at(&self, _key: impl AsRef<[u8]>, _cost: u64, _now: Timestamp) -> Result<Decision> { todo!() }
    /// false also when the store fails
    pub fn try_acquire(&self, _key: impl AsRef<[u8]>, _cost: u64) -> bool { todo!() }
    pub fn try_acquire_at(&self, _key: impl AsRef<[u8]>, _cost: u64, _now: Timestamp) -> bool { todo!() }
    pub fn peek(&self, _key: impl AsRef<[u8]>, _cost: u64) -> Result<Decision> { todo!() }
    pub fn peek_at(&self, _key: impl AsRef<[u8]>, _cost: u64, _now: Timestamp) -> Result<Decision> { todo!() }
    pub fn record_latency(&self, _key: impl AsRef<[u8]>, _latency: Duration) -> Result<()> { todo!() }
    pub fn record_latency_at(&self, _key: impl AsRef<[u8]>, _latency: Duration, _now: Timestamp) -> Result<()> { todo!() }
    pub fn refund(&self, _key: impl AsRef<[u8]>, _cost: u64) -> Result<()> { todo!() }
    pub fn refund_at(&self, _key: impl AsRef<[u8]>, _cost: u64, _now: Timestamp) -> Result<()> { todo!() }
    /// Gives back one permit of every concurrency limit.
    pub fn release(&self, _key: impl AsRef<[u8]>) -> Result<()> { todo!() }
    pub fn release_at(&self, _key: impl AsRef<[u8]>, _now: Timestamp) -> Result<()> { todo!() }
    pub fn reset(&self, _key: impl AsRef<[u8]>) -> Result<()> { todo!() }
    pub fn reset_at(&self, _key: impl AsRef<[u8]>, _now: Timestamp) -> Result<()> { todo!() }
    pub fn block(&self, _key: impl AsRef<[u8]>, _duration: Duration) -> Result<()> { todo!() }
    pub fn block_at(&self, _key: impl AsRef<[u8]>, _duration: Duration, _now: Timestamp) -> Result<()> { todo!() }
    pub fn penalize(&self, _key: impl AsRef<[u8]>, _units: u64) -> Result<()> { todo!() }
    pub fn penalize_at(&self, _key: impl AsRef<[u8]>, _units: u64, _now: Timestamp) -> Result<()> { todo!() }

    pub fn reserve(&self, _key: impl AsRef<[u8]>, _cost: u64) -> Result<Reservation> { todo!() }
    pub fn reserve_at(&self, _key: impl AsRef<[u8]>, _cost: u64, _now: Timestamp) -> Result<Reservation> { todo!() }

    /// acquire now; the Admission, when finished (or dropped), records the latency since, and releases the permit.
    pub fn admit(&self, _key: impl AsRef<[u8]>, _cost: u64) -> Result<Admission> { todo!() }
    pub fn measure<T>(&self, _key: impl AsRef<[u8]>, _work: impl FnOnce() -> T) -> Result<Measured<T>> { todo!() }

    /// Blocks the calling thread until admitted (FIFO among waiters of the key), until `timeout` has passed
    /// or cannot be kept, or at once when the cost is impossible. The last decision is returned; denied = timed out.
    pub fn wait(&self, _key: impl AsRef<[u8]>, _cost: u64, _timeout: Option<Duration>) -> Result<Decision> { todo!() }
    /// Takes a place in the key's queue, for async hosts. Dropping the ticket gives it up and takes nothing.
    pub fn queue(&self, _key: impl AsRef<[u8]>, _cost: u64, _timeout: Option<Duration>) -> Ticket { todo!() }

    pub fn update<P>(&self, _policy: P) -> Result<()> where P: TryInto<Policy>, Error: From<P::Error> { todo!() }
    pub fn update_at<P>(&self, _policy: P, _now: Timestamp) -> Result<()> where P: TryInto<Policy>, Error: From<P::Error> { todo!() }
    pub fn snapshot(&self, _key: impl AsRef<[u8]>) -> Result<Snapshot> { todo!() }
    pub fn snapshot_at(&self, _key: impl AsRef<[u8]>, _now: Timestamp) -> Result<Snapshot> { todo!() }
    pub fn stats(&self) -> Stats { todo!() }
    pub fn name(&self) -> &str { todo!() }
    pub fn clock(&self) -> &Clock { todo!() }
}

/// An estimate taken now, to be settled or cancelled. Dropped: the estimate stands.
#[derive(Debug)]
pub struct Reservation(());
impl Reservation {
    pub fn decision(&self) -> Decision { todo!() }
    /// Charges the difference to `actual`: more is charged even beyond the limits, less is given back
    /// to the buckets that paid. Of a denied reservation: does nothing.
    pub fn settle(self, _actual: u64) -> Result<()> { todo!() }
    pub fn settle_at(self, _actual: u64, _now: Timestamp) -> Result<()> { todo!() }
    pub fn cancel(self) -> Result<()> { todo!() }
    pub fn cancel_at(self, _now: Timestamp) -> Result<()> { todo!() }
}

/// One request under way. Dropped = finished.
#[derive(Debug)]
pub struct Admission(());
impl Admission {
    pub fn decision(&self) -> Decision { todo!() }
    /// Records the time since `admit` (by the limiter's clock) and releases the permit, once. No-op if denied.
    pub fn finish(self) -> Result<()> { todo!() }
}

/// What [`Limiter::measure`] returns.
#[derive(Debug)]
pub enum Measured<T> {
    /// It was admitted, and this is what the work returned.
    Done(T),
    /// It was denied; the work did not run.
    Denied(Decision),
}

/// A place in a key's queue.
#[derive(Debug)]
pub struct Ticket(());
/// What a waiter has to do.
#[derive(Debug)]
pub enum Turn {
    /// It is decided: admitted, or timed out, or impossible, or blocked beyond the timeout.
    Done(Decision),
    /// Poll again when the waker is woken, or after this time at the latest (None: only when woken).
    Wait(Option<Duration>),
}
impl Ticket {
    /// Asks whether it is this waiter's turn. `waker` is woken when it may have become so.
    pub fn poll(&mut self, _waker: &Waker) -> Result<Turn> { todo!() }
}

/// Every bucket of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    pub buckets: Vec<BucketSnapshot>,
    /// How long the key stays blocked by [`Limiter::block`]; zero when it is not.
    pub blocked_for: Duration,
}

/// One bucket of a key. Units: requests × cost, nanoseconds (latency), permits (concurrency).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BucketSnapshot {
    /// Name of the limit.
    pub limit: String,
    /// Name of the bucket: its own, else the text of its rate (`100/minute`).
    pub name: String,
    pub method: Method,
    pub quota: u64,
    /// Most units that can be spent at once (gcra: the burst).
    pub capacity: u64,
    /// Units used; more than the capacity when in debt.
    pub used: u64,
    /// Units left: capacity − used, never below zero.
    pub remaining: u64,
    /// How long until the bucket refreshes (windows: their end; gcra: full again). Zero when full.
    pub refresh_after: Duration,
}

/// Counters of a limiter since its creation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Keys remembered now.
    pub keys: u64,
    /// Most keys that can be remembered (`max_keys`).
    pub capacity: u64,
    pub allowed: u64,
    pub limited: u64,
    pub blocked: u64,
    pub bypassed: u64,
    pub impossible: u64,
    /// Keys in use whose place was taken by others (`on_full = "inherit"`).
    pub evictions: u64,
    /// Requests of new keys that found the store full (deny and allow).
    pub saturated: u64,
}
