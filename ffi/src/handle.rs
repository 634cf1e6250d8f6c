//! Every conversion between C's pointers and Rust's values: the casts are here and in `place` and nowhere else.
//! Here: what comes in. `place`: where answers go, and structs that grow with new versions.
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
use crate::client_headers::tidegate_header;
use crate::decision::TIDEGATE_NEVER;
use crate::error::Failure;
pub(crate) use crate::place::{
    Growing, Out, OutArray, OutStruct, OutStructs, OutText, Plain, read_plain, read_struct,
};

pub(crate) type Checked<T> = Result<T, Failure>;

#[cold]
pub(crate) fn null(name: &'static str) -> Failure {
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

/// The requests of `count` arrays of attributes, all checked before the first is used; a count of 0 ignores the
/// pointers.
///
/// # Safety
/// Each of `requests` and `attribute_counts` is NULL or valid for reads of `count` values during the call, and so is
/// each request, as in [`request`].
pub(crate) unsafe fn requests<'a>(
    requests: *const *const tidegate_attribute,
    attribute_counts: *const usize,
    count: usize,
) -> Checked<Vec<Request<'a>>> {
    // SAFETY: the caller's promise.
    let (requests, counts) = unsafe {
        (
            array(requests, count, ("requests", "count"))?,
            array(attribute_counts, count, ("attribute_counts", "count"))?,
        )
    };
    let mut checked = Vec::with_capacity(count);
    for (index, (&attributes, &count)) in requests.iter().zip(counts).enumerate() {
        // SAFETY: the caller's promise.
        let request = unsafe { request_named(attributes, count, ("requests", "attribute_counts")) };
        checked.push(request.map_err(|failure| failure.of_element(index))?);
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
pub(crate) fn too_many(name: &'static str, count: usize) -> Failure {
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
    unsafe { request_named(attributes, count, ("attributes", "attribute_count")) }
}

/// # Safety
/// As [`request`].
unsafe fn request_named<'a>(
    attributes: *const tidegate_attribute,
    count: usize,
    names: PairNames,
) -> Checked<Request<'a>> {
    // SAFETY: the caller's promise.
    let attributes = unsafe { array(attributes, count, names) }?;
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

/// The fields of a response's header, name and value; a count of 0 ignores the pointer.
///
/// # Safety
/// `headers` is NULL or valid for reads of `count` fields during the call; each name is NULL or ends with a NUL byte,
/// each value is as in [`key`].
pub(crate) unsafe fn headers<'a>(
    headers: *const tidegate_header,
    count: usize,
) -> Checked<Vec<(&'a [u8], &'a [u8])>> {
    // SAFETY: the caller's promise.
    let headers = unsafe { array(headers, count, ("headers", "count")) }?;
    let mut checked = Vec::with_capacity(count);
    for (index, &tidegate_header { name, value, value_len }) in headers.iter().enumerate() {
        let wrong = |problem: &str| Failure::argument("headers", format!("[{index}] {problem}"));
        if name.is_null() {
            return Err(wrong("name is NULL; give a name"));
        }
        // SAFETY: the caller's promise.
        let value = unsafe { bytes(value.cast(), value_len, ("value", "value_len")) };
        let value =
            value.map_err(|_| wrong("value is NULL or too long; give `value_len` bytes"))?;
        // SAFETY: not NULL, and the caller's promise.
        checked.push((unsafe { CStr::from_ptr(name) }.to_bytes(), value));
    }
    Ok(checked)
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
