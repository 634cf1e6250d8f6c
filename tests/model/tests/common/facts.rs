//! What each numbered fact of the systems says, broken once in its policy: its vector has to notice.

/// In which of a vector's policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    All,
    /// Those of updates.
    Updates,
}
use Of::{All, Updates};

/// (file, policies, what is replaced, by what)
type Broken = (&'static str, Of, &'static str, &'static str);

const FIRST_REQUEST: &str = "align     = \"first_request\"";
const DAY_BY_ACCOUNT: &str =
    "by        = [\"account\"]              # all keys of an account share it";

pub const BROKEN: &[Broken] = &[
    // D1 to D16: count and latency, spans and amounts, the cascade and the clock.
    ("d01-count-and-latency", All, "\"30s/minute\"", "\"31s/minute\""),
    ("d02-a-key-each", All, "name = \"requests\"", "name = \"requests\"\nby = []"),
    ("d03-three-spans", All, ", \"1150/day\"]", "]"),
    ("d04-count-quotas", All, "2600/hour", "2601/hour"),
    ("d05-latency-quotas", All, "172.5s/day", "172.4s/day"),
    ("d06-cascade", All, "\"100/minute\", \"2600/hour\"", "\"2600/hour\", \"100/minute\""),
    ("d07-all-empty", All, "1150/day", "1151/day"),
    ("d08-clock-spans", All, "Europe/Amsterdam", "Asia/Kathmandu"),
    ("d09-one-minute-before", All, "\"fixed_window\"", "\"sliding_window\""),
    ("d10-most-of-a-day", All, "1150/day", "1149/day"),
    ("d11-totals", All, "30s/minute", "29s/minute"),
    ("d12-scale", All, "scale = 0.5", "scale = 0.51"),
    ("d12-scale", All, "scale = 4", "scale = 3"),
    ("d13-live-update", Updates, "name = \"requests\"", "name = \"others\""),
    ("d13-live-update", Updates, "name = \"time\"", "name = \"others\""),
    ("d13-live-update", Updates, "5200/hour", "5201/hour"),
    ("d13-rate-strings", Updates, "200/minute; ", ""),
    ("d14-growing", All, "ceiling = 150", "ceiling = 151"),
    ("d14-growing", All, "step = 20", "step = 21"),
    ("d14-growing", All, "after = \"120000000000ns\"", "after = \"240000000001ns\""),
    ("d14-growing", All, "shrink_after = \"300000000000ns\"", "shrink_after = \"300000000001ns\""),
    ("d14-growth-by-update", Updates, "name = \"requests\"", "name = \"others\""),
    ("d14-waits", All, "shrink_after = \"30000000000ns\"", "shrink_after = \"3000s\""),
    ("d15-what-remains", All, "390s/hour", "391s/hour"),
    ("d16-separate-limiter", All, "\"10/minute\"", "\"11/minute\""),
    // P1 to P13: plans.
    (
        "p01-sliding-window",
        All,
        "rate = \"60/minute\"\nalgorithm = \"sliding_window\"",
        "rate = \"60/minute\"",
    ),
    ("p01-sliding-window", All, "strict = true\n", ""),
    ("p02-plans", All, "\"60/minute\"", "\"61/minute\""),
    ("p02-plans", All, "\"3_600/hour\"", "\"3_601/hour\""),
    ("p02-plans", All, "\"50_000/day\"", "\"50_001/day\""),
    ("p02-plans", All, "burst = 10 ", "burst = 11 "),
    ("p02-plans", All, "\"600/minute\"", "\"601/minute\""),
    ("p02-plans", All, "burst = 50 ", "burst = 51 "),
    (
        "p02-plans",
        All,
        "inherits = \"starter\"                 # \"hour\" and \"day\"\nscale    = 10",
        "inherits = \"starter\"\nscale    = 11",
    ),
    ("p02-plans", All, "\"6_000/minute\"", "\"6_001/minute\""),
    ("p02-plans", All, "burst = 200 ", "burst = 201 "),
    ("p02-plans", All, "unlimited = true", "rate = \"9_000_000/day\"\nby = [\"account\"]"),
    ("p03-burst", All, "\"1/second\", burst = 10", "\"2/second\", burst = 10"),
    ("p03-burst", All, "\"1/second\", burst = 10", "\"1/second\", burst = 9"),
    ("p04-endpoints", All, "\"120/minute\"", "\"121/minute\""),
    ("p04-endpoints", All, "\"7_200/hour\"", "\"7_201/hour\""),
    ("p04-endpoints", All, "\"300/minute\"", "\"301/minute\""),
    ("p04-endpoints", All, "\"18_000/hour\"", "\"18_001/hour\""),
    ("p04-endpoints", All, "\"30/minute\"", "\"31/minute\""),
    ("p04-endpoints", All, "\"1_800/hour\"", "\"1_801/hour\""),
    ("p04-endpoints", All, "\"10/minute\"", "\"11/minute\""),
    ("p04-endpoints", All, "\"600/hour\"", "\"601/hour\""),
    ("p04-endpoints", All, "\"50/day\"", "\"51/day\""),
    ("p04-endpoints", All, "\"20/day\"", "\"21/day\""),
    ("p04-endpoints", All, "\"GET /v3/configs/:key\"", "\"GET /v3/configs/*\""),
    ("p04-all-or-nothing", All, "\"600/minute\"", "\"10/minute\""),
    ("p05-shared-day", All, DAY_BY_ACCOUNT, ""),
    ("p05-shared-day", All, "\"50_000/day\"", "\"50_001/day\""),
    ("p06-connections", All, "quota    = 5\n", "quota    = 6\n"),
    ("p06-connections", All, "quota    = 20\n", "quota    = 21\n"),
    ("p06-connections", All, "quota    = 100\n", "quota    = 101\n"),
    ("p06-connections", All, "[\"GET /v3/configs\", \"WS /v3/stream\"]", "\"GET /v3/configs\""),
    ("p06-leases", All, "max_hold = \"24h\"", "max_hold = \"12h\""),
    ("p07-cost", All, "\"30/minute\"", "\"29/minute\""),
    ("p08-windows", All, FIRST_REQUEST, ""),
    ("p08-windows", All, "default_plan =", "timezone = \"Europe/Amsterdam\"\ndefault_plan ="),
    ("p09-headers", All, "burst = 10 ", "burst = 11 "),
    ("p09-headers", All, FIRST_REQUEST, ""),
    ("p10-body", All, "\"20/day\"", "\"19/day\""),
    ("p10-body", All, "\"600/minute\"", "\"599/minute\""),
    ("p11-usage", All, "by         = \"route\"", "by         = \"key\""),
    ("p11-usage", All, "resolution = \"1h\"", "resolution = \"2h\""),
    ("p11-usage", All, "window     = \"24h\"", "window     = \"23h\""),
    ("p11-usage", All, "plan_by      = \"account\"", "plan_by      = \"key\""),
    ("p11-estimates", All, "by         = \"route\"", "by         = \"account\""),
    ("p12-alerts", All, "[0.8, 0.9, 0.95]", "[0.81, 0.9, 0.95]"),
    ("p12-alerts", All, "[0.8, 0.9, 0.95]", "[0.8, 0.91, 0.95]"),
    ("p12-alerts", All, "[0.8, 0.9, 0.95]", "[0.8, 0.9, 0.96]"),
    ("p13-increase", All, "plan_by      = \"account\"", "plan_by      = \"key\""),
    ("p13-custom", Updates, "\"1000/minute\"", "\"1001/minute\""),
    (
        "p13-custom",
        Updates,
        "inherits = \"pro\"\n\n[[plan.acme",
        "inherits = \"starter\"\n\n[[plan.acme",
    ),
    // A1 to A5: identities.
    (
        "a01-by-ip-or-user",
        All,
        "rate    = \"600/minute\"\nby      = [\"user\"]",
        "rate    = \"600/minute\"\nby      = [\"ip\"]",
    ),
    ("a01-by-ip-or-user", All, "missing = \"skip\"", "missing = \"deny\""),
    ("a01-by-ip-or-user", All, "missing = \"deny\" ", "missing = \"skip\" "),
    (
        "a01-by-ip-or-user",
        All,
        "rate = \"10/minute\"\nby   = [\"ip\"]",
        "rate = \"10/minute\"\nby   = [\"ip\", \"route\"]",
    ),
    ("a01-networks", All, "ipv6_prefix = 64", "ipv6_prefix = 48"),
    ("a01-networks", All, "ipv6_prefix = 64", "ipv6_prefix = 128"),
    ("a01-networks", All, "\"198.51.100.0/24\"", "\"198.51.100.0/25\""),
    ("a02-servers", All, "attribute = \"api_key\"", "attribute = \"other_key\""),
    ("a02-servers", All, "\"GET /health\", ", ""),
    ("a03-headers", All, "rate = \"10/minute\"", "rate = \"11/minute\""),
    ("a04-dev-keys", All, "attribute = \"dev_key\"", "attribute = \"other_key\""),
    ("a04-dev-keys", Updates, "enabled   = false ", "enabled   = true "),
    ("a05-abuse", All, "\"50/10s\"", "\"51/10s\""),
    ("a05-abuse", All, "strict    = true", "strict    = false"),
    ("a05-abuse", All, "[\"ip\", \"route\"]", "[\"ip\"]"),
    ("a05-abuse", All, "quota    = 50", "quota    = 51"),
    ("a05-abuse", All, "max_hold = \"5m\"\n", ""),
    ("a05-abuse", All, "\"60s/minute\"", "\"61s/minute\""),
    ("a05-abuse", All, "Too many requests at the same time.", "Too many requests."),
    ("a05-abuse", All, "close    = true", "close    = false"),
    ("a05-shadow", All, "shadow = true\n", ""),
    ("a05-shadow", All, "[0.9, 1.0]", "[0.91, 1.0]"),
];

/// Facts of which each has a vector.
pub const FACTS: &[(char, std::ops::RangeInclusive<u32>)] =
    &[('d', 1..=16), ('p', 1..=13), ('a', 1..=5)];
