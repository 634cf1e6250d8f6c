//! Clock-aligned windows, in the most naive way: lay out the stretches of equal offset around
//! a time, list the boundaries near it, and take the nearest on each side.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::policy::Period;
use crate::{DAY, SECOND, Time};

/// `[start, end)` of the window that holds `at`.
pub fn window(period: Period, zone: &str, at: Time) -> (Time, Time) {
    let zone = TimeZone::get(zone).expect("the oracle is only asked about zones that exist");
    let near = match period {
        Period::Nanos(nanos) => multiples(&zone, nanos.into(), at),
        Period::Days(days) => dates(&zone, at, |date| day_steps(date, days.into(), 0)),
        // Monday 1969-12-29.
        Period::Weeks(weeks) => dates(&zone, at, |date| day_steps(date, i64::from(weeks) * 7, -3)),
        Period::Months(months) => dates(&zone, at, |date| month_steps(date, months.into())),
        Period::Years(years) => dates(&zone, at, |date| month_steps(date, i64::from(years) * 12)),
    };
    let start = near.iter().copied().filter(|&boundary| boundary <= at).max();
    let end = near.iter().copied().filter(|&boundary| boundary > at).min();
    (start.expect("a boundary before"), end.expect("a boundary after"))
}

/// A span of time with one offset: `[start, end)` and local time minus UTC.
struct Stretch {
    start: Time,
    end: Time,
    offset: Time,
}

fn stretches(zone: &TimeZone, from: Time, to: Time) -> Vec<Stretch> {
    let second = Time::from(SECOND);
    let mut all = Vec::new();
    let mut start = from.div_euclid(second) * second;
    while start < to {
        let instant = jiff::Timestamp::from_nanosecond(start).expect("within jiff's years");
        let next = zone.following(instant).next();
        let end = next.map_or(to, |change| change.timestamp().as_nanosecond().min(to));
        let offset = Time::from(zone.to_offset(instant).seconds()) * second;
        all.push(Stretch { start, end, offset });
        start = end;
    }
    all
}

/// Boundaries of a period of ns … h: the last one and the next one of each stretch, and the
/// joints between stretches that touch or jump over a multiple.
fn multiples(zone: &TimeZone, period: Time, at: Time) -> Vec<Time> {
    let margin = period + 3 * Time::from(DAY);
    let stretches = stretches(zone, at - margin, at + margin);
    let mut boundaries = Vec::new();
    for Stretch { start, end, offset } in &stretches {
        let latest = at.min(end - 1);
        let before = latest - (latest + offset).rem_euclid(period);
        let earliest = (at + 1).max(*start);
        let after = earliest + (-(earliest + offset)).rem_euclid(period);
        boundaries.extend([before, after].into_iter().filter(|time| (start..end).contains(&time)));
    }
    for pair in stretches.windows(2) {
        let joint = pair[1].start;
        let (one, other) = (joint + pair[0].offset, joint + pair[1].offset);
        let (low, high) = (one.min(other), one.max(other));
        if (low + period - 1).div_euclid(period) * period <= high {
            boundaries.push(joint);
        }
    }
    boundaries
}

/// Boundaries of a period of dates: the first instants of the dates that `steps` names.
fn dates(zone: &TimeZone, at: Time, steps: impl Fn(Date) -> Vec<i64>) -> Vec<Time> {
    let here = stretches(zone, at, at + 1)[0].offset;
    let days = (at + here).div_euclid(Time::from(DAY));
    let today = epoch().saturating_add(jiff::SignedDuration::from_hours(days as i64 * 24));
    steps(today).into_iter().filter_map(|day| first_instant(zone, day)).collect()
}

/// The first instant whose local time is at or after midnight of a day (days since 1970-01-01).
fn first_instant(zone: &TimeZone, day: i64) -> Option<Time> {
    let midnight = Time::from(day) * Time::from(DAY);
    let margin = 3 * Time::from(DAY);
    let candidates = stretches(zone, midnight - margin, midnight + margin).into_iter().filter_map(
        |Stretch { start, end, offset }| {
            let reached = start.max(midnight - offset);
            (reached < end).then_some(reached)
        },
    );
    candidates.min()
}

fn epoch() -> Date {
    Date::constant(1970, 1, 1)
}

fn days_of(date: Date) -> i64 {
    date.duration_since(epoch()).as_hours() / 24
}

/// Every `length`-th day from `origin`, around a date.
fn day_steps(date: Date, length: i64, origin: i64) -> Vec<i64> {
    let number = (days_of(date) - origin).div_euclid(length);
    (number - 3..=number + 3).map(|number| number * length + origin).collect()
}

/// The first day of every `length`-th month from January 1970, around a date.
fn month_steps(date: Date, length: i64) -> Vec<i64> {
    let month = (i64::from(date.year()) - 1970) * 12 + i64::from(date.month()) - 1;
    let number = month.div_euclid(length);
    let first_day = |number: i64| {
        let month = number * length;
        let year = i16::try_from(1970 + month.div_euclid(12)).expect("periods of some years");
        days_of(Date::new(year, month.rem_euclid(12) as i8 + 1, 1).expect("a first of a month"))
    };
    (number - 3..=number + 3).map(first_day).collect()
}
