//! What is charged or given back when a request is done, and records that are filled again.

use std::time::Duration;

use super::Limiter;
use crate::clock::Moment;
use crate::error::Result;
use crate::plan::{Asked, Notes, Payment, Plan, Renewal};
use crate::rate::Method;
use crate::request::Subject;
use crate::rules::Strictness;
use crate::time::{Timestamp, nanos};

impl Limiter {
    /// Charges time spent to the latency limits, after the fact: it may overdraw them.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    #[inline]
    pub fn record_latency(&self, subject: impl Subject, latency: Duration) -> Result<()> {
        self.charge(&subject, || self.moment_at_last(), Method::Latency, nanos(latency))
    }

    /// As [`record_latency`](Limiter::record_latency), at an explicit time.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    #[inline]
    pub fn record_latency_at(
        &self,
        subject: impl Subject,
        latency: Duration,
        now: Timestamp,
    ) -> Result<()> {
        self.charge(&subject, || now.into(), Method::Latency, nanos(latency))
    }

    /// Charges units to the count limits, whatever is left: the operator's hand.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn penalize(&self, subject: impl Subject, units: u64) -> Result<()> {
        self.charge(&subject, || self.moment_at_last(), Method::Count, units)
    }

    /// As [`penalize`](Limiter::penalize), at an explicit time.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn penalize_at(&self, subject: impl Subject, units: u64, now: Timestamp) -> Result<()> {
        self.charge(&subject, || now.into(), Method::Count, units)
    }

    #[inline]
    fn charge(
        &self,
        subject: &impl Subject,
        when: impl Fn() -> Moment,
        method: Method,
        units: u64,
    ) -> Result<()> {
        let at = match subject.as_key() {
            Some(key) => match self.charge_key(key, when, method, units) {
                Ok(()) => return Ok(()),
                Err(at) => at,
            },
            None => when(),
        };
        self.charge_any(subject, at, Strictness::Strict, method, units)
    }

    /// Not done, but asked at this time: there is more to it than this key's record.
    #[inline]
    fn charge_key(
        &self,
        key: &[u8],
        when: impl Fn() -> Moment,
        method: Method,
        units: u64,
    ) -> std::result::Result<(), Moment> {
        let (tag, pressure) = (self.tag(key), self.pressure());
        let visit = self.0.lanes.enter();
        let at = when();
        let mut charge = |plan: &Plan, words: &mut [u64]| {
            plan.charge(words, at, method, units, &mut Notes::default());
        };
        let made = self.0.engines.transact_unwatched(&visit, tag, at, pressure, &mut charge);
        made.map_err(|_| at)
    }

    #[cold]
    #[inline(never)]
    fn charge_any(
        &self,
        subject: &impl Subject,
        at: Moment,
        strictness: Strictness,
        method: Method,
        units: u64,
    ) -> Result<()> {
        let mut notes = Notes::default();
        self.charge_noting(subject, at, strictness, method, units, &mut notes)?;
        self.tell(&notes, subject);
        Ok(())
    }

    pub(super) fn charge_noting(
        &self,
        subject: &impl Subject,
        at: Moment,
        strictness: Strictness,
        method: Method,
        units: u64,
        notes: &mut Notes,
    ) -> Result<()> {
        let made = self.with_records(subject, at, strictness, |asked| {
            notes.clear();
            // A record that another plan has, and to which this one charges nothing, stays as it is.
            alter_each(asked, |met, plan, words| {
                if met {
                    plan.charge(words, at, method, units, notes);
                }
            })
        })?;
        if !made {
            notes.clear();
        }
        Ok(())
    }

    /// Gives units back to the count limits: at most what is in use. Which bucket of a cascade paid is
    /// a guess (the one that pays now, then the earlier ones); a [`Reservation`](crate::Reservation) knows.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn refund(&self, subject: impl Subject, cost: u64) -> Result<()> {
        self.refund_in(&subject, self.moment(), cost)
    }

    /// As [`refund`](Limiter::refund), at an explicit time.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn refund_at(&self, subject: impl Subject, cost: u64, now: Timestamp) -> Result<()> {
        self.refund_in(&subject, now.into(), cost)
    }

    pub(super) fn refund_in(&self, subject: &impl Subject, at: Moment, cost: u64) -> Result<()> {
        self.change(subject, at, Strictness::Strict, |plan, words| plan.refund(words, at, cost))?;
        self.wake(subject);
        Ok(())
    }

    /// Gives back one permit of every concurrency limit; never more than are out.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn release(&self, subject: impl Subject) -> Result<()> {
        self.release_in(&subject, self.moment())
    }

    /// As [`release`](Limiter::release), at an explicit time.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn release_at(&self, subject: impl Subject, now: Timestamp) -> Result<()> {
        self.release_in(&subject, now.into())
    }

    pub(super) fn release_in(&self, subject: &impl Subject, at: Moment) -> Result<()> {
        self.change(subject, at, Strictness::Strict, |plan, words| plan.release(words, at))?;
        self.wake(subject);
        Ok(())
    }

    /// Begins the time of the oldest permit of every concurrency limit anew (`max_hold` in the policy); false when one
    /// has none out any more. An [`Admission`](crate::Admission) knows which permit is its own.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn renew(&self, subject: impl Subject) -> Result<bool> {
        self.renew_permits(&subject, self.moment(), None)
    }

    /// As [`renew`](Limiter::renew), at an explicit time.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn renew_at(&self, subject: impl Subject, now: Timestamp) -> Result<bool> {
        self.renew_permits(&subject, now.into(), None)
    }

    /// Begins the time of the receipt's own permits anew, or of the oldest; false when one of them is not out any more, or
    /// the receipt has none.
    pub(crate) fn renew_permits(
        &self,
        subject: &impl Subject,
        at: Moment,
        receipt: Option<&mut [Payment]>,
    ) -> Result<bool> {
        let strictness = match receipt {
            None => Strictness::Strict,
            Some(_) => Strictness::Giving,
        };
        let (mut marked, mut renewal) = (receipt.as_deref().map(<[_]>::to_vec), Renewal::default());
        self.with_records(subject, at, strictness, |asked| {
            renewal = Renewal::default();
            if let Some((marked, receipt)) = marked.as_mut().zip(receipt.as_deref()) {
                marked.copy_from_slice(receipt);
            }
            alter_each(asked, |_, plan, words| {
                plan.renew(words, at, marked.as_deref_mut(), &mut renewal);
            })
        })?;
        if let Some((marked, receipt)) = marked.zip(receipt) {
            receipt.copy_from_slice(&marked);
        }
        Ok(renewal.is_whole() && (strictness == Strictness::Strict || renewal.has_any()))
    }

    /// Fills every count and latency bucket of the key (of a request: of all records that it has with the attributes
    /// given) and lifts its block; permits stay out.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn reset(&self, subject: impl Subject) -> Result<()> {
        self.reset_in(&subject, self.moment())
    }

    /// As [`reset`](Limiter::reset), at an explicit time.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn reset_at(&self, subject: impl Subject, now: Timestamp) -> Result<()> {
        self.reset_in(&subject, now.into())
    }

    fn reset_in(&self, subject: &impl Subject, at: Moment) -> Result<()> {
        self.lift_blocks(subject, at);
        self.change(subject, at, Strictness::Lenient, |plan, words| plan.reset(words))?;
        self.wake(subject);
        Ok(())
    }

    /// Charges units beyond what was paid before, whatever is left.
    pub(crate) fn charge_late(
        &self,
        subject: &impl Subject,
        at: Moment,
        method: Method,
        units: u64,
    ) -> Result<()> {
        self.charge_any(subject, at, Strictness::Giving, method, units)
    }

    /// A request is done: its time is charged to the limits that it meets now, and its permits are given back to those
    /// that gave them out.
    pub(crate) fn finish(
        &self,
        subject: &impl Subject,
        at: Moment,
        elapsed: u64,
        receipt: &[Payment],
    ) -> Result<()> {
        let mut notes = Notes::default();
        let made = self.with_records(subject, at, Strictness::Giving, |asked| {
            notes.clear();
            alter_each(asked, |met, plan, words| {
                if met {
                    plan.charge(words, at, Method::Latency, elapsed, &mut notes);
                }
                plan.release_receipt(words, at, receipt);
            })
        })?;
        self.wake(subject);
        if made {
            self.tell(&notes, subject);
        }
        Ok(())
    }

    /// Changes a subject's records. What the store has no place for has nothing to change, nor has what is exempt (unless
    /// it gives back).
    pub(crate) fn change(
        &self,
        subject: &impl Subject,
        at: Moment,
        strictness: Strictness,
        mut change: impl FnMut(&Plan, &mut [u64]),
    ) -> Result<()> {
        self.with_records(subject, at, strictness, |asked| {
            alter_each(asked, |_, plan, words| change(plan, words))
        })
        .map(|_| ())
    }
}

/// Changes one record after the other; `change` is told whether the request meets its limits, and the record lasts: else
/// nothing is charged, nor told of. Has anything changed? A record that another plan has, and in which this one changes
/// nothing, stays as it is.
fn alter_each(asked: &mut [Asked<'_>], mut change: impl FnMut(bool, &Plan, &mut [u64])) -> bool {
    asked.iter_mut().fold(false, |changed, asked| {
        let met = asked.met && asked.lasts;
        asked.alter(|plan, words| change(met, plan, words)) || changed
    })
}
