//! A pacer: what it is made of, and what concerns all its calls.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use engine::client::{Pacer, Response};

use crate::attribute::tidegate_attribute;
use crate::client_events::Telling;
use crate::client_headers::{tidegate_header, tidegate_server_limits};
use crate::client_options::{builder, tidegate_pacer_options};
use crate::client_tick::Ticks;
use crate::guard::guard;
use crate::handle::{self, Out, give, lend, take};
use crate::limiter::{lend_limiter, tidegate_limiter};
use crate::status::tidegate_status;

/// Paces calls to somebody else's limited interface: a limiter, a cap on concurrent calls, retries,
/// pauses and a breaker, shared by all calls of the program to that interface.
pub struct tidegate_pacer {
    telling: Arc<Telling>,
    ticks: Ticks,
}

// Its calls are made by many threads.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<tidegate_pacer>();
};

impl tidegate_pacer {
    fn new(engine: Pacer) -> tidegate_pacer {
        tidegate_pacer { telling: Arc::new(Telling::new(engine)), ticks: Ticks::default() }
    }

    pub(crate) fn engine(&self) -> &Pacer {
        self.telling.engine()
    }

    /// Who is told what happens.
    pub(crate) fn telling(&self) -> &Arc<Telling> {
        &self.telling
    }

    pub(crate) fn ticks(&self) -> &Ticks {
        &self.ticks
    }
}

/// Makes a pacer. `policy` is the server's limits, in the forms that tidegate_limiter_new takes; with
/// `policy_len` 0 there is none, and limits are learned from headers. `options` may be NULL: the defaults. It
/// sends nothing, and has no thread: tidegate_pacer_begin says of each call when it may go.
///
///     tidegate_pacer_new("100/minute", 10, NULL, &pacer);
///     tidegate_pacer_begin(pacer, NULL, NULL, NULL, &call);
///     for (;;) {
///         tidegate_call_wait(call, &step);
///         if (step.kind != TIDEGATE_STEP_GO)
///             break;                                      // given up: step.failure says why
///         ...                                             // send the request, get an answer
///         tidegate_pacer_read(pacer, headers, header_count, &limits);
///         tidegate_call_finish(call, status, limits, &step);
///         tidegate_server_limits_free(limits);
///         if (step.kind != TIDEGATE_STEP_WAIT)
///             break;                                      // TIDEGATE_STEP_DONE: use the answer
///     }
///     tidegate_call_free(call);
///
/// Errors: TIDEGATE_ERROR_POLICY with line, column and field; TIDEGATE_ERROR_ARGUMENT, also for a bad
/// option, which the error's text names. The pacer is given back with tidegate_pacer_free.
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_pacer_new(
    policy: *const c_char,
    policy_len: usize,
    options: *const tidegate_pacer_options,
    pacer: *mut *mut tidegate_pacer,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (policy, mut builder, place) = unsafe {
            (handle::policy(policy, policy_len)?, builder(options)?, Out::new(pacer, "pacer")?)
        };
        if !policy.is_empty() {
            builder = builder.policy(policy);
        }
        place.write(give(tidegate_pacer::new(builder.build()?)));
        Ok(())
    })
}

/// Makes a pacer whose attempts ask a limiter, with this key. The limiter is used as it is, and shared
/// with whoever else has it; it may be freed before the pacer. `options` may be NULL: the defaults; its
/// clock must be NULL.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, also for a bad option, which the error's text names.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_pacer_new_over(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    options: *const tidegate_pacer_options,
    pacer: *mut *mut tidegate_pacer,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, key, builder, place) = unsafe {
            (
                lend_limiter(limiter)?,
                handle::key(key, key_len)?,
                builder(options)?,
                Out::new(pacer, "pacer")?,
            )
        };
        place.write(give(tidegate_pacer::new(builder.limiter(limiter, key).build()?)));
        Ok(())
    })
}

/// As tidegate_pacer_new_over, with attributes (see tidegate_attribute).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_pacer_new_over_request(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    options: *const tidegate_pacer_options,
    pacer: *mut *mut tidegate_pacer,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, request, builder, place) = unsafe {
            (
                lend_limiter(limiter)?,
                handle::request(attributes, attribute_count)?,
                builder(options)?,
                Out::new(pacer, "pacer")?,
            )
        };
        place.write(give(tidegate_pacer::new(builder.limiter(limiter, &request).build()?)));
        Ok(())
    })
}

/// Header fields as the engine asks for them.
struct Fields<'a>(Vec<(&'a [u8], &'a [u8])>);

impl Response for Fields<'_> {
    fn status(&self) -> u16 {
        0
    }

    fn headers(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        for (name, value) in &self.0 {
            each(name, value);
        }
    }
}

/// As tidegate_read_headers, at the time of the pacer's clock. It changes nothing in the pacer: the limits are
/// given to tidegate_call_finish or tidegate_pacer_observe, and then given back.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT.
/// Thread safety: concurrent calls on one pacer are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_pacer_read(
    pacer: *const tidegate_pacer,
    headers: *const tidegate_header,
    count: usize,
    limits: *mut *mut tidegate_server_limits,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (pacer, headers, place) = unsafe {
            (lend(pacer, "pacer")?, handle::headers(headers, count)?, Out::new(limits, "limits")?)
        };
        place.write(give(tidegate_server_limits::new(pacer.engine().read(&Fields(headers)))));
        Ok(())
    })
}

/// Tells the pacer what a response says that is not of one of its calls.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT.
/// Thread safety: concurrent calls on one pacer are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_pacer_observe(
    pacer: *const tidegate_pacer,
    limits: *const tidegate_server_limits,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (pacer, limits) = unsafe { (lend(pacer, "pacer")?, lend(limits, "limits")?) };
        pacer.engine().observe(limits.engine());
        pacer.telling.tell();
        Ok(())
    })
}

/// Closes the breaker and ends a pause, when whoever operates the program knows better.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT.
/// Thread safety: concurrent calls on one pacer are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_pacer_reset(pacer: *const tidegate_pacer) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let pacer = unsafe { lend(pacer, "pacer") }?;
        pacer.engine().reset();
        pacer.telling.tell();
        Ok(())
    })
}

/// Lets nothing go any more: whoever waits, and each new call, fails with TIDEGATE_FAILURE_CLOSED.
/// Calls under way may finish.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT.
/// Thread safety: concurrent calls on one pacer are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_pacer_close(pacer: *const tidegate_pacer) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        unsafe { lend(pacer, "pacer") }?.engine().close();
        Ok(())
    })
}

/// Gives a pacer back. NULL is a no-op. Calls of it stay valid, go on as before, and are given back by
/// their own call. The pacer's listener and its `wake` are not called any more when this returns.
///
/// Thread safety: no other call may use this pacer now or later. Not to be called from a listener or a
/// `wake` of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_pacer_free(pacer: *mut tidegate_pacer) {
    guard(|| {
        // SAFETY: the header's contract.
        if let Some(pacer) = unsafe { take(pacer) } {
            pacer.telling.off();
            pacer.ticks.off();
        }
        Ok(())
    });
}
