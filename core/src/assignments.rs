//! Plans that were assigned to values of one attribute while running: this account is `pro` from now on,
//! that one is `enterprise` until tomorrow.
//!
//! Kept apart from the records, as blocks are: while nobody is assigned a plan (or no longer) a request
//! pays one load for it, else a read lock.
//!
//! A value has two places, one for the plan that it has for good and one for the plan that it has for a time.
//! The second hides the first while it lasts. So an increase for a planned spike ends by itself, and a
//! change of the plan that is paid for neither ends it nor is undone by its end.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use parking_lot::RwLock;

use crate::clock::Moment;
use crate::sync::{AtomicU64, Ordering};

/// Later than every time that there is: the end of what does not end.
const NEVER: u64 = u64::MAX;

/// Plans by the value that they are assigned to.
#[derive(Debug, Default)]
pub(crate) struct Assignments {
    /// No assignment ends later than this; 0: there is none. Written under the lock alone.
    latest: AtomicU64,
    table: RwLock<Table>,
}

#[derive(Debug, Default)]
struct Table {
    by_value: HashMap<Box<[u8]>, Assigned, RandomState>,
    /// Values that have a plan for good.
    for_good: usize,
    /// No plan for a time ends later than this.
    latest: u64,
}

/// What one value was assigned. One of the two is there.
#[derive(Debug, Default)]
struct Assigned {
    for_good: Option<Arc<str>>,
    for_a_time: Option<(Arc<str>, u64)>,
}

impl Assigned {
    fn plan(&self, now: u64) -> Option<&Arc<str>> {
        match &self.for_a_time {
            Some((plan, until)) if *until > now => Some(plan),
            _ => self.for_good.as_ref(),
        }
    }

    /// Forgets what is over; tells whether anything is left.
    fn prune(&mut self, now: u64) -> bool {
        self.for_a_time.take_if(|(_, until)| *until <= now);
        self.for_good.is_some() || self.for_a_time.is_some()
    }
}

impl Table {
    /// For one more. What is over goes before memory grows.
    fn make_room(&mut self, now: u64) {
        if self.by_value.len() < self.by_value.capacity() {
            return;
        }
        self.by_value.retain(|_, assigned| assigned.prune(now));
        let left = self.by_value.values().filter_map(|assigned| assigned.for_a_time.as_ref());
        self.latest = left.map(|(_, until)| *until).max().unwrap_or(0);
        // Room for as many again as are left, so that all are seldom looked at.
        self.by_value.reserve(self.by_value.len() + 1);
    }

    fn remove(&mut self, value: &[u8]) {
        if let Some(assigned) = self.by_value.remove(value) {
            self.for_good -= usize::from(assigned.for_good.is_some());
        }
    }

    /// When the last assignment ends, or later.
    fn end(&self) -> u64 {
        match (self.by_value.is_empty(), self.for_good) {
            (true, _) => 0,
            (false, 0) => self.latest,
            (false, _) => NEVER,
        }
    }
}

impl Assignments {
    /// Assigns a plan to a value: until a time (exclusive, in ns on the line of `at.now`), or for good.
    ///
    /// Each replaces what was assigned in the same way before. A plan for good that comes while another holds for a
    /// time waits for the end of that. An end that has passed already ends the plan that holds for a time.
    pub(crate) fn set(&self, value: &[u8], plan: &str, until: Option<u64>, at: Moment) {
        let now = at.now.as_nanos();
        let mut guard = self.table.write();
        let table = &mut *guard;
        if !table.by_value.contains_key(value) {
            table.make_room(now);
        }
        let assigned = table.by_value.entry(value.into()).or_default();
        match until {
            None => {
                let before = assigned.for_good.replace(plan.into());
                table.for_good += usize::from(before.is_none());
            }
            Some(until) => {
                assigned.for_a_time = Some((plan.into(), until));
                if !assigned.prune(now) {
                    table.remove(value);
                }
                table.latest = table.latest.max(until);
            }
        }
        self.publish(table);
    }

    /// Forgets what a value was assigned, for good and for a time.
    pub(crate) fn clear(&self, value: &[u8]) {
        let mut table = self.table.write();
        table.remove(value);
        self.publish(&table);
    }

    /// With the lock held.
    fn publish(&self, table: &Table) {
        // Release: see `plan_of`.
        self.latest.store(table.end(), Ordering::Release);
    }

    /// The plan that a value is assigned at a time.
    #[inline]
    pub(crate) fn plan_of(&self, value: &[u8], at: Moment) -> Option<Arc<str>> {
        // Acquire pairs with the Release of `set`: an assignment is seen from the next call on.
        if self.latest.load(Ordering::Acquire) <= at.now.as_nanos() {
            return None;
        }
        self.look_up(value, at)
    }

    /// Nanoseconds until the plan ends that a value is assigned for a time; `None`: there is none.
    pub(crate) fn ends_after(&self, value: &[u8], at: Moment) -> Option<u64> {
        let now = at.now.as_nanos();
        // Acquire: as in `plan_of`.
        if self.latest.load(Ordering::Acquire) <= now {
            return None;
        }
        let table = self.table.read();
        let (_, until) = table.by_value.get(value)?.for_a_time.as_ref()?;
        until.checked_sub(now).filter(|&left| left > 0)
    }

