//! CSV lines: `timestamp,key,duration`.
//!
//! Each line is a record of its own: a stray quote spoils its line, not the rest of the file.

use std::str;

use csv::{ByteRecord, ReaderBuilder};

use super::{Request, time};

/// None when the line is not exactly a timestamp, a key, and a duration in seconds.
pub fn parse(line: &[u8]) -> Option<Request> {
    let record = record(line)?;
    let [stamp, key, duration] = [record.get(0)?, record.get(1)?, record.get(2)?];
    if record.len() != 3 {
        return None;
    }
    let arrival_ns = time::timestamp(str::from_utf8(stamp).ok()?.trim())?;
    let duration_ns = time::duration(str::from_utf8(duration).ok()?.trim())?;
    Request::new(arrival_ns, key, duration_ns)
}

/// Do names stand where the timestamp and the duration belong?
pub fn is_header(line: &[u8]) -> bool {
    let starts_with = |field: Option<&[u8]>, words: [&str; 2]| {
        let field = field.unwrap_or_default().trim_ascii().to_ascii_lowercase();
        words.iter().any(|word| field.starts_with(word.as_bytes()))
    };
    record(line).is_some_and(|record| {
        starts_with(record.get(0), ["time", "date"])
            && starts_with(record.get(2), ["duration", "latency"])
    })
}

fn record(line: &[u8]) -> Option<ByteRecord> {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .buffer_capacity(line.len().max(1))
        .from_reader(line);
    let mut record = ByteRecord::new();
    reader.read_byte_record(&mut record).ok()?.then_some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_bytes_and_may_be_quoted() {
        let quoted = parse(b"1,\"a, \"\"b\"\"\",0.5").unwrap();
        assert_eq!(quoted.key, b"a, \"b\"");
        assert_eq!(quoted.duration_ns, 500_000_000);
        assert_eq!(parse(b"1,\xFF\xFE,0").unwrap().key, b"\xFF\xFE");
        assert_eq!(parse("1,caf\u{e9},0".as_bytes()).unwrap().key, "café".as_bytes());
    }

    #[test]
    fn what_is_no_record() {
        for line in
            ["1,a", "1,a,", "1,,0", "1,a,0,more", ",a,0", "soon,a,0", "1,a,-1", "1;a;0", "1,a,NaN"]
        {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
    }
}
