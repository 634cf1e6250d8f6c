//! Every conversion between C's pointers and Rust's values: the casts are here and nowhere else.
//!
//! What the caller promises (the header's introduction) is what the `SAFETY` comments rely on:
//! pointers that are not NULL point to live, aligned memory of their type, and handles come from
//! this library and were not given back yet.

use std::ffi::{CStr, c_char, c_void};
use std::path::Path;
use std::ptr::NonNull;
use std::time::Duration;

use engine::{Request, Timestamp};

use crate::attribute::tidegate_attribute;
use crate::decision::TIDEGATE_NEVER;
use crate::error::Failure;

type Checked<T> = Result<T, Failure>;

#[cold]
fn null(name: &'static str) -> Failure {
    Failure::argument(name, "is NULL; give a valid pointer")
}

/// A handle that was lent for the call.
///
/// # Safety
/// `handle` is NULL or a live handle of this type.
#[inline]
pub(crate) unsafe fn lend<'a, T>(handle: *const T, name: &'static str) -> Checked<&'a T> {
    // SAFETY: the caller's promise.
    unsafe { handle.as_ref() }.ok_or_else(|| null(name))
}

/// A handle that was lent for the call, and that no other thread uses meanwhile.
///
/// # Safety
/// `handle` is NULL or a live handle of this type that is not used elsewhere during the call.
pub(crate) unsafe fn lend_mut<'a, T>(handle: *mut T, name: &'static str) -> Checked<&'a mut T> {
    // SAFETY: the caller's promise.
    unsafe { handle.as_mut() }.ok_or_else(|| null(name))
}

/// Hands a new handle to the caller.
pub(crate) fn give<T>(value: T) -> *mut T {
    Box::into_raw(Box::new(value))
}

/// Takes a handle back for good; `None` for NULL.
///
/// # Safety
/// `handle` is NULL or came from [`give`], and is not used afterwards.
pub(crate) unsafe fn take<T>(handle: *mut T) -> Option<T> {
    // SAFETY: the caller's promise.
    NonNull::new(handle).map(|handle| *unsafe { Box::from_raw(handle.as_ptr()) })
}

/// As [`take`], for calls that need a handle.
///
/// # Safety
/// As [`take`].
pub(crate) unsafe fn take_named<T>(handle: *mut T, name: &'static str) -> Checked<T> {
    // SAFETY: the caller's promise.
    unsafe { take(handle) }.ok_or_else(|| null(name))
}

/// The names of a pair of arguments, pointer and length.
pub(crate) type PairNames = (&'static str, &'static str);

/// The bytes of a key.
///
/// # Safety
/// As [`bytes`].
#[inline]
pub(crate) unsafe fn key<'a>(key: *const c_void, len: usize) -> Checked<&'a [u8]> {
    // SAFETY: the caller's promise.
    unsafe { bytes(key, len, ("key", "key_len")) }
}

/// The bytes of `count` keys, all checked before the first is used; a count of 0 ignores the pointers.
///
/// # Safety
/// Each of `keys` and `key_lens` is NULL or valid for reads of `count` values during the call, and so is
/// each key, as in [`key`].
pub(crate) unsafe fn keys<'a>(
    keys: *const *const c_void,
    key_lens: *const usize,
    count: usize,
) -> Checked<Vec<&'a [u8]>> {
    // SAFETY: the caller's promise.
    let (keys, lens) = unsafe {
        (array(keys, count, ("keys", "count"))?, array(key_lens, count, ("key_lens", "count"))?)
    };
    let mut checked = Vec::with_capacity(count);
    for (index, (&data, &len)) in keys.iter().zip(lens).enumerate() {
        // SAFETY: the caller's promise.
        let key = unsafe { bytes(data, len, ("keys", "key_lens")) };
        checked.push(key.map_err(|failure| failure.of_element(index))?);
    }
    Ok(checked)
}

/// `count` values; a count of 0 ignores the pointer.
///
/// # Safety
/// `data` is NULL, or valid for reads of `count` values during the call.
unsafe fn array<'a, T>(data: *const T, count: usize, names: PairNames) -> Checked<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(null(names.0));
    }
    if count > isize::MAX as usize / size_of::<T>() {
        return Err(too_many(names.1, count));
    }
    // SAFETY: not NULL, no longer than an object can be, and the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(data, count) })
}

#[cold]
fn too_many(name: &'static str, count: usize) -> Failure {
    Failure::argument(name, format!("{count} are more than memory holds; give their number"))
}

