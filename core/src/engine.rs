//! A plan and the table of its keys, and the change from one to the next.
//!
//! An update makes a new engine beside the old one: the old table is frozen, the new one published, and
//! every record is carried over, set by set, by whoever needs a set first or by the updater. Requests go on meanwhile:
//! they find their key's record in the new table, or complete its sets, each record exactly once (it is taken out
//! under the new set's lock). The records of the old table have their places in the new one from the beginning, so that
//! no newcomer can take them. Nobody waits for the whole of it. The old engine is freed when nobody who may be
//! looking at it is inside any more (see `lanes`).

use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::lanes::{Lanes, Seen, Visit};
use crate::plan::Plan;
use crate::policy::Policy;
use crate::store::{self, Found, Inserted, Judge, MAX_WORDS, OnPressure, Table};
use crate::sync::{AtomicPtr, AtomicU64, Mutex, Ordering, spin};
use crate::time::Timestamp;

pub(crate) struct Engine {
    plan: Plan,
    table: Table,
    /// The engine that this one takes over from; null once it has.
    previous: AtomicPtr<Engine>,
    /// The time at which it takes over.
    since: Moment,
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

/// What an engine says of words at one moment.
struct At<'a> {
    engine: &'a Engine,
    /// The engine that this one is taking over from.
    previous: Option<&'a Engine>,
    at: Moment,
}

/// Nanoseconds. A busy key of a fast rate is full again between any two of its requests; making a record for each of
/// them anew would cost more than the record.
const REST: u64 = 1_000_000_000;

impl Judge for At<'_> {
    fn full_after(&self, words: &[u64]) -> u64 {
        self.engine.plan.full_after(words, self.at)
    }

    fn is_rested(&self, words: &[u64]) -> bool {
        self.engine.plan.full_after(words, self.at.before(REST)) == 0
    }

    fn is_held(&self, words: &[u64]) -> bool {
        self.engine.plan.is_held(words, self.at)
    }

    fn merge(&self, into: &mut [u64], from: &[u64]) {
        self.engine.plan.merge(into, from, self.at);
    }

    fn complete(&self, set: usize) {
        let Some(old) = self.previous else { return };
        let Engine { plan, table, since, .. } = self.engine;
        table.complete(set, &old.table, |before, words| {
            plan.carry(&old.plan, before, words, *since);
        });
    }
}

impl Engine {
    fn new(
        policy: &Policy,
        max_keys: u64,
        before: Option<&Engine>,
        since: Moment,
    ) -> Result<Engine> {
        let plan = Plan::new(policy, MAX_WORDS, before.map(|before| &before.plan))?;
        let table = Table::new(plan.words, max_keys).ok_or_else(|| {
            Error::argument(
                "max_keys",
                format!("there is no memory for {max_keys} keys"),
                "give a smaller number",
            )
        })?;
        Ok(Engine { plan, table, previous: AtomicPtr::new(std::ptr::null_mut()), since })
    }

    fn insert(
        &self,
        previous: Option<&Engine>,
        tag: u64,
        at: Moment,
        pressure: OnPressure,
        change: &mut impl Change,
    ) -> Inserted {
        let judge = At { engine: self, previous, at };
        self.table.insert(tag, &judge, pressure, |words| change.make(&self.plan, words))
    }

    /// Carries over all that `old` still has.
    fn take_over(&self, old: &Engine) {
        let judge = At { engine: self, previous: Some(old), at: self.since };
        self.table.complete_all(&old.table, &judge);
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
        // It takes over from nobody.
        let since = Moment::from(Timestamp::from_secs(0));
        let engine = Box::new(Engine::new(policy, max_keys, None, since)?);
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
        self.update_while(lanes, policy, at, || ())
    }

    /// `meanwhile` is called when the new engine is in force and has no record yet.
    fn update_while(
        &self,
        lanes: &Lanes,
        policy: &Policy,
        at: Moment,
        meanwhile: impl FnOnce(),
    ) -> Result<()> {
        let mut replaced = self.replaced.lock();
        let [old, new] = self.succeed(&replaced, policy, at)?;
        meanwhile();
        new.take_over(old);
        self.past_evictions.fetch_add(old.table.evictions(), Ordering::Relaxed);
        // Release: who sees null finds every record in the new table.
        let old = new.previous.swap(std::ptr::null_mut(), Ordering::AcqRel);
        // Neither `current` nor any `previous` points to it; who may still look at it is in `seen`.
        replaced.push(Replaced { engine: AtomicPtr::new(old), seen: lanes.look() });
        for _ in 0..LOOKS {
            replaced.retain_mut(|old| !old.seen.as_mut().is_some_and(|seen| lanes.have_left(seen)));
            if replaced.is_empty() {
                break;
            }
            spin();
        }
        Ok(())
    }

