//! Words that belong together and are read far more often than written, under a sequence lock: readers take no lock
//! and never wait, and write nothing.
//!
//! `version` is odd while the words are being written. Who reads looks at it before and after; who meets a writer goes
//! without.

use super::{AtomicU64, Ordering, fence};

/// The version and the words, next to each other.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Sequenced<const N: usize> {
    version: AtomicU64,
    words: [AtomicU64; N],
}

/// The words while they are looked at: those of two writers, perhaps. What comes of them counts only if
/// [`Sequenced::look`] returns it.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a, const N: usize>(&'a [AtomicU64; N]);

impl<'a, const N: usize> Words<'a, N> {
    #[inline(always)]
    pub(crate) fn get(self, index: usize) -> u64 {
        // Relaxed: the two looks at the version order it.
        self.0[index].load(Ordering::Relaxed)
    }

    /// Two by two, from this one on.
    #[inline(always)]
    pub(crate) fn pairs(self, first: usize) -> impl Iterator<Item = (u64, u64)> + 'a {
        let pairs = self.0[first..].as_chunks::<2>().0.iter();
        // As of `get`.
        pairs.map(|[one, other]| (one.load(Ordering::Relaxed), other.load(Ordering::Relaxed)))
    }
}

impl<const N: usize> Sequenced<N> {
    pub(crate) fn new(words: [u64; N]) -> Sequenced<N> {
        Sequenced { version: AtomicU64::new(0), words: words.map(AtomicU64::new) }
    }

    /// What `read` makes of the words, if they belong together; `None` while they are being written.
    #[inline(always)]
    pub(crate) fn look<T>(&self, read: impl FnOnce(Words<'_, N>) -> T) -> Option<T> {
        // Acquire pairs with the last store of `put`: words at least as new as the version.
        let before = self.version.load(Ordering::Acquire);
        let said = read(Words(&self.words));
        // Pairs with the fence of `put`: who saw a newer word sees the odd version now.
        fence(Ordering::Acquire);
        let after = self.version.load(Ordering::Relaxed);
        // An odd one is equal to none with its last bit cleared.
        (before & !1 == after).then_some(said)
    }

    /// Writes other words, unless somebody else is writing.
    pub(crate) fn put(&self, words: [u64; N]) {
        let version = self.version.load(Ordering::Relaxed);
        let odd = version.wrapping_add(1);
        // Acquire: the words of the writer before are overwritten, not the other way round.
        let taken = version.is_multiple_of(2)
            && self
                .version
                .compare_exchange(version, odd, Ordering::Acquire, Ordering::Relaxed)
                .is_ok();
        if !taken {
            return;
        }
        // Release: who sees one of the words below sees the odd version, too.
        fence(Ordering::Release);
        for (target, word) in self.words.iter().zip(words) {
            target.store(word, Ordering::Relaxed);
        }
        // Publishes the words.
        self.version.store(odd.wrapping_add(1), Ordering::Release);
    }
}

#[cfg(all(test, loom))]
mod models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    fn seen(words: &Sequenced<2>) -> Option<(u64, u64)> {
        words.look(|words| (words.get(0), words.get(1)))
    }

    #[test]
    fn words_belong_together() {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(|| {
            let words = Arc::new(Sequenced::new([1, 1]));
            let writers = [2, 3].map(|number| {
                let words = Arc::clone(&words);
                thread::spawn(move || words.put([number, number]))
            });
            if let Some((one, other)) = seen(&words) {
                assert_eq!(one, other, "words of two writers");
            }
            for writer in writers {
                writer.join().unwrap();
            }
            // One of them wrote; the other did, or met the one.
            assert!(matches!(seen(&words), Some((2, 2) | (3, 3))));
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_read() {
        let words = Sequenced::new([7, 8]);
        assert_eq!(words.look(|words| (words.get(0), words.get(1))), Some((7, 8)));
        words.put([9, 10]);
        assert_eq!(words.look(|words| (words.get(0), words.get(1))), Some((9, 10)));
    }

    #[test]
    fn what_is_being_written_is_not_read() {
        let words = Sequenced::new([7]);
        words.version.store(1, Ordering::Relaxed);
        assert_eq!(words.look(|words| words.get(0)), None);
        // Nor written: its writer does.
        words.put([8]);
        words.version.store(2, Ordering::Relaxed);
        assert_eq!(words.look(|words| words.get(0)), Some(7));
    }
}
