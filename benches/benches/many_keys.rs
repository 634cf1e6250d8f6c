//! One thread, many keys: `cargo bench -p tidegate-benches --bench many_keys`.
//!
//! `TIDEGATE_BENCH_KEYS=10000000` sets the largest number of keys (a million).

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use tidegate::Limiter;
use tidegate_benches::floor::Floor;
use tidegate_benches::keys::{key, requests, write_key};
use tidegate_benches::peers;
use tidegate_benches::subject::{DATA_API, check_kept, lasting, limiter};

fn most_keys() -> u64 {
    let Ok(text) = std::env::var("TIDEGATE_BENCH_KEYS") else { return 1_000_000 };
    text.parse().unwrap_or_else(|_| panic!("TIDEGATE_BENCH_KEYS={text}: give a number of keys"))
}

/// Decides for one key after the other.
fn each<'a>(requests: &'a [String], mut decide: impl FnMut(&'a String) -> bool) -> impl FnMut() {
    let mut cycle = requests.iter().cycle();
    move || assert!(decide(black_box(cycle.next().expect("a key"))), "every request is admitted")
}

fn random(c: &mut Criterion) {
    let mut group = c.benchmark_group("keys at random");
    let counts = std::iter::successors(Some(1), |count| Some(count * 10));
    for count in counts.take_while(|count| *count <= most_keys()) {
        let requests = requests(count);
        let (one, six) = (limiter(&lasting(count), count), limiter(DATA_API, count));
        let (governor, floor) = (peers::governor(), Floor::new(count, one.clock().clone()));
        for number in 0..count {
            let key = key(number);
            assert!(one.try_acquire(&key, 1) && six.try_acquire(&key, 1));
            assert!(governor.check_key(&key).is_ok());
        }
        let allows =
            |limiter: &Limiter, key: &String| limiter.acquire(key, 1).is_ok_and(|d| d.allowed());
        group.bench_function(BenchmarkId::new("acquire", count), |b| {
            b.iter(each(&requests, |key| allows(&one, key)));
        });
        group.bench_function(BenchmarkId::new("try_acquire", count), |b| {
            b.iter(each(&requests, |key| one.try_acquire(key, 1)));
        });
        group.bench_function(BenchmarkId::new("six buckets, acquire", count), |b| {
            b.iter(each(&requests, |key| allows(&six, key)));
        });
        group.bench_function(BenchmarkId::new("governor keyed", count), |b| {
            b.iter(each(&requests, |key| governor.check_key(key).is_ok()));
        });
        group.bench_function(BenchmarkId::new("floor: clock, hash, one exchange", count), |b| {
            b.iter(each(&requests, |key| floor.touch(key.as_bytes())));
        });
        check_kept(&one, count);
        check_kept(&six, count);
    }
    group.finish();
}

fn flood(c: &mut Criterion) {
    let room = most_keys() / 10;
    let ours = limiter("100/minute", room);
    let governor = peers::governor();
    let mut group = c.benchmark_group("new keys without end");
    let mut buffer = String::new();
    let mut next = 0;
    let mut newcomer = |decide: &dyn Fn(&String) -> bool| {
        write_key(&mut buffer, next);
        next += 1;
        decide(&buffer)
    };
    group.bench_function("try_acquire, full", |b| {
        b.iter(|| newcomer(&|key| ours.try_acquire(key, 1)));
    });
    assert!(ours.stats().keys <= room, "memory is bounded");
    group.bench_function("governor keyed, grows", |b| {
        b.iter(|| newcomer(&|key| governor.check_key(key).is_ok()));
    });
    group.finish();
}

fn update(c: &mut Criterion) {
    let keys = most_keys();
    let limiter = limiter("100/day", keys);
    for number in 0..keys {
        assert!(limiter.try_acquire(key(number), 1));
    }
    let mut group = c.benchmark_group("update");
    group.sample_size(10);
    let mut policies = ["200/day", "100/day"].into_iter().cycle();
    group.bench_function(BenchmarkId::new("update", keys), |b| {
        let next = || policies.next().expect("a policy");
        b.iter_batched(next, |policy| limiter.update(policy), BatchSize::PerIteration);
    });
    check_kept(&limiter, keys);
    group.finish();
}

criterion_group!(benches, random, flood, update);
criterion_main!(benches);
