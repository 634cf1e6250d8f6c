//! The line in force, where every call reads it: seven words of one cache line, under a sequence lock.

use crate::clock::Moment;
use crate::clock::course::Line;
use crate::sync::{Sequenced, Words};

/// One cache line, which only a new line (each 10 ms) takes from the readers.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Published(Sequenced<6>);

impl Published {
    pub(super) fn new(line: Line) -> Published {
        Published(Sequenced::new(packed(line)))
    }

    /// The time by the line in force and the counter, if it holds and is not being replaced.
    #[inline(always)]
    pub(super) fn moment(&self, counter: impl FnOnce() -> u64) -> Option<Moment> {
        // A line that holds does not ask when the next look is due.
        self.0.look(|words| unpacked(words, 0).at(counter())).flatten()
    }

    /// The line in force; `None` while it is being replaced.
    pub(super) fn line(&self) -> Option<Line> {
        self.0.look(|words| unpacked(words, words.get(5)))
    }

    /// Puts another line in force. One thread at a time: the caller holds the lock of `anchored`.
    pub(super) fn publish(&self, line: Line) {
        self.0.put(packed(line));
    }
}

fn packed(Line { counter, lasts, slope, nanos, wall, due }: Line) -> [u64; 6] {
    [counter, lasts, slope, nanos, wall, due]
}

#[inline(always)]
fn unpacked(words: Words<'_, 6>, due: u64) -> Line {
    Line {
        counter: words.get(0),
        lasts: words.get(1),
        slope: words.get(2),
        nanos: words.get(3),
        wall: words.get(4),
        due,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn line_of(number: u64) -> Line {
        let [counter, lasts, slope, nanos, wall, due] = [0, 1, 2, 3, 4, 5].map(|n| number + n);
        Line { counter, lasts, slope, nanos, wall, due }
    }

    #[test]
    fn what_was_published_is_read() {
        let published = Published::new(line_of(7));
        assert_eq!(published.line(), Some(line_of(7)));
        published.publish(line_of(8));
        assert_eq!(published.line(), Some(line_of(8)));
        assert_eq!(published.moment(|| 15), line_of(8).at(15));
        assert!(published.moment(|| 15).is_some());
        assert_eq!(published.moment(|| 17), None);
    }
}
