//! The client side, line by line: what a pacer does with each call and each answer. Time stands still until it is moved.

use std::time::Duration;

use tidegate::client::{
    BreakerReason, Call, CallOptions, Class, Event, Finish, Pacer, PacerBuilder, PacerError,
    PauseReason, Quota, ServerLimits, Step, read_headers,
};
use tidegate::{Limiter, ManualClock, Timestamp};

const START: Timestamp = Timestamp::from_secs(1_700_000_000);
const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A pacer without jitter.
fn pacer(clock: &ManualClock, with: impl FnOnce(PacerBuilder) -> PacerBuilder) -> Pacer {
    let builder = Pacer::builder().clock(clock.clone()).base(Duration::ZERO).events(100);
    with(builder).build().unwrap()
}

fn clock() -> ManualClock {
    ManualClock::new(START)
}

fn begin(pacer: &Pacer) -> Call {
    pacer.begin(CallOptions::default())
}

fn labelled(pacer: &Pacer, label: &str) -> Call {
    pacer.begin(CallOptions { label, ..CallOptions::default() })
}

/// Calls with their costs.
fn costing(pacer: &Pacer, cost: u64) -> Call {
    pacer.begin(CallOptions { cost, ..CallOptions::default() })
}

#[track_caller]
fn goes(call: &mut Call) {
    let step = call.check();
    assert!(matches!(step, Step::Go), "{step:?}");
}

#[track_caller]
fn waits(call: &mut Call) -> Option<Duration> {
    match call.check() {
        Step::Wait(span) => span,
        step => panic!("it does not wait: {step:?}"),
    }
}

#[track_caller]
fn fails(call: &mut Call) -> PacerError {
    match call.check() {
        Step::Fail(error) => error,
        step => panic!("it does not fail: {step:?}"),
    }
}

#[track_caller]
fn done(call: &mut Call, status: u16) {
    let finish = call.finish(status, &ServerLimits::NONE);
    assert!(matches!(finish, Finish::Done), "{finish:?}");
}

#[track_caller]
fn retries(call: &mut Call, status: u16, limits: &ServerLimits) -> Duration {
    match call.finish(status, limits) {
        Finish::Retry { after } => after,
        finish => panic!("it is not tried again: {finish:?}"),
    }
}

#[track_caller]
fn raises(call: &mut Call, status: u16, limits: &ServerLimits) -> PacerError {
    match call.finish(status, limits) {
        Finish::Raise(error) => error,
        finish => panic!("it is not given up: {finish:?}"),
    }
}

fn told(headers: &[(&str, &str)]) -> ServerLimits {
    read_headers(headers.iter().copied(), START)
}

fn retry_after(seconds: &str) -> ServerLimits {
    told(&[("Retry-After", seconds)])
}

#[test]
fn every_attempt_pays_retries_too() {
    let clock = clock();
    let limiter = Limiter::builder("10/hour").clock(clock.clone()).build().unwrap();
    let pacer = Pacer::builder().limiter(&limiter, "job").base(Duration::ZERO).build().unwrap();
    let mut call = costing(&pacer, 2);
    goes(&mut call);
    assert_eq!(limiter.peek("job", 1).unwrap().remaining(), 7);
    retries(&mut call, 429, &retry_after("0"));
    // (The pause leaves the bucket one unit, which is not enough.)
    assert!(waits(&mut call).is_some());
    limiter.reset("job").unwrap();
    goes(&mut call);
    assert_eq!(limiter.peek("job", 0).unwrap().remaining(), 8);
    done(&mut call, 200);
    assert_eq!((pacer.stats().attempts, pacer.stats().calls), (2, 1));
}

