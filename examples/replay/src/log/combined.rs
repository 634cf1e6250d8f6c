//! Lines of an access log in combined format:
//!
//!     host ident user [time] "request" status bytes "referer" "agent" more…
//!
//! The key is the host. The short form without referer and agent is read as well. What servers are
//! told to add at the end may be quoted strings, numbers or `-`; when the last of it is a number it
//! is the request's time in seconds. The time of the line counts as the request's arrival.

use std::str;

use super::{Request, time};

/// None when anything of the line is not as the format has it.
pub fn parse(line: &[u8]) -> Option<Request> {
    let (host, rest) = split_at_byte(line, b' ')?;
    let (identity, rest) = split_at_byte(rest, b'[')?;
    // Two words at least, ident and user; a user's name may hold spaces.
    if !identity.ends_with(b" ") || identity.split(|&byte| byte == b' ').count() < 3 {
        return None;
    }
    let (stamp, rest) = split_at_byte(rest, b']')?;
    let arrival_ns = time::combined(stamp)?;
    let (_request, rest) = quoted(rest.strip_prefix(b" ")?)?;
    let (status, rest) = word(rest.strip_prefix(b" ")?);
    let (bytes, rest) = word(rest.strip_prefix(b" ")?);
    if status.len() != 3 || !is_digits(status) || !(is_digits(bytes) || bytes == b"-") {
        return None;
    }
    Request::new(arrival_ns, host, trailing_duration(rest)?)
}

/// The last field's number as nanoseconds, 0 when it has none; None when a field is malformed.
fn trailing_duration(mut rest: &[u8]) -> Option<u64> {
    let mut duration_ns = 0;
    while !rest.is_empty() {
        rest = rest.strip_prefix(b" ")?;
        if rest.starts_with(b"\"") {
            (_, rest) = quoted(rest)?;
            duration_ns = 0;
        } else {
            let field;
            (field, rest) = word(rest);
            duration_ns =
                if field == b"-" { 0 } else { time::duration(str::from_utf8(field).ok()?)? };
        }
    }
    Some(duration_ns)
}

/// What stands between two quotes, and what follows; `\` takes the next byte as it is.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.strip_prefix(b"\"")?;
    let mut at = 0;
    loop {
        match text.get(at)? {
            b'"' => return Some((&text[..at], &text[at + 1..])),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn word(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|&byte| byte == b' ').unwrap_or(text.len()))
}

/// What stands before and after the first `byte`; None when there is none.
fn split_at_byte(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&other| other == byte)?;
    Some((&text[..at], &text[at + 1..]))
}

fn is_digits(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(tail: &str) -> Option<u64> {
        let head = r#"::1 - mary ann [14/Nov/2023:22:13:20 +0000] "GET /\"a\" HTTP/1.1" 200 "#;
        let request = parse(format!("{head}{tail}").as_bytes())?;
        assert_eq!(request.key, b"::1");
        assert_eq!(request.arrival_ns, 1_700_000_000_000_000_000);
        Some(request.duration_ns)
    }

    #[test]
    fn the_tail_of_a_line() {
        assert_eq!(line(r#"512 "-" "agent \"quoted\"""#), Some(0));
        assert_eq!(line(r#"- "-" "agent""#), Some(0));
        assert_eq!(line("512"), Some(0));
        assert_eq!(line(r#"512 "-" "agent" 0.153"#), Some(153_000_000));
        assert_eq!(line(r#"512 "-" "agent" "10.1.1.1" 0.2 0.153"#), Some(153_000_000));
        assert_eq!(line(r#"512 "-" "agent" 0.153 "10.1.1.1""#), Some(0));
        assert_eq!(line(r#"512 "-" "agent" -"#), Some(0));
    }

    #[test]
    fn what_is_no_tail() {
        for tail in [
            "",
            "x",
            "512 ",
            r#"512 "-" "agent"#,
            r#"512 "-"  "agent""#,
            r#"512 "-" "agent" soon"#,
            r#"512 "-" "agent" -1"#,
            r#"512"-""#,
            r#"512 "\"#,
        ] {
            assert_eq!(line(tail), None, "{tail}");
        }
    }

    #[test]
    fn what_is_no_head() {
        let good = r#"h - - [14/Nov/2023:22:13:20 +0000] "GET / HTTP/1.1" 200 5 "-" "a""#;
        assert!(parse(good.as_bytes()).is_some());
        for (from, to) in [
            ("h - -", ""),
            ("h - -", "h -"),
            ("h - -", "h"),
            ("Nov", "Nux"),
            (" +0000", ""),
            ("\"GET", "GET"),
            (" 200", " 20"),
            (" 200", " 2x0"),
            ("] ", "]"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
        for length in 0..good.len() {
            let cut = parse(&good.as_bytes()[..length]);
            // Cut behind the bytes or the referer it is a line of the shorter forms.
            assert!(cut.is_none() || good[length..].starts_with(" \""), "{}", &good[..length]);
        }
    }
}
