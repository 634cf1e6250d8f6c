//! Requests with attributes, whatever the system: scopes, plans, updates, reservations, what is refused.

use super::START;
use crate::policy::Algorithm::{FirstRequest, Gcra, Sliding};
use crate::policy::{Limit, Listed, Missing, Period, Policy, Rate, Usage};
use crate::request::Request;
use crate::script::Script;
use crate::{DAY, HOUR, MINUTE, SECOND};

fn rate(quota: u64) -> Rate {
    Rate::new(quota, Period::Nanos(MINUTE))
}

fn planned(limits: Vec<Limit>, plans: &[&str]) -> Policy {
    let plans = plans.iter().map(|&plan| plan.to_owned()).collect();
    Policy { limits, plans, ..Policy::default() }
}

pub fn all() -> Vec<Script> {
    vec![
        routes(),
        scopes(),
        missing(),
        refused(),
        listed(),
        shadow(),
        headers(),
        plan_changes(),
        downgrade(),
        updates(),
        reservations(),
        what_was_taken(),
        takers(),
        leases(),
        usage(),
    ]
}

fn routes() -> Script {
    let patterns: [&[&str]; 8] = [
        &["GET /a/b"],
        &["GET /a/:id"],
        &["GET /a/:id/c"],
        &["GET /a/*"],
        &["* /a/b"],
        &["POST /a", "PUT /a"],
        &["*"],
        &["GET /"],
    ];
    let limit = |patterns: &&[&str]| {
        Limit::count(&patterns.join(", "), [rate(10)]).by(&[]).when("route", patterns)
    };
    let mut policy = Policy::new(patterns.iter().map(limit).collect::<Vec<_>>());
    let users = Limit::count("users", [rate(10)]).by(&["user"]).when("user", &["test-*", "root"]);
    policy.limits.push(users.when("route", &["GET /a/*"]));
    let about = "Which conditions a request meets";
    let mut script = Script::toml("request-routes", about, &policy, START);
    let routes = [
        "GET /a/b",
        "GET /a/b?c=/d",
        "GET /a/b#c",
        "GET /a/x",
        "GET /a/x/c",
        "GET /a//c",
        "GET /a/",
        "GET /a",
        "POST /a/b",
        "PUT /a",
        "POST /a/",
        "GET /",
        "GET",
        "get /a/b",
        "GET a/b",
        "/a/b",
        "GET /a/b/c/d",
        "GET  /a/b",
        "",
    ];
    for route in routes {
        script.snapshot_about(&Request::new(&[("route", route), ("user", "test-7")]));
    }
    for user in ["test-", "tes", "root", "roots", ""] {
        script.snapshot_about(&Request::new(&[("route", "GET /a/z"), ("user", user)]));
    }
    script.snapshot_about(&Request::new(&[("user", "root")])).ask(&Request::new(&[]), 1);
    script
}

fn scopes() -> Script {
    let policy = Policy::new([
        Limit::count("key", [rate(10)]),
        Limit::count("account", [rate(30)]).by(&["account"]),
        Limit::count("pair", [rate(5)]).by(&["key", "account"]),
        Limit::count("all", [rate(50).with(Sliding)]).by(&[]),
        Limit::count("key too", [rate(9)]),
        Limit::latency("time", [rate(SECOND)]).by(&["account"]),
    ]);
    let about = "One decision over the records of several keys, all or nothing";
    let mut script = Script::toml("request-scopes", about, &policy, START);
    let asks = |key: &str, account: &str| Request::new(&[("key", key), ("account", account)]);
    let (one, two) = (asks("a", "bc"), asks("ab", "c"));
    script.ask(&one, 5).ask(&two, 5).ask(&one, 1).ask(&asks("a", "x"), 4).ask(&asks("a", "x"), 1);
    script.snapshot_about(&one).snapshot_about(&two).obey_about(&one, 3);
    script.record_latency_about(&one, 2 * SECOND).ask(&one, 1).ask(&asks("k", "bc"), 1);
    script.penalize_about(&two, 40).snapshot_about(&two).ask(&two, 1).refund_about(&two, 39);
    script.snapshot_about(&two).ask(&two, 1).snapshot_about(&Request::new(&[("account", "bc")]));
    script.reset_about(&Request::new(&[("account", "bc")])).snapshot_about(&one);
    script.reset_about(&one).snapshot_about(&one).snapshot_about(&two);
    script
}

