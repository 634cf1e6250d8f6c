//! One tree for TOML and JSON: values with their places, numbers as they were written.
//!
//! Numbers stay text or whole: a policy never passes through a float.

use std::borrow::Cow;

/// A value and the byte offset where it begins.
#[derive(Debug)]
pub(super) struct Node<'t> {
    pub(super) at: usize,
    pub(super) value: Value<'t>,
}

/// A key and the byte offset where it begins.
#[derive(Debug)]
pub(super) struct Key<'t> {
    pub(super) at: usize,
    pub(super) name: Cow<'t, str>,
}

#[derive(Debug)]
pub(super) enum Value<'t> {
    Text(Cow<'t, str>),
    /// Beyond 128 bits it stays at the end of the range: every bound is far below.
    Integer(i128),
    /// The digits as written.
    Decimal(Cow<'t, str>),
    Boolean(bool),
    List(Vec<Node<'t>>),
    /// In the order of the text; a key may occur twice.
    Table(Vec<(Key<'t>, Node<'t>)>),
    /// What no policy contains: `null`, dates.
    Other(&'static str),
}

impl Value<'_> {
    /// The value's kind, with its article.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "a string",
            Value::Integer(_) => "an integer",
            Value::Decimal(_) => "a decimal number",
            Value::Boolean(_) => "a boolean",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
            Value::Other(kind) => kind,
        }
    }

    /// An integer of the text in a base, with an optional sign.
    pub(super) fn integer(digits: &str, radix: u32) -> Value<'static> {
        let end = if digits.starts_with('-') { i128::MIN } else { i128::MAX };
        // Both parsers have checked the digits, so only the size can be wrong.
        Value::Integer(i128::from_str_radix(digits, radix).unwrap_or(end))
    }
}
