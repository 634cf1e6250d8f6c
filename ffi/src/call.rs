//! The frames of calls about a key or a request: where panics stop, what is checked first, and where the answer goes.
//! A call says which subject it reads (`handle::key`, `handle::request`, at a given time `at`), and what the engine is
//! asked.

use engine::{Decision, Limiter, Timestamp};

use crate::decision::tidegate_decision;
use crate::error::Failure;
use crate::guard::{guard, guard_value};
use crate::handle::{self, Checked, Out, OutStruct, OutStructs, give};
use crate::limiter::{lend_limiter, tidegate_limiter};
use crate::status::tidegate_status;

/// A subject, and the explicit time of an `_at` call.
#[inline(always)]
pub(crate) fn at<S>(subject: Checked<S>, now_ns: u64) -> Checked<(S, Timestamp)> {
    Ok((subject?, handle::now(now_ns)?))
}

/// A call that answers with a decision.
///
/// # Safety
/// The header's contract.
#[inline(always)]
pub(crate) unsafe fn decide<S, E: Into<Failure>>(
    limiter: *const tidegate_limiter,
    subject: Checked<S>,
    decision: *mut tidegate_decision,
    ask: impl FnOnce(&Limiter, S) -> Result<Decision, E>,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let (limiter, subject, place) =
            unsafe { (lend_limiter(limiter)?, subject?, OutStruct::new(decision, "decision")?) };
        let decision = ask(limiter, subject).map_err(E::into)?;
        place.write_in_place(|| tidegate_decision::from(decision));
        Ok(())
    })
}

/// As [`decide`], of the commonest call: the engine writes the answer where C wants it, if that is of this version.
///
/// # Safety
/// The header's contract.
#[inline(always)]
pub(crate) unsafe fn decide_in_place(
    limiter: *const tidegate_limiter,
    key: Checked<&[u8]>,
    decision: *mut tidegate_decision,
    cost: u64,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let (limiter, key, mut place) =
            unsafe { (lend_limiter(limiter)?, key?, OutStruct::new(decision, "decision")?) };
        match place.for_engine() {
            Some(place) => {
                limiter.acquire_into(key, cost, place)?;
            }
            None => place.write(limiter.acquire(key, cost)?.into()),
        }
        Ok(())
    })
}

/// A call that answers yes or no by itself.
///
/// # Safety
/// The header's contract.
#[inline(always)]
pub(crate) unsafe fn admit<S>(
    limiter: *const tidegate_limiter,
    subject: Checked<S>,
    ask: impl FnOnce(&Limiter, S) -> bool,
) -> bool {
    guard_value(false, || {
        // SAFETY: the caller's promise.
        let limiter = unsafe { lend_limiter(limiter) }?;
        Ok(ask(limiter, subject?))
    })
}

/// A call that answers nothing.
///
/// # Safety
/// The header's contract.
#[inline]
pub(crate) unsafe fn change<S, E: Into<Failure>>(
    limiter: *const tidegate_limiter,
    subject: Checked<S>,
    change: impl FnOnce(&Limiter, S) -> Result<(), E>,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let limiter = unsafe { lend_limiter(limiter) }?;
        change(limiter, subject?).map_err(E::into)
    })
}

/// A call that answers with one value; a place for it comes with its name.
///
/// # Safety
/// The header's contract.
pub(crate) unsafe fn answer<S, T, E: Into<Failure>>(
    limiter: *const tidegate_limiter,
    subject: Checked<S>,
    (place, name): (*mut T, &'static str),
    ask: impl FnOnce(&Limiter, S) -> Result<T, E>,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let (limiter, subject, place) =
            unsafe { (lend_limiter(limiter)?, subject?, Out::new(place, name)?) };
        place.write(ask(limiter, subject).map_err(E::into)?);
        Ok(())
    })
}

/// A call that answers with a decision and, when it admits, with a handle (else NULL).
///
/// # Safety
/// The header's contract.
pub(crate) unsafe fn hold<S, T, E: Into<Failure>>(
    limiter: *const tidegate_limiter,
    subject: Checked<S>,
    decision: *mut tidegate_decision,
    (handle, name): (*mut *mut T, &'static str),
    ask: impl FnOnce(&Limiter, S) -> Result<(Decision, T), E>,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let (limiter, subject, place, handle) = unsafe {
            (
                lend_limiter(limiter)?,
                subject?,
                OutStruct::new(decision, "decision")?,
                Out::new(handle, name)?,
            )
        };
        let (decision, held) = ask(limiter, subject).map_err(E::into)?;
        place.write(decision.into());
        handle.write(if decision.allowed() { give(held) } else { std::ptr::null_mut() });
        Ok(())
    })
}

/// A call about many subjects, all read before the first is decided, and after the place for as many decisions was
/// checked: that bounds how many there can be.
///
/// # Safety
/// The header's contract; `decisions` has room for as many as there are subjects.
pub(crate) unsafe fn decide_many<S>(
    limiter: *const tidegate_limiter,
    subjects: impl FnOnce() -> Checked<S>,
    (decisions, count): (*mut tidegate_decision, usize),
    ask: impl FnOnce(&Limiter, S) -> Checked<Vec<Decision>>,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the caller's promise.
        let (limiter, places) =
            unsafe { (lend_limiter(limiter)?, OutStructs::new(decisions, count, "decisions")?) };
        let decided = ask(limiter, subjects()?)?;
        places.write(decided.into_iter().map(tidegate_decision::from));
        Ok(())
    })
}
