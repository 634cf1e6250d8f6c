//! Reservations: an estimate is taken now and settled later.

use std::ffi::c_void;

use engine::{Decision, Reservation};

use crate::attribute::tidegate_attribute;
use crate::call::{at, hold};
use crate::decision::tidegate_decision;
use crate::guard::guard;
use crate::handle::{self, take, take_named};
use crate::limiter::tidegate_limiter;
use crate::status::tidegate_status;

/// An estimate that was taken, to be settled or cancelled.
pub struct tidegate_reservation(Reservation);

/// Takes an estimate of the cost now, to be settled when the true cost is known (the tokens of a
/// model call). `*decision` says whether it was admitted; when it was denied, nothing is taken
/// and `*reservation` is set to NULL: there is nothing to settle.
///
/// A reservation is given back by one of tidegate_settle, tidegate_cancel and
/// tidegate_reservation_free; it may outlive its limiter.
///
/// Errors: as tidegate_acquire.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_reserve(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    cost: u64,
    decision: *mut tidegate_decision,
    reservation: *mut *mut tidegate_reservation,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        hold(
            limiter,
            handle::key(key, key_len),
            decision,
            (reservation, "reservation"),
            |limiter, key| limiter.reserve(key, cost).map(held),
        )
    }
}

/// As tidegate_reserve, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_reserve_at(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    cost: u64,
    now_ns: u64,
    decision: *mut tidegate_decision,
    reservation: *mut *mut tidegate_reservation,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        hold(
            limiter,
            at(handle::key(key, key_len), now_ns),
            decision,
            (reservation, "reservation"),
            |limiter, (key, now)| limiter.reserve_at(key, cost, now).map(held),
        )
    }
}

/// As tidegate_reserve, of a request with attributes (see tidegate_attribute).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_reserve_request(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    cost: u64,
    decision: *mut tidegate_decision,
    reservation: *mut *mut tidegate_reservation,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        hold(
            limiter,
            handle::request(attributes, attribute_count),
            decision,
            (reservation, "reservation"),
            |limiter, request| limiter.reserve(request, cost).map(held),
        )
    }
}

/// As tidegate_reserve_request, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_reserve_request_at(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    cost: u64,
    now_ns: u64,
    decision: *mut tidegate_decision,
    reservation: *mut *mut tidegate_reservation,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        hold(
            limiter,
            at(handle::request(attributes, attribute_count), now_ns),
            decision,
            (reservation, "reservation"),
            |limiter, (request, now)| limiter.reserve_at(request, cost, now).map(held),
        )
    }
}

fn held(reservation: Reservation) -> (Decision, tidegate_reservation) {
    (reservation.decision(), tidegate_reservation(reservation))
}

/// Settles a reservation: less than the estimate, and the difference goes back to the limits
/// that paid it; more, and the difference is charged, whatever is left. Permits of concurrency
/// limits are kept (tidegate_release gives them back).
///
/// The reservation is given back, whatever the call returns.
/// Errors: TIDEGATE_ERROR_ARGUMENT, TIDEGATE_ERROR_STORE.
/// Thread safety: no other call may use this reservation now or later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_settle(
    reservation: *mut tidegate_reservation,
    actual: u64,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let reservation = unsafe { take_named(reservation, "reservation") }?;
        Ok(reservation.0.settle(actual)?)
    })
}

/// As tidegate_settle, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_settle_at(
    reservation: *mut tidegate_reservation,
    actual: u64,
    now_ns: u64,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let reservation = unsafe { take_named(reservation, "reservation") }?;
        Ok(reservation.0.settle_at(actual, handle::now(now_ns)?)?)
    })
}

/// Takes a reservation back: as settling it with 0, and permits of concurrency limits are given
/// back too.
///
/// The reservation is given back, whatever the call returns.
/// Errors: TIDEGATE_ERROR_ARGUMENT, TIDEGATE_ERROR_STORE.
/// Thread safety: no other call may use this reservation now or later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_cancel(
    reservation: *mut tidegate_reservation,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let reservation = unsafe { take_named(reservation, "reservation") }?;
        Ok(reservation.0.cancel()?)
    })
}

/// As tidegate_cancel, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_cancel_at(
    reservation: *mut tidegate_reservation,
    now_ns: u64,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let reservation = unsafe { take_named(reservation, "reservation") }?;
        Ok(reservation.0.cancel_at(handle::now(now_ns)?)?)
    })
}

/// Gives a reservation back without settling it: the estimate stands. NULL is a no-op.
///
/// Thread safety: no other call may use this reservation now or later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_reservation_free(reservation: *mut tidegate_reservation) {
    guard(|| {
        // SAFETY: the header's contract.
        drop(unsafe { take(reservation) });
        Ok(())
    });
}
