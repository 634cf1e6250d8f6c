//! Places that C gives for answers, and structs that grow with new versions. What the caller promises is said at the
//! head of `handle`.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use engine::Decision;

use crate::decision::tidegate_decision;
use crate::error::Failure;
use crate::handle::{Checked, PairNames, null, too_many};

/// A checked place for an output.
pub(crate) struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    /// Checked before the call does anything: a call without a place for its answer does nothing.
    ///
    /// # Safety
    /// `place` is NULL or valid for writes of a `T` during the call.
    #[inline]
    pub(crate) unsafe fn new(place: *mut T, name: &'static str) -> Checked<Out<T>> {
        NonNull::new(place).map(Out).ok_or_else(|| null(name))
    }

    #[inline]
    pub(crate) fn write(self, value: T) {
        // SAFETY: the promise of `new`. What was there before is not dropped: it is C's.
        unsafe { self.0.write(value) }
    }
}

/// A checked place for a text that may be too long for it, in the manner of `snprintf`.
pub(crate) struct OutText {
    /// None: room for nothing.
    buffer: Option<(NonNull<u8>, usize)>,
    needed: Out<usize>,
}

impl OutText {
    /// # Safety
    /// `buffer` is NULL or valid for writes of `len` bytes during the call, `needed` NULL or valid for a write.
    pub(crate) unsafe fn new(
        buffer: *mut c_char,
        len: usize,
        needed: *mut usize,
    ) -> Checked<OutText> {
        // SAFETY: the caller's promise.
        let needed = unsafe { Out::new(needed, "needed") }?;
        if len == 0 {
            return Ok(OutText { buffer: None, needed });
        }
        let place = NonNull::new(buffer.cast()).ok_or_else(|| null("buffer"))?;
        Ok(OutText { buffer: Some((place, len)), needed })
    }

    /// Writes the text and a NUL byte when both fit, else only the NUL byte: never a part, which could be taken for
    /// the whole.
    pub(crate) fn write(self, text: &str) {
        if let Some((place, len)) = self.buffer {
            let written = if text.len() < len { text.as_bytes() } else { &[] };
            // SAFETY: the promise of `new`: `len` bytes, which are more than `written` has. What is C's is not Rust's
            // text, so that they do not overlap.
            unsafe {
                place.as_ptr().copy_from_nonoverlapping(written.as_ptr(), written.len());
                place.add(written.len()).write(0);
            }
        }
        self.needed.write(text.len());
    }
}

/// A checked place for an array of plain values, of which the first ones are written.
pub(crate) struct OutArray<T> {
    /// None: room for nothing.
    first: Option<NonNull<T>>,
    room: usize,
}

impl<T: Copy> OutArray<T> {
    /// # Safety
    /// `room` is 0, or `places` is NULL or valid for writes of `room` values during the call.
    pub(crate) unsafe fn new(
        places: *mut T,
        room: usize,
        names: PairNames,
    ) -> Checked<OutArray<T>> {
        if room == 0 {
            return Ok(OutArray { first: None, room });
        }
        let first = NonNull::new(places).ok_or_else(|| null(names.0))?;
        if room > isize::MAX as usize / size_of::<T>() {
            return Err(too_many(names.1, room));
        }
        Ok(OutArray { first: Some(first), room })
    }

    /// Writes as many of the values as there is room for.
    pub(crate) fn write(self, values: impl Iterator<Item = T>) {
        let Some(first) = self.first else { return };
        for (index, value) in values.take(self.room).enumerate() {
            // SAFETY: `index` is below `room`, and the promise of `new`.
            unsafe { first.add(index).write(value) };
        }
    }
}

/// A struct that grows with new versions: the caller says how much of it there is.
///
/// # Safety
/// `repr(C)`, its first field is `struct_size: u32`, its alignment and the sizes of all that
/// follows the first eight bytes are multiples of eight.
pub(crate) unsafe trait Growing: Copy {}

