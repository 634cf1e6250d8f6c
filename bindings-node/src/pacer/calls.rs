//! The way of a call, as plain N-API callbacks: every call begins and finishes, most never wait.
//!
//! A call lies in a place that JavaScript gives it: a small whole number that belongs to an object of
//! `lib/pacer-calls.js`, used again by later calls. So no handle is made for each call, and a call whose object is
//! collected is dropped by that number.
//!
//! # Why this is sound
//!
//! The context outlives its functions and stays on one thread (see `functions.rs`); panics stop here. Arguments are read before the places are
//! borrowed, and nothing that runs while they are is JavaScript: wakers put a number on a list, alerts go to one.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::rc::Rc;

use napi::{Env, sys};
use tidegate::client::{Call, CallOptions, Class, Finish, Pacer, PacerError, ServerLimits, Step};

use super::WORD;
use super::answer::{Pairs, text};
use crate::argument::{check, millis, small, span, units};
use crate::functions::{self, Callback, Context};
use crate::refusal::Refusal;

/// A pacer, and its calls by their places.
pub(super) struct Calls {
    pub(super) pacer: Pacer,
    /// Why the last call was given up, until it is told.
    pub(super) failure: RefCell<Option<PacerError>>,
    places: RefCell<Vec<Option<Call>>>,
}

impl Calls {
    pub(super) fn new(pacer: Pacer) -> Calls {
        Calls { pacer, failure: RefCell::default(), places: RefCell::default() }
    }
}

/// How a call stands. JavaScript sees `undefined`, its number, or -1.
enum Stands {
    /// It may go, or it is over: whichever was asked.
    Done,
    /// It waits; its number.
    Waits(u64),
    /// It is given up.
    Failed(PacerError),
}

/// Arguments: the place and what the call wants to know.
const MOST_ARGUMENTS: usize = 5;

struct Arguments {
    env: sys::napi_env,
    values: [sys::napi_value; MOST_ARGUMENTS],
    given: usize,
}

impl Arguments {
    fn place(&self) -> Result<usize, Refusal> {
        let mut place = 0;
        // SAFETY: both belong to the running call.
        let status = unsafe { sys::napi_get_value_uint32(self.env, self.values[0], &mut place) };
        check(status, "a place")?;
        Ok(place as usize)
    }

    /// An argument, unless it is left out or `undefined`.
    fn value(&self, index: usize) -> Result<Option<sys::napi_value>, Refusal> {
        if self.given <= index {
            return Ok(None);
        }
        let mut kind = 0;
        // SAFETY: both belong to the running call.
        check(unsafe { sys::napi_typeof(self.env, self.values[index], &mut kind) }, "a value")?;
        Ok((kind != sys::ValueType::napi_undefined).then_some(self.values[index]))
    }

    /// What `read` makes of an argument.
    fn read<T>(
        &self,
        index: usize,
        read: impl FnOnce(sys::napi_env, sys::napi_value) -> Result<T, Refusal>,
    ) -> Result<Option<T>, Refusal> {
        self.value(index)?.map(|value| read(self.env, value)).transpose()
    }
}

/// `(place)`: begins a call.
extern "C" fn begin(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |calls, arguments| begin_in(calls, arguments.place()?, CallOptions::default()))
}

/// `(place, cost, maxRetries, deadlineMs, label)`: the same with options.
extern "C" fn begin_with(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |calls, arguments| {
        // SAFETY: all values are those of the running call.
        let cost = arguments.read(1, |env, value| unsafe { units(env, value, "cost") })?;
        // SAFETY: the same.
        let retries =
            arguments.read(2, |env, value| unsafe { small(env, value, "maxRetries", 0..=WORD) })?;
        // SAFETY: the same.
        let span_ns =
            arguments.read(3, |env, value| unsafe { millis(env, value, "deadlineMs") })?;
        // SAFETY: the same.
        let label = arguments.read(4, |env, value| unsafe { text(env, value) })?;
        let label = String::from_utf8(label.unwrap_or_default()).unwrap_or_default();
        let options = CallOptions {
            label: &label,
            cost: cost.unwrap_or(1),
            max_retries: retries,
            deadline: span_ns.map(span),
        };
        begin_in(calls, arguments.place()?, options)
    })
}

fn begin_in(calls: &Calls, place: usize, options: CallOptions<'_>) -> Result<Stands, Refusal> {
    let mut call = calls.pacer.begin(options);
    let stands =
        if call.is_settled() { stands(call.check()) } else { Stands::Waits(call.number()) };
    let mut places = calls.places.borrow_mut();
    if place >= places.len() {
        places.resize_with(place + 1, || None);
    }
    if !matches!(stands, Stands::Failed(_)) {
        places[place] = Some(call);
    }
    Ok(stands)
}

/// `(place)`: may it go now?
extern "C" fn look(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |calls, arguments| {
        with_call(calls, arguments.place()?, |call| match call.check() {
            Step::Wait(_) => Stands::Waits(call.number()),
            step => stands(step),
        })
    })
}

