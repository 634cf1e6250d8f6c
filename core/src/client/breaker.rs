//! The breaker: after failures that no retry fixes, nothing is sent for a while, and everybody is told why.

use std::fmt;

/// Why the breaker opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerReason {
    /// The credential was refused.
    Authentication {
        /// The status of the last answer (401 or 403); 0 when the host gave none.
        status: u16,
        /// So many times in a row.
        failures: u32,
    },
    /// Calls failed: given up after every retry was refused, or called failed by the host.
    Failures {
        /// So many in a row.
        failures: u32,
    },
}

impl BreakerReason {
    /// The word used in every host: `authentication` or `failures`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            BreakerReason::Authentication { .. } => "authentication",
            BreakerReason::Failures { .. } => "failures",
        }
    }
}

impl fmt::Display for BreakerReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BreakerReason::Authentication { status, failures } => {
                f.write_str("authentication failed")?;
                if *status != 0 {
                    write!(f, " with status {status}")?;
                }
                if *failures > 1 {
                    write!(f, ", {failures} times in a row")?;
                }
                f.write_str("; check the credential")
            }
            BreakerReason::Failures { failures: 1 } => f.write_str("a call failed"),
            BreakerReason::Failures { failures } => write!(f, "{failures} calls failed in a row"),
        }
    }
}

/// How many failures in a row open it; 0: none do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thresholds {
    pub(super) unauthorized: u32,
    pub(super) forbidden: u32,
    pub(super) failures: u32,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Unauthorized,
    Forbidden,
    Failed,
}

#[derive(Debug)]
pub(super) struct Breaker {
    thresholds: Thresholds,
    /// ns for which it stays open.
    cooldown: u64,
    unauthorized: u32,
    forbidden: u32,
    failures: u32,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    reason: BreakerReason,
    /// When one call is let through.
    until: u64,
}

impl Breaker {
    pub(super) fn new(thresholds: Thresholds, cooldown: u64) -> Breaker {
        Breaker { thresholds, cooldown, unauthorized: 0, forbidden: 0, failures: 0, open: None }
    }

    /// Does nothing stand in a call's way, and has nothing failed of late?
    #[inline]
    pub(super) fn is_calm(&self) -> bool {
        self.open.is_none() && self.unauthorized | self.forbidden | self.failures == 0
    }

    /// Has it opened, and not closed again? After its time one call may try: it is half open.
    pub(super) fn is_tripped(&self) -> bool {
        self.open.is_some()
    }

    /// Why nothing may be sent, and for how many ns from now; `None`: calls may go, or one may try.
    pub(super) fn refuses(&self, now: u64) -> Option<(&BreakerReason, u64)> {
        let open = self.open.as_ref().filter(|open| now < open.until)?;
        Some((&open.reason, open.until - now))
    }

    /// The server answered as it should; did the breaker close by it?
    pub(super) fn succeed(&mut self) -> bool {
        (self.unauthorized, self.forbidden, self.failures) = (0, 0, 0);
        self.open.take().is_some()
    }

    /// A failure; why the breaker opened by it, if it did.
    pub(super) fn fail(
        &mut self,
        failure: Failure,
        status: u16,
        now: u64,
    ) -> Option<BreakerReason> {
        let Thresholds { unauthorized, forbidden, failures } = self.thresholds;
        let (count, threshold) = match failure {
            Failure::Unauthorized => (&mut self.unauthorized, unauthorized),
            Failure::Forbidden => (&mut self.forbidden, forbidden),
            Failure::Failed => (&mut self.failures, failures),
        };
        *count = count.saturating_add(1);
        let failures = *count;
        // Half open: whoever was let through to see has seen.
        let opens = match &self.open {
            Some(open) => threshold != 0 && now >= open.until,
            None => threshold != 0 && failures >= threshold,
        };
        if !opens {
            return None;
        }
        let reason = match failure {
            Failure::Failed => BreakerReason::Failures { failures },
            _ => BreakerReason::Authentication { status, failures },
        };
        self.open = Some(Open { reason: reason.clone(), until: now.saturating_add(self.cooldown) });
        Some(reason)
    }
}
