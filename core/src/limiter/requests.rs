//! Decisions and changes about any subject, under any policy: what it comes to, and what is done to all its records.

use super::Limiter;
use crate::algorithm::NOMINAL_WAIT;
use crate::clock::Moment;
use crate::decision::{Decision, NEVER, Numbers, Reason};
use crate::engine::{Engine, Joint, Keep, Undone, change_alone};
use crate::error::{Error, Result};
use crate::lanes::Visit;
use crate::options::OnFull;
use crate::plan::{Asked, Notes, Plan, decide};
use crate::policy::KEY;
use crate::request::Subject;
use crate::rules::{Given, Parts, Rules, Strictness};
use crate::store::MAX_WORDS;
use crate::sync::{Ordering, spin};
use crate::terms::Terms;

/// What a request comes to under the policy in force.
enum Comes {
    /// To its records, under this variant.
    To(Option<usize>),
    /// To an answer, whatever the records say.
    Decided(Decision),
}

impl Limiter {
    /// Decides without counting.
    pub(crate) fn decide(&self, subject: &impl Subject, at: Moment, cost: u64) -> Result<Decision> {
        self.decide_noting(subject, at, cost, &mut Notes::default())
    }

    /// Decides without counting; notes what else there is to tell.
    pub(crate) fn decide_noting(
        &self,
        subject: &impl Subject,
        at: Moment,
        cost: u64,
        notes: &mut Notes,
    ) -> Result<Decision> {
        let mut decision = Decision::NONE;
        self.decide_into(subject, at, cost, notes, &mut decision)?;
        Ok(decision)
    }

    /// As [`Limiter::decide_noting`]; the answer is written where it is wanted.
    pub(super) fn decide_into(
        &self,
        subject: &impl Subject,
        at: Moment,
        cost: u64,
        notes: &mut Notes,
        decision: &mut Decision,
    ) -> Result<()> {
        self.decide_inside(&self.0.lanes.enter(), subject, at, cost, notes, decision)?;
        // Outside: whoever hears of it may call this limiter.
        self.tell(notes, subject);
        Ok(())
    }

    #[inline(always)]
    pub(super) fn decide_inside(
        &self,
        visit: &Visit<'_>,
        subject: &impl Subject,
        at: Moment,
        cost: u64,
        notes: &mut Notes,
        decision: &mut Decision,
    ) -> Result<()> {
        if let Some(blocked) = self.blocked(subject, at) {
            *decision = blocked;
            return Ok(());
        }
        let units = if notes.is_of_estimate() { 0 } else { cost };
        let manner = Manner { units, ..self.asking() };
        let outcome = self.among_records(visit, subject, at, manner, |asked| {
            decide(asked, at, cost, notes, decision);
            if decision.allowed() { Keep::All } else { Keep::Plan }
        })?;
        match outcome {
            Outcome::Done => {}
            Outcome::Spared => self.saturated(),
            // An attempt that was undone, perhaps by an update, may have left notes.
            Outcome::Decided(decided) => {
                notes.clear();
                *decision = decided;
            }
            Outcome::Full => {
                notes.clear();
                self.saturated();
                *decision = self.decide_full(visit, subject, at, cost)?;
            }
        }
        Ok(())
    }

    /// How a call asks that wants a decision.
    #[inline(always)]
    fn asking(&self) -> Manner {
        let spare = self.0.on_full == OnFull::Allow;
        Manner { strictness: Strictness::Strict, spare, units: 0 }
    }

    /// The decision about a subject that the store has no place for.
    #[cold]
    fn decide_full(
        &self,
        visit: &Visit<'_>,
        subject: &impl Subject,
        at: Moment,
        cost: u64,
    ) -> Result<Decision> {
        let mut seen = Decision::NONE;
        let strictness = Strictness::Strict;
        let decided = self.look(visit, subject, at, strictness, |asked| {
            foretell(asked, at, cost, &mut seen);
        })?;
        if let Some(decision) = decided {
            return Ok(decision);
        }
        Ok(match self.0.on_full {
            OnFull::Allow => seen,
            _ if !seen.allowed() => seen,
            _ => seen.turned_down(0, NOMINAL_WAIT, NOMINAL_WAIT),
        })
    }

    fn saturated(&self) {
        // Relaxed: a count publishes nothing.
        self.0.saturated.fetch_add(1, Ordering::Relaxed);
    }

    /// Decides on copies.
    pub(crate) fn foresee(
        &self,
        subject: &impl Subject,
        at: Moment,
        cost: u64,
    ) -> Result<Decision> {
        if let Some(decision) = self.blocked(subject, at) {
            return Ok(decision);
        }
        let visit = self.0.lanes.enter();
        let mut decision = Decision::NONE;
        let outcome = self.among_records(&visit, subject, at, self.asking(), |asked| {
            foretell(asked, at, cost, &mut decision);
            Keep::Nothing
        })?;
        match outcome {
            Outcome::Done | Outcome::Spared => Ok(decision),
            Outcome::Decided(decision) => Ok(decision),
            Outcome::Full => self.decide_full(&visit, subject, at, cost),
        }
    }