fn missing() -> Script {
    let with = |name: &str, by: &str, missing| {
        let mut limit = Limit::count(name, [rate(3)]).by(&[by]);
        limit.terms.missing = missing;
        limit
    };
    let mut deny = with("members", "user", Missing::Deny).when("route", &["POST /*"]);
    deny.terms.message = Some("Sign in first.".to_owned());
    deny.terms.close = true;
    let policy = Policy::new([
        with("address", "ip", Missing::Skip),
        deny,
        with("keys", "key", Missing::Error).when("route", &["GET /*"]),
        Limit::count("all", [rate(100)]).by(&[]),
    ]);
    let about = "A request without an attribute: refused, not asked, or denied for ever";
    let mut script = Script::toml("request-missing", about, &policy, START);
    let asks = |route: &str| Request::new(&[("route", route)]);
    script.ask(&asks("PUT /a"), 1).ask(&asks("PUT /a").with("ip", "::1"), 3);
    script.ask(&asks("PUT /a").with("ip", "::2"), 1).ask(&asks("GET /a"), 1);
    script.ask(&asks("GET /a").with("key", ""), 3).ask(&asks("GET /a").with("key", ""), 1);
    script.ask_http(&asks("POST /a"), 1).ask(&asks("POST /a").with("user", "u"), 1);
    script.peek_about(&asks("POST /a"), 1).penalize_about(&asks("POST /a"), 10);
    script.snapshot_about(&asks("POST /a")).snapshot_about(&asks("POST /a").with("user", "u"));
    script.ask(&asks("POST /a").with("user", "u").with("ip", "nowhere"), 1);
    script
}

fn refused() -> Script {
    let policy = planned(
        vec![
            Limit::count("free", [rate(3)]).of_plan("free"),
            Limit::count("paid", [rate(30)]).by(&["account"]).of_plan("paid"),
        ],
        &["free", "paid"],
    );
    let about = "Calls that are refused, with the name of what is wrong";
    let mut script = Script::toml("request-refused", about, &policy, START);
    let asks = Request::new(&[("key", "k")]);
    script.ask(&asks, 1).ask(&asks.with("plan", "gold"), 1).ask(&asks.with("plan", "free"), 1);
    script.ask(&asks.with("plan", "paid"), 1).ask(&Request::new(&[("plan", "free")]), 1);
    script.record_latency_about(&asks, 1).peek_about(&asks.with("plan", ""), 1);
    script.ask(&asks.with("plan", "paid").with("account", "a"), 1);
    script.assign("k", "gold", None).assign("k", "paid", None).ask(&asks, 1);
    script.ask(&asks.with("account", "a"), 1).plan_of(&asks).unassign("k").plan_of(&asks);
    script.usage(&asks, None).snapshot_about(&asks).reset_about(&asks);
    let plain = Policy::new([Limit::count("keys", [rate(3)])]);
    script.renew(&plain.toml(), &plain);
    script.ask(&Request::new(&[("account", "a")]), 1).ask(&asks.with("plan", "gold"), 1);
    script.assign("k", "paid", None).usage(&asks, None).plan_of(&asks);
    script.ask(&asks.with("ip", "nowhere"), 1).ask_key("k", 1).ask_key("k", 1);
    script
}

