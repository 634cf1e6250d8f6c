//! `call WHAT CALLS`: makes one kind of call so many times and prints ns per call. For `table --c`, and
//! for callgrind (`callgrind.sh`).

use std::process::ExitCode;
use std::time::Instant;

use tidegate_benches::keys::{HOT, Stream, key, requests};
use tidegate_benches::measure::quantile;
use tidegate_benches::subject::{self, DATA_API, ENDLESS, limiter, spent};

const HELP: &str = "\
usage: call WHAT CALLS
  WHAT: acquire, try_acquire, denial, try_denial, six_acquire, six_try_acquire, record_latency, random";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, calls] = arguments.as_slice() else {
        eprintln!("{HELP}");
        return ExitCode::from(2);
    };
    let Some(nanos) = calls.parse().ok().filter(|calls| *calls > 0).and_then(|n| measure(what, n))
    else {
        eprintln!("{HELP}");
        return ExitCode::from(2);
    };
    println!("{nanos:.3}");
    ExitCode::SUCCESS
}

fn measure(what: &str, calls: u64) -> Option<f64> {
    Some(match what {
        "acquire" => hot(ENDLESS, calls, subject::acquire),
        "try_acquire" => hot(ENDLESS, calls, subject::try_acquire),
        "six_acquire" => hot(DATA_API, calls, subject::acquire),
        "six_try_acquire" => hot(DATA_API, calls, subject::try_acquire),
        "denial" => denied(calls, subject::denial),
        "try_denial" => denied(calls, subject::try_denial),
        "record_latency" => record_latency(calls),
        "random" => random(calls),
        _ => return None,
    })
}

/// The median over slices of a few thousand calls, so short that most are not interrupted.
fn timed(calls: u64, mut work: impl FnMut(u64)) -> f64 {
    const SLICE: u64 = 5_000;
    let mut slices = Vec::new();
    let mut left = calls;
    while left > 0 {
        let some = left.min(SLICE);
        let start = Instant::now();
        work(some);
        slices.push(start.elapsed().as_nanos() as f64 / some as f64);
        left -= some;
    }
    quantile(&mut slices, 0.5)
}

fn hot(policy: &str, calls: u64, call: fn(&tidegate::Limiter, &str, u64)) -> f64 {
    let limiter = limiter(policy, 1_000);
    let nanos = timed(calls, |calls| call(&limiter, HOT, calls));
    assert_eq!(limiter.stats().allowed, calls, "every request was admitted");
    nanos
}

fn denied(calls: u64, call: fn(&tidegate::Limiter, &str, u64)) -> f64 {
    let limiter = spent(&[HOT]);
    let nanos = timed(calls, |calls| call(&limiter, HOT, calls));
    assert_eq!((limiter.stats().allowed, limiter.stats().limited), (1, calls));
    nanos
}

fn record_latency(calls: u64) -> f64 {
    let limiter = limiter(DATA_API, 1_000);
    let minute = subject::minute_of(&limiter);
    let nanos = timed(calls, |calls| subject::record_latency(&limiter, HOT, calls));
    subject::check_charges(&limiter, HOT, calls, minute);
    nanos
}

/// A million keys, each of which has been here before.
fn random(calls: u64) -> f64 {
    const KEYS: u64 = 1_000_000;
    let limiter = limiter(ENDLESS, KEYS);
    for number in 0..KEYS {
        assert!(limiter.try_acquire(key(number), 1));
    }
    let requests = requests(KEYS);
    let mut stream = Stream::new(&requests);
    let nanos = timed(calls, |calls| subject::acquire_each(&limiter, stream.take(calls)));
    assert_eq!(limiter.stats().allowed, calls + KEYS);
    nanos
}
