//! Timestamps and durations as logs write them, in whole nanoseconds.

use std::time::Duration;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// RFC 3339, `YYYY-MM-DD HH:MM:SS.fff` (taken as UTC), or seconds since the Unix epoch.
pub fn timestamp(text: &str) -> Option<u64> {
    if let Some(nanos) = decimal_seconds(text) {
        return Some(nanos);
    }
    let time = text.parse::<Timestamp>().ok().or_else(|| {
        let civil = text.parse::<DateTime>().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })?;
    since_epoch(time)
}

/// The time of a combined log: `17/May/2015:10:05:03 +0000`.
pub fn combined(text: &[u8]) -> Option<u64> {
    since_epoch(Timestamp::strptime("%d/%b/%Y:%H:%M:%S %z", text).ok()?)
}

/// Seconds, not negative: `0.153`, `2`, `5e-05`.
pub fn duration(text: &str) -> Option<u64> {
    // Exact where it can be; a program that prints shortest floats writes small ones as 5e-05.
    decimal_seconds(text).or_else(|| {
        let span = Duration::try_from_secs_f64(text.parse().ok()?).ok()?;
        u64::try_from(span.as_nanos()).ok()
    })
}

fn since_epoch(time: Timestamp) -> Option<u64> {
    u64::try_from(time.as_nanosecond()).ok()
}

/// Digits with an optional fraction; what is finer than a nanosecond is cut off.
fn decimal_seconds(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let nanos: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let whole: u64 = whole.parse().ok()?;
    whole.checked_mul(1_000_000_000)?.checked_add(nanos.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_timestamp() {
        let noon = 1_700_000_000_250_000_000;
        assert_eq!(timestamp("2023-11-14T22:13:20.25Z"), Some(noon));
        assert_eq!(timestamp("2023-11-14T23:13:20.250+01:00"), Some(noon));
        assert_eq!(timestamp("2023-11-14 22:13:20.250"), Some(noon));
        assert_eq!(timestamp("2023-11-14 22:13:20.2500000"), Some(noon));
        assert_eq!(timestamp("1700000000.25"), Some(noon));
        assert_eq!(timestamp("1700000000"), Some(noon - 250_000_000));
        assert_eq!(timestamp("1700000000.123456789"), Some(1_700_000_000_123_456_789));
        assert_eq!(combined(b"14/Nov/2023:23:13:20 +0100"), Some(noon - 250_000_000));
    }

    #[test]
    fn what_is_no_timestamp() {
        for text in [
            "",
            "now",
            "-1",
            "1.",
            ".5",
            "1e9",
            "2023-02-30 00:00:00",
            "2023-11-14T25:00:00Z",
            "1969-12-31T23:59:59Z",
            "99999999999999999999",
            "18446744074",
        ] {
            assert_eq!(timestamp(text), None, "{text}");
        }
        assert_eq!(combined(b"14/Nov/2023:23:13:20"), None);
        assert_eq!(combined(b"31/Feb/2023:23:13:20 +0000"), None);
    }

    #[test]
    fn durations() {
        assert_eq!(duration("0.153"), Some(153_000_000));
        assert_eq!(duration("2"), Some(2_000_000_000));
        assert_eq!(duration("0.0000000019"), Some(1));
        assert_eq!(duration("5e-05"), Some(50_000));
        for text in ["", "-", "-0.1", "NaN", "inf", "1e300", "12ms"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
