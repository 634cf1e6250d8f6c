//! Values of a document: words, names, amounts, lengths of time, zones. Each knows its bounds.

use jiff::tz::{self, TimeZone};

use super::options::{AlgorithmName, Align};
use super::scale::{self, Scale};
use super::source::{Part, Source, Spot, nearest, shown};
use super::table::{Field, Table};
use super::text::{self, Amount};
use super::tree::Value;
use super::{Missing, PLAN};
use crate::error::Result;
use crate::rate::{DAY, Method, Period};

/// Longest name, in bytes.
const MAX_NAME: usize = 128;
/// Longest name of an attribute or a plan, in bytes.
const MAX_WORD: usize = 64;
/// Shortest length of time where no rate says more: a millisecond.
const MIN_SPAN: u64 = 1_000_000;

pub(super) const METHODS: &[(&str, Method)] =
    &[("count", Method::Count), ("latency", Method::Latency), ("concurrency", Method::Concurrency)];
pub(super) const ALGORITHMS: &[(&str, AlgorithmName)] = &[
    ("gcra", AlgorithmName::Gcra),
    ("sliding_window", AlgorithmName::SlidingWindow),
    ("fixed_window", AlgorithmName::FixedWindow),
];
pub(super) const ALIGNMENTS: &[(&str, Align)] =
    &[("clock", Align::Clock), ("first_request", Align::FirstRequest)];
pub(super) const MISSING: &[(&str, Missing)] =
    &[("error", Missing::Error), ("skip", Missing::Skip), ("deny", Missing::Deny)];

/// A field that may be absent, with its place.
pub(super) fn part<'t, T>(
    table: &Table<'t>,
    name: &str,
    read: impl Fn(&Field<'t>) -> Result<T>,
) -> Result<Option<Part<T>>> {
    let Some(field) = table.get(name) else { return Ok(None) };
    Ok(Some(Part { value: read(&field)?, spot: field.spot() }))
}

/// A field that must be there; `remedy` says how to write it.
pub(super) fn required<'t>(
    table: &Table<'t>,
    name: &str,
    problem: &str,
    remedy: &str,
) -> Result<Field<'t>> {
    table.get(name).ok_or_else(|| table.error(name, problem, remedy))
}

pub(super) fn name(table: &Table<'_>) -> Result<Option<Part<String>>> {
    part(table, "name", |field| Ok(field.text("\"requests\"")?.text.to_owned()))
}

/// Names become C strings and structured fields of HTTP.
pub(super) fn check_name(source: Source<'_>, name: &str, spot: &Spot) -> Result<()> {
    let problem = if name.is_empty() {
        "the name is empty".to_owned()
    } else if name.len() > MAX_NAME {
        format!("the name {} has {} bytes", shown(name), name.len())
    } else if !name.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        format!("the name {} is not printable ASCII", shown(name))
    } else {
        return Ok(());
    };
    let remedy = format!("write a `name` of 1 to {MAX_NAME} printable ASCII characters");
    spot.error(source, problem, remedy)
}

/// The name of an attribute, in a string.
pub(super) fn attribute(field: &Field<'_>) -> Result<String> {
    let name = field.text("\"account\"")?.text;
    check_attribute(field.source, name, &field.spot())?;
    Ok(name.to_owned())
}

/// An attribute that a request carries itself.
pub(super) fn own_attribute(field: &Field<'_>) -> Result<String> {
    let name = attribute(field)?;
    if name == PLAN {
        return field
            .fail("`plan` cannot stand here", "write another attribute, such as `account`");
    }
    Ok(name)
}

/// Names of attributes become names of arguments in every host.
pub(super) fn check_attribute(source: Source<'_>, name: &str, spot: &Spot) -> Result<()> {
    let letters = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    let right = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.len() <= MAX_WORD
        && name.bytes().all(letters);
    if right {
        return Ok(());
    }
    let remedy =
        format!("write 1 to {MAX_WORD} of `a` to `z`, `0` to `9` and `_`, beginning with a letter");
    spot.error(source, format!("{} is not the name of an attribute", shown(name)), remedy)
}

/// Names of plans are values that requests carry.
pub(super) fn check_plan(source: Source<'_>, name: &str, spot: &Spot) -> Result<()> {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if (1..=MAX_WORD).contains(&name.len()) && name.bytes().all(letters) {
        return Ok(());
    }
    let remedy = format!("write 1 to {MAX_WORD} ASCII letters, digits, `_`, `-` and `.`");
    spot.error(source, format!("{} is not the name of a plan", shown(name)), remedy)
}

