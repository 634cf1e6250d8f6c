//! Keys, costs, times and quotas at their ends.

use super::START;
use crate::policy::Algorithm::{Clock, FirstRequest, Gcra, Sliding, Strict};
use crate::policy::{Limit, Period, Policy, Rate};
use crate::script::Script;
use crate::{DAY, HOUR, MINUTE, SECOND, Time};

const PER_MINUTE: Period = Period::Nanos(MINUTE);
/// Most units that every host can say: 2^53 − 1.
const MOST: u64 = (1 << 53) - 1;
/// The engine's last nanosecond.
const LAST: Time = (1 << 62) - 1;

pub fn all() -> Vec<Script> {
    vec![
        keys(),
        cost_zero(),
        impossible(),
        times_that_go_back(),
        ends_of_time(),
        large_quotas(),
        slow_rates(),
        fast_rates(),
        tightest(),
        longest_wait(),
    ]
}

fn one(rate: Rate) -> Policy {
    Policy::new([Limit::count("requests", [rate])])
}

fn keys() -> Script {
    let about = "Keys are bytes: empty, NUL, invalid UTF-8, Unicode in two forms, 1 KiB";
    let mut script = Script::toml("keys", about, &one(Rate::new(2, PER_MINUTE)), START);
    let long = "k".repeat(1024);
    let keys: [&[u8]; 14] = [
        b"",
        b"\0",
        b"\0\0",
        b"a",
        b"a\0",
        b"a\0b",
        b"\xff\xfe",
        b"\xc3\x28",
        "é".as_bytes(),
        "e\u{301}".as_bytes(),
        "ключ🔑".as_bytes(),
        long.as_bytes(),
        &long.as_bytes()[..1023],
        b"A",
    ];
    for key in keys {
        script.acquire(key, 2);
    }
    for key in keys {
        script.acquire(key, 1).snapshot(key);
    }
    script
}

fn cost_zero() -> Script {
    let about = "Cost 0 asks and pays nothing: it passes unless a count limit is in debt";
    let mut script = Script::toml("cost-zero", about, &one(Rate::new(3, PER_MINUTE)), START);
    script.acquire("k", 0).acquire("k", 3).acquire("k", 0).penalize("k", 1).acquire("k", 0);
    script.obey("k", 0).snapshot("k");
    let rates = [
        Rate::new(3, PER_MINUTE).with(FirstRequest),
        Rate::new(2, Period::Nanos(HOUR)).with(FirstRequest),
    ];
    let cascade = Policy::new([
        Limit::count("requests", rates),
        Limit::latency("time", [Rate::new(SECOND, PER_MINUTE)]),
    ]);
    script.renew(&cascade.toml(), &cascade);
    script.acquire("k", 5).acquire("k", 0).penalize("k", 2).acquire("k", 0).snapshot("k");
    script.penalize("k", 9).acquire("k", 0).snapshot("k").after(MINUTE);
    script.record_latency("k", SECOND).acquire("k", 0).obey("k", 0);
    script
}

fn impossible() -> Script {
    let policy = Policy::new([
        Limit::count("burst", [Rate::new(100, PER_MINUTE).with(Gcra(Some(5)))]),
        Limit::count("hour", [Rate::new(50, Period::Nanos(HOUR)).with(FirstRequest)]),
        Limit::latency("time", [Rate::new(SECOND, PER_MINUTE)]),
    ]);
    let about = "What can never fit is said at once, of the first limit that it cannot fit";
    let mut script = Script::toml("impossible", about, &policy, START);
    script.acquire("k", 6).acquire("k", 51).acquire("k", MOST).acquire("k", 5).acquire("k", 6);
    script.record_latency("k", 5 * SECOND).acquire("k", 6).acquire("k", 5).snapshot("k");
    script
}

fn times_that_go_back() -> Script {
    let about = "Times that go back count as no time; gcra answers from the time it is given";
    let mut first: Option<Script> = None;
    for algorithm in [Gcra(None), Sliding, Strict, Clock("UTC".to_owned()), FirstRequest] {
        let policy = one(Rate::new(6, PER_MINUTE).with(algorithm));
        match &mut first {
            None => first = Some(Script::toml("times-go-back", about, &policy, START)),
            Some(script) => script.at(START).renew(&policy.toml(), &policy),
        }
        let script = first.as_mut().expect("made above");
        script.acquire("k", 3).at(START - 1).acquire("k", 1).snapshot("k");
        script.at(START - 45_000_000_000).acquire("k", 1).snapshot("k").acquire("k", 4);
        script.at(START - 3_600_000_000_000).acquire("k", 4).snapshot("k").peek("k", 1);
        script.at(START + 1).acquire("k", 1).snapshot("k").at(START + 61_000_000_000);
        script.snapshot("k").acquire("k", 2).at(START).snapshot("k").refund("k", 1).snapshot("k");
    }
    first.expect("made above")
}