    #[cold]
    #[inline(never)]
    fn look_up(&self, value: &[u8], at: Moment) -> Option<Arc<str>> {
        self.table.read().by_value.get(value)?.plan(at.now.as_nanos()).cloned()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn at(nanos: u64) -> Moment {
        Timestamp::clamped(nanos).into()
    }

    impl Assignments {
        fn said(&self, value: &str, nanos: u64) -> String {
            self.plan_of(value.as_bytes(), at(nanos)).map_or(String::new(), |plan| plan.to_string())
        }

        fn latest(&self) -> u64 {
            self.latest.load(Ordering::Acquire)
        }
    }

    #[test]
    fn nobody_is_assigned_anything() {
        let plans = Assignments::default();
        assert_eq!(plans.said("account:1", 0), "");
        plans.clear(b"account:1");
        assert_eq!(plans.latest(), 0);
    }

    #[test]
    fn a_plan_for_good_holds_for_its_value_alone() {
        let plans = Assignments::default();
        plans.set(b"account:1", "pro", None, at(10));
        for now in [0, 10, Timestamp::MAX.as_nanos()] {
            assert_eq!(plans.said("account:1", now), "pro");
            assert_eq!(plans.said("account:2", now), "");
        }
        plans.set(b"account:1", "starter", None, at(20));
        assert_eq!(plans.said("account:1", 20), "starter");
        plans.clear(b"account:1");
        assert_eq!(plans.said("account:1", 20), "");
        assert_eq!(plans.latest(), 0, "again one load is all");
    }

    #[test]
    fn p13_an_increase_ends_by_itself_and_what_was_before_holds_again() {
        let plans = Assignments::default();
        plans.set(b"account:1", "starter", None, at(0));
        plans.set(b"account:1", "enterprise", Some(72), at(10));
        assert_eq!(plans.said("account:1", 71), "enterprise");
        assert_eq!(plans.said("account:1", 72), "starter", "the end is exclusive");

        plans.set(b"account:2", "pro", Some(72), at(10));
        assert_eq!(plans.said("account:2", 71), "pro");
        assert_eq!(plans.said("account:2", 72), "", "there was nothing before");
    }

    #[test]
    fn what_is_paid_for_may_change_during_an_increase() {
        let plans = Assignments::default();
        plans.set(b"account:1", "enterprise", Some(72), at(10));
        plans.set(b"account:1", "pro", None, at(20));
        assert_eq!(plans.said("account:1", 20), "enterprise");
        assert_eq!(plans.said("account:1", 72), "pro");
        plans.clear(b"account:1");
        assert_eq!(plans.said("account:1", 20), "", "both are gone");
    }

    #[test]
    fn an_increase_can_be_moved_and_ended() {
        let plans = Assignments::default();
        plans.set(b"account:1", "starter", None, at(0));
        plans.set(b"account:1", "enterprise", Some(72), at(10));
        plans.set(b"account:1", "pro", Some(50), at(20));
        assert_eq!(plans.said("account:1", 49), "pro");
        assert_eq!(plans.said("account:1", 50), "starter");
        plans.set(b"account:1", "pro", Some(30), at(30));
        assert_eq!(plans.said("account:1", 20), "starter", "ended now, asked about before");
        assert_eq!(plans.said("account:1", 30), "starter");

        plans.set(b"account:2", "pro", Some(30), at(30));
        assert_eq!(plans.table.read().by_value.len(), 1, "what has ended leaves no trace");
    }

    #[test]
    fn when_the_last_has_ended_one_load_is_all() {
        let plans = Assignments::default();
        plans.set(b"account:1", "pro", Some(50), at(0));
        plans.set(b"account:2", "pro", Some(70), at(0));
        plans.set(b"account:3", "pro", Some(60), at(0));
        assert_eq!(plans.latest(), 70);
        plans.set(b"account:1", "starter", None, at(0));
        plans.set(b"account:1", "pro", None, at(0));
        assert_eq!(plans.latest(), NEVER);
        plans.clear(b"account:1");
        assert_eq!(plans.latest(), 70);
        assert_eq!(
            (plans.said("account:2", 69).as_str(), plans.said("account:2", 70).as_str()),
            ("pro", "")
        );
    }

    #[test]
    fn what_is_over_goes_before_memory_grows() {
        let plans = Assignments::default();
        plans.set(b"for good", "pro", None, at(0));
        plans.set(b"for good", "enterprise", Some(1), at(0));
        for number in 0..10_000u64 {
            plans.set(&number.to_le_bytes(), "pro", Some(number + 10), at(number));
        }
        let table = plans.table.read();
        let places = table.by_value.capacity();
        assert!(places < 64, "{places} places for 11 that hold");
        assert!(table.by_value[b"for good".as_slice()].for_a_time.is_none());
        drop(table);
        assert_eq!(plans.said("for good", 10_000), "pro");
        assert_eq!(plans.plan_of(&9_999u64.to_le_bytes(), at(10_000)).as_deref(), Some("pro"));
    }

    #[test]
    fn an_assignment_is_seen_at_once_by_all_threads() {
        let plans = Assignments::default();
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let plans = &plans;
                scope.spawn(move || {
                    for round in 0..1_000u64 {
                        let value = ((thread << 32) | (round % 7)).to_le_bytes();
                        // Long after the times of all threads: who finds no room forgets what is over at its own.
                        plans.set(&value, "pro", Some(round + 1_000_000), at(round));
                        assert_eq!(plans.plan_of(&value, at(round)).as_deref(), Some("pro"));
                        plans.clear(&value);
                        assert_eq!(plans.plan_of(&value, at(round)), None);
                    }
                });
            }
        });
        assert_eq!(plans.latest(), 0);
    }
}
