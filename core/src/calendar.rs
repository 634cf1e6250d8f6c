//! Clock-aligned windows: where a minute, an hour, a day, a week or a month begins and ends in
//! a time zone, daylight saving and month lengths included.
//!
//! A period of ns … h begins where the local time is a multiple of it, counted from local
//! midnight (from 1970-01-01 when the period does not divide a day). An offset change that
//! lands on, starts from or jumps over such a time is a boundary too: no window spans two turns
//! of the dial. Days, weeks, months and years begin at the first instant of their date, which
//! is not 00:00 where a change of offset skips midnight.
//!
//! Each window has an id, small enough to share a word with a count: its start ÷ [`grain`], rounded up.

use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::rate::{self, DAY, MINUTE, Period};
use crate::sync::Sequenced;
use crate::time::Timestamp;

/// One window: `start` belongs to it, `end` to the next one. Nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Zero also for the window that began before 1970.
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Window {
    #[inline]
    fn holds(self, wall: Timestamp) -> bool {
        self.start <= wall.as_nanos() && wall.as_nanos() < self.end
    }
}

/// A window and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) id: u64,
    pub(crate) window: Window,
}

/// The windows of one period in one time zone.
#[derive(Debug)]
pub(crate) struct Calendar {
    rule: Rule,
    grain: u64,
    /// The window found last, for the calls that follow within it: start, end and id; all 0 before the first. A stale
    /// or missed window costs a computation, never a wrong answer.
    latest: Sequenced<3>,
}

#[derive(Debug)]
enum Rule {
    /// No offset changes and no months: windows begin where `wall + shift` is a multiple.
    Even { period: i64, shift: i64 },
    /// Multiples of `period` in local time.
    Dial { period: i64, zone: TimeZone },
    /// The first instant of every n-th date.
    Dates { step: Step, zone: TimeZone },
}

/// Which dates begin a window.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Every `length`-th day counted from `origin`, days since 1970-01-01.
    Days { length: i64, origin: i64 },
    /// The first day of every n-th month counted from January 1970.
    Months(i64),
}

/// Monday 1969-12-29, in days since 1970-01-01.
const MONDAY: i64 = -3;
const SECOND: i64 = 1_000_000_000;

impl Calendar {
    pub(crate) fn new(period: Period, zone: &TimeZone) -> Calendar {
        let rule = match (zone.to_fixed_offset(), even_grid(period)) {
            (Ok(offset), Some((period, origin))) => {
                let shift = i64::from(offset.seconds()) * SECOND - origin;
                Rule::Even { period, shift }
            }
            _ => Rule::changing(period, zone.clone()),
        };
        Calendar { rule, grain: grain(period, zone), latest: Sequenced::new([0; 3]) }
    }

    /// The window that holds `wall`.
    pub(crate) fn window(&self, wall: Timestamp) -> Window {
        self.numbered(wall).window
    }

    /// The window that holds `wall`, with its id.
    #[inline]
    pub(crate) fn numbered(&self, wall: Timestamp) -> Numbered {
        let latest = self.latest.look(|words| {
            let window = Window { start: words.get(0), end: words.get(1) };
            Numbered { id: words.get(2), window }
        });
        match latest {
            Some(numbered) if numbered.window.holds(wall) => numbered,
            _ => self.find(wall),
        }
    }

    /// Where the window `id` ends.
    #[cold]
    pub(crate) fn end_of(&self, id: u64) -> u64 {
        // At most a grain after its start, and no window is shorter.
        self.window(Timestamp::clamped(id.saturating_mul(self.grain))).end
    }

    /// The largest id.
    pub(crate) fn last_id(&self) -> u64 {
        Timestamp::MAX.as_nanos().div_ceil(self.grain)
    }

    #[cold]
    #[inline(never)]
    fn find(&self, wall: Timestamp) -> Numbered {
        let window = self.rule.window(wall);
        let numbered = Numbered { id: window.start.div_ceil(self.grain), window };
        self.latest.put([window.start, window.end, numbered.id]);
        numbered
    }
}

impl Rule {
    fn window(&self, wall: Timestamp) -> Window {
        let at = nanos_of(wall);
        match self {
            Rule::Even { period, shift } => {
                let start = at - (at + shift).rem_euclid(*period);
                between(start, start + period)
            }
            Rule::Dial { period, zone } => dial_window(zone, *period, at),
            Rule::Dates { step, zone } => date_window(zone, *step, at),
        }
    }

