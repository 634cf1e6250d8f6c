//! `tryAcquire`, `acquire`, `acquireMany`, `recordLatency`, `enter`, `enterPairs` and `leave` as plain N-API callbacks.
//!
//! A class method of the bindings generator costs several times the decision itself, a plain
//! callback a small part of it; so these are functions of their own for each limiter, and
//! `lib/limiter.js` calls them.
//!
//! # Why this is sound
//!
//! - **The context outlives its functions**, an `Rc<Hot>`, and stays on one thread: see `functions.rs`. The origins and
//!   the numbers are touched nowhere else. The limiter in it is `Send + Sync` anyway.
//! - **The numbers stay where they are.** They lie in an `ArrayBuffer` of `numbers()`, whose
//!   memory V8 does not move and frees only with the buffer; a strong reference keeps the buffer
//!   until the last function is gone. Only a detached buffer could lose its memory: it is made
//!   here for `lib/limiter.js`, which never hands it to anyone. (Those of a batch: `batch.rs`.)
//! - **Keys and requests are copied** before they are used (see `with_subject`). A getter of a request may run then, and
//!   make any call; so may whoever is told of an alert, after the engine's answer and before the numbers are written.
//!   Nothing is borrowed at either time.
//! - **No panic crosses**: each body runs in `catch_unwind`. Every Node call that can fail is
//!   checked; after a failure an exception is thrown and null (undefined) is returned.

mod batch;
mod passage;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, null_mut};
use std::rc::Rc;
use std::sync::Arc;

use napi::{Env, sys};
use tidegate::{Decision, Limiter};

use crate::alerts::Told;
use crate::argument::{MAX_SAFE, check, millis, span, units};
use crate::decision;
use crate::functions::{self, Callback, Context};
use crate::origins::Origins;
use crate::refusal::Refusal;
use crate::subject::{Asked, ask, with_subject};

/// What `acquire` writes: flags, limit, remaining, retry in ms, reset in ms, number of the origin, time in ms, low bits of
/// retry, reset and time in ns, burst, low bits of limit, remaining and burst.
///
/// A double holds 53 bits. With the lowest 16 bits of the number that it was made of, it is that number again
/// (`exactly` in `lib/decision.js`).
const NUMBERS: usize = 10;
/// With what `enter` writes behind them.
const ROOM: usize = NUMBERS + passage::FIELDS;
/// Flags: bit 0 allowed, bits 1–3 the reason, bit 4 limit and bit 5 remaining beyond 2^53 − 1, bit 6 there is a burst.
const REASON_SHIFT: u32 = 1;
const BIG_LIMIT: u32 = 1 << 4;
const BIG_REMAINING: u32 = 1 << 5;
const HAS_BURST: u32 = 1 << 6;

struct Hot {
    limiter: Limiter,
    /// `ROOM` doubles inside the buffer that `buffer` keeps.
    numbers: *mut f64,
    buffer: sys::napi_ref,
    origins: Rc<Origins>,
    told: Arc<Told>,
    /// What tells the alerts: a function of `lib/limiter.js` that is called as a method of the limiter.
    tell: sys::napi_ref,
    passages: passage::Passages,
}

impl Hot {
    fn write(&self, decision: &Decision) {
        // SAFETY: the buffer holds ROOM doubles and lives (see the top of the file).
        unsafe { self.numbers.cast::<[f64; NUMBERS]>().write(self.numbers_of(decision)) };
    }

    /// What `enter` tells besides, behind a decision.
    fn write_fields(&self, fields: [f64; passage::FIELDS]) {
        // SAFETY: the buffer holds ROOM doubles and lives (see the top of the file).
        unsafe { self.numbers.add(NUMBERS).cast::<[f64; passage::FIELDS]>().write(fields) };
    }

