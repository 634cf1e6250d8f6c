//! One paced call: its attempts, from `begin` to the answer.

use std::ffi::{CString, c_char, c_void};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::Thread;

use engine::client::{Call, CallOptions, Class, Finish, PacerError, ServerLimits, Step};

use crate::client_events::Telling;
use crate::client_headers::tidegate_server_limits;
use crate::client_pacer::tidegate_pacer;
use crate::decision::TIDEGATE_NEVER;
use crate::error::{Failure, c_text};
use crate::guard::{guard, guard_value};
use crate::handle::{
    Growing, Out, OutStruct, give, lend, lend_mut, nanos, read_struct, take, text, timeout,
};
use crate::status::tidegate_status;
use crate::ticket::{Alarm, tidegate_wake};

/// The call is over: hand the answer on, whatever it is.
pub const TIDEGATE_STEP_DONE: u8 = 0;
/// Make the attempt, and tell the answer with tidegate_call_finish.
pub const TIDEGATE_STEP_GO: u8 = 1;
/// Ask again when `wait_ns` have passed, or when woken.
pub const TIDEGATE_STEP_WAIT: u8 = 2;
/// The call is over: it is given up, and `failure` says why.
pub const TIDEGATE_STEP_FAIL: u8 = 3;

/// The call has not failed.
pub const TIDEGATE_FAILURE_NONE: u8 = 0;
/// The server refused every attempt.
pub const TIDEGATE_FAILURE_RETRIES_EXHAUSTED: u8 = 1;
/// The server asks for a longer wait than `max_retry_after_ns`.
pub const TIDEGATE_FAILURE_RETRY_AFTER_TOO_LONG: u8 = 2;
/// The deadline has passed, or would pass before the next attempt.
pub const TIDEGATE_FAILURE_DEADLINE_EXCEEDED: u8 = 3;
/// The breaker is open: nothing is sent.
pub const TIDEGATE_FAILURE_BREAKER_OPEN: u8 = 4;
/// The cost can never fit a limit: no waiting helps.
pub const TIDEGATE_FAILURE_IMPOSSIBLE: u8 = 5;
/// The pacer was closed, or the call was over already.
pub const TIDEGATE_FAILURE_CLOSED: u8 = 6;
/// The limiter refused the call itself: an attribute is missing or wrong.
pub const TIDEGATE_FAILURE_LIMITER: u8 = 7;

/// An answer that is handed on: a success, or an error that is the program's own business.
pub const TIDEGATE_CLASS_PASSED: i32 = 0;
/// The server limits us: the call is tried again, and every call of the pacer waits.
pub const TIDEGATE_CLASS_LIMITED: i32 = 1;
/// The credential was refused: handed on, never tried again; counts for the breaker.
pub const TIDEGATE_CLASS_UNAUTHORIZED: i32 = 2;
/// The credential is not good for this: as TIDEGATE_CLASS_UNAUTHORIZED, with a count of its own.
pub const TIDEGATE_CLASS_FORBIDDEN: i32 = 3;
/// It failed for the moment: the call is tried again, nobody else waits.
pub const TIDEGATE_CLASS_RETRY: i32 = 4;
/// It failed: handed on, counts for the breaker.
pub const TIDEGATE_CLASS_FAILED: i32 = 5;
/// There is no answer (a connection that broke): handed on, and says nothing about the server.
pub const TIDEGATE_CLASS_ERROR: i32 = 6;

/// Options of a call. Start with `tidegate_call_options options = TIDEGATE_CALL_OPTIONS_INIT;`, which
/// holds the defaults. All is copied: nothing needs to outlive the call of tidegate_pacer_begin.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_call_options {
    /// sizeof(tidegate_call_options), set by the caller. What lies beyond the options that this
    /// library knows must be zero.
    pub struct_size: u32,
    /// Most retries; default UINT32_MAX: the pacer's.
    pub max_retries: u32,
    /// Units that each attempt takes from the count limits; default 1.
    pub cost: u64,
    /// How long the call may take in all; default TIDEGATE_NEVER: the pacer's.
    pub deadline_ns: u64,
    /// For errors. UTF-8, ends with NUL; default NULL: none.
    pub label: *const c_char,
}

