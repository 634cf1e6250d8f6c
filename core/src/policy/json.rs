//! JSON (RFC 8259, nothing looser) to the tree.

use std::borrow::Cow;

use jsonc_parser::ast::{self, ObjectPropName};
use jsonc_parser::common::Ranged;
use jsonc_parser::errors::ParseErrorKind;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::document;
use super::source::{Source, shown};
use super::tree::{Key, Node, Value};
use crate::error::{Error, Result};

/// Limits nest five deep, and plans put four on top. The parser's own bound (512) is more than small stacks hold.
const MAX_DEPTH: usize = 32;

pub(super) fn tree(source: Source<'_>) -> Result<Node<'_>> {
    check_bytes(source)?;
    let strict = ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    match parse_to_ast(source.text(), &CollectOptions::default(), &strict) {
        Ok(parsed) => match parsed.value {
            Some(value) => Ok(node(value)),
            None => Err(syntax(source, 0, "the text is empty", "write an object: `{ … }`")),
        },
        Err(error) => Err(syntax(
            source,
            error.range().start,
            &format!("not JSON: {}", lowercase_first(&error.kind().to_string())),
            remedy(error.kind()),
        )),
    }
}

fn syntax(source: Source<'_>, at: usize, problem: &str, remedy: &str) -> Error {
    source.error(at, document::FIELD, problem, remedy)
}

fn remedy(kind: &ParseErrorKind) -> &'static str {
    match kind {
        ParseErrorKind::CommentsNotAllowed => "remove the comment, or write the policy in TOML",
        ParseErrorKind::TrailingCommasNotAllowed => "remove the comma",
        ParseErrorKind::SingleQuotedStringsNotAllowed
        | ParseErrorKind::ExpectedStringObjectProperty => "write double quotes",
        ParseErrorKind::UnaryPlusNumbersNotAllowed => "remove the sign",
        ParseErrorKind::HexadecimalNumbersNotAllowed => "write a decimal number",
        ParseErrorKind::UnterminatedArray => "close the list with `]`",
        ParseErrorKind::UnterminatedObject => "close the object with `}`",
        ParseErrorKind::MultipleRootJsonValues => "a policy is one object; remove what follows it",
        _ => "correct the JSON syntax here",
    }
}

fn lowercase_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// What the parser lets pass: control characters in strings, blanks of Unicode, deep nesting.
fn check_bytes(source: Source<'_>) -> Result<()> {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut characters = source.text().char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => in_string = !in_string,
            '\\' if in_string => drop(characters.next()),
            '\0'..' ' if in_string => {
                let problem = format!(
                    "not JSON: control character {} in a string",
                    shown(&character.to_string())
                );
                return Err(syntax(source, at, &problem, "write it as an escape, such as `\\n`"));
            }
            _ if in_string => {}
            // A comment: the parser refuses it, whatever it holds.
            '/' => return Ok(()),
            '{' | '[' if depth == MAX_DEPTH => {
                let problem = format!("nested more than {MAX_DEPTH} deep");
                return Err(syntax(
                    source,
                    at,
                    &problem,
                    "limits nest five deep, those of plans nine",
                ));
            }
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            ' ' | '\t' | '\r' | '\n' | '!'..='~' => {}
            _ => {
                let problem =
                    format!("not JSON: unexpected character {}", shown(&character.to_string()));
                return Err(syntax(source, at, &problem, "remove it, or write it inside a string"));
            }
        }
    }
    Ok(())
}

fn node(value: ast::Value<'_>) -> Node<'_> {
    let at = value.range().start;
    let value = match value {
        ast::Value::StringLit(text) => Value::Text(text.value),
        ast::Value::NumberLit(number) => self::number(number.value),
        ast::Value::BooleanLit(boolean) => Value::Boolean(boolean.value),
        ast::Value::NullKeyword(_) => Value::Other("null"),
        ast::Value::Array(array) => Value::List(array.elements.into_iter().map(node).collect()),
        ast::Value::Object(object) => {
            Value::Table(object.properties.into_iter().map(property).collect())
        }
    };
    Node { at, value }
}

fn property(property: ast::ObjectProp<'_>) -> (Key<'_>, Node<'_>) {
    let at = property.range.start;
    let name = match property.name {
        ObjectPropName::String(text) => text.value,
        ObjectPropName::Word(word) => Cow::Borrowed(word.value),
    };
    (Key { at, name }, node(property.value))
}

fn number(digits: &str) -> Value<'_> {
    if digits.contains(['.', 'e', 'E']) {
        Value::Decimal(Cow::Borrowed(digits))
    } else {
        Value::integer(digits, 10)
    }
}