    /// What JavaScript makes a decision of.
    #[inline]
    fn numbers_of(&self, decision: &Decision) -> [f64; NUMBERS] {
        let (limit, remaining) = (decision.limit(), decision.remaining());
        let (retry, reset) = (decision.retry_after_ns(), decision.reset_after_ns());
        let (made_at, burst) = (decision.made_at().as_nanos(), decision.burst_remaining());
        let mut flags = u32::from(decision.allowed()) | (decision.reason() as u32) << REASON_SHIFT;
        flags |= if limit > MAX_SAFE { BIG_LIMIT } else { 0 };
        flags |= if remaining > MAX_SAFE { BIG_REMAINING } else { 0 };
        flags |= if burst.is_some() { HAS_BURST } else { 0 };
        let burst = burst.unwrap_or(0);
        [
            f64::from(flags),
            limit as f64,
            remaining as f64,
            decision::millis(retry),
            decision::millis(reset),
            f64::from(self.origins.number(decision)),
            decision::millis(made_at),
            low_bits(retry, reset, made_at),
            burst as f64,
            low_bits(limit, remaining, burst),
        ]
    }
}

/// The lowest 16 bits of each, as one number.
#[inline]
fn low_bits(first: u64, second: u64, third: u64) -> f64 {
    const LOW: u64 = 0xffff;
    (first & LOW | (second & LOW) << 16 | (third & LOW) << 32) as f64
}

const MOST_ARGUMENTS: usize = 3;

/// The arguments of a running callback.
struct Call<const N: usize> {
    env: sys::napi_env,
    this: sys::napi_value,
    /// Missing ones are `undefined`.
    values: [sys::napi_value; N],
    given: usize,
}

impl<const N: usize> Call<N> {
    /// The cost: 1 when it is left out.
    fn cost(&self) -> Result<u64, Refusal> {
        if self.given < 2 {
            return Ok(1);
        }
        // SAFETY: both belong to the running call.
        unsafe { units(self.env, self.values[1], "cost") }
    }

