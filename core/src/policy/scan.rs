//! The tokens of rate strings: numbers, words, durations. Exact: no float, no rounding.

use std::cell::Cell;

use super::source::{Spot, Text, shown};
use super::text::unknown_unit;
use super::unit::Unit;
use crate::error::{Error, Result};

/// Most digits of a number. Every bound is far below, and arithmetic stays inside 128 bits.
const MAX_DIGITS: usize = 30;
/// No unit divides into more decimals than these and stays whole in nanoseconds.
const MAX_DECIMALS: usize = 18;

/// A position in one rate of a text. Offsets are those of the text.
pub(super) struct Scanner<'s> {
    text: &'s Text<'s>,
    field: &'s str,
    start: usize,
    end: usize,
    offset: Cell<usize>,
}

/// Digits with at most [`MAX_DECIMALS`] decimals, none of them a trailing zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number {
    whole: u128,
    fraction: u128,
    decimals: u32,
    at: usize,
}

impl Number {
    /// Its value, when there are no decimals.
    pub(super) fn as_whole(self) -> Option<u128> {
        (self.decimals == 0).then_some(self.whole)
    }

    /// The length of this many units; nothing when it is not whole in nanoseconds.
    fn nanos(self, unit: Unit) -> Option<u128> {
        let unit = u128::from(unit.nanos());
        let scale = 10_u128.pow(self.decimals);
        let parts = self.fraction * unit; // < 10^18 · 2^55
        parts
            .is_multiple_of(scale)
            .then(|| self.whole.saturating_mul(unit).saturating_add(parts / scale))
    }
}

/// A length of time; `single` when it is a whole number of one unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Duration {
    pub(super) nanos: u128,
    pub(super) single: Option<(u128, Unit)>,
}

impl<'s> Scanner<'s> {
    /// Reads `start..end` of the text; errors name `field`.
    pub(super) fn new(text: &'s Text<'s>, field: &'s str, start: usize, end: usize) -> Scanner<'s> {
        Scanner { text, field, start, end, offset: Cell::new(start) }
    }

    /// All that is read.
    pub(super) fn text(&self) -> &'s str {
        &self.text.text[self.start..self.end]
    }

    pub(super) fn offset(&self) -> usize {
        self.offset.get()
    }

