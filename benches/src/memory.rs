//! Memory a key: the growth of a fresh process's resident memory while it takes in many keys.
//!
//! Resident memory is what a user pays: unlike a counting allocator it knows the allocator's own overhead, and it does
//! not count what was reserved and never touched.

use std::process::Command;

use crate::keys::write_key;
use crate::peers::governor;
use crate::subject::{DATA_API, check_kept, limiter};

/// The limiters that are weighed.
pub const SUBJECTS: [&str; 3] = ["one-limit", "six-buckets", "governor"];

/// One gcra limit whose keys stay in use.
const ONE_LIMIT: &str = "100/day";

/// Starts this program anew with `--memory subject --keys keys --room room`; bytes a key.
///
/// # Errors
/// When there is no `/proc`, or the process fails.
pub fn weigh(subject: &str, keys: u64, room: u64) -> Result<f64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let (keys, room) = (keys.to_string(), room.to_string());
    let arguments = ["--memory", subject, "--keys", &keys, "--room", &room];
    let output =
        Command::new(program).args(arguments).output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|_| String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

/// In the fresh process: takes the keys in, where there is room for `room`, and returns what one weighs.
///
/// # Errors
/// When there is no `/proc`, or no such subject.
pub fn weigh_here(subject: &str, keys: u64, room: u64) -> Result<f64, String> {
    let mut buffer = String::with_capacity(32);
    let mut each = |act: &mut dyn FnMut(&String)| {
        for number in 0..keys {
            write_key(&mut buffer, number);
            act(&buffer);
        }
    };
    let before = resident()?;
    let after = match subject {
        "one-limit" | "six-buckets" => {
            let policy = if subject == "one-limit" { ONE_LIMIT } else { DATA_API };
            let limiter = limiter(policy, room);
            each(&mut |key| assert!(limiter.try_acquire(key, 1)));
            let after = resident()?;
            check_kept(&limiter, keys);
            after
        }
        "governor" => {
            let limiter = governor();
            each(&mut |key| assert!(limiter.check_key(key).is_ok()));
            assert_eq!(limiter.len() as u64, keys, "every key is remembered");
            resident()?
        }
        _ => return Err(format!("nothing named {subject:?}: give one of {SUBJECTS:?}")),
    };
    Ok(after.saturating_sub(before) as f64 / keys as f64)
}

/// Resident bytes of this process.
fn resident() -> Result<u64, String> {
    let path = "/proc/self/smaps_rollup";
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).ok_or("no Rss")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().map_err(|_| "no number")?;
    Ok(kilobytes * 1024)
}
