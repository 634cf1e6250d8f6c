//! `enter` and `leave`: what an adapter of a web framework asks for each request, in one call each.
//!
//! `enter` admits, writes the decision's numbers as `acquire` does, and answers with the header fields. What is to be given
//! back later stays here, under a number that `lib/passage.js` chooses: an object of the generator costs more than the
//! decision. Where nothing is, the answer says so: to listen for the end of a response costs more than all else. Attributes
//! come as arguments, name and value by turns: reading an object takes several times as long.

use std::cell::RefCell;
use std::ptr::null_mut;

use napi::sys;
use napi_derive::napi;
use tidegate::{Admission, Decision, FieldValue, HeaderStyle, Request};

use super::run;
use crate::argument::{check, units};
use crate::refusal::Refusal;
use crate::subject::{Asked, ask, with_pairs};

/// `(number, style, cost, key or address)`, or `(number, style, cost, name, value, …)`.
const BEFORE: usize = 3;
const MOST_ATTRIBUTES: usize = 8;
const PAIRED: usize = 2 * MOST_ATTRIBUTES;
const MOST: usize = BEFORE + PAIRED;

/// Added to a style: the subject is the address of a request that has no other attribute, the commonest of all.
const BY_ADDRESS: u64 = 1 << 2;

/// As `lib/passage.js` numbers them; 0 are no headers.
const STYLES: [Option<HeaderStyle>; 4] =
    [None, Some(HeaderStyle::Legacy), Some(HeaderStyle::Draft), Some(HeaderStyle::Both)];

/// Requests under way, by number.
#[derive(Default)]
pub(super) struct Passages(RefCell<Vec<Option<Box<Admission>>>>);

impl Passages {
    fn keep(&self, number: usize, admission: Box<Admission>) -> Result<(), Refusal> {
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

    fn take(&self, number: usize) -> Option<Box<Admission>> {
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

/// Comes first in an answer when `leave` is to be called at the end.
const OWES: char = '!';

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
        let (decision, owed) = if style & BY_ADDRESS != 0 {
            call.with_subject_at(BEFORE, |asked| match asked {
                Asked::Key(ip) => limiter.admit_owing(Request::new().with("ip", ip), cost),
                Asked::Request(request) => limiter.admit_owing(&*request, cost),
            })?
        } else if call.given <= BEFORE + 1 {
            call.with_subject_at(BEFORE, |asked| ask!(asked, it => limiter.admit_owing(it, cost)))?
        } else {
            let pairs = &call.values[BEFORE..call.given.min(MOST)];
            // SAFETY: they belong to the running call.
            unsafe { with_pairs::<PAIRED, _>(env, pairs, |it| limiter.admit_owing(it, cost)) }?
        }?;
        let mut lines = String::with_capacity(96);
        // Before anybody is told: whoever is may make calls, with the numbers that follow.
        if let Some(admission) = owed {
            lines.push(OWES);
            hot.passages.keep(number as usize, admission)?;
        }
        call.tell(hot);
        hot.write(&decision);
        if let Some(style) = STYLES.get((style & !BY_ADDRESS) as usize).copied().flatten() {
            write_fields(&decision, style, &mut lines)?;
        }
        text(env, &lines)
    })
}

fn write_fields(
    decision: &Decision,
    style: HeaderStyle,
    lines: &mut String,
) -> Result<(), Refusal> {
    let mut unknown = None;
    decision.each_header(style, &mut |name, value| match NAMES
        .iter()
        .zip('a'..)
        .find(|(known, _)| **known == name)
    {
        Some((_, letter)) => {
            lines.push(letter);
            match value {
                FieldValue::Number(number) => lines.push_str(itoa::Buffer::new().format(number)),
                FieldValue::Text(text) => lines.push_str(text),
            }
            lines.push('\n');
        }
        None => unknown = Some(name),
    });
    let refusal = |name| Refusal::Internal(format!("`{name}` is not in NAMES"));
    unknown.map_or(Ok(()), |name| Err(refusal(name)))
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
