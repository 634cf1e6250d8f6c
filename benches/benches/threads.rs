//! One thread and two: `cargo bench -p tidegate-benches --bench threads`. Time is per call of all threads; two
//! threads that do not disturb each other halve it, where two cores are free.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tidegate_benches::keys::{HOT, key};
use tidegate_benches::peers;
use tidegate_benches::subject::{ENDLESS, acquire, acquire_each, denial, limiter, spent};

/// Runs `calls` calls, spread over the threads.
fn spread(threads: usize, calls: u64, work: &(impl Fn(usize, u64) + Sync)) -> Duration {
    let (barrier, each) = (Barrier::new(threads), calls.div_ceil(threads as u64));
    let run = |number: usize| {
        barrier.wait();
        let start = Instant::now();
        work(number, each);
        start.elapsed()
    };
    std::thread::scope(|scope| {
        let run = &run;
        let others: Vec<_> = (1..threads).map(|number| scope.spawn(move || run(number))).collect();
        let mine = run(0);
        let spans = others.into_iter().map(|other| other.join().expect("no check failed"));
        spans.fold(mine, Duration::max)
    })
}

fn bench(c: &mut Criterion, what: &str, work: impl Fn(usize, u64) + Sync) {
    let mut group = c.benchmark_group(what);
    for threads in [1, 2] {
        group.bench_function(BenchmarkId::from_parameter(threads), |b| {
            b.iter_custom(|calls| spread(threads, calls, &work));
        });
    }
    group.finish();
}

fn threads(c: &mut Criterion) {
    let limited = spent(&[HOT]);
    bench(c, "denial, one key", |_, calls| denial(&limited, HOT, calls));
    assert_eq!(limited.stats().allowed, 1, "every request was denied");

    let own = limiter(ENDLESS, 10_000);
    let keys: [Vec<String>; 2] = [0, 1000].map(|first| (first..first + 1000).map(key).collect());
    bench(c, "acquire, distinct keys", |thread, calls| {
        for _ in 0..calls / 1000 {
            acquire_each(&own, &keys[thread]);
        }
        acquire_each(&own, &keys[thread][..usize::try_from(calls % 1000).expect("below 1000")]);
    });
    assert_eq!((own.stats().limited, own.stats().keys <= 2000), (0, true));

    let shared = limiter(ENDLESS, 1_000);
    bench(c, "acquire, one hot key", |_, calls| acquire(&shared, HOT, calls));
    assert_eq!(shared.stats().limited, 0, "every request was admitted");
    let (governor, hot) = (peers::governor(), HOT.to_owned());
    bench(c, "governor keyed, one hot key", |_, calls| peers::check(&governor, &hot, calls));
}

criterion_group!(benches, threads);
criterion_main!(benches);