// SAFETY: repr(C), the size in front, then 4 bytes, then fields of 8 bytes (a shorter pointer at the end is padded to 8
// by the alignment of u64).
unsafe impl Growing for tidegate_call_options {}

/// What a call has to do next. Start with `tidegate_step step = TIDEGATE_STEP_INIT;`; one struct may be
/// used for any number of calls.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_step {
    /// sizeof(tidegate_step), set by the caller; fields beyond it are not written.
    pub struct_size: u32,
    /// What to do: a TIDEGATE_STEP number.
    pub kind: u8,
    /// Why it is given up: a TIDEGATE_FAILURE number; TIDEGATE_FAILURE_NONE for other kinds.
    pub failure: u8,
    /// Always 0.
    pub reserved: u16,
    /// Of TIDEGATE_STEP_WAIT: ask again after this time at the latest; TIDEGATE_NEVER: only when
    /// woken, or when tidegate_pacer_tick says so (behind others; with a `wake` also by a manual
    /// clock, which wakes when it is moved). Else 0.
    pub wait_ns: u64,
    /// Of TIDEGATE_STEP_FAIL: after which time a new call may succeed; TIDEGATE_NEVER where that is not known.
    /// Else 0.
    pub retry_after_ns: u64,
    /// Attempts so far, the one under way included.
    pub attempts: u64,
}

// SAFETY: repr(C), the size in front, then 4 bytes, then fields of 8 bytes.
unsafe impl Growing for tidegate_step {}

/// One call to somebody else's interface, with as many attempts as it takes.
pub struct tidegate_call {
    call: Call,
    telling: Arc<Telling>,
    /// Of a call with a `wake`; others are asked again by tidegate_pacer_tick.
    alarm: Option<(Arc<Alarm>, Waker)>,
    /// Why it was given up, in words.
    error: CString,
}

// A call may be begun on one thread and finished on another.
const _: () = {
    const fn sent<T: Send>() {}
    sent::<tidegate_call>();
};

impl tidegate_call {
    fn step(&self, kind: u8, wait_ns: u64) -> tidegate_step {
        tidegate_step {
            struct_size: size_of::<tidegate_step>() as u32,
            kind,
            failure: TIDEGATE_FAILURE_NONE,
            reserved: 0,
            wait_ns,
            retry_after_ns: 0,
            attempts: self.call.attempts().into(),
        }
    }

    fn fail(&mut self, error: &PacerError) -> tidegate_step {
        self.error = c_text(&error.to_string());
        tidegate_step {
            failure: failure_number(error),
            retry_after_ns: error.retry_after().map_or(TIDEGATE_NEVER, nanos),
            ..self.step(TIDEGATE_STEP_FAIL, 0)
        }
    }

    fn asked(&mut self, waker: Option<&Waker>) -> tidegate_step {
        let next = match waker {
            Some(waker) => self.call.poll(waker),
            None => self.call.check(),
        };
        match next {
            Step::Go => self.step(TIDEGATE_STEP_GO, 0),
            Step::Wait(span) => self.step(TIDEGATE_STEP_WAIT, span.map_or(TIDEGATE_NEVER, nanos)),
            Step::Fail(error) => self.fail(&error),
        }
    }

    fn finished(&mut self, finish: &Finish) -> tidegate_step {
        match finish {
            Finish::Done => self.step(TIDEGATE_STEP_DONE, 0),
            Finish::Retry { after } => self.step(TIDEGATE_STEP_WAIT, nanos(*after)),
            Finish::Raise(error) => self.fail(error),
        }
    }
}

