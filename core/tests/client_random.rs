//! Calls in any order, dropped at any time, from many threads and in futures: no slot and no permit is lost, nobody is
//! overtaken, nobody waits for ever.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tidegate::client::{
    Call, CallError, CallOptions, Class, Finish, Pacer, Response, ServerLimits, Step,
};
use tidegate::{Limiter, ManualClock, Timestamp};

const START: Timestamp = Timestamp::from_secs(1_700_000_000);

/// xorshift64*: small, and the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

fn retry_after(span: Duration) -> ServerLimits {
    let mut limits = ServerLimits::default();
    limits.retry_after = Some(span);
    limits
}

/// Where a call stands, as its host knows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    Waiting,
    Asleep(Timestamp),
    Going,
}

struct Storm {
    clock: ManualClock,
    limiter: Limiter,
    pacer: Pacer,
    concurrency: u32,
    random: Random,
    calls: BTreeMap<u64, (Call, Stands, u64)>,
    /// Units of attempts that were made.
    spent: u64,
    attempts: u64,
}

impl Storm {
    fn new(seed: u64) -> Storm {
        let clock = ManualClock::new(START);
        let mut random = Random(seed);
        let concurrency = 1 + random.below(4) as u32;
        // Units that never come back by themselves, permits, and sometimes a pace.
        let policy = r#"{"limit": [
            {"name": "units", "rate": "1_000_000/year", "algorithm": "fixed_window", "align": "first_request"},
            {"method": "concurrency", "quota": 3},
            {"rate": "10/second", "burst": 5}]}"#;
        let limiter = Limiter::builder(policy).clock(clock.clone()).build().unwrap();
        let pacer = Pacer::builder()
            .limiter(&limiter, "k")
            .concurrency(concurrency)
            .seed(seed)
            .max_retries(3)
            .max_failures(0)
            .build()
            .unwrap();
        let calls = BTreeMap::new();
        Storm { clock, limiter, pacer, concurrency, random, calls, spent: 0, attempts: 0 }
    }

    fn step(&mut self) {
        match self.random.below(10) {
            0..3 => {
                let cost = self.random.below(6);
                let call = self.pacer.begin(CallOptions { cost, ..CallOptions::default() });
                self.calls.insert(call.number(), (call, Stands::Waiting, cost));
            }
            3 => self.clock.advance(Duration::from_millis(self.random.below(400))),
            4 => {
                if let Some(number) = self.any(|_| true) {
                    self.calls.remove(&number);
                }
            }
            _ => {
                if let Some(number) = self.any(|stands| stands == Stands::Going) {
                    self.finish(number);
                }
            }
        }
        self.look();
    }

    fn any(&mut self, which: impl Fn(Stands) -> bool) -> Option<u64> {
        let all = self.calls.iter().filter(|(_, (_, stands, _))| which(*stands));
        let numbers: Vec<u64> = all.map(|(number, _)| *number).collect();
        (!numbers.is_empty()).then(|| numbers[self.random.below(numbers.len() as u64) as usize])
    }

    fn finish(&mut self, number: u64) {
        let class = match self.random.below(4) {
            0 => Class::Retry,
            1 => Class::Error,
            _ => Class::Passed,
        };
        let limits = retry_after(Duration::from_millis(self.random.below(500)));
        let (call, stands, _) = self.calls.get_mut(&number).unwrap();
        match call.finish_as(class, 0, &limits) {
            Finish::Retry { after } => {
                *stands = Stands::Asleep(self.clock.now().saturating_add(after));
            }
            Finish::Done | Finish::Raise(_) => {
                self.calls.remove(&number);
            }
        }
    }

    /// Asks everybody who waits; whoever may go has overtaken nobody.
    fn look(&mut self) {
        // Ticking lets go whoever may; asking in any order then changes nothing.
        self.pacer.tick();
        let now = self.clock.now();
        let mut went = Vec::new();
        for (number, (call, stands, cost)) in self.calls.iter_mut().rev() {
            if *stands == Stands::Going {
                continue;
            }
            match call.check() {
                Step::Go => {
                    assert!(!matches!(stands, Stands::Asleep(until) if *until > now));
                    *stands = Stands::Going;
                    went.push(*number);
                    self.spent += *cost;
                    self.attempts += 1;
                }
                Step::Wait(_) => {}
                Step::Fail(error) => panic!("given up: {error}"),
            }
        }
        let awake = |stands: &Stands| match stands {
            Stands::Waiting => true,
            Stands::Asleep(until) => *until <= now,
            Stands::Going => false,
        };
        let first = self.calls.iter().find(|(_, (_, stands, _))| awake(stands));
        if let Some((first, _)) = first {
            assert!(went.iter().all(|number| number < first), "{went:?} overtook {first}");
        }
        let going = self.calls.values().filter(|(_, stands, _)| *stands == Stands::Going).count();
        let stats = self.pacer.stats();
        assert_eq!(stats.in_flight as usize, going);
        assert!(stats.in_flight <= self.concurrency.min(3));
        assert_eq!(stats.waiting as usize, self.calls.len() - going);
        assert_eq!(stats.attempts, self.attempts);
        let buckets = self.limiter.snapshot("k").unwrap().buckets;
        assert_eq!((buckets[0].used, buckets[1].used as usize), (self.spent, going));
    }

    /// With nobody new, everybody comes to an end.
    fn drain(&mut self) {
        for _ in 0..10_000 {
            if self.calls.is_empty() {
                return;
            }
            match self.any(|stands| stands == Stands::Going) {
                Some(number) => self.finish(number),
                None => {
                    let next = self.pacer.tick().next.expect("somebody waits for ever");
                    self.clock.advance(next);
                }
            }
            self.look();
        }
        panic!("{} calls come to no end", self.calls.len());
    }
}

