//! What hosts are told: how a waiting call stands, whom to ask again, when to come back, and what happened.

use std::task::Waker;
use std::time::Duration;

use super::{After, Probe, Settled, Shared, State, Verdict};
use crate::client::error::PacerError;
use crate::client::events::{Event, PacerStats};
use crate::client::pacer::Tick;

impl State {
    /// How a call stands that waits; its waker is left with it.
    pub(super) fn verdict(
        &mut self,
        number: u64,
        epoch: u32,
        now: u64,
        waker: Option<&Waker>,
        after: &mut After,
    ) -> Verdict {
        match self.settled.remove(&number) {
            Some(settled) => {
                self.host.unattended.remove(&number);
                return match settled {
                    Settled::Go(sent) => Verdict::Go(sent),
                    Settled::Fail(error) => Verdict::Fail(error),
                };
            }
            None if self.epoch != epoch => return Verdict::Fail(PacerError::Closed),
            None => {}
        }
        let asleep = self.queue.wakes_at(number);
        let head = self.host.head.filter(|(head, _)| *head == number);
        let Some(place) = self.queue.get_mut(number) else {
            return Verdict::Fail(PacerError::Closed);
        };
        let before = std::mem::replace(&mut place.waker, waker.cloned());
        after.drop.extend(before);
        let until = asleep.or(head.map(|(_, until)| until)).unwrap_or(u64::MAX).min(place.deadline);
        if head.is_some() {
            self.host.told = head;
        }
        let left = Duration::from_nanos(until.saturating_sub(now));
        Verdict::Wait((until != u64::MAX).then_some(left))
    }

    /// The head hears when it can go, unless it is asking anyway; the host with one timer, what it does not foresee.
    pub(super) fn tell_hosts(&mut self, asking: Option<u64>, after: &mut After) {
        let head = self.host.head;
        if let Some((number, _)) = head
            && head != self.host.told
            && asking != Some(number)
        {
            self.host.told = head;
            if let Some(waker) = self.queue.get_mut(number).and_then(|place| place.waker.take()) {
                after.wake.push(waker);
            }
        }
        let Some(waker) = &self.host.waker else { return };
        let next = self.next();
        let sooner = next.is_some_and(|next| self.host.next.is_none_or(|told| next < told));
        if sooner || !self.host.unattended.is_empty() {
            self.host.next = next;
            after.wake.push(waker.clone());
        }
    }

    /// When somebody has to come back, if nothing happens before.
    fn next(&self) -> Option<u64> {
        let head = self.host.head.map(|(_, until)| until);
        let times = [head, self.queue.next_wake(), self.queue.next_deadline()];
        times.into_iter().flatten().min()
    }
}

impl Shared {
    pub(in crate::client) fn tick(&self) -> Tick {
        let (waker, sleeper) = {
            let mut state = self.lock();
            let sleeper = *state.host.sleeper.get_or_insert_with(|| self.clock.sleeper());
            (state.host.waker.clone(), sleeper)
        };
        // First: who moves a manual clock from now on wakes us.
        let runs = waker.is_none_or(|waker| self.clock.runs_or_wakes(sleeper, &waker));
        let at = self.clock.moment();
        let mut after = After::default();
        let mut state = self.lock();
        self.pump(&mut state, at, None, &mut after);
        let ready = std::mem::take(&mut state.host.unattended).into_iter().collect();
        let next = state.next();
        state.host.next = next;
        self.unlock(state, after);
        let now = at.now.as_nanos();
        let next = next.map(|next| Duration::from_nanos(next.saturating_sub(now)));
        Tick { ready, next: next.filter(|_| runs) }
    }

    pub(in crate::client) fn set_waker(&self, waker: &Waker) {
        let before = self.lock().host.waker.replace(waker.clone());
        // After the lock: what a waker owns may come back here.
        drop(before);
    }

    pub(in crate::client) fn take_events(&self) -> Vec<Event> {
        self.lock().events.take()
    }

    pub(in crate::client) fn keep_events(&self, capacity: usize) {
        self.lock().events.keep(capacity);
    }

    pub(in crate::client) fn reset(&self) {
        let mut state = self.lock();
        state.paused_until = 0;
        state.after_pause = false;
        state.probe = Probe::None;
        if state.breaker.succeed() {
            state.events.tell(|| Event::BreakerClosed);
        }
        drop(state);
        self.pump_now();
    }

    pub(in crate::client) fn close(&self) {
        let now = self.clock.moment().now.as_nanos();
        let mut after = After::default();
        let mut state = self.lock();
        state.closed = true;
        state.fail_all(now, &mut after, || PacerError::Closed);
        self.unlock(state, after);
    }

    pub(in crate::client) fn stats(&self) -> PacerStats {
        let state = self.lock();
        let counts = &state.counts;
        let own = [
            ("concurrency", counts.by_concurrency),
            ("pause", counts.by_pause),
            ("quota", counts.by_quota),
        ];
        let limits = counts.by_limit.iter().map(|(name, waits)| (*name, *waits));
        let mut waits: Vec<(String, u64)> = limits
            .chain(own)
            .filter(|(_, waits)| *waits > 0)
            .map(|(name, waits)| (name.to_owned(), waits))
            .collect();
        waits.sort();
        PacerStats {
            calls: counts.calls,
            attempts: counts.attempts,
            retries: counts.retries,
            limited: counts.limited,
            wait: Duration::from_nanos(counts.wait_ns),
            waits,
            pauses: counts.pauses,
            exhausted: counts.exhausted,
            breaker_opened: counts.breaker_opened,
            in_flight: state.in_flight,
            waiting: (state.queue.len() + state.settled.len()) as u64,
        }
    }
}
