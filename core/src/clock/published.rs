//! The line in force, where every call reads it: seven words of one cache line, under a sequence lock.
//!
//! ```text
//! version   odd while the other words are being written; else their number, times two
//! counter · lasts · slope · nanos · wall · due      the fields of `Line`
//! ```

use crate::clock::Moment;
use crate::clock::course::Line;
use crate::sync::{AtomicU64, Ordering, fence};

/// One cache line, which only a new line (each 10 ms) takes from the readers.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Published {
    version: AtomicU64,
    counter: AtomicU64,
    lasts: AtomicU64,
    slope: AtomicU64,
    nanos: AtomicU64,
    wall: AtomicU64,
    due: AtomicU64,
}

impl Published {
    pub(super) fn new(line: Line) -> Published {
        Published {
            version: AtomicU64::new(0),
            counter: AtomicU64::new(line.counter),
            lasts: AtomicU64::new(line.lasts),
            slope: AtomicU64::new(line.slope),
            nanos: AtomicU64::new(line.nanos),
            wall: AtomicU64::new(line.wall),
            due: AtomicU64::new(line.due),
        }
    }

    /// The time by the line in force and the counter, if it holds and is not being replaced.
    #[inline(always)]
    pub(super) fn moment(&self, counter: impl FnOnce() -> u64) -> Option<Moment> {
        // A line that holds does not ask when the next look is due.
        self.look(|| self.words(0).at(counter())).flatten()
    }

    /// The line in force; `None` while it is being replaced.
    pub(super) fn line(&self) -> Option<Line> {
        self.look(|| self.words(self.due.load(Ordering::Relaxed)))
    }

    /// Relaxed: the two looks at the version order them.
    #[inline(always)]
    fn words(&self, due: u64) -> Line {
        Line {
            counter: self.counter.load(Ordering::Relaxed),
            lasts: self.lasts.load(Ordering::Relaxed),
            slope: self.slope.load(Ordering::Relaxed),
            nanos: self.nanos.load(Ordering::Relaxed),
            wall: self.wall.load(Ordering::Relaxed),
            due,
        }
    }

    /// What `read` read, if it belongs together.
    #[inline(always)]
    fn look<T>(&self, read: impl FnOnce() -> T) -> Option<T> {
        // Acquire pairs with the last store of `publish`: words at least as new as the version.
        let before = self.version.load(Ordering::Acquire);
        let said = read();
        // Pairs with the fence of `publish`: who saw a newer word sees the odd version now.
        fence(Ordering::Acquire);
        let after = self.version.load(Ordering::Relaxed);
        // An odd one is equal to none with its last bit cleared.
        (before & !1 == after).then_some(said)
    }

    /// Puts another line in force. One thread at a time: the caller holds the lock of `anchored`.
    pub(super) fn publish(&self, line: &Line) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        // Who sees one of the words below sees the odd version, too.
        fence(Ordering::Release);
        self.counter.store(line.counter, Ordering::Relaxed);
        self.lasts.store(line.lasts, Ordering::Relaxed);
        self.slope.store(line.slope, Ordering::Relaxed);
        self.nanos.store(line.nanos, Ordering::Relaxed);
        self.wall.store(line.wall, Ordering::Relaxed);
        self.due.store(line.due, Ordering::Relaxed);
        // Publishes the words.
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }
}

/// All words the same, so that mixed ones show.
#[cfg(test)]
fn line_of(number: u64) -> Line {
    Line { counter: number, lasts: number, slope: number, nanos: number, wall: number, due: number }
}

#[cfg(all(test, loom))]
mod models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    #[test]
    fn the_words_of_a_line_belong_together() {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(2);
        builder.check(|| {
            let published = Arc::new(Published::new(line_of(1)));
            let writer = {
                let published = Arc::clone(&published);
                thread::spawn(move || published.publish(&line_of(2)))
            };
            if let Some(line) = published.line() {
                assert_eq!(line, line_of(line.due), "words of two lines");
            }
            writer.join().unwrap();
            assert_eq!(published.line(), Some(line_of(2)));
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_was_published_is_read() {
        let published = Published::new(line_of(7));
        assert_eq!(published.line(), Some(line_of(7)));
        published.publish(&line_of(8));
        assert_eq!(published.line(), Some(line_of(8)));
        assert_eq!(published.moment(|| 15), line_of(8).at(15));
        assert!(published.moment(|| 15).is_some());
        assert_eq!(published.moment(|| 16), None);
    }

    #[test]
    fn a_line_that_is_being_written_is_not_read() {
        let published = Published::new(line_of(7));
        published.version.store(1, Ordering::Relaxed);
        assert_eq!(published.line(), None);
        assert_eq!(published.moment(|| 8), None);
    }
}
