//! One limit of a plan: a bucket, or a cascade of which the first with room pays.

use super::tally::Notes;
use crate::algorithm::{Bucket, NOMINAL_WAIT, Paid, Units};
use crate::clock::Moment;
use crate::decision::{Decision, NEVER, Numbers, Reason};
use crate::rate::Method;
use crate::terms::Terms;

/// What paying left of a limit, over all its buckets.
#[derive(Clone, Copy)]
pub(super) struct Left {
    /// Of what was due.
    pub(super) unpaid: Units,
    pub(super) room: Units,
    /// Of the buckets after the first.
    pub(super) later: Units,
    pub(super) full_after: u64,
}

impl Left {
    pub(super) const NONE: Left = Left { unpaid: 0, room: 0, later: 0, full_after: 0 };
}

/// One limit: its buckets, in the order in which they pay.
#[derive(Debug)]
pub(crate) struct PlannedLimit {
    pub(crate) terms: &'static Terms,
    pub(super) named: bool,
    /// The same from one plan to the next as long as the limit goes on, whatever it is called.
    pub(super) lineage: u64,
    pub(crate) method: Method,
    /// What a request pays at once: these bits of its cost, or else so much.
    pub(super) due: (u64, Units),
    /// See [`PlannedLimit::has_pool`].
    pub(super) pool: bool,
    /// It counts and tells, and denies nobody.
    pub(crate) shadow: bool,
    /// Shares of the capacity in per mille: use that passes one is told.
    pub(crate) alerts: Box<[u64]>,
    /// No threshold is passed below so many units.
    pub(super) first_alert: Units,
    /// Do quota and capacity depend on the words?
    pub(super) grows: bool,
    pub(crate) buckets: Vec<PlannedBucket>,
    /// Sums over the buckets.
    pub(super) quota: Units,
    pub(super) capacity: Units,
}

#[derive(Debug)]
pub(crate) struct PlannedBucket {
    pub(crate) name: String,
    pub(crate) bucket: Bucket,
    /// Its first word in a record.
    pub(super) start: usize,
}

impl PlannedBucket {
    /// The words from its first one on: the bucket knows how many are its own.
    #[inline]
    pub(crate) fn of<'a>(&self, words: &'a [u64]) -> &'a [u64] {
        &words[self.start..]
    }

    #[inline]
    pub(super) fn of_mut<'a>(&self, words: &'a mut [u64]) -> &'a mut [u64] {
        &mut words[self.start..]
    }

    #[inline]
    pub(crate) fn room(&self, words: &[u64], at: Moment) -> Units {
        self.bucket.room(self.of(words), at)
    }

    pub(crate) fn used(&self, words: &[u64], at: Moment) -> Units {
        self.bucket.used(self.of(words), at)
    }

    pub(crate) fn full_after(&self, words: &[u64], at: Moment) -> u64 {
        self.bucket.full_after(self.of(words), at)
    }

    pub(crate) fn refilled_after(&self, words: &[u64], at: Moment) -> u64 {
        self.bucket.refilled_after(self.of(words), at)
    }

    fn next_loss(&self, words: &[u64], at: Moment) -> Option<u64> {
        self.bucket.next_loss(self.of(words), at)
    }

    pub(super) fn wait_for(&self, words: &[u64], at: Moment, units: Units) -> u64 {
        self.bucket.wait_for(self.of(words), at, units)
    }
}

impl PlannedLimit {
    #[inline]
    pub(crate) fn room(&self, words: &[u64], at: Moment) -> Units {
        sum(self.buckets.iter().map(|bucket| bucket.room(words, at)))
    }

    /// What the request asks of this limit's room.
    #[inline]
    pub(super) fn wanted(&self, cost: Units) -> Units {
        match self.method {
            Method::Count => cost,
            Method::Latency | Method::Concurrency => 1,
        }
    }

    #[inline]
    pub(super) fn admits(&self, words: &[u64], at: Moment, cost: Units) -> bool {
        let mut missing = self.wanted(cost);
        if missing == 0 {
            return self.is_out_of_debt(words, at);
        }
        self.buckets.iter().any(|bucket| {
            missing = missing.saturating_sub(bucket.room(words, at));
            missing == 0
        })
    }

    /// Did a request pass that left this when it paid what was due?
    #[inline(always)]
    pub(super) fn has_admitted(&self, left: &Left, words: &[u64], at: Moment, cost: Units) -> bool {
        if cost == 0 && self.method == Method::Count {
            return self.is_out_of_debt(words, at);
        }
        self.has_admitted_cost(left)
    }

    /// The same of a request that costs something.
    #[inline(always)]
    pub(super) fn has_admitted_cost(&self, left: &Left) -> bool {
        // A latency limit is paid when the work is done.
        left.unpaid == 0 && (left.room > 0 || self.method != Method::Latency)
    }

