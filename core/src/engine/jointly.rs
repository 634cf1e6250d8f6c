//! Several records in one step: all of them change, or none.
//!
//! All are copied first, each a consistent copy, and the change is made to the copies. If it changes nothing (a
//! denial), that is all: nothing shared was written. Otherwise the records are locked one by one in the order of
//! their scopes, each only if nothing happened to it since its copy was made, which proves at the last lock that all copies are
//! the truth at one moment; then all are written and let go. Who meets a record that was changed meanwhile lets
//! go of those it has and begins again.
//!
//! Nobody waits for a lock while it holds one, so that there is no deadlock: not with others who lock several,
//! nor with those who lock sets of slots and then records. Somebody's change is the reason of every new beginning.

use smallvec::SmallVec;

use super::scope::Scope;
use super::{Engine, Engines, Undone};
use crate::clock::Moment;
use crate::lanes::Visit;
use crate::plan::Asked;
use crate::rules::Part;
use crate::store::{Found, Inserted, Look, OnPressure};
use crate::sync::spin;

/// Words of all records of a request, as they are in most requests.
const WORDS: usize = 32;

type Looks = SmallVec<[Look; 4]>;
type Words = SmallVec<[u64; WORDS]>;

/// A request's records in one engine, under one variant.
pub(crate) struct Joint<'v> {
    pub(crate) engine: &'v Engine,
    pub(crate) parts: &'v [Part],
    /// `None`: each record under the variant that it has.
    pub(crate) variant: Option<usize>,
    pub(crate) at: Moment,
    pub(crate) pressure: OnPressure,
}

