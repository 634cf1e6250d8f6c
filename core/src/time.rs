//! Points in time and spans, with checked operations only. Knows no clock.

use std::time::Duration;

use crate::error::{Error, Result};

/// A point in time: nanoseconds since the Unix epoch, up to the year 2116.
///
/// The bound keeps every sum of the algorithms inside 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Timestamp = Timestamp(0);
    /// The last point in time that the engine knows: 2^62 − 1 ns, in the year 2116.
    pub const MAX: Timestamp = Timestamp((1 << 62) - 1);

    /// `nanos` nanoseconds after the Unix epoch.
    ///
    /// # Errors
    /// When the time lies beyond [`Timestamp::MAX`].
    pub fn from_nanos(nanos: u64) -> Result<Timestamp> {
        if nanos > Timestamp::MAX.0 {
            return Err(Error::argument(
                "now",
                format!("{nanos} ns is beyond the year 2116"),
                format!("give nanoseconds since the Unix epoch, at most {}", Timestamp::MAX.0),
            ));
        }
        Ok(Timestamp(nanos))
    }

    /// `seconds` seconds after the Unix epoch; past [`Timestamp::MAX`] it stays there.
    pub const fn from_secs(seconds: u64) -> Timestamp {
        Timestamp::clamped(seconds.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Of a number that is known to be no later than [`Timestamp::MAX`].
    #[inline(always)]
    pub(crate) fn in_range(nanos: u64) -> Timestamp {
        Timestamp(nanos)
    }

    pub(crate) const fn clamped(nanos: u64) -> Timestamp {
        if nanos > Timestamp::MAX.0 { Timestamp::MAX } else { Timestamp(nanos) }
    }

    /// This time plus `span`; past [`Timestamp::MAX`] it stays there.
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Timestamp {
        Timestamp::clamped(self.0.saturating_add(nanos(span)))
    }

    /// This time minus `span`; before the epoch it stays there.
    #[must_use]
    pub fn saturating_sub(self, span: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(nanos(span)))
    }

    /// The time since `earlier`; zero when `earlier` is later.
    pub fn saturating_since(self, earlier: Timestamp) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A span in nanoseconds; more than 584 years become 584 years.
#[inline]
pub(crate) fn nanos(span: Duration) -> u64 {
    let seconds = span.as_secs().saturating_mul(1_000_000_000);
    seconds.saturating_add(u64::from(span.subsec_nanos()))
}
