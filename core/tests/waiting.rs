//! Waiting: first come, first served; who leaves has taken nothing. No real sleeping.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

use tidegate::{Limiter, ManualClock, Reason, Ticket, Timestamp, Turn};

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn waker() -> (Waker, Arc<Count>) {
    let count = Arc::new(Count(AtomicUsize::new(0)));
    (Waker::from(Arc::clone(&count)), count)
}

fn limiter(policy: &str) -> (Limiter, ManualClock) {
    let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
    (Limiter::builder(policy).clock(clock.clone()).build().unwrap(), clock)
}

fn admitted(ticket: &mut Ticket, waker: &Waker) -> bool {
    matches!(ticket.poll(waker).unwrap(), Turn::Done(decision) if decision.allowed())
}

#[test]
fn first_come_first_served_and_a_big_cost_is_not_overtaken() {
    let (limiter, clock) = limiter("10/second");
    assert!(limiter.try_acquire("key", 10));
    let (waker, woken) = waker();
    let mut big = limiter.queue("key", 8, None);
    let mut small = limiter.queue("key", 1, None);
    assert!(!admitted(&mut big, &waker) && !admitted(&mut small, &waker));
    clock.advance(Duration::from_millis(700));
    assert!(woken.0.load(Ordering::SeqCst) > 0, "moving the clock wakes the waiters");
    assert!(!admitted(&mut small, &waker), "7 are there, but the small one is second");
    assert!(!admitted(&mut big, &waker));
    clock.advance(Duration::from_millis(100));
    assert!(!admitted(&mut small, &waker));
    assert!(admitted(&mut big, &waker));
    assert!(!admitted(&mut small, &waker));
    clock.advance(Duration::from_millis(100));
    assert!(admitted(&mut small, &waker));
}

#[test]
fn a_cancelled_waiter_takes_nothing_and_lets_the_next_one_go() {
    let (limiter, clock) = limiter("10/second");
    assert!(limiter.try_acquire("key", 10));
    let (waker, woken) = waker();
    let mut first = limiter.queue("key", 10, None);
    let mut second = limiter.queue("key", 1, None);
    assert!(!admitted(&mut first, &waker) && !admitted(&mut second, &waker));
    clock.advance(Duration::from_millis(100));
    let before = woken.0.load(Ordering::SeqCst);
    assert!(!admitted(&mut second, &waker));
    drop(first);
    assert!(woken.0.load(Ordering::SeqCst) > before);
    assert!(admitted(&mut second, &waker));
    assert_eq!(limiter.peek("key", 1).unwrap().remaining(), 0);
}

#[test]
fn a_timeout_that_cannot_be_kept_is_told_at_once() {
    let (limiter, clock) = limiter("1/minute");
    assert!(limiter.try_acquire("key", 1));
    let decision = limiter.wait("key", 1, Some(Duration::from_secs(59))).unwrap();
    assert!(!decision.allowed());
    assert_eq!(decision.retry_after(), Duration::from_secs(60));
    let (waker, _) = waker();
    let mut ticket = limiter.queue("key", 1, Some(Duration::from_secs(60)));
    assert!(!admitted(&mut ticket, &waker));
    clock.advance(Duration::from_secs(60));
    assert!(admitted(&mut ticket, &waker));
    let never = limiter.wait("key", 2, None).unwrap();
    assert_eq!(never.reason(), Reason::Impossible);
}

#[test]
fn a_second_waiter_times_out_in_the_queue() {
    let (limiter, clock) = limiter("1/minute");
    assert!(limiter.try_acquire("key", 1));
    let (waker, _) = waker();
    let mut first = limiter.queue("key", 1, None);
    let mut second = limiter.queue("key", 1, Some(Duration::from_secs(90)));
    assert!(!admitted(&mut first, &waker) && !admitted(&mut second, &waker));
    clock.advance(Duration::from_secs(90));
    match second.poll(&waker).unwrap() {
        Turn::Done(decision) => {
            assert!(!decision.allowed());
            assert!(decision.retry_after() > Duration::ZERO);
        }
        turn => panic!("{turn:?}"),
    }
    assert!(admitted(&mut first, &waker));
}

