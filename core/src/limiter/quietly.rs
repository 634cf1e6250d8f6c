//! For whoever decides under a lock of its own: what there is to tell is noted, and told when the lock is free again.
//! `by`: its number as one who watches (`Waiters::watch`); it is not told of what it gives back itself.

use std::mem::MaybeUninit;

use super::Limiter;
use crate::clock::Moment;
use crate::decision::Decision;
use crate::error::Result;
use crate::plan::{Notes, Plan};
use crate::rate::Method;
use crate::request::Subject;
use crate::rules::Strictness;

impl Limiter {
    /// Decides and counts; alerts are left in the notes.
    pub(crate) fn acquire_quietly(
        &self,
        subject: &impl Subject,
        at: Moment,
        cost: u64,
        notes: &mut Notes,
    ) -> Result<Decision> {
        let visit = self.0.lanes.enter();
        let mut place = MaybeUninit::uninit();
        let known = subject
            .as_key()
            .and_then(|key| self.decide_key(&visit, self.tag(key), at, cost, &mut place));
        let decision = match known {
            Some(decision) => decision.moved(),
            None => {
                let mut decision = Decision::NONE;
                self.decide_inside(&visit, subject, at, cost, notes, &mut decision)?;
                decision
            }
        };
        visit.count(decision.reason());
        Ok(decision)
    }

    /// Charges units to the count limits; alerts are left in the notes.
    pub(crate) fn penalize_quietly(
        &self,
        subject: &impl Subject,
        at: Moment,
        units: u64,
        notes: &mut Notes,
    ) -> Result<()> {
        self.charge_noting(subject, at, Strictness::Strict, Method::Count, units, notes)
    }

    /// A request is done: its time is charged, and a permit of each limit is given back.
    pub(crate) fn end(
        &self,
        subject: &impl Subject,
        at: Moment,
        elapsed: u64,
        by: u64,
    ) -> Result<()> {
        self.charge_late(subject, at, Method::Latency, elapsed)?;
        self.give_back(subject, at, by, |plan, words| plan.release(words, at))
    }

    /// The units of a request that was not sent, and its permits.
    pub(crate) fn take_back(
        &self,
        subject: &impl Subject,
        at: Moment,
        cost: u64,
        by: u64,
    ) -> Result<()> {
        self.give_back(subject, at, by, |plan, words| {
            plan.refund(words, at, cost);
            plan.release(words, at);
        })
    }

    /// So many requests are no longer under way, and nothing is known of how they ended: their permits.
    pub(crate) fn forsake(
        &self,
        subject: &impl Subject,
        at: Moment,
        requests: u32,
        by: u64,
    ) -> Result<()> {
        self.give_back(subject, at, by, |plan, words| {
            (0..requests).for_each(|_| plan.release(words, at));
        })
    }

    fn give_back(
        &self,
        subject: &impl Subject,
        at: Moment,
        by: u64,
        change: impl FnMut(&Plan, &mut [u64]),
    ) -> Result<()> {
        self.change(subject, at, Strictness::Strict, change)?;
        self.wake_others(subject, Some(by));
        Ok(())
    }

    /// Is nothing but requests counted, so that nothing is owed when one is done?
    pub(crate) fn counts_alone(&self) -> bool {
        self.0.engines.engine(&self.0.lanes.enter()).counts_alone()
    }
}
