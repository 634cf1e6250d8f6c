//! What a decision says over HTTP: its status, headers and bodies. Written once, for all hosts.
//!
//! The fields `RateLimit-Policy` and `RateLimit` and the problem type are those of
//! draft-ietf-httpapi-ratelimit-headers-11 (23 May 2026). What each number means, and examples, are in docs/http.md.

mod body;
mod headers;

pub use body::{Body, BodyStyle};
#[doc(hidden)]
pub use headers::FieldValue;
pub use headers::{HeaderStyle, Headers};

use crate::decision::{Decision, NEVER, Reason};
use crate::error::Error;
use crate::rate::{Method, SECOND};

/// Time is told in milliseconds: in seconds small budgets vanish, in nanoseconds nobody reads them.
const MILLISECOND: u64 = 1_000_000;

impl Decision {
    /// The status of the response: 429 (Too Many Requests) for a denial. An admitted request has none from here;
    /// 200 stands for it.
    ///
    /// A blocked key gets 429 as well: its block ends by itself, clients know from `Retry-After` when, and a 403 they
    /// would not try again.
    ///
    /// ```
    /// let limiter = tidegate::Limiter::new("1/minute")?;
    /// assert_eq!(limiter.acquire("user:42", 1)?.status(), 200);
    /// assert_eq!(limiter.acquire("user:42", 1)?.status(), 429);
    /// # Ok::<(), tidegate::Error>(())
    /// ```
    pub fn status(&self) -> u16 {
        if self.allowed() { 200 } else { 429 }
    }
}

/// The numbers of a decision as HTTP tells them. Amounts are units (count), permits (concurrency) or whole
/// milliseconds, rounded down (latency); times are whole seconds, rounded up.
struct Figures {
    limit: u64,
    remaining: u64,
    /// The same of a cascade's first bucket; what the others have is the pool.
    first_limit: u64,
    first_remaining: u64,
    /// A pool is one of requests, whatever the limit counts.
    burst: Option<u64>,
    /// Until the limit is full again.
    reset_after: Option<u64>,
    /// When the limit is full again, since the Unix epoch.
    reset_at: u64,
    /// Of denials that waiting ends; at least 1.
    retry_after: Option<u64>,
}

impl Figures {
    fn of(decision: &Decision) -> Figures {
        let unit = match decision.method() {
            Method::Latency => MILLISECOND,
            Method::Count | Method::Concurrency => 1,
        };
        let (first_limit, first_remaining) = decision.first_bucket();
        Figures {
            limit: decision.limit() / unit,
            remaining: decision.remaining() / unit,
            first_limit: first_limit / unit,
            first_remaining: first_remaining / unit,
            // A pool is one of requests, whatever the limit that the others speak of counts.
            burst: decision.burst_remaining(),
            reset_after: Some(decision.reset_after_ns()).filter(|&span| span != NEVER).map(seconds),
            reset_at: reset_at(decision.made_at().as_nanos(), decision.reset_after_ns()),
            retry_after: retry_after(decision),
        }
    }
}

/// Whole seconds since the Unix epoch, rounded up.
fn reset_at(made_at: u64, reset_after: u64) -> u64 {
    match made_at.checked_add(reset_after) {
        Some(at) => seconds(at),
        // The sum of two u64 in seconds fits a u64 again. Apart, for a division of 128 bits takes long.
        None => (u128::from(made_at) + u128::from(reset_after)).div_ceil(SECOND.into()) as u64,
    }
}

fn retry_after(decision: &Decision) -> Option<u64> {
    let waits = !decision.allowed()
        && decision.reason() != Reason::Impossible
        && decision.retry_after_ns() != NEVER;
    // 0 would be an invitation to try at once.
    waits.then(|| seconds(decision.retry_after_ns()).max(1))
}

/// The limit that a decision speaks of; a block and an exemption have none.
fn limit_of(decision: &Decision) -> Option<&'static str> {
    let by_limit = match decision.reason() {
        Reason::Ok | Reason::Limited | Reason::Impossible => true,
        Reason::Blocked | Reason::Bypass => false,
    };
    Some(decision.name()).filter(|name| by_limit && !name.is_empty())
}

/// Whole seconds, rounded up: whoever waits that long has waited long enough.
const fn seconds(nanos: u64) -> u64 {
    nanos.div_ceil(SECOND)
}

fn no_such_style(style: &str, right: &str) -> Error {
    Error::argument("style", format!("unknown style {style:?}"), format!("give {right}"))
}

/// The program of the guide is run with the examples of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../../docs/http.md")]
mod guide {}

#[cfg(test)]
mod tests;
