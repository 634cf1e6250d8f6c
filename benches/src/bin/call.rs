//! `call WHAT CALLS`: makes one kind of call so many times and prints ns per call. For `table --c`, and
//! for callgrind (`callgrind.sh`).

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use tidegate::Limiter;
use tidegate_benches::keys::{HOT, Stream, key, requests};
use tidegate_benches::measure::quantile;
use tidegate_benches::subject::{self, DATA_API, ENDLESS, lasting, limiter};

const HELP: &str = "\
usage: call WHAT CALLS
  WHAT: acquire, try_acquire, plan_request, denial, try_denial, six_acquire, six_try_acquire, six_denial, record_latency,
        newcomer, flood, random, six_random, secret_right, secret_later, secret_wrong, secret_first";

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
        "plan_request" => plan_request(calls),
        "denial" => denied(&subject::spent(&[HOT]), calls, subject::denial),
        "try_denial" => denied(&subject::spent(&[HOT]), calls, subject::try_denial),
        "six_denial" => denied(&subject::six_spent(HOT), calls, subject::denial),
        "record_latency" => record_latency(calls),
        "newcomer" => newcomers(calls),
        "flood" => flood(calls),
        "random" => random(&lasting(MANY), calls),
        "six_random" => random(DATA_API, calls),
        // All of one length: how long a secret is, who gives it knows anyway.
        "secret_right" => secret(calls, "correct-horse-0", true),
        "secret_later" => secret(calls, "correct-horse-7", true),
        "secret_wrong" => secret(calls, "correct-horse-8", false),
        "secret_first" => secret(calls, "Xorrect-horse-0", false),
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
        counted_by_callgrind(&mut work, some);
        slices.push(start.elapsed().as_nanos() as f64 / some as f64);
        left -= some;
    }
    quantile(&mut slices, 0.5)
}

/// What `callgrind.sh` counts: it knows this function by its name.
#[inline(never)]
fn counted_by_callgrind(work: &mut impl FnMut(u64), calls: u64) {
    work(calls);
}

fn plan_request(calls: u64) -> f64 {
    let limiter = limiter(&subject::plans(), 1_000);
    let nanos = timed(calls, |calls| subject::plan_request(&limiter, calls));
    assert_eq!(limiter.stats().allowed, calls, "every request was admitted");
    nanos
}

fn hot(policy: &str, calls: u64, call: fn(&Limiter, &str, u64)) -> f64 {
    let limiter = limiter(policy, 1_000);
    let nanos = timed(calls, |calls| call(&limiter, HOT, calls));
    assert_eq!(limiter.stats().allowed, calls, "every request was admitted");
    nanos
}

/// Of a limiter that admits nothing any more.
fn denied(limiter: &Limiter, calls: u64, call: fn(&Limiter, &str, u64)) -> f64 {
    let before = limiter.stats();
    let nanos = timed(calls, |calls| call(limiter, HOT, calls));
    let after = limiter.stats();
    assert_eq!((after.allowed, after.limited), (before.allowed, calls), "all were denied");
    nanos
}

fn record_latency(calls: u64) -> f64 {
    let limiter = limiter(DATA_API, 1_000);
    let minute = subject::minute_of(&limiter);
    let nanos = timed(calls, |calls| subject::record_latency(&limiter, HOT, calls));
    subject::check_charges(&limiter, HOT, calls, minute);
    nanos
}

/// Keys that come for the first time, where there is room for all.
fn newcomers(calls: u64) -> f64 {
    let limiter = limiter(&lasting(calls), calls);
    let keys: Vec<String> = (0..calls).map(key).collect();
    let mut stream = Stream::new(&keys);
    let nanos = timed(calls, |calls| subject::try_acquire_each(&limiter, stream.take(calls)));
    assert_eq!(limiter.stats().allowed, calls, "every request was admitted");
    subject::check_kept(&limiter, calls);
    nanos
}

/// Keys that come for the first time, where others have taken every place.
fn flood(calls: u64) -> f64 {
    const ROOM: u64 = 1_000;
    let limiter = limiter(&lasting(ROOM), ROOM);
    for number in 0..2 * ROOM {
        limiter.try_acquire(key(number), 1);
    }
    let keys: Vec<String> = (2 * ROOM..2 * ROOM + calls).map(key).collect();
    let mut stream = Stream::new(&keys);
    let before = limiter.stats();
    let nanos = timed(calls, |calls| subject::try_acquire_each(&limiter, stream.take(calls)));
    let after = limiter.stats();
    assert_eq!(after.allowed - before.allowed, calls, "what others left is enough for all");
    assert!(after.keys <= ROOM && after.evictions > before.evictions, "the table is full");
    nanos
}

const MANY: u64 = 1_000_000;

/// A million keys, each of which has been here before.
fn random(policy: &str, calls: u64) -> f64 {
    let limiter = limiter(policy, MANY);
    for number in 0..MANY {
        assert!(limiter.try_acquire(key(number), 1));
    }
    let requests = requests(MANY);
    let mut stream = Stream::new(&requests);
    let nanos = timed(calls, |calls| subject::acquire_each(&limiter, stream.take(calls)));
    assert_eq!(limiter.stats().allowed, calls + MANY);
    nanos
}

/// A request that gives a secret, where a policy has eight.
fn secret(calls: u64, given: &str, right: bool) -> f64 {
    let secrets: Vec<[u8; 32]> = (0..8).map(|n| digest(&format!("correct-horse-{n}"))).collect();
    timed(calls, |calls| {
        for _ in 0..calls {
            let found = tidegate::check_secret(black_box(&secrets), black_box(given.as_bytes()));
            assert_eq!(found, right, "{given}");
        }
    })
}

/// The bytes that a policy's line stands for.
fn digest(secret: &str) -> [u8; 32] {
    let line = tidegate::hash_secret(secret);
    let digits = line.strip_prefix("sha256:").expect("how a hash begins");
    std::array::from_fn(|at| {
        u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).expect("two digits")
    })
}
