//! How long to wait before another attempt: full jitter, so that those who failed together do not come back together.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use fastrand::Rng;

use crate::time::nanos;

/// Waits before retries: uniform between 0 and min(cap, base · 2^n) before the retry after n others.
///
/// A delay that the server asks for is kept in full, and the same jitter comes on top.
///
/// ```
/// use std::time::Duration;
/// use tidegate::client::Backoff;
///
/// let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30), Some(7));
/// assert!(backoff.delay(0, None) <= Duration::from_secs(1));
/// assert!(backoff.delay(9, None) <= Duration::from_secs(30));
/// let asked = Duration::from_secs(20);
/// assert!(backoff.delay(0, Some(asked)) >= asked);
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    base: u64,
    cap: u64,
    rng: Rng,
    /// The process whose jitter this is; `None`: a seed was given, and it is the same everywhere.
    process: Option<u32>,
}

impl Backoff {
    /// `seed`: the same seed gives the same waits; `None`: another one each time, and in each forked process.
    pub fn new(base: Duration, cap: Duration, seed: Option<u64>) -> Backoff {
        let rng = seed.map_or_else(Rng::new, Rng::with_seed);
        let process = seed.is_none().then(std::process::id);
        Backoff { base: nanos(base), cap: nanos(cap), rng, process }
    }

    /// The wait before the next attempt, after `retries` retries; `server`: what the server asks for.
    pub fn delay(&mut self, retries: u32, server: Option<Duration>) -> Duration {
        Duration::from_nanos(self.delay_ns(retries, server.map(nanos)))
    }

    pub(super) fn delay_ns(&mut self, retries: u32, server: Option<u64>) -> u64 {
        // Only retries come here: asking the system costs nothing beside them.
        self.diverge(std::process::id());
        let jitter = self.rng.u64(0..=self.bound(retries));
        server.unwrap_or(0).saturating_add(jitter)
    }

    /// In a forked child: it has its parent's generator, and so have its siblings. Those of the whole process are copied
    /// as well, so that a new one from there would be the same in each; only the number of the process is not.
    fn diverge(&mut self, process: u32) {
        if self.process.is_none_or(|before| before == process) {
            return;
        }
        self.process = Some(process);
        let mut hasher = DefaultHasher::new();
        (self.rng.u64(..), process).hash(&mut hasher);
        self.rng.seed(hasher.finish());
    }

    /// The longest jitter after so many retries.
    fn bound(&self, retries: u32) -> u64 {
        // A shift by 64 or more would be none.
        let factor = 1_u64.checked_shl(retries).unwrap_or(u64::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn backoff(seed: u64) -> Backoff {
        Backoff::new(Duration::from_secs(1), Duration::from_secs(30), Some(seed))
    }

    #[test]
    fn the_bound_doubles_up_to_the_cap() {
        let bounds = [(0, 1), (1, 2), (2, 4), (3, 8), (4, 16), (5, 30), (63, 30), (64, 30)];
        for (retries, seconds) in bounds {
            assert_eq!(backoff(1).bound(retries), seconds * SECOND, "{retries}");
        }
        assert_eq!(backoff(1).bound(u32::MAX), 30 * SECOND);
        let never = Backoff::new(Duration::ZERO, Duration::from_secs(30), None);
        assert_eq!(never.bound(40), 0);
        let endless = Backoff::new(Duration::MAX, Duration::MAX, None);
        assert_eq!(endless.bound(40), u64::MAX);
    }

    #[test]
    fn jitter_is_full_and_the_same_for_a_seed() {
        let (mut one, mut same) = (backoff(7), backoff(7));
        let delays: Vec<u64> = (0..1000).map(|_| one.delay_ns(2, None)).collect();
        assert!(delays.iter().all(|&delay| delay <= 4 * SECOND && delay == same.delay_ns(2, None)));
        // Uniform: each quarter has its share.
        for quarter in 0..4 {
            let inside = delays.iter().filter(|&&delay| delay / SECOND == quarter).count();
            assert!((180..320).contains(&inside), "{quarter}: {inside}");
        }
        assert!((0..9).any(|_| backoff(8).delay_ns(2, None) != delays[0]));
    }

    #[test]
    fn forked_children_draw_each_their_own_jitter_unless_a_seed_is_given() {
        let draws = |backoff: &Backoff, process| {
            let mut backoff = backoff.clone();
            backoff.diverge(process);
            // (As it would be in that process.)
            (0..8).map(|_| backoff.rng.u64(0..=backoff.cap)).collect::<Vec<u64>>()
        };
        let own = std::process::id();
        let (one, other) = (own.wrapping_add(1), own.wrapping_add(2));
        let parent = Backoff::new(Duration::from_secs(1), Duration::from_secs(30), None);
        let mut all = vec![draws(&parent, own), draws(&parent, one), draws(&parent, other)];
        assert_eq!(all[0], draws(&parent, own));
        let mut child = parent.clone();
        child.diverge(one);
        let mut again = child.clone();
        again.diverge(one);
        assert_eq!(child.rng, again.rng, "once for each process");
        // A child of the child.
        all.push(draws(&child, other));
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 4, "{all:?}");
        assert_eq!(draws(&backoff(7), one), draws(&backoff(7), own));
    }

    #[test]
    fn each_draw_looks_whose_process_it_is() {
        let mut child = Backoff::new(Duration::from_secs(1), Duration::from_secs(30), None);
        child.process = Some(std::process::id().wrapping_add(1));
        let mut copied = child.rng.clone();
        let delays: Vec<u64> = (0..4).map(|_| child.delay_ns(5, None)).collect();
        let parents: Vec<u64> = (0..4).map(|_| copied.u64(0..=child.cap)).collect();
        assert_ne!(delays, parents);
        assert_eq!(child.process, Some(std::process::id()));
    }

    #[test]
    fn a_server_delay_is_kept_in_full_and_jitter_comes_on_top() {
        let mut backoff = backoff(3);
        let delays: Vec<u64> = (0..100).map(|_| backoff.delay_ns(0, Some(20 * SECOND))).collect();
        assert!(delays.iter().all(|delay| (20 * SECOND..=21 * SECOND).contains(delay)));
        assert!(delays.iter().any(|&delay| delay > 20 * SECOND + SECOND / 2));
        assert_eq!(backoff.delay_ns(3, Some(u64::MAX)), u64::MAX);
    }
}
