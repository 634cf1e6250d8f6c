//! A document — TOML, JSON, or a host's own object as JSON — to a policy.

use jiff::tz::{self, TimeZone};

use super::Policy;
use super::build::{AlgorithmName, Align, Builder, Draft, Options, RatesDraft};
use super::scale::Scale;
use super::source::{Part, Source, Spot, nearest, shown};
use super::table::{Field, Table};
use super::text::{self, Amount, RateText};
use super::tree::{Node, Value};
use crate::error::Result;
use crate::rate::{Method, Period};

/// What a document as a whole is called in errors.
pub(super) const FIELD: &str = "document";

const TOP: &[&str] = &["limit", "timezone", "scale"];
const LIMIT: &[&str] = &[
    "name",
    "method",
    "algorithm",
    "rate",
    "cascade",
    "quota",
    "period",
    "burst",
    "max_debt",
    "align",
    "timezone",
    "strict",
];
const ENTRY: &[&str] = &[
    "name",
    "rate",
    "quota",
    "period",
    "burst",
    "algorithm",
    "align",
    "timezone",
    "strict",
    "max_debt",
];
/// What a concurrency limit takes.
const PERMITS: &[&str] = &["name", "method", "quota"];

const METHODS: &[(&str, Method)] =
    &[("count", Method::Count), ("latency", Method::Latency), ("concurrency", Method::Concurrency)];
const ALGORITHMS: &[(&str, AlgorithmName)] = &[
    ("gcra", AlgorithmName::Gcra),
    ("sliding_window", AlgorithmName::SlidingWindow),
    ("fixed_window", AlgorithmName::FixedWindow),
];
const ALIGNMENTS: &[(&str, Align)] =
    &[("clock", Align::Clock), ("first_request", Align::FirstRequest)];

pub(super) fn policy(source: Source<'_>, root: &Node<'_>) -> Result<Policy> {
    let top = Table::open(source, root, String::new(), TOP)?;
    let mut builder = Builder::new(source);
    if let Some(field) = top.get("timezone") {
        builder.zone(zone(&field)?);
    }
    if let Some(field) = top.get("scale") {
        builder.scale(scale(&field)?);
    }
    let limits = top.get("limit").ok_or_else(|| {
        top.error(
            "limit",
            "a policy has limits",
            "write a `[[limit]]` table (TOML), or a list `\"limit\": [ … ]` (JSON)",
        )
    })?;
    for item in
        limits.items("a list of limits", "`[[limit]]` (TOML) or `\"limit\": [{ … }]` (JSON)")?
    {
        limit(&mut builder, &Table::open(source, item.node, item.path, LIMIT)?)?;
    }
    builder.finish()
}

fn limit(builder: &mut Builder<'_>, table: &Table<'_>) -> Result<()> {
    let name = name(table)?;
    let method = choice(table, "method", METHODS)?;
    if method.as_ref().is_some_and(|method| method.value == Method::Concurrency) {
        return permits(builder, table, name);
    }
    let spot = table.spot();
    let mut options = options(table)?;
    if let Some(cascade) = table.get("cascade") {
        only_one_form(table, "cascade", &["rate", "quota", "period"])?;
        let buckets = cascade
            .items("a list of rates", "`[\"100/minute\", \"2600/hour\"]`")?
            .into_iter()
            .map(entry)
            .collect::<Result<Vec<_>>>()?;
        return builder.rates(RatesDraft {
            name,
            method,
            options,
            buckets,
            is_cascade: true,
            spot,
        });
    }
    let rate = rate(table, &mut options)?;
    let bucket = Draft { name: None, rate, options: Options::default(), spot: spot.clone() };
    builder.rates(RatesDraft {
        name,
        method,
        options,
        buckets: vec![bucket],
        is_cascade: false,
        spot,
    })
}

fn permits(builder: &mut Builder<'_>, table: &Table<'_>, name: Option<Part<String>>) -> Result<()> {
    if let Some(field) = table.fields().find(|field| !PERMITS.contains(&field.name)) {
        let problem = format!("`{}` does not apply to a concurrency limit", field.name);
        return field
            .fail(problem, "remove it: a concurrency limit has a `quota` of permits alone");
    }
    let quota = table.get("quota").ok_or_else(|| {
        table.error(
            "quota",
            "a concurrency limit has a quota",
            "write the number of permits: `quota = 5`",
        )
    })?;
    builder.permits(name, &amount(&quota)?, &table.spot())
}

