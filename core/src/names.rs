//! Names of limits, kept for the life of the process.
//!
//! A decision carries its limit's name without a copy and outlives the policy that it came from.
//! Each distinct name is kept once; names come from policies, not from requests.

use std::collections::HashMap;
use std::ops::Deref;

use once_cell::sync::Lazy;
use parking_lot::Mutex;

static NAMES: Lazy<Mutex<HashMap<&'static str, Name>>> = Lazy::new(Mutex::default);

/// A name that is kept, as one word: so it travels in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name(&'static &'static str);

impl Name {
    pub(crate) const EMPTY: Name = Name(&"");

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
    let kept: &'static str = Box::leak(name.to_owned().into_boxed_str());
    let name = Name(Box::leak(Box::new(kept)));
    names.insert(kept, name);
    name
}
