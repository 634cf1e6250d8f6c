//! A policy file that is followed: events cross from the watching thread to the event loop.

use napi::bindgen_prelude::{ToNapiValue, Unknown};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Status, sys};
use napi_derive::napi;
use tidegate::{Limiter, Watch, WatchEvent};

use crate::refusal::Refusal;

/// What became of the file: null, or why it was refused.
pub struct Became(Option<tidegate::Error>);

impl ToNapiValue for Became {
    unsafe fn to_napi_value(env: sys::napi_env, value: Became) -> napi::Result<sys::napi_value> {
        match value.0 {
            // SAFETY: napi promises a live environment.
            None => unsafe { <()>::to_napi_value(env, ()) },
            // SAFETY: the same.
            Some(error) => Ok(unsafe { Refusal::from(error).to_js(env) }),
        }
    }
}

/// Calls a function of JavaScript on its event loop, which it does not keep alive.
pub type Listener = ThreadsafeFunction<Became, Unknown<'static>, Became, Status, false, true>;

/// Behind `Watch`.
#[napi]
pub struct NativeWatch {
    /// None: closed.
    watch: Option<Watch>,
}

impl NativeWatch {
    pub(crate) fn new(
        env: Env,
        limiter: &Limiter,
        path: &str,
        listener: Listener,
    ) -> napi::Result<NativeWatch> {
        let watch = limiter.watch(path, move |event| {
            let became = match event {
                WatchEvent::Refused(error) => Became(Some(error)),
                _ => Became(None),
            };
            // It waits for nobody: whoever closes the watch waits for this. An environment that ends wants no events.
            let _ = listener.call(became, ThreadsafeFunctionCallMode::NonBlocking);
        });
        match watch {
            Ok(watch) => Ok(NativeWatch { watch: Some(watch) }),
            Err(error) => Err(Refusal::from(error).throw(env)),
        }
    }
}

#[napi]
impl NativeWatch {
    /// Ends it.
    #[napi(catch_unwind)]
    pub fn close(&mut self) {
        self.watch = None;
    }
}