fn listed() -> Script {
    let listed = |name: &str, attribute: &str, patterns: &[&str]| Listed {
        name: name.to_owned(),
        when: vec![(
            attribute.to_owned(),
            patterns.iter().map(|&pattern| pattern.to_owned()).collect(),
        )],
    };
    let policy = Policy {
        block: vec![listed("first", "user", &["bad-*"]), listed("second", "ip", &["10.1.*"])],
        exempt: vec![listed("staff", "user", &["bad-staff", "staff-*"])],
        ..Policy::new([Limit::count("address", [rate(3)]).by(&["ip"])])
    };
    let about = "The operator's blocks, then block lists, then those that are exempt, then limits";
    let mut script = Script::toml("request-listed", about, &policy, START);
    let asks = |user: &str, ip: &str| Request::new(&[("user", user), ("ip", ip)]);
    script.ask(&asks("ann", "10.2.0.1"), 1).ask_http(&asks("bad-ann", "10.2.0.1"), 1);
    script.ask(&asks("ann", "10.1.0.1"), 1).ask(&asks("bad-ann", "10.1.0.1"), 1);
    script.ask(&asks("bad-staff", "10.2.0.1"), 1).ask_http(&asks("staff-7", "10.2.0.1"), 100);
    script.ask(&asks("staff-7", "10.1.0.1"), 1).ask(&asks("staff-7", "nowhere"), 1);
    let staff = Request::new(&[("user", "staff-7")]);
    script.block_about(&staff, MINUTE).ask_http(&asks("staff-7", "10.2.0.1"), 1);
    script.snapshot_about(&staff).block_about(&Request::new(&[("ip", "10.1.0.1")]), HOUR);
    script.ask(&asks("bad-ann", "10.1.0.1"), 1).ask(&asks("staff-7", "10.1.0.1"), 1);
    script.after(MINUTE).ask(&asks("staff-7", "10.2.0.1"), 1).ask(&asks("staff-7", "10.1.0.1"), 1);
    script.reset_about(&Request::new(&[("ip", "10.1.0.1")])).ask(&asks("bad-ann", "10.1.0.1"), 1);
    script.record_latency_about(&staff, 1).ask(&asks("ann", "10.2.0.1"), 2);
    script
}

fn shadow() -> Script {
    let shadowed = |mut limit: Limit| {
        limit.terms.shadow = true;
        limit
    };
    let policy = Policy::new([
        shadowed(Limit::count("small", [rate(5)])).alerts(&[500, 1000]),
        Limit::count("large", [rate(20)]).alerts(&[1000]),
        shadowed(Limit::permits("one at a time", 1)),
        shadowed(Limit::latency("time", [rate(SECOND)])).alerts(&[1, 1000]),
    ]);
    let about = "Limits in shadow count and tell, and deny nobody";
    let mut script = Script::toml("request-shadow", about, &policy, START);
    script.ask_key("k", 2).ask_key("k", 3).alerts().ask_key("k", 1).alerts().snapshot("k");
    script.release("k").ask_key("k", 9).release("k").record_latency("k", 2 * SECOND).alerts();
    script.ask_key("k", 0).ask_key("k", 5).ask_key("k", 1).alerts().ask_key("k", 21);
    script.snapshot("k").after(20 * SECOND).ask_key("k", 1).snapshot("k");
    let only = Policy::new([shadowed(Limit::count("alone", [rate(1)]))]);
    script.renew(&only.toml(), &only);
    script.ask_key_http("k", 1).ask_key_http("k", 1).ask_key("k", 2).snapshot("k");
    script
}

fn headers() -> Script {
    let cascade = |amounts: [u64; 2]| {
        let [one, two] = amounts.map(rate);
        vec![one.with(FirstRequest).named("first"), two.named("second")]
    };
    let policy = Policy::new([
        Limit::count("requests \"all\"", cascade([10, 20])),
        Limit::latency("time", cascade([SECOND, 2 * SECOND])),
        Limit::count("odd", [Rate::new(40, Period::Nanos(SECOND / 4))]),
    ]);
    let about = "Headers and bodies of cascades, of time, of windows that are not whole seconds";
    let mut script = Script::toml("request-headers", about, &policy, START);
    script.ask_key_http("k", 0).ask_key_http("k", 12).record_latency("k", 2 * SECOND);
    script.ask_key_http("k", 1).record_latency("k", 5 * SECOND).ask_key_http("k", 1);
    script.after(20 * MINUTE).ask_key_http("j", 20).ask_key_http("j", 11).ask_key_http("j", 41);
    let odd = Policy::new([Limit::count("odd", [Rate::new(9, Period::Nanos(SECOND / 4))])]);
    script.renew(&odd.toml(), &odd);
    script.ask_key_http("k", 9).ask_key_http("k", 1);
    script
}

