//! One request from its admission to its end: acquire, time, charge, release.

use std::ffi::c_void;

use engine::{Admission, Decision};

use crate::attribute::tidegate_attribute;
use crate::call::hold;
use crate::decision::tidegate_decision;
use crate::guard::guard;
use crate::handle::{self, Out, lend_mut, take_named};
use crate::limiter::tidegate_limiter;
use crate::status::tidegate_status;

/// A request under way.
pub struct tidegate_measure(Admission);

/// Begins a request: as tidegate_acquire, and when it is admitted, its time runs. `*decision` says
/// whether it was; when it was denied, `*measure` is set to NULL: there is nothing to end.
///
/// A measure is given back by tidegate_measure_end; it may outlive its limiter.
///
/// Errors: as tidegate_acquire.
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
    // SAFETY: the header's contract.
    unsafe {
        hold(limiter, handle::key(key, key_len), decision, (measure, "measure"), |limiter, key| {
            limiter.admit(key, cost).map(held)
        })
    }
}

/// As tidegate_measure_begin, of a request with attributes (see tidegate_attribute).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_measure_begin_request(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    cost: u64,
    decision: *mut tidegate_decision,
    measure: *mut *mut tidegate_measure,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        hold(
            limiter,
            handle::request(attributes, attribute_count),
            decision,
            (measure, "measure"),
            |limiter, request| limiter.admit(request, cost).map(held),
        )
    }
}

fn held(admission: Admission) -> (Decision, tidegate_measure) {
    (admission.decision(), tidegate_measure(admission))
}

/// Begins the time of the measure's own permits anew (`max_hold` in the policy): for requests that last
/// long. `*renewed` is false when they have been reclaimed, or never were.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, TIDEGATE_ERROR_STORE.
/// Thread safety: one call on a measure at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_measure_renew(
    measure: *mut tidegate_measure,
    renewed: *mut bool,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (measure, place) =
            unsafe { (lend_mut(measure, "measure")?, Out::new(renewed, "renewed")?) };
        place.write(measure.0.renew()?);
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
