//! Units of time and their spellings. A word is matched whole: `10/mon` is never minutes.

use super::source::one_of;
use crate::rate::{DAY, HOUR, MINUTE, SECOND};

/// A unit of time, smallest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unit {
    Nanosecond,
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

/// Unit, its full word, abbreviations (matched exactly), words (in any case).
type Spellings = (Unit, &'static str, &'static [&'static str], &'static [&'static str]);

const SPELLINGS: [Spellings; 10] = [
    (Unit::Nanosecond, "nanosecond", &["ns"], &["nanosecond", "nanoseconds"]),
    // The micro sign and the Greek mu look the same and are both on keyboards.
    (
        Unit::Microsecond,
        "microsecond",
        &["us", "\u{b5}s", "\u{3bc}s"],
        &["microsecond", "microseconds"],
    ),
    (Unit::Millisecond, "millisecond", &["ms"], &["millisecond", "milliseconds"]),
    (Unit::Second, "second", &["s"], &["sec", "secs", "second", "seconds"]),
    (Unit::Minute, "minute", &["m"], &["min", "mins", "minute", "minutes"]),
    (Unit::Hour, "hour", &["h"], &["hr", "hrs", "hour", "hours"]),
    (Unit::Day, "day", &["d"], &["day", "days"]),
    (Unit::Week, "week", &["w"], &["week", "weeks"]),
    (Unit::Month, "month", &[], &["month", "months"]),
    (Unit::Year, "year", &[], &["year", "years"]),
];

impl Unit {
    /// The unit of a whole word.
    pub(super) fn named(word: &str) -> Option<Unit> {
        SPELLINGS.iter().find_map(|&(unit, _, abbreviations, words)| {
            let known = abbreviations.contains(&word)
                || words.iter().any(|known| known.eq_ignore_ascii_case(word));
            known.then_some(unit)
        })
    }

    /// Its length; a month has 30 days, a year 365.
    pub(super) fn nanos(self) -> u64 {
        match self {
            Unit::Nanosecond => 1,
            Unit::Microsecond => 1_000,
            Unit::Millisecond => 1_000_000,
            Unit::Second => SECOND,
            Unit::Minute => MINUTE,
            Unit::Hour => HOUR,
            Unit::Day => DAY,
            Unit::Week => 7 * DAY,
            Unit::Month => 30 * DAY,
            Unit::Year => 365 * DAY,
        }
    }

    /// Months and years have no fixed length on a calendar.
    pub(super) fn varies(self) -> bool {
        matches!(self, Unit::Month | Unit::Year)
    }
}

/// What to write instead of a word that is no unit: the units that it may mean.
pub(super) fn remedy(wrong: &str) -> String {
    if wrong == "M" {
        return "write `minute` or `month`".to_owned();
    }
    let mut near: Vec<_> = SPELLINGS
        .iter()
        .filter(|(_, name, ..)| same_initial(name, wrong))
        .map(|spelling| (distance(wrong, spelling), spelling.1))
        .collect();
    near.sort_by_key(|&(distance, _)| distance);
    let names: Vec<_> = near.iter().map(|&(_, name)| name).take(3).collect();
    if names.is_empty() {
        let all: Vec<_> = SPELLINGS.iter().map(|&(_, name, ..)| name).collect();
        return format!("write {}", one_of(&all));
    }
    format!("write {}", one_of(&names))
}

fn same_initial(name: &str, wrong: &str) -> bool {
    let initial = wrong.chars().next().map(|letter| letter.to_ascii_lowercase());
    initial == name.chars().next()
}

/// Zero for the beginning of a word (`mon`) and for what begins with one (`monthly`).
fn distance(wrong: &str, &(_, name, abbreviations, words): &Spellings) -> usize {
    let wrong: String = wrong.chars().take(32).collect::<String>().to_ascii_lowercase();
    if name.starts_with(&wrong) || wrong.starts_with(name) {
        return 0;
    }
    let spellings = abbreviations.iter().chain(words);
    spellings.map(|known| strsim::osa_distance(&wrong, known)).min().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_matched_whole() {
        for &(unit, _, abbreviations, words) in &SPELLINGS {
            for word in abbreviations.iter().chain(words) {
                assert_eq!(Unit::named(word), Some(unit), "{word}");
            }
            for word in words {
                assert_eq!(Unit::named(&word.to_uppercase()), Some(unit), "{word}");
            }
        }
        for wrong in ["", "M", "S", "H", "MS", "mo", "mon", "mth", "monthly", "minutely", "y", "x"]
        {
            assert_eq!(Unit::named(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn remedies_name_close_units() {
        for (wrong, first) in [
            ("mo", "write `month`, "),
            ("mon", "write `month`, "),
            ("monthly", "write `month`, "),
            ("minutely", "write `minute`, "),
            ("M", "write `minute` or `month`"),
            ("S", "write `second`"),
            ("y", "write `year`"),
            ("dya", "write `day`"),
            ("x", "write `nanosecond`, "),
        ] {
            assert!(remedy(wrong).starts_with(first), "{wrong}: {}", remedy(wrong));
        }
        assert!(remedy("mth").contains("`month`"));
    }
}
