//! One timer for all calls of a pacer, for event loops.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use crate::client_pacer::tidegate_pacer;
use crate::error::Failure;
use crate::guard::guard;
use crate::handle::{Out, OutArray, lend, nanos};
use crate::status::tidegate_status;
use crate::ticket::{Alarm, tidegate_wake};

/// What a pacer has of its host with one timer.
#[derive(Default)]
pub(crate) struct Ticks {
    /// Numbers that the engine has told, and for which there was no room yet.
    ready: Mutex<VecDeque<u64>>,
    alarm: Mutex<Option<Arc<Alarm>>>,
}

impl Ticks {
    fn replace_alarm(&self, alarm: Option<Arc<Alarm>>) {
        let mut place = self.alarm.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *place, alarm);
        drop(place);
        if let Some(before) = before {
            before.off();
        }
    }

    /// Before the pacer goes: the engine may live on in its calls, C's context may not.
    pub(crate) fn off(&self) {
        self.replace_alarm(None);
    }
}

/// For event loops with one timer for all calls: says which of the calls that were begun without a
/// `wake`, and were told to wait, are to be checked again, and when to tick next. Tick when a timer of
/// `*next_ns` is over, and after each tidegate_pacer_begin, tidegate_call_finish and
/// tidegate_call_free; where other threads use the pacer as well, or a manual clock,
/// tidegate_pacer_on_tick tells of what this could not foresee.
///
/// Writes at most `room` numbers (tidegate_call_number) to `ready`, and how many to `*count`. A call
/// may be over by then, and no number ever comes again. `*next_ns` is 0 when there are more, which the
/// next tick says; TIDEGATE_NEVER when only another call on the pacer changes anything.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT.
/// Thread safety: concurrent calls on one pacer are fine; a number is told to one of them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_pacer_tick(
    pacer: *const tidegate_pacer,
    ready: *mut u64,
    room: usize,
    count: *mut usize,
    next_ns: *mut u64,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (pacer, ready, count, next) = unsafe {
            (
                lend(pacer, "pacer")?,
                OutArray::new(ready, room, ("ready", "room"))?,
                Out::new(count, "count")?,
                Out::new(next_ns, "next_ns")?,
            )
        };
        // Before the lock: it may wake.
        let tick = pacer.engine().tick();
        let mut waiting = pacer.ticks().ready.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend(tick.ready);
        let told = room.min(waiting.len());
        ready.write(waiting.drain(..told));
        count.write(told);
        next.write(match waiting.is_empty() {
            true => tick.next.map_or(u64::MAX, nanos),
            false => 0,
        });
        drop(waiting);
        pacer.telling().tell();
        Ok(())
    })
}

/// Has `wake` called with `context` when tidegate_pacer_tick has news that its `next_ns` did not
/// foretell: what another thread did, or a manual clock that was moved. It is called as a call's
/// `wake` (tidegate_pacer_begin), on any thread; it must only send a signal to the event loop, and
/// must not call this library. There is one; another takes its place. By a manual clock `next_ns` is
/// TIDEGATE_NEVER from then on.
///
/// When this returns, and when tidegate_pacer_free returns, the one before is not called any more:
/// both wait for a call of it that is under way on another thread, and must not be called while
/// holding a lock that it takes.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, also when `wake` is NULL.
/// Thread safety: concurrent calls on one pacer are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_pacer_on_tick(
    pacer: *const tidegate_pacer,
    wake: tidegate_wake,
    context: *mut c_void,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let pacer = unsafe { lend(pacer, "pacer") }?;
        if wake.is_none() {
            return Err(Failure::argument("wake", "is NULL; give a function"));
        }
        let alarm = Arc::new(Alarm::new(wake, context));
        pacer.engine().wakes(&Waker::from(Arc::clone(&alarm)));
        pacer.ticks().replace_alarm(Some(alarm));
        Ok(())
    })
}
