//! One thread, one key: `cargo bench -p tidegate-benches --bench one_key`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tidegate_benches::keys::HOT;
use tidegate_benches::peers;
use tidegate_benches::subject::{self, CHARGE, DATA_API, ENDLESS, limiter, six_spent, spent};

fn hot_key(c: &mut Criterion) {
    let mut group = c.benchmark_group("one hot key");
    let ours = limiter(ENDLESS, 1_000);
    group.bench_function("acquire", |b| b.iter(|| ours.acquire(black_box(HOT), 1)));
    group.bench_function("try_acquire", |b| b.iter(|| ours.try_acquire(black_box(HOT), 1)));
    let stats = ours.stats();
    assert_eq!((stats.limited, stats.keys), (0, u64::from(stats.allowed > 0)), "all admitted");

    let (keyed, key) = (peers::governor(), HOT.to_owned());
    group.bench_function("governor keyed", |b| b.iter(|| keyed.check_key(black_box(&key))));
    let direct = peers::governor_direct();
    group.bench_function("governor direct", |b| b.iter(|| direct.check()));
    let ratelimit = peers::ratelimit();
    group.bench_function("ratelimit", |b| b.iter(|| ratelimit.try_wait()));
    let leaky = peers::leaky_bucket();
    group.bench_function("leaky-bucket", |b| b.iter(|| leaky.try_acquire(1)));
    group.finish();
}

fn data_api(c: &mut Criterion) {
    let mut group = c.benchmark_group("data api, six buckets");
    let ours = limiter(DATA_API, 1_000);
    group.bench_function("acquire", |b| b.iter(|| ours.acquire(black_box(HOT), 1)));
    group.bench_function("try_acquire", |b| b.iter(|| ours.try_acquire(black_box(HOT), 1)));
    group.bench_function("record_latency", |b| {
        subject::forget(&ours, HOT);
        b.iter(|| ours.record_latency(black_box(HOT), black_box(CHARGE)));
        assert!(subject::latency_used(&ours, HOT) > 0, "charges are counted");
    });
    let (governor, key) = (peers::governor(), HOT.to_owned());
    group.bench_function("governor keyed, one limit", |b| {
        b.iter(|| governor.check_key(black_box(&key)));
    });
    assert_eq!(ours.stats().limited, 0, "every request was admitted");
    group.finish();
}

fn denial(c: &mut Criterion) {
    let mut group = c.benchmark_group("denial");
    let ours = spent(&[HOT]);
    group.bench_function("acquire", |b| b.iter(|| ours.acquire(black_box(HOT), 1)));
    group.bench_function("try_acquire", |b| b.iter(|| ours.try_acquire(black_box(HOT), 1)));
    assert_eq!(ours.stats().allowed, 1, "every request was denied");
    let six = six_spent(HOT);
    group.bench_function("six buckets, acquire", |b| b.iter(|| six.acquire(black_box(HOT), 1)));
    assert_eq!(six.stats().allowed, 3, "every request was denied");
    let key = HOT.to_owned();
    let governor = peers::governor_spent(&key);
    group.bench_function("governor keyed", |b| b.iter(|| governor.check_key(black_box(&key))));
    group.finish();
}

criterion_group!(benches, hot_key, data_api, denial);
criterion_main!(benches);
