//! `enter` and `leave`: what an adapter of a web framework asks for each request, in one call each.
//!
//! `enter` admits, writes the decision's numbers as `acquire` does, and answers with the header fields. What is to be given
//! back later stays here, under a number that `lib/passage.js` chooses: an object of the generator costs more than the
//! decision. Attributes come as arguments, name and value by turns: reading an object takes several times as long.

use std::cell::RefCell;
use std::ptr::null_mut;

use napi::sys;
use napi_derive::napi;
use tidegate::{Admission, HeaderStyle};

use super::run;
use crate::argument::{check, units};
use crate::refusal::Refusal;
use crate::subject::{ask, with_pairs};

/// `(number, style, cost, key)`, or `(number, style, cost, name, value, …)`.
const BEFORE: usize = 3;
const MOST_ATTRIBUTES: usize = 8;
const PAIRED: usize = 2 * MOST_ATTRIBUTES;
const MOST: usize = BEFORE + PAIRED;

/// As `lib/passage.js` numbers them; 0 are no headers.
const STYLES: [Option<HeaderStyle>; 4] =
    [None, Some(HeaderStyle::Legacy), Some(HeaderStyle::Draft), Some(HeaderStyle::Both)];

/// Requests under way, by number.
#[derive(Default)]
pub(super) struct Passages(RefCell<Vec<Option<Admission>>>);

impl Passages {
    fn keep(&self, number: usize, admission: Admission) -> Result<(), Refusal> {
        let mut places = self.0.borrow_mut();
        if number == places.len() {
            places.push(None);
        }
        let Some(place) = places.get_mut(number) else {
            return Err(Refusal::Internal(format!("number: {number} is not the next one")));
        };
        let before = place.replace(admission);
        // One that was never ended ends now; nothing is borrowed then.
        drop(places);
        drop(before);
        Ok(())
    }

    fn take(&self, number: usize) -> Option<Admission> {
        self.0.borrow_mut().get_mut(number)?.take()
    }
}

/// The names of all header fields. Each is told by its place, as a letter: `a` for the first.
const NAMES: [&str; 7] = [
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "X-RateLimit-Burst",
    "RateLimit-Policy",
    "RateLimit",
    "Retry-After",
];

/// Those, for `lib/passage.js`.
#[napi(catch_unwind)]
pub fn header_names() -> Vec<&'static str> {
    NAMES.to_vec()
}

/// A line for each header field: the letter of its name, and the value.
pub(super) extern "C" fn enter(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    run::<MOST>(env, info, |hot, call| {
        // SAFETY: all of them belong to the running call.
        let (number, style, cost) = unsafe {
            let number = units(env, call.values[0], "number")?;
            (number, units(env, call.values[1], "style")?, units(env, call.values[2], "cost")?)
        };
        let limiter = &hot.limiter;
        let admission = if call.given <= BEFORE + 1 {
            call.with_subject_at(BEFORE, |asked| ask!(asked, it => limiter.admit(it, cost)))?
        } else {
            let pairs = &call.values[BEFORE..call.given.min(MOST)];
            // SAFETY: they belong to the running call.
            unsafe { with_pairs::<PAIRED, _>(env, pairs, |it| limiter.admit(it, cost)) }?
        }?;
        let decision = admission.decision();
        // Before anybody is told: whoever is may make calls, with the numbers that follow.
        if decision.allowed() {
            hot.passages.keep(number as usize, admission)?;
        }
        call.tell(hot);
        hot.write(&decision);
        let mut lines = String::with_capacity(96);
        if let Some(style) = STYLES.get(style as usize).copied().flatten() {
            for (name, value) in decision.headers(style) {
                let Some(letter) = NAMES.iter().zip('a'..).find(|(known, _)| **known == name)
                else {
                    return Err(Refusal::Internal(format!("`{name}` is not in NAMES")));
                };
                lines.push(letter.1);
                lines.push_str(&value);
                lines.push('\n');
            }
        }
        text(env, &lines)
    })
}

/// `(number)`: the request is over. One that is over already is none.
pub(super) extern "C" fn leave(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    run::<1>(env, info, |hot, call| {
        // SAFETY: it belongs to the running call.
        let number = unsafe { units(env, call.values[0], "number") }?;
        // Nothing stays borrowed: alerts may make calls.
        if let Some(admission) = hot.passages.take(number as usize) {
            admission.finish()?;
        }
        call.tell(hot);
        Ok(null_mut())
    })
}

fn text(env: sys::napi_env, text: &str) -> Result<sys::napi_value, Refusal> {
    let mut value = null_mut();
    // SAFETY: `env` is that of the running call, and the text is as long as is said.
    let status = unsafe {
        let start = text.as_ptr().cast();
        // Header fields are ASCII, of which a byte is a character.
        sys::napi_create_string_latin1(env, start, text.len() as isize, &mut value)
    };
    check(status, "a text")?;
    Ok(value)
}
