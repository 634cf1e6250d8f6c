//! A policy worked out: which words of a key's record belong to which bucket, and what all limits
//! together say. Pure: words in, words and a decision out.

mod layout;
mod limit;
mod lineage;
mod tally;
mod windows;

use std::mem::MaybeUninit;
use std::sync::Arc;

use crate::algorithm::{Bucket, Gcra, Mark, Standing, Taken, Units, wide};
use crate::clock::Moment;
use crate::decision::{Decision, NEVER, Reason};
use crate::names::Name;
use crate::policy::Limit;
use crate::rate::Method;
use crate::terms::Terms;
use layout::Source;
pub(crate) use layout::{Inheritance, Layout};
use limit::{PlannedBucket, PlannedLimit, admission, denial, sum};
pub(crate) use lineage::Ancestry;
use tally::Tally;
pub(crate) use tally::{Asked, Notes, decide};
use windows::Windows;

/// The limits of a policy, or of one of its plans, over one array of words.
#[derive(Debug)]
pub(crate) struct Plan {
    /// First: with it a call needs nothing else of the plan.
    lone: Option<Lone>,
    /// Of a plan that goes by the clock alone.
    windows: Option<Windows>,
    pub(crate) limits: Vec<PlannedLimit>,
    /// Where the words of all plans are.
    layout: Arc<Layout>,
    /// Which of its variants this is.
    variant: usize,
    /// The plan's name in the policy; empty: it has none.
    pub(crate) name: Name,
    /// Are there limits in shadow, or thresholds to tell of?
    watched: bool,
    /// Is there a rate that grows, and so one that shrinks?
    grows: bool,
}

/// The one bucket of the commonest policy, a count limit by gcra, at hand: decided in one go.
#[derive(Debug)]
pub(crate) struct Lone {
    gcra: Gcra,
    quota: Units,
    terms: &'static Terms,
}

impl Lone {
    fn of(limits: &[PlannedLimit]) -> Option<Lone> {
        let [limit] = limits else { return None };
        let PlannedLimit { method: Method::Count, buckets, quota, terms, .. } = limit else {
            return None;
        };
        if limit.shadow || !limit.alerts.is_empty() {
            return None;
        }
        match &buckets[..] {
            [PlannedBucket { bucket: Bucket::Gcra(gcra), start: 0, .. }] => {
                Some(Lone { gcra: gcra.clone(), quota: *quota, terms })
            }
            _ => None,
        }
    }

    /// Charges the request if there is room. What it comes to, in few words: the answer is made of them later.
    #[inline(always)]
    pub(crate) fn take(&self, words: &mut [u64], at: Moment, cost: Units) -> Outcome {
        match self.gcra.take(words, at, cost) {
            Ok(left) => Ok(left.taken()),
            Err(standing) => Err(standing.taken()),
        }
    }

    /// The answer, written where it is wanted.
    // A store for each case: one store of what they come to would be a copy of what was just written.
    #[inline(always)]
    pub(crate) fn answer<'p>(
        &self,
        outcome: Outcome,
        at: Moment,
        cost: Units,
        place: &'p mut MaybeUninit<Decision>,
    ) -> &'p mut Decision {
        match outcome {
            Ok(taken) => place.write(self.admission(taken, at)),
            Err(standing) => self.deny(standing, at, cost, place),
        }
    }

    /// As [`Lone::take`], only yes or why not.
    #[inline(always)]
    pub(crate) fn admit(&self, words: &mut [u64], at: Moment, cost: Units) -> Reason {
        let outcome = self.take(words, at, cost);
        self.reason(outcome, at, cost)
    }

    /// Of the answer only yes, or why not.
    #[inline(always)]
    pub(crate) fn reason(&self, outcome: Outcome, at: Moment, cost: Units) -> Reason {
        let never = |standing| self.gcra.account(standing, at).wait_for(cost) == NEVER;
        match outcome {
            Ok(_) => Reason::Ok,
            Err(_) if cost > self.gcra.capacity() => Reason::Impossible,
            Err(standing) if self.gcra.may_outlast_time() && never(standing) => Reason::Impossible,
            Err(_) => Reason::Limited,
        }
    }

    #[inline(always)]
    fn admission(&self, taken: Taken, at: Moment) -> Decision {
        let left = self.gcra.account(taken, at);
        admission(self.terms, self.quota, left.room(), left.full_after(), at)
    }

    #[cold]
    #[inline(never)]
    fn deny<'p>(
        &self,
        standing: Taken,
        at: Moment,
        cost: Units,
        place: &'p mut MaybeUninit<Decision>,
    ) -> &'p mut Decision {
        let standing = self.gcra.account(standing, at);
        let wait = if cost > self.gcra.capacity() { NEVER } else { standing.wait_for(cost) };
        let full_after = standing.full_after();
        place.write(denial(self.terms, self.quota, standing.room(), wait, full_after, at))
    }
}

