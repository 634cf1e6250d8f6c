//! Several records in one step: all of them change, or none.
//!
//! All are copied first, each a consistent copy, and the change is made to the copies. If it changes nothing (a
//! denial, but for the first one under another plan), that is all: nothing shared was written. Otherwise the records are locked one by one in the order of
//! their scopes, each only if nothing happened to it since its copy was made, which proves at the last lock that all copies are
//! the truth at one moment; then all are written and let go. Who meets a record that was changed meanwhile lets
//! go of those it has and begins again.
//!
//! A key without a record gets one first, empty or with what it inherits, and then all begins anew; unless the change
//! leaves it as it begins: then it needs none. A key that the store has no place for does the same if the caller says
//! so (`Joint::spare`): it is asked as what it is, a key never seen, and the other records change without it.
//!
//! Nobody waits for a lock while it holds one, so that there is no deadlock: not with others who lock several,
//! nor with those who lock sets of slots and then records. Somebody's change is the reason of every new beginning.

use smallvec::SmallVec;

use super::scope::Scope;
use super::{Engine, Engines, Undone};
use crate::clock::Moment;
use crate::lanes::Visit;
use crate::plan::{Asked, Plan};
use crate::rules::Part;
use crate::store::{Found, Inserted, Look, OnPressure};
use crate::sync::spin;

/// Words of all records of a request, as they are in most requests.
const WORDS: usize = 32;

/// A record of the request, and what was found of its key.
struct Record<'v> {
    scope: &'v Scope,
    tag: u64,
    sight: Sight,
}

type Records<'v> = SmallVec<[Record<'v>; 4]>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    Record(Look),
    /// No record, but a place for one.
    Absent,
    NoPlace,
}

/// A request's records in one engine, under one variant.
pub(crate) struct Joint<'v> {
    pub(crate) engine: &'v Engine,
    pub(crate) parts: &'v [Part],
    /// `None`: each record under the variant that it has.
    pub(crate) variant: Option<usize>,
    pub(crate) at: Moment,
    pub(crate) pressure: OnPressure,
    /// Is a key that the store has no place for left out? Else nothing is done.
    pub(crate) spare: bool,
}

/// What is to be kept of the copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    All,
    /// Nothing, but that the records stand under the plan of the request now: time goes on as it says.
    Plan,
    Nothing,
}

/// What has become of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    /// It was kept.
    pub(crate) kept: bool,
    /// But for a key that the store has no place for.
    pub(crate) spared: bool,
}

