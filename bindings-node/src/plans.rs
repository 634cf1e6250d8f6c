//! Behind `Limiter`: plans of single customers, reports of use, and who listens.

use std::sync::Arc;

use napi::Env;
use napi_derive::napi;

use crate::alerts::NativeAlert;
use crate::argument::{DurationMs, DurationNs, NowNs, WindowMs, WindowNs, span};
use crate::limiter::{NativeLimiter, answer, time};
use crate::reports::ExactUsage;
use crate::subject::{Subject, Value, ask};
use crate::watch::{Listener, NativeWatch};

#[napi]
impl NativeLimiter {
    /// Gives a plan to a value of the attribute `plan_by`.
    #[napi(catch_unwind)]
    pub fn assign(
        &self,
        env: Env,
        value: Value,
        plan: String,
        duration: Option<DurationMs>,
    ) -> napi::Result<()> {
        let duration = duration.map(|duration| span(duration.0));
        answer(env, self.limiter.assign(value.0, &plan, duration))
    }

    /// The same from `now` on.
    #[napi(catch_unwind)]
    pub fn assign_at(
        &self,
        env: Env,
        value: Value,
        plan: String,
        duration: Option<DurationNs>,
        now: NowNs,
    ) -> napi::Result<()> {
        let now = answer(env, now.timestamp())?;
        let duration = duration.map(|duration| span(duration.0));
        answer(env, self.limiter.assign_at(value.0, &plan, duration, now))
    }

    /// Takes back what was assigned.
    #[napi(catch_unwind)]
    pub fn unassign(&self, value: Value) {
        self.limiter.unassign(value.0);
    }

    /// The plan that holds.
    #[napi(catch_unwind)]
    pub fn plan_of(
        &self,
        env: Env,
        key: Subject,
        now: Option<NowNs>,
    ) -> napi::Result<Option<&'static str>> {
        Ok(match time(env, now)? {
            None => ask!(key.asked(), it => self.limiter.plan_of(it)),
            Some(now) => ask!(key.asked(), it => self.limiter.plan_of_at(it, now)),
        })
    }

    /// What a subject used.
    #[napi(catch_unwind)]
    pub fn usage(
        &self,
        env: Env,
        key: Subject,
        window: Option<WindowMs>,
    ) -> napi::Result<ExactUsage> {
        let window = window.map(|window| span(window.0));
        let report = ask!(key.asked(), it => self.limiter.usage(it, window));
        answer(env, report).map(ExactUsage::from)
    }

    /// What a subject used until `now`.
    #[napi(catch_unwind)]
    pub fn usage_at(
        &self,
        env: Env,
        key: Subject,
        window: Option<WindowNs>,
        now: NowNs,
    ) -> napi::Result<ExactUsage> {
        let now = answer(env, now.timestamp())?;
        let window = window.map(|window| span(window.0));
        let report = ask!(key.asked(), it => self.limiter.usage_at(it, window, now));
        answer(env, report).map(ExactUsage::from)
    }

    /// Follows a policy file; `listener` is told null of an update, else why it was refused.
    #[napi(catch_unwind)]
    pub fn watch(&self, env: Env, path: String, listener: Listener) -> napi::Result<NativeWatch> {
        NativeWatch::new(env, &self.limiter, &path, listener)
    }

    /// From now on alerts are kept for `take_alerts`, or are not.
    #[napi(catch_unwind)]
    pub fn listen(&self, on: bool) {
        if on {
            let told = Arc::clone(&self.told);
            self.limiter.on_alert(move |alert| told.push(alert));
        } else {
            self.limiter.clear_alerts();
            self.told.take();
        }
    }

    /// The alerts that came since the last time.
    #[napi(catch_unwind)]
    pub fn take_alerts(&self) -> Vec<NativeAlert> {
        self.told.take()
    }
}
