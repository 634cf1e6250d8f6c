//! What is held while a request runs, and waiting for its turn.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use super::{Limiter, Measured};
use crate::clock::Moment;
use crate::decision::Decision;
use crate::error::Result;
use crate::plan::Plan;
use crate::reservation::{Admission, Reservation};
use crate::time::Timestamp;
use crate::waiters::{Ticket, Turn};

impl Limiter {
    /// Debits an estimate now, to be settled when the true cost is known.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn reserve(&self, key: impl AsRef<[u8]>, cost: u64) -> Result<Reservation> {
        self.reserve_in(self.tag(key.as_ref()), self.moment(), cost)
    }

    /// As [`reserve`](Limiter::reserve), at an explicit time.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn reserve_at(
        &self,
        key: impl AsRef<[u8]>,
        cost: u64,
        now: Timestamp,
    ) -> Result<Reservation> {
        self.reserve_in(self.tag(key.as_ref()), now.into(), cost)
    }

    fn reserve_in(&self, tag: u64, at: Moment, cost: u64) -> Result<Reservation> {
        let (mut receipt, mut plan_number) = (Vec::new(), 0);
        let visit = self.0.lanes.enter();
        let mut decision = Decision::NONE;
        let mut acquire = |plan: &Plan, words: &mut [u64]| {
            plan_number = plan.number;
            decision = plan.acquire_with_receipt(words, at, cost, &mut receipt);
        };
        let otherwise = self.decide_by(&visit, tag, at, cost, &mut acquire);
        let decision = otherwise.unwrap_or(decision);
        visit.count(decision.reason());
        drop(visit);
        Ok(Reservation { limiter: self.clone(), tag, cost, decision, receipt, plan: plan_number })
    }

    /// Decides now; the [`Admission`], when finished or dropped, charges the time since to the
    /// latency limits and gives the permit back.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn admit(&self, key: impl AsRef<[u8]>, cost: u64) -> Result<Admission> {
        let (tag, at) = (self.tag(key.as_ref()), self.moment());
        let decision = self.acquire_in(tag, at, cost);
        Ok(Admission::new(self.clone(), tag, at.now, decision))
    }

    /// Runs `work` when the key has room, and charges the time it took.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    ///
    /// ```
    /// # let limiter = tidegate::Limiter::new("30s/minute")?;
    /// use tidegate::Measured;
    ///
    /// match limiter.measure("app:7", || "the answer")? {
    ///     Measured::Done(answer) => println!("{answer}"),
    ///     Measured::Denied(decision) => println!("wait {:?}", decision.retry_after()),
    /// }
    /// # Ok::<(), tidegate::Error>(())
    /// ```
    pub fn measure<T>(
        &self,
        key: impl AsRef<[u8]>,
        work: impl FnOnce() -> T,
    ) -> Result<Measured<T>> {
        let admission = self.admit(key, 1)?;
        if !admission.decision().allowed() {
            return Ok(Measured::Denied(admission.decision()));
        }
        let result = work();
        admission.finish()?;
        Ok(Measured::Done(result))
    }

    /// Blocks the calling thread until the request is admitted: first come, first served among those who wait for
    /// the key. Returns a denial when `timeout` has passed or cannot be kept, and at once when the
    /// cost is impossible. Nothing is debited before it is admitted.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn wait(
        &self,
        key: impl AsRef<[u8]>,
        cost: u64,
        timeout: Option<Duration>,
    ) -> Result<Decision> {
        let mut ticket = self.queue(key, cost, timeout);
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        loop {
            match ticket.poll(&waker)? {
                Turn::Done(decision) => return Ok(decision),
                Turn::Wait(None) => std::thread::park(),
                Turn::Wait(Some(span)) => std::thread::park_timeout(span),
            }
        }
    }

    /// Takes a place in the key's queue, for hosts with an event loop of their own.
    #[must_use = "a ticket that is dropped gives its place up"]
    pub fn queue(&self, key: impl AsRef<[u8]>, cost: u64, timeout: Option<Duration>) -> Ticket {
        Ticket::new(self.clone(), self.tag(key.as_ref()), cost, timeout)
    }
}

/// Wakes a thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
