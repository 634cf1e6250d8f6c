//! The answer to one request. Plain data; denial is a value.

mod parts;

use std::fmt;
use std::ptr;
use std::time::Duration;

pub use parts::DecisionParts;

use crate::names::Name;
use crate::rate::Method;
use crate::terms::Terms;
use crate::time::Timestamp;

/// Why a request was admitted or denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Reason {
    /// Admitted.
    Ok = 0,
    /// A limit has no room now; it will have after `retry_after`.
    Limited = 1,
    /// The operator blocked the key until `retry_after` has passed.
    Blocked = 2,
    /// Admitted without being counted.
    Bypass = 3,
    /// The cost is more than a limit can ever hold: no waiting helps.
    Impossible = 4,
}

impl Reason {
    /// May the request go on?
    #[inline]
    pub(crate) const fn admits(self) -> bool {
        matches!(self, Reason::Ok | Reason::Bypass)
    }

    /// The reason with this number.
    const fn numbered(number: u8) -> Option<Reason> {
        Some(match number {
            0 => Reason::Ok,
            1 => Reason::Limited,
            2 => Reason::Blocked,
            3 => Reason::Bypass,
            4 => Reason::Impossible,
            _ => return None,
        })
    }

    /// The word used in every host: `ok`, `limited`, `blocked`, `bypass` or `impossible`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::Ok => "ok",
            Reason::Limited => "limited",
            Reason::Blocked => "blocked",
            Reason::Bypass => "bypass",
            Reason::Impossible => "impossible",
        }
    }
}

/// The answer to one request.
///
/// `limit`, `remaining` and `reset_after` are those of the limit that decides: of a denied
/// request the one with the longest wait, of an admitted one the tightest (the smallest share
/// of its capacity left). Units are requests × cost for count limits, nanoseconds for latency
/// limits and permits for concurrency limits.
// The layout is that of C's struct, so that a decision is written once, where its reader finds it: a copy in pieces of
// another size than the fields were written in costs more than the decision itself.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Decision {
    /// C's struct_size; nothing to Rust.
    size: u32,
    allowed: bool,
    reason: Reason,
    reserved: u16,
    limit: u64,
    remaining: u64,
    /// `NEVER`: no waiting helps.
    retry_after: u64,
    reset_after: u64,
    name: Name,
    terms: &'static Terms,
    /// When it was made, by the wall clock, in ns.
    now: u64,
    /// `NONE`: no limit has one.
    burst_remaining: u64,
    /// Empty: there is none.
    shadow: Name,
}

/// No such number.
const NONE: u64 = u64::MAX;

/// No waiting helps.
pub(crate) const NEVER: u64 = u64::MAX;

/// What a decision is made of, but its terms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    pub(crate) reason: Reason,
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
    pub(crate) retry_after: u64,
    pub(crate) reset_after: u64,
}

impl Decision {
    /// To be written over.
    pub(crate) const NONE: Decision = Decision::new(
        Terms::NO_LIMIT,
        Numbers { reason: Reason::Blocked, limit: 0, remaining: 0, retry_after: 0, reset_after: 0 },
        0,
    );

    #[inline(always)]
    pub(crate) const fn new(terms: &'static Terms, numbers: Numbers, now: u64) -> Decision {
        Decision {
            size: size_of::<Decision>() as u32,
            allowed: numbers.reason.admits(),
            reason: numbers.reason,
            reserved: 0,
            limit: numbers.limit,
            remaining: numbers.remaining,
            retry_after: numbers.retry_after,
            reset_after: numbers.reset_after,
            name: terms.name,
            terms,
            now,
            burst_remaining: NONE,
            shadow: Name::EMPTY,
        }
    }

    /// With what is left of a cascade's later buckets.
    pub(crate) fn with_burst(self, burst_remaining: Option<u64>) -> Decision {
        Decision { burst_remaining: burst_remaining.unwrap_or(NONE), ..self }
    }

    /// With the name of a limit in shadow that would have denied.
    pub(crate) fn with_shadow(self, shadow: Name) -> Decision {
        Decision { shadow, ..self }
    }

    /// The same, moved field by field: a copy in pieces of another size than the fields were just written in waits
    /// for the writes, longer than all else in a decision takes.
    #[inline(always)]
    pub(crate) fn moved(&self) -> Decision {
        macro_rules! field {
            ($name:ident) => {
                // SAFETY: a reference to the field. Volatile: not to be made one load with its neighbours'.
                unsafe { (&raw const self.$name).read_volatile() }
            };
        }
        Decision {
            size: self.size,
            allowed: self.allowed,
            reason: self.reason,
            reserved: 0,
            limit: field!(limit),
            remaining: field!(remaining),
            retry_after: field!(retry_after),
            reset_after: field!(reset_after),
            name: field!(name),
            terms: field!(terms),
            now: field!(now),
            burst_remaining: field!(burst_remaining),
            shadow: field!(shadow),
        }
    }

