//! The backend platform: limits by address and by user, who is not limited, who is blocked. The files carry the
//! numbers of the facts A1 to A5.

use super::example;
use crate::policy::Algorithm::{Sliding, Strict};
use crate::policy::{Bypass, Limit, Listed, Missing, Period, Policy, Rate, When};
use crate::request::Request;
use crate::script::{Script, utc};
use crate::{HOUR, MINUTE, SECOND};

const NOON: &str = "2026-03-10T12:00:00.25Z";

/// Of each list of secrets: what the example has, and one of which the secret is known.
const SERVER: (&str, &str) = (
    "6631c08363f05d04571a98ad8d1a8272da45e3d3354399a7ee0857a179834698",
    "f0a57851d641179978ddc5f03c7e672e373e95d8a34dbb0644190589b548f795",
);
const DEV: (&str, &str) = (
    "0ddbdeb8b815b1b1406f7160e1f89c70c25bf02ea1f0abdb1e4e631b19c95809",
    "41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb",
);
const SERVER_SECRET: &str = "a key of the server";
const DEV_SECRET: &str = "open sesame";

/// The example, with secrets that the scripts know.
fn text() -> String {
    let mut text = example("platform");
    for (hash, known) in [SERVER, DEV] {
        assert!(text.contains(hash), "the example has other secrets");
        text = text.replace(hash, known);
    }
    text
}

fn when(attribute: &str, patterns: &[&str]) -> When {
    let patterns = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
    vec![(attribute.to_owned(), patterns)]
}

fn rate(quota: u64, period: u64) -> Rate {
    Rate::new(quota, Period::Nanos(period))
}

fn bypass(name: &str, attribute: &str, secret: &str, (_, hash): (&str, &str)) -> Bypass {
    let secrets = vec![(secret.to_owned(), hash.to_owned())];
    Bypass { name: name.to_owned(), attribute: attribute.to_owned(), secrets, enabled: true }
}

fn with_message(mut limit: Limit, message: &str, close: bool) -> Limit {
    (limit.terms.message, limit.terms.close) = (Some(message.to_owned()), close);
    limit
}

fn missing(mut limit: Limit, missing: Missing) -> Limit {
    limit.terms.missing = missing;
    limit
}

/// `examples/policies/platform.toml` as data.
fn policy() -> Policy {
    let by_ip = |name: &str, rate| Limit::count(name, [rate]).by(&["ip"]);
    let by_user = |name: &str, rate| Limit::count(name, [rate]).by(&["user"]);
    let read = by_user("read documents", rate(600, MINUTE));
    let write = by_user("write documents", rate(120, MINUTE));
    let rapid = by_ip("rapid creation", rate(50, 10 * SECOND).with(Sliding).named("50/10s"))
        .when("route", &["POST /v1/account", "POST /v1/documents"]);
    let jobs = ["GET /v1/jobs/:id", "GET /v1/functions/:id/executions/:execution"];
    let polling = Limit::count("aggressive polling", [rate(60, MINUTE).with(Strict)]);
    let mut many = Limit::permits("high concurrency", 50).by(&["ip"]);
    many.max_hold = Some(5 * MINUTE);
    let slow = Limit::latency("expensive requests", [rate(60 * SECOND, MINUTE).with(Sliding)]);
    let mut strict = by_ip("address, strict", rate(600, MINUTE)).alerts(&[900, 1000]);
    strict.terms.shadow = true;
    let limits = vec![
        by_ip("sign up", rate(10, HOUR)).when("route", &["POST /v1/account"]),
        by_ip("sign in", rate(10, MINUTE)).when("route", &["POST /v1/account/sessions/*"]),
        by_ip("password recovery", rate(10, HOUR).with(Sliding))
            .when("route", &["POST /v1/account/recovery", "POST /v1/account/verification"]),
        missing(read, Missing::Skip).when("route", &["GET /v1/documents", "GET /v1/documents/:id"]),
        missing(write, Missing::Deny).when(
            "route",
            &["POST /v1/documents", "PUT /v1/documents/:id", "DELETE /v1/documents/:id"],
        ),
        by_ip("address", rate(1_200, MINUTE).named("1_200/minute")),
        with_message(rapid, "Too much is created too fast. Slow down.", true),
        with_message(
            polling.by(&["ip", "route"]).when("route", &jobs),
            "Polled too often. Use realtime events.",
            false,
        ),
        with_message(many, "Too many requests at the same time.", true),
        with_message(slow.by(&["ip"]), "The requests take too much time.", true),
        strict,
    ];
    let listed = |name: &str, when| Listed { name: name.to_owned(), when };
    Policy {
        limits,
        ipv6_prefix: Some(64),
        bypass: vec![
            bypass("server", "api_key", SERVER_SECRET, SERVER),
            bypass("dev", "dev_key", DEV_SECRET, DEV),
        ],
        exempt: vec![listed("health", when("route", &["GET /health", "GET /metrics"]))],
        block: vec![listed(
            "abuse",
            when("ip", &["203.0.113.9", "198.51.100.0/24", "2001:db8:bad::*"]),
        )],
        ..Policy::default()
    }
}

