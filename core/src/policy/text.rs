//! Rate strings: `100/minute`, `10 per 5 minutes burst 20`, `30s/minute; 390s/hour`.
//!
//! ```text
//! rates    = rate *( ";" rate )
//! rate     = amount ( "/" | "per" ) period [ "burst" amount ]
//! amount   = whole | duration          a count, or time spent
//! period   = unit | duration
//! duration = 1*( number unit )         units from large to small: 1m30s
//! ```

use super::Policy;
use super::build::Builder;
use super::options::Options;
use super::scan::{Duration, Scanner};
use super::source::{Part, Source, Spot, Text, shown};
use super::unit::{self, Unit};
use crate::error::Result;
use crate::rate::{MAX_PERIOD, MIN_PERIOD, Method, Period};

/// What a rate string is called in errors.
const FIELD: &str = "rate";
const EXAMPLE: &str = "write for example `100/minute`";
const QUOTA_PERIOD: &str = "write QUOTA/PERIOD, for example `100/minute`";
const UNDERSCORES: &str = "digits may be grouped with underscores: `1_000`";

/// Units of a count limit, or time in nanoseconds. The bounds are checked where the method is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Amount {
    Count(u128),
    Time(u128),
}

impl Amount {
    /// The method that an amount belongs to.
    pub(super) fn method(self) -> Method {
        match self {
            Amount::Count(_) => Method::Count,
            Amount::Time(_) => Method::Latency,
        }
    }
}

/// A rate as it was written.
#[derive(Clone, Debug)]
pub(super) struct RateText {
    /// Its text with single blanks, in ASCII: the name when no other is given.
    pub(super) text: String,
    pub(super) quota: Part<Amount>,
    pub(super) period: Part<Period>,
    pub(super) burst: Option<Part<Amount>>,
}

/// A policy made of rates alone: each becomes a limit with one gcra bucket.
pub(super) fn policy(source: Source<'_>) -> Result<Policy> {
    let text = Text::whole(source);
    refuse_file_name(&text)?;
    let several = text.text.contains(';');
    let mut builder = Builder::new(source);
    let mut start = 0;
    for (index, piece) in text.text.split(';').enumerate() {
        let field = if several { format!("{FIELD}[{index}]") } else { FIELD.to_owned() };
        let mut rate = rate_in(&Scanner::new(&text, &field, start, start + piece.len()))?;
        let at = text.place(start + piece.len() - piece.trim_ascii_start().len());
        let burst = rate.burst.take();
        let options = Options { burst, ..Options::default() };
        builder.single(Spot { at, field }, rate, options)?;
        start += piece.len() + 1;
    }
    Ok(builder.finish())
}

/// The name of a policy file is no policy.
fn refuse_file_name(text: &Text<'_>) -> Result<()> {
    let name = text.text.trim_ascii();
    if !name.ends_with(".toml") && !name.ends_with(".json") {
        return Ok(());
    }
    let scanner = Scanner::new(text, FIELD, 0, text.text.len());
    scanner.skip_blanks();
    let found = format!("{} is the name of a file", shown(name));
    Err(scanner.error("", found, "to read a policy file, use `from_file`"))
}

/// One rate in a string of a document.
pub(super) fn rate(text: &Text<'_>, field: &str) -> Result<RateText> {
    rate_in(&Scanner::new(text, field, 0, text.text.len()))
}

/// A `quota`, `burst` or `max_debt` in a string of a document.
pub(super) fn amount(text: &Text<'_>, field: &str) -> Result<Amount> {
    let scanner = Scanner::new(text, field, 0, text.text.len());
    let amount = amount_in(&scanner, "", "a quota")?.value;
    finish(&scanner, "", "write the amount alone, such as `30s`")?;
    Ok(amount)
}

/// A `period` in a string of a document.
pub(super) fn period(text: &Text<'_>, field: &str) -> Result<Period> {
    let scanner = Scanner::new(text, field, 0, text.text.len());
    let period = period_in(&scanner, "")?.value;
    finish(&scanner, "", "write the period alone, such as `5 minutes`")?;
    Ok(period)
}

fn rate_in(scanner: &Scanner<'_>) -> Result<RateText> {
    scanner.skip_blanks();
    if scanner.rest().is_empty() {
        return Err(scanner.error("", "a rate is missing", EXAMPLE));
    }
    let quota = amount_in(scanner, ".quota", "a quota")?;
    if !scanner.take("/") && !scanner.take_word("per") {
        let (found, remedy) = match (scanner.rest(), scanner.peek()) {
            ("", _) => ("the period is missing".to_owned(), QUOTA_PERIOD),
            (rest, Some(',')) => (format!("{} follows the quota", shown(rest)), UNDERSCORES),
            (rest, _) => (format!("{} follows the quota", shown(rest)), QUOTA_PERIOD),
        };
        return Err(scanner.error("", found, remedy));
    }
    let period = period_in(scanner, ".period")?;
    let burst = match scanner.take_word("burst") {
        true => Some(amount_in(scanner, ".burst", "a burst")?),
        false => None,
    };
    let after = if burst.is_some() { ".burst" } else { ".period" };
    finish(scanner, after, "end the rate here; `burst N` may follow the period, `;` parts rates")?;
    Ok(RateText { text: plain(scanner.text()), quota, period, burst })
}

