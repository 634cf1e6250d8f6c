//! Text to [`Policy`]: which syntax it is, and the bounds that hold before anything is read.

use super::Policy;
use super::source::Source;
use super::{document, json, text, toml};
use crate::error::{Error, Result};

/// Longest text of a policy. Far beyond any real one, and small enough to read at once.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// A rate string, TOML or JSON, told apart by their form: no rate holds `{`, `=`, `[` or `#`.
pub(super) fn any(text: &str) -> Result<Policy> {
    let start = without_mark(text).trim_ascii_start();
    if start.starts_with('{') {
        json(text)
    } else if start.starts_with(['[', '#']) || start.contains('=') {
        toml(text)
    } else {
        text::policy(Source::new(sized(text, "rate")?))
    }
}

pub(super) fn json(text: &str) -> Result<Policy> {
    let source = Source::new(sized(text, document::FIELD)?);
    document::policy(source, &json::tree(source)?)
}

pub(super) fn toml(text: &str) -> Result<Policy> {
    let source = Source::new(sized(text, document::FIELD)?);
    document::policy(source, &toml::tree(source)?)
}

/// The text without a byte order mark, which editors add unseen.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn sized<'t>(text: &'t str, field: &str) -> Result<&'t str> {
    if text.len() > MAX_BYTES {
        return Err(Error::policy(
            field,
            Some((1, 1)),
            format!("the text has {} bytes", text.len()),
            format!("a policy has at most {MAX_BYTES} bytes"),
        ));
    }
    Ok(without_mark(text))
}

#[cfg(test)]
mod tests;
