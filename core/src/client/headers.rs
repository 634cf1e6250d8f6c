//! What the headers of a response tell of the server's limits, whoever the server is.
//!
//! `names`: which part of which quota a field tells. `values`: numbers, spans and times. `structured`: the fields of the
//! IETF's drafts. `forms`: whole quotas in forms of their own. What makes no sense is left out, field by field.

mod forms;
mod names;
mod structured;
mod values;

use std::time::Duration;

pub(super) use names::tells;
use names::{Field, Part};
use smallvec::SmallVec;
use values::Unit;

use crate::time::Timestamp;

/// What a response tells of the server's limits. A field that makes no sense is as one that is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerLimits {
    /// How long the server asks us to wait, at most 3650 days.
    pub retry_after: Option<Duration>,
    /// Does the server say that little is left (`X-RateLimit-NearLimit`)?
    pub near_limit: bool,
    /// Each quota that it tells of, in the order in which they come first.
    pub quotas: Vec<Quota>,
}

/// One quota of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quota {
    /// What tells it from others (`requests`, `tokens`, `day`, `default`), in lower case; empty when it is alone.
    pub name: String,
    /// Units in a window.
    pub limit: Option<u64>,
    /// Units left.
    pub remaining: Option<u64>,
    /// Until it is reset, at most 3650 days; zero when that time is past.
    pub reset_after: Option<Duration>,
    /// The length of its window.
    pub window: Option<Duration>,
}

/// Reads the headers of a response: pairs of name and value, names in any case. `now` is the wall clock's time, and is
/// used for absolute times where the response has no `Date`.
///
/// ```
/// use std::time::Duration;
/// use tidegate::Timestamp;
/// use tidegate::client::read_headers;
///
/// let headers = [("Retry-After", "2.5"), ("X-RateLimit-Remaining", "0")];
/// let limits = read_headers(headers, Timestamp::from_secs(1_700_000_000));
/// assert_eq!(limits.retry_after, Some(Duration::from_millis(2500)));
/// assert_eq!(limits.quotas[0].remaining, Some(0));
/// ```
pub fn read_headers<N, V>(headers: impl IntoIterator<Item = (N, V)>, now: Timestamp) -> ServerLimits
where
    N: AsRef<[u8]>,
    V: AsRef<[u8]>,
{
    let mut fields: SmallVec<[(Field, V); 8]> = SmallVec::new();
    let mut reader = Reader { now: now.as_nanos(), ..Reader::default() };
    for (name, value) in headers {
        if fields.len() >= MOST_FIELDS || !tells(name.as_ref()) {
            continue;
        }
        let name = String::from_utf8_lossy(name.as_ref()).to_ascii_lowercase();
        match names::field(&name) {
            Some(Field::Date) => {
                // All times are of the server's clock then, and ours does not matter.
                let date = values::text(value.as_ref()).and_then(values::date);
                reader.now = date.unwrap_or(reader.now);
            }
            Some(field) => fields.push((field, value)),
            None => {}
        }
    }
    for (field, value) in &fields {
        if let Some(text) = values::text(value.as_ref()) {
            reader.read(field, text);
        }
    }
    reader.finish()
}

/// Most fields that are read: no server sends more of them, but somebody else might.
const MOST_FIELDS: usize = 64;
/// Most quotas that are kept.
const MOST_QUOTAS: usize = 16;

/// Puts the parts of quotas together. Spans are ns.
#[derive(Default)]
struct Reader {
    /// ns since the epoch, by the server's clock if it is known.
    now: u64,
    /// Milliseconds are more exact than the whole seconds beside them.
    retry_after_ms: Option<u64>,
    retry_after: Option<u64>,
    near_limit: bool,
    quotas: Vec<Draft>,
    /// Quotas and windows of policies without names.
    policies: Vec<(u64, u64)>,
}

#[derive(Default)]
struct Draft {
    name: String,
    limit: Option<u64>,
    remaining: Option<u64>,
    used: Option<u64>,
    /// A time of the server's clock, turned into a span.
    reset_at: Option<u64>,
    /// A span as such: it needs no clock.
    reset_after: Option<u64>,
    window: Option<u64>,
}

impl Reader {
    fn read(&mut self, field: &Field, text: &str) {
        match field {
            Field::Date => {}
            Field::RetryAfter(unit) => {
                let span = values::until(text, *unit, self.now);
                match unit {
                    Unit::Milliseconds => self.retry_after_ms = self.retry_after_ms.max(span),
                    _ => self.retry_after = self.retry_after.max(span),
                }
            }
            Field::Structured => self.read_rate_limit(text),
            Field::Policy => self.read_policy(text),
            Field::NearLimit => self.near_limit |= text.eq_ignore_ascii_case("true"),
            Field::Form(form, name) => self.read_form(*form, name, text),
            Field::Part(part, name) => self.read_part(*part, name, text),
        }
    }

