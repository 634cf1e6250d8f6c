//! One table: what | ours | peer | ratio | bar | holds. The scripts of the other hosts print and write the same.

use std::path::Path;

use serde_json::{Value, json};

use crate::measure::Compared;

/// What a row must reach.
#[derive(Clone, Copy, Debug)]
pub enum Bar {
    /// The peer takes at least this many times our time.
    Faster(f64),
    /// We take at most this many times the peer's time.
    Within(f64),
    /// Our throughput is at least this many times the peer's.
    Throughput(f64),
    /// At most so many bytes.
    Bytes(f64),
    /// At most so many microseconds.
    Micros(f64),
    /// To be looked at.
    None,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Row {
    what: String,
    ours: f64,
    peer: Option<(String, f64)>,
    unit: &'static str,
    ratio: Option<f64>,
    spread: Option<(f64, f64)>,
    bar: Bar,
}

impl Row {
    /// Two sides in ns per call.
    #[must_use]
    pub fn time(what: &str, peer: &str, compared: Compared, bar: Bar) -> Row {
        let Compared { ours, peer: other, ratio, spread } = compared;
        let (ratio, spread) = match bar {
            Bar::Within(_) => (ratio, spread),
            _ => (1.0 / ratio, (1.0 / spread.1, 1.0 / spread.0)),
        };
        Row {
            what: what.to_owned(),
            ours,
            peer: Some((peer.to_owned(), other)),
            unit: "ns",
            ratio: Some(ratio),
            spread: Some(spread),
            bar,
        }
    }

    /// Two sides as calls per second, from ns per call.
    #[must_use]
    pub fn throughput(what: &str, peer: &str, compared: Compared, bar: Bar) -> Row {
        let millions = |nanos: f64| 1e3 / nanos;
        Row {
            ours: millions(compared.ours),
            peer: Some((peer.to_owned(), millions(compared.peer))),
            unit: "M/s",
            ..Row::time(what, peer, compared, bar)
        }
    }

    /// Bytes a key.
    #[must_use]
    pub fn bytes(what: &str, ours: f64, peer: Option<(&str, f64)>, bar: Bar) -> Row {
        Row {
            what: what.to_owned(),
            ours,
            peer: peer.map(|(name, bytes)| (name.to_owned(), bytes)),
            unit: "B",
            ratio: peer.map(|(_, bytes)| bytes / ours),
            spread: None,
            bar,
        }
    }

    /// A single call, in µs; `bar`: at most so many.
    #[must_use]
    pub fn worst(what: &str, ours: f64, peer: &str, other: f64, bar: Option<f64>) -> Row {
        Row {
            peer: Some((peer.to_owned(), other)),
            ratio: Some(other / ours),
            bar: bar.map_or(Bar::None, Bar::Micros),
            ..Row::alone(what, ours, "µs")
        }
    }

    /// Something without a peer.
    #[must_use]
    pub fn alone(what: &str, ours: f64, unit: &'static str) -> Row {
        Row {
            what: what.to_owned(),
            ours,
            peer: None,
            unit,
            ratio: None,
            spread: None,
            bar: Bar::None,
        }
    }

    /// Does the row reach its bar? `None` without one.
    #[must_use]
    pub fn holds(&self) -> Option<bool> {
        match self.bar {
            Bar::Faster(bar) | Bar::Throughput(bar) => self.ratio.map(|ratio| ratio >= bar),
            Bar::Within(bar) => self.ratio.map(|ratio| ratio <= bar),
            Bar::Bytes(bar) | Bar::Micros(bar) => Some(self.ours <= bar),
            Bar::None => None,
        }
    }

    fn bar(&self) -> String {
        match self.bar {
            Bar::Faster(bar) | Bar::Throughput(bar) => format!("≥ {bar}×"),
            Bar::Within(bar) => format!("≤ {bar}×"),
            Bar::Bytes(bar) => format!("≤ {bar} B"),
            Bar::Micros(bar) => format!("≤ {bar} µs"),
            Bar::None => String::new(),
        }
    }

    fn cells(&self) -> [String; 6] {
        let amount = |value: f64| match value {
            value if value < 100.0 => format!("{value:.1} {}", self.unit),
            value => format!("{value:.0} {}", self.unit),
        };
        let holds = self.holds().map_or("", |holds| if holds { "yes" } else { "NO" });
        [
            self.what.clone(),
            amount(self.ours),
            self.peer
                .as_ref()
                .map_or_else(String::new, |(name, value)| format!("{} ({name})", amount(*value))),
            self.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}×")),
            self.bar(),
            holds.to_owned(),
        ]
    }

    fn json(&self) -> Value {
        let peer = self.peer.as_ref();
        json!({
            "what": self.what,
            "unit": self.unit,
            "ours": self.ours,
            "peer": peer.map(|(_, value)| value),
            "peer_name": peer.map(|(name, _)| name),
            "ratio": self.ratio,
            "ratio_quartiles": self.spread.map(|(low, high)| [low, high]),
            "bar": self.bar(),
            "holds": self.holds(),
        })
    }
}

const HEAD: [&str; 6] = ["what", "ours", "peer", "ratio", "bar", "holds"];

/// Prints the rows as one table in Markdown.
pub fn print(rows: &[Row]) {
    let head = HEAD.map(str::to_owned);
    let cells: Vec<[String; 6]> = rows.iter().map(Row::cells).collect();
    let width = |column: usize| {
        let widths = cells.iter().chain([&head]).map(|row| row[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let widths: [usize; 6] = std::array::from_fn(width);
    let line = |row: &[String; 6]| {
        let padded: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        println!("| {} |", padded.join(" | "));
    };
    line(&head);
    line(&widths.map(|width| "-".repeat(width)));
    for row in &cells {
        line(row);
    }
}

/// Writes the rows as JSON.
///
/// # Errors
/// When the file cannot be written.
pub fn write(rows: &[Row], host: &str, path: &Path) -> std::io::Result<()> {
    let rows: Vec<Value> = rows.iter().map(Row::json).collect();
    let document = json!({ "host": host, "rows": rows });
    std::fs::write(path, format!("{document:#}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(ours: f64, peer: f64) -> Compared {
        let ratio = ours / peer;
        Compared { ours, peer, ratio, spread: (ratio, ratio) }
    }

    #[test]
    fn bars() {
        let holds = |ours, peer, bar| Row::time("", "", compared(ours, peer), bar).holds();
        assert_eq!(holds(20.0, 40.0, Bar::Faster(2.0)), Some(true));
        assert_eq!(holds(21.0, 40.0, Bar::Faster(2.0)), Some(false));
        assert_eq!(holds(60.0, 40.0, Bar::Within(1.5)), Some(true));
        assert_eq!(holds(61.0, 40.0, Bar::Within(1.5)), Some(false));
        assert_eq!(holds(61.0, 40.0, Bar::None), None);
        let row = Row::throughput("", "", compared(10.0, 20.0), Bar::Throughput(1.8));
        assert_eq!((row.ours, row.holds()), (100.0, Some(true)));
        assert_eq!(Row::bytes("", 32.5, None, Bar::Bytes(32.0)).holds(), Some(false));
        let worst = |micros| Row::worst("", micros, "", 1_000.0, Some(100.0)).holds();
        assert_eq!((worst(99.0), worst(101.0)), (Some(true), Some(false)));
    }
}
