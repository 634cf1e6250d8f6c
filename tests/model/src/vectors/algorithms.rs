//! Every algorithm with both methods, alone and in cascades; concurrency.

use super::START;
use crate::policy::Algorithm::{Clock, FirstRequest, Gcra, Sliding, Strict};
use crate::policy::{Algorithm, Limit, Period, Policy, Rate};
use crate::script::Script;
use crate::{MINUTE, SECOND};

const PER_MINUTE: Period = Period::Nanos(MINUTE);
const PER_SECOND: Period = Period::Nanos(SECOND);

fn kinds() -> Vec<(&'static str, Algorithm)> {
    vec![
        ("gcra", Gcra(None)),
        ("gcra-burst", Gcra(Some(3))),
        ("sliding", Sliding),
        ("strict", Strict),
        ("clock", Clock("UTC".to_owned())),
        ("first-request", FirstRequest),
    ]
}

pub fn all() -> Vec<Script> {
    let mut scripts = Vec::new();
    for (name, algorithm) in kinds() {
        scripts.push(count(name, algorithm.clone()));
        scripts.push(latency(name, algorithm.clone()));
        scripts.push(cascade(name, algorithm));
    }
    scripts.extend([
        concurrency(),
        gcra_spacing(),
        gcra_idle(),
        sliding_fades(),
        strict_never_exceeds(),
        latency_above_real_time(),
        mixed_cascade(),
        several_limits(),
        rate_strings(),
    ]);
    scripts
}

fn count(name: &str, algorithm: Algorithm) -> Script {
    let policy =
        Policy::new([Limit::count("requests", [Rate::new(5, PER_MINUTE).with(algorithm)])]);
    let name = format!("count-{name}");
    let about = "5 a minute: used up, denied, obeyed to the nanosecond, idle, used again";
    let mut script = Script::toml(&name, about, &policy, START + 7);
    script.snapshot("k").acquire("k", 1).after(3 * SECOND).acquire("k", 2).after(1);
    script.snapshot("k").peek("k", 2).acquire_times(4, "k", 1);
    script.obey("k", 1).after(10 * SECOND).acquire("k", 2).obey("k", 2);
    script.snapshot("k").after(3 * MINUTE).snapshot("k");
    script.acquire("k", 3).acquire("k", 6).acquire("other", 1).try_acquire("k", 1);
    script.try_acquire("k", 5);
    script
}

fn latency(name: &str, algorithm: Algorithm) -> Script {
    // A burst of three nanoseconds would tell nothing.
    let algorithm = match algorithm {
        Gcra(Some(_)) => Gcra(Some(3 * SECOND)),
        other => other,
    };
    let rate = Rate::new(5 * SECOND, PER_MINUTE).with(algorithm);
    let policy = Policy::new([Limit::latency("time", [rate])]);
    let name = format!("latency-{name}");
    let about = "5 s a minute: admitted while any budget is left, overdrawn, repaid or forgotten";
    let mut script = Script::toml(&name, about, &policy, START + 7);
    script.acquire("k", 1).record_latency("k", 2_400_000_000).acquire("k", 1_000_000);
    script.after(SECOND).record_latency("k", 500_000_001).snapshot("k").acquire("k", 0);
    script.record_latency("k", 1).record_latency("k", 4 * SECOND).snapshot("k");
    script.acquire("k", 1).obey("k", 1).record_latency("k", 100 * SECOND);
    script.snapshot("k").peek("k", 1).obey("k", 1).after(10 * MINUTE).snapshot("k");
    script.record_latency("k", 0).snapshot("k");
    script
}

