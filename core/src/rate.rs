//! A rate: a quota per period, with an algorithm. Data only; the arithmetic is in `algorithm`.

use jiff::tz::TimeZone;

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// Requests × cost, debited when they are admitted.
    Count,
    /// Time spent, in nanoseconds: checked when a request is admitted, debited when it is done.
    Latency,
    /// Requests in flight, given back when they are done.
    Concurrency,
}

impl Method {
    /// The word used in policies: `count`, `latency` or `concurrency`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Count => "count",
            Method::Latency => "latency",
            Method::Concurrency => "concurrency",
        }
    }
}

/// A period as it was written: calendar units keep their meaning for clock-aligned windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Period {
    /// Anything made of ns … h.
    Nanos(u64),
    Days(u32),
    Weeks(u32),
    Months(u32),
    Years(u32),
}

pub(crate) const SECOND: u64 = 1_000_000_000;
pub(crate) const MINUTE: u64 = 60 * SECOND;
pub(crate) const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;

impl Period {
    /// The length where no calendar is asked: a month is 30 days, a year 365.
    /// Periods are checked on construction (see `MAX_PERIOD`), so that this cannot overflow.
    pub(crate) fn nanos(self) -> u64 {
        match self {
            Period::Nanos(nanos) => nanos,
            Period::Days(days) => u64::from(days).saturating_mul(DAY),
            Period::Weeks(weeks) => u64::from(weeks).saturating_mul(7 * DAY),
            Period::Months(months) => u64::from(months).saturating_mul(30 * DAY),
            Period::Years(years) => u64::from(years).saturating_mul(365 * DAY),
        }
    }
}

/// Longest period: ten years of 365 days. Shortest: 1 microsecond.
pub(crate) const MAX_PERIOD: u64 = 3650 * DAY;
pub(crate) const MIN_PERIOD: u64 = 1_000;
/// Largest count of units in a policy: what every host can express exactly (2^53 − 1).
pub(crate) const MAX_UNITS: u64 = (1 << 53) - 1;
/// Largest latency budget: 2^59 ns, about 18 years.
pub(crate) const MAX_LATENCY: u64 = 1 << 59;

/// How a rate is enforced.
#[derive(Clone, Debug)]
pub(crate) enum Algorithm {
    /// Spread evenly; `burst` (units) at once.
    Gcra { burst: u64 },
    /// Weighted current and previous window, or never more than the quota in any window.
    SlidingWindow { strict: bool },
    /// At the boundaries of the clock of a zone.
    ClockWindow { zone: TimeZone },
    /// From the key's first request.
    FirstRequestWindow,
}

/// One bucket of a limit: `quota` units per `period`. Units are requests × cost, or nanoseconds.
#[derive(Clone, Debug)]
#[allow(dead_code)]
pub(crate) struct Rate {
    /// Shown in snapshots: its own name, else the text of the rate (`100/minute`).
    pub(crate) name: String,
    pub(crate) quota: u64,
    pub(crate) period: Period,
    pub(crate) algorithm: Algorithm,
    /// Units that a late charge may leave beyond the capacity (default: `quota`).
    pub(crate) max_debt: u64,
    pub(crate) growth: Option<Growth>,
}

/// A quota that grows with steady use, and shrinks again when it is not needed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(dead_code)]
pub(crate) struct Growth {
    /// The quota never grows beyond it.
    pub(crate) ceiling: u64,
    /// Units by which it grows and shrinks.
    pub(crate) step: u64,
    /// Nanoseconds of steady use before it grows by a step.
    pub(crate) after: u64,
    /// Nanoseconds without that use before it shrinks by a step.
    pub(crate) shrink_after: u64,
}
