//! Any text is a policy or an error that names a field; what is accepted can be used.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::{Limiter, Policy, Timestamp};

fuzz_target!(|text: &str| match Policy::parse(text) {
    Ok(policy) => {
        let Ok(limiter) = Limiter::builder(policy).max_keys(1).build() else { return };
        for now in [Timestamp::EPOCH, Timestamp::from_secs(1_700_000_000), Timestamp::MAX] {
            limiter.acquire_at("key", u64::MAX, now).expect("memory never fails");
            limiter.acquire_at("key", 1, now).expect("memory never fails");
            limiter.snapshot_at("key", now).expect("memory never fails");
        }
    }
    Err(error) => assert!(!error.field().is_empty()),
});
