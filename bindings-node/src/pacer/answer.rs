//! Answers to attempts: their headers, and what they tell.

use std::ptr::null_mut;

use napi::bindgen_prelude::FromNapiValue;
use napi::{Env, sys};
use napi_derive::napi;
use tidegate::Timestamp;
use tidegate::client::{Quota, Response, ServerLimits, read_headers};

use crate::argument::{MAX_SAFE, check, millis, timestamp, wrong_type};
use crate::decision::{self, nanos};
use crate::refusal::Refusal;

/// Header fields: an array of strings, names and values by turns.
pub struct Pairs(Vec<Vec<u8>>);

impl Pairs {
    /// # Safety
    /// `env` is the environment of the running call and `value` one of its values.
    pub(super) unsafe fn read(
        env: sys::napi_env,
        value: sys::napi_value,
    ) -> Result<Pairs, Refusal> {
        let mut length = 0;
        // SAFETY: as promised by the caller; the outputs are locals.
        unsafe {
            check(sys::napi_get_array_length(env, value, &mut length), "headers")?;
            let mut texts = Vec::with_capacity(length as usize);
            for index in 0..length {
                let mut element = null_mut();
                check(sys::napi_get_element(env, value, index, &mut element), "a header")?;
                texts.push(text(env, element)?);
            }
            Ok(Pairs(texts))
        }
    }

    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.chunks_exact(2).map(|pair| (&*pair[0], &*pair[1]))
    }
}

/// The text of a string.
///
/// # Safety
/// As `Pairs::read`.
pub(super) unsafe fn text(env: sys::napi_env, value: sys::napi_value) -> Result<Vec<u8>, Refusal> {
    /// Header fields are short; a longer one is measured first.
    const SHORT: usize = 256;
    let (mut text, mut length) = (Vec::<u8>::with_capacity(SHORT), 0);
    // SAFETY: as promised by the caller; Node writes at most as many bytes as there is room for, a NUL among them, and
    // says how many. A character of at most 4 bytes that does not fit is left out whole.
    unsafe {
        let start = text.as_mut_ptr().cast();
        let status = sys::napi_get_value_string_utf8(env, value, start, SHORT, &mut length);
        if status != sys::Status::napi_ok {
            return Err(wrong_type(env, value, "headers", "strings", "give names and values"));
        }
        if length + 4 >= SHORT {
            sys::napi_get_value_string_utf8(env, value, null_mut(), 0, &mut length);
            text.reserve_exact(length + 1);
            let start = text.as_mut_ptr().cast();
            let status =
                sys::napi_get_value_string_utf8(env, value, start, length + 1, &mut length);
            check(status, "a header")?;
        }
        text.set_len(length);
    }
    Ok(text)
}

impl FromNapiValue for Pairs {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Pairs> {
        // SAFETY: napi promises a live environment and one of its values.
        let pairs = unsafe { Pairs::read(env, value) };
        pairs.map_err(|refusal| refusal.throw(Env::from_raw(env)))
    }
}

impl Response for Pairs {
    /// The status comes by another way.
    fn status(&self) -> u16 {
        0
    }

    fn headers(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        self.fields().for_each(|(name, value)| each(name, value));
    }
}

/// When headers are read.
pub struct Now(Timestamp);

impl FromNapiValue for Now {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Now> {
        // SAFETY: napi promises a live environment and one of its values.
        let now = unsafe { millis(env, value, "nowMs") }.and_then(|now| timestamp(now, "nowMs"));
        now.map(Now).map_err(|refusal| refusal.throw(Env::from_raw(env)))
    }
}

/// What headers tell, without a pacer.
#[napi(catch_unwind)]
pub fn read_limits(headers: Pairs, now: Now) -> NativeServerLimits {
    read_headers(headers.fields(), now.0).into()
}

/// What a response tells of the server's limits.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct NativeServerLimits {
    /// How long the server asks us to wait.
    pub retry_after_ms: Option<f64>,
    /// How long to wait after a refusal.
    pub delay_ms: Option<f64>,
    /// Does it say that little is left?
    pub near_limit: bool,
    /// Each quota that it tells of.
    pub quotas: Vec<NativeQuota>,
}

/// One quota of the server.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct NativeQuota {
    /// What tells it from others.
    pub name: String,
    /// Units in a window.
    pub limit: Option<f64>,
    /// Units left.
    pub remaining: Option<f64>,
    /// Until it is reset.
    pub reset_after_ms: Option<f64>,
    /// The length of its window.
    pub window_ms: Option<f64>,
}

/// A span as a number.
pub(super) fn ms(span: std::time::Duration) -> f64 {
    decision::millis(nanos(span))
}

/// A count as a number; none where no number holds it: a wrong one would be worse.
pub(super) fn count(units: Option<u64>) -> Option<f64> {
    units.filter(|units| *units <= MAX_SAFE).map(|units| units as f64)
}

impl From<ServerLimits> for NativeServerLimits {
    fn from(limits: ServerLimits) -> NativeServerLimits {
        NativeServerLimits {
            retry_after_ms: limits.retry_after.map(ms),
            delay_ms: limits.delay().map(ms),
            near_limit: limits.near_limit,
            quotas: limits.quotas.into_iter().map(NativeQuota::from).collect(),
        }
    }
}

impl From<Quota> for NativeQuota {
    fn from(quota: Quota) -> NativeQuota {
        NativeQuota {
            limit: count(quota.limit),
            remaining: count(quota.remaining),
            reset_after_ms: quota.reset_after.map(ms),
            window_ms: quota.window.map(ms),
            name: quota.name,
        }
    }
}
