//! Plans, conditions, identities: what a policy that is accepted says.

use super::*;
use crate::policy::{Condition, Conditions, Missing, Pattern, Segment, Usage};
use crate::rate::{DAY, Growth, HOUR, MINUTE};

fn policy(text: &str) -> Policy {
    any(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn example(name: &str) -> Policy {
    Policy::from_file(repository("examples/policies").join(name))
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Of every limit the plan, the name and the quotas.
fn limits(policy: &Policy) -> Vec<(&str, &str, Vec<u64>)> {
    policy
        .limits
        .iter()
        .map(|limit| {
            let plan = limit.plan.map_or("", |plan| &policy.plans[plan]);
            let quotas = buckets(limit).into_iter().map(|(_, quota, _)| quota).collect();
            (plan, limit.name.as_str(), quotas)
        })
        .collect()
}

fn one(fields: &str) -> Limit {
    policy(&format!("[[limit]]\nrate = \"10/m\"\n{fields}")).limits.remove(0)
}

fn patterns(attribute: &str, values: &str) -> Vec<Pattern> {
    let limit = one(&format!("when = {{ {attribute} = {values} }}"));
    let [Condition { attribute: found, any_of }] = &limit.when.0[..] else { panic!("{values}") };
    assert_eq!(found, attribute);
    any_of.clone()
}

fn exact(text: &str) -> Pattern {
    Pattern::Exact(text.to_owned())
}

#[test]
fn a_policy_without_plans_says_what_it_always_said() {
    for text in ["10/m", "[[limit]]\nrate = \"10/m\"", "{\"limit\": [{\"rate\": \"10/m\"}]}"] {
        let policy = policy(text);
        assert!(policy.plans.is_empty() && policy.default_plan.is_none() && policy.usage.is_none());
        assert!(policy.exempt.is_empty() && policy.bypass.is_empty() && policy.block.is_empty());
        assert_eq!((policy.plan_by.as_str(), policy.ipv6_prefix), ("key", 64));
        let limit = &policy.limits[0];
        assert_eq!(
            (limit.plan, &limit.by[..], limit.missing),
            (None, &["key".to_owned()][..], Missing::Error)
        );
        assert!(limit.when.0.is_empty() && limit.alerts.is_empty() && limit.message.is_none());
        assert!(!limit.shadow && !limit.close && rates(&policy, 0)[0].growth.is_none());
    }
}

/// An heir's limit takes the place of the one of the same name; the others are scaled, burst and debt, too.
#[test]
fn plans_inherit() {
    let policy = policy(
        r#"
        scale = 0.5
        default_plan = "free"
        plan_by = "account"
        [[limit]]
        name = "all"
        rate = "7/s"
        [plan.team]
        inherits = "pro"
        scale = 3
        [[plan.team.limit]]
        name = "hour"
        unlimited = true
        [[plan.team.limit]]
        name = "day"
        rate = "9000/day"
        [plan.free]
        [[plan.free.limit]]
        name = "minute"
        rate = "5/m burst 3"
        max_debt = 1
        [[plan.free.limit]]
        name = "hour"
        rate = "99/h"
        [[plan.free.limit]]
        name = "open"
        method = "concurrency"
        quota = 4
        [plan.pro]
        inherits = "free"
        scale = 2.5
        [[plan.pro.limit]]
        name = "hour"
        rate = "300/h"
        [plan.empty]
        [[limit]]
        name = "some"
        rate = "3/s"
        when = { plan = ["empty", "free"] }
        "#,
    );
    assert_eq!(policy.plans, ["team", "free", "pro", "empty"]);
    assert_eq!((policy.default_plan, policy.plan_by.as_str()), (Some(1), "account"));
    let expected = [
        ("", "all", vec![3]),
        // floor(floor(floor(5 · 2.5) · 3) / 2), and 4 · 2.5 · 3 / 2.
        ("team", "minute", vec![18]),
        ("team", "open", vec![15]),
        ("team", "day", vec![4500]),
        ("free", "some", vec![1]),
        ("free", "minute", vec![2]),
        ("free", "hour", vec![49]),
        ("free", "open", vec![2]),
        ("pro", "minute", vec![6]),
        ("pro", "hour", vec![150]),
        ("pro", "open", vec![5]),
        ("empty", "some", vec![1]),
    ];
    assert_eq!(limits(&policy), expected);
    let team = &rates(&policy, 1)[0];
    assert_eq!((algorithm(&team.algorithm).as_str(), team.max_debt), ("gcra 10", 3));
}

/// 32 buckets for the requests of each plan: not for all plans together.
#[test]
fn buckets_are_counted_for_each_plan() {
    let items: Vec<_> = (1..32).map(|quota| format!("{{\"rate\": \"{quota}/m\"}}")).collect();
    let plans: Vec<_> =
        (0..64).map(|plan| format!("\"p{plan}\": {{\"limit\": [{}]}}", items.join(","))).collect();
    let text = format!("{{\"limit\": [{{\"rate\": \"1/s\"}}], \"plan\": {{{}}}}}", plans.join(","));
    let policy = policy(&text);
    assert_eq!((policy.plans.len(), policy.limits.len()), (64, 1 + 64 * 31));
    assert_eq!(policy.plans[63], "p63");
}

#[test]
fn terms_of_a_limit() {
    let limit = one(r#"
        by = ["account", "route"]
        missing = "deny"
        shadow = true
        alerts = [1, 0.95, 0.8, 0.001]
        message = "Ça suffit."
        close = true
        when = { user = "a", account = ["b", "c*"] }
    "#);
    assert_eq!(limit.by, ["account", "route"]);
    assert_eq!((limit.missing, limit.shadow, limit.close), (Missing::Deny, true, true));
    assert_eq!(limit.alerts, [1, 800, 950, 1000]);
    assert_eq!(limit.message.as_deref(), Some("Ça suffit."));
    // Sorted by attribute, whatever the order of the text.
    let account = Condition {
        attribute: "account".to_owned(),
        any_of: vec![exact("b"), Pattern::Prefix("c".to_owned())],
    };
    let user = Condition { attribute: "user".to_owned(), any_of: vec![exact("a")] };
    assert_eq!(limit.when, Conditions(vec![account, user]));
    assert_eq!(one("missing = \"skip\"").missing, Missing::Skip);
    assert!(one("by = []").by.is_empty());
    let permits = policy(
        "[[limit]]\nmethod = \"concurrency\"\nquota = 4294967295\nmax_hold = \"1h\"\nby = []",
    );
    match &permits.limits[0].kind {
        LimitKind::Permits { quota, max_hold } => {
            assert_eq!((*quota, *max_hold), (u64::from(u32::MAX), Some(HOUR)));
        }
        LimitKind::Rates(_) => panic!("no permits"),
    }
    assert!(permits.limits[0].by.is_empty());
}

#[test]
fn patterns_of_words_and_routes() {
    use Segment::{Parameter, Rest};
    let segment = |text: &str| Segment::Exact(text.to_owned());
    assert_eq!(
        patterns("user", r#"["*", "svc-*", " a b", "GET /:x", "10.0.0.0/8"]"#),
        [
            Pattern::Any,
            Pattern::Prefix("svc-".to_owned()),
            exact(" a b"),
            exact("GET /:x"),
            exact("10.0.0.0/8")
        ]
    );
    assert_eq!(
        patterns(
            "route",
            r#"["*", "GET /", "GET  /v3/configs/:key", "* /static/*", "WS /a/", "get /*"]"#
        ),
        [
            Pattern::Any,
            Pattern::Route(vec![segment("GET"), segment("")]),
            Pattern::Route(vec![segment("GET"), segment("v3"), segment("configs"), Parameter]),
            Pattern::Route(vec![Parameter, segment("static"), Rest]),
            Pattern::Route(vec![segment("WS"), segment("a"), segment("")]),
            Pattern::Route(vec![segment("get"), Rest]),
        ]
    );
}

#[test]
fn patterns_of_addresses() {
    for (text, address, prefix) in [
        ("203.0.113.9", "::ffff:203.0.113.9", 128),
        ("10.0.0.0/8", "::ffff:10.0.0.0", 104),
        ("0.0.0.0/0", "::ffff:0.0.0.0", 96),
        ("10.1.*", "::ffff:10.1.0.0", 112),
        ("10.1.2.*", "::ffff:10.1.2.0", 120),
        ("2001:DB8::1", "2001:db8::1", 128),
        ("2001:db8::/32", "2001:db8::", 32),
        ("2001:db8:bad::*", "2001:db8:bad::", 48),
        ("2001:db8:bad:*", "2001:db8:bad::", 48),
        ("1:2:3:4:5:6:7:*", "1:2:3:4:5:6:7:0", 112),
        ("::/0", "::", 0),
        ("::ffff:10.0.0.0/104", "::ffff:10.0.0.0", 104),
    ] {
        let address = address.parse::<std::net::Ipv6Addr>().expect("an address").octets();
        let found = patterns("ip", &format!("\"{text}\""));
        assert_eq!(found, [Pattern::Network { address, prefix }], "{text}");
    }
    assert_eq!(patterns("ip", "\"*\""), [Pattern::Any]);
}

#[test]
fn patterns_that_are_no_addresses() {
    for text in [
        "10.*.1.1",
        "10.1.2.3.*",
        "10.1.2.3*",
        ".*",
        ":*",
        "::*",
        "1::2::*",
        "1:2:3:4:5:6:7:8:*",
        "10.0.0.0/+8",
        "10.0.0.0/08",
        "10.0.0.0/",
        "10.0.0.0/8/8",
        "::1%lo",
        "[::1]",
        "010.1.1.1",
        "1.2.3.4:*",
        "::ffff:1.2:*",
        " 10.0.0.1",
    ] {
        let error = any(&format!("[[limit]]\nrate = \"1/s\"\nwhen = {{ ip = \"{text}\" }}"))
            .expect_err(text);
        assert_eq!(error.field(), "limit[0].when.ip", "{error}");
    }
}

/// A copy of a growing limit is scaled in all its amounts; its times are not.
#[test]
fn growth_scales() {
    let policy = policy(
        r#"
        scale = 2
        [plan.free]
        [[plan.free.limit]]
        rate = "100/m"
        grow = { ceiling = 200, step = 25, after = "10m", shrink_after = "1h" }
        [plan.pro]
        inherits = "free"
        scale = 3
        [plan.slow]
        [[plan.slow.limit]]
        name = "time"
        cascade = [{ rate = "1s/m", grow = { ceiling = "3s", step = "500ms", after = "1ms", shrink_after = "3285d" } }, "9s/h"]
    "#,
    );
    let growth = |limit: usize, bucket: usize| rates(&policy, limit)[bucket].growth;
    let of =
        |ceiling, step, after, shrink_after| Some(Growth { ceiling, step, after, shrink_after });
    assert_eq!(growth(0, 0), of(400, 50, 10 * MINUTE, HOUR));
    assert_eq!(growth(1, 0), of(1200, 150, 10 * MINUTE, HOUR));
    assert_eq!(growth(2, 0), of(6_000_000_000, 1_000_000_000, 1_000_000, 3285 * DAY));
    assert_eq!(growth(2, 1), None);
}

#[test]
fn lists() {
    let policy = policy(&format!(
        r#"
        ipv6_prefix = 128
        [[limit]]
        rate = "1/s"
        [[exempt]]
        name = "internal"
        when = {{ user = "svc-*", ip = "10.0.0.0/8" }}
        [[bypass]]
        name = "dev"
        attribute = "dev_key"
        secrets = ["sha256:{}", "sha256:{}0F"]
        enabled = false
        [[bypass]]
        name = "on"
        attribute = "api_key"
        secrets = ["sha256:{}"]
        [[block]]
        name = "internal"
        when = {{ ip = "*" }}
        "#,
        "ab".repeat(32),
        "00".repeat(31),
        "01".repeat(32)
    ));
    assert_eq!(policy.ipv6_prefix, 128);
    assert_eq!((policy.exempt[0].name.as_str(), policy.exempt[0].when.0.len()), ("internal", 2));
    let mut last = [0; 32];
    last[31] = 15;
    let [dev, on] = &policy.bypass[..] else { panic!("two") };
    assert_eq!((dev.name.as_str(), dev.attribute.as_str(), dev.enabled), ("dev", "dev_key", false));
    assert_eq!(dev.secrets, [[0xab; 32], last]);
    assert_eq!((on.enabled, on.secrets[0]), (true, [1; 32]));
    assert_eq!((policy.block[0].name.as_str(), policy.block[0].when.0.len()), ("internal", 1));
}

#[test]
fn usage_of_a_day_in_hours() {
    let usage = |fields: &str| {
        let text = format!("[[limit]]\nrate = \"1/s\"\n[usage]\n{fields}");
        policy(&text).usage.expect("a report")
    };
    let of = |window, resolution, by: &str| Usage { window, resolution, by: Some(by.to_owned()) };
    assert_eq!(usage(""), of(DAY, HOUR, "route"));
    assert_eq!(usage("window = \"12h\"\nby = \"kind\""), of(12 * HOUR, 30 * MINUTE, "kind"));
    assert_eq!(usage("resolution = \"12h\""), of(DAY, 12 * HOUR, "route"));
    // Rounded up: the parts cover the window.
    assert_eq!(usage("window = \"1ms\""), of(1_000_000, 41_667, "route"));
}

/// A secret that somebody wrote in plain is shown by no error.
#[test]
fn errors_show_no_secrets() {
    for secret in ["swordfish", "sha256:swordfish", "sha256:", "SHA256:swordfish"] {
        let text = format!(
            "[[limit]]\nrate = \"1/s\"\n[[bypass]]\nname = \"a\"\nattribute = \"b\"\nsecrets = [\"{secret}\"]"
        );
        let message = any(&text).expect_err(secret).to_string();
        assert!(!message.contains("swordfish") && message.contains("sha256sum"), "{message}");
    }
}

/// P2 to P6, P8, P11 and P12 of the plan-based API.
#[test]
fn the_plan_based_api() {
    let policy = example("plans.toml");
    assert_eq!(policy.plans, ["starter", "pro", "enterprise"]);
    assert_eq!((policy.default_plan, policy.plan_by.as_str()), (Some(0), "account"));
    let endpoints: [(&str, u64, &[&str]); 12] = [
        ("list configs, minute", 120, &["GET /v3/configs", "WS /v3/stream"]),
        ("list configs, hour", 7_200, &["GET /v3/configs", "WS /v3/stream"]),
        ("read config, minute", 300, &["GET /v3/configs/:key"]),
        ("read config, hour", 18_000, &["GET /v3/configs/:key"]),
        ("create config, minute", 30, &["POST /v3/configs"]),
        ("create config, hour", 1_800, &["POST /v3/configs"]),
        ("write config, minute", 30, &["PUT /v3/configs/:key"]),
        ("write config, hour", 1_800, &["PUT /v3/configs/:key"]),
        ("delete config, minute", 10, &["DELETE /v3/configs/:key"]),
        ("delete config, hour", 600, &["DELETE /v3/configs/:key"]),
        ("create environment, day", 50, &["POST /v3/environments"]),
        ("create key, day", 20, &["POST /v3/keys"]),
    ];
    for (limit, (name, quota, routes)) in policy.limits.iter().zip(endpoints) {
        let list = format!("{routes:?}");
        assert_eq!((limit.name.as_str(), limit.plan), (name, None));
        assert_eq!(buckets(limit)[0].1, quota, "{name}");
        assert_eq!(limit.when.0[0].any_of, patterns("route", &list), "{name}");
    }
    let found = limits(&policy);
    let expected = [
        ("starter", "minute", vec![60, 1]),
        ("starter", "hour", vec![3_600]),
        ("starter", "day", vec![50_000]),
        ("starter", "connections", vec![5]),
        ("pro", "minute", vec![600, 1]),
        ("pro", "hour", vec![36_000]),
        ("pro", "day", vec![500_000]),
        ("pro", "connections", vec![20]),
        ("enterprise", "minute", vec![6_000, 1]),
        ("enterprise", "hour", vec![360_000]),
        ("enterprise", "connections", vec![100]),
    ];
    assert_eq!(found[12..], expected);
    let mut bursts = Vec::new();
    for (index, limit) in policy.limits.iter().enumerate() {
        let account = if limit.name == "day" { "account" } else { "key" };
        assert_eq!(limit.by, [account], "{}", limit.name);
        let watched = limit.plan.is_some() && limit.name != "connections";
        assert_eq!(
            limit.alerts,
            if watched { &[800, 900, 950][..] } else { &[] },
            "{}",
            limit.name
        );
        if let LimitKind::Permits { max_hold, .. } = limit.kind {
            assert_eq!(max_hold, Some(DAY));
            assert_eq!(limit.when.0[0].any_of, patterns("route", "\"WS /v3/stream\""));
            continue;
        }
        for rate in rates(&policy, index) {
            match (&rate.algorithm, rate.period.nanos()) {
                (Algorithm::FirstRequestWindow, MINUTE | HOUR) => {}
                (Algorithm::ClockWindow { zone }, DAY) => assert_eq!(zone.iana_name(), Some("UTC")),
                (Algorithm::Gcra { burst }, _) => bursts.push(*burst),
                other => panic!("{}: {other:?}", limit.name),
            }
        }
    }
    assert_eq!(bursts, [10, 50, 200]);
    assert_eq!(
        policy.usage,
        Some(Usage { window: DAY, resolution: HOUR, by: Some("route".to_owned()) })
    );
}

/// A1, A2, A4 and A5 of the platform.
#[test]
fn the_platform() {
    let policy = example("platform.toml");
    let secrets: Vec<_> = policy.bypass.iter().map(|bypass| bypass.attribute.as_str()).collect();
    assert_eq!(secrets, ["api_key", "dev_key"]);
    for limit in &policy.limits {
        assert!(["ip", "user"].contains(&limit.by[0].as_str()), "{}", limit.name);
    }
    let own: Vec<_> = policy
        .limits
        .iter()
        .filter(|limit| limit.message.is_some())
        .map(|limit| (limit.name.as_str(), limit.method.as_str(), limit.close))
        .collect();
    let expected = [
        ("rapid creation", "count", true),
        ("aggressive polling", "count", false),
        ("high concurrency", "concurrency", true),
        ("expensive requests", "latency", true),
    ];
    assert_eq!(own, expected);
}

/// Every policy in `docs/policies.md`, with a limit beside it.
#[test]
fn the_page_about_policies() {
    let page = std::fs::read_to_string(repository("docs/policies.md")).expect("docs/policies.md");
    let mut blocks = vec![String::new()];
    for line in page.lines() {
        match (line.strip_prefix("    "), blocks.last_mut()) {
            (Some(code), Some(block)) => *block += &format!("{code}\n"),
            // An empty line may stand inside a block.
            (None, Some(block)) if !line.is_empty() && !block.is_empty() => {
                blocks.push(String::new())
            }
            _ => {}
        }
    }
    const LIMIT: &str = "[[limit]]\nrate = \"7/week\"\n";
    let (mut policies, mut errors) = (0, 0);
    for block in blocks.iter().filter(|block| !block.is_empty()) {
        match block.strip_prefix("policy: ") {
            Some(error) => {
                let wrong = "[plan.free]\n[[plan.free.limit]]\nname = \"m\"\nrate = \"10/m\"\n\
                    [plan.pro]\ninherits = \"fre\"\n";
                assert_eq!(
                    any(wrong).expect_err(wrong).to_string(),
                    format!("policy: {}", error.trim_end())
                );
                errors += 1;
            }
            None if block.starts_with("when") => drop(policy(&format!("{LIMIT}{block}"))),
            None => drop(policy(&format!("{block}{LIMIT}"))),
        }
        policies += 1;
    }
    assert_eq!((policies, errors), (6, 1));
}
