//! Several records in one step: all of them change, or none.
//!
//! All are copied first, each a consistent copy, and the change is made to the copies. If it changes nothing (a
//! denial, but for the first one under another plan), that is all: nothing shared was written. Otherwise the records are locked one by one in the order of
//! their scopes, each only if nothing happened to it since its copy was made, which proves at the last lock that all copies are
//! the truth at one moment; then all are written and let go. Who meets a record that was changed meanwhile lets
//! go of those it has and begins again.
//!
//! A key without a record gets one first, empty or with what it inherits, and then all begins anew; unless the change
//! leaves it as it begins: then it needs none, and with all records locked another look makes sure that it has none (under its
//! sets' locks, which are tried, not waited for). A key that the store has no place for does the same if the caller says
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
use crate::store::{Found, Inserted, KeptOut, Look, OnPressure};
use crate::sync::spin;

/// Words of all records of a request, as they are in most requests.
const WORDS: usize = 32;
/// Records of most requests.
const FEW: usize = 4;

/// What was found of a key that had no record where most are.
enum Sight<'v> {
    Record(Look<'v>),
    /// No record, but a place for one.
    Absent,
    NoPlace,
}

/// What was found of all keys, and copies of their records, in the order of the parts. A copy is as long as its record's
/// cache lines: zeros follow the words.
struct Copies<'c, 'a> {
    /// `None`: the key has no record; and no place for one where what is asked does not last.
    looks: &'c mut [Option<Look<'a>>],
    asked: &'c mut [Asked<'a>],
    /// What keys without a record begin with, one after the other.
    begun: Vec<u64>,
    /// Has every key a record?
    complete: bool,
    /// Was a record under another plan?
    turned: bool,
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
        let (mut near, mut far) = ([0; 2 * WORDS], Vec::new());
        loop {
            let words = if far.is_empty() { &mut near[..] } else { &mut far[..] };
            let (count, nothing) = (self.parts.len(), || Asked::shown(self.engine.plan(), &mut []));
            let (mut few, mut many) = ([None; FEW], Vec::new());
            let (mut few_asked, mut many_asked) = ([(); FEW].map(|()| nothing()), Vec::new());
            if count > FEW {
                many.resize(count, None);
                many_asked.resize_with(count, nothing);
            }
            let mut copies = Copies {
                looks: few.get_mut(..count).unwrap_or(&mut many),
                asked: few_asked.get_mut(..count).unwrap_or(&mut many_asked),
                begun: Vec::new(),
                complete: true,
                turned: false,
            };
            if !self.look(visit, words, &mut copies)? {
                let rooms =
                    self.parts.iter().map(|part| self.engine.scope(part.scope).table.room());
                far.resize(2 * rooms.sum::<usize>(), 0);
                continue;
            }
            let keep = match change(copies.asked) {
                Keep::Plan if !copies.turned => Keep::Nothing,
                keep => keep,
            };
            let done = match keep {
                Keep::All => {
                    (copies.complete || !self.make_records(visit, &copies)?)
                        && self.commit(&mut copies)
                }
                // What has no record is under no plan.
                Keep::Plan => self.commit(&mut copies),
                Keep::Nothing => true,
            };
            if done {
                let spared = !copies.complete && copies.asked.iter().any(|asked| !asked.lasts);
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

    /// Copies all records, one after the other, and brings them under the request's plan; of a key without a record, what it
    /// would begin with. False: that takes more words.
    #[inline(always)]
    fn look<'a>(
        &'a self,
        visit: &'a Visit<'_>,
        words: &'a mut [u64],
        copies: &mut Copies<'_, 'a>,
    ) -> Result<bool, Undone> {
        let mut rest = words;
        let each = self.parts.iter().zip(&mut *copies.looks).zip(&mut *copies.asked);
        for ((part, look), asked) in each {
            let scope = self.engine.scope(part.scope);
            let room = scope.table.room();
            let both = std::mem::take(&mut rest).split_at_mut_checked(2 * room);
            let Some((both, others)) = both else { return Ok(false) };
            rest = others;
            let (words, before) = both.split_at_mut(room);
            asked.lasts = true;
            *look = scope.table.look(part.tag, words);
            if look.is_none() {
                match self.look_around(visit, (scope, part.tag), words)? {
                    Sight::Record(found) => *look = Some(found),
                    sight => {
                        copies.complete = false;
                        asked.lasts = matches!(sight, Sight::Absent);
                        copies.begun.extend_from_slice(if asked.lasts { words } else { &[] });
                    }
                }
            }
            let (plan, met, turns) = scope.under(self.variant, words, self.at);
            copies.turned |= turns;
            copy(before, words);
            (asked.plan, asked.words, asked.before, asked.met) = (plan, words, before, met);
            asked.tag = part.tag;
        }
        Ok(true)
    }

    /// As `Table::look` of a key whose record is not where most are.
    #[cold]
    #[inline(never)]
    fn look_around<'a>(
        &self,
        visit: &'a Visit<'_>,
        (scope, tag): (&'a Scope, u64),
        words: &mut [u64],
    ) -> Result<Sight<'a>, Undone> {
        match scope.table.look_around(tag, words) {
            Ok(look) => Ok(Sight::Record(look)),
            Err(Found::Moved) => Err(Undone::Moved),
            Err(_) => self.look_closer(visit, (scope, tag), words),
        }
    }

    /// As `Table::look` of a key that seemed to have no record: with what would it begin?
    fn look_closer<'v>(
        &self,
        visit: &'v Visit<'_>,
        (scope, tag): (&'v Scope, u64),
        words: &mut [u64],
    ) -> Result<Sight<'v>, Undone> {
        loop {
            // Not kept: a newcomer that is denied leaves no trace.
            let show = |begin: &mut [u64]| words[..begin.len()].copy_from_slice(begin);
            let previous = Engines::previous(scope, visit);
            match scope.insert(previous, tag, self.at, self.pressure, show) {
                Inserted::Done => return Ok(Sight::Absent),
                Inserted::Full if self.spare => {
                    words.fill(0);
                    return Ok(Sight::NoPlace);
                }
                Inserted::Again => {}
                Inserted::Moved => return Err(Undone::Moved),
                Inserted::Full => return Err(Undone::Full),
            }
            match scope.table.look_around(tag, words) {
                Ok(look) => return Ok(Sight::Record(look)),
                Err(Found::Moved) => return Err(Undone::Moved),
                Err(_) => {}
            }
        }
    }

    /// Gives a record to every key that needs one and has none; were there any?
    #[cold]
    #[inline(never)]
    fn make_records(&self, visit: &Visit<'_>, copies: &Copies<'_, '_>) -> Result<bool, Undone> {
        let mut begun = &copies.begun[..];
        let mut made = false;
        let absent = self.absent(copies).filter(|(_, asked)| asked.lasts);
        for (Part { scope, tag }, asked) in absent {
            let scope = self.engine.scope(*scope);
            let (begin, others) = begun.split_at(asked.words.len());
            begun = others;
            // The stamps alone are no use of anything.
            if begin[scope.stamps()..] == asked.words[scope.stamps()..] {
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

    /// Those without a record.
    fn absent<'c, 'a>(
        &'c self,
        copies: &'c Copies<'_, 'a>,
    ) -> impl Iterator<Item = (&'c Part, &'c Asked<'a>)> {
        let each = self.parts.iter().zip(&*copies.asked).zip(&*copies.looks);
        each.filter(|(_, look)| look.is_none()).map(|(each, _)| each)
    }

    /// Writes all words, provided that nothing happened to any of the records, and that keys without one still have none:
    /// they need none.
    #[inline(always)]
    fn commit(&self, copies: &mut Copies<'_, '_>) -> bool {
        for (seized, look) in copies.looks.iter().enumerate() {
            if let Some(look) = look
                && !look.seize()
            {
                let_go(&copies.looks[..seized]);
                return false;
            }
        }
        if !copies.complete {
            return self.commit_beside_absent(copies);
        }
        write(copies);
        true
    }

    /// Writes what has been seized, if the keys without a record still have none, all at that moment.
    #[cold]
    #[inline(never)]
    fn commit_beside_absent(&self, copies: &mut Copies<'_, '_>) -> bool {
        let absent = self.absent(copies).map(|(part, _)| part);
        let kept_out: Option<Vec<KeptOut<'_>>> =
            absent.map(|part| self.engine.scope(part.scope).table.keep_out(part.tag)).collect();
        match kept_out {
            Some(_) => write(copies),
            None => let_go(copies.looks),
        }
        kept_out.is_some()
    }
}

/// Copies a record of whole cache lines, without a call where it is one or two.
#[inline(always)]
fn copy(into: &mut [u64], from: &[u64]) {
    let lines = (into.split_first_chunk_mut::<6>(), from.split_first_chunk::<6>());
    let (Some((first, into)), Some((first_from, from))) = lines else {
        return into.copy_from_slice(from);
    };
    *first = *first_from;
    if into.is_empty() {
        return;
    }
    let lines = into.as_chunks_mut::<8>().0.iter_mut().zip(from.as_chunks::<8>().0);
    lines.for_each(|(line, from)| *line = *from);
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
    let asked = Asked { tag, met, ..Asked::new(plan, &mut *words, &before) };
    let kept = change(&mut [asked]) == Keep::All;
    if !kept {
        words.copy_from_slice(&before);
    }
    kept
}

#[cold]
#[inline(never)]
fn let_go(looks: &[Option<Look<'_>>]) {
    looks.iter().flatten().for_each(|look| look.let_go());
}

/// Writes what has been seized.
#[inline(always)]
fn write(Copies { looks, asked, .. }: &mut Copies<'_, '_>) {
    for (look, asked) in looks.iter().zip(&mut **asked) {
        if let Some(look) = look {
            look.commit(asked.words);
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
    use crate::rate::Method;
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

        /// Charges more time to a scope's record than there is.
        fn overdraw(&self, thread: usize, scope: usize) {
            let visit = self.lanes[thread].enter();
            let at = Moment::from(Timestamp::from_secs(NOW));
            let parts = [Part { scope, tag: 77 }];
            loop {
                let engine = self.engines.engine(&visit);
                let pressure = OnPressure::Inherit;
                let joint =
                    Joint { engine, parts: &parts, variant: Some(0), at, pressure, spare: false };
                let done = joint.transact(&visit, |asked| {
                    let Asked { plan, words, .. } = &mut asked[0];
                    let notes = &mut Notes::default();
                    plan.charge(words, at, Method::Latency, 3_000_000_000, notes);
                    Keep::All
                });
                if done.is_ok() {
                    return;
                }
                spin();
            }
        }

        fn used(&self, thread: usize, scope: usize) -> u64 {
            let visit = self.lanes[thread].enter();
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
                let used = house.used(0, scope);
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

    /// A request pays to one record, and finds none of its key where it pays nothing. If that key overdraws there, and sees
    /// nothing paid then, the request is the later one, and denied.
    #[test]
    fn a_record_that_comes_between_is_seen() {
        const POLICY: &str = r#"{"limit": [
            {"name": "one", "rate": "2/day", "algorithm": "fixed_window"},
            {"name": "time", "rate": "2s/day", "algorithm": "fixed_window", "by": ["account"]}]}"#;
        let mut model = loom::model::Builder::new();
        // One is enough: between the look and the exchange.
        model.preemption_bound = Some(1);
        model.max_branches = 20_000;
        model.check(move || {
            let house = Arc::new(House::new(POLICY));
            assert!(house.acquire(0, &[0]));
            let other = {
                let house = Arc::clone(&house);
                thread::spawn(move || {
                    house.overdraw(1, 1);
                    house.used(1, 0)
                })
            };
            let admitted = house.acquire(0, &[0, 1]);
            let paid = other.join().unwrap() == 2;
            assert!(paid || !admitted);
            assert_eq!(house.used(0, 0), 1 + u64::from(admitted));
        });
    }
}
