//! Whole jobs against a server of known limits, in time that is moved from event to event.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use tidegate::client::{Call, CallOptions, Finish, Pacer, PacerStats, Step, read_headers};
use tidegate::{HeaderStyle, Limiter, ManualClock, Timestamp};

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

/// What happens to a request on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives(usize),
    Answered(usize),
}

struct Job {
    clock: ManualClock,
    server: Limiter,
    pacer: Pacer,
    items: usize,
    /// Calls begun at once.
    workers: usize,
    /// Longest time of one way, in ms.
    latency: u64,
    style: Option<HeaderStyle>,
    /// Of the headers only `Retry-After` is sent.
    delay_alone: bool,
    /// So many of a thousand calls are dropped under way.
    crashes: u64,
}

struct Outcome {
    elapsed: Duration,
    refused: u64,
    stats: PacerStats,
}

impl Job {
    fn new(policy: &str, pacer: impl FnOnce(ManualClock) -> Pacer) -> Job {
        let clock = ManualClock::new(START);
        let server = Limiter::builder(policy).clock(clock.clone()).build().unwrap();
        let pacer = pacer(clock.clone());
        let style = Some(HeaderStyle::Both);
        let (items, workers, latency, crashes) = (4000, 50, 80, 0);
        let delay_alone = false;
        Job { clock, server, pacer, items, workers, latency, style, delay_alone, crashes }
    }

    fn run(self) -> Outcome {
        let mut random = Random(11);
        let mut calls: Vec<Option<Call>> = Vec::new();
        let mut answers: Vec<(u16, Vec<(String, String)>)> = Vec::new();
        let mut numbers = std::collections::HashMap::new();
        let mut events = BinaryHeap::new();
        let (mut begun, mut over, mut refused) = (0, 0, 0);
        let mut ready: Vec<usize> = Vec::new();
        while over < self.items {
            while begun < self.items && begun - over < self.workers {
                let call = self.pacer.begin(CallOptions::default());
                numbers.insert(call.number(), calls.len());
                ready.push(calls.len());
                calls.push(Some(call));
                answers.push((0, Vec::new()));
                begun += 1;
            }
            let now = self.clock.now();
            for index in std::mem::take(&mut ready) {
                let Some(call) = &mut calls[index] else { continue };
                match call.check() {
                    Step::Go => {
                        let way = Duration::from_micros(1 + random.below(self.latency * 1000));
                        events.push(Reverse((now.saturating_add(way), Event::Arrives(index))));
                    }
                    Step::Wait(_) => {}
                    Step::Fail(error) => panic!("given up: {error}"),
                }
            }
            let tick = self.pacer.tick();
            ready.extend(tick.ready.iter().map(|number| numbers[number]));
            if !ready.is_empty() {
                continue;
            }
            let timer = tick.next.map(|next| now.saturating_add(next));
            let event = events.peek().map(|Reverse((at, _))| *at);
            let next = [timer, event].into_iter().flatten().min().expect("somebody waits for ever");
            self.clock.set(next);
            if event != Some(next) {
                continue;
            }
            match events.pop().unwrap().0.1 {
                Event::Arrives(index) => {
                    let decision = self.server.acquire("client", 1).unwrap();
                    refused += u64::from(!decision.allowed());
                    let headers = self.style.map(|style| decision.headers(style));
                    let headers = headers.iter().flat_map(|headers| headers.iter());
                    let headers = headers.map(|(name, value)| ((*name).to_owned(), value.clone()));
                    let sent = |name: &str| !self.delay_alone || name == "Retry-After";
                    let headers = headers.filter(|(name, _)| sent(name));
                    answers[index] = (decision.status(), headers.collect());
                    let way = Duration::from_micros(1 + random.below(self.latency * 1000));
                    events.push(Reverse((next.saturating_add(way), Event::Answered(index))));
                }
                Event::Answered(index) => {
                    let crashed = random.below(1000) < self.crashes;
                    let (status, headers) = std::mem::take(&mut answers[index]);
                    let limits = read_headers(headers, self.clock.now());
                    let call = calls[index].as_mut().unwrap();
                    if crashed || matches!(call.finish(status, &limits), Finish::Done) {
                        calls[index] = None;
                        over += 1;
                    }
                }
            }
        }
        drop(calls);
        let elapsed = self.clock.now().saturating_since(START);
        Outcome { elapsed, refused, stats: self.pacer.stats() }
    }
}

fn paced(policy: &'static str, concurrency: u32) -> impl FnOnce(ManualClock) -> Pacer {
    move |clock| {
        let builder = Pacer::builder().policy(policy).clock(clock).seed(3);
        builder.concurrency(concurrency).build().unwrap()
    }
}

/// No policy: all that is known comes from headers.
fn learning(concurrency: u32) -> impl FnOnce(ManualClock) -> Pacer {
    move |clock| Pacer::builder().clock(clock).seed(3).concurrency(concurrency).build().unwrap()
}

