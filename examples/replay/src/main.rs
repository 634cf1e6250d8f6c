//! Replays a log of requests through a policy in every host, and compares each decision.
//!
//!     tidegate-replay prepare --log FILE --events FILE
//!     tidegate-replay replay  --events FILE --policy FILE --out DIR
//!     tidegate-replay report  --events FILE --out DIR HOST...
//!
//! `prepare` turns a log into an event file. `replay` runs it through the Rust crate; replay.c,
//! replay.py and replay.js do the same through their packages. Each leaves `HOST.decisions` and
//! `HOST.json` in DIR, which `report` compares and puts into a table.

mod event;
mod log;
mod outcome;
mod prepare;
mod replay;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use lexopt::prelude::*;

const USAGE: &str = "usage:
  tidegate-replay prepare --log FILE --events FILE
  tidegate-replay replay  --events FILE --policy FILE --out DIR
  tidegate-replay report  --events FILE --out DIR HOST...";

#[derive(Default)]
struct Options {
    command: Option<String>,
    log: Option<PathBuf>,
    events: Option<PathBuf>,
    policy: Option<PathBuf>,
    out: Option<PathBuf>,
    hosts: Vec<String>,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The whole chain of causes in one line, and no backtrace: these are the user's errors.
            eprintln!("tidegate-replay: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let options = options().map_err(|error| anyhow!("{error}\n{USAGE}"))?;
    let events = required(options.events, "--events")?;
    match options.command.as_deref() {
        Some("prepare") => prepare::run(&required(options.log, "--log")?, &events),
        Some("replay") => {
            let policy = required(options.policy, "--policy")?;
            replay::run(&events, &policy, &required(options.out, "--out")?)
        }
        Some("report") => report::run(&events, &required(options.out, "--out")?, &options.hosts),
        _ => bail!(USAGE),
    }
}

fn options() -> Result<Options> {
    let mut options = Options::default();
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("log") => options.log = Some(arguments.value()?.into()),
            Long("events") => options.events = Some(arguments.value()?.into()),
            Long("policy") => options.policy = Some(arguments.value()?.into()),
            Long("out") => options.out = Some(arguments.value()?.into()),
            Value(word) if options.command.is_none() => options.command = Some(word.string()?),
            Value(word) => options.hosts.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(options)
}

fn required(path: Option<PathBuf>, option: &str) -> Result<PathBuf> {
    path.with_context(|| format!("{option} is missing\n{USAGE}"))
}