fn start(name: &str, about: &str) -> Script {
    Script::new(name, about, &text(), &policy(), utc(NOON))
}

fn guest(ip: &str, route: &str) -> Request {
    Request::new(&[("ip", ip), ("route", route)])
}

const ADDRESS: &str = "192.0.2.1";

pub fn all() -> Vec<Script> {
    vec![a01(), a01_networks(), a02(), a03(), a04(), a05(), a05_shadow()]
}

fn a01() -> Script {
    let mut script =
        start("a01-by-ip-or-user", "Each endpoint has its limit, by address or by user");
    let sign_in = guest(ADDRESS, "POST /v1/account/sessions/email");
    script.ask(&sign_in, 10).ask(&sign_in, 1);
    script.ask(&guest("192.0.2.2", "POST /v1/account/sessions/email"), 1);
    script.ask(&guest(ADDRESS, "POST /v1/account/sessions/phone/verify"), 1);
    script.ask(&guest(ADDRESS, "POST /v1/account/sessions"), 1).release_about(&sign_in);
    let read = guest(ADDRESS, "GET /v1/documents/7");
    // A guest has the limits of its address alone.
    script.snapshot_about(&read).ask(&read, 601).snapshot_about(&read.with("user", "ann"));
    script.ask(&read.with("user", "ann"), 500).ask(&read.with("user", "ann"), 99);
    script.ask(&read.with("user", "bob").with("ip", "192.0.2.3"), 600);
    script.ask(&read.with("user", "bob").with("ip", "192.0.2.4"), 1);
    // Guests do not write.
    let write = guest("192.0.2.5", "PUT /v1/documents/7");
    script.ask(&write, 1).snapshot_about(&write).ask(&write.with("user", "ann"), 120);
    script.ask(&write.with("user", "ann"), 1).peek_about(&write, 1);
    // Nobody is limited by an address that is not given, or is none.
    let nowhere = Request::new(&[("route", "GET /v1/documents"), ("user", "ann")]);
    script.ask(&nowhere, 1).ask(&nowhere.with("ip", "nowhere"), 1);
    script.record_latency_about(&nowhere, SECOND);
    script.record_latency_about(&nowhere.with("ip", "192.0.2.1:80"), SECOND);
    script
}

fn a01_networks() -> Script {
    let mut script = start(
        "a01-networks",
        "Who has one IPv6 address has all of its network; an address is one however it is written",
    );
    let route = "POST /v1/account";
    for ip in ["2001:db8:1:2::1", "2001:DB8:1:2:ffff::", "[2001:db8:1:2:0:0:0:9]"] {
        script.ask(&guest(ip, route), 4);
    }
    script.ask(&guest("2001:db8:1:3::1", route), 4).ask(&guest("fe80::1%eth0", route), 4);
    script.ask(&guest("fe80::2%eth1", route), 7);
    for ip in ["192.0.2.7", "::ffff:192.0.2.7", "::ffff:c000:207"] {
        script.ask(&guest(ip, route), 4);
    }
    for ip in ["203.0.113.9", "::ffff:203.0.113.9", "198.51.100.255", "2001:db8:bad:1::1"] {
        script.ask(&guest(ip, route), 1).snapshot_about(&guest(ip, route));
    }
    for ip in ["203.0.113.10", "198.51.101.0", "2001:db8:bae::1", "2001:db8:bad::"] {
        script.ask(&guest(ip, route), 1);
    }
    script
}

