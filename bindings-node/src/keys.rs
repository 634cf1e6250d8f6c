//! The keys of a batch: all of them copied out of JavaScript before the first is decided.

use std::ptr::null_mut;

use napi::bindgen_prelude::FromNapiValue;
use napi::{Env, sys};

use crate::argument::{check, with_key};
use crate::refusal::Refusal;

/// Keys, one behind the other.
pub struct Keys {
    bytes: Vec<u8>,
    /// Where each begins, and where the last one ends.
    bounds: Vec<usize>,
}

impl Keys {
    /// From an array; the first element that is no key is refused by its number.
    ///
    /// # Safety
    /// `env` is the environment of the running call and `list` one of its values.
    pub(crate) unsafe fn read(env: sys::napi_env, list: sys::napi_value) -> Result<Keys, Refusal> {
        let mut count = 0;
        // SAFETY: as promised by the caller; Node answers "array expected" for other values.
        check(unsafe { sys::napi_get_array_length(env, list, &mut count) }, "an array of keys")?;
        let mut keys = Keys { bytes: Vec::new(), bounds: Vec::with_capacity(count as usize + 1) };
        keys.bounds.push(0);
        for index in 0..count {
            let mut key = null_mut();
            // SAFETY: as promised by the caller; `key` is a value of this call, then.
            unsafe {
                check(sys::napi_get_element(env, list, index, &mut key), "an element")?;
                with_key(env, key, |key| keys.push(key))
            }
            .map_err(|refusal| refusal.of_key(index))?;
        }
        Ok(keys)
    }

    fn push(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.bounds.push(self.bytes.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.bounds.len() - 1
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.bounds.windows(2).map(|bounds| &self.bytes[bounds[0]..bounds[1]])
    }
}

impl FromNapiValue for Keys {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Keys> {
        // SAFETY: napi promises a live environment and one of its values.
        let keys = unsafe { Keys::read(env, value) };
        keys.map_err(|refusal| refusal.throw(Env::from_raw(env)))
    }
}
