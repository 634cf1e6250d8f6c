//! `tryAcquire`, `acquire`, `acquireMany` and `recordLatency` as plain N-API callbacks.
//!
//! A class method of the bindings generator costs several times the decision itself, a plain
//! callback a small part of it; so these four are functions of their own for each limiter, and
//! `lib/limiter.js` calls them.
//!
//! # Why this is sound
//!
//! - **The context outlives its functions.** Each function's data pointer is one strong count of
//!   an `Rc<Hot>`. The count is given back by the finalizer of that very function object, so
//!   after the last moment at which it can be called; a function that is running is on the
//!   stack and so not collected. When an environment ends, Node runs the finalizers after the
//!   last JavaScript.
//! - **One thread.** A function belongs to one environment, callbacks and finalizers run on that
//!   environment's thread. `Rc`, `RefCell` and the numbers are touched nowhere else. The limiter
//!   in it is `Send + Sync` anyway.
//! - **The numbers stay where they are.** They lie in an `ArrayBuffer` of `numbers()`, whose
//!   memory V8 does not move and frees only with the buffer; a strong reference keeps the buffer
//!   until the last function is gone. Only a detached buffer could lose its memory: it is made
//!   here for `lib/limiter.js`, which never hands it to anyone. (Those of a batch: `batch.rs`.)
//! - **Keys are copied** before they are used (see `with_key`), and no JavaScript runs meanwhile.
//! - **No panic crosses**: each body runs in `catch_unwind`. Every Node call that can fail is
//!   checked; after a failure an exception is thrown and null (undefined) is returned.

mod batch;

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, null_mut};
use std::rc::Rc;

use napi::{Env, sys};
use tidegate::{Decision, Limiter};

use crate::argument::{MAX_SAFE, check, millis, span, units, with_key};
use crate::decision;
use crate::refusal::Refusal;

/// What `acquire` writes: flags, limit, remaining, retry in ms, reset in ms, number of the name.
const NUMBERS: usize = 6;
/// Flags: bit 0 allowed, bits 1–3 the reason, bit 4 limit and bit 5 remaining beyond 2^53 − 1.
const REASON_SHIFT: u32 = 1;
const BIG_LIMIT: u32 = 1 << 4;
const BIG_REMAINING: u32 = 1 << 5;

struct Hot {
    limiter: Limiter,
    /// `NUMBERS` doubles inside the buffer that `buffer` keeps.
    numbers: *mut f64,
    buffer: sys::napi_ref,
    names: RefCell<Names>,
}

/// The limits' names that JavaScript knows, numbered in the order in which it got them.
///
/// The engine keeps one copy of a name for ever, so that a name is known by where it lies. (An
/// equal one elsewhere would only be told twice.)
#[derive(Default)]
struct Names {
    /// The last one that was asked for: mostly it is asked for again.
    last: Option<(&'static str, usize)>,
    numbers: HashMap<*const str, usize>,
}

impl Names {
    /// The number of a name, and whether it is a new one.
    fn number(&mut self, name: &'static str) -> (usize, bool) {
        if let Some((last, number)) = self.last
            && ptr::eq(last, name)
        {
            return (number, false);
        }
        // However many there were before: a limiter may get new names with every update.
        let next = self.numbers.len();
        let number = *self.numbers.entry(ptr::from_ref(name)).or_insert(next);
        self.last = Some((name, number));
        (number, number == next)
    }
}

impl Hot {
    /// Writes a decision; its name is returned when JavaScript does not know it yet.
    fn write(&self, decision: &Decision) -> Option<&'static str> {
        let (numbers, fresh) = self.numbers_of(decision);
        // SAFETY: the buffer holds NUMBERS doubles and lives (see the top of the file).
        unsafe { self.numbers.cast::<[f64; NUMBERS]>().write(numbers) };
        fresh
    }

