//! What is held while a request runs, and waiting for its turn.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use super::{Limiter, Measured};
use crate::clock::Moment;
use crate::decision::{Decision, Reason};
use crate::error::Result;
use crate::plan::{Notes, Payment};
use crate::request::{Kept, Subject};
use crate::reservation::{Admission, Reservation};
use crate::rules::Strictness;
use crate::time::Timestamp;
use crate::usage::Estimate;
use crate::waiters::{Ticket, Turn};

impl Limiter {
    /// Debits an estimate now, to be settled when the true cost is known.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn reserve(&self, subject: impl Subject, cost: u64) -> Result<Reservation> {
        self.reserve_in(&subject, self.moment(), cost)
    }

    /// As [`reserve`](Limiter::reserve), at an explicit time.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn reserve_at(
        &self,
        subject: impl Subject,
        cost: u64,
        now: Timestamp,
    ) -> Result<Reservation> {
        self.reserve_in(&subject, now.into(), cost)
    }

    fn reserve_in(&self, subject: &impl Subject, at: Moment, cost: u64) -> Result<Reservation> {
        let (decision, receipt) = self.acquire_with(Notes::with_receipt(), subject, at, cost)?;
        let counted = match decision.reason() {
            Reason::Ok => self.estimate(subject, at, cost),
            _ => None,
        };
        let subject = Kept::new(subject);
        Ok(Reservation { limiter: self.clone(), subject, cost, decision, receipt, counted })
    }

    /// Counts the use of an estimate, where the policy asks for a report.
    fn estimate(&self, subject: &impl Subject, at: Moment, cost: u64) -> Option<Estimate> {
        let visit = self.0.lanes.enter();
        let engine = self.0.engines.engine(&visit);
        let (rules, usage) = engine.rules().zip(engine.usage())?;
        subject.ask(|request| {
            let given = rules.read(request, Strictness::Giving).ok()?;
            let tag = rules.usage_tag(&given, &self.0.hasher)?;
            Some(usage.estimate(tag, &rules.kind(&given), at, cost))
        })
    }

    /// Decides and counts; who paid what, for what comes back later.
    fn acquire_with(
        &self,
        mut notes: Notes,
        subject: &impl Subject,
        at: Moment,
        cost: u64,
    ) -> Result<(Decision, Vec<Payment>)> {
        let decision = self.decide_noting(subject, at, cost, &mut notes)?;
        self.count(decision.reason());
        Ok((decision, notes.receipt.unwrap_or_default()))
    }

    /// Decides now; the [`Admission`], when finished or dropped, charges the time since to the
    /// latency limits and gives the permit back.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn admit(&self, subject: impl Subject, cost: u64) -> Result<Admission> {
        let at = self.moment();
        let (decision, receipt) = self.acquire_with(Notes::with_permits(), &subject, at, cost)?;
        Ok(Admission::new(self.clone(), Kept::new(&subject), at.now, decision, receipt))
    }

    /// As [`admit`](Limiter::admit), for hosts that listen for the end of a request only where there is something to do then.
    /// `None`: nothing is owed. The request was denied or let pass uncounted, or every limit counts requests alone.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    #[doc(hidden)]
    pub fn admit_owing(
        &self,
        subject: impl Subject,
        cost: u64,
    ) -> Result<(Decision, Option<Box<Admission>>)> {
        // A bucket that decides alone counts requests.
        if let Some(decision) = subject.as_key().and_then(|key| self.acquire_lone(key, cost)) {
            return Ok((decision, None));
        }
        let at = self.moment();
        let (decision, receipt) = self.acquire_with(Notes::with_permits(), &subject, at, cost)?;
        // Afterwards: when an update came in between, permits of the policy before are gone with it, and those of the new one
        // are in the receipt.
        if decision.reason() != Reason::Ok || self.counts_alone() {
            return Ok((decision, None));
        }
        let subject = Kept::new(&subject);
        let admission = Admission::new(self.clone(), subject, at.now, decision, receipt);
        Ok((decision, Some(Box::new(admission))))
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
        subject: impl Subject,
        work: impl FnOnce() -> T,
    ) -> Result<Measured<T>> {
        let admission = self.admit(subject, 1)?;
        if !admission.decision().allowed() {
            return Ok(Measured::Denied(admission.decision()));
        }
        let result = work();
        admission.finish()?;
        Ok(Measured::Done(result))
    }

    /// Blocks the calling thread until the request is admitted: first come, first served among those who wait for
    /// the key. Returns a denial when `timeout` has passed or cannot be kept, and at once when the
    /// cost is impossible, or when the policy's block lists or a missing attribute deny. Nothing is debited before it is admitted.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn wait(
        &self,
        subject: impl Subject,
        cost: u64,
        timeout: Option<Duration>,
    ) -> Result<Decision> {
        let mut ticket = self.queue(subject, cost, timeout);
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        loop {
            match ticket.poll(&waker)? {
                Turn::Done(decision) => return Ok(decision),
                Turn::Wait(None) => std::thread::park(),
                Turn::Wait(Some(span)) => std::thread::park_timeout(span),
            }
        }
    }

    /// Takes a place in the subject's queue, for hosts with an event loop of their own. What is wrong with the subject,
    /// the first [`poll`](Ticket::poll) says.
    #[must_use = "a ticket that is dropped gives its place up"]
    pub fn queue(&self, subject: impl Subject, cost: u64, timeout: Option<Duration>) -> Ticket {
        Ticket::new(self.clone(), Kept::new(&subject), cost, timeout)
    }
}

/// Wakes a thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
