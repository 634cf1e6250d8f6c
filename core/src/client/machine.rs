//! Where everything about calls meets, behind one lock: who is under way, who waits, what holds them.
//!
//! Here: how a call begins, and who is let go. `gate`: may the next one go? `answers`: what an answer changes. `leave`:
//! calls that are dropped, and those of a parent process. `host`: what is told to hosts. `watch`: others who use the
//! limiter.
//!
//! Nothing foreign runs under the lock: wakers are woken and dropped, and alerts told, after it.

mod answers;
mod gate;
mod host;
mod leave;
mod watch;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Weak;
use std::task::Waker;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

pub(super) use answers::Answer;
pub(super) use gate::Sent;
use gate::{Cause, Gate};

use super::backoff::Backoff;
use super::breaker::{Breaker, Thresholds};
use super::call::Begun;
use super::error::PacerError;
use super::events::Events;
use super::queue::{Place, Queue};
use super::quotas::{Ended, Quotas};
use crate::clock::{Clock, Moment};
use crate::limiter::Limiter;
use crate::plan::Notes;
use crate::request::Kept;
use crate::sync::forks::{forks, prepare};
use crate::time::nanos;

/// Options, checked. Spans are ns.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) concurrency: u32,
    pub(super) max_retries: u32,
    pub(super) base: Duration,
    pub(super) cap: Duration,
    pub(super) seed: Option<u64>,
    pub(super) max_retry_after: u64,
    pub(super) deadline: Option<u64>,
    /// Per mille.
    pub(super) near_limit: u64,
    pub(super) thresholds: Thresholds,
    pub(super) breaker_cooldown: u64,
    pub(super) events: usize,
}

/// What the clones of a pacer and their calls share.
#[derive(Debug)]
pub(super) struct Shared {
    settings: Settings,
    clock: Clock,
    limiter: Option<(Limiter, Kept)>,
    /// Its number as one who watches the limiter, and what is woken then.
    watcher: u64,
    waker: Waker,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The process whose calls these are (`forks`).
    epoch: u32,
    closed: bool,
    in_flight: u32,
    next_number: u64,
    queue: Queue,
    /// Settled, and not yet told to whoever waits for it.
    settled: HashMap<u64, Settled>,
    paused_until: u64,
    /// A pause has not been followed by a call yet.
    after_pause: bool,
    probe: Probe,
    breaker: Breaker,
    quotas: Quotas,
    /// Quotas of which it was told that little is left.
    near: Vec<String>,
    /// Units sent in all, and when the last was.
    sent: u64,
    last_sent: u64,
    ended: Ended,
    /// Units charged to the limiter in all because the server has less left.
    penalized: u64,
    /// The queue of the limiter that is watched for what others give back.
    watched: Option<u64>,
    backoff: Backoff,
    events: Events,
    counts: Counts,
    host: Host,
}

/// One call alone goes first, to see whether the others may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    None,
    /// The next call is the one.
    Wanted,
    /// This one is under way.
    Out(u64),
}

#[derive(Debug)]
enum Settled {
    Go(Sent),
    Fail(PacerError),
}

#[derive(Debug, Default)]
struct Counts {
    calls: u64,
    attempts: u64,
    retries: u64,
    limited: u64,
    wait_ns: u64,
    by_limit: BTreeMap<&'static str, u64>,
    by_concurrency: u64,
    by_pause: u64,
    by_quota: u64,
    pauses: u64,
    exhausted: u64,
    breaker_opened: u64,
}

/// What hosts were told.
#[derive(Debug, Default)]
struct Host {
    /// The head and the time that holds it; `None`: something else does.
    head: Option<(u64, u64)>,
    /// The head to whom its time was told.
    told: Option<(u64, u64)>,
    /// Calls without a waker that have settled.
    unattended: BTreeSet<u64>,
    /// Of the host with one timer, and its number with a manual clock.
    waker: Option<Waker>,
    sleeper: Option<u64>,
    /// When it comes back by itself.
    next: Option<u64>,
}

