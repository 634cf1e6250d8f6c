//! The low-code platform's data API: count and latency together, cascading buckets on the
//! server's clock. The files carry the numbers of the facts D1 to D16.

use crate::policy::Algorithm::{Clock, FirstRequest};
use crate::policy::{Growth, Limit, Method, Period, Policy, Rate};
use crate::request::Request;
use crate::script::{Script, utc};
use crate::{HOUR, MINUTE, SECOND, Time};

const ZONE: &str = "Europe/Amsterdam";
const MILLI: u64 = 1_000_000;

/// A winter day; Amsterdam is an hour ahead of UTC.
const NOON: &str = "2026-03-10T11:00:00Z";

/// Amounts of the policy: count per minute, hour, day; latency in ms.
#[derive(Clone, Copy)]
struct Amounts([u64; 3], [u64; 3]);

const FULL: Amounts = Amounts([100, 2600, 1150], [30_000, 390_000, 172_500]);

const PERIODS: [Period; 3] = [Period::Nanos(MINUTE), Period::Nanos(HOUR), Period::Days(1)];
const WORDS: [&str; 3] = ["minute", "hour", "day"];

/// The policy as people write it.
fn text(Amounts(count, latency): Amounts, scale: &str) -> String {
    let count: Vec<_> =
        count.iter().zip(WORDS).map(|(quota, word)| format!("\"{quota}/{word}\"")).collect();
    let latency: Vec<_> = latency
        .iter()
        .zip(WORDS)
        .map(|(ms, word)| format!("\"{}/{word}\"", seconds(*ms)))
        .collect();
    format!(
        "timezone = \"{ZONE}\"\nscale = {scale}\n\n\
         [[limit]]\nname = \"requests\"\nmethod = \"count\"\nalgorithm = \"fixed_window\"\ncascade = [{}]\n\n\
         [[limit]]\nname = \"time\"\nmethod = \"latency\"\nalgorithm = \"fixed_window\"\ncascade = [{}]\n",
        count.join(", "),
        latency.join(", ")
    )
}

fn seconds(ms: u64) -> String {
    match ms % 1_000 {
        0 => format!("{}s", ms / 1_000),
        rest => format!("{}.{}s", ms / 1_000, format!("{rest:03}").trim_end_matches('0')),
    }
}

/// The same as data; the scale is `times` / `parts`.
fn policy(Amounts(count, latency): Amounts, times: u64, parts: u64) -> Policy {
    let rate = |quota: u64, index: usize, name: String| {
        let rate = Rate::new(quota * times / parts, PERIODS[index]);
        rate.with(Clock(ZONE.to_owned())).named(&name)
    };
    let word = |index: usize| WORDS[index];
    let counts: Vec<_> = (0..3)
        .map(|index| rate(count[index], index, format!("{}/{}", count[index], word(index))))
        .collect();
    let latencies: Vec<_> = (0..3)
        .map(|index| {
            rate(
                latency[index] * MILLI,
                index,
                format!("{}/{}", seconds(latency[index]), word(index)),
            )
        })
        .collect();
    Policy::new([Limit::count("requests", counts), Limit::latency("time", latencies)])
}

fn start(name: &str, about: &str, now: &str) -> Script {
    Script::new(name, about, &text(FULL, "1.0"), &policy(FULL, 1, 1), utc(now))
}

pub fn all() -> Vec<Script> {
    vec![
        d01(),
        d02(),
        d03(),
        d04(),
        d05(),
        d06(),
        d07(),
        d08(),
        d09(),
        d10(),
        d11(),
        d12(),
        d13(),
        d13_rate_strings(),
        d14(),
        d14_growing(),
        d14_waits(),
        d15(),
        d16(),
    ]
}

fn d01() -> Script {
    let mut script = start(
        "d01-count-and-latency",
        "Either method blocks: many requests, or few and slow ones",
        NOON,
    );
    script.acquire("many", 3_850).acquire("many", 1).snapshot("many");
    for _ in 0..4 {
        script.acquire("slow", 1).record_latency("slow", 150 * SECOND);
    }
    script.acquire("slow", 1).snapshot("slow");
    script
}