    /// Does a request pass that pays nothing?
    #[cold]
    pub(super) fn is_out_of_debt(&self, words: &[u64], at: Moment) -> bool {
        self.buckets.iter().any(|bucket| bucket.bucket.fits(bucket.of(words), at, 0))
    }

    /// What an admitted request pays at once.
    #[inline]
    pub(super) fn due(&self, cost: Units) -> Units {
        let (mask, fixed) = self.due;
        cost & mask | fixed
    }

    /// Does no waiting help? Of rates that do not grow.
    #[inline]
    pub(super) fn never_fits(&self, words: &[u64], at: Moment, cost: Units) -> bool {
        let outlasts = || self.buckets.iter().any(|bucket| bucket.bucket.may_outlast_time());
        self.wanted(cost) > self.capacity || (outlasts() && self.wait(words, at, cost) == NEVER)
    }

    /// Nanoseconds until the request passes this limit; of permits a nominal advice, at most.
    pub(super) fn wait(&self, words: &[u64], at: Moment, cost: Units) -> u64 {
        let wanted = self.wanted(cost);
        if wanted > self.capacity_now(words, at) {
            return NEVER;
        }
        if let [bucket] = self.buckets.as_slice() {
            let wait = bucket.wait_for(words, at, wanted);
            return match self.method {
                // One may come back any time, long before the oldest is reclaimed.
                Method::Concurrency => wait.min(NOMINAL_WAIT),
                _ => wait,
            };
        }
        if wanted <= 1 {
            let waits = self.buckets.iter().map(|bucket| bucket.wait_for(words, at, wanted));
            return waits.min().unwrap_or(NEVER);
        }
        if self.admits(words, at, cost) {
            0
        } else if self.grows {
            self.wait_for_growing_sum(words, at, wanted)
        } else {
            self.wait_for_sum(words, at, wanted)
        }
    }

    /// As `wait_for_sum` where rooms also become less, when a rate that grew shrinks: between two such times they
    /// only grow.
    #[cold]
    fn wait_for_growing_sum(&self, words: &[u64], at: Moment, wanted: Units) -> u64 {
        let fits = |span: u64| self.room(words, at.after(span)) >= wanted;
        let mut begin = 0;
        loop {
            let now = at.after(begin);
            let losses = self.buckets.iter().filter_map(|bucket| bucket.next_loss(words, now));
            let loss = losses.min();
            let most = loss.map_or_else(|| self.refilled_after(words, now), |loss| loss - 1);
            let end = begin.saturating_add(most);
            if fits(end) {
                let (mut early, mut late) = (begin, end);
                while early < late {
                    let middle = early + (late - early) / 2;
                    if fits(middle) { late = middle } else { early = middle + 1 }
                }
                return late;
            }
            match loss {
                Some(loss) => begin += loss,
                None => return NEVER,
            }
        }
    }

    /// The first nanosecond at which the rooms add up; without use, rooms only grow. A fixed window's
    /// room changes at its end alone, so that no calendar is asked about the future.
    pub(super) fn wait_for_sum(&self, words: &[u64], at: Moment, wanted: Units) -> u64 {
        let now: Vec<(u64, Units)> = self
            .buckets
            .iter()
            .map(|bucket| (bucket.refilled_after(words, at), bucket.room(words, at)))
            .collect();
        let room_after = |span: u64| {
            sum(self.buckets.iter().zip(&now).map(|(bucket, &(full_after, room))| {
                match span >= full_after {
                    true => bucket.bucket.capacity(),
                    false if bucket.bucket.is_fixed_window() => room,
                    false => bucket.room(words, at.after(span)),
                }
            }))
        };
        let (mut early, mut late) = (0, now.iter().map(|&(span, _)| span).max().unwrap_or(0));
        while early < late {
            let middle = early + (late - early) / 2;
            if room_after(middle) >= wanted {
                late = middle;
            } else {
                early = middle + 1;
            }
        }
        late
    }

    /// The quota that holds now.
    #[inline(always)]
    pub(crate) fn quota_now(&self, words: &[u64], at: Moment) -> Units {
        if !self.grows { self.quota } else { self.grown_quota(words, at) }
    }

    /// Most that can be spent at once now.
    #[inline(always)]
    pub(super) fn capacity_now(&self, words: &[u64], at: Moment) -> Units {
        if !self.grows { self.capacity } else { self.grown_capacity(words, at) }
    }

    // Out of line, so that what does not grow keeps its registers.
    #[inline(never)]
    fn grown_quota(&self, words: &[u64], at: Moment) -> Units {
        sum(self.buckets.iter().map(|bucket| bucket.bucket.quota_now(bucket.of(words), at)))
    }

    #[inline(never)]
    fn grown_capacity(&self, words: &[u64], at: Moment) -> Units {
        sum(self.buckets.iter().map(|bucket| bucket.bucket.capacity_now(bucket.of(words), at)))
    }

