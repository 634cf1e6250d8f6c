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

type Section = (&'static str, fn(Size) -> Vec<Row>);

/// The table's sections, in order.
const SECTIONS: [Section; 5] = [
    ("one-key", one_key::rows),
    ("many-keys", many_keys::rows),
    ("growing", growing::rows),
    ("threads", threads::rows),
    ("memory", memory::rows),
];

/// Measures everything, or `only` one section, and tells `progress` what comes next.
///
/// # Errors
/// When there is no such section.
pub fn all(size: Size, only: Option<&str>, progress: &dyn Fn(&str)) -> Result<Vec<Row>, String> {
    let chosen = |(name, _): &&Section| only.is_none_or(|only| only == *name);
    let sections: Vec<&Section> = SECTIONS.iter().filter(chosen).collect();
    if sections.is_empty() {
        let names = SECTIONS.map(|(name, _)| name).join(", ");
        return Err(format!("no section {:?}: give one of {names}", only.unwrap_or_default()));
    }
    let mut rows = Vec::new();
    for (name, measure) in sections {
        progress(name);
        rows.extend(measure(size));
    }
    Ok(rows)
}

/// `1000000` → `1M keys`.
fn count(keys: u64) -> String {
    match keys {
        keys if keys >= 1_000_000 => format!("{}M keys", keys / 1_000_000),
        keys if keys >= 1_000 => format!("{}k keys", keys / 1_000),
        keys => format!("{keys} keys"),
    }
}
