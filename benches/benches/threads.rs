//! One thread, two and four: `cargo bench -p tidegate-benches --bench threads`. Time is per call of all threads; two
//! threads that do not disturb each other halve it, where two cores are free.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tidegate_benches::crews::{Governors, MOST_THREADS, Ours, Scene};

/// Runs `calls` calls, spread over the threads.
fn spread(threads: usize, calls: u64, work: &(impl Fn(usize, u64) + Sync)) -> Duration {
    let (barrier, each) = (Barrier::new(threads), calls.div_ceil(threads as u64));
    let run = |number: usize| {
        barrier.wait();
        let start = Instant::now();
        work(number, each);
        (start, Instant::now())
    };
    std::thread::scope(|scope| {
        let run = &run;
        let others: Vec<_> = (1..threads).map(|number| scope.spawn(move || run(number))).collect();
        let (mut start, mut end) = run(0);
        for other in others {
            let span = other.join().expect("no check failed");
            (start, end) = (start.min(span.0), end.max(span.1));
        }
        end - start
    })
}

fn threads(c: &mut Criterion) {
    for scene in Scene::DRAWN.into_iter().chain([Scene::FullAgain]) {
        let (ours, governors) = (Ours::new(scene), Governors::new(scene));
        let mut asked = 0;
        let mut group = c.benchmark_group(scene.name());
        for threads in [1, 2, MOST_THREADS] {
            group.bench_function(BenchmarkId::new("Tidegate", threads), |b| {
                b.iter_custom(|calls| {
                    asked += calls.div_ceil(threads as u64) * threads as u64;
                    spread(threads, calls, &|thread, calls| ours.work(thread, calls))
                });
            });
            group.bench_function(BenchmarkId::new("governor keyed", threads), |b| {
                b.iter_custom(|calls| {
                    spread(threads, calls, &|thread, calls| governors.work(thread, calls))
                });
            });
        }
        group.finish();
        ours.check(asked);
    }
}

criterion_group!(benches, threads);
criterion_main!(benches);
