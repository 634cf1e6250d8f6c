//! What a request holds while it is under way: an estimate, or its place.

use napi::Env;
use napi_derive::napi;
use tidegate::{Admission, Reservation};

use crate::argument::{Actual, NowNs};
use crate::decision::ExactDecision;
use crate::refusal::Refusal;

/// Behind `Reservation`.
#[napi]
pub struct NativeReservation {
    decision: tidegate::Decision,
    /// None: settled or cancelled.
    reservation: Option<Reservation>,
}

impl NativeReservation {
    pub(crate) fn new(reservation: Reservation) -> NativeReservation {
        NativeReservation { decision: reservation.decision(), reservation: Some(reservation) }
    }
}

#[napi]
impl NativeReservation {
    /// The answer to the estimate.
    #[napi(getter, catch_unwind)]
    pub fn decision(&self) -> ExactDecision {
        self.decision.into()
    }

    /// Charges the difference; false when there is nothing left to settle.
    #[napi(catch_unwind)]
    pub fn settle(&mut self, env: Env, actual: Actual, now: Option<NowNs>) -> napi::Result<bool> {
        self.end(env, now, Some(actual))
    }

    /// Gives everything back; false when there is nothing left to cancel.
    #[napi(catch_unwind)]
    pub fn cancel(&mut self, env: Env, now: Option<NowNs>) -> napi::Result<bool> {
        self.end(env, now, None)
    }

    fn end(&mut self, env: Env, now: Option<NowNs>, actual: Option<Actual>) -> napi::Result<bool> {
        // The time first: a refused call leaves the reservation open.
        let now = now.map(NowNs::timestamp).transpose().map_err(|refusal| refusal.throw(env))?;
        let Some(reservation) = self.reservation.take() else { return Ok(false) };
        match (actual, now) {
            (Some(actual), None) => reservation.settle(actual.0),
            (Some(actual), Some(now)) => reservation.settle_at(actual.0, now),
            (None, None) => reservation.cancel(),
            (None, Some(now)) => reservation.cancel_at(now),
        }
        .map_err(|error| Refusal::from(error).throw(env))?;
        Ok(true)
    }
}

/// Behind `measure`.
#[napi]
pub struct NativeAdmission {
    decision: tidegate::Decision,
    admission: Option<Admission>,
}

impl NativeAdmission {
    pub(crate) fn new(admission: Admission) -> NativeAdmission {
        NativeAdmission { decision: admission.decision(), admission: Some(admission) }
    }
}

#[napi]
impl NativeAdmission {
    /// The answer.
    #[napi(getter, catch_unwind)]
    pub fn decision(&self) -> ExactDecision {
        self.decision.into()
    }

    /// Begins the time of its permits anew; false when they are no longer out.
    #[napi(catch_unwind)]
    pub fn renew(&mut self, env: Env) -> napi::Result<bool> {
        match &mut self.admission {
            Some(admission) => admission.renew().map_err(|error| Refusal::from(error).throw(env)),
            None => Ok(false),
        }
    }

    /// Records the time since, and gives the permit back.
    #[napi(catch_unwind)]
    pub fn finish(&mut self, env: Env) -> napi::Result<()> {
        self.admission
            .take()
            .map_or(Ok(()), Admission::finish)
            .map_err(|error| Refusal::from(error).throw(env))
    }
}
