//! Names of limits, kept for the life of the process.
//!
//! A decision carries its limit's name without a copy and outlives the policy that it came from.
//! Each distinct name is kept once; names come from policies, not from requests.

use std::collections::HashSet;

use once_cell::sync::Lazy;
use parking_lot::Mutex;

static NAMES: Lazy<Mutex<HashSet<&'static str>>> = Lazy::new(Mutex::default);

/// The one copy of `name`.
pub(crate) fn intern(name: &str) -> &'static str {
    let mut names = NAMES.lock();
    if let Some(known) = names.get(name) {
        return known;
    }
    let kept: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(kept);
    kept
}