/// What is to be done when the lock is free.
#[derive(Default)]
struct After {
    wake: SmallVec<[Waker; 2]>,
    drop: SmallVec<[Waker; 1]>,
    notes: SmallVec<[Notes; 1]>,
}

/// What a waiting call is told.
pub(super) enum Verdict {
    Go(Sent),
    Fail(PacerError),
    Wait(Option<Duration>),
}

impl Shared {
    pub(super) fn new(
        settings: Settings,
        clock: Clock,
        limiter: Option<(Limiter, Kept)>,
        itself: &Weak<Shared>,
    ) -> Shared {
        prepare();
        let mut events = Events::default();
        events.keep(settings.events);
        let state = State {
            epoch: forks(),
            closed: false,
            in_flight: 0,
            next_number: 0,
            queue: Queue::default(),
            settled: HashMap::new(),
            paused_until: 0,
            after_pause: false,
            probe: Probe::None,
            breaker: Breaker::new(settings.thresholds, settings.breaker_cooldown),
            quotas: Quotas::default(),
            near: Vec::new(),
            sent: 0,
            last_sent: 0,
            ended: Ended::default(),
            penalized: 0,
            watched: None,
            backoff: Backoff::new(settings.base, settings.cap, settings.seed),
            events,
            counts: Counts::default(),
            host: Host::default(),
        };
        let watcher = limiter.as_ref().map_or(0, |(limiter, _)| limiter.waiters().watcher());
        let waker = watch::waker(itself);
        Shared { settings, clock, limiter, watcher, waker, state: Mutex::new(state) }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn limiter(&self) -> Option<&Limiter> {
        self.limiter.as_ref().map(|(limiter, _)| limiter)
    }

    /// Unlocks, then does what is left to do.
    fn unlock(&self, mut state: MutexGuard<'_, State>, after: After) {
        if state.watched.is_some() && state.queue.is_empty() {
            self.unwatch(&mut state);
        }
        drop(state);
        if after.wake.is_empty() && after.drop.is_empty() && after.notes.is_empty() {
            return;
        }
        let After { wake, drop, notes } = after;
        wake.into_iter().for_each(Waker::wake);
        if let Some((limiter, subject)) = &self.limiter {
            notes.iter().for_each(|notes| limiter.tell(notes, &subject));
        }
        std::mem::drop(drop);
    }

    /// A new call: its number, its deadline and the run of the pacer it belongs to.
    pub(super) fn begin(&self, cost: u64, deadline: Option<Duration>) -> (Begun, u64, u64, u32) {
        let at = self.clock.moment();
        let now = at.now.as_nanos();
        let span = deadline.map(nanos).or(self.settings.deadline);
        let deadline = span.map_or(u64::MAX, |span| now.saturating_add(span));
        let mut after = After::default();
        let mut state = self.lock();
        state.counts.calls += 1;
        let number = state.next_number;
        state.next_number += 1;
        let mut begun = Begun::Waiting;
        if state.queue.is_idle(now) && state.in_flight < self.settings.concurrency {
            match self.gate(&mut state, at, number, cost, &mut after) {
                Gate::Go(sent) => begun = Begun::Going(sent),
                Gate::Fail(error) => begun = Begun::Failed(error),
                Gate::Until(..) | Gate::Turn(_) => {}
            }
        }
        if let Begun::Waiting = begun {
            begun = self.begin_waiting(&mut state, at, number, cost, deadline, &mut after);
        }
        let epoch = state.epoch;
        self.unlock(state, after);
        (begun, number, deadline, epoch)
    }

    #[inline(never)]
    fn begin_waiting(
        &self,
        state: &mut State,
        at: Moment,
        number: u64,
        cost: u64,
        deadline: u64,
        after: &mut After,
    ) -> Begun {
        let since = at.now.as_nanos();
        let place = Place { cost, deadline, waker: None, since, counted: 0 };
        state.queue.wait(number, place);
        self.pump(state, at, Some(number), after);
        match state.settled.remove(&number) {
            Some(Settled::Go(sent)) => Begun::Going(sent),
            Some(Settled::Fail(error)) => Begun::Failed(error),
            None => Begun::Waiting,
        }
    }

    /// A call that waits asks how it stands.
    pub(super) fn ask(&self, number: u64, epoch: u32, waker: Option<&Waker>) -> Verdict {
        let at = self.clock.moment();
        let mut after = After::default();
        let mut state = self.lock();
        self.pump(&mut state, at, Some(number), &mut after);
        let verdict = state.verdict(number, epoch, at.now.as_nanos(), waker, &mut after);
        self.unlock(state, after);
        verdict
    }

    /// Lets go whoever may go, the head first. `asking`: the call that does this; it hears of itself anyway.
    fn pump(&self, state: &mut State, at: Moment, asking: Option<u64>, after: &mut After) {
        let now = at.now.as_nanos();
        state.queue.wake_due(now);
        state.fail_overdue(now, now, asking, after);
        self.let_go(state, at, asking, after);
        // Who could go at its very deadline has gone. The next in line may be able to go without it.
        while state.fail_overdue(now.saturating_add(1), now, asking, after) {
            self.let_go(state, at, asking, after);
        }
        state.tell_hosts(asking, after);
    }

    fn let_go(&self, state: &mut State, at: Moment, asking: Option<u64>, after: &mut After) {
        let now = at.now.as_nanos();
        state.host.head = None;
        let mut on_limit = false;
        while let Some((number, place)) = state.queue.head() {
            let (cost, deadline) = (place.cost, place.deadline);
            let settled = match self.gate(state, at, number, cost, after) {
                Gate::Go(sent) => Settled::Go(sent),
                Gate::Fail(error) => Settled::Fail(error),
                Gate::Until(until, cause) if until > deadline && !self.is_permit(cause) => {
                    Settled::Fail(too_late())
                }
                Gate::Until(until, cause) => {
                    on_limit = matches!(cause, Cause::Limit(_));
                    if on_limit && self.watch(state, at, cost) {
                        continue;
                    }
                    state.count_wait(cause);
                    state.host.head = Some((number, until));
                    break;
                }
                Gate::Turn(cause) => {
                    state.count_wait(cause);
                    break;
                }
            };
            if let Some(place) = state.queue.leave(number) {
                state.settle(number, place, settled, now, asking, after);
            }
        }
        if !on_limit {
            self.unwatch(state);
        }
    }

    /// May it come free any time, whatever the limiter advises?
    fn is_permit(&self, cause: Cause) -> bool {
        match (cause, self.limiter()) {
            (Cause::Limit(name), Some(limiter)) => limiter.is_concurrency(name),
            _ => false,
        }
    }
}

fn too_late() -> PacerError {
    PacerError::DeadlineExceeded { attempts: 0, label: String::new() }
}

impl State {
    /// A call no longer waits.
    fn settle(
        &mut self,
        number: u64,
        place: Place,
        settled: Settled,
        now: u64,
        asking: Option<u64>,
        after: &mut After,
    ) {
        self.counts.waited(&place, now);
        self.settled.insert(number, settled);
        match place.waker {
            _ if asking == Some(number) => after.drop.extend(place.waker),
            Some(waker) => after.wake.push(waker),
            None => {
                self.host.unattended.insert(number);
            }
        }
    }

    /// Those whose deadline is before `until` fail; were there any?
    fn fail_overdue(
        &mut self,
        until: u64,
        now: u64,
        asking: Option<u64>,
        after: &mut After,
    ) -> bool {
        let mut any = false;
        while let Some((number, place)) = self.queue.take_overdue(until) {
            self.settle(number, place, Settled::Fail(too_late()), now, asking, after);
            any = true;
        }
        any
    }

    /// Everybody who waits fails.
    fn fail_all(&mut self, now: u64, after: &mut After, error: impl Fn() -> PacerError) {
        while let Some((number, place)) = self.queue.take_any() {
            self.settle(number, place, Settled::Fail(error()), now, None, after);
        }
        self.host.head = None;
        self.tell_hosts(None, after);
    }
}

impl Counts {
    fn waited(&mut self, place: &Place, now: u64) {
        self.wait_ns = self.wait_ns.saturating_add(now.saturating_sub(place.since));
    }
}
