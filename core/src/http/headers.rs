//! Header fields: the three that everybody sends, and the two of the IETF's draft.

use std::fmt::{self, Display};

use sfv::{Integer, KeyRef, ListSerializer, StringRef, key_ref, string_ref};

use super::{Figures, limit_of, no_such_style};
use crate::decision::{Decision, Reason};
use crate::error::Result;
use crate::rate::Method;

/// Which header fields tell of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeaderStyle {
    /// `X-RateLimit-Limit`, `-Remaining`, `-Reset`, and `-Burst` where there is a pool for bursts.
    Legacy,
    /// `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-11.
    Draft,
    /// Legacy, then draft.
    Both,
}

impl HeaderStyle {
    /// A style by its name, as hosts spell it: `legacy`, `draft` or `both`.
    ///
    /// # Errors
    /// [`Error::is_argument`](crate::Error::is_argument) for any other name.
    pub fn from_name(name: &str) -> Result<HeaderStyle> {
        match name {
            "legacy" => Ok(HeaderStyle::Legacy),
            "draft" => Ok(HeaderStyle::Draft),
            "both" => Ok(HeaderStyle::Both),
            _ => Err(no_such_style(name, "\"legacy\", \"draft\" or \"both\"")),
        }
    }
}

/// Header fields of a response: names and values, in the order in which they are sent. May be empty.
///
/// Values are printable ASCII.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(&'static str, String)>);

impl Headers {
    /// One after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, (&'static str, String)> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a field; names are compared without regard to case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// The value of a field, before anybody makes a text of it.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub enum FieldValue<'a> {
    /// In decimal digits.
    Number(u64),
    /// As it is.
    Text(&'a str),
}

impl Display for FieldValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldValue::Number(number) => number.fmt(f),
            FieldValue::Text(text) => f.write_str(text),
        }
    }
}

/// Whoever wants the fields, one after the other.
struct Writer<'a>(&'a mut dyn FnMut(&'static str, FieldValue<'_>));

impl Writer<'_> {
    fn add(&mut self, name: &'static str, value: u64) {
        (self.0)(name, FieldValue::Number(value));
    }

    fn add_text(&mut self, name: &'static str, value: &str) {
        (self.0)(name, FieldValue::Text(value));
    }

    fn add_legacy(&mut self, figures: &Figures) {
        self.add("X-RateLimit-Limit", figures.first_limit);
        self.add("X-RateLimit-Remaining", figures.first_remaining);
        self.add("X-RateLimit-Reset", figures.reset_at);
        if let Some(burst) = figures.burst {
            self.add("X-RateLimit-Burst", burst);
        }
    }

    fn add_draft(&mut self, decision: &Decision, name: &str, figures: &Figures) {
        let name = sf_name(name);
        if let Some(policy) = quota_policy(decision, &name, figures) {
            self.add_text("RateLimit-Policy", &policy);
        }
        if let Some(left) = service_limit(decision, &name, figures) {
            self.add_text("RateLimit", &left);
        }
    }
}

