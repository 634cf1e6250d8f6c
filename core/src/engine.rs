//! A plan and the table of its keys, and the change from one to the next.
//!
//! An update makes a new engine beside the old one: the old table is frozen, the new one published, and
//! every record is carried over, by whoever needs it first or by the updater. Requests go on meanwhile:
//! they find their key's record in the new table, or carry it over, exactly once (the old record is taken out
//! under the new set's lock). Nobody waits for the whole of it. The old engine is freed when nobody who may be
//! looking at it is inside any more (see `lanes`).

use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::lanes::{Lanes, Seen, Visit};
use crate::plan::Plan;
use crate::policy::Policy;
use crate::store::{self, Found, Inserted, Judge, MAX_WORDS, OnPressure, Table};
use crate::sync::{AtomicPtr, AtomicU64, Mutex, Ordering, spin};

pub(crate) struct Engine {
    plan: Plan,
    table: Table,
    /// The engine that this one takes over from; null once it has.
    previous: AtomicPtr<Engine>,
}

/// What is to be done with a key's words under the plan in force; what it comes to, it keeps itself.
pub(crate) trait Change {
    /// Changes the words, or leaves them as they are. Called once for every attempt; the last one counts.
    fn make(&mut self, plan: &Plan, words: &mut [u64]);
}

impl<F: FnMut(&Plan, &mut [u64])> Change for F {
    #[inline(always)]
    fn make(&mut self, plan: &Plan, words: &mut [u64]) {
        self(plan, words);
    }
}

/// A change under a certain plan.
struct ByPlan<'a, C> {
    plan: &'a Plan,
    change: &'a mut C,
}

impl<C: Change> store::Change for ByPlan<'_, C> {
    #[inline(always)]
    fn make(&mut self, words: &mut [u64]) {
        self.change.make(self.plan, words);
    }
}

/// What a plan says of words at one moment.
struct At<'a> {
    plan: &'a Plan,
    at: Moment,
}

/// Nanoseconds. A busy key of a fast rate is full again between any two of its requests; making a record for each of
/// them anew would cost more than the record.
const REST: u64 = 1_000_000_000;

impl Judge for At<'_> {
    fn full_after(&self, words: &[u64]) -> u64 {
        self.plan.full_after(words, self.at)
    }

    fn is_rested(&self, words: &[u64]) -> bool {
        self.plan.full_after(words, self.at.before(REST)) == 0
    }

    fn is_held(&self, words: &[u64]) -> bool {
        self.plan.is_held(words, self.at)
    }

    fn merge(&self, into: &mut [u64], from: &[u64]) {
        self.plan.merge(into, from, self.at);
    }
}

impl Engine {
    fn new(policy: &Policy, max_keys: u64, before: Option<&Engine>) -> Result<Engine> {
        let plan = Plan::new(policy, MAX_WORDS, before.map(|before| &before.plan))?;
        let like = before.map(|before| &before.table);
        let table = Table::new(plan.words, max_keys, like).ok_or_else(|| {
            Error::argument(
                "max_keys",
                format!("there is no memory for {max_keys} keys"),
                "give a smaller number",
            )
        })?;
        Ok(Engine { plan, table, previous: AtomicPtr::new(std::ptr::null_mut()) })
    }

    fn insert(
        &self,
        previous: Option<&Engine>,
        tag: u64,
        at: Moment,
        pressure: OnPressure,
        change: &mut impl Change,
    ) -> Inserted {
        let judge = At { plan: &self.plan, at };
        let origin =
            |words: &mut [u64]| previous.is_some_and(|old| self.take_over(old, tag, at, words));
        self.table.insert(tag, &judge, pressure, origin, |words| change.make(&self.plan, words))
    }

    /// Takes the key's record out of the old engine; false when there was none (then `words` are
    /// what the old ghosts make a newcomer inherit).
    fn take_over(&self, old: &Engine, tag: u64, at: Moment, words: &mut [u64]) -> bool {
        let mut before = [0; MAX_WORDS];
        let before = &mut before[..old.plan.words];
        let judge = At { plan: &old.plan, at };
        let found = old.table.take_out(tag, before);
        if !found {
            before.fill(0);
            old.table.ghosts_of(tag, &judge, before);
        }
        // Of a key that never was, zeros become zeros.
        self.plan.carry(&old.plan, before, words, at);
        found
    }

