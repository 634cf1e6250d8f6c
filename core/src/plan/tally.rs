//! What the limits of all records of a request say together: one answer, and what is noted on the way.

use super::limit::{Left, PlannedLimit, admission, denial};
use super::{Payment, Plan};
use crate::algorithm::{NOMINAL_WAIT, Units, wide};
use crate::clock::Moment;
use crate::decision::{Decision, NEVER, Numbers, Reason};
use crate::names::Name;
use crate::rate::Method;
use crate::store::MAX_WORDS;
use crate::terms::Terms;
use crate::time::Timestamp;

/// One record of a request, under its plan.
pub(crate) struct Asked<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) words: &'a mut [u64],
    /// The words as they were, for whoever changes them and takes that back.
    pub(crate) before: &'a [u64],
    /// Whose it is: what was paid is given back to no other; 0 where nobody asks.
    pub(crate) tag: u64,
    /// Does the request meet these limits? Else it may have met them when it was admitted, and gives back.
    pub(crate) met: bool,
    /// Is there a place for what becomes of the words?
    pub(crate) lasts: bool,
}

impl<'a> Asked<'a> {
    /// To be changed, which can be taken back.
    pub(crate) fn new(plan: &'a Plan, words: &'a mut [u64], before: &'a [u64]) -> Asked<'a> {
        Asked { plan, words, before, tag: 0, met: true, lasts: true }
    }

    /// To be looked at.
    pub(crate) fn shown(plan: &'a Plan, words: &'a mut [u64]) -> Asked<'a> {
        Asked::new(plan, words, &[])
    }

    /// Makes a change; has it changed anything?
    pub(crate) fn alter(&mut self, change: impl FnOnce(&Plan, &mut [u64])) -> bool {
        let mut before = [0; MAX_WORDS];
        let before = &mut before[..self.words.len()];
        before.copy_from_slice(self.words);
        change(self.plan, self.words);
        before != self.words
    }
}

/// What is noted besides the answer. Of all attempts, the last one counts: each begins with [`Notes::clear`].
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Who paid, where somebody wants to know.
    pub(crate) receipt: Option<Vec<Payment>>,
    /// Who gave out permits, and nobody else: all that comes back when a request is over.
    permits_alone: bool,
    /// Whose record pays.
    tag: u64,
    pub(crate) crossings: Vec<Crossing>,
}

/// Use of a limit has passed a threshold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crossing {
    pub(crate) terms: &'static Terms,
    /// Per mille of the capacity.
    pub(crate) threshold: u64,
    pub(crate) used: Units,
    pub(crate) capacity: Units,
}

impl Notes {
    pub(crate) fn with_receipt() -> Notes {
        Notes { receipt: Some(Vec::new()), ..Notes::default() }
    }

    pub(crate) fn with_permits() -> Notes {
        Notes { permits_alone: true, ..Notes::with_receipt() }
    }

    /// Is the cost an estimate, to be settled later? Its use is counted by who does that.
    #[inline]
    pub(crate) fn is_of_estimate(&self) -> bool {
        self.receipt.is_some() && !self.permits_alone
    }

    /// Does nobody want to know what such a plan is paid?
    #[inline]
    pub(super) fn ignores(&self, plan: &Plan) -> bool {
        self.receipt.is_none() || (self.permits_alone && plan.counts_alone())
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        if let Some(receipt) = &mut self.receipt {
            receipt.clear();
        }
        self.crossings.clear();
    }

    fn paid(
        &mut self,
        plan: &Plan,
        (limit, position): (&PlannedLimit, usize),
        units: Units,
        words: &[u64],
        at: Moment,
    ) {
        let Some(receipt) = &mut self.receipt else { return };
        if self.permits_alone && limit.method != Method::Concurrency {
            return;
        }
        let paying = &limit.buckets[position];
        let mark = paying.bucket.mark(paying.of(words), at);
        let (rate, lineage) = (plan.rate(limit, position), limit.lineage);
        receipt.push(Payment { tag: self.tag, rate, lineage, position, units, mark });
    }

