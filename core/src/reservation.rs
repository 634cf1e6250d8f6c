//! What a request holds while it is under way: an estimate to be settled, or a stretch of time to
//! be charged.

use std::time::Duration;

use crate::clock::Moment;
use crate::decision::Decision;
use crate::error::Result;
use crate::limiter::Limiter;
use crate::plan::Payment;
use crate::rate::Method;
use crate::time::{Timestamp, nanos};

/// An estimate that was debited and is to be settled, from [`Limiter::reserve`].
///
/// Dropped without being settled, the estimate stands: what may have been spent is never given
/// back by accident.
#[derive(Debug)]
#[must_use = "a reservation that is dropped keeps its estimate debited"]
pub struct Reservation {
    pub(crate) limiter: Limiter,
    pub(crate) tag: u64,
    pub(crate) cost: u64,
    pub(crate) decision: Decision,
    pub(crate) receipt: Vec<Payment>,
    /// The plan that the receipt is of.
    pub(crate) plan: u64,
}

impl Reservation {
    /// The decision about the estimate.
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// Settles at `actual` units: what the estimate was too high is given back to the buckets that
    /// paid it, what it was too low is charged, even beyond the limits. Permits stay out. A denied
    /// reservation has nothing to settle.
    ///
    /// # Errors
    /// When the store fails; the memory store never does.
    pub fn settle(self, actual: u64) -> Result<()> {
        let at = self.limiter.moment();
        self.settle_in(actual, at)
    }

    /// As [`settle`](Reservation::settle), at an explicit time.
    ///
    /// # Errors
    /// As [`settle`](Reservation::settle).
    pub fn settle_at(self, actual: u64, now: Timestamp) -> Result<()> {
        self.settle_in(actual, now.into())
    }

    /// Gives the whole estimate back, and the permit.
    ///
    /// # Errors
    /// As [`settle`](Reservation::settle).
    pub fn cancel(self) -> Result<()> {
        let at = self.limiter.moment();
        self.cancel_in(at)
    }

    /// As [`cancel`](Reservation::cancel), at an explicit time.
    ///
    /// # Errors
    /// As [`settle`](Reservation::settle).
    pub fn cancel_at(self, now: Timestamp) -> Result<()> {
        self.cancel_in(now.into())
    }

    fn settle_in(self, actual: u64, at: Moment) -> Result<()> {
        if !self.decision.allowed() {
            return Ok(());
        }
        self.limiter.change(self.tag, at, |plan, words| {
            if actual > self.cost {
                plan.charge(words, at, Method::Count, actual - self.cost);
            } else {
                let back = self.cost - actual;
                plan.refund_receipt(words, at, &self.receipt, back, plan.number == self.plan);
            }
        });
        self.limiter.waiters().wake_head(self.tag);
        Ok(())
    }

    fn cancel_in(self, at: Moment) -> Result<()> {
        if self.decision.allowed() {
            self.limiter.change(self.tag, at, |plan, words| plan.release(words, at));
        }
        self.settle_in(0, at)
    }
}

/// A request under way, from [`Limiter::admit`].
///
/// When it is finished, or dropped, the time it took is charged to the latency limits and its
/// permit is given back, once.
#[derive(Debug)]
#[must_use = "an admission that is dropped is finished"]
pub struct Admission {
    limiter: Limiter,
    tag: u64,
    started: Timestamp,
    decision: Decision,
    open: bool,
}

impl Admission {
    pub(crate) fn new(
        limiter: Limiter,
        tag: u64,
        started: Timestamp,
        decision: Decision,
    ) -> Admission {
        Admission { limiter, tag, started, decision, open: decision.allowed() }
    }

    /// The decision; when it denies, there is nothing to finish.
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// Charges the time since [`Limiter::admit`], by the limiter's clock, and gives the permit back.
    ///
    /// # Errors
    /// When the store fails; the memory store never does.
    pub fn finish(mut self) -> Result<()> {
        self.close();
        Ok(())
    }

    fn close(&mut self) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        let at = self.limiter.moment();
        let elapsed: Duration = at.now.saturating_since(self.started);
        self.limiter.change(self.tag, at, |plan, words| {
            plan.charge(words, at, Method::Latency, nanos(elapsed));
            plan.release(words, at);
        });
        self.limiter.waiters().wake_head(self.tag);
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.close();
    }
}