#[test]
fn a_429_pauses_everyone() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder.concurrency(4));
    let (mut one, mut other) = (begin(&pacer), begin(&pacer));
    goes(&mut one);
    goes(&mut other);
    assert_eq!(retries(&mut one, 429, &retry_after("20")), 20 * SECOND);
    let mut late = begin(&pacer);
    assert_eq!(waits(&mut late), Some(20 * SECOND));
    // A longer pause counts, a shorter one does not.
    clock.advance(5 * SECOND);
    assert_eq!(retries(&mut other, 429, &retry_after("30")), 30 * SECOND);
    assert_eq!(waits(&mut late), Some(30 * SECOND));
    let mut third = begin(&pacer);
    clock.advance(30 * SECOND - Duration::from_nanos(1));
    assert_eq!(waits(&mut one), Some(Duration::from_nanos(1)));
    waits(&mut third);
    clock.advance(Duration::from_nanos(1));
    goes(&mut one);
    let stats = pacer.stats();
    assert_eq!((stats.pauses, stats.limited, stats.retries), (1, 2, 2));
    let reason = PauseReason::Limited(429);
    assert!(pacer.events().contains(&Event::Pause { delay: 20 * SECOND, reason }));
}

#[test]
fn after_a_pause_one_goes_first_and_then_the_rest() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder.concurrency(4));
    let mut refused = begin(&pacer);
    goes(&mut refused);
    retries(&mut refused, 429, &retry_after("10"));
    let mut others: Vec<Call> = (0..6).map(|_| begin(&pacer)).collect();
    clock.advance(10 * SECOND);
    others.iter_mut().for_each(|call| {
        waits(call);
    });
    goes(&mut refused);
    others.iter_mut().for_each(|call| assert_eq!(waits(call), None));
    // Refused again: the same pause drawn out, and again one goes first.
    retries(&mut refused, 429, &retry_after("1"));
    clock.advance(SECOND);
    others.iter_mut().for_each(|call| {
        waits(call);
    });
    goes(&mut refused);
    done(&mut refused, 200);
    others[..4].iter_mut().for_each(goes);
    others[4..].iter_mut().for_each(|call| assert_eq!(waits(call), None));
    assert_eq!((pacer.stats().pauses, pacer.stats().in_flight), (1, 4));
}

#[test]
fn who_goes_first_and_is_dropped_is_followed_by_the_next() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder);
    let mut refused = begin(&pacer);
    goes(&mut refused);
    retries(&mut refused, 429, &retry_after("10"));
    clock.advance(10 * SECOND);
    goes(&mut refused);
    let mut next = begin(&pacer);
    waits(&mut next);
    drop(refused);
    goes(&mut next);
    let mut third = begin(&pacer);
    waits(&mut third);
    // No answer says nothing: the next one goes first.
    assert!(matches!(next.finish_as(Class::Error, 0, &ServerLimits::NONE), Finish::Done));
    goes(&mut third);
}

#[test]
fn after_a_pause_the_limiter_sets_the_pace() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder.policy("10/second").headroom(0).concurrency(10));
    let mut refused = begin(&pacer);
    goes(&mut refused);
    retries(&mut refused, 429, &retry_after("30"));
    let mut others: Vec<Call> = (0..9).map(|_| begin(&pacer)).collect();
    clock.advance(30 * SECOND);
    goes(&mut refused);
    // Its bucket has filled up, but no herd comes: one every tenth of a second.
    for call in &mut others {
        assert_eq!(waits(call), Some(100 * MS));
        clock.advance(100 * MS);
        goes(call);
    }
}

#[test]
fn the_slot_is_free_while_a_call_sleeps() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder.concurrency(1));
    let (mut one, mut other) = (begin(&pacer), begin(&pacer));
    goes(&mut one);
    assert_eq!(waits(&mut other), None);
    let Finish::Retry { .. } = one.finish_as(Class::Retry, 500, &retry_after("10")) else {
        panic!("it is tried again");
    };
    goes(&mut other);
    assert_eq!(pacer.stats().in_flight, 1);
    clock.advance(10 * SECOND);
    assert_eq!(waits(&mut one), None);
    done(&mut other, 200);
    goes(&mut one);
}

#[test]
fn a_server_delay_above_the_longest_raises_at_once() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder.max_retry_after(60 * SECOND));
    let mut call = labelled(&pacer, "item 7");
    goes(&mut call);
    let mut waiting = begin(&pacer);
    goes(&mut waiting);
    let error = raises(&mut call, 429, &retry_after("61"));
    assert!(error.is_retry_after_too_long());
    assert_eq!((error.retry_after(), error.label()), (Some(61 * SECOND), "item 7"));
    assert_eq!(error.attempts(), Some(1));
    assert!(error.to_string().contains("item 7") && error.to_string().contains("61s"), "{error}");
    // Nobody goes before the server allows it: others hear how long that is.
    let error = fails(&mut begin(&pacer));
    assert_eq!((error.retry_after(), error.attempts()), (Some(61 * SECOND), Some(0)));
    clock.advance(SECOND);
    assert_eq!(waits(&mut begin(&pacer)), Some(60 * SECOND));
}

