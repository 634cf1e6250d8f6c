//! The plan-based API: plans, endpoints, bursts, connections. The files carry the numbers of the facts P1 to P13.

use super::example;
use crate::policy::Algorithm::{Clock, FirstRequest, Gcra, Sliding, Strict};
use crate::policy::{Limit, Period, Policy, Rate, Usage};
use crate::request::Request;
use crate::script::{Script, utc};
use crate::{DAY, HOUR, MINUTE, SECOND};

const THRESHOLDS: [u64; 3] = [800, 900, 950];
const STREAM: &str = "WS /v3/stream";
const LIST: &str = "GET /v3/configs";

/// A Tuesday.
const NOON: &str = "2026-03-10T12:00:00.25Z";

/// (name, route, most a minute, most an hour)
const ENDPOINTS: [(&str, &str, u64, u64); 5] = [
    ("list configs", LIST, 120, 7_200),
    ("read config", "GET /v3/configs/:key", 300, 18_000),
    ("create config", "POST /v3/configs", 30, 1_800),
    ("write config", "PUT /v3/configs/:key", 30, 1_800),
    ("delete config", "DELETE /v3/configs/:key", 10, 600),
];

/// (name, route, most a day)
const DAILY: [(&str, &str, u64); 2] =
    [("create environment", "POST /v3/environments", 50), ("create key", "POST /v3/keys", 20)];