/// How a lone bucket stands: admitted by it, or denied.
pub(crate) type Outcome = std::result::Result<Taken, Taken>;

/// One payment of a reservation: which bucket paid how much, in which window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payment {
    /// Whose record.
    tag: u64,
    /// Under which rate of the limit.
    rate: u64,
    lineage: u64,
    /// Of the bucket in the limit.
    position: usize,
    units: Units,
    mark: Mark,
}

impl Payment {
    /// Whose record paid.
    pub(crate) fn tag(&self) -> u64 {
        self.tag
    }

    /// Was it made in this record?
    pub(crate) fn is_of(&self, asked: &Asked<'_>) -> bool {
        self.tag == asked.tag && asked.plan.goes_on(self)
    }
}

/// Permits whose time was to begin anew.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Renewal {
    begun: usize,
    /// Those that do not count any more.
    gone: usize,
}

impl Renewal {
    /// Were there any?
    pub(crate) fn has_any(&self) -> bool {
        self.begun > 0
    }

    /// Are they all still out?
    pub(crate) fn is_whole(&self) -> bool {
        self.gone == 0
    }
}

impl Plan {
    /// The plan of these limits of a variant, which have their words where the layout says.
    pub(crate) fn new(
        limits: &[&Limit],
        lineages: &[u64],
        name: Name,
        (layout, variant): (&Arc<Layout>, usize),
    ) -> Plan {
        let plan = (name != Name::EMPTY).then(|| name.as_str());
        let planned = |(limit, &lineage): (&&Limit, &u64)| {
            let sources = Source::all(limit).into_iter().enumerate();
            let buckets: Vec<PlannedBucket> = sources
                .filter_map(|(position, source)| {
                    // The layout is one for these limits.
                    let found = layout.find(lineage, position, variant)?;
                    let name = match source {
                        Source::Rate(rate) => &rate.name,
                        Source::Permits { .. } => &limit.name,
                    };
                    let bucket = source.bucket(found.hold);
                    Some(PlannedBucket { name: name.clone(), bucket, start: found.start })
                })
                .collect();
            let capacity = sum(buckets.iter().map(|bucket| bucket.bucket.capacity()));
            let first_alert = limit.alerts.first().map_or(u64::MAX, |&share| {
                // At most the capacity.
                (wide(capacity, u64::from(share)).div_ceil(1000)) as u64
            });
            PlannedLimit {
                first_alert,
                terms: Terms::of(limit, plan).intern(),
                named: limit.named,
                lineage,
                method: limit.method,
                due: match limit.method {
                    Method::Count => (u64::MAX, 0),
                    // When it is done.
                    Method::Latency => (0, 0),
                    Method::Concurrency => (0, 1),
                },
                pool: buckets.len() > 1 && limit.method == Method::Count,
                shadow: limit.shadow,
                alerts: limit.alerts.iter().map(|&share| u64::from(share)).collect(),
                grows: buckets.iter().any(|bucket| bucket.bucket.grows()),
                quota: sum(buckets.iter().map(|bucket| bucket.bucket.quota())),
                capacity,
                buckets,
            }
        };
        let limits: Vec<PlannedLimit> = limits.iter().zip(lineages).map(planned).collect();
        let watched = limits.iter().any(|limit| limit.shadow || !limit.alerts.is_empty());
        let grows = limits.iter().any(|limit| limit.grows);
        let layout = Arc::clone(layout);
        let (lone, windows) = (Lone::of(&limits), Windows::of(&limits));
        Plan { lone, windows, limits, layout, variant, name, watched, grows }
    }

    /// Words of state that a key needs under this plan and those beside it.
    pub(crate) fn words(&self) -> usize {
        // The way for records of one word takes no notes.
        self.layout.words().max(if self.watched { 2 } else { 1 })
    }

    /// May the request pass? If so, `words` are those after it; if not, they are untouched.
    #[inline(always)]
    pub(crate) fn admit(&self, words: &mut [u64], at: Moment, cost: Units) -> Reason {
        match &self.lone {
            Some(lone) => lone.admit(words, at, cost),
            None => self.admit_all(words, at, cost),
        }
    }

