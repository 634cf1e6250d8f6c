//! A call through the C library beside the same call of the crate: two programs take turns, `call` (here) and
//! `bench.c`. Both make one kind of call and print what it cost.

use std::path::Path;
use std::process::Command;

use crate::measure::{Side, compare};
use crate::table::{Bar, Row};

/// The calls that both programs know.
const CALLS: [(&str, &str); 4] = [
    ("try_acquire", "C tidegate_try_acquire, one hot key"),
    ("acquire", "C tidegate_acquire, one hot key"),
    ("denial", "C tidegate_acquire, denied"),
    ("record_latency", "C tidegate_record_latency, six buckets"),
];

/// The table of the C library.
///
/// # Errors
/// When a program cannot be started, or did not do what it was asked.
pub fn rows(rust: &Path, c: &Path, rounds: usize, calls: u64) -> Result<Vec<Row>, String> {
    // Tried once, so that a missing program is an error and not a panic.
    for program in [rust, c] {
        run(program, CALLS[0].0, 1)?;
    }
    let row = |(call, what): (&str, &str)| {
        let side = |program| -> Side<'_> {
            Box::new(move || run(program, call, calls).unwrap_or_else(|error| panic!("{error}")))
        };
        Row::time(what, "Rust", compare(rounds, &mut side(c), &mut side(rust)), Bar::Within(1.15))
    };
    Ok(CALLS.into_iter().map(row).collect())
}

/// ns per call.
fn run(program: &Path, call: &str, calls: u64) -> Result<f64, String> {
    let name = program.display();
    let output = Command::new(program).args([call, &calls.to_string()]).output();
    let output = output.map_err(|error| format!("{name}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.trim().parse() {
        Ok(nanos) if output.status.success() => Ok(nanos),
        _ => Err(format!("{name} {call}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}
