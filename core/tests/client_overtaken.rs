//! Answers that overtake each other: whatever the order, no more is sent than the server has left.

use std::time::Duration;

use tidegate::client::{Call, CallOptions, Finish, Pacer, ServerLimits, Step, read_headers};
use tidegate::{ManualClock, Timestamp};

const START: Timestamp = Timestamp::from_secs(1_700_000_000);
const QUOTA: u64 = 40;
const WINDOW: u64 = 60;

/// xorshift64*: small, and the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    First,
    Last,
    Any,
}

const ORDERS: [Order; 3] = [Order::First, Order::Last, Order::Any];

impl Order {
    fn take<T>(self, from: &mut Vec<T>, random: &mut Random) -> T {
        match self {
            Order::First => from.remove(0),
            Order::Last => from.pop().unwrap(),
            Order::Any => from.remove(random.below(from.len())),
        }
    }
}

/// What the server says of a request, if it was not refused.
type Told = Option<ServerLimits>;

/// A server with a fixed window, a pacer that knows it from headers alone, and what is on its way between them.
struct Job {
    clock: ManualClock,
    pacer: Pacer,
    random: Random,
    concurrency: usize,
    /// The cost of a call is 1 to this.
    costs: usize,
    left: u64,
    reset: Timestamp,
    refused: u64,
    accepted: u64,
    waiting: Option<(Call, u64)>,
    on_their_way: Vec<(Call, u64)>,
    handled: Vec<(Call, Told)>,
}

impl Job {
    fn new(seed: u64, costs: usize) -> Job {
        let clock = ManualClock::new(START);
        // All that is under way in a new window, of which nothing is known yet, is to fit in.
        let concurrency = 20 / costs;
        let builder = Pacer::builder().clock(clock.clone()).near_limit(0).base(Duration::ZERO);
        let pacer = builder.concurrency(concurrency as u32).seed(1).build().unwrap();
        Job {
            reset: START.saturating_add(Duration::from_secs(WINDOW)),
            random: Random(seed),
            left: QUOTA,
            costs,
            refused: 0,
            accepted: 0,
            waiting: None,
            on_their_way: Vec::new(),
            handled: Vec::new(),
            clock,
            pacer,
            concurrency,
        }
    }

    /// Sends whatever may go.
    fn send(&mut self) {
        loop {
            let (mut call, cost) = self.waiting.take().unwrap_or_else(|| {
                let cost = 1 + self.random.below(self.costs) as u64;
                (self.pacer.begin(CallOptions { cost, ..CallOptions::default() }), cost)
            });
            match call.check() {
                Step::Go => self.on_their_way.push((call, cost)),
                Step::Wait(_) => return self.waiting = Some((call, cost)),
                Step::Fail(error) => panic!("given up: {error}"),
            }
        }
    }

    /// The server handles one that is on its way.
    fn handle(&mut self, order: Order) {
        let (call, cost) = order.take(&mut self.on_their_way, &mut self.random);
        if self.clock.now() >= self.reset {
            self.left = QUOTA;
            self.reset = self.clock.now().saturating_add(Duration::from_secs(WINDOW));
        }
        if self.left < cost {
            self.refused += 1;
            return self.handled.push((call, None));
        }
        self.left -= cost;
        self.accepted += cost;
        let reset =
            self.reset.saturating_since(self.clock.now()).as_nanos().div_ceil(1_000_000_000);
        let fields = [
            ("X-RateLimit-Limit", QUOTA.to_string()),
            ("X-RateLimit-Remaining", self.left.to_string()),
            ("X-RateLimit-Reset", reset.to_string()),
        ];
        let told = read_headers(fields.iter().map(|(name, value)| (name, value)), START);
        self.handled.push((call, Some(told)));
    }

    /// The answer to one that was handled comes.
    fn answer(&mut self, order: Order) {
        let (mut call, told) = order.take(&mut self.handled, &mut self.random);
        // (A refused one is counted; for the pacer it is done.)
        let limits = told.unwrap_or(ServerLimits::NONE);
        assert!(matches!(call.finish(200, &limits), Finish::Done));
    }

    /// It ends, and nothing is told: its answer has no such headers, or it is given up.
    fn end_untold(&mut self) {
        let (mut call, _) = Order::Any.take(&mut self.handled, &mut self.random);
        if self.random.below(2) == 0 {
            assert!(matches!(call.finish(200, &ServerLimits::NONE), Finish::Done));
        }
    }

    fn is_idle(&self) -> bool {
        self.on_their_way.is_empty() && self.handled.is_empty()
    }
}

