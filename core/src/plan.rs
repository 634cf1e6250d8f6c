//! A policy worked out: which words of a key's record belong to which bucket, and what all limits
//! together say. Pure: words in, words and a decision out.

mod limit;

use crate::algorithm::{Bucket, Gcra, Mark, Permits, Standing, Taken, Units, wide};
use crate::clock::Moment;
use crate::decision::{Decision, NEVER, Reason};
use crate::error::{Error, Result};
use crate::names::Name;
use crate::policy::{LimitKind, Policy};
use crate::rate::Method;
use crate::terms::Terms;
use limit::{Left, PlannedBucket, PlannedLimit, admission, denial, sum};

/// The limits of a policy over one array of words.
#[derive(Debug)]
pub(crate) struct Plan {
    /// First: with it a call needs nothing else of the plan.
    lone: Option<Lone>,
    pub(crate) limits: Vec<PlannedLimit>,
    /// Words of state that a key needs.
    pub(crate) words: usize,
    /// Which of a limiter's plans it is.
    pub(crate) number: u64,
}

/// The one bucket of the commonest policy, a count limit by gcra, at hand: decided in one go.
#[derive(Debug)]
struct Lone {
    gcra: Gcra,
    quota: Units,
    terms: &'static Terms,
}

impl Lone {
    fn of(limits: &[PlannedLimit]) -> Option<Lone> {
        let [PlannedLimit { method: Method::Count, buckets, quota, terms, .. }] = limits else {
            return None;
        };
        match &buckets[..] {
            [PlannedBucket { bucket: Bucket::Gcra(gcra), .. }] => {
                Some(Lone { gcra: gcra.clone(), quota: *quota, terms })
            }
            _ => None,
        }
    }

    #[inline(always)]
    fn take(&self, words: &mut [u64], at: Moment, cost: Units) -> Outcome {
        match self.gcra.take(words, at, cost) {
            Ok(left) => Outcome::Taken(left.taken()),
            Err(standing) => Outcome::Denied(standing.taken()),
        }
    }

    #[inline(always)]
    fn admission(&self, taken: Taken, at: Moment) -> Decision {
        let left = self.gcra.account(taken, at);
        admission(self.terms, self.quota, left.room(), left.full_after(), at)
    }

    #[cold]
    #[inline(never)]
    fn denial(&self, taken: Taken, at: Moment, cost: Units) -> Decision {
        let standing = self.gcra.account(taken, at);
        let wait = if cost > self.gcra.capacity() { NEVER } else { standing.wait_for(cost) };
        denial(self.terms, self.quota, standing.room(), wait, standing.full_after(), at)
    }
}

/// What a request came to, in few words when they are enough: the answer is made of them later.
pub(crate) enum Outcome {
    /// Not decided yet.
    Unknown,
    /// Admitted by the lone bucket, which stands like this now.
    Taken(Taken),
    /// Denied by the lone bucket, which stands like this.
    Denied(Taken),
    Told(Decision),
}

/// One payment of a reservation: which bucket paid how much, in which window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payment {
    lineage: u64,
    bucket: usize,
    units: Units,
    mark: Mark,
}