impl IntoIterator for Headers {
    type Item = (&'static str, String);
    type IntoIter = std::vec::IntoIter<(&'static str, String)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a (&'static str, String);
    type IntoIter = std::slice::Iter<'a, (&'static str, String)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Decision {
    /// The header fields of the response, admitted or denied: those of `style`, then, on a denial that waiting ends,
    /// `Retry-After` in whole seconds, at least 1.
    ///
    /// Amounts are units of a count limit, permits, or whole milliseconds of a latency limit; `X-RateLimit-Reset` is
    /// in Unix seconds, all other times in seconds from now, rounded up. A blocked key has only `Retry-After`, an
    /// exempted request has none.
    ///
    /// ```
    /// use tidegate::{HeaderStyle, Limiter, Timestamp};
    ///
    /// let limiter = Limiter::new("100/minute")?;
    /// let decision = limiter.acquire_at("user:42", 40, Timestamp::from_secs(1_700_000_000))?;
    /// let lines: Vec<String> = decision
    ///     .headers(HeaderStyle::Both)
    ///     .into_iter()
    ///     .map(|(name, value)| format!("{name}: {value}"))
    ///     .collect();
    /// assert_eq!(
    ///     lines,
    ///     [
    ///         "X-RateLimit-Limit: 100",
    ///         "X-RateLimit-Remaining: 60",
    ///         "X-RateLimit-Reset: 1700000024",
    ///         "RateLimit-Policy: \"100/minute\";q=100;w=60",
    ///         "RateLimit: \"100/minute\";r=60;t=24",
    ///     ]
    /// );
    /// # Ok::<(), tidegate::Error>(())
    /// ```
    pub fn headers(&self, style: HeaderStyle) -> Headers {
        let mut headers = Headers::default();
        self.each_header(style, &mut |name, value| headers.0.push((name, value.to_string())));
        headers
    }

    /// As [`headers`](Decision::headers), for bindings: no text is made of a value that nobody keeps.
    #[doc(hidden)]
    pub fn each_header(
        &self,
        style: HeaderStyle,
        each: &mut dyn FnMut(&'static str, FieldValue<'_>),
    ) {
        let figures = Figures::of(self);
        let mut headers = Writer(each);
        if let Some(name) = limit_of(self) {
            if matches!(style, HeaderStyle::Legacy | HeaderStyle::Both) {
                headers.add_legacy(&figures);
            }
            if matches!(style, HeaderStyle::Draft | HeaderStyle::Both) {
                headers.add_draft(self, name, &figures);
            }
        }
        if let Some(seconds) = figures.retry_after {
            headers.add("Retry-After", seconds);
        }
    }
}

/// The item of `RateLimit-Policy` (section 3.1 of the draft). None for a latency limit: quota units are those of a
/// registry, which has none for time, and without one a quota is a number of requests.
fn quota_policy(decision: &Decision, name: &str, figures: &Figures) -> Option<String> {
    let unit = match decision.method() {
        Method::Latency => return None,
        // What a quota counts when nothing else is said.
        Method::Count => None,
        Method::Concurrency => Some(string_ref("concurrent-requests")),
    };
    let mut list = ListSerializer::new();
    let mut item = list.bare_item(sf_string(name)).parameter(Q, sf_integer(figures.limit));
    if let Some(unit) = unit {
        item = item.parameter(QU, unit);
    }
    if let Some(window) = quota_window(decision) {
        _ = item.parameter(W, sf_integer(window));
    }
    list.finish()
}

/// The window in which the whole quota is granted. The draft knows whole seconds only; a cascade has a window for
/// each of its quotas, and none for their sum.
fn quota_window(decision: &Decision) -> Option<u64> {
    let window = decision.window().filter(|_| !decision.of_cascade())?;
    (window.subsec_nanos() == 0).then_some(window.as_secs())
}

/// The item of `RateLimit` (section 4.1 of the draft). Of a latency limit only when nothing is left: that is 0 in
/// any unit, and a client that reads other numbers as requests would read far too many.
fn service_limit(decision: &Decision, name: &str, figures: &Figures) -> Option<String> {
    if decision.method() == Method::Latency && decision.remaining() > 0 {
        return None;
    }
    let mut list = ListSerializer::new();
    let item = list.bare_item(sf_string(name)).parameter(R, sf_integer(figures.remaining));
    if let Some(window) = effective_window(decision, figures) {
        _ = item.parameter(T, sf_integer(window));
    }
    list.finish()
}

/// The time within which no more than the remaining units can be used. Of a denial it ends when `Retry-After` does,
/// which section 6 of the draft wants to be no earlier. Permits come back when their holders are done, nobody knows
/// when; of a limit that is full there is nothing to wait for.
fn effective_window(decision: &Decision, figures: &Figures) -> Option<u64> {
    let window = match (decision.method(), decision.reason()) {
        (Method::Concurrency, _) => None,
        (_, Reason::Limited) => figures.retry_after,
        _ => figures.reset_after,
    };
    window.filter(|&seconds| seconds > 0)
}

const Q: &KeyRef = key_ref("q");
const QU: &KeyRef = key_ref("qu");
const W: &KeyRef = key_ref("w");
const R: &KeyRef = key_ref("r");
const T: &KeyRef = key_ref("t");

/// Structured integers have 15 digits; what is more becomes the largest.
fn sf_integer(value: u64) -> Integer {
    Integer::try_from(value).unwrap_or(Integer::MAX)
}

/// The name in the characters of structured strings. Policies take no others; so this changes nothing, but no field
/// is broken should a name come from elsewhere.
fn sf_name(name: &str) -> String {
    name.chars().map(|sign| if matches!(sign, ' '..='~') { sign } else { '?' }).collect()
}

fn sf_string(name: &str) -> &StringRef {
    // `sf_name` leaves nothing to refuse.
    StringRef::from_str(name).unwrap_or(string_ref("?"))
}