fn d02() -> Script {
    let mut script =
        start("d02-a-key-each", "Each application and each sandbox has limits of its own", NOON);
    script.acquire("app:1", 3_850).acquire("app:1", 1).acquire("app:2", 1);
    script.acquire("app:1/sandbox:1", 1).snapshot("app:1/sandbox:1").snapshot("app:1");
    script
}

fn d03() -> Script {
    let mut script =
        start("d03-three-spans", "Every method has buckets of a minute, an hour and a day", NOON);
    script.snapshot("app").acquire("app", 3_850).record_latency("app", 592_500 * MILLI);
    script.snapshot("app").after(MINUTE).snapshot("app").after(HOUR).snapshot("app");
    script.at_utc("2026-03-10T23:00:00Z").snapshot("app");
    script
}

fn d04() -> Script {
    let mut script = start("d04-count-quotas", "100 a minute, 2600 an hour, 1150 a day", NOON);
    script.acquire("app", 100).snapshot("app").acquire("app", 2_600).snapshot("app");
    script.acquire("app", 1_150).snapshot("app").acquire("app", 1).acquire("app", 3_851);
    script
}

fn d05() -> Script {
    let mut script = start(
        "d05-latency-quotas",
        "30 s a minute, 390 s an hour, 172.5 s a day; and 15 s a minute",
        NOON,
    );
    script.record_latency("app", 30 * SECOND).snapshot("app").record_latency("app", 390 * SECOND);
    script.snapshot("app").record_latency("app", 172_500 * MILLI - 1).acquire("app", 1);
    script.record_latency("app", 1).acquire("app", 1).snapshot("app");
    let older = Amounts(FULL.0, [15_000, 390_000, 172_500]);
    script.renew(&text(older, "1.0"), &policy(older, 1, 1));
    script.record_latency("app", 15 * SECOND).snapshot("app").acquire("app", 1);
    script
}

fn d06() -> Script {
    let mut script = start(
        "d06-cascade",
        "The bucket that refreshes most often is used first, and first again when it refreshes",
        NOON,
    );
    script.acquire("app", 99).acquire("app", 1).acquire("app", 1).snapshot("app");
    script.acquire("app", 150).snapshot("app").after(MINUTE - 1).acquire("app", 1).after(1);
    script.acquire("app", 1).snapshot("app").acquire("app", 2_600).snapshot("app");
    script.after(MINUTE).acquire("app", 100).acquire("app", 1).snapshot("app");
    script
        .record_latency("app", 31 * SECOND)
        .snapshot("app")
        .after(MINUTE)
        .record_latency("app", SECOND);
    script.snapshot("app");
    script
}

fn d07() -> Script {
    let mut script = start(
        "d07-all-empty",
        "With every bucket empty requests wait for the earliest refresh that gives room",
        "2026-03-10T11:58:20.5Z",
    );
    script.acquire("app", 3_850).acquire("app", 1).acquire("app", 101).acquire("app", 2_701);
    script.obey("app", 1).acquire("app", 100).obey("app", 101).snapshot("app");
    script.record_latency("app", 700 * SECOND).snapshot("app").acquire("app", 1).obey("app", 1);
    script
}

fn d08() -> Script {
    let mut script = start(
        "d08-clock-spans",
        "The hour refreshes at 13:00 and 14:00, the day at midnight in the server's zone",
        "2026-03-10T11:30:00Z",
    );
    script.acquire("app", 3_850).snapshot("app");
    for boundary in ["2026-03-10T12:00:00Z", "2026-03-10T13:00:00Z", "2026-03-10T23:00:00Z"] {
        let time = utc(boundary);
        script.at(time - 1).snapshot("app").at(time).snapshot("app").acquire("app", 2_700);
    }
    script.at_utc("2026-03-11T00:00:00Z").snapshot("app");
    script
}

fn d09() -> Script {
    let mut script = start(
        "d09-one-minute-before",
        "2600 at 13:59 empty the hour; at 14:01 another 2600 pass, and the minute's",
        "2026-03-10T12:59:00Z",
    );
    script.acquire("app", 100).acquire("app", 2_600).snapshot("app");
    script.at_utc("2026-03-10T13:01:00Z").acquire("app", 2_600).acquire("app", 100).snapshot("app");
    script.acquire("app", 1_150).acquire("app", 1);
    script
}

