//! Any headers, from any time: no panic, no span beyond ten years, and a pacer that hears of them goes on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::client::{CallOptions, Pacer, Step, read_headers};
use tidegate::{ManualClock, Timestamp};

const NAMES: [&str; 12] = [
    "date", "retry-after", "retry-after-ms", "ratelimit", "ratelimit-policy", "x-ratelimit-limit",
    "x-ratelimit-remaining", "x-ratelimit-reset", "x-app-usage", "x-app-rate-limit",
    "x-shopify-shop-api-call-limit", "zendesk-ratelimit-tickets",
];

fuzz_target!(|input: (u64, u16, Vec<(u8, Vec<u8>, Vec<u8>)>)| {
    let (now, status, fields) = input;
    let now = Timestamp::from_nanos(now >> 2).expect("below 2^62");
    let fields = fields.iter().map(|(number, name, value)| {
        let name = NAMES.get(*number as usize).map_or(&name[..], |name| name.as_bytes());
        (name, value)
    });
    let limits = read_headers(fields, now);
    let spans = limits.quotas.iter().flat_map(|quota| [quota.reset_after, quota.window]);
    for span in spans.flatten().chain(limits.retry_after).chain(limits.delay()) {
        assert!(span.as_secs() <= 3650 * 86_400);
    }
    let pacer = Pacer::builder().clock(ManualClock::new(now)).build().expect("good options");
    let mut call = pacer.begin(CallOptions::default());
    assert!(matches!(call.check(), Step::Go));
    let _ = call.finish(status, &limits);
    drop(call);
    let mut next = pacer.begin(CallOptions::default());
    let _ = next.check();
});
