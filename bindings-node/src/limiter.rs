//! Behind `Limiter`: set-up, and every call about requests that is not hot (plans, reports and listeners: `plans.rs`).
//!
//! Each call takes an optional time at its end; answers are exact and `lib/*.js` makes them
//! convenient.

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{BigInt, Unknown};
use napi::{JsValue, sys};
use napi_derive::napi;
use tidegate::{Limiter, Policy, Timestamp};

use crate::alerts::Told;
use crate::argument::{
    self, Cost, DurationMs, DurationNs, LatencyNs, MaxKeys, NowNs, TimeoutMs, Units, span,
};
use crate::clock::NativeClock;
use crate::decision::ExactDecision;
use crate::held::{NativeAdmission, NativeReservation};
use crate::hot;
use crate::keys::Keys;
use crate::refusal::Refusal;
use crate::reports::{ExactSnapshot, ExactStats};
use crate::subject::{Subject, ask};
use crate::wait::{NativeTicket, WakeList};

/// What a policy was given as.
#[napi(string_enum = "lowercase")]
pub enum Form {
    /// A rate string or a document.
    Text,
    /// A JavaScript object, as JSON.
    Object,
    /// The path of a file.
    File,
}

pub(crate) fn read_policy(source: &str, form: Form) -> tidegate::Result<Policy> {
    match form {
        Form::Text => Policy::parse(source),
        // Line and column of a text that the user never saw would only confuse.
        Form::Object => Policy::from_json(source).map_err(tidegate::Error::without_position),
        Form::File => Policy::from_file(source),
    }
}

/// Options that were given; types are checked, values are not.
#[napi(object, object_to_js = false)]
pub struct NativeOptions {
    /// Name of a clock.
    pub clock_named: Option<String>,
    /// What happens beyond the most keys.
    pub on_full: Option<String>,
    /// Where state is kept.
    pub store: Option<String>,
    /// A name for logs.
    pub name: Option<String>,
}

/// Behind `Limiter`.
#[napi]
pub struct NativeLimiter {
    pub(crate) limiter: Limiter,
    pub(crate) told: Arc<Told>,
}

/// Throws what was refused.
pub(crate) fn answer<T, R: Into<Refusal>>(env: Env, result: Result<T, R>) -> napi::Result<T> {
    result.map_err(|refusal| refusal.into().throw(env))
}

/// The time that was given, checked.
pub(crate) fn time(env: Env, now: Option<NowNs>) -> napi::Result<Option<Timestamp>> {
    now.map(|now| answer(env, now.timestamp())).transpose()
}