#[test]
fn the_wait_is_the_server_delay_and_jitter_on_top() {
    let delays = |seed| {
        let clock = clock();
        let pacer =
            Pacer::builder().clock(clock.clone()).seed(seed).max_retries(9).build().unwrap();
        let mut call = begin(&pacer);
        let mut delays = Vec::new();
        for _ in 0..6 {
            goes(&mut call);
            let delay = retries(&mut call, 429, &retry_after("20"));
            delays.push(delay);
            clock.advance(delay);
        }
        delays
    };
    let (one, same) = (delays(1), delays(1));
    assert_eq!(one, same);
    for (retry, delay) in one.iter().enumerate() {
        let most = (SECOND * (1 << retry)).min(30 * SECOND);
        assert!((20 * SECOND..=20 * SECOND + most).contains(delay), "{retry}: {delay:?}");
    }
    assert!(one.iter().any(|delay| *delay > 21 * SECOND));
    assert_ne!(one, delays(2));
}

#[test]
fn without_a_server_delay_jitter_doubles_up_to_the_cap() {
    let clock = clock();
    let builder = Pacer::builder().clock(clock.clone()).seed(5).max_retries(40);
    let pacer = builder.cap(8 * SECOND).build().unwrap();
    let mut call = begin(&pacer);
    let mut longest = Duration::ZERO;
    for retry in 0..40 {
        goes(&mut call);
        let delay = retries(&mut call, 429, &ServerLimits::NONE);
        assert!(delay <= (SECOND * 2_u32.pow(retry.min(10))).min(8 * SECOND), "{retry}: {delay:?}");
        longest = longest.max(delay);
        // Others wait as long.
        assert_eq!(waits(&mut begin(&pacer)), Some(delay).filter(|delay| !delay.is_zero()));
        clock.advance(delay);
    }
    assert!(longest > 6 * SECOND);
}

#[test]
fn every_other_answer_passes_at_once() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder.max_unauthorized(0).max_forbidden(0));
    for status in [200, 201, 304, 400, 401, 403, 404, 409, 418, 500, 502, 503, 504] {
        let mut call = begin(&pacer);
        goes(&mut call);
        done(&mut call, status);
    }
    // A 503 that says for how long is a limit.
    let mut call = begin(&pacer);
    goes(&mut call);
    assert_eq!(retries(&mut call, 503, &retry_after("3")), 3 * SECOND);
    let stats = pacer.stats();
    assert_eq!((stats.calls, stats.attempts, stats.retries, stats.limited), (14, 14, 1, 1));
}

#[test]
fn a_reset_of_what_is_used_up_is_a_server_delay() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder);
    let mut call = begin(&pacer);
    goes(&mut call);
    let limits = told(&[("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "1700000042")]);
    assert_eq!(retries(&mut call, 429, &limits), 42 * SECOND);
}

#[test]
fn exhausted_retries_say_how_many_and_whose() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder.max_retries(2));
    let mut call = labelled(&pacer, "invoice 9");
    for _ in 0..2 {
        goes(&mut call);
        retries(&mut call, 429, &ServerLimits::NONE);
    }
    goes(&mut call);
    let error = raises(&mut call, 429, &ServerLimits::NONE);
    assert!(error.is_retries_exhausted());
    assert_eq!((error.attempts(), error.label()), (Some(3), "invoice 9"));
    assert!(matches!(error, PacerError::RetriesExhausted { status: 429, .. }));
    let text = error.to_string();
    assert!(["invoice 9", "3 attempts", "429"].iter().all(|part| text.contains(part)), "{text}");
    assert_eq!((pacer.stats().exhausted, pacer.stats().in_flight), (1, 0));
    // Of one call alone.
    let mut once = pacer.begin(CallOptions { max_retries: Some(0), ..CallOptions::default() });
    goes(&mut once);
    assert!(raises(&mut once, 429, &ServerLimits::NONE).is_retries_exhausted());
}

