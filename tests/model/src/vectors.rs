//! The vectors that all hosts replay: scripts here, expectations from the oracle.

mod algorithms;
mod calendar;
mod calls;
mod data_api;
mod edges;
mod plans;
mod platform;
mod requests;

use std::path::PathBuf;

use crate::Time;
use crate::script::Script;

/// 2023-11-14T22:13:20Z, where most scripts begin.
const START: Time = 1_700_000_000_000_000_000;

/// Every script, each a file `tests/vectors/<name>.json`.
pub fn all() -> Vec<Script> {
    let groups = [
        algorithms::all(),
        calls::all(),
        calendar::all(),
        data_api::all(),
        edges::all(),
        plans::all(),
        platform::all(),
        requests::all(),
    ];
    groups.into_iter().flatten().collect()
}

/// A policy of the examples, as people write it.
fn example(name: &str) -> String {
    let path = format!("{}/../../examples/policies/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Where the files are.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../vectors")
}
