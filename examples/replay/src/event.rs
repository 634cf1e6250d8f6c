//! The event file, which the replayers of all hosts read. One event a line, in order of time:
//!
//!     A <ns> <key> <id>                 request <id> arrives
//!     L <ns> <key> <duration_ns> <id>   request <id> ends: its time is charged, if it was admitted
//!     S <ns> <key>                      the last line: take a snapshot of this key at this time
//!
//! Nothing gives a permit back, so that limits of concurrency are not for this replay.
//!
//! Times are nanoseconds since the Unix epoch. Keys are percent-encoded: every byte but ASCII
//! letters, digits and `-._~:@/` stands as `%XX`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// What happens at a time, to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub at_ns: u64,
    pub key: Vec<u8>,
    pub what: What,
}

/// The kinds of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A request arrives.
    Arrival { id: usize },
    /// A request ends.
    Latency { id: usize, duration_ns: u64 },
    /// All is over.
    Snapshot,
}

/// Writes an event file.
pub fn write(path: &Path, events: &[Event]) -> Result<()> {
    let mut text = String::with_capacity(events.len() * 64);
    for Event { at_ns, key, what } in events {
        let key = encode(key);
        match what {
            What::Arrival { id } => writeln!(text, "A {at_ns} {key} {id}")?,
            What::Latency { id, duration_ns } => {
                writeln!(text, "L {at_ns} {key} {duration_ns} {id}")?;
            }
            What::Snapshot => writeln!(text, "S {at_ns} {key}")?,
        }
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Reads an event file.
pub fn read(path: &Path) -> Result<Vec<Event>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut events = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let event = parse(line).with_context(|| format!("{}: line {}", path.display(), index + 1));
        events.push(event?);
    }
    if !matches!(events.last(), Some(Event { what: What::Snapshot, .. })) {
        bail!("{}: the last line is not a snapshot; run `prepare` again", path.display());
    }
    Ok(events)
}

fn parse(line: &str) -> Result<Event> {
    let fields: Vec<&str> = line.split(' ').collect();
    let (at_ns, key, what) = match fields[..] {
        ["A", at, key, id] => (at, key, What::Arrival { id: id.parse()? }),
        ["L", at, key, duration, id] => {
            (at, key, What::Latency { id: id.parse()?, duration_ns: duration.parse()? })
        }
        ["S", at, key] => (at, key, What::Snapshot),
        _ => bail!("not an event: {line:?}"),
    };
    Ok(Event { at_ns: at_ns.parse()?, key: decode(key)?, what })
}

/// The key as the event file spells it.
pub fn encode(key: &[u8]) -> String {
    let mut text = String::with_capacity(key.len());
    for &byte in key {
        if byte.is_ascii_alphanumeric() || b"-._~:@/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

fn decode(text: &str) -> Result<Vec<u8>> {
    let mut key = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            key.push(byte);
            continue;
        }
        let digits = [rest.next(), rest.next()].map(|digit| char::from(digit.unwrap_or(b'?')));
        let digits = String::from_iter(digits);
        key.push(u8::from_str_radix(&digits, 16).with_context(|| format!("bad key {text:?}"))?);
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_encoding() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)).unwrap(), all);
        assert_eq!(encode("a b%café".as_bytes()), "a%20b%25caf%C3%A9");
        assert_eq!(encode(b"::1"), "::1");
        for bad in ["%", "%4", "%4x", "%%41"] {
            assert!(decode(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_line_that_is_no_event_is_refused() {
        for bad in ["", "A 1 a", "A x a 1", "L 1 a 1", "B 1 a 1", "A 1 a 1 1", "A -1 a 1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