/// Midnight to midnight in Amsterdam.
fn d10() -> Script {
    let midnight = utc("2026-03-09T23:00:00Z");
    let mut script = start(
        "d10-most-of-a-day",
        "(100·60·24) + (2600·24) + 1150 = 207,550 pass in a day",
        "2026-03-09T23:00:00Z",
    );
    for minute in 0..24 * 60 {
        script.at(midnight + Time::from(MINUTE) * minute);
        let units = if minute % 60 == 0 { 2_700 } else { 100 };
        script.try_acquire("app", if minute == 0 { units + 1_150 } else { units });
        if minute % 60 == 59 {
            script.try_acquire("app", 1);
        }
    }
    script.snapshot("app").after(MINUTE).snapshot("app");
    script
}

fn d11() -> Script {
    let mut script = start(
        "d11-totals",
        "Latency is a total: 25 slow requests reach it, 99 quick ones do not",
        NOON,
    );
    for _ in 0..25 {
        script.acquire("slow", 1).record_latency("slow", 23_700 * MILLI);
    }
    script.acquire("slow", 1).snapshot("slow");
    for _ in 0..99 {
        script.try_acquire("quick", 1).record_latency("quick", 300 * MILLI);
    }
    script.acquire("quick", 1).snapshot("quick");
    script
}

fn d12() -> Script {
    let half = policy(FULL, 1, 2);
    let about = "Sandboxes get half, installations on premise a multiple: a scale on the policy";
    let mut script = Script::new("d12-scale", about, &text(FULL, "0.5"), &half, utc(NOON));
    script.snapshot("app").acquire("app", 1_925).acquire("app", 1);
    script.record_latency("app", 296_250 * MILLI).acquire("app", 1).snapshot("app");
    script.renew(&text(FULL, "4"), &policy(FULL, 4, 1));
    script.snapshot("app").acquire("app", 15_400).acquire("app", 1);
    script
}

fn d13() -> Script {
    let mut script = start(
        "d13-live-update",
        "Limits change while running; what was used is not forgotten",
        NOON,
    );
    script.acquire("app", 150).record_latency("app", 40 * SECOND).snapshot("app");
    let larger = Amounts([200, 5_200, 2_300], [60_000, 390_000, 172_500]);
    script.after(SECOND).update_text(&text(larger, "1.0"), &policy(larger, 1, 1)).snapshot("app");
    script.acquire("app", 200).snapshot("app").acquire("other", 1);
    let smaller = Amounts([10, 20, 5], [1_000, 2_000, 500]);
    script.after(SECOND).update_text(&text(smaller, "1.0"), &policy(smaller, 1, 1)).snapshot("app");
    script.acquire("app", 1).obey("app", 1).snapshot("app");
    script.update_text(&text(FULL, "1.0"), &policy(FULL, 1, 1)).snapshot("app").acquire("app", 1);
    script
}

/// The same as parallel limits that nobody named.
fn d13_rate_strings() -> Script {
    let policy = |Amounts(count, latency): Amounts| {
        let counts = count
            .iter()
            .zip(PERIODS)
            .map(|(quota, period)| Limit::unnamed(Method::Count, [Rate::new(*quota, period)]));
        let latencies = latency
            .iter()
            .zip(PERIODS)
            .map(|(ms, period)| Limit::unnamed(Method::Latency, [Rate::new(ms * MILLI, period)]));
        Policy::new(counts.chain(latencies).collect::<Vec<_>>())
    };
    let text = |policy: &Policy| {
        let names: Vec<_> = policy.limits.iter().map(|limit| limit.name.as_str()).collect();
        names.join("; ")
    };
    let first = policy(Amounts(FULL.0, [30_000, 390_000, 172_000]));
    let about = "Limits change while running, as rate strings: none of them has a name";
    let mut script = Script::new("d13-rate-strings", about, &text(&first), &first, utc(NOON));
    script.acquire("app", 90).record_latency("app", 40 * SECOND).snapshot("app");
    let larger = policy(Amounts([200, 5_200, 2_300], [60_000, 390_000, 172_000]));
    script.after(SECOND).update_text(&text(&larger), &larger).snapshot("app").acquire("app", 1);
    script.after(10 * SECOND).acquire("app", 20).acquire("other", 200).acquire("other", 1);
    let smaller = policy(Amounts([10, 20, 5], [1_000, 2_000, 5_000]));
    script.after(SECOND).update_text(&text(&smaller), &smaller).snapshot("app").obey("app", 1);
    script.update_text(&text(&first), &first).snapshot("app").acquire("app", 1);
    script
}

