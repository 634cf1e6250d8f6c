//! Any calls at any times: no panic, and a denial's advice is right when time goes on.
#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tidegate::{Limiter, Reason, Timestamp};

#[derive(Arbitrary, Debug)]
enum Call {
    Acquire(u64),
    Latency(u64),
    Penalize(u64),
    Refund(u64),
    Release,
    Reset,
    Block(u64),
    Pass(u64),
    Update(u8),
    Many(u8, u64),
}

const POLICIES: [&str; 6] = [
    "3/second; 30s/minute",
    "1/year burst 9007199254740991",
    r#"{"limit": [{"rate": "100/day", "algorithm": "sliding_window"}, {"rate": "9000000/10s", "algorithm": "sliding_window", "strict": true}]}"#,
    r#"{"timezone": "Europe/Amsterdam", "limit": [{"cascade": ["10/minute", "20/hour", "30/day"], "algorithm": "fixed_window"}]}"#,
    r#"{"limit": [{"cascade": ["1s/minute", "2s/month"], "algorithm": "fixed_window", "align": "first_request"}]}"#,
    r#"{"limit": [{"method": "concurrency", "quota": 2}, {"rate": "5/hour"}]}"#,
];

fuzz_target!(|input: (u8, u64, Vec<Call>)| {
    let (first, start, calls) = input;
    let policy = |number: u8| POLICIES[number as usize % POLICIES.len()];
    let limiter = Limiter::builder(policy(first)).max_keys(1).build().expect("a good policy");
    let mut now = Timestamp::from_nanos(start >> 3).expect("below 2^61");
    for call in calls {
        match call {
            Call::Acquire(cost) => {
                let decision = limiter.acquire_at("key", cost, now).expect("memory never fails");
                let wait = decision.retry_after;
                if decision.reason == Reason::Limited && !decision.name.contains("concurrency") {
                    assert!(wait > Duration::ZERO);
                    let later = now.saturating_add(wait);
                    assert!(later == Timestamp::MAX || limiter.peek_at("key", cost, later).is_ok_and(|seen| seen.allowed || seen.name == "concurrency"));
                }
            }
            Call::Latency(span) => limiter.record_latency_at("key", Duration::from_nanos(span), now).unwrap(),
            Call::Penalize(units) => limiter.penalize_at("key", units, now).unwrap(),
            Call::Refund(units) => limiter.refund_at("key", units, now).unwrap(),
            Call::Release => limiter.release_at("key", now).unwrap(),
            Call::Reset => limiter.reset_at("key", now).unwrap(),
            Call::Block(span) => limiter.block_at("key", Duration::from_nanos(span >> 20), now).unwrap(),
            Call::Pass(span) => now = now.saturating_add(Duration::from_nanos(span >> 8)),
            Call::Many(number, cost) => {
                let keys = ["key", "another", "key"].into_iter().cycle().take(number as usize);
                let decisions = limiter.acquire_many_at(keys, cost, now).expect("memory never fails");
                assert_eq!(decisions.len(), number as usize);
            }
            Call::Update(number) => limiter.update_at(policy(number), now).unwrap(),
        }
    }
});
