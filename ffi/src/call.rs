//! The shapes that calls about a key or a request have: what is checked first, and where the answer goes.

use engine::{Decision, Limiter};

use crate::decision::tidegate_decision;
use crate::error::Failure;
use crate::handle::{Out, OutStruct, give};
use crate::limiter::{lend_limiter, tidegate_limiter};

type Checked<T> = Result<T, Failure>;

/// A call that answers with a decision.
///
/// # Safety
/// The header's contract.
#[inline(always)]
pub(crate) unsafe fn decide<S>(
    limiter: *const tidegate_limiter,
    subject: Checked<S>,
    decision: *mut tidegate_decision,
    ask: impl FnOnce(&Limiter, S) -> Checked<Decision>,
) -> Checked<()> {
    // SAFETY: the caller's promise.
    let (limiter, subject, place) =
        unsafe { (lend_limiter(limiter)?, subject?, OutStruct::new(decision, "decision")?) };
    let decision = ask(limiter, subject)?;
    place.write_in_place(|| tidegate_decision::from(decision));
    Ok(())
}

/// A call that answers yes or no by itself.
///
/// # Safety
/// The header's contract.
#[inline(always)]
pub(crate) unsafe fn admit<S>(
    limiter: *const tidegate_limiter,
    subject: Checked<S>,
    ask: impl FnOnce(&Limiter, S) -> Checked<bool>,
) -> Checked<bool> {
    // SAFETY: the caller's promise.
    let limiter = unsafe { lend_limiter(limiter) }?;
    ask(limiter, subject?)
}

/// A call that answers nothing.
///
/// # Safety
/// The header's contract.
#[inline]
pub(crate) unsafe fn change<S>(
    limiter: *const tidegate_limiter,
    subject: Checked<S>,
    change: impl FnOnce(&Limiter, S) -> Checked<()>,
) -> Checked<()> {
    // SAFETY: the caller's promise.
    let limiter = unsafe { lend_limiter(limiter) }?;
    change(limiter, subject?)
}

/// A call that answers with one value; a place for it comes with its name.
///
/// # Safety
/// The header's contract.
pub(crate) unsafe fn answer<S, T>(
    limiter: *const tidegate_limiter,
    subject: Checked<S>,
    (place, name): (*mut T, &'static str),
    ask: impl FnOnce(&Limiter, S) -> Checked<T>,
) -> Checked<()> {
    // SAFETY: the caller's promise.
    let (limiter, subject, place) =
        unsafe { (lend_limiter(limiter)?, subject?, Out::new(place, name)?) };
    place.write(ask(limiter, subject)?);
    Ok(())
}

/// A call that answers with a decision and, when it admits, with a handle (else NULL).
///
/// # Safety
/// The header's contract.
pub(crate) unsafe fn hold<S, T>(
    limiter: *const tidegate_limiter,
    subject: Checked<S>,
    decision: *mut tidegate_decision,
    (handle, name): (*mut *mut T, &'static str),
    ask: impl FnOnce(&Limiter, S) -> Checked<(Decision, T)>,
) -> Checked<()> {
    // SAFETY: the caller's promise.
    let (limiter, subject, place, handle) = unsafe {
        (
            lend_limiter(limiter)?,
            subject?,
            OutStruct::new(decision, "decision")?,
            Out::new(handle, name)?,
        )
    };
    let (decision, held) = ask(limiter, subject)?;
    place.write(decision.into());
    handle.write(if decision.allowed() { give(held) } else { std::ptr::null_mut() });
    Ok(())
}