#[test]
fn a_deadline_that_cannot_be_met_gives_up_at_once() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder.deadline(10 * SECOND).concurrency(1));
    let mut call = labelled(&pacer, "late");
    goes(&mut call);
    clock.advance(5 * SECOND);
    assert_eq!(retries(&mut call, 429, &retry_after("5")), 5 * SECOND);
    clock.advance(5 * SECOND);
    goes(&mut call);
    let error = raises(&mut call, 429, &retry_after("1"));
    assert!(error.is_deadline_exceeded());
    assert_eq!((error.attempts(), error.label()), (Some(2), "late"));
    // A pause beyond the deadline, too; and one that only waits for its turn, when it has passed.
    let short = CallOptions { deadline: Some(SECOND / 2), ..CallOptions::default() };
    assert!(fails(&mut pacer.begin(short)).is_deadline_exceeded());
    clock.advance(SECOND);
    let mut holder = begin(&pacer);
    goes(&mut holder);
    let mut queued = pacer.begin(short);
    assert_eq!(waits(&mut queued), Some(SECOND / 2));
    clock.advance(SECOND / 2);
    assert!(fails(&mut queued).is_deadline_exceeded());
    assert_eq!(pacer.stats().waiting, 0);
}

#[test]
fn a_refused_credential_stops_everybody_and_says_so() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder.concurrency(1));
    let mut call = begin(&pacer);
    goes(&mut call);
    let (mut second, mut asleep) = (begin(&pacer), begin(&pacer));
    waits(&mut second);
    waits(&mut asleep);
    // It is handed on unchanged, and not tried again.
    done(&mut call, 401);
    for call in [&mut second, &mut asleep, &mut begin(&pacer)] {
        let error = fails(call);
        assert!(error.is_breaker_open());
        assert!(error.to_string().contains("401"), "{error}");
        assert_eq!(error.retry_after(), Some(30 * SECOND));
    }
    assert_eq!((pacer.stats().attempts, pacer.stats().breaker_opened), (1, 1));
    let reason = BreakerReason::Authentication { status: 401, failures: 1 };
    assert_eq!(pacer.events(), [Event::BreakerOpened { reason, retry_after: 30 * SECOND }]);
    // After a time one call sees whether it is better.
    clock.advance(30 * SECOND);
    let (mut probe, mut behind) = (begin(&pacer), begin(&pacer));
    goes(&mut probe);
    assert_eq!(waits(&mut behind), None);
    done(&mut probe, 401);
    assert!(fails(&mut behind).is_breaker_open());
    clock.advance(30 * SECOND);
    let mut probe = begin(&pacer);
    goes(&mut probe);
    done(&mut probe, 200);
    goes(&mut begin(&pacer));
    assert_eq!(pacer.events().last(), Some(&Event::BreakerClosed));
    assert_eq!(pacer.stats().breaker_opened, 2);
}

#[test]
fn a_late_success_closes_no_breaker() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder);
    let (mut bad, mut late) = (begin(&pacer), begin(&pacer));
    goes(&mut bad);
    goes(&mut late);
    done(&mut bad, 401);
    done(&mut late, 200);
    assert!(fails(&mut begin(&pacer)).is_breaker_open());
}

#[test]
fn late_answers_change_nothing_when_the_breaker_is_half_open() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder);
    let (mut bad, mut late, mut later) = (begin(&pacer), begin(&pacer), begin(&pacer));
    [&mut bad, &mut late, &mut later].into_iter().for_each(goes);
    done(&mut bad, 401);
    clock.advance(30 * SECOND);
    // Sent with the old credential, before it opened: no news.
    done(&mut late, 401);
    let mut probe = begin(&pacer);
    goes(&mut probe);
    done(&mut later, 401);
    done(&mut probe, 200);
    goes(&mut begin(&pacer));
    assert_eq!(pacer.stats().breaker_opened, 1);
}