/// Requests a minute, an hour, a day; pool; connections.
struct Plan(&'static str, u64, u64, Option<u64>, u64, u64);

const PLANS: [Plan; 3] = [
    Plan("starter", 60, 3_600, Some(50_000), 10, 5),
    Plan("pro", 600, 36_000, Some(500_000), 50, 20),
    Plan("enterprise", 6_000, 360_000, None, 200, 100),
];

fn minute(quota: u64) -> Rate {
    Rate::new(quota, Period::Nanos(MINUTE)).with(FirstRequest)
}

fn hour(quota: u64) -> Rate {
    Rate::new(quota, Period::Nanos(HOUR)).with(FirstRequest)
}

fn day(quota: u64) -> Rate {
    Rate::new(quota, Period::Days(1)).with(Clock("UTC".to_owned()))
}

/// `18000` as people write it.
fn grouped(quota: u64) -> String {
    match quota {
        0..1_000 => quota.to_string(),
        _ => format!("{}_{:03}", quota / 1_000, quota % 1_000),
    }
}

fn endpoints() -> Vec<Limit> {
    let mut limits = Vec::new();
    for (name, route, a_minute, an_hour) in ENDPOINTS {
        let routes: &[&str] = if route == LIST { &[LIST, STREAM] } else { &[route] };
        let an_hour = hour(an_hour).named(&format!("{}/hour", grouped(an_hour)));
        let limit = |span: &str, rate| Limit::count(&format!("{name}, {span}"), [rate]);
        limits.push(limit("minute", minute(a_minute)).when("route", routes));
        limits.push(limit("hour", an_hour).when("route", routes));
    }
    for (name, route, a_day) in DAILY {
        let limit = Limit::count(&format!("{name}, day"), [day(a_day)]);
        limits.push(limit.when("route", &[route]));
    }
    limits
}

/// The limits of a plan. Rates that are inherited are called as they were written.
fn limits(&Plan(name, a_minute, an_hour, a_day, pool, connections): &Plan) -> Vec<Limit> {
    let burst = Rate::new(1, Period::Nanos(SECOND)).with(Gcra(Some(pool)));
    let cascade = [minute(a_minute).named("minute"), burst.named("burst")];
    let mut limits = vec![
        Limit::count("minute", cascade).alerts(&THRESHOLDS),
        Limit::count("hour", [hour(an_hour).named("3_600/hour")]).alerts(&THRESHOLDS),
    ];
    if let Some(quota) = a_day {
        let limit = Limit::count("day", [day(quota).named("50_000/day")]);
        limits.push(limit.by(&["account"]).alerts(&THRESHOLDS));
    }
    let permits = Limit { max_hold: Some(DAY), ..Limit::permits("connections", connections) };
    limits.push(permits.when("route", &[STREAM]));
    limits.into_iter().map(|limit| limit.of_plan(name)).collect()
}

/// `examples/policies/plans.toml` as data.
pub(super) fn policy() -> Policy {
    let mut all = endpoints();
    all.extend(PLANS.iter().flat_map(limits));
    Policy {
        limits: all,
        plans: PLANS.iter().map(|plan| plan.0.to_owned()).collect(),
        default_plan: Some("starter".to_owned()),
        plan_by: Some("account".to_owned()),
        usage: Some(Usage { window: DAY, resolution: HOUR, by: None }),
        ..Policy::default()
    }
}

fn start(name: &str, about: &str) -> Script {
    Script::new(name, about, &example("plans"), &policy(), utc(NOON))
}

fn request(key: &str, plan: &str, route: &str) -> Request {
    let account = format!("account of {plan}");
    Request::new(&[("key", key), ("account", &account), ("plan", plan), ("route", route)])
}

/// Of no endpoint that has a limit.
const OTHER: &str = "GET /v3/environments";

pub fn all() -> Vec<Script> {
    vec![
        p01(),
        p02(),
        p03(),
        p04(),
        p04_all_or_nothing(),
        p05(),
        p06(),
        p06_leases(),
        p07(),
        p08(),
        p09(),
        p10(),
        p11(),
        p11_estimates(),
        p12(),
        p13(),
        p13_custom(),
    ]
}

fn p01() -> Script {
    let rate = |quota, algorithm| Rate::new(quota, Period::Nanos(MINUTE)).with(algorithm);
    let policy = Policy::new([
        Limit::count("minute", [rate(60, Sliding)]),
        Limit::count("writes", [rate(10, Strict)]).when("route", &["POST /v3/configs"]),
    ]);
    let about = "Sliding windows count requests with attributes as they count keys";
    let mut script = Script::toml("p01-sliding-window", about, &policy, utc(NOON));
    let read = Request::new(&[("key", "k1"), ("route", LIST)]);
    let write = read.with("route", "POST /v3/configs");
    script.ask(&read, 50).ask(&write, 10).ask(&write, 1).ask(&read, 1).snapshot_about(&write);
    script.obey_about(&read, 1).after(30 * SECOND).ask(&read, 20).obey_about(&write, 5);
    script.after(MINUTE).ask(&read, 30).snapshot_about(&write);
    script
}

fn p02() -> Script {
    let mut script =
        start("p02-plans", "The limits of a plan all hold at once; enterprise has no day");
    for Plan(plan, a_minute, _, _, pool, _) in PLANS {
        let asks = request(&format!("k of {plan}"), plan, OTHER);
        script.plan_of(&asks).snapshot_about(&asks).ask(&asks, a_minute + pool).ask(&asks, 1);
        script.snapshot_about(&asks).ask(&asks, a_minute + pool + 1);
    }
    let nobody = Request::new(&[("key", "k4"), ("account", "a4"), ("route", OTHER)]);
    script.plan_of(&nobody).ask(&nobody, 70).ask(&nobody, 1);
    script.plan_of(&nobody.with("plan", "gold")).ask(&nobody.with("plan", "gold"), 1);
    // In 51 minutes of 70 requests 3,570 of the hour's 3,600 are used.
    let busy = request("busy", "starter", OTHER);
    for _ in 0..51 {
        script.after(MINUTE).try_about(1, &busy, 70);
    }
    script.after(MINUTE).ask(&busy, 31).ask(&busy, 30).ask(&busy, 1).obey_about(&busy, 1);
    script
}

fn p03() -> Script {
    let mut script = start(
        "p03-burst",
        "A pool on top of the minute: when it is empty the base rate holds; it refills at one a second",
    );
    let asks = request("k1", "starter", OTHER);
    script.ask(&asks, 1).ask(&asks, 59).ask(&asks, 4).snapshot_about(&asks).ask(&asks, 6);
    script.ask(&asks, 1).obey_about(&asks, 1).ask(&asks, 1).after(3 * SECOND).ask(&asks, 4);
    script.ask(&asks, 3).after(20 * SECOND).ask(&asks, 11).ask(&asks, 10).ask(&asks, 1);
    script.after(MINUTE).snapshot_about(&asks).ask(&asks, 71).ask(&asks, 70).obey_about(&asks, 3);
    script
}

fn p04() -> Script {
    let mut script =
        start("p04-endpoints", "Endpoints have limits of their own, beyond those of the plan");
    for (number, (_, route, a_minute, _)) in ENDPOINTS.into_iter().enumerate() {
        let key = format!("k{number}");
        let asks = request(&key, "enterprise", &route.replace(":key", "a-key"));
        script.ask(&asks, a_minute).ask(&asks, 1).snapshot_about(&asks).obey_about(&asks, 1);
        script.ask(&asks, a_minute + 1);
    }
    for (_, route, a_day) in DAILY {
        let asks = request("daily", "enterprise", route);
        script.ask(&asks, a_day - 1).ask(&asks, 1).ask(&asks, 1).snapshot_about(&asks);
    }
    let shapes = [
        "GET /v3/configs?page=2",
        "GET /v3/configs#top",
        "GET /v3/configs/",
        "GET /v3/configs/7/versions",
        "GET /v3/configs/7?raw=1",
        "get /v3/configs",
        "PATCH /v3/configs/7",
        "DELETE /v3/configs/a%2Fb",
        "/v3/configs",
    ];
    for shape in shapes {
        script.snapshot_about(&request("shapes", "pro", shape));
    }
    script
}

fn p04_all_or_nothing() -> Script {
    let mut script = start(
        "p04-all-or-nothing",
        "What one limit denies takes nothing from any, neither the endpoint's nor the plan's",
    );
    let delete = request("k1", "pro", "DELETE /v3/configs/7");
    script.ask(&delete, 10);
    for _ in 0..5 {
        script.ask(&delete, 1);
    }
    script.snapshot_about(&delete).ask(&request("k1", "pro", OTHER), 640).ask(&delete, 1);
    // And the other way: the plan denies, the endpoint is not charged.
    let read = request("k2", "starter", "GET /v3/configs/7");
    script.ask(&read, 70).ask(&read, 1).ask(&read, 71).ask(&read, 301).snapshot_about(&read);
    script
}

fn p05() -> Script {
    let mut script = start(
        "p05-shared-day",
        "All keys of an account share its day, each has its minute and its hour",
    );
    for number in 0..714 {
        script.try_about(1, &request(&format!("k{number}"), "starter", OTHER), 70);
    }
    let (last, none) = (request("last", "starter", OTHER), request("none", "starter", OTHER));
    script.ask(&last, 21).ask(&last, 20).ask(&none, 1).snapshot_about(&none);
    script.ask(&none.with("account", "another"), 1).snapshot_about(&last);
    script.at_utc("2026-03-10T23:59:59.999999999Z").ask(&none, 1);
    script.at_utc("2026-03-11T00:00:00Z").ask(&none, 60).ask(&last, 60).snapshot_about(&none);
    script
}

fn p06() -> Script {
    let mut script = start(
        "p06-connections",
        "5, 20 or 100 connections at once; an attempt counts as a GET, what is sent over them is free",
    );
    for Plan(plan, _, _, _, _, connections) in PLANS {
        let opens = request(&format!("k of {plan}"), plan, STREAM);
        script.ask(&opens, 1).try_about(connections as usize - 2, &opens, 1).ask(&opens, 1);
        script.ask(&opens, 1).snapshot_about(&opens).release_about(&opens).ask(&opens, 1);
        script.ask(&opens, 1).ask(&request(&format!("k of {plan}"), plan, LIST), 1);
        script.snapshot_about(&opens);
    }
    script
}

fn p06_leases() -> Script {
    let mut script = start(
        "p06-leases",
        "A connection whose holder is gone counts as given back; one whose time is renewed stays",
    );
    let opens = request("k1", "starter", STREAM);
    script.ask(&opens, 1).after(12 * HOUR).ask(&opens, 1).snapshot_about(&opens);
    script.renew_about(&opens).after(12 * HOUR).snapshot_about(&opens).after(6 * HOUR);
    script.snapshot_about(&opens).after(6 * HOUR).snapshot_about(&opens).renew_about(&opens);
    script.after(30 * HOUR).snapshot_about(&opens).renew_about(&opens).ask(&opens, 1);
    script.release_about(&opens).release_about(&opens).snapshot_about(&opens);
    script
}

fn p07() -> Script {
    let mut script =
        start("p07-cost", "A bulk write costs one request; any other may cost what it is worth");
    let write = request("k1", "pro", "POST /v3/configs");
    script.ask(&write, 1).snapshot_about(&write).ask(&write, 25).ask(&write, 5).ask(&write, 4);
    script.ask(&write, 0).ask(&write, 31).snapshot_about(&write);
    script
}

fn p08() -> Script {
    let mut script =
        start("p08-windows", "Minutes and hours run from the first request, days to midnight UTC");
    let asks = request("k1", "starter", LIST);
    script.at_utc("2026-03-10T21:12:20.5Z").ask(&asks, 70).snapshot_about(&asks);
    script.at_utc("2026-03-10T21:13:20.499999999Z").ask(&asks, 20).snapshot_about(&asks);
    script.at_utc("2026-03-10T21:13:20.5Z").ask(&asks, 20).snapshot_about(&asks);
    script.at_utc("2026-03-10T22:12:20.499999999Z").snapshot_about(&asks);
    script.at_utc("2026-03-10T22:12:20.5Z").snapshot_about(&asks).ask(&asks, 1);
    script.at_utc("2026-03-10T23:59:59.999999999Z").snapshot_about(&asks);
    script.at_utc("2026-03-11T00:00:00Z").snapshot_about(&asks).ask(&asks, 1);
    script.snapshot_about(&asks);
    script
}

fn p09() -> Script {
    let mut script = start(
        "p09-headers",
        "Limit, remaining, reset and burst on every response, Retry-After on denials alone",
    );
    let asks = request("k1", "starter", OTHER);
    script.ask_http(&asks, 1).ask_http(&asks, 60).ask_http(&asks, 9).ask_http(&asks, 1);
    script.ask_http(&asks, 71).after(SECOND / 2).ask_http(&asks, 1);
    let delete = request("k2", "pro", "DELETE /v3/configs/7");
    script.ask_http(&delete, 4).ask_http(&delete, 7).ask_http(&delete, 6).ask_http(&delete, 1);
    let opens = request("k3", "starter", STREAM);
    script.try_about(4, &opens, 1).ask_http(&opens, 1).ask_http(&opens, 1);
    script.after(20 * MINUTE).ask_http(&request("k3", "starter", LIST), 1);
    script
}

fn p10() -> Script {
    let mut script =
        start("p10-body", "A denial's body tells limit, remaining, reset, wait and plan");
    for Plan(plan, a_minute, _, _, pool, _) in PLANS {
        let asks = request(&format!("k of {plan}"), plan, OTHER);
        script.try_about(1, &asks, a_minute + pool).ask_http(&asks, 1).ask_http(&asks, 1_000_000);
    }
    let create = request("k1", "starter", "POST /v3/keys");
    script.ask_http(&create, 20).ask_http(&create, 1);
    let blocked = Request::new(&[("account", "account of starter")]);
    script.block_about(&blocked, 90 * SECOND + 1).ask_http(&create, 1);
    script.after(90 * SECOND).ask_http(&create, 1).after(1).ask_http(&create, 1);
    script
}

fn p11() -> Script {
    let mut script = start(
        "p11-usage",
        "What an account used in a day: plan, total, daily limit, what is left, kinds of call",
    );
    let asks = |key: &str, route: &str| request(key, "pro", route);
    let whole = asks("k1", "");
    script.usage(&whole, None).ask(&asks("k1", LIST), 5).ask(&asks("k2", LIST), 7);
    script.ask(&asks("k1", "POST /v3/configs"), 12).ask(&asks("k1", "DELETE /v3/configs/7"), 10);
    script.ask(&asks("k1", "DELETE /v3/configs/7"), 1).peek_about(&asks("k1", LIST), 3);
    script.usage(&whole, None).after(HOUR).ask(&asks("k1", LIST), 30).usage(&whole, None);
    script.usage(&whole, Some(HOUR)).usage(&whole, Some(10 * MINUTE)).usage(&whole, Some(2 * DAY));
    let nameless = Request::new(&[("key", "k1"), ("account", "account of pro"), ("plan", "pro")]);
    script.ask(&nameless, 2).usage(&nameless, None).after(23 * HOUR).usage(&nameless, None);
    script.after(HOUR).usage(&nameless, None).after(HOUR).usage(&nameless, None);
    script.usage(&request("k1", "enterprise", ""), None);
    script.usage(&Request::new(&[("key", "k1")]), None);
    script
}

fn p11_estimates() -> Script {
    let mut script = start(
        "p11-estimates",
        "Of a reservation the report tells what it was settled at, as the call and in the hour in which it was made",
    );
    let asks = |route: &str| request("k1", "pro", route);
    let (list, write) = (asks(LIST), asks("POST /v3/configs"));
    script.reserve_about("a", &list, 20).reserve_about("b", &write, 9).reserve_about("c", &list, 5);
    script.reserve_about("denied", &list, 200).ask(&list, 1).usage(&list, None).cancel("denied");
    script.settle("a", 12).cancel("b").usage(&list, None).after(HOUR).settle("c", 8);
    script.usage(&list, None).usage(&list, Some(HOUR)).reserve_about("d", &write, 3);
    let mut by_key = policy();
    by_key.usage = Some(Usage { window: DAY, resolution: HOUR, by: Some("key".to_owned()) });
    script.update(&by_key).cancel("d").reserve_about("e", &write, 4).usage(&list, None);
    by_key.usage = Some(Usage { window: HOUR, resolution: MINUTE, by: None });
    script.update(&by_key).ask(&write, 2).cancel("e").usage(&list, None);
    script.reserve_about("f", &write, 0).settle("f", 2).usage(&list, None);
    script
}

fn p12() -> Script {
    let mut script = start(
        "p12-alerts",
        "Use that passes 80, 90 or 95 per cent is told once, and again after it fell below",
    );
    let asks = request("k1", "starter", OTHER);
    script.alerts().ask(&asks, 55).alerts().ask(&asks, 1).alerts().ask(&asks, 1).alerts();
    script.ask(&asks, 6).ask(&asks, 4).alerts().ask(&asks, 3).ask(&asks, 1).alerts();
    script.peek_about(&asks, 1).alerts().after(2 * MINUTE).ask(&asks, 70).alerts();
    script.refund_about(&asks, 20).alerts().ask(&asks, 10).alerts();
    script.after(2 * MINUTE).penalize_about(&asks, 100).alerts();
    let opens = request("k1", "starter", LIST);
    script.after(10 * MINUTE).try_about(2, &opens, 63).alerts();
    script
}

fn p13() -> Script {
    let mut script = start(
        "p13-increase",
        "A larger plan for up to 72 hours, which ends by itself; what was used stays used",
    );
    let asks = Request::new(&[("key", "k1"), ("account", "acme"), ("route", OTHER)]);
    script.ask(&asks, 70).ask(&asks, 1).plan_of(&asks);
    script.assign("acme", "pro", Some(72 * HOUR)).plan_of(&asks).snapshot_about(&asks);
    script.ask(&asks, 580).ask(&asks, 1).snapshot_about(&asks).assign("acme", "gold", None);
    // Said by the request itself, it changes nothing while another one is assigned.
    script.plan_of(&asks.with("plan", "enterprise")).plan_of(&asks.with("account", "other"));
    script.after(72 * HOUR - 1).plan_of(&asks).ask(&asks, 650).ask(&asks, 1);
    script.after(1).plan_of(&asks).snapshot_about(&asks).ask(&asks, 1).obey_about(&asks, 1);
    script.assign("acme", "enterprise", None).plan_of(&asks).snapshot_about(&asks).ask(&asks, 100);
    script.assign("acme", "pro", Some(HOUR)).plan_of(&asks).after(HOUR).plan_of(&asks);
    script.unassign("acme").plan_of(&asks).snapshot_about(&asks);
    script
}

fn p13_custom() -> Script {
    let mut script = start(
        "p13-custom",
        "Limits of one customer: a plan of its own, added while running, and taken away again",
    );
    let asks = Request::new(&[("key", "k1"), ("account", "acme"), ("route", OTHER)]);
    script.ask(&asks, 70).ask(&asks, 1).assign("acme", "acme", None);
    let text = example("plans")
        + "\n[plan.acme]\ninherits = \"pro\"\n\n[[plan.acme.limit]]\nname = \"minute\"\n\
           rate = \"1000/minute\"\nalgorithm = \"fixed_window\"\nalign = \"first_request\"\n";
    let mut custom = policy();
    custom.plans.push("acme".to_owned());
    let own = Limit::count("minute", [minute(1_000)]).of_plan("acme");
    let pro = limits(&PLANS[1]).into_iter().skip(1).map(|limit| limit.of_plan("acme"));
    custom.limits.extend(std::iter::once(own).chain(pro));
    script.after(SECOND).update_text(&text, &custom).plan_of(&asks);
    script.assign("acme", "acme", None).plan_of(&asks).snapshot_about(&asks);
    script.ask(&asks, 900).ask(&asks, 100).snapshot_about(&asks);
    script.update_text(&example("plans"), &policy()).plan_of(&asks).snapshot_about(&asks);
    script.ask(&asks, 1);
    script
}
