//! Names of limits as C reads them: with a NUL byte behind, and alive for ever.
//!
//! The engine's names are interned, so that a name is known by its address: one load finds its
//! C form again. (A hash of the text would cost more than the whole of a denial.)

use std::collections::HashMap;
use std::ffi::{CString, c_char};
use std::ptr::null_mut;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::error::c_text;

struct Name {
    /// The engine's form, compared by address and length.
    text: &'static str,
    c: CString,
}

const SLOTS: usize = 512;
/// Slots that a name may be in, beginning with its own.
const PROBES: usize = 8;

/// Each slot is NULL until it holds a name, and never changes afterwards.
static TABLE: [AtomicPtr<Name>; SLOTS] = [const { AtomicPtr::new(null_mut()) }; SLOTS];
/// Guards changes of the table, and keeps the names that found no slot.
static MORE: Mutex<Option<HashMap<(usize, usize), &'static Name>>> = Mutex::new(None);

/// The C form of one of the engine's names; never NULL, valid for ever.
#[inline]
pub(crate) fn c_name(name: &'static str) -> *const c_char {
    if name.is_empty() {
        return c"".as_ptr();
    }
    match find(name) {
        Some(known) => known.c.as_ptr(),
        None => add(name).c.as_ptr(),
    }
}

fn slots(name: &'static str) -> impl Iterator<Item = &'static AtomicPtr<Name>> {
    // Names are small allocations, 16 bytes apart at least; Fibonacci hashing spreads them.
    let spread = (name.as_ptr().addr() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    let first = spread as usize % SLOTS;
    (first..first + PROBES).map(|slot| &TABLE[slot % SLOTS])
}

fn load(slot: &AtomicPtr<Name>) -> Option<&'static Name> {
    // Acquire pairs with the Release of `add`: who sees the pointer sees the name.
    // SAFETY: a slot holds NULL or a leaked name.
    unsafe { slot.load(Ordering::Acquire).as_ref() }
}

fn find(name: &'static str) -> Option<&'static Name> {
    slots(name).map_while(load).find(|known| std::ptr::eq(known.text, name))
}

#[cold]
fn add(name: &'static str) -> &'static Name {
    let mut more = MORE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(known) = find(name) {
        return known;
    }
    let new = || &*Box::leak(Box::new(Name { text: name, c: c_text(name) }));
    match slots(name).find(|slot| load(slot).is_none()) {
        Some(slot) => {
            let new = new();
            // Release publishes the name; see `load`.
            slot.store(std::ptr::from_ref(new).cast_mut(), Ordering::Release);
            new
        }
        None => {
            let more = more.get_or_insert_default();
            more.entry((name.as_ptr().addr(), name.len())).or_insert_with(new)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    fn read(name: &'static str) -> &'static str {
        // SAFETY: what `c_name` returns is valid for ever.
        unsafe { CStr::from_ptr(c_name(name)) }.to_str().unwrap()
    }

    #[test]
    fn names_keep_their_text_and_their_address() {
        // More than the table holds, so that some find no slot.
        let names: Vec<&'static str> =
            (0..2 * SLOTS).map(|i| &*String::leak(format!("limit {i}"))).collect();
        let first: Vec<_> = names.iter().map(|&name| c_name(name)).collect();
        for (&name, &address) in names.iter().zip(&first) {
            assert_eq!(read(name), name);
            assert_eq!(c_name(name), address, "{name}");
        }
    }

    #[test]
    fn a_part_of_a_name_is_another_name() {
        let whole: &'static str = "requests a minute";
        assert_eq!(read(whole), "requests a minute");
        assert_eq!(read(&whole[..8]), "requests");
        assert_eq!(read(""), "");
        assert_eq!(read("up to\0here"), "up to");
    }
}
