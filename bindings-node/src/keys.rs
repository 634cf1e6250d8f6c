//! The subjects of a batch: all of them copied out of JavaScript before the first is decided.

use std::ptr::null_mut;

use napi::bindgen_prelude::FromNapiValue;
use napi::{Env, sys};
use tidegate::{Decision, Limiter, Request, Timestamp};

use crate::argument::check;
use crate::refusal::Refusal;
use crate::subject::{Asked, Attributes, with_subject};

/// Keys, one behind the other, and requests.
pub struct Keys {
    bytes: Vec<u8>,
    /// Where each begins, and where the last one ends. A request takes the place of an empty key.
    bounds: Vec<usize>,
    /// By place.
    requests: Vec<(usize, Attributes)>,
}

impl Keys {
    /// From an array; the first element that is neither key nor request is refused by its number.
    ///
    /// # Safety
    /// `env` is the environment of the running call and `list` one of its values.
    pub(crate) unsafe fn read(env: sys::napi_env, list: sys::napi_value) -> Result<Keys, Refusal> {
        let mut count = 0;
        // SAFETY: as promised by the caller; Node answers "array expected" for other values.
        check(unsafe { sys::napi_get_array_length(env, list, &mut count) }, "an array of keys")?;
        let bounds = Vec::with_capacity(count as usize + 1);
        let mut keys = Keys { bytes: Vec::new(), bounds, requests: Vec::new() };
        keys.bounds.push(0);
        for index in 0..count {
            let mut key = null_mut();
            // SAFETY: as promised by the caller; `key` is a value of this call, then.
            unsafe {
                check(sys::napi_get_element(env, list, index, &mut key), "an element")?;
                with_subject(env, key, |subject| keys.push(subject))
            }
            .map_err(|refusal| refusal.of_key(index))?;
        }
        Ok(keys)
    }

    fn push(&mut self, subject: Asked<'_>) {
        match subject {
            Asked::Key(key) => self.bytes.extend_from_slice(key),
            Asked::Request(request) => self.requests.push((self.len(), Attributes::of(&request))),
        }
        self.bounds.push(self.bytes.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.bounds.len() - 1
    }

    /// Decides about each.
    pub(crate) fn acquire(
        &self,
        limiter: &Limiter,
        cost: u64,
        now: Option<Timestamp>,
    ) -> tidegate::Result<Vec<Decision>> {
        match (self.requests.is_empty(), now) {
            (true, None) => limiter.acquire_many(self.iter(), cost),
            (true, Some(now)) => limiter.acquire_many_at(self.iter(), cost, now),
            (false, None) => limiter.acquire_many(self.all_requests(), cost),
            (false, Some(now)) => limiter.acquire_many_at(self.all_requests(), cost, now),
        }
    }

    fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.bounds.windows(2).map(|bounds| &self.bytes[bounds[0]..bounds[1]])
    }

    /// A key is a request whose attribute `key` it is.
    fn all_requests(&self) -> Vec<Request<'_>> {
        let mut all: Vec<Request<'_>> = self.iter().map(|key| Request::new().key(key)).collect();
        for (place, attributes) in &self.requests {
            all[*place] = attributes.request();
        }
        all
    }
}

impl FromNapiValue for Keys {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Keys> {
        // SAFETY: napi promises a live environment and one of its values.
        let keys = unsafe { Keys::read(env, value) };
        keys.map_err(|refusal| refusal.throw(Env::from_raw(env)))
    }
}
