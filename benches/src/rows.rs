//! Every row of the Rust table.

mod growing;
mod many_keys;
mod memory;
mod one_key;
mod threads;

use crate::table::Row;

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
    progress("growing");
    rows.extend(growing::rows(size));
    progress("threads");
    rows.extend(threads::rows(size));
    progress("memory");
    rows.extend(memory::rows(size));
    rows
}

/// `1000000` → `1M keys`.
fn count(keys: u64) -> String {
    match keys {
        keys if keys >= 1_000_000 => format!("{}M keys", keys / 1_000_000),
        keys if keys >= 1_000 => format!("{}k keys", keys / 1_000),
        keys => format!("{keys} keys"),
    }
}
