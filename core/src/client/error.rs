//! Why a pacer gave a call up.

use std::fmt;
use std::time::Duration;

use super::breaker::BreakerReason;
use crate::error::Error;

/// Why a pacer gave a call up. An answer that is merely handed on (400, 404, 500) is no such error.
///
/// The kinds are told apart by predicates, or by matching.
#[derive(Debug)]
#[non_exhaustive]
pub enum PacerError {
    /// The server refused every attempt.
    RetriesExhausted {
        /// Attempts that were made, the first one included.
        attempts: u32,
        /// The label of the call; may be empty.
        label: String,
        /// The status of the last answer; 0 when the host gave none.
        status: u16,
    },
    /// The server wants a longer wait than `max_retry_after`.
    RetryAfterTooLong {
        /// How long it wants us to wait, from now.
        delay: Duration,
        /// The longest wait that the options allow.
        max: Duration,
        /// The label of the call; may be empty.
        label: String,
        /// Attempts that were made; 0: others were told, and this call was not sent.
        attempts: u32,
    },
    /// The call's `deadline` has passed, or would pass before the next attempt.
    DeadlineExceeded {
        /// Attempts that were made.
        attempts: u32,
        /// The label of the call; may be empty.
        label: String,
    },
    /// The breaker is open: nothing is sent.
    BreakerOpen {
        /// Why it opened.
        reason: BreakerReason,
        /// When one call is let through to see, from now.
        retry_after: Duration,
    },
    /// The cost can never fit a limit: no waiting helps.
    Impossible {
        /// Name of the limit; empty when none has one.
        limit: String,
        /// The cost of the call.
        cost: u64,
    },
    /// The pacer was closed.
    Closed,
    /// The limiter refused the call itself: an attribute is missing or wrong.
    Limiter(Error),
}

impl PacerError {
    /// The word used in every host: `retries_exhausted`, `retry_after_too_long`, `deadline_exceeded`, `breaker_open`,
    /// `impossible`, `closed` or `limiter`.
    pub const fn kind(&self) -> &'static str {
        match self {
            PacerError::RetriesExhausted { .. } => "retries_exhausted",
            PacerError::RetryAfterTooLong { .. } => "retry_after_too_long",
            PacerError::DeadlineExceeded { .. } => "deadline_exceeded",
            PacerError::BreakerOpen { .. } => "breaker_open",
            PacerError::Impossible { .. } => "impossible",
            PacerError::Closed => "closed",
            PacerError::Limiter(_) => "limiter",
        }
    }

    /// With the label and the attempts of the call that it is about.
    pub(super) fn of_call(mut self, name: &str, made: u32) -> PacerError {
        match &mut self {
            PacerError::RetriesExhausted { attempts, label, .. }
            | PacerError::RetryAfterTooLong { attempts, label, .. }
            | PacerError::DeadlineExceeded { attempts, label } => {
                *attempts = made;
                name.clone_into(label);
            }
            _ => {}
        }
        self
    }

    /// Did the server refuse every attempt?
    pub fn is_retries_exhausted(&self) -> bool {
        matches!(self, PacerError::RetriesExhausted { .. })
    }

    /// Does the server want a longer wait than allowed?
    pub fn is_retry_after_too_long(&self) -> bool {
        matches!(self, PacerError::RetryAfterTooLong { .. })
    }

    /// Has the deadline passed, or would it?
    pub fn is_deadline_exceeded(&self) -> bool {
        matches!(self, PacerError::DeadlineExceeded { .. })
    }

    /// Is the breaker open?
    pub fn is_breaker_open(&self) -> bool {
        matches!(self, PacerError::BreakerOpen { .. })
    }

    /// Can the cost never fit?
    pub fn is_impossible(&self) -> bool {
        matches!(self, PacerError::Impossible { .. })
    }

    /// Was the pacer closed?
    pub fn is_closed(&self) -> bool {
        matches!(self, PacerError::Closed)
    }

    /// Attempts that were made, where the error tells.
    pub fn attempts(&self) -> Option<u32> {
        match self {
            PacerError::RetriesExhausted { attempts, .. }
            | PacerError::RetryAfterTooLong { attempts, .. }
            | PacerError::DeadlineExceeded { attempts, .. } => Some(*attempts),
            _ => None,
        }
    }

    /// The label of the call, where the error tells; may be empty.
    pub fn label(&self) -> &str {
        match self {
            PacerError::RetriesExhausted { label, .. }
            | PacerError::RetryAfterTooLong { label, .. }
            | PacerError::DeadlineExceeded { label, .. } => label,
            _ => "",
        }
    }

    /// After which time a new call may succeed, from when the error was made.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            PacerError::RetryAfterTooLong { delay, .. } => Some(*delay),
            PacerError::BreakerOpen { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }
}

impl fmt::Display for PacerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PacerError::RetriesExhausted { attempts, label, status } => {
                let label = Labelled(label);
                match attempts {
                    1 => write!(f, "{label}refused in its only attempt")?,
                    _ => write!(f, "{label}refused in all {attempts} attempts, the last")?,
                }
                match status {
                    0 => f.write_str(" without a status"),
                    _ => write!(f, " with status {status}"),
                }
            }
            PacerError::RetryAfterTooLong { delay, max, label, .. } => write!(
                f,
                "{}the server asks for a wait of {delay:?}, longer than max_retry_after ({max:?})",
                Labelled(label)
            ),
            PacerError::DeadlineExceeded { attempts, label } => {
                write!(f, "{}no time left before the deadline", Labelled(label))?;
                match attempts {
                    0 => f.write_str(" for a first attempt"),
                    1 => f.write_str(" after one attempt"),
                    _ => write!(f, " after {attempts} attempts"),
                }
            }
            PacerError::BreakerOpen { reason, retry_after } => {
                write!(f, "nothing is sent for {retry_after:?}: {reason}")
            }
            PacerError::Impossible { limit, cost } if limit.is_empty() => {
                write!(f, "cost: {cost} can never be admitted; give a smaller one")
            }
            PacerError::Impossible { limit, cost } => {
                write!(f, "cost: {cost} can never fit the limit {limit:?}; give a smaller one")
            }
            PacerError::Closed => f.write_str("the pacer is closed"),
            PacerError::Limiter(error) => error.fmt(f),
        }
    }
}

/// A label before a message.
struct Labelled<'a>(&'a str);

impl fmt::Display for Labelled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "{}: ", self.0) }
    }
}

impl std::error::Error for PacerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            PacerError::Limiter(error) => Some(error),
            _ => None,
        }
    }
}
