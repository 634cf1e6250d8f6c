//! What the headers of real interfaces tell: every row of `tests/client/headers.json`, and bytes at random.

use serde_json::{Map, Value, json};
use tidegate::Timestamp;
use tidegate::client::{Quota, ServerLimits, read_headers};

/// xorshift64*: small, and the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

fn table() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/client/headers.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn pairs(row: &Value) -> Vec<(&str, &str)> {
    let fields = row["headers"].as_array().unwrap().iter();
    fields.map(|field| (field[0].as_str().unwrap(), field[1].as_str().unwrap())).collect()
}

fn shown(limits: &ServerLimits) -> Value {
    let mut all = Map::new();
    if let Some(span) = limits.retry_after {
        all.insert("retry_after_ns".into(), json!(span.as_nanos().to_string()));
    }
    if limits.near_limit {
        all.insert("near_limit".into(), json!(true));
    }
    if !limits.quotas.is_empty() {
        all.insert("quotas".into(), limits.quotas.iter().map(quota).collect());
    }
    Value::Object(all)
}

fn quota(quota: &Quota) -> Value {
    let mut all = Map::new();
    all.insert("name".into(), json!(quota.name));
    let numbers = [
        ("limit", quota.limit.map(u128::from)),
        ("remaining", quota.remaining.map(u128::from)),
        ("reset_after_ns", quota.reset_after.map(|span| span.as_nanos())),
        ("window_ns", quota.window.map(|span| span.as_nanos())),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            all.insert(name.into(), json!(number.to_string()));
        }
    }
    Value::Object(all)
}

#[test]
fn headers_of_real_interfaces() {
    let table = table();
    let now = table["now_ns"].as_str().unwrap().parse().unwrap();
    let now = Timestamp::from_nanos(now).unwrap();
    let rows = table["rows"].as_array().unwrap();
    assert!(rows.len() >= 60);
    let mut wrong = 0;
    for row in rows {
        let seen = shown(&read_headers(pairs(row), now));
        if seen != row["expect"] {
            wrong += 1;
            println!("{}\n  expected {}\n  seen     {seen}", row["api"], row["expect"]);
        }
        // Names in any case mean the same.
        let upper = pairs(row).into_iter().map(|(name, value)| (name.to_uppercase(), value));
        assert_eq!(shown(&read_headers(upper, now)), seen, "{}", row["api"]);
    }
    assert_eq!(wrong, 0, "rows that are read otherwise");
}

/// Bytes at random, and real values with bytes changed: nothing panics, and no span is longer than ten years.
#[test]
fn garbage_does_no_harm() {
    let table = table();
    let real: Vec<(&str, &str)> =
        table["rows"].as_array().unwrap().iter().flat_map(pairs).collect();
    let mut random = Random(7);
    let ten_years = 3650 * 86_400 * 1_000_000_000_u128;
    for _ in 0..20_000 {
        let mut headers: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for _ in 0..random.below(6) {
            let (name, value) = real[random.below(real.len() as u64) as usize];
            let (mut name, mut value) = (name.as_bytes().to_vec(), value.as_bytes().to_vec());
            if random.below(4) == 0 {
                mutate(&mut name, &mut random);
            }
            for _ in 0..random.below(4) {
                mutate(&mut value, &mut random);
            }
            headers.push((name, value));
        }
        let now = Timestamp::from_nanos(random.below(1 << 31) << 30).unwrap();
        let limits = read_headers(headers.iter().map(|(name, value)| (name, value)), now);
        let spans = limits.quotas.iter().flat_map(|quota| [quota.reset_after, quota.window]);
        for span in spans.flatten().chain(limits.retry_after).chain(limits.delay()) {
            assert!(span.as_nanos() <= ten_years, "{headers:?}");
        }
        assert!(limits.quotas.len() <= 16);
    }
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    const LIKELY: &[u8] = b"0123456789.,;:=\"-+/ smhdtrqwzTZ";
    let at = random.below(bytes.len() as u64 + 1) as usize;
    match random.below(4) {
        0 => bytes.insert(at, random.below(256) as u8),
        1 => bytes.insert(at, LIKELY[random.below(LIKELY.len() as u64) as usize]),
        2 if at < bytes.len() => bytes[at] = LIKELY[random.below(LIKELY.len() as u64) as usize],
        _ if at < bytes.len() => drop(bytes.remove(at)),
        _ => {}
    }
}

#[test]
fn a_flood_of_fields_is_bounded() {
    let names: Vec<String> = (0..10_000).map(|n| format!("x-ratelimit-remaining-{n}")).collect();
    let limits = read_headers(names.iter().map(|name| (name, "1")), Timestamp::EPOCH);
    assert_eq!(limits.quotas.len(), 16);
}

#[test]
fn the_delay_is_that_of_what_is_used_up() {
    let now = Timestamp::from_secs(1_700_000_000);
    let seconds = |headers: &[(&str, &str)]| {
        read_headers(headers.iter().copied(), now).delay().map(|delay| delay.as_secs())
    };
    let spent = ("x-ratelimit-remaining-requests", "0");
    let reset = ("x-ratelimit-reset-requests", "20s");
    let other = [("x-ratelimit-remaining-tokens", "5"), ("x-ratelimit-reset-tokens", "90s")];
    assert_eq!(seconds(&[spent, reset, other[0], other[1]]), Some(20));
    assert_eq!(seconds(&[spent, reset, ("retry-after", "3")]), Some(3));
    // Nothing is used up: the refusal is about something else.
    assert_eq!(seconds(&other), None);
    assert_eq!(seconds(&[("x-ratelimit-reset", "30")]), Some(30));
    assert_eq!(seconds(&[]), None);
}