/// Plans of which one has more limits, other algorithms, and a limit of another scope.
fn changing() -> Policy {
    let limits = vec![
        Limit::count("endpoint", [rate(25)]).when("route", &["GET /a"]),
        Limit::count("minute", [rate(10)]).of_plan("free"),
        Limit::permits("open", 2).of_plan("free"),
        Limit::count("minute", [rate(40).with(Sliding)]).of_plan("paid"),
        Limit::count("extra", [rate(100)]).of_plan("paid"),
        Limit::permits("open", 5).of_plan("paid"),
        Limit::count("day", [Rate::new(60, Period::Nanos(DAY)).with(FirstRequest)])
            .by(&["account"])
            .of_plan("paid"),
    ];
    let policy = planned(limits, &["free", "paid", "none"]);
    Policy { default_plan: Some("free".to_owned()), ..policy }
}

fn asker(plan: &str) -> Request {
    let attributes = [("key", "k"), ("account", "a"), ("route", "GET /a"), ("plan", plan)];
    Request::new(&attributes)
}

fn plan_changes() -> Script {
    let about = "Use is kept when the plan changes: of limits of the same name and method";
    let mut script = Script::toml("request-plan-changes", about, &changing(), START);
    let (free, paid, none) = (asker("free"), asker("paid"), asker("none"));
    script.ask(&free, 6).snapshot_about(&paid).ask(&paid, 4).snapshot_about(&free);
    script.snapshot_about(&none).ask(&none, 3).ask(&none, 13).snapshot_about(&paid);
    // A denial under another plan leaves the record as it was.
    script.ask(&free, 1).ask(&free, 11).snapshot_about(&paid).after(30 * SECOND);
    script.ask(&paid, 10).snapshot_about(&free).ask(&free, 1).release_about(&paid);
    script.release_about(&paid).ask(&free, 0).snapshot_about(&paid).after(MINUTE);
    script.ask(&free, 2).ask(&paid, 25).snapshot_about(&free).snapshot_about(&none);
    script
}

/// After a larger plan for a time: locked out for as long as the smaller bucket takes to fill.
fn downgrade() -> Script {
    let day = |quota: u64, plan: &str| {
        Limit::count("day", [Rate::new(quota, Period::Nanos(DAY))]).of_plan(plan)
    };
    let pool = |burst: u64, plan: &str| {
        let rate = Rate::new(1, Period::Nanos(SECOND)).with(Gcra(Some(burst)));
        Limit::count("pool", [rate]).of_plan(plan)
    };
    let limits = vec![day(50, "free"), pool(600, "free"), day(5_000, "paid"), pool(5_000, "paid")];
    let policy = planned(limits, &["free", "paid"]);
    let policy = Policy { default_plan: Some("free".to_owned()), ..policy };
    let about =
        "Whoever comes from a larger plan waits no longer than the smaller bucket takes to fill";
    let mut script = Script::toml("request-downgrade", about, &policy, START);
    let asks = Request::new(&[("key", "k")]);
    let paid = asks.with("plan", "paid");
    script.assign("k", "paid", Some(MINUTE)).ask(&asks, 4_500).snapshot_about(&asks);
    script.after(MINUTE).snapshot_about(&asks).ask(&asks, 1).snapshot_about(&paid).ask(&asks, 1);
    script.obey_about(&asks, 1).ask(&asks, 1).snapshot_about(&paid).ask(&paid, 1_500);
    script.penalize_about(&paid, 9_000).ask(&asks, 1).snapshot_about(&paid);
    script
}