/// `u8::MAX` stands for errors that this interface does not know yet: "unknown".
fn failure_number(error: &PacerError) -> u8 {
    match error {
        PacerError::RetriesExhausted { .. } => TIDEGATE_FAILURE_RETRIES_EXHAUSTED,
        PacerError::RetryAfterTooLong { .. } => TIDEGATE_FAILURE_RETRY_AFTER_TOO_LONG,
        PacerError::DeadlineExceeded { .. } => TIDEGATE_FAILURE_DEADLINE_EXCEEDED,
        PacerError::BreakerOpen { .. } => TIDEGATE_FAILURE_BREAKER_OPEN,
        PacerError::Impossible { .. } => TIDEGATE_FAILURE_IMPOSSIBLE,
        PacerError::Closed => TIDEGATE_FAILURE_CLOSED,
        PacerError::Limiter(_) => TIDEGATE_FAILURE_LIMITER,
        _ => u8::MAX,
    }
}

fn class_of(number: i32) -> Result<Class, Failure> {
    Ok(match number {
        TIDEGATE_CLASS_PASSED => Class::Passed,
        TIDEGATE_CLASS_LIMITED => Class::Limited,
        TIDEGATE_CLASS_UNAUTHORIZED => Class::Unauthorized,
        TIDEGATE_CLASS_FORBIDDEN => Class::Forbidden,
        TIDEGATE_CLASS_RETRY => Class::Retry,
        TIDEGATE_CLASS_FAILED => Class::Failed,
        TIDEGATE_CLASS_ERROR => Class::Error,
        _ => {
            let problem = format!("{number} is unknown; give a TIDEGATE_CLASS number");
            return Err(Failure::argument("class_number", problem));
        }
    })
}

/// The word for a failure, the same in every host: "none", "retries_exhausted", "retry_after_too_long",
/// "deadline_exceeded", "breaker_open", "impossible", "closed" or "limiter"; "unknown" for any other
/// number. Never NULL, never to be freed.
///
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub extern "C" fn tidegate_failure_name(failure: u8) -> *const c_char {
    match failure {
        TIDEGATE_FAILURE_NONE => c"none",
        TIDEGATE_FAILURE_RETRIES_EXHAUSTED => c"retries_exhausted",
        TIDEGATE_FAILURE_RETRY_AFTER_TOO_LONG => c"retry_after_too_long",
        TIDEGATE_FAILURE_DEADLINE_EXCEEDED => c"deadline_exceeded",
        TIDEGATE_FAILURE_BREAKER_OPEN => c"breaker_open",
        TIDEGATE_FAILURE_IMPOSSIBLE => c"impossible",
        TIDEGATE_FAILURE_CLOSED => c"closed",
        TIDEGATE_FAILURE_LIMITER => c"limiter",
        _ => c"unknown",
    }
    .as_ptr()
}

/// Begins a call; `options` may be NULL: the defaults. It takes its place in line; when it may go,
/// tidegate_call_check (event loops) or tidegate_call_wait (threads) says. Given back with
/// tidegate_call_free.
///
/// `wake` (NULL: none) is called with `context` when the call is worth checking again, after
/// tidegate_call_check said to wait; on any thread, during any call on the pacer, its calls, its
/// limiter or its clock. It must only send a signal to the event loop, and must not call this library.
/// It is not called any more when tidegate_call_free has returned. Without it tidegate_pacer_tick says
/// when a call that was told to wait is to be checked again.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT. What else stands in the way of the call, the first check says.
/// Thread safety: concurrent calls on one pacer are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_pacer_begin(
    pacer: *const tidegate_pacer,
    options: *const tidegate_call_options,
    wake: tidegate_wake,
    context: *mut c_void,
    call: *mut *mut tidegate_call,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract; zeros are valid options.
        let (pacer, given, place) = unsafe {
            (lend(pacer, "pacer")?, read_struct(options, "options")?, Out::new(call, "call")?)
        };
        let mut options = CallOptions::default();
        if let Some(given) = given {
            // SAFETY: the header's contract.
            options.label = unsafe { text(given.label, "label") }?.unwrap_or("");
            options.cost = given.cost;
            options.max_retries = (given.max_retries != u32::MAX).then_some(given.max_retries);
            options.deadline = timeout(given.deadline_ns);
        }
        let alarm = wake.is_some().then(|| {
            let alarm = Arc::new(Alarm::new(wake, context));
            let waker = Waker::from(Arc::clone(&alarm));
            (alarm, waker)
        });
        let telling = Arc::clone(pacer.telling());
        let call = pacer.engine().begin(options);
        place.write(give(tidegate_call { call, telling, alarm, error: CString::default() }));
        pacer.telling().tell();
        Ok(())
    })
}