/// Nothing but blanks may be left.
fn finish(scanner: &Scanner<'_>, part: &str, remedy: &str) -> Result<()> {
    scanner.skip_blanks();
    let rest = scanner.rest();
    if rest.is_empty() {
        return Ok(());
    }
    let remedy = match scanner.peek() {
        Some(';') => "write one rate here; each further one is a limit or a cascade entry",
        Some(',') if part.is_empty() => UNDERSCORES,
        Some(',') => "in a rate string `;` stands between two rates",
        _ => remedy,
    };
    Err(scanner.error(part, format!("unexpected {}", shown(rest)), remedy))
}

fn amount_in(scanner: &Scanner<'_>, part: &str, what: &str) -> Result<Part<Amount>> {
    scanner.skip_blanks();
    let at = scanner.offset();
    let number = scanner.number(part, what)?;
    let word = scanner
        .next_word()
        .filter(|word| !["per", "burst"].iter().any(|next| word.eq_ignore_ascii_case(next)));
    let value = if let Some(word) = word {
        if Unit::named(word).is_none() {
            scanner.skip_blanks();
            let (problem, remedy) = unknown_unit(word);
            let remedy = format!("leave it out if this is a count; of a duration, {remedy}");
            return Err(scanner.error(part, problem, remedy));
        }
        Amount::Time(scanner.duration(number, part)?.nanos)
    } else if let Some(whole) = number.as_whole() {
        Amount::Count(whole)
    } else {
        let problem = format!("{} is not a whole number", shown(scanner.since(at)));
        let remedy =
            "write a whole number (`3 per 2 minutes`), or a duration with its unit (`1.5s`)";
        return Err(scanner.error_at(at, part, problem, remedy));
    };
    Ok(Part { value, spot: scanner.spot(at, part) })
}

fn period_in(scanner: &Scanner<'_>, part: &str) -> Result<Part<Period>> {
    scanner.skip_blanks();
    let at = scanner.offset();
    let duration = match scanner.peek() {
        None => return Err(missing_period(scanner, part)),
        Some(letter) if letter.is_alphabetic() => {
            if scanner.next_word().is_some_and(|word| word.eq_ignore_ascii_case("burst")) {
                return Err(missing_period(scanner, part));
            }
            let unit = scanner.unit(part)?;
            Duration { nanos: u128::from(unit.nanos()), single: Some((1, unit)) }
        }
        Some(_) => {
            let number = scanner.number(part, "a period")?;
            scanner.duration(number, part)?
        }
    };
    let value = bounded(duration).ok_or_else(|| {
        scanner.error_at(
            at,
            part,
            format!("the period {} is out of range", shown(scanner.since(at))),
            "a period lasts from 1 microsecond to 3650 days",
        )
    })?;
    Ok(Part { value, spot: scanner.spot(at, part) })
}

fn missing_period(scanner: &Scanner<'_>, part: &str) -> crate::error::Error {
    scanner.error(part, "the period is missing", "write a period such as `minute` or `5 minutes`")
}

/// The period of a duration, when it lies within the bounds.
fn bounded(duration: Duration) -> Option<Period> {
    let nanos = u64::try_from(duration.nanos).ok()?;
    if !(MIN_PERIOD..=MAX_PERIOD).contains(&nanos) {
        return None;
    }
    let Some((count, unit)) = duration.single else { return Some(Period::Nanos(nanos)) };
    let count = u32::try_from(count);
    Some(match (unit, count) {
        (Unit::Day, Ok(days)) => Period::Days(days),
        (Unit::Week, Ok(weeks)) => Period::Weeks(weeks),
        (Unit::Month, Ok(months)) => Period::Months(months),
        (Unit::Year, Ok(years)) => Period::Years(years),
        _ => Period::Nanos(nanos),
    })
}

/// The text as a name: printable ASCII with single blanks, so that every host and header takes it.
pub(super) fn plain(text: &str) -> String {
    let words: Vec<_> = text.split_ascii_whitespace().collect();
    words.join(" ").replace(['\u{b5}', '\u{3bc}'], "u")
}

/// Problem and remedy of a word that is no unit.
pub(super) fn unknown_unit(word: &str) -> (String, String) {
    let problem = match word {
        "M" => "`M` may be minutes or months".to_owned(),
        _ => format!("{} is not a unit of time", shown(word)),
    };
    (problem, unit::remedy(word))
}
