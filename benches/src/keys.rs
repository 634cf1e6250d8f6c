//! Keys as a user has them, and the order in which requests bring them.

use std::fmt::Write;

/// The key that is hot, here and in the other hosts' benchmarks.
pub const HOT: &str = "user:123456";

/// The key of user `number`: `user:000042`.
#[must_use]
pub fn key(number: u64) -> String {
    let mut key = String::new();
    write_key(&mut key, number);
    key
}

/// Writes [`key`] over what `buffer` holds.
pub fn write_key(buffer: &mut String, number: u64) {
    buffer.clear();
    write!(buffer, "user:{number:06}").expect("a string takes everything");
}

/// The keys of `count` users, each once, in random order (the same in every run).
///
/// They lie in memory in the order of the requests: a server has just read the key that it asks about, so that the
/// walk over them must not cost what the limiter's own look-up is to be measured by.
#[must_use]
pub fn requests(count: u64) -> Vec<String> {
    let mut numbers: Vec<u64> = (0..count).collect();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for last in (1..numbers.len()).rev() {
        let other = random.next() % (last as u64 + 1);
        numbers.swap(last, usize::try_from(other).expect("an index"));
    }
    numbers.into_iter().map(key).collect()
}

/// [`requests`] of few users over again, so that there are at least `least` of them.
///
/// Each is a text of its own in memory, also where users come again.
#[must_use]
pub fn repeated(count: u64, least: u64) -> Vec<String> {
    let once = requests(count);
    let all = usize::try_from(least.max(count).next_multiple_of(count)).expect("a length");
    if all == once.len() { once } else { once.iter().cycle().take(all).cloned().collect() }
}

/// Users who ask in turn, from the start again after the last.
#[derive(Debug)]
pub struct Stream<'a> {
    requests: &'a [String],
    next: usize,
}

impl<'a> Stream<'a> {
    /// Starts with the first.
    #[must_use]
    pub fn new(requests: &'a [String]) -> Stream<'a> {
        Stream { requests, next: 0 }
    }

    /// Starts elsewhere, after `share` of them (0 to 1).
    ///
    /// For two that ask the same limiter by turns: the one who comes second would find in the cache what the first
    /// has just asked for.
    #[must_use]
    pub fn starting_at(requests: &'a [String], share: f64) -> Stream<'a> {
        Stream { requests, next: (requests.len() as f64 * share) as usize }
    }

    /// The next few, all of them at most.
    pub fn take(&mut self, calls: u64) -> &'a [String] {
        let calls = usize::try_from(calls).unwrap_or(usize::MAX).min(self.requests.len());
        if self.next + calls > self.requests.len() {
            self.next = 0;
        }
        self.next += calls;
        &self.requests[self.next - calls..self.next]
    }
}

/// xorshift64*: shuffles, nothing more.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_asks_once_and_out_of_order() {
        let requests = requests(1000);
        let mut sorted = requests.clone();
        sorted.sort();
        assert_ne!(requests, sorted);
        assert_eq!(sorted, (0..1000).map(key).collect::<Vec<_>>());
    }

    #[test]
    fn few_users_ask_again_each_as_often_as_the_others() {
        let requests = repeated(30, 100);
        assert_eq!(requests.len(), 120);
        assert!((0..30).all(|n| requests.iter().filter(|asked| **asked == key(n)).count() == 4));
        assert_eq!(repeated(30, 7), super::requests(30));
    }

    #[test]
    fn streams_go_round() {
        let requests = requests(10);
        let mut stream = Stream::starting_at(&requests, 0.5);
        assert_eq!(stream.take(3), &requests[5..8]);
        assert_eq!(stream.take(3), &requests[..3], "a turn is never cut in two");
        assert_eq!(stream.take(99), requests);
    }
}
