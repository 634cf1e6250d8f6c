//! Clock-aligned windows: both changes of daylight saving, and the zones and periods that are
//! got wrong most often.

use crate::policy::Algorithm::Clock;
use crate::policy::{Limit, Period, Policy, Rate};
use crate::script::{Script, utc};
use crate::{HOUR, MINUTE};

const PER_HOUR: Period = Period::Nanos(HOUR);

pub fn all() -> Vec<Script> {
    vec![
        amsterdam(
            "clock-amsterdam-spring",
            "The night of 2026-03-29 in Amsterdam has no hour from 02:00 to 03:00",
            &[
                "2026-03-28T22:30:00Z",
                "2026-03-28T22:59:59.999999999Z",
                "2026-03-28T23:00:00Z",
                "2026-03-29T00:59:59.999999999Z",
                "2026-03-29T01:00:00Z",
                "2026-03-29T01:30:00Z",
                "2026-03-29T02:00:00Z",
                "2026-03-29T10:59:59.999999999Z",
                "2026-03-29T11:00:00Z",
                "2026-03-29T21:59:59.999999999Z",
                "2026-03-29T22:00:00Z",
            ],
        ),
        amsterdam(
            "clock-amsterdam-autumn",
            "The night of 2026-10-25 in Amsterdam has two hours from 02:00 to 03:00",
            &[
                "2026-10-24T21:30:00Z",
                "2026-10-24T21:59:59.999999999Z",
                "2026-10-24T22:00:00Z",
                "2026-10-25T00:00:00Z",
                "2026-10-25T00:59:59.999999999Z",
                "2026-10-25T01:00:00Z",
                "2026-10-25T01:59:59.999999999Z",
                "2026-10-25T02:00:00Z",
                "2026-10-25T11:59:59.999999999Z",
                "2026-10-25T12:00:00Z",
                "2026-10-25T22:59:59.999999999Z",
                "2026-10-25T23:00:00Z",
            ],
        ),
        zones(),
        dates(),
    ]
}

fn one(rate: Rate, zone: &str) -> Policy {
    Policy::new([Limit::count("requests", [rate.with(Clock(zone.to_owned()))])])
}

/// An hour and a day side by side; the boundary and the nanosecond before it.
fn amsterdam(name: &str, about: &str, times: &[&str]) -> Script {
    let zone = || Clock("Europe/Amsterdam".to_owned());
    let policy = Policy::new([
        Limit::count("hour", [Rate::new(4, PER_HOUR).with(zone())]),
        Limit::count("day", [Rate::new(20, Period::Days(1)).with(zone())]),
        Limit::count("two hours", [Rate::new(6, Period::Nanos(2 * HOUR)).with(zone())]),
        Limit::count("half a day", [Rate::new(15, Period::Nanos(12 * HOUR)).with(zone())]),
    ]);
    let mut script = Script::toml(name, about, &policy, utc(times[0]));
    for time in times {
        script.at_utc(time).snapshot("k").acquire("k", 2).acquire("k", 3);
    }
    script
}

