//! The only door to atomics and locks: the standard library's and parking_lot's, or loom's under
//! `--cfg loom`.

#[cfg(not(loom))]
pub(crate) mod barrier;
pub(crate) mod forks;
mod sequenced;

/// Fences on both sides: what the models check is the protocol.
#[cfg(loom)]
pub(crate) mod barrier {
    use loom::sync::atomic::{Ordering, fence};

    pub(crate) fn prepare() {}

    pub(crate) fn is_there() -> bool {
        true
    }

    pub(crate) fn light() {
        fence(Ordering::SeqCst);
    }

    pub(crate) fn heavy() -> bool {
        fence(Ordering::SeqCst);
        true
    }
}

#[cfg(not(loom))]
mod imp {
    pub(crate) use parking_lot::{Mutex, MutexGuard};
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicI64, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence,
    };

    /// Lets another thread finish: a few turns of the loop, then the rest of the time slice.
    pub(crate) fn spin() {
        use std::cell::Cell;
        thread_local!(static TURNS: Cell<u32> = const { Cell::new(0) });
        TURNS.with(|turns| {
            turns.set(turns.get().wrapping_add(1));
            match turns.get() % 64 {
                0 => std::thread::yield_now(),
                _ => std::hint::spin_loop(),
            }
        });
    }
}

#[cfg(loom)]
mod imp {
    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicI64, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence,
    };

    /// loom's own `try_lock` waits if another thread takes the lock just then: two that try what the other has would
    /// seem to be stuck. Here it is one exchange; the lock inside is never waited for.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T> {
        taken: AtomicBool,
        value: loom::sync::Mutex<T>,
    }

    pub(crate) struct MutexGuard<'m, T> {
        taken: &'m AtomicBool,
        /// `None` when it is being dropped.
        value: Option<loom::sync::MutexGuard<'m, T>>,
    }

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Mutex<T> {
            Mutex { taken: AtomicBool::new(false), value: loom::sync::Mutex::new(value) }
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            loop {
                match self.try_lock() {
                    Some(guard) => return guard,
                    None => spin(),
                }
            }
        }

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            let Mutex { taken, value } = self;
            // Acquire pairs with the Release of `drop`.
            let free = taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
            let lock = |_| value.lock().expect("a model does not poison its locks");
            free.ok().map(|was| MutexGuard { taken, value: Some(lock(was)) })
        }
    }

    impl<T> std::ops::Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.value.as_ref().expect("it is not being dropped")
        }
    }

    impl<T> std::ops::DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.value.as_mut().expect("it is not being dropped")
        }
    }

    impl<T> Drop for MutexGuard<'_, T> {
        fn drop(&mut self) {
            self.value = None;
            // Release: what was done under the lock is seen by the next.
            self.taken.store(false, Ordering::Release);
        }
    }

    pub(crate) fn spin() {
        loom::thread::yield_now();
    }
}

pub(crate) use imp::*;
pub(crate) use sequenced::{Sequenced, Words};