#[napi]
impl NativeLimiter {
    /// Builds a limiter.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        env: Env,
        source: String,
        form: Form,
        options: NativeOptions,
        max_keys: Option<MaxKeys>,
        clock: Option<&NativeClock>,
    ) -> napi::Result<NativeLimiter> {
        let policy = answer(env, read_policy(&source, form))?;
        let mut builder = Limiter::builder(policy);
        if let Some(clock) = clock {
            builder = builder.clock(clock.clock.clone());
        }
        if let Some(clock) = options.clock_named {
            builder = builder.clock_named(&clock);
        }
        if let Some(MaxKeys(keys)) = max_keys {
            builder = builder.max_keys(keys);
        }
        if let Some(on_full) = options.on_full {
            builder = builder.on_full_named(&on_full);
        }
        if let Some(store) = options.store {
            builder = builder.store(&store);
        }
        if let Some(name) = options.name {
            builder = builder.name(&name);
        }
        let limiter = answer(env, builder.build().map_err(Refusal::option))?;
        Ok(NativeLimiter { limiter, told: Arc::default() })
    }

    /// `{ tryAcquire, acquire, acquireMany, recordLatency }`; `acquire` writes to `numbers`, and `tell` is called as a
    /// method of theirs when there are alerts.
    #[napi(catch_unwind)]
    pub fn hot<'env>(
        &self,
        env: Env,
        numbers: Unknown<'env>,
        tell: Unknown<'env>,
    ) -> napi::Result<Unknown<'env>> {
        // SAFETY: `numbers` and `tell` are values of this call, and so is what was made of them.
        unsafe {
            let functions =
                hot::functions(env, &self.limiter, &self.told, numbers.raw(), tell.raw());
            let functions = answer(env, functions)?;
            Ok(Unknown::from_raw_unchecked(env.raw(), functions))
        }
    }

    /// The name for logs.
    #[napi(getter, catch_unwind)]
    pub fn name(&self) -> String {
        self.limiter.name().to_owned()
    }

    /// The time of its clock.
    #[napi(catch_unwind)]
    pub fn now_ns(&self) -> BigInt {
        self.limiter.clock().now().as_nanos().into()
    }

    /// Decides.
    #[napi(catch_unwind)]
    pub fn acquire_at(
        &self,
        env: Env,
        key: Subject,
        cost: Cost,
        now: NowNs,
    ) -> napi::Result<ExactDecision> {
        let now = answer(env, now.timestamp())?;
        answer(env, ask!(key.asked(), it => self.limiter.acquire_at(it, cost.0, now)))
            .map(ExactDecision::from)
    }

    /// Decides about each key of a batch.
    #[napi(catch_unwind)]
    pub fn acquire_many_at(
        &self,
        env: Env,
        keys: Keys,
        cost: Cost,
        now: NowNs,
    ) -> napi::Result<Vec<ExactDecision>> {
        let now = answer(env, now.timestamp())?;
        let decisions = answer(env, keys.acquire(&self.limiter, cost.0, Some(now)))?;
        Ok(decisions.into_iter().map(ExactDecision::from).collect())
    }

    /// Decides, yes or no.
    #[napi(catch_unwind)]
    pub fn try_acquire_at(
        &self,
        env: Env,
        key: Subject,
        cost: Cost,
        now: NowNs,
    ) -> napi::Result<bool> {
        let now = answer(env, now.timestamp())?;
        Ok(ask!(key.asked(), it => self.limiter.try_acquire_at(it, cost.0, now)))
    }

    /// Charges time.
    #[napi(catch_unwind)]
    pub fn record_latency_at(
        &self,
        env: Env,
        key: Subject,
        latency: LatencyNs,
        now: NowNs,
    ) -> napi::Result<()> {
        let now = answer(env, now.timestamp())?;
        answer(
            env,
            ask!(key.asked(), it => self.limiter.record_latency_at(it, span(latency.0), now)),
        )
    }

    /// What `acquire` would say.
    #[napi(catch_unwind)]
    pub fn peek(
        &self,
        env: Env,
        key: Subject,
        cost: Cost,
        now: Option<NowNs>,
    ) -> napi::Result<ExactDecision> {
        let decision = match time(env, now)? {
            None => ask!(key.asked(), it => self.limiter.peek(it, cost.0)),
            Some(now) => ask!(key.asked(), it => self.limiter.peek_at(it, cost.0, now)),
        };
        answer(env, decision).map(ExactDecision::from)
    }

    /// Gives units back.
    #[napi(catch_unwind)]
    pub fn refund(
        &self,
        env: Env,
        key: Subject,
        cost: Cost,
        now: Option<NowNs>,
    ) -> napi::Result<()> {
        let done = match time(env, now)? {
            None => ask!(key.asked(), it => self.limiter.refund(it, cost.0)),
            Some(now) => ask!(key.asked(), it => self.limiter.refund_at(it, cost.0, now)),
        };
        answer(env, done)
    }

    /// Gives a permit back.
    #[napi(catch_unwind)]
    pub fn release(&self, env: Env, key: Subject, now: Option<NowNs>) -> napi::Result<()> {
        let done = match time(env, now)? {
            None => ask!(key.asked(), it => self.limiter.release(it)),
            Some(now) => ask!(key.asked(), it => self.limiter.release_at(it, now)),
        };
        answer(env, done)
    }

    /// Fills every bucket of a key, lifts its block.
    #[napi(catch_unwind)]
    pub fn reset(&self, env: Env, key: Subject, now: Option<NowNs>) -> napi::Result<()> {
        let done = match time(env, now)? {
            None => ask!(key.asked(), it => self.limiter.reset(it)),
            Some(now) => ask!(key.asked(), it => self.limiter.reset_at(it, now)),
        };
        answer(env, done)
    }

    /// Denies a key for a while.
    #[napi(catch_unwind)]
    pub fn block(&self, env: Env, key: Subject, duration: DurationMs) -> napi::Result<()> {
        answer(env, ask!(key.asked(), it => self.limiter.block(it, span(duration.0))))
    }

    /// Denies a key for a while from `now` on.
    #[napi(catch_unwind)]
    pub fn block_at(
        &self,
        env: Env,
        key: Subject,
        duration: DurationNs,
        now: NowNs,
    ) -> napi::Result<()> {
        let now = answer(env, now.timestamp())?;
        answer(env, ask!(key.asked(), it => self.limiter.block_at(it, span(duration.0), now)))
    }

    /// Charges units late.
    #[napi(catch_unwind)]
    pub fn penalize(
        &self,
        env: Env,
        key: Subject,
        units: Units,
        now: Option<NowNs>,
    ) -> napi::Result<()> {
        let done = match time(env, now)? {
            None => ask!(key.asked(), it => self.limiter.penalize(it, units.0)),
            Some(now) => ask!(key.asked(), it => self.limiter.penalize_at(it, units.0, now)),
        };
        answer(env, done)
    }

    /// Takes an estimate.
    #[napi(catch_unwind)]
    pub fn reserve(
        &self,
        env: Env,
        key: Subject,
        cost: Cost,
        now: Option<NowNs>,
    ) -> napi::Result<NativeReservation> {
        let reservation = match time(env, now)? {
            None => ask!(key.asked(), it => self.limiter.reserve(it, cost.0)),
            Some(now) => ask!(key.asked(), it => self.limiter.reserve_at(it, cost.0, now)),
        };
        answer(env, reservation).map(NativeReservation::new)
    }

    /// Begins a measured request.
    #[napi(catch_unwind)]
    pub fn admit(&self, env: Env, key: Subject, cost: Cost) -> napi::Result<NativeAdmission> {
        answer(env, ask!(key.asked(), it => self.limiter.admit(it, cost.0)))
            .map(NativeAdmission::new)
    }

    /// Takes a place in a key's queue; `id` is put on `wakes` when it should be polled again.
    #[napi(catch_unwind)]
    pub fn queue(
        &self,
        key: Subject,
        cost: Cost,
        timeout: Option<TimeoutMs>,
        wakes: &WakeList,
        id: u32,
    ) -> NativeTicket {
        let timeout = timeout.map(|timeout| argument::span(timeout.0));
        NativeTicket::new(
            ask!(key.asked(), it => self.limiter.queue(it, cost.0, timeout)),
            wakes.waker(id),
        )
    }

    /// Begins the time of the oldest permits anew; false when none is out.
    #[napi(catch_unwind)]
    pub fn renew(&self, env: Env, key: Subject, now: Option<NowNs>) -> napi::Result<bool> {
        let renewed = match time(env, now)? {
            None => ask!(key.asked(), it => self.limiter.renew(it)),
            Some(now) => ask!(key.asked(), it => self.limiter.renew_at(it, now)),
        };
        answer(env, renewed)
    }

    /// Changes the limits.
    #[napi(catch_unwind)]
    pub fn update(
        &self,
        env: Env,
        source: String,
        form: Form,
        now: Option<NowNs>,
    ) -> napi::Result<()> {
        let now = time(env, now)?;
        let policy = answer(env, read_policy(&source, form))?;
        let done = match now {
            None => self.limiter.update(policy),
            Some(now) => self.limiter.update_at(policy, now),
        };
        answer(env, done)
    }

    /// Every bucket of a key.
    #[napi(catch_unwind)]
    pub fn snapshot(
        &self,
        env: Env,
        key: Subject,
        now: Option<NowNs>,
    ) -> napi::Result<ExactSnapshot> {
        let snapshot = match time(env, now)? {
            None => ask!(key.asked(), it => self.limiter.snapshot(it)),
            Some(now) => ask!(key.asked(), it => self.limiter.snapshot_at(it, now)),
        };
        answer(env, snapshot).map(ExactSnapshot::from)
    }

    /// Counters.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> ExactStats {
        self.limiter.stats().into()
    }
}

/// The array for `NativeLimiter.hot`.
#[napi(catch_unwind)]
pub fn numbers<'env>(env: Env) -> napi::Result<Unknown<'env>> {
    let array: sys::napi_value = answer(env, hot::numbers(env))?;
    // SAFETY: the array was made in this call, for this environment.
    Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), array) })
}

/// The word of `known` that `word` most likely was meant to be.
#[napi(catch_unwind)]
pub fn nearest(word: String, known: Vec<String>) -> Option<String> {
    let folded = word.to_lowercase().replace(['_', '-'], "");
    known
        .into_iter()
        .map(|name| (strsim::osa_distance(&folded, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= name.len().div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The line for a policy that knows a secret by its hash.
#[napi(catch_unwind)]
pub fn hash_secret(secret: String) -> String {
    tidegate::hash_secret(&secret)
}

/// The version of the engine.
#[napi(catch_unwind)]
pub fn version() -> &'static str {
    tidegate::VERSION
}
