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
#[derive(Clone, Debug, PartialEq)]
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
pub(crate) struct Rate {
    /// Shown in snapshots: its own name, else the text of the rate (`100/minute`).
    pub(crate) name: String,
    pub(crate) quota: u64,
    pub(crate) period: Period,
    pub(crate) algorithm: Algorithm,
    /// Units that a late charge may leave beyond the capacity (default: `quota`).
    pub(crate) max_debt: u64,
    /// `quota` is where it begins: see `algorithm/growing.rs`.
    pub(crate) growth: Option<Growth>,
}

/// How a quota grows with sustained use, and shrinks without. All but the ceiling are at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Growth {
    /// Most that the quota grows to, in its units; at least the quota.
    pub(crate) ceiling: u64,
    /// Units of one step; the last one ends at the ceiling.
    pub(crate) step: u64,
    /// Nanoseconds of sustained use for one step up; at most [`MAX_GROWTH_SPAN`].
    pub(crate) after: u64,
    /// Nanoseconds without a sign of use for each step down; at most [`MAX_GROWTH_SPAN`].
    pub(crate) shrink_after: u64,
}

/// Most levels of a quota that grows: its floor, and 63 steps.
pub(crate) const MAX_LEVELS: u64 = 64;
/// Longest span of use, or of disuse, that a quota waits for: nine years of 365 days, less than 2^58 ns.
pub(crate) const MAX_GROWTH_SPAN: u64 = 3285 * DAY;
/// Most permits of a limit that reclaims them: a generation is counted in 32 bits.
pub(crate) const MAX_LEASES: u64 = (1 << 32) - 1;

impl Growth {
    /// Steps from the quota up to the ceiling; the policy's parser allows `MAX_LEVELS − 1`.
    pub(crate) fn steps(&self, quota: u64) -> u64 {
        self.ceiling.saturating_sub(quota).div_ceil(self.step)
    }

    /// The rate after so many steps. Burst and debt grow in proportion to the quota, rounded down.
    pub(crate) fn rate(&self, floor: &Rate, steps: u64) -> Rate {
        let quota = floor.quota.saturating_add(self.step.saturating_mul(steps)).min(self.ceiling);
        let quota = quota.max(floor.quota);
        // The least of the two bounds on units that keeps every sum inside 64 bits.
        let grown = |units: u64| match units == floor.quota {
            true => quota,
            false => {
                let exact = u128::from(units) * u128::from(quota) / u128::from(floor.quota);
                u64::try_from(exact).unwrap_or(u64::MAX).min(MAX_LATENCY)
            }
        };
        let algorithm = match &floor.algorithm {
            Algorithm::Gcra { burst } => Algorithm::Gcra { burst: grown(*burst) },
            other => other.clone(),
        };
        let max_debt = grown(floor.max_debt);
        Rate { quota, algorithm, max_debt, growth: None, ..floor.clone() }
    }
}
