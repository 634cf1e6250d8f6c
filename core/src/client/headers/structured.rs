//! `RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers, from its seventh version to the newest.

use sfv::{BareItem, Dictionary, List, ListEntry, Parameters, Parser};

use super::Reader;
use super::names::Form;
use crate::rate::{MAX_PERIOD, SECOND};

impl Reader {
    /// `limit=100, remaining=50, reset=30` (version 7), else `"default";r=50;t=30`.
    pub(super) fn read_rate_limit(&mut self, text: &str) {
        if let Ok(fields) = Parser::new(text).parse::<Dictionary>()
            && ["limit", "remaining", "reset"].iter().any(|name| fields.contains_key(*name))
        {
            let number = |name: &str| match fields.get(name) {
                Some(ListEntry::Item(item)) => amount(&item.bare_item),
                _ => None,
            };
            let (limit, remaining, reset) = (number("limit"), number("remaining"), number("reset"));
            self.tell("", limit, remaining, reset.map(seconds), None);
            return;
        }
        let Ok(items) = Parser::new(text).parse::<List>() else {
            // What is nearly one may be read by others; half a string is not.
            if !text.contains('"') {
                self.read_form(Form::Pairs, "", text);
            }
            return;
        };
        for (name, parameters) in items.iter().filter_map(named) {
            let remaining = parameter(parameters, "r");
            let reset = parameter(parameters, "t").map(seconds);
            if remaining.is_some() || reset.is_some() {
                self.tell(&name.to_ascii_lowercase(), None, remaining, reset, None);
            }
        }
    }

    /// `"default";q=100;w=60`, or `100;w=60` (up to version 7).
    pub(super) fn read_policy(&mut self, text: &str) {
        let Ok(items) = Parser::new(text).parse::<List>() else { return };
        for entry in &items {
            if let Some((name, parameters)) = named(entry) {
                let (limit, window) = (parameter(parameters, "q"), parameter(parameters, "w"));
                if limit.is_some() || window.is_some() {
                    let name = name.to_ascii_lowercase();
                    self.tell(&name, limit, None, None, window.map(seconds));
                }
                continue;
            }
            let ListEntry::Item(item) = entry else { continue };
            if let (Some(limit), Some(window)) =
                (amount(&item.bare_item), parameter(&item.params, "w"))
            {
                self.policies.push((limit, seconds(window)));
            }
        }
    }
}

/// The name of a quota, and what is said of it.
fn named(entry: &ListEntry) -> Option<(&str, &Parameters)> {
    let ListEntry::Item(item) = entry else { return None };
    let name = match &item.bare_item {
        BareItem::String(name) => name.as_str(),
        BareItem::Token(name) => name.as_str(),
        _ => return None,
    };
    Some((name, &item.params))
}

fn parameter(parameters: &Parameters, name: &str) -> Option<u64> {
    parameters.get(name).and_then(amount)
}

/// A number that is not negative; of decimals the whole part.
fn amount(item: &BareItem) -> Option<u64> {
    match item {
        BareItem::Integer(number) => u64::try_from(i64::from(*number)).ok(),
        BareItem::Decimal(number) => super::values::amount(&number.to_string()),
        BareItem::String(text) => super::values::amount(text.as_str()),
        _ => None,
    }
}

fn seconds(number: u64) -> u64 {
    number.saturating_mul(SECOND).min(MAX_PERIOD)
}
