//! What an answer means to the pacer.

use super::headers::ServerLimits;

/// What an answer means. The default is [`classify`]; hosts may say otherwise for each answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// It is handed on: a success, or an error that is the caller's own business.
    Passed,
    /// The server limits us: the call is tried again, and everybody who shares the pacer waits.
    Limited,
    /// The credential was refused (401): handed on, never tried again; counts towards the breaker.
    Unauthorized,
    /// The credential is good, but not for this (403): as `Unauthorized`, with a count of its own.
    Forbidden,
    /// It failed for the moment: the call is tried again, nobody else waits. Never chosen by default.
    Retry,
    /// It failed: handed on, counts towards the breaker. Never chosen by default.
    Failed,
    /// There is no answer (a connection that broke, an exception): handed on, and says nothing about the server.
    Error,
}

impl Class {
    /// The word used in every host: `passed`, `limited`, `unauthorized`, `forbidden`, `retry`, `failed` or `error`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Class::Passed => "passed",
            Class::Limited => "limited",
            Class::Unauthorized => "unauthorized",
            Class::Forbidden => "forbidden",
            Class::Retry => "retry",
            Class::Failed => "failed",
            Class::Error => "error",
        }
    }

    /// A class by its name, as hosts spell it.
    ///
    /// # Errors
    /// [`Error::is_argument`](crate::Error::is_argument) for any other name.
    pub fn from_name(name: &str) -> crate::Result<Class> {
        const ALL: [Class; 7] = [
            Class::Passed,
            Class::Limited,
            Class::Unauthorized,
            Class::Forbidden,
            Class::Retry,
            Class::Failed,
            Class::Error,
        ];
        ALL.into_iter().find(|class| class.as_str() == name).ok_or_else(|| {
            crate::Error::argument(
                "class",
                format!("unknown class {name:?}"),
                "give \"passed\", \"limited\", \"unauthorized\", \"forbidden\", \"retry\", \"failed\" or \"error\"",
            )
        })
    }
}

/// The class of an answer with this status: 429 is [`Class::Limited`], 503 as well when the server says how long to
/// wait, 401 [`Class::Unauthorized`], 403 [`Class::Forbidden`]; all else is [`Class::Passed`].
pub fn classify(status: u16, limits: &ServerLimits) -> Class {
    match status {
        429 => Class::Limited,
        503 if limits.retry_after.is_some() => Class::Limited,
        401 => Class::Unauthorized,
        403 => Class::Forbidden,
        _ => Class::Passed,
    }
}
