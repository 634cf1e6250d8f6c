//! The pacer as hosts see it.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::call::Call;
use super::events::{Event, PacerStats};
use super::headers::ServerLimits;
use super::machine::{Settings, Shared};
use super::options::{CallOptions, PacerBuilder};
use crate::clock::Clock;
use crate::limiter::Limiter;
use crate::request::Kept;

/// Paces calls to somebody else's interface: a limiter, a cap on concurrent calls, retries, pauses and a breaker, shared
/// by everybody who has a clone.
///
/// It sends nothing, never sleeps, and has no thread. [`begin`](Pacer::begin) gives a [`Call`], which says when it may
/// go; its answer goes to [`Call::finish`]. [`Pacer::call`] does all that around a closure.
///
/// ```
/// use tidegate::client::{CallOptions, Finish, Pacer, ServerLimits, Step};
///
/// let pacer = Pacer::builder().policy("100/minute").concurrency(4).build()?;
/// let mut call = pacer.begin(CallOptions::default());
/// assert!(matches!(call.check(), Step::Go));
/// // … send the request …
/// assert!(matches!(call.finish(200, &ServerLimits::NONE), Finish::Done));
/// # Ok::<(), tidegate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pacer(pub(super) Arc<Shared>);

/// What a host with one timer has to do, from [`Pacer::tick`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tick {
    /// Numbers of the calls to check again.
    pub ready: Vec<u64>,
    /// Tick again after this time at the latest; `None`: only when a call is begun, finished or dropped.
    pub next: Option<Duration>,
}

impl Pacer {
    /// Options of a pacer; mistakes are told by [`PacerBuilder::build`].
    pub fn builder() -> PacerBuilder {
        PacerBuilder::new()
    }

    pub(super) fn assemble(
        settings: Settings,
        clock: Clock,
        limiter: Option<(Limiter, Kept)>,
    ) -> Pacer {
        Pacer(Arc::new_cyclic(|itself| Shared::new(settings, clock, limiter, itself)))
    }

    /// Begins a call. When nothing stands in its way it may go at once; ask it with [`Call::check`] or [`Call::poll`].
    pub fn begin(&self, options: CallOptions<'_>) -> Call {
        Call::begin(&self.0, options)
    }

    /// For hosts with one timer for all calls: which of the calls that were [`check`](Call::check)ed are to be checked
    /// again, and when to come back. Tick when a timer of `next` is over, and after each begin, finish and drop.
    pub fn tick(&self) -> Tick {
        self.0.tick()
    }

    /// `waker` is woken when [`tick`](Pacer::tick) has news that its `next` did not foretell: what another thread did, or
    /// a manual clock that was moved. One waker; another takes its place.
    pub fn wakes(&self, waker: &Waker) {
        self.0.set_waker(waker);
    }

    /// Tells what a response that is not of a call of this pacer says of the server's limits.
    pub fn observe(&self, limits: &ServerLimits) {
        self.0.observe_alone(limits);
    }

    /// Events that nobody has taken yet, the oldest first; none unless the builder was asked to keep them.
    pub fn events(&self) -> Vec<Event> {
        self.0.take_events()
    }

    /// Keeps so many events from now on, the newest ones; 0: none.
    pub fn keep_events(&self, capacity: usize) {
        self.0.keep_events(capacity);
    }

    /// Counts of everything since the pacer was made.
    pub fn stats(&self) -> PacerStats {
        self.0.stats()
    }

    /// Closes the breaker and ends a pause, when whoever operates it knows better.
    pub fn reset(&self) {
        self.0.reset();
    }

    /// Nothing is let go any more: whoever waits, and each new call, fails with
    /// [`PacerError::Closed`](super::PacerError::Closed). Calls under way may finish.
    pub fn close(&self) {
        self.0.close();
    }

    /// The limiter that attempts ask, if there is one.
    pub fn limiter(&self) -> Option<&Limiter> {
        self.0.limiter()
    }

    /// The pacer's clock.
    pub fn clock(&self) -> &Clock {
        self.0.clock()
    }

    /// Most calls under way at once.
    pub fn concurrency(&self) -> u32 {
        self.0.settings().concurrency
    }
}