#[test]
fn a_permit_that_comes_back_wakes_the_head() {
    let policy = r#"{"limit": [{"name": "connections", "method": "concurrency", "quota": 1}]}"#;
    let (limiter, _) = limiter(policy);
    let admission = limiter.admit("room", 1).unwrap();
    let (waker, woken) = waker();
    let mut ticket = limiter.queue("room", 1, Some(Duration::from_millis(500)));
    assert!(!admitted(&mut ticket, &waker));
    let before = woken.0.load(Ordering::SeqCst);
    admission.finish().unwrap();
    assert_eq!(woken.0.load(Ordering::SeqCst), before + 1);
    assert!(admitted(&mut ticket, &waker));
}

#[test]
fn refund_reset_and_update_wake_the_head() {
    let (limiter, _) = limiter("1/day");
    let (waker, woken) = waker();
    let wakes = |change: &dyn Fn()| {
        limiter.try_acquire("key", 1);
        let mut ticket = limiter.queue("key", 1, None);
        assert!(!admitted(&mut ticket, &waker));
        let before = woken.0.load(Ordering::SeqCst);
        change();
        assert_eq!(woken.0.load(Ordering::SeqCst), before + 1);
        assert!(admitted(&mut ticket, &waker));
    };
    wakes(&|| limiter.refund("key", 1).unwrap());
    wakes(&|| limiter.reset("key").unwrap());
    wakes(&|| limiter.update("1/day").and(limiter.reset("key")).unwrap());
}

/// Many threads wait for one key on a manual clock; each unit admits exactly one of them.
#[test]
fn threads_wait_for_their_turn() {
    let (limiter, clock) = limiter("1/second");
    assert!(limiter.try_acquire("key", 1));
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                assert!(limiter.wait("key", 1, None).unwrap().allowed());
                done.fetch_add(1, Ordering::SeqCst);
            });
        }
        let mut seconds = 0;
        while done.load(Ordering::SeqCst) < 8 {
            assert!(done.load(Ordering::SeqCst) <= seconds);
            seconds += 1;
            clock.advance(Duration::from_secs(1));
            std::thread::yield_now();
        }
    });
    assert_eq!(limiter.stats().allowed, 9);
}

#[test]
fn ten_thousand_waiters_are_ten_thousand_places_in_a_queue() {
    let (limiter, clock) = limiter("1000/second");
    assert!(limiter.try_acquire("key", 1000));
    let (waker, _) = waker();
    let mut tickets: Vec<_> = (0..10_000).map(|_| limiter.queue("key", 1, None)).collect();
    for second in 1..=10 {
        clock.advance(Duration::from_secs(1));
        let done =
            tickets.iter_mut().filter_map(|ticket| admitted(ticket, &waker).then_some(())).count();
        assert_eq!(done, second * 1_000);
    }
}

#[test]
fn what_is_hopeless_is_told_in_the_queue_too() {
    let (limiter, _) = limiter("1/minute");
    assert!(limiter.try_acquire("key", 1));
    let (waker, _) = waker();
    let mut first = limiter.queue("key", 1, None);
    assert!(!admitted(&mut first, &waker));
    assert_eq!(limiter.wait("key", 1_000, None).unwrap().reason(), Reason::Impossible);
    let decision = limiter.wait("key", 1, Some(Duration::from_secs(59))).unwrap();
    assert_eq!((decision.allowed(), decision.retry_after()), (false, Duration::from_secs(60)));
}

/// A waker may own a task that owns a ticket of the same queue: dropping it comes back into the queue.
#[test]
fn a_waker_that_owns_a_ticket_is_dropped_outside_the_locks() {
    struct Owner(Option<Ticket>);
    impl Wake for Owner {
        fn wake(self: Arc<Self>) {
            assert!(self.0.is_some());
        }
    }
    let (limiter, clock) = limiter("1/minute");
    assert!(limiter.try_acquire("key", 1));
    let owner =
        |limiter: &Limiter| Waker::from(Arc::new(Owner(Some(limiter.queue("key", 1, None)))));
    let mut replaced = limiter.queue("key", 1, None);
    assert!(!admitted(&mut replaced, &owner(&limiter)));
    assert!(!admitted(&mut replaced, Waker::noop()));
    let mut dropped = limiter.queue("key", 1, None);
    assert!(!admitted(&mut dropped, &owner(&limiter)));
    drop(dropped);
    let mut woken = limiter.queue("key", 1, None);
    assert!(!admitted(&mut woken, &owner(&limiter)));
    clock.advance(Duration::from_secs(60));
}