    /// Carries over every record and ghost of `old`.
    fn take_over_all(&self, old: &Engine, at: Moment) {
        let judge = At { plan: &self.plan, at };
        old.table.each_tag(|tag, set, index| match tag {
            Some(tag) => {
                // A key that has a record here already was taken over by its own request.
                let _ = self.insert(
                    Some(old),
                    tag,
                    at,
                    OnPressure::Inherit,
                    &mut |_: &Plan, _: &mut [u64]| (),
                );
            }
            None => {
                let (mut before, mut words) = ([0; MAX_WORDS], [0; MAX_WORDS]);
                if old.table.ghost_words(index, &mut before) {
                    let words = &mut words[..self.plan.words];
                    self.plan.carry(&old.plan, &before[..old.plan.words], words, at);
                    if judge.full_after(words) > 0 {
                        self.table.add_ghost(set, old.table.sets(), words, &judge);
                    }
                }
            }
        });
    }
}

/// The engine in force, and the way from one to the next.
pub(crate) struct Engines {
    current: AtomicPtr<Engine>,
    max_keys: u64,
    /// One update at a time; the engines that were replaced and may still be looked at.
    replaced: Mutex<Vec<Replaced>>,
    /// Evictions of engines that are gone.
    past_evictions: AtomicU64,
}

/// An engine out of reach of everybody who comes now, and who was inside when it became so (`None`: unknown).
struct Replaced {
    engine: AtomicPtr<Engine>,
    seen: Option<Seen>,
}

impl Drop for Replaced {
    fn drop(&mut self) {
        // SAFETY: made by `Box::into_raw`, freed here alone; dropped when all who were inside have left, or with
        // the limiter, when nobody is inside.
        drop(unsafe { Box::from_raw(self.engine.load(Ordering::Relaxed)) });
    }
}

/// The store has no place for the key.
pub(crate) struct Full;

/// How often an update looks whether all who were inside have left; the next update looks again.
const LOOKS: usize = 64;

impl Engines {
    pub(crate) fn new(policy: &Policy, max_keys: u64) -> Result<Engines> {
        let engine = Box::new(Engine::new(policy, max_keys, None)?);
        Ok(Engines {
            current: AtomicPtr::new(Box::into_raw(engine)),
            max_keys,
            replaced: Mutex::new(Vec::new()),
            past_evictions: AtomicU64::new(0),
        })
    }