/// Asks whether the call may go: `step->kind` is TIDEGATE_STEP_GO, TIDEGATE_STEP_WAIT or TIDEGATE_STEP_FAIL. It
/// blocks nobody. Asked again under way it says TIDEGATE_STEP_GO again.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT. A failure of the call is not an error of this one.
/// Thread safety: one call on a tidegate_call at a time; different ones at once are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_call_check(
    call: *mut tidegate_call,
    step: *mut tidegate_step,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (call, place) = unsafe { (lend_mut(call, "call")?, OutStruct::new(step, "step")?) };
        let waker = call.alarm.as_ref().map(|(_, waker)| waker.clone());
        place.write(call.asked(waker.as_ref()));
        call.telling.tell();
        Ok(())
    })
}

/// Wakes a thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// As tidegate_call_check, and blocks the thread until the call may go or is given up: never
/// TIDEGATE_STEP_WAIT. `wake` is not called for it.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT.
/// Thread safety: one call on a tidegate_call at a time; different ones at once are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_call_wait(
    call: *mut tidegate_call,
    step: *mut tidegate_step,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (call, place) = unsafe { (lend_mut(call, "call")?, OutStruct::new(step, "step")?) };
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        loop {
            let next = call.asked(Some(&waker));
            if next.kind != TIDEGATE_STEP_WAIT {
                place.write(next);
                call.telling.tell();
                return Ok(());
            }
            call.telling.tell();
            match timeout(next.wait_ns) {
                Some(span) => std::thread::park_timeout(span),
                None => std::thread::park(),
            }
        }
    })
}

/// What a response told, or nothing.
///
/// # Safety
/// `limits` is NULL or live limits.
unsafe fn told<'a>(limits: *const tidegate_server_limits) -> &'a ServerLimits {
    // SAFETY: the caller's promise.
    unsafe { lend(limits, "limits") }
        .map_or(const { &ServerLimits::NONE }, tidegate_server_limits::engine)
}

/// Tells the answer to the attempt: its HTTP status, and what its headers say (tidegate_pacer_read;
/// NULL: nothing). 429 pauses every call of the pacer for as long as the server asks, so does 503 with
/// Retry-After. `step->kind` is TIDEGATE_STEP_DONE: hand the answer on; TIDEGATE_STEP_WAIT: it will be
/// tried again, ask tidegate_call_check or tidegate_call_wait; TIDEGATE_STEP_FAIL: given up. Of a call
/// that is not under way it changes nothing, and is TIDEGATE_STEP_DONE.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT.
/// Thread safety: one call on a tidegate_call at a time; different ones at once are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_call_finish(
    call: *mut tidegate_call,
    status: u16,
    limits: *const tidegate_server_limits,
    step: *mut tidegate_step,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (call, limits, place) =
            unsafe { (lend_mut(call, "call")?, told(limits), OutStruct::new(step, "step")?) };
        let finish = call.call.finish(status, limits);
        place.write(call.finished(&finish));
        call.telling.tell();
        Ok(())
    })
}