#[test]
fn who_went_first_after_a_pause_closes_no_breaker_that_opened_since() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder.base(Duration::ZERO));
    let (mut refused, mut bad) = (begin(&pacer), begin(&pacer));
    goes(&mut refused);
    goes(&mut bad);
    let limits = read_headers([("Retry-After", "1")], clock.now());
    assert!(matches!(refused.finish(429, &limits), Finish::Retry { .. }));
    clock.advance(SECOND);
    goes(&mut refused);
    done(&mut bad, 401);
    done(&mut refused, 200);
    assert!(fails(&mut begin(&pacer)).is_breaker_open());
}

#[test]
fn forbidden_answers_open_the_breaker_when_they_follow_each_other() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder);
    let answer = |status| {
        let mut call = begin(&pacer);
        goes(&mut call);
        done(&mut call, status);
    };
    [403, 403, 200, 403, 403].into_iter().for_each(answer);
    assert_eq!(pacer.stats().breaker_opened, 0);
    answer(403);
    let error = fails(&mut begin(&pacer));
    assert!(error.to_string().contains("403, 3 times"), "{error}");
    pacer.reset();
    answer(200);
}

#[test]
fn calls_that_are_given_up_open_the_breaker() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder.max_failures(2).max_retries(0).concurrency(3));
    let give_up = || {
        let mut call = begin(&pacer);
        goes(&mut call);
        assert!(raises(&mut call, 429, &ServerLimits::NONE).is_retries_exhausted());
    };
    give_up();
    give_up();
    assert!(fails(&mut begin(&pacer)).to_string().contains("2 calls failed"));
    // A host may call a 5xx a failure.
    pacer.reset();
    for _ in 0..2 {
        let mut call = begin(&pacer);
        goes(&mut call);
        assert!(matches!(call.finish_as(Class::Failed, 500, &ServerLimits::NONE), Finish::Done));
    }
    assert!(fails(&mut begin(&pacer)).is_breaker_open());
}

#[test]
fn first_come_first_served_and_a_big_cost_is_not_starved() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder.policy("10/second").headroom(0));
    let mut first = costing(&pacer, 8);
    goes(&mut first);
    let mut big = costing(&pacer, 10);
    let mut small: Vec<Call> = (0..3).map(|_| begin(&pacer)).collect();
    assert_eq!(waits(&mut big), Some(800 * MS));
    small.iter_mut().for_each(|call| assert_eq!(waits(call), None));
    clock.advance(800 * MS);
    small.iter_mut().for_each(|call| {
        waits(call);
    });
    goes(&mut big);
    // One after the other, in their order.
    for index in 0..3 {
        clock.advance(100 * MS);
        small[index + 1..].iter_mut().for_each(|call| {
            waits(call);
        });
        goes(&mut small[index]);
    }
    assert_eq!(pacer.stats().waits, [("10/second".to_owned(), 4)]);
    assert_eq!(pacer.stats().wait, (800 + 900 + 1000 + 1100) * MS);
}

#[test]
fn a_retry_keeps_its_place_by_its_first_arrival() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder.concurrency(1));
    let mut old = begin(&pacer);
    goes(&mut old);
    let (mut one, mut other) = (begin(&pacer), begin(&pacer));
    let Finish::Retry { .. } = old.finish_as(Class::Retry, 500, &retry_after("1")) else {
        panic!("it is tried again");
    };
    goes(&mut one);
    clock.advance(SECOND);
    waits(&mut other);
    done(&mut one, 200);
    waits(&mut other);
    goes(&mut old);
    done(&mut old, 200);
    goes(&mut other);
}

