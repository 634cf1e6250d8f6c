//! Behind `Pacer`: everything but the way of a call, which is in `pacer/calls.rs`.

mod answer;
mod calls;
mod told;

use std::rc::Rc;

use napi::Env;
use napi::bindgen_prelude::{BigInt, Unknown};
use napi_derive::napi;
use tidegate::client::{Pacer, PacerBuilder};
use tidegate::{Limiter, Policy};

use crate::argument::{arguments, millis, small, span, units};
use crate::clock::NativeClock;
use crate::decision::nanos;
use crate::limiter::{Form, NativeLimiter, answer as or_throw, read_policy};
use crate::refusal::Refusal;
use crate::subject::{Subject, ask};
use crate::wait::WakeList;

use answer::Pairs;
use calls::Calls;
use told::{NativeEvent, NativeFailure, NativePacerStats};

/// The largest number that the core takes as 32 bits.
const WORD: u64 = u32::MAX as u64;

/// Reads a number of 32 bits that is right from `$least` to `$most`.
macro_rules! within {
    ($least:expr, $most:expr) => {
        |env, value, name| small(env, value, name, $least..=$most)
    };
}

arguments! {
    /// `concurrency`
    Concurrency: u32 = "concurrency", within!(1, 1_000_000);
    /// `headroom`
    Headroom = "headroom", units;
    /// `maxRetries`
    MaxRetries: u32 = "maxRetries", within!(0, WORD);
    /// `baseMs`
    BaseMs = "baseMs", millis;
    /// `capMs`
    CapMs = "capMs", millis;
    /// `maxRetryAfterMs`
    MaxRetryAfterMs = "maxRetryAfterMs", millis;
    /// `deadlineMs`
    DeadlineMs = "deadlineMs", millis;
    /// `seed`
    Seed = "seed", units;
    /// `nearLimit`
    NearLimit: u32 = "nearLimit", within!(0, 1000);
    /// `maxUnauthorized`
    MaxUnauthorized: u32 = "maxUnauthorized", within!(0, WORD);
    /// `maxForbidden`
    MaxForbidden: u32 = "maxForbidden", within!(0, WORD);
    /// `maxFailures`
    MaxFailures: u32 = "maxFailures", within!(0, WORD);
    /// `breakerCooldownMs`
    CooldownMs = "breakerCooldownMs", millis;
}

/// Options that were given.
#[napi(object, object_to_js = false)]
pub struct NativePacerOptions {
    /// Name of a clock.
    pub clock_named: Option<String>,
    /// Most calls under way at once.
    pub concurrency: Option<Concurrency>,
    /// By how much bursts are lowered.
    pub headroom: Option<Headroom>,
    /// Most retries of a call.
    pub max_retries: Option<MaxRetries>,
    /// The longest jitter before the first retry.
    pub base_ms: Option<BaseMs>,
    /// The longest jitter before any retry.
    pub cap_ms: Option<CapMs>,
    /// A longer delay is an error at once.
    pub max_retry_after_ms: Option<MaxRetryAfterMs>,
    /// How long a call may take.
    pub deadline_ms: Option<DeadlineMs>,
    /// Makes the jitter the same each time.
    pub seed: Option<Seed>,
    /// Thousandths of a quota that are little.
    pub near_limit: Option<NearLimit>,
    /// So many 401 in a row open the breaker.
    pub max_unauthorized: Option<MaxUnauthorized>,
    /// So many 403 in a row open the breaker.
    pub max_forbidden: Option<MaxForbidden>,
    /// So many failed calls in a row open the breaker.
    pub max_failures: Option<MaxFailures>,
    /// How long it stays open.
    pub breaker_cooldown_ms: Option<CooldownMs>,
    /// Events that are kept until they are taken.
    pub events: u32,
}

/// What the pacer asks for each attempt.
enum Source {
    Policy(Policy),
    Limiter(Limiter, Subject),
}

/// Behind `Pacer`.
#[napi]
pub struct NativePacer {
    calls: Rc<Calls>,
}

