//! Values of header fields: amounts, spans and times, as servers write them. No number passes through a float.

use std::time::UNIX_EPOCH;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::rate::{DAY, HOUR, MAX_PERIOD, MINUTE, SECOND};

const MILLISECOND: u64 = 1_000_000;

/// In which unit a field's number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
    /// A time since the epoch, in s, ms, µs or ns, or a span in seconds, told apart by their size.
    BySize,
}

/// The text of a value, trimmed; `None` when it is not UTF-8.
pub(super) fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().map(str::trim)
}

/// A decimal number without a sign: whole units, and billionths.
fn decimal(text: &str) -> Option<(u64, u64)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole = digits(whole)?;
    let mut billionths = 0;
    let mut place = SECOND;
    for digit in fraction.bytes() {
        place /= 10;
        billionths += u64::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?) * place;
    }
    Some((whole, billionths))
}

/// Digits, saturating; none are 0.
fn digits(text: &str) -> Option<u64> {
    text.bytes().try_fold(0_u64, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        Some(number.saturating_mul(10).saturating_add(u64::from(digit)))
    })
}

/// What comes before a list's next item, or an item's parameters.
fn first(text: &str) -> &str {
    text.split([',', ';']).next().unwrap_or("").trim()
}

/// An amount, rounded down: what is left is never more than told. Items and parameters after it are left out.
pub(super) fn amount(text: &str) -> Option<u64> {
    decimal(first(text)).map(|(whole, _)| whole)
}

/// The amount of a quota: less than one is a rate, not a quota.
pub(super) fn quota(text: &str) -> Option<u64> {
    amount(text).filter(|quota| *quota > 0)
}

/// The parameter `w` or `window` of the first item that has one (`100, 100;w=60`), in ns.
pub(super) fn window(text: &str) -> Option<u64> {
    let parameters = text.split([',', ';']).filter_map(|part| part.split_once('='));
    let window = |(name, value): (&str, &str)| {
        matches!(name.trim(), "w" | "window").then(|| span(value.trim(), Unit::Seconds))?
    };
    parameters.filter_map(window).next()
}

/// A span in ns, at most ten years: a number in this unit, or a text such as `6m0s`.
pub(super) fn span(text: &str, unit: Unit) -> Option<u64> {
    let nanos = match decimal(text) {
        Some(number) if unit == Unit::Milliseconds => scaled(number, MILLISECOND),
        Some(number) => scaled(number, SECOND),
        None => compound(text)?,
    };
    Some(nanos.min(MAX_PERIOD))
}

/// Whole units and billionths, in ns; rounded up: whoever waits that long has waited long enough.
fn scaled((whole, billionths): (u64, u64), unit: u64) -> u64 {
    let part = (u128::from(billionths) * u128::from(unit)).div_ceil(u128::from(SECOND));
    whole.saturating_mul(unit).saturating_add(part as u64)
}

/// Numbers with units, one after the other: `1h2m3.5s`, `120ms`.
fn compound(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut sum = 0_u64;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (value, after) = rest.split_at(number);
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let unit = match unit.trim() {
            "d" => DAY,
            "h" => HOUR,
            "m" | "min" => MINUTE,
            "s" | "sec" => SECOND,
            "ms" => MILLISECOND,
            "us" | "µs" | "μs" => 1_000,
            "ns" => 1,
            _ => return None,
        };
        sum = sum.saturating_add(scaled(decimal(value)?, unit));
        rest = next;
    }
    (!text.is_empty()).then_some(sum)
}

