//! What a request holds while it is under way: an estimate to be settled, or a stretch of time to
//! be charged.

use std::time::Duration;

use crate::clock::Moment;
use crate::decision::{Decision, Reason};
use crate::error::Result;
use crate::limiter::Limiter;
use crate::plan::Payment;
use crate::rate::Method;
use crate::request::Kept;
use crate::time::{Timestamp, nanos};
use crate::usage::Estimate;

/// An estimate that was debited and is to be settled, from [`Limiter::reserve`].
///
/// Dropped without being settled, the estimate stands: what may have been spent is never given
/// back by accident.
#[derive(Debug)]
#[must_use = "a reservation that is dropped keeps its estimate debited"]
pub struct Reservation {
    pub(crate) limiter: Limiter,
    pub(crate) subject: Kept,
    pub(crate) cost: u64,
    pub(crate) decision: Decision,
    pub(crate) receipt: Vec<Payment>,
    /// In the report of use.
    pub(crate) counted: Option<Estimate>,
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

    fn settle_in(mut self, actual: u64, at: Moment) -> Result<()> {
        // Who was let pass uncounted has taken nothing.
        if self.decision.reason() != Reason::Ok {
            return Ok(());
        }
        if let Some(counted) = self.counted.take() {
            counted.settle(actual, at);
        }
        let Reservation { limiter, subject, cost, receipt, .. } = &self;
        if actual > *cost {
            return limiter.charge_late(&subject, at, Method::Count, actual - cost);
        }
        limiter.return_paid(&subject, at, receipt, |tag, plan, words| {
            plan.refund_receipt(words, tag, at, receipt, cost - actual);
        })?;
        limiter.wake(&subject);
        Ok(())
    }

    fn cancel_in(self, at: Moment) -> Result<()> {
        if self.decision.reason() == Reason::Ok {
            let Reservation { limiter, subject, receipt, .. } = &self;
            limiter.return_paid(&subject, at, receipt, |tag, plan, words| {
                plan.release_receipt(words, tag, at, receipt);
            })?;
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
    subject: Kept,
    started: Timestamp,
    decision: Decision,
    receipt: Vec<Payment>,
    open: bool,
}

impl Admission {
    pub(crate) fn new(
        limiter: Limiter,
        subject: Kept,
        started: Timestamp,
        decision: Decision,
        receipt: Vec<Payment>,
    ) -> Admission {
        // Who was let pass uncounted owes nothing.
        let open = decision.reason() == Reason::Ok;
        Admission { limiter, subject, started, decision, receipt, open }
    }

    /// The decision; when it denies, there is nothing to finish.
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// Begins the time of its permits anew (`max_hold` in the policy): for requests that last long. False when one has
    /// been reclaimed, or there are none.
    ///
    /// # Errors
    /// When the store fails; the memory store never does.
    pub fn renew(&mut self) -> Result<bool> {
        if !self.open {
            return Ok(false);
        }
        let at = self.limiter.moment();
        self.limiter.renew_paid(&&self.subject, at, &mut self.receipt)
    }

    /// Charges the time since [`Limiter::admit`], by the limiter's clock, and gives the permit back.
    ///
    /// # Errors
    /// When the store fails; the memory store never does.
    pub fn finish(mut self) -> Result<()> {
        self.close()
    }

    fn close(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.open) {
            return Ok(());
        }
        let at = self.limiter.moment();
        let elapsed: Duration = at.now.saturating_since(self.started);
        self.limiter.finish(&&self.subject, at, nanos(elapsed), &self.receipt)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        // Nobody is there to be told. (The memory store never fails.)
        let _ = self.close();
    }
}
