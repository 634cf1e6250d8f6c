//! Measures how costs grow, prints them, and writes them as JSON for `plots`. See `--help`.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use tidegate_benches::growth::{self, Point};
use tidegate_benches::rows::Size;

const HELP: &str = "\
Measures a call over 1 to 10M keys and over 1 to 4 threads, beside governor and beside what the machine allows.

  growth [--quick] [--json PATH] [--keys N] [--rounds N]

  --quick       tiny sizes: everything runs, no figure means anything
  --json PATH   also writes the figures as JSON
  --keys N      most keys (10000000)
  --rounds N    turns of each side, at least 7 (101)

Figures are medians in ns per call, of all threads together.";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("growth: {problem}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), String> {
    let (size, path) = options()?;
    let progress = |what: &str| eprintln!("measuring {what} …");
    let keys = growth::over_keys(size, &progress);
    let scenes = growth::over_threads(size, &progress);
    print("keys", &keys);
    for (scene, points) in &scenes {
        println!("\n{}", scene.name());
        print("threads", points);
    }
    let Some(path) = path else { return Ok(()) };
    let threads: serde_json::Map<_, _> = scenes
        .iter()
        .map(|(scene, points)| (scene.name().to_owned(), growth::json("threads", points)))
        .collect();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let document =
        json!({ "cores": cores, "keys": growth::json("keys", &keys), "threads": threads });
    std::fs::write(&path, format!("{document:#}\n"))
        .map_err(|error| format!("{}: {error}", path.display()))
}

fn options() -> Result<(Size, Option<PathBuf>), String> {
    let (mut size, mut path) = (growth::FULL, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--help" | "-h" => {
                println!("{HELP}");
                std::process::exit(0);
            }
            "--quick" => size = growth::QUICK,
            "--json" => path = Some(value()?.into()),
            "--keys" => size.keys = number(&value()?)?.max(1),
            "--rounds" => size.rounds = number(&value()?)?.max(7) as usize,
            other => return Err(format!("unknown argument {other}; --help tells what there is")),
        }
    }
    Ok((size, path))
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

/// One line a point, ns per call.
fn print(unit: &str, points: &[Point]) {
    let Some(first) = points.first() else { return };
    let heads = first.costs.iter().map(|(name, _)| format!(" {:>15} |", format!("{name}, ns")));
    println!("| {unit:>8} |{}", heads.collect::<String>());
    println!("| -------- |{}", " --------------- |".repeat(first.costs.len()));
    for point in points {
        let cells = point.costs.iter().map(|(_, ns)| format!(" {ns:>15.1} |"));
        println!("| {:>8} |{}", point.at, cells.collect::<String>());
    }
}
