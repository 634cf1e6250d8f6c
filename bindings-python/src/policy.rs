//! Policies as `python/tidegate/_policy.py` hands them on.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyString;
use tidegate::Policy;

use crate::error::{PolicyError, raise, raise_of_file};

/// A policy from the text of one (`"text"`), the JSON of a dict (`"json"`) or a path (`"file"`).
pub(crate) fn read(policy: &Bound<'_, PyAny>, form: &str) -> PyResult<Policy> {
    match form {
        "file" => {
            let path = policy.extract::<PathBuf>()?;
            return Policy::from_file(&path).map_err(|e| raise_of_file(policy.py(), e, &path));
        }
        // The user never saw this JSON: its lines and columns would only puzzle.
        "json" => Policy::from_json(text(policy)?).map_err(tidegate::Error::without_position),
        _ => Policy::parse(text(policy)?),
    }
    .map_err(raise)
}

fn text<'a>(policy: &'a Bound<'_, PyAny>) -> PyResult<&'a str> {
    policy.cast::<PyString>()?.to_str().map_err(|_| {
        let remedy = "decode the policy as UTF-8";
        let message = format!("policy: the text has lone surrogates; {remedy}");
        PolicyError::new_err((message, "policy", remedy))
    })
}