/// A checked place for a struct that grows with new versions.
pub(crate) struct OutStruct<T> {
    place: NonNull<T>,
    size: usize,
}

/// What every version of a growing struct has: its size, and four more bytes.
const LEAST: usize = 8;

impl<T: Growing> OutStruct<T> {
    /// # Safety
    /// `place` is NULL or valid for reads and writes of as many bytes as its `struct_size` says.
    #[inline]
    pub(crate) unsafe fn new(place: *mut T, name: &'static str) -> Checked<OutStruct<T>> {
        let place = NonNull::new(place).ok_or_else(|| null(name))?;
        // SAFETY: not NULL; `Growing` says that the struct starts with its size.
        let size = unsafe { place.cast::<u32>().read() } as usize;
        if size < LEAST {
            return Err(too_small::<T>(name, size));
        }
        Ok(OutStruct { place, size })
    }

    /// Writes what the caller's version of the struct has room for, but its size.
    #[inline]
    pub(crate) fn write(self, value: T) {
        // SAFETY: the promise of `new`.
        unsafe { write_struct(self.place, self.size, value) }
    }

    /// The same of a value that is made field by field where it goes, not copied there.
    #[inline(always)]
    pub(crate) fn write_in_place(self, make: impl Fn() -> T) {
        if self.size == size_of::<T>() {
            // SAFETY: the promise of `new`, and the place is exactly of this size.
            unsafe { self.place.write(make()) };
        } else {
            self.write_other_size(make());
        }
    }

    #[cold]
    #[inline(never)]
    fn write_other_size(self, value: T) {
        self.write(value);
    }
}

impl OutStruct<tidegate_decision> {
    /// The same place for the engine's decision, which it writes with its size in it; `None`: C's struct is of another
    /// version.
    #[inline(always)]
    pub(crate) fn for_engine(&mut self) -> Option<&mut MaybeUninit<Decision>> {
        const {
            assert!(size_of::<Decision>() == size_of::<tidegate_decision>());
            assert!(align_of::<Decision>() == align_of::<tidegate_decision>());
        }
        // SAFETY: the promise of `new`, and the place is of exactly this size. (That C finds there what it expects is
        // what `Decision` promises, and a test.)
        (self.size == size_of::<Decision>()).then(|| unsafe { self.place.cast().as_mut() })
    }
}

/// Writes a growing struct into a place of `size` bytes, but its size.
///
/// # Safety
/// `place` is valid for writes of `size` bytes, which are at least `LEAST`.
#[inline]
unsafe fn write_struct<T: Growing>(place: NonNull<T>, size: usize, value: T) {
    if size == size_of::<T>() {
        // SAFETY: the caller's promise, and the place is exactly of this size.
        return unsafe { place.write(value) };
    }
    let end = size.min(size_of::<T>()) & !7;
    let start = size_of::<u32>();
    // SAFETY: both are valid for `end` bytes, and `end` is at least `LEAST`; bytes need no
    // alignment, and `value` is a local of this function, so that they do not overlap.
    unsafe {
        let from = (&raw const value).cast::<u8>().add(start);
        place.cast::<u8>().add(start).as_ptr().copy_from_nonoverlapping(from, end - start);
    }
}

/// A checked place for an array of structs that grow with new versions. The first one's size is
/// that of all: it is how far they are apart.
pub(crate) struct OutStructs<T> {
    /// None: an array of no structs.
    first: Option<NonNull<T>>,
    size: u32,
    count: usize,
}

impl<T: Growing> OutStructs<T> {
    /// # Safety
    /// `count` is 0, or `places` is NULL or valid for reads and writes of `count` times as many
    /// bytes as the first one's `struct_size` says.
    pub(crate) unsafe fn new(
        places: *mut T,
        count: usize,
        name: &'static str,
    ) -> Checked<OutStructs<T>> {
        if count == 0 {
            return Ok(OutStructs { first: None, size: 0, count });
        }
        let first = NonNull::new(places).ok_or_else(|| null(name))?;
        // SAFETY: not NULL; `Growing` says that the struct starts with its size.
        let size = unsafe { first.cast::<u32>().read() };
        let stride = size as usize;
        if !(LEAST..=MOST).contains(&stride) || !stride.is_multiple_of(align_of::<T>()) {
            return Err(too_small::<T>(name, stride));
        }
        if count > isize::MAX as usize / stride {
            return Err(too_many("count", count));
        }
        Ok(OutStructs { first: Some(first), size, count })
    }

