//! A cascade: three requests a minute, and two more an hour for when the minute is spent. A clock
//! that is moved by hand makes the answers the same at every run; leave it out and the system's
//! clock is used.
//!
//! Run:  cargo run -p tidegate-hello

use std::time::Duration;

use tidegate::{Limiter, ManualClock, Timestamp};

const POLICY: &str = r#"
    [[limit]]
    name      = "requests"
    algorithm = "fixed_window"
    cascade   = ["3/minute", "2/hour"]
"#;

fn main() -> Result<(), tidegate::Error> {
    let clock = ManualClock::new(Timestamp::from_secs(1_700_000_040));
    let limiter = Limiter::builder(POLICY).clock(clock.clone()).build()?;

    for request in 1..=6 {
        let decision = limiter.acquire("user:42", 1)?;
        if decision.allowed() {
            println!("request {request}: admitted, {} left", decision.remaining());
        } else {
            println!(
                "request {request}: {}, again in {:?}",
                decision.name(),
                decision.retry_after()
            );
        }
    }

    clock.advance(Duration::from_secs(60));
    for bucket in limiter.snapshot("user:42")?.buckets {
        println!("a minute later {} has {} left", bucket.name, bucket.remaining);
    }
    Ok(())
}
