//! Every row of the Rust table.

mod many_keys;
mod one_key;
mod threads;

use crate::memory::weigh;
use crate::table::{Bar, Row};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Turns that each side has; the table shows medians.
    pub rounds: usize,
    /// Calls in a turn.
    pub calls: u64,
    /// Keys where there are many.
    pub keys: u64,
}

impl Size {
    /// For figures. Many short turns: on a busy machine most of them are not interrupted, and the
    /// median is one of those.
    pub const FULL: Size = Size { rounds: 301, calls: 10_000, keys: 1_000_000 };
    /// To see that everything runs.
    pub const QUICK: Size = Size { rounds: 7, calls: 2_000, keys: 20_000 };
}

/// Measures everything, and tells `progress` what comes next.
pub fn all(size: Size, progress: &dyn Fn(&str)) -> Vec<Row> {
    let mut rows = Vec::new();
    progress("one key");
    rows.extend(one_key::rows(size));
    progress("many keys");
    rows.extend(many_keys::rows(size));
    progress("threads");
    rows.extend(threads::rows(size));
    progress("memory");
    rows.extend(memory(size.keys));
    rows
}

fn memory(keys: u64) -> Vec<Row> {
    let weights: Result<Vec<f64>, String> =
        crate::memory::SUBJECTS.iter().map(|subject| weigh(subject, keys)).collect();
    let weights = match weights {
        Ok(weights) => weights,
        Err(error) => {
            eprintln!("memory was not measured: {error}");
            return Vec::new();
        }
    };
    let peer = Some(("governor keyed, one limit", weights[2]));
    let what = |kind: &str| format!("memory a key at {}, {kind}", count(keys));
    vec![
        Row::bytes(&what("one limit"), weights[0], peer, Bar::Bytes(32.0)),
        Row::bytes(&what("six buckets"), weights[1], peer, Bar::Bytes(110.0)),
    ]
}

/// `1000000` → `1M keys`.
fn count(keys: u64) -> String {
    match keys {
        keys if keys >= 1_000_000 => format!("{}M keys", keys / 1_000_000),
        keys if keys >= 1_000 => format!("{}k keys", keys / 1_000),
        keys => format!("{keys} keys"),
    }
}