#[test]
fn twenty_under_way_are_answered_in_any_order() {
    for (handled, answered) in ORDERS.iter().flat_map(|one| ORDERS.map(|other| (*one, other))) {
        for seed in 1..20 {
            let mut job = Job::new(seed, 1);
            job.send();
            assert_eq!(job.on_their_way.len(), job.concurrency);
            (0..job.concurrency).for_each(|_| job.handle(handled));
            // More is sent with each answer, and handled when all of these were answered.
            (0..job.concurrency).for_each(|_| {
                job.answer(answered);
                job.send();
            });
            while !job.is_idle() {
                while !job.on_their_way.is_empty() {
                    job.handle(handled);
                }
                job.answer(answered);
                job.send();
            }
            // And all of it is used.
            let seen = (job.refused, job.accepted);
            assert_eq!(seen, (0, QUOTA), "handled {handled:?}, answered {answered:?}, seed {seed}");
        }
    }
}

#[test]
fn handled_and_answered_in_any_order_over_many_windows() {
    for (costs, seed) in [1, 3].into_iter().flat_map(|costs| (1..40).map(move |seed| (costs, seed)))
    {
        let mut job = Job::new(seed, costs);
        for _ in 0..2000 {
            job.send();
            match job.random.below(8) {
                0..4 if !job.on_their_way.is_empty() => job.handle(Order::Any),
                4..8 if !job.handled.is_empty() => job.answer(Order::Any),
                _ if job.is_idle() => job.clock.advance(Duration::from_secs(1)),
                _ => job.clock.advance(Duration::from_millis(3)),
            }
        }
        assert_eq!(job.refused, 0, "costs {costs}, seed {seed}");
        let windows = job.clock.now().saturating_since(START).as_secs() / WINDOW + 1;
        let used = job.accepted * 10 / (windows * QUOTA);
        assert!(windows > 5 && used >= 7, "{} in {windows} windows", job.accepted);
    }
}

#[test]
fn what_ends_untold_is_spent_until_a_later_one_tells() {
    for seed in 1..60 {
        let mut job = Job::new(seed, 1);
        for _ in 0..2000 {
            job.send();
            match job.random.below(9) {
                0..4 if !job.on_their_way.is_empty() => job.handle(Order::Any),
                4..7 if !job.handled.is_empty() => job.answer(Order::Any),
                7..9 if !job.handled.is_empty() => job.end_untold(),
                _ if job.is_idle() => job.clock.advance(Duration::from_secs(1)),
                _ => job.clock.advance(Duration::from_millis(3)),
            }
        }
        assert_eq!(job.refused, 0, "seed {seed}");
        let windows = job.clock.now().saturating_since(START).as_secs() / WINDOW + 1;
        let used = job.accepted * 10 / (windows * QUOTA);
        assert!(windows > 5 && used >= 5, "{} in {windows} windows", job.accepted);
    }
}

/// Where units come back by and by, an answer to a request that was sent after the last answer says all.
#[test]
fn a_later_answer_may_tell_of_more() {
    let clock = ManualClock::new(START);
    let pacer = Pacer::builder().clock(clock.clone()).near_limit(0).build().unwrap();
    let told = |left: &str| {
        let fields = [("X-RateLimit-Remaining", left), ("X-RateLimit-Reset", "60")];
        read_headers(fields, START)
    };
    let goes = |cost| {
        let mut call = pacer.begin(CallOptions { cost, ..CallOptions::default() });
        matches!(call.check(), Step::Go).then_some(call)
    };
    let mut first = goes(1).unwrap();
    assert!(matches!(first.finish(200, &told("1")), Finish::Done));
    let mut later = goes(1).unwrap();
    assert!(goes(1).is_none());
    assert!(matches!(later.finish(200, &told("5")), Finish::Done));
    // One that costs nothing tells as well.
    let mut free = goes(0).unwrap();
    assert!(goes(6).is_none());
    assert!(matches!(free.finish(200, &told("6")), Finish::Done));
    // Given up before it was sent: it counts as sent until a later one tells.
    let mut two = [goes(3).unwrap(), goes(3).unwrap()];
    assert!(goes(1).is_none());
    assert!(matches!(two[1].finish(200, &told("3")), Finish::Done));
    assert!(goes(1).is_none(), "the other may not be in it");
    assert!(matches!(two[0].finish(200, &told("6")), Finish::Done));
    let one = goes(1);
    assert!(one.is_some() && goes(3).is_none(), "the least that was told");
    assert!(goes(2).is_some());
}