    /// Notes the thresholds that are passed where so much is used now, of which so much is new.
    #[inline(always)]
    pub(super) fn used(&mut self, limit: &PlannedLimit, capacity: Units, used: Units, new: Units) {
        // A threshold that is not reached at the floor of a rate that grows is not reached above it.
        if used >= limit.first_alert {
            self.passed(limit, capacity, used.saturating_sub(new), used);
        }
    }

    #[cold]
    #[inline(never)]
    fn passed(&mut self, limit: &PlannedLimit, capacity: Units, before: Units, used: Units) {
        for &threshold in &limit.alerts {
            let passed = |used: Units| wide(used, 1000) >= wide(capacity, threshold);
            if !passed(before) && passed(used) {
                self.crossings.push(Crossing { terms: limit.terms, threshold, used, capacity });
            }
        }
    }
}

/// The tightest limit so far, and what else an admission tells.
pub(super) struct Tally<'p> {
    tightest: Option<&'p PlannedLimit>,
    // Its amounts, each by itself: most limits change none of them.
    quota: Units,
    capacity: Units,
    left: Left,
    /// What is left of the later buckets of the first cascade.
    burst: Option<Units>,
    shadow: Name,
}

impl<'p> Tally<'p> {
    pub(super) const NONE: Tally<'static> = Tally {
        tightest: None,
        quota: 0,
        capacity: 0,
        left: Left::NONE,
        burst: None,
        shadow: Name::EMPTY,
    };

    /// Takes what the request pays to the limits of one record; false when one of them denies it: then what was done to
    /// the words, and noted, does not count.
    #[inline(always)]
    pub(super) fn pay(
        &mut self,
        plan: &'p Plan,
        words: &mut [u64],
        at: Moment,
        cost: Units,
        notes: &mut Notes,
    ) -> bool {
        for limit in &plan.limits {
            if limit.shadow && !limit.admits(words, at, cost) {
                self.shadow(limit);
                continue;
            }
            let due = limit.due(cost);
            let left = limit.pay(words, at, due, |bucket, units, words| {
                notes.paid(plan, (limit, bucket), units, words, at);
            });
            if !limit.has_admitted(&left, words, at, cost) {
                return false;
            }
            let capacity = limit.capacity_now(words, at);
            // Of one without thresholds none is passed.
            let used = capacity.saturating_sub(left.room);
            notes.used(limit, capacity, used, due);
            if !limit.shadow {
                self.take(limit, left, capacity, || limit.quota_now(words, at));
            }
        }
        true
    }

    /// What is not kept is nothing to give back, nor to tell of.
    #[cold]
    #[inline(never)]
    fn pay_unkept(&mut self, plan: &'p Plan, words: &mut [u64], at: Moment, cost: Units) -> bool {
        self.pay(plan, words, at, cost, &mut Notes::default())
    }

    /// Is this limit the tightest?
    #[inline(always)]
    pub(super) fn take(
        &mut self,
        limit: &'p PlannedLimit,
        left: Left,
        capacity: Units,
        quota: impl FnOnce() -> Units,
    ) {
        if limit.has_pool() && self.burst.is_none() {
            self.burst = Some(left.later);
        }
        // room / capacity, compared exactly.
        if self.tightest.is_none()
            || wide(left.room, self.capacity) < wide(self.left.room, capacity)
        {
            self.tightest = Some(limit);
            (self.quota, self.capacity, self.left) = (quota(), capacity, left);
        }
    }

    fn shadow(&mut self, limit: &PlannedLimit) {
        if self.shadow == Name::EMPTY {
            self.shadow = limit.terms.name;
        }
    }

    /// The answer: that of the tightest limit, the smallest share of its capacity left, the first of equals.
    #[inline(always)]
    pub(super) fn admission(self, at: Moment) -> Decision {
        let Tally { quota, left, .. } = self;
        let Some(limit) = self.tightest else {
            return unlimited(at).with_shadow(self.shadow);
        };
        let burst = if limit.has_pool() { Some(left.later) } else { self.burst };
        let reset_after = match limit.method {
            // They may come back any time.
            Method::Concurrency => left.full_after.min(NOMINAL_WAIT),
            Method::Count | Method::Latency => left.full_after,
        };
        admission(limit.terms, quota, left.room, reset_after, at)
            .with_burst(burst)
            .with_shadow(self.shadow)
    }
}

