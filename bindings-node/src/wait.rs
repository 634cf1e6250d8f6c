//! Waiting without a thread: places in a key's queue, and the list of those to ask again.
//!
//! All that can wake a waiter (a released permit, a refund, a clock moved by hand, the waiter
//! before it) happens inside a call of this environment; such a call leaves the waiter's number
//! on the list, and `lib/waiting.js` looks at the list when the call is over. So no thread and
//! no thread-safe function is needed, and a pending wait keeps no process alive but by its
//! timer. A waker may still be used from any thread.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use napi::Env;
use napi_derive::napi;
use tidegate::{Ticket, Turn};

use crate::decision::{ExactDecision, nanos};
use crate::refusal::Refusal;

type Numbers = Arc<Mutex<Vec<u32>>>;

/// The waiters of an environment that should be asked again.
#[napi]
pub struct WakeList {
    woken: Numbers,
}

struct Bell {
    woken: Numbers,
    id: u32,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // A list of plain numbers is whole even after a panic.
        self.woken.lock().unwrap_or_else(PoisonError::into_inner).push(self.id);
    }
}

impl WakeList {
    pub(crate) fn waker(&self, id: u32) -> Waker {
        Waker::from(Arc::new(Bell { woken: Arc::clone(&self.woken), id }))
    }
}

#[napi]
impl WakeList {
    /// An empty list.
    #[napi(constructor, catch_unwind)]
    pub fn new() -> WakeList {
        WakeList { woken: Numbers::default() }
    }

    /// Empties the list, in the order in which it was filled.
    #[napi(catch_unwind)]
    pub fn take(&self) -> Vec<u32> {
        std::mem::take(&mut *self.woken.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a waiter has to do.
#[napi(object, object_from_js = false)]
pub struct NativeTurn {
    /// It is decided.
    pub decision: Option<ExactDecision>,
    /// It should ask again after this time; absent: only when woken.
    pub wait_ms: Option<f64>,
}

/// A place in a key's queue.
#[napi]
pub struct NativeTicket {
    ticket: Option<Ticket>,
    waker: Waker,
}

impl NativeTicket {
    pub(crate) fn new(ticket: Ticket, waker: Waker) -> NativeTicket {
        NativeTicket { ticket: Some(ticket), waker }
    }
}

#[napi]
impl NativeTicket {
    /// Asks whether it is its turn; gives the place up when that is decided.
    #[napi(catch_unwind)]
    pub fn poll(&mut self, env: Env) -> napi::Result<NativeTurn> {
        let Some(ticket) = &mut self.ticket else {
            return Ok(NativeTurn { decision: None, wait_ms: None });
        };
        match ticket.poll(&self.waker) {
            Ok(Turn::Wait(wait)) => {
                let wait_ms = wait.map(|wait| nanos(wait) as f64 / 1e6);
                Ok(NativeTurn { decision: None, wait_ms })
            }
            Ok(Turn::Done(decision)) => {
                self.ticket = None;
                Ok(NativeTurn { decision: Some(decision.into()), wait_ms: None })
            }
            Err(error) => {
                self.ticket = None;
                Err(Refusal::from(error).throw(env))
            }
        }
    }

    /// Gives the place up; takes nothing.
    #[napi(catch_unwind)]
    pub fn cancel(&mut self) {
        self.ticket = None;
    }
}