/// The request of `count` attributes; a count of 0 ignores the pointer.
///
/// # Safety
/// `attributes` is NULL or valid for reads of `count` attributes during the call; each name is NULL or
/// ends with a NUL byte, each value is as in [`key`].
pub(crate) unsafe fn request<'a>(
    attributes: *const tidegate_attribute,
    count: usize,
) -> Checked<Request<'a>> {
    // SAFETY: the caller's promise.
    let attributes = unsafe { array(attributes, count, ("attributes", "attribute_count")) }?;
    let mut request = Request::new();
    for (index, attribute) in attributes.iter().enumerate() {
        // SAFETY: the caller's promise.
        let (name, value) = unsafe { pair(attribute) }.map_err(|bad| bad.of_element(index))?;
        request.set(name, value);
    }
    Ok(request)
}

/// # Safety
/// As [`request`], of one attribute.
unsafe fn pair<'a>(attribute: &tidegate_attribute) -> Checked<(&'a str, &'a [u8])> {
    let tidegate_attribute { name, value, value_len } = *attribute;
    // SAFETY: the caller's promise.
    let name = unsafe { text(name, "name") }.map_err(Failure::of_attributes)?;
    let name = name.ok_or_else(|| Failure::argument("attributes", "name is NULL; give a name"))?;
    // SAFETY: the caller's promise.
    let value = unsafe { bytes(value, value_len, ("value", "value_len")) };
    Ok((name, value.map_err(Failure::of_attributes)?))
}

/// The text of a policy.
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn policy<'a>(policy: *const c_char, len: usize) -> Checked<&'a str> {
    // SAFETY: the caller's promise.
    unsafe { text_of(policy, len, ("policy", "policy_len")) }
}

/// A text of `len` bytes.
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn text_of<'a>(
    data: *const c_char,
    len: usize,
    names: PairNames,
) -> Checked<&'a str> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(data.cast(), len, names) }?;
    str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        Failure::argument(names.0, format!("is not UTF-8 at byte {at}; give UTF-8 text"))
    })
}

/// `len` bytes; a length of 0 ignores the pointer.
///
/// # Safety
/// `data` is NULL, or valid for reads of `len` bytes during the call.
#[inline]
pub(crate) unsafe fn bytes<'a>(
    data: *const c_void,
    len: usize,
    names: PairNames,
) -> Checked<&'a [u8]> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(null(names.0));
    }
    if len > isize::MAX as usize {
        return Err(too_long(names.1, len));
    }
    // SAFETY: not NULL, no longer than an object can be, and the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), len) })
}

#[cold]
fn too_long(name: &'static str, len: usize) -> Failure {
    Failure::argument(name, format!("{len} bytes are more than memory holds; give the length"))
}

/// A NUL-terminated text that may be NULL (not given).
///
/// # Safety
/// `text` is NULL or ends with a NUL byte.
pub(crate) unsafe fn text<'a>(text: *const c_char, name: &'static str) -> Checked<Option<&'a str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, and the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    match text.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(Failure::argument(name, "is not UTF-8; give UTF-8 text")),
    }
}

/// A NUL-terminated text that must be given.
///
/// # Safety
/// As [`text`].
pub(crate) unsafe fn text_named<'a>(text: *const c_char, name: &'static str) -> Checked<&'a str> {
    // SAFETY: the caller's promise.
    unsafe { self::text(text, name) }?.ok_or_else(|| null(name))
}

/// A path, NUL-terminated: bytes as they are where paths are bytes.
///
/// # Safety
/// `path` is NULL or ends with a NUL byte.
pub(crate) unsafe fn path<'a>(path: *const c_char, name: &'static str) -> Checked<&'a Path> {
    if path.is_null() {
        return Err(null(name));
    }
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        // SAFETY: not NULL, and the caller's promise.
        let path = unsafe { CStr::from_ptr(path) };
        Ok(Path::new(std::ffi::OsStr::from_bytes(path.to_bytes())))
    }
    #[cfg(not(unix))]
    {
        // SAFETY: the caller's promise.
        unsafe { text(path, name) }?.map(Path::new).ok_or_else(|| null(name))
    }
}

/// The explicit time of an `_at` call.
#[inline]
pub(crate) fn now(now_ns: u64) -> Checked<Timestamp> {
    Timestamp::from_nanos(now_ns).map_err(|_| {
        let last = Timestamp::MAX.as_nanos();
        let problem = format!(
            "{now_ns} is beyond the year 2116; give nanoseconds since the Unix epoch, at most {last}"
        );
        Failure::argument("now_ns", problem)
    })
}

/// A span as C sees it: nanoseconds, `UINT64_MAX` for what never comes.
#[inline]
pub(crate) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(TIDEGATE_NEVER)
}

/// A time limit as C gives it: `UINT64_MAX` is none.
pub(crate) fn timeout(timeout_ns: u64) -> Option<Duration> {
    (timeout_ns != TIDEGATE_NEVER).then(|| Duration::from_nanos(timeout_ns))
}

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
