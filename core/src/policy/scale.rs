//! `scale`: an exact decimal factor on every amount of a policy.

use std::ops::RangeInclusive;

use super::source::{Source, Spot, shown};
use crate::error::Result;

const DECIMALS: usize = 9;
const ONE: u64 = 1_000_000_000;
const MOST: u64 = 1_000_000 * ONE;

/// A factor in billionths, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    billionths: u64,
    pub(super) spot: Option<Spot>,
}

impl Default for Scale {
    fn default() -> Scale {
        Scale { billionths: ONE, spot: None }
    }
}

impl Scale {
    /// Reads the digits of a literal; nothing passes through a float.
    pub(super) fn new(source: Source<'_>, spot: Spot, literal: &str) -> Result<Scale> {
        let remedy =
            "write a decimal above 0 and up to 1000000 with at most 9 decimals, such as 0.5";
        match billionths(literal) {
            Some(billionths @ 1..=MOST) => Ok(Scale { billionths, spot: Some(spot) }),
            _ => spot.error(source, "the scale is not a decimal within its bounds", remedy),
        }
    }

    /// The amount times the factor, rounded down.
    pub(super) fn apply(
        &self,
        source: Source<'_>,
        amount: u64,
        bounds: RangeInclusive<u64>,
        what: &str,
        limit: &str,
    ) -> Result<u64> {
        let scaled = u128::from(amount) * u128::from(self.billionths) / u128::from(ONE);
        let end = match (u64::try_from(scaled), &self.spot) {
            (Ok(scaled), _) if bounds.contains(&scaled) => return Ok(scaled),
            (_, None) => return Ok(amount), // a factor of one, and the amount was checked
            (Ok(0), _) => "0",
            _ => "larger than what is possible",
        };
        let spot = self.spot.clone().unwrap_or(Spot { at: 0, field: "scale".to_owned() });
        spot.error(
            source,
            format!("it makes the {what} of limit {} {end}", shown(limit)),
            format!(
                "choose a scale that leaves the {what} within {} to {}",
                bounds.start(),
                bounds.end()
            ),
        )
    }
}

/// `m.n` × 10^exponent with the point moved; the exponent is small.
fn without_exponent(mantissa: &str, exponent: &str) -> Option<String> {
    let exponent: i32 = exponent.parse().ok().filter(|exponent| (-18..=18).contains(exponent))?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    if whole.is_empty() || fraction.is_empty() {
        return None;
    }
    let zeros = "0".repeat(18);
    let digits = format!("{zeros}{whole}{fraction}{zeros}");
    let point = zeros.len() + whole.len();
    let (whole, fraction) =
        digits.split_at_checked(point.checked_add_signed(exponent as isize)?)?;
    Some(format!("{whole}.{fraction}"))
}

/// A literal such as `2`, `0.5`, `+1_000.25` or `5e-05` (as hosts write small floats) in billionths; nothing
/// when it is no such literal.
pub(super) fn billionths(literal: &str) -> Option<u64> {
    let literal = literal.strip_prefix('+').unwrap_or(literal);
    let moved;
    let literal = match literal.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            moved = without_exponent(mantissa, exponent)?;
            moved.as_str()
        }
        None => literal,
    };
    let (whole, fraction) = literal.split_once('.').unwrap_or((literal, "0"));
    let fraction = match fraction.trim_end_matches('0') {
        "" if !fraction.is_empty() => "0",
        trimmed => trimmed,
    };
    let is_number =
        |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || fraction.len() > DECIMALS {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let padded = format!("{fraction:0<DECIMALS$}");
    whole.checked_mul(ONE)?.checked_add(padded.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_exact() {
        for (literal, expected) in [
            ("1", Some(ONE)),
            ("1.0", Some(ONE)),
            ("+0.5", Some(ONE / 2)),
            ("0.1", Some(100_000_000)),
            ("0.000000001", Some(1)),
            ("0.0000000010", Some(1)),
            ("1000000.000", Some(MOST)),
            ("0.0000000001", None),
            ("1e3", Some(1_000 * ONE)),
            ("5e-05", Some(50_000)),
            ("1.25E+2", Some(125 * ONE)),
            ("1e-10", None),
            ("1e19", None),
            ("1e", None),
            ("e3", None),
            ("1e3e3", None),
            ("-1", None),
            ("inf", None),
            ("nan", None),
            ("", None),
            (".", None),
            (".5", None),
            ("5.", None),
            ("18446744073709551616", None),
            ("18446744074", None),
        ] {
            assert_eq!(billionths(literal), expected, "{literal}");
        }
    }
}