/// `(place, status, headers, class)`: the answer to its attempt; only the place: it has none, and passes.
extern "C" fn finish(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |calls, arguments| {
        let place = arguments.place()?;
        if arguments.given == 1 {
            return with_call(calls, place, |call| {
                finished(call, |call| call.finish(0, &ServerLimits::NONE))
            });
        }
        let mut status = 0;
        // SAFETY: both belong to the running call.
        let read =
            unsafe { sys::napi_get_value_uint32(arguments.env, arguments.values[1], &mut status) };
        check(read, "a status")?;
        // SAFETY: all values are those of the running call.
        let headers = arguments.read(2, |env, value| unsafe { Pairs::read(env, value) })?;
        // SAFETY: the same.
        let class = arguments.read(3, |env, value| unsafe { text(env, value) })?;
        let class = match class {
            Some(name) => Some(Class::from_name(&String::from_utf8_lossy(&name))?),
            None => None,
        };
        let limits = headers.map_or(ServerLimits::NONE, |headers| calls.pacer.read(&headers));
        let status = u16::try_from(status).unwrap_or(0);
        with_call(calls, place, |call| {
            finished(call, |call| match class {
                Some(class) => call.finish_as(class, status, &limits),
                None => call.finish(status, &limits),
            })
        })
    })
}

/// `(place)`: the call is given up by its host.
extern "C" fn give_up(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |calls, arguments| {
        let place = arguments.place()?;
        let call = calls.places.borrow_mut().get_mut(place).and_then(Option::take);
        drop(call);
        Ok(Stands::Done)
    })
}

fn stands(step: Step) -> Stands {
    match step {
        Step::Go => Stands::Done,
        Step::Fail(error) => Stands::Failed(error),
        // Callers that ask a call that waits know its number.
        Step::Wait(_) => Stands::Waits(0),
    }
}

fn finished(call: &mut Call, finish: impl FnOnce(&mut Call) -> Finish) -> Stands {
    match finish(call) {
        Finish::Done => Stands::Done,
        Finish::Retry { .. } => Stands::Waits(call.number()),
        Finish::Raise(error) => Stands::Failed(error),
    }
}

fn with_call(
    calls: &Calls,
    place: usize,
    use_it: impl FnOnce(&mut Call) -> Stands,
) -> Result<Stands, Refusal> {
    let mut places = calls.places.borrow_mut();
    match places.get_mut(place) {
        Some(Some(call)) => Ok(use_it(call)),
        _ => Err(Refusal::Internal(format!("no call is in place {place}"))),
    }
}

/// Gets at the arguments and the context, stops panics, and throws what was refused.
#[inline]
fn run(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    body: impl FnOnce(&Calls, &Arguments) -> Result<Stands, Refusal>,
) -> sys::napi_value {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let (values, given) = ([null_mut(); MOST_ARGUMENTS], MOST_ARGUMENTS);
        let mut arguments = Arguments { env, values, given };
        let mut data = null_mut();
        // SAFETY: Node calls with its own `env` and `info`; `values` has room for the arguments that are asked for.
        let status = unsafe {
            let values = arguments.values.as_mut_ptr();
            let this = null_mut();
            sys::napi_get_cb_info(env, info, &mut arguments.given, values, this, &mut data)
        };
        check(status, "a call")?;
        // SAFETY: `data` is the strong count that `function` gave to this function object, which is being called and so
        // not finalized.
        let calls = unsafe { &*data.cast::<Calls>() };
        let number = match body(calls, &arguments)? {
            Stands::Done => return Ok(null_mut()),
            // Numbers of calls stay below 2^53 for longer than anybody calls.
            Stands::Waits(number) => number as f64,
            Stands::Failed(error) => {
                *calls.failure.borrow_mut() = Some(error);
                -1.0
            }
        };
        let mut value = null_mut();
        // SAFETY: `env` is that of the running call.
        check(unsafe { sys::napi_create_double(env, number, &mut value) }, "a number")?;
        Ok(value)
    }));
    let refusal = match outcome {
        Ok(Ok(value)) => return value,
        Ok(Err(refusal)) => refusal,
        Err(payload) => Refusal::panicked(&*payload),
    };
    refusal.throw(Env::from_raw(env));
    null_mut()
}

/// Makes `{ begin, beginWith, check, finish, drop }` for one pacer.
pub(super) fn functions(env: Env, calls: &Rc<Calls>) -> Result<sys::napi_value, Refusal> {
    let env = env.raw();
    let mut object = null_mut();
    // SAFETY: `env` is that of the running call.
    check(unsafe { sys::napi_create_object(env, &mut object) }, "an object")?;
    let all = [
        (c"begin", begin as Callback),
        (c"beginWith", begin_with),
        (c"check", look),
        (c"finish", finish),
        (c"drop", give_up),
    ];
    functions::add(env, object, &all, calls)?;
    Ok(object)
}

impl Context for Calls {
    fn end(self, _env: sys::napi_env) {}
}