fn cascade(name: &str, algorithm: Algorithm) -> Script {
    let rates = [
        Rate::new(4, PER_MINUTE).with(algorithm.clone()),
        Rate::new(10, Period::Nanos(5 * MINUTE)).with(algorithm).named("five minutes"),
    ];
    let policy = Policy::new([Limit::count("requests", rates)]);
    let name = format!("cascade-{name}");
    let about = "4 a minute, then 10 in five minutes: exact splits, the first with room pays";
    let mut script = Script::toml(&name, about, &policy, START + 7);
    script.acquire("k", 3).snapshot("k").acquire("k", 3).snapshot("k");
    script.acquire("k", 20).acquire("k", 7).snapshot("k").acquire("k", 2);
    script.obey("k", 1).after(MINUTE).acquire("k", 4).snapshot("k").acquire("k", 9).obey("k", 9);
    script.snapshot("k").refund("k", 3).snapshot("k").penalize("k", 25).snapshot("k");
    script.peek("k", 0).peek("k", 1).obey("k", 2).snapshot("k").after(20 * MINUTE).snapshot("k");
    script
}

fn concurrency() -> Script {
    let policy = Policy::new([Limit::permits("connections", 2)]);
    let about = "Two permits: taken one a request whatever the cost, given back on release";
    let mut script = Script::toml("concurrency", about, &policy, START);
    script.acquire("k", 1).acquire("k", 100).snapshot("k").acquire("k", 1).acquire("k", 0);
    script.after(60 * MINUTE).peek("k", 1).release("k").acquire("k", 0).acquire("k", 1);
    script.release("k").release("k").release("k").snapshot("k").acquire("k", 1);
    script.reset("k").snapshot("k").release("other").acquire("other", 1).acquire("k", 1);
    script.acquire("k", 1);
    script
}

fn gcra_spacing() -> Script {
    let policy =
        Policy::new([Limit::count("requests", [Rate::new(3, PER_SECOND).with(Gcra(Some(1)))])]);
    let about =
        "3 a second one at a time: thirds of a second, rounded up to the nanosecond, no drift";
    let mut script = Script::toml("gcra-spacing", about, &policy, START + 1);
    script.acquire("k", 1);
    for _ in 0..7 {
        script.obey("k", 1);
    }
    script
}

fn gcra_idle() -> Script {
    let policy =
        Policy::new([Limit::count("requests", [Rate::new(60, PER_MINUTE).with(Gcra(Some(10)))])]);
    let about = "60 a minute, burst 10: idle for 0 to 4 times the burst's time, never more than 10";
    let mut script = Script::toml("gcra-idle", about, &policy, START);
    for tenths in [0, 5, 10, 20, 40] {
        script.acquire("k", 10).acquire("k", 1).after(tenths * SECOND);
        script.snapshot("k").acquire("k", 11).acquire("k", 10).acquire("k", 1).reset("k");
    }
    script
}

fn sliding_fades() -> Script {
    let policy =
        Policy::new([Limit::count("requests", [Rate::new(100, PER_MINUTE).with(Sliding)])]);
    let about =
        "100 in a sliding minute: the minute before counts by the share that is still covered";
    let begin = START - START % i128::from(MINUTE);
    let mut script = Script::toml("sliding-fades", about, &policy, begin + 30_000_000_000);
    script.acquire("k", 99).at(begin + 60_000_000_000).acquire("k", 1).acquire("k", 1);
    script.obey("k", 1).obey("k", 2).at(begin + 75_000_000_001).snapshot("k").acquire("k", 24);
    script.acquire("k", 1).at(begin + 119_999_999_999).peek("k", 70).snapshot("k");
    script.after(1).peek("k", 70).snapshot("k").obey("k", 90);
    script
}

fn strict_never_exceeds() -> Script {
    let policy = Policy::new([Limit::count(
        "requests",
        [Rate::new(9, Period::Nanos(9 * SECOND)).with(Strict)],
    )]);
    let about = "9 in any 9 s, in parts of one second: what was used counts for ten parts";
    let begin = START - START % i128::from(9 * SECOND);
    let mut script = Script::toml("strict-parts", about, &policy, begin + 999_999_999);
    script
        .acquire("k", 4)
        .after(1)
        .acquire("k", 3)
        .after(5 * SECOND)
        .acquire("k", 3)
        .acquire("k", 2);
    script.snapshot("k").obey("k", 1).acquire("k", 3).acquire("k", 1).obey("k", 4).snapshot("k");
    script.refund("k", 2).snapshot("k").obey("k", 8).after(30 * SECOND).snapshot("k");
    script
}