fn d14() -> Script {
    let mut script = start(
        "d14-growth-by-update",
        "A limit that grows with steady use, step by step, and shrinks again",
        NOON,
    );
    for step in [11, 12, 11, 10] {
        script.acquire("app", 90).after(MINUTE);
        let grown = Amounts(FULL.0.map(|quota| quota * step / 10), FULL.1);
        script.update_text(&text(grown, "1.0"), &policy(grown, 1, 1)).snapshot("app");
    }
    script
}

/// A quota that grows by itself: a step up for each span of steady use, a step down for each without.
fn d14_growing() -> Script {
    let growth = Growth { ceiling: 150, step: 20, after: 2 * MINUTE, shrink_after: 5 * MINUTE };
    let minute = Rate { growth: Some(growth), ..Rate::new(100, PERIODS[0]) };
    let hour = Rate::new(2_600, PERIODS[1]).with(Clock(ZONE.to_owned()));
    let policy = Policy::new([Limit::count("requests", [minute]), Limit::count("hour", [hour])]);
    let about = "A quota that grows with steady use up to its ceiling, and shrinks again";
    let mut script = Script::toml("d14-growing", about, &policy, utc(NOON));
    for _ in 0..12 {
        script.ask_key("app", 90).snapshot("app").after(30 * SECOND).ask_key("app", 40);
        script.after(30 * SECOND);
    }
    script.snapshot("app").ask_key("app", 150).ask_key("app", 151).obey("app", 150);
    for _ in 0..5 {
        script.after(3 * MINUTE).snapshot("app");
    }
    script.ask_key("app", 100).ask_key("app", 101).snapshot("app");
    script
}

/// While a request waits for one limit, another one shrinks.
fn d14_waits() -> Script {
    let growth = Growth { ceiling: 20, step: 10, after: SECOND, shrink_after: 30 * SECOND };
    let hour = Rate::new(10, PERIODS[1]).with(FirstRequest);
    let hour = Limit::count("hour", [Rate { growth: Some(growth), ..hour }]);
    let minute = Limit::count("minute", [Rate::new(12, PERIODS[0]).with(FirstRequest)]);
    let about = "The advice is true where a quota shrinks while the request waits for another one";
    let policy = Policy::new([hour.clone(), minute.clone()]);
    let mut script = Script::toml("d14-waits", about, &policy, utc(NOON));
    script.ask_key("app", 5).after(SECOND).ask_key("app", 1).snapshot("app");
    // For five the hour has room now, and again when it is over; for twelve it has none any more when the minute is over.
    script.ask_key("app", 4).ask_key("app", 12).ask_key("app", 5).obey("app", 5).snapshot("app");
    let several = Policy::new([hour, minute.by(&["account"])]);
    script.renew(&several.toml(), &several);
    let asks = Request::new(&[("key", "app"), ("account", "a")]);
    script.ask(&asks, 5).after(SECOND).ask(&asks, 1).ask(&asks, 12).ask(&asks, 6);
    script.ask(&asks, 7).obey_about(&asks, 7).snapshot_about(&asks);
    script
}

fn d15() -> Script {
    let mut script = start("d15-what-remains", "What remains in each bucket, for the logs", NOON);
    script.snapshot("app").acquire("app", 60).record_latency("app", 1_234_567_890).snapshot("app");
    script.acquire("app", 60).snapshot("app").after(30 * SECOND).snapshot("app").after(30 * SECOND);
    script.snapshot("app").snapshot("unseen");
    script
}

fn d16() -> Script {
    let mut script = start(
        "d16-separate-limiter",
        "Actions have a limiter of their own: the same keys, another state",
        NOON,
    );
    script.acquire("app", 3_850).acquire("app", 1);
    let actions = Policy::new([Limit::count("actions", [Rate::new(10, Period::Nanos(MINUTE))])]);
    script.renew(&actions.toml(), &actions);
    script.acquire("app", 10).acquire("app", 1).snapshot("app");
    script
}
