//! Who is limited: a key, or the attributes of a request. Copied out of JavaScript before anything is done with it.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr::null_mut;

use napi::bindgen_prelude::FromNapiValue;
use napi::{Env, sys};
use tidegate::Request;

use crate::argument::{check, kind_of, wrong_type};
use crate::refusal::Refusal;

/// Keys up to this many bytes are copied to the stack, longer ones to the heap.
const STACK_KEY: usize = 256;

/// What a subject may be, for messages.
const WANTED: &str = "a string or a Uint8Array";
const REMEDY: &str =
    "give who is limited, or a plain object of attributes such as { key: 'k1', route: 'GET /' }";

const LEAVE_OUT: &str = "leave out what the request does not have";

/// A subject as the engine takes it.
pub(crate) enum Asked<'a> {
    Key(&'a [u8]),
    /// Boxed: keys are many, and would be moved with the room for a request.
    Request(Box<Request<'a>>),
}

/// Makes a call of the engine about a subject, whichever it is.
macro_rules! ask {
    ($asked:expr, $subject:ident => $call:expr) => {
        match $asked {
            $crate::subject::Asked::Key($subject) => $call,
            $crate::subject::Asked::Request(request) => {
                let $subject = &*request;
                $call
            }
        }
    };
}
pub(crate) use ask;

/// Copies a subject out of JavaScript and hands it to `use_it`.
///
/// A string gives its UTF-8 (a lone surrogate counts as U+FFFD, as in `TextEncoder`), a `Uint8Array` (so also a
/// `Buffer`) its bytes; both are keys. A plain object of such values is a request.
///
/// # Safety
/// `env` is the environment of the running call and `value` one of its values.
#[inline]
pub(crate) unsafe fn with_subject<R>(
    env: sys::napi_env,
    value: sys::napi_value,
    use_it: impl FnOnce(Asked<'_>) -> R,
) -> Result<R, Refusal> {
    let mut buffer = [MaybeUninit::<u8>::uninit(); STACK_KEY];
    // SAFETY: as promised by the caller.
    if let Some(length) = unsafe { copy_text(env, value, &mut buffer) } {
        // SAFETY: so many bytes were written.
        let bytes = unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), length) };
        return Ok(use_it(Asked::Key(bytes)));
    }
    // SAFETY: as promised by the caller.
    Ok(use_it(unsafe { Subject::read(env, value)? }.asked()))
}

/// Copies a string's UTF-8 to the beginning of `room`. Returns how many bytes were written; `None`: it is no string, or may
/// not have fitted.
///
/// # Safety
/// `env` is the environment of the running call and `value` one of its values.
#[inline]
unsafe fn copy_text(
    env: sys::napi_env,
    value: sys::napi_value,
    room: &mut [MaybeUninit<u8>],
) -> Option<usize> {
    // Node makes UTF-8 character by character. UTF-16 it copies at once, and that of most keys is ASCII.
    let mut units = [MaybeUninit::<u16>::uninit(); STACK_KEY];
    let mut length = 0;
    // SAFETY: as promised by the caller; Node writes at most STACK_KEY units, a final NUL among them, and says how many.
    let status = unsafe {
        let start = units.as_mut_ptr().cast();
        sys::napi_get_value_string_utf16(env, value, start, STACK_KEY, &mut length)
    };
    if status != sys::Status::napi_ok {
        return None;
    }
    // As many as there is room for may be fewer than there are.
    if length + 1 < STACK_KEY && length <= room.len() {
        // SAFETY: the first `length` units were written by the call above.
        let units = unsafe { std::slice::from_raw_parts(units.as_ptr().cast::<u16>(), length) };
        let mut bits = 0;
        for (byte, &unit) in room.iter_mut().zip(units) {
            bits |= unit;
            byte.write(unit as u8);
        }
        if bits < 0x80 {
            return Some(length);
        }
    }
    // SAFETY: as promised by the caller; Node writes at most as many bytes as there is room for, a final NUL among them,
    // and says how many.
    let status = unsafe {
        let start = room.as_mut_ptr().cast();
        sys::napi_get_value_string_utf8(env, value, start, room.len(), &mut length)
    };
    // A character of at most 4 bytes that does not fit is left out whole: with that much room to spare all was copied.
    (status == sys::Status::napi_ok && length + 4 < room.len()).then_some(length)
}