fn latency_above_real_time() -> Script {
    let rate = Rate::new(150 * SECOND, PER_MINUTE);
    let policy = Policy::new([Limit::latency("time", [rate])]);
    let about = "150 s a minute for work in parallel: kept in steps of 4 ns, charges rounded up";
    let mut script = Script::toml("latency-parallel", about, &policy, START);
    script
        .record_latency("k", 5)
        .snapshot("k")
        .acquire("k", 1)
        .record_latency("k", 149_999_999_988);
    script.snapshot("k").record_latency("k", 3).acquire("k", 1).obey("k", 1);
    script.record_latency("k", 600 * SECOND).snapshot("k").obey("k", 1);
    script
}

fn mixed_cascade() -> Script {
    let rates = [
        Rate::new(4, PER_MINUTE).with(Clock("UTC".to_owned())),
        Rate::new(1, PER_SECOND).with(Gcra(Some(6))).named("pool"),
        Rate::new(8, PER_MINUTE).with(Sliding).named("sliding"),
        Rate::new(5, PER_MINUTE).with(FirstRequest).named("own"),
        Rate::new(9, PER_MINUTE).with(Strict).named("strict"),
    ];
    let policy = Policy::new([Limit::count("requests", rates)]);
    let about =
        "A cascade of every algorithm: splits, waits for sums, refunds and debt across them";
    let mut script = Script::toml("cascade-mixed", about, &policy, START + 7);
    script.acquire("k", 11).snapshot("k").acquire("k", 15).snapshot("k").acquire("k", 7);
    script.obey("k", 5).acquire("k", 20).obey("k", 12).snapshot("k").refund("k", 9).snapshot("k");
    script.penalize("k", 40).snapshot("k").peek("k", 0).obey("k", 1).after(17 * SECOND);
    script.snapshot("k").acquire("k", 32).obey("k", 32).acquire("k", 33).snapshot("k");
    script
}

fn several_limits() -> Script {
    let policy = Policy::new([
        Limit::count("second", [Rate::new(10, PER_SECOND)]),
        Limit::count("day", [Rate::new(1_000, Period::Days(1)).with(Clock("UTC".to_owned()))]),
        Limit::latency("time", [Rate::new(2 * SECOND, PER_MINUTE).with(FirstRequest)]),
        Limit::permits("open", 12),
    ]);
    let about = "All limits or none: a denial takes nothing anywhere; the tightest is reported";
    let mut script = Script::toml("several-limits", about, &policy, START + 7);
    script.acquire("k", 10).acquire("k", 1).acquire("k", 1).snapshot("k");
    script.after(SECOND).acquire_times(10, "k", 1).acquire("k", 1).snapshot("k");
    script.after(SECOND).acquire("k", 1).acquire("k", 1).release("k").acquire("k", 11);
    script.acquire("k", 1_001).record_latency("k", 2 * SECOND).acquire("k", 1).release("k");
    script.obey("k", 1).snapshot("k");
    script
}

fn rate_strings() -> Script {
    let one = Policy::new([Limit::count("100/minute", [Rate::new(100, PER_MINUTE)])]);
    let about = "Policies as rate strings, and as JSON";
    let mut script = Script::new("rate-strings", about, "100/minute", &one, START);
    script.acquire("k", 100).acquire("k", 1).obey("k", 1).snapshot("k");
    let two = Policy::new([
        Limit::count("10/second", [Rate::new(10, PER_SECOND)]),
        Limit::latency("30s/minute", [Rate::new(30 * SECOND, PER_MINUTE)]),
    ]);
    script.renew("10/second; 30s/minute", &two);
    script.acquire("k", 10).acquire("k", 1).record_latency("k", 30 * SECOND).acquire("k", 1);
    script.obey("k", 1).snapshot("k");
    let json = r#"{"limit": [{"name": "requests", "rate": "5/minute", "burst": 2}]}"#;
    let burst =
        Policy::new([Limit::count("requests", [Rate::new(5, PER_MINUTE).with(Gcra(Some(2)))])]);
    script.renew(json, &burst);
    script.acquire("k", 3).acquire("k", 2).obey("k", 1).snapshot("k");
    script
}
