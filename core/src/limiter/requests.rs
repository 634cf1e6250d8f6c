//! Decisions and changes about any subject, under any policy: what it comes to, and what is done to all its records.

use super::Limiter;
use crate::algorithm::NOMINAL_WAIT;
use crate::clock::Moment;
use crate::decision::{Decision, NEVER, Numbers, Reason};
use crate::engine::{Engine, Joint, Undone};
use crate::error::{Error, Result};
use crate::lanes::Visit;
use crate::options::OnFull;
use crate::plan::{Asked, Notes, Plan, decide};
use crate::policy::KEY;
use crate::request::{Request, Subject};
use crate::rules::{Given, Parts, Rules, Strictness, tag_of_attribute};
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
    fn decide_inside(
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
        let outcome =
            self.among_records(visit, subject, at, Strictness::Strict, cost, |asked| {
                decide(asked, at, cost, notes, decision);
                decision.allowed()
            })?;
        match outcome {
            Outcome::Done => {}
            Outcome::Decided(decided) => *decision = decided,
            Outcome::Full => *decision = self.decide_full(visit, subject, at, cost),
        }
        Ok(())
    }

    /// The decision about a subject that the store has no place for.
    #[cold]
    fn decide_full(
        &self,
        visit: &Visit<'_>,
        subject: &impl Subject,
        at: Moment,
        cost: u64,
    ) -> Decision {
        self.saturated();
        let mut fresh = Decision::NONE;
        self.fresh(visit, subject, at, |asked| {
            decide(asked, at, cost, &mut Notes::default(), &mut fresh);
        });
        match self.0.on_full {
            OnFull::Allow => fresh,
            _ if !fresh.allowed() => fresh,
            _ => fresh.turned_down(0, NOMINAL_WAIT, NOMINAL_WAIT),
        }
    }

    fn saturated(&self) {
        // Relaxed: a count publishes nothing.
        self.0.saturated.fetch_add(1, Ordering::Relaxed);
    }

    /// Decides on copies.
    pub(super) fn foresee(
        &self,
        subject: &impl Subject,
        at: Moment,
        cost: u64,
    ) -> Result<Decision> {
        if let Some(decision) = self.blocked(subject, at) {
            return Ok(decision);
        }
        let visit = self.0.lanes.enter();
        let (mut decision, mut notes) = (Decision::NONE, Notes::default());
        let outcome = self.among_records(&visit, subject, at, Strictness::Strict, 0, |asked| {
            let mut copies: Vec<Vec<u64>> =
                asked.iter().map(|asked| asked.words.to_vec()).collect();
            let mut asked: Vec<Asked<'_>> = asked
                .iter()
                .zip(&mut copies)
                .map(|(asked, words)| Asked { plan: asked.plan, words })
                .collect();
            decide(&mut asked, at, cost, &mut notes, &mut decision);
            false
        })?;
        match outcome {
            Outcome::Done => Ok(decision),
            Outcome::Decided(decision) => Ok(decision),
            Outcome::Full => Ok(self.decide_full(&visit, subject, at, cost)),
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

    /// Changes a subject's records. What the store has no place for has nothing to change, nor has what is exempt.
    pub(crate) fn change(
        &self,
        subject: &impl Subject,
        at: Moment,
        strictness: Strictness,
        mut change: impl FnMut(&Plan, &mut [u64]),
    ) -> Result<()> {
        self.with_records(subject, at, strictness, |asked| {
            let mut changed = false;
            for Asked { plan, words } in asked {
                let mut before = [0; MAX_WORDS];
                before[..words.len()].copy_from_slice(words);
                change(plan, words);
                changed |= before[..words.len()] != **words;
            }
            changed
        })
    }

    /// Runs `change` on all records of a subject; they are kept when it says so.
    pub(super) fn with_records(
        &self,
        subject: &impl Subject,
        at: Moment,
        strictness: Strictness,
        change: impl FnMut(&mut [Asked<'_>]) -> bool,
    ) -> Result<()> {
        let visit = self.0.lanes.enter();
        if let Outcome::Full = self.among_records(&visit, subject, at, strictness, 0, change)? {
            self.saturated();
        }
        Ok(())
    }

    /// The same inside. What is kept is recorded as a use of so many units, where the policy asks for a report.
    fn among_records(
        &self,
        visit: &Visit<'_>,
        subject: &impl Subject,
        at: Moment,
        strictness: Strictness,
        units: u64,
        mut change: impl FnMut(&mut [Asked<'_>]) -> bool,
    ) -> Result<Outcome> {
        subject.ask(|request| {
            loop {
                let engine = self.0.engines.engine(visit);
                let done = match engine.rules() {
                    None => {
                        let (tag, pressure) = (self.plain_tag(subject)?, self.pressure());
                        let mut change = kept(&mut change);
                        self.0.engines.transact(visit, tag, at, pressure, &mut change)
                    }
                    Some(rules) => {
                        let given = rules.read(request)?;
                        let mut parts = Parts::new();
                        match self.comes(rules, &given, at, strictness, &mut parts)? {
                            Comes::Decided(decision) => return Ok(Outcome::Decided(decision)),
                            Comes::To(variant) => {
                                let pressure = self.pressure();
                                let joint = Joint { engine, parts: &parts, variant, at, pressure };
                                joint.transact(visit, &mut change).map(|kept| {
                                    if kept && units > 0 {
                                        self.record_use(engine, rules, &given, at, units);
                                    }
                                })
                            }
                        }
                    }
                };
                match done {
                    Ok(()) => return Ok(Outcome::Done),
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

    /// Runs `look` on records as they are of a subject never seen.
    #[cold]
    fn fresh(
        &self,
        visit: &Visit<'_>,
        subject: &impl Subject,
        at: Moment,
        look: impl FnOnce(&mut [Asked<'_>]),
    ) {
        let engine = self.0.engines.engine(visit);
        let Some(rules) = engine.rules() else {
            return look(&mut [Asked { plan: engine.plan(), words: &mut [0; MAX_WORDS] }]);
        };
        subject.ask(|request| {
            let Ok(given) = rules.read(request) else { return };
            let mut parts = Parts::new();
            if let Ok(Comes::To(variant)) =
                self.comes(rules, &given, at, Strictness::Strict, &mut parts)
            {
                let pressure = self.pressure();
                Joint { engine, parts: &parts, variant, at, pressure }.fresh(look);
            }
        });
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
        if strictness == Strictness::Strict
            && let Some((reason, terms)) = rules.listed(given)
        {
            return Ok(Comes::Decided(by_rule(reason, terms, at)));
        }
        let variant = match rules.variant(given, &self.0.assignments, at) {
            Ok(variant) => Some(variant),
            Err(_) if strictness == Strictness::Lenient => None,
            Err(error) => return Err(error),
        };
        Ok(match rules.meets(given, variant, &self.0.hasher, strictness, parts)? {
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
                let given = rules.read(request)?;
                let mut parts = Parts::new();
                self.comes(rules, &given, at, Strictness::Strict, &mut parts)?;
                Ok(parts.iter().fold(0_u64, |queue, part| queue.rotate_left(7) ^ part.tag))
            }),
        }
    }

    /// Tells waiters that a subject may have room.
    pub(crate) fn wake(&self, subject: &impl Subject) {
        let is_plain = self.0.engines.engine(&self.0.lanes.enter()).rules().is_none();
        match is_plain.then(|| self.plain_tag(subject)) {
            Some(Ok(tag)) => self.0.waiters.wake_head(tag),
            // Records are shared by subjects of several queues.
            _ => self.0.waiters.wake_heads(),
        }
    }

    fn blocked(&self, subject: &impl Subject, at: Moment) -> Option<Decision> {
        match self.blocked_for(subject, at) {
            0 => None,
            left => Some(Decision::blocked(left, at.wall.as_nanos())),
        }
    }

    /// Nanoseconds for which the operator blocks one of the subject's attributes.
    pub(super) fn blocked_for(&self, subject: &impl Subject, at: Moment) -> u64 {
        if !self.0.blocks.any(at) {
            return 0;
        }
        subject.ask(|request| {
            let left = |(name, value): (&str, &[u8])| {
                self.0.blocks.left(tag_of_attribute(&self.0.hasher, name, value), at)
            };
            request.attributes().map(left).max().unwrap_or(0)
        })
    }

    /// The tag of a subject that is to be blocked: a key, or the one attribute of a request.
    pub(super) fn tag_of_block(&self, subject: &impl Subject) -> Result<u64> {
        subject.ask(|request| {
            let mut attributes = request.attributes();
            match (attributes.next(), attributes.next()) {
                (Some((name, value)), None) => Ok(tag_of_attribute(&self.0.hasher, name, value)),
                _ => Err(Error::argument(
                    "request",
                    format!(
                        "a block is of one attribute, the request has {}",
                        request.attributes().count()
                    ),
                    "give one, such as {\"ip\": \"203.0.113.9\"}, and block once for each",
                )),
            }
        })
    }

    /// The request's plan; none where the policy has none, or the request meets no plan.
    #[must_use]
    pub fn plan_of(&self, subject: impl Subject) -> Option<&'static str> {
        let visit = self.0.lanes.enter();
        let engine: &Engine = self.0.engines.engine(&visit);
        let rules = engine.rules()?;
        let at = self.moment();
        subject.ask(|request: &Request<'_>| {
            let given = rules.read(request).ok()?;
            let variant = rules.variant(&given, &self.0.assignments, at).ok()?;
            rules.plan_name(variant)
        })
    }
}

/// A decision that no limit makes.
#[cold]
fn by_rule(reason: Reason, terms: &'static Terms, at: Moment) -> Decision {
    let retry_after = if reason == Reason::Blocked { NEVER } else { 0 };
    let numbers = Numbers { reason, limit: 0, remaining: 0, retry_after, reset_after: 0 };
    Decision::new(terms, numbers, at.wall.as_nanos())
}

enum Outcome {
    Done,
    /// Whatever the records say.
    Decided(Decision),
    /// The store has no place for a key.
    Full,
}

/// A change of one record that is taken back unless it is to be kept.
fn kept<C: FnMut(&mut [Asked<'_>]) -> bool>(change: &mut C) -> impl FnMut(&Plan, &mut [u64]) {
    move |plan, words| {
        let mut copy = [0; MAX_WORDS];
        let copy = &mut copy[..words.len()];
        copy.copy_from_slice(words);
        if change(&mut [Asked { plan, words: copy }]) {
            words.copy_from_slice(copy);
        }
    }
}
