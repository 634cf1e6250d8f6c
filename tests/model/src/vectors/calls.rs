//! The operator's hand, reservations, late charges, batches, live updates.

mod batches;
mod updates;

use super::START;
use crate::policy::Algorithm::{self, Clock, FirstRequest, Gcra, Sliding, Strict};
use crate::policy::{Limit, Period, Policy, Rate};
use crate::script::Script;
use crate::{HOUR, MINUTE, SECOND};

const PER_MINUTE: Period = Period::Nanos(MINUTE);

fn count(quota: u64, algorithm: Algorithm) -> Policy {
    Policy::new([Limit::count("requests", [Rate::new(quota, PER_MINUTE).with(algorithm)])])
}

fn kinds() -> [(&'static str, Algorithm); 5] {
    [
        ("gcra", Gcra(None)),
        ("sliding", Sliding),
        ("strict", Strict),
        ("clock", Clock("UTC".to_owned())),
        ("first-request", FirstRequest),
    ]
}

pub fn all() -> Vec<Script> {
    let mut scripts = vec![block()];
    for (name, algorithm) in kinds() {
        scripts.push(debt(name, algorithm.clone()));
        scripts.push(refunds(name, algorithm.clone()));
        scripts.push(reservations(name, algorithm));
    }
    scripts.push(reservations_on_a_cascade());
    scripts.push(reservation_with_permit());
    scripts.extend(batches::all());
    scripts.extend(updates::all());
    scripts
}

fn block() -> Script {
    let mut script =
        Script::toml("block-reset-penalize", "The operator's hand", &count(5, Gcra(None)), START);
    script.acquire("k", 2).block("k", 10 * SECOND).acquire("k", 1).peek("k", 0).snapshot("k");
    script.acquire("other", 1).after(10 * SECOND - 1).acquire("k", 1).after(1).acquire("k", 1);
    script.block("k", HOUR).block("k", 0).acquire("k", 1).block("k", HOUR).block("k", SECOND);
    script.after(SECOND).acquire("k", 1).penalize("k", 3).snapshot("k").acquire("k", 1);
    script.penalize("k", 100).snapshot("k").obey("k", 1).block("k", HOUR).reset("k").snapshot("k");
    script.acquire("k", 5).block("k", u64::MAX).snapshot("k").acquire("k", 1).reset("k");
    script.acquire("k", 5).penalize("new", 2).snapshot("new").refund("never", 3).snapshot("never");
    script
}

fn debt(name: &str, algorithm: Algorithm) -> Script {
    let rate = Rate { max_debt: Some(4), ..Rate::new(6, PER_MINUTE).with(algorithm) };
    let policy = Policy::new([Limit::count("requests", [rate])]);
    let about = "Late charges overdraw up to max_debt; cost 0 is denied in debt alone";
    let mut script = Script::toml(&format!("debt-{name}"), about, &policy, START + 7);
    script.penalize("k", 6).snapshot("k").acquire("k", 0).acquire("k", 1).penalize("k", 1);
    script.snapshot("k").acquire("k", 0).peek("k", 1).penalize("k", 50).snapshot("k");
    script.penalize("k", 50).snapshot("k").obey("k", 0).obey("k", 1).refund("k", 2).snapshot("k");
    script.after(3 * MINUTE).snapshot("k").acquire("k", 6);
    let none = Rate { max_debt: Some(0), ..policy.limits[0].rates[0].clone() };
    let none = Policy::new([Limit::count("requests", [none])]);
    script.renew(&none.toml(), &none);
    script.penalize("k", 50).snapshot("k").acquire("k", 0).obey("k", 1);
    script
}

fn refunds(name: &str, algorithm: Algorithm) -> Script {
    let about = "Units given back: never above the capacity, not across a refresh, late ones lost";
    let mut script =
        Script::toml(&format!("refund-{name}"), about, &count(6, algorithm), START + 7);
    script.refund("k", 3).snapshot("k").acquire("k", 4).refund("k", 1).snapshot("k");
    script.refund("k", 100).snapshot("k").refund("k", 1).acquire("k", 6).after(20 * SECOND);
    script.refund("k", 2).snapshot("k").after(41 * SECOND).refund("k", 2).snapshot("k");
    script.acquire("k", 2).after(61 * SECOND).refund("k", 3).snapshot("k").acquire("k", 0);
    script.penalize("k", 9).refund("k", 4).snapshot("k").refund("k", 0).after(10 * MINUTE);
    script.refund("k", 5).snapshot("k");
    script
}

fn reservations(name: &str, algorithm: Algorithm) -> Script {
    let about = "An estimate: settled for less, for more, cancelled, settled late, denied, dropped";
    let policy = count(100, algorithm);
    let mut script = Script::toml(&format!("reserve-{name}"), about, &policy, START + 7);
    script.reserve("a", "k", 60).snapshot("k").settle("a", 41).snapshot("k");
    script
        .reserve("b", "k", 30)
        .reserve("c", "k", 60)
        .settle("c", 10)
        .settle("b", 45)
        .snapshot("k");
    script.reserve("d", "k", 10).cancel("d").snapshot("k").reserve("e", "k", 4);
    script.after(59 * SECOND).settle("e", 1).snapshot("k").after(5 * MINUTE);
    script.reserve("f", "k", 50).after(70 * SECOND).acquire("k", 20).settle("f", 10).snapshot("k");
    script.reserve("g", "k", 30).after(3 * MINUTE).acquire("k", 7).cancel("g").snapshot("k");
    script
        .reserve("h", "k", 20)
        .settle("h", 400)
        .snapshot("k")
        .reserve("i", "k", 500)
        .settle("i", 0);
    script.after(10 * MINUTE).reserve("dropped", "k", 9).snapshot("k");
    script
}

fn reservations_on_a_cascade() -> Script {
    let rates = [
        Rate::new(10, PER_MINUTE).with(Clock("UTC".to_owned())),
        Rate::new(20, Period::Nanos(HOUR)).with(Clock("UTC".to_owned())),
    ];
    let policy = Policy::new([
        Limit::count("requests", rates),
        Limit::count("even", [Rate::new(60, PER_MINUTE)]),
    ]);
    let about =
        "Less than estimated goes back to the bucket that paid last, where its window still counts";
    let mut script = Script::toml("reserve-cascade", about, &policy, START + 7);
    script.reserve("a", "k", 14).snapshot("k").settle("a", 12).snapshot("k");
    script.reserve("b", "k", 5).settle("b", 0).snapshot("k").reserve("c", "k", 8).after(MINUTE);
    script.acquire("k", 3).settle("c", 1).snapshot("k").reserve("d", "k", 9).after(MINUTE);
    script.cancel("d").snapshot("k").reserve("e", "k", 12).settle("e", 60).snapshot("k");
    script
}

fn reservation_with_permit() -> Script {
    let policy = Policy::new([
        Limit::count("tokens", [Rate::new(1_000, PER_MINUTE)]),
        Limit::permits("calls", 2),
    ]);
    let about = "Settling keeps the permit until release; cancelling gives it back";
    let mut script = Script::toml("reserve-permit", about, &policy, START);
    script.reserve("a", "k", 600).reserve("b", "k", 300).reserve("c", "k", 1).settle("a", 412);
    script.snapshot("k").acquire("k", 1).cancel("b").snapshot("k").acquire("k", 1).cancel("c");
    script.snapshot("k").release("k").snapshot("k");
    script
}