fn ends_of_time() -> Script {
    let about = "The first nanosecond of 1970 and the last one of the engine, in 2116";
    let policy = Policy::new([
        Limit::count("gcra", [Rate::new(5, PER_MINUTE)]),
        Limit::count("sliding", [Rate::new(6, PER_MINUTE).with(Sliding)]),
        Limit::count("strict", [Rate::new(7, PER_MINUTE).with(Strict)]),
        Limit::count(
            "clock",
            [Rate::new(8, Period::Days(1)).with(Clock("America/New_York".to_owned()))],
        ),
        Limit::count("own", [Rate::new(9, Period::Nanos(DAY)).with(FirstRequest)]),
    ]);
    let mut script = Script::toml("ends-of-time", about, &policy, 0);
    script.acquire("k", 4).acquire("k", 4).snapshot("k").after(1).acquire("k", 1).snapshot("k");
    script.penalize("k", 100).snapshot("k").acquire("k", 0).at(LAST - 1).acquire("k", 4);
    script.snapshot("k").at(LAST).acquire("k", 4).snapshot("k").penalize("k", 100).snapshot("k");
    script
}

fn large_quotas() -> Script {
    let about = "Quotas of 2^53 − 1: nothing wraps, and every unit is told apart";
    let mut first: Option<Script> = None;
    let year = Period::Years(1);
    for rate in [
        Rate::new(MOST, year),
        Rate::new(MOST, year).with(Sliding),
        Rate::new(MOST, year).with(Strict),
        Rate::new(MOST, year).with(Clock("UTC".to_owned())),
        Rate::new(MOST, year).with(FirstRequest),
    ] {
        let policy = one(rate);
        match &mut first {
            None => first = Some(Script::toml("large-quotas", about, &policy, START)),
            Some(script) => script.renew(&policy.toml(), &policy),
        }
        let script = first.as_mut().expect("made above");
        script.acquire("k", MOST).acquire("k", 1).refund("k", 1).acquire("k", 2).acquire("k", 1);
        script.refund("k", MOST).acquire("k", MOST - 1).acquire("k", 2).snapshot("k");
        script.penalize("k", MOST).snapshot("k").peek("k", 1);
    }
    first.expect("made above")
}

fn slow_rates() -> Script {
    let about = "1 in ten years and 1 a day: no token comes early, whatever the phase";
    let mut script =
        Script::toml("slow-rates", about, &one(Rate::new(1, Period::Years(10))), START + 12_345);
    script.acquire("k", 1).acquire("k", 1).after(DAY).peek("k", 1).obey("k", 1).snapshot("k");
    let daily = one(Rate::new(1, Period::Days(1)));
    script.renew(&daily.toml(), &daily);
    script.acquire("k", 1).obey("k", 1).obey("k", 1).snapshot("k");
    script
}

fn fast_rates() -> Script {
    let about = "600 million a second: 0.6 in a nanosecond, without drift";
    let rate = Rate::new(600_000_000, Period::Nanos(SECOND)).with(Gcra(Some(1_000)));
    let mut script = Script::toml("fast-rates", about, &one(rate), START);
    script.acquire("k", 1_000).acquire("k", 1).after(1).acquire("k", 1).after(1).acquire("k", 1);
    script
        .acquire("k", 1)
        .obey("k", 3)
        .after(1_667)
        .acquire("k", 1_000)
        .acquire("k", 1)
        .snapshot("k");
    script
}

fn tightest() -> Script {
    let policy = Policy::new([
        Limit::count("a", [Rate::new(10, PER_MINUTE).with(FirstRequest)]),
        Limit::count("b", [Rate::new(20, PER_MINUTE).with(FirstRequest)]),
        Limit::latency("c", [Rate::new(10 * SECOND, PER_MINUTE).with(FirstRequest)]),
        Limit::permits("d", 4),
    ]);
    let about =
        "The limit that is told is the one with the smallest share left, the first of equals";
    let mut script = Script::toml("tightest", about, &policy, START);
    script.acquire("k", 1).release("k").acquire("k", 1).acquire("k", 1).release("k").release("k");
    script
        .record_latency("k", 8 * SECOND)
        .peek("k", 0)
        .peek("k", 5)
        .acquire("k", 4)
        .acquire("k", 1);
    script
}

fn longest_wait() -> Script {
    let policy = Policy::new([
        Limit::count("a", [Rate::new(2, PER_MINUTE).with(FirstRequest)]),
        Limit::count("b", [Rate::new(2, Period::Nanos(HOUR)).with(FirstRequest)]),
        Limit::count("c", [Rate::new(2, Period::Nanos(HOUR)).with(FirstRequest)]),
        Limit::permits("d", 1),
    ]);
    let about = "A denial is of the limit with the longest wait, the first of equals";
    let mut script = Script::toml("longest-wait", about, &policy, START);
    script
        .acquire("k", 1)
        .acquire("k", 1)
        .release("k")
        .acquire("k", 1)
        .acquire("k", 2)
        .obey("k", 1);
    script.after(1).acquire("k", 1).release("k").acquire("k", 1).release("k").acquire("k", 1);
    script
}