    /// The engine in force, and the one that is from now on: it still has to take over all records of the other. Both
    /// stay as long as the caller, who has the lock of `replaced`, does not touch what is in there.
    fn succeed<'l>(
        &self,
        _replaced: &'l [Replaced],
        policy: &Policy,
        at: Moment,
    ) -> Result<[&'l Engine; 2]> {
        // Relaxed: only stored to under the lock.
        let old_pointer = self.current.load(Ordering::Relaxed);
        // SAFETY: in force until the store below, and freed by nobody else: the caller holds the lock.
        let old = unsafe { &*old_pointer };
        let new = Box::new(Engine::new(policy, self.max_keys, Some(old), at)?);
        // Relaxed: published by the store to `current`.
        new.previous.store(old_pointer, Ordering::Relaxed);
        old.table.freeze();
        new.table.follow(&old.table);
        let new_pointer = Box::into_raw(new);
        // Release: who sees the engine sees all of it.
        self.current.store(new_pointer, Ordering::Release);
        // SAFETY: in force since the line above, and only an update (under the lock) ends that.
        let new = unsafe { &*new_pointer };
        Ok([old, new])
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const ROOMS: &str = r#"{"limit": [{"name": "rooms", "method": "concurrency", "quota": 1}]}"#;
    const ROOMS_AND_RATE: &str = r#"{"limit": [{"name": "rooms", "method": "concurrency", "quota": 1},
                                               {"name": "rate", "rate": "9/day"}]}"#;
    const RATES: &str =
        r#"{"limit": [{"name": "more", "rate": "99/day"}, {"name": "rate", "rate": "9/day"}]}"#;
    const RATE: &str = r#"{"limit": [{"name": "rate", "rate": "9/day"}]}"#;

    fn policy(text: &str) -> Policy {
        text.parse().unwrap()
    }

    fn now() -> Moment {
        Moment::from(Timestamp::from_secs(1_700_000_000))
    }

    /// A hash like any other.
    fn tag(number: u64) -> u64 {
        let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        store::tag((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9))
    }

    /// What a request of a key comes to; `None`: there is no place.
    fn ask(engines: &Engines, lanes: &Lanes, tag: u64, pressure: OnPressure) -> Option<bool> {
        let mut admitted = false;
        let mut change =
            |plan: &Plan, words: &mut [u64]| admitted = plan.admit(words, now(), 1).admits();
        let done = engines.transact(&lanes.enter(), tag, now(), pressure, &mut change);
        done.ok().map(|()| admitted)
    }

    /// Between the moment when a new engine is in force and the one when it has all records of the old one, everybody
    /// who has a record is known, and all places that will be needed are taken.
    fn in_the_middle_of_an_update(before: &str, after: &str, pressure: OnPressure, max_keys: u64) {
        let (engines, lanes) = (Engines::new(&policy(before), max_keys).unwrap(), Lanes::new());
        let ask = |key| ask(&engines, &lanes, tag(key), pressure);
        let what = format!("{before}, {after}, {pressure:?}, {max_keys}");
        for key in 0..max_keys {
            while ask(key).expect("there is room") {}
        }
        let meanwhile = || {
            for newcomer in max_keys..3 * max_keys {
                assert_eq!(ask(newcomer), None, "{newcomer}: {what}");
            }
            for key in (0..max_keys).step_by(2) {
                assert_eq!(ask(key), Some(false), "{key}: {what}");
            }
            assert_eq!(engines.keys(&lanes.enter()), max_keys);
        };
        engines.update_while(&lanes, &policy(after), now(), meanwhile).unwrap();
        for key in 0..max_keys {
            assert_eq!(ask(key), Some(false), "{key}: {what}");
        }
        let visit = lanes.enter();
        assert_eq!((engines.keys(&visit), engines.evictions(&visit)), (max_keys, 0), "{what}");
    }

    #[test]
    fn permits_have_their_places_in_the_middle_of_an_update() {
        for max_keys in [1, 8, 100, 600] {
            for pressure in [OnPressure::Inherit, OnPressure::Refuse] {
                in_the_middle_of_an_update(ROOMS, ROOMS, pressure, max_keys);
                in_the_middle_of_an_update(ROOMS, ROOMS_AND_RATE, pressure, max_keys);
                in_the_middle_of_an_update(ROOMS_AND_RATE, ROOMS, pressure, max_keys);
            }
        }
    }

    /// Where newcomers are refused, nobody who has a record is taken for one.
    #[test]
    fn who_has_a_record_is_known_in_the_middle_of_an_update() {
        for max_keys in [1, 8, 100, 600] {
            in_the_middle_of_an_update(RATE, RATE, OnPressure::Refuse, max_keys);
            in_the_middle_of_an_update(RATE, ROOMS_AND_RATE, OnPressure::Refuse, max_keys);
        }
    }

    /// Whoever may be evicted is found, also in sets that nobody has completed yet, and leaves its ghost.
    #[test]
    fn newcomers_find_victims_in_the_middle_of_an_update() {
        for first in 0..20 {
            let (engines, lanes) = (Engines::new(&policy(RATE), 1).unwrap(), Lanes::new());
            let ask = |key| ask(&engines, &lanes, tag(key), OnPressure::Inherit);
            while ask(first) == Some(true) {}
            let meanwhile = || {
                assert!((20..30).all(|key| ask(key).is_some()), "after {first}");
                assert_eq!(ask(first), Some(false), "after {first}");
            };
            engines.update_while(&lanes, &policy(RATES), now(), meanwhile).unwrap();
            assert!(engines.keys(&lanes.enter()) <= 1);
        }
    }

    /// A place that the old table has free is free in the new one.
    #[test]
    fn newcomers_find_room_in_the_middle_of_an_update() {
        let (engines, lanes) = (Engines::new(&policy(RATE), 1_000).unwrap(), Lanes::new());
        let ask = |key| ask(&engines, &lanes, tag(key), OnPressure::Refuse);
        assert!((0..600).all(|key| ask(key) == Some(true)));
        let meanwhile = || assert!((600..1_000).all(|key| ask(key) == Some(true)));
        engines.update_while(&lanes, &policy(ROOMS_AND_RATE), now(), meanwhile).unwrap();
        assert_eq!(ask(1_000), None);
        assert_eq!(engines.keys(&lanes.enter()), 1_000);
    }
}
