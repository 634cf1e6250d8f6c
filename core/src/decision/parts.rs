//! A decision taken apart and put together again: for hosts that send one to another process, where the limit that it
//! speaks of may not be known.

use super::{Decision, Numbers, Reason};
use crate::names::Name;
use crate::rate::Method;
use crate::terms::Terms;
use crate::time::Timestamp;

/// All that a decision is made of.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecisionParts<'a> {
    /// As [`Decision::reason`].
    pub reason: Reason,
    /// As [`Decision::limit`].
    pub limit: u64,
    /// As [`Decision::remaining`].
    pub remaining: u64,
    /// As [`Decision::retry_after_ns`].
    pub retry_after_ns: u64,
    /// As [`Decision::reset_after_ns`].
    pub reset_after_ns: u64,
    /// As [`Decision::made_at`].
    pub made_at: Timestamp,
    /// As [`Decision::burst_remaining`].
    pub burst_remaining: Option<u64>,
    /// As [`Decision::shadow`]; empty: none.
    pub shadow: &'a str,
    /// As [`Decision::name`].
    pub name: &'a str,
    /// As [`Decision::plan`]; empty: none.
    pub plan: &'a str,
    /// As [`Decision::method`].
    pub method: Method,
    /// As [`Decision::window`]; 0: none.
    pub window_ns: u64,
    /// Of a cascade, the quotas after the first; 0: it is none.
    pub later_quota: u64,
    /// The words for a denial, whether or not this is one; empty: none.
    pub message: &'a str,
    /// The advice for a denial, whether or not this is one.
    pub closes: bool,
}

impl Decision {
    /// Takes it apart.
    #[doc(hidden)]
    pub fn parts(&self) -> DecisionParts<'static> {
        let Terms { name, plan, method, window, later_quota, message, close } = *self.terms;
        DecisionParts {
            reason: self.reason,
            limit: self.limit,
            remaining: self.remaining,
            retry_after_ns: self.retry_after,
            reset_after_ns: self.reset_after,
            made_at: self.made_at(),
            burst_remaining: self.burst_remaining(),
            shadow: self.shadow.as_str(),
            name: name.as_str(),
            plan: plan.as_str(),
            method,
            window_ns: window,
            later_quota,
            message: message.as_str(),
            closes: close,
        }
    }

    /// Puts it together. Its texts are kept for the life of the process, as those of policies are.
    #[doc(hidden)]
    pub fn from_parts(parts: DecisionParts<'_>) -> Decision {
        let terms = Terms {
            name: Name::intern(parts.name),
            plan: Name::intern(parts.plan),
            method: parts.method,
            window: parts.window_ns,
            later_quota: parts.later_quota,
            message: Name::intern(parts.message),
            close: parts.closes,
        };
        let numbers = Numbers {
            reason: parts.reason,
            limit: parts.limit,
            remaining: parts.remaining,
            retry_after: parts.retry_after_ns,
            reset_after: parts.reset_after_ns,
        };
        Decision::new(terms.intern(), numbers, parts.made_at.as_nanos())
            .with_burst(parts.burst_remaining)
            .with_shadow(Name::intern(parts.shadow))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use crate::{BodyStyle, Decision, HeaderStyle, Limiter, Timestamp};

    const POLICY: &str = r#"
        [[limit]]
        name    = "pooled"
        message = "Slow down."
        close   = true
        cascade = ["2/minute", { rate = "1/second", burst = 3 }]

        [[limit]]
        name   = "sooner"
        shadow = true
        rate   = "1/minute"
    "#;

    #[test]
    fn what_is_put_together_says_the_same() {
        let limiter = Limiter::new(POLICY).unwrap();
        let now = Timestamp::from_secs(1_700_000_000);
        limiter.block_at("blocked", std::time::Duration::from_secs(5), now).unwrap();
        for (key, cost) in [("a", 1), ("a", 2), ("a", 3), ("a", 99), ("blocked", 1)] {
            let decision = limiter.acquire_at(key, cost, now).unwrap();
            let again = Decision::from_parts(decision.parts());
            assert_eq!(again, decision);
            assert_eq!(again.parts(), decision.parts());
            assert_eq!(again.made_at(), now);
            assert_eq!(again.headers(HeaderStyle::Both), decision.headers(HeaderStyle::Both));
            assert_eq!(again.body(BodyStyle::Error), decision.body(BodyStyle::Error));
            assert_eq!((again.closes(), again.message()), (decision.closes(), decision.message()));
        }
    }
}