    /// Is it a cascade of counts, whose later buckets are there for bursts?
    #[inline]
    pub(super) fn has_pool(&self) -> bool {
        self.pool
    }

    #[inline]
    pub(super) fn later_room(&self, words: &[u64], at: Moment) -> Units {
        sum(self.buckets[1..].iter().map(|bucket| bucket.room(words, at)))
    }

    /// Nanoseconds until all that can be spent at once can be.
    pub(super) fn refilled_after(&self, words: &[u64], at: Moment) -> u64 {
        let spans = self.buckets.iter().map(|bucket| bucket.refilled_after(words, at));
        spans.max().unwrap_or(0)
    }

    /// As [`PlannedLimit::charge`]; notes which thresholds that passed.
    #[cold]
    pub(super) fn charge_noted(
        &self,
        words: &mut [u64],
        at: Moment,
        units: Units,
        notes: &mut Notes,
    ) {
        let used = |words: &[u64]| sum(self.buckets.iter().map(|bucket| bucket.used(words, at)));
        let before = used(words);
        self.charge(words, at, units);
        let now = used(words);
        notes.used(self, self.capacity_now(words, at), now, now.saturating_sub(before));
    }

    pub(super) fn full_after(&self, words: &[u64], at: Moment) -> u64 {
        let spans = self.buckets.iter().map(|bucket| bucket.full_after(words, at));
        spans.max().unwrap_or(0)
    }

    /// Spreads units over the buckets in order, each paying what it has room for; tells `payer` of each
    /// part.
    #[inline(always)]
    pub(super) fn pay(
        &self,
        words: &mut [u64],
        at: Moment,
        due: Units,
        mut payer: impl FnMut(usize, Units, &[u64]),
    ) -> Left {
        let mut left = Left { unpaid: due, ..Left::NONE };
        for (position, bucket) in self.buckets.iter().enumerate() {
            let Paid { paid, room, full_after } =
                bucket.bucket.pay(bucket.of_mut(words), at, left.unpaid);
            if paid > 0 {
                payer(position, paid, words);
            }
            left.unpaid -= paid;
            left.room = left.room.saturating_add(room);
            left.later = if position > 0 { left.later.saturating_add(room) } else { 0 };
            left.full_after = left.full_after.max(full_after);
        }
        left
    }

    /// As [`PlannedLimit::pay`]; returns only what no bucket had room for.
    #[inline]
    pub(super) fn spend(&self, words: &mut [u64], at: Moment, due: Units) -> Units {
        let mut unpaid = due;
        for bucket in &self.buckets {
            if unpaid == 0 {
                break;
            }
            unpaid -= bucket.bucket.spend(bucket.of_mut(words), at, unpaid);
        }
        unpaid
    }

    /// A late charge: what has no room is debt of the bucket that has room first.
    #[inline]
    pub(super) fn charge(&self, words: &mut [u64], at: Moment, units: Units) {
        match self.spend(words, at, units) {
            0 => {}
            debt => self.overdraw(words, at, debt),
        }
    }

    #[cold]
    fn overdraw(&self, words: &mut [u64], at: Moment, debt: Units) {
        let first = self.buckets.iter().min_by_key(|bucket| bucket.wait_for(words, at, 1));
        if let Some(bucket) = first {
            bucket.bucket.charge(bucket.of_mut(words), at, debt);
        }
    }

    /// Gives back to the bucket that pays now, then to the earlier ones in reverse (they paid
    /// before it), then to the later ones.
    pub(super) fn refund(&self, words: &mut [u64], at: Moment, units: Units) {
        let last = self.buckets.len() - 1;
        let paying = self.buckets.iter().position(|bucket| bucket.room(words, at) > 0);
        let paying = paying.unwrap_or(last);
        let mut left = units;
        for index in (0..=paying).rev().chain(paying + 1..=last) {
            let bucket = &self.buckets[index];
            left -= bucket.bucket.refund(bucket.of_mut(words), at, left, None);
        }
    }
}

/// Thirty-two budgets of 2^59 ns would just not fit.
#[inline]
pub(super) fn sum(units: impl Iterator<Item = Units>) -> Units {
    units.fold(0, Units::saturating_add)
}

#[inline]
pub(super) fn admission(
    terms: &'static Terms,
    limit: Units,
    remaining: Units,
    reset_after: u64,
    at: Moment,
) -> Decision {
    let numbers = Numbers { reason: Reason::Ok, limit, remaining, retry_after: 0, reset_after };
    Decision::new(terms, numbers, at.wall.as_nanos())
}

#[inline]
pub(super) fn denial(
    terms: &'static Terms,
    limit: Units,
    remaining: Units,
    retry_after: u64,
    reset_after: u64,
    at: Moment,
) -> Decision {
    let reason = if retry_after == NEVER { Reason::Impossible } else { Reason::Limited };
    let numbers = Numbers { reason, limit, remaining, retry_after, reset_after };
    Decision::new(terms, numbers, at.wall.as_nanos())
}
