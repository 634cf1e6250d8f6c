//! Names of limits, kept for the life of the process.
//!
//! A decision carries its limit's name without a copy and outlives the policy that it came from.
//! Each distinct name is kept once; names come from policies, not from requests.

use std::collections::HashMap;
use std::fmt;
use std::ptr::NonNull;

use once_cell::sync::Lazy;
use parking_lot::Mutex;

static NAMES: Lazy<Mutex<HashMap<&'static str, Name>>> = Lazy::new(Mutex::default);

/// A name that is kept, as one pointer, so that it travels in one piece.
///
/// ```text
///   length (a usize) | text | NUL
///                    ^ here: C reads the text where it is
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub(crate) struct Name(NonNull<u8>);

// SAFETY: it points to bytes that nobody writes or frees any more.
unsafe impl Send for Name {}
// SAFETY: as above.
unsafe impl Sync for Name {}

const LENGTH: usize = size_of::<usize>();
/// Length 0, no text, NUL.
static NOTHING: [u8; LENGTH + 1] = [0; LENGTH + 1];

impl Name {
    pub(crate) const EMPTY: Name = {
        // SAFETY: within the array.
        let text = unsafe { (&raw const NOTHING).cast::<u8>().add(LENGTH) };
        Name(NonNull::new(text.cast_mut()).expect("an address inside an array"))
    };

    #[inline]
    pub(crate) fn as_str(self) -> &'static str {
        // SAFETY: the length lies before the text, both are as `intern` (or `NOTHING`) made them, for ever.
        unsafe {
            let text = self.0.as_ptr();
            let length = text.sub(LENGTH).cast::<usize>().read_unaligned();
            str::from_utf8_unchecked(std::slice::from_raw_parts(text, length))
        }
    }

    /// The text; `None` when it is empty.
    pub(crate) fn text(self) -> Option<&'static str> {
        (self != Name::EMPTY).then(|| self.as_str())
    }

    /// The one copy of `name`.
    pub(crate) fn intern(name: &str) -> Name {
        if name.is_empty() {
            return Name::EMPTY;
        }
        let mut names = NAMES.lock();
        if let Some(known) = names.get(name) {
            return *known;
        }
        let mut bytes = Vec::with_capacity(LENGTH + name.len() + 1);
        bytes.extend_from_slice(&name.len().to_ne_bytes());
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        let kept: &'static mut [u8] = Box::leak(bytes.into_boxed_slice());
        // SAFETY: within the box, which is longer.
        let kept = Name(unsafe { NonNull::from(kept).cast::<u8>().add(LENGTH) });
        names.insert(kept.as_str(), kept);
        kept
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[test]
    fn a_name_is_kept_once_and_ends_for_c_too() {
        for text in ["", "requests", "Anfragen je Minute", "заявки"] {
            let name = Name::intern(text);
            assert_eq!(name.as_str(), text);
            assert_eq!(name, Name::intern(text));
            // SAFETY: that a NUL byte is behind it is what is tested.
            let read = unsafe { CStr::from_ptr(name.as_str().as_ptr().cast()) };
            assert_eq!(read.to_str(), Ok(text));
        }
    }
}
