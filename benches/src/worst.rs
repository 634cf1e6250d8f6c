//! The worst single call while a limiter grows from no key to many.
//!
//! On a machine that others share, a thread loses its core for milliseconds now and then, and the worst of a
//! million calls is one of those. A cost that a table has itself, as when it moves all its keys to a larger place,
//! comes in every round, and always at about the same number of keys. So the calls are cut into parts, in
//! every round the same, and a part counts by its worst call in the round in which that was best. Where the system
//! tells how long a thread was ready to run and had no core (Linux does), that is taken off before.

use std::hint::black_box;

use quanta::Clock;

use crate::measure::quantile;
use crate::peers;
use crate::subject::{lasting, limiter};

/// Into how many parts the calls of a round are cut. Tables that are cut into shards move each shard at its own
/// time, some thousands of calls apart: a part is longer than that.
const PARTS: usize = 100;

/// Microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worst {
    /// The worst call that comes back in every round.
    pub recurring: f64,
    /// The worst call of a round, the median over the rounds.
    pub typical: f64,
}

/// Ours, governor keyed, and a loop that does nothing but read the same clock.
#[derive(Clone, Copy, Debug)]
pub struct Compared {
    /// Ours, with room for as many keys as come.
    pub ours: Worst,
    /// governor keyed.
    pub governor: Worst,
    /// What the machine does to a loop that does nothing.
    pub nothing: Worst,
}

/// Lets every one of `keys` come for the first time, `rounds` times, in fresh limiters.
#[must_use]
pub fn while_growing(keys: &[String], rounds: usize) -> Compared {
    let clock = Clock::new();
    let (mut ours, mut governor, mut nothing) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let fresh = limiter(&lasting(keys.len() as u64), keys.len() as u64);
        ours.push(round(&clock, keys, waited, |key| assert!(fresh.try_acquire(key, 1))));
        crate::subject::check_kept(&fresh, keys.len() as u64);
        let fresh = peers::governor();
        governor.push(round(&clock, keys, waited, |key| assert!(fresh.check_key(key).is_ok())));
        assert_eq!(fresh.len(), keys.len(), "every key is remembered");
        nothing.push(round(&clock, keys, waited, |key| {
            black_box(key);
        }));
    }
    Compared { ours: worst(&ours), governor: worst(&governor), nothing: worst(&nothing) }
}

/// One call for each key; the longest of each part, in ns. The clock is read once a call: the end of one is the
/// start of the next.
///
/// `without_core_ns` is asked only when a call seems to be the longest: that takes longer than most calls.
fn round(
    clock: &Clock,
    keys: &[String],
    without_core_ns: impl Fn() -> u64,
    mut call: impl FnMut(&String),
) -> Vec<u64> {
    let parts = keys.chunks(keys.len().div_ceil(PARTS));
    let longest = parts.map(|part| {
        let (mut longest, mut waited) = (0, without_core_ns());
        let mut before = clock.raw();
        for key in part {
            call(black_box(key));
            let now = clock.raw();
            let span = clock.delta_as_nanos(before, now);
            before = now;
            if span > longest {
                let waited_before = std::mem::replace(&mut waited, without_core_ns());
                longest = longest.max(span.saturating_sub(waited.saturating_sub(waited_before)));
                before = clock.raw();
            }
        }
        longest
    });
    longest.collect()
}

/// For how long this thread has been ready to run while others had its core, in ns; 0 where nobody tells.
fn waited() -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let waited = told.and_then(|text| text.split_whitespace().nth(1)?.parse().ok());
    waited.unwrap_or(0)
}

/// From the longest call of each part, round by round.
fn worst(rounds: &[Vec<u64>]) -> Worst {
    let micros = |nanos: u64| nanos as f64 / 1e3;
    let best_of_part = |part: usize| rounds.iter().map(|round| round[part]).min().unwrap_or(0);
    let parts = rounds.first().map_or(0, Vec::len);
    let mut typical: Vec<f64> =
        rounds.iter().map(|round| micros(round.iter().copied().max().unwrap_or(0))).collect();
    Worst {
        recurring: micros((0..parts).map(best_of_part).max().unwrap_or(0)),
        typical: quantile(&mut typical, 0.5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_in_every_round_counts_and_what_comes_in_one_does_not() {
        // Part 1 is dear in every round; parts 0 and 2 once each.
        let rounds = [vec![9_000, 500, 1], vec![2, 600, 7_000], vec![1, 550, 3]];
        assert_eq!(worst(&rounds), Worst { recurring: 0.5, typical: 7.0 });
    }

    #[test]
    fn a_slow_call_is_found_in_its_part_without_what_others_took() {
        let keys = crate::keys::requests(1_000);
        let (clock, time) = Clock::mock();
        let waited = std::cell::Cell::new(0);
        let mut number = 0;
        let longest = round(
            &clock,
            &keys,
            || waited.get(),
            |_| {
                time.increment(match number {
                    425 => 5_000_u64,
                    // Another thread had the core for all but 70 ns of this one.
                    731 => {
                        waited.set(1_000_000);
                        1_000_070
                    }
                    _ => 50,
                });
                number += 1;
            },
        );
        assert_eq!((number, longest.len()), (1_000, PARTS));
        assert_eq!((longest[42], longest[73], longest[74]), (5_000, 70, 50));
    }
}