impl Joint<'_> {
    /// Runs `change` on the words of all records, once for every attempt; they are kept when it says so, and so does the
    /// result.
    pub(crate) fn transact(
        &self,
        visit: &Visit<'_>,
        mut change: impl FnMut(&mut [Asked<'_>]) -> bool,
    ) -> Result<bool, Undone> {
        let (mut before, mut after, mut looks) = (Words::new(), Words::new(), Looks::new());
        loop {
            let complete = self.look(visit, [&mut before, &mut after], &mut looks)?;
            if !self.change(&mut after, &mut change) {
                return Ok(false);
            }
            if !complete {
                self.make_records(visit)?;
            } else if self.commit(&looks, &before, &after) {
                return Ok(true);
            }
            spin();
        }
    }

    /// Runs `look` on records as they are of keys never seen.
    pub(crate) fn fresh(&self, look: impl FnOnce(&mut [Asked<'_>])) {
        let length = self.scopes().map(|(scope, _)| scope.table.words()).sum();
        let mut words = Words::from_elem(0, length);
        let mut look = Some(look);
        self.change(&mut words, &mut |asked| {
            if let Some(look) = look.take() {
                look(asked);
            }
            false
        });
    }

    fn scopes(&self) -> impl Iterator<Item = (&Scope, u64)> {
        self.parts.iter().map(|part| (self.engine.scope(part.scope), part.tag))
    }

    /// Copies all records twice, one after the other; of a key without a record, what it would begin with. Says whether all
    /// have one.
    fn look(
        &self,
        visit: &Visit<'_>,
        [before, after]: [&mut Words; 2],
        looks: &mut Looks,
    ) -> Result<bool, Undone> {
        let length = self.scopes().map(|(scope, _)| scope.table.words()).sum();
        before.resize(length, 0);
        after.resize(length, 0);
        looks.clear();
        let (mut complete, mut start) = (true, 0);
        for (scope, tag) in self.scopes() {
            let end = start + scope.table.words();
            let (before, words) = (&mut before[start..end], &mut after[start..end]);
            start = end;
            loop {
                match scope.table.look(tag, before, words) {
                    Ok(look) => {
                        looks.push(look);
                        break;
                    }
                    Err(Found::Moved) => return Err(Undone::Moved),
                    // Not kept: a newcomer that is denied leaves no trace.
                    Err(_) => {
                        match self.insert(visit, scope, tag, |begin| words.copy_from_slice(begin)) {
                            Inserted::Done => {
                                complete = false;
                                break;
                            }
                            Inserted::Again => {}
                            Inserted::Moved => return Err(Undone::Moved),
                            Inserted::Full => return Err(Undone::Full),
                        }
                    }
                }
            }
        }
        Ok(complete)
    }

    /// Gives every key a record.
    fn make_records(&self, visit: &Visit<'_>) -> Result<(), Undone> {
        for (scope, tag) in self.scopes() {
            let variant = self.variant;
            match self.insert(visit, scope, tag, |words| {
                scope.under(variant, words, self.at);
            }) {
                Inserted::Done | Inserted::Again => {}
                Inserted::Moved => return Err(Undone::Moved),
                Inserted::Full => return Err(Undone::Full),
            }
        }
        Ok(())
    }

    fn insert(
        &self,
        visit: &Visit<'_>,
        scope: &Scope,
        tag: u64,
        change: impl FnMut(&mut [u64]),
    ) -> Inserted {
        let previous = Engines::previous(scope, visit);
        scope.insert(previous, tag, self.at, self.pressure, change)
    }

    fn change(&self, words: &mut Words, change: &mut impl FnMut(&mut [Asked<'_>]) -> bool) -> bool {
        let mut asked: SmallVec<[Asked<'_>; 4]> = SmallVec::new();
        let mut rest = &mut words[..];
        for (scope, _) in self.scopes() {
            let (words, others) = rest.split_at_mut(scope.table.words());
            rest = others;
            let (plan, words) = scope.under(self.variant, words, self.at);
            asked.push(Asked { plan, words });
        }
        change(&mut asked)
    }

    /// Writes all words, provided that nothing happened to any of the records.
    fn commit(&self, looks: &[Look], before: &[u64], after: &[u64]) -> bool {
        for (index, (scope, _)) in self.scopes().enumerate() {
            if !scope.table.seize(looks[index]) {
                for ((scope, _), look) in self.scopes().zip(&looks[..index]) {
                    scope.table.let_go(*look);
                }
                return false;
            }
        }
        let mut start = 0;
        for ((scope, _), look) in self.scopes().zip(looks) {
            let end = start + scope.table.words();
            let (before, after) = (&before[start..end], &after[start..end]);
            // What stays as it was is let go as it was: nobody has to look again for its sake. (Word by word: see `look`.)
            match before.iter().zip(after).any(|(before, after)| before != after) {
                false => scope.table.let_go(*look),
                true => scope.table.commit(*look, after),
            }
            start = end;
        }
        true
    }
}

#[cfg(all(test, loom))]
mod models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::decision::Decision;
    use crate::lanes::Lanes;
    use crate::plan::{Notes, decide};
    use crate::time::Timestamp;

    const NOW: u64 = 1_700_000_000;

    struct House {
        engines: Engines,
        /// One for each thread: to loom all are one thread's.
        lanes: [Lanes; 2],
    }

    impl House {
        fn new(policy: &str) -> House {
            let engines = Engines::new(&policy.parse().unwrap(), 1).unwrap();
            House { engines, lanes: [Lanes::new(), Lanes::new()] }
        }

        /// A request about the first record of some scopes. Is it admitted?
        fn acquire(&self, thread: usize, scopes: &[usize]) -> bool {
            let visit = self.lanes[thread].enter();
            let at = Moment::from(Timestamp::from_secs(NOW));
            let parts: Vec<Part> = scopes.iter().map(|&scope| Part { scope, tag: 77 }).collect();
            loop {
                let engine = self.engines.engine(&visit);
                let pressure = OnPressure::Inherit;
                let joint = Joint { engine, parts: &parts, variant: Some(0), at, pressure };
                let mut allowed = false;
                let done = joint.transact(&visit, |asked| {
                    let mut decision = Decision::NONE;
                    decide(asked, at, 1, &mut Notes::default(), &mut decision);
                    allowed = decision.allowed();
                    allowed
                });
                if done.is_ok() {
                    return allowed;
                }
                spin();
            }
        }

        fn used(&self, scope: usize) -> u64 {
            let visit = self.lanes[0].enter();
            let at = Moment::from(Timestamp::from_secs(NOW));
            let parts = [Part { scope, tag: 77 }];
            let engine = self.engines.engine(&visit);
            let pressure = OnPressure::Inherit;
            let joint = Joint { engine, parts: &parts, variant: Some(0), at, pressure };
            let mut used = 0;
            let looked = joint.transact(&visit, |asked| {
                let limit = &asked[0].plan.limits[0];
                used = limit.buckets[0].used(asked[0].words, at);
                false
            });
            assert!(looked.is_ok());
            used
        }
    }

    const POLICY: &str = r#"{"limit": [
        {"name": "one", "rate": "2/day", "algorithm": "fixed_window"},
        {"name": "other", "rate": "2/day", "algorithm": "fixed_window", "by": ["account"]}]}"#;

    fn two_threads(mine: &'static [usize], theirs: &'static [usize], before: u64) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.max_branches = 20_000;
        model.check(move || {
            let house = Arc::new(House::new(POLICY));
            let first = (0..before).filter(|_| house.acquire(0, &[0, 1])).count() as u64;
            let other = {
                let house = Arc::clone(&house);
                thread::spawn(move || house.acquire(1, theirs))
            };
            let ours = house.acquire(0, mine);
            let theirs_admitted = other.join().unwrap();
            for scope in 0..2 {
                let paid = |scopes: &[usize], admitted: bool| {
                    u64::from(admitted && scopes.contains(&scope))
                };
                let used = house.used(scope);
                assert_eq!(used, first + paid(mine, ours) + paid(theirs, theirs_admitted));
                assert!(used <= 2);
            }
            // What one of them got, there was room for.
            assert!(ours || theirs_admitted);
        });
    }

    #[test]
    fn two_records_by_two_threads() {
        two_threads(&[0, 1], &[0, 1], 1);
    }

    #[test]
    fn two_records_beside_one() {
        two_threads(&[0, 1], &[1], 1);
    }
}