fn updates() -> Script {
    let about =
        "An update keeps what was used under every plan, also of those that are there later";
    let mut script = Script::toml("request-updates", about, &changing(), START);
    let (free, paid) = (asker("free"), asker("paid"));
    let other = paid.with("key", "other");
    script.ask(&free, 6).ask(&other, 4);
    let mut larger = changing();
    for limit in &mut larger.limits {
        for rate in &mut limit.rates {
            rate.quota *= 2;
        }
    }
    script.update(&larger).snapshot_about(&free).snapshot_about(&other).ask(&paid, 1);
    larger.limits.retain(|limit| limit.name != "endpoint");
    larger.limits.rotate_left(1);
    larger.limits.push(Limit::count("new", [rate(7)]).by(&["account"]).of_plan("paid"));
    let added = Limit::count("address", [rate(2)]).by(&["ip"]);
    larger.limits.insert(
        0,
        Limit {
            terms: crate::policy::Terms { missing: Missing::Skip, ..added.terms.clone() },
            ..added
        },
    );
    script.after(SECOND).update(&larger).snapshot_about(&paid).ask(&paid.with("ip", "::1"), 2);
    script.ask(&paid.with("ip", "::1"), 1).ask(&other, 4).snapshot_about(&other);
    script.update(&changing()).snapshot_about(&paid).snapshot_about(&free).ask(&free, 1);
    script
}

fn reservations() -> Script {
    let about = "An estimate over several records, settled under another plan or policy";
    let mut script = Script::toml("request-reserve", about, &changing(), START);
    let (free, paid) = (asker("free"), asker("paid"));
    script.reserve_about("a", &paid, 20).snapshot_about(&paid).settle("a", 5);
    script.snapshot_about(&paid).reserve_about("b", &paid, 9).settle("b", 15);
    script.snapshot_about(&paid).reserve_about("c", &paid, 10).cancel("c").snapshot_about(&paid);
    script.reserve_about("d", &paid.with("plan", "free"), 30).cancel("d").snapshot_about(&free);
    script.after(MINUTE).assign("k", "paid", Some(MINUTE)).reserve_about("e", &free, 8);
    script.snapshot_about(&free).after(MINUTE).settle("e", 2).snapshot_about(&free);
    script.reserve_about("f", &paid, 7).update(&changing()).settle("f", 1).snapshot_about(&paid);
    script.reserve_about("g", &paid, 3).update(&changing()).cancel("g").snapshot_about(&paid);
    script
}

fn what_was_taken() -> Script {
    let about = "What was taken comes back under a policy without the plan, or that exempts the request by now";
    let mut script = Script::toml("request-gives-back", about, &changing(), START);
    let (paid, free) = (asker("paid").with("user", "ann"), asker("free"));
    let poorer = {
        let mut policy = changing();
        policy.limits.retain(|limit| limit.terms.plan.as_deref() != Some("paid"));
        policy.plans.retain(|plan| plan != "paid");
        policy
    };
    let when = vec![("user".to_owned(), vec!["ann".to_owned()])];
    let exempt = vec![Listed { name: "staff".to_owned(), when }];
    let exempt = Policy { exempt, ..changing() };
    script.reserve_about("a", &paid, 4).reserve_about("b", &paid, 3).reserve_about("c", &paid, 2);
    script.update(&poorer).snapshot_about(&free).settle("a", 1).snapshot_about(&free);
    // Whoever has no plan is charged nothing late.
    script.settle("b", 9).snapshot_about(&free);
    script.update(&exempt).cancel("c").snapshot_about(&free);
    // Whoever was let pass uncounted owes nothing, also when it is exempt no more.
    script.reserve_about("d", &paid, 5).update(&changing()).settle("d", 8).snapshot_about(&free);
    script
}

/// One record by address, of permits and units, and one by key under a condition.
fn addressed(ipv6_prefix: u32, route: &str) -> Policy {
    let limits = [
        Limit::permits("open", 2).by(&["ip"]),
        Limit::count("address", [rate(20)]).by(&["ip"]),
        Limit::count("routes", [rate(30).with(FirstRequest)]).when("route", &[route]),
    ];
    Policy { ipv6_prefix: Some(ipv6_prefix), ..Policy::new(limits) }
}