/// Room for the names and values of a hot request.
const STACK_PAIRS: usize = 1024;

/// As `with_subject`, for a request whose names and values come by turns; at most `MOST` of them.
///
/// # Safety
/// `env` is the environment of the running call and `pairs` are values of it.
#[inline]
pub(crate) unsafe fn with_pairs<const MOST: usize, R>(
    env: sys::napi_env,
    pairs: &[sys::napi_value],
    use_it: impl FnOnce(&Request<'_>) -> R,
) -> Result<R, Refusal> {
    let mut buffer = [MaybeUninit::<u8>::uninit(); STACK_PAIRS];
    let mut ends = [0; MOST];
    let mut used = 0;
    for (pair, end) in pairs.iter().zip(&mut ends) {
        // SAFETY: as promised by the caller.
        let Some(length) = (unsafe { copy_text(env, *pair, &mut buffer[used..]) }) else {
            // SAFETY: as promised by the caller.
            return unsafe { Attributes::of_pairs(env, pairs) }
                .map(|pairs| use_it(&pairs.request()));
        };
        used += length;
        *end = used;
    }
    // SAFETY: so many bytes were written.
    let bytes = unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), used) };
    let text = |at: usize| &bytes[if at == 0 { 0 } else { ends[at - 1] }..ends[at]];
    let mut request = Request::new();
    for at in (0..pairs.len().min(MOST) / 2).map(|pair| 2 * pair) {
        // A name that is no UTF-8 is none that a policy has.
        if let Ok(name) = std::str::from_utf8(text(at)) {
            request.set(name, text(at + 1));
        }
    }
    Ok(use_it(&request))
}

/// A subject, for the calls that are not hot.
pub enum Subject {
    /// A key's bytes.
    Key(Vec<u8>),
    /// A request.
    Request(Attributes),
}

/// Names and values, in the order of the object.
pub struct Attributes(Vec<(String, Vec<u8>)>);

impl Attributes {
    /// Names and values by turns.
    ///
    /// # Safety
    /// `env` is the environment of the running call and `pairs` are values of it.
    #[cold]
    unsafe fn of_pairs(
        env: sys::napi_env,
        pairs: &[sys::napi_value],
    ) -> Result<Attributes, Refusal> {
        let read = |pair: &[sys::napi_value]| {
            // SAFETY: as promised by the caller.
            let name = unsafe { value_of(env, pair[0], "key", REMEDY)? };
            let name = String::from_utf8_lossy(&name).into_owned();
            // SAFETY: as promised by the caller.
            let value = unsafe { value_of(env, pair[1], &format!("key.{name}"), LEAVE_OUT)? };
            Ok((name, value))
        };
        pairs.chunks_exact(2).map(read).collect::<Result<_, _>>().map(Attributes)
    }

    pub(crate) fn of(request: &Request<'_>) -> Attributes {
        let pairs = request.attributes();
        Attributes(pairs.map(|(name, value)| (name.to_owned(), value.to_vec())).collect())
    }

    pub(crate) fn request(&self) -> Request<'_> {
        let mut request = Request::new();
        self.0.iter().for_each(|(name, value)| request.set(name, value));
        request
    }
}

impl Subject {
    /// # Safety
    /// As `with_subject`.
    #[cold]
    unsafe fn read(env: sys::napi_env, value: sys::napi_value) -> Result<Subject, Refusal> {
        // SAFETY: as promised by the caller.
        unsafe {
            if let Some(key) = bytes_of(env, value, "key")? {
                return Ok(Subject::Key(key));
            }
            attributes(env, value).map(Subject::Request)
        }
    }

    /// As the engine takes it.
    pub(crate) fn asked(&self) -> Asked<'_> {
        match self {
            Subject::Key(key) => Asked::Key(key),
            Subject::Request(attributes) => Asked::Request(Box::new(attributes.request())),
        }
    }
}

impl FromNapiValue for Subject {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Subject> {
        // SAFETY: napi promises a live environment and one of its values.
        let subject = unsafe { Subject::read(env, value) };
        subject.map_err(|refusal| refusal.throw(Env::from_raw(env)))
    }
}