#[napi]
impl NativePacer {
    /// A pacer with limits of its own, or none.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        env: Env,
        options: NativePacerOptions,
        clock: Option<&NativeClock>,
        source: Option<String>,
        form: Option<Form>,
    ) -> napi::Result<NativePacer> {
        let source = match (source, form) {
            (Some(text), Some(form)) => {
                Some(Source::Policy(or_throw(env, read_policy(&text, form))?))
            }
            _ => None,
        };
        build(env, options, clock, source)
    }

    /// A pacer that asks a limiter.
    #[napi(factory, catch_unwind)]
    pub fn over(
        env: Env,
        options: NativePacerOptions,
        limiter: &NativeLimiter,
        key: Subject,
    ) -> napi::Result<NativePacer> {
        build(env, options, None, Some(Source::Limiter(limiter.limiter.clone(), key)))
    }

    /// `{ begin, beginWith, check, finish, drop }`.
    #[napi(catch_unwind)]
    pub fn calls<'env>(&self, env: Env) -> napi::Result<Unknown<'env>> {
        let functions = or_throw(env, calls::functions(env, &self.calls))?;
        // SAFETY: what was made is a value of this call.
        Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), functions) })
    }

    /// Puts `id` on the list when there is news that no tick foretold.
    #[napi(catch_unwind)]
    pub fn wakes(&self, list: &WakeList, id: u32) {
        self.calls.pacer.wakes(&list.waker(id));
    }

    /// Numbers of the calls to check again, and after how many ms to come back; -1: when woken.
    #[napi(catch_unwind)]
    pub fn tick(&self) -> Vec<f64> {
        let tick = self.calls.pacer.tick();
        let next = tick.next.map_or(-1.0, |next| crate::decision::millis(nanos(next)));
        // Numbers of calls stay below 2^53 for longer than anybody calls.
        std::iter::once(next).chain(tick.ready.iter().map(|number| *number as f64)).collect()
    }

    /// Why the last call was given up; it is told once. Throws what a limiter refused.
    #[napi(catch_unwind)]
    pub fn failure(&self, env: Env) -> napi::Result<Option<NativeFailure>> {
        let failure = self.calls.failure.borrow_mut().take();
        match failure {
            Some(error) => or_throw(env, NativeFailure::of(error)).map(Some),
            None => Ok(None),
        }
    }

    /// What a response says that is not of a call of this pacer.
    #[napi(catch_unwind)]
    pub fn observe(&self, headers: Pairs) {
        let pacer = &self.calls.pacer;
        pacer.observe(&pacer.read(&headers));
    }

    /// What headers tell, absolute times compared with the pacer's clock.
    #[napi(catch_unwind)]
    pub fn read(&self, headers: Pairs) -> answer::NativeServerLimits {
        self.calls.pacer.read(&headers).into()
    }

    /// Events that nobody has taken yet.
    #[napi(catch_unwind)]
    pub fn events(&self) -> Vec<NativeEvent> {
        self.calls.pacer.events().into_iter().map(NativeEvent::from).collect()
    }

    /// Counts of everything.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> NativePacerStats {
        self.calls.pacer.stats().into()
    }

    /// Closes the breaker and ends a pause.
    #[napi(catch_unwind)]
    pub fn reset(&self) {
        self.calls.pacer.reset();
    }

    /// Lets nothing go any more.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.calls.pacer.close();
    }

    /// Most calls under way at once.
    #[napi(getter, catch_unwind)]
    pub fn concurrency(&self) -> u32 {
        self.calls.pacer.concurrency()
    }

    /// The time of its clock.
    #[napi(catch_unwind)]
    pub fn now_ns(&self) -> BigInt {
        self.calls.pacer.clock().now().as_nanos().into()
    }
}

fn build(
    env: Env,
    options: NativePacerOptions,
    clock: Option<&NativeClock>,
    source: Option<Source>,
) -> napi::Result<NativePacer> {
    let mut builder = with_options(Pacer::builder(), &options);
    if let Some(clock) = clock {
        builder = builder.clock(clock.clock.clone());
    } else if let Some(name) = &options.clock_named {
        let clock = tidegate::Clock::named(name).map_err(Refusal::option);
        builder = builder.clock(or_throw(env, clock)?);
    }
    builder = match source {
        None => builder,
        Some(Source::Policy(policy)) => builder.policy(policy),
        Some(Source::Limiter(limiter, key)) => {
            ask!(key.asked(), it => builder.limiter(&limiter, it))
        }
    };
    let pacer = or_throw(env, builder.build().map_err(Refusal::option))?;
    Ok(NativePacer { calls: Rc::new(Calls::new(pacer)) })
}

fn with_options(mut builder: PacerBuilder, options: &NativePacerOptions) -> PacerBuilder {
    if let Some(amount) = options.concurrency {
        builder = builder.concurrency(amount.0);
    }
    if let Some(amount) = options.headroom {
        builder = builder.headroom(amount.0);
    }
    if let Some(amount) = options.max_retries {
        builder = builder.max_retries(amount.0);
    }
    if let Some(amount) = options.base_ms {
        builder = builder.base(span(amount.0));
    }
    if let Some(amount) = options.cap_ms {
        builder = builder.cap(span(amount.0));
    }
    if let Some(amount) = options.max_retry_after_ms {
        builder = builder.max_retry_after(span(amount.0));
    }
    if let Some(amount) = options.deadline_ms {
        builder = builder.deadline(span(amount.0));
    }
    if let Some(amount) = options.seed {
        builder = builder.seed(amount.0);
    }
    if let Some(amount) = options.near_limit {
        builder = builder.near_limit(u64::from(amount.0));
    }
    if let Some(amount) = options.max_unauthorized {
        builder = builder.max_unauthorized(amount.0);
    }
    if let Some(amount) = options.max_forbidden {
        builder = builder.max_forbidden(amount.0);
    }
    if let Some(amount) = options.max_failures {
        builder = builder.max_failures(amount.0);
    }
    if let Some(amount) = options.breaker_cooldown_ms {
        builder = builder.breaker_cooldown(span(amount.0));
    }
    builder.events(options.events as usize)
}