fn takers() -> Script {
    let about = "What was taken comes back to the record that it was taken from, whoever the address counts as by now";
    let policy = addressed(64, "GET /a");
    let mut script = Script::toml("request-takers", about, &policy, START);
    let client = |ip: &str| Request::new(&[("key", "k"), ("ip", ip), ("route", "GET /a")]);
    let (ours, theirs) = (client("2001:db8:0:1::1"), client("2001:db8::1"));
    script.ask(&theirs, 4).reserve_about("a", &ours, 6).reserve_about("b", &ours, 3);
    // Both are of one network now, which is known by the address that theirs was known by.
    script.update(&addressed(48, "GET /a")).snapshot_about(&ours).cancel("a");
    script.snapshot_about(&ours).snapshot_about(&theirs).ask(&ours, 2).settle("b", 5);
    script.release_about(&theirs).snapshot_about(&ours).reserve_about("c", &ours, 1);
    script.update(&addressed(64, "GET /a")).snapshot_about(&ours).snapshot_about(&theirs);
    script.cancel("c").snapshot_about(&theirs).release_about(&ours).snapshot_about(&ours);
    // And where the conditions are met by others now.
    script.reserve_about("d", &ours, 5).update(&addressed(64, "POST /a")).cancel("d");
    let posts = ours.with("route", "POST /a");
    script.snapshot_about(&posts).update(&addressed(64, "GET /a")).snapshot_about(&ours);
    script
}

fn leases() -> Script {
    let held = Limit { max_hold: Some(8 * MINUTE), ..Limit::permits("held", 2) };
    let policy = Policy::new([held, Limit::permits("kept", 3)]);
    let about = "Permits that are reclaimed when their time is over, unless it begins anew";
    let mut script = Script::toml("leases", about, &policy, START);
    script.renew_key("k").ask_key("k", 1).after(4 * MINUTE).ask_key("k", 1).ask_key("k", 1);
    script.renew_key("k").snapshot("k").after(4 * MINUTE).snapshot("k").after(2 * MINUTE);
    script.snapshot("k").obey("k", 1).snapshot("k").after(20 * MINUTE).snapshot("k");
    script.renew_key("k").release("k").release("k").release("k").snapshot("k").ask_key("k", 1);
    script
}

fn usage() -> Script {
    let policy = Policy {
        usage: Some(Usage { window: 10 * MINUTE, resolution: MINUTE, by: Some("kind".to_owned()) }),
        ..Policy::new([Limit::count("minute", [rate(100)])])
    };
    let about = "What was used in a window that moves by a resolution, by kind of call";
    let mut script = Script::toml("usage", about, &policy, START);
    let asks = |key: &str, kind: &str| Request::new(&[("key", key), ("kind", kind)]);
    script.ask(&asks("k", "read"), 3).ask(&asks("k", "write"), 3).ask(&asks("k", "read"), 0);
    script.ask(&asks("k", "read"), 101).ask(&asks("j", "write"), 9).usage(&asks("k", ""), None);
    script.ask_key("k", 2).usage(&asks("k", ""), None).penalize_about(&asks("k", "read"), 50);
    script.reserve_about("r", &asks("k", "bulk"), 20).settle("r", 1).usage(&asks("k", ""), None);
    script.after(5 * MINUTE).ask(&asks("k", "late"), 1).usage(&asks("k", ""), Some(MINUTE));
    script.usage(&asks("k", ""), Some(5 * MINUTE)).usage(&asks("k", ""), Some(6 * MINUTE));
    script.usage(&asks("k", ""), Some(1)).usage(&asks("k", ""), Some(HOUR));
    script.after(5 * MINUTE).usage(&asks("k", ""), None).after(MINUTE).usage(&asks("k", ""), None);
    script.after(5 * MINUTE).usage(&asks("k", ""), None).usage(&asks("nobody", ""), None);
    script
}
