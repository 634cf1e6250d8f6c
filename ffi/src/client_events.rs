//! What happens to a pacer, told to a function of C.

use std::ffi::{CString, c_char, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use engine::client::{BreakerReason, Event, Pacer, PauseReason, Quota};

use crate::client_headers::{quota_of, tidegate_quota};
use crate::client_pacer::tidegate_pacer;
use crate::error::c_text;
use crate::guard::guard;
use crate::handle::{lend, nanos};
use crate::status::tidegate_status;

/// A call will be tried again after `delay_ns`: `label`, `attempts`, `status`.
pub const TIDEGATE_EVENT_RETRY: u8 = 0;
/// Everybody waits for `delay_ns`; told once for each pause, not when it is drawn out. `cause` says
/// why: an answer (`status`), or a quota that is used up (`quota`).
pub const TIDEGATE_EVENT_PAUSE: u8 = 1;
/// A call was refused every time and is given up: `label`, `attempts`, `status`.
pub const TIDEGATE_EVENT_EXHAUSTED: u8 = 2;
/// The breaker opened: nothing is sent for `delay_ns`. `cause` says why, after so many `failures`.
pub const TIDEGATE_EVENT_BREAKER_OPENED: u8 = 3;
/// The breaker closed: calls go again.
pub const TIDEGATE_EVENT_BREAKER_CLOSED: u8 = 4;
/// The server says that little is left of a `quota`; told once until more is left again.
pub const TIDEGATE_EVENT_NEAR_LIMIT: u8 = 5;

/// The kind of event has none.
pub const TIDEGATE_CAUSE_NONE: u8 = 0;
/// The server refused a call.
pub const TIDEGATE_CAUSE_LIMITED: u8 = 1;
/// By the headers nothing is left of a quota.
pub const TIDEGATE_CAUSE_EXHAUSTED: u8 = 2;
/// The credential was refused.
pub const TIDEGATE_CAUSE_AUTHENTICATION: u8 = 3;
/// Calls failed.
pub const TIDEGATE_CAUSE_FAILURES: u8 = 4;

/// Something that happened to a pacer. Fields that its kind does not have are 0 or NULL. What it
/// points to is gone when the listener returns.
#[repr(C)]
pub struct tidegate_pacer_event {
    /// The bytes of it that the library has written: fields beyond them are those of a newer header.
    pub struct_size: u32,
    /// What happened: a TIDEGATE_EVENT number.
    pub kind: u8,
    /// Why: a TIDEGATE_CAUSE number.
    pub cause: u8,
    /// The status of the answer that it follows; 0 when there is none.
    pub status: u16,
    /// Attempts that were made so far.
    pub attempts: u64,
    /// So many failures in a row.
    pub failures: u64,
    /// Until the call is tried again, until the pause is over, or until the breaker lets one call
    /// through to see.
    pub delay_ns: u64,
    /// The label of the call, "" when it has none. UTF-8; NULL: not about a call.
    pub label: *const c_char,
    /// The quota that it is about, as far as the server tells of it (of a pause: its name alone);
    /// NULL: none.
    pub quota: *const tidegate_quota,
}

/// What is called with each event. See tidegate_pacer_on_event.
pub type tidegate_pacer_listener =
    Option<unsafe extern "C" fn(event: *const tidegate_pacer_event, context: *mut c_void)>;

/// Most events that wait for a listener that is slow: the newest ones.
const KEPT: usize = 10_000;

/// A pacer, and who is told what happens to it. Its calls share it.
pub(crate) struct Telling {
    engine: Pacer,
    /// Is there a listener? Looked at in every call, before any lock.
    listens: AtomicBool,
    state: Mutex<State>,
    /// A call of the listener is over.
    returned: Condvar,
}

#[derive(Default)]
struct State {
    callback: Option<Callback>,
    /// Who takes events and tells them. One at a time, so that they come in the order in which they
    /// happened.
    teller: Option<ThreadId>,
    /// It is inside the listener now.
    is_inside: bool,
    /// Calls of listeners that are over.
    calls: u64,
}

#[derive(Clone, Copy)]
struct Callback {
    tell: unsafe extern "C" fn(*const tidegate_pacer_event, *mut c_void),
    context: *mut c_void,
}

// SAFETY: the header says that the callback is called on any thread, with this context.
unsafe impl Send for Callback {}

impl Telling {
    pub(crate) fn new(engine: Pacer) -> Telling {
        Telling {
            engine,
            listens: AtomicBool::new(false),
            state: Mutex::default(),
            returned: Condvar::new(),
        }
    }

    pub(crate) fn engine(&self) -> &Pacer {
        &self.engine
    }

    /// Tells what has happened; to be called at the end of every call that may change something,
    /// without any lock.
    #[inline]
    pub(crate) fn tell(&self) {
        // Relaxed: whoever sees an old value is as early as the listener came, or as late as it went.
        if self.listens.load(Ordering::Relaxed) {
            self.tell_all();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody who is telling already, this thread further up included, tells these events as well:
    /// it looks once more before it stops, under the lock.
    #[cold]
    fn tell_all(&self) {
        let mut state = self.state();
        if state.teller.is_some() {
            return;
        }
        state.teller = Some(std::thread::current().id());
        while state.callback.is_some() {
            // The pacer's lock within this one, never the other way round.
            let events = self.engine.events();
            if events.is_empty() {
                break;
            }
            for event in &events {
                state = self.tell_one(state, event);
            }
        }
        state.teller = None;
    }

    /// No lock is held during the call: a listener may use the pacer.
    fn tell_one<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        event: &Event,
    ) -> MutexGuard<'a, State> {
        let Some(callback) = state.callback else { return state };
        state.is_inside = true;
        drop(state);
        callback.call(event);
        let mut state = self.state();
        state.is_inside = false;
        state.calls += 1;
        self.returned.notify_all();
        state
    }

    /// Another listener takes the place of the one before, which is not called any more when this
    /// returns; a call of it that this is made from goes on.
    fn listen(&self, callback: Option<Callback>) {
        let mut state = self.state();
        self.engine.keep_events(if callback.is_some() { KEPT } else { 0 });
        self.listens.store(callback.is_some(), Ordering::Relaxed);
        state.callback = callback;
        if state.teller == Some(std::thread::current().id()) {
            return;
        }
        let calls = state.calls;
        while state.is_inside && state.calls == calls {
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Before the pacer goes: its calls may go on, the listener's context may not.
    pub(crate) fn off(&self) {
        self.listen(None);
    }
}

impl Callback {
    fn call(self, event: &Event) {
        let told = Told::new(event);
        let event = told.event();
        // SAFETY: the header's contract; the context is valid until this callback is switched off.
        unsafe { (self.tell)(&raw const event, self.context) }
    }
}

/// An event, with the texts that C reads.
struct Told {
    kind: u8,
    cause: u8,
    status: u16,
    attempts: u32,
    failures: u32,
    delay_ns: u64,
    label: Option<CString>,
    /// Its name lies behind the pointer in it.
    quota: Option<(tidegate_quota, CString)>,
}

impl Told {
    const NOTHING: Told = Told {
        // Kinds that this interface does not know yet: "unknown".
        kind: u8::MAX,
        cause: TIDEGATE_CAUSE_NONE,
        status: 0,
        attempts: 0,
        failures: 0,
        delay_ns: 0,
        label: None,
        quota: None,
    };

    fn new(event: &Event) -> Told {
        match event {
            Event::Retry { label, attempts, delay, status } => Told {
                kind: TIDEGATE_EVENT_RETRY,
                delay_ns: nanos(*delay),
                ..Told::of_call(label, *attempts, *status)
            },
            Event::Exhausted { label, attempts, status } => {
                Told { kind: TIDEGATE_EVENT_EXHAUSTED, ..Told::of_call(label, *attempts, *status) }
            }
            Event::Pause { delay, reason } => Told {
                kind: TIDEGATE_EVENT_PAUSE,
                delay_ns: nanos(*delay),
                ..Told::of_pause(reason)
            },
            Event::BreakerOpened { reason, retry_after } => Told {
                kind: TIDEGATE_EVENT_BREAKER_OPENED,
                delay_ns: nanos(*retry_after),
                ..Told::of_breaker(reason)
            },
            Event::BreakerClosed => Told { kind: TIDEGATE_EVENT_BREAKER_CLOSED, ..Told::NOTHING },
            Event::NearLimit { name, limit, remaining, reset_after } => {
                let (limit, remaining, reset_after) = (*limit, *remaining, *reset_after);
                let mut quota = Quota::default();
                (quota.limit, quota.remaining, quota.reset_after) = (limit, remaining, reset_after);
                let quota = Some(named(&quota, name));
                Told { kind: TIDEGATE_EVENT_NEAR_LIMIT, quota, ..Told::NOTHING }
            }
            _ => Told::NOTHING,
        }
    }

    fn of_call(label: &str, attempts: u32, status: u16) -> Told {
        Told { label: Some(c_text(label)), attempts, status, ..Told::NOTHING }
    }

    fn of_pause(reason: &PauseReason) -> Told {
        match reason {
            PauseReason::Limited(status) => {
                Told { cause: TIDEGATE_CAUSE_LIMITED, status: *status, ..Told::NOTHING }
            }
            PauseReason::Exhausted(name) => Told {
                cause: TIDEGATE_CAUSE_EXHAUSTED,
                quota: Some(named(&Quota::default(), name)),
                ..Told::NOTHING
            },
            _ => Told { cause: u8::MAX, ..Told::NOTHING },
        }
    }

    fn of_breaker(reason: &BreakerReason) -> Told {
        match *reason {
            BreakerReason::Authentication { status, failures } => {
                Told { cause: TIDEGATE_CAUSE_AUTHENTICATION, status, failures, ..Told::NOTHING }
            }
            BreakerReason::Failures { failures } => {
                Told { cause: TIDEGATE_CAUSE_FAILURES, failures, ..Told::NOTHING }
            }
            _ => Told { cause: u8::MAX, ..Told::NOTHING },
        }
    }

    fn event(&self) -> tidegate_pacer_event {
        tidegate_pacer_event {
            struct_size: size_of::<tidegate_pacer_event>() as u32,
            kind: self.kind,
            cause: self.cause,
            status: self.status,
            attempts: self.attempts.into(),
            failures: self.failures.into(),
            delay_ns: self.delay_ns,
            label: self.label.as_ref().map_or(std::ptr::null(), |label| label.as_ptr()),
            quota: self.quota.as_ref().map_or(std::ptr::null(), |(quota, _)| quota),
        }
    }
}

fn named(quota: &Quota, name: &str) -> (tidegate_quota, CString) {
    let name = c_text(name);
    (quota_of(quota, &name), name)
}

/// The word for a kind of event, the same in every host: "retry", "pause", "exhausted",
/// "breaker_opened", "breaker_closed" or "near_limit"; "unknown" for any other number. Never NULL,
/// never to be freed.
///
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub extern "C" fn tidegate_event_name(kind: u8) -> *const c_char {
    match kind {
        TIDEGATE_EVENT_RETRY => c"retry",
        TIDEGATE_EVENT_PAUSE => c"pause",
        TIDEGATE_EVENT_EXHAUSTED => c"exhausted",
        TIDEGATE_EVENT_BREAKER_OPENED => c"breaker_opened",
        TIDEGATE_EVENT_BREAKER_CLOSED => c"breaker_closed",
        TIDEGATE_EVENT_NEAR_LIMIT => c"near_limit",
        _ => c"unknown",
    }
    .as_ptr()
}

/// The word for a cause, the same in every host: "none", "limited", "exhausted", "authentication" or
/// "failures"; "unknown" for any other number. Never NULL, never to be freed.
///
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub extern "C" fn tidegate_cause_name(cause: u8) -> *const c_char {
    match cause {
        TIDEGATE_CAUSE_NONE => c"none",
        TIDEGATE_CAUSE_LIMITED => c"limited",
        TIDEGATE_CAUSE_EXHAUSTED => c"exhausted",
        TIDEGATE_CAUSE_AUTHENTICATION => c"authentication",
        TIDEGATE_CAUSE_FAILURES => c"failures",
        _ => c"unknown",
    }
    .as_ptr()
}

/// Has `listener` called with `context` whenever something happens that a user may want to know of: at
/// the end of a call on the pacer or on one of its calls, in the thread that makes it, when that call
/// has written its outputs. There is one listener; another takes its place, NULL clears it. What
/// happened before there was one, it is not told.
///
/// It is called by one thread at a time, with one event after the other in the order in which they
/// happened: what happens on other threads meanwhile, and in what it calls itself, it is told next.
/// While it is so slow that 10,000 events wait, the oldest are dropped. It holds nobody else up, and
/// may use the pacer and other calls than the one that is under way.
///
/// When this returns, and when tidegate_pacer_free returns, the listener before is not called any
/// more: both wait for a call of it that is under way on another thread, and so must not be called
/// while holding a lock that the listener takes. A listener may call this itself, and is then not
/// called again.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT.
/// Thread safety: concurrent calls on one pacer are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_pacer_on_event(
    pacer: *const tidegate_pacer,
    listener: tidegate_pacer_listener,
    context: *mut c_void,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let pacer = unsafe { lend(pacer, "pacer") }?;
        pacer.telling().listen(listener.map(|tell| Callback { tell, context }));
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;
    use std::time::Duration;

    use super::*;

    fn word(text: *const c_char) -> &'static str {
        // SAFETY: a literal.
        unsafe { CStr::from_ptr(text) }.to_str().unwrap()
    }

    #[test]
    fn kinds_and_causes_have_the_engines_words() {
        let span = Duration::ZERO;
        let label = String::new;
        let reason = BreakerReason::Authentication { status: 401, failures: 1 };
        let failed = BreakerReason::Failures { failures: 1 };
        for event in [
            Event::Retry { label: label(), attempts: 1, delay: span, status: 0 },
            Event::Pause { delay: span, reason: PauseReason::Limited(429) },
            Event::Exhausted { label: label(), attempts: 1, status: 0 },
            Event::BreakerOpened { reason: reason.clone(), retry_after: span },
            Event::BreakerClosed,
            Event::NearLimit { name: label(), limit: None, remaining: None, reset_after: None },
        ] {
            assert_eq!(word(tidegate_event_name(Told::new(&event).kind)), event.kind());
        }
        for reason in [reason, failed] {
            assert_eq!(word(tidegate_cause_name(Told::of_breaker(&reason).cause)), reason.as_str());
        }
        assert_eq!(word(tidegate_event_name(Told::NOTHING.kind)), "unknown");
        assert_eq!(word(tidegate_cause_name(5)), "unknown");
        assert_eq!(size_of::<tidegate_pacer_event>(), 48);
    }
}