/// Within three per cent of what the limit allows at best, and nobody is refused.
#[track_caller]
fn is_tight(job: Job, at_best: Duration) {
    let outcome = job.run();
    let (elapsed, refused) = (outcome.elapsed, outcome.refused);
    assert_eq!(refused, 0, "{elapsed:?}");
    assert!(elapsed < at_best * 103 / 100, "{elapsed:?}, at best {at_best:?}");
    assert_eq!((outcome.stats.in_flight, outcome.stats.waiting), (0, 0));
}

#[test]
fn a_known_gcra_limit_is_used_up_and_never_exceeded() {
    for concurrency in [1, 8, 40] {
        // (One after the other with 80 ms on each way are not faster than the limit: 12 a second.)
        let (policy, at_best) = match concurrency {
            1 => ("5/second", Duration::from_secs(799)),
            _ => ("100/second", Duration::from_secs(39)),
        };
        is_tight(Job::new(policy, paced(policy, concurrency)), at_best);
    }
}

#[test]
fn several_known_limits_are_kept() {
    let policy = "50/second burst 60; 1000/minute burst 400";
    // 400 at once, then 1000 a minute.
    is_tight(Job::new(policy, paced(policy, 8)), Duration::from_secs(216));
}

#[test]
fn without_headers_a_known_limit_is_kept_as_well() {
    let mut job = Job::new("100/second", paced("100/second", 8));
    job.style = None;
    is_tight(job, Duration::from_secs(39));
}

#[test]
fn a_fixed_window_of_the_server_is_kept_by_a_strict_one() {
    let server = r#"{"limit": [{"rate": "1000/minute", "algorithm": "fixed_window"}]}"#;
    // Less by the calls that may be under way.
    let client =
        r#"{"limit": [{"rate": "992/minute", "algorithm": "sliding_window", "strict": true}]}"#;
    let outcome = Job::new(server, paced(client, 8)).run();
    assert_eq!(outcome.refused, 0);
    assert!(outcome.elapsed < Duration::from_secs(300), "{:?}", outcome.elapsed);
}

#[test]
fn a_limit_learned_from_headers_costs_a_pause_for_each_window() {
    let server = r#"{"limit": [{"rate": "1000/minute", "algorithm": "fixed_window"}]}"#;
    for concurrency in [1, 8, 40] {
        let mut job = Job::new(server, learning(concurrency));
        job.latency = 10;
        let outcome = job.run();
        // The last window ends when the job does, or the one after.
        let windows = outcome.elapsed.as_secs() / 60 + 1;
        assert!(outcome.stats.pauses <= windows, "{} in {windows}", outcome.stats.pauses);
        assert_eq!(outcome.refused, 0, "{concurrency}");
        assert!(windows <= 5, "{windows}");
    }
}

#[test]
fn with_retry_after_alone_there_is_one_pause_for_each_window() {
    let server = r#"{"limit": [{"rate": "1000/minute", "algorithm": "fixed_window"}]}"#;
    let mut job = Job::new(server, learning(8));
    (job.latency, job.delay_alone) = (10, true);
    let outcome = job.run();
    let windows = outcome.elapsed.as_secs() / 60 + 1;
    assert!(outcome.stats.pauses <= windows, "{} in {windows}", outcome.stats.pauses);
    // Those that were under way when the first was refused, and nobody else.
    assert!(outcome.refused <= 8 * windows, "{} in {windows}", outcome.refused);
    assert!(outcome.refused > 0 && outcome.stats.exhausted == 0 && windows <= 5);
}

#[test]
fn calls_that_crash_leak_nothing() {
    let mut job = Job::new("100/second", paced("100/second", 8));
    job.crashes = 300;
    is_tight(job, Duration::from_secs(39));
    let policy = r#"{"limit": [{"method": "concurrency", "quota": 5}, {"rate": "1000/second"}]}"#;
    let mut job = Job::new("1000/second", paced(policy, 8));
    (job.crashes, job.items) = (300, 500);
    let limiter = job.pacer.limiter().unwrap().clone();
    let outcome = job.run();
    assert_eq!((outcome.stats.in_flight, outcome.refused), (0, 0));
    assert_eq!(limiter.snapshot("").unwrap().buckets[0].used, 0);
}

#[test]
fn another_client_of_the_same_quota_is_seen() {
    let server = r#"{"limit": [{"rate": "600/minute"}]}"#;
    let job = Job::new(server, paced("600/minute", 4));
    // Somebody else has used nearly all of it.
    job.server.penalize("client", 500).unwrap();
    let job = Job { items: 1000, ..job };
    let outcome = job.run();
    // 1000 at ten a second, with 100 there: and a few that were under way when the first answer came.
    assert!(outcome.refused <= 4, "{}", outcome.refused);
    assert!(outcome.elapsed < Duration::from_secs(95), "{:?}", outcome.elapsed);
}
