//! The answer to one request. Plain data; denial is a value.

use std::time::Duration;

use crate::names::Name;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// May the request go on?
    pub allowed: bool,
    /// Why.
    pub reason: Reason,
    /// The quota of the limit; of a cascade, the sum of its quotas.
    pub limit: u64,
    /// Units left in the limit after this decision; never more than its capacity.
    pub remaining: u64,
    /// How long to wait until the same request passes; zero when allowed, `Duration::MAX` when
    /// it never will.
    pub retry_after: Duration,
    /// How long until the limit is full again when nobody uses it.
    pub reset_after: Duration,
    /// The name of the limit; empty for a blocked key. (In memory a NUL byte follows it.)
    pub name: &'static str,
}

/// For bindings, not a part of the interface: a decision in plain numbers of nanoseconds. It is written once, where its reader finds it: copies that are made in
/// pieces of another size than the fields were written in cost more than the decision itself.
///
/// So neighbours here are no neighbours in [`Decision`], nor in C's struct: no two of them are copied as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
#[doc(hidden)]
pub struct Verdict {
    pub remaining: u64,
    pub reset_after: u64,
    pub limit: u64,
    /// `u64::MAX`: no waiting helps.
    pub retry_after: u64,
    pub(crate) name: Name,
    pub reason: Reason,
}

/// No waiting helps.
pub(crate) const NEVER: u64 = u64::MAX;

impl Verdict {
    /// To be written over.
    pub const NONE: Verdict = Verdict {
        limit: 0,
        retry_after: 0,
        remaining: 0,
        reset_after: 0,
        name: Name::EMPTY,
        reason: Reason::Blocked,
    };

    /// The answer to a key that stays blocked for `left` nanoseconds.
    pub(crate) fn blocked(left: u64) -> Verdict {
        Verdict { retry_after: left, reset_after: left, ..Verdict::NONE }
    }

    /// See [`Decision::name`].
    #[inline]
    pub fn name(&self) -> &'static str {
        self.name.as_str()
    }

    #[inline]
    pub fn allowed(&self) -> bool {
        self.reason.admits()
    }
}

impl From<&Verdict> for Decision {
    #[inline(always)]
    fn from(verdict: &Verdict) -> Decision {
        Decision {
            allowed: verdict.allowed(),
            reason: verdict.reason,
            limit: verdict.limit,
            remaining: verdict.remaining,
            retry_after: span(verdict.retry_after),
            reset_after: span(verdict.reset_after),
            name: verdict.name.as_str(),
        }
    }
}

#[inline]
fn span(nanos: u64) -> Duration {
    match nanos {
        // The wait of every admission: a compare is cheaper than a division.
        0 => Duration::ZERO,
        NEVER => Duration::MAX,
        _ => Duration::from_nanos(nanos),
    }
}
