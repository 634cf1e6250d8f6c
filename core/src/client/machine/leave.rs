//! Calls that are given up: whoever is dropped holds nothing any more.

use super::{After, Probe, Sent, Settled, Shared, State};

impl Shared {
    /// A waiting call is dropped.
    pub(in crate::client) fn leave(&self, number: u64, epoch: u32, cost: u64) {
        let now = self.clock.moment().now.as_nanos();
        let mut after = After::default();
        let mut state = self.state.lock();
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
        let mut state = self.state.lock();
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
                true => limiter.take_back(&subject, at, cost),
                false if sent.owes => limiter.end(&subject, at, sent.elapsed(at)),
                false => Ok(()),
            };
        }
        self.pump_now();
    }

    pub(super) fn pump_now(&self) {
        let at = self.clock.moment();
        let mut after = After::default();
        let mut state = self.state.lock();
        if !state.queue.is_empty() {
            self.pump(&mut state, at, None, &mut after);
        }
        self.unlock(state, after);
    }
}

impl State {
    /// A forked child begins anew: the calls of its parent are not its own.
    pub(super) fn check_process(&mut self) {
        let process = std::process::id();
        if self.process == process {
            return;
        }
        self.process = process;
        self.epoch = self.epoch.wrapping_add(1);
        self.in_flight = 0;
        self.ended.add(self.sent.saturating_sub(self.ended.units));
        if let Probe::Out(_) = self.probe {
            self.probe = Probe::Wanted;
        }
        // Not dropped: the parent's wakers are not ours to touch.
        std::mem::forget(std::mem::take(&mut self.queue));
        std::mem::forget(std::mem::take(&mut self.host));
        self.settled.clear();
    }
}