    /// What JavaScript makes a decision of, and its name when it does not know that yet.
    fn numbers_of(&self, decision: &Decision) -> ([f64; NUMBERS], Option<&'static str>) {
        let (name, is_fresh) = self.names.borrow_mut().number(decision.name());
        let mut flags = u32::from(decision.allowed()) | (decision.reason() as u32) << REASON_SHIFT;
        flags |= if decision.limit() > MAX_SAFE { BIG_LIMIT } else { 0 };
        flags |= if decision.remaining() > MAX_SAFE { BIG_REMAINING } else { 0 };
        let numbers = [
            f64::from(flags),
            decision.limit() as f64,
            decision.remaining() as f64,
            decision::millis(decision.retry_after_ns()),
            decision::millis(decision.reset_after_ns()),
            name as f64,
        ];
        (numbers, is_fresh.then_some(decision.name()))
    }
}

const MOST_ARGUMENTS: usize = 3;

/// The arguments of a running callback.
struct Call {
    env: sys::napi_env,
    /// Missing ones are `undefined`.
    values: [sys::napi_value; MOST_ARGUMENTS],
    given: usize,
}

impl Call {
    /// The cost: 1 when it is left out.
    fn cost(&self) -> Result<u64, Refusal> {
        if self.given < 2 {
            return Ok(1);
        }
        // SAFETY: both belong to the running call.
        unsafe { units(self.env, self.values[1], "cost") }
    }

    fn with_key<R>(&self, use_it: impl FnOnce(&[u8]) -> R) -> Result<R, Refusal> {
        // SAFETY: both belong to the running call.
        unsafe { with_key(self.env, self.values[0], use_it) }
    }
}

extern "C" fn try_acquire(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |hot, call| {
        let cost = call.cost()?;
        let allowed = call.with_key(|key| hot.limiter.try_acquire(key, cost))?;
        let mut result = null_mut();
        // SAFETY: `env` is that of the running call.
        check(unsafe { sys::napi_get_boolean(env, allowed, &mut result) }, "a boolean")?;
        Ok(result)
    })
}

/// Returns `undefined`, or the name of the limit that decided when it is a new one.
extern "C" fn acquire(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |hot, call| {
        let cost = call.cost()?;
        let decision = call.with_key(|key| hot.limiter.acquire(key, cost))??;
        match hot.write(&decision) {
            Some(name) => text(env, name),
            None => Ok(null_mut()),
        }
    })
}

extern "C" fn record_latency(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |hot, call| {
        // SAFETY: both belong to the running call.
        let latency = unsafe { millis(env, call.values[1], "latencyMs") }?;
        call.with_key(|key| hot.limiter.record_latency(key, span(latency)))??;
        Ok(null_mut())
    })
}

/// Gets at the arguments and the context, stops panics, and throws what was refused.
#[inline]
fn run(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    body: impl FnOnce(&Hot, &Call) -> Result<sys::napi_value, Refusal>,
) -> sys::napi_value {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut call = Call { env, values: [null_mut(); MOST_ARGUMENTS], given: MOST_ARGUMENTS };
        let mut data = null_mut();
        // SAFETY: Node calls with its own `env` and `info`; `values` has room for the
        // arguments that are asked for.
        let status = unsafe {
            let values = call.values.as_mut_ptr();
            sys::napi_get_cb_info(env, info, &mut call.given, values, null_mut(), &mut data)
        };
        check(status, "a call")?;
        // SAFETY: `data` is the strong count that `function` gave to this function object, which
        // is being called and so not finalized.
        body(unsafe { &*data.cast::<Hot>() }, &call)
    }));
    let refusal = match outcome {
        Ok(Ok(value)) => return value,
        Ok(Err(refusal)) => refusal,
        Err(payload) => Refusal::panicked(&*payload),
    };
    refusal.throw(Env::from_raw(env));
    null_mut()
}

/// The array that `acquire` writes to; one serves all limiters of an environment, since
/// JavaScript reads it at once.
pub(crate) fn numbers(env: Env) -> Result<sys::napi_value, Refusal> {
    let env = env.raw();
    let (mut data, mut buffer, mut array) = (null_mut(), null_mut(), null_mut());
    let kind = sys::TypedarrayType::float64_array;
    // SAFETY: `env` is that of the running call; the outputs are locals; the array covers the
    // buffer exactly.
    unsafe {
        let bytes = NUMBERS * size_of::<f64>();
        check(sys::napi_create_arraybuffer(env, bytes, &mut data, &mut buffer), "memory")?;
        check(sys::napi_create_typedarray(env, kind, NUMBERS, buffer, 0, &mut array), "an array")?;
    }
    Ok(array)
}