    fn changing(period: Period, zone: TimeZone) -> Rule {
        let step = match period {
            Period::Nanos(nanos) => return Rule::Dial { period: signed(nanos), zone },
            Period::Days(days) => Step::Days { length: i64::from(days).max(1), origin: 0 },
            Period::Weeks(weeks) => {
                Step::Days { length: i64::from(weeks).max(1) * 7, origin: MONDAY }
            }
            Period::Months(months) => Step::Months(i64::from(months).max(1)),
            Period::Years(years) => Step::Months(i64::from(years).max(1) * 12),
        };
        Rule::Dates { step, zone }
    }
}

/// Length and origin of periods that are equally long while the offset stays the same.
fn even_grid(period: Period) -> Option<(i64, i64)> {
    match period {
        Period::Nanos(_) | Period::Days(_) => Some((signed(period.nanos()), 0)),
        Period::Weeks(_) => Some((signed(period.nanos()), MONDAY * signed(DAY))),
        Period::Months(_) | Period::Years(_) => None,
    }
}

/// A length of which a multiple falls into every window of the zone.
///
/// Where the offset changes, a window is cut short. Offsets move by quarter hours, at quarter hours or a
/// minute past one: windows begin at multiples of `step`, or a minute later. (In 1972 Monrovia and
/// in 1979 Kiritimati did otherwise; there a window without a multiple counts with the next.)
fn grain(period: Period, zone: &TimeZone) -> u64 {
    let nanos = period.nanos();
    match period {
        Period::Nanos(_) if zone.to_fixed_offset().is_ok() => nanos,
        Period::Nanos(_) if DAY.is_multiple_of(nanos) => {
            let step = common_divisor(nanos, 15 * MINUTE);
            match MINUTE % step {
                0 => step,
                rest if rest <= step / 2 => step / 2,
                _ => common_divisor(step, MINUTE),
            }
        }
        Period::Nanos(_) => rate::SECOND,
        // No change makes one shorter than half its length.
        _ => nanos / 2,
    }
}

fn common_divisor(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { common_divisor(other, one % other) }
}

/// Periods end far below 2^63 ns (`MAX_PERIOD`), and none is shorter than 1 ns.
fn signed(nanos: u64) -> i64 {
    i64::try_from(nanos).unwrap_or(i64::MAX).max(1)
}

/// `Timestamp::MAX` is below 2^62: sums with an offset and a period stay inside an i64.
fn nanos_of(wall: Timestamp) -> i64 {
    wall.as_nanos().cast_signed()
}

fn between(start: i64, end: i64) -> Window {
    Window { start: start.max(0).cast_unsigned(), end: end.max(0).cast_unsigned() }
}

// --- local time of day -------------------------------------------------------------------

/// Follows local time from `at` back and forth to the nearest boundary, one stretch of equal
/// offset after the other.
fn dial_window(zone: &TimeZone, period: i64, at: i64) -> Window {
    between(dial_start(zone, period, at), dial_end(zone, period, at))
}

fn dial_start(zone: &TimeZone, period: i64, at: i64) -> i64 {
    // Latest instant of the stretch that is looked at.
    let mut at = at;
    let mut local = at + offset_at(zone, at);
    // `preceding` excludes its argument; a change at `at` itself counts.
    for change in zone.preceding(instant(at + 1)) {
        let change = nanos_since_epoch(change.timestamp());
        let start = at - local.rem_euclid(period);
        let before = change + offset_at(zone, change - SECOND);
        let after = change + offset_at(zone, change);
        if start >= change {
            return start;
        }
        if touches_multiple(before, after, period) {
            return change;
        }
        (at, local) = (change, before);
    }
    at - local.rem_euclid(period)
}

fn dial_end(zone: &TimeZone, period: i64, at: i64) -> i64 {
    // Earliest instant of the stretch that is looked at; never a boundary, but for the first.
    let mut at = at;
    let mut local = at + offset_at(zone, at);
    loop {
        let end = at + period - local.rem_euclid(period);
        // Asked for only now: offsets change rarely, boundaries come often.
        let Some(change) = zone.following(instant(at)).next() else { return end };
        let change = nanos_since_epoch(change.timestamp());
        if end <= change {
            return end;
        }
        let before = change + offset_at(zone, change - SECOND);
        let after = change + offset_at(zone, change);
        if touches_multiple(before, after, period) {
            return change;
        }
        (at, local) = (change, after);
    }
}

