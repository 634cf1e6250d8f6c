//! A policy: the limits that a request must all pass. Built from text, checked while it is built.

mod build;
mod document;
mod json;
mod options;
mod parse;
mod scale;
mod scan;
mod source;
mod table;
mod text;
mod toml;
mod tree;
mod unit;

use std::path::Path;

use crate::error::{Error, Result};
use crate::rate::{Method, Rate};

/// The limits that a request must all pass.
///
/// A policy that exists is valid. It is made from a rate string, from TOML or from JSON.
///
/// # Rate strings
///
/// `QUOTA/PERIOD` or `QUOTA per PERIOD`, then perhaps `burst N`; `;` stands between several rates,
/// which must all pass. Each becomes a limit with one gcra bucket, named as it is written.
///
/// ```
/// # use tidegate::Policy;
/// Policy::parse("100/minute")?;
/// Policy::parse("10/second burst 20; 500/hour")?;
/// Policy::parse("10 per 5 minutes; 1_000/1h30m")?;
/// Policy::parse("30s/minute")?; // a duration as quota: time spent, not requests
///
/// let error = Policy::parse("10/mon").unwrap_err();
/// assert_eq!((error.field(), error.line(), error.column()), ("rate.period", Some(1), Some(4)));
/// # Ok::<(), tidegate::Error>(())
/// ```
///
/// Numbers are ASCII digits, with underscores between them if wished; decimals are for durations
/// alone and exact to the nanosecond. Units: `ns`, `us`, `ms`, `s`, `m`, `h`, `d`, `w` and the words
/// nanosecond(s) … year(s), sec(s), min(s), hr(s). A month has 30 days and a year 365, but
/// in windows aligned to the clock they are the calendar's.
///
/// # Documents
///
/// TOML and JSON have the same shape:
///
/// ```
/// # use tidegate::Policy;
/// Policy::from_toml(r#"
///     timezone = "Europe/Amsterdam"   # of clock-aligned windows; "local": the system's; default "UTC"
///     scale    = 0.5                  # factor on every quota, burst and debt, rounded down
///
///     [[limit]]
///     name      = "requests"
///     algorithm = "fixed_window"
///     cascade   = ["100/minute", "2600/hour", { name = "reserve", rate = "1150/day" }]
///
///     [[limit]]
///     name   = "connections"
///     method = "concurrency"
///     quota  = 5
/// "#)?;
/// Policy::from_json(r#"{"limit": [{"rate": "100/minute", "burst": 20, "max_debt": 0}]}"#)?;
/// # Ok::<(), tidegate::Error>(())
/// ```
///
/// | field of a limit | value | default |
/// | --- | --- | --- |
/// | `name` | 1 to 128 printable ASCII characters, once in a policy | the rate as written; of a cascade or permits the method |
/// | `method` | `"count"`, `"latency"`, `"concurrency"` | `latency` when the quota is a duration, else `count` |
/// | `algorithm` | `"gcra"`, `"sliding_window"`, `"fixed_window"` | `gcra` |
/// | one of: `rate` | a rate string | |
/// | `quota` and `period` | an integer, or a duration in a string; a string | |
/// | `cascade` | rate strings, or tables of `name`, a rate and options | |
/// | `burst` | gcra: units, or a duration | the quota |
/// | `max_debt` | most that late charges leave behind; may be 0 | the quota |
/// | `align` | fixed_window: `"clock"` (whole seconds), `"first_request"` | `clock` |
/// | `timezone` | fixed_window at the clock: as above | that of the document |
/// | `strict` | sliding_window: never more than the quota in any span | `false` |
///
/// A concurrency limit has a `name`, its `method` and a `quota` of permits alone. Entries of a
/// cascade inherit the options that they do not give themselves. Names stay as written when a scale changes the quota.
///
/// Bounds: quotas from 1 to 2^53 − 1 units, or 2^59 ns (18 years); periods from 1 µs to 3650 days;
/// gcra counts at most one unit a nanosecond; 32 buckets in all limits; 1 MiB of text.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) limits: Vec<Limit>,
}

/// A named rate, a named cascade of rates, or a number of permits.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) name: String,
    /// Did the policy name it? If not, the name is the text of its rate, or its method.
    pub(crate) named: bool,
    pub(crate) method: Method,
    pub(crate) kind: LimitKind,
}

#[derive(Clone, Debug)]
pub(crate) enum LimitKind {
    /// One rate, or several of which the first with room pays. Never empty.
    Rates(Vec<Rate>),
    /// Permits in flight.
    Permits(u64),
}

impl LimitKind {
    /// The span in which the first bucket's quota is granted, in ns; 0: there is none.
    pub(crate) fn window(&self) -> u64 {
        match self {
            LimitKind::Rates(rates) => rates[0].period.nanos(),
            LimitKind::Permits(_) => 0,
        }
    }
}

impl Policy {
    /// Reads a rate string, a TOML document or a JSON document, told apart by their form.
    ///
    /// # Errors
    /// [`Error::is_policy`], with line, column, field and remedy.
    pub fn parse(text: &str) -> Result<Policy> {
        parse::any(text)
    }

    /// Reads a JSON document.
    ///
    /// # Errors
    /// As [`Policy::parse`].
    pub fn from_json(text: &str) -> Result<Policy> {
        parse::json(text)
    }

    /// Reads a TOML document.
    ///
    /// # Errors
    /// As [`Policy::parse`].
    pub fn from_toml(text: &str) -> Result<Policy> {
        parse::toml(text)
    }

    /// Reads a policy file: `.toml`, `.json`, or anything that [`Policy::parse`] knows.
    ///
    /// # Errors
    /// [`Error::is_file`] when it cannot be read, else as [`Policy::parse`], with the path.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Policy> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| Error::file(path, source))?;
        let parsed = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => parse::toml(&text),
            Some("json") => parse::json(&text),
            _ => parse::any(&text),
        };
        parsed.map_err(|error| error.in_file(path))
    }
}

impl std::str::FromStr for Policy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Policy> {
        Policy::parse(text)
    }
}

impl TryFrom<&str> for Policy {
    type Error = Error;

    fn try_from(text: &str) -> Result<Policy> {
        Policy::parse(text)
    }
}
