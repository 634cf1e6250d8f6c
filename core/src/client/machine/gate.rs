//! May the next call go? If not: what holds it, and until when.

use std::time::Duration;

use super::{After, Probe, Shared, State};
use crate::client::breaker::BreakerReason;
use crate::client::error::PacerError;
use crate::client::events::{Event, PauseReason};
use crate::client::quotas::{Ended, Hold};
use crate::clock::Moment;
use crate::decision::{Decision, NEVER};
use crate::limiter::Limiter;
use crate::plan::Notes;
use crate::rate::Method;
use crate::request::Kept;
use crate::time::{Timestamp, nanos};

/// What is known of an attempt that may go.
#[derive(Clone, Copy, Debug)]
pub(in crate::client) struct Sent {
    at: Timestamp,
    /// Units sent in all, this one's included, and units charged because the server had less.
    pub(super) units: u64,
    pub(super) penalized: u64,
    /// What had ended by then.
    pub(super) before: Ended,
    /// The limiter's tightest limit then, and what was left of it; both 0: none.
    pub(super) limit: u64,
    pub(super) left: u64,
    /// The limiter wants to know when it is done.
    pub(super) owes: bool,
}

impl Sent {
    /// As of now, for what nothing was sent for.
    pub(super) fn now(at: Moment, units: u64, penalized: u64, before: Ended) -> Sent {
        Sent { at: at.now, units, penalized, before, limit: 0, left: 0, owes: false }
    }

    pub(super) fn elapsed(&self, at: Moment) -> u64 {
        nanos(at.now.saturating_since(self.at))
    }
}

/// What holds a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cause {
    /// A limit of the limiter.
    Limit(&'static str),
    Concurrency,
    /// A pause, or the one that goes first after it.
    Pause,
    /// A quota known from headers.
    Quota,
}

pub(super) enum Gate {
    /// It is under way from now on.
    Go(Sent),
    /// Not before this time.
    Until(u64, Cause),
    /// Not before something happens.
    Turn(Cause),
    Fail(PacerError),
}

impl Shared {
    /// Looks at everything that may hold a call; when nothing does, it pays and is under way.
    #[inline]
    pub(super) fn gate(
        &self,
        state: &mut State,
        at: Moment,
        number: u64,
        cost: u64,
        after: &mut After,
    ) -> Gate {
        let is_calm = state.is_calm();
        if !is_calm && let Some(error) = state.refusal(at) {
            return Gate::Fail(error);
        }
        if state.in_flight >= self.settings.concurrency {
            return Gate::Turn(Cause::Concurrency);
        }
        if !is_calm && let Some(gate) = self.obstacle(state, at, cost, after) {
            return gate;
        }
        let mut sent = Sent {
            at: at.now,
            units: state.sent.saturating_add(cost),
            penalized: state.penalized,
            before: state.ended,
            limit: 0,
            left: 0,
            owes: false,
        };
        if let Some((limiter, subject)) = &self.limiter
            && let Some(gate) = pay(limiter, subject, at, cost, &mut sent, after)
        {
            return gate;
        }
        state.in_flight += 1;
        state.counts.attempts += 1;
        state.sent = sent.units;
        state.last_sent = at.now.as_nanos();
        if state.probe == Probe::Wanted {
            state.probe = Probe::Out(number);
        }
        Gate::Go(sent)
    }

    /// What holds everybody.
    #[inline(never)]
    fn obstacle(
        &self,
        state: &mut State,
        at: Moment,
        cost: u64,
        after: &mut After,
    ) -> Option<Gate> {
        let now = at.now.as_nanos();
        if state.breaker.is_tripped() && state.probe == Probe::None {
            state.probe = Probe::Wanted;
        }
        if state.paused_until > now {
            return Some(self.paused(state, now));
        }
        state.paused_until = 0;
        if std::mem::take(&mut state.after_pause) {
            self.end_pause(state, at, after);
        }
        if let Probe::Out(_) = state.probe {
            return Some(Gate::Turn(Cause::Pause));
        }
        self.held(state, now, cost)
    }

    /// Held by a pause: a long one is an error at once.
    fn paused(&self, state: &State, now: u64) -> Gate {
        let left = state.paused_until - now;
        if left <= self.settings.max_retry_after {
            return Gate::Until(state.paused_until, Cause::Pause);
        }
        Gate::Fail(self.too_long(left))
    }

    pub(super) fn too_long(&self, delay: u64) -> PacerError {
        PacerError::RetryAfterTooLong {
            delay: Duration::from_nanos(delay),
            max: Duration::from_nanos(self.settings.max_retry_after),
            label: String::new(),
            attempts: 0,
        }
    }

    /// The first call after a pause. The limiter's buckets have filled up meanwhile, the server's perhaps not: so that
    /// no herd comes, they are left one unit, and fill at their pace. Without a limiter one call goes first.
    fn end_pause(&self, state: &mut State, at: Moment, after: &mut After) {
        let Some((limiter, subject)) = &self.limiter else {
            state.probe = Probe::Wanted;
            return;
        };
        let Ok(seen) = limiter.foresee(&subject, at, 0) else { return };
        if seen.method() == Method::Count && seen.remaining() > 1 {
            self.charge(state, at, limiter, subject, seen.remaining() - 1, after);
        }
    }

