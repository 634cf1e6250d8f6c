//! A policy worked out: which words of a key's record belong to which bucket, and what all limits
//! together say. Pure: words in, words and a decision out.

mod limit;
mod tally;

use crate::algorithm::{Bucket, Gcra, Mark, Permits, Standing, Taken, Units, wide};
use crate::clock::Moment;
use crate::decision::{Decision, NEVER, Reason};
use crate::names::Name;
use crate::policy::{Limit, LimitKind};
use crate::rate::Method;
use crate::terms::Terms;
use limit::{PlannedBucket, PlannedLimit, admission, denial, sum};
use tally::Tally;
pub(crate) use tally::{Asked, Notes, decide};

/// The limits of a policy over one array of words.
#[derive(Debug)]
pub(crate) struct Plan {
    /// First: with it a call needs nothing else of the plan.
    lone: Option<Lone>,
    pub(crate) limits: Vec<PlannedLimit>,
    /// Words of state that a key needs.
    pub(crate) words: usize,
    /// No other plan of the limiter has it.
    number: u64,
    /// The plan's name in the policy; empty: it has none.
    pub(crate) name: Name,
    /// Are there limits in shadow, or thresholds to tell of?
    watched: bool,
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
        let [limit] = limits else { return None };
        let PlannedLimit { method: Method::Count, buckets, quota, terms, .. } = limit else {
            return None;
        };
        if limit.shadow || !limit.alerts.is_empty() {
            return None;
        }
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
    /// Under which plan: [`Plan::number`].
    plan: u64,
    lineage: u64,
    bucket: usize,
    units: Units,
    mark: Mark,
}

/// Permits whose time was to begin anew.
#[derive(Debug, Default)]
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

/// Where the limits of a new plan may go on from.
pub(crate) struct Ancestry<'a> {
    /// Which of a limiter's policies it is.
    pub(crate) number: u64,
    /// Limits of this policy so far.
    pub(crate) count: u64,
    /// The variants of the same scope under the policy before.
    pub(crate) before: Vec<&'a Plan>,
}

impl Plan {
    /// The plan of these limits. A limit goes on from one of the same method and name: of another variant (`here`), or
    /// of the policy before; limits that no policy named are else taken in their order.
    pub(crate) fn new(
        limits: &[&Limit],
        plan: Option<&str>,
        here: &[Plan],
        ancestry: &mut Ancestry<'_>,
    ) -> Plan {
        let mut words = 0;
        let mut plan_bucket = |name: &str, bucket: Bucket| {
            let start = words;
            words += bucket.words();
            PlannedBucket { name: name.to_owned(), bucket, start }
        };
        let mut limits: Vec<PlannedLimit> = limits
            .iter()
            .map(|limit| {
                let buckets: Vec<PlannedBucket> = match &limit.kind {
                    LimitKind::Rates(rates) => rates
                        .iter()
                        .map(|rate| plan_bucket(&rate.name, Bucket::new(rate)))
                        .collect(),
                    LimitKind::Permits { quota, max_hold } => {
                        let bucket = match max_hold {
                            None => Bucket::Permits(Permits::new(*quota)),
                            Some(max_hold) => Bucket::leases(*quota, *max_hold),
                        };
                        vec![plan_bucket(&limit.name, bucket)]
                    }
                };
                // Never taken before.
                ancestry.count += 1;
                let capacity = sum(buckets.iter().map(|bucket| bucket.bucket.capacity()));
                let first_alert = limit.alerts.first().map_or(u64::MAX, |&share| {
                    // At most the capacity.
                    (wide(capacity, u64::from(share)).div_ceil(1000)) as u64
                });
                PlannedLimit {
                    first_alert,
                    terms: Terms::of(limit, plan).intern(),
                    named: limit.named,
                    lineage: (ancestry.number << 32) | ancestry.count,
                    method: limit.method,
                    shadow: limit.shadow,
                    alerts: limit.alerts.iter().map(|&share| u64::from(share)).collect(),
                    grows: buckets.iter().any(|bucket| bucket.bucket.grows()),
                    quota: sum(buckets.iter().map(|bucket| bucket.bucket.quota())),
                    capacity,
                    buckets,
                }
            })
            .collect();
        let name = plan.map_or(Name::EMPTY, Name::intern);
        // First from the plan of the same name: limits without a name of their own go on by their order.
        ancestry.before.sort_by_key(|before| before.name != name);
        continue_limits(&mut limits, here, &ancestry.before);
        let watched = limits.iter().any(|limit| limit.shadow || !limit.alerts.is_empty());
        // The way for records of one word takes no notes.
        let words = if watched { words.max(2) } else { words };
        let number = (ancestry.number << 8) | here.len() as u64;
        Plan { lone: Lone::of(&limits), limits, words, number, name, watched }
    }