/// A value of an attribute, to which a plan is assigned.
pub struct Value(pub(crate) Vec<u8>);

impl FromNapiValue for Value {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Value> {
        // SAFETY: napi promises a live environment and one of its values.
        let bytes = unsafe { value_of(env, value, "value", "give a value of the attribute") };
        bytes.map(Value).map_err(|refusal| refusal.throw(Env::from_raw(env)))
    }
}

/// # Safety
/// As `with_subject`.
unsafe fn value_of(
    env: sys::napi_env,
    value: sys::napi_value,
    name: &str,
    remedy: &str,
) -> Result<Vec<u8>, Refusal> {
    // SAFETY: as promised by the caller.
    unsafe {
        match bytes_of(env, value, name)? {
            Some(bytes) => Ok(bytes),
            None => Err(wrong_type(env, value, name, WANTED, remedy)),
        }
    }
}

/// The bytes of a string or a `Uint8Array`; nothing for other kinds of value. `name` is for refusals.
///
/// # Safety
/// As `with_subject`.
unsafe fn bytes_of(
    env: sys::napi_env,
    value: sys::napi_value,
    name: &str,
) -> Result<Option<Vec<u8>>, Refusal> {
    let mut length = 0;
    // SAFETY: as promised by the caller; without a buffer Node only measures, and answers "string expected" for
    // other kinds of value.
    unsafe {
        let status = sys::napi_get_value_string_utf8(env, value, null_mut(), 0, &mut length);
        if status == sys::Status::napi_ok {
            text(env, value, length).map(Some)
        } else {
            bytes(env, value, name)
        }
    }
}

/// # Safety
/// As `with_subject`; `value` is a string of `length` bytes.
unsafe fn text(
    env: sys::napi_env,
    value: sys::napi_value,
    mut length: usize,
) -> Result<Vec<u8>, Refusal> {
    let mut text = Vec::<u8>::with_capacity(length + 1);
    // SAFETY: Node writes at most `length` bytes and a NUL into the `length + 1` bytes that were reserved, and says
    // how many.
    unsafe {
        let start = text.as_mut_ptr().cast();
        let status = sys::napi_get_value_string_utf8(env, value, start, length + 1, &mut length);
        check(status, "a string")?;
        text.set_len(length);
    }
    Ok(text)
}

/// # Safety
/// As `with_subject`.
unsafe fn bytes(
    env: sys::napi_env,
    value: sys::napi_value,
    name: &str,
) -> Result<Option<Vec<u8>>, Refusal> {
    let (mut kind, mut length) = (0, 0);
    let (mut data, mut memory) = (null_mut::<c_void>(), null_mut());
    let mut plain = false;
    // SAFETY: all outputs are locals; Node answers "invalid argument" for other kinds of value.
    let found = unsafe {
        sys::napi_get_typedarray_info(
            env,
            value,
            &mut kind,
            &mut length,
            &mut data,
            &mut memory,
            null_mut(),
        ) == sys::Status::napi_ok
            && kind == sys::TypedarrayType::uint8_array
    };
    if !found {
        return Ok(None);
    }
    // SAFETY: `memory` was written by the successful call above.
    unsafe { check(sys::napi_is_arraybuffer(env, memory, &mut plain), "bytes")? };
    if !plain {
        return Err(Refusal::Type(format!(
            "{name}: its bytes lie in shared memory, where another thread may change them; \
             give a copy, such as Uint8Array.from({name})"
        )));
    }
    if length == 0 || data.is_null() {
        // SAFETY: as promised by the caller; `value` is a typed array.
        return unsafe { check_memory(env, value, name) }.map(|()| Some(Vec::new()));
    }
    // SAFETY: `data` and `length` describe the array's own memory, which is not shared with
    // other threads, and no JavaScript runs until the copy is made.
    Ok(Some(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) }.to_vec()))
}

