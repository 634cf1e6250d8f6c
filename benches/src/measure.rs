//! Measuring by turns: all sides alternate in short slices of one run, so that whatever else the
//! machine does meets all of them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// One thing that is measured: makes its calls once, and returns what one of them cost.
pub type Side<'a> = Box<dyn FnMut() -> f64 + 'a>;

/// A side that makes `calls` calls on this thread; ns per call.
pub fn side<'a>(calls: u64, mut work: impl FnMut(u64) + 'a) -> Side<'a> {
    Box::new(move || {
        let start = Instant::now();
        work(calls);
        start.elapsed().as_nanos() as f64 / calls as f64
    })
}

/// A side on which each of `threads` threads makes `calls` calls at once; ns of real time per call of all.
pub fn side_by_threads<'a>(
    threads: usize,
    calls: u64,
    work: impl Fn(usize, u64) + Sync + 'a,
) -> Side<'a> {
    Box::new(move || {
        let waiting = AtomicUsize::new(threads);
        let run = |number: usize| {
            wait_for_all(&waiting);
            let start = Instant::now();
            work(number, calls);
            (start, Instant::now())
        };
        let spans: Vec<(Instant, Instant)> = std::thread::scope(|scope| {
            let run = &run;
            let others: Vec<_> =
                (1..threads).map(|number| scope.spawn(move || run(number))).collect();
            let mine = run(0);
            let ended = others.into_iter().map(|other| other.join().expect("no check failed"));
            ended.chain([mine]).collect()
        });
        let start = spans.iter().map(|span| span.0).min().expect("a thread");
        let end = spans.iter().map(|span| span.1).max().expect("a thread");
        (end - start).as_nanos() as f64 / (calls * threads as u64) as f64
    })
}

/// Returns when as many threads have called it as `waiting` says. Spins: a thread that sleeps would start late. In the
/// end it gives its core away, for there may be more threads than cores.
pub fn wait_for_all(waiting: &AtomicUsize) {
    waiting.fetch_sub(1, Ordering::AcqRel);
    let mut turns = 0;
    while waiting.load(Ordering::Acquire) > 0 {
        turns += 1;
        if turns < 10_000 {
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
}

/// Medians of what each side cost, and of the ratio of the first two within a round.
#[derive(Clone, Copy, Debug)]
pub struct Compared {
    /// Of the first side.
    pub ours: f64,
    /// Of the second.
    pub peer: f64,
    /// First by second, of neighbours in time.
    pub ratio: f64,
    /// The middle half of that.
    pub spread: (f64, f64),
}

/// Lets two sides alternate; the first round only warms up.
pub fn compare(rounds: usize, ours: &mut Side<'_>, peer: &mut Side<'_>) -> Compared {
    let (mut first, mut second, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=rounds {
        // Each goes first every other time.
        let (a, b) = if round % 2 == 0 {
            let a = ours();
            (a, peer())
        } else {
            let b = peer();
            (ours(), b)
        };
        if round > 0 {
            first.push(a);
            second.push(b);
            ratios.push(a / b);
        }
    }
    Compared {
        ours: quantile(&mut first, 0.5),
        peer: quantile(&mut second, 0.5),
        ratio: quantile(&mut ratios, 0.5),
        spread: (quantile(&mut ratios, 0.25), quantile(&mut ratios, 0.75)),
    }
}

/// The median cost of each of many sides, which take turns; the first round only warms up.
pub fn medians(rounds: usize, sides: &mut [Side<'_>]) -> Vec<f64> {
    let mut costs = vec![Vec::new(); sides.len()];
    for round in 0..=rounds {
        for turn in 0..sides.len() {
            // Another side goes first in every round.
            let number = (round + turn) % sides.len();
            let cost = sides[number]();
            if round > 0 {
                costs[number].push(cost);
            }
        }
    }
    costs.iter_mut().map(|costs| quantile(costs, 0.5)).collect()
}

/// The median cost of one side.
pub fn alone(rounds: usize, side: &mut Side<'_>) -> f64 {
    let mut costs: Vec<f64> = (0..=rounds).map(|_| side()).skip(1).collect();
    quantile(&mut costs, 0.5)
}

/// The value below which the share `at` of the samples lies.
pub fn quantile(samples: &mut [f64], at: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[((samples.len() - 1) as f64 * at).round() as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_samples() {
        assert_eq!(quantile(&mut [5.0, 1.0, 3.0], 0.5), 3.0);
        assert_eq!(quantile(&mut [5.0, 1.0, 3.0, 2.0, 4.0], 0.25), 2.0);
        assert_eq!(quantile(&mut [7.0], 0.75), 7.0);
    }

    #[test]
    fn sides_alternate_and_the_first_round_is_dropped() {
        let order = std::cell::RefCell::new(String::new());
        let count = std::cell::Cell::new(0.0);
        let mut ours: Side = Box::new(|| {
            order.borrow_mut().push('a');
            count.set(count.get() + 1.0);
            if count.get() == 1.0 { 1000.0 } else { 20.0 }
        });
        let mut peer: Side = Box::new(|| {
            order.borrow_mut().push('b');
            40.0
        });
        let compared = compare(3, &mut ours, &mut peer);
        assert_eq!((compared.ours, compared.peer, compared.ratio), (20.0, 40.0, 0.5));
        drop((ours, peer));
        assert_eq!(order.into_inner(), "abbaabba");
    }

    #[test]
    fn many_sides_rotate_and_the_first_round_is_dropped() {
        let order = std::cell::RefCell::new(String::new());
        let side = |name: char, first: f64, later: f64| -> Side<'_> {
            let (order, mut cost) = (&order, first);
            Box::new(move || {
                order.borrow_mut().push(name);
                std::mem::replace(&mut cost, later)
            })
        };
        let costs =
            medians(2, &mut [side('a', 9.0, 1.0), side('b', 9.0, 2.0), side('c', 9.0, 3.0)]);
        assert_eq!(costs, [1.0, 2.0, 3.0]);
        assert_eq!(order.into_inner(), "abcbcacab");
    }
}