#[test]
fn who_leaves_takes_nothing() {
    let clock = clock();
    let limiter = Limiter::builder("10/hour").clock(clock.clone()).build().unwrap();
    let pacer = Pacer::builder().limiter(&limiter, "k").concurrency(1).build().unwrap();
    let left = || limiter.peek("k", 0).unwrap().remaining();
    // Never asked, so never sent.
    drop(costing(&pacer, 5));
    assert_eq!((left(), pacer.stats().in_flight, pacer.stats().attempts), (10, 0, 0));
    let mut call = begin(&pacer);
    goes(&mut call);
    let (mut waiting, mut next) = (begin(&pacer), costing(&pacer, 2));
    waits(&mut waiting);
    waits(&mut next);
    drop(waiting);
    assert_eq!(left(), 9);
    // Let go while nobody asked it: its units and its slot come back.
    done(&mut call, 200);
    assert_eq!((left(), pacer.stats().in_flight), (7, 1));
    drop(next);
    assert_eq!((left(), pacer.stats().in_flight, pacer.stats().waiting), (9, 0, 0));
    // Sent, and then dropped: what was sent was spent; the slot comes back.
    let mut sent = begin(&pacer);
    goes(&mut sent);
    drop(sent);
    assert_eq!((left(), pacer.stats().in_flight), (8, 0));
    // Asleep.
    let mut asleep = begin(&pacer);
    goes(&mut asleep);
    retries(&mut asleep, 429, &retry_after("1"));
    drop(asleep);
    assert_eq!((pacer.stats().in_flight, pacer.stats().waiting), (0, 0));
}

#[test]
fn permits_and_latency_of_a_limiter_are_settled_once() {
    let clock = clock();
    let policy = r#"{"limit": [{"method": "concurrency", "quota": 2}, {"rate": "10s/hour"}]}"#;
    let limiter = Limiter::builder(policy).clock(clock.clone()).build().unwrap();
    let pacer = Pacer::builder().limiter(&limiter, "k").build().unwrap();
    let used = || {
        let buckets = limiter.snapshot("k").unwrap().buckets;
        (buckets[0].used, buckets[1].used / 1_000_000_000)
    };
    let (mut one, mut other) = (begin(&pacer), begin(&pacer));
    goes(&mut one);
    goes(&mut other);
    assert_eq!(used(), (2, 0));
    let mut third = begin(&pacer);
    waits(&mut third);
    clock.advance(SECOND);
    done(&mut one, 200);
    done(&mut one, 200);
    assert_eq!(used(), (2, 1));
    goes(&mut third);
    drop(other);
    assert_eq!(used(), (1, 2));
    drop(third);
    assert_eq!(used(), (0, 2));
}

#[test]
fn what_the_server_has_less_is_taken_from_the_limiter() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder.policy("100/hour").headroom(0));
    let left = || pacer.limiter().unwrap().peek("", 0).unwrap().remaining();
    let server = |remaining: &str| {
        told(&[
            ("RateLimit-Limit", "100"),
            ("RateLimit-Remaining", remaining),
            ("RateLimit-Reset", "9"),
        ])
    };
    let mut calls: Vec<Call> = (0..4).map(|_| begin(&pacer)).collect();
    calls.iter_mut().for_each(goes);
    assert_eq!(left(), 96);
    // What others sent meanwhile may be counted or not: 96 to 99 are what we know ourselves.
    assert!(matches!(calls[0].finish(200, &server("96")), Finish::Done));
    assert_eq!(left(), 96);
    // Somebody else has used 50; each later answer tells the same, and it is charged once.
    assert!(matches!(calls[1].finish(200, &server("46")), Finish::Done));
    assert_eq!(left(), 46);
    assert!(matches!(calls[2].finish(200, &server("46")), Finish::Done));
    assert!(matches!(calls[3].finish(200, &server("46")), Finish::Done));
    assert_eq!(left(), 46);
    // The server has more: nothing is given.
    let mut call = begin(&pacer);
    goes(&mut call);
    assert!(matches!(call.finish(200, &server("99")), Finish::Done));
    assert_eq!(left(), 45);
}

#[test]
fn a_quota_known_from_headers_alone_is_kept() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder.near_limit(0).concurrency(3));
    let server = |remaining: &str, reset: &str| {
        told(&[("X-RateLimit-Remaining", remaining), ("X-RateLimit-Reset", reset)])
    };
    let mut calls: Vec<Call> = (0..3).map(|_| begin(&pacer)).collect();
    calls.iter_mut().for_each(goes);
    // One is left besides the two that may not be in it yet.
    assert!(matches!(calls[0].finish(200, &server("3", "30")), Finish::Done));
    let (mut fourth, mut fifth) = (begin(&pacer), begin(&pacer));
    goes(&mut fourth);
    assert!(waits(&mut fifth).is_none());
    assert!(matches!(calls[1].finish(200, &server("2", "30")), Finish::Done));
    waits(&mut fifth);
    assert!(matches!(calls[2].finish(200, &server("1", "30")), Finish::Done));
    waits(&mut fifth);
    assert!(matches!(fourth.finish(200, &server("0", "30")), Finish::Done));
    assert_eq!(waits(&mut fifth), Some(30 * SECOND));
    assert_eq!(pacer.stats().pauses, 1);
    clock.advance(30 * SECOND);
    goes(&mut fifth);
    // One goes first, and tells what there is.
    let mut sixth = begin(&pacer);
    assert_eq!(waits(&mut sixth), None);
    assert!(matches!(fifth.finish(200, &server("9", "30")), Finish::Done));
    goes(&mut sixth);
    assert_eq!(pacer.stats().limited, 0);
}

