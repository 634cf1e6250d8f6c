//! Limits changed while running: what goes on from what, what is kept, and who gets back what was
//! estimated before.

use super::{PER_MINUTE, START, count, kinds};
use crate::policy::Algorithm::{self, Clock, FirstRequest, Gcra, Sliding, Strict};
use crate::policy::{Limit, Method, Period, Policy, Rate};
use crate::script::Script;
use crate::{HOUR, MINUTE, SECOND};

pub fn all() -> Vec<Script> {
    let mut scripts = vec![limits(), bursts(), rate_strings(), mixed(), reservations()];
    scripts.extend(kinds().map(|(name, algorithm)| updates(name, algorithm)));
    scripts
}

fn updates(name: &str, algorithm: Algorithm) -> Script {
    let about =
        "Limits changed while running: larger, smaller, with debt, to every algorithm and back";
    let mut script =
        Script::toml(&format!("update-{name}"), about, &count(10, algorithm.clone()), START + 7);
    script.acquire("k", 6).update(&count(20, algorithm.clone())).snapshot("k").acquire("full", 1);
    script.after(SECOND).update(&count(4, algorithm.clone())).snapshot("k").acquire("k", 1);
    script.penalize("k", 9).snapshot("k").update(&count(3, algorithm.clone())).snapshot("k");
    script.obey("k", 1).after(5 * MINUTE).update(&count(10, algorithm.clone())).snapshot("k");
    for (_, other) in kinds() {
        script.acquire("k", 3).after(7 * SECOND).update(&count(10, other)).snapshot("k");
        script.snapshot("unseen").update(&count(10, algorithm.clone())).snapshot("k").after(MINUTE);
    }
    let hourly = Rate::new(10, Period::Nanos(HOUR)).with(algorithm.clone());
    let hourly = Policy::new([Limit::count("requests", [hourly])]);
    script.after(5 * MINUTE).acquire("k", 4).update(&hourly).snapshot("k").acquire("k", 7);
    script.acquire("k", 6).update(&count(10, algorithm)).snapshot("k");
    script
}

fn bursts() -> Script {
    let about = "gcra: what was left is left, a full bucket is full, debt stays debt";
    let mut script = Script::toml("update-bursts", about, &count(60, Gcra(Some(10))), START);
    script.acquire("k", 4).snapshot("full").update(&count(60, Gcra(Some(50)))).snapshot("k");
    script.snapshot("full").update(&count(60, Gcra(Some(2)))).snapshot("k");
    script.update(&count(600, Gcra(Some(100)))).snapshot("k").penalize("k", 70).snapshot("k");
    script.update(&count(6, Gcra(Some(3)))).snapshot("k").obey("k", 1).after(MINUTE);
    script.update(&count(7, Gcra(Some(5)))).snapshot("k").acquire("k", 1);
    script
}

fn limits() -> Script {
    let requests = || Rate::new(10, PER_MINUTE).with(FirstRequest);
    let hourly = || Rate::new(30, Period::Nanos(HOUR)).with(FirstRequest);
    let first = Policy::new([
        Limit::count("requests", [requests(), hourly()]),
        Limit::permits("open", 3),
        Limit::latency("time", [Rate::new(10 * SECOND, PER_MINUTE)]),
    ]);
    let about = "Limits come and go by name, buckets by position; permits in flight stay";
    let mut script = Script::toml("update-limits", about, &first, START);
    script.acquire("k", 15).acquire("k", 2).record_latency("k", 4 * SECOND).snapshot("k");
    let second = Policy::new([
        Limit::latency("time", [Rate::new(20 * SECOND, PER_MINUTE)]),
        Limit::count("requests", [requests()]),
        Limit::permits("open", 1),
        Limit::count("new", [Rate::new(5, PER_MINUTE)]),
    ]);
    script.update(&second).snapshot("k").acquire("k", 1).release("k").release("k").acquire("k", 1);
    script.after(MINUTE).acquire("k", 1).release("k").update(&first).snapshot("k").acquire("k", 1);
    let other_method = Policy::new([Limit::latency("requests", [Rate::new(SECOND, PER_MINUTE)])]);
    script.update(&other_method).snapshot("k").acquire("k", 1);
    script
}

fn unnamed(rates: &[Rate]) -> Policy {
    let limit = |rate: &Rate| Limit::unnamed(Method::Count, [rate.clone()]);
    Policy::new(rates.iter().map(limit).collect::<Vec<_>>())
}

fn rate_strings() -> Script {
    let (minute, hour) = (|quota| Rate::new(quota, PER_MINUTE), |quota| per_hour(quota));
    let one = |quota| unnamed(&[minute(quota)]);
    let about = "Limits without names go on in their order; those of the same text come first";
    let mut script = Script::new("update-rate-string", about, "100/minute", &one(100), START);
    script.acquire("k", 70).update_text("200/minute", &one(200)).snapshot("k").acquire("full", 200);
    script.acquire("k", 31).acquire("k", 30).update_text("20/minute", &one(20)).snapshot("k");
    script.obey("k", 1).penalize("k", 15).update_text("100/minute", &one(100)).snapshot("k");

    let two = unnamed(&[minute(10), hour(50)]);
    script.after(HOUR).renew("10/minute; 50/hour", &two);
    script.acquire("k", 10).after(6 * MINUTE).acquire("k", 8).snapshot("k");
    let swapped = unnamed(&[hour(50), minute(10)]);
    script.update_text("50/hour; 10/minute", &swapped).snapshot("k");
    // The hourly limit has its text again; the one by the minute is what is left.
    let other = unnamed(&[minute(12), hour(50), minute(9)]);
    script.update_text("12/minute; 50/hour; 9/minute", &other).snapshot("k");
    script.update_text("9/minute", &one(9)).snapshot("k");

    // Methods are never mixed.
    let latency = |quota| Limit::unnamed(Method::Latency, [minute(quota * SECOND)]);
    let both = |count: u64, time| {
        Policy::new([Limit::unnamed(Method::Count, [minute(count)]), latency(time)])
    };
    script.after(MINUTE).renew("10/minute; 30s/minute", &both(10, 30));
    script.acquire("k", 4).record_latency("k", 12 * SECOND).snapshot("k");
    let turned = Policy::new([latency(60), Limit::unnamed(Method::Count, [minute(20)])]);
    script.update_text("60s/minute; 20/minute", &turned).snapshot("k");
    script.update_text("20s/minute", &Policy::new([latency(20)])).snapshot("k");
    script.update_text("10/minute; 30s/minute", &both(10, 30)).snapshot("k");
    script
}