    #[inline]
    fn with_subject<R>(&self, use_it: impl FnOnce(Asked<'_>) -> R) -> Result<R, Refusal> {
        self.with_subject_at(0, use_it)
    }

    #[inline]
    fn with_subject_at<R>(
        &self,
        place: usize,
        use_it: impl FnOnce(Asked<'_>) -> R,
    ) -> Result<R, Refusal> {
        // SAFETY: both belong to the running call.
        unsafe { with_subject(self.env, self.values[place], use_it) }
    }

    /// Has the alerts told that the engine had for this limiter, if any. JavaScript runs; it may make any call.
    #[inline]
    fn tell(&self, hot: &Hot) {
        if hot.told.any() {
            self.tell_all(hot);
        }
    }

    #[cold]
    fn tell_all(&self, hot: &Hot) {
        let (mut tell, mut result) = (null_mut(), null_mut());
        // SAFETY: the reference and `this` are of the environment of the running call. `tell` lets no error out; an
        // environment that ends throws at the next call of Node.
        unsafe {
            if sys::napi_get_reference_value(self.env, hot.tell, &mut tell) == sys::Status::napi_ok
            {
                sys::napi_call_function(self.env, self.this, tell, 0, ptr::null(), &mut result);
            }
        }
    }
}

extern "C" fn try_acquire(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run::<MOST_ARGUMENTS>(env, info, |hot, call| {
        let cost = call.cost()?;
        let allowed =
            call.with_subject(|asked| ask!(asked, it => hot.limiter.try_acquire(it, cost)))?;
        call.tell(hot);
        let mut result = null_mut();
        // SAFETY: `env` is that of the running call.
        check(unsafe { sys::napi_get_boolean(env, allowed, &mut result) }, "a boolean")?;
        Ok(result)
    })
}

extern "C" fn acquire(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run::<MOST_ARGUMENTS>(env, info, |hot, call| {
        let cost = call.cost()?;
        let decision =
            call.with_subject(|asked| ask!(asked, it => hot.limiter.acquire(it, cost)))??;
        // First: whoever is told may make calls that write numbers, too.
        call.tell(hot);
        hot.write(&decision);
        Ok(null_mut())
    })
}

extern "C" fn record_latency(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run::<MOST_ARGUMENTS>(env, info, |hot, call| {
        // SAFETY: both belong to the running call.
        let latency = unsafe { millis(env, call.values[1], "latencyMs") }?;
        call.with_subject(
            |asked| ask!(asked, it => hot.limiter.record_latency(it, span(latency))),
        )??;
        call.tell(hot);
        Ok(null_mut())
    })
}

/// Gets at the arguments and the context, stops panics, and throws what was refused.
#[inline]
fn run<const N: usize>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    body: impl FnOnce(&Hot, &Call<N>) -> Result<sys::napi_value, Refusal>,
) -> sys::napi_value {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let (values, this) = ([null_mut(); N], null_mut());
        let mut call = Call { env, this, values, given: N };
        let mut data = null_mut();
        // SAFETY: Node calls with its own `env` and `info`; `values` has room for the
        // arguments that are asked for.
        let status = unsafe {
            let values = call.values.as_mut_ptr();
            sys::napi_get_cb_info(env, info, &mut call.given, values, &mut call.this, &mut data)
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

/// The array that `acquire` and `enter` write to; one serves all limiters of an environment, since
/// JavaScript reads it at once.
pub(crate) fn numbers(env: Env) -> Result<sys::napi_value, Refusal> {
    let env = env.raw();
    let (mut data, mut buffer, mut array) = (null_mut(), null_mut(), null_mut());
    let kind = sys::TypedarrayType::float64_array;
    // SAFETY: `env` is that of the running call; the outputs are locals; the array covers the
    // buffer exactly.
    unsafe {
        let bytes = ROOM * size_of::<f64>();
        check(sys::napi_create_arraybuffer(env, bytes, &mut data, &mut buffer), "memory")?;
        check(sys::napi_create_typedarray(env, kind, ROOM, buffer, 0, &mut array), "an array")?;
    }
    Ok(array)
}

/// Makes `{ tryAcquire, acquire, acquireMany, recordLatency, enter, enterPairs, leave }` for one limiter.
///
/// # Safety
/// `array` and `tell` are values of the running call.
pub(crate) unsafe fn functions(
    env: Env,
    limiter: &Limiter,
    told: &Arc<Told>,
    array: sys::napi_value,
    tell: sys::napi_value,
) -> Result<sys::napi_value, Refusal> {
    let env = env.raw();
    let (mut object, mut buffer, mut tell_kept) = (null_mut(), null_mut(), null_mut());
    let (mut kind, mut length, mut data) = (0, 0, null_mut());
    // SAFETY: `env` is that of the running call, `array` and `tell` are values of it.
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
        if kind != sys::TypedarrayType::float64_array || length < ROOM {
            return Err(Refusal::Type(format!("numbers: give a Float64Array of {ROOM}")));
        }
        check(sys::napi_create_object(env, &mut object), "an object")?;
        // A reference to the array keeps its buffer.
        check(sys::napi_create_reference(env, array, 1, &mut buffer), "a reference")?;
        check(sys::napi_create_reference(env, tell, 1, &mut tell_kept), "a reference")?;
    }
    let hot = Rc::new(Hot {
        limiter: limiter.clone(),
        numbers: data.cast(),
        buffer,
        origins: Origins::here(),
        told: Arc::clone(told),
        tell: tell_kept,
        passages: passage::Passages::default(),
    });
    let functions = [
        (c"tryAcquire", try_acquire as Callback),
        (c"acquire", acquire),
        (c"acquireMany", batch::acquire_many),
        (c"recordLatency", record_latency),
        (c"enter", passage::enter),
        (c"enterPairs", passage::enter_pairs),
        (c"leave", passage::leave),
    ];
    let made = functions::add(env, object, &functions, &hot);
    functions::give_back(env, hot);
    made.map(|()| object)
}

impl Context for Hot {
    /// The buffer and the function go, too.
    fn end(self, env: sys::napi_env) {
        // SAFETY: the references were made in this environment and are deleted this once.
        unsafe {
            sys::napi_delete_reference(env, self.buffer);
            sys::napi_delete_reference(env, self.tell);
        }
    }
}