    /// Each limit is asked only until it has shown enough room.
    #[inline]
    fn all_admit(&self, words: &[u64], at: Moment, cost: Units) -> bool {
        self.limits.iter().all(|limit| limit.shadow || limit.admits(words, at, cost))
    }

    #[inline(never)]
    fn admit_all(&self, words: &mut [u64], at: Moment, cost: Units) -> Reason {
        if !self.all_admit(words, at, cost) {
            return self.reason(words, at, cost);
        }
        for limit in &self.limits {
            if !limit.shadow || limit.admits(words, at, cost) {
                limit.spend(words, at, limit.due(cost));
            }
        }
        Reason::Ok
    }

    /// Why a request of this cost is denied.
    #[cold]
    fn reason(&self, words: &[u64], at: Moment, cost: Units) -> Reason {
        if self.grows {
            return tally::deny(std::iter::once((self, words)), at, cost).reason();
        }
        let mut limits = self.limits.iter().filter(|limit| !limit.shadow);
        match limits.any(|limit| limit.never_fits(words, at, cost)) {
            true => Reason::Impossible,
            false => Reason::Limited,
        }
    }

    /// As [`Plan::admit`], with the answer in full, written where it is wanted: it is too large to be moved often.
    #[inline]
    pub(crate) fn acquire_into(
        &self,
        words: &mut [u64],
        at: Moment,
        cost: Units,
        notes: &mut Notes,
        decision: &mut Decision,
    ) {
        notes.clear();
        match (&self.lone, &self.windows) {
            (Some(lone), _) if notes.ignores(self) => {
                let taken = lone.take(words, at, cost);
                let mut place = MaybeUninit::uninit();
                *decision = *lone.answer(taken, at, cost, &mut place);
            }
            (_, Some(windows))
                if notes.ignores(self)
                    && windows.acquire(&self.limits, words, at, cost, decision) => {}
            _ => self.acquire_all(words, at, cost, notes, decision),
        }
    }

    /// The bucket that decides alone, if there is no other.
    #[inline(always)]
    pub(crate) fn lone(&self) -> Option<&Lone> {
        self.lone.as_ref()
    }

    #[inline(never)]
    fn acquire_all(
        &self,
        words: &mut [u64],
        at: Moment,
        cost: Units,
        notes: &mut Notes,
        decision: &mut Decision,
    ) {
        // Asked first: a denial, which many keys get over and over, pays nothing to be taken back.
        if !self.all_admit(words, at, cost) {
            *decision = tally::deny(std::iter::once((self, &*words)), at, cost);
            return;
        }
        let mut tally = Tally::NONE;
        let paid = tally.pay(self, words, at, cost, notes);
        debug_assert!(paid, "there was room");
        *decision = tally.admission(at);
    }

    /// What the rate of a bucket is called on receipts.
    fn rate(&self, limit: &PlannedLimit, position: usize) -> u64 {
        let found = self.layout.find(limit.lineage, position, self.variant);
        // Of its own limits it finds all.
        found.map_or(u64::MAX, |found| found.rate)
    }

    fn of_method(&self, method: Method) -> impl Iterator<Item = &PlannedLimit> {
        self.limits.iter().filter(move |limit| limit.method == method)
    }

    /// Charges units late to every limit of a method.
    #[inline]
    pub(crate) fn charge(
        &self,
        words: &mut [u64],
        at: Moment,
        method: Method,
        units: Units,
        notes: &mut Notes,
    ) {
        for limit in self.of_method(method) {
            match limit.alerts.is_empty() {
                true => limit.charge(words, at, units),
                false => limit.charge_noted(words, at, units, notes),
            }
        }
    }

    /// Gives units back to every count limit.
    pub(crate) fn refund(&self, words: &mut [u64], at: Moment, units: Units) {
        for limit in self.of_method(Method::Count) {
            limit.refund(words, at, units);
        }
    }

    /// Gives back one permit of every concurrency limit.
    pub(crate) fn release(&self, words: &mut [u64], at: Moment) {
        for limit in self.of_method(Method::Concurrency) {
            let bucket = &limit.buckets[0];
            bucket.bucket.refund(bucket.of_mut(words), at, 1, None);
        }
    }