/// A typed array without bytes: is it empty, or did it lose its memory (transferred to another
/// thread, or shrunk)? Node tells both alike, the array's own methods throw in the latter case.
///
/// # Safety
/// As `with_subject`; `value` is a typed array.
#[cold]
unsafe fn check_memory(
    env: sys::napi_env,
    value: sys::napi_value,
    name: &str,
) -> Result<(), Refusal> {
    let (mut at, mut zero, mut element) = (null_mut(), null_mut(), null_mut());
    // SAFETY: as promised by the caller; the name ends in a NUL, and there is one argument.
    let status = unsafe {
        check(sys::napi_create_uint32(env, 0, &mut zero), "a number")?;
        check(sys::napi_get_named_property(env, value, c"at".as_ptr(), &mut at), "a key")?;
        sys::napi_call_function(env, value, at, 1, &zero, &mut element)
    };
    if status != sys::Status::napi_pending_exception {
        return check(status, "a key");
    }
    // SAFETY: as promised by the caller. What was thrown is put in clearer words below.
    unsafe { sys::napi_get_and_clear_last_exception(env, &mut element) };
    Err(Refusal::Type(format!(
        "{name}: the bytes of this Uint8Array are gone (its buffer was transferred or has shrunk); \
         give one that still has them"
    )))
}

/// The attributes of a plain object: its own enumerable fields.
///
/// # Safety
/// As `with_subject`.
unsafe fn attributes(env: sys::napi_env, value: sys::napi_value) -> Result<Attributes, Refusal> {
    let (mut names, mut count) = (null_mut(), 0);
    // SAFETY: as promised by the caller; outputs are locals. A getter of the object may run, and throw: then Node says
    // so, and what was thrown goes on.
    unsafe {
        if let Some(kind) = not_plain(env, value)? {
            return Err(Refusal::Type(format!("key: must be {WANTED}, not {kind}; {REMEDY}")));
        }
        let filter = sys::KeyFilter::enumerable | sys::KeyFilter::skip_symbols;
        let (mode, form) =
            (sys::KeyCollectionMode::own_only, sys::KeyConversion::numbers_to_strings);
        check(
            sys::napi_get_all_property_names(env, value, mode, filter, form, &mut names),
            "an object's names",
        )?;
        check(sys::napi_get_array_length(env, names, &mut count), "an array")?;
        if count == 0 {
            let kind = "an object without attributes";
            return Err(Refusal::Type(format!("key: must be {WANTED}, not {kind}; {REMEDY}")));
        }
        let mut attributes = Vec::with_capacity(count as usize);
        for index in 0..count {
            let (mut name, mut attribute) = (null_mut(), null_mut());
            check(sys::napi_get_element(env, names, index, &mut name), "an element")?;
            check(sys::napi_get_property(env, value, name, &mut attribute), "an attribute")?;
            let name = value_of(env, name, "key", REMEDY)?;
            let name = String::from_utf8_lossy(&name).into_owned();
            let attribute = value_of(env, attribute, &format!("key.{name}"), LEAVE_OUT)?;
            attributes.push((name, attribute));
        }
        Ok(Attributes(attributes))
    }
}

/// What a value is when it is no plain object, one made by `{ … }`, `JSON.parse` or `Object.create(null)`.
///
/// # Safety
/// As `with_subject`.
unsafe fn not_plain(
    env: sys::napi_env,
    value: sys::napi_value,
) -> Result<Option<&'static str>, Refusal> {
    let mut kind = 0;
    // SAFETY: as promised by the caller; outputs are locals.
    unsafe {
        check(sys::napi_typeof(env, value, &mut kind), "a value")?;
        if kind != sys::ValueType::napi_object {
            return Ok(Some(kind_of(kind)));
        }
        let mut is_array = false;
        check(sys::napi_is_array(env, value, &mut is_array), "a value")?;
        if is_array {
            return Ok(Some("an array"));
        }
        // The prototype of plain objects has none itself; so in other realms, too.
        let mut object = value;
        for _ in 0..2 {
            let mut above = null_mut();
            check(sys::napi_get_prototype(env, object, &mut above), "a prototype")?;
            check(sys::napi_typeof(env, above, &mut kind), "a value")?;
            if kind != sys::ValueType::napi_object && kind != sys::ValueType::napi_function {
                return Ok(None);
            }
            object = above;
        }
    }
    Ok(Some("an object of a class"))
}