fn zones() -> Script {
    let about =
        "Hours and days in zones of odd offsets, half-hour changes, and days without midnight";
    let cases: &[(&str, Period, &[&str])] = &[
        (
            "Australia/Lord_Howe",
            PER_HOUR,
            &[
                "2026-10-03T15:00:00Z",
                "2026-10-03T15:30:00Z",
                "2026-10-03T15:59:59.999999999Z",
                "2026-10-03T16:00:00Z",
            ],
        ),
        (
            "Australia/Lord_Howe",
            PER_HOUR,
            &["2026-04-04T14:59:59.999999999Z", "2026-04-04T15:00:00Z", "2026-04-04T15:30:00Z"],
        ),
        ("Asia/Kathmandu", PER_HOUR, &["2026-05-01T10:14:59.999999999Z", "2026-05-01T10:15:00Z"]),
        (
            "Pacific/Kiritimati",
            Period::Days(1),
            &["2026-05-01T09:59:59.999999999Z", "2026-05-01T10:00:00Z"],
        ),
        (
            "Etc/GMT+12",
            Period::Days(1),
            &["2026-05-01T11:59:59.999999999Z", "2026-05-01T12:00:00Z"],
        ),
        (
            "America/Sao_Paulo",
            Period::Days(1),
            &[
                "2018-11-04T02:59:59.999999999Z",
                "2018-11-04T03:00:00Z",
                "2018-11-05T01:59:59.999999999Z",
                "2018-11-05T02:00:00Z",
            ],
        ),
        (
            "America/St_Johns",
            Period::Days(1),
            &[
                "2005-10-30T02:29:59.999999999Z",
                "2005-10-30T02:30:00Z",
                "2005-10-30T02:45:00Z",
                "2005-10-30T03:30:00Z",
            ],
        ),
        (
            "America/St_Johns",
            Period::Nanos(10 * MINUTE),
            &[
                "2011-03-13T03:30:00Z",
                "2011-03-13T03:30:59.999999999Z",
                "2011-03-13T03:31:00Z",
                "2011-03-13T03:39:59.999999999Z",
                "2011-03-13T03:40:00Z",
            ],
        ),
        (
            "Africa/Cairo",
            Period::Days(1),
            &["2026-04-23T21:59:59.999999999Z", "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"],
        ),
        (
            "Africa/Cairo",
            Period::Days(1),
            &["2026-10-29T21:00:00Z", "2026-10-29T21:59:59.999999999Z", "2026-10-29T22:00:00Z"],
        ),
        (
            "Asia/Kathmandu",
            Period::Nanos(7 * HOUR),
            &["1970-01-01T00:00:00Z", "1970-01-01T01:29:59.999999999Z", "1970-01-01T01:30:00Z"],
        ),
        (
            "Pacific/Apia",
            Period::Days(1),
            &["2011-12-30T09:59:59.999999999Z", "2011-12-30T10:00:00Z"],
        ),
    ];
    several("clock-zones", about, cases)
}

fn dates() -> Script {
    let about = "Leap days, months of 28 to 31 days, quarters, years, weeks that begin on Monday";
    let cases: &[(&str, Period, &[&str])] = &[
        (
            "UTC",
            Period::Days(1),
            &["2028-02-28T23:59:59.999999999Z", "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"],
        ),
        (
            "UTC",
            Period::Months(1),
            &[
                "2024-01-31T23:59:59.999999999Z",
                "2024-02-29T23:59:59.999999999Z",
                "2024-03-01T00:00:00Z",
            ],
        ),
        ("UTC", Period::Months(1), &["2026-02-28T23:59:59.999999999Z", "2026-03-01T00:00:00Z"]),
        ("UTC", Period::Months(1), &["2026-04-30T23:59:59.999999999Z", "2026-05-01T00:00:00Z"]),
        (
            "Europe/Amsterdam",
            Period::Months(3),
            &["2026-03-31T21:59:59.999999999Z", "2026-03-31T22:00:00Z"],
        ),
        (
            "Europe/Amsterdam",
            Period::Years(1),
            &["2026-12-31T22:59:59.999999999Z", "2026-12-31T23:00:00Z"],
        ),
        ("UTC", Period::Weeks(1), &["2026-05-31T23:59:59.999999999Z", "2026-06-01T00:00:00Z"]),
        ("UTC", Period::Weeks(2), &["1970-01-11T23:59:59.999999999Z", "1970-01-12T00:00:00Z"]),
        ("UTC", Period::Days(3), &["1970-01-03T23:59:59.999999999Z", "1970-01-04T00:00:00Z"]),
        (
            "UTC",
            Period::Nanos(7 * HOUR),
            &["1970-01-01T21:00:00Z", "1970-01-02T03:59:59.999999999Z", "1970-01-02T04:00:00Z"],
        ),
        (
            "UTC",
            Period::Nanos(90 * MINUTE),
            &["2026-06-01T01:29:59.999999999Z", "2026-06-01T01:30:00Z"],
        ),
    ];
    several("clock-dates", about, cases)
}

fn several(name: &str, about: &str, cases: &[(&str, Period, &[&str])]) -> Script {
    let mut script: Option<Script> = None;
    // Times in a file never go back.
    let mut cases: Vec<_> = cases.iter().collect();
    cases.sort_by_key(|(_, _, times)| utc(times[0]));
    for (index, (zone, period, times)) in cases.iter().enumerate() {
        let policy = one(Rate::new(5, *period), zone);
        let start = utc(times[0]);
        match &mut script {
            None => script = Some(Script::toml(name, about, &policy, start)),
            Some(script) => script.at(start).renew(&policy.toml(), &policy),
        }
        let script = script.as_mut().expect("made above");
        for time in *times {
            let key = format!("{zone} {index}");
            script.at_utc(time).acquire(&key, 2).acquire(&key, 4).snapshot(&key);
        }
    }
    script.expect("there are cases")
}