fn a02() -> Script {
    let mut script = start("a02-servers", "Servers with a valid key are not limited, nor counted");
    let asks = guest(ADDRESS, "POST /v1/account");
    let server = asks.with("api_key", SERVER_SECRET);
    script.ask(&server, 1).ask(&server, 1_000_000).ask(&server.with("api_key", "a key"), 1);
    script.snapshot_about(&asks).ask(&asks, 9).ask(&asks, 1).ask(&server, 1);
    script.peek_about(&server, 1).try_about(1, &server, 50).reserve_about("r", &server, 5);
    script.settle("r", 50).record_latency_about(&server, HOUR).penalize_about(&server, 1_000);
    script.refund_about(&server, 10).release_about(&server).snapshot_about(&asks);
    script.ask(&guest(ADDRESS, "GET /health"), 5_000).ask(&guest(ADDRESS, "GET /healthy"), 1);
    // Neither needs an address.
    script.ask(&Request::new(&[("route", "GET /metrics")]), 1);
    script.ask(&Request::new(&[("api_key", SERVER_SECRET)]), 1);
    script
}

fn a03() -> Script {
    let mut script = start(
        "a03-headers",
        "Limit, remaining and reset on any response; a denial says that there are too many requests",
    );
    let sign_in = guest(ADDRESS, "POST /v1/account/sessions/email");
    script.ask_http(&sign_in, 1).ask_http(&sign_in, 9).ask_http(&sign_in, 1);
    script.ask_http(&sign_in, 11).ask_http(&guest("203.0.113.9", "GET /"), 1);
    script.ask_http(&guest(ADDRESS, "GET /health"), 1);
    script.ask_http(&guest("192.0.2.5", "PUT /v1/documents/7"), 1);
    script
}

fn a04() -> Script {
    let mut script =
        start("a04-dev-keys", "A secret lets development pass, and is switched off in production");
    let asks = guest(ADDRESS, "POST /v1/account");
    let dev = asks.with("dev_key", DEV_SECRET);
    script.ask(&dev, 100).ask(&asks.with("dev_key", "open sesami"), 10).ask(&asks, 1).ask(&dev, 1);
    script.ask(&asks.with("dev_key", &format!("sha256:{}", DEV.1)), 1);
    script.ask(&asks.with("api_key", DEV_SECRET), 1);
    // Those that are blocked have no use of it, and who the operator blocks neither.
    script.ask(&dev.with("ip", "203.0.113.9"), 1);
    script.block_about(&Request::new(&[("ip", ADDRESS)]), MINUTE).ask(&dev, 1).after(MINUTE);
    script.ask(&dev, 1);
    let mut production = policy();
    production.bypass[1].enabled = false;
    let text = text().replace("enabled   = true ", "enabled   = false ");
    script.update_text(&text, &production).ask(&dev, 1).ask(&dev, 1).snapshot_about(&asks);
    script.ask(&asks.with("api_key", SERVER_SECRET), 1);
    script
}

fn a05() -> Script {
    let mut script = start(
        "a05-abuse",
        "Rapid creation, polling, concurrency and expensive requests: own messages, closed connections",
    );
    let create = guest("192.0.2.20", "POST /v1/documents").with("user", "ann");
    script.ask_http(&create, 50).ask_http(&create, 1).obey_about(&create, 1);
    let poll = guest("192.0.2.21", "GET /v1/jobs/7");
    script.ask(&poll, 60).ask_http(&poll, 1).ask(&poll.with("route", "GET /v1/jobs/8"), 60);
    script.ask(&poll.with("route", "GET /v1/functions/1/executions/2"), 61).obey_about(&poll, 1);
    let busy = guest("192.0.2.22", "GET /v1/teams");
    script.try_about(50, &busy, 1).ask_http(&busy, 1).release_about(&busy).ask(&busy, 1);
    script.ask(&busy, 1).renew_about(&busy).after(10 * MINUTE).ask(&busy, 1);
    let slow = guest("192.0.2.23", "GET /v1/search");
    for _ in 0..3 {
        script.ask_http(&slow, 1).record_latency_about(&slow, 25 * SECOND).release_about(&slow);
    }
    script.ask_http(&slow, 1).snapshot_about(&slow).obey_about(&slow, 1);
    script
}

fn a05_shadow() -> Script {
    let mut script = start(
        "a05-shadow",
        "What a stricter limit would do, before it does it: it counts, tells and denies nobody",
    );
    let asks = guest(ADDRESS, "GET /v1/teams");
    script.ask(&asks, 500).alerts().ask(&asks, 40).alerts().release_about(&asks);
    script.ask(&asks, 60).alerts().ask(&asks, 1).alerts().snapshot_about(&asks);
    script.ask_http(&asks, 599).ask(&asks, 1).after(SECOND).ask(&asks, 11).ask(&asks, 10).alerts();
    script.ask(&asks, 601).peek_about(&asks, 1).reset_about(&asks).snapshot_about(&asks);
    script
}
