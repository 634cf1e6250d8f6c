//! Queues of those who wait for a key: first come, first served, one queue a key.
//!
//! Only the head of a queue asks for a decision; the others wait until they are the head, so that a
//! big cost is not overtaken by small ones behind it. Nobody is debited before it is admitted: who
//! leaves, for whatever reason, has taken nothing.
//!
//! Who has a queue of its own in front (a pacer) watches the key instead: it stands in nobody's way, and is told of
//! what is given back when nobody stands in the queue, and when the last one leaves it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::task::Waker;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

use crate::clock::Moment;
use crate::decision::{Decision, NEVER};
use crate::error::Result;
use crate::limiter::Limiter;
use crate::request::Kept;
use crate::sync::{AtomicUsize, Ordering, fence};
use crate::time::{Timestamp, nanos};

/// The queues of a limiter, by tag.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    waiting: AtomicUsize,
    queues: Mutex<Queues>,
}

#[derive(Debug, Default)]
struct Queues {
    by_tag: HashMap<u64, VecDeque<Place>>,
    /// Those who watch a key, by its tag and their numbers.
    watchers: BTreeMap<(u64, u64), Waker>,
    next: u64,
    /// The process whose waiters these are.
    process: u32,
}

type Wakers = SmallVec<[Waker; 2]>;

#[derive(Debug)]
struct Place {
    number: u64,
    waker: Option<Waker>,
}

