//! Prints the table. See `--help`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tidegate_benches::rows::{self, Size};
use tidegate_benches::{c, memory, table};

const HELP: &str = "\
Measures Tidegate beside its peers, by turns, and prints one table of medians.

  table [--quick] [--json PATH] [--check] [--rounds N] [--only SECTION]

  --c PROGRAM   instead: benches/c/bench.c, built as PROGRAM, beside the Rust calls
  --quick       tiny sizes: everything runs, no figure means anything
  --json PATH   also writes the table as JSON
  --check       fails when a row does not reach its bar
  --rounds N    turns of each side, at least 7 (301; of the C programs a tenth)
  --only NAME   one section: one-key, many-keys, growing, threads or memory

Ratios: beside a bar `≥` the peer's time by ours (throughput: ours by the peer's), beside `≤` ours by the peer's.";

struct Options {
    size: Size,
    json: Option<PathBuf>,
    c: Option<PathBuf>,
    memory: Option<String>,
    room: u64,
    only: Option<String>,
    check: bool,
    quick: bool,
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("table: {problem}");
            ExitCode::from(2)
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        size: Size::FULL,
        json: None,
        c: None,
        memory: None,
        room: Size::FULL.keys,
        only: None,
        check: false,
        quick: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--help" | "-h" => {
                println!("{HELP}");
                std::process::exit(0);
            }
            "--quick" => (options.quick, options.size) = (true, Size::QUICK),
            "--only" => options.only = Some(value()?),
            "--check" => options.check = true,
            "--json" => options.json = Some(value()?.into()),
            "--c" => options.c = Some(value()?.into()),
            "--memory" => options.memory = Some(value()?),
            "--rounds" => options.size.rounds = number(&value()?)?.max(7),
            "--room" => options.room = number(&value()?)? as u64,
            "--keys" => options.size.keys = number(&value()?)? as u64,
            other => return Err(format!("unknown argument {other}; --help tells what there is")),
        }
    }
    Ok(options)
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

fn run(options: &Options) -> Result<ExitCode, String> {
    if let Some(subject) = &options.memory {
        println!("{}", memory::weigh_here(subject, options.size.keys, options.room)?);
        return Ok(ExitCode::SUCCESS);
    }
    let (host, rows) = match &options.c {
        Some(program) => ("c", c_rows(program, options)?),
        None => {
            let progress = |what: &str| eprintln!("measuring {what} …");
            ("rust", rows::all(options.size, options.only.as_deref(), &progress)?)
        }
    };
    table::print(&rows);
    if options.quick {
        println!("(tiny sizes: these figures mean nothing)");
    }
    if let Some(path) = &options.json {
        let written = table::write(&rows, host, path);
        written.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let missed = rows.iter().any(|row| row.holds() == Some(false));
    Ok(if missed && options.check { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn c_rows(program: &Path, options: &Options) -> Result<Vec<table::Row>, String> {
    let here = std::env::current_exe().map_err(|error| error.to_string())?;
    let calls = if options.quick { 10_000 } else { 500_000 };
    c::rows(&here.with_file_name("call"), program, (options.size.rounds / 10).max(7), calls)
}