    pub(super) fn rest(&self) -> &'s str {
        &self.text.text[self.offset()..self.end]
    }

    /// What was read since an offset, without blanks at its end.
    pub(super) fn since(&self, at: usize) -> &'s str {
        self.text.text[at..self.offset()].trim_ascii_end()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn error(
        &self,
        part: &str,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Error {
        // What is missing at the end is missing after the last token, not after the blanks.
        let end = self.start + self.text().trim_ascii_end().len();
        self.error_at(self.offset().min(end), part, problem, remedy)
    }

    pub(super) fn error_at(
        &self,
        at: usize,
        part: &str,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Error {
        let Spot { at, field } = self.spot(at, part);
        self.text.source.error(at, field, problem, remedy)
    }

    pub(super) fn spot(&self, at: usize, part: &str) -> Spot {
        Spot { at: self.text.place(at), field: format!("{}{part}", self.field) }
    }

    pub(super) fn skip_blanks(&self) {
        let rest = self.rest();
        self.advance(rest.len() - rest.trim_ascii_start().len());
    }

    /// Takes a symbol, with the blanks before it.
    pub(super) fn take(&self, symbol: &str) -> bool {
        self.skip_blanks();
        let found = self.rest().starts_with(symbol);
        if found {
            self.advance(symbol.len());
        }
        found
    }

    /// Takes a whole word in any case, with the blanks before it.
    pub(super) fn take_word(&self, word: &str) -> bool {
        let found = self.next_word().is_some_and(|next| next.eq_ignore_ascii_case(word));
        if found {
            self.skip_blanks();
            self.advance(word.len());
        }
        found
    }

    /// The word after the blanks, not taken.
    pub(super) fn next_word(&self) -> Option<&'s str> {
        let rest = self.rest().trim_ascii_start();
        let end = rest.find(|letter: char| !letter.is_alphabetic()).unwrap_or(rest.len());
        (end > 0).then(|| &rest[..end])
    }

    /// Takes a unit.
    pub(super) fn unit(&self, part: &str) -> Result<Unit> {
        self.skip_blanks();
        let word = self.next_word().unwrap_or("");
        let Some(unit) = Unit::named(word) else {
            let (problem, remedy) = unknown_unit(word);
            return Err(self.error(part, problem, remedy));
        };
        self.advance(word.len());
        Ok(unit)
    }

    /// Takes a number: digits, underscores between them, decimals.
    pub(super) fn number(&self, part: &str, what: &str) -> Result<Number> {
        let at = self.offset();
        let whole = self.digits(part, what)?;
        let mut fraction = String::new();
        if self.peek() == Some('.') {
            self.advance(1);
            fraction = self.digits(part, what)?;
        }
        self.refuse_exponent(at, part)?;
        let fraction = fraction.trim_end_matches('0');
        if whole.len() > MAX_DIGITS || fraction.len() > MAX_DIGITS {
            let problem = format!("the number {} is too long", shown(self.since(at)));
            return Err(self.error_at(
                at,
                part,
                problem,
                format!("write at most {MAX_DIGITS} digits"),
            ));
        }
        if fraction.len() > MAX_DECIMALS {
            return Err(self.too_fine(at, part));
        }
        // At most 30 digits, so that they fit 128 bits and their count 32.
        let value =
            |digits: &str| digits.bytes().fold(0, |sum, digit| sum * 10 + u128::from(digit - b'0'));
        let decimals = u32::try_from(fraction.len()).unwrap_or(u32::MAX);
        Ok(Number { whole: value(&whole), fraction: value(fraction), decimals, at })
    }

    /// Takes the units of a duration whose first number is taken.
    pub(super) fn duration(&self, first: Number, part: &str) -> Result<Duration> {
        let (mut total, first_unit) = self.component(first, part)?;
        let mut last = first_unit;
        loop {
            self.skip_blanks();
            let at = self.offset();
            if !self.peek().is_some_and(|next| next.is_ascii_digit()) {
                break;
            }
            let number = self.number(part, "a number")?;
            let (nanos, unit) = self.component(number, part)?;
            if unit >= last {
                let problem =
                    format!("{} is not smaller than the unit before it", shown(self.since(at)));
                return Err(self.error_at(
                    at,
                    part,
                    problem,
                    "write units from large to small: `1m30s`",
                ));
            }
            if first_unit.varies() {
                let problem = "months and years do not add up with other units";
                return Err(self.error_at(
                    first.at,
                    part,
                    problem,
                    "write the whole length in days",
                ));
            }
            total = total.saturating_add(nanos);
            last = unit;
        }
        let single =
            first.as_whole().filter(|_| last == first_unit).map(|count| (count, first_unit));
        Ok(Duration { nanos: total, single })
    }

    /// Takes the unit of a number.
    fn component(&self, number: Number, part: &str) -> Result<(u128, Unit)> {
        if self.next_word().is_none() {
            let problem = format!("{} has no unit", shown(self.since(number.at)));
            return Err(self.error_at(
                number.at,
                part,
                problem,
                "write a unit, such as `s` or `minutes`",
            ));
        }
        let unit = self.unit(part)?;
        if unit.varies() && number.as_whole().is_none() {
            let problem = "months and years are not of one length, and have no fractions";
            return Err(self.error_at(number.at, part, problem, "write the length in days"));
        }
        let nanos = number.nanos(unit).ok_or_else(|| self.too_fine(number.at, part))?;
        Ok((nanos, unit))
    }

    /// Takes digits; underscores only between two of them.
    fn digits(&self, part: &str, what: &str) -> Result<String> {
        let rest = self.rest();
        let end =
            rest.find(|next: char| !next.is_ascii_digit() && next != '_').unwrap_or(rest.len());
        let digits = &rest[..end];
        if digits.is_empty() {
            return Err(self.not_a_digit(part, what));
        }
        if digits.starts_with('_') || digits.ends_with('_') || digits.contains("__") {
            let problem = format!("misplaced underscore in {}", shown(digits));
            return Err(self.error(
                part,
                problem,
                "write an underscore between two digits only: `1_000`",
            ));
        }
        self.advance(end);
        Ok(digits.chars().filter(|&digit| digit != '_').collect())
    }

    fn not_a_digit(&self, part: &str, what: &str) -> Error {
        let problem = match self.peek() {
            None => format!("{what} is missing"),
            Some(found) => format!("{} where {what} begins", shown(found.encode_utf8(&mut [0; 4]))),
        };
        let remedy = match self.peek() {
            Some('+' | '-' | '\u{2212}') => "write the number without a sign",
            Some(digit) if digit.is_numeric() => "write the ASCII digits 0 to 9",
            _ => "write a number in the digits 0 to 9",
        };
        self.error(part, problem, remedy)
    }

    /// `1e3` is refused as what it is, not as a unit named `e`.
    fn refuse_exponent(&self, at: usize, part: &str) -> Result<()> {
        let mut next = self.rest().chars();
        let exponent = matches!(next.next(), Some('e' | 'E'))
            && matches!(next.next(), Some('0'..='9' | '+' | '-'));
        if exponent {
            let problem = format!("{} is an exponent", shown(self.rest()));
            return Err(self.error_at(at, part, problem, "write the number in full: `1000`"));
        }
        Ok(())
    }

    fn too_fine(&self, at: usize, part: &str) -> Error {
        let problem = format!("{} is not whole in nanoseconds", shown(self.since(at)));
        self.error_at(at, part, problem, "write fewer decimals: a nanosecond is the smallest time")
    }

    fn advance(&self, bytes: usize) {
        self.offset.set(self.offset() + bytes);
    }
}
