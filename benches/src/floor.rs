//! What a decision over many keys costs at least on a machine: the floor that the table's own work stands on.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use ahash::RandomState;
use tidegate::Clock;

/// What our table takes a key, in bytes: how much memory the floor spreads over.
const BYTES_A_KEY: u64 = 26;

/// Hashes the key, reads the clock, and makes one compare-exchange on a slot of 16 bytes that the hash picks from as
/// much memory as our table takes. It compares no tags, knows no rates, counts nothing.
#[derive(Debug)]
pub struct Floor {
    clock: Clock,
    hasher: RandomState,
    slots: Vec<[AtomicU64; 2]>,
}

impl Floor {
    /// As much memory as `keys` keys take; the clock is the limiter's own.
    #[must_use]
    pub fn new(keys: u64, clock: Clock) -> Floor {
        let slots = (keys * BYTES_A_KEY).div_ceil(16);
        // Written, so that every page is there.
        let slots = (0..slots).map(|_| [AtomicU64::new(0), AtomicU64::new(0)]).collect();
        Floor { clock, hasher: RandomState::new(), slots }
    }

    /// One turn; did nobody come in between?
    #[inline]
    #[must_use]
    pub fn touch(&self, key: &[u8]) -> bool {
        let hash = self.hasher.hash_one(key);
        // Not before the hash, which would have to wait for it.
        let now = self.clock.now().as_nanos();
        let slot = (u128::from(hash) * self.slots.len() as u128) >> 64;
        let word = &self.slots[slot as usize][1];
        // Acquire and AcqRel, as a table needs them.
        let before = word.load(Ordering::Acquire);
        word.compare_exchange(before, before.max(now), Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// One turn for each of `keys`.
    pub fn touch_each(&self, keys: &[String]) {
        for key in keys {
            assert!(self.touch(black_box(key.as_bytes())), "one thread never loses the exchange");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::requests;

    #[test]
    fn the_floor_touches_memory_all_over() {
        let floor = Floor::new(1_000, Clock::system());
        assert_eq!(floor.slots.len(), 1_625);
        floor.touch_each(&requests(1_000));
        let touched = floor.slots.iter().filter(|slot| slot[1].load(Ordering::Relaxed) > 0).count();
        // 1625 · (1 − 1/e^(1000/1625)) = 747 on average.
        assert!((650..850).contains(&touched), "{touched} slots");
    }
}