/// Is there a multiple of `period` from one local time to another, both included, in either order?
fn touches_multiple(one: i64, other: i64, period: i64) -> bool {
    let (low, high) = (one.min(other), one.max(other));
    high - high.rem_euclid(period) >= low
}

/// Local time minus UTC at an instant, in ns.
fn offset_at(zone: &TimeZone, at: i64) -> i64 {
    i64::from(zone.to_offset(instant(at)).seconds()) * SECOND
}

fn instant(at: i64) -> jiff::Timestamp {
    // An i64 of nanoseconds ends in the year 2262, jiff in 9999.
    jiff::Timestamp::from_nanosecond(i128::from(at)).unwrap_or(jiff::Timestamp::MAX)
}

/// Beyond the years 1677 to 2262 the ends of these: outside of all that `Timestamp` can say.
fn nanos_since_epoch(instant: jiff::Timestamp) -> i64 {
    let nanos = instant.as_nanosecond();
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN / 2 } else { i64::MAX / 2 })
}

// --- dates -------------------------------------------------------------------------------

fn date_window(zone: &TimeZone, step: Step, at: i64) -> Window {
    let mut number = step.number(zone.to_datetime(instant(at)).date());
    // Where clocks are set back over midnight a date comes twice: the window has begun already.
    while first_instant(zone, step.first_date(number + 1)) <= at {
        number += 1;
    }
    let end = first_instant(zone, step.first_date(number + 1));
    between(first_instant(zone, step.first_date(number)), end)
}

impl Step {
    /// The number of the window that a date belongs to.
    fn number(self, date: Date) -> i64 {
        match self {
            Step::Days { length, origin } => {
                let days = date.duration_since(Date::constant(1970, 1, 1)).as_hours() / 24;
                (days - origin).div_euclid(length)
            }
            Step::Months(length) => {
                let months = (i64::from(date.year()) - 1970) * 12 + i64::from(date.month()) - 1;
                months.div_euclid(length)
            }
        }
    }

    /// The first date of a window; the last date there is when that is beyond the year 9999.
    fn first_date(self, number: i64) -> Date {
        match self {
            Step::Days { length, origin } => {
                let days = jiff::SignedDuration::from_hours((number * length + origin) * 24);
                Date::constant(1970, 1, 1).saturating_add(days)
            }
            Step::Months(length) => {
                let months = number * length;
                // A remainder of 12 is 0 to 11: the month is 1 to 12.
                let month = months.rem_euclid(12) + 1;
                i16::try_from(1970 + months.div_euclid(12))
                    .ok()
                    .and_then(|year| Date::new(year, month as i8, 1).ok())
                    .unwrap_or(Date::MAX)
            }
        }
    }
}