    /// The answer to a key that stays blocked for `left` nanoseconds.
    pub(crate) fn blocked(left: u64, now: u64) -> Decision {
        Decision { retry_after: left, reset_after: left, now, ..Decision::NONE }
    }

    /// The same limit, but the request does not pass.
    pub(crate) fn turned_down(
        self,
        remaining: u64,
        retry_after: u64,
        reset_after: u64,
    ) -> Decision {
        let Decision { limit, terms, now, .. } = self;
        let reason = Reason::Limited;
        let numbers = Numbers { reason, limit, remaining, retry_after, reset_after };
        Decision::new(terms, numbers, now)
    }

    /// Which limit it tells of, and which in shadow: two addresses that never change, the same for all decisions that
    /// differ in nothing but numbers. For hosts that keep decisions as numbers.
    #[doc(hidden)]
    #[inline(always)]
    pub fn origin(&self) -> (usize, usize) {
        (ptr::from_ref(self.terms).addr(), self.shadow.as_str().as_ptr().addr())
    }

    /// A decision of the same origin with other numbers, as its own calls give them. For hosts that keep decisions as
    /// numbers.
    #[doc(hidden)]
    pub fn with_numbers(
        self,
        reason: Reason,
        [limit, remaining, retry_after, reset_after]: [u64; 4],
        made_at: Timestamp,
        burst_remaining: Option<u64>,
    ) -> Decision {
        let numbers = Numbers { reason, limit, remaining, retry_after, reset_after };
        Decision::new(self.terms, numbers, made_at.as_nanos())
            .with_burst(burst_remaining)
            .with_shadow(self.shadow)
    }

    /// May the request go on?
    #[inline]
    pub fn allowed(&self) -> bool {
        self.allowed
    }

    /// Why.
    #[inline]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The quota of the limit; of a cascade, the sum of its quotas.
    #[inline]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Units left in the limit after this decision; never more than its capacity.
    #[inline]
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// How long to wait until the same request passes; zero when allowed, `Duration::MAX` when
    /// it never will.
    #[inline]
    pub fn retry_after(&self) -> Duration {
        span(self.retry_after)
    }

    /// How long until the limit is full again when nobody uses it.
    #[inline]
    pub fn reset_after(&self) -> Duration {
        span(self.reset_after)
    }

    /// [`retry_after`](Decision::retry_after) in nanoseconds; `u64::MAX` when the request never passes.
    #[inline]
    pub fn retry_after_ns(&self) -> u64 {
        self.retry_after
    }

    /// [`reset_after`](Decision::reset_after) in nanoseconds.
    #[inline]
    pub fn reset_after_ns(&self) -> u64 {
        self.reset_after
    }

    /// The name of the limit; empty for a blocked key. (In memory a NUL byte follows it.)
    #[inline]
    pub fn name(&self) -> &'static str {
        self.name.as_str()
    }

    /// The plan of the request, also when the limit is one of every request; `None` when no limit answers, or the
    /// policy has no plans.
    #[inline]
    pub fn plan(&self) -> Option<&'static str> {
        self.terms.plan.text()
    }

    /// What the limit counts.
    #[inline]
    pub fn method(&self) -> Method {
        self.terms.method
    }

    /// The span in which the limit grants its quota (of a cascade the first bucket's); `None` where there is none:
    /// permits, blocks, exemptions.
    pub fn window(&self) -> Option<Duration> {
        (self.terms.window > 0).then(|| Duration::from_nanos(self.terms.window))
    }

    /// Has the limit several buckets, of which [`window`](Decision::window) is the first one's?
    pub(crate) fn of_cascade(&self) -> bool {
        self.terms.later_quota > 0
    }

    /// When it was made, as a clock on the wall shows it.
    pub fn made_at(&self) -> Timestamp {
        Timestamp::clamped(self.now)
    }

    /// Quota and room of the first bucket alone, of a cascade of counts; of other limits those of the whole.
    pub(crate) fn first_bucket(&self) -> (u64, u64) {
        let pool = self.burst_remaining().filter(|_| self.method() == Method::Count);
        match pool.filter(|_| self.of_cascade()) {
            Some(pool) => (
                self.limit.saturating_sub(self.terms.later_quota),
                self.remaining.saturating_sub(pool),
            ),
            None => (self.limit, self.remaining),
        }
    }

    /// Units left in the later buckets of a cascade, such as a pool for bursts: of the limit that decides, else
    /// of the first cascade that the request met; `None` when it met none.
    pub fn burst_remaining(&self) -> Option<u64> {
        (self.burst_remaining != NONE).then_some(self.burst_remaining)
    }

    /// The name of a limit in shadow that would have denied the request.
    pub fn shadow(&self) -> Option<&'static str> {
        self.shadow.text()
    }

    /// The words that the policy has for a denial by this limit.
    pub fn message(&self) -> Option<&'static str> {
        if self.allowed { None } else { self.terms.message.text() }
    }

    /// Does the policy advise to close the connection after this denial?
    pub fn closes(&self) -> bool {
        !self.allowed && self.terms.close
    }
}

