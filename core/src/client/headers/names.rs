//! Names of header fields: which part of which quota a field tells.
//!
//! Hundreds of interfaces name these fields in their own way, but with the same words in another order. So words are
//! looked for: `x-ratelimit-limit-requests`, `anthropic-ratelimit-requests-limit` and `X-HubSpot-RateLimit-Daily` are
//! read by the same rules.

use super::values::Unit;
use crate::rate::{DAY, HOUR, MINUTE, SECOND};

/// What a field tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Date,
    RetryAfter(Unit),
    /// `RateLimit` and `RateLimit-Policy` of the drafts.
    Structured,
    Policy,
    NearLimit,
    /// A part of the quota of this name.
    Part(Part, String),
    /// A whole quota in a form of its own.
    Form(Form, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Limit,
    Remaining,
    Used,
    /// `true`: it is a span, whatever its size.
    Reset(Unit, bool),
    Window(Unit),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `32/40`: used and limit; `api-usage=18/5000`.
    Fraction,
    /// `total=100; remaining=99; resets=41`.
    Pairs,
    /// `100:120,20:1`: units and seconds; the limits.
    Riot,
    /// The same of what is used.
    RiotCount,
    /// JSON of percentages used.
    Percent,
}

/// Names longer than this tell nothing.
const LONGEST: usize = 96;

/// May a field of this name tell anything? Quick, and says yes too often.
pub(in crate::client) fn tells(name: &[u8]) -> bool {
    if name.len() > LONGEST {
        return false;
    }
    // Most fields of a response are none of these: one look at each letter tells.
    let told = name.iter().enumerate().any(|(at, letter)| match letter | 0x20 {
        b'l' => begins(&name[at..], b"limit"),
        b'r' => begins(&name[at..], b"retry"),
        b'u' => begins(&name[at..], b"usage"),
        _ => false,
    });
    told || name.eq_ignore_ascii_case(b"date") || begins(name, b"x-remaining")
}

fn begins(name: &[u8], word: &[u8]) -> bool {
    name.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// What a field of this name tells. `name`: in lower case.
pub(super) fn field(name: &str) -> Option<Field> {
    let form = |form, quota: &str| Some(Field::Form(form, quota.to_owned()));
    match name {
        "date" => return Some(Field::Date),
        "ratelimit" | "beta-ratelimit" | "x-ratelimit" => return Some(Field::Structured),
        "ratelimit-policy" | "beta-ratelimit-policy" | "x-ratelimit-policy" => {
            return Some(Field::Policy);
        }
        "x-rate-limit" | "rate-limit" => return Some(Field::Part(Part::Limit, String::new())),
        "sforce-limit-info" => return form(Form::Fraction, ""),
        "x-app-usage" => return form(Form::Percent, ""),
        "x-app-rate-limit" => return form(Form::Riot, "app"),
        "x-app-rate-limit-count" => return form(Form::RiotCount, "app"),
        "x-method-rate-limit" => return form(Form::Riot, "method"),
        "x-method-rate-limit-count" => return form(Form::RiotCount, "method"),
        "x-limit-per-second" => return Some(Field::Part(Part::Limit, "second".to_owned())),
        "x-limit-per-day" => return Some(Field::Part(Part::Limit, "day".to_owned())),
        "x-remaining-this-second" => {
            return Some(Field::Part(Part::Remaining, "second".to_owned()));
        }
        "x-remaining-today" => return Some(Field::Part(Part::Remaining, "day".to_owned())),
        _ if name.ends_with("-call-limit") => return form(Form::Fraction, ""),
        _ => {}
    }
    if let Some((_, unit)) = name.split_once("retry-after") {
        return match unit {
            "" | "-seconds" | "-s" => Some(Field::RetryAfter(Unit::BySize)),
            "-ms" | "-milliseconds" => Some(Field::RetryAfter(Unit::Milliseconds)),
            _ => None,
        };
    }
    let rest = ["ratelimit", "rate-limit", "rate_limit"]
        .into_iter()
        .find_map(|words| name.split_once(words).map(|(_, rest)| rest))?;
    // `ratelimited`, as in Stripe-RateLimited-Reason.
    rest.starts_with(['-', '_']).then(|| words(&rest[1..]))?
}

/// What the words after `ratelimit` say.
fn words(rest: &str) -> Option<Field> {
    let mut reading = Reading::default();
    for word in rest.split(['-', '_']).filter(|word| !word.is_empty()) {
        if word == "nearlimit" {
            return Some(Field::NearLimit);
        }
        reading.take(word);
    }
    let Reading { role, unit, is_span, quota } = reading;
    let unit = unit.unwrap_or(Unit::BySize);
    let part = match role {
        Some(Role::Limit) => Part::Limit,
        Some(Role::Remaining) => Part::Remaining,
        Some(Role::Used) => Part::Used,
        Some(Role::Reset) => Part::Reset(unit, is_span || unit != Unit::BySize),
        Some(Role::Window) => Part::Window(unit),
        // A span alone names its limit (X-HubSpot-RateLimit-Daily); of others the value decides.
        None if implied_window(&quota).is_some() => Part::Limit,
        None => return Some(Field::Form(Form::Pairs, quota)),
    };
    Some(Field::Part(part, quota))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Limit,
    Remaining,
    Used,
    Reset,
    Window,
}

#[derive(Default)]
struct Reading {
    role: Option<Role>,
    unit: Option<Unit>,
    is_span: bool,
    quota: String,
}

impl Reading {
    fn take(&mut self, word: &str) {
        match word {
            "limit" | "max" | "total" | "quota" => self.play(Role::Limit),
            "remaining" | "left" | "available" => self.play(Role::Remaining),
            "used" | "usage" | "count" if self.role.is_none() => self.play(Role::Used),
            "reset" | "resets" | "next" | "resettime" | "resetat" => self.play(Role::Reset),
            "window" | "interval" | "period" => self.play(Role::Window),
            "ms" | "millis" | "milliseconds" => self.unit = Some(Unit::Milliseconds),
            "sec" | "secs" | "seconds" => self.unit = Some(Unit::Seconds),
            "after" | "in" => self.is_span = true,
            "at" | "time" | "timestamp" | "date" => {}
            _ => self.take_joined(word),
        }
    }

    /// `userremaining`: a name and a role in one word.
    fn take_joined(&mut self, word: &str) {
        let roles =
            [("limit", Role::Limit), ("remaining", Role::Remaining), ("reset", Role::Reset)];
        let joined =
            roles.into_iter().find_map(|(end, role)| Some((word.strip_suffix(end)?, role)));
        let (name, role) = joined.map_or((word, None), |(name, role)| (name, Some(role)));
        if let Some(role) = role {
            self.play(role);
        }
        if !self.quota.is_empty() {
            self.quota.push('-');
        }
        self.quota.push_str(name);
    }

    /// `limit` is the weakest: `limit-reset` tells a reset.
    fn play(&mut self, role: Role) {
        if self.role.is_none_or(|before| before == Role::Limit) {
            self.role = Some(role);
        }
    }
}

/// The window that a quota's name tells, in ns.
pub(super) fn implied_window(quota: &str) -> Option<u64> {
    quota.split('-').find_map(|word| match word {
        "second" | "secondly" => Some(SECOND),
        "minute" | "minutely" => Some(MINUTE),
        "hour" | "hourly" => Some(HOUR),
        "day" | "daily" => Some(DAY),
        _ => None,
    })
}
