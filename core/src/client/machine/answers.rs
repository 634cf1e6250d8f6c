//! What an answer changes: the limiter, quotas, the pause, the breaker, and whether the call is tried again.

use std::time::Duration;

use super::gate::{Sent, open};
use super::{After, Probe, Shared, State, too_late};
use crate::client::breaker::Failure;
use crate::client::call::Finish;
use crate::client::class::Class;
use crate::client::error::PacerError;
use crate::client::events::{Event, PauseReason};
use crate::client::headers::{Quota, ServerLimits};
use crate::client::queue::Place;
use crate::client::quotas::Told;
use crate::clock::Moment;
use crate::limiter::Limiter;
use crate::rate::Method;
use crate::request::Kept;
use crate::sync::forks::forks;
use crate::time::nanos;

/// An answer, and the call that it is to.
pub(in crate::client) struct Answer<'a> {
    pub(in crate::client) number: u64,
    pub(in crate::client) epoch: u32,
    pub(in crate::client) cost: u64,
    /// `u64::MAX`: none.
    pub(in crate::client) deadline: u64,
    /// Attempts made, this one included.
    pub(in crate::client) attempts: u32,
    pub(in crate::client) max_retries: u32,
    pub(in crate::client) label: &'a str,
    pub(in crate::client) sent: Sent,
    pub(in crate::client) class: Class,
    /// 0: none.
    pub(in crate::client) status: u16,
    pub(in crate::client) limits: &'a ServerLimits,
}

impl Shared {
    pub(in crate::client) fn finish(&self, answer: &Answer<'_>) -> Finish {
        // A child that was forked in the middle of the call: its parent finishes it. (Else the state is this process's.)
        if answer.epoch != forks() {
            return Finish::Done;
        }
        if answer.sent.owes {
            self.end(&answer.sent);
        }
        let mut after = After::default();
        let mut state = self.state.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        state.ended.add(answer.cost);
        let is_plain = answer.class == Class::Passed
            && answer.limits.is_empty()
            && state.breaker.is_calm()
            && state.probe == Probe::None;
        if is_plain && state.queue.is_empty() {
            return Finish::Done;
        }
        let at = self.clock.moment();
        let finish = match is_plain {
            true => Finish::Done,
            false => self.take_in(&mut state, at, answer, &mut after),
        };
        if !state.queue.is_empty() {
            self.pump(&mut state, at, None, &mut after);
        }
        self.unlock(state, after);
        finish
    }

    /// The limiter hears that an attempt is done, before anybody waits for its lock.
    fn end(&self, sent: &Sent) {
        let Some((limiter, subject)) = &self.limiter else { return };
        let at = self.clock.moment();
        // Nobody is there to be told. (The memory store never fails.)
        let _ = limiter.end(&subject, at, sent.elapsed(at), self.watcher);
    }

    #[inline(never)]
    fn take_in(
        &self,
        state: &mut State,
        at: Moment,
        answer: &Answer<'_>,
        after: &mut After,
    ) -> Finish {
        let now = at.now.as_nanos();
        self.observe(state, at, answer.limits, &answer.sent, answer.cost, after);
        let is_probe = state.probe == Probe::Out(answer.number);
        if is_probe {
            state.probe = match answer.class {
                Class::Limited | Class::Retry | Class::Error => Probe::Wanted,
                _ => Probe::None,
            };
        }
        match answer.class {
            Class::Passed => {
                // An open breaker is closed by the one that was let through to see, not by those sent before.
                if (is_probe || !state.breaker.is_tripped()) && state.breaker.succeed() {
                    state.events.tell(|| Event::BreakerClosed);
                }
                Finish::Done
            }
            Class::Unauthorized => {
                self.fail(state, now, Failure::Unauthorized, answer.status, is_probe, after);
                Finish::Done
            }
            Class::Forbidden => {
                self.fail(state, now, Failure::Forbidden, answer.status, is_probe, after);
                Finish::Done
            }
            Class::Failed => {
                self.fail(state, now, Failure::Failed, answer.status, is_probe, after);
                Finish::Done
            }
            Class::Error => Finish::Done,
            Class::Limited => {
                state.counts.limited += 1;
                self.again(state, now, answer, is_probe, after)
            }
            Class::Retry => self.again(state, now, answer, is_probe, after),
        }
    }

    /// A failure that may open the breaker: then everybody who waits hears why. One that has opened hears only of the
    /// call that was let through to see: answers to those sent before are no news.
    fn fail(
        &self,
        state: &mut State,
        now: u64,
        failure: Failure,
        status: u16,
        is_probe: bool,
        after: &mut After,
    ) {
        if state.breaker.is_tripped() && !is_probe {
            return;
        }
        let Some(reason) = state.breaker.fail(failure, status, now) else { return };
        let left = self.settings.breaker_cooldown;
        // Whoever went first after a pause was sent before it opened, too.
        state.probe = Probe::None;
        state.counts.breaker_opened += 1;
        state.events.tell(|| Event::BreakerOpened {
            reason: reason.clone(),
            retry_after: Duration::from_nanos(left),
        });
        state.fail_all(now, after, || open(reason.clone(), left));
    }