/// What C keeps of a decision, in memory that it may write to.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct RawDecision {
    pub reason: u8,
    pub limit: u64,
    pub remaining: u64,
    pub retry_after_ns: u64,
    pub reset_after_ns: u64,
    /// [`Decision::terms_address`].
    pub terms: usize,
    pub now_ns: u64,
    /// `u64::MAX`: none.
    pub burst_remaining: u64,
}

impl Decision {
    /// Where the terms of the limit are kept for the life of the process: for [`RawDecision`].
    #[doc(hidden)]
    #[inline(always)]
    pub fn terms_address(&self) -> *const () {
        std::ptr::from_ref(self.terms).cast()
    }

    /// [`shadow`](Decision::shadow), empty when there is none. (In memory a NUL byte follows it.)
    #[doc(hidden)]
    #[inline(always)]
    pub fn shadow_name(&self) -> &'static str {
        self.shadow.as_str()
    }

    /// The decision again, but for its shadow; `None` when it was never one. Any numbers are safe.
    #[doc(hidden)]
    pub fn from_raw(raw: RawDecision) -> Option<Decision> {
        let RawDecision { limit, remaining, .. } = raw;
        let (retry_after, reset_after) = (raw.retry_after_ns, raw.reset_after_ns);
        let reason = Reason::numbered(raw.reason)?;
        let terms = Terms::at(raw.terms)?;
        let numbers = Numbers { reason, limit, remaining, retry_after, reset_after };
        let burst = Some(raw.burst_remaining).filter(|&left| left != NONE);
        Some(Decision::new(terms, numbers, raw.now_ns).with_burst(burst))
    }
}

/// The same answer, whenever it was made.
impl PartialEq for Decision {
    fn eq(&self, other: &Decision) -> bool {
        let answer = |decision: &Decision| {
            let Decision { reason, limit, remaining, retry_after, reset_after, .. } = *decision;
            let Decision { terms, burst_remaining, shadow, .. } = *decision;
            (reason, limit, remaining, retry_after, reset_after, terms, burst_remaining, shadow)
        };
        answer(self) == answer(other)
    }
}

impl Eq for Decision {}

impl fmt::Debug for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decision")
            .field("allowed", &self.allowed)
            .field("reason", &self.reason)
            .field("limit", &self.limit)
            .field("remaining", &self.remaining)
            .field("retry_after", &self.retry_after())
            .field("reset_after", &self.reset_after())
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// `Duration::MAX`: never.
#[inline]
pub(crate) fn span(nanos: u64) -> Duration {
    if nanos == NEVER { Duration::MAX } else { Duration::from_nanos(nanos) }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Limiter;

    fn raw(decision: &Decision) -> RawDecision {
        RawDecision {
            reason: decision.reason as u8,
            limit: decision.limit,
            remaining: decision.remaining,
            retry_after_ns: decision.retry_after,
            reset_after_ns: decision.reset_after,
            terms: decision.terms_address().addr(),
            now_ns: decision.now,
            burst_remaining: decision.burst_remaining,
        }
    }

    #[test]
    fn what_c_kept_is_the_decision_again_or_nothing() {
        let limiter = Limiter::new("1/hour").unwrap();
        limiter.block("b", Duration::from_secs(9)).unwrap();
        for key in ["a", "a", "b"] {
            let decision = limiter.acquire(key, 1).unwrap();
            let again = Decision::from_raw(raw(&decision)).unwrap();
            assert_eq!((again, again.made_at()), (decision, decision.made_at()));
        }
        let good = raw(&limiter.acquire("c", 1).unwrap());
        for terms in [0, 1, good.terms + 1, good.terms - 8, usize::MAX] {
            assert_eq!(Decision::from_raw(RawDecision { terms, ..good }), None);
        }
        for reason in [5, u8::MAX] {
            assert_eq!(Decision::from_raw(RawDecision { reason, ..good }), None);
        }
    }
}