    /// The denial of a waiter whose time is up before it was its turn.
    pub(crate) fn denied_in_queue(
        &self,
        subject: &impl Subject,
        at: Moment,
        cost: u64,
    ) -> Result<Decision> {
        let seen = self.foresee(subject, at, cost)?;
        if !seen.allowed() {
            return Ok(seen);
        }
        Ok(seen.turned_down(seen.remaining(), 1, seen.reset_after_ns()))
    }

    pub(crate) fn is_concurrency(&self, limit: &str) -> bool {
        self.0.engines.engine(&self.0.lanes.enter()).is_concurrency(limit)
    }

    /// Runs `change` on all records of a subject; they are kept when it says so. False: whatever it did was undone, for
    /// there is no place for them, or none of them is asked.
    pub(super) fn with_records(
        &self,
        subject: &impl Subject,
        at: Moment,
        strictness: Strictness,
        mut change: impl FnMut(&mut [Asked<'_>]) -> bool,
    ) -> Result<bool> {
        let visit = self.0.lanes.enter();
        let manner = Manner { strictness, spare: true, units: 0 };
        let change = |asked: &mut [Asked<'_>]| match change(asked) {
            true => Keep::All,
            false => Keep::Nothing,
        };
        let outcome = self.among_records(&visit, subject, at, manner, change)?;
        if matches!(outcome, Outcome::Full | Outcome::Spared) {
            self.saturated();
        }
        Ok(matches!(outcome, Outcome::Done | Outcome::Spared))
    }

    /// Shows all records of a subject, that of a key never seen where the store has none and no place for one. Nothing
    /// changes, and nothing is counted. Else the answer that the request gets whatever its records say.
    pub(super) fn look(
        &self,
        visit: &Visit<'_>,
        subject: &impl Subject,
        at: Moment,
        strictness: Strictness,
        mut show: impl FnMut(&[Asked<'_>]),
    ) -> Result<Option<Decision>> {
        let manner = Manner { strictness, spare: true, units: 0 };
        let outcome = self.among_records(visit, subject, at, manner, |asked| {
            show(asked);
            Keep::Nothing
        })?;
        match outcome {
            Outcome::Done | Outcome::Spared => Ok(None),
            Outcome::Decided(decision) => Ok(Some(decision)),
            // A policy about keys alone: there is no other record.
            Outcome::Full => {
                let plan = self.0.engines.engine(visit).plan();
                show(&[Asked::shown(plan, &mut [0; MAX_WORDS])]);
                Ok(None)
            }
        }
    }

    /// As [`Limiter::with_records`], inside; what that counts is left to the caller.
    fn among_records(
        &self,
        visit: &Visit<'_>,
        subject: &impl Subject,
        at: Moment,
        manner: Manner,
        mut change: impl FnMut(&mut [Asked<'_>]) -> Keep,
    ) -> Result<Outcome> {
        let Manner { strictness, spare, units } = manner;
        subject.ask(|request| {
            loop {
                let engine = self.0.engines.engine(visit);
                let done = match engine.rules() {
                    None => {
                        let tag = match self.plain_tag(subject) {
                            // Without a key there is no record to show, nor one that anything can come back to.
                            Err(_) if strictness != Strictness::Strict => return Ok(Outcome::Done),
                            tag => tag?,
                        };
                        let pressure = self.pressure();
                        let mut change = |plan: &Plan, words: &mut [u64]| {
                            change_alone(plan, words, tag, true, &mut change);
                        };
                        let done = self.0.engines.transact(visit, tag, at, pressure, &mut change);
                        done.map(|()| Outcome::Done)
                    }
                    Some(rules) => {
                        let mut given = Given::nothing();
                        rules.read_into(&mut given, request, strictness)?;
                        let mut parts = Parts::new();
                        match self.comes(rules, &given, at, strictness, &mut parts)? {
                            Comes::Decided(decision) => return Ok(Outcome::Decided(decision)),
                            Comes::To(variant) => {
                                let pressure = self.pressure();
                                let parts = &parts[..];
                                let joint = Joint { engine, parts, variant, at, pressure, spare };
                                joint.transact(visit, &mut change).map(|made| {
                                    if made.kept && units > 0 {
                                        self.record_use(engine, rules, &given, at, units);
                                    }
                                    if made.spared { Outcome::Spared } else { Outcome::Done }
                                })
                            }
                        }
                    }
                };
                match done {
                    Ok(outcome) => return Ok(outcome),
                    Err(Undone::Full) => return Ok(Outcome::Full),
                    Err(Undone::Moved) => spin(),
                }
            }
        })
    }

    #[inline]
    fn record_use(
        &self,
        engine: &Engine,
        rules: &Rules,
        given: &Given<'_>,
        at: Moment,
        units: u64,
    ) {
        let Some(usage) = engine.usage() else { return };
        let Some(tag) = rules.usage_tag(given, &self.0.hasher) else { return };
        usage.record(tag, rules.kind(given), at, units);
    }

    #[inline(always)]
    fn comes(
        &self,
        rules: &Rules,
        given: &Given<'_>,
        at: Moment,
        strictness: Strictness,
        parts: &mut Parts,
    ) -> Result<Comes> {
        let listed = if strictness == Strictness::Lenient { None } else { rules.listed(given) };
        let variant = match rules.variant(given, &self.0.assignments, at) {
            _ if let Some((reason, terms)) = listed => match strictness {
                Strictness::Giving => None,
                _ => return Ok(Comes::Decided(by_rule(reason, terms, at))),
            },
            Ok(variant) => Some(variant),
            Err(_) if strictness != Strictness::Strict => None,
            Err(error) => return Err(error),
        };
        // What was taken under a plan comes back, whatever the plan is now.
        let of = if strictness == Strictness::Giving { None } else { variant };
        Ok(match rules.meets(given, of, &self.0.hasher, strictness, parts)? {
            None => Comes::To(variant),
            Some(terms) => Comes::Decided(by_rule(Reason::Blocked, terms, at)),
        })
    }

    /// The tag under a policy about keys alone.
    fn plain_tag(&self, subject: &impl Subject) -> Result<u64> {
        if let Some(key) = subject.as_key() {
            return Ok(self.tag(key));
        }
        subject.ask(|request| match request.get(KEY) {
            Some(key) => Ok(self.tag(key)),
            None => Err(Error::argument(
                KEY,
                "the request has none, and the policy's limits count by it",
                "give it, or name other attributes in the limits' `by`",
            )),
        })
    }

    /// The queue in which a subject waits.
    pub(crate) fn queue_of(&self, subject: &impl Subject, at: Moment) -> Result<u64> {
        let visit = self.0.lanes.enter();
        match self.0.engines.engine(&visit).rules() {
            None => self.plain_tag(subject),
            Some(rules) => subject.ask(|request| {
                let given = rules.read(request, Strictness::Strict)?;
                let mut parts = Parts::new();
                self.comes(rules, &given, at, Strictness::Strict, &mut parts)?;
                Ok(parts.iter().fold(0, |queue: u64, part| queue.rotate_left(7) ^ part.mark()))
            }),
        }
    }

    /// Tells waiters that a subject may have room.
    pub(crate) fn wake(&self, subject: &impl Subject) {
        self.wake_others(subject, None);
    }

    /// As `wake`; not the watcher that gave back itself.
    pub(super) fn wake_others(&self, subject: &impl Subject, by: Option<u64>) {
        let is_plain = self.0.engines.engine(&self.0.lanes.enter()).rules().is_none();
        match is_plain.then(|| self.plain_tag(subject)) {
            Some(Ok(tag)) => self.0.waiters.wake_head(tag, by),
            // Records are shared by subjects of several queues.
            _ => self.0.waiters.wake_heads(by),
        }
    }
}

/// A decision that no limit makes.
#[cold]
fn by_rule(reason: Reason, terms: &'static Terms, at: Moment) -> Decision {
    let retry_after = if reason == Reason::Blocked { NEVER } else { 0 };
    let numbers = Numbers { reason, limit: 0, remaining: 0, retry_after, reset_after: 0 };
    Decision::new(terms, numbers, at.wall.as_nanos())
}

/// How a call goes about the records of its subject.
#[derive(Clone, Copy)]
struct Manner {
    strictness: Strictness,
    /// Is a record that the store has no place for left out? Else the answer is `Full`.
    spare: bool,
    /// What is kept is recorded as a use of so many units, where the policy asks for a report.
    units: u64,
}

enum Outcome {
    Done,
    /// All but a record that the store has no place for.
    Spared,
    /// Whatever the records say.
    Decided(Decision),
    /// The store has no place for a key.
    Full,
}

/// Decides on copies.
fn foretell(asked: &[Asked<'_>], at: Moment, cost: u64, decision: &mut Decision) {
    let mut copies: Vec<Vec<u64>> = asked.iter().map(|asked| asked.words.to_vec()).collect();
    let copied = asked.iter().zip(&mut copies);
    let mut asked: Vec<Asked<'_>> =
        copied.map(|(asked, copy)| Asked::new(asked.plan, copy, asked.words)).collect();
    decide(&mut asked, at, cost, &mut Notes::default(), decision);
}
