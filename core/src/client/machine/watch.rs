//! Others who use the limiter: when they give something back that the head waits for, it goes at once.

use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use super::{After, Shared, State};
use crate::clock::Moment;

/// Woken by the limiter, in the thread of whoever gives something back.
struct GivenBack(Weak<Shared>);

impl Wake for GivenBack {
    fn wake(self: Arc<Self>) {
        if let Some(shared) = self.0.upgrade() {
            shared.look_again();
        }
    }
}

/// A waker that does not keep the pacer alive.
pub(super) fn waker(shared: &Weak<Shared>) -> Waker {
    Waker::from(Arc::new(GivenBack(Weak::clone(shared))))
}

impl Shared {
    fn look_again(&self) {
        let at = self.clock.moment();
        let mut after = After::default();
        let mut state = self.lock();
        // The limiter tells once.
        state.watched = None;
        if !state.queue.is_empty() {
            self.pump(&mut state, at, None, &mut after);
        }
        self.unlock(state, after);
    }

    /// Has the limiter tell of what others give back, unless it will anyway. True: there is room by now.
    pub(super) fn watch(&self, state: &mut State, at: Moment, cost: u64) -> bool {
        let Some((limiter, subject)) = &self.limiter else { return false };
        if state.watched.is_some() {
            return false;
        }
        // What is wrong with the subject, the limiter says when it is asked.
        let Ok(tag) = limiter.queue_of(&subject, at) else { return false };
        limiter.waiters().watch(tag, self.watcher, self.waker.clone());
        state.watched = Some(tag);
        // What came back since it refused, nobody will tell.
        limiter.foresee(&subject, at, cost).is_ok_and(|seen| seen.allowed())
    }

    /// Nobody waits for the limiter any more: who gives back need not look for us.
    pub(super) fn unwatch(&self, state: &mut State) {
        if let Some(tag) = state.watched.take()
            && let Some((limiter, _)) = &self.limiter
        {
            limiter.waiters().unwatch(tag, self.watcher);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(tag) = self.state.get_mut().watched
            && let Some((limiter, _)) = &self.limiter
        {
            limiter.waiters().unwatch(tag, self.watcher);
        }
    }
}
