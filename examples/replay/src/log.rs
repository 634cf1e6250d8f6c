//! Reads a log into requests. A line that cannot be read is remembered by its number, never fatal.

mod combined;
mod table;
mod time;

use std::path::Path;

use anyhow::{Context, Result, bail};

/// One request of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// When it arrived, in ns since the Unix epoch.
    pub arrival_ns: u64,
    /// Who sent it; never empty.
    pub key: Vec<u8>,
    /// How long it took; 0 when the log does not say.
    pub duration_ns: u64,
}

impl Request {
    /// None when the key is empty, or the request ends later than the engine's time line.
    fn new(arrival_ns: u64, key: &[u8], duration_ns: u64) -> Option<Request> {
        let end_ns = arrival_ns.checked_add(duration_ns)?;
        let fits = end_ns <= tidegate::Timestamp::MAX.as_nanos();
        (fits && !key.is_empty()).then(|| Request { arrival_ns, key: key.to_vec(), duration_ns })
    }

    /// When its answer was complete, in ns since the Unix epoch.
    pub fn end_ns(&self) -> u64 {
        // `new` refuses a sum that overflows.
        self.arrival_ns + self.duration_ns
    }
}

/// What a log file held.
#[derive(Debug)]
pub struct Log {
    /// The form of its lines, in words.
    pub format: &'static str,
    /// In the order of the file.
    pub requests: Vec<Request>,
    /// Numbers, from 1, of the lines that could not be read.
    pub broken: Vec<usize>,
}

struct Format {
    name: &'static str,
    parse: fn(&[u8]) -> Option<Request>,
    /// Is this, the first line that is not blank, a header?
    is_header: fn(&[u8]) -> bool,
}

const FORMATS: [Format; 2] = [
    Format { name: "combined log", parse: combined::parse, is_header: |_| false },
    Format { name: "CSV", parse: table::parse, is_header: table::is_header },
];

/// Reads a log file.
///
/// # Errors
/// When it cannot be read, or no line of it can.
pub fn read(path: &Path) -> Result<Log> {
    let bytes =
        std::fs::read(path).with_context(|| format!("cannot read the log {}", path.display()))?;
    parse(&bytes).with_context(|| format!("the log {}", path.display()))
}

fn parse(bytes: &[u8]) -> Result<Log> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let lines = || {
        (1..)
            .zip(bytes.split(|&byte| byte == b'\n'))
            .map(|(number, line)| (number, line.trim_ascii()))
            .filter(|(_, line)| !line.is_empty())
    };
    // The first line that any format understands decides for the whole file.
    let Some(format) =
        lines().find_map(|(_, line)| FORMATS.iter().find(|format| (format.parse)(line).is_some()))
    else {
        bail!(
            "no usable line ({} lines are not blank); give an access log in combined format, \
             or CSV lines `timestamp,key,duration` with the duration in seconds",
            lines().count()
        );
    };
    let mut log = Log { format: format.name, requests: Vec::new(), broken: Vec::new() };
    for (index, (number, line)) in lines().enumerate() {
        match (format.parse)(line) {
            Some(request) => log.requests.push(request),
            None if index == 0 && (format.is_header)(line) => {}
            None => log.broken.push(number),
        }
    }
    Ok(log)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMBINED: &str = concat!(
        r#"10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 12 "-" "x""#,
        "\n\nhalf a li\n",
        r#"10.0.0.2 - - [17/May/2015:10:05:04 +0000] "GET / HTTP/1.1" 200 12 "-" "x" 0.25"#,
        "\n",
    );

    #[test]
    fn broken_lines_are_numbered_and_blank_ones_are_not_broken() {
        let log = parse(format!("\u{FEFF}{COMBINED}").as_bytes()).unwrap();
        assert_eq!(log.format, "combined log");
        assert_eq!(log.requests[0].key, b"10.0.0.1");
        assert_eq!(log.broken, [3]);
        assert_eq!(log.requests.len(), 2);
        assert_eq!(log.requests[1].key, b"10.0.0.2");
        assert_eq!(log.requests[1].duration_ns, 250_000_000);
        assert_eq!(log.requests[1].end_ns(), 1_431_857_104_250_000_000);
    }

    #[test]
    fn csv_with_and_without_header() {
        for header in ["", "timestamp,key,duration\r\n", "\u{FEFF}Timestamp,Key,Duration (s)\n"] {
            let text = format!("{header}1.5,a,0.1\r\n2026-11-21T23:00:00Z,b,oops\n3,c,0\n");
            let log = parse(text.as_bytes()).unwrap();
            assert_eq!(log.format, "CSV");
            let skipped = usize::from(!header.is_empty());
            assert_eq!(log.broken, [2 + skipped], "{header:?}");
            assert_eq!(log.requests.len(), 2);
        }
    }

    #[test]
    fn a_header_in_the_middle_is_a_broken_line() {
        let log = parse(b"1,a,0\ntimestamp,key,duration\n2,a,0\n").unwrap();
        assert_eq!(log.broken, [2]);
    }

    #[test]
    fn a_broken_first_line_is_not_taken_for_a_header() {
        let log = parse(b"yesterday,a,0.1\n2,a,0\n").unwrap();
        assert_eq!(log.broken, [1]);
    }

    #[test]
    fn a_stray_quote_breaks_its_own_line_only() {
        let log = parse(b"1,a,0\n2,\"b,0\n3,\"c\",0\n").unwrap();
        assert_eq!(log.broken, [2]);
        assert_eq!(log.requests[1].key, b"c");
    }

    #[test]
    fn nothing_usable_is_an_error() {
        for text in ["", "\n\n", "hello\nworld\n", "timestamp,key,duration\n"] {
            let error = parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("no usable line"), "{error}");
        }
    }

    #[test]
    fn requests_beyond_the_time_line_are_refused() {
        let max = tidegate::Timestamp::MAX.as_nanos();
        assert!(Request::new(max, b"a", 0).is_some());
        assert!(Request::new(max, b"a", 1).is_none());
        assert!(Request::new(u64::MAX, b"a", u64::MAX).is_none());
        assert!(Request::new(0, b"", 0).is_none());
    }
}
