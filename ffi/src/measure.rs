//! One request from its admission to its end: acquire, time, charge, release.

use std::ffi::c_void;

use engine::Admission;

use crate::decision::tidegate_decision;
use crate::guard::guard;
use crate::handle::{self, Out, OutStruct, give, take_named};
use crate::limiter::{lend_limiter, tidegate_limiter};
use crate::status::tidegate_status;

/// A request under way.
pub struct tidegate_measure(Admission);

/// Begins a request: as tidegate_acquire, and when it is admitted, its time runs. `*decision` says
/// whether it was; when it was denied, `*measure` is set to NULL: there is nothing to end.
///
/// A measure is given back by tidegate_measure_end; it may outlive its limiter.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, TIDEGATE_ERROR_STORE.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_measure_begin(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    cost: u64,
    decision: *mut tidegate_decision,
    measure: *mut *mut tidegate_measure,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, key, decision, place) = unsafe {
            (
                lend_limiter(limiter)?,
                handle::key(key, key_len)?,
                OutStruct::new(decision, "decision")?,
                Out::new(measure, "measure")?,
            )
        };
        let admission = limiter.admit(key, cost)?;
        let answer = admission.decision();
        decision.write(answer.into());
        place.write(match answer.allowed() {
            true => give(tidegate_measure(admission)),
            false => std::ptr::null_mut(),
        });
        Ok(())
    })
}

/// Ends a request: the time since it began, by the limiter's clock, is charged to the latency
/// limits, and the permits of concurrency limits are given back.
///
/// The measure is given back, whatever the call returns.
/// Errors: TIDEGATE_ERROR_ARGUMENT, TIDEGATE_ERROR_STORE.
/// Thread safety: no other call may use this measure now or later; another thread than the
/// one that began it may end it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_measure_end(measure: *mut tidegate_measure) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let measure = unsafe { take_named(measure, "measure") }?;
        Ok(measure.0.finish()?)
    })
}
