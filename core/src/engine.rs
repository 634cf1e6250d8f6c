//! The policy in force: the tables of its scopes, and the change from one policy to the next.
//!
//! An update makes a new engine beside the old one: the old tables are frozen, the new ones published, and
//! every record is carried over, set by set, by whoever needs a set first or by the updater. Requests go on meanwhile:
//! they find their key's record in the new table, or complete its sets, each record exactly once (it is taken out
//! under the new set's lock). The records of the old table have their places in the new one from the beginning, so that
//! no newcomer can take them. Nobody waits for the whole of it. The old engine is freed when nobody who may be
//! looking at it is inside any more (see `lanes`).

mod jointly;
mod scope;

use std::sync::Arc;

use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::lanes::{Lanes, Present, Visit};
use crate::plan::{Ancestry, Lone, Payment, Plan};
use crate::policy::Policy;
use crate::rules::{self, Networks, Part, Parts, Rules, ScopeLimits};
use crate::store::{Found, Inserted, OnPressure, Seen};
use crate::sync::{AtomicPtr, AtomicU64, Mutex, Ordering, spin};
use crate::time::Timestamp;
use crate::usage::Usage;
pub(crate) use jointly::{Joint, Keep, change_alone};
use scope::{ByPlan, Frame, Scope};

pub(crate) struct Engine {
    /// First and inside: of most policies the only one.
    first: Scope,
    others: Vec<Scope>,
    /// What attributes mean; `None`: a key is all that a request needs.
    rules: Option<Box<Rules>>,
    /// What was used, where the policy asks for it.
    usage: Option<Arc<Usage>>,
    networks: Networks,
    /// Which of a limiter's policies it is.
    number: u64,
    /// Is every limit one of requests × cost? Each request asks; plans may be many.
    counts_alone: bool,
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

/// For each new scope the number of the old one whose records it takes over: of the same identity, else one that counts by
/// the same and has most limits in common. None is taken over twice.
fn predecessors(limits: &[ScopeLimits<'_>], before: &Engine) -> Vec<Option<usize>> {
    let mut free: Vec<(usize, &Scope)> = before.scopes().enumerate().collect();
    let mut found = vec![None; limits.len()];
    for (limits, found) in limits.iter().zip(&mut found) {
        let same = free.iter().position(|(_, old)| old.is(&limits.identity));
        *found = same.map(|index| free.remove(index).0);
    }
    for (limits, found) in limits.iter().zip(&mut found).filter(|(_, found)| found.is_none()) {
        let akin = free.iter().enumerate().rev();
        let akin = akin.map(|(index, (_, old))| (old.in_common(limits), index));
        // The first of equals: of those the last one is taken, and they come from behind.
        let most = akin.filter(|(common, _)| *common > 0).max_by_key(|(common, _)| *common);
        *found = most.map(|(_, index)| free.remove(index).0);
    }
    found
}

impl Engine {
    fn new(
        policy: &Policy,
        max_keys: u64,
        before: Option<&Engine>,
        since: Moment,
    ) -> Result<Engine> {
        let (limits, plain) = rules::scopes(policy);
        let rules = if plain { None } else { Some(Box::new(Rules::new(policy, &limits)?)) };
        let number = before.map_or(0, |before| before.number + 1);
        let mut ancestry = Ancestry { number, count: 0, before: Vec::new() };
        let mut scopes = Vec::with_capacity(limits.len());
        let follows = before.map_or_else(Vec::new, |before| predecessors(&limits, before));
        for (index, limits) in limits.iter().enumerate() {
            let follows = follows.get(index).copied().flatten();
            let old = before.zip(follows).map(|(before, number)| before.scope(number));
            ancestry.before = old.map_or_else(Vec::new, |old| old.plans().collect());
            let frame = Frame { plans: &policy.plans, max_keys, plain, since };
            scopes.push(Scope::new(limits, &frame, old.zip(follows), &mut ancestry)?);
        }
        if scopes.is_empty() {
            return Err(Error::policy("limit", None, "there are no limits", "write at least one"));
        }
        let counts_alone = scopes.iter().flat_map(Scope::plans).all(Plan::counts_alone);
        let first = scopes.remove(0);
        let usage = policy.usage.as_ref().map(|wanted| {
            let before = before.and_then(|before| before.usage.as_ref());
            let same = before.filter(|usage| usage.is(wanted.window, wanted.resolution));
            let new = || Arc::new(Usage::new(wanted.window, wanted.resolution, max_keys));
            same.map_or_else(new, Arc::clone)
        });
        let networks = Networks::new(policy.ipv6_prefix);
        Ok(Engine { first, others: scopes, rules, usage, networks, number, counts_alone })
    }

    fn scopes(&self) -> impl Iterator<Item = &Scope> {
        std::iter::once(&self.first).chain(&self.others)
    }

    #[inline]
    fn scope(&self, number: usize) -> &Scope {
        if number == 0 { &self.first } else { &self.others[number - 1] }
    }

    fn evictions(&self) -> u64 {
        self.scopes().map(|scope| scope.table.evictions()).sum()
    }

    /// What attributes mean; `None`: a key is all that a request needs.
    pub(crate) fn rules(&self) -> Option<&Rules> {
        self.rules.as_deref()
    }

    /// What was used, where the policy asks for it.
    pub(crate) fn usage(&self) -> Option<&Arc<Usage>> {
        self.usage.as_ref()
    }

    /// The records in which payments were made, as far as their limits go on.
    pub(crate) fn paid(&self, payments: &[Payment]) -> Parts {
        let scopes = self.scopes().enumerate();
        let part = |(scope, limits): (usize, &Scope)| {
            let payment = payments.iter().find(|payment| limits.plan.goes_on(payment))?;
            Some(Part { scope, tag: payment.tag() })
        };
        scopes.filter_map(part).collect()
    }

    /// By what clients with addresses are known.
    pub(crate) fn networks(&self) -> Networks {
        self.networks
    }

    /// The plan of a policy about keys alone.
    pub(crate) fn plan(&self) -> &Plan {
        &self.first.plan
    }

    /// Does a limit of this name count requests in flight?
    pub(crate) fn is_concurrency(&self, limit: &str) -> bool {
        self.scopes().flat_map(Scope::plans).any(|plan| plan.is_concurrency(limit))
    }

    /// Is every limit one of requests × cost?
    pub(crate) fn counts_alone(&self) -> bool {
        self.counts_alone
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
    seen: Option<Present>,
}

impl Drop for Replaced {
    fn drop(&mut self) {
        // SAFETY: made by `Box::into_raw`, freed here alone; dropped when all who were inside have left, or with
        // the limiter, when nobody is inside.
        drop(unsafe { Box::from_raw(self.engine.load(Ordering::Relaxed)) });
    }
}

/// Why a change has not been made.
#[derive(Debug)]
pub(crate) enum Undone {
    /// The store has no place for the key.
    Full,
    /// The policy has changed: what the request comes to is to be worked out anew.
    Moved,
}

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

    /// What a change of a key begins with, in a hurry: the bucket that decides alone, and the key's record. `None`: there
    /// is no such bucket, the key has no record, or somebody interferes.
    #[inline(always)]
    pub(crate) fn look_quickly<'v>(
        &self,
        visit: &'v Visit<'_>,
        tag: u64,
    ) -> Option<(&'v Lone, Seen<'v>)> {
        let Scope { plan, table, .. } = &self.engine(visit).first;
        Some((plan.lone()?, table.look_compact(tag)?))
    }

    /// Has the memory of these keys' records fetched, all at once.
    pub(crate) fn prefetch(&self, visit: &Visit<'_>, tags: &[u64]) {
        let table = &self.engine(visit).first.table;
        tags.iter().for_each(|&tag| table.prefetch(tag));
    }

    /// Runs `change` on the words of a key, once for every attempt; what the last attempt leaves in them is kept.
    /// The words of a key without a record are zero, or what it inherits. Under a policy about keys alone; else the
    /// answer is `Moved`.
    pub(crate) fn transact(
        &self,
        visit: &Visit<'_>,
        tag: u64,
        at: Moment,
        pressure: OnPressure,
        change: &mut impl Change,
    ) -> std::result::Result<(), Undone> {
        self.transact_under(visit, (tag, at, pressure), change, |engine| engine.rules.is_none())
    }

    /// As [`Engines::transact`], for a change that takes no notes: where somebody wants them the answer is `Moved`, too.
    #[inline]
    pub(crate) fn transact_unwatched(
        &self,
        visit: &Visit<'_>,
        tag: u64,
        at: Moment,
        pressure: OnPressure,
        change: &mut impl Change,
    ) -> std::result::Result<(), Undone> {
        self.transact_under(visit, (tag, at, pressure), change, |engine| {
            engine.rules.is_none() && !engine.first.plan.is_watched()
        })
    }

    /// Under a policy of which `is_meant` says so; each is asked before anything is changed under it.
    #[inline(always)]
    fn transact_under(
        &self,
        visit: &Visit<'_>,
        key: (u64, Moment, OnPressure),
        change: &mut impl Change,
        is_meant: impl Fn(&Engine) -> bool,
    ) -> std::result::Result<(), Undone> {
        let engine = self.engine(visit);
        let Scope { plan, table, .. } = &engine.first;
        if !is_meant(engine) {
            return Err(Undone::Moved);
        }
        let by_plan = &mut ByPlan { plan, change };
        match table.transact_line(key.0, by_plan) || table.transact_at_home(key.0, by_plan) {
            true => Ok(()),
            false => self.transact_anywhere(visit, key, change, is_meant),
        }
    }

    #[cold]
    #[inline(never)]
    fn transact_anywhere(
        &self,
        visit: &Visit<'_>,
        (tag, at, pressure): (u64, Moment, OnPressure),
        change: &mut impl Change,
        is_meant: impl Fn(&Engine) -> bool,
    ) -> std::result::Result<(), Undone> {
        loop {
            let engine = self.engine(visit);
            if !is_meant(engine) {
                return Err(Undone::Moved);
            }
            let scope = &engine.first;
            let mut make = |words: &mut [u64]| change.make(&scope.plan, words);
            match scope.table.transact(tag, &mut make) {
                Found::Done => return Ok(()),
                Found::Absent => {
                    match scope.insert(Self::previous(scope, visit), tag, at, pressure, make) {
                        Inserted::Done => return Ok(()),
                        Inserted::Full => return Err(Undone::Full),
                        Inserted::Again => {}
                        Inserted::Moved => spin(),
                    }
                }
                Found::Moved => spin(),
            }
        }
    }

    #[inline]
    pub(crate) fn engine<'v>(&self, _inside: &'v Visit<'_>) -> &'v Engine {
        // Acquire pairs with the Release of `update`: the engine is whole.
        let engine = self.current.load(Ordering::Acquire);
        // SAFETY: never null; an engine is freed only after another took its place and everybody who
        // was inside then has left.
        unsafe { &*engine }
    }

    fn previous<'v>(scope: &'v Scope, _inside: &'v Visit<'_>) -> Option<&'v Scope> {
        let previous = scope.previous.load(Ordering::Acquire);
        // SAFETY: null, or a scope of an engine that is freed only after this pointer was made null and everybody
        // who was inside then has left.
        unsafe { previous.as_ref() }
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
        // Relaxed: only stored to under the lock.
        let old_pointer = self.current.load(Ordering::Relaxed);
        let [old, new] = self.succeed(&replaced, policy, at)?;
        meanwhile();
        for scope in new.scopes() {
            // Relaxed: stored to by this function alone, under the lock.
            let previous = scope.previous.load(Ordering::Relaxed);
            // SAFETY: null, or a scope of the old engine, which stays until it is in `replaced`.
            if let Some(previous) = unsafe { previous.as_ref() } {
                scope.take_over(previous);
            }
            // Release: who sees null finds every record in the new table.
            scope.previous.store(std::ptr::null_mut(), Ordering::Release);
        }
        self.past_evictions.fetch_add(old.evictions(), Ordering::Relaxed);
        // Neither `current` nor any `previous` points to it; who may still look at it is in `seen`.
        let old = AtomicPtr::new(old_pointer);
        replaced.push(Replaced { engine: old, seen: lanes.look() });
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
        for old in old.scopes() {
            old.table.freeze();
        }
        for scope in new.scopes() {
            let Some(old) = scope.follows.map(|number| old.scope(number)) else { continue };
            scope.table.follow(&old.table);
            // Relaxed: published by the store to `current`.
            scope.previous.store(std::ptr::from_ref(old).cast_mut(), Ordering::Relaxed);
        }
        let new_pointer = Box::into_raw(new);
        // Release: who sees the engine sees all of it.
        self.current.store(new_pointer, Ordering::Release);
        // SAFETY: in force since the line above, and only an update (under the lock) ends that.
        let new = unsafe { &*new_pointer };
        Ok([old, new])
    }

    /// Records of keys, of all scopes.
    pub(crate) fn keys(&self, visit: &Visit<'_>) -> u64 {
        self.engine(visit).scopes().map(|scope| scope.table.keys()).sum()
    }

    /// Most records of keys: as many in each scope.
    pub(crate) fn capacity(&self, visit: &Visit<'_>) -> u64 {
        self.engine(visit).scopes().map(|_| self.max_keys).sum()
    }

    pub(crate) fn evictions(&self, visit: &Visit<'_>) -> u64 {
        self.past_evictions.load(Ordering::Relaxed) + self.engine(visit).evictions()
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
    use crate::store;

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
