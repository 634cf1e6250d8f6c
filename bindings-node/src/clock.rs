//! A clock that stands still until it is moved.

use napi::Env;
use napi::bindgen_prelude::BigInt;
use napi_derive::napi;
use tidegate::ManualClock;

use crate::argument::{self, Ms, Ns, timestamp};

/// Behind `ManualClock`.
#[napi]
pub struct NativeClock {
    pub(crate) clock: ManualClock,
}

#[napi]
impl NativeClock {
    /// A clock that stands at `ms` since the Unix epoch.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, ms: Ms) -> napi::Result<NativeClock> {
        let now = timestamp(ms.0, "ms").map_err(|refusal| refusal.throw(env))?;
        Ok(NativeClock { clock: ManualClock::new(now) })
    }

    /// Moves it on; at the end of the engine's time it stays there.
    #[napi(catch_unwind)]
    pub fn advance(&self, ms: Ms) {
        self.clock.advance(argument::span(ms.0));
    }

    /// Moves it on.
    #[napi(catch_unwind)]
    pub fn advance_ns(&self, ns: Ns) {
        self.clock.advance(argument::span(ns.0));
    }

    /// Puts it at a time, earlier or later.
    #[napi(catch_unwind)]
    pub fn set(&self, env: Env, ms: Ms) -> napi::Result<()> {
        self.clock.set(timestamp(ms.0, "ms").map_err(|refusal| refusal.throw(env))?);
        Ok(())
    }

    /// Puts it at a time.
    #[napi(catch_unwind)]
    pub fn set_ns(&self, env: Env, ns: Ns) -> napi::Result<()> {
        self.clock.set(timestamp(ns.0, "ns").map_err(|refusal| refusal.throw(env))?);
        Ok(())
    }

    /// Where it stands.
    #[napi(catch_unwind)]
    pub fn now_ns(&self) -> BigInt {
        self.clock.now().as_nanos().into()
    }
}