impl Joint<'_> {
    /// Runs `change` on the words of all records, once for every attempt; it says what is kept of them. (Of `Keep::Plan` it
    /// has left them as they were.)
    pub(crate) fn transact(
        &self,
        visit: &Visit<'_>,
        mut change: impl FnMut(&mut [Asked<'_>]) -> Keep,
    ) -> Result<Made, Undone> {
        if let Some(made) = self.transact_alone(&mut change) {
            return Ok(made);
        }
        let mut records = Records::new();
        let mut length = 0;
        for part in self.parts {
            let scope = self.engine.scope(part.scope);
            length += scope.table.words();
            records.push(Record { scope, tag: part.tag, sight: Sight::Absent });
        }
        let (mut near, mut far) = ([0; WORDS], Vec::new());
        let words = match near.get_mut(..length) {
            Some(words) => words,
            None => {
                far.resize(length, 0);
                &mut far[..]
            }
        };
        // What keys without a record begin with, one after the other.
        let mut begun = Vec::new();
        loop {
            let complete = self.look(visit, &mut records, words, &mut begun)?;
            let keep = self.change(&records, words, &mut change);
            let done = match keep {
                Keep::All => {
                    (complete || !self.make_records(visit, &records, &begun, words)?)
                        && commit(&records, words)
                }
                // What has no record is under no plan.
                Keep::Plan => commit(&records, words),
                Keep::Nothing => true,
            };
            if done {
                let spared = !complete && spared(&records);
                return Ok(Made { kept: keep == Keep::All, spared });
            }
            spin();
        }
    }

    /// A record that is alone in the request, the only one of its plans, and found at once, needs none of this: it is one
    /// exchange, as under a policy about keys. `None`: nothing happened.
    #[inline(always)]
    fn transact_alone(&self, change: &mut impl FnMut(&mut [Asked<'_>]) -> Keep) -> Option<Made> {
        let &[Part { scope, tag }] = self.parts else { return None };
        let scope = self.engine.scope(scope);
        let plan = scope.only_plan()?;
        let met = self.variant.is_some_and(|variant| scope.has_limits(variant));
        let mut kept = false;
        let mut make = |words: &mut [u64]| kept = change_alone(plan, words, tag, met, change);
        let done = scope.table.transact_line(tag, &mut make);
        done.then_some(Made { kept, spared: false })
    }

    /// Copies all records, one after the other; of a key without a record, what it would begin with. Says whether all
    /// have one.
    fn look(
        &self,
        visit: &Visit<'_>,
        records: &mut [Record<'_>],
        mut words: &mut [u64],
        begun: &mut Vec<u64>,
    ) -> Result<bool, Undone> {
        begun.clear();
        let mut complete = true;
        for record in records {
            let (own, others) = words.split_at_mut(record.scope.table.words());
            words = others;
            record.sight = match record.scope.table.look(record.tag, own) {
                Ok(look) => Sight::Record(look),
                Err(Found::Moved) => return Err(Undone::Moved),
                Err(_) => self.look_closer(visit, record, own)?,
            };
            match record.sight {
                Sight::Record(_) => continue,
                Sight::Absent => begun.extend_from_slice(own),
                Sight::NoPlace => {}
            }
            complete = false;
        }
        Ok(complete)
    }

    /// As `Table::look` of a key that seemed to have no record: with what would it begin?
    #[cold]
    fn look_closer(
        &self,
        visit: &Visit<'_>,
        record: &Record<'_>,
        words: &mut [u64],
    ) -> Result<Sight, Undone> {
        loop {
            // Not kept: a newcomer that is denied leaves no trace.
            match self.insert(visit, record, |begin| words.copy_from_slice(begin)) {
                Inserted::Done => return Ok(Sight::Absent),
                Inserted::Full if self.spare => {
                    words.fill(0);
                    return Ok(Sight::NoPlace);
                }
                Inserted::Again => {}
                Inserted::Moved => return Err(Undone::Moved),
                Inserted::Full => return Err(Undone::Full),
            }
            match record.scope.table.look(record.tag, words) {
                Ok(look) => return Ok(Sight::Record(look)),
                Err(Found::Moved) => return Err(Undone::Moved),
                Err(_) => {}
            }
        }
    }

    /// Gives a record to every key that needs one and has none; were there any?
    #[cold]
    fn make_records(
        &self,
        visit: &Visit<'_>,
        records: &[Record<'_>],
        mut begun: &[u64],
        mut words: &[u64],
    ) -> Result<bool, Undone> {
        let mut made = false;
        for Record { scope, tag, sight } in records {
            let (own, others) = words.split_at(scope.table.words());
            words = others;
            if *sight != Sight::Absent {
                continue;
            }
            let (begin, others) = begun.split_at(scope.table.words());
            begun = others;
            // The stamps alone are no use of anything.
            if begin[scope.stamps()..] == own[scope.stamps()..] {
                continue;
            }
            made = true;
            let previous = Engines::previous(scope, visit);
            match scope.insert_begun(previous, *tag, self.at, self.pressure) {
                Inserted::Done | Inserted::Again => {}
                Inserted::Full if self.spare => {}
                Inserted::Moved => return Err(Undone::Moved),
                Inserted::Full => return Err(Undone::Full),
            }
        }
        Ok(made)
    }

    fn insert(
        &self,
        visit: &Visit<'_>,
        record: &Record<'_>,
        change: impl FnMut(&mut [u64]),
    ) -> Inserted {
        let previous = Engines::previous(record.scope, visit);
        record.scope.insert(previous, record.tag, self.at, self.pressure, change)
    }

    #[inline(always)]
    fn change(
        &self,
        records: &[Record<'_>],
        words: &mut [u64],
        change: &mut impl FnMut(&mut [Asked<'_>]) -> Keep,
    ) -> Keep {
        let mut turned = false;
        let mut asked: SmallVec<[Asked<'_>; 4]> = SmallVec::new();
        let mut rest = words;
        for Record { scope, tag, sight } in records {
            let (words, others) = rest.split_at_mut(scope.table.words());
            rest = others;
            let (plan, turns) = scope.under(self.variant, words, self.at);
            turned |= turns;
            let met = self.variant.is_some_and(|variant| scope.has_limits(variant));
            asked.push(Asked { plan, words, tag: *tag, met, lasts: *sight != Sight::NoPlace });
        }
        match change(&mut asked) {
            Keep::Plan if !turned => Keep::Nothing,
            keep => keep,
        }
    }
}

/// A change of one record that is taken back unless all of it is to be kept. Is it?
#[inline(always)]
pub(crate) fn change_alone(
    plan: &Plan,
    words: &mut [u64],
    tag: u64,
    met: bool,
    change: &mut impl FnMut(&mut [Asked<'_>]) -> Keep,
) -> bool {
    let before: SmallVec<[u64; 8]> = SmallVec::from_slice(words);
    let asked = Asked { plan, words: &mut *words, tag, met, lasts: true };
    let kept = change(&mut [asked]) == Keep::All;
    if !kept {
        words.copy_from_slice(&before);
    }
    kept
}

#[cold]
fn spared(records: &[Record<'_>]) -> bool {
    records.iter().any(|record| record.sight == Sight::NoPlace)
}

/// Writes all words, provided that nothing happened to any of the records. A key without one needs none.
#[inline]
fn commit(records: &[Record<'_>], mut words: &[u64]) -> bool {
    for (seized, Record { scope, sight, .. }) in records.iter().enumerate() {
        if let Sight::Record(look) = sight
            && !scope.table.seize(*look)
        {
            let_go(&records[..seized]);
            return false;
        }
    }
    for Record { scope, sight, .. } in records {
        let (own, others) = words.split_at(scope.table.words());
        words = others;
        if let Sight::Record(look) = sight {
            scope.table.commit(*look, own);
        }
    }
    true
}

#[cold]
fn let_go(records: &[Record<'_>]) {
    for Record { scope, sight, .. } in records {
        if let Sight::Record(look) = sight {
            scope.table.let_go(*look);
        }
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
                let joint =
                    Joint { engine, parts: &parts, variant: Some(0), at, pressure, spare: false };
                let mut allowed = false;
                let done = joint.transact(&visit, |asked| {
                    let mut decision = Decision::NONE;
                    decide(asked, at, 1, &mut Notes::default(), &mut decision);
                    allowed = decision.allowed();
                    if allowed { Keep::All } else { Keep::Plan }
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
            let joint =
                Joint { engine, parts: &parts, variant: Some(0), at, pressure, spare: false };
            let mut used = 0;
            let looked = joint.transact(&visit, |asked| {
                let limit = &asked[0].plan.limits[0];
                used = limit.buckets[0].used(asked[0].words, at);
                Keep::Nothing
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