impl Plan {
    /// The plan that follows `before`: a limit goes on when one of the same method and name comes
    /// again; limits that the policies did not name are else taken in their order.
    ///
    /// # Errors
    /// When the policy needs more words of state than a record has.
    pub(crate) fn new(policy: &Policy, most_words: usize, before: Option<&Plan>) -> Result<Plan> {
        let number = before.map_or(0, |before| before.number + 1);
        let mut words = 0;
        let mut plan_bucket = |name: &str, bucket: Bucket| {
            let start = words;
            words += bucket.words();
            PlannedBucket { name: name.to_owned(), bucket, start }
        };
        let mut lineages = 0;
        let mut limits: Vec<PlannedLimit> = policy
            .limits
            .iter()
            .map(|limit| {
                let buckets: Vec<PlannedBucket> = match &limit.kind {
                    LimitKind::Rates(rates) => rates
                        .iter()
                        .map(|rate| plan_bucket(&rate.name, Bucket::new(rate)))
                        .collect(),
                    LimitKind::Permits { quota, .. } => {
                        vec![plan_bucket(&limit.name, Bucket::Permits(Permits::new(*quota)))]
                    }
                };
                // Never taken before: a plan has at most 32 limits.
                lineages += 1;
                PlannedLimit {
                    terms: Terms {
                        name: Name::intern(&limit.name),
                        method: limit.method,
                        window: limit.kind.window(),
                        cascade: buckets.len() > 1,
                        ..Terms::NONE
                    }
                    .intern(),
                    named: limit.named,
                    lineage: (number << 32) | lineages,
                    method: limit.method,
                    quota: sum(buckets.iter().map(|bucket| bucket.bucket.quota())),
                    capacity: sum(buckets.iter().map(|bucket| bucket.bucket.capacity())),
                    buckets,
                }
            })
            .collect();
        if let Some(before) = before {
            continue_limits(&mut limits, &before.limits);
        }
        if words > most_words {
            return Err(Error::policy(
                "limit",
                None,
                format!("the limits need {words} words of state a key, a record has {most_words}"),
                "use fewer limits, or smaller quotas in windows",
            ));
        }
        Ok(Plan { lone: Lone::of(&limits), limits, words, number })
    }

    /// May the request pass? If so, `words` are those after it; if not, they are untouched.
    #[inline(always)]
    pub(crate) fn admit(&self, words: &mut [u64], at: Moment, cost: Units) -> Reason {
        let admitted = match &self.lone {
            Some(lone) => lone.gcra.take(words, at, cost).is_ok(),
            None => self.admit_all(words, at, cost),
        };
        if admitted { Reason::Ok } else { self.reason(cost) }
    }

    /// Each limit is asked only until it has shown enough room.
    #[inline]
    fn all_admit(&self, words: &[u64], at: Moment, cost: Units) -> bool {
        self.limits.iter().all(|limit| limit.admits(words, at, cost))
    }

    #[inline(never)]
    fn admit_all(&self, words: &mut [u64], at: Moment, cost: Units) -> bool {
        let admitted = self.all_admit(words, at, cost);
        if admitted {
            for limit in &self.limits {
                limit.spend(words, at, limit.due(cost));
            }
        }
        admitted
    }

    /// Why a request of this cost is denied.
    #[cold]
    fn reason(&self, cost: Units) -> Reason {
        match self.limits.iter().any(|limit| limit.wanted(cost) > limit.capacity) {
            true => Reason::Impossible,
            false => Reason::Limited,
        }
    }

    /// As [`Plan::admit`], with the answer in full.
    pub(crate) fn acquire(&self, words: &mut [u64], at: Moment, cost: Units) -> Decision {
        let mut decision = Decision::NONE;
        self.acquire_into(words, at, cost, &mut decision);
        decision
    }

    /// As [`Plan::acquire`]; the answer is written where it is wanted, for it is too large to be moved often.
    #[inline]
    pub(crate) fn acquire_into(
        &self,
        words: &mut [u64],
        at: Moment,
        cost: Units,
        decision: &mut Decision,
    ) {
        match &self.lone {
            Some(lone) => *decision = self.tell(lone.take(words, at, cost), at, cost),
            None => self.acquire_all(words, at, cost, decision),
        }
    }

    /// The first half of [`Plan::acquire`]: the words.
    #[inline(always)]
    pub(crate) fn take(&self, words: &mut [u64], at: Moment, cost: Units) -> Outcome {
        match &self.lone {
            Some(lone) => lone.take(words, at, cost),
            None => Outcome::Told(self.acquire(words, at, cost)),
        }
    }

    /// The second half of [`Plan::acquire`]: the answer.
    #[inline(always)]
    pub(crate) fn tell(&self, outcome: Outcome, at: Moment, cost: Units) -> Decision {
        match (outcome, &self.lone) {
            (Outcome::Taken(taken), Some(lone)) => lone.admission(taken, at),
            (Outcome::Denied(taken), Some(lone)) => lone.denial(taken, at, cost),
            (Outcome::Told(decision), _) => decision,
            // Only a lone bucket takes, and who tells has taken.
            (Outcome::Taken(_) | Outcome::Denied(_) | Outcome::Unknown, _) => Decision::NONE,
        }
    }