    fn read_part(&mut self, part: Part, name: &str, text: &str) {
        let window = values::window(text);
        match part {
            Part::Limit => match values::quota(text) {
                None => {}
                limit => self.tell(name, limit, None, None, window),
            },
            Part::Remaining => match values::amount(text) {
                None => {}
                remaining => self.tell(name, None, remaining, None, window),
            },
            Part::Used => {
                if let Some(used) = values::amount(text) {
                    self.tell_used(name, used);
                }
            }
            Part::Window(unit) => match values::span(text, unit) {
                None | Some(0) => {}
                window => self.tell(name, None, None, None, window),
            },
            Part::Reset(unit, true) => {
                // In seconds when the name does not say; a time makes sense as well.
                let unit = if unit == Unit::BySize { Unit::Seconds } else { unit };
                if let Some(span) = values::until(text, unit, self.now) {
                    self.tell(name, None, None, Some(span), None);
                }
            }
            Part::Reset(unit, false) => {
                if let Some(span) = values::until(text, unit, self.now)
                    && let Some(draft) = self.draft(name)
                {
                    draft.reset_at = draft.reset_at.max(Some(span));
                }
            }
        }
    }

    /// The quota of this name.
    fn draft(&mut self, name: &str) -> Option<&mut Draft> {
        match self.quotas.iter().position(|draft| draft.name == name) {
            Some(index) => self.quotas.get_mut(index),
            None if self.quotas.len() >= MOST_QUOTAS => None,
            None => {
                self.quotas.push(Draft { name: name.to_owned(), ..Draft::default() });
                self.quotas.last_mut()
            }
        }
    }

    /// What a field tells of a quota. Of what is told twice, the more careful counts.
    fn tell(
        &mut self,
        name: &str,
        limit: Option<u64>,
        remaining: Option<u64>,
        reset_after: Option<u64>,
        window: Option<u64>,
    ) {
        let Some(draft) = self.draft(name) else { return };
        draft.limit = least(draft.limit, limit);
        draft.remaining = least(draft.remaining, remaining);
        draft.reset_after = draft.reset_after.max(reset_after);
        draft.window = draft.window.or(window.filter(|window| *window > 0));
    }

    fn tell_used(&mut self, name: &str, used: u64) {
        if let Some(draft) = self.draft(name) {
            draft.used = draft.used.max(Some(used));
        }
    }

    fn finish(mut self) -> ServerLimits {
        for (limit, window) in std::mem::take(&mut self.policies) {
            let same = |draft: &Draft| draft.name.is_empty() && draft.limit == Some(limit);
            if self.quotas.is_empty() || self.quotas.iter().any(same) {
                self.tell("", Some(limit), None, None, Some(window));
            }
        }
        ServerLimits {
            retry_after: self.retry_after_ms.or(self.retry_after).map(Duration::from_nanos),
            near_limit: self.near_limit,
            quotas: self.quotas.into_iter().filter_map(Draft::quota).collect(),
        }
    }
}

fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Draft {
    /// The quota, when anything is known of it.
    fn quota(self) -> Option<Quota> {
        let used = self.limit.zip(self.used).map(|(limit, used)| limit.saturating_sub(used));
        let remaining = self.remaining.or(used);
        let reset_after = self.reset_after.or(self.reset_at);
        if self.limit.is_none() && remaining.is_none() && reset_after.is_none() {
            return None;
        }
        let window = self.window.or_else(|| names::implied_window(&self.name));
        Some(Quota {
            name: self.name,
            limit: self.limit,
            remaining,
            reset_after: reset_after.map(Duration::from_nanos),
            window: window.map(Duration::from_nanos),
        })
    }
}

impl ServerLimits {
    /// Nothing was told.
    pub const NONE: ServerLimits =
        ServerLimits { retry_after: None, near_limit: false, quotas: Vec::new() };

    /// Does it tell nothing?
    pub fn is_empty(&self) -> bool {
        self.retry_after.is_none() && !self.near_limit && self.quotas.is_empty()
    }

    /// How long to wait after a refusal: `retry_after`; else until the last quota with nothing left is reset; else, where
    /// no quota tells what is left, until the last reset.
    pub fn delay(&self) -> Option<Duration> {
        if self.retry_after.is_some() {
            return self.retry_after;
        }
        let tells = self.quotas.iter().any(|quota| quota.remaining.is_some());
        let refused = self.quotas.iter().filter(|quota| !tells || quota.remaining == Some(0));
        refused.filter_map(|quota| quota.reset_after).max()
    }
}