/// One of some words, matched exactly.
pub(super) fn choice<T: Copy>(
    table: &Table<'_>,
    name: &str,
    choices: &[(&str, T)],
) -> Result<Option<Part<T>>> {
    let Some(field) = table.get(name) else { return Ok(None) };
    let word = field.text(&format!("\"{}\"", choices[0].0))?.text;
    match choices.iter().find(|&&(choice, _)| choice == word) {
        Some(&(_, value)) => Ok(Some(Part { value, spot: field.spot() })),
        None => Err(field.unknown(word, choices.iter().map(|&(choice, _)| choice))),
    }
}

/// A whole number, or a duration in a string.
pub(super) fn amount(field: &Field<'_>) -> Result<Part<Amount>> {
    let value = match &field.node.value {
        Value::Integer(units) => match u128::try_from(*units) {
            Ok(units) => Amount::Count(units),
            Err(_) => {
                return field.fail("the number is negative", "write a whole number of at least 1");
            }
        },
        Value::Text(_) => duration(field)?,
        _ => {
            return Err(
                field.wrong_type("an integer, or a duration in a string", "`100` or `\"30s\"`")
            );
        }
    };
    Ok(Part { value, spot: field.spot() })
}

fn duration(field: &Field<'_>) -> Result<Amount> {
    let text = field.text("\"30s\"")?;
    match text::amount(&text, &field.path)? {
        Amount::Count(units) => field.fail(
            "this is a string, an integer is needed",
            format!(
                "write the number without quotes: {units}; a duration has a unit: \"{units}s\""
            ),
        ),
        time => Ok(time),
    }
}

pub(super) fn period(field: &Field<'_>) -> Result<Part<Period>> {
    let text = field.text("\"minute\"")?;
    Ok(Part { value: text::period(&text, &field.path)?, spot: field.spot() })
}

/// A zone of the IANA database, or the system's.
pub(super) fn zone(field: &Field<'_>) -> Result<TimeZone> {
    let name = field.text("\"Europe/Amsterdam\"")?.text;
    if name == "local" {
        return TimeZone::try_system().ok().filter(|zone| !zone.is_unknown()).map_or_else(
            || field.fail("the system does not tell its time zone", "write its IANA name"),
            Ok,
        );
    }
    if let Ok(zone) = TimeZone::get(name)
        && !zone.is_unknown()
    {
        return Ok(zone);
    }
    let known: Vec<_> = tz::db().available().map(|name| name.as_str().to_owned()).collect();
    let hint = nearest(name, known.iter().map(String::as_str))
        .map_or_else(String::new, |near| format!("did you mean `{near}`? "));
    field.fail(
        format!("{} is not a time zone", shown(name)),
        format!("{hint}write an IANA name such as `Europe/Amsterdam`, `UTC`, or `local`"),
    )
}

pub(super) fn scale(field: &Field<'_>) -> Result<Scale> {
    let spot: Spot = field.spot();
    match &field.node.value {
        Value::Decimal(literal) => Scale::new(field.source, spot, literal),
        Value::Integer(integer) => Scale::new(field.source, spot, &integer.to_string()),
        _ => Err(field.wrong_type("a number", "`0.5`")),
    }
}
/// A length of time from a millisecond to `most`, whole days, in ns.
pub(super) fn span(field: &Field<'_>, most: u64) -> Result<u64> {
    let text = field.text("\"10m\"")?;
    let nanos = match text::amount(&text, &field.path)? {
        Amount::Time(nanos) => nanos,
        Amount::Count(count) => {
            return field.fail("the unit of time is missing", format!("write it: `\"{count}s\"`"));
        }
    };
    match u64::try_from(nanos) {
        Ok(nanos) if (MIN_SPAN..=most).contains(&nanos) => Ok(nanos),
        _ => field.fail(
            format!("{} is out of range", shown(text.text)),
            format!("write from 1 millisecond to {} days", most / DAY),
        ),
    }
}

/// A share from 0.001 to 1, in per mille.
pub(super) fn per_mille(field: &Field<'_>) -> Result<u16> {
    const MILLIONTHS: u64 = 1_000_000;
    let billionths = match &field.node.value {
        Value::Decimal(literal) => scale::billionths(literal),
        Value::Integer(integer) => scale::billionths(&integer.to_string()),
        _ => return Err(field.wrong_type("a number", "`0.8`")),
    };
    let share = billionths.filter(|billionths| billionths.is_multiple_of(MILLIONTHS));
    match share.map(|billionths| u16::try_from(billionths / MILLIONTHS)) {
        Some(Ok(share @ 1..=1000)) => Ok(share),
        _ => field.fail(
            "this is not a share of the capacity",
            "write a decimal above 0 and up to 1 with at most 3 decimals, such as 0.95",
        ),
    }
}
