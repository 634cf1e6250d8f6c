//! One zeroed, cache-line-aligned region of atomic words.

use crate::sync::AtomicU64;

#[cfg(not(loom))]
mod imp {
    use std::alloc::{Layout, alloc_zeroed, dealloc};
    use std::ptr::NonNull;

    use super::AtomicU64;

    /// Words that the system zeroes lazily: untouched pages cost nothing.
    ///
    /// The allocator is asked for plain alignment, which it serves with `calloc`; asked for a cache line's
    /// it would zero the memory itself (25 ms and 25 MB for a million keys nobody has).
    pub(crate) struct Region {
        allocation: NonNull<u8>,
        layout: Layout,
        /// Within the allocation, at a multiple of 64.
        words: NonNull<AtomicU64>,
        len: usize,
    }

    const LINE: usize = 64;

    // SAFETY: the region owns its memory, and hands out only shared references to atomics.
    unsafe impl Send for Region {}
    // SAFETY: as above; atomics may be shared.
    unsafe impl Sync for Region {}

    impl Region {
        /// `len` words of zero; `None` when there is no such memory.
        pub(crate) fn zeroed(len: usize) -> Option<Region> {
            let size = len.checked_mul(size_of::<AtomicU64>())?.checked_add(LINE)?;
            let layout = Layout::from_size_align(size, align_of::<AtomicU64>()).ok()?;
            // SAFETY: the layout's size is not zero.
            let allocation = NonNull::new(unsafe { alloc_zeroed(layout) })?;
            let offset = allocation.as_ptr().align_offset(LINE);
            // SAFETY: the offset is below LINE, which the allocation has beyond its `len` words.
            let words = unsafe { allocation.add(offset) }.cast();
            Some(Region { allocation, layout, words, len })
        }
    }

    impl std::ops::Deref for Region {
        type Target = [AtomicU64];

        fn deref(&self) -> &[AtomicU64] {
            // SAFETY: `len` words from `words` on are inside the allocation, zeroed (a valid
            // AtomicU64) and aligned, and live as long as `self`.
            unsafe { std::slice::from_raw_parts(self.words.as_ptr(), self.len) }
        }
    }

    impl Drop for Region {
        fn drop(&mut self) {
            // SAFETY: allocated with this layout, and no reference outlives `self`.
            unsafe { dealloc(self.allocation.as_ptr(), self.layout) }
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
