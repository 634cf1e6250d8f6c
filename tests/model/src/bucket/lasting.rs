//! Buckets of a limit that has several rates, each in a plan of its own: nothing is lost from one to the next.

use super::{Bucket, Mark, State};
use crate::policy::Algorithm;
use crate::{Time, Units};

/// What such a limit may come to in any plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The largest capacity.
    pub capacity: Units,
    /// The largest capacity with its debt.
    pub most: Units,
}

impl Bucket {
    /// Of a rate that grows, at its ceiling.
    fn comes_to(&self) -> Hold {
        match self.growing.as_ref().and_then(|growing| growing.levels.last()) {
            Some(top) => top.comes_to(),
            None => Hold { capacity: self.capacity, most: self.capacity + self.max_debt },
        }
    }

    /// Have all of them one rate? Else what they may come to.
    pub fn hold_of(buckets: &[Bucket]) -> Option<Hold> {
        let first = buckets.first()?;
        if first.rate.is_none() || buckets.iter().all(|bucket| bucket.is(first)) {
            return None;
        }
        let holds = || buckets.iter().map(Bucket::comes_to);
        let capacity = holds().map(|hold| hold.capacity).max()?;
        let most = holds().map(|hold| hold.most).max()?;
        Some(Hold { capacity, most })
    }

    /// The bucket, as one of several.
    pub fn held(mut self, hold: Option<Hold>, method: crate::policy::Method) -> Bucket {
        self.hold = hold;
        if let Some(growing) = &mut self.growing {
            let levels = std::mem::take(&mut growing.levels).into_iter();
            growing.levels = levels.map(|level| level.held(hold, method)).collect();
        }
        if self.algorithm().is_some_and(|algorithm| matches!(algorithm, Algorithm::Gcra(_))) {
            self.scale = self.gcra_scale(method);
        }
        self
    }

    /// The same rate?
    fn is(&self, other: &Bucket) -> bool {
        let (Some(own), Some(their)) = (&self.rate, &other.rate) else {
            return self.is_like(other);
        };
        let gcra = |rate: &crate::policy::Rate| matches!(rate.algorithm, Algorithm::Gcra(_));
        (self.quota, self.capacity, self.max_debt) == (other.quota, other.capacity, other.max_debt)
            && own.period == their.period
            && own.growth == their.growth
            && (own.algorithm == their.algorithm || gcra(own) && gcra(their))
    }

    /// Does the same state say the same under both? Windows and permits are counted alike, whatever the quota.
    pub fn is_like(&self, other: &Bucket) -> bool {
        let (Some(own), Some(their)) = (&self.rate, &other.rate) else {
            return self.rate.is_none() && other.rate.is_none() && self.max_hold == other.max_hold;
        };
        let windows = !matches!(own.algorithm, Algorithm::Gcra(_))
            && own.growth.is_none()
            && their.growth.is_none()
            && own.period == their.period
            && own.algorithm == their.algorithm;
        windows || self.is(other)
    }

    /// gcra at this rate with the largest capacity.
    pub(super) fn whole(&self) -> Bucket {
        let Hold { capacity, most } = self.hold.expect("one of several");
        Bucket { capacity, max_debt: most, hold: None, ..self.clone() }
    }

    /// Takes over as much use as the limit may have anywhere.
    pub(super) fn lenient(&self) -> Bucket {
        let Some(Hold { most, .. }) = self.hold else { return self.clone() };
        let gcra = self.algorithm().is_some_and(|is| matches!(is, Algorithm::Gcra(_)));
        let max_debt = if gcra { most } else { most - self.capacity };
        Bucket { max_debt, ..self.clone() }
    }

    /// What is used, and what the whole leaves: whichever is more.
    pub(super) fn shown(&self, used: Option<i128>, whole: Option<i128>, at: Time) -> i128 {
        self.used_steps(used, at).max(self.whole().used_steps(whole, at))
    }

    /// A change of what is shown, and as much of both.
    pub(super) fn moved<T>(
        &self,
        used: &mut Option<i128>,
        whole: &mut Option<i128>,
        at: Time,
        change: impl FnOnce(&mut State) -> T,
    ) -> T {
        let before = self.shown(*used, *whole, at);
        let mut state = State::Gcra(Some(before));
        let told = change(&mut state);
        let State::Gcra(after) = state else { unreachable!() };
        let steps = after.expect("it was used") - before;
        let idle = self.used_steps(None, at);
        let idle_whole = self.whole().used_steps(None, at);
        let was = self.whole().used_steps(*whole, at);
        // From a key never seen: there is left what is left of the bucket.
        let was = if was == idle_whole && steps > 0 { before } else { was };
        if steps != 0 {
            *used = Some((self.used_steps(*used, at) + steps).max(idle));
            *whole = Some((was + steps).max(idle_whole));
        }
        told
    }

    /// What a receipt says was paid comes back to what is used and to what is left, each as far as it counts there.
    pub fn return_paid(&self, state: &mut State, at: Time, units: Units, mark: Option<Mark>) {
        let State::Lasting { used, whole } = state else {
            self.refund(state, at, units, mark);
            return;
        };
        let left = mark.map(|mark| (mark.paid - self.used_steps(None, at)).max(0));
        for (bucket, word) in [(self, used), (&self.whole(), whole)] {
            let before = bucket.used_steps(*word, at);
            let steps = before - bucket.used_steps(None, at);
            let steps = left.map_or(steps, |left| steps.min(left));
            let given = units.min(bucket.units(steps, true));
            if given > 0 {
                *word = Some(before - bucket.steps(given).min(steps));
            }
        }
    }

    /// What a key has that has come here from `before`: it is locked out for the time in which this bucket fills, or its
    /// debt is repaid, and no longer.
    pub fn forgiven(&self, before: &State, now: State, at: Time) -> State {
        match (before, now) {
            (State::Lasting { .. }, State::Lasting { used: Some(used), whole }) => {
                let beyond = self.capacity.max(self.max_debt);
                let most = self.supply(at) + self.whole_steps(beyond);
                State::Lasting { used: Some(used.min(most)), whole }
            }
            (_, now) => now,
        }
    }

    /// What was left is left, and what was used is used (as the second word of `before` says, at most anywhere).
    pub(super) fn carry_lasting(&self, old: &Bucket, before: &State, at: Time) -> State {
        match before {
            State::Gcra(word) => {
                State::Lasting { used: None, whole: self.whole().carry_gcra(old, *word, at) }
            }
            State::Lasting { used, whole } => {
                let whole = self.whole().carry_gcra(&old.whole(), *whole, at);
                let steps = old.used_steps(*used, at) - old.used_steps(None, at);
                let steps = match self.scale - old.scale {
                    finer @ 0.. => steps << finer,
                    coarser => (steps + (1 << -coarser) - 1) >> -coarser,
                };
                let steps = steps.min(self.whole_steps(self.hold.expect("one of several").most));
                let used = whole.map(|_| self.used_steps(None, at) + steps);
                State::Lasting { used, whole }
            }
            _ => unreachable!("of gcra"),
        }
    }
}