/// The answer to a request that no limit is for.
#[cold]
fn unlimited(at: Moment) -> Decision {
    let numbers =
        Numbers { reason: Reason::Ok, limit: 0, remaining: 0, retry_after: 0, reset_after: 0 };
    Decision::new(Terms::NO_LIMIT, numbers, at.wall.as_nanos())
}

/// The answer of those that deny: that of the longest wait. The request passes when all do.
#[cold]
#[inline(never)]
pub(super) fn deny<'p, 'w>(
    asked: impl Iterator<Item = (&'p Plan, &'w [u64])> + Clone,
    at: Moment,
    cost: Units,
) -> Decision {
    let limits = || {
        let limits = asked
            .clone()
            .flat_map(|(plan, words)| plan.limits.iter().map(move |limit| (limit, words)));
        limits.filter(|(limit, _)| !limit.shadow)
    };
    let mut longest: Option<(&PlannedLimit, &[u64], u64)> = None;
    for (limit, words) in limits() {
        let wait = limit.wait(words, at, cost);
        if wait > longest.map_or(0, |(_, _, longest)| longest) {
            longest = Some((limit, words, wait));
        }
    }
    // Somebody denies, so somebody waits.
    let first = || limits().next().map(|(limit, words)| (limit, words, NEVER));
    let Some((limit, words, wait)) = longest.or_else(first) else {
        return Decision::blocked(NEVER, at.wall.as_nanos());
    };
    let grows = asked.clone().any(|(plan, _)| plan.grows);
    let wait = match limit.method {
        // When permits come back, nobody knows.
        Method::Concurrency => wait,
        _ if grows => wait_for_all(limits(), at, cost, wait),
        _ => wait,
    };
    let reset_after = match limit.method {
        // Only the holders of its permits know.
        Method::Concurrency => wait,
        _ => limit.refilled_after(words, at),
    };
    let burst = limit.has_pool().then(|| limit.later_room(words, at));
    let burst = burst.or_else(|| {
        let (limit, words) = limits().find(|(limit, _)| limit.has_pool())?;
        Some(limit.later_room(words, at))
    });
    let (quota, room) = (limit.quota_now(words, at), limit.room(words, at));
    denial(limit.terms, quota, room, wait, reset_after, at).with_burst(burst)
}

/// Nanoseconds, at least as many as `wait`, until all limits pass at once (whatever permits are out): a rate that grew
/// may have shrunk when the last of the others has room.
#[cold]
#[inline(never)]
fn wait_for_all<'p, 'w>(
    limits: impl Iterator<Item = (&'p PlannedLimit, &'w [u64])> + Clone,
    at: Moment,
    cost: Units,
    mut wait: u64,
) -> u64 {
    let known = limits.filter(|(limit, _)| limit.method != Method::Concurrency);
    let left = Timestamp::MAX.saturating_since(at.now).as_nanos();
    // Whoever passed before and does not now has lost a level in between, and there are few: so this ends.
    while u128::from(wait) < left {
        let then = at.after(wait);
        let waits = known.clone().map(|(limit, words)| limit.wait(words, then, cost));
        match waits.max() {
            None | Some(0) => break,
            Some(longest) => wait = wait.saturating_add(longest),
        }
    }
    wait
}

/// Decides about several records at once: all limits of all of them, or none.
pub(crate) fn decide(
    asked: &mut [Asked<'_>],
    at: Moment,
    cost: Units,
    notes: &mut Notes,
    decision: &mut Decision,
) {
    notes.clear();
    let mut tally = Tally::NONE;
    let admitted = asked.iter_mut().all(|Asked { plan, words, tag, lasts, .. }| match lasts {
        true => {
            notes.tag = *tag;
            tally.pay(plan, words, at, cost, notes)
        }
        false => tally.pay_unkept(plan, words, at, cost),
    });
    if admitted {
        *decision = tally.admission(at);
        return;
    }
    notes.clear();
    asked.iter_mut().for_each(|asked| asked.words.copy_from_slice(asked.before));
    *decision = deny(asked.iter().map(|asked| (asked.plan, &*asked.words)), at, cost);
}
