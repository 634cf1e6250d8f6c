//! Decisions, exact, as `lib/decision.js` reads them, and what it asks of one later.

use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::BigInt;
use napi_derive::napi;
use tidegate::{BodyStyle, Decision, HeaderStyle, Reason};

use crate::argument::timestamp;
use crate::origins::Origins;
use crate::refusal::Refusal;

/// A decision to the unit and the nanosecond.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct ExactDecision {
    /// May the request go on?
    pub allowed: bool,
    /// The quota.
    pub limit: BigInt,
    /// Units left.
    pub remaining: BigInt,
    /// Nanoseconds to wait; null: for ever.
    pub retry_after_ns: Option<BigInt>,
    /// Nanoseconds until the limit is full again.
    pub reset_after_ns: BigInt,
    /// The limit's name.
    pub name: &'static str,
    /// `ok`, `limited`, …
    pub reason: &'static str,
    /// The number of its origin (`origins.rs`).
    pub origin: u32,
    /// When it was made.
    pub made_at_ns: BigInt,
    /// What is left in the later buckets of a cascade.
    pub burst_remaining: Option<BigInt>,
}

impl From<Decision> for ExactDecision {
    fn from(decision: Decision) -> ExactDecision {
        ExactDecision {
            allowed: decision.allowed(),
            limit: decision.limit().into(),
            remaining: decision.remaining().into(),
            retry_after_ns: (decision.retry_after_ns() != u64::MAX)
                .then(|| decision.retry_after_ns().into()),
            reset_after_ns: decision.reset_after_ns().into(),
            name: decision.name(),
            reason: decision.reason().as_str(),
            origin: Origins::here().number(&decision),
            made_at_ns: decision.made_at().as_nanos().into(),
            burst_remaining: decision.burst_remaining().map(BigInt::from),
        }
    }
}

/// A decision as `lib/decision.js` kept it.
#[napi(object, object_to_js = false)]
pub struct KeptDecision {
    /// The number of its origin.
    pub origin: u32,
    /// As the engine numbers them.
    pub reason: u32,
    /// The quota.
    pub limit: BigInt,
    /// Units left.
    pub remaining: BigInt,
    /// Nanoseconds to wait; absent: for ever.
    pub retry_after_ns: Option<BigInt>,
    /// Nanoseconds until the limit is full again.
    pub reset_after_ns: BigInt,
    /// When it was made.
    pub made_at_ns: BigInt,
    /// What is left in the later buckets of a cascade.
    pub burst_remaining: Option<BigInt>,
}

const REASONS: [Reason; 5] =
    [Reason::Ok, Reason::Limited, Reason::Blocked, Reason::Bypass, Reason::Impossible];

impl KeptDecision {
    fn decision(&self) -> Result<Decision, Refusal> {
        let reason = REASONS.into_iter().find(|reason| *reason as u32 == self.reason);
        let Some((first, reason)) = Origins::here().first(self.origin).zip(reason) else {
            return Err(Refusal::Type("decision: it was changed, and is none any more".to_owned()));
        };
        let numbers = [
            whole(&self.limit)?,
            whole(&self.remaining)?,
            self.retry_after_ns.as_ref().map_or(Ok(u64::MAX), whole)?,
            whole(&self.reset_after_ns)?,
        ];
        let made_at = timestamp(whole(&self.made_at_ns)?, "madeAtNs")?;
        let burst = self.burst_remaining.as_ref().map(whole).transpose()?;
        Ok(first.with_numbers(reason, numbers, made_at, burst))
    }

    fn read(&self, env: Env) -> napi::Result<Decision> {
        self.decision().map_err(|refusal| refusal.throw(env))
    }
}

fn whole(number: &BigInt) -> Result<u64, Refusal> {
    match number.get_u64() {
        (false, whole, true) => Ok(whole),
        _ => Err(Refusal::Type(
            "decision: a number of it was changed to one that cannot be".to_owned(),
        )),
    }
}

/// What all decisions of one origin say.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct NativeOrigin {
    /// The limit's name.
    pub name: &'static str,
    /// The request's plan.
    pub plan: Option<&'static str>,
    /// `count`, `latency` or `concurrency`.
    pub method: &'static str,
    /// The span in which the limit grants its quota.
    pub window_ns: Option<BigInt>,
    /// The limit in shadow that would have denied.
    pub shadow: Option<&'static str>,
}

/// By its number; null: there is none.
#[napi(catch_unwind)]
pub fn origin_of(number: u32) -> Option<NativeOrigin> {
    Origins::here().first(number).map(|decision| NativeOrigin {
        name: decision.name(),
        plan: decision.plan(),
        method: decision.method().as_str(),
        window_ns: decision.window().map(|window| nanos(window).into()),
        shadow: decision.shadow(),
    })
}

/// What a decision advises.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct NativeAdvice {
    /// The status of the response.
    pub status: u16,
    /// The policy's words.
    pub message: Option<&'static str>,
    /// Should the connection be closed?
    pub closes: bool,
}

/// What it advises.
#[napi(catch_unwind)]
pub fn advice_of(env: Env, decision: KeptDecision) -> napi::Result<NativeAdvice> {
    let decision = decision.read(env)?;
    Ok(NativeAdvice {
        status: decision.status(),
        message: decision.message(),
        closes: decision.closes(),
    })
}

/// Its header fields, names and values.
#[napi(catch_unwind)]
pub fn headers_of(
    env: Env,
    decision: KeptDecision,
    style: String,
) -> napi::Result<Vec<Vec<String>>> {
    let style = HeaderStyle::from_name(&style).map_err(|error| Refusal::from(error).throw(env))?;
    let headers = decision.read(env)?.headers(style);
    Ok(headers.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect())
}

/// A body.
#[napi(object, object_from_js = false)]
pub struct NativeBody {
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// Empty for an admitted request.
    pub text: String,
}

/// Its body.
#[napi(catch_unwind)]
pub fn body_of(env: Env, decision: KeptDecision, style: String) -> napi::Result<NativeBody> {
    let style = BodyStyle::from_name(&style).map_err(|error| Refusal::from(error).throw(env))?;
    let body = decision.read(env)?.body(style);
    Ok(NativeBody { content_type: body.content_type, text: body.text })
}

/// A span in nanoseconds; more than 584 years become 584 years.
pub(crate) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds in milliseconds, the nearest double; for ever is Infinity.
pub(crate) fn millis(nanos: u64) -> f64 {
    if nanos == u64::MAX { f64::INFINITY } else { nanos as f64 / 1e6 }
}