    /// Has the bucket that paid a place in these records, under whatever plan?
    pub(crate) fn goes_on(&self, payment: &Payment) -> bool {
        self.layout.has(payment)
    }

    /// Gives back the permits of a receipt that came from the record of this tag, also those of limits that this plan
    /// has not.
    pub(crate) fn release_receipt(
        &self,
        words: &mut [u64],
        tag: u64,
        at: Moment,
        receipt: &[Payment],
    ) {
        for payment in receipt.iter().filter(|payment| payment.tag == tag) {
            self.layout.give_back(words, at, payment, Method::Concurrency, payment.units);
        }
    }

    /// Begins the time of permits anew: those of the receipt from the record of this tag, which gets their new marks, or
    /// the oldest.
    pub(crate) fn renew(
        &self,
        words: &mut [u64],
        tag: u64,
        at: Moment,
        receipt: Option<&mut [Payment]>,
        renewal: &mut Renewal,
    ) {
        let mut count = |renewed: bool| match renewed {
            true => renewal.begun += 1,
            false => renewal.gone += 1,
        };
        match receipt {
            None => {
                for limit in self.of_method(Method::Concurrency) {
                    let bucket = &limit.buckets[0];
                    count(bucket.bucket.renew(bucket.of_mut(words), at, None).is_some());
                }
            }
            Some(receipt) => {
                for payment in receipt.iter_mut().filter(|payment| payment.tag == tag) {
                    // Of permits that were taken in another record it knows nothing.
                    if let Some(renewed) = self.layout.renew(words, at, payment) {
                        count(renewed);
                    }
                }
            }
        }
    }

    /// Gives `units` of every limit's payments from the record of this tag back, the last payer first: only where the
    /// window that paid still counts, unless the words are under another rate by now. Also those of limits that this plan
    /// has not.
    pub(crate) fn refund_receipt(
        &self,
        words: &mut [u64],
        tag: u64,
        at: Moment,
        receipt: &[Payment],
        units: Units,
    ) {
        for (index, first) in receipt.iter().enumerate() {
            let same = |payment: &&Payment| payment.lineage == first.lineage;
            // All payments of a limit are from one record.
            if first.tag != tag || receipt[..index].iter().any(|earlier| same(&earlier)) {
                continue;
            }
            let mut left = units;
            for payment in receipt.iter().rev().filter(same) {
                let part = left.min(payment.units);
                self.layout.give_back(words, at, payment, Method::Count, part);
                left -= part;
            }
        }
    }

    /// Fills every bucket but the permits in flight, also those that this plan has not.
    pub(crate) fn reset(&self, words: &mut [u64]) {
        self.layout.reset(words);
    }

    /// Is this limit one of its own, by method and name?
    pub(crate) fn has(&self, limit: &Limit) -> bool {
        let same = |own: &PlannedLimit| {
            own.method == limit.method && own.terms.name.as_str() == limit.name
        };
        self.limits.iter().any(same)
    }