#[test]
fn calls_in_any_order() {
    let mut attempts = 0;
    for seed in 1..60 {
        let mut storm = Storm::new(seed);
        (0..300).for_each(|_| storm.step());
        match seed % 2 {
            0 => storm.drain(),
            _ => storm.calls.clear(),
        }
        storm.look();
        attempts += storm.attempts;
    }
    assert!(attempts > 2_000, "{attempts}");
}

/// With pauses, deadlines and a breaker in it as well: what holds then is that nothing leaks and nobody hangs.
#[test]
fn answers_of_every_kind() {
    for seed in 1..60 {
        let clock = ManualClock::new(START);
        let mut random = Random(seed);
        let mut builder = Pacer::builder().seed(seed).concurrency(3).max_retries(2);
        if seed % 3 != 0 {
            builder = builder.policy("10/second burst 5").headroom(0);
        }
        let pacer = builder.clock(clock.clone()).events(10).build().unwrap();
        let mut calls: Vec<Call> = Vec::new();
        for step in 0..400 {
            if step < 300 && random.below(2) == 0 {
                let deadline =
                    (random.below(4) == 0).then(|| Duration::from_millis(random.below(5000)));
                calls.push(pacer.begin(CallOptions { deadline, ..CallOptions::default() }));
            }
            let mut kept = Vec::new();
            for mut call in calls.drain(..) {
                match call.check() {
                    Step::Fail(_) => continue,
                    Step::Wait(_) if random.below(50) == 0 => continue,
                    Step::Wait(_) => kept.push(call),
                    Step::Go if random.below(3) == 0 => kept.push(call),
                    Step::Go => {
                        let status =
                            [200, 200, 200, 404, 403, 401, 429, 503, 500][random.below(9) as usize];
                        let mut limits = ServerLimits::default();
                        if random.below(2) == 0 {
                            limits = retry_after(Duration::from_millis(random.below(90_000)));
                        }
                        if let Finish::Retry { .. } = call.finish(status, &limits) {
                            kept.push(call);
                        }
                    }
                }
                assert!(pacer.stats().in_flight <= 3);
            }
            calls = kept;
            clock.advance(Duration::from_millis(random.below(1000)));
        }
        // Whatever is left goes, fails, or waits for a time that is known.
        for _ in 0..1000 {
            calls.retain_mut(|call| match call.check() {
                Step::Fail(_) => false,
                Step::Wait(_) => true,
                Step::Go => matches!(call.finish(200, &ServerLimits::NONE), Finish::Retry { .. }),
            });
            if let Some(next) = pacer.tick().next {
                clock.advance(next);
            }
        }
        assert!(calls.is_empty(), "seed {seed}: {} hang", calls.len());
        let stats = pacer.stats();
        assert_eq!((stats.in_flight, stats.waiting), (0, 0), "seed {seed}");
    }
}

#[derive(Debug)]
struct Answer(u16);

impl Response for Answer {
    fn status(&self) -> u16 {
        self.0
    }

    fn headers(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        if self.0 == 429 {
            each(b"retry-after", b"0");
        }
    }
}

#[test]
fn threads_share_one_pacer() {
    const CALLS: u64 = 1500;
    let pacer = Pacer::builder().concurrency(3).base(Duration::ZERO).max_failures(0).build();
    let pacer = pacer.unwrap();
    let (under_way, made) = (AtomicU32::new(0), AtomicU32::new(0));
    let (under_way, made, pacer) = (&under_way, &made, &pacer);
    std::thread::scope(|scope| {
        for thread in 0..6 {
            scope.spawn(move || {
                let mut random = Random(thread + 1);
                for _ in 0..CALLS {
                    let outcome = pacer.call(CallOptions::default(), |_| {
                        assert!(under_way.fetch_add(1, Ordering::SeqCst) < 3);
                        made.fetch_add(1, Ordering::Relaxed);
                        std::thread::yield_now();
                        under_way.fetch_sub(1, Ordering::SeqCst);
                        match random.below(20) {
                            0 => Err("it broke"),
                            1 => Ok(Answer(429)),
                            _ => Ok(Answer(200)),
                        }
                    });
                    match outcome {
                        Ok(answer) => assert_eq!(answer.0, 200),
                        Err(CallError::Work(problem)) => assert_eq!(problem, "it broke"),
                        Err(CallError::Pacer(error)) => assert!(error.is_retries_exhausted()),
                    }
                }
            });
        }
    });
    let stats = pacer.stats();
    assert_eq!((stats.in_flight, stats.waiting, stats.calls), (0, 0, 6 * CALLS));
    assert_eq!(stats.attempts, u64::from(made.load(Ordering::Relaxed)));
    assert!(stats.retries > 100);
}