    /// The call is tried again, or given up.
    fn again(
        &self,
        state: &mut State,
        now: u64,
        answer: &Answer<'_>,
        is_probe: bool,
        after: &mut After,
    ) -> Finish {
        let Answer { attempts, status, label, .. } = *answer;
        let server = answer.limits.delay().map(nanos);
        let delay = state.backoff.delay_ns(attempts.saturating_sub(1), server);
        if answer.class == Class::Limited {
            let until = now.saturating_add(server.unwrap_or(delay));
            state.pause(now, until, PauseReason::Limited(status));
        }
        if let Some(asked) = server.filter(|asked| *asked > self.settings.max_retry_after) {
            return Finish::Raise(self.too_long(asked).of_call(label, attempts));
        }
        if attempts > answer.max_retries {
            state.counts.exhausted += 1;
            let named = || label.to_owned();
            state.events.tell(|| Event::Exhausted { label: named(), attempts, status });
            self.fail(state, now, Failure::Failed, status, is_probe, after);
            return Finish::Raise(PacerError::RetriesExhausted {
                attempts,
                label: named(),
                status,
            });
        }
        let wake = now.saturating_add(delay);
        if wake > answer.deadline {
            return Finish::Raise(too_late().of_call(label, attempts));
        }
        if state.closed {
            return Finish::Raise(PacerError::Closed);
        }
        let after = Duration::from_nanos(delay);
        state.counts.retries += 1;
        let told =
            |label: &str| Event::Retry { label: label.to_owned(), attempts, delay: after, status };
        state.events.tell(|| told(label));
        let Answer { number, cost, deadline, .. } = *answer;
        let place = Place { cost, deadline, waker: None, since: now, counted: 0 };
        state.queue.sleep(number, place, wake);
        Finish::Retry { after }
    }

    /// What a response of somebody else says.
    pub(in crate::client) fn observe_alone(&self, limits: &ServerLimits) {
        let at = self.clock.moment();
        let mut after = After::default();
        let mut state = self.lock();
        let sent = Sent::now(at, state.sent, state.penalized, state.ended);
        // As an attempt of its own that cost nothing: what is told after it is newer.
        state.ended.add(0);
        self.observe(&mut state, at, limits, &sent, 0, &mut after);
        if let Some(asked) = limits.retry_after.filter(|asked| !asked.is_zero()) {
            let now = at.now.as_nanos();
            state.pause(now, now.saturating_add(nanos(asked)), PauseReason::Limited(0));
        }
        self.pump(&mut state, at, None, &mut after);
        self.unlock(state, after);
    }

    /// Nothing is let go that the server has not left.
    fn observe(
        &self,
        state: &mut State,
        at: Moment,
        limits: &ServerLimits,
        sent: &Sent,
        cost: u64,
        after: &mut After,
    ) {
        let told = Told { cost, before: sent.before, came: state.ended.attempts };
        let threshold = self.settings.near_limit;
        if limits.near_limit && threshold > 0 {
            state.tell_near(&Quota::default(), true);
        }
        for quota in &limits.quotas {
            let Some(remaining) = quota.remaining else { continue };
            if let Some(limit) = quota.limit {
                let near = u128::from(limit) * u128::from(threshold);
                let is_near = u128::from(remaining) * 1000 <= near;
                let says_so = limits.near_limit && quota.name.is_empty();
                state.tell_near(quota, threshold > 0 && (is_near || says_so));
            }
            let lacks = self.limiter.as_ref().and_then(|(limiter, subject)| {
                Some((limiter, subject, state.lacks(limiter, subject, quota, remaining, sent)?))
            });
            match lacks {
                None => {
                    let longest = self.settings.max_retry_after;
                    state.quotas.learn(quota, told, at.now.as_nanos(), longest);
                }
                Some((_, _, 0)) => {}
                Some((limiter, subject, units)) => {
                    self.charge(state, at, limiter, subject, units, after);
                }
            }
        }
    }
}

impl State {
    /// How much less the server has left of a quota than the limiter; `None`: no limit of the limiter is about it.
    fn lacks(
        &self,
        limiter: &Limiter,
        subject: &Kept,
        quota: &Quota,
        remaining: u64,
        sent: &Sent,
    ) -> Option<u64> {
        let is_same = match quota.limit {
            Some(limit) => limit == sent.limit,
            None => sent.limit > 0 && quota.name.is_empty(),
        };
        // Units sent later may be counted by the server already; those charged since are.
        let later = self.sent.saturating_sub(sent.units);
        let known = remaining.saturating_add(later);
        if is_same {
            // Both as of when the request was sent: what has dripped in since is in neither.
            let charged = self.penalized.saturating_sub(sent.penalized);
            return Some(sent.left.saturating_sub(charged).saturating_sub(known));
        }
        let limit = quota.limit?;
        let snapshot = limiter.snapshot(subject).ok()?;
        let bucket = snapshot
            .buckets
            .iter()
            .find(|bucket| bucket.method == Method::Count && bucket.quota == limit)?;
        // What dripped in since is in one and not in the other: only what is far off is put right.
        let is_off = bucket.remaining / 2 > known;
        Some(if is_off { bucket.remaining - known } else { 0 })
    }

    /// Little is left of a quota, or more again: told once.
    fn tell_near(&mut self, quota: &Quota, is_near: bool) {
        let known = self.near.iter().position(|name| *name == quota.name);
        match known {
            None if is_near && self.near.len() < 64 => {
                self.near.push(quota.name.clone());
                self.events.tell(|| Event::NearLimit {
                    name: quota.name.clone(),
                    limit: quota.limit,
                    remaining: quota.remaining,
                    reset_after: quota.reset_after,
                });
            }
            Some(index) if !is_near => {
                self.near.swap_remove(index);
            }
            _ => {}
        }
    }
}