    /// Are there limits in shadow, or thresholds to tell of?
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        self.watched
    }

    /// Does a limit of this name count requests in flight?
    pub(crate) fn is_concurrency(&self, limit: &str) -> bool {
        self.of_method(Method::Concurrency).any(|candidate| candidate.terms.name.as_str() == limit)
    }

    /// Is every limit one of requests × cost?
    pub(crate) fn counts_alone(&self) -> bool {
        self.limits.iter().all(|limit| limit.method == Method::Count)
    }

    /// Are there permits out? Such a record cannot be given away.
    pub(crate) fn is_held(&self, words: &[u64], at: Moment) -> bool {
        let mut permits = self.of_method(Method::Concurrency).flat_map(|limit| &limit.buckets);
        permits.any(|bucket| bucket.used(words, at) > 0)
    }

    /// Nanoseconds until every bucket is full again.
    pub(crate) fn full_after(&self, words: &[u64], at: Moment) -> u64 {
        self.limits.iter().map(|limit| limit.full_after(words, at)).max().unwrap_or(0)
    }

    /// Makes `into` the larger use of the two, bucket by bucket.
    pub(crate) fn merge(&self, into: &mut [u64], from: &[u64], at: Moment) {
        for bucket in self.limits.iter().flat_map(|limit| &limit.buckets) {
            bucket.bucket.merge(bucket.of_mut(into), bucket.of(from), at);
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::time::Timestamp;

    const SECOND: u64 = 1_000_000_000;
    const HOUR: u64 = 3_600 * SECOND;
    /// 2023-11-14T22:00:00Z.
    const NOW: u64 = 1_699_999_200 * SECOND;

    fn at(now: u64, wall: u64) -> Moment {
        Moment { now: Timestamp::clamped(now), wall: Timestamp::clamped(wall) }
    }

    pub(super) fn acquire(plan: &Plan, words: &mut [u64], at: Moment, cost: Units) -> Decision {
        let mut decision = Decision::NONE;
        plan.acquire_into(words, at, cost, &mut Notes::default(), &mut decision);
        decision
    }

    fn plan(limit: &str) -> Plan {
        plan_of(&format!(r#"{{"limit": [{limit}]}}"#))
    }

    /// Of a policy without plans.
    pub(super) fn plan_of(policy: &str) -> Plan {
        let policy: crate::Policy = policy.parse().expect("a good policy");
        let limits: Vec<&Limit> = policy.limits.iter().collect();
        let mut ancestry = Ancestry { number: 0, count: 0, before: Vec::new() };
        let variants = [limits];
        let lineages = ancestry.lineages(&variants, &[Name::EMPTY]);
        let layout = Arc::new(Layout::new(&variants, &lineages, 0));
        Plan::new(&variants[0], &lineages[0], Name::EMPTY, (&layout, 0))
    }

    /// Costs of any size: what no capacity holds is not admitted by what is shifted out of its steps.
    #[test]
    fn costs_of_any_size() {
        for limit in [r#"{"rate": "1000/day"}"#, r#"{"rate": "1/year"}, {"rate": "1000/day"}"#] {
            let plan = plan(limit);
            let capacity = plan.limits[0].capacity;
            for bit in 0..64 {
                for cost in [1 << bit, (1 << bit) + 1, u64::MAX << bit] {
                    let mut words = vec![0; plan.words()];
                    let reason = plan.admit(&mut words.clone(), at(NOW, NOW), cost);
                    assert_eq!(reason == Reason::Ok, cost <= capacity, "{limit} {cost}");
                    let decision = acquire(&plan, &mut words, at(NOW, NOW), cost);
                    assert_eq!(decision.reason(), reason, "{limit} {cost}");
                }
            }
        }
    }

    /// Shares are compared, not rooms: 36 of 100 are less than 4 of 8.
    #[test]
    fn the_tightest_has_the_smallest_share() {
        let plan =
            plan(r#"{"name": "few", "rate": "8/minute"}, {"name": "many", "rate": "100/minute"}"#);
        let mut words = vec![0; plan.words()];
        plan.charge(&mut words, at(NOW, NOW), Method::Count, 4, &mut Notes::default());
        plan.limits[1].charge(&mut words, at(NOW, NOW), 60);
        let decision = acquire(&plan, &mut words, at(NOW, NOW), 0);
        assert_eq!((decision.name(), decision.remaining()), ("many", 36));
    }

    /// A step of the wall clock moves clock-aligned windows, and nothing else.
    #[test]
    fn the_wall_clock_steps() {
        let others = [
            r#"{"rate": "2/hour"}"#,
            r#"{"rate": "2/hour", "algorithm": "sliding_window"}"#,
            r#"{"rate": "2/hour", "algorithm": "sliding_window", "strict": true}"#,
            r#"{"rate": "2/hour", "algorithm": "fixed_window", "align": "first_request"}"#,
        ];
        for limit in others {
            let plan = plan(limit);
            let mut words = vec![0; plan.words()];
            assert!(acquire(&plan, &mut words, at(NOW, NOW), 2).allowed());
            let still = acquire(&plan, &mut words, at(NOW + SECOND, NOW + SECOND), 1);
            for wall in [NOW - HOUR, NOW + HOUR, NOW + 100 * HOUR] {
                assert_eq!(acquire(&plan, &mut words, at(NOW + SECOND, wall), 1), still, "{limit}");
            }
        }
        let plan = plan(r#"{"rate": "2/hour", "algorithm": "fixed_window"}"#);
        let mut words = vec![0; plan.words()];
        assert!(acquire(&plan, &mut words, at(NOW, NOW), 2).allowed());
        // An hour forth: another window, full. And back: the key stays in the later one.
        assert!(acquire(&plan, &mut words, at(NOW + 1, NOW + HOUR), 2).allowed());
        let back = acquire(&plan, &mut words, at(NOW + 2, NOW), 1);
        assert_eq!((back.allowed(), back.retry_after_ns()), (false, 2 * HOUR));
    }
}
