//! A policy: the limits that a request must all pass. Built from text, checked while it is built.

mod build;
mod conditions;
mod document;
mod draft;
mod fields;
pub(crate) mod file;
mod json;
mod limit;
mod lists;
mod options;
mod parse;
mod plans;
mod scale;
mod scan;
mod source;
mod table;
mod terms;
mod text;
mod toml;
mod tree;
mod unit;
mod when;

use std::path::Path;

use crate::error::{Error, Result};
use crate::rate::{DAY, Method, Rate};
// What no call reads yet.
#[allow(unused_imports)]
pub(crate) use conditions::{Condition, Conditions, Pattern, Segment};

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
/// | `grow` | `{ ceiling, step, after, shrink_after }`: the quota grows with steady use | it stays |
/// | `max_hold` | permits: one held for longer counts as given back; a duration | until released |
/// | `by` | attributes that make the key, in order | `["key"]` |
/// | `when` | conditions on attributes: patterns, or lists of them | every request |
/// | `missing` | without an attribute of `by`: `"error"`, `"skip"`, `"deny"` | `error` |
/// | `shadow` | counts, and denies nobody | `false` |
/// | `alerts` | shares of the capacity, as `[0.8, 0.95]` | none |
/// | `message`, `close` | what denials say; do they advise to close the connection | none, `false` |
///
/// A concurrency limit has a `quota` of permits, perhaps `max_hold`, and nothing of a rate. Entries of a
/// cascade inherit the options that they do not give themselves. Names stay as written when a scale changes the quota.
///
/// # Plans and identities
///
/// A limit may be for some requests alone, have a key made of other attributes, or belong to a plan:
///
/// ```
/// # use tidegate::Policy;
/// Policy::from_toml(r#"
///     default_plan = "starter"
///
///     [[plan.starter.limit]]
///     name = "day"
///     rate = "50_000/day"
///     by   = ["account"]           # all keys of an account share it
///
///     [plan.pro]
///     inherits = "starter"
///     scale    = 10
///
///     [[limit]]                    # for every plan
///     name = "read config"
///     rate = "300/minute"
///     when = { route = "GET /v3/configs/:key" }
///
///     [[exempt]]
///     name = "internal"
///     when = { user = "svc-*", ip = "10.0.0.0/8" }
/// "#)?;
/// # Ok::<(), tidegate::Error>(())
/// ```
///
/// `docs/policies.md` in the repository has every field, with `bypass`, `block` and `usage`.
///
/// Bounds: quotas from 1 to 2^53 − 1 units, or 2^59 ns (18 years); periods from 1 µs to 3650 days;
/// gcra counts at most one unit a nanosecond; 32 buckets in all limits
/// that one request can meet; 64 plans; 1 MiB of text.
#[derive(Clone, Debug)]
pub struct Policy {
    /// First those of every request, then those of each plan in the order of the plans, with what it inherits.
    pub(crate) limits: Vec<Limit>,
    /// Names of the plans, in the order of the text.
    pub(crate) plans: Vec<String>,
    /// The plan of a request that names none and was assigned none.
    pub(crate) default_plan: Option<usize>,
    /// The attribute to whose values plans are assigned while running.
    pub(crate) plan_by: String,
    /// Bits of an IPv6 address that make a key: who has one address has all of its network.
    pub(crate) ipv6_prefix: u8,
    /// A request that one of them matches passes uncounted.
    pub(crate) exempt: Vec<Exemption>,
    pub(crate) bypass: Vec<Bypass>,
    /// A request that one of them matches is denied.
    pub(crate) block: Vec<Blocked>,
    pub(crate) usage: Option<Usage>,
}

/// A named rate, a named cascade of rates, or a number of permits.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) name: String,
    /// Did the policy name it? If not, the name is the text of its rate, or its method.
    pub(crate) named: bool,
    pub(crate) method: Method,
    pub(crate) kind: LimitKind,
    /// The plan whose requests it is for; nothing: every request.
    pub(crate) plan: Option<usize>,
    /// The attributes that make its key, in order. Empty: one bucket for all requests.
    pub(crate) by: Vec<String>,
    /// What a request must be, so that the limit is asked.
    pub(crate) when: Conditions,
    /// What is done about a request without an attribute of `by`.
    pub(crate) missing: Missing,
    /// It counts and tells, and denies nobody.
    pub(crate) shadow: bool,
    /// Shares of the capacity in per mille, ascending: use that passes one is told.
    pub(crate) alerts: Vec<u16>,
    /// What a denial tells the user.
    pub(crate) message: Option<String>,
    /// Does a denial advise to close the connection?
    pub(crate) close: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum LimitKind {
    /// One rate, or several of which the first with room pays. Never empty.
    Rates(Vec<Rate>),
    /// Permits in flight; one that is held for longer than `max_hold` ns counts as given back.
    Permits { quota: u64, max_hold: Option<u64> },
}

/// What is done about a request that lacks an attribute of a limit's key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Missing {
    /// The call is refused as a bad argument.
    #[default]
    Error,
    /// The limit is not asked.
    Skip,
    /// The request is denied.
    Deny,
}

/// Requests that pass uncounted.
#[derive(Clone, Debug)]
pub(crate) struct Exemption {
    pub(crate) name: String,
    pub(crate) when: Conditions,
}

/// Requests that carry a secret pass uncounted.
#[derive(Clone, Debug)]
pub(crate) struct Bypass {
    pub(crate) name: String,
    /// The attribute that holds the secret.
    pub(crate) attribute: String,
    /// SHA-256 of each secret.
    pub(crate) secrets: Vec<[u8; 32]>,
    pub(crate) enabled: bool,
}

/// Requests that are denied.
#[derive(Clone, Debug)]
pub(crate) struct Blocked {
    pub(crate) name: String,
    pub(crate) when: Conditions,
}

/// A report of what was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Nanoseconds that it covers.
    pub(crate) window: u64,
    /// Nanoseconds by which it moves; at most the window.
    pub(crate) resolution: u64,
    /// The attribute that tells kinds of call apart.
    pub(crate) by: Option<String>,
}

impl Usage {
    /// Into how many parts a window is cut that does not say.
    const PARTS: u64 = 24;
}

impl Default for Usage {
    fn default() -> Usage {
        Usage { window: DAY, resolution: DAY / Usage::PARTS, by: Some("route".to_owned()) }
    }
}

/// The attribute that a call with one key gives, and the key of a limit that names none.
pub(crate) const KEY: &str = "key";
/// The attribute that names a request's plan.
pub(crate) const PLAN: &str = "plan";
/// Bits of an IPv6 address that make a key, when the policy does not say: what a household is given.
pub(crate) const IPV6_PREFIX: u8 = 64;

impl LimitKind {
    /// The span in which the first bucket's quota is granted, in ns; 0: there is none.
    pub(crate) fn window(&self) -> u64 {
        match self {
            LimitKind::Rates(rates) => rates[0].period.nanos(),
            LimitKind::Permits { .. } => 0,
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
        let text = file::text(path).map_err(|source| Error::file(path, source))?;
        Policy::from_text_of(path, &text)
    }

    /// As [`Policy::from_file`], of a text that was read already.
    pub(crate) fn from_text_of(path: &Path, text: &str) -> Result<Policy> {
        let parsed = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => parse::toml(text),
            Some("json") => parse::json(text),
            _ => parse::any(text),
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
