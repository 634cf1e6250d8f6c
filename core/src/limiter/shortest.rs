//! The shortest ways: one key, one record, and nothing to be told.

use std::mem::MaybeUninit;

use super::Limiter;
use crate::clock::Moment;
use crate::decision::{Decision, Reason};
use crate::error::Result;
use crate::lanes::Visit;
use crate::plan::{Lone, Notes, Outcome, Plan};

impl Limiter {
    /// The answer is written where it is wanted, here and below: it is too large to be moved often. After an error the
    /// place is as it was.
    #[inline(never)]
    pub(super) fn acquire_now<'p>(
        &self,
        key: &[u8],
        cost: u64,
        place: &'p mut MaybeUninit<Decision>,
    ) -> Result<&'p Decision> {
        match self.0.lanes.enter_alone() {
            Some(visit) => self.acquire_inside(visit, key, cost, place),
            None => self.acquire_in_company(key, cost, place),
        }
    }

    /// The same where a thread has no lane to itself, or none yet: the same program, with what such a visit takes.
    #[cold]
    #[inline(never)]
    fn acquire_in_company<'p>(
        &self,
        key: &[u8],
        cost: u64,
        place: &'p mut MaybeUninit<Decision>,
    ) -> Result<&'p Decision> {
        self.acquire_inside(self.0.lanes.enter(), key, cost, place)
    }

    #[inline(always)]
    fn acquire_inside<'p>(
        &self,
        visit: Visit<'_>,
        key: &[u8],
        cost: u64,
        place: &'p mut MaybeUninit<Decision>,
    ) -> Result<&'p Decision> {
        let tag = self.tag(key);
        let at = self.moment_at_last();
        if let Some((lone, outcome)) = self.take_quickly(&visit, tag, at, cost) {
            let decision = lone.answer(outcome, at, cost, place);
            visit.count(decision.reason());
            return Ok(decision);
        }
        let mut decision = Decision::NONE;
        if self.decide_further(&visit, tag, at, cost, &mut decision) {
            visit.count(decision.reason());
        } else {
            drop(visit);
            self.acquire_any(&key, at, cost, &mut decision)?;
        }
        Ok(place.write(decision.moved()))
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
        match self.0.lanes.enter_alone() {
            Some(visit) => self.try_acquire_inside(visit, key, when, cost),
            None => self.try_acquire_in_company(key, when, cost),
        }
    }

    #[cold]
    #[inline(never)]
    fn try_acquire_in_company(&self, key: &[u8], when: impl FnOnce() -> Moment, cost: u64) -> bool {
        self.try_acquire_inside(self.0.lanes.enter(), key, when, cost)
    }

    #[inline(always)]
    fn try_acquire_inside(
        &self,
        visit: Visit<'_>,
        key: &[u8],
        when: impl FnOnce() -> Moment,
        cost: u64,
    ) -> bool {
        let tag = self.tag(key);
        let at = when();
        match self.take_quickly(&visit, tag, at, cost) {
            Some((lone, outcome)) => {
                let reason = lone.reason(outcome, at, cost);
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

    /// What the bucket that decides alone comes to about a key; `None`: there is none, or not now.
    // No closure: all is to be part of its callers.
    #[inline(always)]
    fn take_quickly<'v>(
        &self,
        visit: &'v Visit<'_>,
        tag: u64,
        at: Moment,
        cost: u64,
    ) -> Option<(&'v Lone, Outcome)> {
        if self.0.blocks.left(tag, at) > 0 {
            return None;
        }
        let (lone, seen) = self.0.engines.look_quickly(visit, tag)?;
        let mut words = [seen.word()];
        let outcome = lone.take(&mut words, at, cost);
        seen.write(words[0]).then_some((lone, outcome))
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

    /// For the shortest ways. The processor's counter takes as long to read as all of the rest; whatever is before it in
    /// the program is done before it is read, and what comes after it waits. So hashing the key goes before it, and
    /// looking for the record after it, where it takes no more time than working out the supply.
    #[inline(always)]
    pub(super) fn moment_at_last(&self) -> Moment {
        self.0.clock.moment()
    }
}