/// An entry of a cascade: a rate string, or a table.
fn entry(field: Field<'_>) -> Result<Draft> {
    let spot = field.spot();
    if let Some(text) = field.as_text() {
        let mut rate = text::rate(&text, &field.path)?;
        let options = Options { burst: rate.burst.take(), ..Options::default() };
        return Ok(Draft { name: None, rate, options, spot });
    }
    if !matches!(field.node.value, Value::Table(_)) {
        return Err(field.wrong_type("a rate string or a table", "`\"100/minute\"`"));
    }
    let table = Table::open(field.source, field.node, field.path, ENTRY)?;
    let name = name(&table)?;
    let mut options = options(&table)?;
    let rate = rate(&table, &mut options)?;
    Ok(Draft { name, rate, options, spot })
}

/// `rate`, or `quota` with `period`. A burst inside the rate string goes to the options.
fn rate(table: &Table<'_>, options: &mut Options) -> Result<RateText> {
    if let Some(field) = table.get("rate") {
        only_one_form(table, "rate", &["quota", "period"])?;
        let mut rate = text::rate(&field.text("\"100/minute\"")?, &field.path)?;
        match (rate.burst.take(), &options.burst) {
            (Some(_), Some(twice)) => {
                return twice.spot.error(
                    table.source(),
                    "the rate has a burst already",
                    "remove one of the two",
                );
            }
            (Some(burst), None) => options.burst = Some(burst),
            (None, _) => {}
        }
        return Ok(rate);
    }
    match (table.get("quota"), table.get("period")) {
        (Some(quota), Some(period)) => {
            let text = format!("{}/{}", literal(quota.node), literal(period.node));
            Ok(RateText {
                text,
                quota: amount(&quota)?,
                period: self::period(&period)?,
                burst: None,
            })
        }
        (Some(quota), None) => quota.fail("a quota needs a period", "add `period = \"minute\"`"),
        (None, Some(period)) => period.fail("a period needs a quota", "add `quota = 100`"),
        (None, None) => Err(table.error(
            "rate",
            "the rate is missing",
            "write `rate = \"100/minute\"`, or `quota` with `period`, or in a limit a `cascade`",
        )),
    }
}

/// A rate is written in one form.
fn only_one_form(table: &Table<'_>, form: &str, others: &[&str]) -> Result<()> {
    match others.iter().find_map(|other| table.get(other)) {
        Some(twice) => {
            let problem = format!("`{}` beside `{form}`", twice.name);
            twice.fail(problem, "write one of `rate`, `cascade`, or `quota` with `period`")
        }
        None => Ok(()),
    }
}

/// A value as the name of its rate shows it.
fn literal(node: &Node<'_>) -> String {
    match &node.value {
        Value::Text(text) => text::plain(text),
        Value::Integer(integer) => integer.to_string(),
        _ => String::new(),
    }
}

fn name(table: &Table<'_>) -> Result<Option<Part<String>>> {
    let Some(field) = table.get("name") else { return Ok(None) };
    let value = field.text("\"requests\"")?.text.to_owned();
    Ok(Some(Part { value, spot: field.spot() }))
}

fn options(table: &Table<'_>) -> Result<Options> {
    Ok(Options {
        algorithm: choice(table, "algorithm", ALGORITHMS)?,
        align: choice(table, "align", ALIGNMENTS)?,
        timezone: part(table, "timezone", zone)?,
        strict: part(table, "strict", Field::boolean)?,
        burst: table.get("burst").map(|field| amount(&field)).transpose()?,
        max_debt: table.get("max_debt").map(|field| amount(&field)).transpose()?,
    })
}

fn part<'t, T>(
    table: &Table<'t>,
    name: &str,
    read: fn(&Field<'t>) -> Result<T>,
) -> Result<Option<Part<T>>> {
    let Some(field) = table.get(name) else { return Ok(None) };
    Ok(Some(Part { value: read(&field)?, spot: field.spot() }))
}

/// One of some words, matched exactly.
fn choice<T: Copy>(
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
fn amount(field: &Field<'_>) -> Result<Part<Amount>> {
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

fn period(field: &Field<'_>) -> Result<Part<Period>> {
    let text = field.text("\"minute\"")?;
    Ok(Part { value: text::period(&text, &field.path)?, spot: field.spot() })
}

/// A zone of the IANA database, or the system's.
fn zone(field: &Field<'_>) -> Result<TimeZone> {
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

fn scale(field: &Field<'_>) -> Result<Scale> {
    let spot: Spot = field.spot();
    match &field.node.value {
        Value::Decimal(literal) => Scale::new(field.source, spot, literal),
        Value::Integer(integer) => Scale::new(field.source, spot, &integer.to_string()),
        _ => Err(field.wrong_type("a number", "`0.5`")),
    }
}