/// The first instant at which the local date is `date` (or a later one, where `date` never was).
fn first_instant(zone: &TimeZone, date: Date) -> i64 {
    let midnight = date.at(0, 0, 0, 0);
    let read_as = |offset: jiff::tz::Offset| {
        offset.to_timestamp(midnight).map_or(i64::MAX, nanos_since_epoch)
    };
    match zone.to_ambiguous_timestamp(midnight).offset() {
        AmbiguousOffset::Unambiguous { offset } => read_as(offset),
        AmbiguousOffset::Fold { before, .. } => read_as(before),
        // The change that skips midnight: the last one up to midnight as the old offset reads it.
        AmbiguousOffset::Gap { before, .. } => {
            let midnight = read_as(before);
            let change = zone.preceding(instant(midnight.saturating_add(1))).next();
            change.map_or(midnight, |change| nanos_since_epoch(change.timestamp()))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: u64 = 3600 * 1_000_000_000;
    const MINUTE: u64 = HOUR / 60;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).expect("bundled with jiff")
    }

    fn at(text: &str) -> u64 {
        let instant: jiff::Timestamp = text.parse().expect("a timestamp");
        u64::try_from(instant.as_nanosecond()).expect("not before 1970")
    }

    fn stamp(nanos: u64) -> Timestamp {
        Timestamp::from_nanos(nanos).expect("not beyond 2116")
    }

    /// The boundaries from `first` on, each found from the one before; checks the last
    /// nanosecond of each window as well.
    #[track_caller]
    fn check(period: Period, name: &str, boundaries: &[&str]) {
        let calendar = Calendar::new(period, &zone(name));
        for pair in boundaries.windows(2) {
            let expected = Window { start: at(pair[0]), end: at(pair[1]) };
            let middle = expected.start + (expected.end - expected.start) / 2;
            for wall in [expected.start, middle, expected.end - 1] {
                assert_eq!(calendar.window(stamp(wall)), expected, "{name}, {wall}, {pair:?}");
            }
        }
    }

    #[test]
    fn the_hour_that_amsterdam_skips() {
        let night = ["2026-03-29T00:00Z", "2026-03-29T01:00Z", "2026-03-29T02:00Z"];
        check(Period::Nanos(HOUR), "Europe/Amsterdam", &night);
        // 02:00 is jumped from, 03:00 landed on: the second hours' window is cut to one hour.
        let twos = ["2026-03-28T23:00Z", "2026-03-29T01:00Z", "2026-03-29T02:00Z"];
        check(Period::Nanos(2 * HOUR), "Europe/Amsterdam", &twos);
        // 23 hours of a day; no multiple of 12 h is skipped.
        let halves = ["2026-03-28T23:00Z", "2026-03-29T10:00Z", "2026-03-29T22:00Z"];
        check(Period::Nanos(12 * HOUR), "Europe/Amsterdam", &halves);
        let days = ["2026-03-27T23:00Z", "2026-03-28T23:00Z", "2026-03-29T22:00Z"];
        check(Period::Days(1), "Europe/Amsterdam", &days);
    }

    #[test]
    fn the_hour_that_amsterdam_lives_twice() {
        let night = [
            "2026-10-24T23:00Z",
            "2026-10-25T00:00Z",
            "2026-10-25T01:00Z",
            "2026-10-25T02:00Z",
            "2026-10-25T03:00Z",
        ];
        check(Period::Nanos(HOUR), "Europe/Amsterdam", &night);
        // 02:00–03:00, back to 02:00, and again up to 04:00.
        let twos =
            ["2026-10-24T22:00Z", "2026-10-25T00:00Z", "2026-10-25T01:00Z", "2026-10-25T03:00Z"];
        check(Period::Nanos(2 * HOUR), "Europe/Amsterdam", &twos);
        let halves = ["2026-10-24T22:00Z", "2026-10-25T11:00Z", "2026-10-25T23:00Z"];
        check(Period::Nanos(12 * HOUR), "Europe/Amsterdam", &halves);
        let days = ["2026-10-23T22:00Z", "2026-10-24T22:00Z", "2026-10-25T23:00Z"];
        check(Period::Days(1), "Europe/Amsterdam", &days);
        let one_o_clock = ["2026-10-25T11:00Z", "2026-10-25T12:00Z", "2026-10-25T13:00Z"];
        check(Period::Nanos(HOUR), "Europe/Amsterdam", &one_o_clock);
    }

    #[test]
    fn half_an_hour_of_daylight_saving() {
        // 2026-10-04 02:00 (+10:30) becomes 02:30 (+11); 2026-04-05 02:00 (+11) becomes 01:30.
        let spring = ["2026-10-03T14:30Z", "2026-10-03T15:30Z", "2026-10-03T16:00Z"];
        check(Period::Nanos(HOUR), "Australia/Lord_Howe", &spring);
        let autumn =
            ["2026-04-04T14:00Z", "2026-04-04T15:00Z", "2026-04-04T15:30Z", "2026-04-04T16:30Z"];
        check(Period::Nanos(HOUR), "Australia/Lord_Howe", &autumn);
    }

    #[test]
    fn a_day_without_midnight() {
        // São Paulo went from 00:00 to 01:00 on 2018-11-04, and back at 00:00 on 2018-02-18.
        let gap = ["2018-11-03T03:00Z", "2018-11-04T03:00Z", "2018-11-05T02:00Z"];
        check(Period::Days(1), "America/Sao_Paulo", &gap);
        let fold = ["2018-02-17T02:00Z", "2018-02-18T03:00Z", "2018-02-19T03:00Z"];
        check(Period::Days(1), "America/Sao_Paulo", &fold);
        // 23:00 comes twice; the change itself starts from midnight.
        let hours =
            ["2018-02-18T01:00Z", "2018-02-18T02:00Z", "2018-02-18T03:00Z", "2018-02-18T04:00Z"];
        check(Period::Nanos(HOUR), "America/Sao_Paulo", &hours);
        // Cairo skips 00:00–01:00 on the last Friday of April.
        let cairo = ["2026-04-22T22:00Z", "2026-04-23T22:00Z", "2026-04-24T21:00Z"];
        check(Period::Days(1), "Africa/Cairo", &cairo);
    }

    #[test]
    fn a_date_that_begins_once_though_the_clock_goes_back_over_midnight() {
        // St John's went from 00:01 on 2005-10-30 back to 23:01 on the 29th.
        let days = ["2005-10-29T02:30Z", "2005-10-30T02:30Z", "2005-10-31T03:30Z"];
        check(Period::Days(1), "America/St_Johns", &days);
        // 23:15 on the 29th, for the second time: the 30th has begun.
        let calendar = Calendar::new(Period::Days(1), &zone("America/St_Johns"));
        let again = calendar.window(stamp(at("2005-10-30T02:45Z")));
        assert_eq!(again.start, at("2005-10-30T02:30Z"));
    }

    #[test]
    fn a_date_that_never_was() {
        // Apia left out 2011-12-30.
        let days = ["2011-12-29T10:00Z", "2011-12-30T10:00Z", "2011-12-31T10:00Z"];
        check(Period::Days(1), "Pacific/Apia", &days);
    }

    #[test]
    fn far_offsets() {
        let kathmandu = ["2026-05-01T10:15Z", "2026-05-01T11:15Z", "2026-05-01T12:15Z"];
        check(Period::Nanos(HOUR), "Asia/Kathmandu", &kathmandu);
        let kiritimati = ["2026-05-01T10:00Z", "2026-05-02T10:00Z"];
        check(Period::Days(1), "Pacific/Kiritimati", &kiritimati);
        let behind = ["2026-05-01T12:00Z", "2026-05-02T12:00Z"];
        check(Period::Days(1), "Etc/GMT+12", &behind);
    }

    #[test]
    fn months_and_leap_days() {
        let months = [
            "2023-12-31T23:00Z",
            "2024-01-31T23:00Z",
            "2024-02-29T23:00Z",
            "2024-03-31T22:00Z",
            "2024-04-30T22:00Z",
        ];
        check(Period::Months(1), "Europe/Amsterdam", &months);
        check(Period::Months(1), "UTC", &["2026-02-01T00:00Z", "2026-03-01T00:00Z"]);
        check(Period::Months(3), "UTC", &["2026-01-01T00:00Z", "2026-04-01T00:00Z"]);
        check(Period::Years(1), "UTC", &["2024-01-01T00:00Z", "2025-01-01T00:00Z"]);
        check(Period::Years(4), "UTC", &["2022-01-01T00:00Z", "2026-01-01T00:00Z"]);
        check(Period::Days(1), "UTC", &["2024-02-29T00:00Z", "2024-03-01T00:00Z"]);
    }

    #[test]
    fn weeks_begin_on_monday() {
        // 2026-06-01 is a Monday.
        let weeks = ["2026-05-25T00:00Z", "2026-06-01T00:00Z", "2026-06-08T00:00Z"];
        check(Period::Weeks(1), "UTC", &weeks);
        let amsterdam = ["2026-03-22T23:00Z", "2026-03-29T22:00Z", "2026-04-05T22:00Z"];
        check(Period::Weeks(1), "Europe/Amsterdam", &amsterdam);
        // Pairs are counted from 1969-12-29.
        check(Period::Weeks(2), "UTC", &["1970-01-12T00:00Z", "1970-01-26T00:00Z"]);
        check(Period::Days(3), "UTC", &["1970-01-04T00:00Z", "1970-01-07T00:00Z"]);
    }

    #[test]
    fn periods_that_do_not_divide_a_day() {
        // 7 h counted from 1970-01-01 in local time.
        let utc = ["1970-01-01T21:00Z", "1970-01-02T04:00Z", "1970-01-02T11:00Z"];
        check(Period::Nanos(7 * HOUR), "UTC", &utc);
        let longer = ["1970-01-02T12:00Z", "1970-01-04T00:00Z"];
        check(Period::Nanos(36 * HOUR), "UTC", &longer);
    }

    #[test]
    fn the_ends_of_time() {
        for name in ["UTC", "Europe/Amsterdam", "America/New_York", "Africa/Monrovia"] {
            for period in [
                Period::Nanos(MINUTE),
                Period::Nanos(3650 * DAY),
                Period::Days(1),
                Period::Weeks(1),
                Period::Months(1),
                Period::Years(10),
            ] {
                let calendar = Calendar::new(period, &zone(name));
                let first = calendar.window(Timestamp::EPOCH);
                assert!(first.start == 0 && first.end > 0, "{name} {period:?} {first:?}");
                let last = calendar.window(Timestamp::MAX);
                let max = Timestamp::MAX.as_nanos();
                assert!(last.start <= max && max < last.end, "{name} {period:?} {last:?}");
            }
        }
        // New York was at 19:00 on 1969-12-31.
        let new_york = Calendar::new(Period::Days(1), &zone("America/New_York"));
        assert_eq!(new_york.window(Timestamp::EPOCH), Window { start: 0, end: 5 * HOUR });
    }

    #[test]
    fn one_calendar_answers_any_order_of_times() {
        let zone = zone("Europe/Amsterdam");
        let shared = Calendar::new(Period::Days(1), &zone);
        for day in [3, 4, 4, 3, 0, 300, 88, 87, 88, 300] {
            let wall = stamp(at("2026-01-01T12:00Z") + day * DAY);
            let fresh = Calendar::new(Period::Days(1), &zone);
            assert_eq!(shared.window(wall), fresh.window(wall));
        }
    }

    fn any_zone() -> impl Strategy<Value = TimeZone> {
        let named = prop::sample::select(vec![
            "UTC",
            "Europe/Amsterdam",
            "Europe/Dublin",
            "America/New_York",
            "America/St_Johns",
            "America/Sao_Paulo",
            "America/Toronto",
            "Africa/Cairo",
            "Africa/Casablanca",
            "Africa/Monrovia",
            "Antarctica/Troll",
            "Asia/Kathmandu",
            "Asia/Pyongyang",
            "Asia/Tehran",
            "Asia/Gaza",
            "Australia/Lord_Howe",
            "Pacific/Apia",
            "Pacific/Kiritimati",
            "Pacific/Chatham",
            "Pacific/Kwajalein",
            "Etc/GMT+12",
        ]);
        prop_oneof![
            4 => named.prop_map(zone),
            1 => (-93_599i32..=93_599).prop_map(|seconds| {
                jiff::tz::Offset::from_seconds(seconds).expect("in range").to_time_zone()
            }),
        ]
    }

    fn any_period() -> impl Strategy<Value = Period> {
        prop_oneof![
            (1u64..=24).prop_map(|hours| Period::Nanos(hours * HOUR)),
            prop::sample::select(vec![1u64, 5, 7, 15, 30, 60])
                .prop_map(|minutes| Period::Nanos(minutes * MINUTE)),
            (1_000u64..=3650 * DAY).prop_map(Period::Nanos),
            (1u32..=40).prop_map(Period::Days),
            (1u32..=10).prop_map(Period::Weeks),
            (1u32..=30).prop_map(Period::Months),
            (1u32..=10).prop_map(Period::Years),
        ]
    }

    /// Any time, or one within some hours of a change of offset.
    fn any_time(zone: &TimeZone, any: u64, near: Option<i64>) -> u64 {
        let Some(near) = near else { return any };
        let change = zone.following(instant(any.cast_signed())).next();
        let change =
            change.map_or(any.cast_signed(), |change| nanos_since_epoch(change.timestamp()));
        change
            .saturating_add(near)
            .clamp(0, Timestamp::MAX.as_nanos().cast_signed())
            .cast_unsigned()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
        #[test]
        fn windows_tile_the_line(
            zone in any_zone(),
            period in any_period(),
            any in 0..Timestamp::MAX.as_nanos(),
            near in prop::option::of(prop_oneof![-100_000_000_000_000i64..100_000_000_000_000, -3i64..3]),
        ) {
            let wall = any_time(&zone, any, near);
            let calendar = Calendar::new(period, &zone);
            let mut window = calendar.window(stamp(wall));
            prop_assert!(window.start <= wall && wall < window.end);
            for _ in 0..5 {
                prop_assert_eq!(calendar.window(stamp(window.start)), window);
                if window.end > Timestamp::MAX.as_nanos() {
                    break;
                }
                prop_assert_eq!(calendar.window(stamp(window.end - 1)), window);
                let next = calendar.window(stamp(window.end));
                prop_assert_eq!(next.start, window.end);
                prop_assert!(next.start < next.end);
                window = next;
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
        /// No window of local time is passed over: each begins where the dial shows a multiple,
        /// or where the offset changes, and none holds a multiple but at its start.
        #[test]
        fn the_dial_shows_a_multiple_at_every_start(
            zone in any_zone(),
            minutes in prop::sample::select(vec![15i64, 30, 60, 120, 180, 420, 720]),
            any in 0..Timestamp::MAX.as_nanos(),
            near in prop::option::of(-100_000_000_000_000i64..100_000_000_000_000),
        ) {
            let period = minutes * 60 * SECOND;
            let wall = any_time(&zone, any, near);
            let calendar = Calendar::new(Period::Nanos(period.cast_unsigned()), &zone);
            let Window { start, end } = calendar.window(stamp(wall));
            let (start, end) = (start.cast_signed(), end.cast_signed());
            let multiple = |at: i64| (at + offset_at(&zone, at)).rem_euclid(period) == 0;
            let changes = |at: i64| offset_at(&zone, at) != offset_at(&zone, at - SECOND);
            prop_assert!(start == 0 || multiple(start) || changes(start), "{} {}", start, end);
            let mut second = start / SECOND + 1;
            while second * SECOND < end {
                prop_assert!(!multiple(second * SECOND), "{} in {} {}", second, start, end);
                second += 1;
            }
        }
    }

    #[test]
    fn ids_come_with_their_windows() {
        let zone = zone("Europe/Amsterdam");
        for period in [Period::Nanos(HOUR), Period::Days(1), Period::Months(1)] {
            let shared = Calendar::new(period, &zone);
            for hour in [0, 1, 1, 0, 2_088, 2_089, 7_145, 7_146, 7_145, 0] {
                let wall = stamp(at("2026-01-01T00:00Z") + hour * HOUR);
                let Numbered { id, window } = shared.numbered(wall);
                assert_eq!(id, window.start.div_ceil(grain(period, &zone)), "{period:?} {hour}");
                assert_eq!(shared.numbered(wall), Numbered { id, window }, "{period:?} {hour}");
                assert_eq!(shared.end_of(id), window.end, "{period:?} {hour}");
            }
        }
    }

    /// The windows around every change of offset until 2040, also of those a minute past midnight.
    #[test]
    fn every_window_has_an_id_of_its_own() {
        let zones = ["Europe/Amsterdam", "Africa/Cairo", "America/St_Johns", "Antarctica/Casey"];
        let odd = ["Australia/Lord_Howe", "Pacific/Chatham", "Pacific/Apia", "Asia/Kathmandu"];
        let seconds =
            [1, 50, 60, 75, 100, 450, 600, 900, 1_200, 1_440, 3_600, 7_200, 25_200, 43_200];
        let periods = seconds.map(|seconds| Period::Nanos(seconds * rate::SECOND)).into_iter();
        let periods: Vec<_> = periods.chain([Period::Days(1), Period::Days(2)]).collect();
        for zone in zones.iter().chain(&odd) {
            let zone = TimeZone::get(zone).unwrap();
            for change in zone.following(jiff::Timestamp::UNIX_EPOCH) {
                let change = change.timestamp().as_nanosecond() as u64;
                if change > 70 * 365 * DAY {
                    break;
                }
                for period in &periods {
                    check_around(change, *period, &zone);
                }
            }
        }
    }

    fn check_around(change: u64, period: Period, zone: &TimeZone) {
        let (calendar, grain) = (Calendar::new(period, zone), grain(period, zone));
        let mut at = change.saturating_sub(2 * period.nanos());
        let mut last = None;
        while at < change + 2 * period.nanos() {
            let window = calendar.window(Timestamp::clamped(at));
            let id = window.start.div_ceil(grain);
            assert!(last < Some(id), "{period:?}, {zone:?}: {window:?} is another one, too");
            assert!(id * grain < window.end, "{period:?}, {zone:?}: {window:?} is too short");
            (last, at) = (Some(id), window.end);
        }
    }
}