#[test]
fn when_little_is_left_it_is_spread_and_told_once() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder.near_limit(100));
    let server = |remaining: u64, reset: u64| {
        let (remaining, reset) = (remaining.to_string(), reset.to_string());
        told(&[
            ("X-RateLimit-Limit", "100"),
            ("X-RateLimit-Remaining", &remaining),
            ("X-RateLimit-Reset", &reset),
        ])
    };
    let mut call = begin(&pacer);
    goes(&mut call);
    assert!(matches!(call.finish(200, &server(11, 60)), Finish::Done));
    let mut call = begin(&pacer);
    goes(&mut call);
    assert!(pacer.events().is_empty());
    assert!(matches!(call.finish(200, &server(9, 60)), Finish::Done));
    let near = pacer.events();
    assert!(matches!(&near[..], [Event::NearLimit { remaining: Some(9), .. }]), "{near:?}");
    // Nine until the reset: one every six seconds.
    let mut call = begin(&pacer);
    assert_eq!(waits(&mut call), Some(6 * SECOND));
    clock.advance(6 * SECOND);
    goes(&mut call);
    assert!(matches!(call.finish(200, &server(8, 54)), Finish::Done));
    assert!(pacer.events().is_empty());
    assert_eq!(waits(&mut begin(&pacer)), Some(6 * SECOND));
    // More is left again.
    let mut call = begin(&pacer);
    clock.advance(60 * SECOND);
    goes(&mut call);
    assert!(matches!(call.finish(200, &server(99, 60)), Finish::Done));
    pacer.observe(&server(5, 60));
    assert_eq!(pacer.events().len(), 1);
}

#[test]
fn nothing_left_until_far_away_is_an_error_at_once() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder.max_retry_after(60 * SECOND));
    let limits = told(&[("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "1700003600")]);
    let mut call = begin(&pacer);
    goes(&mut call);
    assert!(matches!(call.finish(200, &limits), Finish::Done));
    assert_eq!(fails(&mut begin(&pacer)).retry_after(), Some(3600 * SECOND));
    assert_eq!((pacer.stats().pauses, pacer.stats().attempts), (1, 1));
}

#[test]
fn a_reset_that_nobody_tells_is_guessed_only_when_it_is_near() {
    let clock = clock();
    let answer = |name: &str| {
        let pacer = pacer(&clock, |builder| builder);
        let mut call = begin(&pacer);
        goes(&mut call);
        assert!(matches!(call.finish(200, &told(&[(name, "0")])), Finish::Done));
        pacer
    };
    let pacer = answer("X-RateLimit-Remaining-Second");
    assert_eq!(waits(&mut begin(&pacer)), Some(SECOND));
    goes(&mut begin(&answer("X-RateLimit-Remaining-Day")));
    goes(&mut begin(&answer("X-RateLimit-Remaining")));
}

#[test]
fn a_server_that_says_little_is_left_is_told_of_once() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder);
    let limits = told(&[
        ("X-RateLimit-NearLimit", "true"),
        ("X-RateLimit-Limit", "350"),
        ("X-RateLimit-Remaining", "60"),
    ]);
    pacer.observe(&limits);
    pacer.observe(&limits);
    assert_eq!(pacer.events().len(), 1);
}

