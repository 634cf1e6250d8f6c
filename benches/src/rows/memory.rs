//! Memory a key.

use super::{Size, count};
use crate::memory::{SUBJECTS, weigh};
use crate::table::{Bar, Row};

pub(super) fn rows(size: Size) -> Vec<Row> {
    full(size)
        .and_then(|mut rows| {
            rows.extend(following(size)?);
            Ok(rows)
        })
        .unwrap_or_else(|error| {
            eprintln!("memory was not measured: {error}");
            Vec::new()
        })
}

/// As many keys as there is room for.
fn full(Size { keys, .. }: Size) -> Result<Vec<Row>, String> {
    let weights: Result<Vec<f64>, String> =
        SUBJECTS.iter().map(|subject| weigh(subject, keys, keys)).collect();
    let weights = weights?;
    let peer = Some(("governor keyed, one limit", weights[2]));
    let what = |kind: &str| format!("memory a key at {}, {kind}", count(keys));
    Ok(vec![
        Row::bytes(&what("one limit"), weights[0], peer, Bar::Bytes(32.0)),
        Row::bytes(&what("six buckets"), weights[1], peer, Bar::Bytes(110.0)),
    ])
}

/// Few keys in a limiter with room for many: does memory follow the keys, or the room?
fn following(size: Size) -> Result<Vec<Row>, String> {
    let room = 10 * size.keys;
    let row = |keys: u64| {
        let ours = weigh(SUBJECTS[0], keys, room)?;
        let peer = weigh(SUBJECTS[2], keys, room)?;
        let what = format!("memory a key at {}, room for {}", count(keys), count(room));
        Ok(Row::bytes(&what, ours, Some(("governor keyed", peer)), Bar::None))
    };
    [size.keys / 1_000, size.keys / 10, size.keys].into_iter().map(row).collect()
}