impl Waiters {
    /// The queues of this process: those of a parent it was forked from are not waited in here.
    fn queues(&self) -> MutexGuard<'_, Queues> {
        let mut queues = self.queues.lock();
        let process = std::process::id();
        if queues.process != process {
            queues.process = process;
            // Not dropped: the parent's wakers are not ours to touch.
            std::mem::forget(std::mem::take(&mut queues.by_tag));
            std::mem::forget(std::mem::take(&mut queues.watchers));
            self.waiting.store(0, Ordering::SeqCst);
        }
        queues
    }

    fn join(&self, tag: u64) -> u64 {
        let mut queues = self.queues();
        let number = queues.next;
        queues.next += 1;
        queues.by_tag.entry(tag).or_default().push_back(Place { number, waker: None });
        // SeqCst, before the head's first look at its record: pairs with `wake_head`.
        self.waiting.fetch_add(1, Ordering::SeqCst);
        number
    }

    /// Leaves the waker at the place; tells whether it is the head.
    fn stand(&self, tag: u64, number: u64, waker: &Waker) -> bool {
        let mut queues = self.queues();
        let Some(queue) = queues.by_tag.get_mut(&tag) else { return false };
        // Numbers ascend in a queue.
        let Ok(index) = queue.binary_search_by_key(&number, |place| place.number) else {
            return false;
        };
        let before = queue[index].waker.replace(waker.clone());
        // SeqCst: the waker is left before the record is looked at; pairs with `wake_head`.
        fence(Ordering::SeqCst);
        // Dropped after the lock: a waker may own a task that owns a ticket.
        drop(queues);
        drop(before);
        index == 0
    }

    fn leave(&self, tag: u64, number: u64) {
        let mut queues = self.queues();
        let Some(queue) = queues.by_tag.get_mut(&tag) else { return };
        let Ok(index) = queue.binary_search_by_key(&number, |place| place.number) else { return };
        let left = queue.remove(index);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        let mut wakers = Wakers::new();
        if queue.is_empty() {
            queues.by_tag.remove(&tag);
            self.take_watchers(&mut queues, tag..=tag, None, &mut wakers);
        } else if index == 0 {
            wakers.extend(queue.front_mut().and_then(|place| place.waker.take()));
        }
        // Wakers are dropped and woken after the lock: they may come back here.
        drop(queues);
        drop(left);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// A number for a watcher.
    pub(crate) fn watcher(&self) -> u64 {
        let mut queues = self.queues();
        queues.next += 1;
        queues.next - 1
    }

    /// Has a waker woken, once, when something is given back to a key. What was given back before, the watcher finds
    /// when it looks after this.
    pub(crate) fn watch(&self, tag: u64, number: u64, waker: Waker) {
        let mut queues = self.queues();
        let before = queues.watchers.insert((tag, number), waker);
        if before.is_none() {
            self.waiting.fetch_add(1, Ordering::SeqCst);
        }
        // SeqCst: the waker is left before the record is looked at; pairs with `wake_head`.
        fence(Ordering::SeqCst);
        // Dropped after the lock, as everywhere.
        drop(queues);
        drop(before);
    }

    pub(crate) fn unwatch(&self, tag: u64, number: u64) {
        let mut queues = self.queues();
        let before = queues.watchers.remove(&(tag, number));
        if before.is_some() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        drop(queues);
        drop(before);
    }

    /// Takes the wakers of those who watch these keys, where nobody stands in the key's queue.
    fn take_watchers(
        &self,
        queues: &mut Queues,
        tags: RangeInclusive<u64>,
        by: Option<u64>,
        wakers: &mut Wakers,
    ) {
        let range = (*tags.start(), 0)..=(*tags.end(), u64::MAX);
        let all = queues.watchers.range(range).map(|(place, _)| *place);
        let told: SmallVec<[_; 2]> = all
            .filter(|(tag, number)| Some(*number) != by && !queues.by_tag.contains_key(tag))
            .collect();
        self.waiting.fetch_sub(told.len(), Ordering::Relaxed);
        wakers.extend(told.iter().filter_map(|place| queues.watchers.remove(place)));
    }

    /// Tells the head of the key's queue, or those who watch the key, that it may have room: after every call that
    /// gives back. `by`: the watcher that gives back, and knows.
    pub(crate) fn wake_head(&self, tag: u64, by: Option<u64>) {
        // SeqCst: what was given back is seen by a head that left no waker yet, or else its waker is seen here.
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut wakers = Wakers::new();
        let mut queues = self.queues();
        let head = queues.by_tag.get_mut(&tag).and_then(VecDeque::front_mut);
        wakers.extend(head.and_then(|place| place.waker.take()));
        self.take_watchers(&mut queues, tag..=tag, by, &mut wakers);
        drop(queues);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// As `wake_head`, of every key: what was given back may be shared by several.
    pub(crate) fn wake_heads(&self, by: Option<u64>) {
        self.wake_each(|queues, wakers| self.take_watchers(queues, 0..=u64::MAX, by, wakers));
    }

    /// Tells everybody: the policy has changed, and so may the queues.
    pub(crate) fn wake_all(&self) {
        self.wake_each(|queues, wakers| {
            self.waiting.fetch_sub(queues.watchers.len(), Ordering::Relaxed);
            wakers.extend(std::mem::take(&mut queues.watchers).into_values());
        });
    }

    /// Tells every head, and the watchers that are taken.
    fn wake_each(&self, take_watchers: impl FnOnce(&mut Queues, &mut Wakers)) {
        fence(Ordering::SeqCst);
        let mut wakers = Wakers::new();
        let mut queues = self.queues();
        let heads = queues.by_tag.values_mut().filter_map(VecDeque::front_mut);
        wakers.extend(heads.filter_map(|place| place.waker.take()));
        take_watchers(&mut queues, &mut wakers);
        drop(queues);
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// A place in a key's queue, from [`Limiter::queue`].
///
/// For hosts with an event loop of their own: [`poll`](Ticket::poll) until it says [`Turn::Done`].
/// Dropping the ticket gives the place up and takes nothing.
#[derive(Debug)]
#[must_use = "a ticket that is dropped gives its place up"]
pub struct Ticket {
    limiter: Limiter,
    subject: Kept,
    /// Its queue.
    tag: u64,
    cost: u64,
    number: u64,
    sleeper: u64,
    deadline: Option<Timestamp>,
    done: Option<Decision>,
}

/// What a waiter has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is decided: admitted, or denied because the timeout has passed or cannot be kept, or
    /// because the cost is impossible.
    Done(Decision),
    /// Poll again when the waker is woken, or after this time at the latest; `None`: only when
    /// woken.
    Wait(Option<Duration>),
}

impl Ticket {
    pub(crate) fn new(
        limiter: Limiter,
        subject: Kept,
        cost: u64,
        timeout: Option<Duration>,
    ) -> Ticket {
        // What is wrong with the subject, the first poll says.
        let tag = limiter.queue_of(&&subject, limiter.moment()).unwrap_or(0);
        let number = limiter.waiters().join(tag);
        let deadline = timeout.map(|timeout| limiter.clock().now().saturating_add(timeout));
        let sleeper = limiter.clock().sleeper();
        Ticket { limiter, subject, tag, cost, number, sleeper, deadline, done: None }
    }

    /// Asks whether it is this waiter's turn. `waker` is woken when it may have become so.
    ///
    /// # Errors
    /// When the store fails; the memory store never does.
    pub fn poll(&mut self, waker: &Waker) -> Result<Turn> {
        if let Some(decision) = self.done {
            return Ok(Turn::Done(decision));
        }
        // First: who moves a manual clock from now on wakes us.
        let runs = self.limiter.clock().runs_or_wakes(self.sleeper, waker);
        let is_head = self.limiter.waiters().stand(self.tag, self.number, waker);
        let at = self.limiter.moment();
        let left = self.deadline.map(|deadline| nanos(deadline.saturating_since(at.now)));
        let turn = if is_head { self.ask(at, left)? } else { self.queued(at, left)? };
        Ok(match turn {
            Turn::Wait(_) if !runs => Turn::Wait(None),
            Turn::Done(decision) => self.finish(decision),
            wait => wait,
        })
    }

    /// The head asks for a decision. `left`: ns until the deadline.
    fn ask(&self, at: Moment, left: Option<u64>) -> Result<Turn> {
        let decision = self.limiter.decide(&&self.subject, at, self.cost)?;
        let is_over = decision.allowed() || decision.retry_after_ns() == NEVER || left == Some(0);
        if is_over || self.is_hopeless(&decision, at, left) {
            return Ok(Turn::Done(decision));
        }
        let ends = [Some(decision.retry_after_ns()), left, self.plan_ends_after(at)];
        Ok(Turn::Wait(ends.into_iter().flatten().min().map(Duration::from_nanos)))
    }

    /// Somebody is before us: what can be known already is that it is hopeless.
    fn queued(&self, at: Moment, left: Option<u64>) -> Result<Turn> {
        let foreseen = self.limiter.denied_in_queue(&&self.subject, at, self.cost)?;
        if foreseen.retry_after_ns() == NEVER
            || left == Some(0)
            || self.is_hopeless(&foreseen, at, left)
        {
            return Ok(Turn::Done(foreseen));
        }
        Ok(Turn::Wait(left.map(Duration::from_nanos)))
    }

    /// Does the advised wait go beyond the deadline? Permits, though, may come back any time, and another plan may have
    /// more room.
    fn is_hopeless(&self, decision: &Decision, at: Moment, left: Option<u64>) -> bool {
        let Some(left) = left.filter(|&left| decision.retry_after_ns() > left) else {
            return false;
        };
        !self.limiter.is_concurrency(decision.name())
            && self.plan_ends_after(at).is_none_or(|ends| ends > left)
    }

    /// Nobody wakes a waiter when a plan that was assigned for a time ends: it is asked again then.
    fn plan_ends_after(&self, at: Moment) -> Option<u64> {
        self.limiter.plan_ends_after(&&self.subject, at)
    }

    fn finish(&mut self, decision: Decision) -> Turn {
        self.limiter.count(decision.reason());
        self.done = Some(decision);
        self.leave();
        Turn::Done(decision)
    }

    fn leave(&self) {
        self.limiter.clock().forget(self.sleeper);
        self.limiter.waiters().leave(self.tag, self.number);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.done.is_none() {
            self.leave();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::ManualClock;

    const PLANS: &str = r#"{"default_plan": "fast", "plan": {
        "fast": {"limit": [{"name": "rate", "rate": "10/hour", "algorithm": "fixed_window", "align": "first_request"}]},
        "slow": {"limit": [{"name": "rate", "rate": "1/hour", "algorithm": "fixed_window", "align": "first_request"}]}}}"#;
    const MINUTE: Duration = Duration::from_secs(60);

    /// Else every call that gives something back, of whatever key, would look through the queues.
    #[test]
    fn watchers_that_were_told_or_left_are_not_counted() {
        let waiters = Waiters::default();
        let waiting = || waiters.waiting.load(Ordering::Relaxed);
        let watch = |tag, number| waiters.watch(tag, number, Waker::noop().clone());
        let (one, other) = (waiters.watcher(), waiters.watcher());
        watch(1, one);
        watch(1, one);
        watch(2, other);
        assert_eq!(waiting(), 2);
        waiters.wake_head(3, None);
        waiters.wake_head(1, Some(one));
        waiters.wake_heads(Some(one));
        assert_eq!(waiting(), 1, "only the other was told");
        waiters.wake_head(1, None);
        assert_eq!(waiting(), 0);
        watch(1, one);
        waiters.unwatch(2, one);
        waiters.unwatch(1, one);
        waiters.unwatch(1, one);
        assert_eq!(waiting(), 0);
        // Who stands in the queue comes first, unless the queues themselves may have changed.
        let number = waiters.join(1);
        watch(1, one);
        waiters.wake_head(1, None);
        waiters.wake_heads(None);
        assert_eq!(waiting(), 2);
        waiters.wake_all();
        assert_eq!(waiting(), 1);
        watch(1, one);
        waiters.leave(1, number);
        assert_eq!(waiting(), 0);
    }

    /// A key whose next request is an hour away, under a plan that ends in a minute.
    fn slowed() -> (Limiter, ManualClock) {
        let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        let limiter = Limiter::builder(PLANS).clock(clock.clone()).build().unwrap();
        limiter.assign("k", "slow", Some(MINUTE)).unwrap();
        assert!(limiter.acquire("k", 1).unwrap().allowed());
        (limiter, clock)
    }

    /// How long the head sleeps where a clock runs by itself.
    fn sleeps(ticket: &Ticket, left: Option<Duration>) -> Duration {
        match ticket.ask(ticket.limiter.moment(), left.map(nanos)).unwrap() {
            Turn::Wait(Some(span)) => span,
            turn => panic!("{turn:?}"),
        }
    }

    #[test]
    fn a_waiter_is_asked_again_when_a_plan_for_a_time_ends() {
        let (limiter, clock) = slowed();
        let second = Duration::from_secs(1);
        let ticket = limiter.queue("k", 1, None);
        assert_eq!(sleeps(&ticket, None), MINUTE);
        assert_eq!(sleeps(&ticket, Some(MINUTE)), MINUTE);
        // Somebody else's plan ends, and this one later than a request fits.
        limiter.assign("other", "slow", Some(second)).unwrap();
        assert_eq!(sleeps(&ticket, None), MINUTE);
        limiter.assign("k", "slow", Some(100 * MINUTE)).unwrap();
        assert_eq!(sleeps(&ticket, None), 60 * MINUTE);
        // For good: no end.
        limiter.unassign("k");
        limiter.assign("k", "slow", None).unwrap();
        assert_eq!(sleeps(&ticket, None), 60 * MINUTE);
        // A plan for a time hides it, and ends.
        limiter.assign("k", "slow", Some(second)).unwrap();
        assert_eq!(sleeps(&ticket, None), second);
        clock.advance(second);
        assert_eq!(sleeps(&ticket, None), 60 * MINUTE - second);
    }

    #[test]
    fn a_wait_is_not_hopeless_when_a_plan_ends_before_its_timeout() {
        for timeout in [None, Some(MINUTE), Some(10 * MINUTE)] {
            let (limiter, clock) = slowed();
            let waker = Waker::noop();
            let mut queue = [1, 1].map(|cost| limiter.queue("k", cost, timeout));
            for ticket in &mut queue {
                assert!(matches!(ticket.poll(waker).unwrap(), Turn::Wait(_)), "{timeout:?}");
            }
            clock.advance(MINUTE - Duration::from_nanos(1));
            assert!(matches!(queue[0].poll(waker).unwrap(), Turn::Wait(_)), "{timeout:?}");
            clock.advance(Duration::from_nanos(1));
            let Turn::Done(decision) = queue[0].poll(waker).unwrap() else { panic!("{timeout:?}") };
            assert!(decision.allowed(), "{timeout:?}: {decision:?}");
        }
    }

    #[test]
    fn who_gains_nothing_by_the_end_of_a_plan_is_denied_at_once() {
        let (limiter, _) = slowed();
        // The plan ends too late, the cost never fits.
        for (cost, timeout) in [(1, Some(MINUTE - Duration::from_nanos(1))), (2, None)] {
            for decision in [1, 2].map(|_| limiter.wait("k", cost, timeout).unwrap()) {
                assert!(!decision.allowed(), "{cost} {timeout:?}");
            }
        }
    }
    /// Requests of one key that meet other limits have other records, and so another queue.
    #[test]
    fn who_waits_for_other_records_is_in_nobodys_way() {
        let limit = |name: &str| {
            format!(r#"{{"name": "{name}", "rate": "1/hour", "when": {{"route": "{name} /"}}}}"#)
        };
        let all = r#"{"name": "all", "rate": "9/hour"}"#;
        for first in [String::new(), format!("{all}, ")] {
            let text = format!(r#"{{"limit": [{first}{}, {}]}}"#, limit("GET"), limit("PUT"));
            let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
            let limiter = Limiter::builder(&*text).clock(clock).build().unwrap();
            let request = |route| crate::Request::new().key("k").route(route);
            let (get, put) = (request("GET /"), request("PUT /"));
            assert!(limiter.acquire(&get, 1).unwrap().allowed());
            let mut before = limiter.queue(&get, 1, None);
            assert!(matches!(before.poll(Waker::noop()).unwrap(), Turn::Wait(_)));
            let Turn::Done(decision) = limiter.queue(&put, 1, None).poll(Waker::noop()).unwrap()
            else {
                panic!("{text}: it waits for another's turn");
            };
            assert!(decision.allowed(), "{text}");
            // Of the same records there is one queue.
            let mut behind = limiter.queue(&get, 1, None);
            assert!(matches!(behind.poll(Waker::noop()).unwrap(), Turn::Wait(None)));
        }
    }
}
