//! What is charged or given back when a request is done, and records that are filled again.

use std::time::Duration;

use super::Limiter;
use crate::clock::Moment;
use crate::engine::{Joint, Keep, Undone};
use crate::error::Result;
use crate::plan::{Asked, Notes, Payment, Plan, Renewal};
use crate::rate::Method;
use crate::request::Subject;
use crate::rules::{Parts, Strictness};
use crate::sync::spin;
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
            alter_each(asked, |met, _, plan, words| {
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
        self.renew_oldest(&subject, self.moment())
    }

    /// As [`renew`](Limiter::renew), at an explicit time.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn renew_at(&self, subject: impl Subject, now: Timestamp) -> Result<bool> {
        self.renew_oldest(&subject, now.into())
    }

    fn renew_oldest(&self, subject: &impl Subject, at: Moment) -> Result<bool> {
        let mut renewal = Renewal::default();
        self.with_records(subject, at, Strictness::Strict, |asked| {
            renewal = Renewal::default();
            alter_each(asked, |_, tag, plan, words| plan.renew(words, tag, at, None, &mut renewal))
        })?;
        Ok(renewal.is_whole())
    }

    /// Begins the time of the receipt's own permits anew; false when one of them is not out any more, or there are none.
    pub(crate) fn renew_paid(
        &self,
        subject: &impl Subject,
        at: Moment,
        receipt: &mut [Payment],
    ) -> Result<bool> {
        let (mut marked, mut renewal) = (receipt.to_vec(), Renewal::default());
        let (_, strays) = self.with_paid(subject, at, receipt, |asked| {
            renewal = Renewal::default();
            marked.copy_from_slice(receipt);
            alter_each(asked, |_, tag, plan, words| {
                plan.renew(words, tag, at, Some(&mut marked), &mut renewal);
            })
        })?;
        let (begun, others) = (renewal, marked.clone());
        self.with_strays(at, &strays, |asked| {
            renewal = begun;
            marked.copy_from_slice(&others);
            alter_each(asked, |_, tag, plan, words| {
                plan.renew(words, tag, at, Some(&mut marked), &mut renewal);
            })
        });
        receipt.copy_from_slice(&marked);
        Ok(renewal.is_whole() && renewal.has_any())
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
        let (made, strays) = self.with_paid(subject, at, receipt, |asked| {
            notes.clear();
            alter_each(asked, |met, tag, plan, words| {
                if met {
                    plan.charge(words, at, Method::Latency, elapsed, &mut notes);
                }
                plan.release_receipt(words, tag, at, receipt);
            })
        })?;
        self.with_strays(at, &strays, |asked| {
            alter_each(asked, |_, tag, plan, words| {
                plan.release_receipt(words, tag, at, receipt);
            })
        });
        self.wake(subject);
        if made {
            self.tell(&notes, subject);
        }
        Ok(())
    }

    /// Gives back what a receipt says was paid, to the records that paid, whatever has changed since: `give` does so to
    /// the record of a tag.
    pub(crate) fn return_paid(
        &self,
        subject: &impl Subject,
        at: Moment,
        receipt: &[Payment],
        give: impl Fn(u64, &Plan, &mut [u64]),
    ) -> Result<()> {
        let give_each = |asked: &mut [Asked<'_>]| {
            alter_each(asked, |_, tag, plan, words| give(tag, plan, words))
        };
        let (_, strays) = self.with_paid(subject, at, receipt, give_each)?;
        self.with_strays(at, &strays, give_each);
        Ok(())
    }

    /// Changes the records that a request comes to which paid this receipt before. Returns, besides, what was paid by
    /// records that it does not come to any more: its address counts in another network by now (`ipv6_prefix`), or
    /// it does not meet the conditions.
    fn with_paid(
        &self,
        subject: &impl Subject,
        at: Moment,
        receipt: &[Payment],
        mut change: impl FnMut(&mut [Asked<'_>]) -> bool,
    ) -> Result<(bool, Vec<Payment>)> {
        let mut strays = None;
        let made = self.with_records(subject, at, Strictness::Giving, |asked| {
            let is_here = |payment: &&Payment| asked.iter().any(|asked| payment.is_of(asked));
            strays = Some(receipt.iter().filter(|payment| !is_here(payment)).copied().collect());
            change(asked)
        })?;
        Ok((made, strays.unwrap_or_else(|| receipt.to_vec())))
    }

    /// Changes the records that made these payments, each under the plan that it is under; those that are no more have
    /// nothing to change.
    fn with_strays(
        &self,
        at: Moment,
        strays: &[Payment],
        mut change: impl FnMut(&mut [Asked<'_>]) -> bool,
    ) {
        if strays.is_empty() {
            return;
        }
        let visit = self.0.lanes.enter();
        loop {
            let engine = self.0.engines.engine(&visit);
            // Under a policy about keys alone the key is all that a request comes by.
            let parts = if engine.rules().is_some() { engine.paid(strays) } else { Parts::new() };
            if parts.is_empty() {
                return;
            }
            let (parts, pressure) = (&parts[..], self.pressure());
            let joint = Joint { engine, parts, variant: None, at, pressure, spare: true };
            let change = |asked: &mut [Asked<'_>]| match change(asked) {
                true => Keep::All,
                false => Keep::Nothing,
            };
            match joint.transact(&visit, change) {
                Err(Undone::Moved) => spin(),
                _ => return,
            }
        }
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
            alter_each(asked, |_, _, plan, words| change(plan, words))
        })
        .map(|_| ())
    }
}

/// Changes one record after the other; `change` is told whose it is, and whether the request meets its limits, and the
/// record lasts: else nothing is charged, nor told of. Has anything changed? A record that another plan has, and in which this one changes
/// nothing, stays as it is.
fn alter_each(
    asked: &mut [Asked<'_>],
    mut change: impl FnMut(bool, u64, &Plan, &mut [u64]),
) -> bool {
    asked.iter_mut().fold(false, |changed, asked| {
        let (met, tag) = (asked.met && asked.lasts, asked.tag);
        asked.alter(|plan, words| change(met, tag, plan, words)) || changed
    })
}
