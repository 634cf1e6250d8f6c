//! One call: its attempts, and what it holds.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::class::{Class, classify};
use super::error::PacerError;
use super::headers::ServerLimits;
use super::machine::{Answer, Sent, Shared, Verdict};
use super::options::CallOptions;

/// A call, from [`Pacer::begin`](super::Pacer::begin).
///
/// Ask it until it says [`Step::Go`], make the attempt, and tell it the answer with [`finish`](Call::finish); when that
/// says [`Finish::Retry`], ask again. Dropping it gives its place and its slot back, and what it paid for an attempt that
/// was not made.
#[derive(Debug)]
#[must_use = "a call that is dropped gives its place up"]
pub struct Call {
    shared: Arc<Shared>,
    number: u64,
    cost: u64,
    /// ns on the pacer's clock; `u64::MAX`: none.
    deadline: u64,
    max_retries: u32,
    attempts: u32,
    /// Which run of the pacer it belongs to: a forked child's pacer knows nothing of its parent's calls.
    epoch: u32,
    /// Its number with a manual clock, once it has waited.
    sleeper: Option<u64>,
    label: Option<Box<str>>,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// In the queue, asleep, or settled there.
    Waiting,
    /// It may go; `told`: its host knows.
    Going {
        sent: Sent,
        told: bool,
    },
    /// It failed, and its host does not know yet.
    Failed(PacerError),
    Over,
}

/// What a call has to do.
#[derive(Debug)]
#[must_use]
pub enum Step {
    /// Make the attempt, and tell the answer with [`Call::finish`].
    Go,
    /// Ask again when woken, or after this time at the latest; `None`: only when woken.
    Wait(Option<Duration>),
    /// It is given up.
    Fail(PacerError),
}

/// What an answer comes to.
#[derive(Debug)]
#[must_use]
pub enum Finish {
    /// The call is over; hand the answer on, whatever it is.
    Done,
    /// It will be tried again, not before this time: ask the call until it may go.
    Retry {
        /// From now.
        after: Duration,
    },
    /// The call is over: it is given up.
    Raise(PacerError),
}

/// How a call begins.
pub(super) enum Begun {
    Going(Sent),
    Waiting,
    Failed(PacerError),
}

impl Call {
    pub(super) fn begin(shared: &Arc<Shared>, options: CallOptions<'_>) -> Call {
        let settings = shared.settings();
        let max_retries = options.max_retries.unwrap_or(settings.max_retries);
        let (begun, number, deadline, epoch) = shared.begin(options.cost, options.deadline);
        let mut call = Call {
            shared: Arc::clone(shared),
            number,
            cost: options.cost,
            deadline,
            max_retries,
            attempts: 0,
            epoch,
            sleeper: None,
            label: (!options.label.is_empty()).then(|| options.label.into()),
            phase: Phase::Waiting,
        };
        call.phase = match begun {
            Begun::Waiting => Phase::Waiting,
            Begun::Going(sent) => {
                call.attempts = 1;
                Phase::Going { sent, told: false }
            }
            Begun::Failed(error) => Phase::Failed(error),
        };
        call
    }

    /// Asks whether it may go. `waker` is woken when it may have become so.
    pub fn poll(&mut self, waker: &Waker) -> Step {
        self.step(Some(waker))
    }

    /// As [`poll`](Call::poll), for hosts that [`tick`](super::Pacer::tick) and have a timer of their own.
    pub fn check(&mut self) -> Step {
        self.step(None)
    }

    /// Is it known already whether it may go, so that asking needs no waker?
    #[inline]
    pub fn is_settled(&self) -> bool {
        !matches!(self.phase, Phase::Waiting)
    }

    #[inline]
    fn step(&mut self, waker: Option<&Waker>) -> Step {
        match &mut self.phase {
            Phase::Going { told, .. } => {
                *told = true;
                Step::Go
            }
            Phase::Waiting => self.ask(waker),
            Phase::Failed(_) => match std::mem::replace(&mut self.phase, Phase::Over) {
                Phase::Failed(error) => Step::Fail(self.named(error)),
                _ => Step::Fail(PacerError::Closed),
            },
            Phase::Over => Step::Fail(PacerError::Closed),
        }
    }

    fn ask(&mut self, waker: Option<&Waker>) -> Step {
        let clock = self.shared.clock();
        // First: who moves a manual clock from now on wakes us.
        let runs = waker.is_none_or(|waker| {
            let sleeper = *self.sleeper.get_or_insert_with(|| clock.sleeper());
            clock.runs_or_wakes(sleeper, waker)
        });
        match self.shared.ask(self.number, self.epoch, waker) {
            Verdict::Wait(_) if !runs => Step::Wait(None),
            Verdict::Wait(span) => Step::Wait(span),
            Verdict::Go(sent) => {
                self.forget();
                self.attempts += 1;
                self.phase = Phase::Going { sent, told: true };
                Step::Go
            }
            Verdict::Fail(error) => {
                self.forget();
                self.phase = Phase::Over;
                Step::Fail(self.named(error))
            }
        }
    }

    /// Tells the answer to the attempt: its HTTP status, and what its headers say ([`ServerLimits::NONE`]: nothing).
    /// What it means is up to [`classify`]. Of a call that is not under way it changes nothing, and is `Done`.
    pub fn finish(&mut self, status: u16, limits: &ServerLimits) -> Finish {
        self.finish_as(classify(status, limits), status, limits)
    }

    /// As [`finish`](Call::finish), where the host knows better what the answer means. `status`: 0 where there is none.
    pub fn finish_as(&mut self, class: Class, status: u16, limits: &ServerLimits) -> Finish {
        let phase = std::mem::replace(&mut self.phase, Phase::Over);
        let Phase::Going { sent, .. } = phase else {
            self.phase = phase;
            return Finish::Done;
        };
        let answer = Answer {
            number: self.number,
            epoch: self.epoch,
            cost: self.cost,
            deadline: self.deadline,
            attempts: self.attempts,
            max_retries: self.max_retries,
            label: self.label.as_deref().unwrap_or(""),
            sent,
            class,
            status,
            limits,
        };
        let finish = self.shared.finish(&answer);
        if let Finish::Retry { .. } = finish {
            self.phase = Phase::Waiting;
        }
        finish
    }

    /// Its number: calls that were begun later have higher ones.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Attempts so far, the one under way included.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The label it was begun with.
    pub fn label(&self) -> &str {
        self.label.as_deref().unwrap_or("")
    }

    /// The error as the host gets it.
    fn named(&self, error: PacerError) -> PacerError {
        error.of_call(self.label(), self.attempts)
    }

    fn forget(&mut self) {
        if let Some(sleeper) = self.sleeper.take() {
            self.shared.clock().forget(sleeper);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.forget();
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Going { sent, told } => {
                self.shared.abandon(self.number, self.epoch, &sent, self.cost, !told);
            }
            Phase::Waiting => self.shared.leave(self.number, self.epoch, self.cost),
            Phase::Failed(_) | Phase::Over => {}
        }
    }
}
