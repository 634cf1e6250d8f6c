//! A policy: the limits that a request must all pass. Built from text, checked while it is built.

mod build;
mod document;
mod json;
mod options;
mod parse;
mod scale;
mod scan;
mod source;
mod table;
mod text;
mod toml;
mod tree;
mod unit;

use std::path::Path;

use crate::error::{Error, Result};
use crate::rate::{Method, Rate};

/// The limits that a request must all pass.
///
/// A policy is made from a rate string (`"100/minute; 30s/minute"`), from TOML or from JSON; a
/// policy that exists is valid.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) limits: Vec<Limit>,
}

/// A named rate, a named cascade of rates, or a number of permits.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) name: String,
    pub(crate) method: Method,
    pub(crate) kind: LimitKind,
}

#[derive(Clone, Debug)]
pub(crate) enum LimitKind {
    /// One rate, or several of which the first with room pays. Never empty.
    Rates(Vec<Rate>),
    /// Permits in flight.
    Permits(u64),
}

impl Policy {
    /// Reads a rate string, a TOML document or a JSON document, told apart by their form.
    ///
    /// # Errors
    /// [`Error::is_policy`], with line, column, field and remedy.
    pub fn parse(text: &str) -> Result<Policy> {
        parse::any(text)
    }

    /// Reads a JSON document.
    ///
    /// # Errors
    /// As [`Policy::parse`].
    pub fn from_json(text: &str) -> Result<Policy> {
        parse::json(text)
    }

    /// Reads a TOML document.
    ///
    /// # Errors
    /// As [`Policy::parse`].
    pub fn from_toml(text: &str) -> Result<Policy> {
        parse::toml(text)
    }

    /// Reads a policy file: `.toml`, `.json`, or anything that [`Policy::parse`] knows.
    ///
    /// # Errors
    /// [`Error::is_file`] when it cannot be read, else as [`Policy::parse`], with the path.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Policy> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| Error::file(path, source))?;
        let parsed = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => parse::toml(&text),
            Some("json") => parse::json(&text),
            _ => parse::any(&text),
        };
        parsed.map_err(|error| error.in_file(path))
    }
}

impl std::str::FromStr for Policy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Policy> {
        Policy::parse(text)
    }
}

impl TryFrom<&str> for Policy {
    type Error = Error;

    fn try_from(text: &str) -> Result<Policy> {
        Policy::parse(text)
    }
}