/// Makes `{ tryAcquire, acquire, acquireMany, recordLatency }` for one limiter.
///
/// # Safety
/// `array` is a value of the running call.
pub(crate) unsafe fn functions(
    env: Env,
    limiter: &Limiter,
    array: sys::napi_value,
) -> Result<sys::napi_value, Refusal> {
    let env = env.raw();
    let (mut object, mut buffer) = (null_mut(), null_mut());
    let (mut kind, mut length, mut data) = (0, 0, null_mut());
    // SAFETY: `env` is that of the running call, `array` one of its values.
    unsafe {
        let status = sys::napi_get_typedarray_info(
            env,
            array,
            &mut kind,
            &mut length,
            &mut data,
            null_mut(),
            null_mut(),
        );
        check(status, "the array")?;
        if kind != sys::TypedarrayType::float64_array || length < NUMBERS {
            return Err(Refusal::Type(format!("numbers: give a Float64Array of {NUMBERS}")));
        }
        check(sys::napi_create_object(env, &mut object), "an object")?;
        // A reference to the array keeps its buffer.
        check(sys::napi_create_reference(env, array, 1, &mut buffer), "a reference")?;
    }
    let hot = Rc::new(Hot {
        limiter: limiter.clone(),
        numbers: data.cast(),
        buffer,
        names: RefCell::default(),
    });
    let made = [
        (c"tryAcquire", try_acquire as Callback),
        (c"acquire", acquire),
        (c"acquireMany", batch::acquire_many),
        (c"recordLatency", record_latency),
    ]
    .into_iter()
    .try_for_each(|(name, callback)| {
        let value = function(env, name, callback, &hot)?;
        // SAFETY: all values belong to the running call, `name` ends in a NUL.
        check(unsafe { sys::napi_set_named_property(env, object, name.as_ptr(), value) }, "a name")
    });
    give_back(env, hot);
    made.map(|()| object)
}

type Callback = extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

/// One function, with a strong count of the context that its finalizer gives back.
fn function(
    env: sys::napi_env,
    name: &CStr,
    callback: Callback,
    hot: &Rc<Hot>,
) -> Result<sys::napi_value, Refusal> {
    let data = Rc::into_raw(Rc::clone(hot)).cast_mut().cast::<c_void>();
    let length = name.count_bytes() as isize;
    let mut value = null_mut();
    // SAFETY: `env` is that of the running call, the name lives as long as the program, and
    // `data` is a strong count that nobody else gives back.
    unsafe {
        let mut status =
            sys::napi_create_function(env, name.as_ptr(), length, Some(callback), data, &mut value);
        if status == sys::Status::napi_ok {
            let hint = null_mut();
            status = sys::napi_add_finalizer(env, value, data, Some(finalize), hint, null_mut());
        }
        if status != sys::Status::napi_ok {
            // Nobody got hold of the function, and no finalizer will come.
            finalize(env, data, null_mut());
        }
        check(status, "a function")?;
    }
    Ok(value)
}

/// # Safety
/// `data` is a strong count from `function`, given back this once.
unsafe extern "C" fn finalize(env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: as promised by the caller.
    give_back(env, unsafe { Rc::from_raw(data.cast::<Hot>()) });
}

/// The last one to give back lets the buffer go, too.
fn give_back(env: sys::napi_env, hot: Rc<Hot>) {
    // A panic while the limiter is dropped must not cross; there is nobody to tell.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        if let Some(hot) = Rc::into_inner(hot) {
            // SAFETY: the reference was made in this environment and is deleted this once.
            unsafe { sys::napi_delete_reference(env, hot.buffer) };
        }
    }));
}

fn text(env: sys::napi_env, text: &str) -> Result<sys::napi_value, Refusal> {
    let mut value = null_mut();
    // SAFETY: pointer and length are those of `text`, `env` is that of the running call.
    let status = unsafe {
        sys::napi_create_string_utf8(env, text.as_ptr().cast(), text.len() as isize, &mut value)
    };
    check(status, "a string")?;
    Ok(value)
}