    /// May the request pass? If so, `words` are those after it; if not, they are untouched.
    #[inline(always)]
    pub(crate) fn admit(&self, words: &mut [u64], at: Moment, cost: Units) -> Reason {
        let admitted = match &self.lone {
            Some(lone) => lone.gcra.take(words, at, cost).is_ok(),
            None => self.admit_all(words, at, cost),
        };
        if admitted { Reason::Ok } else { self.reason(words, at, cost) }
    }

    /// Each limit is asked only until it has shown enough room.
    #[inline]
    fn all_admit(&self, words: &[u64], at: Moment, cost: Units) -> bool {
        self.limits.iter().all(|limit| limit.shadow || limit.admits(words, at, cost))
    }

    #[inline(never)]
    fn admit_all(&self, words: &mut [u64], at: Moment, cost: Units) -> bool {
        let admitted = self.all_admit(words, at, cost);
        if admitted {
            for limit in &self.limits {
                if !limit.shadow || limit.admits(words, at, cost) {
                    limit.spend(words, at, limit.due(cost));
                }
            }
        }
        admitted
    }

    /// Why a request of this cost is denied.
    #[cold]
    fn reason(&self, words: &[u64], at: Moment, cost: Units) -> Reason {
        let mut limits = self.limits.iter().filter(|limit| !limit.shadow);
        match limits.any(|limit| limit.never_fits(words, at, cost)) {
            true => Reason::Impossible,
            false => Reason::Limited,
        }
    }

    /// As [`Plan::admit`], with the answer in full.
    pub(crate) fn acquire(&self, words: &mut [u64], at: Moment, cost: Units) -> Decision {
        let mut decision = Decision::NONE;
        self.acquire_into(words, at, cost, &mut Notes::default(), &mut decision);
        decision
    }

