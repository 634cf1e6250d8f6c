//! The terms of a limit: whose requests it is for, what makes its key, and what its denials say.

use super::PLAN;
use super::draft::Terms;
use super::fields::{MISSING, attribute, choice, per_mille};
use super::source::shown;
use super::table::{Field, Table};
use super::when::{self, When};
use crate::error::Result;

/// Most attributes of a key.
const MAX_BY: usize = 8;
/// Most thresholds of one limit.
const MAX_ALERTS: usize = 8;
/// Longest message, in bytes.
const MAX_MESSAGE: usize = 512;

/// Where a limit stands.
#[derive(Clone, Copy)]
pub(super) struct Scope<'p> {
    /// The plans that its `when` may name.
    pub(super) plans: &'p [String],
    /// Is it a limit of one plan?
    pub(super) inside: bool,
}

/// Terms, and the plans that `when` names.
pub(super) struct TermsDraft {
    pub(super) terms: Terms,
    pub(super) plans: Option<Vec<usize>>,
}

pub(super) fn terms(table: &Table<'_>, scope: Scope<'_>) -> Result<TermsDraft> {
    let mut terms = Terms::default();
    if let Some(field) = table.get("by") {
        terms.by = by(&field)?;
    }
    let When { conditions, plans } = match table.get("when") {
        Some(field) => when::limited(&field, scope)?,
        None => When::default(),
    };
    terms.when = conditions;
    if let Some(missing) = choice(table, "missing", MISSING)? {
        if terms.by.is_empty() {
            return missing.spot.error(
                table.source(),
                "`missing` without attributes that could be missing",
                "remove it, or name attributes in `by`",
            );
        }
        terms.missing = missing.value;
    }
    terms.shadow = flag(table, "shadow")?;
    terms.close = flag(table, "close")?;
    if let Some(field) = table.get("alerts") {
        terms.alerts = alerts(&field)?;
    }
    terms.message = table.get("message").map(|field| message(&field)).transpose()?;
    Ok(TermsDraft { terms, plans })
}

fn flag(table: &Table<'_>, name: &str) -> Result<bool> {
    table.get(name).map_or(Ok(false), |field| field.boolean())
}

fn by(field: &Field<'_>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for item in field.any_items("a list of attributes", "`[\"account\"]`")? {
        let name = attribute(&item)?;
        if name == PLAN {
            return item.fail(
                "the plan is no part of a key: the use goes on when the plan changes",
                "remove it, and give the plans limits of different names",
            );
        }
        if names.contains(&name) {
            return item
                .fail(format!("{} stands here twice", shown(&name)), "remove one of the two");
        }
        if names.len() == MAX_BY {
            let problem = format!("more than {MAX_BY} attributes");
            return item.fail(problem, format!("write at most {MAX_BY}"));
        }
        names.push(name);
    }
    Ok(names)
}

fn alerts(field: &Field<'_>) -> Result<Vec<u16>> {
    let mut alerts = Vec::new();
    for item in field.items("a list of shares of the capacity", "`[0.8, 0.9]`")? {
        let share = per_mille(&item)?;
        if alerts.contains(&share) {
            return item.fail("the share stands here twice", "remove one of the two");
        }
        if alerts.len() == MAX_ALERTS {
            let problem = format!("more than {MAX_ALERTS} shares");
            return item.fail(problem, format!("write at most {MAX_ALERTS}"));
        }
        alerts.push(share);
    }
    alerts.sort_unstable();
    Ok(alerts)
}

/// Messages become parts of bodies, and strings of C.
fn message(field: &Field<'_>) -> Result<String> {
    let text = field.text("\"Slow down.\"")?.text;
    let problem = if text.trim().is_empty() {
        "the message is empty".to_owned()
    } else if text.len() > MAX_MESSAGE {
        format!("the message has {} bytes", text.len())
    } else if text.contains(char::is_control) {
        "the message holds control characters".to_owned()
    } else {
        return Ok(text.to_owned());
    };
    field.fail(problem, format!("write one line of 1 to {MAX_MESSAGE} bytes of UTF-8"))
}
