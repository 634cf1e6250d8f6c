//! What a pacer has to tell: events for who listens, and counts of everything.

use std::collections::VecDeque;
use std::time::Duration;

use super::breaker::BreakerReason;

/// Why everybody waits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PauseReason {
    /// The server refused a call with this status; 0 when the host gave none.
    Limited(u16),
    /// By its headers nothing is left of this quota; empty: it has no name.
    Exhausted(String),
}

/// Something that a user may want to know of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A call will be tried again.
    Retry {
        /// Its label; may be empty.
        label: String,
        /// Attempts that were made so far.
        attempts: u32,
        /// After which time.
        delay: Duration,
        /// The status of the answer; 0 when the host gave none.
        status: u16,
    },
    /// Everybody waits; told once for each pause, not when it is drawn out.
    Pause {
        /// How long.
        delay: Duration,
        /// Why.
        reason: PauseReason,
    },
    /// A call was refused every time and is given up.
    Exhausted {
        /// Its label; may be empty.
        label: String,
        /// Attempts that were made.
        attempts: u32,
        /// The status of the last answer; 0 when the host gave none.
        status: u16,
    },
    /// The breaker opened: nothing is sent.
    BreakerOpened {
        /// Why.
        reason: BreakerReason,
        /// When one call is let through to see.
        retry_after: Duration,
    },
    /// The breaker closed: calls go again.
    BreakerClosed,
    /// The server says that little is left of a quota; told once until more is left again.
    NearLimit {
        /// Name of the quota; empty: it has none.
        name: String,
        /// The quota, when the server tells it.
        limit: Option<u64>,
        /// Units left, when the server tells them.
        remaining: Option<u64>,
        /// Until it is full again, when the server tells it.
        reset_after: Option<Duration>,
    },
}

impl Event {
    /// The word used in every host: `retry`, `pause`, `exhausted`, `breaker_opened`, `breaker_closed` or `near_limit`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Event::Retry { .. } => "retry",
            Event::Pause { .. } => "pause",
            Event::Exhausted { .. } => "exhausted",
            Event::BreakerOpened { .. } => "breaker_opened",
            Event::BreakerClosed => "breaker_closed",
            Event::NearLimit { .. } => "near_limit",
        }
    }
}

/// Events that nobody has taken yet: the newest ones.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// Most that are kept; 0: nobody listens.
    capacity: usize,
    kept: VecDeque<Event>,
}

impl Events {
    pub(super) fn keep(&mut self, capacity: usize) {
        self.capacity = capacity;
        while self.kept.len() > capacity {
            self.kept.pop_front();
        }
    }

    /// The event is not even made when nobody listens.
    pub(super) fn tell(&mut self, event: impl FnOnce() -> Event) {
        if self.capacity == 0 {
            return;
        }
        if self.kept.len() >= self.capacity {
            self.kept.pop_front();
        }
        self.kept.push_back(event());
    }

    pub(super) fn take(&mut self) -> Vec<Event> {
        self.kept.drain(..).collect()
    }
}

/// Counts of a pacer since it was made, from [`Pacer::stats`](super::Pacer::stats).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PacerStats {
    /// Calls that were begun.
    pub calls: u64,
    /// Attempts that were let go, the first of each call included.
    pub attempts: u64,
    /// Attempts that answers asked to make again.
    pub retries: u64,
    /// Answers that said that the server limits us: 429, and 503 with a delay.
    pub limited: u64,
    /// Time that calls stood waiting, for their turn and for retries, in all.
    pub wait: Duration,
    /// How many calls had to wait for each limit of the limiter, by its name, for the concurrency cap
    /// (`concurrency`), for a pause (`pause`) and for a quota known from headers (`quota`). An attempt counts once for
    /// each. In the order of the names.
    pub waits: Vec<(String, u64)>,
    /// Times everybody had to wait.
    pub pauses: u64,
    /// Calls given up because every attempt was refused.
    pub exhausted: u64,
    /// Times the breaker opened.
    pub breaker_opened: u64,
    /// Calls under way now.
    pub in_flight: u32,
    /// Calls that wait now, for their turn or for a retry.
    pub waiting: u64,
}