    #[inline(never)]
    fn acquire_all(&self, words: &mut [u64], at: Moment, cost: Units, decision: &mut Decision) {
        match self.all_admit(words, at, cost) {
            true => *decision = self.pay(words, at, cost, |_, _, _, _| ()),
            false => *decision = self.deny(words, at, cost),
        }
    }

    /// As [`Plan::acquire`]; writes down who paid.
    pub(crate) fn acquire_with_receipt(
        &self,
        words: &mut [u64],
        at: Moment,
        cost: Units,
        receipt: &mut Vec<Payment>,
    ) -> Decision {
        receipt.clear();
        if !self.all_admit(words, at, cost) {
            return self.deny(words, at, cost);
        }
        self.pay(words, at, cost, |limit, bucket, units, words| {
            if limit.method != Method::Count {
                return;
            }
            let paying = &limit.buckets[bucket];
            let mark = paying.bucket.mark(paying.of(words), at);
            receipt.push(Payment { lineage: limit.lineage, bucket, units, mark });
        })
    }

    /// Takes what an admitted request pays. The decision is that of the tightest limit: the smallest
    /// share of its capacity left, the first of equals.
    #[inline(always)]
    fn pay(
        &self,
        words: &mut [u64],
        at: Moment,
        cost: Units,
        mut payer: impl FnMut(&PlannedLimit, usize, Units, &[u64]),
    ) -> Decision {
        let mut tightest: Option<(&PlannedLimit, Left)> = None;
        for limit in &self.limits {
            let left = limit.pay(words, at, limit.due(cost), |bucket, units, words| {
                payer(limit, bucket, units, words);
            });
            // room / capacity, compared exactly.
            if tightest.as_ref().is_none_or(|(other, least)| {
                wide(left.room, other.capacity) < wide(least.room, limit.capacity)
            }) {
                tightest = Some((limit, left));
            }
        }
        let (limit, left) = tightest.unwrap_or((&self.limits[0], Left::default()));
        admission(limit.terms, limit.quota, left.room, left.full_after, at)
    }

    #[cold]
    #[inline(never)]
    fn deny(&self, words: &[u64], at: Moment, cost: Units) -> Decision {
        let mut longest: Option<(&PlannedLimit, u64)> = None;
        for limit in &self.limits {
            let wait = limit.wait(words, at, cost);
            if wait > longest.map_or(0, |(_, longest)| longest) {
                longest = Some((limit, wait));
            }
        }
        // Somebody denies, so somebody waits.
        let (limit, wait) = longest.unwrap_or((&self.limits[0], NEVER));
        let reset_after = match limit.method {
            // Only the holders of its permits know.
            Method::Concurrency => wait,
            _ => limit.full_after(words, at),
        };
        denial(limit.terms, limit.quota, limit.room(words, at), wait, reset_after, at)
    }

    fn of_method(&self, method: Method) -> impl Iterator<Item = &PlannedLimit> {
        self.limits.iter().filter(move |limit| limit.method == method)
    }