    /// As [`Plan::acquire`], with notes; the answer is written where it is wanted, for it is too large to be moved
    /// often.
    #[inline]
    pub(crate) fn acquire_into(
        &self,
        words: &mut [u64],
        at: Moment,
        cost: Units,
        notes: &mut Notes,
        decision: &mut Decision,
    ) {
        match &self.lone {
            Some(lone) if notes.receipt.is_none() => {
                *decision = self.tell(lone.take(words, at, cost), at, cost);
            }
            _ => self.acquire_all(words, at, cost, notes, decision),
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
    fn acquire_all(
        &self,
        words: &mut [u64],
        at: Moment,
        cost: Units,
        notes: &mut Notes,
        decision: &mut Decision,
    ) {
        notes.clear();
        if !self.all_admit(words, at, cost) {
            *decision = tally::deny(std::iter::once((self, &*words)), at, cost);
            return;
        }
        let mut tally = Tally::NONE;
        tally.pay(self, words, at, cost, notes);
        *decision = tally.admission(at);
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

    /// The mark of a payment under this plan; another plan's means nothing here.
    fn mark(&self, payment: &Payment) -> Option<Mark> {
        (payment.plan == self.number).then_some(payment.mark)
    }

    /// Gives back the permits of a receipt: after a change of plan, the oldest ones.
    pub(crate) fn release_receipt(&self, words: &mut [u64], at: Moment, receipt: &[Payment]) {
        for limit in self.of_method(Method::Concurrency) {
            let bucket = &limit.buckets[0];
            for payment in receipt.iter().filter(|payment| payment.lineage == limit.lineage) {
                bucket.bucket.refund(bucket.of_mut(words), at, payment.units, self.mark(payment));
            }
        }
    }

    /// Begins the time of permits anew: those of the receipt, which gets their new marks, or the oldest.
    pub(crate) fn renew(
        &self,
        words: &mut [u64],
        at: Moment,
        receipt: Option<&mut [Payment]>,
        renewal: &mut Renewal,
    ) {
        let mut renew = |limit: &PlannedLimit, mark: Option<Mark>| {
            let bucket = &limit.buckets[0];
            let renewed = bucket.bucket.renew(bucket.of_mut(words), at, mark);
            match renewed {
                Some(_) => renewal.begun += 1,
                None => renewal.gone += 1,
            }
            renewed
        };
        match receipt {
            None => self.of_method(Method::Concurrency).for_each(|limit| {
                renew(limit, None);
            }),
            Some(receipt) => {
                for payment in receipt {
                    let mut limits = self.of_method(Method::Concurrency);
                    let limit = limits.find(|limit| limit.lineage == payment.lineage);
                    let mark = self.mark(payment);
                    if let Some(mark) = limit.and_then(|limit| renew(limit, mark)) {
                        (payment.plan, payment.mark) = (self.number, mark);
                    }
                }
            }
        }
    }

    /// Gives `units` of every limit's payments back, the last payer first: only where the window that paid still
    /// counts, unless the plan has changed since.
    pub(crate) fn refund_receipt(
        &self,
        words: &mut [u64],
        at: Moment,
        receipt: &[Payment],
        units: Units,
    ) {
        for limit in self.of_method(Method::Count) {
            let mut left = units;
            for payment in receipt.iter().rev().filter(|payment| payment.lineage == limit.lineage) {
                let part = left.min(payment.units);
                if let Some(bucket) = limit.buckets.get(payment.bucket) {
                    bucket.bucket.refund(bucket.of_mut(words), at, part, self.mark(payment));
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

    /// Is this limit one of its own, by method and name?
    pub(crate) fn has(&self, limit: &Limit) -> bool {
        let same = |own: &PlannedLimit| {
            own.method == limit.method && own.terms.name.as_str() == limit.name
        };
        self.limits.iter().any(same)
    }

    /// How much of what `old` counts it can hold: limits that go on, then their capacities.
    pub(crate) fn holds_of(&self, old: &Plan) -> (usize, u128) {
        let goes_on =
            |own: &&PlannedLimit| old.limits.iter().any(|limit| limit.lineage == own.lineage);
        let going_on = || self.limits.iter().filter(goes_on);
        (going_on().count(), going_on().map(|limit| u128::from(limit.capacity)).sum())
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
fn continue_limits(limits: &mut [PlannedLimit], here: &[Plan], before: &[&Plan]) {
    let same = |limit: &PlannedLimit, old: &PlannedLimit| {
        old.method == limit.method && old.terms.name == limit.terms.name
    };
    let mut free: Vec<&PlannedLimit> = Vec::new();
    for old in before.iter().flat_map(|plan| &plan.limits) {
        if free.iter().all(|known| known.lineage != old.lineage) {
            free.push(old);
        }
    }
    let mut rest = Vec::new();
    for limit in limits {
        let elsewhere = here.iter().flat_map(|plan| &plan.limits).find(|other| same(limit, other));
        let old = free.iter().position(|old| same(limit, old));
        let old = old.map(|index| free.remove(index));
        match elsewhere.or(old) {
            Some(from) => limit.lineage = from.lineage,
            None => rest.push(limit),
        }
    }
    for limit in rest.into_iter().filter(|limit| !limit.named) {
        let old = free.iter().position(|old| old.method == limit.method && !old.named);
        if let Some(index) = old {
            limit.lineage = free.remove(index).lineage;
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

    fn acquire(plan: &Plan, words: &mut [u64], at: Moment, cost: Units) -> Decision {
        plan.acquire(words, at, cost)
    }

    fn plan(limit: &str) -> Plan {
        let text = format!(r#"{{"limit": [{limit}]}}"#);
        let policy: crate::Policy = text.parse().expect("a good policy");
        let limits: Vec<&Limit> = policy.limits.iter().collect();
        Plan::new(&limits, None, &[], &mut Ancestry { number: 0, count: 0, before: Vec::new() })
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
