//! `enter`, `enterPairs` and `leave`: what an adapter of a web framework asks for each request, in one call each.
//!
//! `enter` admits, and writes the decision's numbers as `acquire` does, with the numbers of header fields behind them; fields
//! that are no numbers it answers with. What is to be given back later stays here, under a number: an object of the generator
//! costs more than the decision. Where nothing is, there is no number: to listen for the end of a response costs more than all
//! else. Attributes come as arguments, name and value by turns: reading an object takes several times as long.

use std::cell::RefCell;
use std::ptr::null_mut;

use napi::sys;
use napi_derive::napi;
use tidegate::{Admission, Decision, FieldValue, HeaderStyle, Request};

use super::{Call, Hot, run};
use crate::argument::{MAX_SAFE, check, units};
use crate::refusal::Refusal;
use crate::subject::{Asked, ask, with_pairs};

const MOST_ATTRIBUTES: usize = 8;
const PAIRED: usize = 2 * MOST_ATTRIBUTES;
/// The style and the cost.
const BEFORE: usize = 2;

/// Added to a style: the subject is the address of a request that has no other attribute, the commonest of all.
const BY_ADDRESS: u64 = 1 << 2;

/// As `lib/passage.js` numbers them; 0 are no headers.
const STYLES: [Option<HeaderStyle>; 4] =
    [None, Some(HeaderStyle::Legacy), Some(HeaderStyle::Draft), Some(HeaderStyle::Both)];

/// What is written behind the numbers of a decision: flags, the numbers of the first fields of `NAMES`, and the number of
/// the passage.
pub(super) const FIELDS: usize = 2 + AS_NUMBERS;
/// At most so many fields are told as numbers: `X-RateLimit-Limit`, `-Remaining` and `-Reset`.
const AS_NUMBERS: usize = 3;
/// Flags: bits 0 and 1 how many of them are, bit 2 `leave` is to be called at the end.
const OWES: u32 = 1 << 2;

/// Requests under way, by number.
#[derive(Default)]
pub(super) struct Passages(RefCell<Places>);

#[derive(Default)]
struct Places {
    taken: Vec<Option<Box<Admission>>>,
    free: Vec<usize>,
}

impl Passages {
    fn keep(&self, admission: Box<Admission>) -> usize {
        let mut places = self.0.borrow_mut();
        let number = places.free.pop().unwrap_or(places.taken.len());
        if number == places.taken.len() {
            places.taken.push(None);
        }
        places.taken[number] = Some(admission);
        number
    }

    fn take(&self, number: usize) -> Option<Box<Admission>> {
        let mut places = self.0.borrow_mut();
        let admission = places.taken.get_mut(number)?.take()?;
        places.free.push(number);
        Some(admission)
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

/// `(style, key or address, cost)`: a cost that is left out is 1.
pub(super) extern "C" fn enter(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    run::<3>(env, info, |hot, call| {
        // SAFETY: all of them belong to the running call.
        let style = unsafe { units(env, call.values[0], "style") }?;
        let cost = match call.given {
            0..=2 => 1,
            // SAFETY: the same.
            _ => unsafe { units(env, call.values[2], "cost") }?,
        };
        let limiter = &hot.limiter;
        let (decision, owed) = call.with_subject_at(1, |asked| match asked {
            Asked::Key(ip) if style & BY_ADDRESS != 0 => {
                limiter.admit_owing(Request::new().with("ip", ip), cost)
            }
            asked => ask!(asked, it => limiter.admit_owing(it, cost)),
        })??;
        answer(hot, call, style, &decision, owed)
    })
}

/// `(style, cost, name, value, …)`
pub(super) extern "C" fn enter_pairs(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    run::<{ BEFORE + PAIRED }>(env, info, |hot, call| {
        // SAFETY: all of them belong to the running call.
        let (style, cost) =
            unsafe { (units(env, call.values[0], "style")?, units(env, call.values[1], "cost")?) };
        let pairs = &call.values[BEFORE..call.given.clamp(BEFORE, BEFORE + PAIRED)];
        // SAFETY: they belong to the running call.
        let admitted =
            unsafe { with_pairs::<PAIRED, _>(env, pairs, |it| hot.limiter.admit_owing(it, cost)) }?;
        let (decision, owed) = admitted?;
        answer(hot, call, style, &decision, owed)
    })
}

/// Writes the numbers, and answers with a line for each other field: the letter of its name, and the value. Undefined: there
/// is none.
#[inline]
fn answer<const N: usize>(
    hot: &Hot,
    call: &Call<N>,
    style: u64,
    decision: &Decision,
    owed: Option<Box<Admission>>,
) -> Result<sys::napi_value, Refusal> {
    let mut fields = Fields::default();
    if let Some(style) = STYLES.get((style & !BY_ADDRESS) as usize).copied().flatten() {
        fields.read(decision, style)?;
    }
    let mut flags = fields.known as u32;
    let mut number = 0;
    if let Some(admission) = owed {
        flags |= OWES;
        number = hot.passages.keep(admission);
    }
    // First: whoever is told may make calls that write numbers, too.
    call.tell(hot);
    hot.write(decision);
    let [limit, remaining, reset] = fields.numbers.map(|number| number as f64);
    hot.write_fields([f64::from(flags), limit, remaining, reset, number as f64]);
    if fields.lines.is_empty() { Ok(null_mut()) } else { text(call.env, &fields.lines) }
}

#[derive(Default)]
struct Fields {
    numbers: [u64; AS_NUMBERS],
    /// How many of them were told so far.
    known: usize,
    lines: String,
}

impl Fields {
    fn read(&mut self, decision: &Decision, style: HeaderStyle) -> Result<(), Refusal> {
        let mut unknown = None;
        decision.each_header(style, &mut |name, value| {
            if !self.add(name, &value) {
                unknown = Some(name);
            }
        });
        let refusal = |name| Refusal::Internal(format!("`{name}` is not in NAMES"));
        unknown.map_or(Ok(()), |name| Err(refusal(name)))
    }

    /// False for a field that `NAMES` does not have.
    fn add(&mut self, name: &str, value: &FieldValue<'_>) -> bool {
        // One that JavaScript would round is a text, and so are those after it.
        if let FieldValue::Number(number) = *value
            && self.known < AS_NUMBERS
            && number <= MAX_SAFE
            && NAMES[self.known] == name
        {
            self.numbers[self.known] = number;
            self.known += 1;
            return true;
        }
        let Some(at) = NAMES.iter().position(|known| *known == name) else { return false };
        match value {
            FieldValue::Number(number) => {
                add_line(&mut self.lines, at, itoa::Buffer::new().format(*number));
            }
            FieldValue::Text(text) => add_line(&mut self.lines, at, text),
        }
        true
    }
}

fn add_line(lines: &mut String, at: usize, value: &str) {
    lines.push(char::from(b'a' + at as u8));
    lines.push_str(value);
    lines.push('\n');
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