#[test]
fn a_panic_in_the_work_leaks_nothing() {
    let pacer = Pacer::builder().concurrency(1).build().unwrap();
    let panics = || -> Result<Answer, CallError<()>> {
        pacer.call(CallOptions::default(), |_| panic!("on purpose"))
    };
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
    assert_eq!(pacer.stats().in_flight, 0);
}

/// A task of a runtime of a few lines.
struct Task(AtomicBool);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn futures_share_one_pacer() {
    let clock = ManualClock::new(START);
    let builder = Pacer::builder().policy("10/second burst 5").headroom(0).concurrency(2);
    let pacer = builder.clock(clock.clone()).base(Duration::ZERO).build().unwrap();
    let order = std::sync::Mutex::new(Vec::new());
    let (pacer, order, clock) = (&pacer, &order, &clock);
    type Job<'a> = Pin<Box<dyn Future<Output = u16> + 'a>>;
    let mut tasks: Vec<Option<(Job<'_>, Arc<Task>)>> = (0..40_u32)
        .map(|item| {
            let job = async move {
                let work = |attempt| async move {
                    order.lock().unwrap().push(item);
                    // Gives way once, as a request on its way does.
                    let mut waited = false;
                    poll_fn(|context| match std::mem::replace(&mut waited, true) {
                        true => Poll::Ready(()),
                        false => {
                            context.waker().wake_by_ref();
                            Poll::Pending
                        }
                    })
                    .await;
                    Ok::<_, ()>(Answer(if item == 7 && attempt == 1 { 429 } else { 200 }))
                };
                let sleep = |span| {
                    let until = clock.now().saturating_add(span);
                    poll_fn(move |_| match clock.now() >= until {
                        true => Poll::Ready(()),
                        false => Poll::Pending,
                    })
                };
                pacer.call_async(CallOptions::default(), work, sleep).await.unwrap().0
            };
            let job: Job<'_> = Box::pin(job);
            Some((job, Arc::new(Task(AtomicBool::new(true)))))
        })
        .collect();
    let mut steps = 0;
    while tasks.iter().any(Option::is_some) {
        let mut idle = true;
        for (item, slot) in tasks.iter_mut().enumerate() {
            let Some((job, task)) = slot else { continue };
            if !task.0.swap(false, Ordering::SeqCst) {
                continue;
            }
            idle = false;
            // Two are cancelled while they wait.
            if steps > 100 && (item == 38 || item == 39) {
                *slot = None;
                continue;
            }
            let waker = Waker::from(Arc::clone(task));
            if job.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                *slot = None;
            }
        }
        if idle {
            clock.advance(Duration::from_millis(10));
        }
        steps += 1;
        assert!(steps < 10_000, "somebody waits for ever");
    }
    let stats = pacer.stats();
    assert_eq!((stats.in_flight, stats.waiting, stats.retries), (0, 0, 1));
    let order = order.lock().unwrap();
    let mut firsts: Vec<u32> = order.clone();
    firsts.dedup();
    assert!(firsts.iter().filter(|item| **item != 7).is_sorted(), "{order:?}");
}

#[test]
fn ten_thousand_wait_at_the_price_of_one() {
    let clock = ManualClock::new(START);
    let builder =
        Pacer::builder().policy("1000/second burst 1").concurrency(5).clock(clock.clone());
    let pacer = builder.build().unwrap();
    let mut calls: BTreeMap<u64, Call> = (0..10_000)
        .map(|_| pacer.begin(CallOptions::default()))
        .map(|mut call| {
            let _ = call.check();
            (call.number(), call)
        })
        .collect();
    let mut going = calls.pop_first().unwrap().1;
    assert!(matches!(going.check(), Step::Go));
    let mut number = 0;
    while !calls.is_empty() {
        assert!(matches!(going.finish(200, &ServerLimits::NONE), Finish::Done));
        let tick = pacer.tick();
        assert!(tick.ready.is_empty());
        clock.advance(tick.next.unwrap());
        // Nobody but the next is told.
        let tick = pacer.tick();
        number += 1;
        assert_eq!(tick.ready, [number]);
        going = calls.remove(&number).unwrap();
        assert!(matches!(going.check(), Step::Go));
    }
}
