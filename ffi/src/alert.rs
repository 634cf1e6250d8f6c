//! Alerts: use that passes a threshold is told to a function of C.

use std::cell::Cell;
use std::ffi::{CString, c_char, c_void};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use engine::{Alert, Limiter};

use crate::attribute::tidegate_attribute;
use crate::error::{Failure, c_text};
use crate::guard::guard;
use crate::handle::lend;
use crate::limiter::tidegate_limiter;
use crate::plan::c_name;
use crate::snapshot::method_number;
use crate::status::tidegate_status;

/// Use of a limit has passed one of its thresholds (`alerts` in the policy). What it points to, but for
/// the names of limit and plan, is gone when the listener returns.
#[repr(C)]
pub struct tidegate_alert {
    /// The bytes of it that the library has written: fields beyond them are those of a newer header.
    pub struct_size: u32,
    /// What the limit counts: a TIDEGATE_METHOD number.
    pub method: u8,
    /// Always 0.
    pub reserved: [u8; 3],
    /// The threshold, in thousandths of the capacity.
    pub threshold_permille: u64,
    /// Units used.
    pub used: u64,
    /// Most units that can be spent at once.
    pub capacity: u64,
    /// The name of the limit. UTF-8; valid for ever, not to be freed.
    pub limit_name: *const c_char,
    /// The request's plan, also of a limit of every plan; "" where the policy has none. UTF-8; valid for ever.
    pub plan_name: *const c_char,
    /// Whose request passed it; of a key, the attribute "key".
    pub attributes: *const tidegate_attribute,
    /// How many attributes there are.
    pub attribute_count: usize,
}

/// What is called with each alert. See tidegate_on_alert.
pub type tidegate_alert_listener =
    Option<unsafe extern "C" fn(alert: *const tidegate_alert, context: *mut c_void)>;

/// The listener of a limiter, if it has one.
#[derive(Default)]
pub(crate) struct Listening(Mutex<Option<Arc<Listener>>>);

/// A callback that can be switched off: others than the limiter that is freed may keep the engine, and C's context is
/// gone with the limiter.
struct Listener {
    state: Mutex<State>,
    idle: Condvar,
}

struct State {
    callback: Option<Callback>,
    /// Calls under way.
    running: usize,
}

#[derive(Clone, Copy)]
struct Callback {
    tell: unsafe extern "C" fn(*const tidegate_alert, *mut c_void),
    context: *mut c_void,
}

// SAFETY: the header says that the callback is called on any thread, with this context.
unsafe impl Send for Callback {}

thread_local! {
    /// Listeners that run on this thread.
    static INSIDE: Cell<usize> = const { Cell::new(0) };
}

impl Listening {
    /// Another listener takes the place of the one before, which is not called any more when this returns.
    fn replace(&self, limiter: &Limiter, callback: Option<Callback>) {
        let new = callback.map(|callback| {
            let state = Mutex::new(State { callback: Some(callback), running: 0 });
            Arc::new(Listener { state, idle: Condvar::new() })
        });
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &new {
            Some(new) => {
                let listener = Arc::clone(new);
                limiter.on_alert(move |alert| listener.tell(alert));
            }
            None => limiter.clear_alerts(),
        }
        let old = std::mem::replace(&mut *current, new);
        drop(current);
        if let Some(old) = old {
            old.off();
        }
    }

    /// Before the limiter goes.
    pub(crate) fn off(&self) {
        if let Some(listener) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            listener.off();
        }
    }
}

impl Listener {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No lock is held during the call: calls of several threads run side by side, and a listener may use the
    /// limiter, which may tell it of the next alert.
    fn tell(&self, alert: &Alert<'_, '_>) {
        let callback = {
            let mut state = self.state();
            let Some(callback) = state.callback else { return };
            state.running += 1;
            callback
        };
        INSIDE.set(INSIDE.get() + 1);
        callback.call(alert);
        INSIDE.set(INSIDE.get() - 1);
        let mut state = self.state();
        state.running -= 1;
        if state.running == 0 {
            self.idle.notify_all();
        }
    }

    /// No call begins any more, and those under way are waited for.
    fn off(&self) {
        let mut state = self.state();
        state.callback = None;
        while state.running > 0 {
            state = self.idle.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Callback {
    fn call(self, alert: &Alert<'_, '_>) {
        let given = alert.request.attributes();
        let names: Vec<CString> = given.clone().map(|(name, _)| c_text(name)).collect();
        let attributes: Vec<tidegate_attribute> = (names.iter().zip(given))
            .map(|(name, (_, value))| tidegate_attribute {
                name: name.as_ptr(),
                value: value.as_ptr().cast(),
                value_len: value.len(),
            })
            .collect();
        let alert = tidegate_alert {
            struct_size: size_of::<tidegate_alert>() as u32,
            method: method_number(alert.method),
            reserved: [0; 3],
            threshold_permille: alert.threshold_permille,
            used: alert.used,
            capacity: alert.capacity,
            limit_name: c_name(Some(alert.limit)),
            plan_name: c_name(alert.plan),
            attributes: attributes.as_ptr(),
            attribute_count: attributes.len(),
        };
        // SAFETY: the header's contract; the context is valid until this callback is switched off.
        unsafe { (self.tell)(&raw const alert, self.context) }
    }
}

/// Has `listener` called with `context` whenever use of a limit passes one of its thresholds: once a
/// crossing, in the thread whose call passed it, after the decision is made. There is one listener; another
/// takes its place, NULL clears it. It is called on several threads at once, and may use the limiter.
///
/// When this returns, and when tidegate_limiter_free returns, the listener before is not called any more:
/// both wait for calls of it that are under way, and so must not be called while holding a lock that the
/// listener takes, nor from within a listener (which this call refuses).
///
/// Errors: TIDEGATE_ERROR_ARGUMENT.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_on_alert(
    limiter: *const tidegate_limiter,
    listener: tidegate_alert_listener,
    context: *mut c_void,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let limiter = unsafe { lend(limiter, "limiter") }?;
        if INSIDE.get() > 0 {
            let problem = "this is a call from within a listener; change it when it has returned";
            return Err(Failure::argument("listener", problem));
        }
        let callback = listener.map(|tell| Callback { tell, context });
        limiter.listening().replace(limiter.engine(), callback);
        Ok(())
    })
}