#[test]
fn tokens_are_not_what_calls_are_counted_in() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder);
    let tokens = |left: &str| {
        told(&[("x-ratelimit-remaining-tokens", left), ("x-ratelimit-reset-tokens", "6m0s")])
    };
    let mut calls: Vec<Call> = (0..5).map(|_| begin(&pacer)).collect();
    calls.iter_mut().for_each(goes);
    assert!(matches!(calls[0].finish(200, &tokens("3")), Finish::Done));
    goes(&mut begin(&pacer));
}

#[test]
fn headroom_lowers_bursts_of_a_policy() {
    let clock = clock();
    let burst = |with: fn(PacerBuilder) -> PacerBuilder| {
        let pacer = pacer(&clock, |builder| with(builder.policy("100/minute").concurrency(8)));
        pacer.limiter().unwrap().snapshot("").unwrap().buckets[0].capacity
    };
    assert_eq!(burst(|builder| builder), 92);
    assert_eq!(burst(|builder| builder.headroom(0)), 100);
    assert_eq!(burst(|builder| builder.headroom(1000)), 1);
    assert_eq!(burst(|builder| builder.policy("100/minute burst 4")), 1);
}

#[test]
fn a_cost_that_can_never_fit_fails_at_once() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder.policy("10/second").headroom(0));
    let error = fails(&mut costing(&pacer, 11));
    assert!(error.is_impossible());
    assert!(error.to_string().contains("10/second"), "{error}");
}

#[test]
fn a_closed_pacer_lets_nobody_go() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder.concurrency(1));
    let mut call = begin(&pacer);
    goes(&mut call);
    let mut waiting = begin(&pacer);
    waits(&mut waiting);
    pacer.close();
    assert!(fails(&mut waiting).is_closed());
    assert!(fails(&mut begin(&pacer)).is_closed());
    assert!(matches!(call.finish(429, &ServerLimits::NONE), Finish::Raise(PacerError::Closed)));
    assert_eq!((pacer.stats().in_flight, pacer.stats().waiting), (0, 0));
}

#[test]
fn a_host_with_one_timer_is_told_whom_to_ask_and_when() {
    let clock = clock();
    let pacer = pacer(&clock, |builder| builder.policy("1/second burst 1").concurrency(2));
    let mut calls: Vec<Call> = (0..3).map(|_| begin(&pacer)).collect();
    goes(&mut calls[0]);
    waits(&mut calls[1]);
    waits(&mut calls[2]);
    let tick = pacer.tick();
    assert_eq!((tick.ready.len(), tick.next), (0, Some(SECOND)));
    clock.advance(SECOND);
    let tick = pacer.tick();
    assert_eq!(tick.ready, [calls[1].number()]);
    // The slots are full: only a finish helps.
    assert_eq!(tick.next, None);
    goes(&mut calls[1]);
    clock.advance(SECOND);
    assert!(pacer.tick().ready.is_empty());
    done(&mut calls[0], 200);
    assert_eq!(pacer.tick().ready, [calls[2].number()]);
    goes(&mut calls[2]);
    let after = retries(&mut calls[2], 429, &retry_after("7"));
    assert_eq!(pacer.tick().next, Some(after));
}

#[test]
fn options_out_of_range_are_refused_by_name() {
    let refused = |builder: PacerBuilder| builder.build().expect_err("refused").field().to_owned();
    assert_eq!(refused(Pacer::builder().concurrency(0)), "concurrency");
    assert_eq!(refused(Pacer::builder().concurrency(1_000_001)), "concurrency");
    assert_eq!(refused(Pacer::builder().near_limit(1001)), "near_limit");
    let limiter = Limiter::new("1/second").unwrap();
    assert_eq!(refused(Pacer::builder().limiter(&limiter, "k").clock(clock())), "clock");
    assert!(Pacer::builder().policy("1/fortnight").build().expect_err("refused").is_policy());
    assert_eq!(Class::from_name("lucky").expect_err("refused").field(), "class");
    assert_eq!(Class::from_name("retry").unwrap(), Class::Retry);
}

#[test]
fn hosts_make_limits_themselves() {
    let mut quota = Quota::default();
    (quota.remaining, quota.reset_after) = (Some(0), Some(SECOND));
    let mut limits = ServerLimits::default();
    limits.quotas.push(quota);
    assert!(!limits.is_empty());
    assert_eq!(limits.delay(), Some(SECOND));
}
