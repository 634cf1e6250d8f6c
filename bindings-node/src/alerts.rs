//! Alerts, kept until the call that brought them is over.
//!
//! The engine tells of them in the middle of a call; JavaScript that ran there could make any other call, and end up
//! inside an object that is in use. So they are put on a list, and whoever makes a call looks at the list
//! when it is over: `hot.rs` itself, `lib/limiter.js` after the others. What happens outside of calls (an object that is
//! collected) is told with the next one.

use std::str;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use napi::bindgen_prelude::{BigInt, Buffer, Either};
use napi_derive::napi;

/// The alerts of one limiter that nobody was told yet.
#[derive(Default)]
pub(crate) struct Told {
    /// Is there one on the list? A hint for calls on the thread that put it there.
    any: AtomicBool,
    list: Mutex<Vec<NativeAlert>>,
}

impl Told {
    #[inline]
    pub(crate) fn any(&self) -> bool {
        // Relaxed: the list itself is under its lock.
        self.any.load(Ordering::Relaxed)
    }

    pub(crate) fn push(&self, alert: &tidegate::Alert<'_, '_>) {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).push(NativeAlert::of(alert));
        self.any.store(true, Ordering::Relaxed);
    }

    /// Empties the list.
    pub(crate) fn take(&self) -> Vec<NativeAlert> {
        self.any.store(false, Ordering::Relaxed);
        std::mem::take(&mut *self.list.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Use passed a threshold.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct NativeAlert {
    /// Name of the limit.
    pub limit: &'static str,
    /// The request's plan.
    pub plan: Option<&'static str>,
    /// `count`, `latency` or `concurrency`.
    pub method: &'static str,
    /// In thousandths of the capacity.
    pub threshold_permille: u32,
    /// Units used.
    pub used: BigInt,
    /// Most units at once.
    pub capacity: BigInt,
    /// Whose request it was.
    pub request: Vec<NativeAttribute>,
}

/// An attribute of a request.
#[napi(object, object_from_js = false)]
pub struct NativeAttribute {
    /// Its name.
    pub name: String,
    /// Its value; bytes only when they are no text.
    pub value: Either<String, Buffer>,
}

impl NativeAlert {
    fn of(alert: &tidegate::Alert<'_, '_>) -> NativeAlert {
        let attribute = |(name, value): (&str, &[u8])| NativeAttribute {
            name: name.to_owned(),
            value: match str::from_utf8(value) {
                Ok(text) => Either::A(text.to_owned()),
                Err(_) => Either::B(value.to_vec().into()),
            },
        };
        NativeAlert {
            limit: alert.limit,
            plan: alert.plan,
            method: alert.method.as_str(),
            // At most 1000.
            threshold_permille: alert.threshold_permille as u32,
            used: alert.used.into(),
            capacity: alert.capacity.into(),
            request: alert.request.attributes().map(attribute).collect(),
        }
    }
}