    /// As [`Engines::transact`] in a hurry: provided that the record is of one word, where most are, and that nobody
    /// interferes. Returns the plan that was used; else nothing happened.
    #[inline(always)]
    pub(crate) fn transact_quickly<'v>(
        &self,
        visit: &'v Visit<'_>,
        tag: u64,
        change: &mut impl Change,
    ) -> Option<&'v Plan> {
        let Engine { plan, table, .. } = self.engine(visit);
        table.transact_compact(tag, &mut ByPlan { plan, change }).then_some(plan)
    }

    /// Has the memory of these keys' records fetched, all at once.
    pub(crate) fn prefetch(&self, visit: &Visit<'_>, tags: &[u64]) {
        let table = &self.engine(visit).table;
        tags.iter().for_each(|&tag| table.prefetch(tag));
    }

    /// Runs `change` on the words of a key, once for every attempt; what the last attempt leaves in them is kept.
    /// The words of a key without a record are zero, or what it inherits.
    #[inline]
    pub(crate) fn transact(
        &self,
        visit: &Visit<'_>,
        tag: u64,
        at: Moment,
        pressure: OnPressure,
        change: &mut impl Change,
    ) -> std::result::Result<(), Full> {
        let Engine { plan, table, .. } = self.engine(visit);
        match table.transact_line(tag, &mut ByPlan { plan, change }) {
            true => Ok(()),
            false => self.transact_anywhere(visit, tag, at, pressure, change),
        }
    }

    #[cold]
    #[inline(never)]
    fn transact_anywhere(
        &self,
        visit: &Visit<'_>,
        tag: u64,
        at: Moment,
        pressure: OnPressure,
        change: &mut impl Change,
    ) -> std::result::Result<(), Full> {
        loop {
            let engine = self.engine(visit);
            match engine.table.transact(tag, |words: &mut [u64]| change.make(&engine.plan, words)) {
                Found::Done => return Ok(()),
                Found::Absent => {
                    match engine.insert(Self::previous(engine, visit), tag, at, pressure, change) {
                        Inserted::Done => return Ok(()),
                        Inserted::Full => return Err(Full),
                        Inserted::Again => {}
                        Inserted::Moved => spin(),
                    }
                }
                Found::Moved => spin(),
            }
        }
    }

    #[inline]
    fn engine<'v>(&self, _inside: &'v Visit<'_>) -> &'v Engine {
        // Acquire pairs with the Release of `update`: the engine is whole.
        let engine = self.current.load(Ordering::Acquire);
        // SAFETY: never null; an engine is freed only after another took its place and everybody who
        // was inside then has left.
        unsafe { &*engine }
    }

    fn previous<'v>(engine: &'v Engine, _inside: &'v Visit<'_>) -> Option<&'v Engine> {
        let previous = engine.previous.load(Ordering::Acquire);
        // SAFETY: null, or an engine that is freed only after this pointer was made null and everybody
        // who was inside then has left.
        unsafe { previous.as_ref() }
    }

    /// Reads the plan in force.
    pub(crate) fn with_plan<R>(&self, visit: &Visit<'_>, read: impl FnOnce(&Plan) -> R) -> R {
        read(&self.engine(visit).plan)
    }

    /// Puts a policy in force; use so far is kept. The calling thread must not be inside.
    pub(crate) fn update(&self, lanes: &Lanes, policy: &Policy, at: Moment) -> Result<()> {
        let mut replaced = self.replaced.lock();
        // Relaxed: only stored to under the lock.
        let old_pointer = self.current.load(Ordering::Relaxed);
        // SAFETY: in force until the store below, and freed by nobody else: we hold the lock.
        let old = unsafe { &*old_pointer };
        let new = Box::new(Engine::new(policy, self.max_keys, Some(old))?);
        // Relaxed: published by the store to `current`.
        new.previous.store(old_pointer, Ordering::Relaxed);
        old.table.freeze();
        let new_pointer = Box::into_raw(new);
        // Release: who sees the engine sees all of it.
        self.current.store(new_pointer, Ordering::Release);
        // SAFETY: in force since the line above, and only this function (under the lock) ends that.
        let new = unsafe { &*new_pointer };
        new.take_over_all(old, at);
        self.past_evictions.fetch_add(old.table.evictions(), Ordering::Relaxed);
        // Release: who sees null finds every record in the new table.
        new.previous.store(std::ptr::null_mut(), Ordering::Release);
        // Neither `current` nor any `previous` points to it; who may still look at it is in `seen`.
        replaced.push(Replaced { engine: AtomicPtr::new(old_pointer), seen: lanes.look() });
        for _ in 0..LOOKS {
            replaced.retain_mut(|old| !old.seen.as_mut().is_some_and(|seen| lanes.have_left(seen)));
            if replaced.is_empty() {
                break;
            }
            spin();
        }
        Ok(())
    }

    pub(crate) fn keys(&self, visit: &Visit<'_>) -> u64 {
        self.engine(visit).table.keys()
    }

    pub(crate) fn max_keys(&self) -> u64 {
        self.max_keys
    }

    pub(crate) fn evictions(&self, visit: &Visit<'_>) -> u64 {
        self.past_evictions.load(Ordering::Relaxed) + self.engine(visit).table.evictions()
    }
}

impl Drop for Engines {
    fn drop(&mut self) {
        // Relaxed: `&mut self`, nobody looks at it any more.
        let engine = self.current.load(Ordering::Relaxed);
        // SAFETY: made by `Box::into_raw`, and freed here alone.
        drop(unsafe { Box::from_raw(engine) });
    }
}