    /// Charges units late to every limit of a method.
    #[inline]
    pub(crate) fn charge(&self, words: &mut [u64], at: Moment, method: Method, units: Units) {
        for limit in self.of_method(method) {
            limit.charge(words, at, units);
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

    /// Gives `units` of every limit's payments back, the last payer first. With `marked`, only
    /// where the window that paid still counts; else the policy has changed since.
    pub(crate) fn refund_receipt(
        &self,
        words: &mut [u64],
        at: Moment,
        receipt: &[Payment],
        units: Units,
        marked: bool,
    ) {
        for limit in self.of_method(Method::Count) {
            let mut left = units;
            for payment in receipt.iter().rev().filter(|payment| payment.lineage == limit.lineage) {
                let part = left.min(payment.units);
                if let Some(bucket) = limit.buckets.get(payment.bucket) {
                    let mark = marked.then_some(payment.mark);
                    bucket.bucket.refund(bucket.of_mut(words), at, part, mark);
                }
                left -= part;
            }
        }
    }

    /// Fills every bucket but the permits in flight.
    pub(crate) fn reset(&self, words: &mut [u64]) {
        for limit in self.limits.iter().filter(|limit| limit.method != Method::Concurrency) {
            for bucket in &limit.buckets {
                bucket.of_mut(words)[..bucket.bucket.words()].fill(0);
            }
        }
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

    /// Fills `new` (zeros) with the use that `words` hold under the plan `old`: a limit that goes on
    /// keeps its use, its buckets are matched by position.
    pub(crate) fn carry(&self, old: &Plan, words: &[u64], new: &mut [u64], at: Moment) {
        for limit in &self.limits {
            let before = old.limits.iter().find(|before| before.lineage == limit.lineage);
            let Some(before) = before else { continue };
            for (bucket, before) in limit.buckets.iter().zip(&before.buckets) {
                let words = before.of(words);
                bucket.bucket.carry(&before.bucket, words, bucket.of_mut(new), at);
            }
        }
    }
}

/// Gives each limit the lineage of the one that it goes on from.
fn continue_limits(limits: &mut [PlannedLimit], before: &[PlannedLimit]) {
    let mut free: Vec<&PlannedLimit> = before.iter().collect();
    let mut follow = |limit: &mut PlannedLimit,
                      is_it: &dyn Fn(&PlannedLimit, &PlannedLimit) -> bool| {
        let found = free.iter().position(|old| old.method == limit.method && is_it(limit, old));
        found.map(|index| limit.lineage = free.remove(index).lineage)
    };
    let mut rest = Vec::new();
    for limit in limits {
        if follow(limit, &|limit, old| limit.terms.name == old.terms.name).is_none() {
            rest.push(limit);
        }
    }
    for limit in rest {
        follow(limit, &|limit, old| !limit.named && !old.named);
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

    fn acquire(plan: &Plan, words: &mut [u64], at: Moment, cost: Units) -> Decision {
        plan.acquire(words, at, cost)
    }

    fn plan(limit: &str) -> Plan {
        let text = format!(r#"{{"limit": [{limit}]}}"#);
        let policy: Policy = text.parse().expect("a good policy");
        Plan::new(&policy, 62, None).expect("few words")
    }

    /// Costs of any size: what no capacity holds is not admitted by what is shifted out of its steps.
    #[test]
    fn costs_of_any_size() {
        for limit in [r#"{"rate": "1000/day"}"#, r#"{"rate": "1/year"}, {"rate": "1000/day"}"#] {
            let plan = plan(limit);
            let capacity = plan.limits[0].capacity;
            for bit in 0..64 {
                for cost in [1 << bit, (1 << bit) + 1, u64::MAX << bit] {
                    let mut words = vec![0; plan.words];
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
        let mut words = vec![0; plan.words];
        plan.charge(&mut words, at(NOW, NOW), Method::Count, 4);
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
            let mut words = vec![0; plan.words];
            assert!(acquire(&plan, &mut words, at(NOW, NOW), 2).allowed());
            let still = acquire(&plan, &mut words, at(NOW + SECOND, NOW + SECOND), 1);
            for wall in [NOW - HOUR, NOW + HOUR, NOW + 100 * HOUR] {
                assert_eq!(acquire(&plan, &mut words, at(NOW + SECOND, wall), 1), still, "{limit}");
            }
        }
        let plan = plan(r#"{"rate": "2/hour", "algorithm": "fixed_window"}"#);
        let mut words = vec![0; plan.words];
        assert!(acquire(&plan, &mut words, at(NOW, NOW), 2).allowed());
        // An hour forth: another window, full. And back: the key stays in the later one.
        assert!(acquire(&plan, &mut words, at(NOW + 1, NOW + HOUR), 2).allowed());
        let back = acquire(&plan, &mut words, at(NOW + 2, NOW), 1);
        assert_eq!((back.allowed(), back.retry_after_ns()), (false, 2 * HOUR));
    }
}
