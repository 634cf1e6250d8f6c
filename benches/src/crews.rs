//! What several threads do at once, for us and for the peer.

use governor::DefaultKeyedRateLimiter;
use tidegate::{Clock, Limiter};

use crate::floor::Floor;
use crate::keys::{HOT, key};
use crate::measure::{Side, side_by_threads};
use crate::peers;
use crate::subject::{ENDLESS, acquire, acquire_each, check_kept, denial, lasting, limiter, spent};

/// Keys of a thread that has keys of its own.
const OWN: usize = 250;
/// Most threads that work at once.
pub const MOST_THREADS: usize = 4;

/// Who asks for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// One key, spent: every request is denied.
    Denial,
    /// Each thread has keys of its own; every request is admitted.
    Distinct,
    /// One key, endless; every request is admitted.
    OneHotKey,
    /// Each thread has keys of its own, and each key is full again when it comes back: it may have lost its record.
    FullAgain,
}

impl Scene {
    /// Those that have a picture.
    pub const DRAWN: [Scene; 3] = [Scene::Denial, Scene::Distinct, Scene::OneHotKey];

    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Scene::Denial => "denial, one key",
            Scene::Distinct => "acquire, distinct keys",
            Scene::OneHotKey => "acquire, one hot key",
            Scene::FullAgain => "acquire, distinct keys, full again",
        }
    }
}

fn own_keys() -> Vec<Vec<String>> {
    let own = |thread| (thread * OWN..(thread + 1) * OWN).map(|number| key(number as u64));
    (0..MOST_THREADS).map(|thread| own(thread).collect()).collect()
}

/// `calls` calls over a thread's own keys, some at a time.
fn over_and_over(keys: &[String], calls: u64, mut each: impl FnMut(&[String])) {
    let calls = usize::try_from(calls).expect("a length");
    for _ in 0..calls / keys.len() {
        each(keys);
    }
    each(&keys[..calls % keys.len()]);
}

/// Threads that ask us.
#[derive(Debug)]
pub struct Ours {
    scene: Scene,
    limiter: Limiter,
    keys: Vec<Vec<String>>,
    /// Requests admitted before the threads asked.
    before: u64,
}

impl Ours {
    /// A limiter of their own.
    #[must_use]
    pub fn new(scene: Scene) -> Ours {
        let limiter = match scene {
            Scene::Denial => spent(&[HOT]),
            Scene::Distinct => limiter(&lasting(OWN as u64), 1_000_000),
            Scene::OneHotKey | Scene::FullAgain => limiter(ENDLESS, 1_000_000),
        };
        let keys = own_keys();
        if scene == Scene::Distinct {
            keys.iter().for_each(|own| acquire_each(&limiter, own));
        }
        let before = limiter.stats().allowed;
        Ours { scene, limiter, keys, before }
    }

    /// `calls` calls of one of the threads.
    pub fn work(&self, thread: usize, calls: u64) {
        let limiter = &self.limiter;
        match self.scene {
            Scene::Denial => denial(limiter, HOT, calls),
            Scene::OneHotKey => acquire(limiter, HOT, calls),
            Scene::Distinct | Scene::FullAgain => {
                over_and_over(&self.keys[thread], calls, |keys| acquire_each(limiter, keys));
            }
        }
    }

    /// A side on which `threads` threads make `calls` calls each.
    #[must_use]
    pub fn side(&self, threads: usize, calls: u64) -> Side<'_> {
        side_by_threads(threads, calls, |thread, calls| self.work(thread, calls))
    }

    /// Proof that all threads together made `asked` calls, and that each key had a record of its own.
    pub fn check(&self, asked: u64) {
        let stats = self.limiter.stats();
        let counted = (stats.allowed - self.before, stats.limited);
        let denied = self.scene == Scene::Denial;
        assert_eq!(counted, if denied { (0, asked) } else { (asked, 0) }, "each was counted");
        if self.scene == Scene::Distinct {
            check_kept(&self.limiter, (OWN * MOST_THREADS) as u64);
        }
    }
}

/// Threads that ask governor, keyed. It counts nothing, but each of its answers is looked at.
#[derive(Debug)]
pub struct Governors {
    scene: Scene,
    limiter: DefaultKeyedRateLimiter<String>,
    hot: String,
    keys: Vec<Vec<String>>,
}

impl Governors {
    /// A limiter of their own.
    #[must_use]
    pub fn new(scene: Scene) -> Governors {
        let hot = HOT.to_owned();
        let limiter = match scene {
            Scene::Denial => peers::governor_spent(&hot),
            Scene::Distinct | Scene::OneHotKey | Scene::FullAgain => peers::governor(),
        };
        Governors { scene, limiter, hot, keys: own_keys() }
    }

    /// `calls` calls of one of the threads.
    pub fn work(&self, thread: usize, calls: u64) {
        let limiter = &self.limiter;
        match self.scene {
            Scene::Denial => peers::deny(limiter, &self.hot, calls),
            Scene::OneHotKey => peers::check(limiter, &self.hot, calls),
            Scene::Distinct | Scene::FullAgain => {
                over_and_over(&self.keys[thread], calls, |keys| peers::check_each(limiter, keys));
            }
        }
    }

    /// A side on which `threads` threads make `calls` calls each.
    #[must_use]
    pub fn side(&self, threads: usize, calls: u64) -> Side<'_> {
        side_by_threads(threads, calls, |thread, calls| self.work(thread, calls))
    }
}

/// Threads each of which works on a [`Floor`] of its own: what the machine's cores have to share, nothing else.
#[derive(Debug)]
pub struct Floors {
    floors: Vec<Floor>,
    keys: Vec<Vec<String>>,
}

impl Floors {
    /// As much memory for each thread as its keys take.
    #[must_use]
    pub fn new() -> Floors {
        let clock = Clock::default();
        let floor = |_| Floor::new(OWN as u64, clock.clone());
        Floors { floors: (0..MOST_THREADS).map(floor).collect(), keys: own_keys() }
    }

    /// A side on which `threads` threads make `calls` calls each.
    #[must_use]
    pub fn side(&self, threads: usize, calls: u64) -> Side<'_> {
        side_by_threads(threads, calls, |thread, calls| {
            over_and_over(&self.keys[thread], calls, |keys| self.floors[thread].touch_each(keys));
        })
    }
}

impl Default for Floors {
    fn default() -> Floors {
        Floors::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_of_every_thread_is_counted() {
        for scene in Scene::DRAWN.into_iter().chain([Scene::FullAgain]) {
            let ours = Ours::new(scene);
            ours.side(MOST_THREADS, 2_345)();
            ours.check(MOST_THREADS as u64 * 2_345);
            Governors::new(scene).side(2, 345)();
        }
        Floors::new().side(2, 345)();
    }
}
