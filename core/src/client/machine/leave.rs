//! Calls that are given up: whoever is dropped holds nothing any more.

use parking_lot::MutexGuard;

use super::{After, Probe, Sent, Settled, Shared, State};
use crate::sync::forks::forks;

impl Shared {
    /// A waiting call is dropped.
    pub(in crate::client) fn leave(&self, number: u64, epoch: u32, cost: u64) {
        let now = self.clock.moment().now.as_nanos();
        let mut after = After::default();
        let mut state = self.lock();
        if state.epoch != epoch {
            return;
        }
        state.host.unattended.remove(&number);
        let sent = match state.settled.remove(&number) {
            Some(Settled::Go(sent)) => Some(sent),
            Some(Settled::Fail(_)) => None,
            None => {
                if let Some(place) = state.queue.leave(number) {
                    state.counts.waited(&place, now);
                    after.drop.extend(place.waker);
                }
                None
            }
        };
        self.unlock(state, after);
        match sent {
            Some(sent) => self.abandon(number, epoch, &sent, cost, true),
            None => self.pump_now(),
        }
    }

    /// A call that may go is dropped. `unsent`: the attempt was not made.
    pub(in crate::client) fn abandon(
        &self,
        number: u64,
        epoch: u32,
        sent: &Sent,
        cost: u64,
        unsent: bool,
    ) {
        let at = self.clock.moment();
        let mut state = self.lock();
        if state.epoch != epoch {
            return;
        }
        state.in_flight = state.in_flight.saturating_sub(1);
        state.ended.add(cost);
        if state.probe == Probe::Out(number) {
            state.probe = Probe::Wanted;
        }
        if unsent {
            state.counts.attempts = state.counts.attempts.saturating_sub(1);
        }
        drop(state);
        if let Some((limiter, subject)) = &self.limiter {
            // Nobody is there to be told. (The memory store never fails.)
            let _ = match unsent {
                true => limiter.take_back(&subject, at, cost, self.watcher),
                false if sent.owes => limiter.end(&subject, at, sent.elapsed(at), self.watcher),
                false => Ok(()),
            };
        }
        self.pump_now();
    }

    pub(super) fn pump_now(&self) {
        let at = self.clock.moment();
        let mut after = After::default();
        let mut state = self.lock();
        if !state.queue.is_empty() {
            self.pump(&mut state, at, None, &mut after);
        }
        self.unlock(state, after);
    }
}

impl Shared {
    /// The state. A forked child begins anew: the calls of its parent are not its own.
    #[inline]
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        let state = self.state.lock();
        match state.epoch == forks() {
            true => state,
            false => self.begin_anew(state),
        }
    }

    #[cold]
    fn begin_anew<'s>(&'s self, mut state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        let forsaken = state.begin_anew(forks());
        let Some((limiter, subject)) = self.limiter.as_ref().filter(|_| forsaken > 0) else {
            return state;
        };
        // The child's limiter is a copy, in which the permits of those calls are out: nobody else will give them back.
        drop(state);
        // (The memory store never fails.)
        let _ = limiter.forsake(&subject, self.clock.moment(), forsaken, self.watcher);
        self.state.lock()
    }
}

impl State {
    /// Forgets the calls of another process; how many were under way?
    fn begin_anew(&mut self, epoch: u32) -> u32 {
        self.epoch = epoch;
        self.ended.add(self.sent.saturating_sub(self.ended.units));
        if let Probe::Out(_) = self.probe {
            self.probe = Probe::Wanted;
        }
        self.watched = None;
        // Not dropped: the parent's wakers are not ours to touch.
        std::mem::forget(std::mem::take(&mut self.queue));
        std::mem::forget(std::mem::take(&mut self.host));
        self.settled.clear();
        std::mem::take(&mut self.in_flight)
    }
}
