//! The shortest ways: one key, one record, and nothing to be told.

use std::mem::MaybeUninit;

use super::Limiter;
use crate::clock::Moment;
use crate::decision::{Decision, Reason};
use crate::error::Result;
use crate::lanes::Visit;
use crate::plan::{Lone, Notes, Outcome, Plan};

impl Limiter {
    /// The answer is written where it is wanted, here and below: it is too large to be moved often.
    #[inline(never)]
    pub(super) fn acquire_now<'p>(
        &self,
        key: &[u8],
        cost: u64,
        place: &'p mut MaybeUninit<Decision>,
    ) -> Result<&'p Decision> {
        let tag = self.tag(key);
        let visit = self.0.lanes.enter();
        let at = self.moment_at_last();
        if let Some((lone, outcome)) = self.take_quickly(&visit, tag, at, cost) {
            let decision = lone.answer(outcome, at, cost, place);
            visit.count(decision.reason());
            return Ok(decision);
        }
        let decision = place.write(Decision::NONE);
        if self.decide_further(&visit, tag, at, cost, decision) {
            visit.count(decision.reason());
        } else {
            drop(visit);
            self.acquire_any(&key, at, cost, decision)?;
        }
        Ok(decision)
    }

    /// Decides and counts; `None`: no bucket decides alone, or not now.
    #[inline(never)]
    pub(super) fn acquire_lone(&self, key: &[u8], cost: u64) -> Option<Decision> {
        let tag = self.tag(key);
        let visit = self.0.lanes.enter();
        let at = self.moment_at_last();
        let (lone, outcome) = self.take_quickly(&visit, tag, at, cost)?;
        let mut place = MaybeUninit::uninit();
        let decision = lone.answer(outcome, at, cost, &mut place);
        visit.count(decision.reason());
        Some(decision.moved())
    }

    #[inline(never)]
    pub(super) fn try_acquire_now(&self, key: &[u8], cost: u64) -> bool {
        self.try_acquire_key(key, || self.moment_at_last(), cost)
    }

    #[inline]
    pub(super) fn try_acquire_key(
        &self,
        key: &[u8],
        when: impl FnOnce() -> Moment,
        cost: u64,
    ) -> bool {
        let tag = self.tag(key);
        let visit = self.0.lanes.enter();
        let at = when();
        match self.ask_quickly(&visit, tag, at, |lone, words| lone.admit(words, at, cost)) {
            Some((_, reason)) => {
                visit.count(reason);
                reason.admits()
            }
            None => self.admit_further(visit, key, tag, at, cost).is_ok_and(Reason::admits),
        }
    }

    /// Decides and counts.
    #[inline(never)]
    fn admit_further(
        &self,
        visit: Visit<'_>,
        key: &[u8],
        tag: u64,
        at: Moment,
        cost: u64,
    ) -> Result<Reason> {
        if self.0.blocks.left(tag, at) == 0 {
            let mut reason = Reason::Blocked;
            let mut admit = |plan: &Plan, words: &mut [u64]| reason = plan.admit(words, at, cost);
            let pressure = self.pressure();
            if self.0.engines.transact_unwatched(&visit, tag, at, pressure, &mut admit).is_ok() {
                visit.count(reason);
                return Ok(reason);
            }
        }
        drop(visit);
        self.acquire_at_moment(&key, at, cost).map(|decision| decision.reason())
    }

    /// What the bucket that decides alone says when it is asked about a key; `None`: there is none, or not now.
    #[inline(always)]
    fn ask_quickly<'v, T>(
        &self,
        visit: &'v Visit<'_>,
        tag: u64,
        at: Moment,
        ask: impl Fn(&Lone, &mut [u64]) -> T,
    ) -> Option<(&'v Lone, T)> {
        if self.0.blocks.left(tag, at) > 0 {
            return None;
        }
        let mut said = None;
        let lone = self.0.engines.transact_quickly(visit, tag, |lone, words| {
            said = Some(ask(lone, words));
        });
        lone.zip(said)
    }

    #[inline(always)]
    fn take_quickly<'v>(
        &self,
        visit: &'v Visit<'_>,
        tag: u64,
        at: Moment,
        cost: u64,
    ) -> Option<(&'v Lone, Outcome)> {
        self.ask_quickly(visit, tag, at, |lone, words| lone.take(words, at, cost))
    }

    /// Decides about a key without counting; `None`: there is more to it than this key's record.
    #[inline(always)]
    pub(super) fn decide_key<'p>(
        &self,
        visit: &Visit<'_>,
        tag: u64,
        at: Moment,
        cost: u64,
        place: &'p mut MaybeUninit<Decision>,
    ) -> Option<&'p Decision> {
        match self.take_quickly(visit, tag, at, cost) {
            Some((lone, outcome)) => Some(lone.answer(outcome, at, cost, place)),
            None => {
                let decision = place.write(Decision::NONE);
                self.decide_further(visit, tag, at, cost, decision).then_some(decision)
            }
        }
    }

    #[inline(never)]
    pub(super) fn decide_further(
        &self,
        visit: &Visit<'_>,
        tag: u64,
        at: Moment,
        cost: u64,
        decision: &mut Decision,
    ) -> bool {
        if self.0.blocks.left(tag, at) > 0 {
            return false;
        }
        let mut notes = Notes::default();
        let mut acquire = |plan: &Plan, words: &mut [u64]| {
            plan.acquire_into(words, at, cost, &mut notes, &mut *decision);
        };
        let pressure = self.pressure();
        self.0.engines.transact_unwatched(visit, tag, at, pressure, &mut acquire).is_ok()
    }

    /// For the shortest ways, when all is done that need not wait for the time: the processor's counter takes as long to
    /// read as all of the rest, and what comes after it in the program waits for it.
    #[inline(always)]
    pub(super) fn moment_at_last(&self) -> Moment {
        self.0.clock.moment()
    }
}
