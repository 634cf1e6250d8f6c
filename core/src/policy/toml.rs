//! TOML to the tree. The parser refuses duplicate keys and deep nesting (80) itself.

use toml::de::{DeTable, DeValue};

use super::document;
use super::source::Source;
use super::tree::{Key, Node, Value};
use crate::error::Result;

pub(super) fn tree(source: Source<'_>) -> Result<Node<'_>> {
    match DeTable::parse(source.text()) {
        Ok(table) => Ok(Node { at: 0, value: table_value(table.into_inner()) }),
        Err(error) => Err(source.error(
            error.span().map_or(0, |span| span.start),
            document::FIELD,
            format!("not TOML: {}", error.message().replace('\n', " ")),
            "correct the TOML syntax here; strings stand in quotes",
        )),
    }
}

fn table_value(table: DeTable<'_>) -> Value<'_> {
    let mut entries: Vec<_> = table
        .into_iter()
        .map(|(key, value)| {
            let key = Key { at: key.span().start, name: key.into_inner() };
            let at = value.span().start;
            (key, Node { at, value: self::value(value.into_inner()) })
        })
        .collect();
    // The parser keeps keys in alphabetical order; the first error of the text is told first.
    entries.sort_by_key(|(key, _)| key.at);
    Value::Table(entries)
}

fn value(value: DeValue<'_>) -> Value<'_> {
    match value {
        DeValue::String(text) => Value::Text(text),
        DeValue::Integer(integer) => Value::integer(integer.as_str(), integer.radix()),
        DeValue::Float(float) => Value::Decimal(float.as_str().to_owned().into()),
        DeValue::Boolean(boolean) => Value::Boolean(boolean),
        DeValue::Datetime(_) => Value::Other("a date or time"),
        DeValue::Table(table) => table_value(table),
        DeValue::Array(items) => Value::List(
            items
                .into_iter()
                .map(|item| Node { at: item.span().start, value: self::value(item.into_inner()) })
                .collect(),
        ),
    }
}
