//! A pacer whose limiter has other users: what they give back, whoever waits in the pacer hears of at once. Time stands
//! still, so that nobody can come back by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

use tidegate::client::{Call, CallOptions, Class, Finish, Pacer, Response, ServerLimits, Step};
use tidegate::{Limiter, ManualClock, Reservation, Timestamp, Turn};

const PERMIT: &str = r#"{"limit": [{"name": "open", "method": "concurrency", "quota": 1}]}"#;
const UNITS: &str = "2/hour";

fn limiter(policy: &str) -> Limiter {
    let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
    Limiter::builder(policy).clock(clock).build().unwrap()
}

fn pacer(limiter: &Limiter) -> Pacer {
    Pacer::builder().limiter(limiter, "k").base(Duration::ZERO).build().unwrap()
}

fn begin(pacer: &Pacer) -> Call {
    pacer.begin(CallOptions::default())
}

/// Counts how often it was woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Bell {
    fn new() -> (Arc<Bell>, Waker) {
        let bell = Arc::new(Bell::default());
        (Arc::clone(&bell), Waker::from(bell))
    }

    fn rings(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[track_caller]
fn waits(call: &mut Call, waker: &Waker) {
    let step = call.poll(waker);
    assert!(matches!(step, Step::Wait(_)), "{step:?}");
}

#[track_caller]
fn goes(call: &mut Call) {
    let step = call.check();
    assert!(matches!(step, Step::Go), "{step:?}");
}

#[test]
fn a_permit_that_somebody_else_gives_back_lets_the_head_go() {
    let limiter = limiter(PERMIT);
    let pacer = pacer(&limiter);
    for round in 1..4 {
        assert!(limiter.acquire("k", 1).unwrap().allowed());
        let ((bell, waker), (second_bell, second_waker)) = (Bell::new(), Bell::new());
        let (mut head, mut second) = (begin(&pacer), begin(&pacer));
        waits(&mut head, &waker);
        waits(&mut second, &second_waker);
        limiter.release("other").unwrap();
        assert_eq!(bell.rings(), 0, "round {round}");
        limiter.release("k").unwrap();
        // It has the permit already when it is woken: nobody can come in between. (The next is told that it is the first.)
        assert_eq!((bell.rings(), second_bell.rings()), (1, 1), "round {round}");
        waits(&mut second, &second_waker);
        assert!(!limiter.acquire("k", 1).unwrap().allowed());
        goes(&mut head);
        assert!(matches!(head.finish(200, &ServerLimits::NONE), Finish::Done));
        assert_eq!(second_bell.rings(), 2);
        goes(&mut second);
        drop(second);
        assert_eq!(limiter.snapshot("k").unwrap().buckets[0].used, 0);
    }
}

#[test]
fn so_does_everything_that_gives_back() {
    type Giving = fn(&Limiter, Reservation);
    let ways: [Giving; 6] = [
        |_, reservation| reservation.cancel().unwrap(),
        |_, reservation| reservation.settle(0).unwrap(),
        |limiter, _| limiter.refund("k", 1).unwrap(),
        |limiter, _| limiter.reset("k").unwrap(),
        |limiter, _| limiter.update(r#"{"limit": [{"name": "new", "rate": "3/hour"}]}"#).unwrap(),
        // Records may be shared by subjects of several queues.
        |limiter, _| {
            limiter
                .update(r#"{"limit": [{"name": "new", "rate": "3/hour", "by": ["key"]}]}"#)
                .unwrap();
        },
    ];
    for (way, give) in ways.iter().enumerate() {
        let limiter = limiter(UNITS);
        let pacer = pacer(&limiter);
        let reservation = limiter.reserve("k", 2).unwrap();
        let (bell, waker) = Bell::new();
        let mut call = begin(&pacer);
        waits(&mut call, &waker);
        give(&limiter, reservation);
        assert_eq!(bell.rings(), 1, "way {way}");
        goes(&mut call);
    }
}

#[test]
fn a_host_with_one_timer_is_told() {
    let limiter = limiter(PERMIT);
    let pacer = pacer(&limiter);
    assert!(limiter.acquire("k", 1).unwrap().allowed());
    let (bell, waker) = Bell::new();
    pacer.wakes(&waker);
    let mut call = begin(&pacer);
    assert!(matches!(call.check(), Step::Wait(_)));
    assert!(pacer.tick().ready.is_empty());
    let before = bell.rings();
    limiter.release("k").unwrap();
    assert!(bell.rings() > before);
    assert_eq!(pacer.tick().ready, [call.number()]);
    goes(&mut call);
}

#[test]
fn a_pacer_is_not_woken_by_its_own_permits_before_it_has_read_the_answer() {
    let limiter = limiter(PERMIT);
    let pacer = pacer(&limiter);
    let mut first = begin(&pacer);
    goes(&mut first);
    let (bell, waker) = Bell::new();
    let mut second = begin(&pacer);
    waits(&mut second, &waker);
    // The permit is free, but everybody waits now: the server said so.
    let mut told = ServerLimits::NONE;
    told.retry_after = Some(Duration::from_secs(9));
    assert!(matches!(first.finish_as(Class::Limited, 429, &told), Finish::Retry { .. }));
    assert_eq!(limiter.snapshot("k").unwrap().buckets[0].used, 0);
    waits(&mut second, &waker);
    // Nor by what others give back in a pause.
    let before = bell.rings();
    assert!(limiter.acquire("k", 1).unwrap().allowed());
    limiter.release("k").unwrap();
    assert_eq!(bell.rings(), before);
    waits(&mut second, &waker);
}

#[test]
fn who_waits_in_the_limiter_itself_is_served_before_a_pacer() {
    let limiter = limiter(PERMIT);
    let pacer = pacer(&limiter);
    assert!(limiter.acquire("k", 1).unwrap().allowed());
    let ((bell, waker), (calls_bell, calls_waker)) = (Bell::new(), Bell::new());
    let mut call = begin(&pacer);
    waits(&mut call, &calls_waker);
    let mut tickets = [(); 2].map(|()| limiter.queue("k", 1, None));
    for ticket in &mut tickets {
        assert!(matches!(ticket.poll(&waker).unwrap(), Turn::Wait(_)));
    }
    let [mut first, second] = tickets;
    limiter.release("k").unwrap();
    assert_eq!((bell.rings(), calls_bell.rings()), (1, 0));
    assert!(matches!(first.poll(&waker).unwrap(), Turn::Done(_)));
    limiter.release("k").unwrap();
    assert_eq!(calls_bell.rings(), 0);
    // The last one leaves without what it was told of.
    drop(second);
    assert_eq!(calls_bell.rings(), 1);
    goes(&mut call);
}

#[test]
fn a_pacer_that_is_gone_or_has_nobody_waiting_is_not_told() {
    let limiter = limiter(PERMIT);
    let (one, other) = (pacer(&limiter), pacer(&limiter));
    assert!(limiter.acquire("k", 1).unwrap().allowed());
    let ((bell, waker), (others_bell, others_waker)) = (Bell::new(), Bell::new());
    let (mut call, mut others_call) = (begin(&one), begin(&other));
    waits(&mut call, &waker);
    waits(&mut others_call, &others_waker);
    drop((call, one));
    limiter.release("k").unwrap();
    assert_eq!((bell.rings(), others_bell.rings()), (0, 1));
    goes(&mut others_call);
}

struct Answer;

impl Response for Answer {
    fn status(&self) -> u16 {
        200
    }
    fn headers(&self, _: &mut dyn FnMut(&[u8], &[u8])) {}
}

/// Pacers and plain users of one permit, in threads. Where somebody were not told, it would wait for ever.
#[test]
fn nobody_who_waits_is_forgotten() {
    const THREADS: usize = 3;
    const CALLS: usize = 300;
    let limiter = limiter(PERMIT);
    let inside = AtomicUsize::new(0);
    let work = || {
        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
        inside.fetch_sub(1, Ordering::SeqCst);
    };
    std::thread::scope(|scope| {
        for pacer in [pacer(&limiter), pacer(&limiter)] {
            for _ in 0..THREADS {
                let pacer = pacer.clone();
                scope.spawn(move || {
                    for _ in 0..CALLS {
                        let done = pacer.call(CallOptions::default(), |_| {
                            work();
                            Ok::<_, std::io::Error>(Answer)
                        });
                        done.unwrap();
                    }
                });
            }
        }
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..CALLS {
                    assert!(limiter.wait("k", 1, None).unwrap().allowed());
                    work();
                    limiter.release("k").unwrap();
                }
            });
        }
    });
    assert_eq!(limiter.snapshot("k").unwrap().buckets[0].used, 0);
}
