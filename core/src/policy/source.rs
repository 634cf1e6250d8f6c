//! Where things stand in a policy's text: offsets to lines and columns, and parts with their place.

use crate::error::{Error, Result};

/// The whole text of a policy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'t> {
    text: &'t str,
}

impl<'t> Source<'t> {
    pub(super) fn new(text: &'t str) -> Source<'t> {
        Source { text }
    }

    pub(super) fn text(self) -> &'t str {
        self.text
    }

    /// An error at a byte offset.
    pub(super) fn error(
        self,
        at: usize,
        field: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Error {
        Error::policy(field, Some(self.position(at)), problem, remedy)
    }

    /// Line and column (in characters), both from 1.
    fn position(self, at: usize) -> (u32, u32) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before[line_start..].chars().count() + 1;
        // A policy has at most 2^20 bytes.
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }
}

/// A string inside the source, such that its own offsets can be told as places of the source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'t> {
    pub(super) source: Source<'t>,
    pub(super) text: &'t str,
    at: usize,
    /// Is the string written as it reads? With escapes its parts have no place of their own.
    verbatim: bool,
}

impl<'t> Text<'t> {
    /// The whole source as one string.
    pub(super) fn whole(source: Source<'t>) -> Text<'t> {
        Text { source, text: source.text, at: 0, verbatim: true }
    }

    /// A string literal whose opening quote stands at `at`.
    pub(super) fn quoted(source: Source<'t>, at: usize, text: &'t str) -> Text<'t> {
        // One quote, or the three of a TOML multi-line string.
        for quotes in [1, 3] {
            let start = at + quotes;
            if source.text.get(start..start + text.len()) == Some(text) {
                return Text { source, text, at: start, verbatim: true };
            }
        }
        Text { source, text, at, verbatim: false }
    }

    /// The place in the source of an offset in this string.
    pub(super) fn place(&self, offset: usize) -> usize {
        if self.verbatim { self.at + offset } else { self.at }
    }
}

/// Where a part of a policy stands, for errors that are found later.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub(super) at: usize,
    pub(super) field: String,
}

impl Spot {
    pub(super) fn error<T>(
        &self,
        source: Source<'_>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Result<T> {
        Err(source.error(self.at, self.field.clone(), problem, remedy))
    }
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct Part<T> {
    pub(super) value: T,
    pub(super) spot: Spot,
}

/// Text of a policy as a message shows it: quoted, escaped, and never longer than a line.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 40;
    let mut shown: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// The known name that was probably meant; nothing when none is near.
pub(super) fn nearest<'n>(
    wrong: &str,
    known: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    // Distances take time with the product of the lengths, and no name is this long.
    let wrong = (wrong.len() <= 64).then(|| wrong.to_ascii_lowercase())?;
    let distance = |name: &str| strsim::osa_distance(&wrong, &name.to_ascii_lowercase());
    let (nearest, distance) =
        known.into_iter().map(|name| (name, distance(name))).min_by_key(|&(_, far)| far)?;
    (distance <= 2.max(nearest.len() / 4) && distance < nearest.len()).then_some(nearest)
}

/// "`a`, `b` or `c`".
pub(super) fn one_of(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(|name| format!("`{name}`")).collect();
            format!("{} or `{last}`", first.join(", "))
        }
    }
}