    /// Charges the limiter for what the server has less left.
    pub(super) fn charge(
        &self,
        state: &mut State,
        at: Moment,
        limiter: &Limiter,
        subject: &Kept,
        units: u64,
        after: &mut After,
    ) {
        let mut notes = Notes::default();
        // (The memory store never fails; what is wrong with the subject, acquire says.)
        if limiter.penalize_quietly(&subject, at, units, &mut notes).is_ok() {
            state.penalized = state.penalized.saturating_add(units);
        }
        if !notes.crossings.is_empty() {
            after.notes.push(notes);
        }
    }

    /// Held by a quota that is known from headers.
    fn held(&self, state: &mut State, now: u64, cost: u64) -> Option<Gate> {
        if state.quotas.expire(now, state.sent) && state.probe == Probe::None {
            state.probe = Probe::Wanted;
        }
        match state.quotas.hold(cost, state.sent, state.last_sent, self.settings.near_limit) {
            Hold::Until(until) if until > now => Some(Gate::Until(until, Cause::Quota)),
            Hold::Open | Hold::Until(_) => None,
            // Answers that are on their way may tell of more.
            Hold::Exhausted(until, _) if state.in_flight > 0 => {
                Some(Gate::Until(until, Cause::Quota))
            }
            Hold::Exhausted(until, name) => {
                state.pause(now, until, PauseReason::Exhausted(name));
                Some(self.paused(state, now))
            }
        }
    }
}

/// Asks the limiter; `None`: it is paid.
#[inline]
fn pay(
    limiter: &Limiter,
    subject: &Kept,
    at: Moment,
    cost: u64,
    sent: &mut Sent,
    after: &mut After,
) -> Option<Gate> {
    let mut notes = Notes::default();
    let asked = limiter.acquire_quietly(&subject, at, cost, &mut notes);
    if !notes.crossings.is_empty() {
        after.notes.push(notes);
    }
    let decision: Decision = match asked {
        Ok(decision) => decision,
        Err(error) => return Some(Gate::Fail(PacerError::Limiter(error))),
    };
    if decision.allowed() {
        if decision.method() == Method::Count {
            (sent.limit, sent.left) = (decision.limit(), decision.remaining());
        }
        sent.owes = !limiter.counts_alone();
        return None;
    }
    let wait = decision.retry_after_ns();
    if wait == NEVER {
        let limit = decision.name().to_owned();
        return Some(Gate::Fail(PacerError::Impossible { limit, cost }));
    }
    let until = at.now.as_nanos().saturating_add(wait);
    Some(Gate::Until(until, Cause::Limit(decision.name())))
}

pub(super) fn open(reason: BreakerReason, left: u64) -> PacerError {
    PacerError::BreakerOpen { reason, retry_after: Duration::from_nanos(left) }
}

impl State {
    /// Does nothing but slots and the limiter hold anybody?
    #[inline]
    fn is_calm(&self) -> bool {
        !self.closed
            && self.paused_until == 0
            && self.probe == Probe::None
            && self.quotas.is_empty()
            && self.breaker.is_calm()
    }

    /// Why nobody may go, whoever waits.
    fn refusal(&self, at: Moment) -> Option<PacerError> {
        if self.closed {
            return Some(PacerError::Closed);
        }
        let (reason, left) = self.breaker.refuses(at.now.as_nanos())?;
        Some(open(reason.clone(), left))
    }

    /// Everybody waits until then; a pause is never cut short by another.
    pub(super) fn pause(&mut self, now: u64, until: u64, reason: PauseReason) {
        // One that follows at once, or by the call that went first to see, is the same drawn out.
        let is_new = self.paused_until <= now && !self.after_pause && self.probe == Probe::None;
        self.paused_until = self.paused_until.max(until);
        self.after_pause = true;
        if is_new {
            self.counts.pauses += 1;
            self.events.tell(|| Event::Pause {
                delay: Duration::from_nanos(until.saturating_sub(now)),
                reason,
            });
        }
    }

    /// The head waits, for this reason; counted once for each kind.
    pub(super) fn count_wait(&mut self, cause: Cause) {
        let Some((_, place)) = self.queue.head() else { return };
        let bit = match cause {
            Cause::Limit(_) => 1,
            Cause::Concurrency => 2,
            Cause::Pause => 4,
            Cause::Quota => 8,
        };
        if place.counted & bit != 0 {
            return;
        }
        place.counted |= bit;
        match cause {
            Cause::Limit(name) => *self.counts.by_limit.entry(name).or_default() += 1,
            Cause::Concurrency => self.counts.by_concurrency += 1,
            Cause::Pause => self.counts.by_pause += 1,
            Cause::Quota => self.counts.by_quota += 1,
        }
    }
}
