//! Waiting without a thread: a place in a key's queue, for event loops.

use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use engine::{Ticket, Turn};

use crate::attribute::tidegate_attribute;
use crate::call::answer;
use crate::decision::{TIDEGATE_NEVER, tidegate_decision};
use crate::error::Failure;
use crate::guard::guard;
use crate::handle::{self, Out, OutStruct, give, lend_mut, nanos, take};
use crate::limiter::tidegate_limiter;
use crate::status::tidegate_status;

/// A place in a key's queue.
pub struct tidegate_ticket {
    ticket: Ticket,
    alarm: Arc<Alarm>,
    waker: Waker,
}

impl tidegate_ticket {
    fn new(ticket: Ticket, wake: tidegate_wake, context: *mut c_void) -> tidegate_ticket {
        let alarm = Arc::new(Alarm::new(wake, context));
        let waker = Waker::from(Arc::clone(&alarm));
        tidegate_ticket { ticket, alarm, waker }
    }
}

/// What is called when it may have become a ticket's turn. See tidegate_queue.
pub type tidegate_wake = Option<unsafe extern "C" fn(context: *mut c_void)>;

/// A callback that can be switched off: the engine may hold on to wakers of tickets that are
/// gone, and C's context is gone with the ticket.
pub(crate) struct Alarm(Mutex<Option<Callback>>);

struct Callback {
    wake: unsafe extern "C" fn(*mut c_void),
    context: *mut c_void,
}

// SAFETY: the header says that the callback is called on any thread, with this context.
unsafe impl Send for Callback {}

impl Wake for Alarm {
    fn wake(self: Arc<Alarm>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Alarm>) {
        // The lock is held while the callback runs, so that `off` waits for it: the context is
        // C's, and C frees it after the ticket. No lock of the engine is held (see `Waiters`).
        let callback = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(callback) = &*callback {
            // SAFETY: the header's contract; the context is valid until the ticket is freed.
            unsafe { (callback.wake)(callback.context) }
        }
    }
}

impl Alarm {
    pub(crate) fn new(wake: tidegate_wake, context: *mut c_void) -> Alarm {
        Alarm(Mutex::new(wake.map(|wake| Callback { wake, context })))
    }

    pub(crate) fn off(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Takes a place in the key's queue, for event loops: tidegate_wait without a blocked thread.
/// The ticket is asked with tidegate_ticket_poll, and given back with tidegate_ticket_free, which
/// gives up the place; a ticket that was not admitted takes nothing.
///
/// `wake` (NULL: none) is called with `context` when it may have become this ticket's turn, on
/// any thread, during any call on the limiter or its clock. It must only send a signal to the
/// event loop, and must not call this library. It is not called any more when
/// tidegate_ticket_free has returned: that waits for a call under way on another thread, and so
/// must not be called while holding a lock that `wake` takes.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, TIDEGATE_ERROR_STORE. What the policy finds wrong with a request, the
/// first tidegate_ticket_poll says.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_queue(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    cost: u64,
    timeout_ns: u64,
    wake: tidegate_wake,
    context: *mut c_void,
    ticket: *mut *mut tidegate_ticket,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        answer(limiter, handle::key(key, key_len), (ticket, "ticket"), |limiter, key| {
            Ok::<_, Failure>(give(tidegate_ticket::new(
                limiter.queue(key, cost, handle::timeout(timeout_ns)),
                wake,
                context,
            )))
        })
    }
}

/// As tidegate_queue, of a request with attributes (see tidegate_attribute).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_queue_request(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    cost: u64,
    timeout_ns: u64,
    wake: tidegate_wake,
    context: *mut c_void,
    ticket: *mut *mut tidegate_ticket,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        answer(
            limiter,
            handle::request(attributes, attribute_count),
            (ticket, "ticket"),
            |limiter, request| {
                Ok::<_, Failure>(give(tidegate_ticket::new(
                    limiter.queue(request, cost, handle::timeout(timeout_ns)),
                    wake,
                    context,
                )))
            },
        )
    }
}

/// Asks whether it is the ticket's turn. When it is decided, `*poll_after_ns` is 0 and `*decision`
/// is the answer: admitted, or timed out, or impossible; the ticket is only good for
/// tidegate_ticket_free then. Otherwise `*decision` is left as it is, and the ticket is to be
/// polled again when `wake` is called, or when `*poll_after_ns` have passed (TIDEGATE_NEVER: only
/// when `wake` is called).
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, TIDEGATE_ERROR_STORE.
/// Thread safety: one call on a ticket at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_ticket_poll(
    ticket: *mut tidegate_ticket,
    poll_after_ns: *mut u64,
    decision: *mut tidegate_decision,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (ticket, poll_after, decision) = unsafe {
            (
                lend_mut(ticket, "ticket")?,
                Out::new(poll_after_ns, "poll_after_ns")?,
                OutStruct::new(decision, "decision")?,
            )
        };
        match ticket.ticket.poll(&ticket.waker)? {
            Turn::Done(answer) => {
                decision.write(answer.into());
                poll_after.write(0);
            }
            // 0 means decided: a wait of nothing becomes one of 1 ns.
            Turn::Wait(Some(span)) => poll_after.write(nanos(span).max(1)),
            Turn::Wait(None) => poll_after.write(TIDEGATE_NEVER),
        }
        Ok(())
    })
}

/// Gives a ticket back, and its place in the queue, after waiting for a call of its `wake` that is
/// under way on another thread. NULL is a no-op.
///
/// Thread safety: no other call may use this ticket now or later. Not to be called from
/// a `wake`, nor while holding a lock that this ticket's `wake` takes: either would wait for ever.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_ticket_free(ticket: *mut tidegate_ticket) {
    guard(|| {
        // SAFETY: the header's contract.
        if let Some(ticket) = unsafe { take(ticket) } {
            ticket.alarm.off();
        }
        Ok(())
    });
}