fn per_hour(quota: u64) -> Rate {
    Rate::new(quota, Period::Nanos(HOUR))
}

fn mixed() -> Script {
    let cascade = |quota| [Rate::new(quota, PER_MINUTE), per_hour(5 * quota)];
    let rate = |quota| Limit::unnamed(Method::Count, [Rate::new(quota, PER_MINUTE).with(Sliding)]);
    let first = Policy::new([
        Limit::count("requests", [per_hour(40).with(Strict)]),
        rate(20),
        Limit::unnamed(Method::Concurrency(3), []),
    ]);
    let about = "Limits with and without names; permits and cascades without one; method by method";
    let mut script = Script::toml("update-mixed", about, &first, START);
    script.acquire("k", 12).snapshot("k");
    // A name is not given up for an order: the limit that is named anew starts full.
    let second = Policy::new([
        rate(30),
        Limit::count("calls", [per_hour(40).with(Strict)]),
        Limit::unnamed(Method::Concurrency(1), []),
    ]);
    script.update(&second).snapshot("k").acquire("k", 1).release("k").acquire("k", 2);
    let third = Policy::new([Limit::unnamed(Method::Count, cascade(10)), rate(30)]);
    script.update(&third).snapshot("k").acquire("k", 15).snapshot("k");
    // Unnamed cascades are called by their method, and go on by it.
    let fourth = Policy::new([rate(16), Limit::unnamed(Method::Count, cascade(20))]);
    script.update(&fourth).snapshot("k");
    // A name that was another limit's text is that limit.
    let fifth = Policy::new([
        Limit::count("16 a minute", [Rate::new(16, PER_MINUTE).with(Sliding)]),
        Limit::count("16/minute", [Rate::new(9, PER_MINUTE).with(Sliding)]),
    ]);
    script.update(&fifth).snapshot("k").after(MINUTE).update(&first).snapshot("k");
    script
}

fn reservations() -> Script {
    let about = "Estimates settled after an update: back to the bucket at the same place, in whatever window";
    let clock = || Clock("UTC".to_owned());
    let by_clock = |quota, period| Rate::new(quota, period).with(clock());
    let policy = |minute: u64, hour: u64| {
        Policy::new([
            Limit::count(
                "requests",
                [by_clock(minute, PER_MINUTE), by_clock(hour, Period::Nanos(HOUR))],
            ),
            Limit::count("even", [Rate::new(60, PER_MINUTE)]),
            Limit::permits("open", 2),
        ])
    };
    let mut script = Script::toml("reserve-update", about, &policy(10, 20), START + 7);
    script.reserve("a", "k", 14).update(&policy(12, 30)).snapshot("k").settle("a", 3).snapshot("k");
    script.release("k").reserve("b", "k", 16).update(&policy(12, 30)).cancel("b").snapshot("k");
    // The window that paid is over; its use in the next one is what can be given back.
    script.reserve("c", "k", 12).release("k").after(MINUTE).acquire("k", 5).release("k");
    script.update(&policy(12, 30)).settle("c", 0).snapshot("k");
    // More than estimated is charged late, to what limits there are.
    script.reserve("d", "k", 3).release("k").update(&policy(4, 5)).settle("d", 9).snapshot("k");

    // The bucket that paid is gone; the limit is gone, and another of its name is another one.
    script.after(HOUR).renew(&policy(10, 20).toml(), &policy(10, 20));
    script.reserve("e", "k", 14).reserve("f", "k", 2).snapshot("k");
    let one = Policy::new([Limit::count("requests", [by_clock(20, PER_MINUTE)])]);
    script.update(&one).settle("e", 2).snapshot("k").acquire("k", 7);
    let other = Policy::new([Limit::count("other", [by_clock(20, PER_MINUTE)])]);
    script.update(&other).acquire("k", 3).update(&one).acquire("k", 6).settle("f", 0).snapshot("k");

    // Without names, and under another algorithm each time.
    let text = |quota| unnamed(&[Rate::new(quota, PER_MINUTE)]);
    script.after(HOUR).renew("100/minute", &text(100));
    script.reserve("g", "k", 60).update_text("200/minute", &text(200)).settle("g", 20);
    script.snapshot("k").reserve("h", "k", 50).after(2 * SECOND);
    for (_, algorithm) in kinds() {
        script.update(&unnamed(&[Rate::new(200, PER_MINUTE).with(algorithm)])).snapshot("k");
    }
    script.after(SECOND).settle("h", 1).snapshot("k");
    script
}
