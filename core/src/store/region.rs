//! One zeroed, cache-line-aligned region of atomic words.

use crate::sync::AtomicU64;

#[cfg(not(loom))]
mod imp {
    use std::alloc::{Layout, alloc_zeroed, dealloc};
    use std::ptr::NonNull;

    use super::AtomicU64;

    /// Words that the system zeroes lazily: untouched pages cost nothing.
    pub(crate) struct Region {
        words: NonNull<AtomicU64>,
        layout: Layout,
        len: usize,
    }

    // SAFETY: the region owns its memory, and hands out only shared references to atomics.
    unsafe impl Send for Region {}
    // SAFETY: as above; atomics may be shared.
    unsafe impl Sync for Region {}

    impl Region {
        /// `len` words (at least 1) of zero; `None` when there is no such memory.
        pub(crate) fn zeroed(len: usize) -> Option<Region> {
            let layout = Layout::from_size_align(len.max(1).checked_mul(8)?, 64).ok()?;
            // SAFETY: the layout's size is not zero (len ≥ 1).
            let words = NonNull::new(unsafe { alloc_zeroed(layout) }.cast())?;
            Some(Region { words, layout, len: len.max(1) })
        }
    }

    impl std::ops::Deref for Region {
        type Target = [AtomicU64];

        fn deref(&self) -> &[AtomicU64] {
            // SAFETY: `len` words were allocated and zeroed, zero is a valid AtomicU64, the
            // alignment is 64, and the memory lives as long as `self`.
            unsafe { std::slice::from_raw_parts(self.words.as_ptr(), self.len) }
        }
    }

    impl Drop for Region {
        fn drop(&mut self) {
            // SAFETY: allocated with this layout, and no reference outlives `self`.
            unsafe { dealloc(self.words.as_ptr().cast(), self.layout) }
        }
    }
}

#[cfg(loom)]
mod imp {
    use super::AtomicU64;

    pub(crate) struct Region(Vec<AtomicU64>);

    impl Region {
        pub(crate) fn zeroed(len: usize) -> Option<Region> {
            Some(Region((0..len).map(|_| AtomicU64::new(0)).collect()))
        }
    }

    impl std::ops::Deref for Region {
        type Target = [AtomicU64];

        fn deref(&self) -> &[AtomicU64] {
            &self.0
        }
    }
}

pub(crate) use imp::Region;
