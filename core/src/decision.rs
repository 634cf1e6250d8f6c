//! The answer to one request. Plain data; denial is a value.

use std::time::Duration;

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
    /// The name of the limit; empty for a blocked key.
    pub name: &'static str,
}

impl Decision {
    /// The answer to a key that stays blocked for `left` nanoseconds.
    pub(crate) fn blocked(left: u64) -> Decision {
        let left = Duration::from_nanos(left);
        Decision {
            allowed: false,
            reason: Reason::Blocked,
            limit: 0,
            remaining: 0,
            retry_after: left,
            reset_after: left,
            name: "",
        }
    }
}
