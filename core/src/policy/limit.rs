//! A limit of a document to its draft: its rate, its cascade or its permits, and its terms.

use super::draft::{Body, Draft, GrowthDraft, LimitDraft, RatesDraft};
use super::fields::{
    ALGORITHMS, ALIGNMENTS, METHODS, amount, choice, name, part, period, required, span, zone,
};
use super::options::Options;
use super::source::Part;
use super::table::{Field, Table};
use super::terms::{self, Scope, TermsDraft};
use super::text::{self, RateText};
use super::tree::{Node, Value};
use crate::error::Result;
use crate::rate::{MAX_GROWTH_SPAN, MAX_PERIOD, Method};

/// What a limit takes.
pub(super) const LIMIT: &[&str] = &[
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
    "grow",
    "max_hold",
    "by",
    "when",
    "missing",
    "shadow",
    "alerts",
    "message",
    "close",
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
    "grow",
];
/// What means nothing to a concurrency limit.
const RATES_ONLY: &[&str] = &[
    "algorithm",
    "rate",
    "cascade",
    "period",
    "burst",
    "max_debt",
    "align",
    "timezone",
    "strict",
    "grow",
];
const GROW: &[&str] = &["ceiling", "step", "after", "shrink_after"];
const GROW_EXAMPLE: &str =
    "`grow = { ceiling = 200, step = 20, after = \"10m\", shrink_after = \"1h\" }`";

/// A limit, and the plans that it is for where its `when` names some.
pub(super) fn limit(
    table: &Table<'_>,
    scope: Scope<'_>,
) -> Result<(LimitDraft, Option<Vec<usize>>)> {
    let name = name(table)?;
    let method = choice(table, "method", METHODS)?;
    let body = match &method {
        Some(Part { value: Method::Concurrency, .. }) => permits(table)?,
        _ => Body::Rates(Box::new(rates(table, method)?)),
    };
    let TermsDraft { terms, plans } = terms::terms(table, scope)?;
    Ok((LimitDraft { name, body, terms, spot: table.spot() }, plans))
}

fn rates(table: &Table<'_>, method: Option<Part<Method>>) -> Result<RatesDraft> {
    if let Some(field) = table.get("max_hold") {
        return field.fail(
            "`max_hold` does not apply to rates",
            "remove it, or set `method = \"concurrency\"` with a `quota` of permits",
        );
    }
    let mut options = options(table)?;
    if let Some(cascade) = table.get("cascade") {
        only_one_form(table, "cascade", &["rate", "quota", "period"])?;
        if let Some(grow) = table.get("grow") {
            return grow.fail(
                "`grow` beside `cascade`",
                "write it in an entry of the cascade: `{ rate = \"100/minute\", grow = { … } }`",
            );
        }
        let buckets = cascade
            .items("a list of rates", "`[\"100/minute\", \"2600/hour\"]`")?
            .into_iter()
            .map(entry)
            .collect::<Result<Vec<_>>>()?;
        return Ok(RatesDraft { method, options, buckets, is_cascade: true });
    }
    let rate = rate(table, &mut options)?;
    let bucket = Draft { name: None, rate, options: Options::default(), spot: table.spot() };
    Ok(RatesDraft { method, options, buckets: vec![bucket], is_cascade: false })
}

fn permits(table: &Table<'_>) -> Result<Body> {
    if let Some(field) = table.fields().find(|field| RATES_ONLY.contains(&field.name)) {
        let problem = format!("`{}` does not apply to a concurrency limit", field.name);
        return field
            .fail(problem, "remove it: a concurrency limit has a `quota` of permits alone");
    }
    let quota = required(
        table,
        "quota",
        "a concurrency limit has a quota",
        "write the number of permits: `quota = 5`",
    )?;
    let max_hold = table.get("max_hold").map(|field| span(&field, MAX_PERIOD)).transpose()?;
    Ok(Body::Permits { quota: amount(&quota)?, max_hold })
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

fn options(table: &Table<'_>) -> Result<Options> {
    Ok(Options {
        algorithm: choice(table, "algorithm", ALGORITHMS)?,
        align: choice(table, "align", ALIGNMENTS)?,
        timezone: part(table, "timezone", zone)?,
        strict: part(table, "strict", Field::boolean)?,
        burst: table.get("burst").map(|field| amount(&field)).transpose()?,
        max_debt: table.get("max_debt").map(|field| amount(&field)).transpose()?,
        grow: table.get("grow").map(|field| growth(&field)).transpose()?,
    })
}

fn growth(field: &Field<'_>) -> Result<GrowthDraft> {
    let table = Table::open(field.source, field.node, field.path.clone(), GROW)?;
    let get = |name: &str| {
        required(&table, name, &format!("`{name}` is missing"), &format!("write {GROW_EXAMPLE}"))
    };
    Ok(GrowthDraft {
        ceiling: amount(&get("ceiling")?)?,
        step: amount(&get("step")?)?,
        after: span(&get("after")?, MAX_GROWTH_SPAN)?,
        shrink_after: span(&get("shrink_after")?, MAX_GROWTH_SPAN)?,
    })
}