    /// Writes one value after the other as `OutStruct::write` does, and each one's size too: all
    /// but the first may never have been set.
    pub(crate) fn write(self, values: impl ExactSizeIterator<Item = T>) {
        let Some(first) = self.first else { return };
        assert_eq!(values.len(), self.count, "a value for each place");
        for (index, value) in values.take(self.count).enumerate() {
            // SAFETY: `index` is below `count`, and the promise of `new`: the place lies within the
            // array, `size` apart from its neighbours and so aligned, and has `size` bytes.
            unsafe {
                let place = first.byte_add(index * self.size as usize);
                place.cast::<u32>().write(self.size);
                write_struct(place, self.size as usize, value);
            }
        }
    }
}

#[cold]
fn too_small<T>(name: &'static str, size: usize) -> Failure {
    let right = size_of::<T>();
    Failure::argument(
        name,
        format!("struct_size is {size}; set it to the sizeof of the struct ({right} here)"),
    )
}

/// A growing struct as plain integers: whatever its bytes are, they are valid, and nothing is believed of them.
///
/// # Safety
/// `repr(C)`, all its fields are integers, in the places where `T` has its fields.
pub(crate) unsafe trait Plain<T: Growing>: Copy {}

/// Reads a growing struct that must have all that this version of it has.
///
/// # Safety
/// `place` is NULL or valid for reads of as many bytes as its `struct_size` says.
pub(crate) unsafe fn read_plain<T: Growing, P: Plain<T>>(
    place: *const T,
    name: &'static str,
) -> Checked<P> {
    const { assert!(size_of::<T>() == size_of::<P>() && align_of::<T>() == align_of::<P>()) }
    if place.is_null() {
        return Err(null(name));
    }
    // SAFETY: not NULL; `Growing` says that the struct starts with its size.
    let size = unsafe { place.cast::<u32>().read() } as usize;
    if size < size_of::<T>() {
        return Err(too_small::<T>(name, size));
    }
    // SAFETY: the caller's promise, the struct has this size, and `Plain` says that any bytes are valid.
    Ok(unsafe { place.cast::<P>().read() })
}

/// Largest `struct_size` that is believed of an input: anything more is memory never set.
const MOST: usize = 4096;

/// Reads a struct that grows with new versions. Fields that the caller's version does not have
/// are zero; fields that this version does not know must be.
///
/// # Safety
/// `place` is NULL or valid for reads of as many bytes as its `struct_size` says, and a `T` of
/// zeros is valid.
pub(crate) unsafe fn read_struct<T: Growing>(
    place: *const T,
    name: &'static str,
) -> Checked<Option<T>> {
    if place.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL; `Growing` says that the struct starts with its size.
    let size = unsafe { place.cast::<u32>().read() } as usize;
    if !(LEAST..=MOST).contains(&size) {
        return Err(too_small::<T>(name, size));
    }
    // SAFETY: the caller's promise.
    let given = unsafe { std::slice::from_raw_parts(place.cast::<u8>(), size) };
    let known = size.min(size_of::<T>());
    if given[known..].iter().any(|&byte| byte != 0) {
        return Err(Failure::argument(
            name,
            "has options that this version of the library does not know; set them to zero",
        ));
    }
    // SAFETY: a `T` of zeros is valid, and so is one with the caller's bytes in front: both
    // sides have the same fields in the same places.
    unsafe {
        let mut value = std::mem::zeroed::<T>();
        (&raw mut value).cast::<u8>().copy_from_nonoverlapping(given.as_ptr(), known & !7);
        Ok(Some(value))
    }
}
