//! Names of limits, kept for the life of the process.
//!
//! A decision carries its limit's name without a copy and outlives the policy that it came from.
//! Each distinct name is kept once; names come from policies, not from requests. Behind each lies a NUL byte, so that C
//! reads it where it is.

use std::collections::HashMap;
use std::ops::Deref;

use once_cell::sync::Lazy;
use parking_lot::Mutex;

static NAMES: Lazy<Mutex<HashMap<&'static str, Name>>> = Lazy::new(Mutex::default);

/// A name that is kept, as one word: so it travels in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name(&'static &'static str);

/// No text, with a NUL byte behind.
const NOTHING: &str = match c"".to_str() {
    Ok(nothing) => nothing,
    Err(_) => "\0",
};

impl Name {
    pub(crate) const EMPTY: Name = Name(&NOTHING);

    #[inline]
    pub(crate) fn as_str(self) -> &'static str {
        self.0
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        self.0
    }
}

/// The one copy of `name`.
pub(crate) fn intern(name: &str) -> Name {
    let mut names = NAMES.lock();
    if let Some(known) = names.get(name) {
        return *known;
    }
    let kept: &'static str = &Box::leak(format!("{name}\0").into_boxed_str())[..name.len()];
    let name = Name(Box::leak(Box::new(kept)));
    names.insert(kept, name);
    name
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[test]
    fn a_name_is_kept_once_and_ends_for_c_too() {
        for text in ["", "requests", "Anfragen je Minute", "заявки"] {
            let name = intern(text);
            assert_eq!(name.as_str(), text);
            assert_eq!(name.as_str().as_ptr(), intern(text).as_str().as_ptr());
            // SAFETY: that a NUL byte is behind it is what is tested.
            let read = unsafe { CStr::from_ptr(name.as_str().as_ptr().cast()) };
            assert_eq!(read.to_str(), Ok(text));
        }
        assert_eq!(Name::EMPTY.as_str(), "");
        // SAFETY: as above.
        assert!(unsafe { CStr::from_ptr(Name::EMPTY.as_str().as_ptr().cast()) }.is_empty());
    }
}
