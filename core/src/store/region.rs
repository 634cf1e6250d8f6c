//! One zeroed, page-aligned region of atomic words.

use crate::sync::AtomicU64;

#[cfg(not(loom))]
mod imp {
    use memmap2::MmapMut;

    use super::AtomicU64;

    /// Pages of its own that the system zeroes when they are touched: a key that nobody has costs
    /// nothing. (The allocator zeroes by hand once it reuses memory: 30 ms and 25 MB for a million keys.)
    pub(crate) struct Region(MmapMut);

    impl Region {
        /// `len` words of zero; `None` when there is no such memory.
        pub(crate) fn zeroed(len: usize) -> Option<Region> {
            let bytes = len.checked_mul(size_of::<AtomicU64>())?;
            MmapMut::map_anon(bytes).ok().map(Region)
        }
    }

    impl std::ops::Deref for Region {
        type Target = [AtomicU64];

        #[inline]
        fn deref(&self) -> &[AtomicU64] {
            let words = self.0.as_ptr().cast::<AtomicU64>();
            // SAFETY: the mapping is page-aligned, zeroed (a valid AtomicU64), lives as long as
            // `self`, and nobody makes a reference to its plain bytes.
            unsafe { std::slice::from_raw_parts(words, self.0.len() / size_of::<AtomicU64>()) }
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
