//! Many keys in one call.

use std::mem::MaybeUninit;

use smallvec::SmallVec;

use super::Limiter;
use crate::clock::Moment;
use crate::decision::Decision;
use crate::error::Result;
use crate::request::Subject;
use crate::time::Timestamp;

/// Keys are hashed a group at a time, ahead of their decisions: what the group will need of memory is known
/// before any of it is waited for.
const GROUP: usize = 16;

impl Limiter {
    /// As [`acquire`](Limiter::acquire) of each key in order, at one moment: the clock is read once. One
    /// decision a key, in the order of the keys.
    ///
    /// Not all or nothing: each key has its own decision. A key that occurs twice is decided twice.
    ///
    /// ```
    /// use tidegate::Limiter;
    ///
    /// let limiter = Limiter::new("1/hour")?;
    /// let decisions = limiter.acquire_many(["user:1", "user:2", "user:1"], 1)?;
    /// let allowed: Vec<bool> = decisions.iter().map(|decision| decision.allowed()).collect();
    /// assert_eq!(allowed, [true, true, false]);
    /// # Ok::<(), tidegate::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire): at the first subject that is wrong, after the ones before it were decided.
    pub fn acquire_many(
        &self,
        subjects: impl IntoIterator<Item = impl Subject>,
        cost: u64,
    ) -> Result<Vec<Decision>> {
        self.acquire_many_in(subjects.into_iter(), self.moment(), cost)
    }

    /// As [`acquire_many`](Limiter::acquire_many), at an explicit time.
    ///
    /// # Errors
    /// As [`acquire_many`](Limiter::acquire_many).
    pub fn acquire_many_at(
        &self,
        subjects: impl IntoIterator<Item = impl Subject>,
        cost: u64,
        now: Timestamp,
    ) -> Result<Vec<Decision>> {
        self.acquire_many_in(subjects.into_iter(), now.into(), cost)
    }

    fn acquire_many_in<S: Subject>(
        &self,
        mut subjects: impl Iterator<Item = S>,
        at: Moment,
        cost: u64,
    ) -> Result<Vec<Decision>> {
        let mut decisions = Vec::with_capacity(subjects.size_hint().0);
        let mut group: SmallVec<[S; GROUP]> = SmallVec::new();
        loop {
            group.clear();
            group.extend(subjects.by_ref().take(GROUP));
            self.decide_group(&group, at, cost, &mut decisions)?;
            if group.len() < GROUP {
                return Ok(decisions);
            }
        }
    }

    /// One visit for all of the group about which there is nothing to know but keys.
    fn decide_group(
        &self,
        group: &[impl Subject],
        at: Moment,
        cost: u64,
        decisions: &mut Vec<Decision>,
    ) -> Result<()> {
        let tags = group.iter().map_while(|subject| subject.as_key().map(|key| self.tag(key)));
        let tags: SmallVec<[u64; GROUP]> = tags.collect();
        let begin = decisions.len();
        {
            let visit = self.0.lanes.enter();
            self.0.engines.prefetch(&visit, &tags);
            for &tag in &tags {
                let mut place = MaybeUninit::uninit();
                let decision = self.decide_key(&visit, tag, at, cost, &mut place);
                let Some(decision) = decision else { break };
                visit.count(decision.reason());
                decisions.push(decision.moved());
            }
        }
        for subject in &group[decisions.len() - begin..] {
            decisions.push(self.acquire_at_moment(subject, at, cost)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{ManualClock, Reason};

    fn limiter(policy: &str) -> (Limiter, ManualClock) {
        let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        let limiter = Limiter::builder(policy).max_keys(1_000).clock(clock.clone()).build();
        (limiter.expect("a good policy"), clock)
    }

    /// Sizes around the ends of groups, each key twice: what one call after the other answers.
    #[test]
    fn a_batch_is_its_calls_in_order() {
        for size in [0, 1, 2, GROUP - 1, GROUP, GROUP + 1, 2 * GROUP, 5 * GROUP + 3] {
            let (batched, _) = limiter("3/second; 5/hour; 1s/hour");
            let (single, _) = limiter("3/second; 5/hour; 1s/hour");
            let keys: Vec<String> =
                (0..size).map(|n| format!("key {}", n % (size / 2 + 1))).collect();
            for limiter in [&batched, &single] {
                limiter.block("key 1", Duration::from_secs(9)).unwrap();
            }
            let expected: Vec<_> = keys.iter().map(|key| single.acquire(key, 2).unwrap()).collect();
            assert_eq!(batched.acquire_many(&keys, 2).unwrap(), expected, "{size} keys");
            assert_eq!(batched.stats(), single.stats(), "{size} keys");
        }
    }

    #[test]
    fn a_key_that_occurs_twice_is_decided_twice() {
        let (limiter, _) = limiter("2/hour");
        let decisions = limiter.acquire_many(["a", "a", "b", "a"], 1).unwrap();
        assert_eq!(decisions.iter().map(|seen| seen.remaining()).collect::<Vec<_>>(), [1, 0, 1, 0]);
        let reasons = [Reason::Ok, Reason::Ok, Reason::Ok, Reason::Limited];
        assert_eq!(decisions.iter().map(|seen| seen.reason()).collect::<Vec<_>>(), reasons);
    }

    /// A clock that moves while the keys are read does not move the batch, in no group of it.
    #[test]
    fn the_clock_is_read_once() {
        let (limiter, clock) = limiter("1/second");
        let keys = std::iter::repeat_n("a", 2 * GROUP + 1);
        let keys = keys.inspect(|_| clock.advance(Duration::from_secs(1)));
        let decisions = limiter.acquire_many(keys, 1).unwrap();
        assert!(decisions[0].allowed());
        assert!(decisions[1..].iter().all(|seen| seen.retry_after() == Duration::from_secs(1)));
    }

    #[test]
    fn reading_a_key_may_call_the_limiter() {
        let (limiter, _) = limiter("100/hour");
        let keys = std::iter::repeat_n("a", 2 * GROUP + 1);
        let keys = keys.inspect(|key| assert!(limiter.try_acquire(key, 1)));
        let decisions = limiter.acquire_many(keys, 1).unwrap();
        // The calls of the group after the first come between.
        assert_eq!(decisions[GROUP - 1].remaining(), 100 - 2 * GROUP as u64);
        assert_eq!(decisions[GROUP].remaining(), 100 - 3 * GROUP as u64 - 1);
    }

    #[test]
    fn an_explicit_time_is_that_of_all() {
        let (limiter, clock) = limiter("1/second");
        let now = clock.now();
        assert!(limiter.try_acquire("a", 1));
        let later = now.saturating_add(Duration::from_secs(1));
        let decisions = limiter.acquire_many_at([b"a", b"a"], 1, later).unwrap();
        assert_eq!(decisions.iter().map(|seen| seen.allowed()).collect::<Vec<_>>(), [true, false]);
        assert!(limiter.acquire_many_at([""; 0], 1, later).unwrap().is_empty());
    }
}