/// As tidegate_call_finish, where the program knows better what the answer means: `class_number` is a
/// TIDEGATE_CLASS number, `status` 0 where there is none. TIDEGATE_CLASS_RETRY tries a broken
/// connection again.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT.
/// Thread safety: one call on a tidegate_call at a time; different ones at once are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_call_finish_as(
    call: *mut tidegate_call,
    class_number: i32,
    status: u16,
    limits: *const tidegate_server_limits,
    step: *mut tidegate_step,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (call, limits, place) =
            unsafe { (lend_mut(call, "call")?, told(limits), OutStruct::new(step, "step")?) };
        let finish = call.call.finish_as(class_of(class_number)?, status, limits);
        place.write(call.finished(&finish));
        call.telling.tell();
        Ok(())
    })
}

/// The number of a call, which tidegate_pacer_tick tells it by: 0 for a pacer's first call, and one more
/// for each. TIDEGATE_NEVER for NULL.
///
/// Thread safety: as tidegate_call_check.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_call_number(call: *const tidegate_call) -> u64 {
    // SAFETY: the header's contract.
    guard_value(TIDEGATE_NEVER, || Ok(unsafe { lend(call, "call") }?.call.number()))
}

/// Why the call was given up, in words, with its label and the attempts; "" when it was not, and for
/// NULL. UTF-8, never NULL, not to be freed; valid until the next call on it.
///
/// Thread safety: as tidegate_call_check.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_call_error(call: *const tidegate_call) -> *const c_char {
    // SAFETY: the header's contract.
    guard_value(c"".as_ptr(), || Ok(unsafe { lend(call, "call") }?.error.as_ptr()))
}

/// Gives a call back. NULL is a no-op. A call that is not over gives up its place: its slot comes back,
/// and what it paid for an attempt that it was never told to make. It waits for a call of its `wake`
/// that is under way on another thread.
///
/// Thread safety: no other call may use this tidegate_call now or later. Not to be called from a
/// `wake`, nor while holding a lock that this call's `wake` takes: either would wait for ever.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_call_free(call: *mut tidegate_call) {
    guard(|| {
        // SAFETY: the header's contract.
        if let Some(tidegate_call { call, telling, alarm, .. }) = unsafe { take(call) } {
            if let Some((alarm, _)) = alarm {
                alarm.off();
            }
            drop(call);
            telling.tell();
        }
        Ok(())
    });
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;
    use std::time::Duration;

    use engine::client::BreakerReason;

    use super::*;

    #[test]
    fn failures_have_the_engines_words() {
        let text = String::new;
        let (delay, max) = (Duration::ZERO, Duration::ZERO);
        for (number, error) in [
            (1, PacerError::RetriesExhausted { attempts: 1, label: text(), status: 0 }),
            (2, PacerError::RetryAfterTooLong { delay, max, label: text(), attempts: 1 }),
            (3, PacerError::DeadlineExceeded { attempts: 1, label: text() }),
            (
                4,
                PacerError::BreakerOpen {
                    reason: BreakerReason::Failures { failures: 1 },
                    retry_after: delay,
                },
            ),
            (5, PacerError::Impossible { limit: text(), cost: 1 }),
            (6, PacerError::Closed),
        ] {
            assert_eq!(failure_number(&error), number);
            // SAFETY: a literal.
            let word = unsafe { CStr::from_ptr(tidegate_failure_name(number)) };
            assert_eq!(word.to_str(), Ok(error.kind()));
        }
    }

    #[test]
    fn classes_have_the_engines_order() {
        for (number, name) in
            ["passed", "limited", "unauthorized", "forbidden", "retry", "failed", "error"]
                .iter()
                .enumerate()
        {
            assert_eq!(class_of(number as i32).ok().unwrap().as_str(), *name);
        }
        assert!(class_of(7).is_err() && class_of(-1).is_err());
    }

    #[test]
    fn the_layouts_are_pinned() {
        assert_eq!((size_of::<tidegate_step>(), size_of::<tidegate_call_options>()), (32, 32));
        assert_eq!(std::mem::offset_of!(tidegate_step, kind), 4);
        assert_eq!(std::mem::offset_of!(tidegate_step, wait_ns), 8);
    }
}