/// A time in ns since the epoch: an HTTP date, RFC 3339, and what looks like it. Before the epoch is the epoch.
pub(super) fn date(text: &str) -> Option<u64> {
    if let Ok(date) = httpdate::parse_http_date(text) {
        let since = date.duration_since(UNIX_EPOCH).unwrap_or_default();
        return Some(crate::time::nanos(since));
    }
    // Numbers alone are not dates, whatever the parser makes of them.
    if !text.contains('-') || text.len() < 10 {
        return None;
    }
    let zoned = text.parse::<jiff::Timestamp>().ok();
    let spaced =
        || jiff::fmt::strtime::parse("%Y-%m-%d %H:%M:%S %z", text).ok()?.to_timestamp().ok();
    let plain = || {
        let text = text.strip_suffix("UTC").unwrap_or(text).trim();
        let time: DateTime = text.parse().ok()?;
        Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let time = zoned.or_else(spaced).or_else(plain)?;
    Some(u64::try_from(time.as_nanosecond().max(0)).unwrap_or(u64::MAX))
}

/// How long until a time, in ns, at most ten years; a time that is past is 0. `now`: ns since the epoch.
pub(super) fn until(text: &str, unit: Unit, now: u64) -> Option<u64> {
    // Most are numbers, and dates are dear to try.
    let may_be_date = text.contains(['-', ':']);
    let at = match may_be_date.then(|| date(text)).flatten() {
        Some(at) => at,
        None => {
            let text = first(text);
            match decimal(text) {
                Some(number) if unit == Unit::BySize => match epoch(number) {
                    Some(at) => at,
                    None => return span(text, Unit::Seconds),
                },
                _ => return span(text, unit),
            }
        }
    };
    Some(at.saturating_sub(now).min(MAX_PERIOD))
}

/// A number as a time since the epoch, in ns; `None`: it is too small, so it is a span in seconds. (As seconds 10^9 are
/// September 2001, and as a span 31 years.)
fn epoch((whole, billionths): (u64, u64)) -> Option<u64> {
    let unit = match whole {
        0..1_000_000_000 => return None,
        1_000_000_000..100_000_000_000 => SECOND,
        100_000_000_000..100_000_000_000_000 => MILLISECOND,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    Some(scaled((whole, billionths), unit))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000 * SECOND;

    #[test]
    fn numbers_are_exact_and_never_negative() {
        let cases = [
            ("0", Some((0, 0))),
            ("2.5", Some((2, 500_000_000))),
            (".5", Some((0, 500_000_000))),
            ("7.", Some((7, 0))),
            ("0.1234567899", Some((0, 123_456_789))),
            ("99999999999999999999999", Some((u64::MAX, 0))),
            ("", None),
            (".", None),
            ("-1", None),
            ("+1", None),
            ("1e3", None),
            ("NaN", None),
            ("inf", None),
            ("0x10", None),
            ("1.5.5", None),
            ("१", None),
        ];
        for (text, expected) in cases {
            assert_eq!(decimal(text), expected, "{text:?}");
        }
    }

    #[test]
    fn spans_of_many_parts() {
        let cases = [
            ("6m0s", Some(6 * MINUTE)),
            ("1h2m3.5s", Some(HOUR + 2 * MINUTE + 3 * SECOND + SECOND / 2)),
            ("120ms", Some(120 * MILLISECOND)),
            ("1d", Some(DAY)),
            ("500µs", Some(500_000)),
            ("0.5ns", Some(1)),
            ("99999999999999999999h", Some(MAX_PERIOD)),
            ("5 s", Some(5 * SECOND)),
            ("6m0", None),
            ("m", None),
            ("5x", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(span(text, Unit::Seconds), expected, "{text:?}");
        }
        assert_eq!(span("1.5", Unit::Milliseconds), Some(1_500_000));
    }

    #[test]
    fn sizes_tell_units_of_epochs_apart() {
        let cases = [
            ("30", Some(30 * SECOND)),
            ("999999999", Some(MAX_PERIOD)),
            ("1700000030", Some(30 * SECOND)),
            ("1700000030.25", Some(30 * SECOND + SECOND / 4)),
            ("1700000030000", Some(30 * SECOND)),
            ("1700000030000000", Some(30 * SECOND)),
            ("1700000030000000000", Some(30 * SECOND)),
            ("1600000000", Some(0)),
            ("99999999999999999999", Some(MAX_PERIOD)),
            ("30, 60", Some(30 * SECOND)),
            ("soon", None),
            ("-30", None),
        ];
        for (text, expected) in cases {
            assert_eq!(until(text, Unit::BySize, NOW), expected, "{text:?}");
        }
    }

    #[test]
    fn dates_in_all_forms() {
        // 1700000030 is 2023-11-14T22:13:50Z.
        for text in [
            "Tue, 14 Nov 2023 22:13:50 GMT",
            "Tuesday, 14-Nov-23 22:13:50 GMT",
            "Tue Nov 14 22:13:50 2023",
            "2023-11-14T22:13:50Z",
            "2023-11-14T22:13:50.000Z",
            "2023-11-14T23:13:50+01:00",
            "2023-11-14 14:13:50 -0800",
            "2023-11-14 22:13:50 UTC",
            "2023-11-14T22:13:50",
        ] {
            assert_eq!(until(text, Unit::BySize, NOW), Some(30 * SECOND), "{text:?}");
        }
        assert_eq!(until("2023-11-14T22:14Z", Unit::BySize, NOW), Some(40 * SECOND));
        assert_eq!(until("1969-01-01T00:00:00Z", Unit::BySize, NOW), Some(0));
        assert_eq!(until("9999-12-30T00:00:00Z", Unit::BySize, NOW), Some(MAX_PERIOD));
        for text in ["2023-13-14T22:13:50Z", "2023-11-14T", "---------------"] {
            assert_eq!(until(text, Unit::BySize, NOW), None, "{text:?}");
        }
    }
}
